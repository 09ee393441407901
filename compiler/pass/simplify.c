// SPDX-License-Identifier: MIT
// Simplification: the graph is rebuilt node by node, in order; each rebuilt node is shown to the
// rules of its operator until none applies. What a rule builds below its result is seen in the next
// round; rounds go on until one in which no rule applied. Nodes that no root needs are not rebuilt.
//
// What rules may do to numbers (NaN and infinity are kept unless said otherwise):
//   - Bit for bit the same, except for the sign of zero: x + 0 is x, 0 - x is -x, -(x - y) is y -
//   x.
//   - Constants are folded in double and rounded once, where they are used; never to NaN, infinity
//   or out
//     of an i32. A part of the graph that is only constants may so be nearer to the real numbers.
//   - x * 0 is 0 only where x is finite by how it was made (a cast of an integer or bool, iota, a
//   choice
//     between such): else it would hide a NaN, which is how a user finds a network that has gone
//     wrong.
//   - Sums are reassociated in two places: a sum of k equal terms is a product with k, and zeros
//   that
//     padding put in are not added.
//   - x^2 is x * x and x^-1 is 1 / x: within one unit in the last place.
// Nothing else is reassociated: x / k stays a division, x * k1 * k2 two products.
#include "pass/simplify.h"
#include "pass/rules.h"

enum { MAX_ROUNDS = 64, MAX_STEPS = 64 }; // far more than any graph takes; each rule leads downhill

static const Node *rule_size(Graph *graph, const Node *node) {
    if (!dim_is_const(node->attr->extent)) return NULL;
    return node_const(graph, DT_F64, (double)node->attr->extent.c[0]);
}

static Rule *const *rules_of(Op op) {
    static Rule *const size_rules[] = {rule_size, NULL};
    if (op_info(op)->pointwise || op == OP_cast) return pointwise_rules();
    switch (op) {
    case OP_contract:
        return contract_rules();
    case OP_size:
        return size_rules;
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_argmax:
        return reduce_rules(op);
    default:
        return movement_rules(op);
    }
}

static const Node *apply_rules(Graph *graph, const Node *node, bool keep_stop) {
    if (node->op == OP_stop) return keep_stop ? NULL : node->in[0];
    for (Rule *const *rule = rules_of(node->op); *rule; rule++) {
        const Node *better = (*rule)(graph, node);
        if (better) return better;
    }
    return NULL;
}

// --- One round

typedef struct Round {
    const Graph *from;
    Graph *to;
    const Node **done; // by id in `from`
    bool copy;         // nothing but
    bool keep_stop, changed;
} Round;

static void mark_live(const Graph *graph, bool *live) {
    for (int i = 0; i < graph->root.count; i++) {
        live[graph->root.at[i].value->id] = true;
        if (graph->root.at[i].leaf) live[graph->root.at[i].leaf->id] = true;
    }
    for (int id = graph->node.count - 1; id >= 0; id--)
        for (int i = 0; live[id] && i < graph->node.at[id]->in_count; i++)
            live[graph->node.at[id]->in[i]->id] = true;
}

static const Node *rewrite(Round *round, const Node *node) {
    for (int step = 0; step < MAX_STEPS && !round->copy; step++) {
        const Node *better = apply_rules(round->to, node, round->keep_stop);
        if (!better) break;
        if (better->dtype != node->dtype || !shape_equal(&better->shape, &node->shape))
            bug("simplify: %s became %s of another shape or type", op_info(node->op)->name,
                op_info(better->op)->name);
        round->changed = true;
        node = better;
    }
    return node;
}

static void rebuild(Round *round, const Node *node, Arena *scratch) {
    const Node **in = ARENA_ARRAY(scratch, const Node *, node->in_count);
    for (int i = 0; i < node->in_count; i++)
        in[i] = round->done[node->in[i]->id];
    graph_stand_for(round->to, round->from, node);
    const Node *made = rewrite(round, node_rebuild(round->to, node, in));
    graph_take_notes(round->to, made, round->from, node);
    round->done[node->id] = made;
}

static Graph *run_round(Arena *arena, Round *round) {
    Arena *scratch = arena_new();
    const Graph *from = round->from;
    Graph *to = round->to = graph_new(arena, from->name);
    bool *live = ARENA_ARRAY(scratch, bool, from->node.count);
    to->stage = from->stage;
    round->done = ARENA_ARRAY(scratch, const Node *, from->node.count);
    mark_live(from, live);
    for (int id = 0; id < from->node.count; id++)
        if (live[id]) rebuild(round, from->node.at[id], scratch);
    for (int i = 0; i < from->root.count; i++) {
        const Root *root = &from->root.at[i];
        const Node *leaf = root->leaf ? round->done[root->leaf->id] : NULL;
        graph_add_root(to, root->kind, root->name, leaf, round->done[root->value->id]);
    }
    graph_stand_for(to, from, NULL);
    arena_free(scratch);
    return to;
}

// Each round's graph is thrown away. The last is copied into the caller's arena, without what rules
// built on the way to finding that they do not apply.
static Graph *run(Arena *arena, const Graph *graph, bool keep_stop) {
    Arena *old = NULL;
    bool changed = true;
    for (int i = 0; i < MAX_ROUNDS && changed; i++) {
        Arena *scratch = arena_new();
        Round round = {.from = graph, .keep_stop = keep_stop};
        graph = run_round(scratch, &round);
        changed = round.changed;
        arena_free(old);
        old = scratch;
    }
    Graph *result = run_round(arena, &(Round){.from = graph, .copy = true});
    arena_free(old);
    return result;
}

Graph *simplify(Arena *arena, const Graph *graph) { return run(arena, graph, false); }

Graph *simplify_before_grad(Arena *arena, const Graph *graph) { return run(arena, graph, true); }
