// SPDX-License-Identifier: MIT
// Compiled against written by hand: see contest.h.
#include "contest.h"
#include "cli/trainer.h"
#include "measure.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 2, COMPARED_STEPS = 2 };
static const double most_difference = 1e-4; // relative

typedef struct Match { // one run of a contest
    const Contest *contest;
    BenchOptions options;
    Trainer *compiled;
    Baseline *by_hand;
    double loss_difference, state_difference;
    const char *worst;      // the tensor of the latter
    Samples rate[2], ratio; // compiled, by hand
    double others;          // what other processes took of the machine meanwhile, 0 .. 1
} Match;

// --- Turns

// The BLAS's threads are one setting for the whole process: nnc calls it with one, from its own
// pool.
static void use_library_threads(int threads) { openblas_set_num_threads(threads); }

static double step_compiled(Match *match) { return trainer_step(match->compiled); }

static double step_by_hand(Match *match) {
    return match->by_hand->run(match->by_hand, trainer_input(match->compiled, false),
                               trainer_input(match->compiled, true));
}

// The state's name of a parameter or of one of its moments.
static const char *state_name(const Match *match, const BaselineParameter *parameter, int moment) {
    if (moment < 0) return parameter->name;
    return arena_printf(match->by_hand->arena, "%s/%s", match->by_hand->moment_name[moment],
                        parameter->name);
}

// Both at step 0, with the parameters of nnc.
static void start(Match *match) {
    Baseline *by_hand = match->by_hand;
    trainer_start(match->compiled);
    by_hand->step = 0;
    for (int i = 0; i < by_hand->parameter_count; i++) {
        BaselineParameter *p = &by_hand->parameter[i];
        size_t bytes = sizeof(float) * (size_t)p->count;
        memcpy(p->value, trainer_tensor(match->compiled, p->name, p->count), bytes);
        for (int k = 0; k < MAX_MOMENTS; k++)
            if (p->moment[k]) memset(p->moment[k], 0, bytes);
    }
}

// --- Do they compute the same?

// The length of a - b, relative to that of b.
static double relative_difference(const float *a, const float *b, long long count) {
    double difference = 0, length = 0;
    for (long long i = 0; i < count; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        length += (double)b[i] * b[i];
    }
    return sqrt(difference) / (sqrt(length) + 1e-30);
}

// NaN is worse than any number.
static bool is_worse(double difference, double than) {
    return isnan(difference) || difference > than;
}

static void compare_state(Match *match) {
    const Baseline *by_hand = match->by_hand;
    for (int i = 0; i < by_hand->parameter_count; i++)
        for (int k = -1; k < MAX_MOMENTS; k++) {
            const BaselineParameter *p = &by_hand->parameter[i];
            const float *own = k < 0 ? p->value : p->moment[k];
            if (!own) continue;
            const char *name = state_name(match, p, k);
            double difference =
                relative_difference(trainer_tensor(match->compiled, name, p->count), own, p->count);
            if (!is_worse(difference, match->state_difference)) continue;
            match->state_difference = difference;
            match->worst = name;
        }
}

static bool compare(Match *match) {
    start(match);
    for (int i = 0; i < COMPARED_STEPS; i++) {
        use_library_threads(1);
        double compiled = step_compiled(match);
        use_library_threads(THREADS);
        double by_hand = step_by_hand(match), difference = fabs(compiled - by_hand) / by_hand;
        if (is_worse(difference, match->loss_difference)) match->loss_difference = difference;
    }
    compare_state(match);
    return match->loss_difference <= most_difference && match->state_difference <= most_difference;
}

// --- Rounds

// What comes first is not counted: caches fill, and the threads of the side before keep looking for
// work for some milliseconds before they go to sleep (OpenBLAS's for 2^26 ticks of the processor's
// clock).
static double measure(Match *match, double (*step)(Match *), int threads) {
    const double settling = 0.05; // seconds
    use_library_threads(threads);
    for (double start = clock_seconds(); clock_seconds() - start < settling;)
        step(match);
    double begin = clock_seconds();
    for (int i = 0; i < match->contest->steps; i++)
        step(match);
    double seconds = clock_seconds() - begin;
    int images = match->contest->counts_images ? match->by_hand->batch : 1;
    return images * match->contest->steps / seconds;
}

static void run_rounds(Match *match) {
    Busy before = busy_now();
    for (int round = 0; round < match->options.rounds; round++) {
        start(match);
        double compiled = measure(match, step_compiled, 1);
        double by_hand = measure(match, step_by_hand, THREADS);
        sample_add(&match->rate[0], compiled);
        sample_add(&match->rate[1], by_hand);
        sample_add(&match->ratio, compiled / by_hand);
    }
    match->others = busy_others(before, busy_now());
}

// --- Report

static void print_row(const char *name, const Samples *samples, int digits) {
    printf("  %-14s %10.*f %10.*f .. %.*f\n", name, digits, sample_median(samples), digits,
           sample_quantile(samples, 0.25), digits, sample_quantile(samples, 0.75));
}

static void print_table(const Match *match) {
    const NncProgram *program = &match->compiled->compiled->program;
    printf("%s of %s: batch %d, %d threads, %d rounds of %d steps\n", program->model, program->file,
           program->batch, THREADS, match->options.rounds, match->contest->steps);
    printf("  other processes took %.0f %% of the machine meanwhile\n", 100 * match->others);
    printf("  after %d steps they differ by %.1e in the loss, by %.1e in %s (relative)\n\n",
           COMPARED_STEPS, match->loss_difference, match->state_difference, match->worst);
    printf("  %-14s %10s  quartiles\n", "", match->contest->unit);
    print_row("nnc", &match->rate[0], 1);
    print_row("by hand", &match->rate[1], 1);
    print_row("nnc / by hand", &match->ratio, 3);
}

static void print_samples(const char *name, const Samples *samples) {
    printf(",\"%s\":{\"median\":%.4f,\"quartiles\":[%.4f,%.4f]}", name, sample_median(samples),
           sample_quantile(samples, 0.25), sample_quantile(samples, 0.75));
}

static void print_json(const Match *match, double floor) {
    const NncProgram *program = &match->compiled->compiled->program;
    printf("{\"benchmark\":\"%s\",\"unit\":\"%s\"", match->contest->name, match->contest->unit);
    print_json_number("batch", program->batch);
    print_json_number("threads", THREADS);
    print_json_number("rounds", match->options.rounds);
    print_json_number("steps", match->contest->steps);
    print_json_number("floor", floor);
    print_json_number("others", match->others);
    print_json_number("loss_difference", match->loss_difference);
    print_json_number("state_difference", match->state_difference);
    print_samples("nnc", &match->rate[0]);
    print_samples("by_hand", &match->rate[1]);
    print_samples("ratio", &match->ratio);
    printf("}\n");
}

static int judge(Match *match) {
    const Contest *contest = match->contest;
    double floor = limit_from_environment("NNC_BENCH_FLOOR", contest->floor);
    if (!compare(match)) {
        fprintf(stderr,
                "nnc and what is written by hand do not compute the same: they differ by %.1e in "
                "the loss, by %.1e in %s (relative; %.0e is allowed)\n",
                match->loss_difference, match->state_difference,
                match->worst ? match->worst : "nothing else", most_difference);
        return BENCH_FAILED;
    }
    run_rounds(match);
    if (match->options.json)
        print_json(match, floor);
    else
        print_table(match);
    fflush(stdout);
    if (contest->floor == 0 || sample_median(&match->rate[0]) >= floor) return BENCH_PASSED;
    fprintf(stderr, "nnc stays below %g %s\n", floor, contest->unit);
    warn_of_others(match->others);
    return BENCH_FAILED;
}

int contest_main(const Contest *contest, int argc, char **argv) {
    Match match = {.contest = contest, .options = options_from_line(argc, argv)};
    if (!match.options.rounds) match.options.rounds = contest->rounds;
    Arena *arena = arena_new();
    bool has_compiler = jit_find_compiler(arena) != NULL;
    arena_free(arena);
    if (!has_compiler) {
        printf("skipped: there is no C compiler\n");
        return BENCH_SKIPPED;
    }
    match.compiled = trainer_new(match.options.file, THREADS);
    if (!match.compiled) return BENCH_FAILED;
    const NncProgram *program = &match.compiled->compiled->program;
    match.by_hand = contest->by_hand(program->batch, (unsigned)program->seed);
    int status = judge(&match);
    baseline_free(match.by_hand);
    trainer_free(match.compiled);
    return status;
}
