// SPDX-License-Identifier: MIT
// One node of each operator, with operands and attributes within its rule.
#include "random_internal.h"

// --- Pointwise

// Moves a value to where the operator is defined, whatever it is.
static const Node *into_domain(RandomGraph *random, Op op, int input, const Node *x) {
    Graph *graph = random->graph;
    const Node *half = node_const(graph, x->dtype, 0.5);
    if (op == OP_pow && input == 1) return node_unary(graph, OP_tanh, x);
    if (op == OP_exp) return node_unary(graph, OP_sin, x);
    bool positive = op == OP_log || op == OP_sqrt || op == OP_pow || (op == OP_div && input == 1);
    if (!positive || x->op == OP_const) return x;
    return node_binary(graph, OP_add, node_unary(graph, OP_abs, x), half);
}

static bool jumps(Op op) {
    return op == OP_sign || op == OP_floor || op == OP_mod || op_info(op)->types == TYPES_COMPARE;
}

static const Node *random_real(RandomGraph *random, Op op) {
    const Node *in[3];
    bool exact = jumps(op);
    in[0] = exact ? pick_exact(random, DT_F32, 0) : pick(random, DT_F32, 0, 4);
    for (int i = 1; i < op_info(op)->in_count; i++)
        in[i] = exact ? pick_exact_of_shape(random, DT_F32, in[0]->shape)
                      : pick_of_shape(random, DT_F32, in[0]->shape);
    if (op == OP_mod) in[1] = node_const(random->graph, DT_F32, between(random, 1, 3) * 0.5);
    for (int i = 0; i < op_info(op)->in_count; i++)
        in[i] = into_domain(random, op, i, in[i]);
    return node_pointwise(random->graph, op, in);
}

// Kept small, so that no sum or product leaves the 32 bits.
static const Node *random_integer(RandomGraph *random, Op op) {
    Graph *graph = random->graph;
    const Node *in[2] = {pick(random, DT_I32, 0, 4), NULL};
    if (op_info(op)->in_count == 2) in[1] = pick_of_shape(random, DT_I32, in[0]->shape);
    if (op == OP_mod) in[1] = node_const(graph, DT_I32, one_in(random, 4) ? -3 : 5);
    const Node *z = node_pointwise(graph, op, in);
    bool grows = op == OP_add || op == OP_sub || op == OP_mul;
    return grows ? node_binary(graph, OP_mod, z, node_const(graph, DT_I32, 7)) : z;
}

// Now and then a choice between choices, by the same condition or its opposite.
static const Node *random_select(RandomGraph *random) {
    Graph *graph = random->graph;
    DType dtype = one_in(random, 5) ? DT_I32 : DT_F32;
    const Node *a = pick(random, dtype, 0, 4), *b = pick_of_shape(random, dtype, a->shape);
    const Node *condition = pick_of_shape(random, DT_BOOL, a->shape);
    const Node *choice = node_select(graph, condition, a, b);
    if (one_in(random, 2)) return choice;
    const Node *c = pick_of_shape(random, dtype, a->shape);
    if (one_in(random, 2)) condition = node_unary(graph, OP_not, condition);
    return one_in(random, 2) ? node_select(graph, condition, choice, c)
                             : node_select(graph, condition, c, choice);
}

static const Node *random_pointwise(RandomGraph *random, Op op) {
    switch (op_info(op)->types) {
    case TYPES_REAL:
        return random_real(random, op);
    case TYPES_ARITH:
    case TYPES_COMPARE:
        return one_in(random, 4) ? random_integer(random, op) : random_real(random, op);
    case TYPES_LOGIC: {
        const Node *a = pick(random, DT_BOOL, 0, 4);
        const Node *b = pick_of_shape(random, DT_BOOL, a->shape);
        return node_pointwise(random->graph, op, (const Node *[]){a, b});
    }
    default:
        return random_select(random);
    }
}

// --- Leaves, scalars of the step

static const Node *random_scalar(RandomGraph *random, Op op) {
    Graph *graph = random->graph;
    const Node *x = op == OP_hyper   ? node_hyper(graph, "rate", 0.125)
                    : op == OP_step  ? node_step(graph)
                    : op == OP_epoch ? node_epoch(graph)
                                     : node_size(graph, random_extent(random));
    const Node *one = node_const(graph, DT_F64, 1);
    x = node_binary(graph, OP_div, one, node_binary(graph, OP_add, x, one));
    return node_cast(graph, DT_F32, x);
}

static const Node *random_cast(RandomGraph *random) {
    DType from = (DType)below(random, 3), to = (DType)below(random, 3);
    return node_cast(random->graph, to, pick_exact(random, from, 0));
}

// --- Reductions and movement

static uint32_t random_axes(RandomGraph *random, const Node *x) {
    return (uint32_t)below(random, 1 << x->shape.rank);
}

static const Node *random_reduce(RandomGraph *random, Op op) {
    DType dtype = one_in(random, 6) && op != OP_reduce_sum ? DT_I32 : DT_F32;
    const Node *x = op == OP_argmax ? pick_exact(random, dtype, 0) : pick(random, dtype, 0, 4);
    return node_reduce(random->graph, op, x, random_axes(random, x));
}

// Splits an axis of four, joins two neighbours, or adds an axis of one.
static const Node *random_reshape(RandomGraph *random) {
    const Node *x = pick(random, DT_F32, 0, 4);
    Shape shape = x->shape;
    int axis = below(random, shape.rank + 1);
    bool join = one_in(random, 2) && axis + 1 < shape.rank;
    if (join && dim_mul(&shape.dim[axis], shape.dim[axis], shape.dim[axis + 1])) {
        for (int i = axis + 1; i + 1 < shape.rank; i++)
            shape.dim[i] = shape.dim[i + 1];
        return node_reshape(random->graph, x, shape_of(shape.rank - 1, shape.dim));
    }
    bool split = axis < shape.rank && dim_equal(shape.dim[axis], dim_const(4));
    for (int i = shape.rank; i > axis; i--)
        shape.dim[i] = shape.dim[i - 1];
    shape.dim[axis] = dim_const(split ? 2 : 1);
    if (split) shape.dim[axis + 1] = dim_const(2);
    return node_reshape(random->graph, x, shape_of(shape.rank + 1, shape.dim));
}

static const Node *random_permute(RandomGraph *random) {
    const Node *x = pick(random, DT_F32, 2, 4);
    int8_t perm[MAX_RANK] = {0};
    for (int i = 0; i < x->shape.rank; i++)
        perm[i] = (int8_t)i;
    for (int i = x->shape.rank - 1; i > 0; i--) {
        int other = below(random, i + 1);
        int8_t held = perm[i];
        perm[i] = perm[other];
        perm[other] = held;
    }
    return node_permute(random->graph, x, perm);
}

static const Node *random_broadcast(RandomGraph *random) {
    const Node *x = pick(random, DT_F32, 0, 3);
    Shape out = shape_of(0, NULL);
    uint32_t axes = 0;
    for (int at = 0; at < x->shape.rank || !axes;) {
        bool is_new = (one_in(random, 2) && out.rank - at < 2) || at == x->shape.rank;
        if (is_new) axes |= 1u << out.rank;
        out.dim[out.rank++] = is_new ? random_extent(random) : x->shape.dim[at++];
    }
    return random_fits(&out) ? node_broadcast(random->graph, x, axes, out) : x;
}

static const Node *random_pad(RandomGraph *random) {
    const Node *x = pick(random, DT_F32, 1, 4);
    PadAxis pad[MAX_RANK] = {{0}};
    for (int i = 0; i < x->shape.rank; i++)
        if (one_in(random, 2))
            pad[i] = (PadAxis){below(random, 3), below(random, 3), one_in(random, 3)};
    return node_pad(random->graph, x, pad, one_in(random, 4) ? -0.5 : 0);
}

static const Node *random_slice(RandomGraph *random) {
    const Node *x = pick(random, DT_F32, 1, 4);
    SliceAxis slice[MAX_RANK] = {{0}};
    Shape out = x->shape;
    for (int i = 0; i < out.rank; i++) {
        slice[i].step = 1;
        if (one_in(random, 2)) continue;
        int64_t extent = dim_is_const(out.dim[i])      ? out.dim[i].c[0]
                         : dim_at_least(out.dim[i], 1) ? 1
                                                       : 0;
        if (extent < 1) continue;
        slice[i].start = below(random, (int)extent);
        slice[i].step = between(random, 1, 2);
        int64_t most = (extent - 1 - slice[i].start) / slice[i].step + 1;
        out.dim[i] = dim_const(between(random, 1, (int)most));
    }
    return node_slice(random->graph, x, slice, out);
}

static const Node *random_concat(RandomGraph *random) {
    const Node *in[4];
    int count = between(random, 1, 4);
    in[0] = pick(random, DT_F32, 1, 4);
    int axis = below(random, in[0]->shape.rank);
    for (int i = 1; i < count; i++) {
        Shape shape = in[0]->shape;
        if (one_in(random, 2)) shape.dim[axis] = random_extent(random);
        in[i] = pick_of_shape(random, DT_F32, shape);
    }
    return node_concat(random->graph, in, count, axis);
}

// How many windows fit, as an extent.
static bool windows_in(Dim *outputs, Dim extent, int taps, int stride, int dilation) {
    Dim room;
    if (!dim_sub(&room, extent, dim_const((int64_t)(taps - 1) * dilation + 1))) return false;
    if (!dim_is_const(room) && stride > 1) return false;
    if (!dim_at_least(room, 0)) return false;
    *outputs = dim_is_const(room) ? dim_const(room.c[0] / stride) : room;
    return dim_add(outputs, *outputs, dim_const(1));
}

static const Node *random_window(RandomGraph *random) {
    const Node *x = pick(random, DT_F32, 1, 3);
    int axis = below(random, x->shape.rank);
    int taps = between(random, 1, 3), stride = between(random, 1, 2);
    int dilation = between(random, 1, 2);
    Dim outputs;
    while (!windows_in(&outputs, x->shape.dim[axis], taps, stride, dilation)) {
        if (taps > 1)
            taps--;
        else
            stride = 1;
    }
    return node_window(random->graph, x, axis, outputs, taps, stride, dilation);
}

static const Node *random_fold(RandomGraph *random) {
    Shape shape = random_shape(random, 2, 3);
    int axis = below(random, shape.rank - 1);
    int stride = between(random, 1, 3), dilation = between(random, 1, 2);
    int taps = between(random, 1, 3);
    shape.dim[axis + 1] = dim_const(taps);
    Dim extent;
    bool fits =
        dim_sub(&extent, shape.dim[axis], dim_const(1)) &&
        dim_mul(&extent, extent, dim_const(stride)) &&
        dim_add(&extent, extent, dim_const((int64_t)(taps - 1) * dilation + 1 + below(random, 2)));
    if (!fits) bug("random_fold: an extent does not fit");
    const Node *x = pick_of_shape(random, DT_F32, shape);
    return node_fold(random->graph, x, axis, extent, stride, dilation);
}

static const Node *random_gather(RandomGraph *random) {
    const Node *table = pick(random, DT_F32, 1, 3), *index = pick(random, DT_I32, 0, 2);
    Shape shape = index->shape;
    for (int i = 1; i < table->shape.rank; i++)
        shape.dim[shape.rank++] = table->shape.dim[i];
    return random_fits(&shape) ? node_gather(random->graph, table, index) : NULL;
}

static const Node *random_scatter_add(RandomGraph *random) {
    const Node *index = pick(random, DT_I32, 0, 2);
    Shape rows = index->shape;
    for (int i = between(random, 0, 2); i > 0; i--)
        rows.dim[rows.rank++] = dim_const(between(random, 1, 3));
    return node_scatter_add(random->graph, index, pick_of_shape(random, DT_F32, rows),
                            random_extent(random));
}

static const Node *random_structural(RandomGraph *random, Op op) {
    Graph *graph = random->graph;
    switch (op) {
    case OP_input:
    case OP_param:
        return random_leaf(random, DT_F32, random_shape(random, 0, 3));
    case OP_const:
        return node_const(graph, DT_F32, between(random, -2, 2));
    case OP_hyper:
    case OP_step:
    case OP_epoch:
    case OP_size:
        return random_scalar(random, op);
    case OP_iota:
        return random_leaf(random, DT_I32, random_shape(random, 1, 3));
    case OP_random:
        return node_random(graph, arena_printf(graph->arena, "stream.%d", below(random, 9)),
                           random_shape(random, 0, 3));
    case OP_cast:
        return random_cast(random);
    case OP_stop:
        return node_stop(graph, pick(random, DT_F32, 0, 4));
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_argmax:
        return random_reduce(random, op);
    case OP_reshape:
        return random_reshape(random);
    case OP_permute:
        return random_permute(random);
    case OP_broadcast:
        return random_broadcast(random);
    case OP_pad:
        return random_pad(random);
    case OP_slice:
        return random_slice(random);
    case OP_flip: {
        const Node *x = pick(random, DT_F32, 1, 4);
        return node_flip(graph, x, random_axes(random, x));
    }
    case OP_concat:
        return random_concat(random);
    case OP_window:
        return random_window(random);
    case OP_fold:
        return random_fold(random);
    case OP_contract:
        return random_contract(random);
    case OP_gather:
        return random_gather(random);
    case OP_scatter_add:
        return random_scatter_add(random);
    default:
        return NULL; // state: made with its root; the others are of lowered graphs
    }
}

const Node *random_node(RandomGraph *random, Op op) {
    const Node *node =
        op_info(op)->pointwise ? random_pointwise(random, op) : random_structural(random, op);
    return node ? random_keep(random, node) : NULL;
}
