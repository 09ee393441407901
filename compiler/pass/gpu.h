// SPDX-License-Identifier: MIT
// How a kernel's indices are shared out among the threads of a GPU: from shapes alone, for the
// batch, so that an element is computed in the same order whatever N is.
//
//     relu over [N, 64, 28, 28]          elements: a thread has four neighbours
//     sum of [N, 10] along 10            elements: a thread has a sum
//     softmax of [N, 1000]               team: a warp has a row
//     sum of [64, 100352] along 100352   team: a block has a sum
//     sum of [100352, 64] along 100352   across: a block has 32 sums, 8 rows of threads share them
//
// Where the sums are too few to keep a GPU busy, each is cut in parts, whose results a second
// kernel puts together (Kernel.partial).
#ifndef NNC_PASS_GPU_H
#define NNC_PASS_GPU_H

#include "pass/loops.h"

typedef enum GpuForm {
    GPU_ELEMENTS, // a thread computes an element, or some neighbours
    GPU_TEAM,     // some threads compute an element or a row, and share its reductions
    GPU_ACROSS,   // 32 threads side by side have an element each, rows of them share its reduction
} GpuForm;

typedef struct GpuShape {
    GpuForm form;
    int threads; // of a block
    int team;    // TEAM: threads that have an element, a block's, or so many of a warp, a power
                 // of two; ACROSS: 32
    int each;    // ELEMENTS: neighbours along the innermost loop that a thread has: 4 or 1
    int own;     // TEAM: the nest's first loops, which say which row it is; the others are in it
    int64_t elements; // of these loops, for the batch
    int64_t parts;    // > 1: of the reduction, `part` indices of its outermost variable each
    int64_t part;
} GpuShape;

// Of a coalesced nest.
GpuShape gpu_shape(const Loops *loops);
// Is the reduction shared by a team, or the rows of a block? Else one thread does it.
bool gpu_shares(const Loops *loops, const GpuShape *shape, const Value *reduction);
// Numbers that a kernel's parts leave for its second kernel; 0: it has one.
int64_t gpu_partial_elements(Arena *arena, const Fusion *fusion, const Kernel *kernel);
// Of a load or a store: is it 4 neighbours in memory, the first at a multiple of 4, where `var`
// runs from a multiple of 4 on?
bool gpu_is_four(const Loops *loops, const Index *index, int var);

#endif
