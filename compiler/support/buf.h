// SPDX-License-Identifier: MIT
// Growing text, in an arena. Everything that prints (graphs, plans, C source) prints into one.
#ifndef NNC_SUPPORT_BUF_H
#define NNC_SUPPORT_BUF_H

#include "support/arena.h"

typedef struct Buf {
    Arena *arena;
    char *text; // NUL-terminated once anything was added; "" before
    size_t length, capacity;
} Buf;

Buf buf_new(Arena *arena);
void buf_add(Buf *buf, const char *text);
void buf_add_n(Buf *buf, const char *text, size_t length);
void buf_add_char(Buf *buf, char c);
void buf_add_xml(Buf *buf, const char *text); // as text or an attribute of XML: escaped, no control characters
void buf_printf(Buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
