// SPDX-License-Identifier: MIT
// Threads for loop nests: see gpu.h.
#include "pass/gpu.h"
#include "pass/cuda_tiling.h"
#include "pass/index.h"

enum {
    WARP = 32,
    BLOCK = 256,
    LEAST_SHARED = 32,  // terms of a reduction that several threads share
    LONG_SHARED = 2048, // .. that a block does
    LEAST_TEAM = 4,     // threads that have a short row
    WARP_ROW = 1024,    // elements of the longest row that is a warp's: they lie in its registers
    WIDE_BLOCK = 1024,  // threads that have a row which is longer than ..
    LONG_ROW = 8192,
    LEAST_PART = 2048, // terms of a part
};

typedef struct Survey { // of the reductions that a kernel's threads might share
    const Loops *loops;
    uint64_t own;        // variables of the loops that say which element or row it is
    uint64_t *deps;      // by value id: variables that it depends on
    unsigned char *seen; // 1: where it is computed in any case, 2: under a condition
    int count;
    const Value *first;
    bool guarded; // one of them is computed under a condition
} Survey;

static int64_t extent_of(const Loops *loops, int var) {
    return dim_eval(loops->var[var].extent, loops->batch);
}

static uint64_t with_values(const Survey *s, uint64_t deps) {
    for (int var = 0; var < s->loops->var_count; var++)
        if (deps >> var & 1 && s->loops->var[var].kind == VAR_VALUE)
            deps |= s->deps[s->loops->var[var].value->id];
    return deps;
}

// Values stand behind what they are made of.
static void find_deps(Survey *s) {
    for (int i = 0; i < s->loops->value.count; i++) {
        const Value *value = s->loops->value.at[i];
        uint64_t deps = with_values(s, index_deps(s->loops, &value->index));
        for (int c = 0; c < value->condition_count; c++)
            deps |= with_values(s, index_deps(s->loops, &value->condition[c].index));
        for (int k = 0; k < value->in_count; k++)
            deps |= s->deps[value->in[k]->id];
        for (int v = 0; v < value->var_count; v++)
            deps &= ~(1ull << value->var[v]);
        s->deps[value->id] = deps;
    }
}

static bool is_shared(const Survey *s, const Value *value) {
    uint64_t loops = 0;
    for (int var = 0; var < s->loops->var_count; var++) {
        VarKind kind = s->loops->var[var].kind;
        if (kind == VAR_LOOP || kind == VAR_REDUCE) loops |= 1ull << var;
    }
    return value->kind == VALUE_REDUCE && (s->deps[value->id] & loops & ~s->own) == 0;
}

static void visit(Survey *s, const Value *value, bool guarded) {
    if (s->seen[value->id] >> guarded & 1) return;
    s->seen[value->id] |= 1 << guarded;
    if (is_shared(s, value)) {
        s->count += s->first != value;
        if (!s->first) s->first = value;
        s->guarded |= guarded;
    }
    bool inside = guarded || value->condition_count > 0;
    for (int i = 0; i < value->in_count; i++)
        visit(s, value->in[i], value->kind == VALUE_REDUCE || i == 0 ? inside : guarded);
}

// How many of the nest's first loops say which row it is, in a kernel over rows; else all of them.
static int own_loops(const Loops *loops) {
    const Kernel *kernel = loops->kernel;
    int vars = 0, count = 0;
    if (!kernel->rows) return loops->loop_count;
    for (int axis = 0; axis < kernel->rows; axis++)
        vars += !dim_is_one(kernel->space.dim[axis]);
    while (count < loops->loop_count && loops->loop[count] < vars)
        count++;
    return count;
}

static Survey survey(const Loops *loops) {
    Survey s = {.loops = loops};
    s.deps = ARENA_ARRAY(loops->arena, uint64_t, loops->value.count + 1);
    s.seen = ARENA_ARRAY(loops->arena, unsigned char, loops->value.count + 1);
    for (int i = 0; i < own_loops(loops); i++)
        s.own |= 1ull << loops->loop[i];
    find_deps(&s);
    for (int i = 0; i < loops->store.count; i++)
        visit(&s, loops->store.at[i].value, false);
    return s;
}

bool gpu_shares(const Loops *loops, const GpuShape *shape, const Value *reduction) {
    if (shape->form == GPU_ELEMENTS) return false;
    Survey s = survey(loops);
    return is_shared(&s, reduction);
}

// --- Fours

bool gpu_is_four(const Loops *loops, const Index *index, int var) {
    if (index_coefficient(index, var) != 1 || index->constant % 4) return false;
    for (int i = 0; i < index->count; i++) {
        int other = index->term[i].var;
        bool moves = other != var && (index_var_deps(loops, other) >> var & 1);
        if (other != var && (moves || index->term[i].coef % 4)) return false;
    }
    return true;
}

static bool takes_fours(const Loops *loops) {
    int var = loops->loop[loops->loop_count - 1];
    for (int power = 0; power <= DIM_DEGREE; power++)
        if (loops->var[var].extent.c[power] % 4) return false;
    for (int i = 0; i < loops->store.count; i++)
        if (!gpu_is_four(loops, &loops->store.at[i].index, var)) return false;
    return true;
}

// --- Shapes

// Loads that run through memory along an output index, and along a summed one.
static void count_runs(const Value *value, int output, int summed, int *along, int *across) {
    if (value->kind == VALUE_LOAD) {
        bool of_output = index_coefficient(&value->index, output) == 1;
        *along += of_output;
        *across += !of_output && index_coefficient(&value->index, summed) == 1;
    }
    for (int i = 0; i < value->in_count; i++)
        count_runs(value->in[i], output, summed, along, across);
}

static int64_t terms_of(const Loops *loops, const Value *reduction) {
    int64_t terms = 1;
    for (int i = 0; i < reduction->var_count; i++)
        terms *= extent_of(loops, reduction->var[i]);
    return terms;
}

static int64_t divided(int64_t count, int64_t by) { return (count + by - 1) / by; }

// Cuts the reduction's outermost loop where there are fewer blocks than the GPU has room for.
static void cut_parts(const Loops *loops, const Value *reduction, int64_t blocks, GpuShape *shape) {
    int64_t terms = terms_of(loops, reduction), outer = extent_of(loops, reduction->var[0]),
            parts = 2 * loops->target->processors / (blocks > 0 ? blocks : 1);
    if (reduction->op == OP_argmax || reduction->dtype != DT_F32 ||
        blocks >= loops->target->processors)
        return;
    if (parts > terms / LEAST_PART) parts = terms / LEAST_PART;
    if (parts > outer) parts = outer;
    if (parts < 2) return;
    shape->part = divided(outer, parts);
    shape->parts = divided(outer, shape->part);
}

static void shape_sum(const Loops *loops, const Survey *s, GpuShape *shape) {
    const Value *reduction = s->first;
    int innermost = loops->loop[loops->loop_count - 1], along = 0, across = 0;
    int64_t terms = terms_of(loops, reduction), few = loops->target->processors;
    if (terms < LEAST_SHARED || reduction->var_count == 0) return;
    count_runs(reduction->in[0], innermost, reduction->var[reduction->var_count - 1], &along,
               &across);
    if (across == 0 && shape->elements >= few * 1024) return; // a thread each will do
    bool most = reduction->op == OP_argmax;
    if (along > 0 && across == 0 && shape->elements >= WARP && !most) {
        int64_t blocks = divided(shape->elements, WARP);
        shape->form = GPU_ACROSS;
        shape->team = WARP;
        if (s->count == 1) cut_parts(loops, reduction, blocks, shape);
        if (shape->parts == 1 && blocks < few && terms >= WIDE_BLOCK) shape->threads = WIDE_BLOCK;
        return;
    }
    bool block = terms >= LONG_SHARED && shape->elements < few * 16 && !most;
    shape->form = GPU_TEAM;
    shape->team = block ? BLOCK : WARP;
    while (shape->threads > shape->team && shape->elements * shape->team / shape->threads < 2 * few)
        shape->threads /= 2;
    if (block && s->count == 1) cut_parts(loops, reduction, shape->elements, shape);
}

static void shape_rows(const Loops *loops, GpuShape *shape) {
    int64_t length = 1;
    for (int axis = loops->kernel->rows; axis < loops->kernel->row_space.rank; axis++)
        length *= dim_eval(loops->kernel->row_space.dim[axis], loops->batch);
    bool many = shape->elements >= loops->target->processors * 8;
    shape->form = GPU_TEAM;
    shape->team = length <= WARP_ROW && (many || length < BLOCK) ? WARP : BLOCK;
    if (length > LONG_ROW) shape->team = shape->threads = WIDE_BLOCK;
    while (shape->team > length && shape->team > LEAST_TEAM)
        shape->team /= 2;
    while (shape->threads > WARP && shape->threads > shape->team &&
           shape->elements * shape->team / shape->threads < loops->target->processors)
        shape->threads /= 2;
}

// Fewer threads in a block where there are few, so that all processors get some.
static void shape_elements(const Loops *loops, GpuShape *shape) {
    int64_t busy = loops->target->processors * 2;
    if (shape->own == loops->loop_count && shape->elements >= busy * 2 * BLOCK &&
        takes_fours(loops))
        shape->each = 4;
    while (shape->threads > 64 && shape->elements / shape->each / shape->threads < busy)
        shape->threads /= 2;
}

GpuShape gpu_shape(const Loops *loops) {
    Survey s = survey(loops);
    GpuShape shape = {.threads = BLOCK, .team = 1, .each = 1, .own = own_loops(loops), .parts = 1};
    shape.elements = 1;
    for (int i = 0; i < shape.own; i++)
        shape.elements *= extent_of(loops, loops->loop[i]);
    if (s.count > 0 && !s.guarded) {
        if (loops->kernel->rows)
            shape_rows(loops, &shape);
        else
            shape_sum(loops, &s, &shape);
    }
    if (shape.form == GPU_ELEMENTS) shape_elements(loops, &shape);
    return shape;
}

int64_t gpu_partial_elements(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    if (kernel->kind == KERNEL_PRODUCT) return cuda_tile_partial(fusion, kernel);
    if (kernel->kind != KERNEL_LOOPS) return 0;
    Loops *loops = loops_build(arena, fusion, kernel);
    loops_coalesce(loops);
    GpuShape shape = gpu_shape(loops);
    return shape.parts > 1 ? shape.parts * shape.elements : 0;
}
