// SPDX-License-Identifier: MIT
// Shared by lower.c (which makes accesses plain), product.c (which orders axes) and wino.c.
#ifndef NNC_PASS_LOWER_INTERNAL_H
#define NNC_PASS_LOWER_INTERNAL_H

#include "ir/graph.h"
#include "support/target.h"

typedef struct LoopIndex {
    Dim extent;
    bool in_out;        // indexes the product's output
    bool window_output; // counts the outputs of a window
    bool tap;           // counts its taps
} LoopIndex;

typedef struct Fold { // out[p] = sum over q, r with p = stride*q + dilation*r - offset
    int p, r;         // loop indices; until the fold p is q, and has the extent of the operand's axis
    Dim outputs;      // p's extent
    int32_t stride, dilation, offset;
} Fold;

typedef struct Operand {
    const Node *node;
    int8_t index[MAX_RANK]; // the loop index of each axis
    unsigned has;           // the set of them
    bool free_order;        // copied in any case: its axes may come in any order
} Operand;

typedef struct Lowering {
    Graph *graph;
    int64_t batch;
    const Target *target;
    int outputs, index_count; // of the contraction's output; with those that are summed
    LoopIndex index[2 * MAX_RANK];
    int fold_count;
    Fold fold[MAX_RANK / 2];
} Lowering;

// The product of two plain operands, reshaped to one axis for each index; got[0 .. count) is the
// order that the axes have: want's where that costs no copy. NULL where there is no such product.
const Node *lower_product(Lowering *l, const Operand *a, const Operand *b, const int8_t *want,
                          int count, int8_t *got);

// A 3x3 convolution of stride 1, or a gradient of one, by Winograd's transforms (wino.c); NULL where
// the contraction is none, or it does not pay. What the graph's nodes are made by from here on is
// that choice.
const Node *lower_winograd(Lowering *l, const Node *a, const Node *b, const ContractAttr *attr,
                           const Shape *out);

#endif
