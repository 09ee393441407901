// SPDX-License-Identifier: MIT
#include "cli/tuning_text.h"

#include "json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, LONGEST = 1 << 24 }; // bytes

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

Tuning *tuning_read(Arena *arena, const char *text, size_t length, const char **problem) {
    Tuning *tuning = tuning_new(arena);
    NncJson json = nnc_json(text, length);
    *problem = "it is too long";
    if (length > LONGEST) return NULL;
    read_all(arena, &json, tuning);
    if (!json.problem) return tuning;
    *problem = arena_printf(arena, "at byte %zu: %s", json.at, json.problem);
    return NULL;
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

void tuning_write(FILE *file, const char *target, const Tuning *tuning) {
    fprintf(file, "{\"version\":%d,\"target\":", VERSION);
    nnc_json_write_string(file, target);
    fputs(",\"sites\":[", file);
    for (int i = 0; i < tuning->all.count; i++) {
        fputs(i ? ",\n" : "\n", file);
        write_site(file, tuning->all.at[i]);
    }
    fputs("\n]}\n", file);
}
