// SPDX-License-Identifier: MIT
// The interpreter: what every operator means, in double and in the plainest loops, for tests to
// compare everything else with. Here the walk over the graph, leaves, pointwise operators and
// reductions.
//
//     double **value = graph_interpret(graph, &(Interp){.n = 2, .leaf = leaf}, arena);
//     value[graph->root.at[0].value->id][0]      // the first element of the first root
#include "bf16.h"
#include "ir/interp_internal.h"
#include "rng.h"

#include <math.h>
#include <string.h>

Extents extents_at(const Shape *shape, int64_t n) {
    Extents extents = {.rank = shape->rank, .size = shape_eval(shape, n)};
    int64_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        extents.dim[i] = dim_eval(shape->dim[i], n);
        extents.stride[i] = stride;
        stride *= extents.dim[i];
    }
    return extents;
}

bool index_advance(int64_t *index, const Extents *extents) {
    for (int i = extents->rank - 1; i >= 0; i--) {
        if (++index[i] < extents->dim[i]) return true;
        index[i] = 0;
    }
    return false;
}

int64_t index_offset(const int64_t *index, const Extents *extents) {
    int64_t offset = 0;
    for (int i = 0; i < extents->rank; i++)
        offset += index[i] * extents->stride[i];
    return offset;
}

// --- Leaves

static void eval_leaf(const Eval *eval) {
    const Node *node = eval->node;
    const double *given = eval->with->leaf ? eval->with->leaf[node->id] : NULL;
    if (!given) bug("%s \"%s\" has no value", op_info(node->op)->name, node->attr->name);
    memcpy(eval->out, given, sizeof *given * (size_t)eval->shape.size);
}

static void eval_hyper(const Eval *eval) {
    const double *given = eval->with->leaf ? eval->with->leaf[eval->node->id] : NULL;
    eval->out[0] = given ? *given : eval->node->attr->value;
}

static void eval_const(const Eval *eval) { eval->out[0] = eval->node->attr->value; }

static void eval_step(const Eval *eval) { eval->out[0] = eval->with->step; }

static void eval_epoch(const Eval *eval) { eval->out[0] = eval->with->epoch; }

static void eval_size(const Eval *eval) {
    eval->out[0] = (double)dim_eval(eval->node->attr->extent, eval->with->of ? eval->with->of : eval->with->n);
}

static void eval_iota(const Eval *eval) {
    int axis = eval->node->attr->axis;
    for (int64_t i = 0; i < eval->shape.size; i++)
        eval->out[i] = (double)(i / eval->shape.stride[axis] % eval->shape.dim[axis]);
}

static void eval_random(const Eval *eval) {
    const Interp *with = eval->with;
    unsigned low = (unsigned)with->seed, high = (unsigned)(with->seed >> 32);
    unsigned step = (unsigned)(int64_t)with->step;
    unsigned stream = nnc_random_stream(eval->node->attr->name);
    unsigned key_a = nnc_random_key(low, high, stream, step, 0);
    unsigned key_b = nnc_random_key(low, high, stream, step, 1);
    const Shape *shape = &eval->node->shape;
    bool by_example = shape->rank > 0 && !dim_is_const(shape->dim[0]);
    int64_t before = by_example ? with->first * shape_eval(shape, 1) : 0;
    for (int64_t i = 0; i < eval->shape.size; i++)
        eval->out[i] = nnc_random_unit(key_a, key_b, (unsigned)(before + i));
}

// --- Element by element

// Whole numbers wrap around, and x mod 0 is 0. A product of two has more bits than a double holds.
static double i32_reference(Op op, double a, double b, double c) {
    if (op == OP_mul) return (int32_t)((uint32_t)(int64_t)a * (uint32_t)(int64_t)b);
    double value = op_reference(op, a, b, c);
    return isnan(value) ? 0 : (int32_t)(uint32_t)(int64_t)value;
}

static void eval_pointwise(const Eval *eval) {
    int count = eval->node->in_count;
    const double *const *in = eval->in;
    double (*reference)(Op, double, double, double) =
        eval->node->dtype == DT_I32 ? i32_reference : op_reference;
    for (int64_t i = 0; i < eval->shape.size; i++)
        eval->out[i] =
            reference(eval->node->op, in[0][i], count > 1 ? in[1][i] : 0, count > 2 ? in[2][i] : 0);
}

static void eval_stop(const Eval *eval) {
    memcpy(eval->out, eval->in[0], sizeof *eval->out * (size_t)eval->shape.size);
}

// Truncates; what does not fit becomes the nearest number that does, NaN becomes 0.
static double to_i32(double value) {
    if (isnan(value)) return 0;
    return trunc(fmin(fmax(value, INT32_MIN), INT32_MAX));
}

static double cast_to(DType to, double value) {
    switch (to) {
    case DT_I32:
        return to_i32(value);
    case DT_BOOL:
        return value != 0;
    case DT_BF16:
        return nnc_bf16_round((float)value);
    default:
        return value;
    }
}

static void eval_cast(const Eval *eval) {
    for (int64_t i = 0; i < eval->shape.size; i++)
        eval->out[i] = cast_to(eval->node->dtype, eval->in[0][i]);
}

// --- Reductions

// For each element of the operand in order: where it goes in the result, and its number among those
// that go there (row-major over the reduced axes).
typedef struct ReduceWalk {
    int64_t index[MAX_LOOPS], target, number;
} ReduceWalk;

static void reduce_place(const Eval *eval, ReduceWalk *walk) {
    const Extents *in = &eval->in_shape[0];
    walk->target = walk->number = 0;
    for (int i = 0; i < in->rank; i++) {
        bool reduced = eval->node->attr->axes >> i & 1;
        int64_t *place = reduced ? &walk->number : &walk->target;
        *place = *place * in->dim[i] + walk->index[i];
    }
}

static double reduce_start(const Node *node) {
    bool is_integer = node->dtype == DT_I32;
    if (node->op == OP_reduce_max) return is_integer ? INT32_MIN : -INFINITY;
    if (node->op == OP_reduce_min) return is_integer ? INT32_MAX : INFINITY;
    return 0;
}

static void eval_reduce(const Eval *eval) {
    Op op = eval->node->op;
    Op combine = op == OP_reduce_max ? OP_max : op == OP_reduce_min ? OP_min : OP_add;
    for (int64_t i = 0; i < eval->shape.size; i++)
        eval->out[i] = reduce_start(eval->node);
    ReduceWalk walk = {0};
    for (int64_t i = 0; i < eval->in_shape[0].size; i++) {
        reduce_place(eval, &walk);
        double *place = &eval->out[walk.target];
        *place = op_reference(combine, *place, eval->in[0][i], 0);
        index_advance(walk.index, &eval->in_shape[0]);
    }
}

// The first NaN counts as the maximum, as in reduce_max.
static void eval_argmax(const Eval *eval) {
    double *best = ARENA_ARRAY(eval->scratch, double, eval->shape.size);
    ReduceWalk walk = {0};
    for (int64_t i = 0; i < eval->in_shape[0].size; i++) {
        reduce_place(eval, &walk);
        double value = eval->in[0][i], *place = &best[walk.target];
        if (walk.number == 0 || value > *place || (isnan(value) && !isnan(*place))) {
            *place = value;
            eval->out[walk.target] = (double)walk.number;
        }
        index_advance(walk.index, &eval->in_shape[0]);
    }
}

// --- The graph

typedef void Evaluate(const Eval *eval);

static Evaluate *const evaluate[OP_COUNT] = {
    [OP_input] = eval_leaf,
    [OP_param] = eval_leaf,
    [OP_state] = eval_leaf,
    [OP_const] = eval_const,
    [OP_hyper] = eval_hyper,
    [OP_step] = eval_step,
    [OP_epoch] = eval_epoch,
    [OP_size] = eval_size,
    [OP_iota] = eval_iota,
    [OP_random] = eval_random,
    [OP_cast] = eval_cast,
    [OP_stop] = eval_stop,
    [OP_again] = eval_stop,
    [OP_reduce_sum] = eval_reduce,
    [OP_reduce_max] = eval_reduce,
    [OP_reduce_min] = eval_reduce,
    [OP_argmax] = eval_argmax,
    [OP_reshape] = eval_movement,
    [OP_permute] = eval_movement,
    [OP_broadcast] = eval_movement,
    [OP_pad] = eval_movement,
    [OP_slice] = eval_movement,
    [OP_flip] = eval_movement,
    [OP_concat] = eval_movement,
    [OP_window] = eval_movement,
    [OP_fold] = eval_movement,
    [OP_gather] = eval_movement,
    [OP_scatter_add] = eval_movement,
    [OP_contract] = eval_contract,
    [OP_product] = eval_product,
    [OP_wino_in] = eval_wino_tiles,
    [OP_wino_in_t] = eval_wino_tiles,
    [OP_wino_out] = eval_wino_tiles,
    [OP_wino_out_t] = eval_wino_tiles,
    [OP_wino_filter] = eval_wino_filter,
    [OP_wino_filter_t] = eval_wino_filter,
};

static void eval_node(const Node *node, const Interp *with, double **value, Arena *arena,
                      Arena *scratch) {
    Eval eval = {.node = node, .with = with, .scratch = scratch, .value = value};
    eval.shape = extents_at(&node->shape, with->n);
    eval.out = value[node->id] = ARENA_ARRAY(arena, double, eval.shape.size);
    if (with->imposed && with->imposed[node->id]) {
        memcpy(eval.out, with->imposed[node->id], sizeof(double) * (size_t)eval.shape.size);
        return;
    }
    for (int i = 0; i < node->in_count && i < 3; i++)
        eval.in[i] = value[node->in[i]->id];
    for (int i = 0; i < node->in_count && i < 2; i++)
        eval.in_shape[i] = extents_at(&node->in[i]->shape, with->n);
    if (op_info(node->op)->pointwise)
        eval_pointwise(&eval);
    else
        evaluate[node->op](&eval);
}

static void round_values(const Node *node, const Interp *with, double *value) {
    int64_t size = node->dtype == DT_F32 ? shape_eval(&node->shape, with->n) : 0;
    for (int64_t i = 0; i < size; i++)
        value[i] = (double)(float)value[i];
}

double **graph_interpret(const Graph *graph, const Interp *with, Arena *arena) {
    double **value = ARENA_ARRAY(arena, double *, graph->node.count);
    for (int id = 0; id < graph->node.count; id++) {
        Arena *scratch = arena_new();
        eval_node(graph->node.at[id], with, value, arena, scratch);
        if (with->round) round_values(graph->node.at[id], with, value[id]);
        arena_free(scratch);
    }
    return value;
}
