// SPDX-License-Identifier: MIT
// The pool of threads: every index once, in the same parts, whatever the number of threads.
#include "nnc.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 4000 };

typedef struct Record { // where a kernel writes what it was called with
    int calls[MOST];
    int part_start[MOST];
    int thread[MOST];
} Record;

static void record(const NncCtx *ctx, long long low, long long high, int thread) {
    Record *to = (Record *)ctx->work;
    to->part_start[low] = (int)(high - low);
    for (long long i = low; i < high; i++) {
        to->calls[i]++;
        to->thread[i] = thread;
    }
}

enum { HIGH = 2000 };

static void record_high(const NncCtx *ctx, long long low, long long high, int thread) {
    record(ctx, HIGH + low, HIGH + high, thread);
}

static Record *run(NncPool *pool, long long count, long long grain) {
    static Record result;
    memset(&result, 0, sizeof result);
    NncCtx ctx = {.work = (char *)&result, .pool = pool};
    nnc_parallel(&ctx, record, count, grain);
    return &result;
}

static const long long counts[] = {0, 1, 2, 3, 7, 16, 17, 100, 999, MOST};
static const long long grains[] = {1, 2, 3, 8, 64, 5000};

Test(rt_pool, every_index_is_done_once_and_the_parts_do_not_depend_on_threads) {
    for (int threads = 1; threads <= 5; threads++) {
        NncPool *pool = nnc_pool_new(threads);
        cr_assert_eq(nnc_pool_threads(pool), threads);
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
            for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++) {
                const Record *result = run(pool, counts[c], grains[g]);
                for (long long i = 0; i < counts[c]; i++) {
                    long long left = counts[c] - i;
                    long long expected = i % grains[g] ? 0 : left < grains[g] ? left : grains[g];
                    cr_assert_eq(result->calls[i], 1, "%lld of %lld", i, counts[c]);
                    cr_assert_eq(result->part_start[i], expected);
                    cr_assert(result->thread[i] >= 0 && result->thread[i] < threads);
                }
            }
        nnc_pool_free(pool);
    }
}

Test(rt_pool, the_work_is_shared_evenly_and_in_order) {
    NncPool *pool = nnc_pool_new(4);
    const Record *result = run(pool, 100, 5);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(result->thread[i], i / 25);
    nnc_pool_free(pool);
}

Test(rt_pool, no_pool_is_one_thread) {
    const Record *result = run(NULL, 100, 7);
    for (int i = 0; i < 100; i++)
        cr_assert(result->calls[i] == 1 && result->thread[i] == 0);
    cr_assert_eq(nnc_pool_threads(NULL), 1);
}

#if defined(__x86_64__) || defined(__aarch64__)
static volatile float small = 1e-20f;
static float small_squared(void) { return small * small; } // below the least normal number

static void square(const NncCtx *ctx, long long low, long long high, int thread) {
    (void)thread;
    for (long long i = low; i < high; i++)
        ((float *)(void *)ctx->work)[i] = small_squared();
}

Test(rt_pool, all_threads_take_what_is_too_small_for_zero) {
    float result[100];
    memset(result, 1, sizeof result);
    NncCtx ctx = {.work = (char *)result, .pool = nnc_pool_new(4)};
    unsigned long long before = nnc_floats_flush();
    nnc_parallel(&ctx, square, 100, 1);
    nnc_floats_restore(before);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(result[i], 0, "%d", i);
    cr_assert_gt(small_squared(), 0, "the caller's floats are as they were");
    nnc_pool_free(ctx.pool);
}
#endif

static void add_one(const NncCtx *ctx, long long low, long long high, int thread) {
    (void)thread;
    int *counter = (int *)ctx->work;
    for (long long i = low; i < high; i++)
        counter[i]++;
}

// Loops posted in quick succession, and after pauses that let the workers fall asleep.
Test(rt_pool, loops_in_quick_succession_and_after_pauses) {
    enum { WIDTH = 64, LOOPS = 5000, PAUSES = 50 };
    int counter[WIDTH] = {0};
    NncPool *pool = nnc_pool_new(3);
    NncCtx ctx = {.work = (char *)counter, .pool = pool};
    for (int i = 0; i < LOOPS; i++)
        nnc_parallel(&ctx, add_one, WIDTH, 1);
    for (int i = 0; i < PAUSES; i++) {
        usleep(i % 2 ? 1000 : 60);
        nnc_parallel(&ctx, add_one, WIDTH, 1);
    }
    for (int i = 0; i < WIDTH; i++)
        cr_assert_eq(counter[i], LOOPS + PAUSES);
    nnc_pool_free(pool);
}

// Loops shared out together: each index of each once, cut where it is cut alone, and thread 0 does
// half of the weight, not half of the parts.
Test(rt_pool, several_loops_are_shared_out_by_weight) {
    for (int threads = 1; threads <= 4; threads++) {
        static Record result;
        memset(&result, 0, sizeof result);
        NncPool *pool = nnc_pool_new(threads);
        NncCtx ctx = {.work = (char *)&result, .pool = pool};
        const NncLoop loop[] = {{add_one, 0, 4, 7}, {record, 10, 1, 30}, {record_high, 600, 7, 1}};
        nnc_parallel_all(&ctx, loop, 3);
        for (int i = 0; i < 10; i++)
            cr_assert(result.calls[i] == 1 && result.part_start[i] == 1);
        for (int i = 0; i < 600; i++) {
            cr_assert_eq(result.calls[HIGH + i], 1);
            cr_assert_eq(result.part_start[HIGH + i], i % 7 ? 0 : i < 595 ? 7 : 5);
        }
        int first = 0; // weight of what thread 0 does, of 300 + 86
        for (int i = 0; i < 10; i++)
            first += result.thread[i] == 0 ? 30 : 0;
        for (int i = 0; i < 600; i += 7)
            first += result.thread[HIGH + i] == 0;
        cr_assert(abs(first - 386 / threads) <= 15, "%d threads: %d", threads, first);
        nnc_pool_free(pool);
    }
}

Test(rt_pool, a_number_of_threads_that_cannot_be_is_refused) {
    cr_assert_null(nnc_pool_new(0));
    cr_assert_null(nnc_pool_new(-3));
    cr_assert_null(nnc_pool_new(1 << 20));
    nnc_pool_free(NULL);
}
