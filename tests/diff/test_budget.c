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
#define MOMENTUM      "momentum(lr = 0.1)"
#define ADAM          "adam(lr = 0.003, epsilon = 0.01)"
#define BY(optimizer) "optimizer = " optimizer
#define TWO_LOSSES                                                                                 \
    MODEL "logits = image |> avg_pool(4) |> flatten |> linear(32) as body |> tanh\n"               \
          "|> dropout(0.2) |> linear(10) as head\n output logits\n"                                \
          "loss cross_entropy(logits, label)\n large = mean(logits ^ 2)" DATA

static const char *const network[] = {
    CONVOLUTIONS TRAIN(BY(MOMENTUM)),
    POOLED TRAIN(BY(MOMENTUM) "; clip = global_norm(0.1)"),
    NORMED TRAIN(BY(MOMENTUM)),
    DENSE TRAIN(BY(MOMENTUM)),
    CONVOLUTIONS TRAIN(BY(MOMENTUM) "; precision = bf16"),
    NORMED TRAIN(BY(MOMENTUM) "; precision = bf16"),
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

// The step as it is, with its batch at once.
typedef struct Whole {
    Run run;
    const char *state;
    double tolerance; // of another order of sums
} Whole;

static Whole whole_new(Arena *arena, const Module *given, Machine machine) {
    Module module = *given;
    module.budget = module.accumulate = 0;
    Whole whole = {.run = run_new(arena, &module, machine.target, machine.tier), .tolerance = 2e-5};
    whole.state = run_steps(&whole.run, 1);
    if (module.precision == DT_F32) return whole;
    // What is stored, and so rounded, is not the same in chunks: they may be as far away again.
    module.precision = DT_F32;
    Run wide = run_new(arena, &module, machine.target, machine.tier);
    whole.tolerance = 2 * run_difference(&wide, run_steps(&wide, 1), &whole.run, whole.state);
    jit_free(wide.jit);
    return whole;
}

static void check_run(const Whole *whole, const Module *module, Machine machine) {
    Run run = run_new(whole->run.arena, module, machine.target, machine.tier);
    const char *state = run_steps(&run, 1);
    int chunk = run.compiled->program.chunk;
    cr_assert(chunk < BATCH ||
                  !memcmp(state, whole->state, (size_t)whole->run.compiled->program.state_bytes),
              "other bits with a budget of %lld", (long long)module->budget);
    double difference = run_difference(&whole->run, whole->state, &run, state);
    cr_assert(difference <= whole->tolerance, "chunks of %d: off by %.1e, %.1e is allowed: %s",
              chunk, difference, whole->tolerance, module->source->text);
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
static void check_network(const char *text, Machine machine, Kinds *kinds) {
    Arena *arena = arena_new();
    Module *module = steps_module(arena, text);
    Whole whole = whole_new(arena, module, machine);
    long long all = compiled_price(whole.run.compiled).bytes;
    for (int part = 8; part > 0; part -= 3) {
        module->budget = all * part / 10;
        Compiled *fits = plan_within(arena, module, machine.target, diag_new(arena));
        if (!fits) break;
        cr_assert(compiled_price(fits).bytes <= module->budget);
        kinds->again += compiled_again(fits) > 0;
        kinds->chunks += compiled_chunks(fits) > 1;
        check_run(&whole, module, machine);
    }
    jit_free(whole.run.jit);
    arena_free(arena);
}

static void check_networks(Machine machine) {
    Kinds kinds = {0};
    for (int i = 0; i < NETWORKS; i++)
        check_network(network[i], machine, &kinds);
    cr_assert(kinds.again >= 1 && kinds.chunks >= 4,
              "%d budgets were kept by computing twice, %d by chunks", kinds.again, kinds.chunks);
}

Test(budget, steps_without_a_compiler, .timeout = 300) { check_networks(instant); }

Test(budget, steps_natively, .timeout = 300) {
    Arena *arena = arena_new();
    check_networks(with_compiler(arena));
    arena_free(arena);
}

// Both at once, where there is something to be won: Winograd's points of a layer, in each chunk.
Test(budget, chunks_that_compute_again, .timeout = 300) {
    Arena *arena = arena_new();
    Machine machine = with_compiler(arena);
    if (machine.target->lanes < 16) cr_skip_test("it has shorter vectors");
    Module *module = steps_module(
        arena, MODEL "logits = image |> conv2d(16, kernel = 3) |> relu |> conv2d(32, kernel = 3)\n"
                     "|> relu |> conv2d(32, kernel = 3) |> relu |> conv2d(16, kernel = 3)\n"
                     "|> global_avg_pool |> linear(10)\n" TRAIN(BY(ADAM)));
    Whole whole = whole_new(arena, module, machine);
    long long all = compiled_price(whole.run.compiled).bytes;
    bool found = false;
    for (int part = 90; part > 10 && !found; part -= 2) {
        module->budget = all * part / 100;
        Compiled *fits = plan_within(arena, module, machine.target, diag_new(arena));
        found = fits && compiled_chunks(fits) > 1 && compiled_again(fits) > 0;
    }
    cr_assert(found);
    check_run(&whole, module, machine);
    jit_free(whole.run.jit);
    arena_free(arena);
}

// --- accumulate

static const char *const accumulated[] = {
    CONVOLUTIONS TRAIN(BY(ADAM) "; accumulate = 4; clip = global_norm(0.1)"),
    CONVOLUTIONS TRAIN(BY(ADAM) "; accumulate = 11; clip = by_value(0.001)"),
    DENSE TRAIN("accumulate = 3; minimize loss over \"linear_1*\" with " MOMENTUM
                "\n minimize loss over \"l*_norm*\" with " MOMENTUM
                "\n minimize loss over \"linear_2*\" with " ADAM "{ clip = by_value(0.01) }"),
    TWO_LOSSES "accumulate = 4; minimize large over \"head*\" with " MOMENTUM
               "\n minimize loss over \"body*\" with " MOMENTUM "{ clip = global_norm(1) } }",
    POOLED TRAIN(BY(ADAM) "; accumulate = 2; precision = bf16"),
};
enum { ACCUMULATED = sizeof accumulated / sizeof *accumulated };

static void check_accumulated(const char *text, Machine machine) {
    Arena *arena = arena_new();
    Module *module = steps_module(arena, text);
    Whole whole = whole_new(arena, module, machine);
    Compiled *compiled = plan_within(arena, module, machine.target, diag_new(arena));
    cr_assert(compiled_chunks(compiled) == module->accumulate);
    check_run(&whole, module, machine);
    jit_free(whole.run.jit);
    arena_free(arena);
}

Test(budget, accumulates_without_a_compiler, .timeout = 300) {
    for (int i = 0; i < ACCUMULATED; i++)
        check_accumulated(accumulated[i], instant);
}

Test(budget, accumulates_natively, .timeout = 300) {
    Arena *arena = arena_new();
    Machine machine = with_compiler(arena);
    for (int i = 0; i < ACCUMULATED; i++)
        check_accumulated(accumulated[i], machine);
    arena_free(arena);
}

// A budget goes on from there.
Test(budget, takes_no_fewer_chunks_than_it_is_told) {
    Arena *arena = arena_new();
    Module *module = steps_module(arena, CONVOLUTIONS TRAIN(BY(ADAM) "; accumulate = 3"));
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
        const Module *module = steps_module(arena, network[i]);
        check_least(module, network[i], &target_library);
        check_least(module, network[i], vectors);
    }
    for (size_t i = 0; i < sizeof name / sizeof *name; i++)
        check_least(example(arena, name[i]), name[i], vectors);
    arena_free(arena);
}
