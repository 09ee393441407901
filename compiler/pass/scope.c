// SPDX-License-Identifier: MIT
// The scope of buffers between kernels: what one strand alone touches, each part its own elements,
// need not lie in memory for the whole batch. Each thread has room for one part of it, where it
// stays in the core's cache from the kernel that writes it to those that read it.
#include "pass/group.h"

typedef struct Use { // of a buffer, by its id
    const Strand *strand;
    int64_t part;
    bool shared; // by several strands, or not by parts
} Use;

static void note(Use *use, const Strand *strand, const Touch *touch) {
    bool whole = touch->from == 0 && touch->to == touch->buffer->elements;
    bool first = !use->strand;
    use->shared |= !whole || touch->part == 0 || touch->buffer->arena != ARENA_WORK ||
                   (!first && (use->strand != strand || use->part != touch->part));
    use->strand = strand;
    use->part = touch->part;
}

static Use *find_uses(Arena *arena, const Fusion *fusion, const Groups *groups) {
    Use *use = ARENA_ARRAY(arena, Use, fusion->buffer.count + 1);
    for (int l = 0; l < groups->level.count; l++)
        for (int s = 0; s < groups->level.at[l]->strand.count; s++) {
            const Strand *strand = groups->level.at[l]->strand.at[s];
            for (int w = 0; w < strand->walk.count; w++)
                for (int t = 0; t < strand->walk.at[w]->touch.count; t++) {
                    const Touch *touch = &strand->walk.at[w]->touch.at[t];
                    note(&use[touch->buffer->id], strand, touch);
                }
        }
    return use;
}

// While it lives, as places in the order of the strand's calls; those kernels learn how many of
// their indices are a part's.
static void find_life(Buffer *buffer, const Strand *strand) {
    buffer->first = -1;
    for (int w = 0; w < strand->walk.count; w++)
        for (int t = 0; t < strand->walk.at[w]->touch.count; t++) {
            if (strand->walk.at[w]->touch.at[t].buffer != buffer) continue;
            if (buffer->first < 0) buffer->first = w;
            buffer->last = w;
            strand->walk.at[w]->kernel->unit = strand->walk.at[w]->unit;
        }
}

static int64_t keep_in_strand(Arena *arena, Fusion *fusion, const Strand *strand, const Use *use,
                              int64_t base) {
    Buffers mine = {0};
    for (int i = 0; i < fusion->buffer.count; i++) {
        Buffer *buffer = fusion->buffer.at[i];
        if (use[i].strand != strand || use[i].shared) continue;
        buffer->arena = ARENA_SCRATCH;
        buffer->part = use[i].part;
        buffer->elements = buffer->part * strand->grain;
        find_life(buffer, strand);
        VEC_PUSH(arena, mine, buffer);
    }
    int64_t bytes = memory_plan(&mine);
    for (int i = 0; i < mine.count; i++)
        mine.at[i]->offset += base;
    return base + bytes;
}

// --- What is written past the caches

enum { STREAM_BYTES = 32 << 20 }; // as much as a large last cache

static int touches(const Strand *strand, const Buffer *buffer) {
    int count = 0;
    for (int w = 0; w < strand->walk.count; w++)
        for (int t = 0; t < strand->walk.at[w]->touch.count; t++)
            count += strand->walk.at[w]->touch.at[t].buffer == buffer;
    return count;
}

// Streamed, if each strand that touches it does so once. (One that writes a part of it and reads
// this part again has it in the cache.)
static void find_streams(const Fusion *fusion, const Groups *groups) {
    for (int i = 0; i < fusion->buffer.count; i++) {
        Buffer *buffer = fusion->buffer.at[i];
        buffer->streamed = buffer->dtype == DT_F32 && buffer->arena != ARENA_SCRATCH &&
                           buffer->elements * dtype_size(DT_F32) >= STREAM_BYTES;
        for (int l = 0; l < groups->level.count && buffer->streamed; l++)
            for (int s = 0; s < groups->level.at[l]->strand.count; s++)
                if (touches(groups->level.at[l]->strand.at[s], buffer) > 1)
                    buffer->streamed = false;
    }
}

int64_t scope_buffers(Arena *arena, Fusion *fusion, const Groups *groups, int64_t scratch) {
    const Use *use = find_uses(arena, fusion, groups);
    int64_t most = scratch;
    find_streams(fusion, groups);
    for (int l = 0; l < groups->level.count; l++)
        for (int s = 0; s < groups->level.at[l]->strand.count; s++) {
            const Strand *strand = groups->level.at[l]->strand.at[s];
            if (strand->grain == 0) continue;
            int64_t bytes = keep_in_strand(arena, fusion, strand, use, scratch);
            if (bytes > most) most = bytes;
        }
    return most;
}
