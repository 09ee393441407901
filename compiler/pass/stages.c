// SPDX-License-Identifier: MIT
// Which stage of a kernel over rows computes what: see stages.h.
#include "pass/stages.h"
#include "pass/index.h"

enum {
    LEAST_LENGTH = 64,   // of a row: a block is no longer than that
    MOST_LENGTH = 16384, // several rows at a time are to lie in a core's cache
    MOST_STAGES = 16,
};

typedef struct Finder {
    Stages *stages;
    const Loops *loops;
    uint64_t *deps; // by value id: the variables that it depends on
    uint32_t *seen; // by value id: as `in`, and of rows' values
    uint64_t row;   // the bit of the rows' variable
    bool fits;
} Finder;

static bool is_free(const Finder *f, const Value *value) {
    return value->kind == VALUE_CONST || value->kind == VALUE_SCALAR ||
           value->kind == VALUE_INDEX || f->deps[value->id] == 0;
}

static bool is_of_row(const Finder *f, const Value *value) {
    return (f->deps[value->id] & ~f->row) == 0;
}

// Values are in topological order.
static void find_deps(Finder *f, const Value *value) {
    uint64_t deps = index_deps(f->loops, &value->index), own = 0;
    int begin = 0;
    for (int i = 0; i < value->condition_count; i++)
        deps |= index_deps(f->loops, &value->condition[i].index);
    for (int i = 0; i < value->in_count; i++) {
        deps |= f->deps[value->in[i]->id];
        if (f->stages->begin[value->in[i]->id] > begin) begin = f->stages->begin[value->in[i]->id];
    }
    for (int i = 0; i < value->var_count; i++)
        own |= 1ull << value->var[i];
    f->deps[value->id] = deps &= ~own;
    f->stages->begin[value->id] = deps == 0 ? 0 : begin + (value->kind == VALUE_REDUCE);
    f->stages->last[value->id] = -1;
}

static void add_reduction(Finder *f, const Value *value) {
    Stages *stages = f->stages;
    bool sum =
        value->op == OP_reduce_sum || value->op == OP_reduce_max || value->op == OP_reduce_min;
    f->fits &= sum && value->dtype == DT_F32 && value->condition_count == 0 &&
               value->var_count == 1 && is_of_row(f, value);
    if (!f->fits) return;
    Dim extent = f->loops->var[value->var[0]].extent;
    if (stages->length == 0 && dim_is_const(extent)) stages->length = extent.c[0];
    f->fits = dim_is_const(extent) && extent.c[0] == stages->length;
    VEC_PUSH(f->loops->arena, stages->reduction, value);
}

// `stage` uses the value: for its elements, or (`of_row`) for another value of the row, which is
// computed as the stage begins.
static void use(Finder *f, const Value *value, int stage, bool of_row) {
    Stages *stages = f->stages;
    if (!f->fits || is_free(f, value)) return;
    int begin = stages->begin[value->id];
    bool own = is_of_row(f, value);
    if (own && (!of_row || begin < stage) && stages->last[value->id] < stage)
        stages->last[value->id] = stage;
    stage = own ? begin : stage;
    if (stage >= MOST_STAGES) f->fits = false;
    if (!f->fits) return;
    uint32_t *seen = own ? f->seen : stages->in, bit = 1u << stage;
    if (seen[value->id] & bit) return;
    seen[value->id] |= bit;
    if (stage >= stages->count) stages->count = stage + 1;
    if (value->kind == VALUE_REDUCE) {
        if (own) add_reduction(f, value);
        f->fits &= own;
        use(f, value->in[0], stage - 1, false);
        return;
    }
    for (int i = 0; i < value->in_count; i++) {
        bool kept = value->kind == VALUE_LOAD; // by a reduction, of whose result nothing is used
        use(f, value->in[i], kept ? stages->begin[value->in[i]->id] : stage, own || kept);
    }
}

// Elements are all stored in one stage, the first that can compute them; those of rows at the
// beginning of theirs.
static void use_stored(Finder *f) {
    Stages *stages = f->stages;
    stages->store = -1;
    for (int i = 0; i < f->loops->store.count; i++) {
        const Store *store = &f->loops->store.at[i];
        bool of_row = (index_deps(f->loops, &store->index) & ~f->row) == 0;
        int begin = stages->begin[store->value->id];
        if (!of_row && begin > stages->store) stages->store = begin;
    }
    for (int i = 0; i < f->loops->store.count; i++) {
        const Store *store = &f->loops->store.at[i];
        bool of_row = (index_deps(f->loops, &store->index) & ~f->row) == 0;
        int begin = stages->begin[store->value->id];
        use(f, store->value, of_row ? begin : stages->store, of_row);
    }
}

// The loop over rows, with one along the row in it where elements are stored.
static bool loops_fit(const Loops *loops) {
    if (!loops->target->lanes || loops->loop_count > 2) return false;
    for (int var = 0; var < loops->var_count; var++)
        if (loops->var[var].kind == VAR_VALUE) return false;
    return true;
}

Stages *stages_find(Arena *arena, const Loops *loops) {
    int values = loops->value.count + 1;
    Stages *stages = ARENA_NEW(arena, Stages);
    if (!loops_fit(loops)) return NULL;
    *stages = (Stages){.row = loops->loop[0],
                       .begin = ARENA_ARRAY(arena, int, values),
                       .last = ARENA_ARRAY(arena, int, values),
                       .in = ARENA_ARRAY(arena, uint32_t, values)};
    Finder f = {.stages = stages,
                .loops = loops,
                .deps = ARENA_ARRAY(arena, uint64_t, values),
                .seen = ARENA_ARRAY(arena, uint32_t, values),
                .row = 1ull << stages->row,
                .fits = true};
    for (int i = 0; i < loops->value.count; i++)
        find_deps(&f, loops->value.at[i]);
    use_stored(&f);
    if (!f.fits || stages->count < 2 || stages->length < LEAST_LENGTH ||
        stages->length > MOST_LENGTH)
        return NULL;
    if (loops->loop_count == 2) {
        Dim along = loops->var[loops->loop[1]].extent;
        if (!dim_is_const(along) || along.c[0] != stages->length) return NULL;
    }
    return stages;
}

bool stages_carry(const Stages *stages, const Value *value) { return stages->last[value->id] >= 0; }

static int rows_kept(const Stages *stages, const Loops *loops, const Buffer *kept) {
    int rows = 1;
    for (int i = 0; i < loops->value.count; i++) {
        const Value *load = loops->value.at[i];
        if (load->kind != VALUE_LOAD || load->buffer != kept) continue;
        for (int stage = 0; stage < stages->count; stage++) {
            int since = stage - stages->begin[load->in[0]->id] + 1;
            if (stages->in[load->id] >> stage & 1 && since >= rows) rows = since + 1;
        }
    }
    return rows;
}

// From one row that is kept to the next: their places in a page (of 1024 floats) lie apart, as a
// processor takes a load for one of what was just stored at the same place in another page.
static int64_t row_step(int64_t elements, int rows) {
    int64_t apart = 1024 / rows / 16 * 16;
    return rows > 1 ? elements + ((apart - elements) % 1024 + 1024) % 1024 : elements;
}

void stages_keep(const Stages *stages, const Loops *loops, Buffer *kept) {
    kept->rows = rows_kept(stages, loops, kept);
    kept->elements = kept->rows * row_step(kept->elements, kept->rows);
}

// In the row's place among those that the buffer holds.
static Index in_place(Loops *loops, const Stages *stages, const Buffer *kept, Index index) {
    Index place = index_modulo(loops, index_var(stages->row), dim_const(kept->rows));
    return index_add(index, index_scale(place, kept->elements / kept->rows));
}

void stages_place(Loops *loops, const Stages *stages) {
    for (int i = 0; i < loops->value.count; i++) {
        Value *value = loops->value.at[i];
        if (value->kind == VALUE_LOAD && value->buffer->rows > 1)
            value->index = in_place(loops, stages, value->buffer, value->index);
        if (value->kept && value->kept->rows > 1)
            value->kept_index = in_place(loops, stages, value->kept, value->kept_index);
    }
}
