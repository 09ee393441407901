// SPDX-License-Identifier: MIT
// Kernels whose limit is memory, against a copy of as many bytes (read and written) on as many
// threads: softmax, layer norm and its gradient on rows of 1024, Adam on a long vector of
// parameters.
//     bench_bandwidth [FILTER] [--json] [--rounds N]
//
// Bytes are the least that has to move: each input read once, each output written once. The kernel
// alone is measured, not the step around it (Adam's step computes a loss as well). It and the copy
// take turns; each gives the best of its runs in a turn, and the median of the turns' ratios is
// taken.
#include "compile.h"
#include "jit/jit.h"
#include "measure.h"
#include "nnd/elab.h"
#include "pass/plan.h"
#include "session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 2, ROUNDS = 15 };

static const double turn_seconds = 0.02;

typedef struct Subject {
    const char *name, *text;
    NncFunctionKind function;
    double bytes; // of a row
    int rows[3];  // in a core's cache, in the machine's, far beyond
} Subject;

#define ROWS "nnd 1\nmodel Rows {\n  input x: f32[N, 1024]\n  input dy: f32[N, 1024]\n"

// The gradient of the sum of squares is computed in passing: state and parameters move alone.
static const char adam[] = "nnd 1\n"
                           "model Long(rows = 1) {\n"
                           "  input image: f32[N, 3, 32, 32]\n"
                           "  param w: [1024 * rows] ~ normal(1)\n"
                           "  output w\n"
                           "  loss sum(w ^ 2)\n"
                           "}\n"
                           "data images { source = shapes() }\n"
                           "train Long on images { batch = 1; optimizer = adam(lr = 0) }\n";

static const Subject subjects[] = {
    {"softmax", ROWS "  output softmax(x)\n}\n", NNC_PREDICT, 2 * 4096, {64, 2048, 32768}},
    {"layer norm", ROWS "  output x |> layer_norm\n}\n", NNC_PREDICT, 2 * 4096, {64, 2048, 32768}},
    {"layer norm, gradient",
     ROWS "  output grad(sum(layer_norm(x) * dy), x)\n}\n",
     NNC_PREDICT,
     3 * 4096,
     {64, 2048, 32768}},
    {"adam", adam, NNC_TRAIN, 6 * 4096, {32, 512, 8192}},
};

// --- Both sides

typedef struct Side {
    NncCtx ctx;
    NncKernel *kernel;
    long long count, grain;
} Side;

static void copy_part(const NncCtx *ctx, long long low, long long high, int thread) {
    (void)thread;
    memcpy(ctx->output + low, ctx->input + low, (size_t)(high - low));
}

static double best_of_turn(Side *side) {
    double best = INFINITY, start = clock_seconds();
    do {
        double from = clock_seconds();
        nnc_parallel(&side->ctx, side->kernel, side->count, side->grain);
        best = fmin(best, clock_seconds() - from);
    } while (clock_seconds() - start < turn_seconds);
    return best;
}

// The two run in the same memory: what a copy reads and writes is as large as what the kernel does.
typedef struct Match {
    Arena *arena;
    Compiled *compiled;
    Jit *jit;
    NncSession session;
    NncOptions options;
    char *input, *from, *to; // of the kernel; of the copy: pages as the session's are
    size_t input_bytes;
    Side kernel, copy;
    double bytes;
} Match;

static Compiled *compile_subject(Arena *arena, const Subject *subject, int rows) {
    Diag *diag = diag_new(arena);
    File *file = nnd_parse(arena, source_from_text(arena, "rows.nnd", subject->text), diag);
    const char *name = "rows";
    double value = rows;
    bool train = subject->function == NNC_TRAIN;
    ElabOptions options = {
        .batch = train ? 0 : rows, .set_name = &name, .set_value = &value, .set_count = train};
    Module *module = nnd_elaborate(arena, file, &options, diag);
    Compiled *compiled = module ? compile(arena, module, target_find("native"), diag) : NULL;
    if (!compiled) diag_print(diag, stderr, false);
    return compiled;
}

static bool load(Match *match) {
    const char *error = NULL;
    NncError wrong;
    match->jit =
        jit_load(match->arena, match->compiled->source, &(JitOptions){.tier = JIT_NATIVE}, &error);
    if (!match->jit) {
        printf("skipped: %s\n", error);
        return false;
    }
    NncProgram *program = &match->compiled->program;
    for (NncFunctionKind i = 0; i < NNC_FUNCTIONS; i++) {
        const char *name = function_name(i);
        NncFunction *function = &program->function[i];
        function->run = (void (*)(NncCtx *))jit_function(
            match->jit, arena_printf(match->arena, "nnc_run_%s", name));
        function->scalars = (void (*)(const double *, double, double, double, float *))jit_function(
            match->jit, arena_printf(match->arena, "nnc_scalars_%s", name));
    }
    match->options = (NncOptions){.threads = THREADS};
    if (nnc_session_open(&match->session, program, &match->options, &wrong) == NNC_OK) return true;
    fprintf(stderr, "%s\n", wrong.text);
    return false;
}

// The function's last kernel, shared out as its plan says.
static bool find_kernel(Match *match, NncFunctionKind function) {
    const PlanNode *root = match->compiled->plan[function]->root,
                   *last = root->child.at[root->child.count - 1];
    if (last->kind != PLAN_PAR || last->child.count != 1) return false;
    match->kernel.kernel = (NncKernel *)jit_function(
        match->jit, arena_printf(match->arena, "%s_%s", function_name(function),
                                 last->child.at[0]->kernel->name));
    match->kernel.count = dim_eval(last->count, match->compiled->program.batch);
    match->kernel.grain = last->grain;
    return match->kernel.kernel != NULL;
}

static bool match_open(Match *match, const Subject *subject, int rows) {
    Arena *arena = match->arena = arena_new();
    match->compiled = compile_subject(arena, subject, rows);
    if (!match->compiled || !load(match)) return false;
    const NncProgram *program = &match->compiled->program;
    match->input_bytes = (size_t)program->input_bytes;
    match->bytes = subject->bytes * rows;
    match->input = nnc_memory_new(match->input_bytes);
    match->from = nnc_memory_new((size_t)match->bytes / 2);
    match->to = nnc_memory_new((size_t)match->bytes / 2);
    if (!match->input || !match->from || !match->to) return false;
    for (size_t i = 0; i < match->input_bytes / 4; i++)
        ((float *)(void *)match->input)[i] = (float)(i * 7919 % 1009) / 1009 - 0.5f;
    nnc_session_run(&match->session, NNC_INIT, NULL, program->batch);
    match->kernel.ctx =
        nnc_session_ctx(&match->session, subject->function, match->input, program->batch);
    if (!find_kernel(match, subject->function)) return false;
    memset(match->from, 1, (size_t)match->bytes / 2);
    match->copy.kernel = copy_part;
    match->copy.count = (long long)match->bytes / 2;
    match->copy.grain = (match->copy.count + THREADS - 1) / THREADS;
    match->copy.ctx =
        (NncCtx){.input = match->from, .output = match->to, .pool = match->session.pool};
    return true;
}

static void match_close(Match *match) {
    nnc_session_close(&match->session);
    nnc_memory_free(match->input, match->input_bytes);
    nnc_memory_free(match->from, (size_t)match->bytes / 2);
    nnc_memory_free(match->to, (size_t)match->bytes / 2);
    if (match->jit) jit_free(match->jit);
    arena_free(match->arena);
}

static bool compare(const Subject *subject, int rows, const BenchOptions *options, bool *first) {
    Match match = {0};
    Samples own = {0}, other = {0}, ratio = {0};
    bool opened = match_open(&match, subject, rows);
    for (int i = 0; opened && i < (options->rounds ? options->rounds : ROUNDS); i++) {
        double a = best_of_turn(&match.kernel), b = best_of_turn(&match.copy);
        sample_add(&own, a), sample_add(&other, b), sample_add(&ratio, b / a);
    }
    double rate = 1e-9 * match.bytes / sample_median(&own),
           base = 1e-9 * match.bytes / sample_median(&other);
    if (opened && options->json)
        printf("%s{\"kernel\":\"%s\",\"bytes\":%.0f,\"rate\":%.2f,\"copy\":%.2f,\"ratio\":%.3f}",
               *first ? "" : ",\n", subject->name, match.bytes, rate, base, sample_median(&ratio));
    else if (opened)
        printf("%-24s %10.1f %10.1f %10.1f %8.2f\n", subject->name, match.bytes / (1 << 20), rate,
               base, sample_median(&ratio));
    fflush(stdout);
    *first = false;
    match_close(&match);
    return opened;
}

int main(int argc, char **argv) {
    BenchOptions options = options_from_line(argc, argv);
    bool first = true;
    Busy begin = busy_now();
    if (options.json)
        printf("{\"benchmark\":\"bandwidth\",\"unit\":\"GB/s\",\"threads\":%d,\"kernels\":[\n",
               THREADS);
    else
        printf("%-24s %10s %10s %10s %8s\n", "", "MiB", "GB/s", "copy", "ratio");
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        for (int size = 0; size < 3; size++)
            if (strstr(subjects[i].name, options.file) &&
                !compare(&subjects[i], subjects[i].rows[size], &options, &first))
                return BENCH_SKIPPED;
    if (options.json) printf("]}\n");
    warn_of_others(busy_others(begin, busy_now()));
    return BENCH_PASSED;
}
