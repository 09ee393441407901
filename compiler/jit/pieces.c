// SPDX-License-Identifier: MIT
// Source that comes in units (JIT_UNIT_MARKER) cut into pieces, so that several C compilers work on
// it at the same time. They are the slowest station of the whole way, and units need nothing of
// each other but declarations.
//
// Units are dealt out by what a compiler is thought to need for them. The estimates are rough, so
// there are more pieces than processors, and the largest are begun with.
#include "jit/internal.h"

#include <stdlib.h>
#include <string.h>

// Milliseconds of gcc -O3 on a core of 2.8 GHz: for each loop, for each thousand bytes; for
// starting a compiler at all.
static const double loop_cost = 12, text_cost = 5, start_cost = 30;

enum { FOR_EACH_PROCESSOR = 2 }; // pieces, at most

typedef struct Unit {
    double cost;
    const char *text;
    size_t length;
} Unit;

typedef VEC(Unit) Units;

static bool is_line(const char *line, const char *start) {
    return strncmp(line, start, strlen(start)) == 0;
}

static const char *next_line(const char *line) {
    line += strcspn(line, "\n");
    return line + (*line == '\n');
}

// The start of the first marker line from `text` on, or the end of the text.
static const char *find_marker(const char *text) {
    while (*text && !is_line(text, JIT_UNIT_MARKER))
        text = next_line(text);
    return text;
}

static double line_cost(const char *line, size_t length) {
    size_t indent = strspn(line, " ");
    if (line[0] == '#' || strncmp(line + indent, "//", 2) == 0) return 0;
    bool is_loop = strncmp(line + indent, "for (", 5) == 0;
    return text_cost / 1000 * (double)(length - indent) + (is_loop ? loop_cost : 0);
}

static double cost_of(const char *text, size_t length) {
    double cost = 0;
    for (const char *line = text; line < text + length;) {
        cost += line_cost(line, strcspn(line, "\n"));
        line = next_line(line);
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
            if (other->cost < to->cost) to = other;
        to->cost += unit->cost;
        buf_add_n(&to->text, unit->text, unit->length);
    }
}

static void add_unit(Arena *arena, Units *units, const char *text, size_t length) {
    VEC_PUSH(arena, *units, ((Unit){cost_of(text, length), text, length}));
}

Pieces source_pieces(Arena *arena, const char *source) {
    Pieces pieces = {0};
    Units often = {0}, once = {0};
    double cost = 0;
    const char *at = find_marker(source);
    const char *head = arena_strndup(arena, source, (size_t)(at - source));
    for (const char *next; *at; at = next) {
        next = find_marker(next_line(at));
        bool is_once = is_line(at, JIT_ONCE_MARKER);
        add_unit(arena, is_once ? &once : &often, at, (size_t)(next - at));
    }
    for (int i = 0; i < often.count; i++)
        cost += often.at[i].cost;
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
