// SPDX-License-Identifier: MIT
// What can be said of a kernel without running it: the operators in it, the lines it serves, the
// work it has.
//
//     Cost cost = kernel_cost(arena, fusion, kernel);      // for a full batch
//     KernelNodes own = kernel_nodes(arena, fusion, kernel);
#ifndef NNC_PASS_COST_H
#define NNC_PASS_COST_H

#include "pass/plan.h"

// The least that computing a kernel's results takes, whatever code does it: each element of what is
// not stored computed once, each element in memory read or written once. So kernels that compute
// things again, or read them twice, show a smaller part of the machine's limit.
typedef struct Cost {
    double flops; // additions, multiplications, any other pointwise operator on one element
    double bytes;
} Cost;

Cost kernel_cost(Arena *arena, const Fusion *fusion, const Kernel *kernel);

// The nodes that a kernel computes, stored or in passing, in topological order; none for a copy.
typedef struct KernelNodes {
    VEC(const Node *) node;
} KernelNodes;

KernelNodes kernel_nodes(Arena *arena, const Fusion *fusion, const Kernel *kernel);

// The first place in each line that these nodes serve, the results' own lines first.
typedef struct Places {
    VEC(Span) span;
} Places;

Places kernel_places(Arena *arena, const Fusion *fusion, const Kernel *kernel);

#endif
