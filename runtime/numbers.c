// SPDX-License-Identifier: MIT
// Numbers that are none: see numbers.h.
#include "numbers.h"
#include "columns.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Finite { // of some floats
    long long bad;      // that are none
    double low, high;   // of the others; NAN where there are none
} Finite;

static Finite look(const float *value, long long count) {
    Finite is = {.low = NAN, .high = NAN};
    for (long long i = 0; i < count; i++) {
        is.bad += !isfinite(value[i]);
        if (!isfinite(value[i])) continue;
        if (!(is.low <= value[i])) is.low = value[i];
        if (!(is.high >= value[i])) is.high = value[i];
    }
    return is;
}

static Finite look_at(const char *state, const NncTensor *tensor) {
    if (tensor->type != NNC_F32) return (Finite){0};
    return look((const float *)(const void *)(state + tensor->offset),
                nnc_tensor_bytes(tensor) / (long long)sizeof(float));
}

static const char *kind_of(double value) { return isnan(value) ? "not a number" : "infinite"; }

// --- Errors

// The learning rate where it is a plain number, a tenth of which is worth a try; else 0.
static double rate_of(const NncSession *session) {
    for (int i = 0; i < session->program->hyper_count; i++)
        if (session->program->hyper[i].kind == NNC_GIVEN &&
            !strcmp(session->program->hyper[i].name, "lr"))
            return session->checkpoint.hyper[i];
    return 0;
}

// What is left of the run, and what may help.
static NncStatus number_error(const NncSession *session, const char *what, const char *path,
                              long long kept, NncError *error) {
    char left[NNC_PATH + 60] = "no checkpoint was written yet", rate[80] = "";
    double lr = rate_of(session);
    if (kept >= 0) snprintf(left, sizeof left, "%.200s holds step %lld, which was good", path, kept);
    if (lr > 0) snprintf(rate, sizeof rate, " (--lr %g, it is %g)", lr / 10, lr);
    return nnc_error(error, NNC_ERROR_NUMBER,
                     "%s; %s. What may help: a smaller learning rate%s, clip = global_norm(1)%s",
                     what, left, rate,
                     session->options->trap_nan ? "" : "; --trap-nan shows where it begins");
}

NncStatus nnc_loss_error(const NncSession *session, double loss, long long step, const char *path,
                         long long kept, NncError *error) {
    char what[100];
    snprintf(what, sizeof what, "the loss is %s at step %lld, in epoch %lld", kind_of(loss), step,
             session->checkpoint.at.epoch + 1);
    return number_error(session, what, path, kept, error);
}

NncStatus nnc_parameters_check(const NncSession *session, const char *path, long long kept,
                               NncError *error) {
    const NncProgram *program = session->program;
    for (int i = 0; i < program->tensor_count; i++) {
        const NncTensor *tensor = &program->tensor[i];
        if (tensor->kind != NNC_PARAMETER) continue;
        Finite is = look_at(session->state, tensor);
        if (!is.bad) continue;
        char what[300];
        snprintf(what, sizeof what, "after step %lld %lld elements of %.150s are no finite numbers",
                 session->checkpoint.at.step, is.bad, tensor->name);
        return number_error(session, what, path, kept, error);
    }
    return NNC_OK;
}

// --- The trap

NncStatus nnc_trap_keep(NncTrap *trap, NncSession *session, NncError *error) {
    size_t size = (size_t)session->program->state_bytes;
    if (trap->amid) return NNC_OK;
    if (!trap->state && !(trap->state = malloc(size + !size)))
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory to keep a step's state");
    NncStatus status = nnc_session_pull(session, error);
    if (!status) memcpy(trap->state, session->state, size);
    trap->session = session;
    trap->amid = true;
    return status;
}

void nnc_trap_free(NncTrap *trap) {
    free(trap->state);
    *trap = (NncTrap){0};
}

enum { MOST_SHOWN = 12 };

static void describe_state(const NncTrap *trap, FILE *out) {
    const NncSession *session = trap->session;
    int shown = 0, more = 0;
    for (int i = 0; i < session->program->tensor_count; i++) {
        const NncTensor *tensor = &session->program->tensor[i];
        Finite is = look_at(session->state, tensor), was = look_at(trap->state, tensor);
        if (is.bad == was.bad) continue;
        if (shown++ >= MOST_SHOWN) {
            more++;
            continue;
        }
        fprintf(out, "  %s: %lld of %lld elements", tensor->name, is.bad,
                nnc_tensor_bytes(tensor) / (long long)sizeof(float));
        if (!isnan(was.low)) fprintf(out, "; before, from %g to %g", was.low, was.high);
        fputc('\n', out);
    }
    if (more) fprintf(out, "  and %d more\n", more);
}

static void describe_examples(const NncTrouble *trouble, FILE *out) {
    fputs("its examples:", out);
    for (long long i = 0; i < trouble->n; i++) {
        fprintf(out, " train:%lld", trouble->example[i]);
        if (i + 1 < trouble->n && i % 16 == 15) fputs("\n             ", out);
    }
    fputc('\n', out);
}

// Columns of the batch that are no numbers by themselves, example by example.
static void describe_input(const NncTrap *trap, const NncTrouble *trouble, const NncBatch *batch,
                           FILE *out) {
    const NncProgram *program = trap->session->program;
    for (int i = 0; i < program->input_count; i++) {
        const NncColumn *column = &program->input[i];
        long long elements = nnc_column_elements(column), shown = 0;
        for (long long n = 0; column->type == NNC_F32 && n < batch->count; n++) {
            const float *value = (const float *)(const void *)(batch->input + column->offset);
            Finite is = look(value + n * elements, elements);
            if (is.bad && shown++ < MOST_SHOWN)
                fprintf(out, "  %s: %lld of %lld elements of train:%lld in the data\n",
                        column->name, is.bad, elements, trouble->example[batch->first + n]);
        }
    }
}

static NncStatus report(const NncTrap *trap, const NncTrouble *trouble, NncProgress *progress,
                        const NncBatch *batch, double loss, NncError *error) {
    const NncSession *session = trap->session;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for a report");
    fprintf(out, "step %lld, in epoch %lld, makes numbers that are none:\n", trouble->step + 1,
            trouble->epoch + 1);
    if (!isfinite(loss)) fprintf(out, "  loss: %s\n", kind_of(loss));
    describe_state(trap, out);
    describe_input(trap, trouble, batch, out);
    describe_examples(trouble, out);
    if (session->options->explain && batch->count == trouble->n) // all of the batch is there
        session->options->explain(session->options->explain_of, trouble, out);
    fclose(out);
    nnc_progress_trap(progress, trouble->step + 1, text);
    free(text);
    return nnc_error(error, NNC_ERROR_NUMBER,
                     "step %lld, in epoch %lld, makes numbers that are none; no checkpoint was "
                     "written of it",
                     trouble->step + 1, trouble->epoch + 1);
}

static bool is_sound(const NncTrap *trap, double loss) {
    const NncSession *session = trap->session;
    bool sound = isfinite(loss);
    for (int i = 0; i < session->program->tensor_count && sound; i++) {
        const NncTensor *tensor = &session->program->tensor[i];
        sound = look_at(session->state, tensor).bad <= look_at(trap->state, tensor).bad;
    }
    return sound;
}

NncStatus nnc_trap_check(NncTrap *trap, NncProgress *progress, const NncLoader *loader,
                         const NncBatch *batch, NncError *error) {
    NncSession *session = trap->session;
    const NncPosition *at = &session->checkpoint.at;
    double loss = nnc_session_output(session, &session->program->function[NNC_TRAIN].output[0]);
    NncStatus status = nnc_session_pull(session, error);
    trap->amid = false;
    if (status || is_sound(trap, loss)) return status;
    long long *example = calloc((size_t)batch->of, sizeof *example);
    if (!example) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for a report");
    for (long long i = 0; i < batch->of; i++)
        example[i] = nnc_loader_example(loader, batch->end - batch->of + i);
    NncTrouble trouble = {.state = trap->state,
                          .input = batch->input,
                          .example = example,
                          .n = batch->of,
                          .step = at->step - 1,
                          .epoch = at->epoch,
                          .seed = at->seed,
                          .hyper = session->checkpoint.hyper};
    status = report(trap, &trouble, progress, batch, loss, error);
    free(example);
    return status;
}
