// SPDX-License-Identifier: MIT
// Growing text. What is outgrown stays in the arena; doubling keeps that below the final length.
#include "support/buf.h"
#include "support/diag.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

Buf buf_new(Arena *arena) { return (Buf){.arena = arena, .text = arena_alloc(arena, 1)}; }

// Room for `more` bytes and the NUL after them.
static void reserve(Buf *buf, size_t more) {
    if (more >= SIZE_MAX / 4 - buf->length) bug("text of %zu bytes", buf->length);
    size_t needed = buf->length + more + 1;
    if (needed <= buf->capacity) return;
    size_t capacity = buf->capacity ? buf->capacity * 2 : 128;
    while (capacity < needed)
        capacity *= 2;
    char *text = arena_alloc(buf->arena, capacity);
    if (buf->length) memcpy(text, buf->text, buf->length);
    buf->text = text;
    buf->capacity = capacity;
}

void buf_add_n(Buf *buf, const char *text, size_t length) {
    reserve(buf, length);
    if (length) memcpy(buf->text + buf->length, text, length);
    buf->length += length;
    buf->text[buf->length] = '\0';
}

void buf_add_char(Buf *buf, char c) { buf_add_n(buf, &c, 1); }

void buf_add(Buf *buf, const char *text) { buf_add_n(buf, text, strlen(text)); }

void buf_add_xml(Buf *buf, const char *text) {
    for (; *text; text++) {
        bool control = (unsigned char)*text < ' ' && *text != '\n' && *text != '\t';
        if (*text == '<')
            buf_add(buf, "&lt;");
        else if (*text == '>')
            buf_add(buf, "&gt;");
        else if (*text == '&')
            buf_add(buf, "&amp;");
        else if (*text == '"')
            buf_add(buf, "&quot;");
        else
            buf_add_char(buf, control ? '?' : *text);
    }
}

// Nearly always there is room, and one pass is enough.
void buf_printf(Buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t room = buf->capacity - buf->length;
    int length = vsnprintf(room ? buf->text + buf->length : NULL, room, format, args);
    va_end(args);
    if (length < 0) bug("bad format: %s", format);
    if ((size_t)length >= room) {
        reserve(buf, (size_t)length);
        vsnprintf(buf->text + buf->length, (size_t)length + 1, format, again);
    }
    va_end(again);
    buf->length += (size_t)length;
}
