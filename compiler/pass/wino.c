// SPDX-License-Identifier: MIT
// Lowers 3x3 convolutions of stride 1, and both gradients of them, by Winograd's transforms.
//
// Three tensors belong to a convolution: the image X [n, h + r + offset, w + s + offset, c], the
// result Y [n, h, w, k] and the filter W [k, c, r, s]; the contraction computes one of them from
// the other two. With V, M and U what X, Y and W are transformed to, frequency by frequency
//
//     Y = out(V U)      X = in'(out'(Y) U')      W = filter'(V' out'(Y))
//
// where ' is a transposed map. V and out'(Y) are equal nodes of the forward pass and of the two
// gradients, and so computed once.
#include "pass/lower_internal.h"
#include "support/choice.h"

#include <math.h>
#include <string.h>

typedef enum Result { RESULT_Y, RESULT_X, RESULT_W } Result;

typedef struct Conv {
    Result result;
    const Node *x, *y, *w; // the result is NULL
    int8_t x_axis[4], y_axis[4],
        w_axis[4]; // of N H W C, N H W K, K C R S; of the result: the loop index
    Dim n;
    int64_t x_side[2], y_side[2], c, k;
    int32_t offset[2];
} Conv;

typedef struct Contraction { // the one at hand, and which operand has the sums of indices
    const Node *affine, *other;
    const Access *affine_at, *other_at;
    const ContractAttr *attr;
    const Shape *out;
    int side_axis[2];     // the affine operand's axes that are read at two indices
    int place[2], tap[2]; // loop indices of each
} Contraction;

// --- Which contraction is one

static bool is_plain(const Access *access) {
    return access->index[0] >= 0 && access->index[1] < 0 && access->coef[0] == 1 &&
           access->offset == 0 && access->divisor == 1;
}

static Dim extent_of(const Contraction *c, int index) {
    return index < c->out->rank ? c->out->dim[index] : c->attr->extent[index - c->out->rank];
}

static bool is_output(const Contraction *c, int index) { return index < c->out->rank; }

// The axis that is read at this index and nothing else; -1: none.
static int axis_of(const Access *access, int index) {
    for (int axis = 0; axis < 4; axis++)
        if (is_plain(&access[axis]) && access[axis].index[0] == index) return axis;
    return -1;
}

static int find_sides(const Node *node, const Access *access, int *side_axis) {
    int count = 0;
    for (int axis = 0; axis < node->shape.rank; axis++)
        if (!is_plain(&access[axis])) {
            if (count < 2) side_axis[count] = axis;
            count++;
        }
    return count;
}

static bool axes_are_whole(const Contraction *c, const Node *node, const Access *access) {
    for (int axis = 0; axis < node->shape.rank; axis++)
        if (is_plain(&access[axis]) &&
            !dim_equal(node->shape.dim[axis], extent_of(c, access[axis].index[0])))
            return false;
    return true;
}

static bool has_extent(const Contraction *c, int index, int64_t extent) {
    return dim_equal(extent_of(c, index), dim_const(extent));
}

// Which of a side's two indices is the filter's tap, as the result's kind says.
static bool sort_side(Contraction *c, int side, Result result) {
    const Access *at = &c->affine_at[c->side_axis[side]];
    int first = at->index[0], second = at->index[1];
    if (first < 0 || second < 0 || at->divisor != 1) return false;
    if (is_output(c, first) == is_output(c, second)) return false;
    bool first_is_tap = is_output(c, first) == (result == RESULT_W);
    int tap = first_is_tap ? 0 : 1;
    c->tap[side] = first_is_tap ? first : second;
    c->place[side] = first_is_tap ? second : first;
    return at->coef[!tap] == 1 && at->coef[tap] == (result == RESULT_X ? -1 : 1) &&
           has_extent(c, c->tap[side], 3);
}

// The index that two of the three tensors have and the third has not; -1: none.
static int shared_index(const Contraction *c, bool affine, bool other, bool out) {
    for (int i = 0; i < c->out->rank + c->attr->summed; i++)
        if ((axis_of(c->affine_at, i) >= 0) == affine && (axis_of(c->other_at, i) >= 0) == other &&
            is_output(c, i) == out && i != c->place[0] && i != c->place[1] && i != c->tap[0] &&
            i != c->tap[1])
            return i;
    return -1;
}

static void set_axes(int8_t *axes, int first, int second, int third, int fourth) {
    axes[0] = (int8_t)first, axes[1] = (int8_t)second;
    axes[2] = (int8_t)third, axes[3] = (int8_t)fourth;
}

static bool fill_in(const Contraction *c, Result result, Conv *conv) {
    int az = shared_index(c, true, false, true), ao = shared_index(c, true, true, false),
        oz = shared_index(c, false, true, true);
    if (az < 0 || ao < 0 || oz < 0) return false;
    const Access *a = c->affine_at, *o = c->other_at;
    const int *side = c->side_axis, *place = c->place, *tap = c->tap;
    *conv = (Conv){.result = result};
    int n = result == RESULT_W ? ao : az, channel = result == RESULT_Y   ? ao
                                                    : result == RESULT_X ? oz
                                                                         : az;
    int kernel = result == RESULT_X ? ao : oz;
    if (result == RESULT_X) {
        conv->y = c->affine, conv->w = c->other;
        set_axes(conv->y_axis, axis_of(a, n), side[0], side[1], axis_of(a, kernel));
        set_axes(conv->x_axis, n, place[0], place[1], channel);
    } else {
        conv->x = c->affine;
        set_axes(conv->x_axis, axis_of(a, n), side[0], side[1], axis_of(a, channel));
    }
    if (result == RESULT_W) {
        conv->y = c->other;
        set_axes(conv->y_axis, axis_of(o, n), axis_of(o, place[0]), axis_of(o, place[1]),
                 axis_of(o, kernel));
        set_axes(conv->w_axis, kernel, channel, tap[0], tap[1]);
    } else {
        conv->w = c->other;
        set_axes(conv->w_axis, axis_of(o, kernel), axis_of(o, channel), axis_of(o, tap[0]),
                 axis_of(o, tap[1]));
    }
    if (result == RESULT_Y) set_axes(conv->y_axis, n, place[0], place[1], kernel);
    conv->n = extent_of(c, n);
    Dim sizes[2] = {extent_of(c, channel), extent_of(c, kernel)};
    if (!dim_is_const(sizes[0]) || !dim_is_const(sizes[1])) return false;
    conv->c = dim_eval(sizes[0], 1), conv->k = dim_eval(sizes[1], 1);
    for (int i = 0; i < 2; i++) {
        Dim whole = c->affine->shape.dim[side[i]], counted = extent_of(c, place[i]);
        if (!dim_is_const(whole) || !dim_is_const(counted)) return false;
        bool solved = result == RESULT_X;
        conv->x_side[i] = dim_eval(solved ? counted : whole, 1);
        conv->y_side[i] = dim_eval(solved ? whole : counted, 1);
        int32_t offset = c->affine_at[side[i]].offset;
        conv->offset[i] = solved ? -offset : offset;
    }
    return true;
}

static bool find_conv(const Node *a, const Node *b, const ContractAttr *attr, const Shape *out,
                      Conv *conv) {
    if (a->shape.rank != 4 || b->shape.rank != 4 || out->rank != 4 || attr->summed != 3)
        return false;
    Contraction c = {.attr = attr, .out = out};
    int sides_a[2], sides_b[2];
    int count_a = find_sides(a, attr->a, sides_a), count_b = find_sides(b, attr->b, sides_b);
    if (count_a + count_b != 2 || (count_a && count_b)) return false;
    c.affine = count_a ? a : b, c.other = count_a ? b : a;
    c.affine_at = count_a ? attr->a : attr->b, c.other_at = count_a ? attr->b : attr->a;
    memcpy(c.side_axis, count_a ? sides_a : sides_b, sizeof c.side_axis);
    if (!axes_are_whole(&c, a, attr->a) || !axes_are_whole(&c, b, attr->b)) return false;
    for (Result result = RESULT_Y; result <= RESULT_W; result++)
        if (sort_side(&c, 0, result) && sort_side(&c, 1, result)) return fill_in(&c, result, conv);
    return false;
}

// --- Whether it pays

// An operand that is the same everywhere in the image needs hardly any multiplications as it is.
static bool is_uniform(const Node *node, const int8_t *axis) {
    return node && node->op == OP_broadcast &&
           (node->attr->axes & (1u << axis[1] | 1u << axis[2])) != 0;
}

enum { LEAST_TILES = 6 };

// Multiplications and what costs as much, of one image; the transforms' share was measured.
static double cost_of(const Conv *conv, int tile) {
    const double transform = 10;
    double tiles = 1;
    for (int i = 0; i < 2; i++)
        tiles *= ceil((double)conv->y_side[i] / tile);
    if (tiles < LEAST_TILES) return INFINITY;
    double channels = (double)conv->c, kernels = (double)conv->k;
    return (tile + 2) * (tile + 2) * tiles *
           (channels * kernels + transform * (channels + kernels));
}

// One choice for a convolution and its gradients, which share transforms. Transforms are not
// offered where channels do not fill vectors. Returns the tile's side; 0: a product of windows.
static int choose_tile(Lowering *l, const Conv *conv) {
    static const int tiles[] = {4, 2};
    Graph *g = l->graph;
    double images = (double)dim_eval(conv->n, l->batch);
    if (conv->c % 4 || conv->k % 4) return 0;
    const char *site = arena_printf(g->arena, "conv2d 3x3 %lld->%lld to %lldx%lld, batch %.0f",
                                    (long long)conv->c, (long long)conv->k,
                                    (long long)conv->y_side[0], (long long)conv->y_side[1], images);
    Choice *choice = choice_new(g->arena, CHOICE_ALGORITHM, site);
    choice_offer(choice, "product",
                 9.0 * (double)(conv->y_side[0] * conv->y_side[1] * conv->c * conv->k) * images);
    for (int i = 0; i < 2; i++) {
        double cost = cost_of(conv, tiles[i]) * images;
        if (isfinite(cost)) choice_offer(choice, arena_printf(g->arena, "F(%d)", tiles[i]), cost);
    }
    int taken = choice_take(choice, l->target->tuning);
    g->choosing = choice;
    return taken ? choice->candidate[taken].name[2] - '0' : 0;
}

// --- The lowered form

typedef struct Winograd {
    Graph *graph;
    const Conv *conv;
    WinoAttr attr, plain; // plain: of Y's tiles, which start where Y does
    int64_t points, tiles;
    int32_t panel; // columns of a filter's panel, which a block of registers holds side by side
} Winograd;

static const Node *in_order(Graph *g, const Node *node, const int8_t *axis) {
    return node_permute(g, node, axis);
}

// From the order of the transforms to that of the contraction's result.
static const Node *as_result(Graph *g, const Node *node, const int8_t *axis) {
    int8_t perm[MAX_RANK] = {0};
    for (int i = 0; i < 4; i++)
        perm[axis[i]] = (int8_t)i;
    return node_permute(g, node, perm);
}

static Shape tiles_shape(const Winograd *w, int64_t channels) {
    return shape_of(
        4, (Dim[]){w->conv->n, dim_const(w->points), dim_const(w->tiles), dim_const(channels)});
}

static const Node *image_tiles(const Winograd *w) { // V
    const Node *x = in_order(w->graph, w->conv->x, w->conv->x_axis);
    return node_wino(w->graph, OP_wino_in, x, w->attr, tiles_shape(w, w->conv->c));
}

static const Node *result_tiles(const Winograd *w) { // out'(Y)
    const Node *y = in_order(w->graph, w->conv->y, w->conv->y_axis);
    return node_wino(w->graph, OP_wino_out_t, y, w->plain, tiles_shape(w, w->conv->k));
}

// U as [P, 1, C, K], or with K first; in memory a panel of some columns lies together.
static const Node *filter_points(const Winograd *w, bool swap) {
    const Conv *conv = w->conv;
    static const int8_t panels_inside[] = {1, 2, 0, 3};
    int64_t rows = swap ? conv->k : conv->c, columns = swap ? conv->c : conv->k;
    int32_t width = columns % w->panel ? (int32_t)columns : w->panel;
    WinoAttr attr = {.tile = w->attr.tile, .panel = width, .swap = swap};
    const Node *u =
        node_wino(w->graph, OP_wino_filter, in_order(w->graph, conv->w, conv->w_axis), attr,
                  shape_of(4, (Dim[]){dim_const(columns / width), dim_const(w->points),
                                      dim_const(rows), dim_const(width)}));
    return node_reshape(w->graph, node_permute(w->graph, u, panels_inside),
                        shape_of(4, (Dim[]){dim_const(w->points), dim_const(1), dim_const(rows),
                                            dim_const(columns)}));
}

// Every frequency of every image times its filter: [N, P, T, from] -> [N, P, T, to].
static const Node *multiply(const Winograd *w, const Node *tiles, const Node *filter, int64_t from,
                            int64_t to) {
    Dim batch;
    if (!dim_mul(&batch, w->conv->n, dim_const(w->points))) bug("a batch of tiles overflows");
    Shape blocks = shape_of(4, (Dim[]){batch, dim_const(1), dim_const(w->tiles), dim_const(from)});
    const Node *product =
        node_product(w->graph, node_reshape(w->graph, tiles, blocks), filter, (ProductAttr){0});
    return node_reshape(w->graph, product, tiles_shape(w, to));
}

static const Node *image_of(const Winograd *w, Op op, const Node *tiles, const WinoAttr *attr,
                            const int64_t *side, int64_t channels) {
    Shape image = shape_of(
        4, (Dim[]){w->conv->n, dim_const(side[0]), dim_const(side[1]), dim_const(channels)});
    return node_wino(w->graph, op, tiles, *attr, image);
}

static const Node *lower_y(const Winograd *w) {
    const Conv *conv = w->conv;
    const Node *m = multiply(w, image_tiles(w), filter_points(w, false), conv->c, conv->k);
    return as_result(w->graph, image_of(w, OP_wino_out, m, &w->plain, conv->y_side, conv->k),
                     conv->y_axis);
}

static const Node *lower_x(const Winograd *w) {
    const Conv *conv = w->conv;
    const Node *v = multiply(w, result_tiles(w), filter_points(w, true), conv->k, conv->c);
    return as_result(w->graph, image_of(w, OP_wino_in_t, v, &w->attr, conv->x_side, conv->c),
                     conv->x_axis);
}

static const Node *lower_w(const Winograd *w) {
    static const int8_t frequency_first[] = {1, 0, 2, 3};
    const Conv *conv = w->conv;
    const Node *v = node_permute(w->graph, image_tiles(w), frequency_first);
    const Node *m = node_permute(w->graph, result_tiles(w), frequency_first);
    const Node *u = node_product(w->graph, v, m, (ProductAttr){.transpose_a = true});
    WinoAttr attr = {.tile = w->attr.tile};
    Dim c = dim_const(conv->c), k = dim_const(conv->k), three = dim_const(3);
    const Node *filter =
        node_wino(w->graph, OP_wino_filter_t, u, attr, shape_of(4, (Dim[]){k, c, three, three}));
    return as_result(w->graph, filter, conv->w_axis);
}

const Node *lower_winograd(Lowering *l, const Node *a, const Node *b, const ContractAttr *attr,
                           const Shape *out) {
    Conv conv;
    if (!find_conv(a, b, attr, out, &conv)) return NULL;
    if (is_uniform(conv.x, conv.x_axis) || is_uniform(conv.y, conv.y_axis)) return NULL;
    int tile = choose_tile(l, &conv);
    if (!tile) return NULL;
    Winograd w = {.graph = l->graph, .conv = &conv, .points = (tile + 2) * (tile + 2)};
    w.panel = 2 * l->target->lanes;
    w.attr.tile = w.plain.tile = tile;
    for (int i = 0; i < 2; i++) {
        w.attr.tiles[i] = w.plain.tiles[i] = (int32_t)((conv.y_side[i] + tile - 1) / tile);
        w.attr.offset[i] = conv.offset[i];
    }
    w.tiles = (int64_t)w.attr.tiles[0] * w.attr.tiles[1];
    return conv.result == RESULT_Y   ? lower_y(&w)
           : conv.result == RESULT_X ? lower_x(&w)
                                     : lower_w(&w);
}
