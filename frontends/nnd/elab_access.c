// SPDX-License-Identifier: MIT
// Elements in index notation as nodes. An element's node has one axis for each index that it
// depends on, in the order in which the indices are declared; so operands meet by adding the axes
// that they lack.
//
//     x[n, 2*h + r]      window of x's axis 1: stride 2, taps r
//     x[n, 3]            slice, reshape
//     x[n - 1 - i]       flip, slice
//     table[ids[n], d]   gather
#include "nnd/elab_internal.h"

enum { NO_INDEX = -1, LOOKED_UP = -2 };

typedef struct Gathered { // a node and the index that each of its axes is
    const Node *node;
    int var[MAX_RANK + 1];
} Gathered;

bool loops_check(Elab *e, const Loops *loops, uint32_t axes, Span span) {
    if (__builtin_popcount(axes) > MAX_RANK) {
        elab_error(e, span, "this depends on more than %d indices", MAX_RANK);
        return false;
    }
    Shape shape = loops_shape(loops, axes);
    return elab_check_size(e, &shape, span);
}

const Node *loops_align(Elab *e, Loops *loops, const Node *node, uint32_t has, uint32_t wanted) {
    if (has == wanted) return node;
    Shape shape = loops_shape(loops, wanted);
    uint32_t missing = 0;
    for (int i = 0; i < loops->count; i++)
        if ((wanted & ~has) >> i & 1) missing |= 1u << loops_axis(wanted, i);
    return node_broadcast(e->graph, node, missing, shape);
}

// --- One axis

static Shape with_extent(const Node *node, int axis, Dim extent) {
    Shape shape = node->shape;
    shape.dim[axis] = extent;
    return shape;
}

static const Node *slice_axis(Elab *e, const Node *node, int axis, int64_t start, int64_t step,
                              Dim extent) {
    if (start == 0 && step == 1 && dim_equal(node->shape.dim[axis], extent)) return node;
    SliceAxis slice[MAX_RANK];
    for (int i = 0; i < MAX_RANK; i++)
        slice[i] = (SliceAxis){0, 1};
    slice[axis] = (SliceAxis){(int32_t)start, (int32_t)step};
    return node_slice(e->graph, node, slice, with_extent(node, axis, extent));
}

// Reads the axis from its end: at E - 1 - (what it was read at).
static bool reverse(Elab *e, Gathered *to, int axis, Affine *a) {
    Dim last;
    if (!dim_sub(&last, to->node->shape.dim[axis], dim_const(1)) ||
        !dim_sub(&a->offset, last, a->offset))
        return false;
    for (int i = 0; i < a->count; i++)
        a->coef[i] = -a->coef[i];
    to->node = node_flip(e->graph, to->node, 1u << axis);
    return true;
}

static bool is_small(int64_t value) { return value >= 0 && value < INT32_MAX; }

static Value unsupported(Elab *e, Span span) {
    elab_error(e, span, "this subscript is too general");
    diag_hint(e->diag, "at most two indices with constant factors; name an intermediate tensor");
    return POISON;
}

// One index, or none: a slice.
static bool gather_one(Elab *e, Loops *loops, Gathered *to, int axis, Affine a) {
    bool backwards = a.count == 1 ? a.coef[0] < 0 : !dim_is_const(a.offset);
    if (backwards && !reverse(e, to, axis, &a)) return false;
    int64_t step = a.count == 1 ? a.coef[0] : 1;
    Dim extent = a.count == 1 ? loops->var[a.var[0]].extent : dim_const(1);
    if (!dim_is_const(a.offset) || !is_small(a.offset.c[0]) || !is_small(step)) return false;
    to->node = slice_axis(e, to->node, axis, a.offset.c[0], step, extent);
    to->var[axis] = a.count == 1 ? a.var[0] : NO_INDEX;
    return true;
}

static void swap_terms(Affine *a) {
    Affine b = *a;
    for (int i = 0; i < 2; i++) {
        a->var[i] = b.var[1 - i];
        a->coef[i] = b.coef[1 - i];
    }
}

// Two indices: windows, the second one running over the taps, backwards where its factor is
// negative.
static bool gather_two(Elab *e, Loops *loops, Gathered *to, int axis, Affine a) {
    if (!dim_is_const(loops->var[a.var[1]].extent)) swap_terms(&a);
    Dim taps = loops->var[a.var[1]].extent, reach;
    if (!dim_is_const(taps) || to->node->shape.rank == MAX_RANK) return false;
    if (a.coef[0] < 0 && !reverse(e, to, axis, &a)) return false;
    bool backwards = a.coef[1] < 0;
    if (backwards) { // r = taps - 1 - r'
        if (!dim_mul(&reach, dim_const(a.coef[1]), dim_const(taps.c[0] - 1)) ||
            !dim_add(&a.offset, a.offset, reach))
            return false;
        a.coef[1] = -a.coef[1];
    }
    if (!dim_is_const(a.offset) || !is_small(a.offset.c[0]) || !is_small(a.coef[0]) ||
        !is_small(a.coef[1]) || !is_small(taps.c[0]))
        return false;
    Dim rest;
    if (!dim_sub(&rest, to->node->shape.dim[axis], a.offset)) return false;
    to->node = slice_axis(e, to->node, axis, a.offset.c[0], 1, rest);
    to->node = node_window(e->graph, to->node, axis, loops->var[a.var[0]].extent,
                           (int32_t)taps.c[0], (int32_t)a.coef[0], (int32_t)a.coef[1]);
    if (backwards) to->node = node_flip(e->graph, to->node, 1u << (axis + 1));
    for (int i = to->node->shape.rank - 1; i > axis + 1; i--)
        to->var[i] = to->var[i - 1];
    to->var[axis] = a.var[0];
    to->var[axis + 1] = a.var[1];
    return true;
}

// --- The whole element

static void move_axis_to_front(Elab *e, Gathered *to, int axis) {
    int8_t perm[MAX_RANK];
    int var = to->var[axis];
    for (int i = axis; i > 0; i--)
        to->var[i] = to->var[i - 1];
    to->var[0] = var;
    for (int i = 0; i < to->node->shape.rank; i++)
        perm[i] = (int8_t)(i == 0 ? axis : i <= axis ? i - 1 : i);
    if (axis > 0) to->node = node_permute(e->graph, to->node, perm);
}

// table[ids[n], d]: the rows that an element names.
static bool look_up(Elab *e, Loops *loops, Gathered *to, int axis, const IndexUse *use,
                    const Expr *subscript) {
    Value index = elab_as_tensor(e, subscript->span, elab_expr(e, use->scope, subscript));
    int rank = to->node->shape.rank, var[2 * MAX_RANK], count = 0;
    if (value_is_poison(index)) return false;
    if (index.node->dtype != DT_I32 || (!index.loops && index.node->shape.rank > 0)) {
        elab_error(e, subscript->span, "a subscript is an integer, this is %s of %s",
                   index.loops ? "an element" : value_describe(e, index),
                   dtype_name(index.node->dtype));
        diag_hint(e->diag, "i32(x) rounds towards zero and makes an integer of it");
        return false;
    }
    uint32_t axes = index.loops ? index.axes : 0;
    if (index.node->shape.rank + rank - 1 > MAX_RANK) {
        unsupported(e, subscript->span);
        return false;
    }
    move_axis_to_front(e, to, axis);
    for (int i = 0; i < loops->count; i++)
        if (axes >> i & 1) var[count++] = i;
    for (int i = 1; i < rank; i++)
        var[count++] = to->var[i];
    to->node = node_gather(e->graph, to->node, index.node);
    for (int i = 0; i < count; i++)
        to->var[i] = var[i];
    return true;
}

static void drop_constant_axes(Elab *e, Gathered *to) {
    Shape shape = shape_of(0, NULL);
    for (int i = 0; i < to->node->shape.rank; i++) {
        if (to->var[i] == NO_INDEX) continue;
        to->var[shape.rank] = to->var[i];
        shape.dim[shape.rank++] = to->node->shape.dim[i];
    }
    if (shape.rank < to->node->shape.rank) to->node = node_reshape(e->graph, to->node, shape);
}

// x[i, i]: what lies off the diagonal is masked and summed away.
static void merge_axes(Elab *e, Gathered *to, int first, int second) {
    Graph *g = e->graph;
    const Node *row = node_iota(g, first, to->node->shape);
    const Node *column = node_iota(g, second, to->node->shape);
    const Node *value = to->node->dtype == DT_BOOL ? node_cast(g, DT_I32, to->node) : to->node;
    value =
        node_select(g, node_binary(g, OP_eq, row, column), value, node_const(g, value->dtype, 0));
    to->node = node_cast(g, to->node->dtype, node_reduce(g, OP_reduce_sum, value, 1u << second));
    for (int i = second; i < to->node->shape.rank; i++)
        to->var[i] = to->var[i + 1];
}

static void merge_equal_axes(Elab *e, Gathered *to) {
    for (int i = 0; i < to->node->shape.rank; i++)
        for (int k = to->node->shape.rank - 1; k > i; k--)
            if (to->var[i] == to->var[k]) merge_axes(e, to, i, k);
}

static Value sort_axes(Elab *e, Loops *loops, const Gathered *from) {
    int rank = from->node->shape.rank;
    int8_t perm[MAX_RANK];
    uint32_t axes = 0;
    bool sorted = true;
    for (int i = 0; i < rank; i++)
        axes |= 1u << from->var[i];
    for (int i = 0; i < rank; i++) {
        int place = loops_axis(axes, from->var[i]);
        perm[place] = (int8_t)i;
        sorted &= place == i;
    }
    return elab_indexed_value(loops, sorted ? from->node : node_permute(e->graph, from->node, perm),
                              axes);
}

Value access_gather(Elab *e, Loops *loops, const IndexUse *use) {
    Gathered to = {.node = use->base.node};
    int dynamic = -1;
    Span before = elab_here(e, use->expr->span);
    bool fits = true;
    for (int axis = use->rank - 1; fits && axis >= 0; axis--) { // backwards: windows insert axes
        const Affine *a = &use->at[axis];
        if (a->dynamic && dynamic >= 0) fits = false;
        if (a->dynamic) dynamic = axis;
        to.var[axis] = LOOKED_UP;
        if (!a->dynamic && fits)
            fits = a->count == 2 ? gather_two(e, loops, &to, axis, *a)
                                 : gather_one(e, loops, &to, axis, *a);
    }
    if (!fits) {
        e->graph->here = before;
        return unsupported(e, use->expr->span);
    }
    for (int axis = 0; dynamic >= 0 && axis < to.node->shape.rank; axis++)
        if (to.var[axis] == LOOKED_UP) {
            if (!look_up(e, loops, &to, axis, use, use->at[dynamic].dynamic)) return POISON;
            break;
        }
    drop_constant_axes(e, &to);
    merge_equal_axes(e, &to);
    e->graph->here = before;
    return sort_axes(e, loops, &to);
}
