// SPDX-License-Identifier: MIT
// Choices: what is taken, and by whom; that passes record them; that a target's tuning decides.
#include "pass/lower.h"
#include "pass/plan.h"
#include "support/choice.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static Arena *arena;

static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }

TestSuite(choice, .init = set_up, .fini = tear_down);

static Choice *offered(void) {
    Choice *choice = choice_new(arena, CHOICE_FORM, "site");
    choice_offer(choice, "slow", 3e6);
    choice_offer(choice, "fast", 1e6);
    choice_offer(choice, "unknown", INFINITY);
    return choice;
}

static const char *text(const Choice *choice) {
    Buf out = buf_new(arena);
    choice_print(&out, choice);
    return out.text;
}

Test(choice, the_cheapest_is_taken) {
    Choice *choice = offered();
    cr_assert_eq(choice_take(choice, NULL), 1);
    cr_assert(!choice->tuned && choice_takes(choice, "fast"));
    cr_assert_str_eq(text(choice), "fast, counted as 1 M multiplications; slow 3 M");
}

Test(choice, the_smaller_cost_of_a_name_counts) {
    Choice *choice = offered();
    choice_offer(choice, "slow", 5e5);
    cr_assert_eq(choice->count, 3);
    cr_assert_eq(choice_take(choice, NULL), 0);
}

Test(choice, what_was_measured_is_taken) {
    Tuning *tuning = tuning_new(arena);
    Tuned tuned = {.site = "site",
                   .takes = "unknown",
                   .candidate = {{.name = "fast", .seconds = 3e-3},
                                 {.name = "unknown", .seconds = 2e-4},
                                 {.name = "forgotten", .seconds = 1e-9}},
                   .count = 3};
    tuning_put(tuning, &tuned);
    Choice *choice = offered();
    cr_assert_eq(choice_take(choice, tuning), 2);
    cr_assert(choice->tuned && choice->model == 1);
    cr_assert_str_eq(text(choice), "unknown, measured 200.0 us; fast 3.00 ms");
    choice = choice_new(arena, CHOICE_FORM, "another site");
    choice_offer(choice, "fast", 1);
    choice_take(choice, tuning);
    cr_assert_not(choice->tuned);
}

Test(choice, a_candidate_that_is_not_there_is_not_taken) {
    Tuning *tuning = tuning_new(arena);
    tuning_put(tuning, &(Tuned){.site = "site", .takes = "fast"});
    tuning_put(tuning, &(Tuned){.site = "site", .takes = "of another version"}); // replaces
    Choice *choice = offered();
    cr_assert_eq(choice_take(choice, tuning), 1);
    cr_assert_not(choice->tuned);
    cr_assert_eq(tuning->all.count, 1);
}

// --- In the passes

static const char *const conv_text =
    "graph train {\n"
    "  %0 = input \"x\" : f32[N, 64, 30, 30]\n"
    "  %1 = param \"w\" : f32[128, 64, 3, 3]\n"
    "  %2 = contract %0[i0, j0, i2 + j1, i3 + j2] %1[i1, j0, j1, j2] {sum = 64 3 3} : "
    "f32[N, 128, 28, 28]\n"
    "  output \"y\" = %2\n"
    "}\n";

static Graph *read_graph(const char *graph_text) {
    Diag *diag = diag_new(arena);
    Graph *graph = graph_read(arena, source_from_text(arena, "graph", graph_text), diag);
    cr_assert(graph, "%s", diag_text(diag, arena));
    return graph;
}

static const Choice *find_choice(const Graph *graph, Op op) {
    for (int i = 0; i < graph->node.count; i++)
        if (graph->node.at[i]->op == op) return graph->choice.at[i];
    return NULL;
}

static int32_t tile_of(const Graph *graph) {
    for (int i = 0; i < graph->node.count; i++)
        if (graph->node.at[i]->op == OP_wino_in) return graph->node.at[i]->attr->wino.tile;
    return 0;
}

Test(choice, of_a_convolution) {
    const char *site = "conv2d 3x3 64->128 to 28x28, batch 16";
    Target target = *target_find("generic");
    Graph *graph = lower(arena, read_graph(conv_text), 16, LEAST_PRODUCT, &target);
    const Choice *choice = find_choice(graph, OP_wino_in);
    cr_assert(choice && !choice->tuned && choice_takes(choice, "F(4)"));
    cr_assert_str_eq(choice->site, site);
    cr_assert_eq(tile_of(graph), 4);
    static const char *const takes[] = {"F(4)", "F(2)", "product"};
    static const int32_t tile[] = {4, 2, 0};
    for (int i = 0; i < 3; i++) {
        Tuning *tuning = tuning_new(arena);
        tuning_put(tuning, &(Tuned){.site = site, .takes = takes[i]});
        target.tuning = tuning;
        graph = lower(arena, read_graph(conv_text), 16, LEAST_PRODUCT, &target);
        choice = find_choice(graph, OP_product);
        cr_assert(choice && choice->tuned && choice_takes(choice, takes[i]));
        cr_assert_eq(tile_of(graph), tile[i]);
        graph = lower(arena, read_graph(conv_text), 32, LEAST_PRODUCT, &target);
        cr_assert_eq(tile_of(graph), 4, "a tuning for another batch was taken");
    }
}

static const char *const product_text = "graph train lowered {\n"
                                        "  %0 = input \"x\" : f32[N, 512]\n"
                                        "  %1 = state \"w\" : f32[512, 96]\n"
                                        "  %2 = reshape %0 : f32[1, 1, N, 512]\n"
                                        "  %3 = reshape %1 : f32[1, 1, 512, 96]\n"
                                        "  %4 = product %2 %3 : f32[1, N, 96]\n"
                                        "  output \"y\" = %4\n"
                                        "}\n";

static const Kernel *product_kernel(const Target *target) {
    Placement place[] = {{"x", ARENA_INPUT, 0}, {"w", ARENA_STATE, 0}, {"y", ARENA_OUTPUT, 0}};
    Fusion *fusion = fuse(arena, read_graph(product_text), 16, target, place, 3);
    for (int k = 0; k < fusion->kernel.count; k++)
        if (fusion->kernel.at[k]->kind == KERNEL_PRODUCT) return fusion->kernel.at[k];
    return NULL;
}

// Each form that is offered can be had; the library has no tiling.
Test(choice, of_a_form) {
    Target target = *target_find("generic");
    const Kernel *kernel = product_kernel(&target);
    cr_assert(kernel && kernel->choice.count == 1 && kernel->tiling);
    const Choice *choice = kernel->choice.at[0];
    cr_assert_str_eq(choice->site, "product 16x96x512");
    cr_assert(choice->count > 2 && choice->taken == choice->model);
    for (int i = 0; i < choice->count; i++) {
        Tuning *tuning = tuning_new(arena);
        tuning_put(tuning, &(Tuned){.site = choice->site, .takes = choice->candidate[i].name});
        target.tuning = tuning;
        kernel = product_kernel(&target);
        cr_assert(choice_takes(kernel->choice.at[0], choice->candidate[i].name));
        cr_assert_eq(kernel->tiling == NULL, !strcmp(choice->candidate[i].name, "library"));
    }
}
