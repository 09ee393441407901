// SPDX-License-Identifier: MIT
// nnc_train: from the first or a resumed step to the last epoch.
//
// Whatever a step depends on is in the session's position and state, and those are what a
// checkpoint holds. So a run that was interrupted and resumed is the same, bit for bit, as one that
// was not.
#include "augment.h"
#include "file.h"
#include "numbers.h"
#include "result.h"
#include "session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Training {
    NncSession session;
    NncProgress progress;
    NncLog *log;
    NncInitial initial;  // of --init
    char path[NNC_PATH]; // of the checkpoint
    char best[NNC_PATH]; // of the one of the best epoch
    uint64_t hash;       // of the last one written,
    long long saved;     // after this step; -1: none yet
    long long kept;      // the step that the file holds; -1: none of this run
    NncTrap trap;        // with --trap-nan
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

// out/net.best.safetensors for out/net.safetensors
static NncStatus best_path(Training *training, NncError *error) {
    static const char extension[] = ".safetensors";
    size_t length = strlen(training->path), end = strlen(extension);
    if (length >= end && !strcmp(training->path + length - end, extension)) length -= end;
    if (length + sizeof ".best.safetensors" > NNC_PATH)
        return nnc_error(error, NNC_ERROR_FILE, "path too long: %.100s...", training->path);
    memcpy(training->best, training->path, length);
    strcpy(training->best + length, ".best.safetensors");
    return NNC_OK;
}

// What is wrong with the program, the data or the folder is said before any time is spent.
static NncStatus prepare(Training *training, NncError *error) {
    NncSession *session = &training->session;
    const NncProgram *program = session->program;
    if (!program->function[NNC_TRAIN].run || !program->function[NNC_INIT].run)
        return nnc_error(error, NNC_ERROR_VALUE, "%s has no train block", program->model);
    NncStatus status = nnc_session_checkpoint_path(session, training->path, error);
    if (!status) status = best_path(training, error);
    if (!status) status = nnc_checkpoint_try(training->path, error);
    if (!status && session->options->resume)
        status = nnc_session_restore(session, training->path, true, error);
    if (!status) status = nnc_session_open_data(session, true, error);
    if (!status) status = nnc_augment_check(&session->columns, error);
    return status;
}

static long long examples_per_epoch(const NncSession *session) {
    return nnc_loading_count(&session->source, &(NncLoading){.limit = session->options->limit});
}

// From here on a better epoch than none is looked for.
static void forget_best(const NncProgram *program, NncCheckpoint *checkpoint) {
    checkpoint->at.best_epoch = checkpoint->at.epoch;
    checkpoint->at.best_value = NAN;
    snprintf(checkpoint->best, sizeof checkpoint->best, "%s", program->best ? program->best : "");
}

static NncStatus start(Training *training, NncError *error) {
    NncSession *session = &training->session;
    NncStatus status = nnc_session_hold_out(session, error);
    if (status) return status;
    session->checkpoint.at.examples = examples_per_epoch(session);
    forget_best(session->program, &session->checkpoint);
    nnc_session_set_run(session, training->epochs);
    nnc_session_run(session, NNC_INIT, NULL, session->program->batch);
    status = nnc_session_check(session, error);
    const NncOptions *options = session->options;
    if (status || !options->init) return status;
    status = nnc_session_pull(session, error);
    if (!status)
        status = nnc_checkpoint_initial(options->init, session->program, options->init_partial,
                                        session->state, &training->initial, error);
    return status ? status : nnc_session_push(session, error);
}

static NncStatus resume(Training *training, NncError *error) {
    NncSession *session = &training->session;
    const NncOptions *options = session->options;
    NncStatus status = nnc_session_hold_out(session, error);
    if (status) return status;
    long long examples = examples_per_epoch(session);
    const char *best = session->program->best;
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
    training->kept = at->step;
    if (strcmp(best ? best : "", session->checkpoint.best))
        forget_best(session->program, &session->checkpoint);
    nnc_session_set_run(session, training->epochs);
    return NNC_OK;
}

// --- Steps

static NncStatus save(Training *training, NncError *error) {
    NncSession *session = &training->session;
    NncStatus status = nnc_log_sync(training->log, error);
    if (!status) status = nnc_session_pull(session, error);
    if (!status) status = nnc_parameters_check(session, training->path, training->kept, error);
    if (status) return status;
    training->saved = training->kept = session->checkpoint.at.step;
    return nnc_checkpoint_write(training->path, session->program, &session->checkpoint,
                                session->state, &training->hash, error);
}

// At the end of an epoch that waits for its scores.
static bool is_due(const Training *training) {
    long long every = training->session.options->save_every;
    const NncPosition *at = &training->session.checkpoint.at;
    return every > 0 && at->step % every == 0 && at->position < at->examples;
}

static NncStatus take_outputs(Training *training, const NncDone *done, NncError *error) {
    NncSession *session = &training->session;
    NncPosition *at = &session->checkpoint.at;
    NncScores of_step = nnc_scores_of(&session->program->function[NNC_TRAIN]);
    nnc_session_add(session, NNC_TRAIN, done->of, &of_step);
    double loss = of_step.value[0];
    nnc_scores_add(&at->sum, &of_step);
    if (!isfinite(loss))
        return nnc_loss_error(session, loss, done->step, training->path, training->kept, error);
    NncScores rates = nnc_session_rates(session, done);
    nnc_progress_step(&training->progress, done->step, &of_step, &rates);
    return NNC_OK;
}

// Of steps that are done; or, waiting for them, of all that have begun.
static NncStatus take_steps(Training *training, bool all, NncError *error) {
    NncDone done;
    NncStatus status = NNC_OK;
    while (!status && nnc_session_done(&training->session, all, &done))
        status = take_outputs(training, &done, error);
    return status ? status : nnc_session_check(&training->session, error);
}

static NncStatus finish_step(Training *training, const NncLoader *loader, const NncBatch *batch,
                             NncError *error) {
    NncPosition *at = &training->session.checkpoint.at;
    at->step++;
    at->position = batch->end;
    bool due = is_due(training), trapped = training->session.options->trap_nan;
    if (trapped && training->session.device) nnc_session_wait(&training->session);
    NncStatus status =
        trapped ? nnc_trap_check(&training->trap, &training->progress, loader, batch, error)
                : NNC_OK;
    if (!status) status = take_steps(training, due, error);
    return !status && due ? save(training, error) : status;
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
                          .position = at->position,
                          .steps = true};
    NncLoader *loader = nnc_loader_new(&session->columns, &loading, error);
    if (!loader) return error->status;
    NncStatus status = NNC_OK;
    bool amid = false; // a step that has begun is finished
    while (!status && (amid || (!interrupted && !is_last_step(training)))) {
        status = nnc_loader_next(loader, &batch, error);
        if (!status && batch.count && session->options->trap_nan)
            status = nnc_trap_keep(&training->trap, session, error);
        if (status || !batch.count) break;
        amid = !nnc_session_step(session, &batch);
        if (!amid) status = finish_step(training, loader, &batch, error);
    }
    nnc_loader_free(loader);
    return status ? status : take_steps(training, true, error);
}

static NncStatus stop_interrupted(const Training *training, NncError *error) {
    const char *command = training->session.options->command;
    long long step = training->saved;
    if (command && strlen(command) + strlen(training->path) + 100 < sizeof error->text)
        return nnc_error(error, NNC_INTERRUPTED,
                         "interrupted after step %lld; %s has everything, to go on: %s", step,
                         training->path, command);
    return nnc_error(error, NNC_INTERRUPTED,
                     "interrupted after step %lld; %s has everything: --resume goes on from it",
                     step, training->path);
}

// --- Epochs

// The scores by which training is judged: of the examples that are held out or, where none are, of
// the test examples.
static NncStatus measure(Training *training, NncBoard *board, NncError *error) {
    NncSession *session = &training->session;
    const NncPosition *at = &session->checkpoint.at;
    NncSplit split = session->program->validation > 0 ? NNC_SPLIT_VALIDATION : NNC_SPLIT_TEST;
    *board = (NncBoard){0};
    board->of[NNC_SPLIT_TRAIN] = nnc_scores_mean(&at->sum);
    if (!session->program->function[NNC_EVAL].run) return NNC_OK;
    return nnc_session_evaluate(session, split, &interrupted, &board->of[split], error);
}

// The loss that plateaus are seen by.
static double watched_loss(const NncBoard *board) {
    const double *held_out = nnc_board_find(board, "val.loss");
    return held_out ? *held_out : *nnc_board_find(board, "train.loss");
}

// Is the epoch that is done the best one so far? Remembers it.
static bool take_best(Training *training) {
    NncCheckpoint *checkpoint = &training->session.checkpoint;
    const NncProgram *program = training->session.program;
    const double *value = program->best ? nnc_board_find(&checkpoint->board, program->best) : NULL;
    if (!value || !nnc_score_is_better(program, *value, checkpoint->at.best_value)) return false;
    checkpoint->at.best_value = *value;
    checkpoint->at.best_epoch = checkpoint->at.epoch;
    return true;
}

// The best checkpoint before the last one: a run that is killed between the two does the epoch
// again, and writes the same.
static NncStatus save_epoch(Training *training, bool better, NncError *error) {
    uint64_t hash;
    NncSession *session = &training->session;
    NncStatus status = nnc_session_pull(session, error);
    if (!status) status = nnc_parameters_check(session, training->path, training->kept, error);
    if (!status && better)
        status = nnc_checkpoint_write(training->best, session->program, &session->checkpoint,
                                      session->state, &hash, error);
    return status ? status : save(training, error);
}

// Of the epoch that is trained; it may have been in another process.
static NncDone last_step(const NncSession *session) {
    const NncPosition *at = &session->checkpoint.at;
    return (NncDone){at->step, (at->examples - 1) % session->program->batch + 1};
}

// Where the scores are not to be had, or interrupted, the steps are kept all the same: the resumed
// run goes on with measuring.
static NncStatus finish_epoch(Training *training, NncError *error) {
    NncBoard board;
    NncError other;
    NncCheckpoint *checkpoint = &training->session.checkpoint;
    nnc_progress_epoch_trained(&training->progress);
    NncStatus status = measure(training, &board, error);
    if (status && save(training, &other)) *error = other;
    if (status)
        return error->status == NNC_INTERRUPTED ? stop_interrupted(training, error) : error->status;
    NncDone last = last_step(&training->session);
    NncScores rates = nnc_session_rates(&training->session, &last);
    checkpoint->board = board;
    checkpoint->at.epoch++;
    nnc_session_count_plateau(&training->session, watched_loss(&board));
    nnc_session_set_run(&training->session, training->epochs);
    checkpoint->at.position = 0;
    checkpoint->at.sum = nnc_scores_of(&training->session.program->function[NNC_TRAIN]);
    bool better = take_best(training);
    nnc_progress_epoch_done(&training->progress, checkpoint->at.step, &board, &rates, better);
    return save_epoch(training, better, error);
}

static NncStatus run_epoch(Training *training, NncError *error) {
    const NncPosition *at = &training->session.checkpoint.at;
    nnc_progress_epoch(&training->progress, at);
    NncStatus status = run_steps(training, error);
    if (!status && at->position == at->examples) status = finish_epoch(training, error);
    return status;
}

static bool is_over(const Training *training) {
    const NncPosition *at = &training->session.checkpoint.at;
    int patience = training->session.program->patience;
    return at->epoch >= training->epochs || (patience && at->epoch - at->best_epoch >= patience);
}

static NncStatus run_epochs(Training *training, NncError *error) {
    const NncPosition *at = &training->session.checkpoint.at;
    NncStatus status = NNC_OK;
    while (!status && !is_over(training) && !interrupted && !is_last_step(training))
        status = run_epoch(training, error);
    if (!status && training->saved != at->step) status = save(training, error); // amid an epoch
    if (!status && interrupted) status = stop_interrupted(training, error);
    return status;
}

static NncStatus check_hash(const Training *training, NncError *error) {
    char digits[17];
    const char *expected = training->session.options->expect_hash;
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)training->hash);
    if (!expected || !strcmp(expected, digits)) return NNC_OK;
    return nnc_error(error, NNC_UNMET,
                     "the hash of %.200s is %s, not %s as expected; under another plan, data or "
                     "options it may be another one",
                     training->path, digits, expected);
}

// A run that --steps ends before its time has no result.
static NncStatus finish(Training *training, NncError *error) {
    const NncPosition *at = &training->session.checkpoint.at;
    bool has_best = training->session.program->best && !isnan(at->best_value);
    const char *best = has_best ? training->best : NULL;
    NncStatus status = NNC_OK;
    if (is_over(training)) {
        if (at->epoch < training->epochs)
            nnc_progress_stopped(&training->progress, at->epoch, at->best_epoch, at->best_value);
        status = nnc_result(&training->session, &training->progress, best, &interrupted, error);
    }
    if (status == NNC_INTERRUPTED) return stop_interrupted(training, error);
    if (!status || status == NNC_UNMET)
        nnc_progress_done(&training->progress, training->path, training->hash, best);
    return status ? status : check_hash(training, error);
}

static NncStatus begin_reports(Training *training, NncError *error) {
    NncStatus status;
    NncSession *session = &training->session;
    const NncOptions *options = session->options;
    NncCheckpoint *checkpoint = &session->checkpoint;
    long long step = options->resume ? checkpoint->at.step : -1;
    training->log = nnc_log_open(session->program, options, step, &status, error);
    if (status) return status;
    nnc_progress_begin(&training->progress, session->program, options, nnc_session_device(session),
                       nnc_pool_threads(session->pool), session->arena_bytes, training->log);
    if (options->init && !options->resume)
        nnc_progress_initial(&training->progress, options->init, &training->initial);
    if (options->resume)
        nnc_progress_resumed(&training->progress, training->path, step, checkpoint->plan);
    snprintf(checkpoint->plan, sizeof checkpoint->plan, "%s",
             session->program->plan ? session->program->plan : "");
    return NNC_OK;
}

NncStatus nnc_train(const NncProgram *program, const NncOptions *options, NncError *error) {
    Training training = {.epochs = options->epochs > 0 ? options->epochs : program->epochs,
                         .saved = -1,
                         .kept = -1};
    NncSession *session = &training.session;
    struct sigaction before[SIGNALS];
    catch_signals(before);
    NncStatus status = nnc_session_open(session, program, options, error);
    if (!status) status = prepare(&training, error);
    if (!status) status = options->resume ? resume(&training, error) : start(&training, error);
    if (!status) status = begin_reports(&training, error);
    if (!status) status = run_epochs(&training, error);
    if (!status) status = finish(&training, error);
    nnc_trap_free(&training.trap);
    nnc_log_close(training.log);
    free(training.initial.notes);
    nnc_session_close(session);
    release_signals(before);
    return status;
}
