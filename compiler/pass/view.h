// SPDX-License-Identifier: MIT
// How a product's operand is read where it is stored, through movements that nobody carries out:
//
//     %2 = window %1 ..         [N, 30, 3, 32]      of the image [N, 32, 32]
//     %3 = permute %2 ..        [N, 3, 30, 32]
//     %4 = reshape %3           [N, 1, 3, 960]      the operand
//
// The last axis of %4 is walked in two steps, 30 of stride 32 and 32 of stride 1, in %1.
#ifndef NNC_PASS_VIEW_H
#define NNC_PASS_VIEW_H

#include "ir/graph.h"

enum { WALK_STEPS = 24 };

typedef struct IndexWalk { // through an index, outermost step first; steps of extent 1 are left out
    int count;
    struct {
        Dim extent;
        int64_t stride; // elements of the base; 0: the same ones again
    } at[WALK_STEPS];
} IndexWalk;

typedef struct View {
    const Node *base;
    int64_t offset; // elements of the base
    IndexWalk axis[MAX_RANK];
} View;

void index_walk_add(IndexWalk *walk, Dim extent, int64_t stride);

// From `node` down through reshapes, permutations, slices, flips, windows and broadcasts to what
// they move, or to `stop` (NULL: as far as it goes).
View view_find(const Node *node, const Node *stop, int64_t batch);

#endif
