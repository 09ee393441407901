// SPDX-License-Identifier: MIT
// The structural operators' derivatives. Most are linear, so that a rule is the transposed
// operator:
//
//     broadcast <-> reduce_sum    pad <-> slice    window <-> fold    gather <-> scatter_add
//     reshape, permute, flip <-> their inverses    concat -> slices   contract: grad_contract.c
//
// What must hold of each: shapes come back as they were, for every N.
#include "pass/adjoint.h"

static Dim difference(Dim a, Dim b) {
    Dim d;
    if (!dim_sub(&d, a, b)) bug("grad: an extent does not fit");
    return d;
}

static Dim sum(Dim a, Dim b) {
    Dim d;
    if (!dim_add(&d, a, b)) bug("grad: an extent does not fit");
    return d;
}

static Dim times(Dim a, int64_t k) {
    Dim d;
    if (!dim_mul(&d, a, dim_const(k))) bug("grad: an extent does not fit");
    return d;
}

static AdjointRule adjoint_cast, adjoint_reduce_sum, adjoint_extremum, adjoint_reshape,
    adjoint_permute, adjoint_broadcast, adjoint_pad, adjoint_slice, adjoint_flip, adjoint_concat,
    adjoint_window, adjoint_fold, adjoint_gather, adjoint_scatter_add;

AdjointRule *adjoint_rule(Op op) {
    static AdjointRule *const rule[OP_COUNT] = {
        [OP_cast] = adjoint_cast,           [OP_reduce_sum] = adjoint_reduce_sum,
        [OP_reduce_max] = adjoint_extremum, [OP_reduce_min] = adjoint_extremum,
        [OP_reshape] = adjoint_reshape,     [OP_permute] = adjoint_permute,
        [OP_broadcast] = adjoint_broadcast, [OP_pad] = adjoint_pad,
        [OP_slice] = adjoint_slice,         [OP_flip] = adjoint_flip,
        [OP_concat] = adjoint_concat,       [OP_window] = adjoint_window,
        [OP_fold] = adjoint_fold,           [OP_contract] = contract_adjoint,
        [OP_gather] = adjoint_gather,       [OP_scatter_add] = adjoint_scatter_add,
    };
    return rule[op];
}

static const Node *adjoint_cast(Graph *graph, const Node *z, int input, const Node *adjoint) {
    return node_cast(graph, z->in[input]->dtype, adjoint);
}

static const Node *adjoint_reduce_sum(Graph *graph, const Node *z, int input, const Node *adjoint) {
    return node_broadcast(graph, adjoint, z->attr->axes, z->in[input]->shape);
}

// i32 of shape `full`: the row-major place along `axes`, as argmax counts it.
static const Node *place_along(Graph *graph, uint32_t axes, Shape full) {
    Shape reduced = {0};
    uint32_t kept = 0;
    for (int i = 0; i < full.rank; i++) {
        if (axes >> i & 1)
            reduced.dim[reduced.rank++] = full.dim[i];
        else
            kept |= 1u << i;
    }
    Dim places;
    if (!shape_size(&places, &reduced)) bug("grad: an extent does not fit");
    const Node *flat = node_iota(graph, 0, shape_of(1, &places));
    const Node *place = node_reshape(graph, flat, reduced);
    return kept ? node_broadcast(graph, place, kept, full) : place;
}

// To the first place of the maximum (of the minimum: that of -x).
static const Node *adjoint_extremum(Graph *graph, const Node *z, int input, const Node *adjoint) {
    const Node *x = z->in[input];
    uint32_t axes = z->attr->axes;
    if (!axes) return adjoint;
    const Node *key = z->op == OP_reduce_max ? x : node_unary(graph, OP_neg, x);
    const Node *first = node_reduce(graph, OP_argmax, key, axes);
    const Node *here = node_binary(graph, OP_eq, place_along(graph, axes, x->shape),
                                   node_broadcast(graph, first, axes, x->shape));
    return node_select(graph, here, node_broadcast(graph, adjoint, axes, x->shape),
                       node_const(graph, x->dtype, 0));
}

static const Node *adjoint_reshape(Graph *graph, const Node *z, int input, const Node *adjoint) {
    return node_reshape(graph, adjoint, z->in[input]->shape);
}

static const Node *adjoint_permute(Graph *graph, const Node *z, int input, const Node *adjoint) {
    (void)input;
    int8_t inverse[MAX_RANK] = {0};
    for (int8_t i = 0; i < z->shape.rank; i++)
        inverse[z->attr->perm[i]] = i;
    return node_permute(graph, adjoint, inverse);
}

static const Node *adjoint_broadcast(Graph *graph, const Node *z, int input, const Node *adjoint) {
    (void)input;
    return z->attr->axes ? node_reduce(graph, OP_reduce_sum, adjoint, z->attr->axes) : adjoint;
}

static const Node *adjoint_pad(Graph *graph, const Node *z, int input, const Node *adjoint) {
    SliceAxis slice[MAX_RANK] = {{0}};
    for (int i = 0; i < z->shape.rank; i++)
        slice[i] = (SliceAxis){z->attr->pad[i].low, z->attr->pad[i].interior + 1};
    return node_slice(graph, adjoint, slice, z->in[input]->shape);
}

static const Node *append_zeros(Graph *graph, const Node *node, int axis, Dim extent) {
    Shape shape = node->shape;
    shape.dim[axis] = extent;
    const Node *zeros = node_fill(graph, node->dtype, 0, shape);
    return node_concat(graph, (const Node *[]){node, zeros}, 2, axis);
}

// Zeros where nothing was read. A pad's amounts are constants; where what follows the last element
// read grows with N, the zeros are appended.
static const Node *adjoint_slice(Graph *graph, const Node *z, int input, const Node *adjoint) {
    PadAxis pad[MAX_RANK] = {{0}};
    Dim after[MAX_RANK];
    const Shape *from = &z->in[input]->shape;
    for (int i = 0; i < from->rank; i++) {
        SliceAxis s = z->attr->slice[i];
        Dim last = times(difference(z->shape.dim[i], dim_const(1)), s.step);
        after[i] = difference(from->dim[i], sum(last, dim_const(s.start + (int64_t)1)));
        bool fixed = dim_is_const(after[i]) && after[i].c[0] <= INT32_MAX;
        pad[i] = (PadAxis){s.start, fixed ? (int32_t)after[i].c[0] : 0, s.step - 1};
        if (fixed) after[i] = dim_const(0);
    }
    const Node *x = node_pad(graph, adjoint, pad, 0);
    for (int i = 0; i < from->rank; i++)
        if (!dim_equal(after[i], dim_const(0))) x = append_zeros(graph, x, i, after[i]);
    return x;
}

static const Node *adjoint_flip(Graph *graph, const Node *z, int input, const Node *adjoint) {
    (void)input;
    return node_flip(graph, adjoint, z->attr->axes);
}

// x without what comes before `start`, of extent `extent`. A slice starts at a constant; where
// `start` grows with N, what is wanted is the end of a prefix, which is the start of its flip.
static const Node *slice_from(Graph *graph, const Node *x, int axis, Dim start, Dim extent) {
    SliceAxis slice[MAX_RANK] = {{0}};
    for (int i = 0; i < x->shape.rank; i++)
        slice[i].step = 1;
    Shape out = x->shape;
    out.dim[axis] = extent;
    if (dim_is_const(start) && start.c[0] <= INT32_MAX) {
        slice[axis].start = (int32_t)start.c[0];
        return node_slice(graph, x, slice, out);
    }
    Shape prefix = x->shape;
    prefix.dim[axis] = sum(start, extent);
    const Node *turned = node_flip(graph, node_slice(graph, x, slice, prefix), 1u << axis);
    return node_flip(graph, node_slice(graph, turned, slice, out), 1u << axis);
}

static const Node *adjoint_concat(Graph *graph, const Node *z, int input, const Node *adjoint) {
    int axis = z->attr->axis;
    Dim start = dim_const(0);
    for (int i = 0; i < input; i++)
        start = sum(start, z->in[i]->shape.dim[axis]);
    return slice_from(graph, adjoint, axis, start, z->in[input]->shape.dim[axis]);
}

static const Node *adjoint_window(Graph *graph, const Node *z, int input, const Node *adjoint) {
    WindowAttr w = z->attr->window;
    return node_fold(graph, adjoint, w.axis, z->in[input]->shape.dim[w.axis], w.stride, w.dilation);
}

static const Node *adjoint_fold(Graph *graph, const Node *z, int input, const Node *adjoint) {
    WindowAttr w = z->attr->window;
    const Dim *from = z->in[input]->shape.dim;
    return node_window(graph, adjoint, w.axis, from[w.axis], (int32_t)from[w.axis + 1].c[0],
                       w.stride, w.dilation);
}

static const Node *adjoint_gather(Graph *graph, const Node *z, int input, const Node *adjoint) {
    return node_scatter_add(graph, z->in[1], adjoint, z->in[input]->shape.dim[0]);
}

static const Node *adjoint_scatter_add(Graph *graph, const Node *z, int input,
                                       const Node *adjoint) {
    (void)input;
    return node_gather(graph, adjoint, z->in[0]);
}
