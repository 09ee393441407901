// SPDX-License-Identifier: MIT
// Rules for movement: two in a row become one, one that moves nothing goes, and broadcasts and
// paddings come last, where less is left to move.
//
//     reshape (reshape %x)                ->  reshape %x
//     slice (concat %a %b), within %b     ->  slice %b
//     permute (broadcast %x)              ->  broadcast (permute %x)
#include "pass/rules.h"

// --- Axes

uint32_t axes_without(uint32_t axes, uint32_t gone) {
    uint32_t left = 0;
    for (int i = 0, to = 0; i < MAX_RANK; i++)
        if (!(gone >> i & 1)) left |= (axes >> i & 1) << to++;
    return left;
}

Shape shape_without(const Shape *shape, uint32_t gone) {
    Shape left = shape_of(0, NULL);
    for (int i = 0; i < shape->rank; i++)
        if (!(gone >> i & 1)) left.dim[left.rank++] = shape->dim[i];
    return left;
}

// Which axis of a broadcast's input axis `axis` of its result is (that is not one of the new ones).
static int axis_within(const Node *broadcast, int axis) {
    int within = 0;
    for (int i = 0; i < axis; i++)
        within += !(broadcast->attr->axes >> i & 1);
    return within;
}

static bool is_new_axis(const Node *broadcast, int axis) {
    return broadcast->attr->axes >> axis & 1;
}

static uint32_t axes_of_one(const Shape *shape) {
    uint32_t axes = 0;
    for (int i = 0; i < shape->rank; i++)
        if (dim_is_one(shape->dim[i])) axes |= 1u << i;
    return axes;
}

// --- Any movement of equal elements

static const Node *rule_fill(Graph *graph, const Node *node) {
    double value;
    if (!node_is_fill(node->in[0], &value)) return NULL;
    return node_fill(graph, node->dtype, value, node->shape);
}

// --- reshape

// A parameter's name goes on to the slice that it was a reshape of.
static const Node *rule_reshape(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    if (shape_equal(&node->shape, &x->shape)) return x;
    if (x->op != OP_reshape) return NULL;
    if (x->in[0]->op == OP_slice && !graph->label.at[x->in[0]->id])
        graph_set_label(graph, x->in[0], graph->label.at[x->id]);
    return node_reshape(graph, x->in[0], node->shape);
}

// --- permute

// Axes of extent 1 may go anywhere: where the others keep their order, nothing moves.
static const Node *rule_permute(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    const int8_t *perm = node->attr->perm;
    int last = -1;
    bool in_order = true;
    for (int i = 0; i < node->shape.rank; i++) {
        if (dim_is_one(node->shape.dim[i])) continue;
        in_order &= perm[i] > last;
        last = perm[i];
    }
    if (in_order) return node_reshape(graph, x, node->shape);
    if (x->op != OP_permute) return NULL;
    int8_t both[MAX_RANK] = {0};
    for (int i = 0; i < node->shape.rank; i++)
        both[i] = x->attr->perm[perm[i]];
    return node_permute(graph, x->in[0], both);
}

static const Node *rule_permute_broadcast(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    if (x->op != OP_broadcast) return NULL;
    int8_t perm[MAX_RANK] = {0};
    uint32_t axes = 0;
    for (int i = 0, kept = 0; i < node->shape.rank; i++) {
        int axis = node->attr->perm[i];
        if (is_new_axis(x, axis))
            axes |= 1u << i;
        else
            perm[kept++] = (int8_t)axis_within(x, axis);
    }
    return node_broadcast(graph, node_permute(graph, x->in[0], perm), axes, node->shape);
}

// --- broadcast

static const Node *rule_broadcast(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    uint32_t axes = node->attr->axes;
    if (!axes) return x;
    if (!(axes & ~axes_of_one(&node->shape))) return node_reshape(graph, x, node->shape);
    if (x->op != OP_broadcast) return NULL;
    for (int i = 0; i < node->shape.rank; i++)
        if (!is_new_axis(node, i) && is_new_axis(x, axis_within(node, i))) axes |= 1u << i;
    return node_broadcast(graph, x->in[0], axes, node->shape);
}

// --- flip

static const Node *rule_flip(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    uint32_t axes = node->attr->axes & ~axes_of_one(&node->shape);
    if (!axes) return x;
    if (axes != node->attr->axes) return node_flip(graph, x, axes);
    if (x->op == OP_flip) return node_flip(graph, x->in[0], axes ^ x->attr->axes);
    if (x->op != OP_broadcast) return NULL;
    uint32_t moved = axes_without(axes, x->attr->axes);
    return node_broadcast(graph, node_flip(graph, x->in[0], moved), x->attr->axes, node->shape);
}

// --- slice

static bool fits_int32(int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

static const Node *rule_slice(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    const SliceAxis *slice = node->attr->slice;
    if (shape_equal(&node->shape, &x->shape)) return x; // nothing left out, so nothing moved
    if (x->op != OP_slice) return NULL;
    SliceAxis both[MAX_RANK] = {{0}};
    for (int i = 0; i < node->shape.rank; i++) {
        SliceAxis first = x->attr->slice[i];
        int64_t start = first.start + (int64_t)first.step * slice[i].start;
        int64_t step = (int64_t)first.step * slice[i].step;
        if (!fits_int32(start) || !fits_int32(step)) return NULL;
        both[i] = (SliceAxis){(int32_t)start, (int32_t)step};
    }
    return node_slice(graph, x->in[0], both, node->shape);
}

static const Node *rule_slice_broadcast(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    if (x->op != OP_broadcast) return NULL;
    SliceAxis slice[MAX_RANK] = {{0}};
    for (int i = 0; i < node->shape.rank; i++)
        if (!is_new_axis(x, i)) slice[axis_within(x, i)] = node->attr->slice[i];
    Shape inner = shape_without(&node->shape, x->attr->axes);
    return node_broadcast(graph, node_slice(graph, x->in[0], slice, inner), x->attr->axes,
                          node->shape);
}

// Whether elements start, start + step, .. lie in from .. from + extent - 1, all of them constants
// but for a slice of everything.
static bool lies_within(SliceAxis s, Dim count, int64_t from, Dim extent) {
    if (!dim_is_const(count) || !dim_is_const(extent)) return false;
    int64_t last = s.start + (count.c[0] - 1) * s.step;
    return count.c[0] > 0 && s.start >= from && last < from + extent.c[0];
}

static const Node *rule_slice_concat(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    if (x->op != OP_concat) return NULL;
    int axis = x->attr->axis;
    int64_t from = 0;
    for (int i = 0; i < x->in_count; i++) {
        Dim extent = x->in[i]->shape.dim[axis];
        if (!dim_is_const(extent)) return NULL;
        if (lies_within(node->attr->slice[axis], node->shape.dim[axis], from, extent)) {
            SliceAxis slice[MAX_RANK];
            for (int k = 0; k < MAX_RANK; k++)
                slice[k] = node->attr->slice[k];
            slice[axis].start -= (int32_t)from;
            return node_slice(graph, x->in[i], slice, node->shape);
        }
        from += extent.c[0];
    }
    return NULL;
}

// A slice that leaves off all that the padding put there on the axes it cuts, and all of it on
// those it does not: the inner node, or a slice of it.
static const Node *rule_slice_pad(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    if (x->op != OP_pad) return NULL;
    SliceAxis slice[MAX_RANK] = {{0}};
    for (int i = 0; i < node->shape.rank; i++) {
        PadAxis pad = x->attr->pad[i];
        SliceAxis s = node->attr->slice[i];
        int32_t stretch = pad.interior + 1;
        bool all = s.start == pad.low && s.step == stretch &&
                   dim_equal(node->shape.dim[i], x->in[0]->shape.dim[i]);
        bool some = s.step % stretch == 0 && (s.start - pad.low) % stretch == 0;
        slice[i] = (SliceAxis){(s.start - pad.low) / stretch, s.step / stretch};
        if (!all && !(some && lies_within(slice[i], node->shape.dim[i], 0, x->in[0]->shape.dim[i])))
            return NULL;
    }
    return node_slice(graph, x->in[0], slice, node->shape);
}

// --- pad

static bool pads_nothing(const Node *node) {
    for (int i = 0; i < node->shape.rank; i++) {
        PadAxis p = node->attr->pad[i];
        if (p.low || p.high || (p.interior && !dim_is_one(node->in[0]->shape.dim[i]))) return false;
    }
    return true;
}

static const Node *rule_pad(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    double value;
    if (pads_nothing(node)) return x;
    if (node_is_fill(x, &value) && value == node->attr->value)
        return node_fill(graph, node->dtype, value, node->shape);
    if (x->op != OP_pad || x->attr->value != node->attr->value) return NULL;
    PadAxis both[MAX_RANK] = {{0}};
    for (int i = 0; i < node->shape.rank; i++) {
        PadAxis inner = x->attr->pad[i], outer = node->attr->pad[i];
        int64_t stretch = outer.interior + (int64_t)1; // of what the inner one put there
        if (!dim_at_least(x->in[0]->shape.dim[i], 1)) return NULL; // what is between none?
        int64_t low = outer.low + inner.low * stretch, high = outer.high + inner.high * stretch;
        int64_t interior = (inner.interior + 1) * stretch - 1;
        if (!fits_int32(low) || !fits_int32(high) || !fits_int32(interior)) return NULL;
        both[i] = (PadAxis){(int32_t)low, (int32_t)high, (int32_t)interior};
    }
    return node_pad(graph, x->in[0], both, node->attr->value);
}

// --- concat

static const Node *rule_concat_one(Graph *graph, const Node *node) {
    (void)graph;
    return node->in_count == 1 ? node->in[0] : NULL;
}

static const Node *rule_concat_fill(Graph *graph, const Node *node) {
    double first, other;
    if (!node_is_fill(node->in[0], &first)) return NULL;
    for (int i = 1; i < node->in_count; i++)
        if (!node_is_fill(node->in[i], &other) || other != first) return NULL;
    return node_fill(graph, node->dtype, first, node->shape);
}

// concat (concat a b) c  ->  concat a b c
static const Node *rule_concat_flat(Graph *graph, const Node *node) {
    int count = 0;
    for (int i = 0; i < node->in_count; i++) {
        const Node *x = node->in[i];
        count += x->op == OP_concat && x->attr->axis == node->attr->axis ? x->in_count : 1;
    }
    if (count == node->in_count) return NULL;
    const Node **in = ARENA_ARRAY(graph->arena, const Node *, count);
    int at = 0;
    for (int i = 0; i < node->in_count; i++) {
        const Node *x = node->in[i];
        bool same = x->op == OP_concat && x->attr->axis == node->attr->axis;
        for (int k = 0; k < (same ? x->in_count : 1); k++)
            in[at++] = same ? x->in[k] : x;
    }
    return node_concat(graph, in, count, node->attr->axis);
}

// Whether `b` is the slice of a's source that goes on where `a`, a slice too, ends.
static bool slices_meet(const Node *a, const Node *b, int axis) {
    if (a->op != OP_slice || b->op != OP_slice || a->in[0] != b->in[0]) return false;
    for (int i = 0; i < a->shape.rank; i++) {
        SliceAxis first = a->attr->slice[i], second = b->attr->slice[i];
        Dim extent = a->shape.dim[i];
        if (first.step != second.step) return false;
        if (i != axis && first.start != second.start) return false;
        if (i == axis &&
            (!dim_is_const(extent) || first.start + extent.c[0] * first.step != second.start))
            return false;
    }
    return true;
}

// concat (slice x from 0 to 3) (slice x from 3 to 7)  ->  slice x from 0 to 7
static const Node *rule_concat_slices(Graph *graph, const Node *node) {
    int axis = node->attr->axis;
    for (int i = 0; i + 1 < node->in_count; i++) {
        const Node *a = node->in[i], *b = node->in[i + 1];
        if (!slices_meet(a, b, axis)) continue;
        Shape shape = a->shape;
        if (!dim_add(&shape.dim[axis], shape.dim[axis], b->shape.dim[axis])) return NULL;
        const Node **in = ARENA_ARRAY(graph->arena, const Node *, node->in_count - 1);
        for (int k = 0, at = 0; k < node->in_count; k++)
            if (k != i + 1) in[at++] = node->in[k];
        in[i] = node_slice(graph, a->in[0], a->attr->slice, shape);
        return node_concat(graph, in, node->in_count - 1, axis);
    }
    return NULL;
}

// --- window

// Windows that lie side by side (of an axis of extent 7, three of two, and one element left out)
// are the axis in parts.
static const Node *rule_window_tiles(Graph *graph, const Node *node) {
    const WindowAttr *window = &node->attr->window;
    bool apart = node->op == OP_window;
    const Node *x = node->in[0];
    const Shape *whole = apart ? &x->shape : &node->shape,
                *parts = apart ? &node->shape : &x->shape;
    int axis = window->axis;
    Dim covered, rest, taps = parts->dim[axis + 1];
    if (!dim_equal(taps, dim_const(window->stride))) return NULL;
    if (window->dilation != 1 && !dim_is_one(taps)) return NULL;
    if (!dim_mul(&covered, parts->dim[axis], taps)) return NULL;
    if (dim_equal(whole->dim[axis], covered)) return node_reshape(graph, x, node->shape);
    if (!dim_sub(&rest, whole->dim[axis], covered) || !dim_is_const(rest) || rest.c[0] < 0)
        return NULL;
    Shape even = *whole;
    even.dim[axis] = covered;
    if (apart) {
        SliceAxis slice[MAX_RANK];
        for (int i = 0; i < MAX_RANK; i++)
            slice[i] = (SliceAxis){0, 1};
        return node_reshape(graph, node_slice(graph, x, slice, even), node->shape);
    }
    PadAxis pad[MAX_RANK] = {{0}};
    pad[axis].high = (int32_t)rest.c[0];
    return node_pad(graph, node_reshape(graph, x, even), pad, 0);
}

// A fold is computed once for the axes along which its input repeats itself.
static const Node *rule_fold_broadcast(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    const WindowAttr *window = &node->attr->window;
    uint32_t own = 3u << window->axis, low = (1u << window->axis) - 1;
    uint32_t gone = x->op == OP_broadcast ? x->attr->axes & ~own : 0;
    if (!gone) return NULL;
    int axis = window->axis;
    for (int i = 0; i < window->axis; i++)
        axis -= gone >> i & 1;
    const Node *once = node_broadcast(graph, x->in[0], axes_without(x->attr->axes, gone),
                                      shape_without(&x->shape, gone));
    const Node *fold =
        node_fold(graph, once, axis, window->extent, window->stride, window->dilation);
    return node_broadcast(graph, fold, (gone & low) | (gone & ~low) >> 1, node->shape);
}

Rule *const *movement_rules(Op op) {
    static Rule *const rules[OP_COUNT][6] = {
        [OP_reshape] = {rule_fill, rule_reshape},
        [OP_permute] = {rule_fill, rule_permute, rule_permute_broadcast},
        [OP_broadcast] = {rule_broadcast},
        [OP_slice] = {rule_fill, rule_slice, rule_slice_broadcast, rule_slice_concat,
                      rule_slice_pad},
        [OP_flip] = {rule_fill, rule_flip},
        [OP_pad] = {rule_pad},
        [OP_concat] = {rule_concat_one, rule_concat_fill, rule_concat_flat, rule_concat_slices},
        [OP_window] = {rule_fill, rule_window_tiles},
        [OP_fold] = {rule_window_tiles, rule_fold_broadcast},
    };
    return rules[op];
}
