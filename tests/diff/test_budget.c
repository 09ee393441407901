// SPDX-License-Identifier: MIT
// Steps that take less memory: with a budget, and with `accumulate`. They are the steps of the
// whole batch: bit for bit, where things are computed again; within rounding, where the batch is
// taken in chunks, dropout and a last smaller batch included. They take no more memory than the
// budget, which is what is allocated, and give the same bits from any number of threads. The least
// that a message names is enough.
#include "budget.h"
#include "nnd/elab.h"
#include "session.h"
#include "steps.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Network {
    const char *text;
    double tolerance; // of chunks
} Network;

// With bf16, other tensors are stored in chunks than in the whole, and so rounded.
static const double rounding = 2e-5, rounding_bf16 = 5e-2;

#define CONVOLUTIONS                                                                               \
    MODEL "logits = image |> conv2d(8, kernel = 5, stride = 3) |> relu\n"                          \
          "|> conv2d(8, kernel = 3, stride = 2) |> relu |> max_pool(2) |> flatten\n"               \
          "|> dropout(0.5) |> linear(10)\n"
#define POOLED                                                                                     \
    MODEL "logits = image |> conv2d(8, kernel = 5, stride = 2) |> relu\n"                          \
          "|> conv2d(16, kernel = 3) |> relu |> global_avg_pool |> linear(10)\n"
#define NORMED                                                                                     \
    MODEL "logits = image |> conv2d(8, kernel = 3, padding = 1) |> batch_norm |> relu\n"           \
          "|> conv2d(8, kernel = 3, padding = 1) |> batch_norm |> relu |> dropout(0.1)\n"          \
          "|> conv2d(8, kernel = 3, padding = 1) |> batch_norm |> relu\n"                          \
          "|> global_avg_pool |> linear(10)\n"
#define DENSE                                                                                      \
    MODEL "logits = image |> avg_pool(4) |> flatten |> linear(64) |> layer_norm |> gelu\n"         \
          "|> dropout(0.2) |> linear(10)\n"
#define MOMENTUM "optimizer = momentum(lr = 0.1)"
#define ADAM     "optimizer = adam(lr = 0.003, epsilon = 0.01)"

static const Network network[] = {
    {CONVOLUTIONS TRAIN(MOMENTUM), rounding},
    {POOLED TRAIN(MOMENTUM "; clip = global_norm(0.1)"), rounding},
    {NORMED TRAIN(MOMENTUM), rounding},
    {DENSE TRAIN(MOMENTUM), rounding},
    {CONVOLUTIONS TRAIN(MOMENTUM "; precision = bf16"), rounding_bf16},
    {NORMED TRAIN(MOMENTUM "; precision = bf16"), rounding_bf16},
};
enum { NETWORKS = sizeof network / sizeof *network };

typedef struct Machine {
    const Target *target;
    JitTier tier;
} Machine;

static Machine with_compiler(Arena *arena) {
    const char *error;
    const Target *target = jit_target(arena, &(JitOptions){.tier = JIT_NATIVE}, true, &error);
    if (!target) cr_skip_test("%s", error);
    return (Machine){target, JIT_NATIVE};
}

static const Machine instant = {&target_library, JIT_TCC};

// As the whole is, whose state `wanted` is.
static void check_run(const Run *whole, const char *wanted, const Module *module, Machine machine,
                      double tolerance) {
    Run run = run_new(whole->arena, module, machine.target, machine.tier);
    const char *state = run_steps(&run, 1);
    cr_assert(run.compiled->program.chunk < BATCH ||
                  !memcmp(state, wanted, (size_t)whole->compiled->program.state_bytes),
              "other bits with a budget of %lld", (long long)module->budget);
    expect_near(whole, wanted, &run, state, tolerance);
    expect_same_bits(&run, state);
    cr_assert(run.bytes == compiled_price(run.compiled).bytes, "%lld bytes, not %lld", run.bytes,
              compiled_price(run.compiled).bytes);
    jit_free(run.jit);
}

// --- Budgets

typedef struct Kinds { // of steps that were made of budgets
    int again, chunks;
} Kinds;

// With most of the memory that the whole takes, and with less and less of it.
static void check_network(const Network *net, Machine machine, Kinds *kinds) {
    Arena *arena = arena_new();
    Module *module = steps_module(arena, net->text);
    Run whole = run_new(arena, module, machine.target, machine.tier);
    const char *wanted = run_steps(&whole, 1);
    long long all = compiled_price(whole.compiled).bytes;
    for (int part = 8; part > 0; part -= 3) {
        module->budget = all * part / 10;
        Compiled *fits = plan_within(arena, module, machine.target, diag_new(arena));
        if (!fits) break;
        cr_assert(compiled_price(fits).bytes <= module->budget);
        kinds->again += compiled_again(fits) > 0;
        kinds->chunks += compiled_chunks(fits) > 1;
        check_run(&whole, wanted, module, machine, net->tolerance);
    }
    jit_free(whole.jit);
    arena_free(arena);
}

static void check_networks(Machine machine) {
    Kinds kinds = {0};
    for (int i = 0; i < NETWORKS; i++)
        check_network(&network[i], machine, &kinds);
    cr_assert(kinds.again >= 1 && kinds.chunks >= 4,
              "%d budgets were kept by computing twice, %d by chunks", kinds.again, kinds.chunks);
}

Test(budget, steps_without_a_compiler, .timeout = 300) { check_networks(instant); }

Test(budget, steps_natively, .timeout = 300) {
    Arena *arena = arena_new();
    check_networks(with_compiler(arena));
    arena_free(arena);
}

// --- accumulate

static const Network accumulated[] = {
    {CONVOLUTIONS TRAIN(ADAM "; accumulate = 4; clip = global_norm(0.1)"), rounding},
    {CONVOLUTIONS TRAIN(ADAM "; accumulate = 11; clip = by_value(0.001)"), rounding},
    {POOLED TRAIN(ADAM "; accumulate = 2; precision = bf16"), rounding_bf16},
};
enum { ACCUMULATED = sizeof accumulated / sizeof *accumulated };

static void check_accumulated(const Network *net, Machine machine) {
    Arena *arena = arena_new();
    Module *module = steps_module(arena, net->text);
    int chunks = module->accumulate;
    module->accumulate = 1;
    Run whole = run_new(arena, module, machine.target, machine.tier);
    const char *wanted = run_steps(&whole, 1);
    module->accumulate = chunks;
    Compiled *compiled = plan_within(arena, module, machine.target, diag_new(arena));
    cr_assert(compiled_chunks(compiled) == chunks);
    check_run(&whole, wanted, module, machine, net->tolerance);
    jit_free(whole.jit);
    arena_free(arena);
}

Test(budget, accumulates_without_a_compiler, .timeout = 300) {
    for (int i = 0; i < ACCUMULATED; i++)
        check_accumulated(&accumulated[i], instant);
}

Test(budget, accumulates_natively, .timeout = 300) {
    Arena *arena = arena_new();
    Machine machine = with_compiler(arena);
    for (int i = 0; i < ACCUMULATED; i++)
        check_accumulated(&accumulated[i], machine);
    arena_free(arena);
}

// A budget goes on from there.
Test(budget, takes_no_fewer_chunks_than_it_is_told) {
    Arena *arena = arena_new();
    Module *module = steps_module(arena, CONVOLUTIONS TRAIN(ADAM "; accumulate = 3"));
    Compiled *some = plan_within(arena, module, &target_library, diag_new(arena));
    cr_assert(compiled_chunks(some) == 3);
    module->budget = compiled_price(some).bytes;
    cr_assert(compiled_chunks(plan_within(arena, module, &target_library, diag_new(arena))) == 3);
    module->budget -= 1;
    cr_assert(compiled_chunks(plan_within(arena, module, &target_library, diag_new(arena))) > 3);
    arena_free(arena);
}

// --- The least

// Asked for one byte, a message names what would do; that does, and is what a session allocates.
static void check_least(const Module *given, const char *name, const Target *target) {
    Arena *arena = arena_new();
    Module module = *given;
    Diag *diag = diag_new(arena);
    module.budget = 1;
    cr_assert_null(plan_within(arena, &module, target, diag));
    const char *message = diag_text(diag, arena), *least = strstr(message, " takes ");
    double megabytes = 0;
    cr_assert(least && sscanf(least, " takes %lf MB at least", &megabytes) == 1, "%s", message);
    module.budget = (int64_t)llround(megabytes * 1e6);
    diag = diag_new(arena);
    Compiled *compiled = compile(arena, &module, target, diag);
    cr_assert(compiled, "%s: %s", name, diag_text(diag, arena));
    NncSession session;
    NncOptions options = {.threads = BUDGET_THREADS};
    NncError error;
    cr_assert_eq(nnc_session_open(&session, &compiled->program, &options, &error), NNC_OK);
    cr_assert(session.arena_bytes == compiled_price(compiled).bytes &&
                  session.arena_bytes <= module.budget,
              "%s: %lld bytes are allocated", name, session.arena_bytes);
    nnc_session_close(&session);
    arena_free(arena);
}

static Module *example(Arena *arena, const char *name) {
    Diag *diag = diag_new(arena);
    const char *error,
        *path = arena_printf(arena, "%s/examples/%s.nnd", getenv("NNC_SOURCE_DIR"), name);
    const Source *source = source_read(arena, path, &error);
    cr_assert(source, "%s", error);
    File *file = nnd_parse(arena, source, diag);
    Module *module = nnd_elaborate(arena, file, NULL, diag);
    cr_assert(module, "%s", diag_text(diag, arena));
    return module;
}

Test(budget, the_least_that_is_named_is_enough, .timeout = 300) {
    static const char *const name[] = {"cifar10", "perceptron", "shapes", "simplenet"};
    const Target *vectors = target_find("x86-64-v4");
    Arena *arena = arena_new();
    for (int i = 0; i < NETWORKS; i++) {
        const Module *module = steps_module(arena, network[i].text);
        check_least(module, network[i].text, &target_library);
        check_least(module, network[i].text, vectors);
    }
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        check_least(example(arena, name[i]), name[i], vectors);
    arena_free(arena);
}
