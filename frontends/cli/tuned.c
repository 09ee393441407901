// SPDX-License-Identifier: MIT
// What `nnc tune` has measured, in a file of the cache: one for each processor and compiler, with
// an entry for each site (tuning_text.h).
#include "cli/cli.h"

#include "cli/tuning_text.h"
#include "jit/internal.h"
#include "pass/plan.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void warn(const char *path, const char *why) {
    fprintf(stderr, "nnc: warning: %s: %s; it is left out\n", path, why);
}

// NULL where there is none, or none that makes sense.
static Tuning *read_file(Arena *arena, const char *path) {
    size_t length;
    if (access(path, F_OK)) return NULL;
    char *text = file_read_ours(arena, path, &length);
    const char *problem = "others may write to this file, or it cannot be read";
    Tuning *tuning = text ? tuning_read(arena, text, length, &problem) : NULL;
    if (!tuning) warn(path, problem);
    return tuning;
}

static const char *file_of(const Settings *settings, const Target *target) {
    Cache cache = cache_open(settings->arena, settings->jit.cache_dir);
    return cache_target_file(settings->arena, cache, target);
}

const Tuning *tuned_load(const Settings *settings, const Target *target) {
    const char *path = settings->no_tuned ? NULL : file_of(settings, target);
    return path ? read_file(settings->arena, path) : NULL;
}

// --- Writing

// The path ends in XXXXXX, which become others.
static bool write_file(char *path, const Target *target, const Tuning *tuning) {
    int descriptor = mkstemp(path);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "w");
    if (!file) return false;
    tuning_write(file, target->name, tuning);
    bool written = !ferror(file);
    return fclose(file) == 0 && written;
}

const char *tuned_keep(const Settings *settings, const Target *target, const Tuning *found) {
    Arena *arena = settings->arena;
    const char *path = file_of(settings, target);
    if (!path) {
        report("there is no cache that can be written to ($NNC_CACHE names one)");
        return NULL;
    }
    Tuning *all = read_file(arena, path);
    if (!all) all = tuning_new(arena);
    for (int i = 0; i < found->all.count; i++)
        tuning_put(all, found->all.at[i]);
    char *fresh = arena_printf(arena, "%s.XXXXXX", path);
    if (write_file(fresh, target, all) && rename(fresh, path) == 0) return path;
    report("%s cannot be written: %s", path, strerror(errno));
    unlink(fresh);
    return NULL;
}

// --- What a program takes

static void add_choice(Arena *arena, Choices *choices, const Choice *choice) {
    for (int i = 0; i < choices->count; i++)
        if (!strcmp(choices->at[i]->site, choice->site)) return;
    VEC_PUSH(arena, *choices, choice);
}

Choices compiled_choices(Arena *arena, const Compiled *compiled, unsigned functions) {
    Choices choices = {0};
    for (int f = 0; f < NNC_FUNCTIONS; f++) {
        if (!compiled->plan[f] || !(functions >> f & 1)) continue;
        const Fusion *fusion = compiled->plan[f]->fusion;
        for (int k = 0; k < fusion->kernel.count; k++)
            for (int i = 0; i < fusion->kernel.at[k]->choice.count; i++)
                add_choice(arena, &choices, fusion->kernel.at[k]->choice.at[i]);
    }
    return choices;
}
