// SPDX-License-Identifier: MIT
// Sessions: see session.h.
#define _GNU_SOURCE
#include "session.h"
#include "columns.h"
#include "file.h"
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

// --- Opening

static int processors(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

enum { PAGE = 4096 };

// All arenas lie in one piece of memory, apart by a page, so that no end is another's start, and
// each begins with one (memory.c).
static bool map_arenas(NncSession *session, const long long bytes[], char **const arena[],
                       int count) {
    long long total = 0;
    for (int i = 0; i < count; i++)
        total += bytes[i] + PAGE;
    session->memory_size = (size_t)total;
    char *at = session->memory = nnc_memory_new(session->memory_size);
    for (int i = 0; at && i < count; i++) {
        *arena[i] = at;
        at += bytes[i] + PAGE;
    }
    return at != NULL;
}

static bool allocate(NncSession *session) {
    const NncProgram *program = session->program;
    int threads = nnc_pool_threads(session->pool), scalars = 0;
    const NncArenas arenas = nnc_arenas(program, threads);
    for (int i = 0; i < NNC_FUNCTIONS; i++)
        if (program->function[i].scalar_count > scalars)
            scalars = program->function[i].scalar_count;
    session->scratch_bytes = arenas.scratch;
    session->arena_bytes = arenas.all;
    bool here = !program->device; // else it has all of them but the state
    const long long bytes[] = {arenas.state, here ? arenas.work : 0, here ? arenas.output : 0,
                               here ? arenas.scratch * threads : 0};
    char **const arena[] = {&session->state, &session->work, &session->output, &session->scratch};
    session->scalar = calloc((size_t)scalars + 1, sizeof *session->scalar);
    session->checkpoint.hyper = calloc((size_t)program->hyper_count + 1, sizeof(double));
    session->late_output =
        calloc(NNC_LATE, (size_t)program->function[NNC_TRAIN].output_bytes + NNC_ALIGN);
    return session->late_output && map_arenas(session, bytes, arena, 4) && session->scalar &&
           session->checkpoint.hyper;
}

NncStatus nnc_session_open(NncSession *session, const NncProgram *program,
                           const NncOptions *options, NncError *error) {
    *session = (NncSession){.program = program, .options = options};
    if (program->abi != NNC_ABI)
        return nnc_error(error, NNC_ERROR_MATCH,
                         "the program is for version %d of the runtime, this is %d", program->abi,
                         NNC_ABI);
    int threads = program->device ? 1 : options->threads ? options->threads : processors();
    session->pool = nnc_pool_new(threads);
    if (!session->pool)
        return nnc_error(error, NNC_ERROR_VALUE, "cannot start %d thread%s", threads,
                         threads == 1 ? "" : "s");
    if (!allocate(session))
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory for the program's %lld bytes",
                         session->arena_bytes);
    if (program->device && program->device->open(program, &session->device, error))
        return error->status;
    session->checkpoint.at.sum = nnc_scores_of(&program->function[NNC_TRAIN]);
    session->checkpoint.at.seed = options->has_seed ? options->seed : program->seed;
    for (int i = 0; i < program->hyper_count; i++)
        session->checkpoint.hyper[i] = program->hyper[i].value;
    return nnc_session_set_hypers(session, error);
}

void nnc_session_close(NncSession *session) {
    if (session->device) session->program->device->close(session->device);
    free(session->late_output);
    nnc_columns_free(&session->columns);
    nnc_source_close(&session->source);
    free(session->augment);
    nnc_pool_free(session->pool);
    nnc_checkpoint_free(&session->checkpoint);
    nnc_memory_free(session->memory, session->memory_size);
    free(session->scalar);
    *session = (NncSession){0};
}

// --- Hyper-parameters

enum { MOST_NAMES = 64 }; // that messages look at

static int find_hyper(const NncProgram *program, const char *name) {
    for (int i = 0; i < program->hyper_count; i++)
        if (nnc_hyper_is_given(&program->hyper[i]) && !strcmp(program->hyper[i].name, name))
            return i;
    return -1;
}

static NncStatus unknown_hyper(const NncProgram *program, const char *name, NncError *error) {
    const char *given[MOST_NAMES] = {0};
    int count = 0;
    for (int i = 0; i < program->hyper_count && count < MOST_NAMES; i++)
        if (nnc_hyper_is_given(&program->hyper[i])) given[count++] = program->hyper[i].name;
    const char *near = nnc_nearest(name, given, count);
    if (near)
        return nnc_error(error, NNC_ERROR_VALUE,
                         "there is no hyper-parameter named %s; did you mean %s?", name, near);
    char names[200] = "none";
    for (int i = 0, at = 0; i < count && at < (int)sizeof names; i++)
        at += snprintf(names + at, sizeof names - (size_t)at, "%s%s", i ? ", " : "", given[i]);
    return nnc_error(error, NNC_ERROR_VALUE, "there is no hyper-parameter named %s; %s has: %s",
                     name, program->model, names);
}

NncStatus nnc_session_set_hypers(NncSession *session, NncError *error) {
    const NncOptions *options = session->options;
    for (int i = 0; i < options->set_count; i++) {
        int hyper = find_hyper(session->program, options->set_name[i]);
        if (hyper < 0) return unknown_hyper(session->program, options->set_name[i], error);
        if (!isfinite(options->set_value[i]))
            return nnc_error(error, NNC_ERROR_VALUE, "%s is to be a finite number",
                             options->set_name[i]);
        session->checkpoint.hyper[hyper] = options->set_value[i];
    }
    return NNC_OK;
}

static double run_number(const NncSession *session, NncHyperKind kind, long long epochs) {
    const NncPosition *at = &session->checkpoint.at;
    long long batch = session->program->batch;
    switch (kind) {
    case NNC_RUN_EPOCHS:
        return (double)epochs;
    case NNC_RUN_STEPS:
        return (double)(epochs * ((at->examples + batch - 1) / batch));
    default:
        return (double)at->plateaus;
    }
}

void nnc_session_set_run(NncSession *session, long long epochs) {
    for (int i = 0; i < session->program->hyper_count; i++) {
        const NncHyper *hyper = &session->program->hyper[i];
        if (!nnc_hyper_is_given(hyper))
            session->checkpoint.hyper[i] = run_number(session, hyper->kind, epochs);
    }
}

// Lower by a part in ten thousand, or it is noise.
void nnc_session_count_plateau(NncSession *session, double loss) {
    NncPosition *at = &session->checkpoint.at;
    bool lower = at->plateau_epoch == 0 || loss < at->plateau_loss - 1e-4 * fabs(at->plateau_loss);
    if (lower) {
        at->plateau_loss = loss;
        at->plateau_epoch = at->epoch;
    } else if (session->program->plateau > 0 &&
               at->epoch - at->plateau_epoch >= session->program->plateau) {
        at->plateaus++;
        at->plateau_epoch = at->epoch;
    }
}

// --- Data

static NncStatus copy_class_names(NncCheckpoint *checkpoint, const NncField *label,
                                  NncError *error) {
    if (!label || !label->class_name || checkpoint->class_name) return NNC_OK;
    checkpoint->class_name = calloc((size_t)label->classes, sizeof *checkpoint->class_name);
    for (int i = 0; checkpoint->class_name && i < label->classes; i++, checkpoint->class_count++)
        if (!(checkpoint->class_name[i] = strdup(label->class_name[i]))) break;
    if (checkpoint->class_count == label->classes) return NNC_OK;
    return nnc_error(error, NNC_ERROR_MEMORY, "no memory for the names of %lld classes",
                     label->classes);
}

enum { MOST_ARGUMENTS = 32 }; // of a call; there are fewer

typedef NncArgument Arguments[MOST_ARGUMENTS];

// A call of the data block with the numbers that were set. Are those its own?
static bool take_numbers(const NncSession *session, const NncCall *of, int augments, NncCall *call,
                         Arguments argument) {
    bool own = true;
    const NncProgram *program = session->program;
    *call = *of;
    if (call->argument_count > MOST_ARGUMENTS) return true;
    for (int i = 0; i < call->argument_count; i++) {
        char name[NNC_HYPER_NAME];
        argument[i] = call->argument[i];
        nnc_data_hyper_name(name, program->augment, augments, argument[i].name);
        int hyper = *argument[i].name && !argument[i].text ? find_hyper(program, name) : -1;
        if (hyper >= 0) argument[i].number = session->checkpoint.hyper[hyper];
        own &= hyper < 0 || argument[i].number == call->argument[i].number;
    }
    call->argument = argument;
    return own;
}

static NncStatus open_source(NncSession *session, NncError *error) {
    Arguments argument;
    NncCall call;
    NncSource *opened = session->options->opened;
    bool own = take_numbers(session, &session->program->data, 0, &call, argument);
    if (!own || !opened || !opened->info)
        return nnc_source_open(&session->source, &call, session->options->data, error);
    session->source = *opened;
    *opened = (NncSource){0};
    return NNC_OK;
}

static NncStatus set_augmentations(NncSession *session, NncError *error) {
    const NncProgram *program = session->program;
    size_t count = (size_t)program->augment_count;
    session->augment = calloc(count + 1, sizeof(NncCall) + sizeof(Arguments));
    if (!session->augment) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for the data");
    Arguments *argument = (Arguments *)(session->augment + count);
    for (int i = 0; i < program->augment_count; i++)
        take_numbers(session, &program->augment[i], i + 1, &session->augment[i], argument[i]);
    session->columns.augment = session->augment;
    return NNC_OK;
}

NncStatus nnc_session_open_data(NncSession *session, bool needs_targets, NncError *error) {
    const NncProgram *program = session->program;
    NncStatus status = open_source(session, error);
    if (!status)
        status =
            nnc_columns_match(&session->columns, program, &session->source, needs_targets, error);
    if (!status) status = set_augmentations(session, error);
    if (!status)
        status =
            copy_class_names(&session->checkpoint, nnc_columns_label(&session->columns), error);
    return status;
}

NncStatus nnc_session_hold_out(NncSession *session, NncError *error) {
    int hyper = find_hyper(session->program, "validation");
    bool of_data = hyper >= 0 && session->program->hyper[hyper].kind == NNC_OF_DATA;
    double own = session->program->validation;
    double part = of_data ? session->checkpoint.hyper[hyper] : own;
    if (own > 0 && part == 0)
        return nnc_error(error, NNC_ERROR_VALUE,
                         "validation = 0 holds nothing out, which this "
                         "program was made for");
    return nnc_source_hold_out(&session->source, part, session->checkpoint.at.seed, error);
}

// --- Checkpoints

NncStatus nnc_session_checkpoint_path(const NncSession *session, char path[NNC_PATH],
                                      NncError *error) {
    char name[256];
    const NncOptions *options = session->options;
    if (options->checkpoint) return nnc_file_join(path, "", options->checkpoint, error);
    const char *file = session->program->file && *session->program->file ? session->program->file
                                                                         : session->program->model;
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file,
               *dot = strrchr(base, '.');
    int length = dot && dot > base ? (int)(dot - base) : (int)strlen(base);
    snprintf(name, sizeof name, "%.*s.safetensors", length > 200 ? 200 : length, base);
    return nnc_file_join(path, options->out ? options->out : "out", name, error);
}

NncStatus nnc_session_restore(NncSession *session, const char *path, bool to_train,
                              NncError *error) {
    nnc_checkpoint_free(&session->checkpoint);
    session->prepared = 0;
    NncStatus status = nnc_checkpoint_read(path, session->program, to_train, &session->checkpoint,
                                           session->state, error);
    if (!status) status = nnc_session_push(session, error);
    for (int i = 0; !status && !to_train && i < session->program->hyper_count; i++)
        if (session->program->hyper[i].kind == NNC_OF_DATA) // asked about, not gone on with
            session->checkpoint.hyper[i] = session->program->hyper[i].value;
    return status ? status : nnc_session_set_hypers(session, error);
}

// --- Running

NncCtx nnc_session_ctx(NncSession *session, NncFunctionKind kind, const char *input, long long n) {
    const NncFunction *function = &session->program->function[kind];
    const NncPosition *at = &session->checkpoint.at;
    if (function->scalars)
        function->scalars(session->checkpoint.hyper, (double)at->step, (double)at->epoch, (double)n,
                          session->scalar);
    return (NncCtx){
        .state = session->state,
        .work = session->work,
        .input = input,
        .output = session->output,
        .scratch = session->scratch,
        .scratch_bytes = session->scratch_bytes,
        .scalar = session->scalar,
        .n = n,
        .seed_low = (unsigned)((uint64_t)at->seed & 0xffffffffu),
        .seed_high = (unsigned)((uint64_t)at->seed >> 32),
        .step = (unsigned)at->step,
        .pool = session->pool,
    };
}

// A function changes no parameters from which it prepares anything, but others may, and all of them
// work in the same arena.
static void run(NncSession *session, NncFunctionKind kind, NncCtx *ctx) {
    if (session->device) {
        nnc_session_begin(session, kind, ctx);
        return;
    }
    unsigned long long floats = nnc_floats_flush();
    ctx->prepared = session->prepared == 1 + (int)kind;
    session->program->function[kind].run(ctx);
    nnc_floats_restore(floats);
    session->prepared = 1 + (int)kind;
}

static void begin(NncSession *session, NncFunctionKind kind, const char *input, long long n) {
    NncCtx ctx = nnc_session_ctx(session, kind, input, n);
    run(session, kind, &ctx);
}

void nnc_session_run(NncSession *session, NncFunctionKind kind, const char *input, long long n) {
    begin(session, kind, input, n);
    if (session->device) nnc_session_wait(session);
}

bool nnc_session_step(NncSession *session, const NncBatch *batch) {
    NncFunctionKind chunk = NNC_CHUNK + (NncFunctionKind)batch->pass;
    if (session->program->function[chunk].run) {
        NncCtx ctx = nnc_session_ctx(session, chunk, batch->input, batch->of);
        ctx.n = batch->count;
        ctx.first = batch->first;
        run(session, chunk, &ctx);
    }
    if (batch->first + batch->count < batch->of) return false;
    bool done = batch->pass + 1 == nnc_passes(session->program);
    NncFunctionKind then = done ? NNC_TRAIN : NNC_BETWEEN + (NncFunctionKind)batch->pass;
    begin(session, then, batch->input, batch->of);
    if (done) nnc_session_begun(session, batch->of);
    return done;
}

void nnc_session_next(const NncSession *session, NncBatch *batch) {
    batch->first += batch->count;
    batch->pass += batch->first == batch->of;
    batch->first %= batch->of;
    long long left = batch->of - batch->first;
    batch->count = left < session->program->chunk ? left : session->program->chunk;
}

double nnc_session_output(const NncSession *session, const NncColumn *column) {
    const char *place = session->output + column->offset;
    switch (column->type) {
    case NNC_F32:
        return *(const float *)place;
    case NNC_I32:
        return *(const int32_t *)place;
    case NNC_F64:
        return *(const double *)place;
    default:
        return *place;
    }
}

// The last batch may be smaller than others: so outputs are weighted by its examples.
void nnc_session_add(const NncSession *session, NncFunctionKind kind, long long n, NncScores *sum) {
    const NncFunction *function = &session->program->function[kind];
    for (int i = 0; i < sum->count; i++)
        sum->value[i] += nnc_session_output(session, &function->output[i]) * (double)n;
    sum->examples += n;
}

NncScores nnc_session_rates(const NncSession *session, const NncDone *done) {
    enum { MOST = NNC_MAX_SCORES };
    double value[MOST];
    NncScores rates = {0};
    const NncProgram *program = session->program;
    const NncPosition *at = &session->checkpoint.at;
    if (!program->rates || program->rate_count > MOST) return rates;
    program->rates(session->checkpoint.hyper, (double)(done->step - 1), (double)at->epoch,
                   (double)done->of, value);
    for (int i = 0; i < program->rate_count; i++)
        nnc_scores_set(&rates, program->rate[i], value[i]);
    return rates;
}

// On a terminal, where it may take a while; each percent once.
static void show_measured(const NncReport *report, NncSplit split, const NncScores *scores,
                          long long all, int *shown) {
    int percent = (int)(100 * scores->examples / all);
    if (report->mode != NNC_REPORT_BAR || percent == *shown) return;
    *shown = percent;
    nnc_report_clear_bar(report);
    fprintf(report->out, "measuring %lld %s examples  %d%%", all, nnc_split_name(split), percent);
    fflush(report->out);
}

NncStatus nnc_session_evaluate(NncSession *session, NncSplit split,
                               const volatile sig_atomic_t *stop, NncScores *scores,
                               NncError *error) {
    NncBatch batch;
    *scores = (NncScores){0};
    if (session->source.count[split] == 0) return NNC_OK; // of no examples there are none
    *scores = nnc_scores_of(&session->program->function[NNC_EVAL]);
    NncLoading loading = {.split = split,
                          .limit = split == NNC_SPLIT_TRAIN ? session->options->limit : 0};
    NncLoader *loader = nnc_loader_new(&session->columns, &loading, error);
    if (!loader) return error->status;
    NncStatus status;
    const NncReport report = nnc_report(session->options, NULL);
    long long all = nnc_loading_count(&session->source, &loading);
    int shown = -1;
    while (!(status = nnc_loader_next(loader, &batch, error)) && batch.count) {
        show_measured(&report, split, scores, all, &shown);
        nnc_session_run(session, NNC_EVAL, batch.input, batch.count);
        if ((status = nnc_session_check(session, error))) break;
        nnc_session_add(session, NNC_EVAL, batch.count, scores);
        if (stop && *stop) {
            status = nnc_error(error, NNC_INTERRUPTED, "interrupted");
            break;
        }
    }
    nnc_loader_free(loader);
    nnc_report_clear_bar(&report);
    *scores = nnc_scores_mean(scores);
    return status;
}
