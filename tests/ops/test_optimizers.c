// SPDX-License-Identifier: MIT
// The library's optimizers, step by step, against references that are written here from the
// formulas of their papers. A model with the loss sum(slope * p) has the gradient `slope`, a column
// of its batch: so each step gets a gradient that is known exactly, among them zeros and sparse
// ones. The interpreter follows the reference to 1e-12, compiled code to float's precision.
#include "compile.h"
#include "jit/jit.h"
#include "nnd/elab.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { WEIGHTS = 5, BIASES = 3, COUNT = WEIGHTS + BIASES, STEPS = 60 };

// --- The references: one element, its gradient, the number of the step from 1

typedef struct Setting {
    double lr, gamma, rho, beta1, beta2, epsilon, decay;
} Setting;

typedef struct Element {
    double p;
    double m, v, u; // what an optimizer keeps of it
    double product; // of Nadam's mu
} Element;

typedef void Reference(const Setting *s, int t, double g, Element *e);

static void sgd(const Setting *s, int t, double g, Element *e) {
    (void)t;
    e->p -= s->lr * (g + s->decay * e->p);
}

static void momentum(const Setting *s, int t, double g, Element *e) {
    (void)t;
    e->v = s->gamma * e->v + s->lr * (g + s->decay * e->p);
    e->p -= e->v;
}

static void sgdm(const Setting *s, int t, double g, Element *e) {
    (void)t;
    e->v = s->gamma * e->v + g + s->decay * e->p;
    e->p -= s->lr * e->v;
}

// Sutskever et al. (2013): v = gamma v - lr * gradient at theta + gamma v; theta += v. What is kept
// as the parameter is the place where the gradient is taken, theta + gamma v.
static void nesterov(const Setting *s, int t, double g, Element *e) {
    (void)t;
    double theta = e->p - s->gamma * e->v;
    e->v = s->gamma * e->v - s->lr * (g + s->decay * e->p);
    theta += e->v;
    e->p = theta + s->gamma * e->v;
}

static void adagrad(const Setting *s, int t, double g, Element *e) {
    (void)t;
    g += s->decay * e->p;
    e->v += g * g;
    e->p -= s->lr / (sqrt(e->v) + s->epsilon) * g;
}

static void adadelta(const Setting *s, int t, double g, Element *e) {
    (void)t;
    g += s->decay * e->p;
    e->v = s->rho * e->v + (1 - s->rho) * g * g;
    double change = -sqrt(e->u + s->epsilon) / sqrt(e->v + s->epsilon) * g;
    e->u = s->rho * e->u + (1 - s->rho) * change * change;
    e->p += s->lr * change;
}

static void rmsprop(const Setting *s, int t, double g, Element *e) {
    (void)t;
    g += s->decay * e->p;
    e->v = s->rho * e->v + (1 - s->rho) * g * g;
    e->p -= s->lr * g / (sqrt(e->v) + s->epsilon);
}

static void moments(const Setting *s, double g, Element *e) {
    e->m = s->beta1 * e->m + (1 - s->beta1) * g;
    e->v = s->beta2 * e->v + (1 - s->beta2) * g * g;
}

static double adam_step(const Setting *s, int t, const Element *e) {
    double m = e->m / (1 - pow(s->beta1, t)), v = e->v / (1 - pow(s->beta2, t));
    return s->lr * m / (sqrt(v) + s->epsilon);
}

static void adam(const Setting *s, int t, double g, Element *e) {
    moments(s, g + s->decay * e->p, e);
    e->p -= adam_step(s, t, e);
}

static void adamw(const Setting *s, int t, double g, Element *e) {
    moments(s, g, e);
    e->p = (1 - s->lr * s->decay) * e->p - adam_step(s, t, e);
}

static void adamax(const Setting *s, int t, double g, Element *e) {
    g += s->decay * e->p;
    e->m = s->beta1 * e->m + (1 - s->beta1) * g;
    e->u = fmax(s->beta2 * e->u, fabs(g));
    if (e->u > 0) e->p -= s->lr / (1 - pow(s->beta1, t)) * e->m / e->u;
}

static double nadam_mu(const Setting *s, int t) {
    return s->beta1 * (1 - 0.5 * pow(0.96, t / 250.0));
}

static void nadam(const Setting *s, int t, double g, Element *e) {
    double mu = nadam_mu(s, t), next = nadam_mu(s, t + 1);
    g += s->decay * e->p;
    e->product *= mu;
    e->m = mu * e->m + (1 - mu) * g;
    e->v = s->beta2 * e->v + (1 - s->beta2) * g * g;
    double m = next * e->m / (1 - e->product * next) + (1 - mu) * g / (1 - e->product);
    e->p -= s->lr * m / (sqrt(e->v / (1 - pow(s->beta2, t))) + s->epsilon);
}

static void amsgrad(const Setting *s, int t, double g, Element *e) {
    (void)t;
    moments(s, g + s->decay * e->p, e);
    e->u = fmax(e->u, e->v);
    e->p -= s->lr * e->m / (sqrt(e->u) + s->epsilon);
}

static void amsgrad_debiased(const Setting *s, int t, double g, Element *e) {
    moments(s, g + s->decay * e->p, e);
    e->u = fmax(e->u, e->v);
    e->p -=
        s->lr * e->m / (1 - pow(s->beta1, t)) / (sqrt(e->u / (1 - pow(s->beta2, t))) + s->epsilon);
}

// --- What is trained

typedef enum Clip { NO_CLIP, BY_VALUE, BY_NORM } Clip;

typedef struct Problem {
    const char *name, *call, *clip_call, *group; // of the train block; group: of the biases
    Reference *step;
    Setting weights, biases; // biases: all zero: as the weights
    Clip clip;
    double limit;
} Problem;

// clang-format off
static const Problem problem[] = {
    {"sgd", "sgd(lr = 0.02)", .step = sgd,
     .weights = {.lr = 0.02}},
    {"sgd_decay", "sgd(lr = 0.02, decay = 0.1)", .step = sgd,
     .weights = {.lr = 0.02, .decay = 0.1}},
    {"momentum", "momentum(lr = 0.01)", .step = momentum,
     .weights = {.lr = 0.01, .gamma = 0.9}},
    {"momentum_decay", "momentum(lr = 0.01, gamma = 0.8, decay = 0.1)", .step = momentum,
     .weights = {.lr = 0.01, .gamma = 0.8, .decay = 0.1}},
    {"sgdm", "sgdm(lr = 0.01, gamma = 0.8, decay = 0.1)", .step = sgdm,
     .weights = {.lr = 0.01, .gamma = 0.8, .decay = 0.1}},
    {"nesterov", "nesterov(lr = 0.01, decay = 0.1)", .step = nesterov,
     .weights = {.lr = 0.01, .gamma = 0.9, .decay = 0.1}},
    {"adagrad", "adagrad(lr = 0.1, decay = 0.1)", .step = adagrad,
     .weights = {.lr = 0.1, .epsilon = 1e-10, .decay = 0.1}},
    {"adadelta", "adadelta(decay = 0.1)", .step = adadelta,
     .weights = {.lr = 1, .rho = 0.9, .epsilon = 1e-6, .decay = 0.1}},
    {"adadelta_rho", "adadelta(lr = 0.5, rho = 0.95, epsilon = 1e-4)", .step = adadelta,
     .weights = {.lr = 0.5, .rho = 0.95, .epsilon = 1e-4}},
    {"rmsprop", "rmsprop(lr = 0.01, rho = 0.9, decay = 0.1)", .step = rmsprop,
     .weights = {.lr = 0.01, .rho = 0.9, .epsilon = 1e-8, .decay = 0.1}},
    {"adam", "adam(lr = 0.01)", .step = adam,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}},
    {"adam_decay", "adam(lr = 0.01, beta1 = 0.8, beta2 = 0.95, epsilon = 1e-4, decay = 0.1)", .step = adam,
     .weights = {.lr = 0.01, .beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-4, .decay = 0.1}},
    {"adamw", "adamw(lr = 0.01, decay = 0.1)", .step = adamw,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.1}},
    {"adamax", "adamax(lr = 0.01)", .step = adamax,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999}},
    {"adamax_decay", "adamax(lr = 0.01, beta2 = 0.9, decay = 0.1)", .step = adamax,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.9, .decay = 0.1}},
    {"nadam", "nadam(lr = 0.01)", .step = nadam,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}},
    {"nadam_decay", "nadam(lr = 0.01, beta1 = 0.95, decay = 0.1)", .step = nadam,
     .weights = {.lr = 0.01, .beta1 = 0.95, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.1}},
    {"amsgrad", "amsgrad(lr = 0.01, beta2 = 0.9)", .step = amsgrad,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.9, .epsilon = 1e-8}},
    {"amsgrad_debiased", "amsgrad(lr = 0.01, beta2 = 0.9, decay = 0.1, debias = true)", .step = amsgrad_debiased,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.9, .epsilon = 1e-8, .decay = 0.1}},
    {"clipped_by_value", "momentum(lr = 0.01)", .clip_call = "by_value(0.5)", .step = momentum,
     .weights = {.lr = 0.01, .gamma = 0.9}, .clip = BY_VALUE, .limit = 0.5},
    {"clipped_by_norm", "adam(lr = 0.01)", .clip_call = "global_norm(0.5)", .step = adam,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8}, .clip = BY_NORM, .limit = 0.5},
    {"group_of_momentum", "momentum(lr = 0.01, decay = 0.1)", .group = "decay = 0; lr = 0.02", .step = momentum,
     .weights = {.lr = 0.01, .gamma = 0.9, .decay = 0.1},
     .biases = {.lr = 0.02, .gamma = 0.9}},
    {"group_of_adamw", "adamw(lr = 0.01, decay = 0.1)", .group = "decay = 0; beta1 = 0.8", .step = adamw,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .decay = 0.1},
     .biases = {.lr = 0.01, .beta1 = 0.8, .beta2 = 0.999, .epsilon = 1e-8}},
    {"group_of_nadam", "nadam(lr = 0.01)", .group = "lr = 0.02; beta1 = 0.8", .step = nadam,
     .weights = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8},
     .biases = {.lr = 0.02, .beta1 = 0.8, .beta2 = 0.999, .epsilon = 1e-8}},
};
// clang-format on

enum { PROBLEMS = sizeof problem / sizeof *problem };

// A valley, steep along some elements and level along others, with its lowest point at centre.
// Element 0 has no gradient; 2 has one in each fifth step; 3 from the tenth on.
static double slope_at(int i, double p, int t) {
    static const double steep[COUNT] = {0, 1, 4, 2, 20, 0.5, 3, 10};
    static const double centre[COUNT] = {0, 1, -1, 0.5, 0.2, -2, 0, 0.3};
    bool silent = (i == 2 && t % 5) || (i == 3 && t < 10);
    return silent ? 0 : (float)(steep[i] * (p - centre[i]));
}

static void clip(const Problem *q, double *g) {
    double sum = 0;
    for (int i = 0; i < COUNT; i++)
        sum += g[i] * g[i];
    for (int i = 0; i < COUNT; i++) {
        if (q->clip == BY_VALUE) g[i] = fmax(-q->limit, fmin(q->limit, g[i]));
        if (q->clip == BY_NORM && sqrt(sum) > q->limit) g[i] *= q->limit / sqrt(sum);
    }
}

// The reference's step; `slope` gets the gradient before clipping.
static void follow(const Problem *q, int t, Element *e, double *slope) {
    double g[COUNT];
    for (int i = 0; i < COUNT; i++)
        g[i] = slope[i] = slope_at(i, e[i].p, t);
    clip(q, g);
    bool grouped = q->biases.lr > 0;
    for (int i = 0; i < COUNT; i++)
        q->step(i >= WEIGHTS && grouped ? &q->biases : &q->weights, t, g[i], &e[i]);
}

// The problems `first` and after, each with parameters w_K and b_K and a cost of its own. One of
// them is the model's loss; of more, each cost is minimized by itself.
static const char *model_text(Arena *arena, int first, int count) {
    Buf out = buf_new(arena);
    buf_add(&out, "nnd 1\nmodel M {\n");
    for (int k = first; k < first + count; k++)
        buf_printf(&out,
                   "  input slope_%d: f32[N, %d]\n"
                   "  param w_%d: [%d] ~ uniform(-1, 1)\n"
                   "  param b_%d: [%d] ~ uniform(-1, 1)\n"
                   "  y_%d[n] = (sum[i: %d] slope_%d[n, i] * w_%d[i]) +"
                   " (sum[j: %d] slope_%d[n, j + %d] * b_%d[j])\n"
                   "  cost_%d = mean(y_%d)\n",
                   k, COUNT, k, WEIGHTS, k, BIASES, k, WEIGHTS, k, k, BIASES, k, WEIGHTS, k, k, k);
    buf_printf(&out, "  output y_%d\n  loss cost_%d\n}\n", first, first);
    buf_add(&out, "data d { source = idx(\"none\") }\ntrain M on d {\n  batch = 1\n");
    for (int k = first; k < first + count; k++) {
        const Problem *q = &problem[k];
        if (count == 1)
            buf_printf(&out, "  optimizer = %s\n", q->call);
        else
            buf_printf(&out, "  minimize cost_%d over \"*_%d\" with %s { ", k, k, q->call);
        if (q->clip_call) buf_printf(&out, "clip = %s", q->clip_call);
        buf_add(&out, count == 1 ? "\n" : " }\n");
        if (q->group) buf_printf(&out, "  group \"b_%d\" { %s }\n", k, q->group);
    }
    buf_add(&out, "}\n");
    return out.text;
}

static Module *elaborated(Arena *arena, int first, int count) {
    Diag *diag = diag_new(arena);
    const char *text = model_text(arena, first, count);
    File *file = nnd_parse(arena, source_from_text(arena, "m.nnd", text), diag);
    Module *module = nnd_elaborate(arena, file, NULL, diag);
    cr_assert(module, "%s: %s", problem[first].name, diag_text(diag, arena));
    return module;
}

static void compare(const Problem *q, const char *what, int t, const Element *e, const double *p,
                    double tolerance) {
    for (int i = 0; i < COUNT; i++)
        cr_assert(fabs(p[i] - e[i].p) <= tolerance * (1 + fabs(e[i].p)),
                  "%s, %s: after step %d element %d is %.17g, not %.17g", q->name, what, t, i, p[i],
                  e[i].p);
}

// --- The interpreter

typedef struct Leaves { // the states of a graph, by the id of their leaf
    const double **at;
} Leaves;

static void start_leaves(Arena *arena, const Graph *graph, const Graph *init, Leaves *leaves,
                         double *slope) {
    static const double nothing[COUNT]; // init writes states, and reads none
    const double **unread = ARENA_ARRAY(arena, const double *, init->node.count);
    for (int id = 0; id < init->node.count; id++)
        unread[id] = init->node.at[id]->op == OP_state ? nothing : NULL;
    double **first = graph_interpret(init, &(Interp){.n = 1, .seed = 1, .leaf = unread}, arena);
    leaves->at = ARENA_ARRAY(arena, const double *, graph->node.count);
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        if (node->op == OP_input) leaves->at[id] = slope;
        for (int i = 0; node->op == OP_state && i < init->root.count; i++)
            if (!strcmp(init->root.at[i].name, node->attr->name))
                leaves->at[id] = first[init->root.at[i].value->id];
        cr_assert(node->op != OP_state || leaves->at[id], "%s has no first value",
                  node->attr->name);
    }
}

// The weights come first: a group lies behind what is in none.
static const double *parameters(const Graph *graph, const Leaves *leaves) {
    for (int id = 0; id < graph->node.count; id++)
        if (graph->node.at[id]->op == OP_state && !strcmp(graph->node.at[id]->attr->name, "params"))
            return leaves->at[id];
    cr_assert_fail("there are no parameters");
    return NULL;
}

static void check_interpreted(int which) {
    const Problem *q = &problem[which];
    Arena *arena = arena_new();
    const Module *module = elaborated(arena, which, 1);
    const Graph *graph = module->graph[NNC_TRAIN];
    Leaves leaves;
    Element e[COUNT] = {0};
    double slope[COUNT];
    start_leaves(arena, graph, module->graph[NNC_INIT], &leaves, slope);
    for (int i = 0; i < COUNT; i++)
        e[i] = (Element){.p = parameters(graph, &leaves)[i], .product = 1};
    for (int t = 1; t <= STEPS; t++) {
        follow(q, t, e, slope);
        Interp with = {.n = 1, .step = t - 1, .leaf = leaves.at};
        double **value = graph_interpret(graph, &with, arena);
        for (int i = 0; i < graph->root.count; i++)
            if (graph->root.at[i].kind == ROOT_STATE)
                leaves.at[graph->root.at[i].leaf->id] = value[graph->root.at[i].value->id];
        compare(q, "interpreted", t, e, parameters(graph, &leaves), 1e-12);
    }
    arena_free(arena);
}

Test(optimizers, follow_their_references) {
    for (int i = 0; i < PROBLEMS; i++)
        check_interpreted(i);
}

// --- Compiled

enum { MOST_HYPERS = 256, MOST_SCALARS = 1024 };

static char *memory(Arena *arena, long long bytes) {
    char *at = arena_alloc(arena, (size_t)bytes + 2 * NNC_ALIGN);
    at += NNC_ALIGN - (uintptr_t)at % NNC_ALIGN;
    memset(at, 0, (size_t)bytes);
    return at;
}

static void run(const Compiled *compiled, NncFunctionKind kind, NncCtx *ctx, int step) {
    double hyper[MOST_HYPERS];
    float scalar[MOST_SCALARS];
    const NncFunction *function = &compiled->program.function[kind];
    for (int i = 0; i < compiled->program.hyper_count; i++)
        hyper[i] = compiled->program.hyper[i].value;
    cr_assert(function->scalar_count <= MOST_SCALARS &&
              compiled->program.hyper_count <= MOST_HYPERS);
    function->scalars(hyper, step, 0, 1, scalar);
    ctx->scalar = scalar;
    ctx->step = (unsigned)step;
    unsigned long long floats = nnc_floats_flush();
    function->run(ctx);
    nnc_floats_restore(floats);
}

static Jit *load(Arena *arena, Compiled *compiled, JitTier tier) {
    const char *error = NULL;
    Jit *jit = jit_load(arena, compiled->source, &(JitOptions){.tier = tier}, &error);
    if (!jit) cr_skip_test("%s", error);
    for (NncFunctionKind kind = NNC_INIT; kind <= NNC_TRAIN; kind++) {
        NncFunction *function = &compiled->program.function[kind];
        const char *name = function_name(kind);
        *(void **)&function->run = jit_symbol(jit, arena_printf(arena, "nnc_run_%s", name));
        *(void **)&function->scalars = jit_symbol(jit, arena_printf(arena, "nnc_scalars_%s", name));
    }
    return jit;
}

static float *parameter(const NncProgram *program, const NncCtx *ctx, const char *name) {
    for (int i = 0; i < program->tensor_count; i++)
        if (!strcmp(program->tensor[i].name, name))
            return (float *)(ctx->state + program->tensor[i].offset);
    cr_assert_fail("there is no parameter %s", name);
    return NULL;
}

typedef struct Run { // of one problem beside its reference
    const Problem *problem;
    const float *w, *b;
    float *slope;
    Element e[COUNT];
} Run;

static double value_of(const Run *r, int i) { return i < WEIGHTS ? r->w[i] : r->b[i - WEIGHTS]; }

// `input` is the batch: a column for each problem, in their order.
static Run start_run(Arena *arena, const NncProgram *program, const NncCtx *ctx, char *input,
                     int first, int which) {
    Run r = {.problem = &problem[first + which],
             .w = parameter(program, ctx, arena_printf(arena, "w_%d", first + which)),
             .b = parameter(program, ctx, arena_printf(arena, "b_%d", first + which)),
             .slope = (float *)(input + program->input[which].offset)};
    for (int i = 0; i < COUNT; i++)
        r.e[i] = (Element){.p = value_of(&r, i), .product = 1};
    return r;
}

static void check_compiled(int first, int count, JitTier tier) {
    Arena *arena = arena_new();
    const Target *target = tier == JIT_TCC ? &target_library : target_find("native");
    Compiled *compiled = compile(arena, elaborated(arena, first, count), target, diag_new(arena));
    Jit *jit = load(arena, compiled, tier);
    const NncProgram *program = &compiled->program;
    const NncFunction *train = &program->function[NNC_TRAIN], *init = &program->function[NNC_INIT];
    NncCtx ctx = {.state = memory(arena, program->state_bytes),
                  .work = memory(arena, train->work_bytes + init->work_bytes),
                  .scratch = memory(arena, train->scratch_bytes + init->scratch_bytes),
                  .output = memory(arena, train->output_bytes + init->output_bytes),
                  .n = 1,
                  .seed_low = 1};
    char *input = memory(arena, program->input_bytes);
    Run *runs = ARENA_ARRAY(arena, Run, count);
    double slope[COUNT], p[COUNT];
    ctx.input = input;
    run(compiled, NNC_INIT, &ctx, 0);
    for (int k = 0; k < count; k++)
        runs[k] = start_run(arena, program, &ctx, input, first, k);
    for (int t = 1; t <= STEPS; t++) {
        for (int k = 0; k < count; k++) {
            follow(runs[k].problem, t, runs[k].e, slope);
            for (int i = 0; i < COUNT; i++)
                runs[k].slope[i] = (float)slope[i];
        }
        run(compiled, NNC_TRAIN, &ctx, t - 1);
        for (int k = 0; k < count; k++) {
            for (int i = 0; i < COUNT; i++)
                p[i] = value_of(&runs[k], i);
            compare(runs[k].problem, tier == JIT_TCC ? "libtcc" : "native", t, runs[k].e, p, 5e-6);
        }
    }
    jit_free(jit);
    arena_free(arena);
}

Test(optimizers, compiled_by_libtcc) {
    for (int i = 0; i < PROBLEMS; i++)
        check_compiled(i, 1, JIT_TCC);
}

// All of them in one network: so the C compiler runs once, and each minimizes what is its own.
Test(optimizers, compiled_natively, .timeout = 300) { check_compiled(0, PROBLEMS, JIT_NATIVE); }
