// SPDX-License-Identifier: MIT
// Kernels that take a row at a time: see rows.h. Whether two kernels read each other's rows alone
// is asked of their loop nests, so it does not matter which operators lie between.
#include "pass/rows.h"
#include "pass/index.h"
#include "pass/loops.h"

enum {
    LEAST_ROW = 64, // elements: shorter ones are better joined with others into one long loop,
    GPU_ROW = 2,    // but for a GPU, where a kernel more takes longer than it does
    LEAST_ROWS = 8, // with fewer rows, what is pointwise had better be shared out by elements
};

static bool begins_with(const Shape *shape, const Shape *first) {
    if (first->rank > shape->rank) return false;
    for (int axis = 0; axis < first->rank; axis++)
        if (!dim_equal(shape->dim[axis], first->dim[axis])) return false;
    return true;
}

// Of a kernel that reduces the last axes of something to one element each.
static bool own_rows(const Kernel *kernel, Rows *rows) {
    const Node *core = kernel->core;
    if (kernel->rows) {
        *rows = (Rows){kernel->rows, kernel->row_space};
        return true;
    }
    if (!core ||
        (core->op != OP_reduce_sum && core->op != OP_reduce_max && core->op != OP_reduce_min))
        return false;
    const Shape *in = &core->in[0]->shape;
    int reduced = in->rank - core->shape.rank;
    uint32_t last = ((1u << reduced) - 1) << core->shape.rank;
    *rows = (Rows){core->shape.rank, *in};
    return core->attr->axes == last && shape_equal(&kernel->space, &core->shape);
}

static bool is_long(const Fusion *fusion, const Rows *rows) {
    int64_t count = 1, length = 1;
    for (int axis = 0; axis < rows->space.rank; axis++)
        *(axis < rows->rank ? &count : &length) *= dim_eval(rows->space.dim[axis], fusion->batch);
    for (int axis = rows->rank; axis < rows->space.rank; axis++)
        if (!dim_is_const(rows->space.dim[axis])) return false;
    return count >= LEAST_ROWS && length >= (fusion->target->gpu ? GPU_ROW : LEAST_ROW);
}

// Is the kernel's space the rows, or all of their elements?
static bool fits(const Kernel *kernel, const Rows *rows) {
    const Shape *space = &kernel->space;
    return begins_with(&rows->space, space) &&
           (space->rank == rows->rank || space->rank == rows->space.rank);
}

bool rows_common(const Fusion *fusion, const Kernel *a, const Kernel *b, Rows *rows) {
    Rows other;
    if (a->kind != KERNEL_LOOPS || b->kind != KERNEL_LOOPS) return false;
    if (!own_rows(a, rows) && (a->core || !own_rows(b, rows))) return false;
    if (b->core && !(own_rows(b, &other) && other.rank == rows->rank &&
                     shape_equal(&other.space, &rows->space)))
        return false;
    return fits(a, rows) && fits(b, rows) && is_long(fusion, rows);
}

// --- What one reads of the other

// Does `index` lie in the row that the loops are at, of a tensor that is stored at `at`?
static bool is_in_row(const Loops *loops, const Rows *rows, const Result *made, Index index) {
    const Shape *shape = &made->value->shape;
    int64_t size = 1, low, high;
    int loop = 0;
    for (int axis = rows->rank; axis < shape->rank; axis++)
        size *= dim_eval(shape->dim[axis], loops->batch);
    int64_t stride = size, length = size;
    for (int axis = 0; axis < rows->rank; axis++)
        loop += !dim_is_one(shape->dim[axis]);
    for (int axis = rows->rank - 1; axis >= 0; axis--) {
        if (dim_is_one(shape->dim[axis])) continue;
        index = index_add(index, index_scale(index_var(loops->loop[--loop]), -stride));
        stride *= dim_eval(shape->dim[axis], loops->batch);
    }
    index = index_add(index, index_const(-made->to.offset));
    index_bounds(loops, &index, &low, &high);
    return low >= 0 && high < length;
}

bool rows_read_own(Arena *arena, const Fusion *fusion, const Kernel *a, const Kernel *b,
                   const Rows *rows) {
    const Loops *loops = loops_build(arena, fusion, b);
    for (int i = 0; i < loops->value.count; i++)
        for (int k = 0; k < a->result.count; k++) {
            const Value *load = loops->value.at[i];
            const Result *made = &a->result.at[k];
            if (load->kind == VALUE_LOAD && load->buffer == made->to.buffer &&
                !is_in_row(loops, rows, made, load->index))
                return false;
        }
    return true;
}
