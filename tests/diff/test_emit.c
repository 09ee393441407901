// SPDX-License-Identifier: MIT
// Random graphs through all passes and the JIT against the oracle: with a full batch and a smaller
// one, contractions as loops and as products, one thread and two (which must give the same bits).
#include "compiled.h"
#include "random_graph.h"

#include <criterion/criterion.h>

enum { GRAPHS = 400 };

static void check(uint64_t seed, double least, JitTier tier, bool separate, NncPool *pool) {
    Arena *arena = arena_new();
    Case *c = case_new(arena, random_graph(arena, seed), seed);
    c->separate = separate;
    case_build(c, least, tier);
    for (int64_t n = BATCH; n >= 1; n -= 2)
        case_check(c, n, random_leaves(arena, c->graph, n, seed), pool);
    jit_free(c->jit);
    arena_free(arena);
}

static void check_all(double least, JitTier tier, bool separate, int graphs) {
    NncPool *pool = nnc_pool_new(2);
    for (uint64_t seed = 1; seed <= (uint64_t)graphs; seed++)
        check(seed, least, tier, separate, pool);
    nnc_pool_free(pool);
}

Test(emit, loops_in_tcc) { check_all(1e9, JIT_TCC, false, GRAPHS); }
Test(emit, products_in_tcc) { check_all(0, JIT_TCC, false, GRAPHS); }
Test(emit, products_in_native) { check_all(0, JIT_NATIVE, false, 12); }
Test(emit, operators_by_themselves) { check_all(0, JIT_TCC, true, GRAPHS); }
