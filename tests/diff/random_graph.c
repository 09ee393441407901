// SPDX-License-Identifier: MIT
// Picking operands, and putting graphs together.
#include "pass/grad.h"
#include "random_internal.h"

#include <math.h>
#include <string.h>

enum { MAX_ELEMENTS = 600, TRIES = 6, STATES = 3 };

// --- Numbers

static uint64_t next(uint64_t *state) { // splitmix64
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int below(RandomGraph *random, int count) { return (int)(next(&random->state) % (uint64_t)count); }

bool one_in(RandomGraph *random, int count) { return below(random, count) == 0; }

int between(RandomGraph *random, int low, int high) { return low + below(random, high - low + 1); }

Dim random_extent(RandomGraph *random) {
    return one_in(random, 6) ? dim_batch() : dim_const(between(random, 1, 4));
}

bool random_fits(const Shape *shape) {
    Dim size;
    return shape->rank < MAX_RANK && shape_size(&size, shape) && size.c[3] == 0 &&
           shape_eval(shape, 3) <= MAX_ELEMENTS;
}

Shape random_shape(RandomGraph *random, int least_rank, int most_rank) {
    Dim dim[MAX_RANK];
    int rank = between(random, least_rank, most_rank);
    for (int i = 0; i < rank; i++)
        dim[i] = random_extent(random);
    Shape shape = shape_of(rank, dim);
    return random_fits(&shape) ? shape : random_shape(random, least_rank, most_rank);
}

// --- What single precision has exactly

static bool all_exact(const RandomGraph *random, const Node *node, int from) {
    for (int i = from; i < node->in_count; i++)
        if (!random->exact.at[node->in[i]->id]) return false;
    return true;
}

static bool is_exact(const RandomGraph *random, const Node *node) {
    if (node->dtype == DT_I32 || node->dtype == DT_BOOL) return true;
    switch (node->op) {
    case OP_const:
        return (float)node->attr->value == node->attr->value;
    case OP_input:
    case OP_param:
    case OP_state:
    case OP_random:
        return true;
    case OP_select:
        return all_exact(random, node, 1);
    case OP_neg:
    case OP_abs:
    case OP_sign:
    case OP_floor:
    case OP_max:
    case OP_min:
    case OP_stop:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_reshape:
    case OP_permute:
    case OP_broadcast:
    case OP_pad:
    case OP_slice:
    case OP_flip:
    case OP_concat:
    case OP_window:
    case OP_gather:
        return all_exact(random, node, 0);
    case OP_cast:
        return node->in[0]->dtype != DT_F64;
    default:
        return false;
    }
}

static void update_exact(RandomGraph *random) {
    Graph *graph = random->graph;
    while (random->exact.count < graph->node.count) {
        const Node *node = graph->node.at[random->exact.count];
        VEC_PUSH(graph->arena, random->exact, is_exact(random, node));
    }
}

// --- Operands

// Mostly one of the last few, so that chains grow and not only width.
static const Node *from_pool(RandomGraph *random) {
    int count = random->pool.count, recent = count < 5 ? count : 5;
    if (!count) return NULL;
    int back = one_in(random, 3) ? below(random, count) : below(random, recent);
    return random->pool.at[count - 1 - back];
}

const Node *random_keep(RandomGraph *random, const Node *node) {
    VEC_PUSH(random->graph->arena, random->pool, node);
    update_exact(random);
    return node;
}

static const Node *bool_leaf(RandomGraph *random, Shape shape) {
    static const Op compare[] = {OP_eq, OP_ne, OP_lt, OP_le, OP_gt, OP_ge};
    DType dtype = one_in(random, 2) ? DT_I32 : DT_F32;
    const Node *a = pick_exact_of_shape(random, dtype, shape);
    const Node *b = pick_exact_of_shape(random, dtype, shape);
    return node_binary(random->graph, compare[below(random, 6)], a, b);
}

const Node *random_leaf(RandomGraph *random, DType dtype, Shape shape) {
    Graph *graph = random->graph;
    if (dtype == DT_BOOL) return random_keep(random, bool_leaf(random, shape));
    if (dtype == DT_I32 && shape.rank && one_in(random, 3))
        return random_keep(random, node_iota(graph, below(random, shape.rank), shape));
    char *name = arena_printf(graph->arena, "x%d", random->leaves++);
    bool is_static = true;
    for (int i = 0; i < shape.rank; i++)
        is_static &= dim_is_const(shape.dim[i]);
    if (dtype == DT_F32 && is_static && one_in(random, 2))
        return random_keep(random, node_param(graph, name, shape));
    return random_keep(random, node_input(graph, name, dtype, shape));
}

static const Node *random_fill(RandomGraph *random, DType dtype, Shape shape) {
    static const double value[] = {0, 1, -1, 2, 0.5, -0.25};
    int choice = below(random, dtype == DT_F32 ? 6 : dtype == DT_I32 ? 4 : 2);
    const Node *fill = node_fill(random->graph, dtype, value[choice], shape);
    update_exact(random);
    return fill;
}

const Node *pick(RandomGraph *random, DType dtype, int least_rank, int most_rank) {
    for (int try = 0; try < TRIES; try++) {
        const Node *node = from_pool(random);
        if (node && node->dtype == dtype && node->shape.rank >= least_rank &&
            node->shape.rank <= most_rank && random_fits(&node->shape))
            return node;
    }
    return random_leaf(random, dtype,
                       random_shape(random, least_rank, most_rank < 3 ? most_rank : 3));
}

static const Node *pick_known(RandomGraph *random, DType dtype, Shape shape, bool exact) {
    for (int try = 0; try < 3 * TRIES; try++) {
        const Node *node = from_pool(random);
        if (node && node->dtype == dtype && shape_equal(&node->shape, &shape) &&
            (!exact || random->exact.at[node->id]))
            return node;
    }
    return NULL;
}

// The shape from a smaller one: by new axes, or zeros around; or from a turned one.
static const Node *by_movement(RandomGraph *random, DType dtype, Shape shape) {
    Graph *graph = random->graph;
    Shape from = shape_of(0, NULL);
    uint32_t axes = (uint32_t)below(random, 1 << shape.rank);
    PadAxis pad[MAX_RANK] = {{0}};
    int8_t perm[MAX_RANK] = {0};
    switch (below(random, 3)) {
    case 0:
        for (int i = 0; i < shape.rank; i++)
            if (!(axes >> i & 1)) from.dim[from.rank++] = shape.dim[i];
        return node_broadcast(graph, random_leaf(random, dtype, from), axes, shape);
    case 1:
        from = shape;
        for (int i = 0; i < shape.rank; i++) {
            if (!dim_is_const(from.dim[i]) || from.dim[i].c[0] < 2) continue;
            pad[i] = (PadAxis){below(random, 2), 0, 0};
            from.dim[i].c[0] -= pad[i].low;
        }
        return node_pad(graph, random_leaf(random, dtype, from), pad, 0);
    default:
        for (int i = 0; i < shape.rank; i++) {
            perm[i] = (int8_t)(shape.rank - 1 - i);
            from.dim[from.rank++] = shape.dim[shape.rank - 1 - i];
        }
        return node_permute(graph, random_leaf(random, dtype, from), perm);
    }
}

const Node *pick_of_shape(RandomGraph *random, DType dtype, Shape shape) {
    if (one_in(random, 6)) return random_fill(random, dtype, shape);
    const Node *x = one_in(random, 5) ? NULL : pick_known(random, dtype, shape, false);
    if (!x && one_in(random, 2) && dtype != DT_BOOL) x = by_movement(random, dtype, shape);
    if (!x) x = random_leaf(random, dtype, shape);
    if (one_in(random, 8)) x = node_unary(random->graph, dtype == DT_BOOL ? OP_not : OP_neg, x);
    return random_keep(random, x);
}

const Node *pick_exact(RandomGraph *random, DType dtype, int least_rank) {
    for (int try = 0; try < TRIES; try++) {
        const Node *node = pick(random, dtype, least_rank, 4);
        if (random->exact.at[node->id]) return node;
    }
    return random_leaf(random, dtype, random_shape(random, least_rank, 3));
}

const Node *pick_exact_of_shape(RandomGraph *random, DType dtype, Shape shape) {
    const Node *known = pick_known(random, dtype, shape, true);
    return known ? known : random_leaf(random, dtype, shape);
}

// --- Graphs

RandomGraph *random_graph_new(Arena *arena, uint64_t seed) {
    RandomGraph *random = ARENA_NEW(arena, RandomGraph);
    random->graph = graph_new(arena, "train");
    random->state = seed * 0x2545f4914f6cdd1du + 1;
    return random;
}

static const Node *add_gradient(RandomGraph *random) {
    const Node *y = pick(random, DT_F32, 0, 4), *out;
    const Node *seed = random_leaf(random, DT_F32, y->shape);
    const Node *x = pick(random, DT_F32, 0, 4);
    for (int id = 0; id < random->graph->node.count && one_in(random, 2); id++)
        if (random->graph->node.at[id]->dtype == DT_F32) x = random->graph->node.at[id];
    graph_grad(random->graph, y, seed, &x, 1, &out);
    return random_keep(random, out);
}

// Any value, or the old one of the state before; twice that, or put together from the two.
static const Node *random_next(RandomGraph *random, const Node *before) {
    const Node *next = before && one_in(random, 3) ? before : pick(random, DT_F32, 0, 4);
    const Node *part[2] = {next, next};
    Shape shape = next->shape;
    if (!one_in(random, 3) || shape.rank == 0 || !dim_is_const(shape.dim[0])) return next;
    if (before && shape_equal(&before->shape, &shape)) part[below(random, 2)] = before;
    shape.dim[0].c[0] *= 2;
    return random_fits(&shape) ? node_concat(random->graph, part, 2, 0) : next;
}

// States that read one another, and outputs that are old values.
static void add_states(RandomGraph *random) {
    Graph *graph = random->graph;
    const Node *before = NULL;
    for (int i = 0; i < STATES; i++) {
        const Node *next = random_next(random, before);
        const char *name = arena_printf(graph->arena, "state%d", i);
        const Node *state = node_state(graph, name, DT_F32, next->shape);
        if (one_in(random, 2)) next = node_binary(graph, OP_add, state, next);
        if (one_in(random, 3))
            graph_add_root(graph, ROOT_OUTPUT, arena_printf(graph->arena, "old%d", i), NULL, state);
        graph_add_root(graph, ROOT_STATE, name, state, next);
        before = state;
    }
}

// What nothing uses, or it would be dead; and states.
static void add_roots(RandomGraph *random) {
    Graph *graph = random->graph;
    bool *used = ARENA_ARRAY(graph->arena, bool, graph->node.count);
    for (int id = 0; id < graph->node.count; id++)
        for (int i = 0; i < graph->node.at[id]->in_count; i++)
            used[graph->node.at[id]->in[i]->id] = true;
    for (int id = 0; id < random->exact.count; id++)
        if (!used[id])
            graph_add_root(graph, ROOT_OUTPUT, arena_printf(graph->arena, "y%d", id), NULL,
                           graph->node.at[id]);
    add_states(random);
}

// Half of them movement, which most rules of a pass are about.
static Op random_op(RandomGraph *random) {
    static const Op movement[] = {OP_reshape, OP_permute,  OP_broadcast,  OP_pad,
                                  OP_slice,   OP_flip,     OP_concat,     OP_window,
                                  OP_fold,    OP_contract, OP_reduce_sum, OP_reduce_max};
    if (one_in(random, 2)) return movement[below(random, 12)];
    return (Op)below(random, OP_COUNT);
}

Graph *random_graph(Arena *arena, uint64_t seed) {
    RandomGraph *random = random_graph_new(arena, seed);
    for (int i = between(random, 24, 60); i > 0; i--)
        random_node(random, random_op(random));
    if (one_in(random, 2)) add_gradient(random);
    add_roots(random);
    return random->graph;
}

const double **random_leaves(Arena *arena, const Graph *graph, int64_t n, uint64_t seed) {
    const double **leaf = ARENA_ARRAY(arena, const double *, graph->node.count);
    uint64_t state = seed;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        if (node->op != OP_input && node->op != OP_param && node->op != OP_state) continue;
        int64_t count = shape_eval(&node->shape, n);
        double *value = ARENA_ARRAY(arena, double, count + 1);
        uint64_t own = state; // by name, so that a leaf keeps its values when others go
        for (const char *c = node->attr->name; *c; c++)
            own = own * 31 + (unsigned char)*c;
        for (int64_t i = 0; i < count; i++) {
            double unit = (double)(next(&own) >> 40) * 0x1p-24;
            value[i] = node->dtype == DT_F32   ? (float)(4 * unit - 2)
                       : node->dtype == DT_I32 ? floor(5 * unit) - 1
                                               : unit < 0.5;
        }
        leaf[id] = value;
    }
    return leaf;
}

static bool rounds(uint64_t *state, const Node *node, bool inner) {
    bool leaf = node->op == OP_input || node->op == OP_param || node->op == OP_state;
    if (node->dtype != DT_F32 || node->shape.rank == 0 || node->op == OP_const) return false;
    return leaf ? next(state) % 4 != 0 : inner && next(state) % 4 == 0;
}

Graph *random_rounded(Arena *arena, const Graph *graph, uint64_t seed, bool inner) {
    Graph *to = graph_new(arena, graph->name);
    const Node **made = ARENA_ARRAY(arena, const Node *, graph->node.count);
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        const Node **in = ARENA_ARRAY(arena, const Node *, node->in_count + 1);
        for (int i = 0; i < node->in_count; i++)
            in[i] = made[node->in[i]->id];
        made[id] = node_rebuild(to, node, in);
        if (rounds(&seed, node, inner))
            made[id] = node_cast(to, DT_F32, node_cast(to, DT_BF16, made[id]));
    }
    for (int i = 0; i < graph->root.count; i++) {
        const Root *root = &graph->root.at[i];
        const Node *leaf = NULL;
        for (int id = 0; root->leaf && id < to->node.count; id++)
            if (to->node.at[id]->op == root->leaf->op &&
                !strcmp(to->node.at[id]->attr->name, root->leaf->attr->name))
                leaf = to->node.at[id];
        graph_add_root(to, root->kind, root->name, leaf, made[root->value->id]);
    }
    return to;
}
