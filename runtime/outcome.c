// SPDX-License-Identifier: MIT
// What a run says before its first step and after its last: see progress.h.
#include "progress.h"
#include <math.h>
#include <string.h>

void nnc_progress_stopped(NncProgress *progress, long long epoch, long long best, double value) {
    NncReport *report = &progress->report;
    const char *score = progress->program->best;
    if (nnc_report_is_for_people(report)) {
        fprintf(report->out, "stopped: epoch %lld has the best %s, %.4f; none of the %lld since",
                best, score, value, epoch - best);
        nnc_report_end_line(report);
    }
    if (nnc_report_event(report, "stop")) {
        nnc_report_integer(report, "epoch", epoch);
        nnc_report_integer(report, "best_epoch", best);
        nnc_report_text(report, "score", score);
        nnc_report_figure(report, "value", value);
        nnc_report_end(report);
    }
}

void nnc_progress_result(NncProgress *progress, long long epoch, long long step,
                         const NncBoard *board, bool is_best) {
    NncReport *report = &progress->report;
    // What the log has not from the epochs: the test examples, where others were held out.
    const NncBoard test = {.of[NNC_SPLIT_TEST] = board->of[NNC_SPLIT_TEST]};
    if (progress->program->validation > 0)
        nnc_log_record(report->log, &(NncRecord){.event = "result",
                                                 .epoch = epoch,
                                                 .step = step,
                                                 .seconds = NAN,
                                                 .examples_per_second = NAN,
                                                 .board = &test});
    if (nnc_report_is_for_people(report) && is_best) {
        nnc_report_clear_bar(report);
        fprintf(report->out, "best epoch %lld", epoch);
        for (int i = 0; i < NNC_ALL_SPLITS; i++)
            nnc_report_split(report, board, nnc_split_order[i]);
        nnc_report_end_line(report);
    }
    if (nnc_report_event(report, "result")) {
        nnc_report_integer(report, "epoch", epoch);
        nnc_report_integer(report, "step", step);
        for (int i = 0; i < NNC_ALL_SPLITS; i++)
            nnc_report_scores(report, nnc_split_order[i], &board->of[nnc_split_order[i]]);
        nnc_report_end(report);
    }
}

void nnc_progress_expect(NncProgress *progress, const NncExpect *expect, const double *value,
                         bool met) {
    NncReport *report = &progress->report;
    if (nnc_report_is_for_people(report)) {
        fprintf(report->out, "expect %s %s %g: %s", expect->score, expect->relation, expect->value,
                met ? "met" : "NOT MET");
        if (value) fprintf(report->out, ", it is %.6g", *value);
        nnc_report_end_line(report);
    }
    if (nnc_report_event(report, "expect")) {
        nnc_report_text(report, "score", expect->score);
        nnc_report_text(report, "relation", expect->relation);
        nnc_report_figure(report, "than", expect->value);
        nnc_report_figure(report, "value", value ? *value : NAN);
        nnc_report_truth(report, "met", met);
        nnc_report_end(report);
    }
}

void nnc_progress_scores(NncProgress *progress, const char *checkpoint, NncSplit split,
                         const NncScores *scores) {
    NncReport *report = &progress->report;
    if (nnc_report_is_for_people(report)) {
        fprintf(report->out, "%s (%lld examples):", nnc_split_name(split), scores->examples);
        nnc_report_figures(report, scores);
        nnc_report_end_line(report);
    }
    if (nnc_report_event(report, "eval")) {
        nnc_report_text(report, "checkpoint", checkpoint);
        nnc_report_integer(report, "examples", scores->examples);
        nnc_report_scores(report, split, scores);
        nnc_report_end(report);
    }
}

void nnc_progress_done(NncProgress *progress, const char *checkpoint, uint64_t hash,
                       const char *best) {
    NncReport *report = &progress->report;
    if (nnc_report_is_for_people(report)) {
        nnc_report_clear_bar(report);
        fprintf(report->out, "wrote %s, hash %016llx", checkpoint, (unsigned long long)hash);
        if (best) fprintf(report->out, ", the best epoch %s", best);
        nnc_report_end_line(report);
    }
    if (nnc_report_event(report, "done")) {
        char digits[17];
        snprintf(digits, sizeof digits, "%016llx", (unsigned long long)hash);
        nnc_report_text(report, "checkpoint", checkpoint);
        nnc_report_text(report, "hash", digits);
        if (best) nnc_report_text(report, "best", best);
        nnc_report_end(report);
    }
}

void nnc_progress_trap(NncProgress *progress, long long step, const char *text) {
    NncReport *report = &progress->report;
    if (nnc_report_is_for_people(report)) {
        nnc_report_clear_bar(report);
        fputs(text, report->out);
        fflush(report->out);
    }
    if (nnc_report_event(report, "trap")) {
        nnc_report_integer(report, "step", step);
        nnc_report_text(report, "report", text);
        nnc_report_end(report);
    }
}

void nnc_progress_resumed(NncProgress *progress, const char *checkpoint, long long step,
                          const char *plan) {
    NncReport *report = &progress->report;
    const char *own = progress->program->plan ? progress->program->plan : plan;
    bool same = strcmp(own, plan) == 0;
    if (nnc_report_is_for_people(report)) {
        nnc_report_clear_bar(report);
        fprintf(report->out, "resumed %s after step %lld", checkpoint, step);
        if (!same)
            fprintf(report->out,
                    "\nit was trained by plan %s, this is %s: other bits are to be expected", plan,
                    own);
        nnc_report_end_line(report);
    }
    if (nnc_report_event(report, "resume")) {
        nnc_report_text(report, "checkpoint", checkpoint);
        nnc_report_integer(report, "step", step);
        nnc_report_text(report, "trained_by_plan", plan);
        nnc_report_truth(report, "same_plan", same);
        nnc_report_end(report);
    }
}

void nnc_progress_initial(NncProgress *progress, const char *path, const NncInitial *initial) {
    NncReport *report = &progress->report;
    if (nnc_report_is_for_people(report)) {
        fprintf(report->out, "begins with %s: %d tensors taken, %d left as they were\n%s", path,
                initial->taken, initial->left, initial->notes);
        fflush(report->out);
    }
    if (nnc_report_event(report, "init")) {
        nnc_report_text(report, "file", path);
        nnc_report_integer(report, "taken", initial->taken);
        nnc_report_integer(report, "left", initial->left);
        nnc_report_text(report, "notes", initial->notes);
        nnc_report_end(report);
    }
}
