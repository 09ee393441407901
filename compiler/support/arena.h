// SPDX-License-Identifier: MIT
// Arenas: all memory of a compilation. One arena lives as long as the compilation, passes take a
// scratch one; nothing is freed alone.
//
//     Arena *a = arena_new();
//     Node *n = ARENA_NEW(a, Node);             // zeroed
//     const char *s = arena_printf(a, "%s_%d", "conv2d", 1);
//     arena_free(a);                            // everything at once
#ifndef NNC_SUPPORT_ARENA_H
#define NNC_SUPPORT_ARENA_H

#include <stdarg.h>
#include <stddef.h>

typedef struct Arena Arena;

Arena *arena_new(void);
void arena_free(Arena *arena); // NULL is fine

// Zeroed, aligned to 16 bytes. Never NULL: running out of memory ends the process through bug().
void *arena_alloc(Arena *arena, size_t bytes) __attribute__((returns_nonnull));

char *arena_strdup(Arena *arena, const char *text) __attribute__((returns_nonnull));
char *arena_strndup(Arena *arena, const char *text, size_t length) __attribute__((returns_nonnull));
char *arena_printf(Arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3), returns_nonnull));
char *arena_vprintf(Arena *arena, const char *format, va_list args);

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc((arena), sizeof(type) * (size_t)(count)))

// A growing array in an arena:  VEC(const Node *) users = {0};  VEC_PUSH(arena, users, node);
#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *at;                                                                                  \
        int count, capacity;                                                                       \
    }
#define VEC_PUSH(arena, vec, item)                                                                 \
    do {                                                                                           \
        if ((vec).count == (vec).capacity)                                                         \
            (vec).at = arena_grow((arena), (vec).at, sizeof *(vec).at, (vec).count,                \
                                  &(vec).capacity);                                                \
        (vec).at[(vec).count++] = (item);                                                          \
    } while (0)
void *arena_grow(Arena *arena, void *old, size_t item_size, int count, int *capacity);

#endif
