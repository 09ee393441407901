// SPDX-License-Identifier: MIT
// Layouts: moves permutations towards the roots, so that those of neighbouring operators meet and
// cancel (pass/simplify.c).
//
// Kernels for images want channels last, the language's images have them first; lowering says so by
// a permute on each side of such a kernel. Between two of them lie biases, activations, masks,
// pooling:
//
//     relu(permute(y) + bias)   ->   permute(relu(y + bias'))
//
// Whatever is computed element by element, or along axes that can be numbered anew, is computed in
// the order of the operand that lies in memory. Of the operands that are not permuted only what
// costs nothing to read in another order is turned round: broadcasts, constants.
#include "pass/layout.h"

#include <string.h>

typedef struct Order { // y = permute(x, perm)
    const Node *x;
    int8_t perm[MAX_RANK], back[MAX_RANK]; // back: of x's axes in y
    int rank;
} Order;

// Does the permutation move memory? Axes of one element do not count.
static bool moves(const Node *node) {
    int last = -1;
    if (node->op != OP_permute) return false;
    for (int i = 0; i < node->shape.rank; i++) {
        if (dim_is_one(node->shape.dim[i])) continue;
        if (node->attr->perm[i] < last) return true;
        last = node->attr->perm[i];
    }
    return false;
}

static Order order_of(const Node *node) {
    Order order = {.x = node->in[0], .rank = node->shape.rank};
    memcpy(order.perm, node->attr->perm, sizeof order.perm);
    for (int i = 0; i < order.rank; i++)
        order.back[order.perm[i]] = (int8_t)i;
    return order;
}

static bool same_order(const Node *node, const Order *order) {
    return node->op == OP_permute && node->shape.rank == order->rank &&
           !memcmp(node->attr->perm, order->perm, (size_t)order->rank);
}

static Shape shape_back(const Shape *shape, const Order *order) {
    Dim dims[MAX_RANK];
    for (int i = 0; i < order->rank; i++)
        dims[i] = shape->dim[order->back[i]];
    return shape_of(order->rank, dims);
}

static const Node *permuted(Graph *g, const Node *node, const int8_t *order);

// A broadcast in x's order; its input's axes may have to change places.
static const Node *broadcast_back(Graph *g, const Node *node, const Order *order) {
    int8_t perm[MAX_RANK] = {0};
    uint32_t axes = 0;
    int kept = 0;
    for (int i = 0; i < order->rank; i++) {
        int axis = order->back[i], place = 0;
        if (node->attr->axes >> axis & 1) {
            axes |= 1u << i;
            continue;
        }
        for (int before = 0; before < axis; before++)
            place += !(node->attr->axes >> before & 1);
        perm[kept++] = (int8_t)place;
    }
    const Node *in = permuted(g, node->in[0], perm);
    return node_broadcast(g, in, axes, shape_back(&node->shape, order));
}

// A node in another order. Against the stream: a fold of what repeats itself is made in that order
// from the start, as its input is smaller than its result and turns round for nothing.
static const Node *permuted(Graph *g, const Node *node, const int8_t *order) {
    const WindowAttr *window = &node->attr->window;
    int8_t perm[MAX_RANK] = {0};
    int axis = 0;
    if (node->op == OP_broadcast) {
        Order back = {.rank = node->shape.rank};
        memcpy(back.back, order, (size_t)node->shape.rank);
        return broadcast_back(g, node, &back);
    }
    if (node->op != OP_fold || node->in[0]->op != OP_broadcast) return node_permute(g, node, order);
    for (int i = 0, to = 0; i < node->shape.rank; i++) {
        if (order[i] == window->axis) axis = to;
        perm[to++] = (int8_t)(order[i] + (order[i] > window->axis));
        if (order[i] == window->axis) perm[to++] = (int8_t)(order[i] + 1);
    }
    return node_fold(g, permuted(g, node->in[0], perm), axis, window->extent, window->stride,
                     window->dilation);
}

static bool is_free(const Node *node) {
    return node->shape.rank == 0 || node->op == OP_broadcast || node->op == OP_iota;
}

// What has the elements of `node` in the order of x.
static const Node *turn_back(Graph *g, const Node *node, const Order *order) {
    if (node->shape.rank == 0) return node;
    if (same_order(node, order)) return node->in[0];
    if (node->op == OP_broadcast) return broadcast_back(g, node, order);
    if (node->op == OP_iota) {
        int axis = order->perm[node->attr->axis];
        return node_iota(g, axis, shape_back(&node->shape, order));
    }
    return permuted(g, node, order->back);
}

// --- The operators that a permutation passes

static const Node *pass_pointwise(Graph *g, const Node *node, const Node *const *in) {
    const Node *first = NULL, *turned[3] = {0};
    int alike = 0, other = 0;
    for (int i = 0; i < node->in_count && !first; i++)
        if (moves(in[i])) first = in[i];
    if (!first) return NULL;
    Order order = order_of(first);
    for (int i = 0; i < node->in_count; i++)
        if (same_order(in[i], &order))
            alike++;
        else
            other += !is_free(in[i]);
    if (other > alike) return NULL;
    for (int i = 0; i < node->in_count; i++)
        turned[i] = turn_back(g, in[i], &order);
    const Node *inner = op_info(node->op)->pointwise ? node_pointwise(g, node->op, turned)
                        : node->op == OP_cast        ? node_cast(g, node->dtype, turned[0])
                                                     : node_stop(g, turned[0]);
    return node_permute(g, inner, order.perm);
}

static const Node *pass_reduce(Graph *g, const Node *node, const Node *const *in) {
    if (!moves(in[0])) return NULL;
    Order order = order_of(in[0]);
    uint32_t axes = 0;
    int8_t perm[MAX_RANK] = {0};
    int kept = 0;
    for (int i = 0; i < order.rank; i++)
        if (node->attr->axes >> i & 1) axes |= 1u << order.perm[i];
    for (int i = 0; i < order.rank; i++) { // where the kept axes stand among those of x
        if (node->attr->axes >> i & 1) continue;
        int place = 0;
        for (int before = 0; before < order.perm[i]; before++)
            place += !(axes >> before & 1);
        perm[kept++] = (int8_t)place;
    }
    return node_permute(g, node_reduce(g, node->op, order.x, axes), perm);
}

// The places that an argmax gives are counted through its axes: these keep their order.
static const Node *pass_argmax(Graph *g, const Node *node, const Node *const *in) {
    if (!moves(in[0])) return NULL;
    Order order = order_of(in[0]);
    int last = -1;
    for (int i = 0; i < order.rank; i++) {
        if (!(node->attr->axes >> i & 1) || dim_is_one(in[0]->shape.dim[i])) continue;
        if (order.perm[i] < last) return NULL;
        last = order.perm[i];
    }
    return pass_reduce(g, node, in);
}

static const Node *pass_pad(Graph *g, const Node *node, const Node *const *in) {
    if (!moves(in[0])) return NULL;
    Order order = order_of(in[0]);
    PadAxis pad[MAX_RANK] = {0};
    for (int i = 0; i < order.rank; i++)
        pad[order.perm[i]] = node->attr->pad[i];
    return node_permute(g, node_pad(g, order.x, pad, node->attr->value), order.perm);
}

static const Node *pass_slice(Graph *g, const Node *node, const Node *const *in) {
    if (!moves(in[0])) return NULL;
    Order order = order_of(in[0]);
    SliceAxis slice[MAX_RANK];
    for (int i = 0; i < order.rank; i++)
        slice[order.perm[i]] = node->attr->slice[i];
    return node_permute(g, node_slice(g, order.x, slice, shape_back(&node->shape, &order)),
                        order.perm);
}

// Windows of x's axis: taps stand behind it.
static const Node *pass_window(Graph *g, const Node *node, const Node *const *in) {
    if (!moves(in[0])) return NULL;
    Order order = order_of(in[0]);
    const WindowAttr *window = &node->attr->window;
    int axis = order.perm[window->axis];
    int8_t perm[MAX_RANK] = {0};
    const Node *inner = node_window(g, order.x, axis, node->shape.dim[window->axis],
                                    (int32_t)dim_eval(node->shape.dim[window->axis + 1], 1),
                                    window->stride, window->dilation);
    for (int i = 0; i < order.rank; i++)
        perm[i + (i > window->axis)] = (int8_t)(order.perm[i] + (order.perm[i] > axis));
    perm[window->axis + 1] = (int8_t)(axis + 1);
    return node_permute(g, inner, perm);
}

static const Node *pass_fold(Graph *g, const Node *node, const Node *const *in) {
    if (!moves(in[0])) return NULL;
    Order order = order_of(in[0]);
    const WindowAttr *window = &node->attr->window;
    int axis = order.perm[window->axis];
    int8_t perm[MAX_RANK] = {0};
    if (order.perm[window->axis + 1] != axis + 1) return NULL;
    const Node *inner =
        node_fold(g, order.x, axis, window->extent, window->stride, window->dilation);
    for (int i = 0; i < node->shape.rank; i++) {
        int from = order.perm[i + (i > window->axis)];
        perm[i] = (int8_t)(from - (from > axis));
    }
    return node_permute(g, inner, perm);
}

// The fewest axes from o and i on of the reshape's output and of its input that have the same
// elements: their ends; false where there are none.
static bool next_group(const Node *node, int o, int i, int *o_end, int *i_end) {
    enum { ANY_BATCH = 64 }; // to see which side is behind
    const Shape *out = &node->shape, *in = &node->in[0]->shape;
    Dim left = dim_const(1), right = dim_const(1);
    *o_end = o, *i_end = i;
    do {
        bool more_out = *i_end == in->rank ||
                        (*o_end < out->rank &&
                         (*o_end == o || dim_eval(left, ANY_BATCH) < dim_eval(right, ANY_BATCH)));
        if (more_out ? *o_end == out->rank : *i_end == in->rank) return false;
        if (more_out ? !dim_mul(&left, left, out->dim[(*o_end)++])
                     : !dim_mul(&right, right, in->dim[(*i_end)++]))
            return false;
    } while (!dim_equal(left, right) || *i_end == i);
    return true;
}

// Axes that are joined, or split, lie side by side in x, too.
static const Node *pass_reshape(Graph *g, const Node *node, const Node *const *in) {
    if (!moves(in[0])) return NULL;
    Order order = order_of(in[0]);
    int first[MAX_RANK], end[MAX_RANK], o_end, i_end, rank = 0; // of the output, by x's axis
    for (int axis = 0; axis < order.rank; axis++)
        first[axis] = end[axis] = 0;
    for (int o = 0, i = 0; o < node->shape.rank || i < order.rank; o = o_end, i = i_end) {
        if (!next_group(node, o, i, &o_end, &i_end)) return NULL;
        for (int axis = i; axis + 1 < i_end; axis++)
            if (order.perm[axis + 1] != order.perm[axis] + 1) return NULL;
        first[order.perm[i]] = o, end[order.perm[i]] = o_end;
    }
    Dim dims[MAX_RANK];
    int8_t perm[MAX_RANK] = {0};
    for (int axis = 0; axis < order.rank; axis++)
        for (int o = first[axis]; o < end[axis]; o++)
            dims[rank] = node->shape.dim[o], perm[o] = (int8_t)rank++;
    return node_permute(g, node_reshape(g, order.x, shape_of(rank, dims)), perm);
}

static const Node *pass_on(Graph *g, const Node *node, const Node *const *in) {
    if (node->dtype == DT_BF16) return NULL; // that is for casts
    if (op_info(node->op)->pointwise) return pass_pointwise(g, node, in);
    switch (node->op) {
    case OP_permute:
        return permuted(g, in[0], node->attr->perm);
    case OP_cast:
    case OP_stop:
        return pass_pointwise(g, node, in);
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
        return pass_reduce(g, node, in);
    case OP_argmax:
        return pass_argmax(g, node, in);
    case OP_pad:
        return pass_pad(g, node, in);
    case OP_slice:
        return pass_slice(g, node, in);
    case OP_reshape:
        return pass_reshape(g, node, in);
    case OP_window:
        return pass_window(g, node, in);
    case OP_fold:
        return pass_fold(g, node, in);
    default:
        return NULL;
    }
}

// A permutation of a permutation is one.
static const Node *joined(Graph *g, const Node *node) {
    while (node->op == OP_permute && node->in[0]->op == OP_permute) {
        int8_t perm[MAX_RANK] = {0};
        bool same = true;
        for (int i = 0; i < node->shape.rank; i++) {
            perm[i] = node->in[0]->attr->perm[node->attr->perm[i]];
            same &= perm[i] == i;
        }
        node = same ? node->in[0]->in[0] : node_permute(g, node->in[0]->in[0], perm);
    }
    return node;
}

Graph *layout(Arena *arena, const Graph *from) {
    Graph *to = graph_new(arena, from->name);
    const Node **map = ARENA_ARRAY(arena, const Node *, from->node.count + 1);
    to->stage = from->stage;
    for (int id = 0; id < from->node.count; id++) {
        const Node *node = from->node.at[id], *in[3] = {0}, **many = in;
        if (node->in_count > 3) many = ARENA_ARRAY(arena, const Node *, node->in_count);
        for (int i = 0; i < node->in_count; i++)
            many[i] = map[node->in[i]->id];
        graph_stand_for(to, from, node);
        const Node *passed = node->in_count > 3 ? NULL : pass_on(to, node, many);
        map[id] = joined(to, passed ? passed : node_rebuild(to, node, many));
        graph_take_notes(to, map[id], from, node);
    }
    graph_stand_for(to, from, NULL);
    for (int i = 0; i < from->root.count; i++) {
        const Root *root = &from->root.at[i];
        graph_add_root(to, root->kind, root->name, root->leaf ? map[root->leaf->id] : NULL,
                       map[root->value->id]);
    }
    return to;
}
