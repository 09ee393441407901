// SPDX-License-Identifier: MIT
// A program with what it needs to run: arenas, threads, data, hyper-parameters. Training,
// evaluating and predicting all begin with one.
#ifndef NNC_SESSION_H
#define NNC_SESSION_H

#include "checkpoint.h"
#include "device.h"
#include "file.h"
#include "loader.h"
#include "progress.h"
#include "source.h"
#include <signal.h>

typedef struct NncDone { // a step of which the outputs are there
    long long step, of;  // its number, from 1; its examples
} NncDone;

enum { NNC_LATE = 3 }; // steps that the host may be ahead of a device

typedef struct NncLate { // a step that was begun
    NncDone done;
    long long run; // of the device; its outputs are there or, settled, in a place of their own
    bool settled;
} NncLate;

typedef struct NncSession {
    const NncProgram *program;
    const NncOptions *options;
    NncPool *pool;
    NncSource source;                      // opened by nnc_session_open_data,
    NncColumns columns;                    // as are these
    NncCall *augment;                      // the program's, with the numbers that were set
    char *state, *work, *output, *scratch; // in `memory`
    void *memory;
    size_t memory_size;
    int prepared; // 1 + the function that ran last: what it prepared from parameters is in `work`
    long long scratch_bytes; // for each thread
    float *scalar;
    // Of a program for a device (device.h), which has all arenas but the state's copy; else NULL,
    // 0:
    NncDeviceRun *device;
    long long runs;  // that it was given
    bool ahead;      // its state is newer than the copy
    NncError failed; // what it has said; all is over then
    NncLate late[NNC_LATE];
    int late_first, late_count;
    char *late_output;     // of each of them
    long long arena_bytes; // all of them, the loader's batches included
    NncCheckpoint
        checkpoint; // where the run stands, the hyper-parameters, the names of the classes
} NncSession;

// Checks the program and the options and allocates. Close it after an error, too.
NncStatus nnc_session_open(NncSession *session, const NncProgram *program,
                           const NncOptions *options, NncError *error);
void nnc_session_close(NncSession *session);

NncStatus nnc_session_open_data(NncSession *session, bool needs_targets, NncError *error);

// Reads a checkpoint, and then sets the hyper-parameters that the user names over those in it.
NncStatus nnc_session_restore(NncSession *session, const char *path, bool to_train,
                              NncError *error);
NncStatus nnc_session_set_hypers(NncSession *session, NncError *error);

// Fills in the numbers of the run among the hyper-parameters.
void nnc_session_set_run(NncSession *session, long long epochs);
// An epoch is completed: is it one of a plateau?
void nnc_session_count_plateau(NncSession *session, double loss);

// What a function is called with for a batch of n examples; the step's scalars are computed.
NncCtx nnc_session_ctx(NncSession *session, NncFunctionKind kind, const char *input, long long n);
// Takes the next examples of a step; true when they were its last: it is done, or begun on a
// device.
bool nnc_session_step(NncSession *session, const NncBatch *batch);
// The next step, in their order, whose outputs are in session->output from now on. False where none
// is, which without waiting may be so as long as the device is at it.
bool nnc_session_done(NncSession *session, bool wait, NncDone *done);
// Has the device failed in what it was given?
NncStatus nnc_session_check(const NncSession *session, NncError *error);
// The state from the device into session->state, where that is older; and there.
NncStatus nnc_session_pull(NncSession *session, NncError *error);
NncStatus nnc_session_push(NncSession *session, NncError *error);
// What a report calls the device: cpu, or its name.
const char *nnc_session_device(const NncSession *session);
// What session.c and session_device.c share: a step was begun; a function on the device.
void nnc_session_begun(NncSession *session, long long of);
void nnc_session_begin(NncSession *session, NncFunctionKind kind, const NncCtx *ctx);
void nnc_session_wait(NncSession *session); // for it

// What a step takes next; at first, of {.of = examples}. Its input is the caller's.
void nnc_session_next(const NncSession *session, NncBatch *batch);
// Runs one function on a batch of n examples and waits for it; its outputs are in session->output.
void nnc_session_run(NncSession *session, NncFunctionKind kind, const char *input, long long n);
// Adds what a function has given of a batch of n examples, means over them, to sums.
void nnc_session_add(const NncSession *session, NncFunctionKind kind, long long n, NncScores *sum);
// The learning rates of a step of the current epoch.
NncScores nnc_session_rates(const NncSession *session, const NncDone *done);
double nnc_session_output(const NncSession *session, const NncColumn *column); // one of rank 0

// All of a split. *stop may become true on the way: then NNC_INTERRUPTED.
NncStatus nnc_session_evaluate(NncSession *session, NncSplit split,
                               const volatile sig_atomic_t *stop, NncScores *scores,
                               NncError *error);

// out/net.safetensors for net.nnd, or the one that the user names.
NncStatus nnc_session_checkpoint_path(const NncSession *session, char path[NNC_PATH],
                                      NncError *error);
// Holds out what the program says, by the run's seed: that of the checkpoint, where one was
// restored.
NncStatus nnc_session_hold_out(NncSession *session, NncError *error);

#endif
