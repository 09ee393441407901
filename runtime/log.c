// SPDX-License-Identifier: MIT
// The files of a run's figures: see log.h.
#define _GNU_SOURCE
#include "log.h"
#include "file.h"
#include "json.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef enum LogKind { LOG_JSON, LOG_CSV, LOG_TFEVENTS } LogKind;

enum { MAX_FILES = 9 };

typedef struct LogFile {
    LogKind kind;
    FILE *file;
    char path[NNC_PATH];
} LogFile;

struct NncLog {
    const NncProgram *program;
    LogFile file[MAX_FILES];
    int count;
};

// --- CSV: a column for each figure that there may be

// NULL: no name there, beyond the last one.
static const char *output_name(const NncProgram *program, NncFunctionKind kind, int i) {
    const NncFunction *function = &program->function[kind];
    return i < function->output_count && i < NNC_MAX_SCORES ? function->output[i].name : NULL;
}

// The loss of training is a column of its own.
static void write_heads(FILE *out, const NncProgram *program) {
    const char *name;
    fputs("event,epoch,step,loss,seconds,examples_per_second", out);
    for (int i = 0; i < program->rate_count; i++)
        fprintf(out, ",%s", program->rate[i]);
    for (int i = 1; (name = output_name(program, NNC_TRAIN, i)); i++)
        fprintf(out, ",train.%s", name);
    for (NncSplit split = NNC_SPLIT_TEST; split < NNC_ALL_SPLITS; split++)
        for (int i = 0; (name = output_name(program, NNC_EVAL, i)); i++)
            fprintf(out, ",%s.%s", nnc_split_name(split), name);
    fputc('\n', out);
}

static void write_figure(FILE *out, const double *value) {
    fputc(',', out);
    if (value && isfinite(*value)) fprintf(out, "%.9g", *value);
}

static void write_score(FILE *out, const NncScores *scores, int i) {
    write_figure(out, scores && i < scores->count ? &scores->value[i] : NULL);
}

static void write_row(FILE *out, const NncProgram *program, const NncRecord *record) {
    fprintf(out, "%s,%lld,%lld", record->event, record->epoch, record->step);
    write_score(out, record->train, 0);
    write_figure(out, &record->seconds);
    write_figure(out, &record->examples_per_second);
    for (int i = 0; i < program->rate_count; i++)
        write_score(out, record->rates, i);
    for (int i = 1; output_name(program, NNC_TRAIN, i); i++)
        write_score(out, record->train, i);
    for (NncSplit split = NNC_SPLIT_TEST; split < NNC_ALL_SPLITS; split++)
        for (int i = 0; output_name(program, NNC_EVAL, i); i++)
            write_score(out, record->board ? &record->board->of[split] : NULL, i);
    fputc('\n', out);
}

// --- Going on: where the lines end that are whole, and of steps up to the checkpoint's

static long long json_step(const char *line) {
    char *key;
    long long step = 0;
    NncJson json = nnc_json(line, strlen(line));
    for (nnc_json_enter(&json, '{'); nnc_json_key(&json, &key); free(key))
        if (strcmp(key, "step") || !nnc_json_integer(&json, &step)) nnc_json_skip(&json);
    return step;
}

// The third cell; a line of heads has 0.
static long long csv_step(const char *line) {
    const char *comma = strchr(line, ',');
    if (comma) comma = strchr(comma + 1, ',');
    return comma ? strtoll(comma + 1, NULL, 10) : 0;
}

static long lines_end(FILE *file, LogKind kind, long long step) {
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    long end = 0;
    while ((length = getline(&line, &size, file)) > 0 && line[length - 1] == '\n' &&
           (kind == LOG_JSON ? json_step(line) : csv_step(line)) <= step)
        end = ftell(file);
    free(line);
    return end;
}

static bool has_heads(FILE *file, const NncProgram *program) {
    char *line = NULL, *heads = NULL;
    size_t size = 0, length;
    FILE *out = open_memstream(&heads, &length);
    if (!out) return false;
    write_heads(out, program);
    fclose(out);
    bool same = getline(&line, &size, file) > 0 && !strcmp(line, heads);
    rewind(file);
    free(line);
    free(heads);
    return same;
}

// --- Opening

static NncStatus file_error(const LogFile *log, NncError *error) {
    return nnc_error(error, NNC_ERROR_FILE, "cannot write %s: %s", log->path, strerror(errno));
}

static NncStatus cut_off(const NncProgram *program, LogFile *log, long long step, NncError *error) {
    fseek(log->file, 0, SEEK_END);
    bool empty = ftell(log->file) == 0;
    rewind(log->file);
    if (log->kind == LOG_CSV && !empty && !has_heads(log->file, program))
        return nnc_error(error, NNC_ERROR_MATCH,
                         "%s has other columns than this run: give it another --log", log->path);
    long end = log->kind == LOG_TFEVENTS ? nnc_tfevents_end(log->file, step)
                                         : lines_end(log->file, log->kind, step);
    if (fflush(log->file) || ftruncate(fileno(log->file), end) || fseek(log->file, end, SEEK_SET))
        return file_error(log, error);
    return NNC_OK;
}

static NncStatus open_file(const NncProgram *program, LogFile *log, long long step,
                           NncError *error) {
    bool there = step >= 0 && nnc_file_exists(log->path);
    if (!nnc_file_make_folder_of(log->path)) return file_error(log, error);
    log->file = fopen(log->path, there ? "r+b" : "wb");
    if (!log->file) return file_error(log, error);
    NncStatus status = there ? cut_off(program, log, step, error) : NNC_OK;
    if (status || ftell(log->file) > 0) return status;
    if (log->kind == LOG_CSV) write_heads(log->file, program);
    if (log->kind == LOG_TFEVENTS) nnc_tfevents_begin(log->file);
    return NNC_OK;
}

// The kind of a file follows from its name.
static NncStatus add_file(NncLog *log, const char *path, NncError *error) {
    const char *dot = strrchr(path, '.');
    LogFile *file = &log->file[log->count];
    bool json = dot && !strcmp(dot, ".jsonl"), csv = dot && !strcmp(dot, ".csv");
    if (!json && !csv)
        return nnc_error(error, NNC_ERROR_VALUE,
                         "--log %s: a name that ends in .jsonl or .csv is "
                         "needed",
                         path);
    if (log->count == MAX_FILES - 1)
        return nnc_error(error, NNC_ERROR_VALUE, "more than %d times --log", MAX_FILES - 1);
    file->kind = json ? LOG_JSON : LOG_CSV;
    log->count++;
    return nnc_file_join(file->path, "", path, error);
}

// A new run replaces the events of the one before: one folder, one run.
static NncStatus add_events(NncLog *log, const char *folder, NncError *error) {
    char name[300];
    LogFile *file = &log->file[log->count++];
    file->kind = LOG_TFEVENTS;
    snprintf(name, sizeof name, "events.out.tfevents.%.200s", log->program->model);
    return nnc_file_join(file->path, folder, name, error);
}

static NncStatus open_all(NncLog *log, const NncOptions *options, long long step, NncError *error) {
    NncStatus status = NNC_OK;
    for (int i = 0; i < options->log_count && !status; i++)
        status = add_file(log, options->log[i], error);
    if (!status && options->tensorboard) status = add_events(log, options->tensorboard, error);
    for (int i = 0; i < log->count && !status; i++)
        status = open_file(log->program, &log->file[i], step, error);
    return status;
}

NncLog *nnc_log_open(const NncProgram *program, const NncOptions *options, long long step,
                     NncStatus *status, NncError *error) {
    *status = NNC_OK;
    if (!options->log_count && !options->tensorboard) return NULL;
    NncLog *log = calloc(1, sizeof *log);
    if (!log) {
        *status = nnc_error(error, NNC_ERROR_MEMORY, "no memory for the files of --log");
        return NULL;
    }
    log->program = program;
    *status = open_all(log, options, step, error);
    if (!*status) return log;
    nnc_log_close(log);
    return NULL;
}

// --- Writing

// Each line is there at once, for those who follow the file.
void nnc_log_event(NncLog *log, const char *json) {
    for (int i = 0; log && i < log->count; i++)
        if (log->file[i].kind == LOG_JSON) {
            fprintf(log->file[i].file, "%s\n", json);
            fflush(log->file[i].file);
        }
}

void nnc_log_record(NncLog *log, const NncRecord *record) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; log && i < log->count; i++) {
        FILE *file = log->file[i].file;
        if (log->file[i].kind == LOG_CSV) write_row(file, log->program, record);
        if (log->file[i].kind == LOG_TFEVENTS)
            nnc_tfevents_write(file, record, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
        fflush(file);
    }
}

NncStatus nnc_log_sync(NncLog *log, NncError *error) {
    for (int i = 0; log && i < log->count; i++) {
        FILE *file = log->file[i].file;
        if (fflush(file) || ferror(file)) return file_error(&log->file[i], error);
        (void)!fsync(fileno(file)); // a pipe cannot be synced
    }
    return NNC_OK;
}

void nnc_log_close(NncLog *log) {
    for (int i = 0; log && i < log->count; i++)
        if (log->file[i].file) fclose(log->file[i].file);
    free(log);
}
