// SPDX-License-Identifier: MIT
// Layouts: the order of axes in memory.
#ifndef NNC_PASS_LAYOUT_H
#define NNC_PASS_LAYOUT_H

#include "ir/graph.h"

// The same function with permutations moved from operands to results wherever an operator can be
// computed in its operand's order, and pairs of them cancelled.
Graph *layout(Arena *arena, const Graph *graph);

#endif
