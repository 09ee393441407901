// SPDX-License-Identifier: MIT
// Networks that are trained for a few steps: see steps.h.
#include "steps.h"

#include "nnd/elab.h"
#include "session.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const int step_examples[STEPS] = {BATCH, BATCH, 7}; // the last batch is smaller

Module *steps_module(Arena *arena, const char *text) {
    Diag *diag = diag_new(arena);
    File *file = nnd_parse(arena, source_from_text(arena, "net.nnd", text), diag);
    Module *module = nnd_elaborate(arena, file, NULL, diag);
    cr_assert(module, "%s", diag_text(diag, arena));
    return module;
}

Run run_new(Arena *arena, const Module *module, const Target *target, JitTier tier) {
    Run run = {.arena = arena};
    Diag *diag = diag_new(arena);
    const char *error = NULL;
    run.compiled = compile(arena, module, target, diag);
    cr_assert(run.compiled, "%s", diag_text(diag, arena));
    run.jit = jit_load(arena, run.compiled->source, &(JitOptions){.tier = tier}, &error);
    if (!run.jit) cr_skip_test("%s", error);
    for (int i = 0; i < NNC_FUNCTIONS; i++) {
        NncFunction *f = &run.compiled->program.function[i];
        const char *name = function_name((NncFunctionKind)i);
        if (!run.compiled->module->graph[i]) continue;
        *(void **)&f->run = jit_symbol(run.jit, arena_printf(arena, "nnc_run_%s", name));
        *(void **)&f->scalars = jit_symbol(run.jit, arena_printf(arena, "nnc_scalars_%s", name));
    }
    return run;
}

// Example `number` of the run, into place `slot`.
static void fill(char *input, const NncProgram *program, int slot, int number) {
    for (int c = 0; c < program->input_count; c++) {
        const NncColumn *column = &program->input[c];
        int elements = 1;
        for (int axis = 1; axis < column->rank; axis++)
            elements *= (int)column->extent[axis];
        for (int i = 0; i < elements; i++) {
            unsigned noise = (unsigned)(number * elements + i) * 2654435761u >> 8;
            char *at = input + column->offset + 4 * ((long long)slot * elements + i);
            if (column->is_target)
                *(int *)(void *)at = number * 7 % CLASSES;
            else
                *(float *)(void *)at = (float)noise * 0x1p-24f + (float)(number * 7 % CLASSES);
        }
    }
}

static void run_step(NncSession *session, char *input, int first_example, int of) {
    NncBatch batch = {.input = input, .of = of};
    do {
        nnc_session_next(session, &batch);
        for (int slot = 0; slot < batch.count; slot++)
            fill(input, session->program, slot, first_example + (int)batch.first + slot);
    } while (!nnc_session_step(session, &batch));
    session->checkpoint.at.step++;
}

// The state after all steps.
char *run_steps(Run *run, int threads) {
    NncSession session;
    NncError error;
    const NncProgram *program = &run->compiled->program;
    NncOptions options = {.threads = threads};
    cr_assert(nnc_session_open(&session, program, &options, &error) == NNC_OK, "%s", error.text);
    char *input = nnc_memory_new((size_t)program->input_bytes);
    run->bytes = session.arena_bytes;
    nnc_session_run(&session, NNC_INIT, NULL, program->chunk);
    for (int step = 0; step < STEPS; step++) {
        run_step(&session, input, step * BATCH, step_examples[step]);
        run->loss[step] =
            (float)nnc_session_output(&session, &program->function[NNC_TRAIN].output[0]);
    }
    char *state = arena_alloc(run->arena, (size_t)program->state_bytes);
    memcpy(state, session.state, (size_t)program->state_bytes);
    nnc_memory_free(input, (size_t)program->input_bytes);
    nnc_session_close(&session);
    return state;
}

static double tensor_difference(const NncTensor *tensor, const float *a, const float *b) {
    long long count = 1;
    double worst = 0, scale = 0;
    for (int axis = 0; axis < tensor->rank; axis++)
        count *= tensor->extent[axis];
    for (long long i = 0; i < count; i++) {
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        scale = fmax(scale, fabs((double)a[i]));
        cr_assert(isfinite(a[i]) && isfinite(b[i]));
    }
    cr_assert(scale > 0, "%s is zero", tensor->name);
    return worst / scale;
}

double run_difference(const Run *a, const char *state_a, const Run *b, const char *state_b) {
    const NncProgram *whole = &a->compiled->program, *other = &b->compiled->program;
    double worst = 0;
    for (int step = 0; step < STEPS; step++)
        worst = fmax(worst, fabs(a->loss[step] - b->loss[step]) / fabs(a->loss[step]));
    for (int t = 0; t < whole->tensor_count; t++)
        worst = fmax(worst, tensor_difference(
                                &whole->tensor[t],
                                (const float *)(const void *)(state_a + whole->tensor[t].offset),
                                (const float *)(const void *)(state_b + other->tensor[t].offset)));
    return worst;
}

void expect_same_bits(Run *run, const char *state) {
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        cr_assert(
            !memcmp(run_steps(run, threads), state, (size_t)run->compiled->program.state_bytes),
            "chunks of %d: other bits from %d threads", run->compiled->program.chunk, threads);
}
