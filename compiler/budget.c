// SPDX-License-Identifier: MIT
// How a step that takes too much memory is made to fit: its batch is taken in chunks, as few of
// them as will do. Each try plans all functions, which is quick beside compiling them.
#include "budget.h"
#include "pass/chunk.h"
#include "pass/cost.h"
#include "pass/simplify.h"

static long long bytes_of(const Compiled *compiled) {
    return nnc_arenas(&compiled->program, BUDGET_THREADS).all;
}

static double function_flops(Arena *arena, const Compiled *compiled, NncFunctionKind kind) {
    const Plan *plan = compiled->plan[kind];
    double flops = 0;
    for (int k = 0; plan && k < plan->fusion->kernel.count; k++)
        flops += kernel_cost(arena, plan->fusion, plan->fusion->kernel.at[k]).flops;
    return flops;
}

Price compiled_price(const Compiled *compiled) {
    Arena *arena = arena_new();
    const NncProgram *program = &compiled->program;
    int chunks = (program->batch + program->chunk - 1) / program->chunk;
    Price price = {.bytes = bytes_of(compiled)};
    price.flops = function_flops(arena, compiled, NNC_TRAIN) +
                  chunks * function_flops(arena, compiled, NNC_CHUNK);
    arena_free(arena);
    return price;
}

static long long planned_bytes(const Module *module, const Target *target) {
    Arena *arena = arena_new();
    long long bytes = bytes_of(compile_plans(arena, module, target));
    arena_free(arena);
    return bytes;
}

int compiled_again(const Compiled *compiled) {
    const Plan *plan = compiled->plan[NNC_TRAIN];
    int count = 0;
    for (int k = 0; plan && k < plan->fusion->kernel.count; k++)
        count += plan->fusion->kernel.at[k]->after.count > 0;
    return count;
}

static const char *megabytes(Arena *arena, long long bytes) { // no less than there are
    return arena_printf(arena, "%.1f MB", (double)((bytes + 99999) / 100000) / 10);
}

const char *budget_text(Arena *arena, const Compiled *compiled) {
    if (compiled->without.bytes == 0) return NULL;
    const NncProgram *program = &compiled->program;
    Price price = compiled_price(compiled);
    double more = 100 * (price.flops / compiled->without.flops - 1);
    const char *how =
        program->chunk < program->batch
            ? arena_printf(arena, "%d chunks of %d examples",
                           (program->batch + program->chunk - 1) / program->chunk, program->chunk)
            : arena_printf(arena, "%d kernels compute again what is not kept",
                           compiled_again(compiled));
    return arena_printf(arena, "%s: %s; %s with %d threads, not %s, for %.1f %% more arithmetic",
                        megabytes(arena, compiled->module->budget), how,
                        megabytes(arena, price.bytes), BUDGET_THREADS,
                        megabytes(arena, compiled->without.bytes), more > 0 ? more : 0);
}

// --- Sizes to try: as many examples at a time as fit

typedef Module Resized(const Module *module, int examples);

static Module in_chunks(const Module *split, int examples) {
    Module module = *split;
    module.chunk = examples;
    return module;
}

static Module with_batch(const Module *whole, int examples) {
    Module module = *whole;
    module.batch = module.chunk = examples;
    return module;
}

// The most of 1 .. below - 1 that fit; 0: not even one. *least: what one takes.
static int most_that_fit(const Module *module, const Target *target, Resized *resized, int below,
                         long long *least) {
    int fits = 0, too_many = below;
    for (int examples = 1; too_many - fits > 1; examples = fits + (too_many - fits) / 2) {
        Module trial = resized(module, examples);
        long long bytes = planned_bytes(&trial, target);
        if (examples == 1) *least = bytes;
        if (bytes > module->budget && examples == 1) return 0;
        if (bytes > module->budget)
            too_many = examples;
        else
            fits = examples;
    }
    return fits;
}

// As many chunks, but all of about the same size, if that fits as well.
static int evened(const Module *split, const Target *target, int most) {
    int chunks = (split->batch + most - 1) / most, even = (split->batch + chunks - 1) / chunks;
    Module trial = in_chunks(split, even);
    return even < most && planned_bytes(&trial, target) <= split->budget ? even : most;
}

// --- What does not fit

typedef struct Least { // bytes that a step takes
    long long whole, again, chunks;
} Least;

static void report(Arena *arena, const Module *module, const Target *target, const Chunks *chunks,
                   const Least *least, Diag *diag) {
    long long one = 0;
    int batch = most_that_fit(module, target, with_batch, module->batch, &one);
    long long all = least->again < least->chunks ? least->again : least->chunks;
    diag_error(diag, module->budget_span, "training %s takes %s at least", module->model,
               megabytes(arena, all));
    if (!chunks->chunk)
        diag_note(diag, chunks->where, "its batch cannot be taken in chunks: %s", chunks->why);
    diag_hint(diag, "a batch of %d takes %s, or, with what can be computed twice, %s",
              module->batch, megabytes(arena, least->whole), megabytes(arena, least->again));
    if (chunks->chunk)
        diag_hint(diag, "in chunks of 1 example it takes %s", megabytes(arena, least->chunks));
    if (batch > 0)
        diag_hint(diag, "batch = %d is the largest that fits", batch);
    else if (module->batch > 1)
        diag_hint(diag, "no smaller batch fits: one of 1 takes %s", megabytes(arena, one));
}

// --- The whole

static Module *split_module(Arena *arena, const Module *module, const Chunks *chunks) {
    Module *split = ARENA_NEW(arena, Module);
    *split = *module;
    split->graph[NNC_TRAIN] = chunks->rest;
    split->graph[NNC_CHUNK] = chunks->chunk;
    return split;
}

// The batch as a whole, things computed again where that is less memory; NULL: it is not enough.
static Compiled *with_room(Arena *arena, const Module *module, const Target *target,
                           const Compiled *whole, long long *least) {
    Module *again = ARENA_NEW(arena, Module);
    *again = *module;
    again->room = module->budget - (bytes_of(whole) - nnc_arenas(&whole->program, 1).work);
    if (again->room < 1) again->room = 1;
    Compiled *compiled = compile_plans(arena, again, target);
    *least = bytes_of(compiled);
    return *least <= module->budget ? compiled : NULL;
}

static Compiled *in_fewest_chunks(Arena *arena, const Module *module, const Target *target,
                                  const Chunks *chunks, long long *least) {
    Module *split = split_module(arena, module, chunks);
    int fit = most_that_fit(split, target, in_chunks, module->batch, least);
    if (fit == 0) return NULL;
    split->chunk = evened(split, target, fit);
    return compile_plans(arena, split, target);
}

// In order of what it costs: the same bits for some work twice; chunks.
Compiled *plan_within(Arena *arena, const Module *module, const Target *target, Diag *diag) {
    Compiled *whole = compile_plans(arena, module, target), *fitting;
    Least least = {.whole = bytes_of(whole)};
    if (module->budget == 0 || least.whole <= module->budget || !module->graph[NNC_TRAIN])
        return whole;
    least.again = least.chunks = least.whole;
    fitting = with_room(arena, module, target, whole, &least.again);
    Chunks chunks = {0};
    if (!fitting) chunks = chunk_split(arena, simplify(arena, module->graph[NNC_TRAIN]));
    if (chunks.chunk) fitting = in_fewest_chunks(arena, module, target, &chunks, &least.chunks);
    if (!fitting)
        report(arena, module, target, &chunks, &least, diag);
    else
        fitting->without = compiled_price(whole);
    return fitting;
}
