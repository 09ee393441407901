// SPDX-License-Identifier: MIT
// A compiled model, step by step: see trainer.h.
#include "cli/trainer.h"

#include "columns.h"
#include "rng.h"
#include <string.h>

// Pixels of 0 .. 1, labels below the number of classes. Each image has a brightness of its own:
// images of the same noise would be one image to a network that averages, and units that are near
// zero for all of them make a gradient that hangs on the last bit.
static void fill_column(char *batch, const NncColumn *column, int examples) {
    long long elements = nnc_column_elements(column);
    unsigned stream = nnc_random_stream(column->name);
    unsigned a = nnc_random_key(1, 0, stream, 0, 0), b = nnc_random_key(1, 0, stream, 0, 1);
    float *pixel = (float *)(batch + column->offset);
    int32_t *label = (int32_t *)(batch + column->offset);
    for (int n = 0; n < examples; n++) {
        float brightness = (float)(n + 1) / (float)examples;
        for (long long i = n * elements; i < (n + 1) * elements; i++) {
            float u = nnc_random_unit(a, b, (unsigned)i);
            if (column->classes)
                label[i] = (int32_t)(u * (float)column->classes);
            else
                pixel[i] = u * brightness;
        }
    }
}

static bool open_program(Trainer *net) {
    net->compiled = load_compiled(&net->settings);
    net->jit = net->compiled ? load_functions(&net->settings, net->compiled) : NULL;
    if (!net->jit) return false;
    const NncProgram *program = &net->compiled->program;
    NncError error;
    if (nnc_session_open(&net->session, program, &net->settings.run, &error)) {
        report("%s", error.text);
        return false;
    }
    net->batch = arena_alloc(net->settings.arena, (size_t)program->input_bytes + NNC_ALIGN);
    net->batch += (NNC_ALIGN - (uintptr_t)net->batch % NNC_ALIGN) % NNC_ALIGN;
    for (int i = 0; i < program->input_count; i++)
        fill_column(net->batch, &program->input[i], program->chunk);
    return true;
}

Trainer *trainer_open(const Settings *settings) {
    Arena *arena = arena_new();
    Trainer *net = ARENA_NEW(arena, Trainer);
    net->settings = *settings;
    net->settings.arena = arena;
    if (open_program(net)) return net;
    trainer_free(net);
    return NULL;
}

Trainer *trainer_new(const char *file, int threads) {
    return trainer_open(&(Settings){.file = file, .jit.tier = JIT_NATIVE, .run.threads = threads});
}

void trainer_free(Trainer *net) {
    nnc_session_close(&net->session);
    if (net->jit) jit_free(net->jit);
    arena_free(net->settings.arena);
}

void trainer_start(Trainer *net) {
    net->session.checkpoint.at.step = 0;
    nnc_session_run(&net->session, NNC_INIT, NULL, net->compiled->program.chunk);
}

long long trainer_examples(const Trainer *net, NncFunctionKind function) {
    const NncProgram *program = &net->compiled->program;
    return function == NNC_TRAIN ? program->batch : program->chunk;
}

void trainer_run(Trainer *net, NncFunctionKind function) {
    nnc_session_run(&net->session, function, net->batch, trainer_examples(net, function));
    net->session.checkpoint.at.step += function == NNC_TRAIN;
}

double trainer_step(Trainer *net) {
    const NncProgram *program = &net->compiled->program;
    NncBatch batch = {.input = net->batch, .of = program->batch};
    do
        nnc_session_next(&net->session, &batch);
    while (!nnc_session_step(&net->session, &batch));
    net->session.checkpoint.at.step++;
    NncDone done;
    while (nnc_session_done(&net->session, true, &done))
        ; // the last one's outputs stay
    return nnc_session_output(&net->session, &net->compiled->program.function[NNC_TRAIN].output[0]);
}

float *trainer_tensor(const Trainer *net, const char *name, long long count) {
    const NncProgram *program = &net->compiled->program;
    for (int i = 0; i < program->tensor_count; i++) {
        const NncTensor *tensor = &program->tensor[i];
        if (strcmp(tensor->name, name)) continue;
        long long elements = 1;
        for (int axis = 0; axis < tensor->rank; axis++)
            elements *= tensor->extent[axis];
        if (elements != count) bug("%s has %lld elements, not %lld", name, elements, count);
        return (float *)(net->session.state + tensor->offset);
    }
    bug("%s has no tensor %s", program->file, name);
}

const void *trainer_input(const Trainer *net, bool is_target) {
    const NncProgram *program = &net->compiled->program;
    for (int i = 0; i < program->input_count; i++)
        if (program->input[i].is_target == is_target) return net->batch + program->input[i].offset;
    bug("%s has no such input", program->file);
}
