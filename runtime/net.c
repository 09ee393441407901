// SPDX-License-Identifier: MIT
// Networks in other programs: see net.h.
#include "net.h"
#include "columns.h"
#include "session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct NncNet {
    NncSession session;
    NncOptions options; // the session's
    char *input;        // the input arena: one batch, or one chunk of it
    bool lost;          // loading failed half way
    bool shown;         // the caller has had a pointer into the state, and may write there
};

static char *input_new(const NncProgram *program) {
    size_t bytes = ((size_t)program->input_bytes / NNC_ALIGN + 1) * NNC_ALIGN;
    char *input = aligned_alloc(NNC_ALIGN, bytes);
    if (input) memset(input, 0, bytes);
    return input;
}

NncNet *nnc_net_new(const NncProgram *program, int threads, NncError *error) {
    NncNet *net = calloc(1, sizeof *net);
    if (net) net->options.threads = threads;
    NncStatus status =
        net ? nnc_session_open(&net->session, program, &net->options, error) : NNC_ERROR_MEMORY;
    if (!status) net->input = input_new(program);
    if (net && net->input) {
        if (program->function[NNC_INIT].run)
            nnc_session_run(&net->session, NNC_INIT, NULL, program->batch);
        if (!(status = nnc_session_check(&net->session, error))) return net;
    }
    if (!status || !net) nnc_error(error, NNC_ERROR_MEMORY, "no memory for %s", program->model);
    nnc_net_free(net);
    return NULL;
}

void nnc_net_free(NncNet *net) {
    if (!net) return;
    nnc_session_close(&net->session);
    free(net->input);
    free(net);
}

// --- Batches

// Is every column there that is needed, and every index in range?
static NncStatus check_batch(const NncNet *net, const void *const *batch, long long n,
                             bool with_targets, NncError *error) {
    const NncProgram *program = net->session.program;
    if (net->lost)
        return nnc_error(error, NNC_ERROR_VALUE, "%s has lost its state: it could not be loaded",
                         program->model);
    if (n < 1) return nnc_error(error, NNC_ERROR_VALUE, "a batch of %lld examples", n);
    for (int i = 0; i < program->input_count; i++) {
        const NncColumn *column = &program->input[i];
        if (column->is_target && !with_targets) continue;
        if (!batch[i]) return nnc_error(error, NNC_ERROR_VALUE, "%s is needed", column->name);
        const int32_t *index = batch[i];
        for (long long k = 0; column->classes > 0 && k < n * nnc_column_elements(column); k++)
            if (index[k] < 0 || index[k] >= column->classes)
                return nnc_error(error, NNC_ERROR_VALUE,
                                 "%s of example %lld is %d, but is to be below %lld", column->name,
                                 k / nnc_column_elements(column), index[k], column->classes);
    }
    return NNC_OK;
}

static size_t example_bytes(const NncColumn *column) {
    return (size_t)(nnc_column_elements(column) * nnc_type_size(column->type));
}

// Examples first .. first + count - 1 into the input arena.
static void take_examples(NncNet *net, const void *const *batch, long long first, long long count) {
    const NncProgram *program = net->session.program;
    for (int i = 0; i < program->input_count; i++) {
        const NncColumn *column = &program->input[i];
        size_t bytes = example_bytes(column);
        if (batch[i])
            memcpy(net->input + column->offset, (const char *)batch[i] + (size_t)first * bytes,
                   (size_t)count * bytes);
    }
}

// What was prepared from parameters in an earlier call is of use as long as nobody else has them;
// and what lies on a device is theirs, too, before and after.
static NncStatus begin_call(NncNet *net, NncError *error) {
    if (!net->shown) return NNC_OK;
    net->session.prepared = 0;
    return nnc_session_push(&net->session, error);
}

static NncStatus check_function(const NncNet *net, NncFunctionKind kind, const char *what,
                                NncError *error) {
    const NncProgram *program = net->session.program;
    if (program->function[kind].run) return NNC_OK;
    return nnc_error(error, NNC_ERROR_VALUE, "%s has %s", program->model, what);
}

static long long least(long long a, long long b) { return a < b ? a : b; }

// --- Training

NncStatus nnc_net_train(NncNet *net, const void *const *batch, long long n, double *loss,
                        NncError *error) {
    NncSession *session = &net->session;
    const NncProgram *program = session->program;
    NncStatus status = check_function(net, NNC_TRAIN, "no train block", error);
    if (!status) status = check_batch(net, batch, n, true, error);
    if (status) return status;
    if (n > program->batch)
        return nnc_error(error, NNC_ERROR_VALUE, "%lld examples, but a step takes %d at most", n,
                         program->batch);
    if (begin_call(net, error)) return error->status;
    NncBatch part = {.input = net->input, .of = n};
    do {
        nnc_session_next(session, &part);
        take_examples(net, batch, part.first, part.count);
    } while (!nnc_session_step(session, &part));
    NncDone done;
    session->checkpoint.at.step++;
    while (nnc_session_done(session, true, &done))
        ;
    status = nnc_session_check(session, error);
    if (!status && net->shown) status = nnc_session_pull(session, error);
    if (status) return status;
    double value = nnc_session_output(session, &program->function[NNC_TRAIN].output[0]);
    if (loss) *loss = value;
    if (isfinite(value)) return NNC_OK;
    return nnc_error(error, NNC_ERROR_NUMBER, "the loss is %s at step %lld",
                     isnan(value) ? "not a number" : "infinite", session->checkpoint.at.step);
}

void nnc_net_end_epoch(NncNet *net) { net->session.checkpoint.at.epoch++; }

long long nnc_net_steps(const NncNet *net) { return net->session.checkpoint.at.step; }

// --- Asking

NncStatus nnc_net_evaluate(NncNet *net, const void *const *batch, long long n, double *scores,
                           NncError *error) {
    NncSession *session = &net->session;
    const NncProgram *program = session->program;
    const NncFunction *function = &program->function[NNC_EVAL];
    NncStatus status = check_function(net, NNC_EVAL, "no loss", error);
    if (!status) status = check_batch(net, batch, n, true, error);
    if (!status) status = begin_call(net, error);
    for (int i = 0; i < function->output_count && !status; i++)
        scores[i] = 0;
    for (long long first = 0; first < n && !status; first += program->chunk) {
        long long count = least(n - first, program->chunk);
        take_examples(net, batch, first, count);
        nnc_session_run(session, NNC_EVAL, net->input, count);
        if ((status = nnc_session_check(session, error))) break;
        for (int i = 0; i < function->output_count; i++)
            scores[i] +=
                nnc_session_output(session, &function->output[i]) * (double)count / (double)n;
    }
    return status;
}

static void give_outputs(const NncSession *session, void *const *outputs, long long first,
                         long long count) {
    const NncFunction *function = &session->program->function[NNC_PREDICT];
    for (int i = 0; i < function->output_count; i++) {
        const NncColumn *output = &function->output[i];
        size_t bytes = example_bytes(output);
        if (!outputs[i]) continue;
        if (output->per_example)
            memcpy((char *)outputs[i] + (size_t)first * bytes, session->output + output->offset,
                   (size_t)count * bytes);
        else
            memcpy(outputs[i], session->output + output->offset, bytes);
    }
}

NncStatus nnc_net_predict(NncNet *net, const void *const *batch, long long n, void *const *outputs,
                          NncError *error) {
    NncSession *session = &net->session;
    long long chunk = session->program->chunk;
    NncStatus status = check_function(net, NNC_PREDICT, "no output", error);
    if (!status) status = check_batch(net, batch, n, false, error);
    if (!status) status = begin_call(net, error);
    for (long long first = 0; first < n && !status; first += chunk) {
        long long count = least(n - first, chunk);
        take_examples(net, batch, first, count);
        nnc_session_run(session, NNC_PREDICT, net->input, count);
        if ((status = nnc_session_check(session, error))) break;
        give_outputs(session, outputs, first, count);
    }
    return status;
}

// --- State

NncStatus nnc_net_save(NncNet *net, const char *path, NncError *error) {
    uint64_t hash;
    NncSession *session = &net->session;
    NncCheckpoint checkpoint = session->checkpoint;
    if (net->lost)
        return nnc_error(error, NNC_ERROR_VALUE, "there is nothing to save: loading has failed");
    snprintf(checkpoint.plan, sizeof checkpoint.plan, "%s",
             session->program->plan ? session->program->plan : "");
    if (nnc_session_pull(session, error)) return error->status;
    return nnc_checkpoint_write(path, session->program, &checkpoint, session->state, &hash, error);
}

NncStatus nnc_net_load(NncNet *net, const char *path, bool to_train, NncError *error) {
    NncStatus status = nnc_session_restore(&net->session, path, to_train, error);
    net->lost = status != NNC_OK;
    return status;
}

// Here the run is the caller's: how long it will be is for it to say.
static bool set_run_number(NncNet *net, const char *name, double value) {
    static const char prefix[] = "run/";
    const NncProgram *program = net->session.program;
    for (int i = 0; i < program->hyper_count; i++) {
        const NncHyper *hyper = &program->hyper[i];
        if (nnc_hyper_is_given(hyper) || strcmp(hyper->name + strlen(prefix), name)) continue;
        net->session.checkpoint.hyper[i] = value;
        return true;
    }
    return false;
}

NncStatus nnc_net_set(NncNet *net, const char *name, double value, NncError *error) {
    if (net->lost) return nnc_error(error, NNC_ERROR_VALUE, "loading has failed");
    if (isfinite(value) && set_run_number(net, name, value)) return NNC_OK;
    net->options.set_name = &name;
    net->options.set_value = &value;
    net->options.set_count = 1;
    NncStatus status = nnc_session_set_hypers(&net->session, error);
    net->options.set_count = 0;
    return status;
}

void *nnc_net_tensor(NncNet *net, const char *name, const NncTensor **tensor) {
    const NncProgram *program = net->session.program;
    for (int i = 0; i < program->tensor_count; i++) {
        if (strcmp(program->tensor[i].name, name)) continue;
        if (tensor) *tensor = &program->tensor[i];
        if (nnc_session_pull(&net->session, &net->session.failed)) return NULL;
        net->shown = true;
        return net->session.state + program->tensor[i].offset;
    }
    return NULL;
}
