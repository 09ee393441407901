// SPDX-License-Identifier: MIT
// Which kernels go through memory together.
//
//     const Groups *g = groups_make(arena, fusion);   // a forward pass of images, then the loss:
//     // level 0: { conv1, relu, conv2, softmax }, by images; level 1: { loss }
//
// A level has to wait until all parts of the one before are done. The strands of a level do not
// depend on one another; within a strand each part goes through all kernels in order.
#ifndef NNC_PASS_GROUP_H
#define NNC_PASS_GROUP_H

#include "pass/walk.h"

typedef struct Strand {
    VEC(const Walk *) walk; // in the kernels' order
    double time;            // nanoseconds on one thread, about
} Strand;

typedef struct Level {
    VEC(Strand *) strand;
    double time;
} Level;

typedef struct Groups {
    VEC(Level *) level;
} Groups;

// Says of each kernel what it waits for (Kernel.waits).
Groups *groups_make(Arena *arena, Fusion *fusion);
// How many of its outer indices a part of a strand of several kernels has: from shapes alone.
int64_t strand_grain(const Fusion *fusion, const Strand *strand);

#endif
