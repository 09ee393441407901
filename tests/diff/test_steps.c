// SPDX-License-Identifier: MIT
// The first 20 training steps of the article's network: libtcc's code, the C compiler's and the
// oracle in double precision give the same losses and the same gradients. Each step of the oracle
// starts from the program's own float state and shares its ReLU masks (which flip at
// pre-activations near 0), so that rounding does not add up and what is compared is one step's
// arithmetic.
#include "compile.h"
#include "jit/jit.h"
#include "nnd/elab.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 20, BATCH = 2, MASKS = 8, THREADS = 2 };

static const char network[] = "nnd 1\n"
                              "model Net(classes = 10) {\n"
                              "  input  image: f32[N, 3, 32, 32]\n"
                              "  target label: index(classes)[N]\n"
                              "  logits = image\n"
                              "    |> conv2d(64, kernel = 3)  |> relu\n"
                              "    |> conv2d(128, kernel = 3) |> relu\n"
                              "    |> conv2d(128, kernel = 3) |> relu\n"
                              "    |> conv2d(64, kernel = 3)\n"
                              "    |> global_avg_pool\n"
                              "    |> linear(32) |> relu\n"
                              "    |> linear(classes) as head\n"
                              "  output logits\n"
                              "  loss   cross_entropy(logits, label)\n"
                              "}\n"
                              "data images { source = shapes() }\n"
                              "train Net on images { batch = 2; optimizer = adam(lr = 1e-3) }\n";

typedef struct Program {
    Jit *jit;
    char *state, *work, *output, *scratch;
    float loss[STEPS];
    char *before[STEPS]; // the state that each step started from
    char *masks[STEPS];  // the outputs of each step
} Program;

typedef struct Setting {
    Arena *arena;
    const Compiled *compiled;
    const Graph *graph;
    char *batch[STEPS];
    const Program *program; // whose steps the oracle follows
    double loss[STEPS];     // the oracle's
    double moment[STEPS];   // how far the mean gradient after the step is from the oracle's
    int next;
    pthread_mutex_t lock;
} Setting;

// --- Programs

static char *memory(Arena *arena, long long bytes) {
    char *at = arena_alloc(arena, (size_t)bytes + 2 * NNC_ALIGN);
    return at + (NNC_ALIGN - (uintptr_t)at % NNC_ALIGN);
}

static void call(const Setting *s, Program *program, NncFunctionKind kind, const char *input,
                 int step) {
    const char *name = function_name(kind);
    void (*run)(NncCtx *), (*scalars)(const double *, double, double, double, float *);
    *(void **)&run = jit_symbol(program->jit, arena_printf(s->arena, "nnc_run_%s", name));
    *(void **)&scalars = jit_symbol(program->jit, arena_printf(s->arena, "nnc_scalars_%s", name));
    double hyper[16];
    float scalar[64];
    for (int i = 0; i < s->compiled->program.hyper_count; i++)
        hyper[i] = s->compiled->program.hyper[i].value;
    scalars(hyper, step, 0, BATCH, scalar);
    NncCtx ctx = {.state = program->state,
                  .work = program->work,
                  .scratch = program->scratch,
                  .input = input,
                  .output = program->output,
                  .scalar = scalar,
                  .n = BATCH,
                  .seed_low = 1,
                  .step = (unsigned)step};
    run(&ctx);
}

static void train(Setting *s, Program *program, JitTier tier) {
    const NncProgram *table = &s->compiled->program;
    const NncFunction *function = &table->function[NNC_TRAIN];
    const char *error = NULL;
    program->jit = jit_load(s->arena, s->compiled->source, &(JitOptions){.tier = tier}, &error);
    if (!program->jit) cr_skip_test("%s", error);
    program->state = memory(s->arena, table->state_bytes);
    program->work = memory(s->arena, function->work_bytes + table->function[NNC_INIT].work_bytes);
    program->scratch = memory(s->arena, function->scratch_bytes);
    program->output = memory(s->arena, function->output_bytes);
    call(s, program, NNC_INIT, NULL, 0);
    for (int step = 0; step < STEPS; step++) {
        program->before[step] = memory(s->arena, table->state_bytes);
        program->masks[step] = memory(s->arena, function->output_bytes);
        memcpy(program->before[step], program->state, (size_t)table->state_bytes);
        call(s, program, NNC_TRAIN, s->batch[step], step);
        memcpy(program->masks[step], program->output, (size_t)function->output_bytes);
        program->loss[step] = *(float *)(program->output + function->output[0].offset);
    }
}

// Ten kinds of images that differ in their mean and in where they are bright, with noise.
static void make_batches(Setting *s) {
    uint64_t random = 1;
    for (int step = 0; step < STEPS; step++) {
        s->batch[step] = memory(s->arena, s->compiled->program.input_bytes);
        for (int c = 0; c < s->compiled->program.input_count; c++) {
            const NncColumn *column = &s->compiled->program.input[c];
            int count = column->is_target ? BATCH : BATCH * 3 * 32 * 32;
            for (int i = 0; i < count; i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                int label = (step * 7 + (column->is_target ? i : i / 3072) * 3) % 10;
                if (column->is_target)
                    ((int *)(s->batch[step] + column->offset))[i] = label;
                else
                    ((float *)(s->batch[step] + column->offset))[i] =
                        (float)(random >> 40) * 0x1p-25f + (float)((i / 32 + label) % 10) * 0.05f;
            }
        }
    }
}

// --- The oracle

static double *widen(Arena *arena, const Node *node, const char *from) {
    int64_t count = shape_eval(&node->shape, BATCH);
    double *value = ARENA_ARRAY(arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        value[i] = node->dtype == DT_F32   ? ((const float *)from)[i]
                   : node->dtype == DT_I32 ? ((const int *)from)[i]
                                           : from[i];
    return value;
}

// Where the program keeps a state leaf: at its first tensor.
static long long leaf_offset(const Setting *s, const char *name) {
    for (int i = 0; i < s->compiled->module->tensor.count; i++)
        if (!strcmp(s->compiled->module->tensor.at[i].leaf, name))
            return s->compiled->program.tensor[i].offset -
                   4 * s->compiled->module->tensor.at[i].offset;
    cr_assert_fail("no tensor lies in %s", name);
    return 0;
}

// The mean gradients of Adam after a step, the oracle's beside those that the program's next step
// starts from: the largest difference, as a part of the largest value.
static double moment_difference(const Setting *s, int step, double *const *value) {
    Arena *arena = arena_new();
    double worst = 0, scale = 0;
    for (int i = 0; i < s->graph->root.count && step + 1 < STEPS; i++) {
        const Root *root = &s->graph->root.at[i];
        if (root->kind != ROOT_STATE || strcmp(root->name, "adam.m") != 0) continue;
        const char *got = s->program->before[step + 1] + leaf_offset(s, root->leaf->attr->name);
        const double *want = value[root->value->id], *have = widen(arena, root->value, got);
        for (int64_t k = 0; k < shape_eval(&root->value->shape, BATCH); k++) {
            worst = fmax(worst, fabs(have[k] - want[k]));
            scale = fmax(scale, fabs(want[k]));
        }
    }
    cr_assert(step + 1 == STEPS || scale > 0, "the program has no moments");
    arena_free(arena);
    return step + 1 < STEPS ? worst / scale : 0;
}

static void oracle_step(Setting *s, int step) {
    Arena *arena = arena_new();
    const double **leaf = ARENA_ARRAY(arena, const double *, s->graph->node.count);
    const double **imposed = ARENA_ARRAY(arena, const double *, s->graph->node.count);
    const NncProgram *table = &s->compiled->program;
    for (int id = 0; id < s->graph->node.count; id++) {
        const Node *node = s->graph->node.at[id];
        if (node->op == OP_state)
            leaf[id] =
                widen(arena, node, s->program->before[step] + leaf_offset(s, node->attr->name));
        for (int c = 0; node->op == OP_input && c < table->input_count; c++)
            if (!strcmp(table->input[c].name, node->attr->name))
                leaf[id] = widen(arena, node, s->batch[step] + table->input[c].offset);
    }
    const Node *loss = NULL;
    for (int i = 0, output = 0; i < s->graph->root.count; i++) {
        const Root *root = &s->graph->root.at[i];
        if (root->kind != ROOT_OUTPUT) continue;
        long long offset = table->function[NNC_TRAIN].output[output++].offset;
        if (!strcmp(root->name, "loss"))
            loss = root->value;
        else
            imposed[root->value->id] = widen(arena, root->value, s->program->masks[step] + offset);
    }
    Interp with = {.n = BATCH, .step = step, .seed = 1, .leaf = leaf, .imposed = imposed};
    double **value = graph_interpret(s->graph, &with, arena);
    s->loss[step] = value[loss->id][0];
    s->moment[step] = moment_difference(s, step, value);
    arena_free(arena);
}

static void *oracle_thread(void *setting) {
    Setting *s = setting;
    for (;;) {
        pthread_mutex_lock(&s->lock);
        int step = s->next++;
        pthread_mutex_unlock(&s->lock);
        if (step >= STEPS) return NULL;
        oracle_step(s, step);
    }
}

static void follow(Setting *s, const Program *program, const char *name) {
    pthread_t thread[THREADS];
    s->program = program;
    s->next = 0;
    for (int i = 0; i < THREADS; i++)
        cr_assert(pthread_create(&thread[i], NULL, oracle_thread, s) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int step = 0; step < STEPS; step++) {
        cr_assert(fabs(s->loss[step] - program->loss[step]) <= 1e-4 * fabs(s->loss[step]),
                  "step %d: %s has loss %.9g, the oracle %.9g", step, name, program->loss[step],
                  s->loss[step]);
        cr_assert(s->moment[step] <= 1e-4, "step %d: gradients of %s are off by %.1e", step, name,
                  s->moment[step]);
    }
}

// --- The test

static void add_masks(Module *module) {
    Graph *graph = module->graph[NNC_TRAIN];
    int masks = 0;
    for (int id = 0, count = graph->node.count; id < count; id++)
        if (graph->node.at[id]->op == OP_eq && graph->node.at[id]->in[0]->dtype == DT_F32)
            graph_add_root(graph, ROOT_OUTPUT, arena_printf(graph->arena, "mask%d", masks++), NULL,
                           graph->node.at[id]);
    cr_assert(masks == 4, "four ReLUs have %d masks", masks);
}

Test(steps, losses_agree, .timeout = 600) {
    Setting s = {.arena = arena_new(), .lock = PTHREAD_MUTEX_INITIALIZER};
    Program native = {0}, tcc = {0};
    Diag *diag = diag_new(s.arena);
    File *file = nnd_parse(s.arena, source_from_text(s.arena, "steps.nnd", network), diag);
    Module *module = nnd_elaborate(s.arena, file, &(ElabOptions){.batch = BATCH}, diag);
    cr_assert(module, "%s", diag_text(diag, s.arena));
    add_masks(module);
    s.graph = module->graph[NNC_TRAIN];
    s.compiled = compile(s.arena, module, &target_library, diag);
    make_batches(&s);
    train(&s, &tcc, JIT_TCC);
    train(&s, &native, JIT_NATIVE);
    bool same = true;
    for (int step = 0; step < STEPS; step++) {
        cr_assert(fabsf(native.loss[step] - tcc.loss[step]) <= 1e-4f * fabsf(tcc.loss[step]),
                  "step %d: %.9g and %.9g", step, native.loss[step], tcc.loss[step]);
        same &=
            !memcmp(native.before[step], tcc.before[step], (size_t)s.compiled->program.state_bytes);
    }
    follow(&s, &native, "native");
    if (!same) follow(&s, &tcc, "tcc"); // else it is the same program
    jit_free(native.jit);
    jit_free(tcc.jit);
    arena_free(s.arena);
}
