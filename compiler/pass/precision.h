// SPDX-License-Identifier: MIT
// precision = bf16: which tensors are kept in 16 bits.
#ifndef NNC_PASS_PRECISION_H
#define NNC_PASS_PRECISION_H

#include "pass/plan.h"

// The graph with casts to bf16 and back behind what is kept as bf16. Everything is still computed
// in f32.
Graph *precision(Arena *arena, const Graph *from, int64_t batch, const Target *target);

#endif
