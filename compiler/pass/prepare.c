// SPDX-License-Identifier: MIT
// Kernels that are run once for many calls: see prepare.h.
#include "pass/prepare.h"

static bool depends_on_call(const Node *node) {
    switch (node->op) {
    case OP_input:
    case OP_hyper:
    case OP_step:
    case OP_epoch:
    case OP_random:
    case OP_size:
    case OP_again: // it is there to be computed late
        return true;
    default:
        for (int axis = 0; axis < node->shape.rank; axis++)
            if (!dim_is_const(node->shape.dim[axis])) return true;
        return false;
    }
}

// By node id: does it follow from what the function leaves as it is?
static bool *find_fixed(Arena *arena, const Graph *graph) {
    bool *fixed = ARENA_ARRAY(arena, bool, graph->node.count + 1);
    bool *changed = ARENA_ARRAY(arena, bool, graph->node.count + 1);
    for (int i = 0; i < graph->root.count; i++) {
        const Root *root = &graph->root.at[i];
        if (root->kind == ROOT_STATE && root->value != root->leaf) changed[root->leaf->id] = true;
    }
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        fixed[id] = !depends_on_call(node) && !changed[id];
        for (int i = 0; i < node->in_count; i++)
            fixed[id] &= fixed[node->in[i]->id];
    }
    return fixed;
}

static bool is_prepared(const Fusion *fusion, const Kernel *kernel, const bool *fixed,
                        const bool *from_call) {
    for (int i = 0; i < kernel->result.count; i++) {
        const Result *result = &kernel->result.at[i];
        if (!fixed[result->value->id] || result->to.buffer->arena != ARENA_WORK) return false;
    }
    for (int i = 0; i < kernel->reads.count; i++) // a kernel of several results may make some late
        if (from_call[fusion->storage[kernel->reads.at[i]->id].buffer->id]) return false;
    return true;
}

void mark_prepared(Arena *arena, Fusion *fusion) {
    const bool *fixed = find_fixed(arena, fusion->graph);
    bool *from_call = ARENA_ARRAY(arena, bool, fusion->buffer.count + 1); // by buffer id
    for (int k = 0; k < fusion->kernel.count; k++) {
        Kernel *kernel = fusion->kernel.at[k];
        kernel->prepared = is_prepared(fusion, kernel, fixed, from_call);
        for (int i = 0; i < kernel->result.count && !kernel->prepared; i++)
            from_call[kernel->result.at[i].to.buffer->id] = true;
    }
}
