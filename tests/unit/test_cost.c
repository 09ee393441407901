// SPDX-License-Identifier: MIT
// What a kernel is said to cost: counted by hand for small graphs, for a batch of 4.
#include "pass/cost.h"

#include <criterion/criterion.h>

enum { BATCH = 4 };

typedef struct Given {
    const char *graph; // after lowering; one output, y
    int kernels;
    double flops, bytes; // of the kernel that stores y
} Given;

static void check(const Given *given) {
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    Graph *graph = graph_read(arena, source_from_text(arena, "graph", given->graph), diag);
    cr_assert(graph, "%s", diag_text(diag, arena));
    Placement place[] = {{"x", ARENA_INPUT, 0}, {"w", ARENA_STATE, 0}, {"y", ARENA_OUTPUT, 0}};
    Fusion *fusion = fuse(arena, graph, BATCH, &target_library, place, 3);
    cr_assert(fusion->kernel.count == given->kernels, "%d kernels", fusion->kernel.count);
    Cost cost = kernel_cost(arena, fusion, fusion->kernel.at[given->kernels - 1]);
    cr_assert(cost.flops == given->flops, "%g flops, not %g", cost.flops, given->flops);
    cr_assert(cost.bytes == given->bytes, "%g bytes, not %g", cost.bytes, given->bytes);
    arena_free(arena);
}

// The operand that is read twice is loaded once; what is computed in passing moves nothing.
Test(cost, pointwise) {
    check(&(Given){"graph train lowered {\n"
                   "  %0 = input \"x\" : f32[N, 8]\n"
                   "  %1 = tanh %0 : f32[N, 8]\n"
                   "  %2 = mul %1 %0 : f32[N, 8]\n"
                   "  output \"y\" = %2\n"
                   "}\n",
                   1, 2 * BATCH * 8, 4 * (2 * BATCH * 8)});
}

// Of a slice, only its part is computed and read.
Test(cost, slice) {
    check(&(Given){"graph train lowered {\n"
                   "  %0 = input \"x\" : f32[N, 8]\n"
                   "  %1 = tanh %0 : f32[N, 8]\n"
                   "  %2 = slice %1 {start = 0 2, step = 1 1} : f32[N, 3]\n"
                   "  %3 = neg %2 : f32[N, 3]\n"
                   "  output \"y\" = %3\n"
                   "}\n",
                   1, 2 * BATCH * 3, 4 * (2 * BATCH * 3)});
}

// A bias of 5 is read once for all rows.
Test(cost, product_with_epilogue) {
    check(&(Given){"graph train lowered {\n"
                   "  %0 = input \"x\" : f32[N, 8]\n"
                   "  %1 = state \"w\" : f32[45]\n"
                   "  %2 = slice %1 {start = 0, step = 1} : f32[40]\n"
                   "  %3 = slice %1 {start = 40, step = 1} : f32[5]\n"
                   "  %4 = reshape %0 : f32[1, 1, N, 8]\n"
                   "  %5 = reshape %2 : f32[1, 1, 8, 5]\n"
                   "  %6 = product %4 %5 : f32[1, N, 5]\n"
                   "  %7 = reshape %6 : f32[N, 5]\n"
                   "  %8 = broadcast %3 {axes = 0} : f32[N, 5]\n"
                   "  %9 = add %7 %8 : f32[N, 5]\n"
                   "  output \"y\" = %9\n"
                   "}\n",
                   1, 2 * BATCH * 5 * 8 + BATCH * 5, 4 * (BATCH * 8 + 40 + 5 + BATCH * 5)});
}

// Windows read their source once, however often its elements are summed.
Test(cost, reduction_of_windows) {
    check(&(Given){"graph train lowered {\n"
                   "  %0 = input \"x\" : f32[N, 8]\n"
                   "  %1 = window %0 {axis = 1, stride = 1, dilation = 1} : f32[N, 6, 3]\n"
                   "  %2 = reduce_sum %1 {axes = 2} : f32[N, 6]\n"
                   "  output \"y\" = %2\n"
                   "}\n",
                   1, BATCH * 6 * 3, 4 * (BATCH * 8 + BATCH * 6)});
}
