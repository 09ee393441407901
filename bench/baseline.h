// SPDX-License-Identifier: MIT
// The example networks once more, written by hand on top of layers.h: what a C programmer with a
// BLAS at hand would train instead of compiling the model. The same steps from the same parameters,
// dropout's random numbers included, so that results can be compared and then times.
//
//     Baseline *net = baseline_cnn(16, 1);
//     memcpy(net->parameter[0].value, ...);             // conv2d_1.weight, and so on
//     float loss = net->run(net, image, label);
//     baseline_free(net);
#ifndef NNC_BENCH_BASELINE_H
#define NNC_BENCH_BASELINE_H

#include "support/arena.h"
#include <stdint.h>

enum { MAX_PARAMETERS = 16, MAX_MOMENTS = 2 };

typedef struct BaselineParameter {
    const char *name; // as nnc calls it: conv2d_1.weight
    long long count;
    float *value, *gradient;
    float *moment[MAX_MOMENTS]; // of the optimizer
} BaselineParameter;

typedef struct Baseline {
    Arena *arena;
    int batch, step;                      // step: how many are done
    unsigned seed;                        // of dropout
    const char *moment_name[MAX_MOMENTS]; // adam.m, adam.v; NULL: there is no such moment
    BaselineParameter parameter[MAX_PARAMETERS];
    int parameter_count;
    // One training step on pixels of 0 .. 1 and labels below 10; the loss before it.
    float (*run)(struct Baseline *net, const float *image, const int32_t *label);
} Baseline;

Baseline *baseline_cnn(int batch, unsigned seed); // examples/cifar10.nnd; image[batch, 3, 32, 32]
Baseline *baseline_mlp(int batch, unsigned seed); // examples/simplenet.nnd; image[batch, 28, 28]
void baseline_free(Baseline *net);

// For the files of the networks: a zeroed array, and a parameter with its arrays.
float *baseline_floats(Arena *arena, long long count);
void baseline_add(Baseline *net, const char *name, long long count);

#endif
