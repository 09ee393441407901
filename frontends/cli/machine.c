// SPDX-License-Identifier: MIT
// The machine's limits: see machine.h. Of several runs the fastest counts: whatever else the
// machine does only ever makes one slower.
#include "cli/machine.h"

#include "support/samples.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 12, CHAIN_LENGTH = 4096, SMALLEST_COPY = 1 << 16 };

// --- Multiply-adds: independent chains in registers, as many as their latency hides

static const char *chains_source(Arena *arena, int lanes) {
    Buf out = buf_new(arena);
    buf_printf(&out,
               "typedef float V __attribute__((vector_size(%d)));\n"
               "float nnc_chains_end[1024];\n"
               "#ifndef __clang__\n"
               "__attribute__((optimize(\"fp-contract=fast\")))\n"
               "#endif\n"
               "void nnc_chains(const void *ctx, long long low, long long high, int thread) {\n"
               "#ifdef __clang__\n"
               "#pragma clang fp contract(fast)\n"
               "#endif\n"
               "    V x = {0}, y = x + 1e-3f;\n"
               "    (void)ctx;\n"
               "    x = x + 0.999f;\n",
               4 * lanes);
    for (int i = 0; i < CHAINS; i++)
        buf_printf(&out, "    V a%d = x + %d;\n", i, i);
    buf_printf(&out, "    for (long long i = low * %d; i < high * %d; i++) {\n", CHAIN_LENGTH,
               CHAIN_LENGTH);
    for (int i = 0; i < CHAINS; i++)
        buf_printf(&out, "        a%d = a%d * x + y;\n", i, i);
    buf_add(&out, "    }\n    nnc_chains_end[thread % 1024] = 0");
    for (int i = 0; i < CHAINS; i++)
        buf_printf(&out, " + a%d[0]", i);
    buf_add(&out, ";\n}\n");
    return out.text;
}

static double fastest_chains(NncKernel *chains, NncPool *pool) {
    enum { RUNS = 30, PARTS = 32 }; // parts of a thread
    double best = HUGE_VAL;
    int threads = nnc_pool_threads(pool);
    NncCtx ctx = {.pool = pool};
    for (int run = 0; run < RUNS; run++) {
        double begin = clock_seconds();
        nnc_parallel(&ctx, chains, PARTS * (long long)threads, 1);
        best = fmin(best, clock_seconds() - begin);
    }
    return PARTS * (double)threads / best;
}

static double measure_flops(const Settings *settings, const Target *target, NncPool *pool) {
    const char *error;
    JitOptions options = settings->jit;
    if (!target->lanes) return 0;
    options.tier = JIT_NATIVE;
    options.compiler = target->compiler;
    Jit *jit =
        jit_load(settings->arena, chains_source(settings->arena, target->lanes), &options, &error);
    if (!jit) return 0;
    NncKernel *chains = (NncKernel *)jit_function(jit, "nnc_chains");
    double rate = chains ? fastest_chains(chains, pool) : 0;
    jit_free(jit);
    return rate * CHAIN_LENGTH * CHAINS * target->lanes * 2;
}

// --- Copies: each thread copies its own piece, several times over

typedef struct Copy {
    NncCtx ctx; // first: what a kernel is handed is this
    char *from, *to;
    size_t piece; // bytes of a thread
    long long times;
} Copy;

static void copy_piece(const NncCtx *ctx, long long low, long long high, int thread) {
    const Copy *copy = (const Copy *)(const void *)ctx;
    (void)thread;
    for (long long piece = low; piece < high; piece++)
        for (long long i = 0; i < copy->times; i++) {
            memcpy(copy->to + (size_t)piece * copy->piece, copy->from + (size_t)piece * copy->piece,
                   copy->piece);
            __asm__ volatile("" ::: "memory"); // each of them is done
        }
}

static double fastest_copy(Copy *copy, double bytes, int threads) {
    enum { RUNS = 8 };
    const double least = 2e7; // bytes of a run, so that starting the threads is no part of it
    double best = HUGE_VAL;
    copy->piece = (size_t)(bytes / 2 / threads);
    copy->times = bytes < least ? (long long)(least / bytes) : 1;
    for (int run = 0; run < RUNS; run++) {
        double begin = clock_seconds();
        nnc_parallel(&copy->ctx, copy_piece, threads, 1);
        best = fmin(best, clock_seconds() - begin);
    }
    return 2.0 * (double)copy->piece * threads * (double)copy->times / best;
}

static double copy_size(int i) { return SMALLEST_COPY * pow(4, i); }

static void measure_copies(Machine *machine, NncPool *pool) {
    size_t most = (size_t)(copy_size(COPY_SIZES - 1) / 2);
    Copy copy = {.ctx.pool = pool, .from = malloc(most), .to = malloc(most)};
    if (!copy.from || !copy.to) bug("no memory for %zu bytes", 2 * most);
    memset(copy.from, 1, most);
    memset(copy.to, 2, most);
    for (int i = 0; i < COPY_SIZES; i++)
        machine->copy_rate[i] = fastest_copy(&copy, copy_size(i), machine->threads);
    free(copy.from);
    free(copy.to);
}

double machine_copy_rate(const Machine *machine, double bytes) {
    double place = log2(fmax(bytes, 1) / SMALLEST_COPY) / 2;
    if (place <= 0) return machine->copy_rate[0];
    if (place >= COPY_SIZES - 1) return machine->copy_rate[COPY_SIZES - 1];
    int below = (int)place;
    double part = place - below;
    return machine->copy_rate[below] * (1 - part) + machine->copy_rate[below + 1] * part;
}

Machine *machine_measure(const Settings *settings, const Target *target, NncPool *pool) {
    Machine *machine = ARENA_NEW(settings->arena, Machine);
    machine->threads = nnc_pool_threads(pool);
    machine->flops = measure_flops(settings, target, pool);
    measure_copies(machine, pool);
    return machine;
}
