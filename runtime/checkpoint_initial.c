// SPDX-License-Identifier: MIT
// What is taken of safetensors files beside going on with a run: the parameters that a new one
// begins with, and looking at each tensor. See checkpoint.h.
#include "bf16.h"
#include "checkpoint_file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
static NncStatus find_floats(const NncHeader *header, const NncTensor *tensor,
                             const NncEntry **found, NncError *error) {
    NncEntry *entry = NULL;
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
    return converts ? NNC_OK : nnc_header_find(header, tensor, found, error);
}

static void convert(const NncEntry *entry, const NncTensor *tensor, const unsigned char *data,
                    char *state) {
    long long size = nnc_stored_size(entry->type);
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
static NncStatus match_initial(const NncHeader *header, const NncProgram *program,
                               const NncEntry **match, NncInitial *initial, NncError *error) {
    size_t size;
    int wanted = 0;
    NncError first = {0}, note;
    FILE *notes = open_memstream(&initial->notes, &size);
    if (!notes) return nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
    for (int i = 0; i < program->tensor_count; i++) {
        match[i] = NULL;
        if (!nnc_tensor_is_wanted(&program->tensor[i], false)) continue;
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

static NncStatus read_initial(NncHeader *header, NncReader *reader, const NncProgram *program,
                              NncInitial *initial, char *state, NncError *error) {
    NncCheckpoint ignored = {0};
    unsigned char *data = NULL;
    const NncEntry **match = malloc(((size_t)program->tensor_count + 1) * sizeof *match);
    NncStatus status =
        match ? nnc_header_read(header, reader, &ignored, error)
              : nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", header->path);
    if (!status) status = nnc_header_check_format(header, false, error);
    if (!status) status = match_initial(header, program, match, initial, error);
    if (!status)
        status = nnc_reader_take(reader, &data, (size_t)header->data_size, "the tensors", error);
    for (int i = 0; i < program->tensor_count && !status; i++)
        if (match[i]) convert(match[i], &program->tensor[i], data, state);
    nnc_checkpoint_free(&ignored);
    free(data);
    free(match);
    return status;
}

NncStatus nnc_checkpoint_initial(const char *path, const NncProgram *program, bool partial,
                                 char *state, NncInitial *initial, NncError *error) {
    NncHeader header = {.path = path};
    *initial = (NncInitial){.partial = partial};
    NncReader *reader = nnc_reader_open(path, error);
    if (!reader) return error->status;
    NncStatus status = read_initial(&header, reader, program, initial, state, error);
    nnc_reader_close(reader);
    nnc_header_free(&header);
    return status;
}

// --- Any file

static NncStatus visit_all(NncHeader *header, NncReader *reader,
                           void (*visit)(void *context, const NncStored *), void *context,
                           NncError *error) {
    unsigned char *data = NULL;
    NncCheckpoint ignored = {0};
    NncStatus status = nnc_header_read(header, reader, &ignored, error);
    if (!status)
        status = nnc_reader_take(reader, &data, (size_t)header->data_size, "the tensors", error);
    for (int i = 0; i < header->count && !status; i++) {
        const NncEntry *entry = &header->entry[i];
        visit(context, &(NncStored){entry->name, entry->type, entry->rank, entry->extent,
                                    data + entry->begin, entry->end - entry->begin});
    }
    nnc_checkpoint_free(&ignored);
    free(data);
    return status;
}

NncStatus nnc_checkpoint_each(const char *path, void (*visit)(void *context, const NncStored *),
                              void *context, NncError *error) {
    NncHeader header = {.path = path};
    NncReader *reader = nnc_reader_open(path, error);
    if (!reader) return error->status;
    NncStatus status = visit_all(&header, reader, visit, context, error);
    nnc_reader_close(reader);
    nnc_header_free(&header);
    return status;
}
