// SPDX-License-Identifier: MIT
// The layers of a network as one writes them by hand on top of a BLAS: im2col and sgemm image by
// image, one plain C loop for every other operation, float32, images as [N, C, H, W]. What compiled
// programs are measured against.
//
//     linear_forward(x, weight, bias, y, (LinearShape){64, 784, 128});   // y[64, 128]
//     relu_forward(y, 64 * 128);
//
// Backward functions take the gradient of their output and overwrite the gradients of their inputs;
// those of parameters as well, so nothing has to be set to zero between steps. Where the gradient
// of x is not wanted, dx is NULL.
#ifndef NNC_BENCH_LAYERS_H
#define NNC_BENCH_LAYERS_H

#include <stdint.h>

typedef struct ConvShape {
    int batch, channels, size, units, kernel; // images are size x size; no padding, stride 1
} ConvShape;

typedef struct LinearShape {
    int batch, inputs, units;
} LinearShape;

int conv_size(ConvShape shape);          // height and width of y
long long conv_columns(ConvShape shape); // elements of the scratch array `columns`

// x[N, C, S, S], weight[K, C, R, R], bias[K], y[N, K, P, P] with P = S - R + 1
void conv_forward(const float *x, const float *weight, const float *bias, float *y, float *columns,
                  ConvShape shape);
void conv_backward(const float *x, const float *weight, const float *dy, float *dx, float *dweight,
                   float *dbias, float *columns, ConvShape shape);

// x[N, I], weight[O, I], bias[O], y[N, O]
void linear_forward(const float *x, const float *weight, const float *bias, float *y,
                    LinearShape shape);
void linear_backward(const float *x, const float *weight, const float *dy, float *dx,
                     float *dweight, float *dbias, LinearShape shape);

void normalize(const float *x, float *y, float mean, float std, long long count);

void relu_forward(float *x, long long count);                   // in place
void relu_backward(const float *y, float *dy, long long count); // in place; y: what relu gave

// Draws mask[i], 0 or 1 / (1 - rate), from the random numbers that nnc gives the stream of this
// name.
void dropout_mask(float *mask, float rate, const char *stream, unsigned seed, unsigned step,
                  long long count);
void multiply(float *x, const float *mask, long long count); // in place

// x[rows, area], y[rows]: the mean over an image
void mean_forward(const float *x, float *y, long long rows, long long area);
void mean_backward(const float *dy, float *dx, long long rows, long long area);

// The mean loss; dlogits[N, C] becomes its gradient.
float cross_entropy(const float *logits, const int32_t *label, float *dlogits, int batch,
                    int classes);

typedef struct Adam {
    double lr, beta1, beta2, epsilon;
} Adam;

// step counts from 1.
void adam_update(float *p, const float *g, float *m, float *v, Adam adam, int step,
                 long long count);
void momentum_update(float *p, const float *g, float *v, float lr, float gamma, long long count);

#endif
