// SPDX-License-Identifier: MIT
// Lowering: from contractions over affine indices to what the machine has kernels for.
#ifndef NNC_PASS_LOWER_H
#define NNC_PASS_LOWER_H

#include "ir/graph.h"
#include "support/target.h"

// The same function with its contractions rewritten into batched matrix products of plain axes,
// between movements that the later passes make into copies (im2col) or into nothing, and folds
// (col2im). A contraction that is no such product, or one of fewer than `least` multiplications,
// not worth a call, stays: it becomes a loop nest. Where the target has vectors, 3x3 convolutions
// become Winograd's transforms. `batch`: the value of N at which costs are
// compared.
enum { LEAST_PRODUCT = 4096 };
Graph *lower(Arena *arena, const Graph *graph, int64_t batch, double least, const Target *target);

#endif
