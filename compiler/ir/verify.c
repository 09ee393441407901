// SPDX-License-Identifier: MIT
// The verifier: whether a graph is one that every pass may take for granted at a stage. Run after
// each pass; it promises that operands come before users, that every node keeps its rule, that
// equal leaves are one, that step scalars depend on nothing but step scalars, and that roots fit
// their leaves.
#include "ir/graph.h"
#include "support/map.h"

#include <string.h>

typedef struct Verifier {
    const Graph *graph;
    Arena *arena;
    Stage stage;
    Map *leaf;     // by name: the input, param, state or hyper node
    bool *is_step; // by id: computed from scalars of the step alone
} Verifier;

static const char *wrong(const Verifier *verifier, const Node *node, const char *text) {
    return arena_printf(verifier->arena, "%s: %%%u: %s", verifier->graph->name, node->id, text);
}

static const char *verify_place(const Verifier *verifier, const Node *node, int id) {
    if (node->id != (uint32_t)id) return wrong(verifier, node, "is not at the place of its number");
    for (int i = 0; i < node->in_count; i++)
        if (!graph_owns(verifier->graph, node->in[i]) || node->in[i]->id >= node->id)
            return wrong(verifier, node, "has an operand that does not come before it");
    return NULL;
}

static const char *verify_stage(const Verifier *verifier, const Node *node) {
    if (op_info(node->op)->stage <= verifier->stage) return NULL;
    return wrong(
        verifier, node,
        arena_printf(verifier->arena, "%s is not legal at this stage", op_info(node->op)->name));
}

// A leaf's name is its identity outside of the graph. Inputs, tensors and hyper-parameters are
// found in different tables; parameters and states are both tensors.
static const char *verify_leaf(const Verifier *verifier, const Node *node) {
    if (node->op != OP_input && node->op != OP_param && node->op != OP_state &&
        node->op != OP_hyper)
        return NULL;
    const char *kind = node->op == OP_input ? "input" : node->op == OP_hyper ? "hyper" : "tensor";
    const char *key = arena_printf(verifier->arena, "%s %s", kind, node->attr->name);
    if (map_get(verifier->leaf, key))
        return wrong(verifier, node,
                     arena_printf(verifier->arena, "a second %s \"%s\"", kind, node->attr->name));
    map_put(verifier->leaf, key, (void *)node);
    return NULL;
}

static bool step_scalar(const Verifier *verifier, const Node *node) {
    if (node->shape.rank > 0) return false;
    if (node->op == OP_const || node->op == OP_hyper || node->op == OP_step ||
        node->op == OP_epoch || node->op == OP_size)
        return true;
    if (!op_info(node->op)->pointwise && node->op != OP_cast && node->op != OP_stop) return false;
    for (int i = 0; i < node->in_count; i++)
        if (!verifier->is_step[node->in[i]->id]) return false;
    return true;
}

static const char *verify_node(const Verifier *verifier, int id) {
    const Node *node = verifier->graph->node.at[id];
    const char *text = verify_place(verifier, node, id);
    if (!text) text = verify_stage(verifier, node);
    if (text) return text;
    text = node_check(node, verifier->arena);
    if (text) return wrong(verifier, node, text);
    verifier->is_step[id] = step_scalar(verifier, node);
    if (node->dtype == DT_F64 && !verifier->is_step[id])
        return wrong(verifier, node, "is f64 but depends on a tensor");
    return verify_leaf(verifier, node);
}

static bool same_target(const Root *a, const Root *b) {
    if (a->kind != b->kind) return false;
    return a->kind == ROOT_STATE ? a->leaf == b->leaf : !strcmp(a->name, b->name);
}

static const char *verify_root(const Verifier *verifier, int index) {
    const Graph *graph = verifier->graph;
    const Root *root = &graph->root.at[index];
    const char *text = NULL;
    if (!graph_owns(graph, root->value))
        text = "is a node of another graph";
    else if (root->value->dtype == DT_F64)
        text = "is f64, which is never stored";
    else if (root->value->dtype == DT_BF16)
        text = "is bf16, which nobody outside reads";
    for (int i = 0; i < index && !text; i++)
        if (same_target(&graph->root.at[i], root)) text = "is given twice";
    if (root->kind == ROOT_STATE && !text) {
        const Node *leaf = root->leaf;
        if (!graph_owns(graph, leaf) || (leaf->op != OP_state && leaf->op != OP_param))
            text = "has no state leaf";
        else if (leaf->dtype != root->value->dtype ||
                 !shape_equal(&leaf->shape, &root->value->shape))
            text = "has a next value of another type";
    }
    if (!text) return NULL;
    return arena_printf(verifier->arena, "%s: root \"%s\" %s", graph->name, root->name, text);
}

const char *graph_verify(const Graph *graph, Stage stage, Arena *arena) {
    Verifier verifier = {.graph = graph,
                         .arena = arena,
                         .stage = stage,
                         .leaf = map_new(arena),
                         .is_step = ARENA_ARRAY(arena, bool, graph->node.count)};
    for (int id = 0; id < graph->node.count; id++) {
        const char *text = verify_node(&verifier, id);
        if (text) return text;
    }
    for (int i = 0; i < graph->root.count; i++) {
        const char *text = verify_root(&verifier, i);
        if (text) return text;
    }
    return NULL;
}
