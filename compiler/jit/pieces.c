// SPDX-License-Identifier: MIT
// Source that comes in units (JIT_UNIT_MARKER) cut into pieces, so that several C compilers work on
// it at the same time. They are the slowest station of the whole way, and units need nothing of
// each other but declarations.
//
// Units are dealt out by what a compiler is thought to need for them. The estimates are rough, so
// there are more pieces than processors, and the largest are begun with.
#define _GNU_SOURCE
#include "jit/internal.h"

#include <stdlib.h>
#include <string.h>

// Milliseconds of gcc -O3 on a core of 2.8 GHz: for each loop, for each thousand bytes; for
// starting a compiler at all.
static const double loop_cost = 12, text_cost = 5, start_cost = 30;

enum { FOR_EACH_PROCESSOR = 2 }; // pieces, at most

typedef struct Shared { // what may stand in several units, and counts once in a piece
    const char *line;   // the `#ifndef` that it stands behind
    size_t length;      // of that line
    double cost;
} Shared;

typedef struct Unit {
    double cost;
    const char *text;
    size_t length;
    VEC(Shared) shared;
} Unit;

typedef VEC(Unit) Units;

static bool is_marker(const char *line, const char *marker) {
    return strncmp(line, marker, strlen(marker)) == 0;
}

// The start of the first marker line from `text` on, or the end of the text.
static const char *find_marker(const char *text) {
    while (*text && !is_marker(text, JIT_UNIT_MARKER)) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

static double line_cost(const char *line, size_t length) {
    size_t indent = strspn(line, " ");
    if (line[0] == '#' || strncmp(line + indent, "//", 2) == 0) return 0;
    bool is_loop = strncmp(line + indent, "for (", 5) == 0;
    return text_cost / 1000 * (double)(length - indent) + (is_loop ? loop_cost : 0);
}

// Fills in the cost, and what of it is shared.
static void estimate(Arena *arena, Unit *unit) {
    const char *end = unit->text + unit->length;
    double before = 0;
    bool inside = false;
    for (const char *line = unit->text; line < end;) {
        size_t length = strcspn(line, "\n");
        if (is_marker(line, "#ifndef ")) {
            VEC_PUSH(arena, unit->shared, ((Shared){line, length + 1, 0}));
            before = unit->cost;
            inside = true;
        }
        unit->cost += line_cost(line, length);
        if (inside && is_marker(line, "#endif")) {
            unit->shared.at[unit->shared.count - 1].cost = unit->cost - before;
            inside = false;
        }
        line += length + (line[length] == '\n');
    }
}

// What the unit adds to a piece.
static double cost_in(const Unit *unit, const Piece *piece) {
    double cost = unit->cost;
    for (int i = 0; i < unit->shared.count; i++) {
        const Shared *shared = &unit->shared.at[i];
        if (memmem(piece->text.text, piece->text.length, shared->line, shared->length))
            cost -= shared->cost;
    }
    return cost;
}

// Of units and of pieces: in both the cost comes first.
static int by_cost(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

// A piece that takes no longer than its start gains nothing.
static int pieces_for(double cost) {
    int most = FOR_EACH_PROCESSOR * processor_count(), worth = (int)(cost / (4 * start_cost)) + 1;
    return worth < most ? worth : most;
}

// The most expensive unit first, each to the piece that has the least with it.
static void deal(Arena *arena, const char *head, Units units, bool once, int count,
                 Pieces *pieces) {
    int first = pieces->count;
    for (int i = 0; i < count; i++) {
        Piece piece = {.text = buf_new(arena), .once = once};
        buf_add(&piece.text, head);
        VEC_PUSH(arena, *pieces, piece);
    }
    if (units.count) qsort(units.at, (size_t)units.count, sizeof *units.at, by_cost);
    for (int i = 0; i < units.count; i++) {
        const Unit *unit = &units.at[i];
        Piece *to = &pieces->at[first];
        for (Piece *other = to; other < pieces->at + pieces->count; other++)
            if (other->cost + cost_in(unit, other) < to->cost + cost_in(unit, to)) to = other;
        to->cost += cost_in(unit, to);
        buf_add_n(&to->text, unit->text, unit->length);
    }
}

Pieces source_pieces(Arena *arena, const char *source) {
    Pieces pieces = {0};
    Units often = {0}, once = {0};
    double cost = 0;
    const char *at = find_marker(source);
    const char *head = arena_strndup(arena, source, (size_t)(at - source));
    for (const char *next; *at; at = next) {
        next = find_marker(at + 1);
        Unit unit = {.text = at, .length = (size_t)(next - at)};
        estimate(arena, &unit);
        if (is_marker(at, JIT_ONCE_MARKER)) {
            VEC_PUSH(arena, once, unit);
        } else {
            VEC_PUSH(arena, often, unit);
            cost += unit.cost;
        }
    }
    deal(arena, head, once, true, once.count > 0, &pieces);
    deal(arena, head, often, false, once.count && !often.count ? 0 : pieces_for(cost), &pieces);
    qsort(pieces.at, (size_t)pieces.count, sizeof *pieces.at, by_cost);
    return pieces;
}

// --- Compiling them

static bool add_job(Arena *arena, const Compilation *how, const Piece *piece, int number,
                    const char *flags, Jobs *jobs) {
    const char *stem = arena_printf(arena, "%s/%spiece%d", how->folder, how->prefix, number);
    const char *source = arena_printf(arena, "%s.c", stem);
    if (!file_write(source, piece->text.text, piece->text.length)) return false;
    Job job = {.output = arena_printf(arena, "%s.o", stem),
               .log = arena_printf(arena, "%s.log", stem)};
    job.args = compiler_args(arena, how->compiler, how->march, how->debug);
    args_add_words(&job.args, piece->once ? "-O1" : flags);
    args_add_words(&job.args, "-c -o");
    args_add(&job.args, job.output);
    args_add(&job.args, source);
    VEC_PUSH(arena, *jobs, job);
    return true;
}

bool jobs_add_source(Arena *arena, const Compilation *how, const char *source, Jobs *jobs) {
    Pieces pieces = source_pieces(arena, source);
    const char *flags = compiler_quick_flags(arena, how->compiler, how->folder);
    for (int i = 0; i < pieces.count; i++)
        if (!add_job(arena, how, &pieces.at[i], i, flags, jobs)) return false;
    return true;
}
