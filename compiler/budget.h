// SPDX-License-Identifier: MIT
// `budget = 256 MB`, a training step that fits into the memory that it may take, and `accumulate = 4`,
// one that takes its batch in so many chunks at least.
//
//     Compiled *compiled = plan_within(arena, module, target, diag);   // NULL: reported
//
// What counts is what training allocates: the arenas of all functions, the batches that are loaded
// ahead, and scratch memory for BUDGET_THREADS threads, so that the same file is the same program
// wherever it is compiled. A run on more threads takes their scratch memory beyond the budget.
#ifndef NNC_BUDGET_H
#define NNC_BUDGET_H

#include "compile.h"

enum { BUDGET_THREADS = 4 };

Price compiled_price(const Compiled *compiled);
int compiled_chunks(const Compiled *compiled); // of a full batch
int compiled_again(const Compiled *compiled);  // kernels that compute what was computed before
// What was made of the step and what that costs, in words; NULL: it is as it would be without.
const char *budget_text(Arena *arena, const Compiled *compiled);

// Planned, without its source (compile_plans).
Compiled *plan_within(Arena *arena, const Module *module, const Target *target, Diag *diag);

#endif
