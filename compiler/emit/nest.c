// SPDX-License-Identifier: MIT
// Prints a loop nest as C: loops opened outermost first, what does not depend on a loop before it,
// all results computed before any is stored.
#include "emit/nest.h"
#include "emit/printer.h"
#include "pass/index.h"
#include "rng.h"

#include <string.h>

static void mark_value(Printer *p, const Value *value);

// Marks the values that an index is made of, and returns all variables that it depends on.
static uint64_t mark_index(Printer *p, const Index *index) {
    uint64_t deps = index_deps(p->loops, index);
    for (int var = 0; var < p->loops->var_count; var++)
        if (deps >> var & 1 && p->loops->var[var].kind == VAR_VALUE) {
            mark_value(p, p->loops->var[var].value);
            deps |= p->deps[p->loops->var[var].value->id];
        }
    return deps;
}

static void mark_value(Printer *p, const Value *value) {
    if (p->uses[value->id]++) return;
    uint64_t deps = mark_index(p, &value->index), own = 0;
    for (int i = 0; i < value->condition_count; i++)
        deps |= mark_index(p, &value->condition[i].index);
    for (int i = 0; i < value->in_count; i++) {
        mark_value(p, value->in[i]);
        deps |= p->deps[value->in[i]->id];
    }
    for (int i = 0; i < value->var_count; i++)
        own |= 1ull << value->var[i];
    p->deps[value->id] = deps & ~own;
}

Printer printer_new(Buf *out, const Loops *loops, int depth) {
    Printer p = {.out = out, .loops = loops, .arena = out->arena, .depth = depth};
    int count = loops->value.count + 1;
    p.deps = ARENA_ARRAY(p.arena, uint64_t, count);
    p.uses = ARENA_ARRAY(p.arena, int, count);
    p.name = ARENA_ARRAY(p.arena, const char *, count);
    for (int i = 0; i < loops->store.count; i++)
        mark_value(&p, loops->store.at[i].value);
    return p;
}

static void hoist_all(Printer *p) {
    for (int i = 0; i < p->loops->store.count; i++)
        printer_hoist(p, p->loops->store.at[i].value);
}

// --- Streams: the innermost loop in blocks, which are computed in the cache (in a register, where
// they are even) and then written past it.

enum { STREAM_BLOCK = 1024 };

static bool can_stream(const Loops *loops) {
    if (loops->kernel->kind != KERNEL_LOOPS || !loops->target->lanes) return false;
    for (int i = 0; i < loops->store.count && !strcmp(loops->target->architecture, "x86-64"); i++)
        if (printer_streams(loops, &loops->store.at[i])) return true;
    return false;
}

// How the innermost loop is cut.
typedef struct Blocks {
    int var, size;
    const char *low, *high; // of the loop, as C
    bool even;              // all blocks are whole, and begin at a multiple of 64 bytes
} Blocks;

static bool is_even(const Loops *loops, int var) {
    Dim extent = loops->var[var].extent;
    if (!dim_is_const(extent) || extent.c[0] % 16) return false;
    for (int i = 0; i < loops->store.count; i++) {
        const Index *index = &loops->store.at[i].index;
        if (!printer_streams(loops, &loops->store.at[i])) continue;
        if (index->constant % 16) return false;
        for (int k = 0; k < index->count; k++)
            if (index->term[k].var != var && index->term[k].coef % 16) return false;
    }
    return true;
}

void printer_near(Printer *p, int size) {
    for (int i = 0; i < p->loops->store.count; i++) {
        if (!printer_streams(p->loops, &p->loops->store.at[i])) continue;
        printer_line(p);
        buf_printf(p->out, "float b%d_%d_near[%d] __attribute__((aligned(64)));\n",
                   p->loops->store.at[i].buffer->id, i, size);
    }
}

void printer_streamed(Printer *p, int var, bool even) {
    printer_set_var(p, var, "first");
    for (int i = 0; i < p->loops->store.count; i++) {
        const Store *store = &p->loops->store.at[i];
        if (!printer_streams(p->loops, store)) continue;
        const char *at = printer_index(p, &store->index);
        int id = store->buffer->id;
        printer_line(p);
        if (store->buffer->dtype == DT_BF16)
            buf_printf(p->out, "nnc_narrow(b%d + %s, b%d_%d_near, %s);\n", id, at, id, i,
                       even ? "16" : "last - first");
        else
            buf_printf(p->out, "nnc_stream%s(b%d + %s, b%d_%d_near%s);\n", even ? "16" : "", id, at,
                       id, i, even ? "" : ", last - first");
    }
}

static void stream_loop(Printer *p, const Blocks *blocks) {
    int size = blocks->size;
    hoist_all(p);
    if (p->loops->loop_count > 1) printer_stores(p);
    printer_line(p);
    buf_printf(p->out, "for (int first = %s; first < %s; first += %d) {\n", blocks->low,
               blocks->high, size);
    int mark = printer_enter(p);
    printer_near(p, size);
    printer_line(p);
    if (blocks->even)
        buf_printf(p->out,
                   "const int last = first + %d;\n#pragma GCC ivdep\n#pragma GCC unroll 1\n", size);
    else
        buf_printf(p->out, "const int last = first + %d < %s ? first + %d : %s;\n", size,
                   blocks->high, size, blocks->high);
    int inner = printer_open_loop(p, blocks->var, "first", "last");
    printer_stores(p);
    printer_leave(p, inner);
    printer_streamed(p, blocks->var, blocks->even);
    printer_leave(p, mark);
}

// The innermost loop, which the function's own bounds are those of where it is the only one.
static void stream(Printer *p, const char *low, const char *high) {
    const Loops *loops = p->loops;
    Blocks blocks = {.var = loops->loop[loops->loop_count - 1], .size = STREAM_BLOCK};
    bool only = loops->loop_count == 1;
    blocks.low = only ? low : "0";
    blocks.high = only ? high : printer_extent(p, blocks.var);
    blocks.even = !only && is_even(loops, blocks.var);
    if (blocks.even) blocks.size = 16;
    stream_loop(p, &blocks);
}

static void print_streamed(Printer *p) {
    if (!p->streams) return;
    printer_line(p);
    buf_add(p->out, "nnc_streamed();\n");
}

void nest_print(Buf *out, const Loops *loops, const char *low, const char *high, int depth) {
    nest_print_tile(out, loops, low, high, NULL, NULL, depth);
}

void nest_print_tile(Buf *out, const Loops *loops, const char *low, const char *high,
                     const char *first, const char *last, int depth) {
    Printer p = printer_new(out, loops, depth);
    const Value *row = first ? NULL : printer_row_reduction(&p);
    const Stages *stages = loops->kernel->staged && !first ? stages_find(out->arena, loops) : NULL;
    p.streams = !row && !first && can_stream(loops);
    if (stages) {
        p.streams = p.streams && is_even(loops, loops->loop[1]);
        hoist_all(&p);
        printer_stages(&p, stages, low, high);
        print_streamed(&p);
        return;
    }
    int mark[MAX_RANK], count = loops->loop_count - (row || p.streams ? 1 : 0);
    for (int i = 0; i < count; i++) {
        if (!row) hoist_all(&p);
        if (i > 0) printer_stores(&p); // of a row
        bool tile = i == 1 && first;
        mark[i] = printer_open_loop(&p, loops->loop[i],
                                    i == 0 ? low
                                    : tile ? first
                                           : "0",
                                    i == 0 ? high
                                    : tile ? last
                                           : printer_extent(&p, loops->loop[i]));
    }
    if (row) {
        int last = loops->loop[loops->loop_count - 1];
        printer_row(&p, row, count == 0 ? low : "0", count == 0 ? high : printer_extent(&p, last));
    } else if (p.streams) {
        stream(&p, low, high);
    } else {
        printer_stores(&p);
    }
    for (int i = count - 1; i >= 0; i--)
        printer_leave(&p, mark[i]);
    print_streamed(&p);
}

// --- One element

// The product's own element, which has been computed.
static void name_carry(Printer *p, const char *carry) {
    for (int i = 0; i < p->loops->value.count; i++)
        if (p->loops->value.at[i]->kind == VALUE_CARRY) p->name[i] = carry;
}

const char *nest_print_value(Buf *out, const Loops *loops, const char *carry, int depth) {
    Printer p = printer_new(out, loops, depth);
    const Value *value = loops->store.at[0].value;
    name_carry(&p, carry);
    for (int i = 0; i < loops->loop_count; i++)
        p.open |= 1ull << loops->loop[i];
    return printer_value(&p, value);
}

// --- Locals

static void print_pointer(Buf *out, const Loops *loops, const Buffer *buffer, int depth) {
    bool written = buffer->arena == ARENA_SCRATCH && !buffer->part; // by a product
    for (int i = 0; i < loops->store.count; i++)
        written |= loops->store.at[i].buffer == buffer;
    print_indent(out, depth);
    buf_printf(out, "%s%s *restrict b%d = %s; // %s\n", written ? "" : "const ",
               c_memory_type(buffer->dtype), buffer->id, buffer_address(out->arena, buffer),
               buffer->name);
}

// Keys of a random tensor and where in it the batch at hand begins.
static void print_random(Buf *out, const Loops *loops, const Value *value, int depth) {
    const Shape *shape = &value->node->shape;
    const char *now = loops->target->gpu ? "ctx->now" : "ctx";
    for (int word = 0; word < 2; word++) {
        print_indent(out, depth);
        buf_printf(out,
                   "const unsigned key%d_%c = nnc_random_key(%s->seed_low, "
                   "%s->seed_high, %uu, %s->step, %d);\n",
                   value->id, "ab"[word], now, now, nnc_random_stream(value->stream), now, word);
    }
    print_indent(out, depth);
    buf_printf(out, "const unsigned at%d = ", value->id);
    if (shape->rank > 0 && !dim_is_const(shape->dim[0]))
        buf_printf(out, "(unsigned)%s->first * %lldu;\n", now, (long long)shape_eval(shape, 1));
    else
        buf_add(out, "0;\n");
}

void nest_print_locals(Buf *out, const Loops *loops, int depth) {
    Printer p = printer_new(out, loops, 1);
    int scalars = 0; // slots below it are declared, where they are used
    VEC(const Buffer *) seen = {0};
    for (int i = -loops->store.count; i < loops->value.count; i++) {
        const Value *value = i < 0 ? NULL : loops->value.at[i];
        const Buffer *buffer = value ? value->buffer : loops->store.at[-1 - i].buffer;
        bool known = !buffer;
        if (value && p.uses[value->id] == 0) continue;
        for (int k = 0; k < seen.count; k++)
            known |= seen.at[k] == buffer;
        if (!known) {
            VEC_PUSH(out->arena, seen, buffer);
            print_pointer(out, loops, buffer, depth);
        }
        if (value && value->kind == VALUE_SCALAR && value->slot >= scalars)
            scalars = value->slot + 1;
        if (value && value->kind == VALUE_RANDOM) print_random(out, loops, value, depth);
    }
    for (int slot = 0; slot < scalars; slot++)
        for (int i = 0; i < loops->value.count; i++) {
            const Value *value = loops->value.at[i];
            if (value->kind != VALUE_SCALAR || value->slot != slot || p.uses[value->id] == 0)
                continue;
            print_indent(out, depth);
            buf_printf(out, "const %s s%d = %sctx->scalar[%d];\n",
                       value->dtype == DT_BOOL ? "int" : "float", slot,
                       value->dtype == DT_BOOL ? "(int)" : "", slot);
            break;
        }
}
