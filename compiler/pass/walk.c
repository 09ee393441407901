// SPDX-License-Identifier: MIT
// A kernel's outermost dimension, and what of each buffer one index of it touches. Loop nests tell
// by their indices: an element of x[N, 64] that is loaded at [i0, r1] lies in part i0. A product
// tells by the axes that its operands are blocks of.
#include "pass/walk.h"
#include "pass/fuse_internal.h"
#include "pass/index.h"
#include "pass/loops.h"
#include "pass/tiling.h"

// Nanoseconds, about, on one core of 2020: of a load from a cache, of a multiplication in a
// product.
static const double load_time = 0.08, plain_load_time = 0.8, multiply_time = 1.0 / 40;

enum {
    PART_TIME = 1500, // ns: least of what one part is to take
    MOST_ROWS = 64,   // of a part of a kernel that takes rows in stages
};

static int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

static int first_axis(const Shape *shape) { // that is not 1; -1: none
    for (int axis = 0; axis < shape->rank; axis++)
        if (!dim_is_one(shape->dim[axis])) return axis;
    return -1;
}

// Kernels over 3 * N indices and over N go together by N.
static void set_outer(Walk *walk, Dim extent) {
    Dim times;
    walk->outer = extent;
    walk->unit = 1;
    if (dim_is_const(extent) || !dim_div(&times, extent, dim_batch()) || !dim_is_const(times))
        return;
    walk->outer = dim_batch();
    walk->unit = times.c[0];
}

// How many indices of an axis are one of walk->outer; 0: it is no multiple.
static int64_t indices_of(const Walk *walk, Dim extent) {
    Dim times;
    return dim_div(&times, extent, walk->outer) && dim_is_const(times) ? times.c[0] : 0;
}

static void add_touch(Arena *arena, Walk *walk, Touch touch) {
    if (touch.buffer->arena == ARENA_SCRATCH) return; // of this call alone
    for (int i = 0; i < walk->touch.count; i++) {
        const Touch *known = &walk->touch.at[i];
        if (known->buffer == touch.buffer && known->from == touch.from && known->to == touch.to &&
            known->part == touch.part && known->write == touch.write && known->wait == touch.wait)
            return;
    }
    VEC_PUSH(arena, walk->touch, touch);
}

// `node` lies at element `from` of the buffer; one of walk->outer touches `indices` of its first
// axis. 0: all of it.
static Touch touch_of(const Fusion *fusion, const Node *node, const Buffer *buffer, int64_t from,
                      int64_t indices) {
    int64_t size = shape_eval(&node->shape, fusion->batch);
    int axis = first_axis(&node->shape);
    int64_t extent = axis < 0 ? 1 : dim_eval(node->shape.dim[axis], fusion->batch);
    return (Touch){.buffer = buffer,
                   .from = from,
                   .to = from + size,
                   .part = extent > 0 ? size / extent * indices : 0};
}

// --- Loop nests

// How many indices of the first axis of what is loaded are one of walk->outer, if index i of `var`
// touches its own alone; else 0.
static int64_t own_indices(const Loops *loops, const Walk *walk, int var, const Value *load) {
    int axis = first_axis(&load->node->shape);
    int64_t coef = index_coefficient(&load->first, var), low, high;
    int64_t unit = indices_of(walk, loops->var[var].extent);
    if (axis < 0 || coef <= 0 || unit == 0) return 0;
    Index rest = index_add(load->first, index_scale(index_var(var), -coef));
    index_bounds(loops, &rest, &low, &high);
    bool own = coef * unit == indices_of(walk, load->node->shape.dim[axis]);
    return own && low >= 0 && high < coef ? coef * unit : 0;
}

// The loads of a nest, which is cut along `var`.
static void add_loads(Arena *arena, const Fusion *fusion, Walk *walk, const Loops *loops, int var) {
    for (int i = 0; i < loops->value.count; i++) {
        const Value *load = loops->value.at[i];
        if (load->kind != VALUE_LOAD) continue;
        int64_t indices = own_indices(loops, walk, var, load);
        add_touch(arena, walk, touch_of(fusion, load->node, load->buffer, load->start, indices));
    }
}

static void add_results(Arena *arena, const Fusion *fusion, Walk *walk) {
    for (int i = 0; i < walk->kernel->result.count; i++) {
        const Result *result = &walk->kernel->result.at[i];
        const Shape *shape = &result->value->shape;
        int axis = first_axis(shape);
        int64_t indices = axis < 0 ? 0 : indices_of(walk, shape->dim[axis]);
        Touch touch =
            touch_of(fusion, result->value, result->to.buffer, result->to.offset, indices);
        touch.write = true;
        add_touch(arena, walk, touch);
    }
}

static double nest_time(const Fusion *fusion, const Loops *loops) {
    double turns = 1, cost = loops->store.count;
    for (int i = 0; i < loops->loop_count; i++)
        turns *= (double)dim_eval(loops->var[loops->loop[i]].extent, fusion->batch);
    for (int i = 0; i < loops->value.count; i++) {
        const Value *value = loops->value.at[i];
        for (int v = 0; v < value->var_count && !loops->kernel->rows; v++)
            turns *= (double)dim_eval(loops->var[value->var[v]].extent, fusion->batch);
        cost += value->kind == VALUE_LOAD    ? 1
                : value->kind == VALUE_GUARD ? 4
                : value->kind == VALUE_POINT ? node_cost(value->node)
                                             : 0;
    }
    return turns * cost * (fusion->target->lanes ? load_time : plain_load_time);
}

// What is computed from a product or a transform, behind it. An update takes as long as its product
// where there are few examples.
static void add_epilogue(Arena *arena, const Fusion *fusion, Walk *walk) {
    const Tiling *tiling = walk->kernel->tiling;
    if (walk->kernel->result.at[0].value == walk->kernel->core) return;
    Loops *loops = loops_build(arena, fusion, walk->kernel);
    add_loads(arena, fusion, walk, loops, loops->loop[0]);
    if (tiling && tiling->tile_columns) walk->time += nest_time(fusion, loops);
}

// Of a kernel in stages: a part begins and ends with turns in which some of them have nothing to
// do.
static int64_t rows_at_a_time(int64_t grain, int64_t count) {
    int64_t most = count / 4 < MOST_ROWS ? count / 4 : MOST_ROWS;
    return most > grain ? most : grain;
}

static void walk_loops(Arena *arena, const Fusion *fusion, Walk *walk) {
    Loops *loops = loops_build(arena, fusion, walk->kernel);
    int var = loops->loop[0];
    set_outer(walk, loops->var[var].extent);
    add_loads(arena, fusion, walk, loops, var);
    add_results(arena, fusion, walk);
    walk->time = nest_time(fusion, loops);
    loops_coalesce(loops);
    walk->unit *= loops->outer_unit;
    walk->count = loops->outer;
    double count = (double)dim_eval(walk->count, fusion->batch);
    double each = walk->time / (count > 1 ? count : 1);
    walk->grain = each >= PART_TIME ? 1 : (int64_t)(PART_TIME / (each > 0.01 ? each : 0.01)) + 1;
    if (loops->loop_count == 1 && !walk->kernel->staged) walk->grain = round_up(walk->grain, 16);
    if (walk->kernel->staged) walk->grain = rows_at_a_time(walk->grain, (int64_t)count);
}

// --- Products

// Rows of a are rows of memory if it is one block that is not transposed; of a batch, an operand
// has its own block for each index or one for all.
static int64_t operand_indices(const Walk *walk, const Kernel *kernel, int which) {
    const Node *core = kernel->core, *in = core->in[which];
    if (!dim_is_one(core->shape.dim[0]))
        return dim_equal(in->shape.dim[0], core->shape.dim[0]) ? indices_of(walk, in->shape.dim[0])
                                                               : 0;
    bool rows = which == 0 && !core->attr->product.transpose_a && dim_is_one(in->shape.dim[1]);
    return rows ? indices_of(walk, in->shape.dim[2]) : 0;
}

// Where a tiling reads an operand from: through movements, maybe. One of walk->outer touches what
// the tiling's outermost index comes by, if all others stay within.
static Touch tiled_touch(const Fusion *fusion, const Walk *walk, int which) {
    const Tiling *tiling = walk->kernel->tiling;
    Side side = (which == 1) != tiling->swapped ? SIDE_B : SIDE_A;
    const Node *base = tiling->base[side];
    Storage at = fusion->storage[base->id];
    Touch touch = touch_of(fusion, base, at.buffer, at.offset, 0);
    int64_t own = tiling_stride(tiling, side), low, high;
    tiling_reach(tiling, side, &low, &high);
    if (!dim_is_one(walk->outer) && low >= 0 && high < own) {
        touch.part = own * walk->unit;
    } else { // of something longer, maybe: a parameter among others
        int64_t all = own * (dim_eval(tiling->g.at[0].extent, tiling->batch) - 1);
        touch.from = at.offset + low + (all < 0 ? all : 0);
        touch.to = at.offset + high + (all > 0 ? all : 0) + 1;
    }
    return touch;
}

static void add_operand(Arena *arena, const Fusion *fusion, Walk *walk, int which) {
    const Kernel *kernel = walk->kernel;
    int64_t offset;
    const Node *in = kernel->core->in[which];
    if (kernel->tiling && !kernel->operand[which]) {
        add_touch(arena, walk, tiled_touch(fusion, walk, which));
        return;
    }
    if (!kernel->operand[which]) {
        int64_t indices = operand_indices(walk, kernel, which);
        Storage at = fusion->storage[in->id];
        add_touch(arena, walk, touch_of(fusion, in, at.buffer, at.offset, indices));
        return;
    }
    const Node *base = strip_views(in, fusion->batch, &offset);
    Loops *loops = loops_build_part(arena, fusion, base, kernel->operand[which], "g", NULL);
    add_loads(arena, fusion, walk, loops, 0); // variable 0: its first axis
}

// Rows, blocks of a batch, or (which are no parts of memory) columns or tiles.
static void share_product(const Fusion *fusion, Walk *walk) {
    const Kernel *kernel = walk->kernel;
    bool batched = !dim_is_one(kernel->core->shape.dim[0]), columns = kernel_splits_columns(kernel);
    Dim rows;
    product_share(kernel, &walk->count, &rows);
    walk->grain = product_grain(fusion, kernel);
    if (batched) walk->count = kernel->core->shape.dim[0], walk->grain = 1;
    if (kernel->tiling)
        walk->count = tiling_count(kernel->tiling), walk->grain = tiling_grain(kernel->tiling);
    set_outer(walk, batched || !(kernel->tiling || columns) ? walk->count : dim_const(1));
    if (!batched && !kernel->tiling && !columns)
        walk->rows = walk->unit * dim_eval(rows, fusion->batch);
}

static void walk_product(Arena *arena, const Fusion *fusion, Walk *walk) {
    const Node *core = walk->kernel->core;
    Dim k = core->in[0]->shape.dim[core->attr->product.transpose_a ? 2 : 3];
    walk->time = (double)shape_eval(&core->shape, fusion->batch) *
                 (double)dim_eval(k, fusion->batch) *
                 (double)dim_eval(core->in[0]->shape.dim[1], fusion->batch) * multiply_time;
    share_product(fusion, walk);
    for (int which = 0; which < 2; which++)
        add_operand(arena, fusion, walk, which);
    add_results(arena, fusion, walk);
    add_epilogue(arena, fusion, walk);
}

// --- Winograd's transforms: of images, or of a filter, whose rows are no parts of memory

static void walk_wino(Arena *arena, const Fusion *fusion, Walk *walk) {
    const Node *core = walk->kernel->core, *in = wino_operand(core);
    bool filter = core->op == OP_wino_filter || core->op == OP_wino_filter_t;
    const Node *points = core->op == OP_wino_filter ? core : in;
    Storage at = fusion->storage[in->id];
    walk->count = filter ? points->shape.dim[points->shape.rank - 2] : core->shape.dim[0];
    walk->grain = filter ? 8 : 1;
    set_outer(walk, filter ? dim_const(1) : walk->count);
    walk->time =
        (double)(shape_eval(&core->shape, fusion->batch) + shape_eval(&in->shape, fusion->batch)) *
        4 * load_time;
    add_touch(arena, walk, touch_of(fusion, in, at.buffer, at.offset, filter ? 0 : walk->unit));
    add_results(arena, fusion, walk);
    add_epilogue(arena, fusion, walk);
}

// --- Scatters

static void walk_scatter(Arena *arena, const Fusion *fusion, Walk *walk) {
    const Node *node = walk->kernel->core;
    walk->count = node->shape.dim[0];
    walk->grain = round_up((dim_eval(walk->count, fusion->batch) + 7) / 8, 16);
    walk->time = (double)(shape_eval(&node->shape, fusion->batch) +
                          shape_eval(&node->in[1]->shape, fusion->batch)) *
                 plain_load_time;
    set_outer(walk, walk->count);
    for (int i = 0; i < 2; i++) {
        Storage at = fusion->storage[node->in[i]->id];
        add_touch(arena, walk, touch_of(fusion, node->in[i], at.buffer, at.offset, 0));
    }
    add_results(arena, fusion, walk);
}

Walk *walk_make(Arena *arena, const Fusion *fusion, Kernel *kernel) {
    Walk *walk = ARENA_NEW(arena, Walk);
    walk->kernel = kernel;
    if (kernel->kind == KERNEL_PRODUCT)
        walk_product(arena, fusion, walk);
    else if (kernel->kind == KERNEL_WINO)
        walk_wino(arena, fusion, walk);
    else if (kernel->kind == KERNEL_SCATTER)
        walk_scatter(arena, fusion, walk);
    else
        walk_loops(arena, fusion, walk);
    for (int i = 0; i < kernel->after.count; i++) {
        const Node *made = kernel->after.at[i];
        Storage at = fusion->storage[made->id];
        Touch touch = touch_of(fusion, made, at.buffer, at.offset, 0);
        touch.wait = true;
        add_touch(arena, walk, touch);
    }
    return walk;
}

// --- Two of them

static bool meet(const Touch *a, const Touch *b) {
    return a->buffer == b->buffer && a->from < b->to && b->from < a->to;
}

static bool same_parts(const Touch *a, const Touch *b) {
    return a->part > 0 && a->part == b->part && a->from == b->from;
}

static bool same_outer(const Walk *a, const Walk *b) {
    return dim_equal(a->outer, b->outer) && !dim_is_one(a->outer);
}

Relation walk_relation(const Walk *earlier, const Walk *later) {
    bool same = same_outer(earlier, later);
    Relation relation = APART;
    for (int i = 0; i < earlier->touch.count; i++)
        for (int k = 0; k < later->touch.count; k++) {
            const Touch *a = &earlier->touch.at[i], *b = &later->touch.at[k];
            if ((!a->write && !b->write) || !meet(a, b)) continue;
            if (!same || !same_parts(a, b)) return AS_WHOLE;
            relation = BY_PART;
        }
    return relation;
}

bool walk_shares_reads(const Walk *a, const Walk *b) {
    if (!same_outer(a, b)) return false;
    for (int i = 0; i < a->touch.count; i++)
        for (int k = 0; k < b->touch.count; k++)
            if (a->touch.at[i].buffer == b->touch.at[k].buffer &&
                same_parts(&a->touch.at[i], &b->touch.at[k]))
                return true;
    return false;
}
