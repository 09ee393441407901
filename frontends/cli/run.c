// SPDX-License-Identifier: MIT
// nnc train, eval, predict: compile in memory, then the runtime does what a built program does.
#include "cli/cli.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int status_of(NncStatus status, const NncError *error) {
    if (status == NNC_OK) return EXIT_DONE;
    return report("%s", error->text);
}

static long long parameter_count(const NncProgram *program) {
    long long total = 0;
    for (int i = 0; i < program->tensor_count; i++) {
        const NncTensor *tensor = &program->tensor[i];
        long long size = 1;
        for (int axis = 0; axis < tensor->rank; axis++)
            size *= tensor->extent[axis];
        total += tensor->kind == NNC_PARAMETER ? size : 0;
    }
    return total;
}

// What a run of this function allocates.
static long long arena_bytes(const NncProgram *program, NncFunctionKind function) {
    const NncFunction *f = &program->function[function];
    return program->state_bytes + program->input_bytes + f->work_bytes + f->output_bytes;
}

// A line before the C compiler, which takes seconds, and one after it.
static void announce(const Settings *settings, const Compiled *compiled, NncFunctionKind function) {
    const NncProgram *program = &compiled->program;
    long threads = settings->run.threads ? settings->run.threads : sysconf(_SC_NPROCESSORS_ONLN);
    if (settings->run.json || settings->run.quiet) return;
    printf("%s (%s): %lld parameters, batch %d, %.1f MB of arenas; cpu, %ld thread%s\n",
           program->model, settings->file, parameter_count(program), program->batch,
           (double)arena_bytes(program, function) / 1e6, threads, threads == 1 ? "" : "s");
    fflush(stdout);
}

static void announce_jit(const Settings *settings, const Compiled *compiled, const Jit *jit,
                         double seconds) {
    if (settings->run.json || settings->run.quiet) return;
    printf("compiled in %.0f ms, by %s in %.2f s%s\n", 1e3 * compiled->seconds,
           jit_tier_name(jit_tier(jit)), seconds, jit_from_cache(jit) ? " (from the cache)" : "");
    fflush(stdout);
}

// Compiled and loaded; NULL after an error, which is printed.
static Jit *prepare(const Settings *settings, NncFunctionKind function, Compiled **compiled) {
    *compiled = load_compiled(settings);
    if (!*compiled) return NULL;
    if (!(*compiled)->module->graph[function]) {
        report("%s: there is nothing to %s: no %s", settings->file, function_name(function),
               function == NNC_TRAIN ? "`train` block (with its data)" : "loss, output or data");
        return NULL;
    }
    announce(settings, *compiled, function);
    double start = now();
    Jit *jit = load_functions(settings, *compiled);
    if (jit) announce_jit(settings, *compiled, jit, now() - start);
    return jit;
}

int command_train(const Settings *settings) {
    Compiled *compiled;
    NncError error = {0};
    Jit *jit = prepare(settings, NNC_TRAIN, &compiled);
    if (!jit) return EXIT_USER;
    signal(SIGPIPE,
           SIG_IGN); // a reader of the report that goes away takes nothing of the training with it
    int status = status_of(nnc_train(&compiled->program, &settings->run, &error), &error);
    jit_free(jit);
    return status;
}

int command_eval(const Settings *settings) {
    Compiled *compiled;
    NncError error = {0};
    Jit *jit = prepare(settings, NNC_EVAL, &compiled);
    if (!jit) return EXIT_USER;
    int status = status_of(nnc_eval(&compiled->program, &settings->run, &error), &error);
    jit_free(jit);
    return status;
}

int command_predict(const Settings *settings) {
    Compiled *compiled;
    NncError error = {0};
    Jit *jit = prepare(settings, NNC_PREDICT, &compiled);
    if (!jit) return EXIT_USER;
    NncStatus done = nnc_predict(&compiled->program, &settings->run, settings->input.at,
                                 settings->input.count, &error);
    int status = status_of(done, &error);
    jit_free(jit);
    return status;
}
