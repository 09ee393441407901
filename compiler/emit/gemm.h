// SPDX-License-Identifier: MIT
// Register blocks of products: the functions that emitted products are made of.
//
//     NNC_SHARED void block_3f2a90c1d5e8b746(const float *a, const float *b, float *c, int n)
//     { ... }
//
// adds up one block of the output, all of its sum, and stores it. Its strides are constants; blocks
// that are the same are one function, by their name, which is a hash of what they do.
#ifndef NNC_EMIT_GEMM_H
#define NNC_EMIT_GEMM_H

#include "emit/shared.h"
#include "pass/tiling.h"

enum { PIECES = 24 };

typedef struct Piece { // columns of a block that one register holds (dot: one column)
    int column, lanes;
} Piece;

typedef struct Block {
    int first_row; // flat: of all rows, which have their places in the block; else 0
    int rows, pieces;
    Piece piece[PIECES];
} Block;

// Its name; the function is shared from now on.
const char *block_name(SharedFunctions *shared, const Tiling *tiling, const Block *block);

// Likewise of the function that packs this many columns of b.
const char *pack_name(SharedFunctions *shared, const Tiling *tiling, int columns);

const char *pack_rows_name(SharedFunctions *shared, const Tiling *tiling); // of blocks of a

// The body of a product's kernel.
void gemm_body(Buf *out, SharedFunctions *shared, const Fusion *fusion, const Kernel *kernel);

// --- What both ways to print a product share (emit/product.c)

typedef struct Range { // low .. high - 1, as C
    const char *low, *high;
} Range;

const char *product_result_address(Arena *arena, const Kernel *kernel);
// The epilogue of rows (indices of its outermost loop) and columns (all where they are NULL).
void product_print_epilogue(Buf *out, const Fusion *fusion, const Kernel *kernel, Range rows,
                            Range columns, int depth);

#endif
