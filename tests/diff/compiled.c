// SPDX-License-Identifier: MIT
// Lays out a graph's arenas as compile() does, and moves values between them and the oracle's.
#include "compiled.h"
#include "pass/again.h"
#include "pass/layout.h"
#include "pass/lower.h"
#include "pass/simplify.h"
#include "pass/update.h"
#include "support/choice.h"
#include "support/hash.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static void place(Case *c, const char *name, BufferArena arena, const Node *node) {
    VEC_PUSH(c->arena, c->place, ((Placement){name, arena, c->bytes[arena]}));
    int64_t bytes = shape_eval(&node->shape, c->batch) * dtype_size(node->dtype);
    c->bytes[arena] += (bytes + NNC_ALIGN - 1) / NNC_ALIGN * NNC_ALIGN;
}

static void place_all(Case *c) {
    for (int id = 0; id < c->graph->node.count; id++) {
        const Node *node = c->graph->node.at[id];
        if (node->op == OP_input) place(c, node->attr->name, ARENA_INPUT, node);
        if (node->op == OP_state || node->op == OP_param)
            place(c, node->attr->name, ARENA_STATE, node);
        if (node->op == OP_hyper)
            VEC_PUSH(c->arena, c->module.hyper,
                     ((NncHyper){.name = node->attr->name, .value = node->attr->value}));
    }
    for (int i = 0; i < c->graph->root.count; i++)
        if (c->graph->root.at[i].kind == ROOT_OUTPUT)
            place(c, c->graph->root.at[i].name, ARENA_OUTPUT, c->graph->root.at[i].value);
}

static Fusion *fused(Case *c, double least, const Target *target) {
    const Graph *graph = lower(c->arena, simplify(c->arena, c->graph), c->batch, least, target);
    graph = simplify(c->arena, layout(c->arena, simplify(c->arena, graph)));
    graph = update(c->arena, graph, target);
    Planning how = {c->batch, target, c->place.at, c->place.count};
    if (c->again) graph = compute_again(c->arena, graph, &how, 1);
    return fuse(c->arena, graph, c->batch, target, c->place.at, c->place.count);
}

// What `nnc tune` might have kept: of each choice some candidate. Of algorithms first, since others
// make other products.
static const Target *with_any_choice(Case *c, double least, const Target *given) {
    Target *target = ARENA_NEW(c->arena, Target);
    Tuning *tuning = tuning_new(c->arena);
    *target = *given;
    target->tuning = tuning;
    for (ChoiceKind kind = 0; kind < CHOICE_KINDS; kind++) {
        const Fusion *fusion = fused(c, least, target);
        for (int k = 0; k < fusion->kernel.count; k++)
            for (int i = 0; i < fusion->kernel.at[k]->choice.count; i++) {
                const Choice *choice = fusion->kernel.at[k]->choice.at[i];
                uint64_t any = hash64(choice->site, strlen(choice->site)) + c->seed;
                const char *takes = choice->candidate[any % (uint64_t)choice->count].name;
                if (choice->kind == kind)
                    tuning_put(tuning, &(Tuned){.site = choice->site, .takes = takes});
            }
    }
    return target;
}

static const Target *with_dot2(Case *c, const Target *given) {
    Target *target = ARENA_NEW(c->arena, Target);
    *target = *given;
    target->dot2 = true;
    return target;
}

static const Target *gpu_of(Case *c, const Target *given) {
    Target *target = ARENA_NEW(c->arena, Target);
    *target = *given;
    target->tf32 = c->tf32;
    if (c->processors) target->processors = c->processors;
    return target;
}

static const Target *target_of(Case *c, JitTier tier) {
    const Target *gpu = target_cuda(c->march);
    if (gpu) return gpu_of(c, gpu);
    return c->separate       ? &target_baseline
           : tier == JIT_TCC ? &target_library
                             : target_find(c->march);
}

static void emit(Case *c, double least, JitTier tier) {
    Buf source = buf_new(c->arena);
    c->module = (Module){.model = "Random",
                         .source = source_from_text(c->arena, "random.nnd", ""),
                         .batch = (int)c->batch,
                         .precision = c->rounded ? DT_BF16 : DT_F32};
    place_all(c);
    const Target *target = target_of(c, tier);
    if (c->dot2) target = with_dot2(c, target);
    if (c->any_choice) target = with_any_choice(c, least, target);
    c->plan = plan_make(c->arena, fused(c, least, target), c->least_time);
    c->bytes[ARENA_WORK] = c->plan->work_bytes;
    c->bytes[ARENA_SCRATCH] = c->plan->scratch_bytes;
    emit_head(&source, &c->module, target);
    SharedFunctions shared = {.arena = c->arena};
    Buf kernels = buf_new(c->arena);
    emit_function(&kernels, &shared, &c->module, NNC_PREDICT, c->plan);
    shared_print(&source, &shared, ~0u);
    buf_add(&source, kernels.text);
    c->source = source.text;
}

void case_build(Case *c, double least, JitTier tier) {
    const char *error = NULL;
    emit(c, least, tier);
    if (c->plan->fusion->target->gpu) {
        cases_load_cuda(&c, 1);
        return;
    }
    c->jit = jit_load(c->arena, c->source, &(JitOptions){.tier = tier, .march = c->march}, &error);
    if (!c->jit) cr_skip_test("%s", error);
    c->run = (void (*)(NncCtx *))jit_function(c->jit, "nnc_run_predict");
    c->scalars = (void (*)(const double *, double, double, double, float *))jit_function(
        c->jit, "nnc_scalars_predict");
}

void cases_build(Case **c, int count, double least) {
    for (int i = 0; i < count; i++)
        emit(c[i], least, JIT_NATIVE);
    cases_load_cuda(c, count);
}

// Between the interpreter's row-major doubles for n examples and a buffer laid out for the batch.
static void transfer(const Case *c, const Node *node, int64_t n, double *value, char *buffer,
                     bool in) {
    int64_t count = shape_eval(&node->shape, n);
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i, at = 0, stride = 1;
        for (int axis = node->shape.rank - 1; axis >= 0; axis--) {
            int64_t extent = dim_eval(node->shape.dim[axis], n);
            at += rest % extent * stride;
            rest /= extent;
            stride *= dim_eval(node->shape.dim[axis], c->batch);
        }
        if (node->dtype == DT_F32)
            in ? (void)(((float *)buffer)[at] = (float)value[i])
               : (void)(value[i] = ((float *)buffer)[at]);
        else if (node->dtype == DT_I32)
            in ? (void)(((int *)buffer)[at] = (int)value[i])
               : (void)(value[i] = ((int *)buffer)[at]);
        else
            in ? (void)(buffer[at] = value[i] != 0) : (void)(value[i] = buffer[at]);
    }
}

static int64_t offset_of(const Case *c, const char *name, BufferArena arena) {
    for (int i = 0; i < c->place.count; i++)
        if (c->place.at[i].arena == arena && !strcmp(c->place.at[i].name, name))
            return c->place.at[i].offset;
    cr_assert_fail("%s is not placed", name);
    return 0;
}

enum { FENCE = 0x5a };

static int64_t aligned(int64_t bytes) { return (bytes + NNC_ALIGN - 1) / NNC_ALIGN * NNC_ALIGN; }

// With a line on either side in which nobody is to write.
static char *new_arena(Arena *arena, int64_t bytes) {
    char *memory = arena_alloc(arena, (size_t)aligned(bytes) + 3 * NNC_ALIGN);
    memory += 2 * NNC_ALIGN - (uintptr_t)memory % NNC_ALIGN;
    memset(memory - NNC_ALIGN, FENCE, (size_t)aligned(bytes) + 2 * NNC_ALIGN);
    memset(memory, 0x7f, (size_t)bytes); // what was not written is large
    return memory;
}

static void check_fences(const Case *c, int which, const char *memory, int64_t bytes) {
    for (int64_t i = 0; i < NNC_ALIGN; i++)
        cr_assert(memory[-1 - i] == FENCE && memory[aligned(bytes) + i] == FENCE,
                  "seed %d: arena %d of %d bytes is not enough", (int)c->seed, which, (int)bytes);
}

static void place_leaves(Case *c, int64_t n, const double *const *leaf, char *const *arena) {
    for (int id = 0; id < c->graph->node.count; id++) {
        const Node *node = c->graph->node.at[id];
        BufferArena where = node->op == OP_input ? ARENA_INPUT : ARENA_STATE;
        if (node->op == OP_input || node->op == OP_state || node->op == OP_param)
            transfer(c, node, n, (double *)leaf[id],
                     arena[where] + offset_of(c, node->attr->name, where), true);
    }
}

// What is prepared from parameters serves a later call on other examples, at another step, too.
static void prepare(Case *c, NncCtx *ctx, const double *const *leaf, char *const *arena,
                    void (*run)(NncCtx *)) {
    NncCtx other = *ctx;
    memset(arena[ARENA_INPUT], 0, (size_t)c->bytes[ARENA_INPUT]);
    other.n = c->batch;
    other.step++, other.seed_low++;
    run(&other);
    ctx->prepared = 1;
    static const BufferArena others[] = {ARENA_STATE, ARENA_INPUT, ARENA_OUTPUT};
    for (int i = 0; i < 3; i++)
        memset(arena[others[i]], 0x7f, (size_t)c->bytes[others[i]]);
    place_leaves(c, ctx->n, leaf, arena);
}

static NncCtx run(Case *c, int64_t n, const double *const *leaf, NncPool *pool, bool prepared) {
    char *arena[5];
    double hyper[64];
    int64_t bytes[5];
    for (int i = 0; i < 5; i++) {
        bytes[i] = c->bytes[i] * (i == ARENA_SCRATCH ? nnc_pool_threads(pool) : 1);
        arena[i] = new_arena(c->arena, bytes[i]);
    }
    place_leaves(c, n, leaf, arena);
    for (int i = 0; i < c->module.hyper.count; i++)
        hyper[i] = c->module.hyper.at[i].value;
    float *scalar = ARENA_ARRAY(c->arena, float, c->plan->fusion->scalar.count + 1);
    c->scalars(hyper, STEP, EPOCH, (double)n, scalar);
    NncCtx ctx = {.state = arena[ARENA_STATE],
                  .work = arena[ARENA_WORK],
                  .scratch = arena[ARENA_SCRATCH],
                  .scratch_bytes = c->bytes[ARENA_SCRATCH],
                  .input = arena[ARENA_INPUT],
                  .output = arena[ARENA_OUTPUT],
                  .scalar = scalar,
                  .n = n,
                  .seed_low = (unsigned)c->seed,
                  .seed_high = (unsigned)(c->seed >> 32),
                  .step = STEP,
                  .pool = pool};
    NncNow now = {0, ctx.seed_low, ctx.seed_high, ctx.step};
    NncFault fault = {0};
    ctx.now = &now, ctx.fault = &fault;
    unsigned long long floats = nnc_floats_flush();
    if (prepared) prepare(c, &ctx, leaf, arena, c->run);
    c->run(&ctx);
    nnc_floats_restore(floats);
    cr_assert_eq(fault.code, 0, "seed %d: error %d of %s", (int)c->seed, fault.code, fault.kernel);
    ctx.now = NULL, ctx.fault = NULL;
    for (int i = 0; i < 5; i++)
        check_fences(c, i, arena[i], bytes[i]);
    return ctx;
}

static bool agree(double oracle, double value, double scale, double tolerance) {
    if (isnan(oracle) || isnan(value)) return isnan(oracle) && isnan(value);
    if (fabs(oracle) > 1e30) return fabs(value) > 1e30 && (oracle > 0) == (value > 0);
    return oracle == value || fabs(oracle - value) <= tolerance * (scale + 1e-2);
}

static const char *graph_text(const Case *c) {
    Buf text = buf_new(c->arena);
    graph_print(&text, c->graph);
    buf_add(&text, "--- lowered\n");
    graph_print(&text, c->plan->fusion->graph);
    plan_print(&text, c->plan);
    buf_add(&text,
            strstr(c->source, c->plan->fusion->target->gpu ? "// --- predict" : "// --- unit"));
    return text.text;
}

// Of a root, for n examples; what lies behind those is nobody's.
static double *values(Case *c, const Root *root, int64_t n, const NncCtx *ctx) {
    bool out = root->kind == ROOT_OUTPUT;
    const char *name = out ? root->name : root->leaf->attr->name;
    double *value = ARENA_ARRAY(c->arena, double, shape_eval(&root->value->shape, n) + 1);
    transfer(c, root->value, n, value,
             (char *)(out ? ctx->output : ctx->state) +
                 offset_of(c, name, out ? ARENA_OUTPUT : ARENA_STATE),
             false);
    return value;
}

static void compare(Case *c, int64_t n, double **oracle, const NncCtx *ctx) {
    for (int i = 0; i < c->graph->root.count; i++) {
        const Root *root = &c->graph->root.at[i];
        const char *name = root->kind == ROOT_OUTPUT ? root->name : root->leaf->attr->name;
        int64_t count = shape_eval(&root->value->shape, n);
        double *value = values(c, root, n, ctx), scale = 0;
        for (int64_t k = 0; k < count; k++)
            if (isfinite(oracle[root->value->id][k]))
                scale = fmax(scale, fabs(oracle[root->value->id][k]));
        for (int64_t k = 0; k < count; k++)
            cr_assert(agree(oracle[root->value->id][k], value[k], scale, c->tolerance),
                      "seed %d, n = %d: %s[%d] is %.9g, should be %.9g\n%s", (int)c->seed, (int)n,
                      name, (int)k, value[k], oracle[root->value->id][k], graph_text(c));
    }
}

Case *case_new(Arena *arena, const Graph *graph, uint64_t seed) {
    Case *c = ARENA_NEW(arena, Case);
    c->arena = arena;
    c->graph = graph;
    c->seed = seed;
    c->batch = BATCH;
    c->march = "native";
    c->tolerance = 2e-4;
    c->least_time = seed % 4 ? 0 : WAKING_TIME;
    return c;
}

void case_check(Case *c, int64_t n, const double *const *leaf, NncPool *pool) {
    Interp with = {.n = n, .step = STEP, .epoch = EPOCH, .seed = c->seed, .leaf = leaf};
    double **oracle = graph_interpret(c->graph, &with, c->arena);
    NncCtx one = run(c, n, leaf, NULL, false);
    compare(c, n, oracle, &one);
    NncCtx two = run(c, n, leaf, pool, false);
    for (int i = 0; i < c->graph->root.count; i++) {
        const Root *root = &c->graph->root.at[i];
        size_t size = sizeof(double) * (size_t)shape_eval(&root->value->shape, n);
        cr_assert(!memcmp(values(c, root, n, &one), values(c, root, n, &two), size),
                  "seed %d: other bits from several threads\n%s", (int)c->seed, graph_text(c));
    }
    if (c->plan->root->child.count == 0 || !c->plan->root->child.at[0]->prepared) return;
    NncCtx later = run(c, n, leaf, pool, true);
    compare(c, n, oracle, &later);
}
