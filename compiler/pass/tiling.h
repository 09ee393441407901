// SPDX-License-Identifier: MIT
// How a product's kernel is made of register blocks: which of two forms they have, how many rows
// and columns, and how the output is cut into tiles that threads share.
//
//     z[49, 128] = a[49, 128] b[128, 128]      outer: rows 13 12 12 12, 4 panels of 2 vectors
//     z[16, 128] = a[16, 784] b[128, 784]^T    dot: rows 6 5 5, 32 times 4 columns
//
// Each of g, m, n and k is a list of digits (digits.h); s is k's first.
#ifndef NNC_PASS_TILING_H
#define NNC_PASS_TILING_H

#include "pass/digits.h"
#include "pass/plan.h"

// A length in parts that differ by one at most: 49 by at most 14 is 13 + 12 + 12 + 12.
typedef struct Cut {
    int size, large, count; // the first `large` of `count` parts have `size`, the others one less
} Cut;

typedef struct Tiling {
    bool swapped;  // a is the product's right operand, m and n are exchanged: the output's columns
                   // are rows here
    bool plain;    // there is no epilogue
    bool dot;      // vectors along k, added up at the end; else along n, a's elements broadcast
    bool packed;   // b's columns are copied to scratch memory, panel by panel, before they are used
    bool stepwise; // the first digit of k is outside of the blocks, which add to c: what they read
                   // of one index of it fits the cache
    bool packed_rows;    // a's rows are, all of a tile's at once: each k of a block lies together
    bool flat;           // all digits of m are rows of the blocks: few, with constant places
    int lanes;           // floats in a vector
    int vectors;         // of a panel
    int64_t batch;       // N at most
    const Node *base[2]; // what a and b are read from, and
    int64_t offset[2];   // from which element on
    bool narrow[2];      // a, b: the blocks read bf16
    bool pairs;      // both are, and two neighbours along k are one step: the upper halves of 32
                     // bits are multiplied, then the lower ones
    bool dot2;       // that is one instruction, nnc_dot2
    bool widened[2]; // bf16 that is made f32 in scratch memory, what the blocks of one matrix
                     // (and one step) read at a time; what is packed is widened on the way
    Digits g, m, n, k;
    Cut row;                     // the last digit of m; flat: all of it
    Cut column;                  // dot: the last digit of n
    int panels;                  // else: whole ones in the last digit of n; the rest comes behind
    int row_tiles, column_tiles; // 1 and 1 where there is more than one g
    int64_t tile_rows, tile_columns; // where a tile at a time lies in scratch memory: of the
                                     // largest; else 0
} Tiling;

// --- For kernels

// NULL where the library multiplies: what tiling_choose_reads (forms.h) has refused.
const Tiling *tiling_make(Arena *arena, const Fusion *fusion, const Kernel *kernel);
// The kernel's outermost index: g's first digit, or the tiles.
Dim tiling_count(const Tiling *tiling);
int64_t tiling_grain(const Tiling *tiling);    // how many of these are a part
int tiling_row_units(const Tiling *tiling);    // what tiles of rows are made of: blocks, or a digit
int tiling_column_units(const Tiling *tiling); // likewise: panels, or a digit
// Is there one matrix alone?
bool tiling_is_single(const Tiling *tiling);
// Elements of a or b from one index of the first digit of g to the next, and the first and the last
// that one of them reads.
int64_t tiling_stride(const Tiling *tiling, Side side);
void tiling_reach(const Tiling *tiling, Side side, int64_t *low, int64_t *high);
// Floats of scratch memory that packing and widening take: the panel, the rows, what is widened of
// a and b.
int64_t tiling_packed_elements(const Tiling *tiling);
int64_t tiling_panel_elements(const Tiling *tiling);
// Floats of scratch memory that a tile of the product takes, where it lies nowhere else.
int64_t tiling_tile_elements(const Tiling *tiling);
// Where in that memory what is widened of a or b lies; and which elements it is, counted from where
// the blocks' loops begin.
int64_t tiling_widened_start(const Tiling *tiling, Side side);
void tiling_widened_reach(const Tiling *tiling, Side side, int64_t *low, int64_t *high);
// Is it the same for each matrix?
bool tiling_is_shared(const Tiling *tiling, Side side);
// Columns of a whole panel.
int tiling_panel(const Tiling *tiling);

#endif
