// SPDX-License-Identifier: MIT
// Graphs in chunks, by the oracle: where a random graph can be split, the chunks' sums and the rest
// give what the whole gives.
#include "pass/chunk.h"
#include "random_graph.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

// --- Random graphs

enum { GRAPHS = 600, LEAST_SPLIT = 60, EXAMPLES = 5 };

// One root alone; what it has for each example is summed.
static Graph *one_root(Arena *arena, const Graph *graph, const Root *root) {
    Graph *made = graph_new(arena, "train");
    const Node **done = ARENA_ARRAY(arena, const Node *, graph->node.count + 1);
    const Node *value = graph_import(made, graph, root->value, done);
    bool varies = false;
    for (int axis = 0; axis < value->shape.rank; axis++)
        varies |= !dim_is_const(value->shape.dim[axis]);
    if (varies && value->dtype == DT_BOOL) value = node_cast(made, DT_I32, value);
    if (varies) value = node_reduce(made, OP_reduce_sum, value, (1u << value->shape.rank) - 1);
    graph_add_root(made, ROOT_OUTPUT, "y", NULL, value);
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

// The leaves that `part` shares with the whole; of inputs, the examples from `first` on.
static const double **leaves_of(Arena *arena, const Graph *part, const Graph *whole,
                                const double *const *leaf, int64_t first) {
    const double **own = ARENA_ARRAY(arena, const double *, part->node.count + 1);
    for (int id = 0; id < part->node.count; id++) {
        const Node *node = part->node.at[id], *from = is_leaf(node) ? find_leaf(whole, node) : NULL;
        if (!from) continue;
        bool by_example = from->shape.rank > 0 && !dim_is_const(from->shape.dim[0]);
        own[id] = leaf[from->id] + (by_example ? first * shape_eval(&from->shape, 1) : 0);
    }
    return own;
}

// Gives the leaf of a sum in `part` its value: zeros, or what the root of that name was.
static void set_sums(Arena *arena, const Graph *part, const double **leaf, const Graph *before,
                     double *const *value) {
    for (int i = 0; i < part->root.count; i++) {
        const Root *root = &part->root.at[i];
        if (root->kind != ROOT_STATE) continue;
        leaf[root->leaf->id] = ARENA_ARRAY(arena, double, shape_eval(&root->leaf->shape, 1));
        for (int k = 0; before && k < before->root.count; k++)
            if (!strcmp(before->root.at[k].name, root->name))
                leaf[root->leaf->id] = value[before->root.at[k].value->id];
    }
}

static void expect_the_same(Arena *arena, const Graph *whole, const Chunks *chunks, int seed,
                            int64_t size) {
    const double **leaf = random_leaves(arena, whole, EXAMPLES, (uint64_t)seed);
    Interp with = {.n = EXAMPLES, .step = 3, .epoch = 1, .seed = 7, .leaf = leaf};
    double **wanted = graph_interpret(whole, &with, arena), **sum = NULL;
    for (int64_t first = 0; first < EXAMPLES; first += size) {
        const double **own = leaves_of(arena, chunks->chunk, whole, leaf, first);
        set_sums(arena, chunks->chunk, own, sum ? chunks->chunk : NULL, sum);
        Interp part = with;
        part.n = first + size > EXAMPLES ? EXAMPLES - first : size;
        part.first = first;
        part.of = EXAMPLES;
        part.leaf = own;
        sum = graph_interpret(chunks->chunk, &part, arena);
    }
    const double **own = leaves_of(arena, chunks->rest, whole, leaf, 0);
    set_sums(arena, chunks->rest, own, chunks->chunk, sum);
    with.leaf = own;
    double **got = graph_interpret(chunks->rest, &with, arena);
    for (int i = 0; i < whole->root.count; i++) {
        const Node *a = whole->root.at[i].value, *b = chunks->rest->root.at[i].value;
        for (int64_t k = 0; k < shape_eval(&a->shape, EXAMPLES); k++)
            cr_assert(fabs(wanted[a->id][k] - got[b->id][k]) <=
                              1e-9 * (1 + fabs(wanted[a->id][k])) ||
                          (isnan(wanted[a->id][k]) && isnan(got[b->id][k])),
                      "seed %d, chunks of %d: %s[%d] was %.17g, is %.17g", seed, (int)size,
                      whole->root.at[i].name, (int)k, wanted[a->id][k], got[b->id][k]);
    }
}

static bool split_and_compare(Arena *arena, const Graph *whole, int seed) {
    Chunks chunks = chunk_split(arena, whole);
    cr_assert((chunks.why == NULL) == (chunks.chunk != NULL));
    for (int64_t size = 1; chunks.chunk && size <= 3; size++) {
        const char *wrong = graph_verify(chunks.chunk, STAGE_MODEL, arena);
        if (!wrong) wrong = graph_verify(chunks.rest, STAGE_MODEL, arena);
        cr_assert_null(wrong, "seed %d: %s", seed, wrong);
        expect_the_same(arena, whole, &chunks, seed, size);
    }
    return chunks.chunk != NULL;
}

Test(chunks, of_random_graphs_give_what_the_whole_gives) {
    int split = 0, all = 0;
    for (int seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        const Graph *graph = random_graph(arena, (uint64_t)seed);
        for (int i = 0; i < graph->root.count; i++, all++)
            split += split_and_compare(arena, one_root(arena, graph, &graph->root.at[i]), seed);
        arena_free(arena);
    }
    cr_assert(split >= LEAST_SPLIT, "%d of %d graphs were split", split, all);
}
