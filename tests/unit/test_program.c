// SPDX-License-Identifier: MIT
// Whole programs from the language: where parameters lie, what the optimizers do with them, layers'
// state, values from the command line. Steps are taken by the interpreter.
#include "nnd/elab.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static const char head[] = "nnd 1\ndata d { source = idx(\"x\") }\n";

typedef struct Trial {
    Arena *arena;
    Diag *diag;
    const Module *module;
    const double **leaf; // of TRAIN, by node
} Trial;

static Trial elaborate(const char *text, const ElabOptions *options) {
    Trial trial = {.arena = arena_new()};
    trial.diag = diag_new(trial.arena);
    const char *whole = arena_printf(trial.arena, "%s%s", head, text);
    const File *file =
        nnd_parse(trial.arena, source_from_text(trial.arena, "test.nnd", whole), trial.diag);
    trial.module = nnd_elaborate(trial.arena, file, options, trial.diag);
    return trial;
}

static const double *all_of(Trial *trial, const Node *node, double value) {
    int64_t size = shape_eval(&node->shape, 2);
    double *values = ARENA_ARRAY(trial->arena, double, size);
    for (int64_t i = 0; i < size; i++)
        values[i] = value;
    return values;
}

static const Root *find_root(const Graph *graph, const char *name) {
    for (int i = 0; i < graph->root.count; i++)
        if (!strcmp(graph->root.at[i].name, name)) return &graph->root.at[i];
    return NULL;
}

// The first values of all leaves; inputs are 1 in every element.
static void begin(Trial *trial) {
    const Graph *init = trial->module->graph[NNC_INIT], *train = trial->module->graph[NNC_TRAIN];
    const double **none = ARENA_ARRAY(trial->arena, const double *, init->node.count);
    for (int i = 0; i < init->node.count; i++)
        if (init->node.at[i]->op == OP_state) none[i] = all_of(trial, init->node.at[i], 0);
    double **first = graph_interpret(init, &(Interp){.n = 2, .leaf = none}, trial->arena);
    trial->leaf = ARENA_ARRAY(trial->arena, const double *, train->node.count);
    for (int i = 0; i < train->node.count; i++) {
        const Node *node = train->node.at[i];
        if (node->op == OP_input) trial->leaf[i] = all_of(trial, node, 1);
        if (node->op != OP_state) continue;
        const Root *root = find_root(init, node->attr->name);
        cr_assert(root, "%s has no first value", node->attr->name);
        trial->leaf[i] = first[root->value->id];
    }
}

static double step(Trial *trial, int number) {
    const Graph *train = trial->module->graph[NNC_TRAIN];
    Interp with = {.n = 2, .step = number, .leaf = trial->leaf};
    double **value = graph_interpret(train, &with, trial->arena);
    for (int i = 0; i < train->root.count; i++)
        if (train->root.at[i].kind == ROOT_STATE)
            trial->leaf[train->root.at[i].leaf->id] = value[train->root.at[i].value->id];
    return *value[find_root(train, "loss")->value->id];
}

static double state(const Trial *trial, const char *leaf, int element) {
    const Graph *train = trial->module->graph[NNC_TRAIN];
    return trial->leaf[find_root(train, leaf)->leaf->id][element];
}

static const TensorInfo *find_tensor(const Module *module, const char *name) {
    for (int i = 0; i < module->tensor.count; i++)
        if (!strcmp(module->tensor.at[i].name, name)) return &module->tensor.at[i];
    return NULL;
}

#define ASSERT_ELABORATED(trial)                                                                   \
    cr_assert((trial).module, "%s", diag_text((trial).diag, (trial).arena))

// --- Optimizers: of loss w, whose gradient is 1, from w = 1

static const char one[] = "model M { input x: f32[N]; param w: [1] ~ 1\n"
                          "y = x; output y; loss sum(w) + 0 * sum(x) }\n";

typedef struct Rule {
    const char *call;
    double after[3]; // w after each step
} Rule;

static const Rule rules[] = {
    {"sgd(lr = 0.1)", {0.9, 0.8, 0.7}},
    {"sgd(lr = 0.1, decay = 1)", {0.8, 0.62, 0.458}},
    {"momentum(lr = 0.1, gamma = 0.5)", {0.9, 0.75, 0.575}},
    {"nesterov(lr = 0.1, gamma = 0.5)", {0.85, 0.675, 0.4875}},
    {"adam(lr = 0.1, epsilon = 0)", {0.9, 0.8, 0.7}},
    {"adamw(lr = 0.1, epsilon = 0, decay = 1)", {0.8, 0.62, 0.458}},
    {"adagrad(lr = 0.1, epsilon = 0)", {0.9, 0.829289321881345, 0.771554294963375}},
    {"rmsprop(lr = 0.1, rho = 0.75, epsilon = 0)", {0.8, 0.648814210528, 0.517163}},
    {"adadelta(lr = 1, rho = 0.5, epsilon = 1)", {0.183503419, -0.71, -1.7}},
    {"sgd(lr = step_decay(0.1, 1, at = step))", {0.9, 0.89, 0.889}},
    {"sgd(lr = warmup(0.3, 3))", {0.9, 0.7, 0.4}},
};
enum { RULES = sizeof rules / sizeof *rules };

static void check_rule(const Rule *rule) {
    double w = 1, s = 0, u = 0;
    bool is_adadelta = !strncmp(rule->call, "adadelta", 8), is_rms = !strncmp(rule->call, "rms", 3);
    char text[512];
    snprintf(text, sizeof text, "%strain M on d { optimizer = %s }", one, rule->call);
    Trial trial = elaborate(text, NULL);
    ASSERT_ELABORATED(trial);
    begin(&trial);
    for (int i = 0; i < 3; i++) {
        step(&trial, i);
        double wanted = rule->after[i];
        s = is_adadelta ? 0.5 * s + 0.5 : 0.75 * s + 0.25;
        double change = sqrt(u + 1) / sqrt(s + 1);
        u = 0.5 * u + 0.5 * change * change;
        w -= is_adadelta ? change : 0.1 / sqrt(s);
        if (is_adadelta || is_rms) wanted = w;
        cr_expect_float_eq(state(&trial, "params", 0), wanted, 1e-6, "%s: %g after step %d, not %g",
                           rule->call, state(&trial, "params", 0), i + 1, wanted);
    }
    arena_free(trial.arena);
}

Test(program, optimizers_take_their_steps) {
    for (int i = 0; i < RULES; i++)
        check_rule(&rules[i]);
}

// --- Layout

Test(program, parameters_lie_in_one_leaf_in_order) {
    Trial trial =
        elaborate("model M { input x: f32[N, 3]\n"
                  "y = x |> linear(2) |> linear(4) as head; output y; loss mean(y ^ 2) }\n"
                  "train M on d { batch = 8; optimizer = adam(lr = 0.1) }",
                  NULL);
    ASSERT_ELABORATED(trial);
    static const struct {
        const char *name, *leaf;
        int64_t offset;
    } row[] = {{"linear_1.weight", "params", 0},    {"linear_1.bias", "params", 6},
               {"head.weight", "params", 8},        {"head.bias", "params", 16},
               {"adam.m/head.weight", "adam.m", 8}, {"adam.v/linear_1.bias", "adam.v", 6}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const TensorInfo *tensor = find_tensor(trial.module, row[i].name);
        cr_assert(tensor, "%s", row[i].name);
        cr_expect_str_eq(tensor->leaf, row[i].leaf);
        cr_expect_eq(tensor->offset, row[i].offset);
    }
    cr_expect_eq(trial.module->batch, 8);
    cr_expect_null(trial.module->graph[NNC_CHUNK]); // the compiler's to make
    for (int i = 0; i < NNC_CHUNK; i++)
        cr_expect_null(graph_verify(trial.module->graph[i], STAGE_MODEL, trial.arena));
    begin(&trial);
    double first = step(&trial, 0), last = first;
    for (int i = 1; i < 20; i++)
        last = step(&trial, i);
    cr_expect_lt(last, 0.5 * first);
    arena_free(trial.arena);
}

Test(program, a_group_is_one_range_with_its_own_arguments) {
    Trial trial = elaborate("model M { input x: f32[N]; param a: [2] ~ 1; param b: [3] ~ 1\n"
                            "param c: [1] ~ 1; y = x; output y; loss sum(a) + sum(b) + sum(c) }\n"
                            "train M on d { optimizer = sgd(lr = 0.1); group \"a\" { lr = 0.5 } }",
                            NULL);
    ASSERT_ELABORATED(trial);
    cr_expect_eq(find_tensor(trial.module, "b")->offset, 0);
    cr_expect_eq(find_tensor(trial.module, "c")->offset, 3);
    cr_expect_eq(find_tensor(trial.module, "a")->offset, 4);
    begin(&trial);
    step(&trial, 0);
    for (int i = 0; i < 6; i++)
        cr_expect_float_eq(state(&trial, "params", i), i < 4 ? 0.9 : 0.5, 1e-7);
    arena_free(trial.arena);
}

// The second loss is that of the parameters that the first minimize has left: d = (0.9 + b)^2 / db.
Test(program, minimizes_run_one_after_the_other) {
    Trial trial = elaborate("model M { input x: f32[N]; param a: [] ~ 1; param b: [] ~ 0\n"
                            "param still: [] ~ 7\n"
                            "y = x + still; first = a; second = (a + b) ^ 2; output y }\n"
                            "train M on d { minimize first over \"a\" with sgd(lr = 0.1)\n"
                            "minimize second over \"b\" with sgd(lr = 0.5) }",
                            NULL);
    ASSERT_ELABORATED(trial);
    begin(&trial);
    double loss = step(&trial, 0);
    cr_expect_float_eq(loss, 1, 1e-9);
    cr_expect_float_eq(state(&trial, "params", 0), 0.9, 1e-7);
    cr_expect_float_eq(state(&trial, "params_2", 0), -0.9, 1e-7);
    cr_expect_str_eq(find_tensor(trial.module, "still")->leaf, "frozen");
    cr_expect_null(find_root(trial.module->graph[NNC_TRAIN], "frozen"));
    cr_expect(find_root(trial.module->graph[NNC_INIT], "frozen"));
    cr_expect_eq(trial.module->hyper.count, 2);
    arena_free(trial.arena);
}

// One loss, two optimizers: the second sees what the first has left, a constant to its gradient
// d = (0.6 + b)^2 / db, and the loss is reported once.
Test(program, one_loss_is_minimized_twice) {
    Trial trial = elaborate("model M { input x: f32[N]; param a: [] ~ 1; param b: [] ~ 1\n"
                            "output x; loss (a + b) ^ 2 }\n"
                            "train M on d { minimize loss over \"a\" with sgd(lr = 0.1)\n"
                            "minimize loss over \"b\" with sgd(lr = 0.5) }",
                            NULL);
    ASSERT_ELABORATED(trial);
    cr_assert_null(graph_verify(trial.module->graph[NNC_TRAIN], STAGE_MODEL, trial.arena));
    begin(&trial);
    double loss = step(&trial, 0);
    cr_expect_float_eq(loss, 4, 1e-9);
    cr_expect_float_eq(state(&trial, "params", 0), 0.6, 1e-6);
    cr_expect_float_eq(state(&trial, "params_2", 0), -0.6, 1e-6);
    arena_free(trial.arena);
}

// An optimizer that looks at the norm of a parameter sees one parameter at a time; all() sees
// everything.
Test(program, optimizers_that_reduce_run_by_parameter) {
    static const char model[] = "model M { input x: f32[N]; param a: [2] ~ 3; param b: [1, 1] ~ 4\n"
                                "y = x; output y; loss 3 * sum(a) + 4 * sum(b) }\n";
    static const struct {
        const char *optimizer;
        double a, b;
    } row[] = {
        {"optimizer o(lr) { p' = p - lr * sum(g ^ 2) }", 3 - 0.1 * 18, 4 - 0.1 * 16},
        {"optimizer o(lr) { p' = p - lr * all(sum(g ^ 2)) }", 3 - 0.1 * 34, 4 - 0.1 * 34},
        {"optimizer o(lr) { state n: [] = 1\n n' = n + sum(p)\n p' = p - lr * n' }", 3 - 0.7,
         4 - 0.5},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s%s\ntrain M on d { optimizer = o(lr = 0.1) }", model,
                 row[i].optimizer);
        Trial trial = elaborate(text, NULL);
        ASSERT_ELABORATED(trial);
        begin(&trial);
        step(&trial, 0);
        cr_expect_float_eq(state(&trial, "params", 1), row[i].a, 1e-6, "%s", row[i].optimizer);
        cr_expect_float_eq(state(&trial, "params", 2), row[i].b, 1e-6, "%s", row[i].optimizer);
        arena_free(trial.arena);
    }
}

Test(program, clipping_sees_the_whole_gradient) {
    Trial trial = elaborate("model M { input x: f32[N]; param a: [1] ~ 0; param b: [1] ~ 0\n"
                            "y = x; output y; loss 3 * sum(a) + 4 * sum(b) }\n"
                            "train M on d { optimizer = sgd(lr = 1); clip = global_norm(1) }",
                            NULL);
    ASSERT_ELABORATED(trial);
    begin(&trial);
    step(&trial, 0);
    cr_expect_float_eq(state(&trial, "params", 0), -0.6, 1e-6);
    cr_expect_float_eq(state(&trial, "params", 1), -0.8, 1e-6);
    arena_free(trial.arena);
}

// --- Layers

Test(program, instances_that_are_used_twice_share_parameters) {
    Trial trial = elaborate("layer scale(x: [N], by: real) -> [N] { param w: [] ~ constant(by)\n"
                            "state seen = 0; seen' = seen + 1\n x * w }\n"
                            "model M { input x: f32[N]; use S = scale(3)\n"
                            "y = S(S(x)) |> scale(1) |> scale(2); output y; loss mean(y) }\n"
                            "train M on d { optimizer = sgd(lr = 0) }",
                            NULL);
    ASSERT_ELABORATED(trial);
    cr_expect(find_tensor(trial.module, "S.w"));
    cr_expect(find_tensor(trial.module, "scale_1.w"));
    cr_expect(find_tensor(trial.module, "scale_2.w"));
    begin(&trial);
    double loss = step(&trial, 0);
    cr_expect_float_eq(loss, 18, 1e-6);
    cr_expect_float_eq(state(&trial, "S.seen", 0), 2, 1e-9); // the second application goes on
    cr_expect_float_eq(state(&trial, "scale_1.seen", 0), 1, 1e-9);
    arena_free(trial.arena);
}

Test(program, batch_norm_keeps_running_means_in_training_alone) {
    Trial trial = elaborate("model M { input x: f32[N, 1]; y = 5 * x |> batch_norm; output y\n"
                            "loss mean(y) }\n"
                            "train M on d { optimizer = sgd(lr = 0) }",
                            NULL);
    ASSERT_ELABORATED(trial);
    begin(&trial);
    step(&trial, 0);
    cr_expect_float_eq(state(&trial, "batch_norm_1.running_mean", 0), 0.5, 1e-6);
    cr_expect_float_eq(state(&trial, "batch_norm_1.running_var", 0), 0.9, 1e-6);
    const Graph *eval = trial.module->graph[NNC_EVAL];
    for (int i = 0; i < eval->root.count; i++)
        cr_expect_eq(eval->root.at[i].kind, ROOT_OUTPUT);
    arena_free(trial.arena);
}

// --- The command line's values

Test(program, settings_change_structure_and_hyper_parameters) {
    const char *const name[] = {"width", "gamma"};
    const double value[] = {7, 0.5};
    ElabOptions options = {.batch = 3,
                           .epochs = 4,
                           .has_seed = true,
                           .seed = 5,
                           .set_name = name,
                           .set_value = value,
                           .set_count = 2};
    Trial trial = elaborate("model M(width = 2) { input x: f32[N, 3]; y = x |> linear(width)\n"
                            "output y; loss mean(y) }\n"
                            "train M on d { batch = 8; optimizer = momentum(lr = 0.1) }",
                            &options);
    ASSERT_ELABORATED(trial);
    cr_expect_eq(find_tensor(trial.module, "linear_1.weight")->shape.dim[0].c[0], 7);
    cr_expect_eq(trial.module->batch, 3);
    cr_expect_eq(trial.module->epochs, 4);
    cr_expect_eq(trial.module->seed, 5);
    cr_assert_eq(trial.module->hyper.count, 2);
    cr_expect_float_eq(trial.module->hyper.at[1].value, 0.5, 0);
    arena_free(trial.arena);
}

Test(program, a_setting_that_nothing_has_is_an_error) {
    const char *const name[] = {"widht"};
    const double value[] = {7};
    ElabOptions options = {.set_name = name, .set_value = value, .set_count = 1};
    Trial trial = elaborate("model M(width = 2) { input x: f32[N, 3]; y = x |> linear(width)\n"
                            "output y; loss mean(y) }\n"
                            "train M on d { optimizer = sgd(lr = 0.1) }",
                            &options);
    cr_expect_null(trial.module);
    cr_expect(strstr(diag_text(trial.diag, trial.arena), "did you mean width?"));
    arena_free(trial.arena);
}

static double hyper_of(const Trial *trial, const char *name) {
    for (int i = 0; i < trial->module->hyper.count; i++)
        if (!strcmp(trial->module->hyper.at[i].name, name)) return trial->module->hyper.at[i].value;
    return NAN;
}

static const char scheduled[] =
    "model M { input x: f32[N, 3]; y = x |> linear(2); output y; loss mean(y) }\n"
    "train M on d { optimizer = momentum(lr = 0.5 * cosine(1e-2, over = 10) * warmup(1, 50))\n"
    "clip = global_norm(2); group \"*.bias\" { lr = exponential(0.3, 0.9); decay = 0 } }";

// As many as the program has names for: of a product, by the functions in it.
Test(program, numbers_of_schedules_clipping_and_groups_have_names) {
    Trial trial = elaborate(scheduled, NULL);
    ASSERT_ELABORATED(trial);
    cr_expect_eq(hyper_of(&trial, "lr.cosine.peak"), 0.01);
    cr_expect_eq(hyper_of(&trial, "lr.cosine.over"), 10);
    cr_expect_eq(hyper_of(&trial, "lr.warmup.peak"), 1);
    cr_expect_eq(hyper_of(&trial, "lr.warmup.steps"), 50);
    cr_expect_eq(hyper_of(&trial, "clip.limit"), 2);
    cr_expect_eq(hyper_of(&trial, "*.bias.lr.start"), 0.3);
    cr_expect_eq(hyper_of(&trial, "*.bias.lr.factor"), 0.9);
    cr_expect_eq(hyper_of(&trial, "*.bias.decay"), 0);
    cr_expect_eq(trial.module->hyper.count, 8);
    arena_free(trial.arena);
}

Test(program, what_is_set_stands_for_a_number_or_a_whole_expression) {
    const char *const name[] = {"lr", "clip.limit", "gamma"};
    const double value[] = {0.25, 7, 0.5};
    ElabOptions options = {.set_name = name, .set_value = value, .set_count = 3};
    Trial trial = elaborate(scheduled, &options);
    ASSERT_ELABORATED(trial);
    cr_expect_eq(hyper_of(&trial, "lr"), 0.25);
    cr_expect_eq(hyper_of(&trial, "clip.limit"), 7);
    cr_expect_eq(hyper_of(&trial, "gamma"), 0.5);
    cr_expect(isnan(hyper_of(&trial, "lr.cosine.peak")));
    arena_free(trial.arena);
}

// "name=value ..", what is compiled in and, behind a bar, what a program takes when it starts.
static const char *settable(const Trial *trial) {
    Buf text = buf_new(trial->arena);
    const Module *module = trial->module;
    for (int i = 0; i < module->setting.count; i++) {
        const SettingInfo *setting = &module->setting.at[i];
        buf_printf(&text, "%s=", setting->name);
        if (setting->text)
            buf_printf(&text, "%s ", setting->text);
        else
            buf_printf(&text, setting->is_bool ? "%s " : "%.0s%g ",
                       setting->value != 0 ? "yes" : "no", setting->value);
    }
    buf_add(&text, "|");
    for (int i = 0; i < module->hyper.count; i++)
        if (nnc_hyper_is_given(&module->hyper.at[i]))
            buf_printf(&text, " %s=%g", module->hyper.at[i].name, module->hyper.at[i].value);
    return text.text;
}

Test(program, what_can_be_set_is_listed) {
    const char *const name[] = {"debias", "width", "patience"};
    const double value[] = {1, 5, 0};
    ElabOptions options = {.set_name = name, .set_value = value, .set_count = 3};
    Trial trial = elaborate("model M(width = 2) { input x: f32[N, 3]; y = x |> linear(width)\n"
                            "output y; loss mean(y) }\n"
                            "train M on d { batch = 4; seed = 3; shuffle = false; patience = 2\n"
                            "best = train.loss\n"
                            "optimizer = amsgrad(lr = 2 * cosine(0.1), beta1 = 0.8) }",
                            &options);
    ASSERT_ELABORATED(trial);
    cr_expect_str_eq(
        settable(&trial),
        "batch=4 accumulate=1 epochs=1 patience=0 plateau=10 seed=3 shuffle=no width=5 "
        "lr=2 * cosine(0.1) lr.cosine=cosine(0.1) beta2=0.999 epsilon=1e-08 decay=0 "
        "debias=yes validation=0 | lr.cosine.peak=0.1 beta1=0.8");
    arena_free(trial.arena);
}

static const char augmented[] =
    "model M { input x: f32[N, 3, 32, 32]; y = x |> global_avg_pool |> linear(2)\n"
    "output y; loss mean(y) }\n"
    "data drawn { source = shapes(train = 50, test = 10); validation = 0.2\n"
    "augment x { random_crop(x, 1); random_flip(x); random_crop(x) } }\n"
    "train M on drawn { optimizer = sgd(lr = 0.1) }";

Test(program, numbers_of_the_data_block_can_be_set) {
    Trial trial = elaborate(augmented, NULL);
    ASSERT_ELABORATED(trial);
    const char *text = settable(&trial);
    cr_expect(strstr(text, " source.seed=1 source.first=0 source.classes=10 "
                           "augment.random_crop_2.padding=4 |"),
              "%s", text);
    cr_expect(strstr(text, " source.train=50 source.test=10 validation=0.2 "
                           "augment.random_crop.padding=1"),
              "%s", text);
    arena_free(trial.arena);

    const char *const name[] = {"validation", "augment.random_crop_2.padding", "source.test"};
    const double value[] = {0, 3, 20};
    trial =
        elaborate(augmented, &(ElabOptions){.set_name = name, .set_value = value, .set_count = 3});
    ASSERT_ELABORATED(trial);
    text = settable(&trial);
    cr_expect(strstr(text, " validation=0 |"), "%s", text);
    cr_expect(strstr(text, "| lr=0.1 source.train=50 source.test=20 augment.random_crop.padding=1 "
                           "augment.random_crop_2.padding=3"),
              "%s", text);
    cr_expect_eq(trial.module->augment.at[2].argument[0].number, 3);
    cr_expect_eq(trial.module->augment.at[0].argument[0].number, 1);
    arena_free(trial.arena);
}
