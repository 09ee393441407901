// SPDX-License-Identifier: MIT
// A program written by hand, as the compiler would give it: softmax regression on 4 x 4 images of
// three classes, by momentum. And its data: IDX files in a folder of the test's own.
#ifndef RT_PROGRAM_H
#define RT_PROGRAM_H

#include "draw.h"
#include "nnc.h"
#include "rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RT_PIXELS = 16, RT_CLASSES = 3, RT_BATCH = 8, RT_TRAIN = 83, RT_TEST = 21 };

// Offsets in the state arena, floats. Weight [3, 16] and bias [3], their velocities, and a count of
// steps (a layer's state: kept, and needed to predict).
enum {
    RT_WEIGHT = 0,
    RT_BIAS = 48,
    RT_VELOCITY = 64,
    RT_BIAS_VELOCITY = 112,
    RT_COUNT = 128,
    RT_STATE = 144
};
enum { RT_IMAGE = 0, RT_LABEL = RT_BATCH * RT_PIXELS, RT_INPUT = RT_LABEL + RT_BATCH };

static void rt_init(NncCtx *ctx) {
    float *weight = (float *)ctx->state + RT_WEIGHT;
    unsigned stream = nnc_random_stream("weight");
    unsigned a = nnc_random_key(ctx->seed_low, ctx->seed_high, stream, 0, 0);
    unsigned b = nnc_random_key(ctx->seed_low, ctx->seed_high, stream, 0, 1);
    for (unsigned i = 0; i < RT_CLASSES * RT_PIXELS; i++)
        weight[i] = 0.2f * (nnc_random_unit(a, b, i) - 0.5f);
}

static void rt_logits(const NncCtx *ctx, long long n, float *logits) {
    const float *state = (const float *)ctx->state;
    const float *x = (const float *)ctx->input + RT_IMAGE + n * RT_PIXELS;
    for (int o = 0; o < RT_CLASSES; o++) {
        logits[o] = state[RT_BIAS + o];
        for (int i = 0; i < RT_PIXELS; i++)
            logits[o] += state[RT_WEIGHT + o * RT_PIXELS + i] * x[i];
    }
}

// Softmax in place; the cross entropy.
static float rt_loss(float *logits, int label) {
    float most = fmaxf(fmaxf(logits[0], logits[1]), logits[2]), sum = 0;
    float wanted = logits[label] - most;
    for (int o = 0; o < RT_CLASSES; o++)
        sum += logits[o] = expf(logits[o] - most);
    for (int o = 0; o < RT_CLASSES; o++)
        logits[o] /= sum;
    return logf(sum) - wanted;
}

static const int *rt_labels(const NncCtx *ctx) { return (const int *)ctx->input + RT_LABEL; }

// p[o, n] = (softmax - one-hot) / N lies in the work arena between the two loops.
static void rt_forward_kernel(const NncCtx *ctx, long long low, long long high, int thread) {
    (void)thread;
    float *p = (float *)ctx->work, *losses = p + RT_CLASSES * RT_BATCH;
    for (long long n = low; n < high; n++) {
        float logits[RT_CLASSES];
        rt_logits(ctx, n, logits);
        losses[n] = rt_loss(logits, rt_labels(ctx)[n]);
        for (int o = 0; o < RT_CLASSES; o++)
            p[o * RT_BATCH + n] = (logits[o] - (float)(rt_labels(ctx)[n] == o)) / (float)ctx->n;
    }
}

static void rt_update(float *p, float *v, float gradient, const float *scalar) {
    *v = scalar[1] * *v + scalar[0] * gradient;
    *p -= *v;
}

static void rt_backward_kernel(const NncCtx *ctx, long long low, long long high, int thread) {
    (void)thread;
    float *state = (float *)ctx->state;
    for (long long o = low; o < high; o++) {
        const float *p = (const float *)ctx->work + o * RT_BATCH,
                    *x = (const float *)ctx->input + RT_IMAGE;
        float bias = 0;
        for (int i = 0; i < RT_PIXELS; i++) {
            float sum = 0;
            for (long long n = 0; n < ctx->n; n++)
                sum += p[n] * x[n * RT_PIXELS + i];
            rt_update(&state[RT_WEIGHT + o * RT_PIXELS + i],
                      &state[RT_VELOCITY + o * RT_PIXELS + i], sum, ctx->scalar);
        }
        for (long long n = 0; n < ctx->n; n++)
            bias += p[n];
        rt_update(&state[RT_BIAS + o], &state[RT_BIAS_VELOCITY + o], bias, ctx->scalar);
    }
}

// Is the label's class the likeliest one?
static bool rt_is_right(const NncCtx *ctx, long long n) {
    const float *p = (const float *)ctx->work;
    int label = rt_labels(ctx)[n];
    float own = p[label * RT_BATCH + n] + 1 / (float)ctx->n;
    bool right = true;
    for (int o = 0; o < RT_CLASSES; o++)
        right &= o == label || p[o * RT_BATCH + n] < own;
    return right;
}

static void rt_train(NncCtx *ctx) {
    float sum = 0, right = 0, *losses = (float *)ctx->work + RT_CLASSES * RT_BATCH;
    nnc_parallel(ctx, rt_forward_kernel, ctx->n, 2);
    nnc_parallel(ctx, rt_backward_kernel, RT_CLASSES, 1);
    for (long long n = 0; n < ctx->n; n++)
        sum += losses[n], right += (float)rt_is_right(ctx, n);
    ((float *)ctx->output)[0] = sum / (float)ctx->n;
    ((float *)ctx->output)[1] = right / (float)ctx->n;
    ((int *)ctx->state)[RT_COUNT]++;
}

static void rt_eval(NncCtx *ctx) {
    float loss = 0, right = 0, logits[RT_CLASSES];
    for (long long n = 0; n < ctx->n; n++) {
        rt_logits(ctx, n, logits);
        loss += rt_loss(logits, rt_labels(ctx)[n]);
        int best = logits[1] > logits[0];
        if (logits[2] > logits[best]) best = 2;
        right += (float)(best == rt_labels(ctx)[n]);
    }
    ((float *)ctx->output)[0] = loss / (float)ctx->n;
    ((float *)ctx->output)[1] = right / (float)ctx->n;
}

static void rt_predict(NncCtx *ctx) {
    for (long long n = 0; n < ctx->n; n++)
        rt_logits(ctx, n, (float *)ctx->output + n * RT_CLASSES);
}

static void rt_scalars(const double *hyper, double step, double epoch, double n, float *out) {
    (void)n;
    (void)step;
    out[0] = (float)(hyper[0] / (1 + 0.1 * epoch));
    out[1] = (float)hyper[1];
}

static void rt_rates(const double *hyper, double step, double epoch, double n, double *out) {
    (void)n;
    (void)step;
    out[0] = hyper[0] / (1 + 0.1 * epoch);
}

static const char *const rt_rate_names[] = {"lr"};
static const NncTensor rt_tensors[] = {
    {"weight", NNC_PARAMETER, NNC_F32, 2, {RT_CLASSES, RT_PIXELS}, 4 * RT_WEIGHT},
    {"bias", NNC_PARAMETER, NNC_F32, 1, {RT_CLASSES}, 4 * RT_BIAS},
    {"momentum.v/weight",
     NNC_OPTIMIZER_STATE,
     NNC_F32,
     2,
     {RT_CLASSES, RT_PIXELS},
     4 * RT_VELOCITY},
    {"momentum.v/bias", NNC_OPTIMIZER_STATE, NNC_F32, 1, {RT_CLASSES}, 4 * RT_BIAS_VELOCITY},
    {"count", NNC_LAYER_STATE, NNC_I32, 0, {0}, 4 * RT_COUNT},
};
static const NncColumn rt_inputs[] = {
    {"image", NNC_F32, 3, {RT_BATCH, 4, 4}, 4 * RT_IMAGE, 0, false, true},
    {"label", NNC_I32, 1, {RT_BATCH}, 4 * RT_LABEL, RT_CLASSES, true, true},
};
static const NncColumn rt_scores_output[] = {{"loss", NNC_F32, 0, {0}, 0, 0, false, false},
                                           {"accuracy", NNC_F32, 0, {0}, 4, 0, false, false}};
static const NncColumn rt_predict_output[] = {
    {"logits", NNC_F32, 2, {RT_BATCH, RT_CLASSES}, 0, 0, false, true}};
static const NncHyper rt_hypers[] = {{.name = "lr", .value = 0.3},
                                     {.name = "momentum.gamma", .value = 0.9}};
static const NncCall rt_augment[] = {{"random_flip", "image", NULL, 0}};

static inline NncProgram rt_program(const char *folder) {
    static NncArgument argument[1];
    argument[0] = (NncArgument){"", folder, 0};
    return (NncProgram){
        .abi = NNC_ABI,
        .model = "Soft",
        .file = "models/soft.nnd",
        .source = "nnd 1 # a \"quote\"\n",
        .plan = "0123456789abcdef",
        .target = "x86-64-v2",
        .jit = "native",
        .batch = RT_BATCH,
        .chunk = RT_BATCH,
        .epochs = 3,
        .seed = 7,
        .shuffle = true,
        .state_bytes = 4 * RT_STATE,
        .input_bytes = 4 * RT_INPUT,
        .tensor = rt_tensors,
        .tensor_count = 5,
        .input = rt_inputs,
        .input_count = 2,
        .hyper = rt_hypers,
        .hyper_count = 2,
        .function =
            {
                [NNC_INIT] = {.run = rt_init},
                [NNC_TRAIN] = {.run = rt_train,
                               .scalars = rt_scalars,
                               .scalar_count = 2,
                               .work_bytes = 4 * (RT_CLASSES + 1) * RT_BATCH,
                               .output_bytes = 8,
                               .output = rt_scores_output,
                               .output_count = 2},
                [NNC_EVAL] = {.run = rt_eval,
                              .output_bytes = 8,
                              .output = rt_scores_output,
                              .output_count = 2},
                [NNC_PREDICT] = {.run = rt_predict,
                                 .output_bytes = 4 * RT_BATCH * RT_CLASSES,
                                 .output = rt_predict_output,
                                 .output_count = 1},
            },
        .rates = rt_rates,
        .rate = rt_rate_names,
        .rate_count = 1,
        .data = {"idx", NULL, argument, 1},
        .augment = rt_augment,
        .augment_count = 1,
    };
}

// --- Data: class c has a bright row c, on noise

static inline void rt_write_file(const char *folder, const char *name, const void *bytes,
                                 size_t size) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

static inline void rt_write_idx(const char *folder, const char *prefix, unsigned char count,
                                int split) {
    char name[64];
    unsigned char images[16 + 255 * RT_PIXELS] = {0, 0, 8, 3, 0, 0, 0, count,
                                                  0, 0, 0, 4, 0, 0, 0, 4};
    unsigned char labels[8 + 255] = {0, 0, 8, 1, 0, 0, 0, count};
    for (int i = 0; i < count; i++) {
        NncDraw draw = nnc_draw(99, (uint64_t)split, (uint64_t)i);
        int label = (int)nnc_draw_below(&draw, RT_CLASSES);
        for (int pixel = 0; pixel < RT_PIXELS; pixel++)
            images[16 + i * RT_PIXELS + pixel] =
                (unsigned char)(nnc_draw_below(&draw, 130) + (pixel / 4 == label ? 120 : 0));
        labels[8 + i] = (unsigned char)label;
    }
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
    rt_write_file(folder, name, images, 16 + (size_t)count * RT_PIXELS);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
    rt_write_file(folder, name, labels, 8 + (size_t)count);
}

// A folder of the test's own, with the data in it. The folder becomes the current one.
static inline const char *rt_folder(void) {
    static char folder[] = "/tmp/nnc-test-rt-XXXXXX";
    cr_assert(mkdtemp(folder) && chdir(folder) == 0);
    rt_write_idx(folder, "train", RT_TRAIN, 0);
    rt_write_idx(folder, "t10k", RT_TEST, 1);
    return folder;
}

static inline void rt_remove_folder(const char *folder) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert(!strncmp(folder, "/tmp/nnc-test-rt-", 17) && system(command) == 0);
}

// --- Runs

// Inlined, gcc takes what a stream has written to for the local that pointed to it.
#define RT_APART static __attribute__((noinline, unused))

// What a run reports; free.
RT_APART char *rt_run(const NncProgram *program, NncOptions options, NncStatus expected,
                           NncError *error) {
    char *text = NULL;
    size_t size;
    options.report = open_memstream(&text, &size);
    NncStatus status = nnc_train(program, &options, error);
    fclose(options.report);
    cr_assert_eq(status, expected, "status %d: %s", status, status ? error->text : "");
    return text;
}

RT_APART char *rt_run_json(const NncProgram *program, NncOptions options, NncStatus expected,
                                NncError *error) {
    options.json = true;
    return rt_run(program, options, expected, error);
}

static inline void rt_run_ok(const NncProgram *program, NncOptions options) {
    NncError error;
    free(rt_run(program, options, NNC_OK, &error));
}

// What nnc_eval says; free.
RT_APART char *rt_eval_json(const NncProgram *program, NncOptions options) {
    char *text = NULL;
    size_t size;
    NncError error;
    options.json = true;
    options.report = open_memstream(&text, &size);
    NncStatus status = nnc_eval(program, &options, &error);
    fclose(options.report);
    cr_assert_eq(status, NNC_OK, "%s", status ? error.text : "");
    return text;
}

// The bytes of a file, NUL behind them; free.
static inline char *rt_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    cr_assert(file, "%s is not there", path);
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, (1 << 20) - 1, file);
    bytes[*size] = 0;
    fclose(file);
    return bytes;
}

static inline void rt_expect_same_file(const char *a, const char *b) {
    size_t size_a, size_b;
    char *bytes_a = rt_file(a, &size_a), *bytes_b = rt_file(b, &size_b);
    cr_assert_eq(size_a, size_b, "%s and %s differ in size", a, b);
    cr_assert(!memcmp(bytes_a, bytes_b, size_a), "%s and %s differ", a, b);
    free(bytes_a);
    free(bytes_b);
}

#endif
