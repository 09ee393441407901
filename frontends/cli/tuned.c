// SPDX-License-Identifier: MIT
// What `nnc tune` has measured, in a file of the cache: one for each processor and compiler, with
// an entry for each site.
//
//     {"version":1,"target":"x86-64-v4","sites":[
//     {"site":"conv2d 3x3 64->128 to 28x28, batch 16","takes":"F(4)",
//      "candidates":[{"name":"F(4)","seconds":0.0021},{"name":"product","seconds":0.009}]},
//     ..]}
//
// Only names are taken from it, and compared with those that the compiler offers: whatever stands
// in the file, what is computed is one of the ways that the compiler has.
#include "cli/cli.h"

#include "jit/internal.h"
#include "json.h"
#include "pass/plan.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERSION = 1, LONGEST = 1 << 24 }; // bytes of the file

// --- Reading

static const char *read_text(Arena *arena, NncJson *json) {
    char *text = NULL;
    if (!nnc_json_string(json, &text)) return NULL;
    const char *kept = arena_strdup(arena, text);
    free(text);
    return kept;
}

// The next key of an object, in the arena; NULL after the last one.
static const char *read_key(Arena *arena, NncJson *json) {
    char *key = NULL;
    if (!nnc_json_key(json, &key)) return NULL;
    const char *kept = arena_strdup(arena, key);
    free(key);
    return kept;
}

static void read_candidate(Arena *arena, NncJson *json, Tuned *tuned) {
    Candidate candidate = {0};
    nnc_json_enter(json, '{');
    for (const char *key; (key = read_key(arena, json));) {
        if (!strcmp(key, "name"))
            candidate.name = read_text(arena, json);
        else if (!strcmp(key, "seconds"))
            nnc_json_number(json, &candidate.seconds);
        else
            nnc_json_skip(json);
    }
    if (!candidate.name || !(candidate.seconds > 0) || !isfinite(candidate.seconds))
        nnc_json_fail(json, "a candidate wants a name and seconds");
    else if (tuned->count == MOST_CANDIDATES)
        nnc_json_fail(json, "too many candidates");
    else
        tuned->candidate[tuned->count++] = candidate;
}

static void read_site(Arena *arena, NncJson *json, Tuning *tuning) {
    Tuned tuned = {0};
    nnc_json_enter(json, '{');
    for (const char *key; (key = read_key(arena, json));) {
        if (!strcmp(key, "site"))
            tuned.site = read_text(arena, json);
        else if (!strcmp(key, "takes"))
            tuned.takes = read_text(arena, json);
        else if (strcmp(key, "candidates"))
            nnc_json_skip(json);
        else
            for (nnc_json_enter(json, '['); nnc_json_item(json);)
                read_candidate(arena, json, &tuned);
    }
    if (!tuned.site || !tuned.takes)
        nnc_json_fail(json, "an entry wants a site and what it takes");
    else
        tuning_put(tuning, &tuned);
}

static void read_all(Arena *arena, NncJson *json, Tuning *tuning) {
    double version = 0;
    nnc_json_enter(json, '{');
    for (const char *key; (key = read_key(arena, json));) {
        if (!strcmp(key, "version"))
            nnc_json_number(json, &version);
        else if (strcmp(key, "sites"))
            nnc_json_skip(json);
        else
            for (nnc_json_enter(json, '['); nnc_json_item(json);)
                read_site(arena, json, tuning);
    }
    if (version != VERSION) nnc_json_fail(json, "another version");
    nnc_json_end(json);
}

static void warn(const char *path, const char *why) {
    fprintf(stderr, "nnc: warning: %s: %s; it is left out\n", path, why);
}

// NULL where there is none, or none that makes sense.
static Tuning *read_file(Arena *arena, const char *path) {
    size_t length;
    if (access(path, F_OK)) return NULL;
    char *text = cache_is_ours(path) ? file_read(arena, path, &length) : NULL;
    if (!text || length > LONGEST) {
        warn(path, text ? "it is too long" : "others may write to this file, or it cannot be read");
        return NULL;
    }
    Tuning *tuning = tuning_new(arena);
    NncJson json = nnc_json(text, length);
    read_all(arena, &json, tuning);
    if (!json.problem) return tuning;
    warn(path, arena_printf(arena, "at byte %zu: %s", json.at, json.problem));
    return NULL;
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

static void write_site(FILE *file, const Tuned *tuned) {
    fputs("{\"site\":", file);
    nnc_json_write_string(file, tuned->site);
    fputs(",\"takes\":", file);
    nnc_json_write_string(file, tuned->takes);
    fputs(",\"candidates\":[", file);
    for (int i = 0; i < tuned->count; i++) {
        fputs(i ? ",{\"name\":" : "{\"name\":", file);
        nnc_json_write_string(file, tuned->candidate[i].name);
        fputs(",\"seconds\":", file);
        nnc_json_write_number(file, tuned->candidate[i].seconds);
        fputs("}", file);
    }
    fputs("]}", file);
}

static bool write_file(const char *path, const Target *target, const Tuning *tuning) {
    FILE *file = fopen(path, "w");
    if (!file) return false;
    fprintf(file, "{\"version\":%d,\"target\":", VERSION);
    nnc_json_write_string(file, target->name);
    fputs(",\"sites\":[", file);
    for (int i = 0; i < tuning->all.count; i++) {
        fputs(i ? ",\n" : "\n", file);
        write_site(file, tuning->all.at[i]);
    }
    fputs("\n]}\n", file);
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
    const char *fresh = arena_printf(arena, "%s.%d", path, (int)getpid());
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
