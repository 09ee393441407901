// SPDX-License-Identifier: MIT
// What it takes to share a loop out (runtime/pool.c), and whether it pays for the smallest steps.
//
//     bench_pool examples/simplenet.nnd
//
// First loops of one empty index for each thread, posted at once after the one before, after a
// pause in which workers still look for the next, and after one in which they have gone to sleep.
// Beside that stands what the plan takes it for: a level with less work than that runs on one
// thread. Then steps of the model on one thread and on several, in turns.
#include "cli/trainer.h"
#include "measure.h"
#include "pass/plan.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { LOOPS = 40, ROUNDS = 50, STEPS = 5 };

static const struct {
    const char *name;
    double pause; // seconds
} cases[] = {{"at once", 0}, {"after 20 us", 20e-6}, {"after 2 ms, asleep", 2e-3}};

enum { CASES = sizeof cases / sizeof *cases };

static void nothing(const NncCtx *ctx, long long low, long long high, int thread) {
    (void)ctx, (void)low, (void)high, (void)thread;
}

// Workers look for work meanwhile, or sleep.
static void pause_for(double seconds) {
    if (seconds >= 1e-3) {
        nanosleep(&(struct timespec){.tv_nsec = (long)(1e9 * seconds)}, NULL);
        return;
    }
    for (double start = clock_seconds(); seconds > 0 && clock_seconds() - start < seconds;)
        continue;
}

static double loop_seconds(const NncCtx *ctx, double pause) {
    double sum = 0;
    int threads = nnc_pool_threads(ctx->pool);
    if (pause == 0) {
        double begin = clock_seconds();
        for (int i = 0; i < LOOPS; i++)
            nnc_parallel(ctx, nothing, threads, 1);
        return (clock_seconds() - begin) / LOOPS;
    }
    int loops = pause < 1e-3 ? LOOPS : 2;
    for (int i = 0; i < loops; i++) {
        pause_for(pause);
        double begin = clock_seconds();
        nnc_parallel(ctx, nothing, threads, 1);
        sum += clock_seconds() - begin;
    }
    return sum / loops;
}

static void measure_loops(int threads, Samples sample[CASES]) {
    NncPool *pool = nnc_pool_new(threads);
    NncCtx ctx = {.pool = pool};
    for (int round = 0; pool && round < ROUNDS; round++)
        for (int i = 0; i < CASES; i++)
            sample_add(&sample[i], loop_seconds(&ctx, cases[i].pause));
    nnc_pool_free(pool);
}

static double step_seconds(Trainer *net) {
    pause_for(1e-3); // the other's workers go to sleep
    trainer_step(net);
    double begin = clock_seconds();
    for (int i = 0; i < STEPS; i++)
        trainer_step(net);
    return (clock_seconds() - begin) / STEPS;
}

// Seconds of the model's steps.
static bool measure_steps(const BenchOptions *options, int threads, Samples *one,
                          Samples *several) {
    Trainer *alone = trainer_new(options->file, 1), *shared = trainer_new(options->file, threads);
    int rounds = options->rounds ? options->rounds : 200;
    if (alone) trainer_start(alone);
    if (shared) trainer_start(shared);
    for (int i = 0; alone && shared && i < rounds; i++) {
        double a = step_seconds(alone), b = step_seconds(shared);
        sample_add(one, a), sample_add(several, b);
    }
    if (alone) trainer_free(alone);
    if (shared) trainer_free(shared);
    return one->count > 0;
}

static double speedup(const Samples *one, const Samples *several, double fraction) {
    return sample_quantile(one, fraction) / sample_quantile(several, fraction);
}

static void print_text(const Samples *sample, const Samples *one, const Samples *several,
                       int threads) {
    printf("%-28s %9s %9s   us a loop, %d threads\n", "", "median", "best tenth", threads);
    for (int i = 0; i < CASES; i++)
        printf("%-28s %9.2f %9.2f\n", cases[i].name, 1e6 * sample_median(&sample[i]),
               1e6 * sample_quantile(&sample[i], 0.1));
    printf("%-28s %9.2f\n\n", "the plan counts with", WAKING_TIME * 1e-3);
    printf("%-28s %9.2f %9.2f   us\n", "a step on one thread", 1e6 * sample_median(one),
           1e6 * sample_quantile(one, 0.1));
    printf("%-28s %9.2f %9.2f\n", "on several", 1e6 * sample_median(several),
           1e6 * sample_quantile(several, 0.1));
    printf("%-28s %9.2f %9.2f\n", "times as fast", speedup(one, several, 0.5),
           speedup(one, several, 0.1));
}

static void print_json(const Samples *sample, const Samples *one, const Samples *several,
                       int threads) {
    printf("{\"benchmark\":\"pool\",\"threads\":%d", threads);
    print_json_number("at_once_us", 1e6 * sample_median(&sample[0]));
    print_json_number("looking_us", 1e6 * sample_median(&sample[1]));
    print_json_number("asleep_us", 1e6 * sample_median(&sample[2]));
    print_json_number("planned_us", WAKING_TIME * 1e-3);
    print_json_number("step_us", 1e6 * sample_median(one));
    print_json_number("step_on_several_us", 1e6 * sample_median(several));
    print_json_number("speedup", speedup(one, several, 0.5));
    print_json_number("speedup_at_best", speedup(one, several, 0.1));
    printf("}\n");
}

int main(int argc, char **argv) {
    enum { THREADS = 2 };
    BenchOptions options = options_from_line(argc, argv);
    double least = limit_from_environment("NNC_BENCH_SPEEDUP", 1);
    Samples sample[CASES] = {0}, one = {0}, several = {0};
    Busy from = busy_now();
    measure_loops(THREADS, sample);
    if (!measure_steps(&options, THREADS, &one, &several)) return BENCH_SKIPPED;
    (options.json ? print_json : print_text)(sample, &one, &several, THREADS);
    if (speedup(&one, &several, 0.1) >= least) return BENCH_PASSED;
    fprintf(stderr, "two threads are slower than one\n");
    warn_of_others(busy_others(from, busy_now()));
    return BENCH_FAILED;
}
