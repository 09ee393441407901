// SPDX-License-Identifier: MIT
// Levels and strands, from what each pair of kernels has to do with one another.
//
// A kernel's level is one more than that of the kernels that must be done as a whole before it, and
// no less than that of those that it follows part by part. So a convolution network without batch
// statistics is two levels: each image through all layers and back, then the weights' gradients.
#include "pass/group.h"

enum {
    FEW_INDICES = 4,       // cut so coarsely, a kernel had better be shared out by itself,
    LITTLE_TIME = 50000,   // ns, unless it is short
    CACHE_BYTES = 1 << 20, // a core's own
    LEAST_ROWS = 8,        // fewer rows of a product take as long as these
};

static const double cache_speed = 10, memory_speed = 5; // bytes a nanosecond

typedef struct Grouping {
    Arena *arena;
    int count;
    Walk **walk;
    uint8_t *relation; // [earlier * count + later]
    int *level;
} Grouping;

static Relation relation(const Grouping *g, int earlier, int later) {
    return (Relation)g->relation[(size_t)earlier * (size_t)g->count + (size_t)later];
}

static void find_relations(Grouping *g) {
    g->relation = ARENA_ARRAY(g->arena, uint8_t, (size_t)g->count * (size_t)g->count + 1);
    for (int i = 0; i < g->count; i++)
        for (int k = i + 1; k < g->count; k++)
            g->relation[(size_t)i * (size_t)g->count + (size_t)k] =
                (uint8_t)walk_relation(g->walk[i], g->walk[k]);
}

// All that is prepared comes before everything else.
static void find_levels(Grouping *g, bool prepared, int first) {
    for (int k = 0; k < g->count; k++) {
        if (g->walk[k]->kernel->prepared != prepared) continue;
        g->level[k] = first;
        for (int i = 0; i < k; i++) {
            Relation r = relation(g, i, k);
            int least = g->level[i] + (r == AS_WHOLE);
            if (r != APART && least > g->level[k]) g->level[k] = least;
        }
    }
}

static int levels_so_far(const Grouping *g) {
    int levels = 0;
    for (int k = 0; k < g->count; k++)
        if (g->level[k] >= levels) levels = g->level[k] + 1;
    return levels;
}

// Does the kernel make at least as many bytes as it reads of what other kernels made?
static bool makes_more(const Walk *walk) {
    int64_t made = 0;
    for (int i = 0; i < walk->touch.count; i++) {
        const Touch *touch = &walk->touch.at[i];
        if (touch->buffer->arena != ARENA_WORK || touch->wait) continue;
        int64_t bytes = (touch->to - touch->from) * dtype_size(touch->buffer->dtype);
        made += touch->write ? bytes : -bytes;
    }
    return made >= 0;
}

// What is made early and followed part by part later is made there, if no more has to be kept
// meanwhile.
static void postpone(Grouping *g) {
    for (int k = g->count - 1; k >= 0; k--) {
        int latest = g->count;
        bool followed = false;
        if (g->walk[k]->kernel->prepared) continue;
        for (int user = k + 1; user < g->count; user++) {
            Relation r = relation(g, k, user);
            int at = g->level[user] - (r == AS_WHOLE);
            if (r == APART || at > latest) continue;
            followed = (followed && at == latest) || r == BY_PART;
            latest = at;
        }
        if (followed && latest > g->level[k] && makes_more(g->walk[k])) g->level[k] = latest;
    }
}

// --- Strands

static void add_strand(Grouping *g, Level *level, const bool *member) {
    Strand *strand = ARENA_NEW(g->arena, Strand);
    for (int k = 0; k < g->count; k++)
        if (member[k]) {
            VEC_PUSH(g->arena, strand->walk, g->walk[k]);
            strand->time += g->walk[k]->time;
        }
    level->time += strand->time;
    VEC_PUSH(g->arena, level->strand, strand);
}

static bool go_together(const Grouping *g, int a, int b) {
    int first = a < b ? a : b, second = a < b ? b : a;
    return relation(g, first, second) == BY_PART || walk_shares_reads(g->walk[a], g->walk[b]);
}

// All kernels of the level that hang together with `first`, by way of others.
static void collect_strand(const Grouping *g, int first, bool *taken, bool *member) {
    int *found = ARENA_ARRAY(g->arena, int, g->count), count = 1;
    found[0] = first;
    member[first] = taken[first] = true;
    for (int i = 0; i < count; i++)
        for (int k = first + 1; k < g->count; k++) {
            if (taken[k] || g->level[k] != g->level[first] || !go_together(g, found[i], k))
                continue;
            member[k] = taken[k] = true;
            found[count++] = k;
        }
}

static Level *make_level(Grouping *g, int number, bool prepared) {
    Level *level = ARENA_NEW(g->arena, Level);
    level->prepared = prepared;
    bool *taken = ARENA_ARRAY(g->arena, bool, g->count + 1);
    for (int k = 0; k < g->count; k++) {
        if (taken[k] || g->level[k] != number) continue;
        bool *member = ARENA_ARRAY(g->arena, bool, g->count + 1);
        collect_strand(g, k, taken, member);
        add_strand(g, level, member);
    }
    return level;
}

static const char *why_it_waits(const Grouping *g, int k) {
    for (int i = k - 1; i >= 0; i--)
        if (relation(g, i, k) == AS_WHOLE && g->level[i] == g->level[k] - 1)
            return arena_printf(g->arena, "all of %s", g->walk[i]->kernel->name);
    return NULL;
}

Groups *groups_make(Arena *arena, Fusion *fusion) {
    Groups *groups = ARENA_NEW(arena, Groups);
    Grouping g = {.arena = arena, .count = fusion->kernel.count};
    g.walk = ARENA_ARRAY(arena, Walk *, g.count + 1);
    g.level = ARENA_ARRAY(arena, int, g.count + 1);
    for (int k = 0; k < g.count; k++) {
        g.walk[k] = walk_make(arena, fusion, fusion->kernel.at[k]);
        if (dim_eval(g.walk[k]->outer, fusion->batch) < FEW_INDICES &&
            g.walk[k]->time > LITTLE_TIME)
            g.walk[k]->outer = dim_const(1);
    }
    find_relations(&g);
    for (int k = 0; k < g.count; k++)
        g.level[k] = -1;
    find_levels(&g, true, 0);
    int prepared = levels_so_far(&g);
    find_levels(&g, false, prepared);
    postpone(&g);
    for (int level = 0; level < levels_so_far(&g); level++)
        VEC_PUSH(arena, groups->level, make_level(&g, level, level < prepared));
    for (int k = 0; k < g.count; k++)
        fusion->kernel.at[k]->waits = why_it_waits(&g, k);
    return groups;
}

// --- Grains

typedef struct Traffic { // bytes
    double each, fixed;  // of one outer index; of each part, be it large or small: the operand that
                         // all rows of a product need
} Traffic;

static Traffic traffic_of(const Strand *strand) {
    Traffic traffic = {0, 0};
    VEC(const Touch *) seen = {0};
    Arena *arena = arena_new();
    for (int i = 0; i < strand->walk.count; i++)
        for (int k = 0; k < strand->walk.at[i]->touch.count; k++) {
            const Touch *touch = &strand->walk.at[i]->touch.at[k];
            bool known = touch->wait;
            for (int s = 0; s < seen.count; s++)
                known |= seen.at[s]->buffer == touch->buffer && seen.at[s]->from == touch->from;
            if (known) continue;
            VEC_PUSH(arena, seen, touch);
            int size = dtype_size(touch->buffer->dtype);
            traffic.each += (double)(touch->part * size);
            if (touch->part == 0 && strand->walk.at[i]->rows > 0)
                traffic.fixed += (double)((touch->to - touch->from) * size);
        }
    arena_free(arena);
    return traffic;
}

static double part_time(const Strand *strand, const Traffic *traffic, int64_t indices,
                        int64_t grain) {
    double time = 100, bytes = traffic->fixed + traffic->each * (double)grain;
    for (int i = 0; i < strand->walk.count; i++) {
        const Walk *walk = strand->walk.at[i];
        double own = walk->time / (double)indices * (double)grain;
        int64_t rows = walk->rows * grain;
        time += rows > 0 && rows < LEAST_ROWS ? own * LEAST_ROWS / (double)rows : own;
    }
    return time + traffic->fixed / (traffic->fixed > CACHE_BYTES ? memory_speed : cache_speed) +
           traffic->each * (double)grain / (bytes > CACHE_BYTES ? memory_speed : cache_speed);
}

int64_t strand_grain(const Fusion *fusion, const Strand *strand) {
    int64_t indices = dim_eval(strand->walk.at[0]->outer, fusion->batch), best = 1;
    Traffic traffic = traffic_of(strand);
    double least = 0;
    for (int64_t grain = 1; grain == 1 || grain < 2 * indices; grain *= 2) {
        int64_t parts = (indices + grain - 1) / grain;
        double part = part_time(strand, &traffic, indices > 0 ? indices : 1, grain), time = 0;
        for (int64_t threads = 2; threads <= 4; threads *= 2) // whatever their number will be
            time += part * (double)((parts + threads - 1) / threads);
        if (grain == 1 || time < 0.95 * least) best = grain, least = time;
    }
    return best;
}
