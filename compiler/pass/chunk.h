// SPDX-License-Identifier: MIT
// A training step that takes its batch in chunks.
//
//     Chunks c = chunk_split(arena, train);
//     c.chunk[0]     for each chunk of the examples: forward and backward, what is summed over
//                    examples is added to states of its own ("sum.0", ..)
//     c.rest         once: clipping, the optimizer, the loss of the whole batch; leaves the sums at
//                    zero
//
// A second `minimize` sees the parameters that the first has changed, so its sums are known one
// pass through the batch later:
//
//     c.between[0]   once, after the first pass: what the second needs ("kept.0", ..), from the
//     sums c.chunk[1]     for each chunk, once more
//
// In all of them, `size` is of the whole batch, and random numbers are those of the whole batch as
// well. The sums begin at zero, so what comes out is the step as it was but for the order in which
// the examples are added up. Outputs beside the loss, metrics that are reported of a step, are left
// out where they would take more passes, or more than sums.
#ifndef NNC_PASS_CHUNK_H
#define NNC_PASS_CHUNK_H

#include "ir/graph.h"
#include "nnc.h"

typedef struct Chunks {
    int passes; // 0: this step needs its whole batch at once
    Graph *chunk[NNC_PASSES], *between[NNC_PASSES - 1], *rest;
    const char *why; // then: the reason, and where
    Span where;
} Chunks;

Chunks chunk_split(Arena *arena, const Graph *train);

#endif
