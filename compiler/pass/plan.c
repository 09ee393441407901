// SPDX-License-Identifier: MIT
// The plan of a function: which kernels run in which order, how each is shared out among threads,
// and where the buffers between them lie.
//
// A kernel with little work runs on one thread: waking the others takes longer. How the rest is cut
// into parts depends on shapes alone, never on the number of threads, so neither do the results.
#include "pass/fuse_internal.h"
#include "pass/loops.h"
#include "pass/tiling.h"

enum { SERIAL_WORK = 20000, PART_WORK = 16384, PRODUCT_PARTS = 8, PART_ROWS = 128 };

static int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

bool kernel_splits_columns(const Kernel *kernel) {
    const Shape *shape = &kernel->core->shape;
    if (!dim_is_one(shape->dim[0]) || kernel->result.at[0].value != kernel->core) return false;
    return dim_eval(shape->dim[2], 64) > dim_eval(shape->dim[1], 64);
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

static void share_product(const Fusion *fusion, const Kernel *kernel, PlanNode *par) {
    const Node *core = kernel->core;
    if (kernel->tiling) {
        par->count = tiling_count(kernel->tiling);
        par->grain = tiling_grain(kernel->tiling);
        par->serial = tiling_is_serial(kernel->tiling);
        return;
    }
    const ProductAttr *attr = &core->attr->product;
    Dim unit, k = core->in[0]->shape.dim[attr->transpose_a ? 2 : 3];
    bool batched = !dim_is_one(core->shape.dim[0]);
    if (batched)
        par->count = core->shape.dim[0];
    else
        product_share(kernel, &par->count, &unit);
    par->grain = batched ? 1 : product_grain(fusion, kernel);
    double work = (double)shape_eval(&core->shape, fusion->batch) *
                  (double)dim_eval(k, fusion->batch) *
                  (double)dim_eval(core->in[0]->shape.dim[1], fusion->batch);
    par->serial = work < 16 * SERIAL_WORK;
}

static void share_loops(Arena *arena, const Fusion *fusion, const Kernel *kernel, PlanNode *par) {
    Loops *loops = loops_build(arena, fusion, kernel);
    loops_coalesce(loops);
    double inner = loops->store.count;
    for (int i = 1; i < loops->loop_count; i++)
        inner *= (double)dim_eval(loops->var[loops->loop[i]].extent, fusion->batch);
    for (int i = 0; i < loops->value.count; i++)
        for (int v = 0; v < loops->value.at[i]->var_count; v++)
            inner *= (double)dim_eval(loops->var[loops->value.at[i]->var[v]].extent, fusion->batch);
    par->count = loops->outer;
    par->grain = inner >= PART_WORK ? 1 : (int64_t)(PART_WORK / (inner > 1 ? inner : 1)) + 1;
    if (loops->loop_count == 1) par->grain = round_up(par->grain, 16);
    par->serial = inner * (double)dim_eval(loops->outer, fusion->batch) < SERIAL_WORK;
}

// Images, or the rows of a filter's points.
static void share_wino(const Kernel *kernel, PlanNode *par) {
    const Node *core = kernel->core;
    bool filter = core->op == OP_wino_filter || core->op == OP_wino_filter_t;
    const Node *points = core->op == OP_wino_filter ? core : core->in[0];
    par->count = filter ? points->shape.dim[1] : core->shape.dim[0];
    par->grain = filter ? 8 : 1;
}

static PlanNode *plan_kernel(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    PlanNode *par = ARENA_NEW(arena, PlanNode), *call = ARENA_NEW(arena, PlanNode);
    par->kind = PLAN_PAR;
    call->kind = PLAN_CALL;
    call->kernel = kernel;
    VEC_PUSH(arena, par->child, call);
    if (kernel->kind == KERNEL_PRODUCT) {
        share_product(fusion, kernel, par);
    } else if (kernel->kind == KERNEL_WINO) {
        share_wino(kernel, par);
    } else if (kernel->kind == KERNEL_SCATTER) {
        par->count = kernel->core->shape.dim[0];
        par->grain = round_up((dim_eval(par->count, fusion->batch) + 7) / 8, 16);
    } else {
        share_loops(arena, fusion, kernel, par);
    }
    return par;
}

// --- Live ranges

static void touch(Buffer *buffer, int at) {
    if (!buffer) return;
    if (buffer->first < 0 || at < buffer->first) buffer->first = at;
    if (at > buffer->last) buffer->last = at;
}

static void find_live_ranges(const Fusion *fusion) {
    for (int i = 0; i < fusion->buffer.count; i++)
        fusion->buffer.at[i]->first = fusion->buffer.at[i]->last = -1;
    for (int k = 0; k < fusion->kernel.count; k++) {
        const Kernel *kernel = fusion->kernel.at[k];
        for (int i = 0; i < kernel->result.count; i++) {
            touch(kernel->result.at[i].to.buffer, k);
            touch(kernel->result.at[i].from.buffer, k);
        }
        for (int i = 0; i < kernel->reads.count; i++)
            touch(fusion->storage[kernel->reads.at[i]->id].buffer, k);
    }
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

Plan *plan_make(Arena *arena, Fusion *fusion) {
    Plan *plan = ARENA_NEW(arena, Plan);
    plan->fusion = fusion;
    plan->root = ARENA_NEW(arena, PlanNode);
    plan->root->kind = PLAN_SEQ;
    for (int i = 0; i < fusion->kernel.count; i++)
        VEC_PUSH(arena, plan->root->child, plan_kernel(arena, fusion, fusion->kernel.at[i]));
    find_live_ranges(fusion);
    plan->work_bytes = memory_plan(arena, fusion);
    plan->scratch_bytes = scratch_needed(fusion);
    return plan;
}
