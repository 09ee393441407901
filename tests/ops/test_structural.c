// SPDX-License-Identifier: MIT
// Every structural operator that has a derivative: first and second derivatives of random
// applications of it, small and odd ones, against differences.
#include "diff/random_graph.h"
#include "gradient_check.h"
#include "pass/adjoint.h"
#include "pass/grad.h"

#include <criterion/criterion.h>

enum { MAX_LEAVES = 8, APPLICATIONS = 120 };

static int real_leaves(const Graph *graph, const Node **leaf) {
    int count = 0;
    for (int id = 0; id < graph->node.count && count < MAX_LEAVES; id++) {
        const Node *node = graph->node.at[id];
        if (node->dtype == DT_F32 && (node->op == OP_input || node->op == OP_param))
            leaf[count++] = node;
    }
    return count;
}

// Whether there was something to check: the application has a real leaf.
static bool check_application(Op op, uint64_t seed, int64_t n) {
    Arena *arena = arena_new();
    RandomGraph *random = random_graph_new(arena, seed);
    const Node *y = random_node(random, op), *leaf[MAX_LEAVES];
    int count = y && y->dtype == DT_F32 ? real_leaves(random->graph, leaf) : 0;
    CheckOptions options = {.n = n, .seed = seed};
    const char *wrong = count ? gradient_check(random->graph, y, leaf, count, &options) : NULL;
    if (wrong) {
        Buf text = buf_new(arena);
        graph_print(&text, random->graph);
        cr_assert_fail("%s, seed %d, n = %d: %s\n%s", op_info(op)->name, (int)seed, (int)n, wrong,
                       text.text);
    }
    arena_free(arena);
    return count > 0;
}

Test(structural, derivatives, .timeout = 240) {
    for (Op op = 0; op < OP_COUNT; op++) {
        if (!adjoint_rule(op)) continue;
        int checked = 0;
        for (uint64_t seed = 1; seed <= APPLICATIONS; seed++)
            checked += check_application(op, seed, 1) && check_application(op, seed, 3);
        cr_expect(checked > APPLICATIONS / 5, "%s: %d applications", op_info(op)->name, checked);
    }
}

// Contractions have many forms: matrix products, convolutions, diagonals, indices wanted twice.
Test(structural, contractions, .timeout = 240) {
    for (uint64_t seed = 100; seed < 400; seed++)
        check_application(OP_contract, seed, seed % 3 + 1);
}

// --- Where a choice is made

// 3 5 5 1 over both axes: the gradient goes to the first 5 alone.
Test(structural, first_extremum) {
    for (int i = 0; i < 2; i++) {
        Arena *arena = arena_new();
        Graph *graph = graph_new(arena, "tie");
        Shape shape = shape_of(2, (Dim[]){dim_const(2), dim_const(2)});
        const Node *x = node_input(graph, "x", DT_F32, shape), *dx;
        const Node *in = i ? node_unary(graph, OP_neg, x) : x;
        const Node *y = node_reduce(graph, i ? OP_reduce_min : OP_reduce_max, in, 3);
        graph_grad(graph, y, NULL, &x, 1, &dx);
        const double value[] = {3, 5, 5, 1}, want[] = {0, i ? -1 : 1, 0, 0};
        const double **leaf = ARENA_ARRAY(arena, const double *, graph->node.count);
        leaf[x->id] = value;
        double **all = graph_interpret(graph, &(Interp){.n = 1, .leaf = leaf}, arena);
        for (int k = 0; k < 4; k++)
            cr_expect(all[dx->id][k] == want[k], "%d: %g", k, all[dx->id][k]);
        arena_free(arena);
    }
}

Test(structural, what_has_no_derivative) {
    Arena *arena = arena_new();
    Graph *graph = graph_new(arena, "none");
    Shape shape = shape_of(1, (Dim[]){dim_const(3)});
    const Node *x = node_input(graph, "x", DT_F32, shape),
               *zero = node_fill(graph, DT_F32, 0, shape);
    const Node *y[3] = {node_stop(graph, x), node_cast(graph, DT_F32, node_cast(graph, DT_I32, x)),
                        node_input(graph, "other", DT_F32, shape)};
    for (int i = 0; i < 3; i++) {
        const Node *dx;
        graph_grad(graph, y[i], y[2], &x, 1, &dx);
        cr_expect(dx == zero, "%d", i);
    }
    arena_free(arena);
}
