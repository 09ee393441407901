// SPDX-License-Identifier: MIT
// A training step that takes its batch in chunks.
//
//     Chunks *c = chunk_split(arena, train);
//     c->chunk    for each chunk of the examples: forward and backward, what is summed over examples
//                 is added to states of its own ("sum.0", ..)
//     c->rest     once: clipping, the optimizer, the loss of the whole batch; leaves the sums at zero
//
// In both, `size` is of the whole batch, and random numbers are those of the whole batch as well.
// The sums begin at zero, so what comes out is the step as it was but for the order in which the
// examples are added up.
#ifndef NNC_PASS_CHUNK_H
#define NNC_PASS_CHUNK_H

#include "ir/graph.h"

typedef struct Chunks {
    Graph *chunk, *rest; // NULL: this step needs its whole batch at once
    const char *why;     // then: the reason, and where
    Span where;
} Chunks;

Chunks chunk_split(Arena *arena, const Graph *train);

#endif
