// SPDX-License-Identifier: MIT
// Messages to the user about a place in a text: error, where it comes from, a hint.
//
//     net.nnd:7:14: error: linear: x is [N, 64], weight wants [.., 128]
//        7 |     |> linear(10)
//          |        ^~~~~~
//     net.nnd:5:8: note: 64 comes from here
//
// Errors are collected, not thrown: whoever reports one goes on with the next statement, so that one
// run shows all of them. bug() is for our own mistakes and ends the process with status 3.
#ifndef NNC_SUPPORT_DIAG_H
#define NNC_SUPPORT_DIAG_H

#include "support/arena.h"
#include <stdbool.h>
#include <stdio.h>

typedef struct Source {
    const char *name; // as the user gave it
    const char *text; // NUL-terminated
    size_t length;
    const unsigned *line; // where each of its lines starts
    int lines;
} Source;

typedef struct Span {
    const Source *source; // NULL: no place
    unsigned start, end;  // byte offsets, end exclusive
} Span;

#define SPAN_NONE ((Span){0})
Span span_join(Span first, Span last);
int span_line(Span span);   // from 1
int span_column(Span span); // from 1, in bytes

typedef struct Diag Diag;

Diag *diag_new(Arena *arena);
void diag_error(Diag *diag, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Belong to the error before them.
void diag_note(Diag *diag, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
void diag_hint(Diag *diag, const char *format, ...) __attribute__((format(printf, 2, 3)));
int diag_error_count(const Diag *diag);
// All messages in the order of their place, equal ones once; `color` for a terminal.
void diag_print(const Diag *diag, FILE *to, bool color);
char *diag_text(const Diag *diag, Arena *arena); // the same, plain, as a string


// Reads a whole file; NULL with *error set (a sentence without the path) where it cannot be read.
Source *source_read(Arena *arena, const char *path, const char **error);
// Bytes of the UTF-8 character that `text` begins with; 0 where its first `left` bytes begin with none.
size_t utf8_length(const char *text, size_t left);
Source *source_from_text(Arena *arena, const char *name, const char *text);

_Noreturn void bug_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
