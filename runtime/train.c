// SPDX-License-Identifier: MIT
// nnc_train: from the first or a resumed step to the last epoch.
//
// Whatever a step depends on is in the session's position and state, and those are what a
// checkpoint holds. So a run that was interrupted and resumed is the same, bit for bit, as one that
// was not.
#include "augment.h"
#include "file.h"
#include "session.h"
#include <math.h>
#include <string.h>

typedef struct Training {
    NncSession session;
    NncProgress progress;
    char path[NNC_PATH]; // of the checkpoint
    uint64_t hash;       // of the last one written,
    long long saved;     // after this step; -1: none yet
    long long epochs;
} Training;

// --- Interruption. The first signal asks, and the step is finished; the second one ends the
// process.

static volatile sig_atomic_t interrupted; // a signal handler has nothing else to reach

static void ask_to_stop(int number) {
    (void)number;
    interrupted = 1;
}

enum { SIGNALS = 2 };
static const int signals[SIGNALS] = {SIGINT, SIGTERM};

static void catch_signals(struct sigaction before[SIGNALS]) {
    struct sigaction action = {.sa_handler = ask_to_stop,
                               .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    interrupted = 0;
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &action, &before[i]);
}

static void release_signals(const struct sigaction before[SIGNALS]) {
    for (int i = 0; i < SIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
}

// --- Before the first step

// What is wrong with the program, the data or the folder is said before any time is spent.
static NncStatus prepare(Training *training, NncError *error) {
    NncSession *session = &training->session;
    const NncProgram *program = session->program;
    if (!program->function[NNC_TRAIN].run || !program->function[NNC_INIT].run)
        return nnc_error(error, NNC_ERROR_VALUE, "%s has no train block", program->model);
    NncStatus status = nnc_session_open_data(session, true, error);
    if (!status) status = nnc_augment_check(&session->columns, error);
    if (!status) status = nnc_session_checkpoint_path(session, training->path, error);
    if (!status) status = nnc_checkpoint_try(training->path, error);
    return status;
}

static long long examples_per_epoch(const NncSession *session) {
    return nnc_loading_count(&session->source, &(NncLoading){.limit = session->options->limit});
}

static NncStatus start(Training *training, NncError *error) {
    (void)error;
    NncSession *session = &training->session;
    session->checkpoint.at.examples = examples_per_epoch(session);
    nnc_session_set_run(session, training->epochs);
    nnc_session_run(session, NNC_INIT, NULL, session->program->batch);
    return NNC_OK;
}

static NncStatus resume(Training *training, NncError *error) {
    NncSession *session = &training->session;
    const NncOptions *options = session->options;
    long long examples = examples_per_epoch(session);
    NncStatus status = nnc_session_restore(session, training->path, true, error);
    if (status) return status;
    NncPosition *at = &session->checkpoint.at;
    if (options->has_seed && options->seed != at->seed)
        return nnc_error(error, NNC_ERROR_MATCH,
                         "%s was trained with seed %lld: it cannot go on with %lld", training->path,
                         at->seed, options->seed);
    if (at->position && at->examples != examples)
        return nnc_error(error, NNC_ERROR_MATCH,
                         "%s stopped after %lld of %lld examples of an epoch, which now has %lld: "
                         "the same data and --limit are needed",
                         training->path, at->position, at->examples, examples);
    at->examples = examples;
    nnc_session_set_run(session, training->epochs);
    nnc_progress_resumed(&training->progress, training->path, at->step, session->checkpoint.plan);
    return NNC_OK;
}

// --- Steps

static NncStatus finish_step(Training *training, const NncBatch *batch, NncError *error) {
    NncSession *session = &training->session;
    NncPosition *at = &session->checkpoint.at;
    double loss = nnc_session_output(session, &session->program->function[NNC_TRAIN].output[0]);
    at->step++;
    at->position = batch->end;
    at->loss_sum += loss * (double)batch->of;
    if (!isfinite(loss))
        return nnc_error(
            error, NNC_ERROR_NUMBER,
            "the loss is %s at step %lld, in epoch %lld; a smaller learning rate may help",
            isnan(loss) ? "not a number" : "infinite", at->step, at->epoch + 1);
    nnc_progress_step(&training->progress, at->step, loss, batch->of);
    return NNC_OK;
}

static bool is_last_step(const Training *training) {
    long long steps = training->session.options->steps;
    return steps > 0 && training->session.checkpoint.at.step >= steps;
}

// As many steps of the epoch as there are, or until the run is to end.
static NncStatus run_steps(Training *training, NncError *error) {
    NncBatch batch;
    NncSession *session = &training->session;
    const NncPosition *at = &session->checkpoint.at;
    NncLoading loading = {.split = NNC_SPLIT_TRAIN,
                          .limit = session->options->limit,
                          .shuffle = session->program->shuffle,
                          .augment = session->program->augment_count > 0,
                          .seed = at->seed,
                          .epoch = at->epoch,
                          .position = at->position};
    NncLoader *loader = nnc_loader_new(&session->columns, &loading, error);
    if (!loader) return error->status;
    NncStatus status = NNC_OK;
    bool amid = false; // a step that has begun is finished
    while (!status && (amid || (!interrupted && !is_last_step(training)))) {
        status = nnc_loader_next(loader, &batch, error);
        if (status || !batch.count) break;
        amid = !nnc_session_step(session, &batch);
        if (!amid) status = finish_step(training, &batch, error);
    }
    nnc_loader_free(loader);
    return status;
}

static NncStatus save(Training *training, NncError *error) {
    NncSession *session = &training->session;
    training->saved = session->checkpoint.at.step;
    return nnc_checkpoint_write(training->path, session->program, &session->checkpoint,
                                session->state, &training->hash, error);
}

static NncStatus stop_interrupted(const Training *training, NncError *error) {
    return nnc_error(error, NNC_INTERRUPTED,
                     "interrupted after step %lld; %s has everything: --resume goes on from it",
                     training->session.checkpoint.at.step, training->path);
}

// --- Epochs

// The checkpoint is written before the evaluation, so that nothing is lost if that is interrupted.
static NncStatus finish_epoch(Training *training, NncError *error) {
    NncScores scores;
    NncSession *session = &training->session;
    NncPosition *at = &session->checkpoint.at;
    nnc_progress_epoch_trained(&training->progress);
    at->epoch++;
    nnc_session_count_plateau(session, at->loss_sum / (double)at->examples);
    nnc_session_set_run(session, training->epochs);
    at->position = 0;
    at->loss_sum = 0;
    NncStatus status = save(training, error);
    bool evaluates = session->program->function[NNC_EVAL].run != NULL;
    if (!status && evaluates) status = nnc_session_evaluate(session, &interrupted, &scores, error);
    if (status == NNC_INTERRUPTED) return stop_interrupted(training, error);
    if (!status) nnc_progress_epoch_done(&training->progress, evaluates ? &scores : NULL);
    return status;
}

static NncStatus run_epoch(Training *training, NncError *error) {
    const NncPosition *at = &training->session.checkpoint.at;
    nnc_progress_epoch(&training->progress, at->epoch + 1, at->examples, at->position,
                       at->loss_sum);
    NncStatus status = run_steps(training, error);
    if (!status && at->position == at->examples) status = finish_epoch(training, error);
    return status;
}

static NncStatus run_epochs(Training *training, NncError *error) {
    const NncPosition *at = &training->session.checkpoint.at;
    NncStatus status = NNC_OK;
    while (!status && at->epoch < training->epochs && !interrupted && !is_last_step(training))
        status = run_epoch(training, error);
    if (!status && training->saved != at->step) status = save(training, error); // amid an epoch
    if (!status && interrupted) status = stop_interrupted(training, error);
    if (!status) nnc_progress_done(&training->progress, training->path, training->hash);
    return status;
}

NncStatus nnc_train(const NncProgram *program, const NncOptions *options, NncError *error) {
    Training training = {.epochs = options->epochs > 0 ? options->epochs : program->epochs,
                         .saved = -1};
    NncSession *session = &training.session;
    struct sigaction before[SIGNALS];
    catch_signals(before);
    NncStatus status = nnc_session_open(session, program, options, error);
    if (!status) status = prepare(&training, error);
    if (!status) {
        nnc_progress_begin(&training.progress, program, options, nnc_pool_threads(session->pool),
                           session->arena_bytes);
        status = options->resume ? resume(&training, error) : start(&training, error);
    }
    if (!status) {
        snprintf(session->checkpoint.plan, sizeof session->checkpoint.plan, "%s",
                 program->plan ? program->plan : "");
        status = run_epochs(&training, error);
    }
    nnc_session_close(session);
    release_signals(before);
    return status;
}
