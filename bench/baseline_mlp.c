// SPDX-License-Identifier: MIT
// The network of examples/simplenet.nnd by hand: three dense layers, momentum.
#include "baseline.h"
#include "layers.h"

enum { LAYERS = 3, CLASSES = 10, PIXELS = 28 * 28 };

static const int widths[LAYERS + 1] = {PIXELS, 128, 64, CLASSES};

typedef struct Mlp {
    Baseline base;
    LinearShape linear[LAYERS];
    float *image;                  // normalised
    float *y[LAYERS], *dy[LAYERS]; // after relu; the last one are the logits
} Mlp;

static long long outputs(LinearShape shape) { return (long long)shape.batch * shape.units; }

static float forward(Mlp *net, const float *image, const int32_t *label) {
    const BaselineParameter *p = net->base.parameter;
    normalize(image, net->image, 0.1307f, 0.3081f, (long long)net->base.batch * PIXELS);
    const float *x = net->image;
    for (int i = 0; i < LAYERS; x = net->y[i++]) {
        linear_forward(x, p[2 * i].value, p[2 * i + 1].value, net->y[i], net->linear[i]);
        if (i < LAYERS - 1) relu_forward(net->y[i], outputs(net->linear[i]));
    }
    return cross_entropy(x, label, net->dy[LAYERS - 1], net->base.batch, CLASSES);
}

static void backward(Mlp *net) {
    const BaselineParameter *p = net->base.parameter;
    for (int i = LAYERS - 1; i >= 0; i--) {
        if (i < LAYERS - 1) relu_backward(net->y[i], net->dy[i], outputs(net->linear[i]));
        linear_backward(i ? net->y[i - 1] : net->image, p[2 * i].value, net->dy[i],
                        i ? net->dy[i - 1] : NULL, p[2 * i].gradient, p[2 * i + 1].gradient,
                        net->linear[i]);
    }
}

static float run(Baseline *base, const float *image, const int32_t *label) {
    Mlp *net = (Mlp *)base;
    float loss = forward(net, image, label);
    backward(net);
    base->step++;
    for (int i = 0; i < base->parameter_count; i++) {
        BaselineParameter *p = &base->parameter[i];
        momentum_update(p->value, p->gradient, p->moment[0], 0.01f, 0.9f, p->count);
    }
    return loss;
}

Baseline *baseline_mlp(int batch, unsigned seed) {
    Arena *arena = arena_new();
    Mlp *net = ARENA_NEW(arena, Mlp);
    net->base = (Baseline){
        .arena = arena, .batch = batch, .seed = seed, .moment_name = {"momentum.v"}, .run = run};
    net->image = baseline_floats(arena, (long long)batch * PIXELS);
    for (int i = 0; i < LAYERS; i++) {
        net->linear[i] = (LinearShape){batch, widths[i], widths[i + 1]};
        baseline_add(&net->base, arena_printf(arena, "linear_%d.weight", i + 1),
                     (long long)widths[i] * widths[i + 1]);
        baseline_add(&net->base, arena_printf(arena, "linear_%d.bias", i + 1), widths[i + 1]);
        net->y[i] = baseline_floats(arena, outputs(net->linear[i]));
        net->dy[i] = baseline_floats(arena, outputs(net->linear[i]));
    }
    return &net->base;
}
