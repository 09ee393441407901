// SPDX-License-Identifier: MIT
// From a file's name to functions that can be called, an error being printed wherever the way ends.
#include "cli/cli.h"

#include "device.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

int report(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("nnc: error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_USER;
}

static Source *read_file(const Settings *settings) {
    const char *error;
    Source *source = source_read(settings->arena, settings->file, &error);
    if (!source) report("%s: %s", settings->file, error);
    return source;
}

Module *load_module(const Settings *settings) {
    Source *source = read_file(settings);
    if (!source) return NULL;
    Diag *diag = diag_new(settings->arena);
    File *file = nnd_parse(settings->arena, source, diag);
    Module *module = NULL;
    if (!file->lost) // what was read is looked at even where something else is wrong
        module = nnd_elaborate(settings->arena, file, &settings->elab, diag);
    diag_print(diag, stderr, isatty(2));
    return diag_error_count(diag) == 0 ? module : NULL;
}

static const Target *ask_compiler(const Settings *settings) {
    const char *error;
    CommandId command = settings->command;
    bool to_run = command != CMD_BUILD && command != CMD_EMIT && command != CMD_GRAPH;
    const Target *target = jit_target(settings->arena, &settings->jit, to_run, &error);
    if (!target) report("%s", error);
    return target;
}

// The target with what was measured on it. A program that is built carries no library of products.
static const Target *with_tuning(const Settings *settings, const Target *target) {
    if (!target || target->lanes == 0) return target;
    Target *tuned = ARENA_NEW(settings->arena, Target);
    *tuned = *target;
    tuned->alone = settings->command == CMD_BUILD;
    tuned->tuning = settings->tuning ? settings->tuning : tuned_load(settings, target);
    return tuned;
}

bool is_portable(const Settings *settings) {
    return settings->jit.march && !strcmp(settings->jit.march, "portable");
}

// --- GPUs

// Of `nnc emit` and `nnc graph`, whatever is installed here; of `nnc build`, for nvcc.
static const Target *text_gpu(const Settings *settings) {
    const char *error, *march = settings->jit.march ? settings->jit.march : "sm_90";
    JitOptions options = settings->jit;
    options.march = march;
    const Target *gpu = settings->command == CMD_BUILD
                            ? jit_gpu_target(settings->arena, &options, &error)
                            : gpu_target(settings->arena, march, &error);
    if (!gpu) report("%s", error);
    return gpu;
}

static const Target *ask_gpu(const Settings *settings) {
    const char *error;
    const Target *gpu = jit_gpu_target(settings->arena, &settings->jit, &error);
    if (!gpu) report("--device cuda: %s", error);
    return gpu;
}

static void say_why_not(const Settings *settings, const char *why) {
    if (settings->run.json || settings->run.quiet) return;
    printf("%s: on the processor: %s\n", settings->file, why);
    fflush(stdout);
}

static const Target *look_for_gpu(const Settings *settings) {
    const char *why;
    const Target *gpu = NULL;
    if (jit_find_gpu(settings->arena, &why))
        gpu = jit_gpu_target(settings->arena, &settings->jit, &why);
    if (!gpu) say_why_not(settings, why);
    return gpu;
}

// --- The target

const Target *load_target(const Settings *settings) {
    if (settings->baseline) return &target_baseline;
    if (is_portable(settings)) {
        report("--march portable is several processors in one program: for nnc build alone");
        return NULL;
    }
    if (settings->target && !strcmp(settings->target, "cuda")) return text_gpu(settings);
    const Target *gpu = NULL;
    if (settings->device == DEVICE_CUDA && !(gpu = ask_gpu(settings))) return NULL;
    if (settings->device == DEVICE_AUTO) gpu = look_for_gpu(settings);
    if (gpu) return gpu;
    JitTier tier = settings->jit.tier;
    const Target *level = target_find(settings->jit.march);
    bool text_alone = settings->command == CMD_EMIT || settings->command == CMD_GRAPH;
    if (text_alone && level) return level; // whatever compiler there is, or none
    bool instant = tier == JIT_TCC || (tier == JIT_AUTO && !jit_find_compiler(settings->arena));
    return instant ? &target_library : with_tuning(settings, ask_compiler(settings));
}

static Compiled *compile_module(const Settings *settings, const Module *module,
                                const Target *target) {
    Diag *diag = diag_new(settings->arena);
    Compiled *compiled = compile(settings->arena, module, target, diag);
    diag_print(diag, stderr, isatty(2));
    return compiled;
}

Compiled *load_compiled(const Settings *settings) {
    Module *module = load_module(settings);
    const Target *target = module ? load_target(settings) : NULL;
    return target ? compile_module(settings, module, target) : NULL;
}

typedef void Run(NncCtx *);
typedef void Scalars(const double *, double, double, double, float *);
typedef void Rates(const double *, double, double, double, double *);

// What the C compiler gets is what the command runs: it is the slowest station. eval needs but one
// function of training's, but a checkpoint comes from training, and so the object is there already.
// So training's object serves whatever measures training, too.
static unsigned needed_functions(const Settings *settings, const Module *module) {
    unsigned training = ~(1u << NNC_PREDICT);
    switch (settings->command) {
    case CMD_TRAIN:
    case CMD_EVAL:
    case CMD_BENCH:
        return training;
    case CMD_EXPLAIN:
    case CMD_TUNE:
        return module->graph[NNC_TRAIN] && !settings->function ? training : ~0u;
    case CMD_PREDICT:
    case CMD_PLOT:
        return 1u << NNC_PREDICT;
    default:
        return ~0u;
    }
}

// A function that the compiler left out, such as train in a file without data, has no symbol.
static JitFunction *find_function(const Settings *settings, const Jit *jit, const char *kind,
                                  NncFunctionKind function) {
    return jit_function(jit,
                        arena_printf(settings->arena, "nnc_%s_%s", kind, function_name(function)));
}

static Jit *load_as(const Settings *settings, const Compiled *compiled, JitTier tier,
                    const char **error) {
    JitOptions options = settings->jit;
    options.tier = tier;
    options.compiler = compiled->target->compiler;
    if (compiled->target->gpu) options.march = compiled->target->name;
    unsigned functions = needed_functions(settings, compiled->module);
    return jit_load(settings->arena, compiled_source(settings->arena, compiled, functions),
                    &options, error);
}

// The native tier, where its source was made for that; else libtcc.
static Jit *load_tier(const Settings *settings, Compiled *compiled, const char **error) {
    const char *native_error;
    if (compiled->target->gpu) return load_as(settings, compiled, JIT_CUDA, error);
    if (settings->jit.tier != JIT_AUTO)
        return load_as(settings, compiled, settings->jit.tier, error);
    Jit *jit = load_as(settings, compiled, JIT_NATIVE, &native_error);
    if (jit) return jit;
    if (compiled->target->lanes) {
        Compiled *again = compile_module(settings, compiled->module, &target_library);
        if (!again) bug("what compiled for one tier does not for the other");
        *compiled = *again;
    }
    jit = load_as(settings, compiled, JIT_TCC, error);
    if (!jit)
        *error = arena_printf(settings->arena,
                              "%s; and %s; install a C compiler (on Debian: apt install gcc)",
                              native_error, *error);
    return jit;
}

// A GPU that is there may be one that cannot run this: it has to have the memory. Then the
// processor does.
static Jit *or_processor(const Settings *settings, Compiled *compiled, Jit *jit) {
    const NncProgram *program = &compiled->program;
    NncDeviceRun *run;
    NncError error;
    if (!program->device) return jit;
    if (!program->device->open(program, &run, &error)) {
        program->device->close(run);
        return jit;
    }
    Settings instead = *settings;
    instead.device = DEVICE_CPU;
    instead.jit.march = NULL;
    say_why_not(settings, error.text);
    jit_free(jit);
    const Target *target = load_target(&instead);
    Compiled *again = target ? compile_module(&instead, compiled->module, target) : NULL;
    if (!again) return NULL;
    *compiled = *again;
    return load_functions(&instead, compiled);
}

Jit *load_functions(const Settings *settings, Compiled *compiled) {
    const char *error;
    unsigned needed = needed_functions(settings, compiled->module);
    if (!settings->run.quiet) waiting("compiling %s", settings->file);
    Jit *jit = load_tier(settings, compiled, &error);
    if (!settings->run.quiet) waiting_over();
    if (!jit) {
        report("%s", error);
        return NULL;
    }
    if (compiled->target->gpu) compiled->program.device = jit_symbol(jit, "nnc_cuda_device");
    for (NncFunctionKind i = 0; i < NNC_FUNCTIONS; i++) {
        NncFunction *function = &compiled->program.function[i];
        function->run = (Run *)find_function(settings, jit, "run", i);
        function->scalars = (Scalars *)find_function(settings, jit, "scalars", i);
        if (compiled->module->graph[i] && !function->run && needed >> i & 1)
            bug("emitted C has no function %s", function_name(i));
    }
    if (compiled->program.function[NNC_TRAIN].run)
        compiled->program.rates = (Rates *)jit_function(jit, "nnc_rates");
    compiled->program.jit = jit_tier_name(jit_tier(jit));
    return settings->device == DEVICE_AUTO ? or_processor(settings, compiled, jit) : jit;
}
