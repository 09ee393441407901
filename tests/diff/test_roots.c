// SPDX-License-Identifier: MIT
// Small graphs, one idea each, of what fusion and memory planning may get wrong: states that read
// one another, outputs that are leaves, parts of a concat that are read in other ways.
#include "compiled.h"
#include "random_graph.h"

#include <criterion/criterion.h>

typedef struct Idea {
    const char *name, *nodes;
} Idea;

// clang-format off
static const Idea idea[] = {
    {"output_is_a_state_old",
     "%0 = state \"s\" : f32[4]\n"
     "%1 = tanh %0 : f32[4]\n"
     "output \"old\" = %0\n"
     "state \"s\" %0 = %1\n"},
    {"states_shift",
     "%0 = state \"a\" : f32[4]\n"
     "%1 = state \"b\" : f32[4]\n"
     "%2 = tanh %1 : f32[4]\n"
     "state \"b\" %1 = %2\n"
     "state \"a\" %0 = %1\n"},
    {"states_shift_other_order",
     "%0 = state \"a\" : f32[4]\n"
     "%1 = state \"b\" : f32[4]\n"
     "%2 = tanh %1 : f32[4]\n"
     "state \"a\" %0 = %1\n"
     "state \"b\" %1 = %2\n"},
    {"states_swap",
     "%0 = state \"a\" : f32[4]\n"
     "%1 = state \"b\" : f32[4]\n"
     "state \"a\" %0 = %1\n"
     "state \"b\" %1 = %0\n"},
    {"state_and_its_view",
     "%0 = state \"a\" : f32[4]\n"
     "%1 = state \"b\" : f32[2, 2]\n"
     "%2 = input \"x\" : f32[N, 4]\n"
     "%3 = reduce_sum %2 {axes = 0} : f32[4]\n"
     "%4 = tanh %3 : f32[4]\n"
     "%5 = reshape %4 : f32[2, 2]\n"
     "state \"a\" %0 = %4\n"
     "state \"b\" %1 = %5\n"},
    {"parts_of_a_state",
     "%0 = state \"s\" : f32[12]\n"
     "%1 = input \"x\" : f32[5]\n"
     "%2 = slice %0 {start = 0, step = 1} : f32[4]\n"
     "%3 = exp %2 : f32[4]\n"
     "%4 = slice %0 {start = 0, step = 1} : f32[5]\n"
     "%5 = mul %4 %1 : f32[5]\n"
     "%6 = slice %0 {start = 9, step = 1} : f32[3]\n"
     "%7 = sin %6 : f32[3]\n"
     "%8 = concat %3 %5 %7 : f32[12]\n"
     "state \"s\" %0 = %8\n"},
    {"sum_along_what_no_operand_has",
     "%0 = input \"x\" : f32[N, 5]\n"
     "%1 = input \"y\" : f32[5, 6]\n"
     "%2 = contract %0[i0, j0] %1[j0, i2] {sum = 5} : f32[N, 3, 6]\n"
     "%3 = reduce_sum %2 {axes = 1 2} : f32[N]\n"
     "output \"z\" = %3\n"},
    {"rows_by_parts", // each row by itself, in memory of the thread's
     "%0 = input \"x\" : f32[N, 40]\n"
     "%1 = exp %0 : f32[N, 40]\n"
     "%2 = reduce_sum %1 {axes = 1} : f32[N]\n"
     "%3 = broadcast %2 {axes = 1} : f32[N, 40]\n"
     "%4 = div %1 %3 : f32[N, 40]\n"
     "output \"y\" = %4\n"},
    {"rows_of_two_to_one", // 2 * N rows go by N
     "%0 = input \"x\" : f32[2*N, 7]\n"
     "%1 = exp %0 : f32[2*N, 7]\n"
     "%2 = reduce_sum %1 {axes = 1} : f32[2*N]\n"
     "%3 = broadcast %2 {axes = 1} : f32[2*N, 7]\n"
     "%4 = div %1 %3 : f32[2*N, 7]\n"
     "%5 = reshape %4 : f32[N, 14]\n"
     "%6 = reduce_max %5 {axes = 1} : f32[N]\n"
     "output \"y\" = %6\n"},
    {"neighbours_are_other_parts", // a row's neighbour is read: all must be there first
     "%0 = input \"x\" : f32[N, 9]\n"
     "%1 = exp %0 : f32[N, 9]\n"
     "%2 = reduce_sum %1 {axes = 1} : f32[N]\n"
     "%3 = pad %2 {low = 1, high = 1, interior = 0} : f32[N + 2]\n"
     "%4 = window %3 {axis = 0, stride = 1, dilation = 1} : f32[N, 3]\n"
     "%5 = reduce_sum %4 {axes = 1} : f32[N]\n"
     "%6 = flip %2 {axes = 0} : f32[N]\n"
     "%7 = mul %5 %6 : f32[N]\n"
     "%8 = broadcast %7 {axes = 1} : f32[N, 9]\n"
     "%9 = mul %1 %8 : f32[N, 9]\n"
     "output \"y\" = %9\n"},
    {"a_state_by_parts", // read part by part before it is written over
     "%0 = state \"s\" : f32[6, 50]\n"
     "%1 = reduce_max %0 {axes = 1} : f32[6]\n"
     "%2 = broadcast %1 {axes = 1} : f32[6, 50]\n"
     "%3 = sub %0 %2 : f32[6, 50]\n"
     "%4 = exp %3 : f32[6, 50]\n"
     "%5 = reduce_sum %4 {axes = 1} : f32[6]\n"
     "%6 = broadcast %5 {axes = 1} : f32[6, 50]\n"
     "%7 = div %4 %6 : f32[6, 50]\n"
     "%8 = reduce_sum %0 {axes = 0 1} : f32[]\n"
     "output \"sum\" = %8\n"
     "state \"s\" %0 = %7\n"},
    {"part_of_a_state_is_used",
     "%0 = state \"s\" : f32[9]\n"
     "%1 = slice %0 {start = 0, step = 1} : f32[4]\n"
     "%2 = exp %1 : f32[4]\n"
     "%3 = slice %0 {start = 4, step = 1} : f32[5]\n"
     "%4 = sin %3 : f32[5]\n"
     "%5 = concat %2 %4 : f32[9]\n"
     "%6 = reduce_sum %2 {axes = 0} : f32[]\n"
     "output \"sum\" = %6\n"
     "output \"part\" = %4\n"
     "state \"s\" %0 = %5\n"},
    {"concat_is_gathered",
     "%0 = input \"x\" : f32[4]\n"
     "%1 = input \"i\" : i32[4]\n"
     "%2 = exp %0 : f32[4]\n"
     "%3 = sin %0 : f32[4]\n"
     "%4 = concat %2 %3 : f32[8]\n"
     "%5 = gather %4 %1 : f32[4]\n"
     "output \"y\" = %5\n"
     "output \"c\" = %4\n"},
    {"concat_is_sliced",
     "%0 = input \"x\" : f32[4]\n"
     "%1 = exp %0 : f32[4]\n"
     "%2 = sin %0 : f32[4]\n"
     "%3 = concat %1 %2 : f32[8]\n"
     "%4 = slice %3 {start = 1, step = 2} : f32[4]\n"
     "output \"y\" = %4\n"
     "output \"c\" = %3\n"},
    {"outputs_are_one",
     "%0 = input \"x\" : f32[N, 4]\n"
     "%1 = exp %0 : f32[N, 4]\n"
     "%2 = reshape %1 : f32[N, 2, 2]\n"
     "%3 = state \"s\" : f32[N, 4]\n"
     "output \"y\" = %1\n"
     "output \"z\" = %1\n"
     "output \"v\" = %2\n"
     "output \"in\" = %0\n"
     "state \"s\" %3 = %1\n"},
    {"outputs_are_leaves",
     "%0 = input \"x\" : i32[2, N]\n"
     "%1 = param \"p\" : f32[3, 2]\n"
     "%2 = input \"b\" : bool[N]\n"
     "%3 = permute %1 {perm = 1 0} : f32[2, 3]\n"
     "%4 = const {value = 7} : i32[]\n"
     "output \"x\" = %0\n"
     "output \"p\" = %1\n"
     "output \"b\" = %2\n"
     "output \"t\" = %3\n"
     "output \"c\" = %4\n"},
    {"scatter_of_integers",
     "%0 = input \"i\" : i32[N, 2]\n"
     "%1 = input \"x\" : i32[N, 2, 3]\n"
     "%2 = scatter_add %0 %1 {extent = 4} : i32[4, 3]\n"
     "output \"y\" = %2\n"},
    {"scatter_along_the_batch",
     "%0 = input \"i\" : i32[N, 2]\n"
     "%1 = input \"x\" : f32[N, 2, N]\n"
     "%2 = scatter_add %0 %1 {extent = N} : f32[N, N]\n"
     "output \"y\" = %2\n"},
    {"argmax_of_integers",
     "%0 = input \"i\" : i32[3, N, 2]\n"
     "%1 = argmax %0 {axes = 0 1} : i32[2]\n"
     "%2 = argmax %0 {axes = 0 1 2} : i32[]\n"
     "%3 = reduce_max %0 {axes = 1} : i32[3, 2]\n"
     "%4 = reduce_sum %0 {axes = 2} : i32[3, N]\n"
     "output \"y\" = %1\n"
     "output \"z\" = %2\n"
     "output \"m\" = %3\n"
     "output \"t\" = %4\n"},
    {"condition_of_the_step",
     "%0 = step : f64[]\n"
     "%1 = const {value = 5} : f64[]\n"
     "%2 = lt %0 %1 : bool[]\n"
     "%3 = broadcast %2 {axes = 0} : bool[4]\n"
     "%4 = input \"b\" : bool[4]\n"
     "%5 = and %3 %4 : bool[4]\n"
     "%6 = or %3 %4 : bool[4]\n"
     "%7 = not %3 : bool[4]\n"
     "output \"y\" = %5\n"
     "output \"z\" = %6\n"
     "output \"w\" = %7\n"},
    {"output_of_the_step",
     "%0 = step : f64[]\n"
     "%1 = const {value = 5} : f64[]\n"
     "%2 = lt %0 %1 : bool[]\n"
     "%3 = cast %0 : f32[]\n"
     "%4 = cast %0 : i32[]\n"
     "output \"y\" = %2\n"
     "output \"z\" = %3\n"
     "output \"w\" = %4\n"},
    {"product_of_all_but_one",
     "%0 = input \"x\" : f32[N, 5]\n"
     "%1 = param \"w\" : f32[5, 7]\n"
     "%2 = slice %0 {start = 1 0, step = 1 1} : f32[N - 1, 5]\n"
     "%3 = contract %2[i0, j0] %1[j0, i1] {sum = 5} : f32[N - 1, 7]\n"
     "%4 = tanh %3 : f32[N - 1, 7]\n"
     "output \"y\" = %4\n"},
    {"nothing",
     "%0 = input \"x\" : f32[0, 3]\n"
     "%1 = exp %0 : f32[0, 3]\n"
     "%2 = reduce_sum %0 {axes = 0} : f32[3]\n"
     "%3 = reshape %1 : f32[0]\n"
     "%4 = reduce_sum %0 {axes = 0 1} : f32[]\n"
     "output \"y\" = %1\n"
     "output \"z\" = %2\n"
     "output \"v\" = %3\n"
     "output \"w\" = %4\n"},
    {"sum_of_all_but_one",
     "%0 = input \"x\" : f32[N, 5]\n"
     "%1 = input \"y\" : f32[N, 7]\n"
     "%2 = slice %0 {start = 1 0, step = 1 1} : f32[N - 1, 5]\n"
     "%3 = slice %1 {start = 1 0, step = 1 1} : f32[N - 1, 7]\n"
     "%4 = contract %2[j0, i0] %3[j0, i1] {sum = N - 1} : f32[5, 7]\n"
     "output \"y\" = %4\n"},
    {"turned_fold",
     "%0 = input \"g\" : f32[N, 4, 6]\n"
     "%1 = param \"w\" : f32[4, 2, 3]\n"
     "%2 = contract %0[i0, j0, i2 - j1] %1[j0, i1, j1] {sum = 4 3} : f32[N, 2, 8]\n"
     "%3 = reshape %2 : f32[N, 1, 2, 8]\n"
     "%4 = permute %3 {perm = 0 2 1 3} : f32[N, 2, 1, 8]\n"
     "output \"y\" = %4\n"},
    {"turned_fold_of_one",
     "%0 = input \"g\" : f32[N, 4, 6]\n"
     "%1 = param \"w\" : f32[4, 1, 3]\n"
     "%2 = contract %0[i0, j0, i2 - j1] %1[j0, i1, j1] {sum = 4 3} : f32[N, 1, 8]\n"
     "%3 = permute %2 {perm = 0 2 1} : f32[N, 8, 1]\n"
     "%4 = input \"m\" : f32[N, 8, 1]\n"
     "%5 = mul %3 %4 : f32[N, 8, 1]\n"
     "output \"t\" = %5\n"},
    {"turned_fold_kept",
     "%0 = input \"g\" : f32[N, 4, 6]\n"
     "%1 = param \"w\" : f32[4, 1, 3]\n"
     "%2 = contract %0[i0, j0, i2 - j1] %1[j0, i1, j1] {sum = 4 3} : f32[N, 1, 8]\n"
     "%3 = permute %2 {perm = 0 2 1} : f32[N, 8, 1]\n"
     "output \"t\" = %3\n"},
    {"kernel_as_high_as_the_image", // windows of one image at a time, copied in parts
     "%0 = input \"g\" : f32[N, 20, 1, 110]\n"
     "%1 = input \"x\" : f32[N, 6, 9, 112]\n"
     "%2 = contract %0[j0, i0, j1, j2] %1[j0, i1, i2 + j1, i3 + j2] {sum = N 1 110} : f32[20, 6, 9, 3]\n"
     "output \"w\" = %2\n"},
    {"windows_beyond_the_image",
     "%0 = input \"g\" : f32[N, 24, 10, 9]\n"
     "%1 = input \"x\" : f32[N, 7, 19, 21]\n"
     "%2 = contract %0[j0, i0, j1, j2] %1[j0, i1, i2 + j1*2 - 1, i3*2 + j2*2 - 2] {sum = N 10 9} : f32[24, 7, 3, 4]\n"
     "output \"w\" = %2\n"},
    {"scatter_of_nothing",
     "%0 = input \"i\" : i32[0]\n"
     "%1 = input \"x\" : f32[0, 3]\n"
     "%2 = scatter_add %0 %1 {extent = 4} : f32[4, 3]\n"
     "output \"y\" = %2\n"},
    {"product_of_nothing",
     "%0 = input \"x\" : f32[N, 0]\n"
     "%1 = param \"w\" : f32[0, 3]\n"
     "%2 = contract %0[i0, j0] %1[j0, i1] {sum = 0} : f32[N, 3]\n"
     "%3 = exp %2 : f32[N, 3]\n"
     "output \"y\" = %3\n"},
    {"negative_constants",
     "%0 = const {value = -2} : f32[]\n"
     "%1 = broadcast %0 {axes = 0} : f32[1]\n"
     "%2 = concat %1 %1 {axis = 0} : f32[2]\n"
     "%3 = slice %2 {start = 0, step = 1} : f32[1]\n"
     "%4 = state \"s\" : f32[2]\n"
     "%5 = neg %3 : f32[1]\n"
     "%6 = reduce_sum %2 {axes = 0} : f32[]\n"
     "%7 = neg %6 : f32[]\n"
     "%8 = pad %4 {low = 0, high = 2, value = -1} : f32[4]\n"
     "%9 = slice %8 {start = 2, step = 1} : f32[2]\n"
     "%10 = neg %9 : f32[2]\n"
     "output \"y\" = %5\n"
     "output \"z\" = %7\n"
     "output \"p\" = %10\n"
     "state \"s\" %4 = %2\n"},
};
// clang-format on

enum { IDEAS = sizeof idea / sizeof *idea };

static void check(Arena *arena, const Graph *graph, double least, NncPool *pool) {
    Case *c = case_new(arena, graph, 1);
    case_build(c, least, JIT_TCC);
    for (int64_t n = BATCH; n >= 1; n--)
        case_check(c, n, random_leaves(arena, graph, n, 1), pool);
    jit_free(c->jit);
}

static void check_idea(const Idea *what, NncPool *pool) {
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    const char *text = arena_printf(arena, "graph train {\n%s}\n", what->nodes);
    Graph *graph = graph_read(arena, source_from_text(arena, what->name, text), diag);
    cr_assert(graph, "%s does not read", what->name);
    check(arena, graph, 1e9, pool);
    check(arena, graph, 0, pool);
    arena_free(arena);
}

Test(roots, as_the_oracle) {
    NncPool *pool = nnc_pool_new(2);
    for (int i = 0; i < IDEAS; i++)
        check_idea(&idea[i], pool);
    nnc_pool_free(pool);
}

// More index variables than one kernel has room for.
Test(roots, many_gathers) {
    Arena *arena = arena_new();
    Graph *graph = graph_new(arena, "train");
    NncPool *pool = nnc_pool_new(2);
    Shape rows = shape_of(2, (Dim[]){dim_batch(), dim_const(5)});
    Shape table = shape_of(1, (Dim[]){dim_const(9)});
    const Node *index = node_input(graph, "i", DT_I32, rows),
               *sum = node_fill(graph, DT_F32, 0, rows);
    for (int i = 0; i < 70; i++) {
        const Node *at = node_binary(graph, OP_add, index, node_const(graph, DT_I32, i % 4));
        const char *name = arena_printf(arena, "t%d", i);
        sum = node_binary(graph, OP_add, sum,
                          node_gather(graph, node_input(graph, name, DT_F32, table), at));
    }
    graph_add_root(graph, ROOT_OUTPUT, "y", NULL, sum);
    check(arena, graph, 0, pool);
    nnc_pool_free(pool);
    arena_free(arena);
}
