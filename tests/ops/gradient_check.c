// SPDX-License-Identifier: MIT
// Derivatives against differences: what is checked is built into the graph itself, as two numbers,
// the weighted sum of the function's elements and that of its derivatives', whose slopes are then
// measured element by element of each leaf.
#include "gradient_check.h"
#include "pass/grad.h"

#include <math.h>
#include <string.h>

// At most this many elements of a leaf are nudged; more are sampled evenly.
enum { MAX_NUDGES = 24, MAX_LEAVES = 16 };

const char gradient_not_finite[] = "it is not finite";

typedef struct Check {
    Graph *graph;
    const CheckOptions *options;
    const double **leaf; // values by node id
    const Node *leaves[MAX_LEAVES + 1];
    const Node *first[MAX_LEAVES], *second[MAX_LEAVES + 1]; // derivatives by leaf
    int count;                                              // of wrt; leaves[count] is the seed
    const Node *value, *slope; // sum(y * seed), sum(first * direction): rank 0
} Check;

double random_unit(uint64_t *state) { // splitmix64
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

void draw_leaf(void *context, const Node *leaf, double *value, int64_t count, uint64_t *state) {
    (void)context;
    for (int64_t i = 0; i < count; i++) {
        double unit = random_unit(state);
        value[i] = leaf->dtype == DT_F32 ? 4 * unit - 2 : floor(4 * unit);
    }
}

// --- What is compared

static const Node *weighted_sum(Graph *graph, const Node *x, const Node *weight) {
    const Node *product = node_binary(graph, OP_mul, x, weight);
    uint32_t all = (1u << x->shape.rank) - 1;
    return all ? node_reduce(graph, OP_reduce_sum, product, all) : product;
}

static void build(Check *check, const Node *y) {
    Graph *graph = check->graph;
    const Node *seed = node_input(graph, "check.seed", DT_F32, y->shape);
    check->leaves[check->count] = seed;
    check->value = weighted_sum(graph, y, seed);
    graph_grad(graph, y, seed, check->leaves, check->count, check->first);
    check->slope = node_const(graph, DT_F32, 0);
    for (int i = 0; i < check->count; i++) {
        const char *name = arena_printf(graph->arena, "check.direction.%d", i);
        const Node *direction = node_input(graph, name, DT_F32, check->leaves[i]->shape);
        check->slope = node_binary(graph, OP_add, check->slope,
                                   weighted_sum(graph, check->first[i], direction));
    }
    graph_grad(graph, check->slope, NULL, check->leaves, check->count + 1, check->second);
}

static void draw(Check *check) {
    Graph *graph = check->graph;
    uint64_t state = check->options->seed * 0x632be59bd9b4e019u + 1;
    check->leaf = ARENA_ARRAY(graph->arena, const double *, graph->node.count);
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        if (node->op != OP_input && node->op != OP_param && node->op != OP_state) continue;
        int64_t count = shape_eval(&node->shape, check->options->n);
        double *value = ARENA_ARRAY(graph->arena, double, count + 1);
        bool ours = !strncmp(node->attr->name, "check.", 6);
        DrawLeaf *draw_values = check->options->draw && !ours ? check->options->draw : draw_leaf;
        draw_values(check->options->context, node, value, count, &state);
        check->leaf[id] = value;
    }
}

// --- Comparing

typedef struct Sums {
    double value, slope;
} Sums;

static double **interpret(const Check *check, Arena *arena) {
    Interp with = {.n = check->options->n, .seed = 7, .leaf = check->leaf};
    return graph_interpret(check->graph, &with, arena);
}

static Sums sums_at(const Check *check, double *element, double value) {
    Arena *arena = arena_new();
    double before = *element;
    *element = value;
    double **all = interpret(check, arena);
    *element = before;
    Sums sums = {all[check->value->id][0], all[check->slope->id][0]};
    arena_free(arena);
    return sums;
}

static bool close_to(double derivative, double difference) {
    return fabs(derivative - difference) <= 2e-6 * (1 + fabs(difference));
}

// The derivatives with respect to element `at` of a leaf; first: NULL for the seed.
static const char *compare(const Check *check, const Node *leaf, int64_t at, const double *first,
                           const double *second) {
    const double step = 1e-5;
    double *element = (double *)check->leaf[leaf->id] + at;
    Sums up = sums_at(check, element, *element + step);
    Sums down = sums_at(check, element, *element - step);
    double slope = (up.value - down.value) / (2 * step);
    double curve = (up.slope - down.slope) / (2 * step);
    const char *name = leaf->attr->name;
    if (first && !close_to(first[at], slope))
        return arena_printf(check->graph->arena, "d / d %s[%lld]: %.9g, by differences %.9g", name,
                            (long long)at, first[at], slope);
    if (!close_to(second[at], curve))
        return arena_printf(check->graph->arena, "second d / d %s[%lld]: %.9g, by differences %.9g",
                            name, (long long)at, second[at], curve);
    return NULL;
}

static const char *compare_leaf(const Check *check, int i, double **value) {
    const Node *leaf = check->leaves[i];
    int64_t count = shape_eval(&leaf->shape, check->options->n);
    int64_t stride = count > MAX_NUDGES ? count / MAX_NUDGES : 1;
    for (int64_t at = 0; at < count; at += stride) {
        const double *first = i < check->count ? value[check->first[i]->id] : NULL;
        const char *wrong = compare(check, leaf, at, first, value[check->second[i]->id]);
        if (wrong) return wrong;
    }
    return NULL;
}

const char *gradient_check(Graph *graph, const Node *y, const Node *const *wrt, int count,
                           const CheckOptions *options) {
    Check check = {.graph = graph, .options = options, .count = count};
    if (count > MAX_LEAVES) bug("gradient_check: more than %d leaves", MAX_LEAVES);
    for (int i = 0; i < count; i++)
        check.leaves[i] = wrt[i];
    build(&check, y);
    const char *wrong = graph_verify(graph, STAGE_MODEL, graph->arena);
    if (wrong) return wrong;
    draw(&check);
    Arena *arena = arena_new();
    double **value = interpret(&check, arena);
    for (int64_t i = 0; i < shape_eval(&y->shape, options->n) && !wrong; i++)
        if (!isfinite(value[y->id][i])) wrong = gradient_not_finite;
    for (int i = 0; i <= count && !wrong; i++)
        wrong = compare_leaf(&check, i, value);
    arena_free(arena);
    return wrong;
}
