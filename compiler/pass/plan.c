// SPDX-License-Identifier: MIT
// The plan of a function: which kernels run in which order, how each is shared out among threads,
// and where the buffers between them lie.
//
// A level (pass/group.h) with little work runs on one thread: waking the others takes longer. How
// the rest is cut into parts depends on shapes alone, never on the number of threads, so neither do
// the results.
#include "pass/cost.h"
#include "pass/fuse_internal.h"
#include "pass/group.h"

#include <stdlib.h>

enum { PRODUCT_PARTS = 8, PART_ROWS = 128 };

enum {
    LEVEL_PARTS = 16, // strands of less than this part of their level are not cut
};

static int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

bool kernel_splits_columns(const Kernel *kernel) {
    return kernel->result.at[0].value == kernel->core && product_is_wide(kernel->core);
}

void product_share(const Kernel *kernel, Dim *outer, Dim *unit) {
    const Node *core = kernel->core;
    bool columns = kernel_splits_columns(kernel);
    *outer = core->shape.dim[columns ? 2 : 1];
    *unit = dim_const(1);
    if (columns && kernel->operand[1]) { // in whole indices of the operand's second axis
        int64_t offset;
        *outer = strip_views(core->in[1], 1, &offset)->shape.dim[1];
        if (!dim_div(unit, core->shape.dim[2], *outer))
            bug("a copied operand is not the product's columns");
    } else if (kernel->result.at[0].value != core &&
               !product_outer(core, &kernel->space, outer, unit)) {
        bug("a product's epilogue is not its rows");
    }
}

int64_t product_grain(const Fusion *fusion, const Kernel *kernel) {
    Dim outer, unit;
    product_share(kernel, &outer, &unit);
    int64_t count = dim_eval(outer, fusion->batch), rows = dim_eval(unit, fusion->batch),
            parts = PRODUCT_PARTS;
    while (parts > 2 && count * rows / parts < PART_ROWS)
        parts /= 2;
    return round_up((count + parts - 1) / parts, dim_is_one(unit) ? 16 : 1);
}

// --- The tree

static PlanNode *new_node(Arena *arena, PlanKind kind, double time) {
    PlanNode *node = ARENA_NEW(arena, PlanNode);
    node->kind = kind;
    node->time = time;
    return node;
}

static PlanNode *plan_call(Arena *arena, const Walk *walk, int64_t unit) {
    PlanNode *call = new_node(arena, PLAN_CALL, walk->time);
    call->kernel = walk->kernel;
    call->count = walk->count;
    call->unit = unit;
    return call;
}

// One kernel is cut as finely as it can be, several along the extent that they share.
static PlanNode *plan_strand(Arena *arena, const Fusion *fusion, Strand *strand) {
    PlanNode *par = new_node(arena, PLAN_PAR, 0);
    bool alone = strand->walk.count == 1;
    par->count = alone ? strand->walk.at[0]->count : strand->walk.at[0]->outer;
    if (!alone) strand->grain = strand_grain(fusion, strand);
    par->grain = alone ? strand->walk.at[0]->grain : strand->grain;
    if (par->grain < 1) par->grain = 1; // of nothing
    for (int i = 0; i < strand->walk.count; i++) {
        const Walk *walk = strand->walk.at[i];
        VEC_PUSH(arena, par->child, plan_call(arena, walk, alone ? 1 : walk->unit));
    }
    int64_t count = dim_eval(par->count, fusion->batch),
            parts = (count + par->grain - 1) / par->grain;
    par->time = strand->time / (double)(parts > 0 ? parts : 1);
    return par;
}

static void add_calls(Arena *arena, PlanNode *to, const Strand *strand) {
    for (int i = 0; i < strand->walk.count; i++)
        VEC_PUSH(arena, to->child, plan_call(arena, strand->walk.at[i], 0));
}

// Strands of a level that are short against it are parts by themselves, several together.
static PlanNode *plan_level(Arena *arena, const Fusion *fusion, const Level *level) {
    double share = level->time / LEVEL_PARTS;
    PlanNode *each = new_node(arena, PLAN_EACH, level->time), *rest = NULL;
    for (int i = 0; i < level->strand.count; i++) {
        Strand *strand = level->strand.at[i];
        if (strand->time > share) VEC_PUSH(arena, each->child, plan_strand(arena, fusion, strand));
    }
    for (int i = 0; i < level->strand.count; i++) {
        const Strand *strand = level->strand.at[i];
        if (strand->time > share) continue;
        if (!rest || rest->time + strand->time > share) {
            rest = new_node(arena, PLAN_SEQ, 0);
            VEC_PUSH(arena, each->child, rest);
        }
        add_calls(arena, rest, strand);
        rest->time += strand->time;
    }
    return each->child.count == 1 ? each->child.at[0] : each;
}

static int by_kernel(const void *a, const void *b) {
    const PlanNode *x = *(PlanNode *const *)a, *y = *(PlanNode *const *)b;
    return x->kernel->id - y->kernel->id;
}

static PlanNode *plan_tree(Arena *arena, const Fusion *fusion, const Groups *groups, double least) {
    PlanNode *root = new_node(arena, PLAN_SEQ, 0);
    for (int i = 0; i < groups->level.count; i++) {
        const Level *level = groups->level.at[i];
        int first = root->child.count;
        root->time += level->time;
        if (level->time >= least) VEC_PUSH(arena, root->child, plan_level(arena, fusion, level));
        for (int k = 0; k < level->strand.count && level->time < least; k++)
            add_calls(arena, root, level->strand.at[k]);
        int count = root->child.count - first;
        qsort(root->child.at + first, (size_t)count, sizeof *root->child.at, by_kernel);
        for (int k = first; k < root->child.count; k++)
            root->child.at[k]->prepared = level->prepared;
    }
    return root;
}

// On a GPU: one kernel after the other, each as a whole. Times are those of a GPU of 2023, about.
static PlanNode *plan_flat(Arena *arena, const Fusion *fusion) {
    enum { FLOPS = 20000, BYTES = 3000 }; // in a nanosecond
    PlanNode *root = new_node(arena, PLAN_SEQ, 0);
    for (int i = 0; i < fusion->kernel.count; i++) {
        const Kernel *kernel = fusion->kernel.at[i];
        Cost cost = kernel_cost(arena, fusion, kernel);
        PlanNode *call = new_node(arena, PLAN_CALL, cost.flops / FLOPS + cost.bytes / BYTES);
        call->kernel = kernel;
        call->count = dim_const(1);
        root->time += call->time;
        VEC_PUSH(arena, root->child, call);
    }
    return root;
}

// --- Live ranges

static void touch(Buffer *buffer, int at) {
    if (!buffer) return;
    if (buffer->first < 0 || at < buffer->first) buffer->first = at;
    if (at > buffer->last) buffer->last = at;
}

static void touch_all(const Fusion *fusion, const PlanNode *node, int at) {
    for (int i = 0; i < node->child.count; i++)
        touch_all(fusion, node->child.at[i], at);
    if (node->kind != PLAN_CALL) return;
    const Kernel *kernel = node->kernel;
    for (int i = 0; i < kernel->result.count; i++) {
        touch(kernel->result.at[i].to.buffer, at);
        touch(kernel->result.at[i].from.buffer, at);
    }
    touch(kernel->partial, at);
    for (int i = 0; i < kernel->reads.count; i++)
        touch(fusion->storage[kernel->reads.at[i]->id].buffer, at);
}

// What is prepared for later stays from one call to the next.
static void keep_prepared(const Fusion *fusion, const PlanNode *root) {
    int first = 0;
    while (first < root->child.count && root->child.at[first]->prepared)
        first++;
    for (int i = 0; i < fusion->buffer.count; i++) {
        Buffer *buffer = fusion->buffer.at[i];
        if (buffer->first < 0 || buffer->first >= first || buffer->last < first) continue;
        buffer->first = 0;
        buffer->last = root->child.count - 1;
    }
}

// What goes on at the same time, or part by part, may not lie at the same place.
static int64_t place_work(Arena *arena, const Fusion *fusion, const PlanNode *root) {
    Buffers work = {0};
    for (int i = 0; i < fusion->buffer.count; i++)
        fusion->buffer.at[i]->first = fusion->buffer.at[i]->last = -1;
    for (int i = 0; i < root->child.count; i++)
        touch_all(fusion, root->child.at[i], i);
    keep_prepared(fusion, root);
    for (int i = 0; i < fusion->buffer.count; i++)
        if (fusion->buffer.at[i]->arena == ARENA_WORK && fusion->buffer.at[i]->last >= 0)
            VEC_PUSH(arena, work, fusion->buffer.at[i]);
    return memory_plan(&work);
}

static int64_t scratch_needed(const Fusion *fusion) {
    int64_t bytes = 0;
    for (int i = 0; i < fusion->buffer.count; i++) {
        const Buffer *buffer = fusion->buffer.at[i];
        int64_t end =
            buffer->offset + round_up(buffer->elements * dtype_size(buffer->dtype), NNC_ALIGN);
        if (buffer->arena == ARENA_SCRATCH && end > bytes) bytes = end;
    }
    return bytes;
}

Plan *plan_make(Arena *arena, Fusion *fusion, double least) {
    Plan *plan = ARENA_NEW(arena, Plan);
    plan->fusion = fusion;
    if (fusion->target->gpu) {
        plan->root = plan_flat(arena, fusion);
        plan->work_bytes = place_work(arena, fusion, plan->root);
        return plan;
    }
    const Groups *groups = groups_make(arena, fusion);
    plan->root = plan_tree(arena, fusion, groups, least);
    plan->scratch_bytes = scope_buffers(arena, fusion, groups, scratch_needed(fusion));
    plan->work_bytes = place_work(arena, fusion, plan->root);
    return plan;
}
