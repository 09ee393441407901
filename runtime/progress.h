// SPDX-License-Identifier: MIT
// What a run says about itself while it goes on: a bar on a terminal, plain lines elsewhere, JSON
// objects for programs. Sums up losses and time; the loss of a report is the mean, over examples,
// since the report before.
#ifndef NNC_PROGRESS_H
#define NNC_PROGRESS_H

#include "checkpoint.h"
#include "log.h"

typedef struct NncTally {
    double loss_sum;    // of each example
    long long examples; // in it
    long long timed;    // those of them that were trained on since `since`
    double since;       // seconds, monotonic
} NncTally;

typedef enum NncReportMode {
    NNC_REPORT_NONE,
    NNC_REPORT_LINES,
    NNC_REPORT_BAR,
    NNC_REPORT_JSON
} NncReportMode;

typedef struct NncProgress {
    const NncProgram *program;
    FILE *out;
    NncReportMode mode;
    long long report_every;
    int epochs;
    long long epoch, epoch_examples; // the current one, counted from 1
    NncTally report, whole;          // since the last report, in the epoch
    double epoch_seconds;            // of the last one, training alone
    double shown_loss, last_drawn;   // of the bar
    NncLog *log;                     // gets the same events and figures; or NULL
    FILE *line;                      // of JSON, that is being written into `json`
    char *json;
    size_t json_size;
} NncProgress;

// device: what runs the program: cpu, or a GPU's name.
void nnc_progress_begin(NncProgress *progress, const NncProgram *program, const NncOptions *options,
                        const char *device, int threads, long long arena_bytes, NncLog *log);
// `done` examples with the sum of losses `loss_sum` were trained on before, by an interrupted run.
void nnc_progress_epoch(NncProgress *progress, long long epoch, long long examples, long long done,
                        double loss_sum);
void nnc_progress_step(NncProgress *progress, long long step, double loss, long long examples);
void nnc_progress_epoch_trained(NncProgress *progress);                     // stops its clock
// After `step`, with what was measured; `better`: the best epoch so far.
void nnc_progress_epoch_done(NncProgress *progress, long long step, const NncBoard *board,
                             bool better);
// Training ends after an epoch for want of a better one than `best`.
void nnc_progress_stopped(NncProgress *progress, long long epoch, long long best, double value);
// Of the epoch that the run, which ends after `step`, is judged by; and one of the things that are
// expected of it.
void nnc_progress_result(NncProgress *progress, long long epoch, long long step,
                         const NncBoard *board, bool is_best);
void nnc_progress_expect(NncProgress *progress, const NncExpect *expect, const double *value,
                         bool met); // value NULL: there is none
void nnc_progress_scores(NncProgress *progress, const char *checkpoint,
                         const NncScores *test); // nnc_eval's
void nnc_progress_done(NncProgress *progress, const char *checkpoint, uint64_t hash,
                       const char *best); // NULL: no best one was kept
// What the run begins with.
void nnc_progress_initial(NncProgress *progress, const char *path, const NncInitial *initial);
// The run goes on after `step`; another plan than the program's is remarked upon.
void nnc_progress_resumed(NncProgress *progress, const char *checkpoint, long long step,
                          const char *plan);

NncReportMode nnc_report_mode(const NncOptions *options);
FILE *nnc_report_file(const NncOptions *options);
long long nnc_parameter_count(const NncProgram *program);

#endif
