// SPDX-License-Identifier: MIT
// A pool of threads for loops whose iterations are independent.
//
// A loop of `count` indices is cut at multiples of `grain`; thread t takes the t-th run of parts,
// and calls the kernel once a part. Which thread does what is fixed, and a kernel sees the same
// ranges with any number of threads, so the bits of a result cannot depend on that number.
//
// A training step posts some loops, a few microseconds apart: so a worker that is done looks for
// the next one for a moment (SPIN_NS) before it goes to sleep, and the poster waits for its workers
// alike, every now and then (LOOKS, a microsecond) leaving the processor to whom else it may be
// wanted by. While all look, a loop is posted and ended by one store each, into lines of the cache
// that nothing else is written to.
#include "nnc.h"
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { SPIN_NS = 100000, LOOKS = 20, POOL_MAX_THREADS = 1024, LINE = 64 };

typedef struct Worker {
    alignas(LINE) atomic_uint done; // jobs that it has finished
    NncPool *pool;
    pthread_t thread;
    int index; // 1 ..; the poster itself is thread 0
} Worker;

struct NncPool {
    // The job, written before `job` changes, which counts what was posted.
    alignas(LINE) atomic_uint job;
    int loops;
    const NncLoop *loop;
    const NncCtx *ctx;
    bool stop;

    alignas(LINE) atomic_int sleepers; // workers that may be in a wait on `posted`
    atomic_int waiting;                // 1: the poster may be in a wait on `finished`
    int threads;
    Worker *worker;
    pthread_mutex_t lock;
    pthread_cond_t posted, finished;
};

static long long parts_of(const NncLoop *loop) {
    return loop->count / loop->grain + (loop->count % loop->grain != 0);
}

// The first part that is thread t's or a later one's: those whose middle lies at or behind t of T
// equal shares of the total weight. `before`: the weight of the loops before this one.
static long long first_part(const NncLoop *loop, long long parts, double before, double total,
                            int thread, int threads) {
    double at = (total * thread / threads - before) / (double)loop->weight - 0.5;
    long long part = at <= 0 ? 0 : at >= (double)parts ? parts : (long long)at;
    return part + ((double)part < at && part < parts);
}

static void run_share(const NncCtx *ctx, const NncLoop *loop, int loops, int thread, int threads) {
    double total = 0, before = 0;
    for (int i = 0; i < loops; i++)
        total += (double)parts_of(&loop[i]) * (double)loop[i].weight;
    for (int i = 0; i < loops; i++, loop++) {
        long long parts = parts_of(loop);
        long long part = first_part(loop, parts, before, total, thread, threads);
        long long last = thread + 1 < threads
                             ? first_part(loop, parts, before, total, thread + 1, threads)
                             : parts;
        for (; part < last; part++) {
            long long low = part * loop->grain;
            loop->kernel(ctx, low,
                         loop->count - low < loop->grain ? loop->count : low + loop->grain, thread);
        }
        before += (double)parts * (double)loop->weight;
    }
}

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Looks whether `value` has become `wanted`, for a while.
static bool spin_until(atomic_uint *value, unsigned wanted) {
    long long limit = 0;
    for (;;) {
        for (int i = 0; i < LOOKS; i++) {
            if (atomic_load_explicit(value, memory_order_acquire) == wanted) return true;
            relax();
        }
        long long now = now_ns();
        if (limit == 0) limit = now + SPIN_NS;
        if (now > limit) return false;
        sched_yield(); // another thread of ours may wait for this processor
    }
}

// Both waits are the same: look for a while, then announce oneself as asleep, look again, sleep.
// The other side changes the value first and looks for sleepers second, so one of the two sees the
// other (both are sequentially consistent).
static void wait_for_job(NncPool *pool, unsigned wanted) {
    if (spin_until(&pool->job, wanted)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->job) != wanted)
        pthread_cond_wait(&pool->posted, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_worker(NncPool *pool, Worker *worker, unsigned wanted) {
    if (spin_until(&worker->done, wanted)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->waiting, 1);
    while (atomic_load(&worker->done) != wanted)
        pthread_cond_wait(&pool->finished, &pool->lock);
    atomic_store(&pool->waiting, 0);
    pthread_mutex_unlock(&pool->lock);
}

static unsigned post(NncPool *pool) {
    unsigned job = atomic_fetch_add(&pool->job, 1) + 1;
    if (atomic_load(&pool->sleepers) == 0) return job;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->posted);
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *work(void *argument) {
    Worker *self = argument;
    NncPool *pool = self->pool;
    nnc_floats_flush(); // for as long as the thread lives: it runs nothing else
    for (unsigned job = 1;; job++) {
        wait_for_job(pool, job);
        if (pool->stop) return NULL;
        run_share(pool->ctx, pool->loop, pool->loops, self->index, pool->threads);
        atomic_store(&self->done, job);
        if (!atomic_load(&pool->waiting)) continue;
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->finished);
        pthread_mutex_unlock(&pool->lock);
    }
}

void nnc_parallel_all(const NncCtx *ctx, const NncLoop *loop, int loops) {
    NncPool *pool = ctx->pool;
    if (!pool || pool->threads == 1) {
        run_share(ctx, loop, loops, 0, 1);
        return;
    }
    pool->ctx = ctx;
    pool->loop = loop;
    pool->loops = loops;
    unsigned job = post(pool);
    run_share(ctx, loop, loops, 0, pool->threads);
    for (int i = 1; i < pool->threads; i++)
        wait_for_worker(pool, &pool->worker[i], job);
}

void nnc_parallel(const NncCtx *ctx, NncKernel *kernel, long long count, long long grain) {
    NncLoop loop = {kernel, count, grain < 1 ? 1 : grain, 1};
    if (count <= loop.grain)
        run_share(ctx, &loop, 1, 0, 1);
    else
        nnc_parallel_all(ctx, &loop, 1);
}

static bool start_workers(NncPool *pool, int threads) {
    pool->threads = threads;
    for (int i = 1; i < threads; i++) {
        Worker *worker = &pool->worker[i];
        worker->pool = pool;
        worker->index = i;
        if (!pthread_create(&worker->thread, NULL, work, worker)) continue;
        pool->threads = i; // those that there are; none has had a job yet
        return false;
    }
    return true;
}

static void *new_lines(size_t bytes) { // zero, on cache lines of its own
    bytes = (bytes + LINE - 1) / LINE * LINE;
    char *memory = aligned_alloc(LINE, bytes);
    for (size_t i = 0; memory && i < bytes; i++)
        memory[i] = 0;
    return memory;
}

NncPool *nnc_pool_new(int threads) {
    if (threads < 1 || threads > POOL_MAX_THREADS) return NULL;
    NncPool *pool = new_lines(sizeof *pool);
    Worker *worker = new_lines((size_t)threads * sizeof *worker);
    if (!pool || !worker) {
        free(pool);
        free(worker);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->posted, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->worker = worker;
    if (start_workers(pool, threads)) return pool;
    nnc_pool_free(pool);
    return NULL;
}

void nnc_pool_free(NncPool *pool) {
    if (!pool) return;
    pool->stop = true;
    post(pool);
    for (int i = 1; i < pool->threads; i++)
        pthread_join(pool->worker[i].thread, NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->posted);
    pthread_mutex_destroy(&pool->lock);
    free(pool->worker);
    free(pool);
}

int nnc_pool_threads(const NncPool *pool) { return pool ? pool->threads : 1; }
