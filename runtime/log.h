// SPDX-License-Identifier: MIT
// Files that a training run writes its figures to, beside what it says to people: JSON lines, CSV,
// and event files of TensorBoard.
//
//     NncLog *log = nnc_log_open(program, options, step, error);    // step < 0: a new run
//     nnc_log_event(log, "{\"event\":\"epoch\",..}");               // a line of JSON
//     nnc_log_record(log, &record);                                 // a row, a summary
//     nnc_log_sync(log, error), nnc_checkpoint_write(..);
//     nnc_log_close(log);
//
// A resumed run goes on in the same files: what they say of steps that the checkpoint does not
// know, because the run was killed after them, is cut off first, and so is half a line.
#ifndef NNC_LOG_H
#define NNC_LOG_H

#include "scores.h"

typedef struct NncRecord { // of a step, an epoch, a result. NaN: there is no such figure
    const char *event;
    long long epoch, step;
    const NncScores *train, *rates;      // losses and metrics; learning rates; NULL: none
    double seconds, examples_per_second; // of training
    const NncBoard *board;               // val and test; NULL: not measured
} NncRecord;

typedef struct NncLog NncLog; // NULL: there are no files, and the functions do nothing

// NULL with *status after an error, and without one where no file is asked for.
NncLog *nnc_log_open(const NncProgram *program, const NncOptions *options, long long step,
                     NncStatus *status, NncError *error);
void nnc_log_event(NncLog *log, const char *json);
void nnc_log_record(NncLog *log, const NncRecord *record);
// What was written is in the files: called before a checkpoint says that it has happened.
NncStatus nnc_log_sync(NncLog *log, NncError *error);
void nnc_log_close(NncLog *log);

// --- Event files (log_tfevents.c)

void nnc_tfevents_begin(FILE *file);
void nnc_tfevents_write(FILE *file, const NncRecord *record, double wall_time);
// Where the records end that are whole, and of steps up to `step`.
long nnc_tfevents_end(FILE *file, long long step);

#endif
