// SPDX-License-Identifier: MIT
// The progress of a run, step by step: see progress.h.
#include "progress.h"
#include <math.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { BAR_CELLS = 16, USUAL_WIDTH = 80 };

static const double redraw_seconds = 0.1, patience_seconds = 1;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
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

// --- Sums

static double mean_loss(const NncTally *tally) {
    return tally->sum.examples ? tally->sum.value[0] / (double)tally->sum.examples : 0;
}

static double rate(const NncTally *tally) {
    double seconds = now() - tally->since;
    return seconds > 0 ? (double)tally->timed / seconds : 0;
}

static void add_step(NncTally *tally, const NncScores *step) {
    nnc_scores_add(&tally->sum, step);
    tally->timed += step->examples;
}

static void begin_tally(NncTally *tally, const NncScores *sum) {
    *tally = (NncTally){.sum = *sum, .since = now()};
}

// --- The bar

static void print_left(FILE *out, double seconds) {
    long long left = (long long)seconds;
    if (left >= 3600)
        fprintf(out, "  %lld:%02lld:%02lld left", left / 3600, left / 60 % 60, left % 60);
    else
        fprintf(out, "  %lld:%02lld left", left / 60, left % 60);
}

static int width_of(FILE *terminal) {
    struct winsize size;
    bool known = ioctl(fileno(terminal), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : USUAL_WIDTH;
}

// epoch 1/10 [######..........]  38%  loss 1.6213  412 examples/s  0:41 left
static void write_bar(const NncProgress *progress, FILE *out) {
    const NncTally *whole = &progress->whole;
    char cells[BAR_CELLS + 1];
    double part = (double)whole->sum.examples / (double)progress->epoch_examples;
    int full = (int)(part * BAR_CELLS);
    memset(cells, '.', BAR_CELLS);
    memset(cells, '#', (size_t)full);
    cells[BAR_CELLS] = 0;
    fprintf(out, "epoch %lld/%d [%s] %3.0f%%", progress->epoch, progress->epochs, cells,
            100 * part);
    if (!whole->timed) return;
    double loss = isnan(progress->shown_loss) ? mean_loss(&progress->step) : progress->shown_loss;
    double per_second = rate(whole);
    fprintf(out, "  loss %.4f  %.0f examples/s", loss, per_second);
    if (per_second > 0)
        print_left(out, (double)(progress->epoch_examples - whole->sum.examples) / per_second);
}

// What is wider than the terminal would not be written over by the next one.
static void draw_bar(NncProgress *progress) {
    char line[256] = "";
    FILE *out = progress->report.out, *text = fmemopen(line, sizeof line, "w");
    if (!text) return;
    write_bar(progress, text);
    fclose(text);
    fprintf(out, "\r%.*s\033[K", width_of(out) - 1, line);
    fflush(out);
    progress->drawn = now();
}

// --- Reports

void nnc_progress_begin(NncProgress *progress, const NncProgram *program, const NncOptions *options,
                        const char *device, int threads, long long arena_bytes, NncLog *log) {
    *progress = (NncProgress){
        .report = nnc_report(options, log),
        .program = program,
        .report_every = options->report_every > 0 ? options->report_every : 100,
        .epochs = options->epochs > 0 ? options->epochs : program->epochs,
        .began = now(),
    };
    NncReport *report = &progress->report;
    long long parameters = nnc_parameter_count(program);
    const char *jit = program->jit ? program->jit : "native";
    const char *target = program->target ? program->target : "";
    const char *precision = program->precision ? program->precision : "f32";
    if (nnc_report_is_for_people(report)) {
        fprintf(report->out, "%s: %lld parameters, %.1f MB, %s (%s, %s, %s), %d thread%s",
                program->model, parameters, (double)arena_bytes / 1e6, device, jit, target,
                precision, threads, threads == 1 ? "" : "s");
        if (program->chunk < program->batch)
            fprintf(report->out, "; batch %d in chunks of %d", program->batch, program->chunk);
        nnc_report_end_line(report);
    }
    if (nnc_report_event(report, "start")) {
        nnc_report_integer(report, "version", NNC_EVENTS);
        nnc_report_text(report, "model", program->model);
        nnc_report_integer(report, "parameters", parameters);
        nnc_report_text(report, "device", device);
        nnc_report_text(report, "jit", jit);
        nnc_report_text(report, "target", target);
        nnc_report_text(report, "precision", precision);
        nnc_report_text(report, "plan", program->plan);
        nnc_report_integer(report, "threads", threads);
        nnc_report_integer(report, "batch", program->batch);
        nnc_report_integer(report, "chunk", program->chunk);
        nnc_report_integer(report, "arena_bytes", arena_bytes);
        nnc_report_end(report);
    }
}

void nnc_progress_epoch(NncProgress *progress, const NncPosition *at) {
    const NncScores none = nnc_scores_of(&progress->program->function[NNC_TRAIN]);
    progress->epoch = at->epoch + 1;
    progress->epoch_examples = at->examples;
    begin_tally(&progress->step, &none);
    begin_tally(&progress->whole, &at->sum);
    progress->shown_loss = NAN;
    if (progress->report.mode == NNC_REPORT_BAR) draw_bar(progress);
}

// "  loss 0.4321  accuracy 0.8750  lr 0.001"
static void print_figures(FILE *out, const NncScores *train, const NncScores *rates) {
    for (int i = 0; i < train->count; i++)
        fprintf(out, "  %s %.4f", train->name[i], train->value[i]);
    for (int i = 0; i < rates->count; i++)
        fprintf(out, "  %s %g", rates->name[i], rates->value[i]);
}

static void write_figures(const NncReport *report, const NncScores *train, const NncScores *rates) {
    nnc_report_figure(report, "loss", train->value[0]);
    nnc_report_scores(report, NNC_SPLIT_TRAIN, train);
    for (int i = 0; i < rates->count; i++)
        nnc_report_figure(report, rates->name[i], rates->value[i]);
}

static void print_step(const NncProgress *progress, long long step, const NncScores *train,
                       const NncScores *rates, double per_second) {
    FILE *out = progress->report.out;
    fprintf(out, "epoch %lld  step %lld", progress->epoch, step);
    print_figures(out, train, rates);
    fprintf(out, "  %.0f examples/s", per_second);
    nnc_report_end_line(&progress->report);
}

static void report_step(NncProgress *progress, long long step, const NncScores *rates) {
    NncReport *report = &progress->report;
    const NncScores none = nnc_scores_of(&progress->program->function[NNC_TRAIN]);
    NncScores train = nnc_scores_mean(&progress->step.sum);
    double per_second = rate(&progress->step);
    if (report->mode == NNC_REPORT_LINES) print_step(progress, step, &train, rates, per_second);
    if (nnc_report_event(report, "step")) {
        nnc_report_integer(report, "epoch", progress->epoch);
        nnc_report_integer(report, "step", step);
        write_figures(report, &train, rates);
        nnc_report_measure(report, "examples_per_second", per_second);
        nnc_report_end(report);
    }
    nnc_log_record(report->log, &(NncRecord){.event = "step",
                                             .epoch = progress->epoch,
                                             .step = step,
                                             .train = &train,
                                             .rates = rates,
                                             .seconds = NAN,
                                             .examples_per_second = per_second});
    progress->shown_loss = train.value[0];
    begin_tally(&progress->step, &none);
}

// Nobody is to wait long for the first sign of steps that take their time. It is no report: those
// are about the same steps in every run.
static void show_life(NncProgress *progress, long long step, const NncScores *rates) {
    if (progress->report.mode != NNC_REPORT_LINES || now() - progress->began < patience_seconds)
        return;
    NncScores train = nnc_scores_mean(&progress->step.sum);
    print_step(progress, step, &train, rates, rate(&progress->step));
    progress->said = true;
}

void nnc_progress_step(NncProgress *progress, long long step, const NncScores *of_step,
                       const NncScores *rates) {
    add_step(&progress->step, of_step);
    add_step(&progress->whole, of_step);
    if (step % progress->report_every == 0) {
        report_step(progress, step, rates);
        progress->said = true;
    }
    if (!progress->said) show_life(progress, step, rates);
    if (progress->report.mode == NNC_REPORT_BAR && now() - progress->drawn > redraw_seconds)
        draw_bar(progress);
}

void nnc_progress_epoch_trained(NncProgress *progress) {
    progress->epoch_seconds = now() - progress->whole.since;
    if (progress->report.mode == NNC_REPORT_BAR) draw_bar(progress);
}

// Until the last epoch is measured, were all like this one.
static double seconds_left(const NncProgress *progress) {
    const NncTally *whole = &progress->whole;
    double trained = whole->timed ? (double)progress->epoch_examples / (double)whole->timed : 0;
    double epoch =
        progress->epoch_seconds * trained + now() - whole->since - progress->epoch_seconds;
    return (double)(progress->epochs - progress->epoch) * epoch;
}

static void print_epoch(const NncProgress *progress, const NncRecord *record, bool better) {
    const NncReport *report = &progress->report;
    nnc_report_clear_bar(report);
    fprintf(report->out, "epoch %lld/%d", progress->epoch, progress->epochs);
    print_figures(report->out, record->train, record->rates);
    fprintf(report->out, "  %.0f examples/s  %.1f s", record->examples_per_second, record->seconds);
    for (int i = 1; i < NNC_ALL_SPLITS; i++)
        nnc_report_split(report, record->board, nnc_split_order[i]);
    if (better) fputs("  (best)", report->out);
    double left = seconds_left(progress);
    if (left > 0) print_left(report->out, left);
    nnc_report_end_line(report);
}

static void write_epoch(NncProgress *progress, const NncRecord *record, bool better) {
    NncReport *report = &progress->report;
    if (!nnc_report_event(report, "epoch")) return;
    nnc_report_integer(report, "epoch", record->epoch);
    nnc_report_integer(report, "step", record->step);
    write_figures(report, record->train, record->rates);
    nnc_report_measure(report, "examples_per_second", record->examples_per_second);
    nnc_report_measure(report, "seconds", record->seconds);
    for (int i = 1; i < NNC_ALL_SPLITS; i++)
        nnc_report_scores(report, nnc_split_order[i], &record->board->of[nnc_split_order[i]]);
    if (progress->program->best) nnc_report_truth(report, "best", better);
    nnc_report_measure(report, "seconds_left", seconds_left(progress));
    nnc_report_end(report);
}

void nnc_progress_epoch_done(NncProgress *progress, long long step, const NncBoard *board,
                             const NncScores *rates, bool better) {
    double seconds = progress->epoch_seconds;
    NncRecord record = {.event = "epoch",
                        .epoch = progress->epoch,
                        .step = step,
                        .train = &board->of[NNC_SPLIT_TRAIN],
                        .rates = rates,
                        .seconds = seconds,
                        .board = board};
    if (seconds > 0) record.examples_per_second = (double)progress->whole.timed / seconds;
    if (nnc_report_is_for_people(&progress->report)) print_epoch(progress, &record, better);
    write_epoch(progress, &record, better);
    nnc_log_record(progress->report.log, &record);
}
