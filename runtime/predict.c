// SPDX-License-Identifier: MIT
// nnc_predict: what a checkpoint's network says of images, of examples of the data source, of rows
// of a table; as many at a time as the program takes, in the order in which they were asked about.
#include "predict.h"
#include "file.h"
#include <stdlib.h>
#include <string.h>

// --- Batches

static NncStatus run_batch(NncPrediction *p, NncError *error) {
    NncSession *session = &p->session;
    FILE *out = nnc_report(session->options, NULL).out;
    NncStatus status = NNC_OK;
    if (p->count) {
        nnc_session_run(session, NNC_PREDICT, p->input, p->count);
        status = nnc_session_check(session, error);
    }
    for (long long i = 0; i < p->count; i++) {
        if (!status) nnc_prediction_print(p, i, out);
        free(p->asked[i].name);
    }
    p->count = 0;
    return status;
}

NncStatus nnc_prediction_add(NncPrediction *p, const char *name, int label, NncError *error) {
    char *copy = strdup(name);
    if (!copy) return nnc_error(error, NNC_ERROR_MEMORY, "no memory to predict");
    p->asked[p->count++] = (NncAsked){copy, label};
    return p->count == p->most ? run_batch(p, error) : NNC_OK;
}

// An output that is one for the batch is to be one for each example.
static long long examples_at_a_time(const NncProgram *program) {
    const NncFunction *function = &program->function[NNC_PREDICT];
    for (int i = 0; i < function->output_count; i++)
        if (!function->output[i].per_example) return 1;
    return program->chunk;
}

// --- All of it

static NncStatus allocate(NncPrediction *p, NncError *error) {
    const NncProgram *program = p->session.program;
    size_t bytes = ((size_t)program->input_bytes + NNC_ALIGN) / NNC_ALIGN * NNC_ALIGN + NNC_ALIGN;
    long long classes = 1;
    for (int i = 0; i < program->input_count; i++)
        if (program->input[i].classes > classes) classes = program->input[i].classes;
    p->input = aligned_alloc(NNC_ALIGN, bytes);
    p->most = examples_at_a_time(program);
    p->asked = calloc((size_t)p->most, sizeof *p->asked);
    p->probability = malloc((size_t)classes * sizeof *p->probability);
    if (!p->input || !p->asked || !p->probability)
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory to predict");
    memset(p->input, 0, bytes);
    return NNC_OK;
}

static NncStatus predict(NncPrediction *p, const char *const *inputs, int count, NncError *error) {
    char path[NNC_PATH];
    NncSession *session = &p->session;
    const NncProgram *program = session->program;
    if (!program->function[NNC_PREDICT].run)
        return nnc_error(error, NNC_ERROR_VALUE, "%s has no output to predict", program->model);
    NncStatus status = allocate(p, error);
    if (!status) status = nnc_session_checkpoint_path(session, path, error);
    if (!status) status = nnc_session_restore(session, path, false, error);
    for (int i = 0; i < count && !status; i++)
        status = nnc_prediction_read(p, inputs[i], error);
    NncError other; // what was asked for before something wrong is answered
    NncStatus rest = run_batch(p, status ? &other : error);
    return status ? status : rest;
}

NncStatus nnc_predict(const NncProgram *program, const NncOptions *options,
                      const char *const *inputs, int count, NncError *error) {
    NncPrediction p = {0};
    NncStatus status = nnc_session_open(&p.session, program, options, error);
    if (!status) status = predict(&p, inputs, count, error);
    nnc_session_close(&p.session);
    free(p.input);
    free(p.asked);
    free(p.probability);
    return status;
}
