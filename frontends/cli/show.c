// SPDX-License-Identifier: MIT
// nnc show: the tensors of a checkpoint, or of any safetensors file.
//
//     nnc show out/gem.safetensors               name, shape, least, mean, greatest of each
//     nnc show out/gem.safetensors pool.p        and the values of those that are named
#include "cli/cli.h"

#include "checkpoint.h"
#include "json.h"
#include <fnmatch.h>
#include <math.h>
#include <string.h>

enum { A_LINE = 8, FEW = 8 };

typedef struct Listing {
    const Settings *settings;
    int shown, left_out;
} Listing;

typedef struct Summary {
    double least, mean, most;
} Summary;

// --- Values

static bool is_read(const NncStored *stored) {
    static const char *const types[] = {"F32", "F64", "I32", "BOOL"};
    for (int i = 0; i < 4; i++)
        if (!strcmp(stored->type, types[i])) return true;
    return false;
}

static long long count_of(const NncStored *stored) {
    long long count = 1;
    for (int i = 0; i < stored->rank; i++)
        count *= stored->extent[i];
    return count;
}

// The file's bytes are not aligned.
static double value_at(const NncStored *stored, long long i) {
    const char *data = stored->data;
    float single;
    double number;
    int32_t integer;
    switch (stored->type[0]) {
    case 'I':
        memcpy(&integer, data + 4 * i, 4);
        return integer;
    case 'B':
        return data[i] != 0;
    default:
        if (!strcmp(stored->type, "F64")) {
            memcpy(&number, data + 8 * i, 8);
            return number;
        }
        memcpy(&single, data + 4 * i, 4);
        return (double)single;
    }
}

static Summary summarize(const NncStored *stored) {
    long long count = count_of(stored);
    Summary summary = {INFINITY, 0, -INFINITY};
    for (long long i = 0; i < count; i++) {
        double value = value_at(stored, i);
        summary.least = fmin(summary.least, value);
        summary.most = fmax(summary.most, value);
        summary.mean += value;
    }
    summary.mean /= count ? (double)count : 1;
    return summary;
}

// --- Lines

static const char *shape_of_stored(Arena *arena, const NncStored *stored) {
    Buf text = buf_new(arena);
    buf_printf(&text, "%s[", stored->type);
    for (int i = 0; i < stored->rank; i++)
        buf_printf(&text, "%s%lld", i ? ", " : "", stored->extent[i]);
    buf_add(&text, "]");
    return text.text;
}

static void print_values(const NncStored *stored) {
    long long count = count_of(stored);
    long long line = stored->rank > 1 ? stored->extent[stored->rank - 1] : A_LINE;
    for (long long i = 0; i < count; i++) {
        bool breaks = i % (line < 1 ? 1 : line) == 0 || i % line % A_LINE == 0;
        printf("%s%12.6g", !breaks ? "" : i ? "\n   " : "   ", value_at(stored, i));
    }
    printf("\n");
}

static void print_lines(const Listing *listing, const NncStored *stored, bool named) {
    Arena *arena = listing->settings->arena;
    const char *shape = shape_of_stored(arena, stored);
    if (!listing->shown)
        printf("%-32s %-20s %12s %12s %12s\n", "tensor", "type", "least", "mean", "greatest");
    printf("%-32s %-20s", stored->name, shape);
    if (is_read(stored) && count_of(stored) > 0) {
        Summary summary = summarize(stored);
        printf(" %12.6g %12.6g %12.6g", summary.least, summary.mean, summary.most);
    }
    printf("\n");
    if (is_read(stored) && (named || count_of(stored) <= FEW)) print_values(stored);
}

static void print_json(const NncStored *stored, bool named) {
    printf("{\"tensor\":");
    nnc_json_write_string(stdout, stored->name);
    printf(",\"type\":\"%s\",\"shape\":[", stored->type);
    for (int i = 0; i < stored->rank; i++)
        printf("%s%lld", i ? "," : "", stored->extent[i]);
    printf("]");
    if (is_read(stored) && count_of(stored) > 0) {
        Summary summary = summarize(stored);
        const char *const key[] = {"least", "mean", "greatest"};
        const double value[] = {summary.least, summary.mean, summary.most};
        for (int i = 0; i < 3; i++) {
            printf(",\"%s\":", key[i]);
            nnc_json_write_number(stdout, value[i]);
        }
        printf(named ? ",\"values\":[" : "");
        for (long long i = 0; named && i < count_of(stored); i++) {
            printf(i ? "," : "");
            nnc_json_write_number(stdout, value_at(stored, i));
        }
        printf(named ? "]" : "");
    }
    printf("}\n");
}

// --- The command

static bool is_named(const Settings *settings, const char *name) {
    for (int i = 0; i < settings->input.count; i++)
        if (!fnmatch(settings->input.at[i], name, 0)) return true;
    return false;
}

// Of an optimizer's tensors (adam.m/head.weight) only those that are named.
static void show(void *context, const NncStored *stored) {
    Listing *listing = context;
    const Settings *settings = listing->settings;
    bool named = is_named(settings, stored->name);
    if (!named && (settings->input.count || strchr(stored->name, '/'))) {
        listing->left_out++;
        return;
    }
    if (settings->run.json)
        print_json(stored, named);
    else
        print_lines(listing, stored, named);
    listing->shown++;
}

int command_show(const Settings *settings) {
    NncError error;
    Listing listing = {.settings = settings};
    if (nnc_checkpoint_each(settings->file, show, &listing, &error))
        return report("%s", error.text);
    if (!listing.shown && settings->input.count)
        return report("%s: none of its %d tensors is named like that; `nnc show %s` lists them",
                      settings->file, listing.left_out, settings->file);
    if (listing.left_out && !settings->input.count && !settings->run.json)
        printf("and %d of the optimizer: nnc show %s '*/*'\n", listing.left_out, settings->file);
    return EXIT_DONE;
}
