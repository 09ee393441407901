// SPDX-License-Identifier: MIT
// Writing checkpoints: see checkpoint.h.
#include "checkpoint.h"
#include "columns.h"
#include "file.h"
#include "json.h"
#include <stdlib.h>
#include <string.h>

const char *nnc_safetensors_type(NncType type) {
    static const char *const names[] = {
        [NNC_F32] = "F32", [NNC_I32] = "I32", [NNC_BOOL] = "BOOL", [NNC_F64] = "F64"};
    return names[type];
}

long long nnc_tensor_bytes(const NncTensor *tensor) {
    long long bytes = nnc_type_size(tensor->type);
    for (int i = 0; i < tensor->rank; i++)
        bytes *= tensor->extent[i];
    return bytes;
}

NncStatus nnc_checkpoint_try(const char *path, NncError *error) {
    NncWriter writer;
    NncStatus status = nnc_writer_open(&writer, path, error);
    if (!status) nnc_writer_drop(&writer);
    return status;
}

// --- The header

static void write_text(FILE *out, const char *name, const char *text) {
    fprintf(out, ",\"%s\":", name);
    nnc_json_write_string(out, text ? text : "");
}

static void write_integer(FILE *out, const char *name, long long value) {
    fprintf(out, ",\"%s\":\"%lld\"", name, value);
}

// Metadata is a map of strings to strings: what is not a string is JSON in a string.
static void write_nested(FILE *out, const char *name, char *json) {
    if (json) write_text(out, name, json);
    free(json);
}

static char *class_names_json(const NncCheckpoint *checkpoint) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fputc('[', out);
    for (int i = 0; i < checkpoint->class_count; i++) {
        if (i) fputc(',', out);
        nnc_json_write_string(out, checkpoint->class_name[i]);
    }
    fputc(']', out);
    fclose(out);
    return text;
}

static char *hypers_json(const NncProgram *program, const NncCheckpoint *checkpoint) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fputc('{', out);
    for (int i = 0; i < program->hyper_count; i++) {
        if (i) fputc(',', out);
        nnc_json_write_string(out, program->hyper[i].name);
        fputc(':', out);
        nnc_json_write_number(out, checkpoint->hyper[i]);
    }
    fputc('}', out);
    fclose(out);
    return text;
}

static char *board_json(const NncBoard *board) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    nnc_board_write(out, board);
    fclose(out);
    return text;
}

static void write_metadata(FILE *out, const NncProgram *program, const NncCheckpoint *checkpoint) {
    const NncPosition *at = &checkpoint->at;
    fputs("\"__metadata__\":{\"format\":\"" NNC_CHECKPOINT_FORMAT "\"", out);
    write_text(out, "model", program->model);
    write_text(out, "file", program->file);
    write_text(out, "plan", program->plan);
    write_integer(out, "seed", at->seed);
    write_integer(out, "step", at->step);
    write_integer(out, "epoch", at->epoch);
    write_integer(out, "position", at->position);
    write_integer(out, "examples", at->examples);
    NncBoard sums = {.of[NNC_SPLIT_TRAIN] = at->sum};
    write_nested(out, "sums", board_json(&sums));
    fprintf(out, ",\"plateau_loss\":\"%.17g\"", at->plateau_loss);
    write_integer(out, "plateau_epoch", at->plateau_epoch);
    write_integer(out, "plateaus", at->plateaus);
    if (*checkpoint->best) {
        write_text(out, "best", checkpoint->best);
        write_integer(out, "best_epoch", at->best_epoch);
        fprintf(out, ",\"best_value\":\"%.17g\"", at->best_value);
    }
    write_nested(out, "scores", board_json(&checkpoint->board));
    write_nested(out, "hyper", hypers_json(program, checkpoint));
    if (checkpoint->class_count) write_nested(out, "classes", class_names_json(checkpoint));
    write_text(out, "source", program->source);
    fputc('}', out);
}

static void write_entry(FILE *out, const NncTensor *tensor, long long offset) {
    fputc(',', out);
    nnc_json_write_string(out, tensor->name);
    fprintf(out, ":{\"dtype\":\"%s\",\"shape\":[", nnc_safetensors_type(tensor->type));
    for (int i = 0; i < tensor->rank; i++)
        fprintf(out, "%s%lld", i ? "," : "", tensor->extent[i]);
    fprintf(out, "],\"data_offsets\":[%lld,%lld]}", offset, offset + nnc_tensor_bytes(tensor));
}

// Filled up with spaces, so that the tensors begin at a multiple of 8 bytes.
static char *header_text(const NncProgram *program, const NncCheckpoint *checkpoint, size_t *size) {
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    if (!out) return NULL;
    fputc('{', out);
    write_metadata(out, program, checkpoint);
    long long offset = 0;
    for (int i = 0; i < program->tensor_count; i++) {
        write_entry(out, &program->tensor[i], offset);
        offset += nnc_tensor_bytes(&program->tensor[i]);
    }
    fputc('}', out);
    for (fflush(out); *size % 8; fflush(out))
        fputc(' ', out);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

// --- The file

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t size) // FNV-1a
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return hash;
}

NncStatus nnc_checkpoint_write(const char *path, const NncProgram *program,
                               const NncCheckpoint *checkpoint, const char *state, uint64_t *hash,
                               NncError *error) {
    size_t size;
    NncWriter writer;
    NncStatus status = nnc_writer_open(&writer, path, error);
    if (status) return status;
    char *header = header_text(program, checkpoint, &size);
    if (!header) {
        nnc_writer_drop(&writer);
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory to write %s", path);
    }
    for (int i = 0; i < 8; i++)
        fputc((int)(size >> (8 * i) & 0xff), writer.file);
    fwrite(header, 1, size, writer.file);
    free(header);
    *hash = 0xcbf29ce484222325u;
    for (int i = 0; i < program->tensor_count; i++) {
        const char *bytes = state + program->tensor[i].offset;
        size_t length = (size_t)nnc_tensor_bytes(&program->tensor[i]);
        fwrite(bytes, 1, length, writer.file);
        *hash = hash_bytes(*hash, bytes, length);
    }
    return nnc_writer_commit(&writer, error);
}
