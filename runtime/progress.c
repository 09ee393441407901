// SPDX-License-Identifier: MIT
// Reports of a run: see progress.h.
#include "progress.h"
#include "json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_CELLS = 24 };

static const double redraw_seconds = 0.1;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

FILE *nnc_report_file(const NncOptions *options) {
    return options->report ? options->report : stdout;
}

NncReportMode nnc_report_mode(const NncOptions *options) {
    if (options->json) return NNC_REPORT_JSON;
    if (options->quiet) return NNC_REPORT_NONE;
    int descriptor = fileno(nnc_report_file(options)); // -1: a stream in memory
    return descriptor >= 0 && isatty(descriptor) ? NNC_REPORT_BAR : NNC_REPORT_LINES;
}

long long nnc_parameter_count(const NncProgram *program) {
    long long count = 0;
    for (int i = 0; i < program->tensor_count; i++) {
        const NncTensor *tensor = &program->tensor[i];
        long long elements = 1;
        for (int axis = 0; axis < tensor->rank; axis++)
            elements *= tensor->extent[axis];
        if (tensor->kind == NNC_PARAMETER) count += elements;
    }
    return count;
}

// --- Writing

static bool is_for_people(const NncProgress *progress) {
    return progress->mode == NNC_REPORT_LINES || progress->mode == NNC_REPORT_BAR;
}

// Lines are read while the run goes on: by a person, or through a pipe.
static void end_line(const NncProgress *progress) {
    fputc('\n', progress->out);
    fflush(progress->out);
}

static void clear_bar(const NncProgress *progress) {
    if (progress->mode == NNC_REPORT_BAR) fputs("\r\033[K", progress->out);
}

// Begins a line of JSON, for the report where it is that, and for the log; false where nobody wants
// one. Then the fields, and json_end.
static bool json_begin(NncProgress *progress, const char *event) {
    if (progress->mode != NNC_REPORT_JSON && !progress->log) return false;
    progress->line = open_memstream(&progress->json, &progress->json_size);
    if (!progress->line) return false;
    fprintf(progress->line, "{\"event\":\"%s\"", event);
    return true;
}

static void json_text(const NncProgress *progress, const char *name, const char *text) {
    fprintf(progress->line, ",\"%s\":", name);
    nnc_json_write_string(progress->line, text ? text : "");
}

static void json_integer(const NncProgress *progress, const char *name, long long value) {
    fprintf(progress->line, ",\"%s\":%lld", name, value);
}

// A loss has nine digits: a float's. A rate or a time has what can be measured.
static void json_loss(const NncProgress *progress, const char *name, double value) {
    fprintf(progress->line, isfinite(value) ? ",\"%s\":%.9g" : ",\"%s\":null", name, value);
}

static void json_measure(const NncProgress *progress, const char *name, double value) {
    fprintf(progress->line, ",\"%s\":%.3f", name, value);
}

static void json_truth(const NncProgress *progress, const char *name, bool value) {
    fprintf(progress->line, ",\"%s\":%s", name, value ? "true" : "false");
}

static void json_end(NncProgress *progress) {
    fputc('}', progress->line);
    fclose(progress->line);
    if (progress->mode == NNC_REPORT_JSON) {
        fputs(progress->json, progress->out);
        end_line(progress);
    }
    nnc_log_event(progress->log, progress->json);
    free(progress->json);
}

static void json_scores(const NncProgress *progress, NncSplit split, const NncScores *scores) {
    if (!scores->count) return;
    fprintf(progress->line, ",\"%s\":{", nnc_split_name(split));
    for (int i = 0; i < scores->count; i++) {
        if (i) fputc(',', progress->line);
        nnc_json_write_string(progress->line, scores->name[i]);
        fputc(':', progress->line);
        fprintf(progress->line, isfinite(scores->value[i]) ? "%.9g" : "null", scores->value[i]);
    }
    fputc('}', progress->line);
}

static void print_scores(const NncProgress *progress, const NncScores *scores) {
    for (int i = 0; i < scores->count; i++)
        fprintf(progress->out, "%s %s %.4f", i ? "," : "", scores->name[i], scores->value[i]);
}

// In the order of their use; the loss of training is a field of its own in an epoch's report.
static const NncSplit split_order[] = {NNC_SPLIT_TRAIN, NNC_SPLIT_VALIDATION, NNC_SPLIT_TEST};

static void print_split(const NncProgress *progress, const NncBoard *board, NncSplit split) {
    if (!board->of[split].count) return;
    fprintf(progress->out, "  %s:", nnc_split_name(split));
    print_scores(progress, &board->of[split]);
}

// --- Sums

static double mean_loss(const NncTally *tally) {
    return tally->examples ? tally->loss_sum / (double)tally->examples : 0;
}

static double rate(const NncTally *tally, double seconds) {
    return seconds > 0 ? (double)tally->timed / seconds : 0;
}

static void add_loss(NncTally *tally, double loss, long long examples) {
    tally->loss_sum += loss * (double)examples;
    tally->examples += examples;
    tally->timed += examples;
}

// --- Reports

void nnc_progress_begin(NncProgress *progress, const NncProgram *program, const NncOptions *options,
                        const char *device, int threads, long long arena_bytes, NncLog *log) {
    *progress = (NncProgress){
        .log = log,
        .program = program,
        .out = nnc_report_file(options),
        .mode = nnc_report_mode(options),
        .report_every = options->report_every > 0 ? options->report_every : 100,
        .epochs = options->epochs > 0 ? options->epochs : program->epochs,
    };
    long long parameters = nnc_parameter_count(program);
    const char *jit = program->jit ? program->jit : "native";
    const char *target = program->target ? program->target : "";
    const char *precision = program->precision ? program->precision : "f32";
    if (is_for_people(progress)) {
        fprintf(progress->out, "%s: %lld parameters, %.1f MB, %s (%s, %s, %s), %d thread%s",
                program->model, parameters, (double)arena_bytes / 1e6, device, jit, target, precision,
                threads, threads == 1 ? "" : "s");
        if (program->chunk < program->batch)
            fprintf(progress->out, "; batch %d in chunks of %d", program->batch, program->chunk);
        end_line(progress);
    }
    if (json_begin(progress, "start")) {
        json_text(progress, "model", program->model);
        json_integer(progress, "parameters", parameters);
        json_text(progress, "device", device);
        json_text(progress, "jit", jit);
        json_text(progress, "target", target);
        json_text(progress, "precision", precision);
        json_text(progress, "plan", program->plan);
        json_integer(progress, "threads", threads);
        json_integer(progress, "batch", program->batch);
        json_integer(progress, "chunk", program->chunk);
        json_integer(progress, "arena_bytes", arena_bytes);
        json_end(progress);
    }
}

void nnc_progress_epoch(NncProgress *progress, long long epoch, long long examples, long long done,
                        double loss_sum) {
    double start = now();
    progress->epoch = epoch;
    progress->epoch_examples = examples;
    progress->report = (NncTally){.since = start};
    progress->whole = (NncTally){.since = start, .loss_sum = loss_sum, .examples = done};
    progress->shown_loss = -1;
}

static void report_step(NncProgress *progress, long long step) {
    double loss = mean_loss(&progress->report);
    double per_second = rate(&progress->report, now() - progress->report.since);
    if (progress->mode == NNC_REPORT_LINES) {
        fprintf(progress->out, "epoch %lld  step %lld  loss %.4f  %.0f examples/s", progress->epoch,
                step, loss, per_second);
        end_line(progress);
    }
    if (json_begin(progress, "step")) {
        json_integer(progress, "epoch", progress->epoch);
        json_integer(progress, "step", step);
        json_loss(progress, "loss", loss);
        json_measure(progress, "examples_per_second", per_second);
        json_end(progress);
    }
    nnc_log_record(progress->log, &(NncRecord){.event = "step",
                                               .epoch = progress->epoch,
                                               .step = step,
                                               .loss = loss,
                                               .seconds = NAN,
                                               .examples_per_second = per_second});
    progress->shown_loss = loss;
    progress->report = (NncTally){.since = now()};
}

static void print_left(const NncProgress *progress, double seconds) {
    long long left = (long long)seconds;
    if (left >= 3600)
        fprintf(progress->out, "  %lld:%02lld:%02lld left", left / 3600, left / 60 % 60, left % 60);
    else
        fprintf(progress->out, "  %lld:%02lld left", left / 60, left % 60);
}

// epoch 1/10 [#########...............]  38%  loss 1.6213  412 examples/s  0:41 left
static void draw_bar(NncProgress *progress) {
    char cells[BAR_CELLS + 1];
    const NncTally *whole = &progress->whole;
    double part = (double)whole->examples / (double)progress->epoch_examples;
    double per_second = rate(whole, now() - whole->since);
    double left =
        per_second > 0 ? (double)(progress->epoch_examples - whole->examples) / per_second : 0;
    double loss = progress->shown_loss >= 0 ? progress->shown_loss : mean_loss(&progress->report);
    int full = (int)(part * BAR_CELLS);
    memset(cells, '.', BAR_CELLS);
    memset(cells, '#', (size_t)full);
    cells[BAR_CELLS] = 0;
    fprintf(progress->out, "\repoch %lld/%d [%s] %3.0f%%  loss %.4f  %.0f examples/s",
            progress->epoch, progress->epochs, cells, 100 * part, loss, per_second);
    print_left(progress, left);
    fputs("\033[K", progress->out);
    fflush(progress->out);
    progress->last_drawn = now();
}

void nnc_progress_step(NncProgress *progress, long long step, double loss, long long examples) {
    add_loss(&progress->report, loss, examples);
    add_loss(&progress->whole, loss, examples);
    if (step % progress->report_every == 0) report_step(progress, step);
    if (progress->mode == NNC_REPORT_BAR && now() - progress->last_drawn > redraw_seconds)
        draw_bar(progress);
}

void nnc_progress_epoch_trained(NncProgress *progress) {
    progress->epoch_seconds = now() - progress->whole.since;
    if (progress->mode == NNC_REPORT_BAR) draw_bar(progress);
}

// Until the last epoch is measured, were all like this one.
static double seconds_left(const NncProgress *progress) {
    const NncTally *whole = &progress->whole;
    double trained = whole->timed ? (double)progress->epoch_examples / (double)whole->timed : 0;
    double epoch =
        progress->epoch_seconds * trained + now() - whole->since - progress->epoch_seconds;
    return (double)(progress->epochs - progress->epoch) * epoch;
}

void nnc_progress_epoch_done(NncProgress *progress, long long step, const NncBoard *board,
                             bool better) {
    double loss = mean_loss(&progress->whole), seconds = progress->epoch_seconds;
    double per_second = rate(&progress->whole, seconds);
    double left = seconds_left(progress);
    if (is_for_people(progress)) {
        clear_bar(progress);
        fprintf(progress->out, "epoch %lld/%d  loss %.4f  %.0f examples/s  %.1f s", progress->epoch,
                progress->epochs, loss, per_second, seconds);
        for (int i = 1; i < NNC_ALL_SPLITS; i++)
            print_split(progress, board, split_order[i]);
        if (better) fputs("  (best)", progress->out);
        if (left > 0) print_left(progress, left);
        end_line(progress);
    }
    if (json_begin(progress, "epoch")) {
        json_integer(progress, "epoch", progress->epoch);
        json_integer(progress, "step", step);
        json_loss(progress, "loss", loss);
        json_measure(progress, "examples_per_second", per_second);
        json_measure(progress, "seconds", seconds);
        for (int i = 1; i < NNC_ALL_SPLITS; i++)
            json_scores(progress, split_order[i], &board->of[split_order[i]]);
        if (progress->program->best) json_truth(progress, "best", better);
        json_measure(progress, "seconds_left", left);
        json_end(progress);
    }
    nnc_log_record(progress->log, &(NncRecord){.event = "epoch",
                                               .epoch = progress->epoch,
                                               .step = step,
                                               .loss = loss,
                                               .seconds = seconds,
                                               .examples_per_second = per_second,
                                               .board = board});
}

void nnc_progress_stopped(NncProgress *progress, long long epoch, long long best, double value) {
    const char *score = progress->program->best;
    if (is_for_people(progress)) {
        fprintf(progress->out, "stopped: epoch %lld has the best %s, %.4f; none of the %lld since",
                best, score, value, epoch - best);
        end_line(progress);
    }
    if (json_begin(progress, "stop")) {
        json_integer(progress, "epoch", epoch);
        json_integer(progress, "best_epoch", best);
        json_text(progress, "score", score);
        json_loss(progress, "value", value);
        json_end(progress);
    }
}

void nnc_progress_result(NncProgress *progress, long long epoch, long long step,
                         const NncBoard *board, bool is_best) {
    // What the log has not from the epochs: the test examples, where others were held out.
    const NncBoard test = {.of[NNC_SPLIT_TEST] = board->of[NNC_SPLIT_TEST]};
    if (progress->program->validation > 0)
        nnc_log_record(progress->log, &(NncRecord){.event = "result",
                                                   .epoch = epoch,
                                                   .step = step,
                                                   .loss = NAN,
                                                   .seconds = NAN,
                                                   .examples_per_second = NAN,
                                                   .board = &test});
    if (is_for_people(progress) && is_best) {
        clear_bar(progress);
        fprintf(progress->out, "best epoch %lld", epoch);
        for (int i = 0; i < NNC_ALL_SPLITS; i++)
            print_split(progress, board, split_order[i]);
        end_line(progress);
    }
    if (json_begin(progress, "result")) {
        json_integer(progress, "epoch", epoch);
        json_integer(progress, "step", step);
        for (int i = 0; i < NNC_ALL_SPLITS; i++)
            json_scores(progress, split_order[i], &board->of[split_order[i]]);
        json_end(progress);
    }
}

void nnc_progress_expect(NncProgress *progress, const NncExpect *expect, const double *value,
                         bool met) {
    if (is_for_people(progress)) {
        fprintf(progress->out, "expect %s %s %g: %s", expect->score, expect->relation,
                expect->value, met ? "met" : "NOT MET");
        if (value) fprintf(progress->out, ", it is %.6g", *value);
        end_line(progress);
    }
    if (json_begin(progress, "expect")) {
        json_text(progress, "score", expect->score);
        json_text(progress, "relation", expect->relation);
        json_loss(progress, "than", expect->value);
        json_loss(progress, "value", value ? *value : NAN);
        json_truth(progress, "met", met);
        json_end(progress);
    }
}

void nnc_progress_scores(NncProgress *progress, const char *checkpoint, const NncScores *test) {
    if (is_for_people(progress)) {
        fprintf(progress->out, "test (%lld examples):", test->examples);
        print_scores(progress, test);
        end_line(progress);
    }
    if (json_begin(progress, "eval")) {
        json_text(progress, "checkpoint", checkpoint);
        json_integer(progress, "examples", test->examples);
        json_scores(progress, NNC_SPLIT_TEST, test);
        json_end(progress);
    }
}

void nnc_progress_done(NncProgress *progress, const char *checkpoint, uint64_t hash,
                       const char *best) {
    if (is_for_people(progress)) {
        clear_bar(progress);
        fprintf(progress->out, "wrote %s", checkpoint);
        if (best) fprintf(progress->out, ", the best epoch %s", best);
        end_line(progress);
    }
    if (json_begin(progress, "done")) {
        char digits[17];
        snprintf(digits, sizeof digits, "%016llx", (unsigned long long)hash);
        json_text(progress, "checkpoint", checkpoint);
        json_text(progress, "hash", digits);
        if (best) json_text(progress, "best", best);
        json_end(progress);
    }
}

void nnc_progress_resumed(NncProgress *progress, const char *checkpoint, long long step,
                          const char *plan) {
    const char *own = progress->program->plan ? progress->program->plan : plan;
    bool same = strcmp(own, plan) == 0;
    if (is_for_people(progress)) {
        clear_bar(progress);
        fprintf(progress->out, "resumed %s after step %lld", checkpoint, step);
        if (!same)
            fprintf(progress->out,
                    "\nit was trained by plan %s, this is %s: other bits are to be expected", plan,
                    own);
        end_line(progress);
    }
    if (json_begin(progress, "resume")) {
        json_text(progress, "checkpoint", checkpoint);
        json_integer(progress, "step", step);
        json_text(progress, "trained_by_plan", plan);
        json_truth(progress, "same_plan", same);
        json_end(progress);
    }
}

void nnc_progress_initial(NncProgress *progress, const char *path, const NncInitial *initial) {
    if (is_for_people(progress)) {
        fprintf(progress->out, "begins with %s: %d tensors taken, %d left as they were\n%s", path,
                initial->taken, initial->left, initial->notes);
        fflush(progress->out);
    }
    if (json_begin(progress, "init")) {
        json_text(progress, "file", path);
        json_integer(progress, "taken", initial->taken);
        json_integer(progress, "left", initial->left);
        json_text(progress, "notes", initial->notes);
        json_end(progress);
    }
}
