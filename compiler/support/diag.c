// SPDX-License-Identifier: MIT
// Messages about places in a text: collected in the order of reporting, printed in the order of
// place. An error and the notes and hints after it are one group, which is sorted, and left out
// where an equal one was printed, as a whole.
#include "support/diag.h"
#include "support/buf.h"

#include <stdint.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef enum Level { LEVEL_ERROR, LEVEL_NOTE, LEVEL_HINT } Level;

typedef struct Message {
    Level level;
    Span span;
    const char *text;
    int source;           // errors: the rank of its source, by first mention; no place comes last
    int order;            // of reporting
    struct Message *next; // errors: its first note or hint; those: the next one
} Message;

struct Diag {
    Arena *arena;
    VEC(Message *) error;
    VEC(const Source *) source;
    Message **last; // where the next note goes
};

Diag *diag_new(Arena *arena) {
    Diag *diag = ARENA_NEW(arena, Diag);
    diag->arena = arena;
    return diag;
}

static int source_rank(Diag *diag, const Source *source) {
    if (!source) return INT32_MAX;
    for (int i = 0; i < diag->source.count; i++)
        if (diag->source.at[i] == source) return i;
    VEC_PUSH(diag->arena, diag->source, source);
    return diag->source.count - 1;
}

static Message *message_new(Diag *diag, Level level, Span span, const char *format, va_list args) {
    Message *message = ARENA_NEW(diag->arena, Message);
    message->level = level;
    message->span = span;
    message->text = arena_vprintf(diag->arena, format, args);
    return message;
}

static void attach(Diag *diag, Message *message) {
    if (!diag->last) bug("a note without an error: %s", message->text);
    *diag->last = message;
    diag->last = &message->next;
}

void diag_error(Diag *diag, Span span, const char *format, ...) {
    va_list args;
    va_start(args, format);
    Message *message = message_new(diag, LEVEL_ERROR, span, format, args);
    va_end(args);
    message->source = source_rank(diag, span.source);
    message->order = diag->error.count;
    VEC_PUSH(diag->arena, diag->error, message);
    diag->last = &message->next;
}

void diag_note(Diag *diag, Span span, const char *format, ...) {
    va_list args;
    va_start(args, format);
    attach(diag, message_new(diag, LEVEL_NOTE, span, format, args));
    va_end(args);
}

void diag_hint(Diag *diag, const char *format, ...) {
    va_list args;
    va_start(args, format);
    attach(diag, message_new(diag, LEVEL_HINT, SPAN_NONE, format, args));
    va_end(args);
}

int diag_error_count(const Diag *diag) { return diag->error.count; }

// --- Printing

typedef struct Style {
    const char *error, *note, *hint, *bold, *off;
} Style;

static const Style plain = {"", "", "", "", ""};
static const Style colored = {"\033[1;31m", "\033[1;36m", "\033[1;32m", "\033[1m", "\033[0m"};

// The part of the line that is shown: of a very long one (emitted, minified) what is around the
// place.
typedef struct Excerpt {
    const char *text;
    size_t length, mark, mark_end; // bytes; the marked range is in [0, length]
} Excerpt;

static Excerpt excerpt(Span span) {
    enum { WIDTH = 160, BEFORE = 60 };
    const char *text = span.source->text, *limit = text + span.source->length;
    const char *mark = text + span.start, *end = text + span.end;
    const char *first = mark, *last = mark;
    while (first > text && first[-1] != '\n')
        first--;
    while (last < limit && *last != '\n')
        last++;
    if (last - first > WIDTH) {
        if (mark - first > BEFORE) first = mark - BEFORE;
        if (last - first > WIDTH) last = first + WIDTH;
    }
    if (end > last) end = last;
    return (Excerpt){first, (size_t)(last - first), (size_t)(mark - first), (size_t)(end - first)};
}

static bool is_continuation(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

// What comes from the user as it is, but for control characters, which a terminal would obey, and
// bytes that are no text.
static void print_text(Buf *out, const char *text, size_t size) {
    for (size_t i = 0, length; i < size; i += length ? length : 1) {
        const char *c = text + i;
        length = utf8_length(c, size - i);
        bool control = !length || (iscntrl((unsigned char)*c) && *c != '\t');
        buf_add_n(out, control ? "?" : c, control ? 1 : length);
    }
}

static void print_line(Buf *out, const Excerpt *line, int number) {
    bool carriage = line->length > 0 && line->text[line->length - 1] == '\r';
    buf_printf(out, "%4d | ", number);
    print_text(out, line->text, line->length - carriage);
    buf_add(out, "\n");
}

// Tabs are repeated and the bytes of one character are one column, so that the caret stands below
// it.
static void print_caret(Buf *out, const Excerpt *line, const char *color, const char *off) {
    buf_printf(out, "     | ");
    for (size_t i = 0; i < line->mark; i++)
        if (!is_continuation(line->text[i])) buf_add(out, line->text[i] == '\t' ? "\t" : " ");
    buf_printf(out, "%s^", color);
    for (size_t i = line->mark + 1; i < line->mark_end; i++)
        if (!is_continuation(line->text[i])) buf_add(out, "~");
    buf_printf(out, "%s\n", off);
}

static void print_message(Buf *out, const Message *message, const Style *style) {
    static const char *const word[] = {"error", "note", "hint"};
    const char *color = message->level == LEVEL_ERROR  ? style->error
                        : message->level == LEVEL_NOTE ? style->note
                                                       : style->hint;
    Span span = message->span;
    if (message->level == LEVEL_HINT) buf_add(out, "     = ");
    if (span.source) {
        buf_add(out, style->bold);
        print_text(out, span.source->name, strlen(span.source->name));
        buf_printf(out, ":%d:%d:%s ", span_line(span), span_column(span), style->off);
    }
    buf_printf(out, "%s%s:%s ", color, word[message->level], style->off);
    print_text(out, message->text, strlen(message->text));
    buf_add(out, "\n");
    if (!span.source || message->level == LEVEL_NOTE) return;
    Excerpt line = excerpt(span);
    print_line(out, &line, span_line(span));
    print_caret(out, &line, color, style->off);
}

static int by_place(const void *left, const void *right) {
    const Message *a = *(Message *const *)left, *b = *(Message *const *)right;
    if (a->source != b->source) return a->source < b->source ? -1 : 1;
    if (a->span.start != b->span.start) return a->span.start < b->span.start ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static bool same_message(const Message *a, const Message *b) {
    return a->span.source == b->span.source && a->span.start == b->span.start &&
           a->span.end == b->span.end && !strcmp(a->text, b->text);
}

static bool printed_before(Message *const *sorted, int index) {
    for (int i = index - 1; i >= 0 && sorted[i]->span.start == sorted[index]->span.start; i--)
        if (same_message(sorted[i], sorted[index])) return true;
    return false;
}

static char *render(const Diag *diag, Arena *arena, const Style *style) {
    Buf out = buf_new(arena);
    int count = diag->error.count;
    Message **sorted = ARENA_ARRAY(arena, Message *, count);
    if (count) memcpy(sorted, diag->error.at, sizeof *sorted * (size_t)count);
    if (count) qsort(sorted, (size_t)count, sizeof *sorted, by_place);
    for (int i = 0; i < count; i++) {
        if (printed_before(sorted, i)) continue;
        for (const Message *message = sorted[i]; message; message = message->next)
            print_message(&out, message, style);
    }
    return out.text;
}

char *diag_text(const Diag *diag, Arena *arena) { return render(diag, arena, &plain); }

void diag_print(const Diag *diag, FILE *to, bool color) {
    Arena *scratch = arena_new();
    fputs(render(diag, scratch, color ? &colored : &plain), to);
    arena_free(scratch);
}

void bug_at(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "nnc: internal error at %s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    exit(3);
}
