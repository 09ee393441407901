// SPDX-License-Identifier: MIT
// Source texts and places in them.
#include "support/diag.h"

#include <errno.h>
#include <string.h>

// Spans are 32 bits, and a network of more text than this is a mistaken file name.
enum { LARGEST_SOURCE = 64 << 20 };

Span span_join(Span first, Span last) {
    if (!first.source) return last;
    if (last.source != first.source) return first;
    return (Span){first.source, first.start < last.start ? first.start : last.start,
                  first.end > last.end ? first.end : last.end};
}

size_t utf8_length(const char *text, size_t left) {
    unsigned char c = left ? (unsigned char)*text : 0x80;
    size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (length > left) return 0;
    for (size_t i = 1; i < length; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80) return 0;
    return length;
}

int span_line(Span span) {
    if (!span.source) return 1;
    int low = 0, high = span.source->lines; // the line that we look for is one of low .. high - 1
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (span.source->line[middle] <= span.start)
            low = middle;
        else
            high = middle;
    }
    return low + 1;
}

int span_column(Span span) {
    unsigned start = span.start;
    if (span.source && start > span.source->length) bug("span outside of %s", span.source->name);
    while (span.source && start > 0 && span.source->text[start - 1] != '\n')
        start--;
    return (int)(span.start - start) + 1;
}

static Source *source_new(Arena *arena, const char *name, const char *text, size_t length) {
    Source *source = ARENA_NEW(arena, Source);
    VEC(unsigned) line = {0};
    VEC_PUSH(arena, line, 0);
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\n') VEC_PUSH(arena, line, (unsigned)i + 1);
    *source = (Source){arena_strdup(arena, name), text, length, line.at, line.count};
    return source;
}

Source *source_from_text(Arena *arena, const char *name, const char *text) {
    return source_new(arena, name, arena_strdup(arena, text), strlen(text));
}

// What a file with a zero byte in it is, if it is known.
static const char *foreign_file(const char *start, size_t size) {
    static const struct {
        const char *mark, *is;
        size_t at;
    } files[] = {
        {"\x89PNG", "is no text but a picture; nnc predict takes those", 0},
        {"\xff\xd8\xff", "is no text but a picture", 0},
        {"{\"__metadata__\"", "is no text but a checkpoint; nnc show lists its tensors", 8},
        {"\x7f" "ELF", "is no text but a program", 0},
        {"PK\x03\x04", "is no text but an archive, as PyTorch's files are", 0},
        {"\xff\xfe", "is text in UTF-16: save it as UTF-8", 0},
        {"\xfe\xff", "is text in UTF-16: save it as UTF-8", 0},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t length = strlen(files[i].mark);
        if (files[i].at + length <= size && !memcmp(start + files[i].at, files[i].mark, length))
            return files[i].is;
    }
    return "is no text: it holds a zero byte";
}

// NULL with *error set where `file` cannot be read or is no text.
static char *read_all(Arena *arena, FILE *file, size_t *length, const char **error) {
    VEC(char) text = {0};
    char chunk[1 << 14];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) {
        if ((size_t)text.count + got > LARGEST_SOURCE) {
            *error = arena_printf(arena, "is larger than %d MiB", LARGEST_SOURCE >> 20);
            return NULL;
        }
        if (memchr(chunk, '\0', got)) {
            *error = foreign_file(chunk, got);
            return NULL;
        }
        while ((size_t)text.capacity < (size_t)text.count + got + 1)
            text.at = arena_grow(arena, text.at, 1, text.count, &text.capacity);
        memcpy(text.at + text.count, chunk, got);
        text.count += (int)got;
    }
    if (ferror(file)) {
        *error = arena_printf(arena, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    *length = (size_t)text.count;
    return text.at ? text.at : arena_strdup(arena, "");
}

Source *source_read(Arena *arena, const char *path, const char **error) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        *error = arena_printf(arena, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    size_t length = 0;
    char *text = read_all(arena, file, &length, error);
    fclose(file);
    if (!text) return NULL;
    text[length] = '\0';
    return source_new(arena, path, text, length);
}
