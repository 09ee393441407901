// SPDX-License-Identifier: MIT
// Kernels whose limit is memory, against a copy of as many bytes (read and written) on as many
// threads: softmax, layer norm and its gradient on rows of 1024, Adam on a long vector of
// parameters; functions of one number, which are more arithmetic.
//     bench_bandwidth [FILTER] [--json] [--rounds N]     on $NNC_BENCH_THREADS threads, or two
//
// Bytes are the least that has to move: each input read once, each output written once. The kernel
// alone is measured, not the step around it (Adam's step computes a loss as well). It and the copy
// take turns; each gives the best of its runs in a turn, and the median of the turns' ratios is
// taken. Far beyond the caches, where kernels write past them, the copy is the faster of memcpy and
// of one that does so too; else memcpy, which leaves its result in the cache as they do.
//
// The last column is what the ratio would be if arithmetic alone counted: the kernel's rate on rows
// in a core's cache, over the copy's. Where that is below one, no order of loads and stores helps.
#include "compile.h"
#include "jit/jit.h"
#include "measure.h"
#include "nnd/elab.h"
#include "pass/plan.h"
#include "session.h"

#ifdef __x86_64__
#include <emmintrin.h>
#endif
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 15 };

static const double turn_seconds = 0.02;

typedef struct Subject {
    const char *name, *text;
    NncFunctionKind function;
    double bytes; // of a row
    int rows[3];  // in a core's cache, in the machine's, far beyond
} Subject;

static int threads_wanted(void) { return (int)limit_from_environment("NNC_BENCH_THREADS", 2); }

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
    {"gelu", ROWS "  output gelu(x)\n}\n", NNC_PREDICT, 2 * 4096, {64, 2048, 32768}},
    {"tanh", ROWS "  output tanh(x)\n}\n", NNC_PREDICT, 2 * 4096, {64, 2048, 32768}},
    {"log", ROWS "  output log(x)\n}\n", NNC_PREDICT, 2 * 4096, {64, 2048, 32768}},
    {"erf", ROWS "  output erf(x)\n}\n", NNC_PREDICT, 2 * 4096, {64, 2048, 32768}},
};

// --- Both sides

typedef struct Side {
    NncCtx ctx;
    NncKernel *kernel;
    long long count, grain;
} Side;

// The two run in the same memory: what a copy reads and writes is as large as what the kernel does.
typedef struct Match {
    Arena *arena;
    Compiled *compiled;
    Jit *jit;
    NncSession session;
    NncOptions options;
    char *input, *from, *to; // of the kernel; of the copy: pages as the session's are
    size_t input_bytes;
    Side kernel, copy, stream;
    double bytes;
} Match;

static void copy_part(const NncCtx *ctx, long long low, long long high, int thread) {
    (void)thread;
    memcpy(ctx->output + low, ctx->input + low, (size_t)(high - low));
}

static void stream_part(const NncCtx *ctx, long long low, long long high, int thread) {
#ifdef __x86_64__
    (void)thread;
    for (long long i = low; i < high; i += 16)
        _mm_stream_ps((float *)(void *)(ctx->output + i),
                      _mm_load_ps((const float *)(const void *)(ctx->input + i)));
    _mm_sfence();
#else
    copy_part(ctx, low, high, thread);
#endif
}

// One thread is timed by its own clock, which stands still while others run.
static double run_seconds(const Match *match) {
    struct timespec now;
    if (match->options.threads > 1 || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now))
        return clock_seconds();
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double best_of_turn(const Match *match, const Side *side) {
    double best = INFINITY, start = clock_seconds();
    do {
        double from = run_seconds(match);
        nnc_parallel(&side->ctx, side->kernel, side->count, side->grain);
        best = fmin(best, run_seconds(match) - from);
    } while (clock_seconds() - start < turn_seconds);
    return best;
}

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
    match->options = (NncOptions){.threads = threads_wanted()};
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
    match->copy.grain = match->copy.count / match->options.threads;
    match->copy.ctx =
        (NncCtx){.input = match->from, .output = match->to, .pool = match->session.pool};
    match->stream = match->copy;
    match->stream.kernel = stream_part;
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

// *cached: the kernel's rate in a core's cache, which comes first.
static bool compare(const Subject *subject, int rows, const BenchOptions *options, double *cached,
                    bool *first) {
    Match match = {0};
    Samples own = {0}, other = {0}, ratio = {0};
    bool opened = match_open(&match, subject, rows);
    for (int i = 0; opened && i < (options->rounds ? options->rounds : ROUNDS); i++) {
        double a = best_of_turn(&match, &match.kernel);
        double b = best_of_turn(&match, &match.copy);
        if (rows == subject->rows[2]) b = fmin(b, best_of_turn(&match, &match.stream));
        sample_add(&own, a), sample_add(&other, b), sample_add(&ratio, b / a);
    }
    double rate = 1e-9 * match.bytes / sample_median(&own),
           base = 1e-9 * match.bytes / sample_median(&other);
    *cached = *cached > 0 ? *cached : rate;
    if (opened && options->json)
        printf("%s{\"kernel\":\"%s\",\"bytes\":%.0f,\"rate\":%.2f,\"copy\":%.2f,\"ratio\":%.3f,"
               "\"arithmetic\":%.3f}",
               *first ? "" : ",\n", subject->name, match.bytes, rate, base, sample_median(&ratio),
               *cached / base);
    else if (opened)
        printf("%-24s %10.1f %10.1f %10.1f %8.2f %11.2f\n", subject->name, match.bytes / (1 << 20),
               rate, base, sample_median(&ratio), *cached / base);
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
               threads_wanted());
    else
        printf("%-24s %10s %10s %10s %8s %11s\n", "", "MiB", "GB/s", "copy", "ratio", "arithmetic");
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        double cached = 0;
        for (int size = 0; size < 3; size++)
            if (strstr(subjects[i].name, options.file) &&
                !compare(&subjects[i], subjects[i].rows[size], &options, &cached, &first))
                return BENCH_SKIPPED;
    }
    if (options.json) printf("]}\n");
    warn_of_others(busy_others(begin, busy_now()));
    return BENCH_PASSED;
}
