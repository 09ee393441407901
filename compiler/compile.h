// SPDX-License-Identifier: MIT
// The compiler as one call: from a front end's Module to C source and the program table.
//
//     Compiled *c = compile(arena, module, target_find("native"), diag);
//     jit_load(c, JIT_AUTO, ...);  nnc_train(&c->program, &options, &error);
#ifndef NNC_COMPILE_H
#define NNC_COMPILE_H

#include "ir/program.h"
#include "support/target.h"

typedef struct Plan Plan;                       // pass/plan.h
typedef struct SharedFunctions SharedFunctions; // emit/shared.h

typedef struct Price { // of a training step
    long long bytes;   // of all arenas, as budget.h counts them
    double flops;
    double time; // nanoseconds on one thread, by the count that plans are made by
} Price;

typedef struct Compiled {
    const Module *module; // what was compiled: where a budget made a difference, not the one that was given
    const Target *target;
    const Graph *lowered[NNC_FUNCTIONS]; // NULL where the module has no such function
    const Plan *plan[NNC_FUNCTIONS];
    NncProgram program; // complete but for function[].run, .scalars, rates and jit (load_functions of the command line fills them in)
    const char *source; // C: void nnc_run_init(NncCtx *), nnc_scalars_init(..), nnc_run_train(..) .. as in
                        // NncFunction: `nnc_run_NAME` and `nnc_scalars_NAME`, NAME from function_name()
                        // (nnc_train itself is the runtime's, and a built program links both)
    // What the source is made of: its head, what kernels share, each function.
    const char *head, *text[NNC_FUNCTIONS];
    const SharedFunctions *shared;
    Price without;                   // where budget.h made a difference: what a step takes without that
    double seconds;                  // what compile() took
} Compiled;

// The source of some of the functions: bits 1 << NNC_TRAIN ..
const char *compiled_source(Arena *arena, const Compiled *compiled, unsigned functions);

// init, train, eval, predict, chunk, chunk_2 .., between ..
const char *function_name(NncFunctionKind kind);

// Runs every pass on every graph of the module and emits C. NULL after an error (reported in diag).
Compiled *compile(Arena *arena, const Module *module, const Target *target, Diag *diag);

// The same without the source: no more than what it takes to know how much memory there will be.
Compiled *compile_plans(Arena *arena, const Module *module, const Target *target);

// The C text of the program table, for `nnc build` and `nnc emit`:
//     #include "nnc.h" ... const NncProgram NAME = {...};
void emit_table(Buf *out, const NncProgram *program, const char *name);

// The stages that `nnc graph --stage` knows, in order, with a line of help each: elab, simplify, grad .. plan.
// A dump of one function of the module after that stage, as text.
typedef struct StageInfo {
    const char *name, *help;
} StageInfo;
const StageInfo *stage_list(int *count);
// The graph that it is then; NULL where it is none any more.
const Graph *stage_graph(Arena *arena, const Module *module, const Target *target,
                         NncFunctionKind function, const char *stage);
bool stage_dump(Buf *out, const Module *module, const Target *target, NncFunctionKind function,
                const char *stage);

#endif
