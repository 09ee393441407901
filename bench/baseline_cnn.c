// SPDX-License-Identifier: MIT
// The network of examples/cifar10.nnd by hand: four convolutions, global pooling, two dense layers,
// Adam.
#include "baseline.h"
#include "layers.h"

enum { CONVS = 4, FEATURES = 64, HIDDEN = 32, CLASSES = 10, PIXELS = 3 * 32 * 32 };

static const ConvShape conv_shapes[CONVS] = {
    {.channels = 3, .size = 32, .units = 64, .kernel = 3},
    {.channels = 64, .size = 30, .units = 128, .kernel = 3},
    {.channels = 128, .size = 28, .units = 128, .kernel = 3},
    {.channels = 128, .size = 26, .units = FEATURES, .kernel = 3},
};

// Parameters are in pairs, a weight and its bias: the convolutions', then these.
enum { DENSE = 2 * CONVS, HEAD = DENSE + 2 };

typedef struct Cnn {
    Baseline base;
    ConvShape conv[CONVS];
    LinearShape dense, head;
    float *columns;
    float *image;                   // normalised
    float *y[CONVS], *dy[CONVS];    // after relu, which the last one has none of
    float *pooled, *dpooled;        // [N, FEATURES]
    float *hidden, *dhidden, *mask; // [N, HIDDEN], after dropout
    float *logits, *dlogits;        // [N, CLASSES]
} Cnn;

static long long conv_outputs(ConvShape shape) {
    return (long long)shape.batch * shape.units * conv_size(shape) * conv_size(shape);
}

static int last_area(const Cnn *net) {
    return conv_size(net->conv[CONVS - 1]) * conv_size(net->conv[CONVS - 1]);
}

static float forward(Cnn *net, const float *image, const int32_t *label) {
    const BaselineParameter *p = net->base.parameter;
    int batch = net->base.batch;
    normalize(image, net->image, 0.1307f, 0.3081f, (long long)batch * PIXELS);
    const float *x = net->image;
    for (int i = 0; i < CONVS; x = net->y[i++]) {
        conv_forward(x, p[2 * i].value, p[2 * i + 1].value, net->y[i], net->columns, net->conv[i]);
        if (i < CONVS - 1) relu_forward(net->y[i], conv_outputs(net->conv[i]));
    }
    mean_forward(x, net->pooled, (long long)batch * FEATURES, last_area(net));
    linear_forward(net->pooled, p[DENSE].value, p[DENSE + 1].value, net->hidden, net->dense);
    relu_forward(net->hidden, (long long)batch * HIDDEN);
    dropout_mask(net->mask, 0.5f, "dropout_1#1", net->base.seed, (unsigned)net->base.step,
                 (long long)batch * HIDDEN);
    multiply(net->hidden, net->mask, (long long)batch * HIDDEN);
    linear_forward(net->hidden, p[HEAD].value, p[HEAD + 1].value, net->logits, net->head);
    return cross_entropy(net->logits, label, net->dlogits, batch, CLASSES);
}

static void backward(Cnn *net) {
    const BaselineParameter *p = net->base.parameter;
    int batch = net->base.batch;
    linear_backward(net->hidden, p[HEAD].value, net->dlogits, net->dhidden, p[HEAD].gradient,
                    p[HEAD + 1].gradient, net->head);
    multiply(net->dhidden, net->mask, (long long)batch * HIDDEN);
    relu_backward(net->hidden, net->dhidden, (long long)batch * HIDDEN);
    linear_backward(net->pooled, p[DENSE].value, net->dhidden, net->dpooled, p[DENSE].gradient,
                    p[DENSE + 1].gradient, net->dense);
    mean_backward(net->dpooled, net->dy[CONVS - 1], (long long)batch * FEATURES, last_area(net));
    for (int i = CONVS - 1; i >= 0; i--) {
        if (i < CONVS - 1) relu_backward(net->y[i], net->dy[i], conv_outputs(net->conv[i]));
        conv_backward(i ? net->y[i - 1] : net->image, p[2 * i].value, net->dy[i],
                      i ? net->dy[i - 1] : NULL, p[2 * i].gradient, p[2 * i + 1].gradient,
                      net->columns, net->conv[i]);
    }
}

static float run(Baseline *base, const float *image, const int32_t *label) {
    Cnn *net = (Cnn *)base;
    const Adam adam = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
    float loss = forward(net, image, label);
    backward(net);
    base->step++;
    for (int i = 0; i < base->parameter_count; i++) {
        BaselineParameter *p = &base->parameter[i];
        adam_update(p->value, p->gradient, p->moment[0], p->moment[1], adam, base->step, p->count);
    }
    return loss;
}

static void add_convolutions(Cnn *net) {
    Arena *arena = net->base.arena;
    long long columns = 0;
    for (int i = 0; i < CONVS; i++) {
        ConvShape shape = net->conv[i] = conv_shapes[i];
        net->conv[i].batch = shape.batch = net->base.batch;
        baseline_add(&net->base, arena_printf(arena, "conv2d_%d.weight", i + 1),
                     (long long)shape.units * shape.channels * shape.kernel * shape.kernel);
        baseline_add(&net->base, arena_printf(arena, "conv2d_%d.bias", i + 1), shape.units);
        net->y[i] = baseline_floats(arena, conv_outputs(shape));
        net->dy[i] = baseline_floats(arena, conv_outputs(shape));
        if (conv_columns(shape) > columns) columns = conv_columns(shape);
    }
    net->columns = baseline_floats(arena, columns);
}

static void add_dense_layers(Cnn *net) {
    Arena *arena = net->base.arena;
    int batch = net->base.batch;
    net->dense = (LinearShape){batch, FEATURES, HIDDEN};
    net->head = (LinearShape){batch, HIDDEN, CLASSES};
    baseline_add(&net->base, "linear_1.weight", FEATURES * HIDDEN);
    baseline_add(&net->base, "linear_1.bias", HIDDEN);
    baseline_add(&net->base, "head.weight", HIDDEN * CLASSES);
    baseline_add(&net->base, "head.bias", CLASSES);
    net->pooled = baseline_floats(arena, (long long)batch * FEATURES);
    net->dpooled = baseline_floats(arena, (long long)batch * FEATURES);
    net->hidden = baseline_floats(arena, (long long)batch * HIDDEN);
    net->dhidden = baseline_floats(arena, (long long)batch * HIDDEN);
    net->mask = baseline_floats(arena, (long long)batch * HIDDEN);
    net->logits = baseline_floats(arena, (long long)batch * CLASSES);
    net->dlogits = baseline_floats(arena, (long long)batch * CLASSES);
}

Baseline *baseline_cnn(int batch, unsigned seed) {
    Arena *arena = arena_new();
    Cnn *net = ARENA_NEW(arena, Cnn);
    net->base = (Baseline){.arena = arena,
                           .batch = batch,
                           .seed = seed,
                           .moment_name = {"adam.m", "adam.v"},
                           .run = run};
    net->image = baseline_floats(arena, (long long)batch * PIXELS);
    add_convolutions(net);
    add_dense_layers(net);
    return &net->base;
}
