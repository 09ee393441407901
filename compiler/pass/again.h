// SPDX-License-Identifier: MIT
// Less memory for more work: what lies between the kernels of a step and is needed late is computed
// again there, rather than kept.
//
//     graph = compute_again(arena, graph, &how, room);   // work arena: `room` bytes, if it can be
//
// The copy of a tensor's nodes reads the same as they do, through `again` nodes, which keep it
// apart from them (equal nodes would be one) and which name what it is not to be computed before.
// So it has the same bits. Chen, Xu, Zhang, Guestrin: "Training Deep Nets with Sublinear Memory
// Cost" (2016) choose segments of layers; here it is one tensor after the other, that with the
// most bytes for its work first, where the plan's memory is fullest.
#ifndef NNC_PASS_AGAIN_H
#define NNC_PASS_AGAIN_H

#include "pass/plan.h"

typedef struct Planning { // what fuse takes beside the graph
    int64_t batch;
    const Target *target;
    const Placement *placement;
    int placements;
} Planning;

const Graph *compute_again(Arena *arena, const Graph *lowered, const Planning *how, int64_t room);

#endif
