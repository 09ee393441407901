// SPDX-License-Identifier: MIT
// The table of data sources, and what they have in common: arguments, opening, closing.
#include "source.h"
#include "draw.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Kind {
    NncSourceInfo info;
    NncFieldsOf *fields;
    NncOpen *open;
} Kind;

static const Kind kinds[] = {
    {{"blobs", "classes = 2, axes = 2, radius = 0.6, train = 400, test = 200, seed = 1", 0, 6},
     nnc_blobs_fields,
     nnc_blobs_open},
    {{"cifar10", "FOLDER", 1, 1}, nnc_cifar10_fields, nnc_cifar10_open},
    {{"csv", "FILE, test = 0.2, seed = 1, separator = \",\", names = \"..\"", 1, 5},
     nnc_csv_fields,
     nnc_csv_open},
    {{"idx", "FOLDER", 1, 1}, nnc_idx_fields, nnc_idx_open},
    {{"points", "axes = 1, low = -1, high = 1, train = 1000, test = 200, seed = 1", 0, 6},
     nnc_points_fields,
     nnc_points_open},
    {{"shapes", "train = 20000, test = 2000, seed = 1, first = 0, classes = 10", 0, 5},
     nnc_shapes_fields,
     nnc_shapes_open},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const char *const kind_names[KINDS] = {"blobs", "cifar10", "csv", "idx", "points", "shapes"};

static const Kind *find_kind(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (!strcmp(kinds[i].info.name, name)) return &kinds[i];
    return NULL;
}

const NncSourceInfo *nnc_source_info(const char *name) {
    const Kind *kind = find_kind(name);
    return kind ? &kind->info : NULL;
}

const char *const *nnc_source_names(int *count) {
    *count = KINDS;
    return kind_names;
}

NncStatus nnc_source_fields(const NncCall *call, NncField field[NNC_KNOWN_FIELDS], int *count,
                            NncError *error) {
    const Kind *kind = call->name ? find_kind(call->name) : NULL;
    *count = 0;
    return kind ? kind->fields(call, field, count, error) : NNC_OK;
}

const char *nnc_split_name(NncSplit split) {
    static const char *const names[NNC_ALL_SPLITS] = {"train", "test", "val"};
    return names[split];
}

// --- Arguments

static const NncArgument *find_argument(const NncCall *call, const char *name, int position) {
    int positional = 0;
    for (int i = 0; i < call->argument_count; i++) {
        const NncArgument *argument = &call->argument[i];
        if (!*argument->name ? positional++ == position : !strcmp(argument->name, name))
            return argument;
    }
    return NULL;
}

NncStatus nnc_argument_text(const NncCall *call, const char *name, int position, const char **text,
                            NncError *error) {
    const NncArgument *argument = find_argument(call, name, position);
    if (!argument) return NNC_OK;
    if (!argument->text)
        return nnc_error(error, NNC_ERROR_VALUE, "%s: %s is to be a text, not %g", call->name, name,
                         argument->number);
    *text = argument->text;
    return NNC_OK;
}

bool nnc_argument_is_text(const NncCall *call, const char *name, int position) {
    const NncArgument *argument = find_argument(call, name, position);
    return argument && argument->text;
}

NncStatus nnc_argument_real(const NncCall *call, const char *name, int position, double *value,
                            NncError *error) {
    const NncArgument *argument = find_argument(call, name, position);
    if (!argument) return NNC_OK;
    if (argument->text)
        return nnc_error(error, NNC_ERROR_VALUE, "%s: %s is to be a number, not \"%s\"", call->name,
                         name, argument->text);
    if (!isfinite(argument->number))
        return nnc_error(error, NNC_ERROR_VALUE, "%s: %s is to be a finite number", call->name,
                         name);
    *value = argument->number;
    return NNC_OK;
}

NncStatus nnc_argument_integer(const NncCall *call, const char *name, int position, long long least,
                               long long most, long long *value, NncError *error) {
    const NncArgument *argument = find_argument(call, name, position);
    if (!argument) return NNC_OK;
    if (argument->text)
        return nnc_error(error, NNC_ERROR_VALUE, "%s: %s is to be a number, not \"%s\"", call->name,
                         name, argument->text);
    if (argument->number != floor(argument->number) || !(argument->number >= (double)least) ||
        !(argument->number <= (double)most))
        return nnc_error(error, NNC_ERROR_VALUE,
                         "%s: %s is to be an integer from %lld to %lld, not %g", call->name, name,
                         least, most, argument->number);
    *value = (long long)argument->number;
    return NNC_OK;
}

static bool is_among(const char *name, const char *const *names) {
    for (; *names; names++)
        if (!strcmp(name, *names)) return true;
    return false;
}

NncStatus nnc_arguments_check(const NncCall *call, const char *const *names, int positions,
                              NncError *error) {
    int positional = 0;
    for (int i = 0; i < call->argument_count; i++) {
        const char *name = call->argument[i].name;
        if (*name ? !is_among(name, names) : positional++ >= positions)
            return nnc_error(error, NNC_ERROR_VALUE,
                             *name ? "%s has no argument named %s" : "%s: too many arguments%s",
                             call->name, name);
    }
    return NNC_OK;
}

// --- Fields

long long nnc_field_elements(const NncField *field) {
    long long elements = 1;
    for (int i = 0; i < field->rank; i++)
        elements *= field->extent[i];
    return elements;
}

long long nnc_field_bytes(const NncField *field) {
    return nnc_field_elements(field) * (field->kind == NNC_FIELD_BYTES ? 1 : 4);
}

NncStatus nnc_source_add(NncSource *source, const NncField *field, NncError *error) {
    int count = source->field_count;
    bool full = (count & (count - 1)) == 0; // room grows by doubling: 0, 1, 2, 4 ..
    size_t room = count ? 2 * (size_t)count : 1;
    NncField *grown = full ? realloc(source->field, room * sizeof *grown) : source->field;
    if (!grown) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for %d fields", count);
    source->field = grown;
    source->field[source->field_count++] = *field;
    return NNC_OK;
}

// One behind the other, each aligned for its elements.
static void place_fields(NncSource *source) {
    long long at = 0;
    for (int i = 0; i < source->field_count; i++) {
        source->field[i].offset = at;
        at += (nnc_field_bytes(&source->field[i]) + 3) / 4 * 4;
    }
    source->example_bytes = (size_t)at;
}

// --- Opening and closing

static NncStatus open_kind(NncSource *source, const Kind *kind, const NncCall *call,
                           const char *data, NncError *error) {
    NncField known[NNC_KNOWN_FIELDS];
    int count = 0;
    NncStatus status = kind->fields(call, known, &count, error);
    for (int i = 0; i < count && !status; i++)
        status = nnc_source_add(source, &known[i], error);
    return status ? status : kind->open(source, call, data, error);
}

NncStatus nnc_source_open(NncSource *source, const NncCall *call, const char *data,
                          NncError *error) {
    *source = (NncSource){0};
    if (!call->name) return nnc_error(error, NNC_ERROR_VALUE, "the program names no data");
    const Kind *kind = find_kind(call->name);
    if (!kind)
        return nnc_error(error, NNC_ERROR_VALUE, "there is no data source named %s", call->name);
    source->info = &kind->info;
    NncStatus status = open_kind(source, kind, call, data, error);
    if (status)
        nnc_source_close(source);
    else
        place_fields(source);
    return status;
}

void nnc_source_close(NncSource *source) {
    if (source->close) source->close(source);
    free(source->field);
    free(source->order);
    *source = (NncSource){0};
}

// --- Holding out

// Marks `count` of `all` examples, each set of them as likely as any other (Bentley and Floyd
// 1987).
static bool *choose(long long all, long long count, long long seed) {
    bool *held = calloc((size_t)all, sizeof *held);
    if (!held) return NULL;
    NncDraw draw = nnc_draw((uint64_t)seed, UINT64_MAX, UINT64_MAX - 1);
    for (long long i = all - count; i < all; i++) {
        long long drawn = nnc_draw_below(&draw, (uint32_t)(i + 1));
        held[held[drawn] ? i : drawn] = true;
    }
    return held;
}

static NncStatus held_count(const NncSource *source, double validation, long long *count,
                            NncError *error) {
    long long all = source->count[NNC_SPLIT_TRAIN];
    *count = (long long)(validation < 1 ? floor((double)all * validation + 0.5)
                                        : fmin(validation, (double)all));
    bool whole = validation < 1 || validation == floor(validation);
    if (validation > 0 && !whole)
        return nnc_error(error, NNC_ERROR_VALUE,
                         "validation = %g is neither a part of the training examples, as 0.1, nor "
                         "how many of them",
                         validation);
    if (*count > 0 && *count < all) return NNC_OK;
    return nnc_error(error, NNC_ERROR_VALUE,
                     "validation = %g takes %lld of the %lld training examples of %s: at least one "
                     "for each of both is needed",
                     validation, *count, all, source->info->name);
}

NncStatus nnc_source_hold_out(NncSource *source, double validation, long long seed,
                              NncError *error) {
    long long all = source->count[NNC_SPLIT_TRAIN], count, kept = 0;
    if (validation == 0) return NNC_OK;
    NncStatus status = held_count(source, validation, &count, error);
    if (status) return status;
    bool *held = choose(all, count, seed);
    source->order = malloc((size_t)all * sizeof *source->order);
    if (!held || !source->order) {
        free(held);
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory for the order of the data");
    }
    for (int taken = 0; taken < 2; taken++)
        for (long long i = 0; i < all; i++)
            if (held[i] == taken) source->order[kept++] = i;
    free(held);
    source->count[NNC_SPLIT_TRAIN] = all - count;
    source->count[NNC_SPLIT_VALIDATION] = count;
    return NNC_OK;
}

NncExample nnc_source_example(const NncSource *source, NncSplit split, long long index) {
    if (split == NNC_SPLIT_TEST || !source->order) return (NncExample){split, index, NULL};
    if (split == NNC_SPLIT_VALIDATION) index += source->count[NNC_SPLIT_TRAIN];
    return (NncExample){NNC_SPLIT_TRAIN, source->order[index], NULL};
}
