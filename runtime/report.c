// SPDX-License-Identifier: MIT
// Lines and events: see report.h.
#include "report.h"
#include "json.h"
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static NncReportMode mode_of(const NncOptions *options, FILE *out) {
    if (options->json) return NNC_REPORT_JSON;
    if (options->quiet) return NNC_REPORT_NONE;
    int descriptor = fileno(out); // -1: a stream in memory
    return descriptor >= 0 && isatty(descriptor) ? NNC_REPORT_BAR : NNC_REPORT_LINES;
}

NncReport nnc_report(const NncOptions *options, NncLog *log) {
    FILE *out = options->report ? options->report : stdout;
    return (NncReport){.out = out, .mode = mode_of(options, out), .log = log};
}

// --- For people

const NncSplit nnc_split_order[NNC_ALL_SPLITS] = {NNC_SPLIT_TRAIN, NNC_SPLIT_VALIDATION,
                                                  NNC_SPLIT_TEST};

bool nnc_report_is_for_people(const NncReport *report) {
    return report->mode == NNC_REPORT_LINES || report->mode == NNC_REPORT_BAR;
}

// Lines are read while the run goes on: by a person, or through a pipe.
void nnc_report_end_line(const NncReport *report) {
    fputc('\n', report->out);
    fflush(report->out);
}

void nnc_report_clear_bar(const NncReport *report) {
    if (report->mode == NNC_REPORT_BAR) fputs("\r\033[K", report->out);
}

void nnc_report_figures(const NncReport *report, const NncScores *scores) {
    for (int i = 0; i < scores->count; i++)
        fprintf(report->out, "%s %s %.4f", i ? "," : "", scores->name[i], scores->value[i]);
}

void nnc_report_split(const NncReport *report, const NncBoard *board, NncSplit split) {
    if (!board->of[split].count) return;
    fprintf(report->out, "  %s:", nnc_split_name(split));
    nnc_report_figures(report, &board->of[split]);
}

// --- For programs

bool nnc_report_event(NncReport *report, const char *event) {
    if (report->mode != NNC_REPORT_JSON && !report->log) return false;
    report->line = open_memstream(&report->json, &report->size);
    if (!report->line) return false;
    fprintf(report->line, "{\"event\":\"%s\"", event);
    return true;
}

static void write_name(const NncReport *report, const char *name) {
    fputc(',', report->line);
    nnc_json_write_string(report->line, name);
    fputc(':', report->line);
}

void nnc_report_text(const NncReport *report, const char *name, const char *text) {
    write_name(report, name);
    nnc_json_write_string(report->line, text ? text : "");
}

void nnc_report_integer(const NncReport *report, const char *name, long long value) {
    write_name(report, name);
    fprintf(report->line, "%lld", value);
}

// Nine digits: a float's. A rate or a time has what can be measured.
static void write_figure(const NncReport *report, double value) {
    fprintf(report->line, isfinite(value) ? "%.9g" : "null", value);
}

void nnc_report_figure(const NncReport *report, const char *name, double value) {
    write_name(report, name);
    write_figure(report, value);
}

void nnc_report_measure(const NncReport *report, const char *name, double value) {
    write_name(report, name);
    fprintf(report->line, "%.3f", value);
}

void nnc_report_truth(const NncReport *report, const char *name, bool value) {
    write_name(report, name);
    fputs(value ? "true" : "false", report->line);
}

void nnc_report_scores(const NncReport *report, NncSplit split, const NncScores *scores) {
    if (!scores->count) return;
    write_name(report, nnc_split_name(split));
    for (int i = 0; i < scores->count; i++) {
        fputc(i ? ',' : '{', report->line);
        nnc_json_write_string(report->line, scores->name[i]);
        fputc(':', report->line);
        write_figure(report, scores->value[i]);
    }
    fputc('}', report->line);
}

void nnc_report_end(NncReport *report) {
    fputc('}', report->line);
    fclose(report->line);
    if (report->mode == NNC_REPORT_JSON) {
        fputs(report->json, report->out);
        nnc_report_end_line(report);
    }
    nnc_log_event(report->log, report->json);
    free(report->json);
}
