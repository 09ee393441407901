// SPDX-License-Identifier: MIT
// How a product's kernel is cut up on a GPU: what a block of threads computes, by which arithmetic,
// and in how many parts the sum is taken.
//
//     z[200704, 128] = a[200704, 576] b[576, 128]    tiles of 128x128, a warp 32x64
//     z[128, 1152] = a[128, 200704] b[200704, 1152]  tiles of 128x128, in 28 parts that are joined
//     z[1, 10] = a[1, 784] b[784, 10]                a warp for each element
//
// All of it follows from the product's digits and the target.
#ifndef NNC_PASS_CUDA_TILING_H
#define NNC_PASS_CUDA_TILING_H

#include "pass/tiling.h"
#include "support/choice.h"

typedef enum CudaForm {
    CUDA_TILES, // in shared memory, by a block of threads
    CUDA_DOTS,  // a warp for each column and a few rows: its lanes share the sum out
    CUDA_ALONE, // a thread for each element
} CudaForm;

typedef enum CudaArithmetic { // NncArithmetic of emit/cuda_product.h
    CUDA_F32,
    CUDA_TF32,
    CUDA_BF16,
} CudaArithmetic;

typedef struct CudaShape { // of a tile
    int rows, columns, cells, warp_rows, warp_columns;
} CudaShape;

typedef struct CudaTile {
    Tiling digits; // of the product: base, offset, g, m, n, k. Rows of several matrices that share
                   // b are rows of one
    Dim g, rows, columns, k; // the product of each one's extents
    CudaForm form;
    CudaArithmetic arithmetic;
    CudaShape shape;   // TILES
    int threads;       // of a block
    int64_t shared;    // bytes of shared memory that it asks for; 0: what its code declares
    int warp_rows;     // DOTS: of a warp
    int vector[2];     // neighbours of a and of b that are loaded at once,
    bool along_sum[2]; // which are neighbours along k; else along rows or columns
    int store;         // neighbours that are stored at once
    int64_t parts;     // of the sum; 1: it is not cut
    int64_t part;      // how many k one has
    double cost;       // in cycles of the whole GPU, about
} CudaTile;

// Of a kernel whose operands and result have their places in memory. *made: what was chosen from;
// unchanged for an empty sum.
const CudaTile *cuda_tile_choose(Arena *arena, const Fusion *fusion, const Kernel *kernel,
                                 const Choice **made);
// Floats of partial sums; 0: there are none.
int64_t cuda_tile_partial(const Fusion *fusion, const Kernel *kernel);
// k of a tile in shared memory.
int cuda_depth(const CudaTile *tile);
// "tiles of 128x64x16, f32, in 8 parts"
void cuda_tile_print(Buf *out, const CudaTile *tile);

#endif
