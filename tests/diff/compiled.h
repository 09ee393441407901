// SPDX-License-Identifier: MIT
// A graph through all passes and the JIT, run and compared with the oracle.
//
//     Case *c = case_new(arena, graph, seed);
//     case_build(c, 0, JIT_TCC);          // contractions of 0 multiplications and more as products
//     case_check(c, BATCH, leaf, pool);   // roots as the oracle's; two threads give one's bits
#ifndef NNC_TESTS_COMPILED_H
#define NNC_TESTS_COMPILED_H

#include "emit/emit.h"
#include "ir/graph.h"
#include "jit/jit.h"

enum { BATCH = 3, STEP = 3, EPOCH = 1, MOST_THREADS = 4 };

typedef struct Case { // one graph, compiled
    Arena *arena;
    uint64_t seed;
    const Graph *graph; // as it was made
    int64_t batch;      // BATCH, as long as nobody says otherwise
    const char *march;  // native, likewise; a GPU's name: CUDA, which runs on the CPU here
    int processors;     // > 0: of a GPU that is so small that small tensors are large for it
    bool tf32;          // of a GPU: products round what they read
    bool any_choice;    // where there are several ways, any, not the cheapest
    bool rounded;       // some of its values are kept as bf16
    bool dot2;          // pairs of those are multiplied as by an instruction for that, if only in C
    bool separate;      // each operator a kernel of its own (target_baseline)
    bool again;         // as much as there is to be won is computed twice (pass/again.h)
    double tolerance;   // of a tensor's largest value: 2e-4, likewise
    Module module;
    VEC(Placement) place;
    int64_t bytes[5]; // of the arenas
    const char *source;
    Plan *plan;
    double least_time; // of the plan: 0, for most seeds, and all is shared out
    Jit *jit;
    void (*run)(NncCtx *); // what was compiled of it
    void (*scalars)(const double *hyper, double step, double epoch, double n, float *out);
} Case;

Case *case_new(Arena *arena, const Graph *graph, uint64_t seed);
void case_build(Case *c, double least, JitTier tier); // skips the test where there is no such tier
// Several for a GPU, which are compiled together. Skips the test where there is no C++ compiler.
void cases_build(Case **c, int count, double least);
void cases_load_cuda(Case **c, int count); // what is emitted (cuda_case.c)
// Runs n <= batch examples on one thread and on the pool (of MOST_THREADS at most); leaf: values by
// node id.
void case_check(Case *c, int64_t n, const double *const *leaf, NncPool *pool);

#endif
