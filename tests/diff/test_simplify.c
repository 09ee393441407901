// SPDX-License-Identifier: MIT
// Random graphs: the verifier accepts them, they print and read back, and simplified ones compute
// the same.
#include "pass/grad.h"
#include "pass/simplify.h"
#include "random_graph.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRAPHS = 400 };

static char *text_of(const Graph *graph, Arena *arena) {
    Buf out = buf_new(arena);
    graph_print(&out, graph);
    return out.text;
}

static bool agree(double a, double b) {
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-9 * (1 + fabs(a));
}

static double **values(const Graph *graph, int64_t n, uint64_t seed, Arena *arena) {
    Interp with = {.n = n, .step = 3, .epoch = 1, .seed = seed};
    with.leaf = random_leaves(arena, graph, n, seed);
    return graph_interpret(graph, &with, arena);
}

static void expect_same_roots(const Graph *a, const Graph *b, int64_t n, uint64_t seed,
                              Arena *arena) {
    double **in_a = values(a, n, seed, arena), **in_b = values(b, n, seed, arena);
    cr_assert(a->root.count == b->root.count);
    for (int i = 0; i < a->root.count; i++) {
        const Root *x = &a->root.at[i], *y = &b->root.at[i];
        cr_assert(x->kind == y->kind && !strcmp(x->name, y->name));
        cr_assert(shape_equal(&x->value->shape, &y->value->shape));
        for (int64_t k = 0; k < shape_eval(&x->value->shape, n); k++) {
            double was = in_a[x->value->id][k], is = in_b[y->value->id][k];
            cr_assert(agree(was, is), "seed %d, n = %d: %s[%d] was %.17g, is %.17g\n%s\n%s",
                      (int)seed, (int)n, x->name, (int)k, was, is, text_of(a, arena),
                      text_of(b, arena));
        }
    }
}

Test(random_graphs, are_sound) {
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        Graph *graph = random_graph(arena, seed);
        const char *wrong = graph_verify(graph, STAGE_MODEL, arena);
        cr_assert_null(wrong, "seed %d: %s", (int)seed, wrong);
        arena_free(arena);
    }
}

// All operators of a model's graph occur, or the other tests would say less than they seem to.
Test(random_graphs, hold_every_operator) {
    int count[OP_COUNT] = {0};
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        Graph *graph = random_graph(arena, seed);
        for (int id = 0; id < graph->node.count; id++)
            count[graph->node.at[id]->op]++;
        arena_free(arena);
    }
    for (Op op = 0; op < OP_COUNT; op++)
        if (op_info(op)->pointwise || op_info(op)->stage == STAGE_MODEL)
            cr_expect(count[op] > 20, "%s: %d times", op_info(op)->name, count[op]);
}

Test(random_graphs, print_and_read_back) {
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        Diag *diag = diag_new(arena);
        const char *text = text_of(random_graph(arena, seed), arena);
        Graph *again = graph_read(arena, source_from_text(arena, "random.graph", text), diag);
        cr_assert_not_null(again, "seed %d: %s", (int)seed, diag_text(diag, arena));
        cr_assert_str_eq(text_of(again, arena), text);
        arena_free(arena);
    }
}

Test(simplify, keeps_what_is_computed, .timeout = 240) {
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        Graph *graph = random_graph(arena, seed);
        Graph *simple = simplify(arena, graph);
        const char *wrong = graph_verify(simple, STAGE_MODEL, arena);
        cr_assert_null(wrong, "seed %d: %s\n%s", (int)seed, wrong, text_of(simple, arena));
        expect_same_roots(graph, simple, 1, seed, arena);
        expect_same_roots(graph, simple, 3, seed, arena);
        arena_free(arena);
    }
}

static int needed_nodes(const Graph *graph, Arena *arena) {
    bool *needed = ARENA_ARRAY(arena, bool, graph->node.count);
    int count = 0;
    for (int i = 0; i < graph->root.count; i++) {
        needed[graph->root.at[i].value->id] = true;
        if (graph->root.at[i].leaf) needed[graph->root.at[i].leaf->id] = true;
    }
    for (int id = graph->node.count - 1; id >= 0; id--) {
        count += needed[id];
        for (int i = 0; needed[id] && i < graph->node.at[id]->in_count; i++)
            needed[graph->node.at[id]->in[i]->id] = true;
    }
    return count;
}

Test(simplify, has_nothing_left_to_do, .timeout = 240) {
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        Graph *simple = simplify(arena, random_graph(arena, seed));
        const char *once = text_of(simple, arena), *twice = text_of(simplify(arena, simple), arena);
        cr_assert_str_eq(once, twice, "seed %d", (int)seed);
        cr_assert(needed_nodes(simple, arena) == simple->node.count, "seed %d: dead nodes\n%s",
                  (int)seed, once);
        arena_free(arena);
    }
}

// The goldens of single rules, by what they compute.
Test(simplify, keeps_what_the_goldens_compute) {
    const char *root = getenv("NNC_TEST_DIR");
    Arena *arena = arena_new();
    const char *path = arena_printf(arena, "%s/golden/simplify", root ? root : "tests");
    DIR *folder = opendir(path);
    cr_assert_not_null(folder, "%s", path);
    int count = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.'), *error = NULL;
        if (!dot || strcmp(dot, ".graph")) continue;
        const char *name = arena_printf(arena, "%s/%s", path, entry->d_name);
        const Source *text = source_read(arena, name, &error);
        cr_assert_not_null(text, "%s: %s", name, error);
        Graph *graph = graph_read(arena, text, diag_new(arena));
        cr_assert_not_null(graph, "%s", name);
        for (uint64_t seed = 1; seed <= 5; seed++)
            expect_same_roots(graph, simplify(arena, graph), 3, seed, arena);
        count++;
    }
    closedir(folder);
    cr_expect(count > 20, "%d graphs", count);
    arena_free(arena);
}

// Simplifying first and differentiating then gives the same derivative.
Test(simplify, keeps_gradients, .timeout = 240) {
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        Graph *graph = random_graph(arena, seed);
        Graph *both[2] = {graph, simplify_before_grad(arena, graph)};
        for (int i = 0; i < 2; i++) {
            Root state = both[i]->root.at[0];
            const Node *x = both[i]->node.at[0], *d;
            for (int id = 0; id < both[i]->node.count; id++)
                if (both[i]->node.at[id]->op == OP_param) x = both[i]->node.at[id];
            if (x->dtype != DT_F32 || state.value->dtype != DT_F32) break;
            const Node *one = node_fill(both[i], DT_F32, 1, state.value->shape);
            graph_grad(both[i], state.value, one, &x, 1, &d);
            graph_add_root(both[i], ROOT_OUTPUT, x->attr->name ? x->attr->name : "d", NULL, d);
        }
        if (both[0]->root.count == both[1]->root.count &&
            !strcmp(both[0]->root.at[both[0]->root.count - 1].name,
                    both[1]->root.at[both[1]->root.count - 1].name))
            expect_same_roots(both[0], both[1], 2, seed, arena);
        arena_free(arena);
    }
}
