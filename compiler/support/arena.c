// SPDX-License-Identifier: MIT
// Arenas as a chain of blocks: memory is handed out from the newest block by moving a pointer, and
// a request that does not fit starts a new one. Blocks double in size, so a large compilation makes
// few, and those are of large pages.
//
// Where addresses are checked (a sanitizer, or NNC_ARENA_APART for valgrind), each request is a block
// of its own, so that what reaches beyond it is seen.
#include "support/arena.h"
#include "nnc.h"
#include "support/diag.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16, FIRST_BLOCK = 16 << 10, SMALL_BLOCKS = 256 << 10, LARGE_BLOCK = 4 << 20 };

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NNC_ARENA_APART 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(NNC_ARENA_APART)
static const bool apart = true;
#else
static const bool apart = false;
#endif

typedef struct Block {
    struct Block *older;
    size_t used, size; // of data
    bool is_mapped;    // by nnc_memory_new, else by calloc
    alignas(ALIGN) char data[];
} Block;

struct Arena {
    Block *newest;
};

Arena *arena_new(void) {
    Arena *arena = calloc(1, sizeof *arena);
    if (!arena) bug("out of memory");
    return arena;
}

void arena_free(Arena *arena) {
    if (!arena) return;
    for (Block *block = arena->newest, *older; block; block = older) {
        older = block->older;
        if (block->is_mapped)
            nnc_memory_free(block, sizeof *block + block->size);
        else
            free(block);
    }
    free(arena);
}

static size_t block_size(const Arena *arena, size_t least) {
    if (apart) return least;
    size_t size = arena->newest ? arena->newest->size * 2 : FIRST_BLOCK;
    if (size > SMALL_BLOCKS) size = LARGE_BLOCK - sizeof(Block);
    return size < least ? least : size;
}

// Both kinds of memory are zero already where they come fresh from the system.
static void add_block(Arena *arena, size_t least) {
    size_t size = block_size(arena, least);
    bool is_mapped = size > SMALL_BLOCKS && !apart;
    Block *block =
        is_mapped ? nnc_memory_new(sizeof *block + size) : calloc(1, sizeof *block + size);
    if (!block) bug("out of memory: %zu bytes", size);
    block->older = arena->newest;
    block->size = size;
    block->is_mapped = is_mapped;
    arena->newest = block;
}

void *arena_alloc(Arena *arena, size_t bytes) {
    if (bytes > PTRDIFF_MAX / 2) bug("out of memory: %zu bytes", bytes);
    if (!apart) bytes = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    Block *block = arena->newest;
    if (!block || apart || block->size - block->used < bytes) {
        add_block(arena, bytes);
        block = arena->newest;
    }
    void *memory = block->data + block->used;
    block->used += bytes;
    return memory;
}

char *arena_strndup(Arena *arena, const char *text, size_t length) {
    char *copy = arena_alloc(arena, length + 1);
    if (length) memcpy(copy, text, length);
    return copy; // the rest is zero
}

char *arena_strdup(Arena *arena, const char *text) {
    return arena_strndup(arena, text, strlen(text));
}

char *arena_vprintf(Arena *arena, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    char some[256]; // which is nearly always enough, so that one pass is
    int length = vsnprintf(some, sizeof some, format, args);
    if (length < 0) bug("bad format: %s", format);
    char *text = arena_alloc(arena, (size_t)length + 1);
    if ((size_t)length < sizeof some)
        memcpy(text, some, (size_t)length);
    else
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(Arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

void *arena_grow(Arena *arena, void *old, size_t item_size, int count, int *capacity) {
    if (*capacity > INT32_MAX / 2) bug("out of memory: %d items", *capacity);
    *capacity = *capacity ? *capacity * 2 : 8;
    if ((size_t)*capacity > SIZE_MAX / item_size) bug("out of memory: %d items", *capacity);
    void *grown = arena_alloc(arena, (size_t)*capacity * item_size);
    if (count) memcpy(grown, old, (size_t)count * item_size);
    return grown;
}
