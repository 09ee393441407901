// SPDX-License-Identifier: MIT
// Local rewriting to a smaller graph: constants, identities, movement that cancels, dead nodes.
//
//     %2 = reshape %1, %3 = reshape %2 back, %4 = add %3 (broadcast of 0)        ->  %1
//
// What it may and may not change of the numbers is said at the top of simplify.c. Roots keep their
// order, kinds and names; the simplified graph of a simplified graph is equal to it.
#ifndef NNC_PASS_SIMPLIFY_H
#define NNC_PASS_SIMPLIFY_H

#include "ir/graph.h"

// A new graph in the arena. stop_gradient nodes go: no derivative is to be taken through the
// result.
Graph *simplify(Arena *arena, const Graph *graph);

// The same for a graph that is yet to be differentiated: stop_gradient nodes stay.
Graph *simplify_before_grad(Arena *arena, const Graph *graph);

#endif
