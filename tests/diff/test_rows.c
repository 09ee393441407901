// SPDX-License-Identifier: MIT
// Random chains of reductions along the last axes and of pointwise operators between them: softmax,
// normalisations and what nobody has thought of. They become kernels that take a row at a time,
// emitted for vectors of 16, 8 and 4 floats and for none; compared with the oracle for the whole
// batch and for less, with the same bits from 1, 2, 3 and 4 threads.
#include "compiled.h"
#include "random_graph.h"
#include "random_internal.h"

#include <criterion/criterion.h>

enum { EXAMPLES = 19, STEPS = 14 };

typedef struct Chain {
    RandomGraph *random;
    Shape rows, all;
    VEC(const Node *) of_rows, of_all; // by their shapes
} Chain;

static const Node *any_of_all(Chain *c) { return c->of_all.at[below(c->random, c->of_all.count)]; }

static uint32_t last_axes(const Chain *c) {
    return ((1u << c->all.rank) - 1) & ~((1u << c->rows.rank) - 1);
}

// What is computed again or kept: some of it is dear.
static const Node *pointwise(Chain *c, const Node *node, const Node *other) {
    Graph *g = c->random->graph;
    switch (below(c->random, 7)) {
    case 0:
        return node_unary(g, OP_tanh, node);
    case 1: // e to the -|x|
        return node_unary(g, OP_exp, node_unary(g, OP_neg, node_unary(g, OP_abs, node)));
    case 2:
        return node_binary(g, OP_mul, node_unary(g, OP_sigmoid, node), other);
    case 3:
        return node_binary(g, OP_max, node, other);
    case 4:
        return node_binary(g, OP_add, node, other);
    default:
        return node_binary(g, OP_sub, node, other);
    }
}

static void add_reduction(Chain *c) {
    static const Op ops[] = {OP_reduce_sum, OP_reduce_sum, OP_reduce_max, OP_reduce_min};
    Graph *g = c->random->graph;
    Op op = ops[below(c->random, 4)];
    const Node *node = node_reduce(g, op, any_of_all(c), last_axes(c));
    double length = (double)shape_eval(&c->all, EXAMPLES) / (double)shape_eval(&c->rows, EXAMPLES);
    if (op == OP_reduce_sum)
        node = node_binary(g, OP_mul, node, node_fill(g, DT_F32, 1 / length, c->rows));
    VEC_PUSH(g->arena, c->of_rows, node);
}

static void add_step(Chain *c) {
    Graph *g = c->random->graph;
    const Node *other = any_of_all(c);
    if (c->of_rows.count == 0 || one_in(c->random, 3)) {
        add_reduction(c);
        return;
    }
    const Node *row = c->of_rows.at[below(c->random, c->of_rows.count)];
    if (one_in(c->random, 5)) {
        const Node *second = c->of_rows.at[below(c->random, c->of_rows.count)];
        VEC_PUSH(g->arena, c->of_rows, pointwise(c, row, second));
        return;
    }
    if (!one_in(c->random, 4)) other = node_broadcast(g, row, last_axes(c), c->all);
    VEC_PUSH(g->arena, c->of_all, pointwise(c, any_of_all(c), other));
}

static void add_chain(RandomGraph *random, int number, Shape rows, Shape all) {
    Chain c = {.random = random, .rows = rows, .all = all};
    Graph *g = random->graph;
    for (int i = 0; i < 2; i++)
        VEC_PUSH(g->arena, c.of_all, random_leaf(random, DT_F32, all));
    for (int i = 0; i < STEPS; i++)
        add_step(&c);
    const Node *last = c.of_all.at[c.of_all.count - 1];
    graph_add_root(g, ROOT_OUTPUT, arena_printf(g->arena, "all%d", number), NULL, last);
    for (int i = 0; i < 2; i++) {
        bool row = one_in(random, 2);
        const Node *more = row ? c.of_rows.at[below(random, c.of_rows.count)] : any_of_all(&c);
        graph_add_root(g, ROOT_OUTPUT, arena_printf(g->arena, "more%d_%d", number, i), NULL, more);
    }
}

static void check_runs(Case *c, const int64_t *examples, int runs) {
    for (int i = 0; i < runs; i++) {
        const double **leaves = random_leaves(c->arena, c->graph, examples[i], c->seed);
        for (int threads = 2; threads <= MOST_THREADS; threads++) {
            NncPool *pool = nnc_pool_new(threads);
            case_check(c, examples[i], leaves, pool);
            nnc_pool_free(pool);
        }
    }
    if (c->jit) jit_free(c->jit);
}

static void check(uint64_t seed, const char *march, JitTier tier) {
    static const int lengths[] = {64, 70, 100, 256, 300, 333, 1000};
    Arena *arena = arena_new();
    RandomGraph *random = random_graph_new(arena, seed);
    Dim n = dim_batch(), length = dim_const(lengths[below(random, 7)]), few = dim_const(3);
    Dim flat[] = {n, length}, heads[] = {n, few, length}, plane[] = {n, few, dim_const(50)};
    add_chain(random, 0, shape_of(1, flat), shape_of(2, flat));
    add_chain(random, 1, shape_of(2, heads), shape_of(3, heads));
    add_chain(random, 2, shape_of(1, plane), shape_of(3, plane));
    Case *c = case_new(arena, random->graph, seed);
    c->batch = EXAMPLES;
    c->march = march;
    c->tolerance = 2e-5;
    case_build(c, 0, tier);
    int rows = 0, staged = 0;
    for (int i = 0; i < c->plan->fusion->kernel.count; i++) {
        rows += c->plan->fusion->kernel.at[i]->rows > 0;
        staged += c->plan->fusion->kernel.at[i]->staged;
    }
    cr_assert(rows > 0, "seed %d: no kernel takes rows", (int)seed);
    cr_assert(!c->plan->fusion->target->lanes || staged > 0, "seed %d: none in stages", (int)seed);
    check_runs(c, (const int64_t[]){EXAMPLES, 7, 1}, 3);
    arena_free(arena);
}

// Operands and results beyond a core's cache, or (streamed) all caches: of rows that begin at
// multiples of 64 bytes and of others, and of one long loop.
static void check_large(int length, int many, bool streamed) {
    Arena *arena = arena_new();
    RandomGraph *random = random_graph_new(arena, 1);
    Graph *g = random->graph;
    Shape shape = shape_of(2, (Dim[]){dim_batch(), dim_const(length)});
    const Node *x = random_leaf(random, DT_F32, shape), *power = node_unary(g, OP_exp, x);
    const Node *sum = node_broadcast(g, node_reduce(g, OP_reduce_sum, power, 2), 2, shape);
    graph_add_root(g, ROOT_OUTPUT, "rows", NULL, node_binary(g, OP_div, power, sum));
    graph_add_root(g, ROOT_OUTPUT, "long", NULL, node_binary(g, OP_mul, x, x));
    Case *c = case_new(arena, g, 1);
    c->batch = many;
    c->tolerance = 2e-5;
    case_build(c, 0, JIT_NATIVE);
    int past = 0;
    for (int i = 0; i < c->plan->fusion->buffer.count; i++)
        past += c->plan->fusion->buffer.at[i]->streamed;
    cr_assert((past > 0) == streamed, "%d buffers are streamed", past);
    cr_assert(strstr(c->source, "nnc_fetch(b"), "no row is fetched");
    cr_assert(streamed == !strstr(c->source, "nnc_claim(b"), "what is streamed is not claimed");
    check_runs(c, (const int64_t[]){many, 7}, 2);
    arena_free(arena);
}

static void check_all(const char *march, uint64_t first) {
    const Target *target = target_find(march);
    if (target && target->lanes > target_find("native")->lanes)
        cr_skip_test("this processor is no %s", march);
    for (uint64_t seed = first; seed < first + 3; seed++)
        check(seed, march, JIT_NATIVE);
}

Test(rows, cuda) { check_all("sm_90", 31); }

#ifdef __x86_64__
Test(rows, lanes16) { check_all("x86-64-v4", 1); }
Test(rows, lanes8) { check_all("x86-64-v3", 11); }
Test(rows, lanes4) { check_all("x86-64", 21); }
#else
Test(rows, native) { check_all("native", 1); }
#endif

Test(rows, instant) {
    for (uint64_t seed = 41; seed < 51; seed++)
        check(seed, "native", JIT_TCC);
}

Test(rows, streams) { check_large(8000, 1050, true), check_large(8005, 1050, true); }

Test(rows, in_caches) { check_large(8000, 50, false), check_large(333, 1000, false); }
