// SPDX-License-Identifier: MIT
// Graphs in chunks, by the oracle: where a random graph can be split, the chunks' sums and the rest
// give what the whole gives.
#include "pass/chunk.h"
#include "random_graph.h"
#include "support/map.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

// --- Random graphs

enum { GRAPHS = 600, LEAST_SPLIT = 60, EXAMPLES = 5 };

static const Node *sum_of(Graph *graph, const Node *node) {
    return node_reduce(graph, OP_reduce_sum, node, (1u << node->shape.rank) - 1);
}

static bool is_varying(const Node *node) {
    bool varies = false;
    for (int axis = 0; axis < node->shape.rank; axis++)
        varies |= !dim_is_const(node->shape.dim[axis]);
    return varies;
}

static const Node *import(Graph *to, const Graph *graph, const Root *root, const Node **done) {
    const Node *value = graph_import(to, graph, root->value, done);
    bool cast = is_varying(value) && value->dtype == DT_BOOL;
    return cast ? node_cast(to, DT_I32, value) : value;
}

// One root alone; what it has for each example is summed, and each example compared with that sum,
// so often that the step takes `passes` through its batch, if it can be split at all. Another root
// is its metric.
static Graph *one_root(Arena *arena, const Graph *graph, const Root *root, const Root *metric,
                       int passes) {
    Graph *made = graph_new(arena, "train");
    const Node **done = ARENA_ARRAY(arena, const Node *, graph->node.count + 1);
    const Node *value = import(made, graph, root, done);
    bool varies = is_varying(value);
    for (int i = 1; varies && i < passes; i++) {
        uint32_t axes = (1u << value->shape.rank) - 1;
        const Node *all = node_broadcast(made, sum_of(made, value), axes, value->shape);
        value = node_binary(made, OP_max, value, all);
    }
    graph_add_root(made, ROOT_OUTPUT, "loss", NULL, varies ? sum_of(made, value) : value);
    value = import(made, graph, metric, done);
    graph_add_root(made, ROOT_OUTPUT, "metric", NULL,
                   is_varying(value) ? sum_of(made, value) : value);
    return made;
}

static const Node *find_leaf(const Graph *graph, const Node *like) {
    for (int id = 0; id < graph->node.count; id++)
        if (graph->node.at[id]->op == like->op &&
            !strcmp(graph->node.at[id]->attr->name, like->attr->name))
            return graph->node.at[id];
    return NULL;
}

static bool is_leaf(const Node *node) {
    return node->op == OP_input || node->op == OP_param || node->op == OP_state;
}

// The leaves that `part` shares with the whole; of inputs, the examples from `first` on. The
// others, by name: zeros at first.
static const double **leaves_of(Arena *arena, const Graph *part, const Graph *whole,
                                const double *const *leaf, Map *state, int64_t first) {
    const double **own = ARENA_ARRAY(arena, const double *, part->node.count + 1);
    for (int id = 0; id < part->node.count; id++) {
        const Node *node = part->node.at[id], *from = is_leaf(node) ? find_leaf(whole, node) : NULL;
        if (from) {
            bool by_example = from->shape.rank > 0 && !dim_is_const(from->shape.dim[0]);
            own[id] = leaf[from->id] + (by_example ? first * shape_eval(&from->shape, 1) : 0);
        } else if (is_leaf(node)) {
            own[id] = map_get(state, node->attr->name);
            if (!own[id]) own[id] = ARENA_ARRAY(arena, double, shape_eval(&node->shape, 1));
        }
    }
    return own;
}

// Runs one function of a step; what it leaves in states of its own is in `state` then.
static double **run(Arena *arena, const Graph *part, const Graph *whole, Interp with, Map *state) {
    const double *const *leaf = with.leaf;
    with.leaf = leaves_of(arena, part, whole, leaf, state, with.first);
    double **value = graph_interpret(part, &with, arena);
    for (int i = 0; i < part->root.count; i++)
        if (part->root.at[i].kind == ROOT_STATE)
            map_put(state, part->root.at[i].name, value[part->root.at[i].value->id]);
    return value;
}

static double **run_step(Arena *arena, const Graph *whole, const Chunks *chunks, Interp with,
                         int64_t size) {
    Map *state = map_new(arena);
    for (int pass = 0; pass < chunks->passes; pass++) {
        Interp part = with;
        part.of = EXAMPLES;
        for (part.first = 0; part.first < EXAMPLES; part.first += size) {
            part.n = part.first + size > EXAMPLES ? EXAMPLES - part.first : size;
            run(arena, chunks->chunk[pass], whole, part, state);
        }
        if (pass + 1 < chunks->passes) run(arena, chunks->between[pass], whole, with, state);
    }
    return run(arena, chunks->rest, whole, with, state);
}

static void expect_the_same(Arena *arena, const Graph *whole, const Chunks *chunks, int seed,
                            int64_t size) {
    Interp with = {.n = EXAMPLES, .step = 3, .epoch = 1, .seed = 7};
    with.leaf = random_leaves(arena, whole, EXAMPLES, (uint64_t)seed);
    double **wanted = graph_interpret(whole, &with, arena),
           **got = run_step(arena, whole, chunks, with, size);
    for (int i = 0; i < chunks->rest->root.count; i++) {
        if (chunks->rest->root.at[i].kind != ROOT_OUTPUT) continue;
        const Node *a = whole->root.at[i].value, *b = chunks->rest->root.at[i].value;
        for (int64_t k = 0; k < shape_eval(&a->shape, EXAMPLES); k++)
            cr_assert(wanted[a->id][k] == got[b->id][k] ||
                          fabs(wanted[a->id][k] - got[b->id][k]) <=
                              1e-9 * (1 + fabs(wanted[a->id][k])) ||
                          (isnan(wanted[a->id][k]) && isnan(got[b->id][k])),
                      "seed %d, chunks of %d: %s[%d] was %.17g, is %.17g", seed, (int)size,
                      whole->root.at[i].name, (int)k, wanted[a->id][k], got[b->id][k]);
    }
}

static const char *verified(Arena *arena, const Chunks *chunks) {
    const char *wrong = graph_verify(chunks->rest, STAGE_MODEL, arena);
    for (int i = 0; !wrong && i < chunks->passes; i++)
        wrong = graph_verify(chunks->chunk[i], STAGE_MODEL, arena);
    for (int i = 0; !wrong && i + 1 < chunks->passes; i++)
        wrong = graph_verify(chunks->between[i], STAGE_MODEL, arena);
    return wrong;
}

static bool has_metric(const Graph *rest) {
    return rest->root.count > 1 && !strcmp(rest->root.at[1].name, "metric");
}

// How often the step goes through its batch; 0: it cannot be split.
static int split_and_compare(Arena *arena, const Graph *whole, int seed, int *metrics) {
    Chunks chunks = chunk_split(arena, whole);
    cr_assert((chunks.why == NULL) == (chunks.passes > 0));
    const char *wrong = chunks.passes ? verified(arena, &chunks) : NULL;
    cr_assert_null(wrong, "seed %d: %s", seed, wrong);
    for (int64_t size = 1; chunks.passes && size <= 3; size++)
        expect_the_same(arena, whole, &chunks, seed, size);
    metrics[chunks.passes && has_metric(chunks.rest)]++;
    return chunks.passes;
}

Test(chunks, of_random_graphs_give_what_the_whole_gives) {
    int split[NNC_PASSES + 2] = {0}, metrics[2] = {0};
    for (int seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        const Graph *graph = random_graph(arena, (uint64_t)seed);
        for (int i = 0; i < graph->root.count; i++) {
            const Root *root = &graph->root.at[i];
            int wanted = 1 + (seed + i) % (NNC_PASSES + 1);
            const Root *metric = &graph->root.at[(i + 1) % graph->root.count];
            int passes = split_and_compare(
                arena, one_root(arena, graph, root, metric, wanted), seed, metrics);
            if (is_varying(root->value))
                cr_assert(passes == 0 || (passes >= wanted && wanted <= NNC_PASSES),
                          "seed %d: %d passes, not %d", seed, passes, wanted);
            split[passes]++;
        }
        arena_free(arena);
    }
    for (int passes = 1; passes <= NNC_PASSES; passes++)
        cr_assert(split[passes] >= LEAST_SPLIT, "%d graphs were split into %d passes",
                  split[passes], passes);
    cr_assert(metrics[1] >= LEAST_SPLIT, "%d came along", metrics[1]);
}

// A metric takes no pass of its own, and does not keep the batch together.
Test(chunks, metrics_come_along_or_are_left_out) {
    Arena *arena = arena_new();
    Graph *graph = graph_new(arena, "train");
    Dim dim[] = {dim_batch(), dim_const(3)};
    const Node *x = node_input(graph, "x", DT_F32, shape_of(2, dim)), *sum = sum_of(graph, x);
    const Node *less = node_binary(graph, OP_sub, x, node_broadcast(graph, sum, 3, x->shape));
    graph_add_root(graph, ROOT_OUTPUT, "loss", NULL, sum);
    graph_add_root(graph, ROOT_OUTPUT, "later", NULL, sum_of(graph, node_unary(graph, OP_exp, less)));
    graph_add_root(graph, ROOT_OUTPUT, "least", NULL, node_reduce(graph, OP_reduce_min, x, 3));
    graph_add_root(graph, ROOT_OUTPUT, "squares", NULL,
                   sum_of(graph, node_binary(graph, OP_mul, x, x)));
    Chunks chunks = chunk_split(arena, graph);
    cr_assert_eq(chunks.passes, 1);
    cr_assert_eq(chunks.rest->root.count, 4); // two outputs, and two sums that begin at zero
    cr_assert_str_eq(chunks.rest->root.at[0].name, "loss");
    cr_assert_str_eq(chunks.rest->root.at[1].name, "squares");
    arena_free(arena);
}
