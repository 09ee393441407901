// SPDX-License-Identifier: MIT
// Blocks of products on a GPU (emit/cuda_product.h) against sums in double: tiles of all shapes, in
// all kinds of arithmetic, operands that lie either way and are loaded one by one or several at
// once, extents that are no multiple of anything, sums in parts.
#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../compiler/emit/cuda_product.h"

static int number, wrong;

typedef struct Problem {
    const void *a, *b;
    float *c, *part;
    int rows, columns, last, parts;
} Problem;

template <class Tile, class T, int V, int A, int B> __global__ void multiply(Problem p) {
    const int across = (p.columns + Tile::columns - 1) / Tile::columns,
              down = (p.rows + Tile::rows - 1) / Tile::rows, block = (int)blockIdx.x;
    const int column = block % across * Tile::columns, row = block / across % down * Tile::rows,
              part = block / (across * down);
    const int each = (p.last / p.parts + Tile::depth - 1) / Tile::depth * Tile::depth;
    const int from = part * each, to = part + 1 < p.parts ? from + each : p.last;
    const auto a = nnc_operand<V, A>((const T *)p.a,
                                     [=](int i) { return A == NNC_ALONG_SUM ? i * p.last : i; },
                                     [=](int k) { return A == NNC_ALONG_SUM ? k : k * p.rows; });
    const auto b = nnc_operand<V, B>((const T *)p.b,
                                     [=](int i) { return B == NNC_ALONG_SUM ? i * p.last : i; },
                                     [=](int k) { return B == NNC_ALONG_SUM ? k : k * p.columns; });
    float sum[Tile::sums] = {0};
    nnc_multiply<Tile, NncStages<Tile, decltype(a), decltype(b)>::shared>(
        sum, a, b, row, p.rows, column, p.columns, from, to);
    const auto end = [](int, int, int, float z) { return z; };
    nnc_finish < Tile, V<4 ? V : 4>(sum, p.part + (long long)part * p.rows * p.columns, p.columns,
                                    0, row, p.rows, column, p.columns, end);
}

template <int V> __global__ void join(Problem p) {
    nnc_join<V>(p.c, p.part, p.parts, p.rows * p.columns, 1, p.rows, p.columns, p.rows, p.columns,
                [](int, int, int, float z) { return 2 * z; });
}

template <class T, int V> __global__ void dot(Problem p) {
    const auto a = nnc_operand<V, NNC_ALONG_SUM>((const T *)p.a, [=](int i) { return i * p.last; },
                                                 [=](int k) { return k; });
    const auto b = nnc_operand<V, NNC_ALONG_SUM>((const T *)p.b, [=](int i) { return i * p.last; },
                                                 [=](int k) { return k; });
    const int warp = (int)(blockIdx.x * blockDim.x + threadIdx.x) / 32, down = (p.rows + 2) / 3;
    const int column = warp % p.columns, row = warp / p.columns * 3;
    if (warp / p.columns >= down) return;
    float sum[3] = {0};
    nnc_dot(sum, a, b, row, p.rows, column, p.last);
    for (int r = 0; r < 3; r++)
        if ((int)threadIdx.x % 32 == r && row + r < p.rows)
            p.c[(row + r) * p.columns + column] = 2 * sum[r];
}

template <class T> static T from_float(float value) { return (T)value; }
template <> unsigned short from_float(float value) {
    return (unsigned short)(__float_as_uint(value) >> 16);
}
static float to_float(float value) { return value; }
static float to_float(unsigned short value) { return __uint_as_float((unsigned)value << 16); }

template <class T> static T *random_tensor(int count, unsigned seed) {
    T *host = (T *)malloc(sizeof(T) * (size_t)count), *device = NULL;
    for (int i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        host[i] = from_float<T>((float)(int)(seed >> 8) / 8388608.0f - 1);
    }
    cudaMalloc(&device, sizeof(T) * (size_t)count);
    cudaMemcpy(device, host, sizeof(T) * (size_t)count, cudaMemcpyHostToDevice);
    free(host);
    return device;
}

template <class T> static T *fetch(const T *device, int count) {
    T *host = (T *)malloc(sizeof(T) * (size_t)count);
    cudaMemcpy(host, device, sizeof(T) * (size_t)count, cudaMemcpyDeviceToHost);
    return host;
}

// Of the largest value, how far c is from 2 a b.
template <class T> static double error_of(const Problem *p, bool a_along, bool b_along) {
    T *a = fetch((const T *)p->a, p->rows * p->last),
      *b = fetch((const T *)p->b, p->columns * p->last);
    float *c = fetch(p->c, p->rows * p->columns);
    double most = 0, largest = 0;
    for (int i = 0; i < p->rows; i++)
        for (int j = 0; j < p->columns; j++) {
            double sum = 0;
            for (int k = 0; k < p->last; k++)
                sum += 2.0 * to_float(a[a_along ? i * p->last + k : k * p->rows + i]) *
                       to_float(b[b_along ? j * p->last + k : k * p->columns + j]);
            largest = fmax(largest, fabs(sum));
            double error = fabs(sum - c[i * p->columns + j]);
            most = error <= most ? most : error; // NaN is the most
        }
    free(a), free(b), free(c);
    return most / largest;
}

static void finish(Problem *p, const char *name, double error, double tolerance) {
    bool good = error <= tolerance && cudaGetLastError() == cudaSuccess;
    if (!good) wrong++;
    printf("%s %d - %s %dx%dx%d in %d: %.2g\n", good ? "ok" : "not ok", ++number, name, p->rows,
           p->columns, p->last, p->parts, error);
    cudaFree((void *)p->a), cudaFree((void *)p->b), cudaFree(p->c), cudaFree(p->part);
}

template <class T> static Problem problem(int rows, int columns, int last, int parts) {
    Problem p = {NULL, NULL, NULL, NULL, rows, columns, last, parts};
    p.a = random_tensor<T>(rows * last, 1), p.b = random_tensor<T>(columns * last, 2);
    cudaMalloc(&p.c, sizeof(float) * (size_t)(rows * columns));
    cudaMalloc(&p.part, sizeof(float) * (size_t)(rows * columns * parts));
    return p;
}

struct Nowhere {
    int operator()(int) const { return 0; }
};

template <class Tile, class T, int V, int A, int B>
static void check(const char *name, int rows, int columns, int last, int parts) {
    Problem p = problem<T>(rows, columns, last, parts);
    const int blocks = (columns + Tile::columns - 1) / Tile::columns *
                       ((rows + Tile::rows - 1) / Tile::rows) * parts;
    void *args[] = {&p};
    void (*kernel)(Problem) = multiply<Tile, T, V, A, B>,
         (*second)(Problem) = join < V < 4 ? V : 4 > ;
    const int shared = NncStages<Tile, NncOperand<T, V, A, Nowhere, Nowhere>,
                                 NncOperand<T, V, B, Nowhere, Nowhere>>::shared;
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
    cudaLaunchKernel(kernel, dim3((unsigned)blocks), dim3(Tile::threads), args, shared, 0);
    cudaLaunchKernel(second, dim3((unsigned)(rows * columns / 64 + 1)), dim3(64), args, 0, 0);
    cudaDeviceSynchronize();
    bool rounds = Tile::arithmetic == NNC_TF32 && sizeof(T) == 4;
    finish(&p, name, error_of<T>(&p, A == NNC_ALONG_SUM, B == NNC_ALONG_SUM), rounds ? 2e-3 : 2e-6);
}

template <class T, int V> static void check_dot(const char *name, int rows, int columns, int last) {
    Problem p = problem<T>(rows, columns, last, 1);
    void *args[] = {&p};
    void (*kernel)(Problem) = dot<T, V>;
    cudaLaunchKernel(kernel, dim3((unsigned)((rows + 2) / 3 * columns + 3) / 4), dim3(128), args, 0,
                     0);
    cudaDeviceSynchronize();
    finish(&p, name, error_of<T>(&p, true, true), 2e-6);
}

#define ROWS NNC_ALONG_ROWS
#define SUM  NNC_ALONG_SUM

int main(void) {
    check<NncTile<NNC_F32, 128, 128, 8, 32, 64, 0>, float, 1, SUM, ROWS>("f32", 130, 131, 37, 1);
    check<NncTile<NNC_F32, 128, 64, 16, 32, 64, 0>, float, 4, SUM, SUM>("f32", 132, 68, 68, 2);
    check<NncTile<NNC_F32, 64, 64, 16, 32, 32, 7>, float, 4, ROWS, ROWS>("f32 even", 64, 128, 64,
                                                                         1);
    check<NncTile<NNC_F32, 64, 32, 16, 16, 32, 0>, float, 2, ROWS, SUM>("f32", 30, 34, 50, 3);
    check<NncTile<NNC_F32, 32, 32, 16, 16, 16, 0>, unsigned short, 8, SUM, ROWS>("of bf16", 32, 40,
                                                                                 48, 1);
    check<NncTile<NNC_F32, 16, 64, 16, 16, 16, 0>, unsigned short, 1, SUM, ROWS>("of bf16", 17, 3,
                                                                                 19, 1);
    check<NncTile<NNC_TF32, 128, 64, 16, 32, 32, 0>, float, 4, SUM, ROWS>("tf32", 132, 68, 68, 1);
    check<NncTile<NNC_TF32, 32, 64, 16, 16, 32, 0>, float, 1, ROWS, SUM>("tf32", 33, 70, 35, 2);
    check<NncTile<NNC_TF32, 64, 64, 16, 32, 32, 0>, unsigned short, 2, SUM, ROWS>("of bf16", 66, 62,
                                                                                  38, 1);
    check<NncTile<NNC_BF16, 128, 128, 16, 64, 32, 7>, unsigned short, 8, SUM, ROWS>(
        "bf16 even", 128, 128, 96, 1);
    check<NncTile<NNC_BF16, 64, 64, 16, 32, 32, 0>, unsigned short, 8, ROWS, SUM>("bf16", 72, 40,
                                                                                  88, 2);
    check<NncTile<NNC_BF16, 32, 32, 16, 16, 16, 0>, unsigned short, 1, SUM, ROWS>("bf16", 35, 33,
                                                                                  37, 1);
    check<NncTile<NNC_BF16, 32, 32, 16, 16, 16, 0>, unsigned short, 2, ROWS, SUM>("bf16", 34, 30,
                                                                                  70, 1);
    check<NncTile<NNC_TF32, 64, 64, 16, 32, 32, 0>, float, 4, ROWS, SUM>("tf32", 60, 64, 200, 1);
    check<NncTile<NNC_BF16, 64, 128, 16, 32, 32, 0>, unsigned short, 8, ROWS, ROWS>("bf16", 64, 120,
                                                                                    333, 3);
    check<NncTile<NNC_BF16, 64, 64, 16, 32, 32, 0>, unsigned short, 1, ROWS, ROWS>("bf16", 33, 31,
                                                                                   70, 1);
    check<NncTile<NNC_BF16, 128, 128, 16, 64, 32, 0>, unsigned short, 8, SUM, SUM>("bf16", 100, 140,
                                                                                   264, 1);
    check_dot<float, 4>("dot", 4, 10, 784);
    check_dot<float, 1>("dot", 5, 3, 45);
    check_dot<unsigned short, 8>("dot of bf16", 1, 9, 264);
    printf("1..%d\n", number);
    return wrong > 0;
}
