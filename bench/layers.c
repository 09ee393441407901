// SPDX-License-Identifier: MIT
// Layers by hand: see layers.h.
#include "layers.h"
#include "rng.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

// --- Convolution

int conv_size(ConvShape shape) { return shape.size - shape.kernel + 1; }

// Of one image: a row for each (channel, tap), a column for each output.
static int column_rows(ConvShape shape) { return shape.channels * shape.kernel * shape.kernel; }
static int column_width(ConvShape shape) { return conv_size(shape) * conv_size(shape); }

long long conv_columns(ConvShape shape) {
    return (long long)column_rows(shape) * column_width(shape);
}

// Stride 1: a row of outputs reads a run of inputs.
static void im2col(const float *x, float *columns, ConvShape shape) {
    int size = shape.size, out = conv_size(shape);
    for (int c = 0; c < shape.channels; c++)
        for (int r = 0; r < shape.kernel; r++)
            for (int s = 0; s < shape.kernel; s++)
                for (int h = 0; h < out; h++, columns += out)
                    memcpy(columns, x + (c * size + h + r) * size + s, sizeof(float) * (size_t)out);
}

static void col2im(const float *columns, float *x, ConvShape shape) {
    int size = shape.size, out = conv_size(shape);
    memset(x, 0, sizeof(float) * (size_t)(shape.channels * size * size));
    for (int c = 0; c < shape.channels; c++)
        for (int r = 0; r < shape.kernel; r++)
            for (int s = 0; s < shape.kernel; s++)
                for (int h = 0; h < out; h++, columns += out) {
                    float *row = x + (c * size + h + r) * size + s;
                    for (int w = 0; w < out; w++)
                        row[w] += columns[w];
                }
}

static void add_bias_of_channels(float *y, const float *bias, int batch, int units, int area) {
    for (int n = 0; n < batch; n++)
        for (int k = 0; k < units; k++, y += area)
            for (int i = 0; i < area; i++)
                y[i] += bias[k];
}

static void sum_over_channels(const float *dy, float *dbias, int batch, int units, int area) {
    memset(dbias, 0, sizeof(float) * (size_t)units);
    for (int n = 0; n < batch; n++)
        for (int k = 0; k < units; k++, dy += area) {
            float sum = 0;
            for (int i = 0; i < area; i++)
                sum += dy[i];
            dbias[k] += sum;
        }
}

void conv_forward(const float *x, const float *weight, const float *bias, float *y, float *columns,
                  ConvShape shape) {
    int rows = column_rows(shape), area = column_width(shape), units = shape.units;
    for (int n = 0; n < shape.batch; n++) {
        im2col(x + (long long)n * shape.channels * shape.size * shape.size, columns, shape);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, units, area, rows, 1, weight, rows,
                    columns, area, 0, y + (long long)n * units * area, area);
    }
    add_bias_of_channels(y, bias, shape.batch, units, area);
}

void conv_backward(const float *x, const float *weight, const float *dy, float *dx, float *dweight,
                   float *dbias, float *columns, ConvShape shape) {
    int rows = column_rows(shape), area = column_width(shape), units = shape.units;
    long long image = (long long)shape.channels * shape.size * shape.size;
    sum_over_channels(dy, dbias, shape.batch, units, area);
    for (int n = 0; n < shape.batch; n++, x += image, dy += (long long)units * area) {
        im2col(x, columns, shape);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, units, rows, area, 1, dy, area,
                    columns, area, n > 0, dweight, rows);
        if (!dx) continue;
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, rows, area, units, 1, weight, rows, dy,
                    area, 0, columns, area);
        col2im(columns, dx + n * image, shape);
    }
}

// --- Linear

void linear_forward(const float *x, const float *weight, const float *bias, float *y,
                    LinearShape shape) {
    int inputs = shape.inputs, units = shape.units;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, shape.batch, units, inputs, 1, x, inputs,
                weight, inputs, 0, y, units);
    for (int n = 0; n < shape.batch; n++)
        for (int k = 0; k < units; k++)
            y[n * units + k] += bias[k];
}

void linear_backward(const float *x, const float *weight, const float *dy, float *dx,
                     float *dweight, float *dbias, LinearShape shape) {
    int inputs = shape.inputs, units = shape.units;
    memset(dbias, 0, sizeof(float) * (size_t)units);
    for (int n = 0; n < shape.batch; n++)
        for (int k = 0; k < units; k++)
            dbias[k] += dy[n * units + k];
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, units, inputs, shape.batch, 1, dy, units,
                x, inputs, 0, dweight, inputs);
    if (dx)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, shape.batch, inputs, units, 1, dy,
                    units, weight, inputs, 0, dx, inputs);
}

// --- Elementwise, pooling

void normalize(const float *x, float *y, float mean, float std, long long count) {
    for (long long i = 0; i < count; i++)
        y[i] = (x[i] - mean) / std;
}

void relu_forward(float *x, long long count) {
    for (long long i = 0; i < count; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

void relu_backward(const float *y, float *dy, long long count) {
    for (long long i = 0; i < count; i++)
        dy[i] = y[i] > 0 ? dy[i] : 0;
}

void dropout_mask(float *mask, float rate, const char *stream, unsigned seed, unsigned step,
                  long long count) {
    unsigned id = nnc_random_stream(stream);
    unsigned a = nnc_random_key(seed, 0, id, step, 0), b = nnc_random_key(seed, 0, id, step, 1);
    for (long long i = 0; i < count; i++)
        mask[i] = nnc_random_unit(a, b, (unsigned)i) >= rate ? 1 / (1 - rate) : 0;
}

void multiply(float *x, const float *mask, long long count) {
    for (long long i = 0; i < count; i++)
        x[i] *= mask[i];
}

void mean_forward(const float *x, float *y, long long rows, long long area) {
    for (long long row = 0; row < rows; row++, x += area) {
        float sum = 0;
        for (long long i = 0; i < area; i++)
            sum += x[i];
        y[row] = sum / (float)area;
    }
}

void mean_backward(const float *dy, float *dx, long long rows, long long area) {
    for (long long row = 0; row < rows; row++, dx += area)
        for (long long i = 0; i < area; i++)
            dx[i] = dy[row] / (float)area;
}

// --- Loss

float cross_entropy(const float *logits, const int32_t *label, float *dlogits, int batch,
                    int classes) {
    float loss = 0;
    for (int n = 0; n < batch; n++, logits += classes, dlogits += classes) {
        float highest = logits[0], sum = 0;
        for (int c = 1; c < classes; c++)
            highest = logits[c] > highest ? logits[c] : highest;
        for (int c = 0; c < classes; c++)
            sum += dlogits[c] = expf(logits[c] - highest);
        for (int c = 0; c < classes; c++)
            dlogits[c] = (dlogits[c] / sum - (float)(c == label[n])) / (float)batch;
        loss += logf(sum) + highest - logits[label[n]];
    }
    return loss / (float)batch;
}

// --- Optimizers

void adam_update(float *p, const float *g, float *m, float *v, Adam adam, int step,
                 long long count) {
    float rate = (float)(adam.lr / (1 - pow(adam.beta1, step)));
    float unbias = (float)(1 / (1 - pow(adam.beta2, step)));
    float beta1 = (float)adam.beta1, rest1 = (float)(1 - adam.beta1);
    float beta2 = (float)adam.beta2, rest2 = (float)(1 - adam.beta2);
    float epsilon = (float)adam.epsilon;
    for (long long i = 0; i < count; i++) {
        m[i] = beta1 * m[i] + rest1 * g[i];
        v[i] = beta2 * v[i] + rest2 * g[i] * g[i];
        p[i] -= rate * m[i] / (sqrtf(v[i] * unbias) + epsilon);
    }
}

void momentum_update(float *p, const float *g, float *v, float lr, float gamma, long long count) {
    for (long long i = 0; i < count; i++) {
        v[i] = gamma * v[i] + lr * g[i];
        p[i] -= v[i];
    }
}
