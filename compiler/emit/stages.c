// SPDX-License-Identifier: MIT
// A kernel over rows in stages (pass/stages.h). Softmax over 1024:
//
//     for (int turn = low; turn < high + 2; turn++) {
//         const int on0 = turn - 0 >= low && turn - 0 < high, ..
//         if (on1) {                     // what begins with stage 1: the row's maximum is known
//             v1_at1 = nnc_max_of16(&v1_0);
//         }
//         for (int block = 0; block < 1024; block += 64) {
//             if (on0) {
//                 const int i0 = turn - 0;
//                 ..                     // of each stage its part of the block, each in its row
//
// A row's values are locals by the stage that the row is in (v1_at1, v1_at2), moved on with it.
// Terms are added in the order of reduce.c.
#include "emit/printer.h"
#include "pass/index.h"

#include <string.h>

enum { FAR_BYTES = 1 << 20 }; // buffers of as much do not lie in a core's cache

typedef struct Walk {
    Printer *p;
    const Stages *stages;
    int block; // elements
    uint64_t row_stores;
} Walk;

static const char *at(const Walk *w, const Value *value, int stage) {
    return arena_printf(w->p->arena, "v%d_at%d", value->id, stage);
}

static void set_name(Walk *w, const Value *value, const char *name) {
    w->p->name[value->id] = name;
    VEC_PUSH(w->p->arena, w->p->named, value->id);
}

// --- Values of rows

static void declare_carried(Walk *w) {
    Printer *p = w->p;
    for (int i = 0; i < p->loops->value.count; i++) {
        const Value *value = p->loops->value.at[i];
        for (int stage = w->stages->begin[i];
             stages_carry(w->stages, value) && stage <= w->stages->last[i]; stage++) {
            printer_line(p);
            buf_printf(p->out, "%s %s = 0;\n",
                       c_type(value->dtype == DT_F64 ? DT_F32 : value->dtype), at(w, value, stage));
        }
    }
}

static void move_on(Walk *w) {
    for (int i = 0; i < w->p->loops->value.count; i++) {
        const Value *value = w->p->loops->value.at[i];
        for (int stage = w->stages->last[i]; stage > w->stages->begin[i]; stage--) {
            printer_line(w->p);
            buf_printf(w->p->out, "%s = %s;\n", at(w, value, stage), at(w, value, stage - 1));
        }
    }
}

// if (on2) { const int i0 = turn - 2; with what the row has from stages before that one
static int open_stage(Walk *w, int stage, int begun) {
    Printer *p = w->p;
    printer_line(p);
    buf_printf(p->out, "if (on%d) {\n", stage);
    int mark = printer_enter(p);
    printer_line(p);
    buf_printf(p->out, "const int %s = turn - %d;\n", printer_var(p, w->stages->row), stage);
    p->open |= 1ull << w->stages->row;
    VEC_PUSH(p->arena, p->named, -1 - w->stages->row);
    for (int i = 0; i < p->loops->value.count; i++) {
        const Value *value = p->loops->value.at[i];
        bool known = w->stages->last[i] >= stage;
        for (int k = 0; k < w->stages->reduction.count; k++)
            known |= w->stages->reduction.at[k] == value;
        if (known && w->stages->begin[i] < begun) set_name(w, value, at(w, value, stage));
    }
    return mark;
}

static bool begins_at(const Walk *w, const Value *value, int stage) {
    return w->stages->begin[value->id] == stage;
}

static bool has_beginning(const Walk *w, int stage) {
    const Loops *loops = w->p->loops;
    bool any = false;
    for (int i = 0; i < loops->value.count; i++)
        any |=
            stages_carry(w->stages, loops->value.at[i]) && begins_at(w, loops->value.at[i], stage);
    for (int i = 0; i < loops->store.count; i++)
        any |= w->row_stores >> i & 1 && begins_at(w, loops->store.at[i].value, stage);
    for (int i = 0; i < w->stages->reduction.count; i++)
        any |= begins_at(w, w->stages->reduction.at[i], stage);
    return any;
}

// What the stage before has reduced, and what follows from that for the row.
static void begin_stage(Walk *w, int stage) {
    Printer *p = w->p;
    const Loops *loops = p->loops;
    if (!has_beginning(w, stage)) return;
    int mark = open_stage(w, stage, stage);
    for (int i = 0; i < w->stages->reduction.count; i++) {
        if (!begins_at(w, w->stages->reduction.at[i], stage)) continue;
        reduce_close(p, w->stages->reduction.at[i]);
        reduce_reset(p, w->stages->reduction.at[i]);
    }
    for (int i = 0; i < loops->value.count; i++) {
        const Value *value = loops->value.at[i];
        if (!stages_carry(w->stages, value) || !begins_at(w, value, stage)) continue;
        const char *text = printer_value(p, value);
        printer_line(p);
        buf_printf(p->out, "%s = %s;\n", at(w, value, stage), text);
        set_name(w, value, at(w, value, stage));
    }
    uint64_t others = 0;
    for (int i = 0; i < loops->store.count; i++)
        if (!(w->row_stores >> i & 1) || !begins_at(w, loops->store.at[i].value, stage))
            others |= 1ull << i;
    p->stored = others;
    printer_stores(p);
    printer_leave(p, mark);
}

// --- Elements

// Is the buffer beyond the core's caches, and do rows of what `index` means lie one behind the
// other? *first: where this one begins.
static bool is_far(const Walk *w, const Buffer *buffer, const Index *index, Index *first) {
    int64_t row = index_coefficient(index, w->stages->row);
    int inner = 0;
    if (buffer->arena == ARENA_SCRATCH || buffer->elements * dtype_size(buffer->dtype) < FAR_BYTES)
        return false;
    *first = index_const(index->constant);
    for (int i = 0; i < index->count; i++) {
        int var = index->term[i].var;
        if (var == w->stages->row)
            *first = index_add(*first, index_scale(index_var(var), row));
        else if (index->term[i].coef == 1)
            inner++;
        else
            return false;
    }
    return row == w->stages->length && inner == 1;
}

// Is it the first load of its buffer, and in this stage?
static bool comes_first(const Walk *w, const Value *load, int stage) {
    const Loops *loops = w->p->loops;
    uint32_t before = (1u << stage) - 1;
    if (load->kind != VALUE_LOAD || !(w->stages->in[load->id] >> stage & 1)) return false;
    for (int i = 0; i < loops->value.count; i++) {
        const Value *other = loops->value.at[i];
        if (other->kind != VALUE_LOAD || other->buffer != load->buffer) continue;
        if (w->stages->in[i] & before || (i < load->id && w->stages->in[i] >> stage & 1))
            return false;
    }
    return true;
}

static void print_ahead(Walk *w, const char *function, const Buffer *buffer, Index first,
                        int count) {
    const char *index = printer_index(w->p, &first);
    printer_line(w->p);
    buf_printf(w->p->out, "%s(b%d + %s + block, %d);\n", function, buffer->id, index,
               (int)(count * dtype_size(buffer->dtype)));
}

// A stage that is the first to read memory has it fetched, one that writes to caches has them made
// ready.
static void prepare_memory(Walk *w, int stage, int count) {
    const Loops *loops = w->p->loops;
    Index first;
    for (int i = 0; i < loops->value.count; i++) {
        const Value *load = loops->value.at[i];
        if (comes_first(w, load, stage) && is_far(w, load->buffer, &load->index, &first))
            print_ahead(w, "nnc_fetch", load->buffer, first, count);
    }
    for (int i = 0; i < loops->store.count && stage == w->stages->store; i++) {
        const Store *store = &loops->store.at[i];
        if (!store->buffer->streamed && is_far(w, store->buffer, &store->index, &first))
            print_ahead(w, "nnc_claim", store->buffer, first, count);
    }
}

// Elements from `first` of the block on: sixteen, or so many.
static void store_some(Walk *w, int count) {
    Printer *p = w->p;
    const Loops *loops = p->loops;
    int var = loops->loop[1];
    if (count == 16) {
        printer_line(p);
        buf_add(p->out, "const int store_block = first;\n");
        for (int i = 0; i < loops->store.count; i++)
            if (!(w->row_stores >> i & 1))
                reduce_exponentials(p, loops->store.at[i].value, var, "store", 0);
    }
    if (p->streams) printer_near(p, 16);
    if (count == 16) buf_add(p->out, "#pragma GCC ivdep\n#pragma GCC unroll 1\n");
    printer_line(p);
    buf_printf(p->out, "for (int lane = 0; lane < %d; lane++) {\n", count);
    int mark = printer_enter(p);
    printer_line(p);
    buf_printf(p->out, "const int %s = first + lane;\n", printer_var(p, var));
    p->open |= 1ull << var;
    VEC_PUSH(p->arena, p->named, -1 - var);
    p->stored = w->row_stores;
    printer_stores(p);
    printer_leave(p, mark);
    if (p->streams) printer_streamed(p, var, true);
}

static void store_block(Walk *w, int count) {
    Printer *p = w->p;
    int whole = count / 16 * 16;
    if (whole) {
        printer_line(p);
        buf_printf(p->out, "for (int first = block; first < block + %d; first += 16) {\n", whole);
        int mark = printer_enter(p);
        store_some(w, 16);
        printer_leave(p, mark);
    }
    if (count == whole) return;
    printer_line(p);
    buf_printf(p->out, "{\n");
    int mark = printer_enter(p);
    printer_line(p);
    buf_printf(p->out, "const int first = block + %d;\n", whole);
    store_some(w, count - whole);
    printer_leave(p, mark);
}

// A stage's part of a block, of so many elements.
static void stage_block(Walk *w, int stage, int count) {
    Printer *p = w->p;
    int reductions = 0;
    for (int i = 0; i < w->stages->reduction.count; i++)
        reductions += begins_at(w, w->stages->reduction.at[i], stage + 1);
    if (!reductions && stage != w->stages->store) return;
    int mark = open_stage(w, stage, stage + 1);
    prepare_memory(w, stage, count);
    for (int i = 0; i < w->stages->reduction.count; i++) {
        const Value *value = w->stages->reduction.at[i];
        if (!begins_at(w, value, stage + 1)) continue;
        printer_line(p);
        buf_printf(p->out, "const int v%d_block = block;\n", value->id);
        for (int which = 0; 16 * which < count; which++) {
            int some = count - 16 * which;
            reduce_sixteen(p, value, which, some >= 16 ? NULL : arena_printf(p->arena, "%d", some));
        }
    }
    if (stage == w->stages->store) store_block(w, count);
    printer_leave(p, mark);
}

static void all_blocks(Walk *w) {
    Printer *p = w->p;
    int64_t rest = w->stages->length % w->block, whole = w->stages->length - rest;
    printer_line(p);
    buf_printf(p->out, "for (int block = 0; block < %lld; block += %d) {\n", (long long)whole,
               w->block);
    int mark = printer_enter(p);
    for (int stage = 0; stage < w->stages->count; stage++)
        stage_block(w, stage, w->block);
    printer_leave(p, mark);
    if (rest == 0) return;
    printer_line(p);
    buf_add(p->out, "{\n");
    mark = printer_enter(p);
    printer_line(p);
    buf_printf(p->out, "const int block = %lld;\n", (long long)whole);
    for (int stage = 0; stage < w->stages->count; stage++)
        stage_block(w, stage, (int)rest);
    printer_leave(p, mark);
}

void printer_stages(Printer *p, const Stages *stages, const char *low, const char *high) {
    Walk w = {.p = p, .stages = stages, .block = reduce_lanes(p, stages->reduction.at[0])};
    for (int i = 0; i < p->loops->store.count; i++)
        if ((index_deps(p->loops, &p->loops->store.at[i].index) & ~(1ull << stages->row)) == 0)
            w.row_stores |= 1ull << i;
    for (int i = 0; i < stages->reduction.count; i++)
        reduce_declare(p, stages->reduction.at[i]);
    declare_carried(&w);
    printer_line(p);
    buf_printf(p->out, "for (int turn = %s; turn < %s + %d; turn++) {\n", low, high,
               stages->count - 1);
    int mark = printer_enter(p);
    for (int stage = 0; stage < stages->count; stage++) {
        printer_line(p);
        buf_printf(p->out, "const int on%d = turn - %d >= %s && turn - %d < %s;\n", stage, stage,
                   low, stage, high);
    }
    move_on(&w);
    for (int stage = 0; stage < stages->count; stage++)
        begin_stage(&w, stage);
    all_blocks(&w);
    printer_leave(p, mark);
}
