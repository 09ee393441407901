// SPDX-License-Identifier: MIT
// Emitted CUDA, run on the CPU (tests/cuda_host), against the oracle: random graphs, and reductions
// of many shapes. The GPU is as small as one processor, so that small tensors are shared out in all
// the ways that large ones are on a large GPU.
#include "compiled.h"
#include "pass/grad.h"
#include "random_graph.h"
#include "random_internal.h"

#include <criterion/criterion.h>

enum { TOGETHER = 20 }; // graphs in a file

static Case *new_case(Arena *arena, const Graph *graph, uint64_t seed) {
    Case *c = case_new(arena, graph, seed);
    c->march = seed % 3 ? "sm_90" : "sm_75";
    c->processors = seed % 2 ? 1 : 0;
    return c;
}

static void check(Case *c, const int64_t *examples, int runs) {
    for (int i = 0; i < runs; i++)
        case_check(c, examples[i], random_leaves(c->arena, c->graph, examples[i], c->seed), NULL);
}

static void check_random(uint64_t first, double least, bool rounded) {
    Arena *arena = arena_new();
    Case *c[TOGETHER];
    for (int i = 0; i < TOGETHER; i++) {
        uint64_t seed = first + (uint64_t)i;
        const Graph *graph = random_graph(arena, seed);
        if (rounded) graph = random_rounded(arena, graph, seed, true);
        c[i] = new_case(arena, graph, seed);
        c[i]->rounded = rounded;
        if (rounded) c[i]->tolerance = 4e-2;
    }
    cases_build(c, TOGETHER, least);
    for (int i = 0; i < TOGETHER; i++)
        check(c[i], (const int64_t[]){BATCH, 1}, 2);
    arena_free(arena);
}

Test(cuda, loops) { check_random(1, 1e9, false); }
Test(cuda, products) { check_random(101, 0, false); }
Test(cuda, rounded) { check_random(201, 0, true); }

// --- Reductions and rows, of shapes that all ways of sharing them out come from

static const struct {
    int rank, extent[3]; // 0: N
    unsigned axes;
} shapes[] = {
    {2, {0, 2600}, 2},    {2, {0, 2600}, 1},    {3, {0, 64, 50}, 1}, {3, {0, 64, 50}, 2},
    {3, {0, 64, 50}, 4},  {3, {0, 64, 50}, 5},  {3, {0, 64, 50}, 6}, {3, {0, 64, 50}, 7},
    {2, {3, 7000}, 2},    {2, {7000, 40}, 1},   {1, {9000}, 1},      {3, {50, 0, 70}, 5},
    {3, {300, 8, 33}, 5}, {3, {0, 3, 2100}, 5}, {2, {40, 40}, 2},    {2, {2100, 3}, 1},
    {3, {30, 0, 31}, 1},  {3, {4, 4096, 4}, 2},
};

static Shape shape_at(int i) {
    Dim dim[3];
    for (int axis = 0; axis < shapes[i].rank; axis++)
        dim[axis] = shapes[i].extent[axis] ? dim_const(shapes[i].extent[axis]) : dim_batch();
    return shape_of(shapes[i].rank, dim);
}

// f(the reduction of g(x)) for each of the shapes, behind a pad for every third.
static const Graph *reductions(Arena *arena, uint64_t seed, Op op) {
    RandomGraph *random = random_graph_new(arena, seed);
    Graph *g = random->graph;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        Shape shape = shape_at((int)i);
        const Node *x = random_leaf(random, DT_F32, shape);
        if (op == OP_reduce_sum) x = node_unary(g, OP_tanh, x);
        if (i % 3 == 0) {
            PadAxis pad[MAX_RANK] = {{.low = 1, .high = 2}};
            x = node_pad(g, x, pad, 0.5);
        }
        const Node *z = node_reduce(g, op, x, shapes[i].axes);
        if (z->dtype == DT_F32) z = node_unary(g, OP_neg, z);
        graph_add_root(g, ROOT_OUTPUT, arena_printf(arena, "z%d", (int)i), NULL, z);
    }
    return g;
}

static void check_reductions(uint64_t seed, Op op, const char *const *ways) {
    Arena *arena = arena_new();
    Case *c = case_new(arena, reductions(arena, seed, op), seed);
    c->march = "sm_90";
    c->processors = 2;
    c->batch = 19;
    case_build(c, 0, JIT_NATIVE);
    for (; *ways; ways++)
        cr_assert(strstr(strstr(c->source, "// --- predict"), *ways), "nothing is a %s", *ways);
    check(c, (const int64_t[]){19, 7, 1}, 3);
    arena_free(arena);
}

Test(cuda, sums) {
    check_reductions(
        1, OP_reduce_sum,
        (const char *[]){"nnc_warp_sum", "nnc_block_sum", "nnc_rows_sum", "_parts", NULL});
}
Test(cuda, maxima) {
    check_reductions(
        2, OP_reduce_max,
        (const char *[]){"nnc_warp_max", "nnc_block_max", "nnc_rows_max", "_parts", NULL});
}
Test(cuda, argmaxima) { check_reductions(3, OP_argmax, (const char *[]){"nnc_warp_argmax", NULL}); }

// Softmax, and a normalisation with its gradient: one kernel each, of rows of several lengths.
static const Graph *rows(Arena *arena, Dim length) {
    RandomGraph *random = random_graph_new(arena, 5);
    Graph *g = random->graph;
    Shape shape = shape_of(2, (Dim[]){dim_batch(), length});
    const Node *x = random_leaf(random, DT_F32, shape), *dy = random_leaf(random, DT_F32, shape);
    const Node *most = node_broadcast(g, node_reduce(g, OP_reduce_max, x, 2), 2, shape);
    const Node *power = node_unary(g, OP_exp, node_binary(g, OP_sub, x, most));
    const Node *sum = node_broadcast(g, node_reduce(g, OP_reduce_sum, power, 2), 2, shape);
    const Node *y = node_binary(g, OP_div, power, sum), *dx;
    graph_add_root(g, ROOT_OUTPUT, "y", NULL, y);
    graph_grad(g, y, dy, &x, 1, &dx);
    graph_add_root(g, ROOT_OUTPUT, "dx", NULL, dx);
    return g;
}

Test(cuda, rows_of_all_lengths) {
    static const int lengths[] = {64, 100, 1000, 1023, 1500, 8192, 9000};
    enum { LENGTHS = sizeof lengths / sizeof *lengths };
    Arena *arena = arena_new();
    Case *c[LENGTHS];
    for (int i = 0; i < LENGTHS; i++) {
        c[i] = case_new(arena, rows(arena, dim_const(lengths[i])), 5);
        c[i]->march = "sm_90";
        c[i]->batch = 19;
        c[i]->processors = 1 + i % 2 * 99;
    }
    cases_build(c, LENGTHS, 0);
    for (int i = 0; i < LENGTHS; i++) {
        int of_rows = 0;
        for (int k = 0; k < c[i]->plan->fusion->kernel.count; k++)
            of_rows += c[i]->plan->fusion->kernel.at[k]->rows > 0;
        cr_assert_gt(of_rows, 0, "length %d: no kernel takes rows", lengths[i]);
        check(c[i], (const int64_t[]){19, 7, 1}, 3);
    }
    arena_free(arena);
}

// Long loops take four neighbours at once.
Test(cuda, fours) {
    Arena *arena = arena_new();
    RandomGraph *random = random_graph_new(arena, 6);
    Graph *g = random->graph;
    Shape shape = shape_of(3, (Dim[]){dim_batch(), dim_const(20), dim_const(16)});
    const Node *x = random_leaf(random, DT_F32, shape);
    const Node *row = random_leaf(random, DT_F32, shape_of(1, (Dim[]){dim_const(16)}));
    const Node *step = random_leaf(random, DT_F32, shape_of(1, (Dim[]){dim_const(20)}));
    const Node *y = node_binary(g, OP_mul, x, node_broadcast(g, row, 3, shape));
    y = node_binary(g, OP_add, y, node_broadcast(g, step, 5, shape));
    y = node_binary(g, OP_add, y, node_random(g, "noise", shape));
    PadAxis pad[MAX_RANK] = {{0}, {.low = 2, .high = 2}};
    graph_add_root(g, ROOT_OUTPUT, "y", NULL, y);
    graph_add_root(g, ROOT_OUTPUT, "positive", NULL,
                   node_binary(g, OP_gt, x, node_fill(g, DT_F32, 0, shape)));
    graph_add_root(g, ROOT_OUTPUT, "padded", NULL, node_pad(g, x, pad, 1));
    Case *c = case_new(arena, g, 6);
    c->march = "sm_90";
    c->processors = 1;
    c->batch = 19;
    case_build(c, 0, JIT_NATIVE);
    cr_assert(strstr(strstr(c->source, "// --- predict"), "nnc_four("));
    check(c, (const int64_t[]){19, 7, 1}, 3);
    arena_free(arena);
}
