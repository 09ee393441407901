// SPDX-License-Identifier: MIT
// Kernels timed: see profile.h. The plan is walked as the emitted function walks it, with a clock
// around every call.
#include "cli/profile.h"

#include <string.h>
#include <time.h>

typedef struct Walk {
    NncCtx ctx; // first: what the pool hands to run_part is this
    Profile *profile;
    NncKernel **call;       // by kernel id
    const PlanNode *region; // a PAR that the pool runs
    ProfileClock clock;
    int kernels, threads;
    double *spent; // [threads][kernels]: seconds in the region
    double *total; // by kernel id: seconds in this run
} Walk;

static double *spent_by(const Walk *walk, int thread) {
    return walk->spent + (size_t)thread * (size_t)(walk->kernels + NNC_ALIGN / 8);
}

static double thread_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double read_clock(const Walk *walk) {
    return walk->clock == PROFILE_WORK ? thread_seconds() : clock_seconds();
}

static void call_kernel(const Walk *walk, const PlanNode *call, int64_t low, int64_t high,
                        int thread) {
    double begin = read_clock(walk);
    walk->call[call->kernel->id](&walk->ctx, low, high, thread);
    spent_by(walk, thread)[call->kernel->id] += read_clock(walk) - begin;
}

static void run_part(const NncCtx *ctx, long long low, long long high, int thread) {
    const Walk *walk = (const Walk *)(const void *)ctx;
    for (int i = 0; i < walk->region->child.count; i++) {
        const PlanNode *call = walk->region->child.at[i];
        call_kernel(walk, call, low * call->unit, high * call->unit, thread);
    }
}

// The time from its start to its end, dealt out by what its kernels took of all threads' time.
static void run_region(Walk *walk, const PlanNode *node) {
    int64_t count = dim_eval(node->count, walk->ctx.n);
    size_t bytes = sizeof(double) * (size_t)walk->kernels;
    for (int t = 0; t < walk->threads; t++)
        memset(spent_by(walk, t), 0, bytes);
    walk->region = node;
    double begin = clock_seconds(), sum = 0;
    if (node->kind == PLAN_CALL)
        call_kernel(walk, node, 0, count, 0);
    else
        nnc_parallel(&walk->ctx, run_part, count, node->grain);
    double seconds = clock_seconds() - begin;
    for (int t = 0; t < walk->threads; t++)
        for (int k = 0; k < walk->kernels; k++)
            sum += spent_by(walk, t)[k];
    if (walk->clock == PROFILE_WORK) seconds = sum;
    for (int t = 0; t < walk->threads && sum > 0; t++)
        for (int k = 0; k < walk->kernels; k++)
            walk->total[k] += seconds * spent_by(walk, t)[k] / sum;
}

// Loops that the step shares out together run one after the other here: each has a time of its own.
static void run_plan(Walk *walk, const PlanNode *node) {
    if (node->kind == PLAN_PAR || node->kind == PLAN_CALL) {
        run_region(walk, node);
        return;
    }
    for (int i = 0; i < node->child.count; i++)
        run_plan(walk, node->child.at[i]);
}

static void find_kernels(Walk *walk, const Trainer *net, NncFunctionKind function) {
    Arena *arena = net->settings.arena;
    const Fusion *fusion = walk->profile->plan->fusion;
    walk->call = ARENA_ARRAY(arena, NncKernel *, walk->kernels + 1);
    for (int i = 0; i < walk->kernels; i++) {
        const char *symbol =
            arena_printf(arena, "%s_%s", function_name(function), fusion->kernel.at[i]->name);
        walk->call[i] = (NncKernel *)jit_function(net->jit, symbol);
        if (!walk->call[i]) bug("emitted C has no kernel %s", symbol);
    }
}

static Walk walk_new(Trainer *net, NncFunctionKind function, Profile *profile) {
    Arena *arena = net->settings.arena;
    Walk walk = {.profile = profile,
                 .kernels = profile->plan->fusion->kernel.count,
                 .threads = nnc_pool_threads(net->session.pool)};
    walk.total = ARENA_ARRAY(arena, double, walk.kernels + 1);
    walk.spent = ARENA_ARRAY(arena, double, walk.threads *(walk.kernels + NNC_ALIGN / 8));
    find_kernels(&walk, net, function);
    return walk;
}

static void time_kernels(Walk *walk, Trainer *net, NncFunctionKind function) {
    walk->ctx =
        nnc_session_ctx(&net->session, function, net->batch, trainer_examples(net, function));
    memset(walk->total, 0, sizeof(double) * (size_t)walk->kernels);
    unsigned long long floats = nnc_floats_flush();
    run_plan(walk, walk->profile->plan->root);
    nnc_floats_restore(floats);
    net->session.checkpoint.at.step += function == NNC_TRAIN;
    for (int k = 0; k < walk->kernels; k++)
        sample_add(&walk->profile->kernel[k], walk->total[k]);
}

// What a part moves stays in its thread's cache for the group's next kernel; alone, a kernel's
// bytes were written and will be read by others.
static void find_reach(Profile *profile, const PlanNode *node, const PlanNode *around,
                       int threads) {
    for (int i = 0; i < node->child.count; i++)
        find_reach(profile, node->child.at[i], node, threads);
    if (node->kind != PLAN_CALL) return;
    double *reach = &profile->reach[node->kernel->id];
    *reach = profile->cost[node->kernel->id].bytes;
    if (around->kind != PLAN_PAR || around->child.count == 1) return;
    double parts =
        (double)dim_eval(around->count, profile->plan->fusion->batch) / (double)around->grain;
    if (parts > threads) *reach *= threads / parts;
}

Profile *profile_new(Trainer *net, NncFunctionKind function, ProfileClock clock) {
    enum { WARM_UP = 2 };
    Arena *arena = net->settings.arena;
    Profile *profile = ARENA_NEW(arena, Profile);
    profile->net = net;
    profile->function = function;
    profile->plan = net->compiled->plan[function];
    const Fusion *fusion = profile->plan->fusion;
    profile->kernel = ARENA_ARRAY(arena, Samples, fusion->kernel.count + 1);
    profile->cost = ARENA_ARRAY(arena, Cost, fusion->kernel.count + 1);
    profile->reach = ARENA_ARRAY(arena, double, fusion->kernel.count + 1);
    for (int k = 0; k < fusion->kernel.count; k++)
        profile->cost[k] = kernel_cost(arena, fusion, fusion->kernel.at[k]);
    profile->walk = ARENA_NEW(arena, Walk);
    *profile->walk = walk_new(net, function, profile);
    profile->walk->clock = clock;
    find_reach(profile, profile->plan->root, profile->plan->root, profile->walk->threads);
    trainer_start(net);
    for (int i = 0; i < WARM_UP; i++)
        trainer_run(net, function);
    return profile;
}

void profile_go_on(Profile *profile, double seconds, int least, int most) {
    double start = clock_seconds();
    for (int i = 0; i < most && (i < least || clock_seconds() - start < seconds); i++) {
        double begin = clock_seconds();
        trainer_run(profile->net, profile->function);
        sample_add(&profile->whole, clock_seconds() - begin);
        time_kernels(profile->walk, profile->net, profile->function);
    }
}

Profile *profile_run(Trainer *net, NncFunctionKind function, double seconds) {
    Profile *profile = profile_new(net, function, PROFILE_TIME);
    profile_go_on(profile, seconds, 5, MAX_SAMPLES);
    return profile;
}
