// SPDX-License-Identifier: MIT
// A pool of threads for loops whose iterations are independent.
//
// A loop of `count` indices is cut at multiples of `grain`; thread t takes the t-th run of parts,
// and calls the kernel once a part. Which thread does what is fixed, and a kernel sees the same
// ranges with any number of threads, so the bits of a result cannot depend on that number.
//
// A training step posts some dozens of loops, a few microseconds apart: so a worker that is done
// looks for the next loop for a moment (SPIN_NS) before it goes to sleep, and the poster waits for
// its workers alike.
#include "nnc.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { SPIN_NS = 50000, POOL_MAX_THREADS = 1024 };

typedef struct Worker {
    NncPool *pool;
    pthread_t thread;
    int index; // 1 ..; the poster itself is thread 0
} Worker;

struct NncPool {
    int threads;
    Worker *worker;
    pthread_mutex_t lock;
    pthread_cond_t posted, finished;

    atomic_uint job;       // counts what was posted; a worker waits for it to change
    atomic_int unfinished; // workers still at the job
    atomic_int sleepers;   // workers that may be in a wait on `posted`
    atomic_int waiting;    // 1: the poster may be in a wait on `finished`

    // The job, written before `job` changes.
    bool stop;
    const NncCtx *ctx;
    NncKernel *kernel;
    long long count, grain;
};

static void run_share(NncKernel *kernel, const NncCtx *ctx, long long count, long long grain,
                      int thread, int threads) {
    long long parts = count / grain + (count % grain != 0);
    long long last = parts * (thread + 1) / threads;
    for (long long part = parts * thread / threads; part < last; part++) {
        long long low = part * grain;
        kernel(ctx, low, count - low < grain ? count : low + grain, thread);
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

// Both waits are the same: look for a while, then announce oneself as asleep, look again, sleep.
// The other side changes the value first and looks for sleepers second, so one of the two sees the
// other (both are sequentially consistent).
static bool spin_until_changed(atomic_uint *value, unsigned old) {
    for (long long limit = now_ns() + SPIN_NS;;) {
        for (int i = 0; i < 64; i++) {
            if (atomic_load(value) != old) return true;
            relax();
        }
        if (now_ns() > limit) return false;
        sched_yield(); // another thread of ours may wait for this processor
    }
}

static bool spin_until_zero(atomic_int *value) {
    for (long long limit = now_ns() + SPIN_NS;;) {
        for (int i = 0; i < 64; i++) {
            if (atomic_load(value) == 0) return true;
            relax();
        }
        if (now_ns() > limit) return false;
        sched_yield(); // another thread of ours may wait for this processor
    }
}

static void wait_for_job(NncPool *pool, unsigned seen) {
    if (spin_until_changed(&pool->job, seen)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->job) == seen)
        pthread_cond_wait(&pool->posted, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_workers(NncPool *pool) {
    if (spin_until_zero(&pool->unfinished)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->waiting, 1);
    while (atomic_load(&pool->unfinished) != 0)
        pthread_cond_wait(&pool->finished, &pool->lock);
    atomic_store(&pool->waiting, 0);
    pthread_mutex_unlock(&pool->lock);
}

static void post(NncPool *pool) {
    atomic_store(&pool->unfinished, pool->threads - 1);
    atomic_fetch_add(&pool->job, 1);
    if (atomic_load(&pool->sleepers) == 0) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->posted);
    pthread_mutex_unlock(&pool->lock);
}

static void *work(void *argument) {
    Worker *self = argument;
    NncPool *pool = self->pool;
    for (unsigned seen = 0;; seen++) {
        wait_for_job(pool, seen);
        if (pool->stop) return NULL;
        run_share(pool->kernel, pool->ctx, pool->count, pool->grain, self->index, pool->threads);
        if (atomic_fetch_sub(&pool->unfinished, 1) == 1 && atomic_load(&pool->waiting)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->finished);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

void nnc_parallel(const NncCtx *ctx, NncKernel *kernel, long long count, long long grain) {
    NncPool *pool = ctx->pool;
    if (grain < 1) grain = 1;
    if (!pool || pool->threads == 1 || count <= grain) {
        run_share(kernel, ctx, count, grain, 0, 1);
        return;
    }
    pool->ctx = ctx;
    pool->kernel = kernel;
    pool->count = count;
    pool->grain = grain;
    post(pool);
    run_share(kernel, ctx, count, grain, 0, pool->threads);
    wait_for_workers(pool);
}

NncPool *nnc_pool_new(int threads) {
    if (threads < 1 || threads > POOL_MAX_THREADS) return NULL;
    NncPool *pool = calloc(1, sizeof *pool);
    Worker *worker = calloc((size_t)threads, sizeof *worker);
    if (!pool || !worker) {
        free(pool);
        free(worker);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->posted, NULL);
    pthread_cond_init(&pool->finished, NULL);
    pool->worker = worker;
    pool->threads = threads;
    for (int i = 1; i < threads; i++) {
        worker[i] = (Worker){.pool = pool, .index = i};
        if (pthread_create(&worker[i].thread, NULL, work, &worker[i])) {
            pool->threads = i; // those that there are; none has had a job yet
            nnc_pool_free(pool);
            return NULL;
        }
    }
    return pool;
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
