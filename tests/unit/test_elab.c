// SPDX-License-Identifier: MIT
// What elaborated functions compute: each row is a function of x (0, 1, 2 .. in the given shape)
// and the values that it is to have, worked out by hand. What programs look like is in
// test_program.c and the golden tests.
#include "nnd/elab.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { MAX_OUT = 16 };

typedef struct Case {
    const char *text;
    int rank, extent[4];
    int count;
    double out[MAX_OUT];
} Case;

static const Case cases[] = {
    // Subscripts
    {"fn f(x: [A, B]) { y[i] = x[1, i] }", 2, {2, 3}, 3, {3, 4, 5}},
    {"fn f(x: [A, B]) { y[j, i] = x[i, j] }", 2, {2, 3}, 6, {0, 3, 1, 4, 2, 5}},
    {"fn f(x: [A]) { y[i] = x[A - 1 - i] }", 1, {4}, 4, {3, 2, 1, 0}},
    {"fn f(x: [A]) { y[i] = x[2*i + 1] }", 1, {5}, 2, {1, 3}},
    {"fn f(x: [A]) { y[i: 2] = x[4 - 2*i] }", 1, {5}, 2, {4, 2}},
    {"fn f(x: [A]) { y[i, j: 2] = x[i + 2*j] }", 1, {5}, 6, {0, 2, 1, 3, 2, 4}},
    {"fn f(x: [A]) { y[i, j: 2] = x[i - j + 1] }", 1, {4}, 6, {1, 0, 2, 1, 3, 2}},
    {"fn f(x: [A]) { y[i: 2, j: 2] = x[3 - i - 2*j] }", 1, {4}, 4, {3, 1, 2, 0}},
    {"fn f(x: [A, A]) { y[i] = x[i, i] }", 2, {3, 3}, 3, {0, 4, 8}},
    {"fn f(x: [A]) { y[i] = x[i32(3 - x[i])] }", 1, {4}, 4, {3, 2, 1, 0}},
    {"fn f(x: [A, B]) { y[j, i] = x[i, i32(x[0, j])] }", 2, {2, 3}, 6, {0, 3, 1, 4, 2, 5}},
    {"fn f(x: [A]) { x[2] }", 1, {4}, 1, {2}},
    {"fn f(x: [.., A]) { y[.., i] = x[.., A - 1 - i] }", 3, {1, 2, 2}, 4, {1, 0, 3, 2}},
    {"fn f(x: [A]) { y[i, j: 2] = i + 10 * j + x[i] }", 1, {2}, 4, {0, 10, 2, 12}},
    // Reductions
    {"fn f(x: [A, B]) { y[i] = sum[j] x[i, j] }", 2, {2, 3}, 2, {3, 12}},
    {"fn f(x: [A, B]) { mean[i, j] x[i, j] }", 2, {2, 3}, 1, {2.5}},
    {"fn f(x: [A, B]) { y[j] = max[i] x[i, j] }", 2, {2, 3}, 3, {3, 4, 5}},
    {"fn f(x: [A, B]) { y[j] = min[i] x[i, j] * x[i, j] }", 2, {2, 3}, 3, {0, 1, 4}},
    {"fn f(x: [A, B]) { f32(argmax[i, j] -(x[i, j] - 4) ^ 2) }", 2, {2, 3}, 1, {4}},
    {"fn f(x: [A]) { prod[i] (x[i] + 1) }", 1, {4}, 1, {24}},
    {"fn f(x: [A, B]) { y[i] = if (any[j] (x[i, j] == 4)) then 1 else 0 }", 2, {2, 3}, 2, {0, 1}},
    {"fn f(x: [A, B]) { y[i] = if (all[j] (x[i, j] < 3)) then 1 else 0 }", 2, {2, 3}, 2, {1, 0}},
    {"fn f(x: [A]) { sum[i] 3 }", 1, {4}, 0, {0}}, // no use of i: an error
    {"fn f(x: [A]) { prod[i] (x[i] > 0) }", 1, {4}, 0, {0}},
    {"fn f(x: [A]) { sum[i, j: 3] x[i] }", 1, {4}, 1, {18}},
    {"fn f(x: [A]) { y[i] = x[i] - (mean[j] x[j]) }", 1, {3}, 3, {-1, 0, 1}},
    {"fn f(x: [A]) { sum(x) + max(x) - min(x) + mean(x) }", 1, {3}, 1, {6}},
    // Sums of products
    {"fn f(x: [A, B]) { y[i, k] = sum[j] x[i, j] * x[k, j] }", 2, {2, 2}, 4, {1, 3, 3, 13}},
    {"fn f(x: [A, B]) { y[i] = sum[j] x[i, j] * x[i, j] }", 2, {2, 2}, 2, {1, 13}},
    {"fn f(x: [A, B]) { y[i] = sum[j, k] x[i, j] * x[j, k] * x[k, i] }", 2, {2, 2}, 2, {6, 39}},
    {"fn f(x: [A]) { y[i] = sum[r: 2] x[i + r] * x[r] }", 1, {4}, 3, {1, 2, 3}},
    {"fn f(x: [A]) { y[i] = sum[r: 2] x[2*i + r + 1] * x[r + 2] }", 1, {6}, 2, {8, 18}},
    {"fn f(x: [A]) { y[i] = sum[j] x[i] * x[j] * 2 }", 1, {3}, 3, {0, 6, 12}},
    {"fn f(x: [A]) -> [A] { y[i] = sum[j] (if j < i then x[j] else 0) }", 1, {4}, 4, {0, 0, 1, 3}},
    {"fn f(x: [A]) { y[i, j] = x[i] * x[j] }", 1, {2}, 4, {0, 0, 0, 1}},
    // Whole tensors
    {"fn f(x: [A, B]) { x + reshape(sum(x), [1, 1]) }", 2, {2, 2}, 4, {6, 7, 8, 9}},
    {"fn f(x: [A, B]) { x + reshape(x, [A, 1, B]) }", 2, {2, 2}, 0, {0}},
    {"fn f(x: [A]) { pad(x, [1], high = [2], value = 9) }", 1, {2}, 5, {9, 0, 1, 9, 9}},
    {"fn f(x: [A]) { concat([x, -x]) }", 1, {2}, 0, {0}}, // which axis?
    {"fn f(x: [A]) { concat([x, -x], axis = 0) }", 1, {2}, 4, {0, 1, 0, -1}},
    {"fn f(x: [A]) { x ^ 2 + x ^ 3 + x ^ 0.5 }", 1, {2}, 2, {0, 3}},
    {"fn f(x: [A]) { (7 // 2) * x + 7 % 4 + 2 ^ 3 }", 1, {2}, 2, {11, 14}},
    {"fn f(x: [A]) { (-x) % 3 + (x // 2) * 10 }", 1, {4}, 4, {0, 2, 11, 10}},
    {"fn f(x: [A]) { if size(x) == 4 and not (A < 2) then x else nothing }",
     1,
     {4},
     4,
     {0, 1, 2, 3}},
    {"fn f(x: [A]) { if x > 1 or x == 0 then x else -x }", 1, {3}, 3, {0, -1, 2}},
    {"fn f(x: [A]) { v = [1, 2 * 3]\n y[i] = x[i] * v[i] + ([5, 7])[i] }", 1, {2}, 2, {5, 13}},
    {"fn f(x: [A]) { x + [1, [2]] }", 1, {2}, 0, {0}},
    // Functions as values, blocks, what is known when compiling
    {"fn twice(g: fn, x) { g(g(x)) }\nfn f(x: [A]) { twice(relu, x - 1) }", 1, {3}, 3, {0, 0, 1}},
    {"fn f(x: [A]) { if A > 2 { y = x } else { y = -x }\n y + 1 }", 1, {3}, 3, {1, 2, 3}},
    // Derivatives
    {"fn f(x: [A]) { grad(sum(x ^ 3), x) }", 1, {3}, 3, {0, 3, 12}},
    {"fn f(x: [A]) { grad(sum(grad(sum(x ^ 3), x)), x) }", 1, {3}, 3, {0, 6, 12}},
    {"fn f(x: [A]) { grad(sum(x * stop_gradient(x)), x) }", 1, {3}, 3, {0, 1, 2}},
    {"fn q(x) { x ^ 2 } derivative { x ^ 3 }\nfn f(x: [A]) { q(x) }", 1, {3}, 3, {0, 1, 4}},
    {"fn q(x) { x ^ 2 } derivative { x ^ 3 }\nfn f(x: [A]) { grad(sum(q(x)), x) }",
     1,
     {3},
     3,
     {0, 1, 8}},
    {"fn q(x) { x ^ 2 } derivative { x ^ 3 }\n"
     "fn f(x: [A]) { grad(sum(grad(sum(q(x)), x)), x) }",
     1,
     {3},
     3,
     {0, 3, 12}},
    {"fn q(a, b) { a } derivative { da = 2 * b; db = a }\n"
     "fn f(x: [A]) { grad(sum(q(x, x + 1)), x) }",
     1,
     {3},
     3,
     {2, 5, 8}},
    // The library
    {"fn f(x: [A, B]) { softmax(0 * x) }", 2, {1, 4}, 4, {0.25, 0.25, 0.25, 0.25}},
    {"fn f(x: [A, B]) { logsumexp(1000 + 0 * x) }", 2, {1, 4}, 1, {1001.3862943611199}},
    {"fn f(x: [N, C, H, W]) { max_pool(x, 2) }", 4, {1, 1, 4, 4}, 4, {5, 7, 13, 15}},
    {"fn f(x: [N, C, H, W]) { max_pool(-x, 2, padding = 1) }", 4, {1, 1, 2, 2}, 4, {0, -1, -2, -3}},
    {"fn f(x: [N, C, H, W]) { avg_pool(x, 2, stride = 1) }", 4, {1, 1, 2, 3}, 2, {2, 3}},
    {"fn f(x: [N, C, H, W]) { global_avg_pool(x) }", 4, {1, 2, 1, 2}, 2, {0.5, 2.5}},
    {"fn f(x: [N, C, H, W]) { normalize_channels(x, [1, 2], [1, 0.5]) }",
     4,
     {1, 2, 1, 1},
     2,
     {-1, -2}},
    {"fn f(x: [A]) { leaky_relu(x - 1, slope = 0.5) }", 1, {3}, 3, {-0.5, 0, 1}},
    {"fn f(x: [A]) { global_norm(x, 1) }", 1, {2}, 2, {0, 1}},
};
enum { CASES = sizeof cases / sizeof *cases };

static const double *interpret(Arena *arena, const Graph *graph, const Root *root) {
    const double **leaf = ARENA_ARRAY(arena, const double *, graph->node.count);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *node = graph->node.at[i];
        if (node->op != OP_input) continue;
        int64_t size = shape_eval(&node->shape, 1);
        double *value = ARENA_ARRAY(arena, double, size);
        for (int64_t k = 0; k < size; k++)
            value[k] = (double)k;
        leaf[i] = value;
    }
    return graph_interpret(graph, &(Interp){.n = 1, .leaf = leaf}, arena)[root->value->id];
}

static void check_case(const Case *c) {
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    const char *text = arena_printf(arena, "nnd 1\n%s\n", c->text);
    const File *file = nnd_parse(arena, source_from_text(arena, "test.nnd", text), diag);
    ExampleArgument x = {.name = "x", .shape = shape_of(0, NULL)};
    for (int i = 0; i < c->rank; i++)
        x.shape.dim[x.shape.rank++] = dim_const(c->extent[i]);
    const Graph *graph = nnd_elaborate_call(arena, file, "f", &x, 1, true, diag);
    if (c->count == 0) {
        cr_expect(!graph && diag_error_count(diag) > 0, "%s: an error was expected", c->text);
        arena_free(arena);
        return;
    }
    cr_assert(graph, "%s\n%s", c->text, diag_text(diag, arena));
    cr_assert_null(graph_verify(graph, STAGE_MODEL, arena), "%s", c->text);
    const Root *root = &graph->root.at[0];
    cr_assert_eq(shape_eval(&root->value->shape, 1), c->count, "%s", c->text);
    const double *y = interpret(arena, graph, root);
    for (int i = 0; i < c->count; i++)
        cr_expect_float_eq(y[i], c->out[i], 1e-9, "%s: [%d] is %g, not %g", c->text, i, y[i],
                           c->out[i]);
    arena_free(arena);
}

Test(elab, functions_compute_what_they_say) {
    for (int i = 0; i < CASES; i++)
        check_case(&cases[i]);
}
