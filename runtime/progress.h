// SPDX-License-Identifier: MIT
// What a run says about itself while it goes on: a bar on a terminal, plain lines elsewhere, JSON
// objects for programs. Sums up figures and time; those of a report are means, over examples,
// since the report before.
#ifndef NNC_PROGRESS_H
#define NNC_PROGRESS_H

#include "checkpoint.h"
#include "report.h"

enum { NNC_EVENTS = 1 }; // the version of the lines of JSON: fields may be added, not changed

typedef struct NncTally {
    NncScores sum;   // of training's loss and metrics, over examples
    long long timed; // those of them that were trained on since `since`
    double since;    // seconds, monotonic
} NncTally;

typedef struct NncProgress {
    NncReport report;
    const NncProgram *program;
    long long report_every;
    int epochs;
    long long epoch, epoch_examples; // the current one, counted from 1
    NncTally step, whole;            // since the last report, in the epoch
    double epoch_seconds;            // of the last one, training alone
    double began;                    // the run
    bool said;                       // anything about a step
    double shown_loss, drawn;        // of the bar: the last report's (NaN: none yet), when
} NncProgress;

// device: what runs the program: cpu, or a GPU's name.
void nnc_progress_begin(NncProgress *progress, const NncProgram *program, const NncOptions *options,
                        const char *device, int threads, long long arena_bytes, NncLog *log);
// Of which an interrupted run may have trained on some examples.
void nnc_progress_epoch(NncProgress *progress, const NncPosition *at);
// of_step: sums over its examples.
void nnc_progress_step(NncProgress *progress, long long step, const NncScores *of_step,
                       const NncScores *rates);
void nnc_progress_epoch_trained(NncProgress *progress); // stops its clock
// After `step`, with what was measured; `better`: the best epoch so far.
void nnc_progress_epoch_done(NncProgress *progress, long long step, const NncBoard *board,
                             const NncScores *rates, bool better);

// --- outcome.c

// What the run begins with.
void nnc_progress_initial(NncProgress *progress, const char *path, const NncInitial *initial);
// The run goes on after `step`; another plan than the program's is remarked upon.
void nnc_progress_resumed(NncProgress *progress, const char *checkpoint, long long step,
                          const char *plan);
// Training ends after an epoch for want of a better one than `best`.
void nnc_progress_stopped(NncProgress *progress, long long epoch, long long best, double value);
// Of the epoch that the run, which ends after `step`, is judged by; and one of the things that are
// expected of it.
void nnc_progress_result(NncProgress *progress, long long epoch, long long step,
                         const NncBoard *board, bool is_best);
void nnc_progress_expect(NncProgress *progress, const NncExpect *expect, const double *value,
                         bool met); // value NULL: there is none
void nnc_progress_scores(NncProgress *progress, const char *checkpoint, NncSplit split,
                         const NncScores *scores); // nnc_eval's
// The first step that makes numbers that are none, in several lines.
void nnc_progress_trap(NncProgress *progress, long long step, const char *text);
void nnc_progress_done(NncProgress *progress, const char *checkpoint, uint64_t hash,
                       const char *best); // NULL: no best one was kept

long long nnc_parameter_count(const NncProgram *program);

#endif
