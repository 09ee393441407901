// SPDX-License-Identifier: MIT
// Reading checkpoints: see checkpoint.h. The file may come from anyone: nothing in it is believed
// before it was checked against the file's size and the program's tensors.
#include "bf16.h"
#include "checkpoint.h"
#include "file.h"
#include "json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { HEADER_START = 8, MAX_HEADER = 100 << 20 };

typedef struct Entry { // a tensor in the file
    char *name, *type;
    int rank;
    long long extent[NNC_MAX_RANK];
    long long begin, end; // bytes from the first tensor on
} Entry;

typedef struct Header {
    const char *path;
    char *text;
    size_t size;
    long long data_size;
    Entry *entry;
    int count, capacity;
    char *hyper, *classes, *scores, *sums; // JSON in the metadata
    char *format;
} Header;

static void free_header(Header *header) {
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

static NncStatus read_text(Header *header, NncReader *reader, long long file_size,
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

static void read_extents(NncJson *json, Entry *entry) {
    for (nnc_json_enter(json, '['); nnc_json_item(json); entry->rank++) {
        if (entry->rank == NNC_MAX_RANK) {
            nnc_json_fail(json, "too many axes");
            return;
        }
        nnc_json_integer(json, &entry->extent[entry->rank]);
        if (entry->extent[entry->rank] < 0) nnc_json_fail(json, "an extent below zero");
    }
}

static void read_offsets(NncJson *json, Entry *entry) {
    long long *const to[] = {&entry->begin, &entry->end};
    int count = 0;
    for (nnc_json_enter(json, '['); nnc_json_item(json) && count < 2; count++)
        nnc_json_integer(json, to[count]);
    if (count != 2 || json->text[json->at - 1] != ']') nnc_json_fail(json, "expected two offsets");
}

static void read_entry(NncJson *json, Entry *entry) {
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

static void take_metadata(NncJson *json, Header *header, NncCheckpoint *checkpoint, const char *key,
                          char *text) {
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

static void read_metadata(NncJson *json, Header *header, NncCheckpoint *checkpoint) {
    char *key, *text;
    for (nnc_json_enter(json, '{'); nnc_json_key(json, &key); free(key))
        if (nnc_json_string(json, &text)) take_metadata(json, header, checkpoint, key, text);
}

static Entry *add_entry(Header *header) {
    if (header->count == header->capacity) {
        int capacity = header->capacity ? 2 * header->capacity : 64;
        Entry *larger = realloc(header->entry, (size_t)capacity * sizeof *larger);
        if (!larger) return NULL;
        header->entry = larger;
        header->capacity = capacity;
    }
    Entry *entry = &header->entry[header->count++];
    *entry = (Entry){0};
    return entry;
}

static NncStatus parse_header(Header *header, NncCheckpoint *checkpoint, NncError *error) {
    char *key;
    NncJson json = nnc_json(header->text, header->size);
    nnc_json_enter(&json, '{');
    while (nnc_json_key(&json, &key)) {
        if (!strcmp(key, "__metadata__")) {
            read_metadata(&json, header, checkpoint);
            free(key);
            continue;
        }
        Entry *entry = add_entry(header);
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

static int type_size(const char *type) {
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

static NncStatus check_entry(const Header *header, const Entry *entry, NncError *error) {
    long long bytes = type_size(entry->type);
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
    const Entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); // empty ones first
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

// The tensors follow one another without gaps and overlaps up to the end of the file, and no two
// have one name. Leaves them sorted by name.
static NncStatus check_layout(Header *header, NncError *error) {
    long long at = 0;
    for (int i = 0; i < header->count; i++) {
        NncStatus status = check_entry(header, &header->entry[i], error);
        if (status) return status;
    }
    if (header->count) qsort(header->entry, (size_t)header->count, sizeof(Entry), by_begin);
    for (int i = 0; i < header->count; at = header->entry[i++].end)
        if (header->entry[i].begin != at)
            return nnc_error(error, NNC_ERROR_FORMAT,
                             "%s: %s begins at byte %lld of the tensors: expected %lld",
                             header->path, header->entry[i].name, header->entry[i].begin, at);
    if (at != header->data_size)
        return nnc_error(error, NNC_ERROR_FORMAT, "%s: the tensors end at byte %lld of %lld",
                         header->path, at, header->data_size);
    if (header->count) qsort(header->entry, (size_t)header->count, sizeof(Entry), by_name);
    for (int i = 1; i < header->count; i++)
        if (!by_name(&header->entry[i - 1], &header->entry[i]))
            return nnc_error(error, NNC_ERROR_FORMAT, "%s: there are two tensors named %s",
                             header->path, header->entry[i].name);
    return NNC_OK;
}

// --- Does it belong to the program?

static void describe_shape(char *text, size_t size, const char *type, int rank,
                           const long long *extent) {
    size_t at = (size_t)snprintf(text, size, "%s[", type);
    for (int i = 0; i < rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? ", " : "", extent[i]);
    if (at < size) snprintf(text + at, size - at, "]");
}

static NncStatus find_entry(const Header *header, const NncTensor *tensor, const Entry **found,
                            NncError *error) {
    Entry key = {.name = (char *)tensor->name};
    const Entry *entry =
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

static bool is_wanted(const NncTensor *tensor, bool to_train) {
    return to_train || tensor->kind != NNC_OPTIMIZER_STATE;
}

static NncStatus match_tensors(const Header *header, const NncProgram *program, bool to_train,
                               const Entry **match, NncError *error) {
    for (int i = 0; i < program->tensor_count; i++) {
        match[i] = NULL;
        if (!is_wanted(&program->tensor[i], to_train)) continue;
        NncStatus status = find_entry(header, &program->tensor[i], &match[i], error);
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
static NncStatus read_tensors(const Header *header, NncReader *reader, const NncProgram *program,
                              const Entry **match, char *state, NncError *error) {
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

static NncStatus read_hypers(const Header *header, const NncProgram *program,
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

static NncStatus read_classes(const Header *header, NncCheckpoint *checkpoint, NncError *error) {
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

static NncStatus read_board(const Header *header, const char *key, const char *text,
                            const NncProgram *program, NncBoard *board, NncError *error) {
    if (!text || nnc_board_read(text, program, board)) return NNC_OK;
    return nnc_error(error, NNC_ERROR_FORMAT, "%s: the metadata `%s` is no object of numbers",
                     header->path, key);
}

// Of what is measured now, but was not so far, there is no sum.
static NncStatus read_sums(const Header *header, const NncProgram *program, NncPosition *at,
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
static NncStatus check_format(const Header *header, bool to_train, NncError *error) {
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

static NncStatus check_position(const Header *header, const NncCheckpoint *checkpoint,
                                NncError *error) {
    const NncPosition *at = &checkpoint->at;
    bool at_start = at->position == 0 && at->examples == 0; // whoever saved it knows no epochs
    if (!at_start && (at->examples < 1 || at->position > at->examples))
        return nnc_error(error, NNC_ERROR_FORMAT, "%s: its metadata says example %lld of %lld",
                         header->path, at->position, at->examples);
    return NNC_OK;
}

static NncStatus read_all(Header *header, NncReader *reader, long long file_size,
                          const NncProgram *program, bool to_train, NncCheckpoint *checkpoint,
                          char *state, NncError *error) {
    NncStatus status = read_text(header, reader, file_size, error);
    if (!status) status = parse_header(header, checkpoint, error);
    if (!status) status = check_layout(header, error);
    if (!status) status = check_format(header, to_train, error);
    if (!status && to_train) status = check_position(header, checkpoint, error);
    if (!status) status = read_hypers(header, program, checkpoint, error);
    if (!status) status = read_classes(header, checkpoint, error);
    if (!status)
        status = read_board(header, "scores", header->scores, program, &checkpoint->board, error);
    if (!status) status = read_sums(header, program, &checkpoint->at, error);
    if (status) return status;
    const Entry **match = malloc(((size_t)program->tensor_count + 1) * sizeof *match);
    if (!match) return nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
    status = match_tensors(header, program, to_train, match, error);
    if (!status) status = read_tensors(header, reader, program, match, state, error);
    free(match);
    return status;
}

NncStatus nnc_checkpoint_read(const char *path, const NncProgram *program, bool to_train,
                              NncCheckpoint *checkpoint, char *state, NncError *error) {
    struct stat info;
    Header header = {.path = path};
    *checkpoint = (NncCheckpoint){0};
    NncReader *reader = nnc_reader_open(path, error);
    if (!reader) return error->status;
    NncStatus status = stat(path, &info) ? nnc_error(error, NNC_ERROR_FILE, "cannot read %s", path)
                                         : read_all(&header, reader, info.st_size, program,
                                                    to_train, checkpoint, state, error);
    nnc_reader_close(reader);
    free_header(&header);
    return status;
}

// --- What a new run begins with

static float half_value(unsigned bits) {
    int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
    float size = exponent == 31 ? (fraction ? NAN : INFINITY)
                 : exponent     ? ldexpf((float)(fraction + 1024), exponent - 25)
                                : ldexpf((float)fraction, -24);
    return bits >> 15 ? -size : size;
}

// Floats of any size become those of the program.
static float float_at(const char *type, const unsigned char *bytes) {
    unsigned short half;
    double wide;
    float value;
    memcpy(&half, bytes, sizeof half);
    if (!strcmp(type, "F16")) return half_value(half);
    if (!strcmp(type, "BF16")) return nnc_bf16_value(half);
    if (!strcmp(type, "F64")) return memcpy(&wide, bytes, sizeof wide), (float)wide;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static bool is_float(const char *type) {
    return !strcmp(type, "F32") || !strcmp(type, "F16") || !strcmp(type, "BF16") ||
           !strcmp(type, "F64");
}

// Also where the file has its floats in another size.
static NncStatus find_floats(const Header *header, const NncTensor *tensor, const Entry **found,
                             NncError *error) {
    Entry *entry = NULL;
    for (int i = 0; i < header->count && !entry; i++)
        if (!strcmp(header->entry[i].name, tensor->name)) entry = &header->entry[i];
    const char *names[1024];
    if (!entry) {
        int count = header->count < 1024 ? header->count : 1024;
        for (int i = 0; i < count; i++)
            names[i] = header->entry[i].name;
        const char *near = nnc_nearest(tensor->name, names, count);
        return nnc_error(error, NNC_ERROR_MATCH, "%s: there is no %s in it%s%s", header->path,
                         tensor->name, near ? "; the nearest is " : "", near ? near : "");
    }
    bool converts =
        tensor->type == NNC_F32 && is_float(entry->type) && entry->rank == tensor->rank &&
        !memcmp(entry->extent, tensor->extent, (size_t)tensor->rank * sizeof *entry->extent);
    *found = entry;
    return converts ? NNC_OK : find_entry(header, tensor, found, error);
}

static void convert(const Entry *entry, const NncTensor *tensor, const unsigned char *data,
                    char *state) {
    long long size = type_size(entry->type);
    const unsigned char *from = data + entry->begin;
    if (tensor->type != NNC_F32) {
        memcpy(state + tensor->offset, from, (size_t)(entry->end - entry->begin));
        return;
    }
    float *to = (float *)(state + tensor->offset);
    for (long long i = 0; i < (entry->end - entry->begin) / size; i++)
        to[i] = float_at(entry->type, from + i * size);
}

// The optimizer begins anew. What does not fit is a line of the notes.
static NncStatus match_initial(const Header *header, const NncProgram *program, const Entry **match,
                               NncInitial *initial, NncError *error) {
    size_t size;
    int wanted = 0;
    NncError first = {0}, note;
    FILE *notes = open_memstream(&initial->notes, &size);
    if (!notes) return nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
    for (int i = 0; i < program->tensor_count; i++) {
        match[i] = NULL;
        if (!is_wanted(&program->tensor[i], false)) continue;
        wanted++;
        NncStatus status = find_floats(header, &program->tensor[i], &match[i], &note);
        initial->taken += !status;
        if (!status) continue;
        match[i] = NULL;
        fprintf(notes, "%s\n", note.text);
        if (!first.status) first = note;
    }
    fclose(notes);
    initial->left = wanted - initial->taken;
    if (!initial->left || (initial->partial && initial->taken)) return NNC_OK;
    if (initial->partial)
        return nnc_error(error, NNC_ERROR_MATCH, "%.300s, nor anything else that fits", first.text);
    return nnc_error(error, NNC_ERROR_MATCH,
                     "%.400s (%d of %d tensors fit: --init-partial takes them)", first.text,
                     initial->taken, wanted);
}

static NncStatus read_initial(Header *header, NncReader *reader, long long file_size,
                              const NncProgram *program, NncInitial *initial, char *state,
                              NncError *error) {
    NncCheckpoint ignored = {0};
    unsigned char *data = NULL;
    const Entry **match = malloc(((size_t)program->tensor_count + 1) * sizeof *match);
    NncStatus status =
        match ? read_text(header, reader, file_size, error)
              : nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
    if (!status) status = parse_header(header, &ignored, error);
    if (!status) status = check_format(header, false, error);
    if (!status) status = check_layout(header, error);
    if (!status) status = match_initial(header, program, match, initial, error);
    if (!status)
        status = nnc_reader_take(reader, &data, (size_t)header->data_size, "the tensors", error);
    for (int i = 0; i < program->tensor_count && !status; i++)
        if (match[i]) convert(match[i], &program->tensor[i], data, state);
    free(data);
    free(match);
    return status;
}

NncStatus nnc_checkpoint_initial(const char *path, const NncProgram *program, bool partial,
                                 char *state, NncInitial *initial, NncError *error) {
    struct stat info;
    Header header = {.path = path};
    *initial = (NncInitial){.partial = partial};
    NncReader *reader = nnc_reader_open(path, error);
    if (!reader) return error->status;
    NncStatus status = stat(path, &info) ? nnc_error(error, NNC_ERROR_FILE, "cannot read %s", path)
                                         : read_initial(&header, reader, info.st_size, program,
                                                        initial, state, error);
    nnc_reader_close(reader);
    free_header(&header);
    return status;
}

// --- Any file

static NncStatus visit_all(Header *header, NncReader *reader, long long file_size,
                           void (*visit)(void *context, const NncStored *), void *context,
                           NncError *error) {
    unsigned char *data = NULL;
    NncCheckpoint ignored = {0};
    NncStatus status = read_text(header, reader, file_size, error);
    if (!status) status = parse_header(header, &ignored, error);
    if (!status) status = check_layout(header, error);
    if (!status)
        status = nnc_reader_take(reader, &data, (size_t)header->data_size, "the tensors", error);
    for (int i = 0; i < header->count && !status; i++) {
        const Entry *entry = &header->entry[i];
        visit(context, &(NncStored){entry->name, entry->type, entry->rank, entry->extent,
                                    data + entry->begin, entry->end - entry->begin});
    }
    nnc_checkpoint_free(&ignored);
    free(data);
    return status;
}

NncStatus nnc_checkpoint_each(const char *path, void (*visit)(void *context, const NncStored *),
                              void *context, NncError *error) {
    struct stat info;
    Header header = {.path = path};
    NncReader *reader = nnc_reader_open(path, error);
    if (!reader) return error->status;
    NncStatus status = stat(path, &info)
                           ? nnc_error(error, NNC_ERROR_FILE, "cannot read %s", path)
                           : visit_all(&header, reader, info.st_size, visit, context, error);
    nnc_reader_close(reader);
    free_header(&header);
    return status;
}

void nnc_checkpoint_free(NncCheckpoint *checkpoint) {
    for (int i = 0; i < checkpoint->class_count; i++)
        free(checkpoint->class_name[i]);
    free(checkpoint->class_name);
    free(checkpoint->hyper);
    *checkpoint = (NncCheckpoint){0};
}
