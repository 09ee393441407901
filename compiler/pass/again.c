// SPDX-License-Identifier: MIT
// Which tensors are computed again, and the graph with their copies. Each round plans the graph as
// it is, looks where the work arena is fullest, and takes a tensor that is made before and read
// after that, but not there.
#include "pass/again.h"
#include "pass/cost.h"
#include "pass/fuse_internal.h"

#include <string.h>

enum {
    MOST_TRIES = 64,
    WORTH_WHILE = 200, // a tensor of less than this part of all bytes is none of those to choose
};

typedef struct Round {
    Arena *arena;
    const Graph *graph;
    const Plan *plan;
    const Fusion *fusion;
    int *child;            // by node id: the child of the plan's root that makes it; -1: none does
    const Kernel **kernel; // by node id: the kernel that makes it
    int fullest;           // child of the root
    bool *refused;         // by node id
} Round;

// --- Where a plan is full

static int64_t bytes_of(const Buffer *buffer) {
    return buffer->elements * dtype_size(buffer->dtype);
}

static bool lives_at(const Buffer *buffer, int child) {
    return buffer->arena == ARENA_WORK && buffer->first >= 0 && buffer->first <= child &&
           child <= buffer->last;
}

static int64_t bytes_at(const Fusion *fusion, int child) {
    int64_t bytes = 0;
    for (int i = 0; i < fusion->buffer.count; i++)
        if (lives_at(fusion->buffer.at[i], child)) bytes += bytes_of(fusion->buffer.at[i]);
    return bytes;
}

static void find_makers(Round *r, const PlanNode *node, int child) {
    for (int i = 0; i < node->child.count; i++)
        find_makers(r, node->child.at[i], child);
    if (node->kind != PLAN_CALL) return;
    for (int i = 0; i < node->kernel->result.count; i++) {
        const Result *result = &node->kernel->result.at[i];
        if (result->from.buffer) continue; // a copy
        r->child[result->value->id] = child;
        r->kernel[result->value->id] = node->kernel;
    }
}

static Round round_new(Arena *arena, const Graph *graph, const Plan *plan) {
    Round r = {.arena = arena, .graph = graph, .plan = plan, .fusion = plan->fusion};
    int count = graph->node.count + 1;
    r.child = ARENA_ARRAY(arena, int, count);
    r.kernel = ARENA_ARRAY(arena, const Kernel *, count);
    r.refused = ARENA_ARRAY(arena, bool, count);
    memset(r.child, -1, sizeof *r.child * (size_t)count);
    for (int i = 0; i < plan->root->child.count; i++) {
        find_makers(&r, plan->root->child.at[i], i);
        if (bytes_at(r.fusion, i) > bytes_at(r.fusion, r.fullest)) r.fullest = i;
    }
    return r;
}

// --- Which tensor

static bool reads_at(const Round *r, const PlanNode *node, const Buffer *buffer) {
    for (int i = 0; i < node->child.count; i++)
        if (reads_at(r, node->child.at[i], buffer)) return true;
    for (int i = 0; node->kind == PLAN_CALL && i < node->kernel->reads.count; i++)
        if (r->fusion->storage[node->kernel->reads.at[i]->id].buffer == buffer) return true;
    return false;
}

static bool is_root(const Graph *graph, const Node *node) {
    for (int i = 0; i < graph->root.count; i++)
        if (graph->root.at[i].value == node) return true;
    return false;
}

// Made before the plan is fullest, alone in its memory, and needed again only after that. (What is
// prepared is needed by the next call, too.)
static bool is_candidate(const Round *r, const Node *node) {
    Storage at = r->fusion->storage[node->id];
    return r->child[node->id] >= 0 && !r->kernel[node->id]->prepared && !r->refused[node->id] &&
           at.buffer && at.offset == 0 && r->child[node->id] < r->fullest &&
           lives_at(at.buffer, r->fullest) && at.buffer->last > r->fullest &&
           !is_root(r->graph, node) &&
           at.buffer->elements == shape_eval(&node->shape, r->fusion->batch) &&
           !reads_at(r, r->plan->root->child.at[r->fullest], at.buffer);
}

static int next_use(const Round *r, const Node *value) { // after the plan is fullest
    int use = r->fullest + 1;
    while (!reads_at(r, r->plan->root->child.at[use], r->fusion->storage[value->id].buffer))
        use++;
    return use;
}

// Bytes that are free where the plan is fullest, if `value` is computed again for its next use: its
// own without those of what it is computed from and nothing else needs by then.
static int64_t bytes_won(const Round *r, const Node *value) {
    const Kernel *kernel = r->kernel[value->id];
    int64_t bytes = bytes_of(r->fusion->storage[value->id].buffer);
    for (int i = 0; i < kernel->reads.count; i++) {
        const Buffer *buffer = r->fusion->storage[kernel->reads.at[i]->id].buffer;
        if (buffer->arena == ARENA_WORK && buffer->last < r->fullest) bytes -= bytes_of(buffer);
    }
    return bytes;
}

static const Node *best_candidate(const Round *r) {
    const Node *best = NULL;
    double most = 0;
    int64_t least = bytes_at(r->fusion, r->fullest) / WORTH_WHILE;
    for (int id = 0; id < r->graph->node.count; id++) {
        const Node *node = r->graph->node.at[id];
        if (!is_candidate(r, node)) continue;
        Cost cost = kernel_cost(r->arena, r->fusion, r->kernel[id]);
        int64_t bytes = bytes_won(r, node);
        double worth = (double)bytes / (cost.flops + cost.bytes + 1);
        if (bytes > least && worth > most) best = node, most = worth;
    }
    return best;
}

// The last thing that is made before `value` is read again.
static const Node *made_before_use(const Round *r, const Node *value) {
    const Node *last = NULL;
    int use = next_use(r, value);
    for (int id = 0; id < r->graph->node.count; id++) {
        const Node *node = r->graph->node.at[id];
        if (r->child[id] < r->fullest || r->child[id] >= use) continue;
        if (r->fusion->storage[id].buffer->arena != ARENA_WORK) continue;
        if (!last || r->child[id] > r->child[last->id]) last = node;
    }
    return last;
}

// --- The graph with its copy

// Nodes come in the order that they had; a copy, in front of the first that reads it.
typedef struct Rewrite {
    const Round *round;
    Graph *to;
    // By id: what a node is for kernels up to the one that makes `after`, for those behind it, and
    // within the copy.
    const Node **early, **late, **copy;
    const Node *value, *after; // the tensor; what its copy comes after
    int until;                 // the child of the plan's root that makes `after`
} Rewrite;

typedef const Node *Version(Rewrite *w, const Node *node);

static const Node *rebuilt(Rewrite *w, const Node *node, Version *version) {
    const Graph *from = w->round->graph;
    const Node **in = ARENA_ARRAY(w->to->arena, const Node *, node->in_count + 1);
    for (int i = 0; i < node->in_count; i++)
        in[i] = version(w, node->in[i]);
    const Node *made = node_rebuild(w->to, node, in);
    graph_take_notes(w->to, made, from, node);
    return made;
}

static bool is_stored(const Rewrite *w, const Node *node) {
    return node_is_leaf(node) || w->round->child[node->id] >= 0;
}

static bool is_early(const Rewrite *w, const Node *node) {
    return is_stored(w, node) && w->round->child[node->id] <= w->until;
}

static const Node *early(Rewrite *w, const Node *node) {
    const Node **made = &w->early[node->id];
    if (!*made) *made = rebuilt(w, node, early);
    return *made;
}

static const Node *copy(Rewrite *w, const Node *node) {
    const Node **made = &w->copy[node->id];
    if (*made) return *made;
    bool inner = node == w->value || !is_stored(w, node);
    *made = inner ? rebuilt(w, node, copy) : node_again(w->to, early(w, node), early(w, w->after));
    return *made;
}

static const Node *late(Rewrite *w, const Node *node) {
    const Node **made = &w->late[node->id];
    if (*made) return *made;
    *made = node == w->value    ? copy(w, node)
            : is_early(w, node) ? early(w, node)
                                : rebuilt(w, node, late);
    return *made;
}

static const Graph *with_copy(const Round *r, Arena *arena, const Node *value, const Node *after) {
    int count = r->graph->node.count + 1;
    Rewrite w = {.round = r, .to = graph_new(arena, r->graph->name), .value = value};
    w.after = after;
    w.until = r->child[after->id];
    w.to->stage = r->graph->stage;
    w.early = ARENA_ARRAY(r->arena, const Node *, count);
    w.late = ARENA_ARRAY(r->arena, const Node *, count);
    w.copy = ARENA_ARRAY(r->arena, const Node *, count);
    for (int id = 0; id < r->graph->node.count; id++) {
        const Node *node = r->graph->node.at[id];
        if (is_early(&w, node)) early(&w, node);
        if (is_stored(&w, node) && !is_early(&w, node)) late(&w, node);
    }
    for (int i = 0; i < r->graph->root.count; i++) {
        const Root *root = &r->graph->root.at[i];
        graph_add_root(w.to, root->kind, root->name, root->leaf ? early(&w, root->leaf) : NULL,
                       late(&w, root->value));
    }
    return copy(&w, value) != early(&w, value) ? w.to : NULL; // else it is made of constants alone
}

// --- The pass

static const Plan *plan_of(Arena *arena, const Graph *graph, const Planning *how) {
    Fusion *fusion = fuse(arena, graph, how->batch, how->target, how->placement, how->placements);
    return plan_make(arena, fusion, WAKING_TIME);
}

// The next graph that takes less, or NULL. *tries: how many more there are.
static const Graph *next_graph(Arena *arena, Round *r, const Planning *how, int *tries) {
    const Node *value;
    int64_t full = bytes_at(r->fusion, r->fullest);
    while (*tries > 0 && (value = best_candidate(r))) {
        const Node *after = made_before_use(r, value);
        const Graph *graph = after ? with_copy(r, arena, value, after) : NULL;
        r->refused[value->id] = true;
        if (!graph) continue;
        --*tries;
        const Plan *plan = plan_of(r->arena, graph, how);
        Round next = round_new(r->arena, graph, plan);
        if (plan->work_bytes <= r->plan->work_bytes &&
            bytes_at(next.fusion, next.fullest) <= full &&
            (plan->work_bytes < r->plan->work_bytes || bytes_at(next.fusion, next.fullest) < full))
            return graph;
    }
    return NULL;
}

const Graph *compute_again(Arena *arena, const Graph *graph, const Planning *how, int64_t room) {
    int tries = MOST_TRIES;
    for (bool going = true; going;) {
        Arena *scratch = arena_new();
        const Plan *plan = plan_of(scratch, graph, how);
        Round round = round_new(scratch, graph, plan);
        const Graph *next = plan->work_bytes > room ? next_graph(arena, &round, how, &tries) : NULL;
        going = next != NULL;
        if (next) graph = next;
        arena_free(scratch);
    }
    return graph;
}
