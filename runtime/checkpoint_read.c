// SPDX-License-Identifier: MIT
// Reading checkpoints: see checkpoint.h. The file may come from anyone: nothing in it is believed
// before it was checked against the file's size and the program's tensors.
#include "checkpoint_file.h"
#include "json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HEADER_START = 8, MAX_HEADER = 100 << 20 };
void nnc_header_free(NncHeader *header) {
    for (int i = 0; i < header->count; i++) {
        free(header->entry[i].name);
        free(header->entry[i].type);
    }
    free(header->entry);
    free(header->hyper);
    free(header->classes);
    free(header->scores);
    free(header->sums);
    free(header->format);
    free(header->text);
}

// --- The header's bytes

static NncStatus read_text(NncHeader *header, NncReader *reader, long long file_size,
                           NncError *error) {
    unsigned char length[HEADER_START];
    unsigned char *text;
    NncStatus status =
        nnc_reader_read(reader, length, sizeof length, "a safetensors header", error);
    if (status) return status;
    unsigned long long size = 0;
    for (int i = HEADER_START - 1; i >= 0; i--)
        size = size << 8 | length[i];
    if (size < 2 || size > MAX_HEADER || size > (unsigned long long)(file_size - HEADER_START))
        return nnc_error(error, NNC_ERROR_FORMAT,
                         "%s: at byte 0: a header of %llu bytes cannot be in a file of %lld: not a "
                         "safetensors file, or truncated",
                         header->path, size, file_size);
    status = nnc_reader_take(reader, &text, (size_t)size, "the header", error);
    if (status) return status;
    header->text = (char *)text;
    header->size = (size_t)size;
    header->data_size = file_size - HEADER_START - (long long)size;
    return NNC_OK;
}

// --- What it says

static void read_extents(NncJson *json, NncEntry *entry) {
    for (nnc_json_enter(json, '['); nnc_json_item(json); entry->rank++) {
        if (entry->rank == NNC_MAX_RANK) {
            nnc_json_fail(json, "too many axes");
            return;
        }
        nnc_json_integer(json, &entry->extent[entry->rank]);
        if (entry->extent[entry->rank] < 0) nnc_json_fail(json, "an extent below zero");
    }
}

static void read_offsets(NncJson *json, NncEntry *entry) {
    long long *const to[] = {&entry->begin, &entry->end};
    int count = 0;
    for (nnc_json_enter(json, '['); nnc_json_item(json) && count < 2; count++)
        nnc_json_integer(json, to[count]);
    if (count != 2 || json->text[json->at - 1] != ']') nnc_json_fail(json, "expected two offsets");
}

static void read_entry(NncJson *json, NncEntry *entry) {
    char *key;
    entry->begin = entry->end = -1;
    for (nnc_json_enter(json, '{'); nnc_json_key(json, &key); free(key)) {
        if (!strcmp(key, "dtype") && !entry->type)
            nnc_json_string(json, &entry->type);
        else if (!strcmp(key, "shape") && entry->rank == 0)
            read_extents(json, entry);
        else if (!strcmp(key, "data_offsets"))
            read_offsets(json, entry);
        else
            nnc_json_fail(json, "expected dtype, shape or data_offsets, each once");
    }
    if (!entry->type || entry->begin < 0)
        nnc_json_fail(json, "expected dtype, shape and data_offsets");
}

static bool read_decimal(const char *text, long long *value) {
    NncJson json = nnc_json(text, strlen(text));
    return nnc_json_integer(&json, value) && nnc_json_end(&json) && *value >= 0;
}

static void take_metadata(NncJson *json, NncHeader *header, NncCheckpoint *checkpoint,
                          const char *key, char *text) {
    NncPosition *at = &checkpoint->at;
    const struct {
        const char *key;
        long long *value;
    } integers[] = {{"step", &at->step},
                    {"epoch", &at->epoch},
                    {"position", &at->position},
                    {"examples", &at->examples},
                    {"plateau_epoch", &at->plateau_epoch},
                    {"plateaus", &at->plateaus},
                    {"best_epoch", &at->best_epoch}};
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        if (!strcmp(key, integers[i].key) && !read_decimal(text, integers[i].value))
            nnc_json_fail(json, "the metadata holds a bad number");
    if (!strcmp(key, "seed")) at->seed = strtoll(text, NULL, 10);
    if (!strcmp(key, "plateau_loss")) at->plateau_loss = strtod(text, NULL);
    if (!strcmp(key, "best_value")) at->best_value = strtod(text, NULL);
    if (!strcmp(key, "best")) snprintf(checkpoint->best, sizeof checkpoint->best, "%s", text);
    if (!strcmp(key, "plan")) snprintf(checkpoint->plan, sizeof checkpoint->plan, "%s", text);
    char **keep = !strcmp(key, "hyper")     ? &header->hyper
                  : !strcmp(key, "classes") ? &header->classes
                  : !strcmp(key, "scores")  ? &header->scores
                  : !strcmp(key, "sums")    ? &header->sums
                  : !strcmp(key, "format")  ? &header->format
                                            : NULL;
    if (!keep || *keep) {
        free(text);
        return;
    }
    *keep = text;
}

static void read_metadata(NncJson *json, NncHeader *header, NncCheckpoint *checkpoint) {
    char *key, *text;
    for (nnc_json_enter(json, '{'); nnc_json_key(json, &key); free(key))
        if (nnc_json_string(json, &text)) take_metadata(json, header, checkpoint, key, text);
}

static NncEntry *add_entry(NncHeader *header) {
    if (header->count == header->capacity) {
        int capacity = header->capacity ? 2 * header->capacity : 64;
        NncEntry *larger = realloc(header->entry, (size_t)capacity * sizeof *larger);
        if (!larger) return NULL;
        header->entry = larger;
        header->capacity = capacity;
    }
    NncEntry *entry = &header->entry[header->count++];
    *entry = (NncEntry){0};
    return entry;
}

static NncStatus parse_header(NncHeader *header, NncCheckpoint *checkpoint, NncError *error) {
    char *key;
    NncJson json = nnc_json(header->text, header->size);
    nnc_json_enter(&json, '{');
    while (nnc_json_key(&json, &key)) {
        if (!strcmp(key, "__metadata__")) {
            read_metadata(&json, header, checkpoint);
            free(key);
            continue;
        }
        NncEntry *entry = add_entry(header);
        if (!entry) {
            free(key);
            return nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
        }
        entry->name = key;
        read_entry(&json, entry);
    }
    if (nnc_json_end(&json)) return NNC_OK;
    return nnc_error(error, NNC_ERROR_FORMAT, "%s: at byte %zu: the header is wrong: %s",
                     header->path, HEADER_START + json.at, json.problem);
}

// --- Does it hold together?

int nnc_stored_size(const char *type) {
    static const struct {
        const char *name;
        int size;
    } types[] = {{"F32", 4},  {"I32", 4}, {"F64", 8},  {"I64", 8}, {"U32", 4},
                 {"U64", 8},  {"F16", 2}, {"BF16", 2}, {"I16", 2}, {"U16", 2},
                 {"BOOL", 1}, {"I8", 1},  {"U8", 1}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (!strcmp(types[i].name, type)) return types[i].size;
    return 0;
}

static NncStatus check_entry(const NncHeader *header, const NncEntry *entry, NncError *error) {
    long long bytes = nnc_stored_size(entry->type);
    bool overflow = false;
    if (!bytes)
        return nnc_error(error, NNC_ERROR_FORMAT, "%s: %s has the unknown type %s", header->path,
                         entry->name, entry->type);
    for (int i = 0; i < entry->rank; i++)
        overflow |= __builtin_mul_overflow(bytes, entry->extent[i], &bytes);
    if (overflow || entry->end < entry->begin || entry->end > header->data_size ||
        entry->end - entry->begin != bytes)
        return nnc_error(error, NNC_ERROR_FORMAT,
                         "%s: %s lies at bytes %lld to %lld of %lld, which its shape does not need "
                         "or the file does not have: damaged or truncated",
                         header->path, entry->name, entry->begin, entry->end, header->data_size);
    return NNC_OK;
}

static int by_begin(const void *a, const void *b) {
    const NncEntry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); // empty ones first
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const NncEntry *)a)->name, ((const NncEntry *)b)->name);
}

// The tensors follow one another without gaps and overlaps up to the end of the file, and no two
// have one name. Leaves them sorted by name.
static NncStatus check_layout(NncHeader *header, NncError *error) {
    long long at = 0;
    for (int i = 0; i < header->count; i++) {
        NncStatus status = check_entry(header, &header->entry[i], error);
        if (status) return status;
    }
    if (header->count) qsort(header->entry, (size_t)header->count, sizeof(NncEntry), by_begin);
    for (int i = 0; i < header->count; at = header->entry[i++].end)
        if (header->entry[i].begin != at)
            return nnc_error(error, NNC_ERROR_FORMAT,
                             "%s: %s begins at byte %lld of the tensors: expected %lld",
                             header->path, header->entry[i].name, header->entry[i].begin, at);
    if (at != header->data_size)
        return nnc_error(error, NNC_ERROR_FORMAT, "%s: the tensors end at byte %lld of %lld",
                         header->path, at, header->data_size);
    if (header->count) qsort(header->entry, (size_t)header->count, sizeof(NncEntry), by_name);
    for (int i = 1; i < header->count; i++)
        if (!by_name(&header->entry[i - 1], &header->entry[i]))
            return nnc_error(error, NNC_ERROR_FORMAT, "%s: there are two tensors named %s",
                             header->path, header->entry[i].name);
    return NNC_OK;
}

NncStatus nnc_header_read(NncHeader *header, NncReader *reader, NncCheckpoint *checkpoint,
                          NncError *error) {
    struct stat info;
    if (stat(header->path, &info))
        return nnc_error(error, NNC_ERROR_FILE, "cannot read %s", header->path);
    NncStatus status = read_text(header, reader, info.st_size, error);
    if (!status) status = parse_header(header, checkpoint, error);
    return status ? status : check_layout(header, error);
}

// --- Does it belong to the program?

static void describe_shape(char *text, size_t size, const char *type, int rank,
                           const long long *extent) {
    size_t at = (size_t)snprintf(text, size, "%s[", type);
    for (int i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "", extent[i]);
    if (at < size) snprintf(text + at, size - at, "]");
}

NncStatus nnc_header_find(const NncHeader *header, const NncTensor *tensor, const NncEntry **found,
                          NncError *error) {
    NncEntry key = {.name = (char *)tensor->name};
    const NncEntry *entry =
        header->count ? bsearch(&key, header->entry, (size_t)header->count, sizeof key, by_name)
                      : NULL;
    char here[200], there[200];
    const char *type = nnc_safetensors_type(tensor->type);
    describe_shape(here, sizeof here, type, tensor->rank, tensor->extent);
    if (!entry)
        return nnc_error(error, NNC_ERROR_MATCH,
                         "%s: there is no %s in it, which the program needs as %s", header->path,
                         tensor->name, here);
    describe_shape(there, sizeof there, entry->type, entry->rank, entry->extent);
    if (strcmp(entry->type, type) || entry->rank != tensor->rank ||
        memcmp(entry->extent, tensor->extent, (size_t)tensor->rank * sizeof *entry->extent))
        return nnc_error(error, NNC_ERROR_MATCH, "%s: %s is %s in it, but %s in the program",
                         header->path, tensor->name, there, here);
    *found = entry;
    return NNC_OK;
}

static NncStatus match_tensors(const NncHeader *header, const NncProgram *program, bool to_train,
                               const NncEntry **match, NncError *error) {
    for (int i = 0; i < program->tensor_count; i++) {
        match[i] = NULL;
        if (!nnc_tensor_is_wanted(&program->tensor[i], to_train)) continue;
        NncStatus status = nnc_header_find(header, &program->tensor[i], &match[i], error);
        if (status) return status;
    }
    if (to_train && header->count != program->tensor_count)
        return nnc_error(
            error, NNC_ERROR_MATCH,
            "%s: it has %d tensors, but the program has %d: another model or optimizer",
            header->path, header->count, program->tensor_count);
    return NNC_OK;
}

// The values only go into the state when all of them are there.
static NncStatus read_tensors(const NncHeader *header, NncReader *reader, const NncProgram *program,
                              const NncEntry **match, char *state, NncError *error) {
    unsigned char *data;
    NncStatus status =
        nnc_reader_take(reader, &data, (size_t)header->data_size, "the tensors", error);
    if (status) return status;
    for (int i = 0; i < program->tensor_count; i++)
        if (match[i])
            memcpy(state + program->tensor[i].offset, data + match[i]->begin,
                   (size_t)(match[i]->end - match[i]->begin));
    free(data);
    return NNC_OK;
}

// --- The rest of the metadata

static NncStatus read_hypers(const NncHeader *header, const NncProgram *program,
                             NncCheckpoint *checkpoint, NncError *error) {
    char *key;
    double value;
    checkpoint->hyper = malloc(((size_t)program->hyper_count + 1) * sizeof *checkpoint->hyper);
    if (!checkpoint->hyper)
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
    for (int i = 0; i < program->hyper_count; i++)
        checkpoint->hyper[i] = program->hyper[i].value;
    if (!header->hyper) return NNC_OK;
    NncJson json = nnc_json(header->hyper, strlen(header->hyper));
    for (nnc_json_enter(&json, '{'); nnc_json_key(&json, &key); free(key)) {
        nnc_json_number(&json, &value);
        for (int i = 0; i < program->hyper_count; i++)
            if (!json.problem && !strcmp(key, program->hyper[i].name)) checkpoint->hyper[i] = value;
    }
    if (nnc_json_end(&json)) return NNC_OK;
    return nnc_error(error, NNC_ERROR_FORMAT, "%s: the metadata `hyper` is wrong: %s", header->path,
                     json.problem);
}

static NncStatus read_classes(const NncHeader *header, NncCheckpoint *checkpoint, NncError *error) {
    if (!header->classes) return NNC_OK;
    NncJson json = nnc_json(header->classes, strlen(header->classes));
    for (nnc_json_enter(&json, '['); nnc_json_item(&json);) {
        char *name, **larger;
        if (!nnc_json_string(&json, &name)) break;
        larger =
            realloc(checkpoint->class_name, ((size_t)checkpoint->class_count + 1) * sizeof *larger);
        if (!larger) {
            free(name);
            return nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
        }
        checkpoint->class_name = larger;
        checkpoint->class_name[checkpoint->class_count++] = name;
    }
    if (nnc_json_end(&json)) return NNC_OK;
    return nnc_error(error, NNC_ERROR_FORMAT, "%s: the metadata `classes` is wrong: %s",
                     header->path, json.problem);
}

static NncStatus read_board(const NncHeader *header, const char *key, const char *text,
                            const NncProgram *program, NncBoard *board, NncError *error) {
    if (!text || nnc_board_read(text, program, board)) return NNC_OK;
    return nnc_error(error, NNC_ERROR_FORMAT, "%s: the metadata `%s` is no object of numbers",
                     header->path, key);
}

// Of what is measured now, but was not so far, there is no sum.
static NncStatus read_sums(const NncHeader *header, const NncProgram *program, NncPosition *at,
                           NncError *error) {
    NncBoard sums = {0};
    NncStatus status = read_board(header, "sums", header->sums, program, &sums, error);
    const NncScores *found = &sums.of[NNC_SPLIT_TRAIN];
    at->sum = nnc_scores_of(&program->function[NNC_TRAIN]);
    at->sum.examples = at->position;
    for (int i = 0; i < at->sum.count && at->position; i++) {
        at->sum.value[i] = NAN;
        for (int k = 0; k < found->count; k++)
            if (!strcmp(found->name[k], at->sum.name[i])) at->sum.value[i] = found->value[k];
    }
    return status;
}

// Without a word on it the file comes from elsewhere: parameters, and no run.
NncStatus nnc_header_check_format(const NncHeader *header, bool to_train, NncError *error) {
    const char *format = header->format ? header->format : "";
    if (!strcmp(format, NNC_CHECKPOINT_FORMAT)) return NNC_OK;
    if (!strncmp(format, "nnc ", 4))
        return nnc_error(error, NNC_ERROR_FORMAT,
                         "%s: its format is %.40s, and this version reads " NNC_CHECKPOINT_FORMAT
                         ": a newer one wrote it",
                         header->path, format);
    if (!to_train) return NNC_OK;
    return nnc_error(error, NNC_ERROR_MATCH,
                     "%s: no run can go on from it: it is no checkpoint of nnc; --init begins with "
                     "its parameters",
                     header->path);
}

static NncStatus check_position(const NncHeader *header, const NncCheckpoint *checkpoint,
                                NncError *error) {
    const NncPosition *at = &checkpoint->at;
    bool at_start = at->position == 0 && at->examples == 0; // whoever saved it knows no epochs
    if (!at_start && (at->examples < 1 || at->position > at->examples))
        return nnc_error(error, NNC_ERROR_FORMAT, "%s: its metadata says example %lld of %lld",
                         header->path, at->position, at->examples);
    return NNC_OK;
}

static NncStatus read_all(NncHeader *header, NncReader *reader, const NncProgram *program,
                          bool to_train, NncCheckpoint *checkpoint, char *state, NncError *error) {
    NncStatus status = nnc_header_read(header, reader, checkpoint, error);
    if (!status) status = nnc_header_check_format(header, to_train, error);
    if (!status && to_train) status = check_position(header, checkpoint, error);
    if (!status) status = read_hypers(header, program, checkpoint, error);
    if (!status) status = read_classes(header, checkpoint, error);
    if (!status)
        status = read_board(header, "scores", header->scores, program, &checkpoint->board, error);
    if (!status) status = read_sums(header, program, &checkpoint->at, error);
    if (status) return status;
    const NncEntry **match = malloc(((size_t)program->tensor_count + 1) * sizeof *match);
    if (!match) return nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
    status = match_tensors(header, program, to_train, match, error);
    if (!status) status = read_tensors(header, reader, program, match, state, error);
    free(match);
    return status;
}

NncStatus nnc_checkpoint_read(const char *path, const NncProgram *program, bool to_train,
                              NncCheckpoint *checkpoint, char *state, NncError *error) {
    NncHeader header = {.path = path};
    *checkpoint = (NncCheckpoint){0};
    NncReader *reader = nnc_reader_open(path, error);
    if (!reader) return error->status;
    NncStatus status = read_all(&header, reader, program, to_train, checkpoint, state, error);
    nnc_reader_close(reader);
    nnc_header_free(&header);
    return status;
}

void nnc_checkpoint_free(NncCheckpoint *checkpoint) {
    for (int i = 0; i < checkpoint->class_count; i++)
        free(checkpoint->class_name[i]);
    free(checkpoint->class_name);
    free(checkpoint->hyper);
    *checkpoint = (NncCheckpoint){0};
}
