// SPDX-License-Identifier: MIT
// Emitted matrix products against OpenBLAS on one thread, shape by shape: the products of the
// article's CNN (as Winograd's algorithm makes them, and the first layer), of SimpleNet at batch
// 16, 64 and 128, and of a 1024-1024-1024 network at batch 256.
//     bench_products [FILTER] [--json] [--rounds N]
//
// Both sides are kernels of the same graph, compiled by the same compiler: one for the processor,
// one with calls of nnc_product. They take turns, round by round; each gives its best time of a
// round, and the median over the rounds is taken.
#include "emit/emit.h"
#include "ir/graph.h"
#include "jit/jit.h"
#include "measure.h"
#include "pass/pipeline.h"
#include "product.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_NODES = 16 };

typedef struct Product { // of one product, z[g, m, n] = sum over s, k
    const char *name;
    int batch;
    const char *a, *b, *attributes, *z;
    double multiplications;
    const char *turned_a, *turned_b; // a and b with their first two axes exchanged, or NULL
} Product;

#define MLP(B)                                                                                     \
    {"fc1 forward, batch " #B,                                                                     \
     B,                                                                                            \
     "1, 1, N, 784",                                                                               \
     "1, 1, 128, 784",                                                                             \
     "{transpose_b = 1}",                                                                          \
     "1, N, 128",                                                                                  \
     B * 784. * 128,                                                                               \
     NULL,                                                                                         \
     NULL},                                                                                        \
        {"fc1 weights, batch " #B,                                                                 \
         B,                                                                                        \
         "1, 1, N, 128",                                                                           \
         "1, 1, N, 784",                                                                           \
         "{transpose_a = 1}",                                                                      \
         "1, 128, 784",                                                                            \
         B * 784. * 128,                                                                           \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"fc2 forward, batch " #B,                                                                 \
         B,                                                                                        \
         "1, 1, N, 128",                                                                           \
         "1, 1, 64, 128",                                                                          \
         "{transpose_b = 1}",                                                                      \
         "1, N, 64",                                                                               \
         B * 128. * 64,                                                                            \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"fc2 data, batch " #B, B,    "1, 1, N, 64", "1, 1, 64, 128", "", "1, N, 128",             \
         B * 128. * 64,         NULL, NULL},                                                       \
        {"fc2 weights, batch " #B,                                                                 \
         B,                                                                                        \
         "1, 1, N, 64",                                                                            \
         "1, 1, N, 128",                                                                           \
         "{transpose_a = 1}",                                                                      \
         "1, 64, 128",                                                                             \
         B * 128. * 64,                                                                            \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"fc3 forward, batch " #B,                                                                 \
         B,                                                                                        \
         "1, 1, N, 64",                                                                            \
         "1, 1, 10, 64",                                                                           \
         "{transpose_b = 1}",                                                                      \
         "1, N, 10",                                                                               \
         B * 64. * 10,                                                                             \
         NULL,                                                                                     \
         NULL},                                                                                    \
        {"fc3 data, batch " #B, B,    "1, 1, N, 10", "1, 1, 10, 64", "", "1, N, 64",               \
         B * 64. * 10,          NULL, NULL},                                                       \
    {                                                                                              \
        "fc3 weights, batch " #B, B, "1, 1, N, 10", "1, 1, N, 64", "{transpose_a = 1}",            \
            "1, 10, 64", B * 64. * 10, NULL, NULL                                                  \
    }

#define WINOGRAD(NAME, T, C, K)                                                                    \
    {NAME " forward",      2,    "36*N, 1, " #T ", " #C,                                           \
     "36, 1, " #C ", " #K, "",   "36*N, " #T ", " #K,                                              \
     2. * 36 * T * C * K,  NULL, NULL},                                                            \
        {NAME " data",                                                                             \
         2,                                                                                        \
         "36*N, 1, " #T ", " #K,                                                                   \
         "36, 1, " #C ", " #K,                                                                     \
         "{transpose_b = 1}",                                                                      \
         "36*N, " #T ", " #C,                                                                      \
         2. * 36 * T * C * K,                                                                      \
         NULL,                                                                                     \
         NULL},                                                                                    \
    {                                                                                              \
        NAME " weights", 16, "N, 36, " #T ", " #C, "N, 36, " #T ", " #K, "{transpose_a = 1}",      \
            "36, " #C ", " #K, 16. * 36 * T *C *K, "36, N, " #T ", " #C, "36, N, " #T ", " #K      \
    }

static const Product products[] = {
    MLP(16),
    MLP(64),
    MLP(128),
    {"1024 forward", 256, "1, 1, N, 1024", "1, 1, 1024, 1024", "{transpose_b = 1}", "1, N, 1024",
     256. * 1024 * 1024, NULL, NULL},
    {"1024 data", 256, "1, 1, N, 1024", "1, 1, 1024, 1024", "", "1, N, 1024", 256. * 1024 * 1024,
     NULL, NULL},
    {"1024 weights", 256, "1, 1, N, 1024", "1, 1, N, 1024", "{transpose_a = 1}", "1, 1024, 1024",
     256. * 1024 * 1024, NULL, NULL},
    {"1024 cubed", 1, "1, 1, 1024, 1024", "1, 1, 1024, 1024", "", "1, 1024, 1024",
     1024. * 1024 * 1024, NULL, NULL},
    WINOGRAD("conv2", 49, 64, 128),
    WINOGRAD("conv3", 49, 128, 128),
    WINOGRAD("conv4", 36, 128, 64),
};

// --- One side

typedef struct Kernels {
    Arena *arena;
    Jit *jit;
    NncCtx ctx;
    void (*run)(NncCtx *);
    float *out;
    int64_t outputs;
} Kernels;

static char *new_memory(Arena *arena, int64_t bytes) {
    char *memory = arena_alloc(arena, (size_t)bytes + 2 * 4096);
    return memory + 4096 - (uintptr_t)memory % 4096;
}

static Graph *graph_of(Arena *arena, const Product *p) {
    Buf text = buf_new(arena);
    buf_printf(&text, "graph predict lowered {\n");
    buf_printf(&text, "  %%0 = input \"a\" : f32[%s]\n  %%1 = input \"b\" : f32[%s]\n", p->a, p->b);
    if (p->turned_a)
        buf_printf(&text,
                   "  %%2 = permute %%0 {perm = 1 0 2 3} : f32[%s]\n"
                   "  %%3 = permute %%1 {perm = 1 0 2 3} : f32[%s]\n",
                   p->turned_a, p->turned_b);
    int a = p->turned_a ? 2 : 0;
    buf_printf(&text, "  %%%d = product %%%d %%%d %s : f32[%s]\n  output \"z\" = %%%d\n}\n", a + 2,
               a, a + 1, p->attributes, p->z, a + 2);
    Diag *diag = diag_new(arena);
    Graph *graph = graph_read(arena, source_from_text(arena, "product.graph", text.text), diag);
    if (!graph) exit(BENCH_FAILED);
    return graph;
}

static void fill(float *at, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        at[i] = (float)((i * 7919) % 1009) / 1009 - 0.5f;
}

static bool build(Kernels *k, const Product *product, const Target *target) {
    Arena *arena = k->arena = arena_new();
    Graph *graph = graph_of(arena, product);
    int64_t bytes[2], in = 0;
    Placement place[3] = {{"a", ARENA_INPUT, 0}, {"b", ARENA_INPUT, 0}, {"z", ARENA_OUTPUT, 0}};
    for (int i = 0; i < 2; i++) {
        bytes[i] = shape_eval(&graph->node.at[i]->shape, product->batch) * 4;
        place[i].offset = in;
        in += (bytes[i] + 4095) / 4096 * 4096 + 64 * (i + 1);
    }
    k->outputs = shape_eval(&graph->root.at[0].value->shape, product->batch);
    Plan *plan =
        plan_make(arena, fuse(arena, graph, product->batch, target, place, 3), WAKING_TIME);
    Module module = {.model = "Product",
                     .source = source_from_text(arena, "product.nnd", ""),
                     .batch = product->batch};
    Buf source = buf_new(arena);
    emit_head(&source, &module, target);
    SharedFunctions shared = {.arena = arena};
    Buf kernels = buf_new(arena);
    emit_function(&kernels, &shared, &module, NNC_PREDICT, plan);
    shared_print(&source, &shared, ~0u);
    buf_add(&source, kernels.text);
    const char *error = NULL;
    k->jit = jit_load(arena, source.text, &(JitOptions){.tier = JIT_NATIVE}, &error);
    if (!k->jit) {
        printf("skipped: %s\n", error);
        return false;
    }
    k->run = (void (*)(NncCtx *))jit_function(k->jit, "nnc_run_predict");
    char *input = new_memory(arena, in);
    fill((float *)input, in / 4);
    k->ctx = (NncCtx){.input = input,
                      .output = new_memory(arena, k->outputs * 4),
                      .work = new_memory(arena, plan->work_bytes),
                      .scratch = new_memory(arena, plan->scratch_bytes),
                      .scratch_bytes = plan->scratch_bytes,
                      .n = product->batch};
    k->out = (float *)k->ctx.output;
    return true;
}

static void drop(Kernels *k) {
    jit_free(k->jit);
    arena_free(k->arena);
}

// Of this thread: what others take of the processor meanwhile is not counted.
static double thread_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// Seconds of a run, the best of some milliseconds of them.
static double best_of_round(Kernels *k, double seconds) {
    double best = INFINITY;
    int runs = seconds > 5e-5 ? 1 : (int)(5e-5 / seconds) + 1;
    for (double start = thread_seconds(); thread_seconds() - start < 0.01;) {
        double from = thread_seconds();
        for (int i = 0; i < runs; i++)
            k->run(&k->ctx);
        best = fmin(best, (thread_seconds() - from) / runs);
    }
    return best;
}

static double difference(const Kernels *a, const Kernels *b) {
    double most = 0, scale = 0;
    for (int64_t i = 0; i < a->outputs; i++) {
        most = fmax(most, fabs((double)a->out[i] - b->out[i]));
        scale = fmax(scale, fabs((double)b->out[i]));
    }
    return most / scale;
}

static int compare(const Product *product, const BenchOptions *options, bool *first) {
    Kernels emitted, library;
    if (!build(&emitted, product, target_find("native"))) return BENCH_SKIPPED;
    if (!build(&library, product, &target_library)) return BENCH_SKIPPED;
    Samples own = {0}, other = {0}, ratio = {0};
    emitted.run(&emitted.ctx), library.run(&library.ctx);
    double wrong = difference(&emitted, &library), guess = product->multiplications / 4e10;
    int rounds = options->rounds ? options->rounds : 7;
    for (int i = 0; i < rounds; i++) {
        double a = best_of_round(&emitted, guess), b = best_of_round(&library, guess);
        sample_add(&own, a), sample_add(&other, b), sample_add(&ratio, b / a);
    }
    double flops = 2 * product->multiplications * 1e-9;
    double rate = flops / sample_median(&own), base = flops / sample_median(&other);
    if (options->json)
        printf("%s{\"product\":\"%s\",\"emitted\":%.2f,\"library\":%.2f,\"ratio\":%.3f}",
               *first ? "" : ",\n", product->name, rate, base, sample_median(&ratio));
    else
        printf("%-24s %9.1f %9.1f %8.2f\n", product->name, rate, base, sample_median(&ratio));
    fflush(stdout);
    *first = false;
    drop(&emitted), drop(&library);
    if (wrong <= 2e-5) return BENCH_PASSED;
    fprintf(stderr, "%s: the two differ by %.1e\n", product->name, wrong);
    return BENCH_FAILED;
}

int main(int argc, char **argv) {
    BenchOptions options = options_from_line(argc, argv);
    int status = BENCH_PASSED;
    bool first = true;
    if (options.json)
        printf("{\"benchmark\":\"products\",\"unit\":\"GFLOP/s\",\"products\":[\n");
    else
        printf("%-24s %9s %9s %8s   GFLOP/s on one thread\n", "", "emitted", nnc_product_library(),
               "ratio");
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        if (!strstr(products[i].name, options.file)) continue;
        int result = compare(&products[i], &options, &first);
        if (result != BENCH_PASSED) status = result;
    }
    if (options.json) printf("]}\n");
    return status;
}
