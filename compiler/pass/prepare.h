// SPDX-License-Identifier: MIT
// Which kernels need not run in every call of a function: those of what follows from parameters
// that it does not change, and from constants.
//
//     k2_wino_filter   reads params              prepared: once for all batches that are evaluated
//     k4_product       reads k2's and k3's       in each call
//
// Their results stay in the work arena from one call to the next.
#ifndef NNC_PASS_PREPARE_H
#define NNC_PASS_PREPARE_H

#include "pass/plan.h"

// Sets Kernel.prepared.
void mark_prepared(Arena *arena, Fusion *fusion);

#endif
