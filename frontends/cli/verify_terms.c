// SPDX-License-Identifier: MIT
// How large what a kernel adds up is. A sum that is zero by cancellation (the gradient of a bias
// whose layer's mean is subtracted again) is no more exact than its terms are, however small it is.
//
// The kernel's nodes once more, on absolute values: a difference becomes a sum, and from what is
// not linear on, a value counts by itself. That is a graph of its own, which the interpreter runs.
#include "cli/verify.h"

#include <math.h>

typedef struct Terms {
    Arena *arena;
    Graph *graph;
    double *const *value; // the oracle's, by id of the function's graph
    int64_t n;
    const Node **size;         // by the same id: in `graph`, how large the node's terms are
    VEC(const double *) given; // by id of `graph`: values of its inputs
} Terms;

// |value| as an input of the graph.
static const Node *given_size(Terms *terms, const Node *node) {
    int64_t count = shape_eval(&node->shape, terms->n);
    const Node *input =
        node_input(terms->graph, arena_printf(terms->arena, "%u", node->id), DT_F32, node->shape);
    double *size = ARENA_ARRAY(terms->arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        size[i] = fabs(terms->value[node->id][i]);
    while ((uint32_t)terms->given.count <= input->id)
        VEC_PUSH(terms->arena, terms->given, NULL);
    terms->given.at[input->id] = size;
    return input;
}

static const Node *size_of(Terms *terms, const Node *node) {
    const Node **size = &terms->size[node->id];
    if (!*size) *size = given_size(terms, node);
    return *size;
}

static bool is_linear(Op op) {
    switch (op) {
    case OP_reshape:
    case OP_permute:
    case OP_broadcast:
    case OP_pad:
    case OP_slice:
    case OP_flip:
    case OP_concat:
    case OP_window:
    case OP_fold:
    case OP_stop:
    case OP_reduce_sum:
    case OP_contract:
    case OP_product:
    case OP_add:
    case OP_mul:
        return true;
    default:
        return false;
    }
}

// Of a node that the kernel computes.
static const Node *terms_of(Terms *terms, const Node *node) {
    const Node **in = ARENA_ARRAY(terms->arena, const Node *, node->in_count + 1);
    if (node->dtype != DT_F32) return given_size(terms, node);
    if (node->op == OP_neg) return size_of(terms, node->in[0]);
    if (node->op == OP_div)
        return node_binary(terms->graph, OP_div, size_of(terms, node->in[0]),
                           given_size(terms, node->in[1]));
    if (node->op == OP_sub)
        return node_binary(terms->graph, OP_add, size_of(terms, node->in[0]),
                           size_of(terms, node->in[1]));
    if (node->op == OP_select)
        return node_binary(terms->graph, OP_max, size_of(terms, node->in[1]),
                           size_of(terms, node->in[2]));
    if (!is_linear(node->op)) return given_size(terms, node);
    for (int i = 0; i < node->in_count; i++)
        in[i] = size_of(terms, node->in[i]);
    return node_rebuild(terms->graph, node, in);
}

double kernel_terms(const Fusion *fusion, const Kernel *kernel, const Node *result,
                    double *const *value, int64_t n) {
    Arena *arena = arena_new();
    Terms terms = {.arena = arena, .value = value, .n = n};
    terms.graph = graph_new(arena, "terms");
    terms.graph->stage = STAGE_LOWERED;
    terms.size = ARENA_ARRAY(arena, const Node *, fusion->graph->node.count + 1);
    KernelNodes own = kernel_nodes(arena, fusion, kernel);
    for (int i = 0; i < own.node.count; i++)
        terms.size[own.node.at[i]->id] = terms_of(&terms, own.node.at[i]);
    const Node *size = size_of(&terms, result);
    while (terms.given.count < terms.graph->node.count)
        VEC_PUSH(arena, terms.given, NULL);
    double **all = graph_interpret(terms.graph, &(Interp){.n = n, .leaf = terms.given.at}, arena);
    double largest = 0;
    for (int64_t i = 0; i < shape_eval(&size->shape, n); i++)
        largest = fmax(largest, all[size->id][i]);
    arena_free(arena);
    return isfinite(largest) ? largest : 0;
}
