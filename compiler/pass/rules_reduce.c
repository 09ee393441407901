// SPDX-License-Identifier: MIT
// Rules for reductions: axes of extent 1 and axes along which the input repeats itself are not
// walked.
//
//     reduce_sum (broadcast %x along 1) over 1    ->  mul %x 10
//     reduce_sum over c of select (eq (iota c) (broadcast %label)) 2 0    ->  2 where 0 <= label <
//     C, else 0
#include "pass/rules.h"

static const Node *rule_no_axes(Graph *graph, const Node *node) {
    if (node->attr->axes) return NULL;
    return node->op == OP_argmax ? node_fill(graph, DT_I32, 0, node->shape) : node->in[0];
}

static const Node *rule_axes_of_one(Graph *graph, const Node *node) {
    const Shape *shape = &node->in[0]->shape;
    uint32_t gone = 0;
    for (int i = 0; i < shape->rank; i++)
        if (node->attr->axes >> i & 1 && dim_is_one(shape->dim[i])) gone |= 1u << i;
    if (!gone) return NULL;
    const Node *x = node_reshape(graph, node->in[0], shape_without(shape, gone));
    return node_reduce(graph, node->op, x, axes_without(node->attr->axes, gone));
}

static const Node *number_of(Graph *graph, DType dtype, Dim count) {
    if (dim_is_const(count)) return node_const(graph, dtype, (double)count.c[0]);
    return node_cast(graph, dtype, node_size(graph, count));
}

// Extents of zero are left alone: nothing summed, nothing to take the maximum of.
static bool count_along(Dim *count, const Shape *shape, uint32_t axes) {
    *count = dim_const(1);
    for (int i = 0; i < shape->rank; i++)
        if (axes >> i & 1 &&
            (!dim_at_least(shape->dim[i], 1) || !dim_mul(count, *count, shape->dim[i])))
            return false;
    return true;
}

static const Node *rule_broadcast_input(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    uint32_t both = x->op == OP_broadcast ? x->attr->axes & node->attr->axes : 0;
    Dim count;
    if (!both || !count_along(&count, &x->shape, both)) return NULL;
    const Node *once = node_broadcast(graph, x->in[0], axes_without(x->attr->axes, both),
                                      shape_without(&x->shape, both));
    const Node *rest = node_reduce(graph, node->op, once, axes_without(node->attr->axes, both));
    if (node->op != OP_reduce_sum) return rest;
    return node_binary(graph, OP_mul, rest, number_of(graph, node->dtype, count));
}

static const Node *rule_argmax_fill(Graph *graph, const Node *node) {
    double value;
    return node_is_fill(node->in[0], &value) ? node_fill(graph, DT_I32, 0, node->shape) : NULL;
}

// -x summed: every rounding is the same but for its sign.
static const Node *rule_sum_neg(Graph *graph, const Node *node) {
    if (node->in[0]->op != OP_neg) return NULL;
    return node_unary(graph, OP_neg,
                      node_reduce(graph, OP_reduce_sum, node->in[0]->in[0], node->attr->axes));
}

// Zeros around the axes that are summed add nothing.
static const Node *rule_sum_pad(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    if (x->op != OP_pad || x->attr->value != 0) return NULL;
    PadAxis rest[MAX_RANK] = {{0}};
    bool less = false;
    for (int i = 0; i < x->shape.rank; i++) {
        PadAxis p = x->attr->pad[i];
        bool summed = node->attr->axes >> i & 1;
        less |= summed && (p.low || p.high || p.interior);
        if (!summed) rest[i] = p;
    }
    if (!less) return NULL;
    return node_reduce(graph, OP_reduce_sum, node_pad(graph, x->in[0], rest, 0), node->attr->axes);
}

// Long axes beside a window's are reduced before the window repeats what they have.
static const Node *rule_reduce_window(Graph *graph, const Node *node) {
    enum { LONG = 8 };
    const Node *x = node->in[0];
    const WindowAttr *window = &x->attr->window;
    uint32_t low = (1u << window->axis) - 1, own = 3u << window->axis;
    uint32_t beside = x->op == OP_window ? node->attr->axes & ~own : 0;
    Dim count;
    if (!beside || !count_along(&count, &x->shape, beside) || !dim_at_least(count, LONG))
        return NULL;
    const Node *y = node_reduce(graph, node->op, x->in[0], (beside & low) | (beside & ~low) >> 1);
    int axis = window->axis;
    for (int i = 0; i < window->axis; i++)
        axis -= beside >> i & 1;
    y = node_window(graph, y, axis, x->shape.dim[window->axis],
                    (int32_t)dim_eval(x->shape.dim[window->axis + 1], 1), window->stride,
                    window->dilation);
    uint32_t rest = axes_without(node->attr->axes, beside);
    return rest ? node_reduce(graph, node->op, y, rest) : y;
}

// --- A choice by index: one term of the sum at most is not zero

// The node without `axis`, along which it repeats itself; NULL where it does not.
static const Node *repeated_along(Graph *graph, const Node *x, int axis) {
    uint32_t gone = 1u << axis;
    if (x->op != OP_broadcast || !(x->attr->axes & gone)) return NULL;
    return node_broadcast(graph, x->in[0], axes_without(x->attr->axes, gone),
                          shape_without(&x->shape, gone));
}

static bool is_iota(const Node *x, int axis) {
    if (x->op == OP_broadcast && !(x->attr->axes >> axis & 1)) {
        uint32_t inner = axes_without(1u << axis, x->attr->axes);
        for (axis = 0; inner >> axis != 1;)
            axis++;
        x = x->in[0];
    }
    return x->op == OP_iota && x->attr->axis == axis;
}

static const Node *rule_sum_of_choice(Graph *graph, const Node *node) {
    const Node *x = node->in[0];
    int axis = 0;
    while (axis < x->shape.rank && node->attr->axes != 1u << axis)
        axis++;
    if (x->op != OP_select || x->in[0]->op != OP_eq || axis == x->shape.rank) return NULL;
    const Node *a = x->in[0]->in[0], *b = x->in[0]->in[1];
    const Node *index = is_iota(a, axis) ? b : is_iota(b, axis) ? a : NULL;
    if (!index || !node_is_fill_of(x->in[2], 0)) return NULL;
    index = repeated_along(graph, index, axis);
    const Node *value = repeated_along(graph, x->in[1], axis);
    if (!index || !value) return NULL;
    const Node *extent = number_of(graph, DT_I32, x->shape.dim[axis]);
    const Node *inside =
        node_binary(graph, OP_and, node_binary(graph, OP_ge, index, node_const(graph, DT_I32, 0)),
                    node_binary(graph, OP_lt, index, extent));
    return node_select(graph, inside, value, node_const(graph, value->dtype, 0));
}

Rule *const *reduce_rules(Op op) {
    static Rule *const rules[OP_COUNT][8] = {
        [OP_reduce_sum] = {rule_no_axes, rule_axes_of_one, rule_broadcast_input, rule_sum_neg,
                           rule_sum_pad, rule_sum_of_choice, rule_reduce_window},
        [OP_reduce_max] = {rule_no_axes, rule_axes_of_one, rule_broadcast_input,
                           rule_reduce_window},
        [OP_reduce_min] = {rule_no_axes, rule_axes_of_one, rule_broadcast_input,
                           rule_reduce_window},
        [OP_argmax] = {rule_no_axes, rule_axes_of_one, rule_argmax_fill},
    };
    return rules[op];
}
