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
    int64_t grain;          // outer indices of a part, where several kernels go by parts; else 0
} Strand;

typedef struct Level {
    VEC(Strand *) strand;
    double time;
    bool prepared; // all of it: not in each call (prepare.h)
} Level;

typedef struct Groups {
    VEC(Level *) level;
} Groups;

// Says of each kernel what it waits for (Kernel.waits).
Groups *groups_make(Arena *arena, Fusion *fusion);
// How many of its outer indices a part of a strand of several kernels has: from shapes alone.
int64_t strand_grain(const Fusion *fusion, const Strand *strand);
// Gives buffers that live within one strand to its threads, a part's worth each (pass/scope.c).
// `scratch`: bytes that kernels have of their own; returns what each thread needs in all.
int64_t scope_buffers(Arena *arena, Fusion *fusion, const Groups *groups, int64_t scratch);

#endif
