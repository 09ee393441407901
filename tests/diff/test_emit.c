// SPDX-License-Identifier: MIT
// Random graphs through all passes and the JIT against the oracle: with a full batch and a smaller
// one, contractions as loops and as products, one thread and two (which must give the same bits).
#include "compiled.h"
#include "random_graph.h"

#include <criterion/criterion.h>

enum { GRAPHS = 400 };

typedef struct How {
    double least; // multiplications of a contraction that is a product
    JitTier tier;
    bool separate, again; // as in Case
    bool rounded;         // with values in bf16, also such as lie between two of its numbers
} How;

// How many kernels compute again what was computed before.
static int check(uint64_t seed, const How *how, NncPool *pool) {
    Arena *arena = arena_new();
    const Graph *graph = random_graph(arena, seed);
    Case *c =
        case_new(arena, how->rounded ? random_rounded(arena, graph, seed, true) : graph, seed);
    int again = 0;
    c->separate = how->separate;
    c->again = how->again;
    c->rounded = how->rounded;
    c->dot2 = how->rounded && seed % 2;
    if (how->rounded) c->tolerance = 4e-2;
    case_build(c, how->least, how->tier);
    for (int64_t n = BATCH; n >= 1; n -= 2)
        case_check(c, n, random_leaves(arena, c->graph, n, seed), pool);
    for (int k = 0; k < c->plan->fusion->kernel.count; k++)
        again += c->plan->fusion->kernel.at[k]->after.count > 0;
    jit_free(c->jit);
    arena_free(arena);
    return again;
}

static int check_all(How how, int graphs) {
    int again = 0;
    NncPool *pool = nnc_pool_new(2);
    for (uint64_t seed = 1; seed <= (uint64_t)graphs; seed++)
        again += check(seed, &how, pool);
    nnc_pool_free(pool);
    return again;
}

Test(emit, loops_in_tcc) { check_all((How){1e9, JIT_TCC, false, false, false}, GRAPHS); }
Test(emit, products_in_tcc) { check_all((How){0, JIT_TCC, false, false, false}, GRAPHS); }
Test(emit, products_in_native) { check_all((How){0, JIT_NATIVE, false, false, false}, 12); }
Test(emit, operators_by_themselves) { check_all((How){0, JIT_TCC, true, false, false}, GRAPHS); }
Test(emit, rounded_in_tcc) { check_all((How){0, JIT_TCC, false, false, true}, GRAPHS); }
Test(emit, rounded_in_native) { check_all((How){0, JIT_NATIVE, false, false, true}, 12); }
Test(emit, things_computed_again) {
    int again = check_all((How){0, JIT_TCC, false, true, false}, GRAPHS);
    cr_assert(again >= 20, "%d kernels compute something again", again);
}
