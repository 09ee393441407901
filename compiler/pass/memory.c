// SPDX-License-Identifier: MIT
// The memory plan: each buffer gets an offset in one arena, so that buffers which live at
// the same time do not overlap. Greedy by size: the largest first, each at the lowest offset that
// is free over its live range (the heuristic of Pisarchyk & Lee, "Efficient Memory Management for
// Deep Neural Net Inference", 2020, section 5).
#include "pass/plan.h"

#include <stdlib.h>

static int64_t bytes_of(const Buffer *buffer) {
    int64_t bytes = buffer->elements * dtype_size(buffer->dtype);
    return (bytes + NNC_ALIGN - 1) / NNC_ALIGN * NNC_ALIGN;
}

static int by_size(const void *a, const void *b) {
    const Buffer *x = *(Buffer *const *)a, *y = *(Buffer *const *)b;
    int64_t difference = bytes_of(y) - bytes_of(x);
    return difference ? (difference > 0 ? 1 : -1) : x->id - y->id;
}

// The lowest offset at which `buffer` meets none of the `count` placed ones (sorted by offset or
// not).
static int64_t free_offset(Buffer *const *placed, int count, const Buffer *buffer) {
    int64_t offset = 0, size = bytes_of(buffer);
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < count; i++) {
            const Buffer *other = placed[i];
            if (other->last < buffer->first || buffer->last < other->first) continue;
            if (other->offset + bytes_of(other) <= offset || offset + size <= other->offset)
                continue;
            offset = other->offset + bytes_of(other);
            moved = true;
        }
    }
    return offset;
}

int64_t memory_plan(const Buffers *buffers) {
    int64_t bytes = 0;
    if (buffers->count) qsort(buffers->at, (size_t)buffers->count, sizeof *buffers->at, by_size);
    for (int i = 0; i < buffers->count; i++) {
        Buffer *buffer = buffers->at[i];
        buffer->offset = free_offset(buffers->at, i, buffer);
        int64_t end = buffer->offset + bytes_of(buffer);
        if (end > bytes) bytes = end;
    }
    return bytes;
}
