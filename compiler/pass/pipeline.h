// SPDX-License-Identifier: MIT
// The order of the passes: one table, read top to bottom, by the compiler and by `nnc graph
// --stage`.
#ifndef NNC_PASS_PIPELINE_H
#define NNC_PASS_PIPELINE_H

#include "pass/plan.h"

// What one function of a module has become so far.
typedef struct Pipeline {
    Arena *arena;
    const Module *module;
    NncFunctionKind function;
    const Target *target;
    const Placement *placement;
    int placements;
    const Graph *graph; // until lower
    Fusion *fusion;     // from fuse on
    Plan *plan;         // from plan on
} Pipeline;

// Runs the passes up to and including `last` (NULL: all). The module is the front end's, which has
// called grad already: a gradient is an expression of the language.
void pipeline_run(Pipeline *pipeline, const char *last);

#endif
