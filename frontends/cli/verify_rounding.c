// SPDX-License-Identifier: MIT
// What precision = bf16 costs: the function with its roundings against the same one without any,
// both by the interpreter in double, so that nothing but the roundings differs. Shown, not judged.
//
//     rounding to bf16: train, loss              1.31e-04 of its largest element
//     rounding to bf16: train, params            2.10e-02 of the step
#include "cli/verify.h"

#include "pass/plan.h"
#include <math.h>

typedef struct Values { // of one function, by id of its graph
    const Graph *graph;
    double **leaf, **value;
} Values;

static Values compute(Check *check, const Graph *graph, int64_t n, Arena *arena) {
    Values values = {.graph = graph, .leaf = check_leaves(check, graph)};
    const double *const *leaf = (const double *const *)(void *)values.leaf;
    values.value = graph_interpret(graph, &(Interp){.n = n, .seed = 1, .leaf = leaf}, arena);
    return values;
}

// Of an output the largest error, as a part of the largest element.
static double output_error(const double *rounded, const double *exact, int64_t size) {
    double error = 0, scale = 0;
    for (int64_t i = 0; i < size; i++) {
        error = fmax(error, fabs(rounded[i] - exact[i]));
        scale = fmax(scale, fabs(exact[i]));
    }
    return scale > 0 ? error / scale : error;
}

// Of a state the error's norm, as a part of that of its change.
static double step_error(const double *rounded, const double *exact, const double *old,
                         int64_t size) {
    double error = 0, step = 0;
    for (int64_t i = 0; i < size; i++) {
        error += (rounded[i] - exact[i]) * (rounded[i] - exact[i]);
        step += (exact[i] - old[i]) * (exact[i] - old[i]);
    }
    return step > 0 ? sqrt(error / step) : sqrt(error);
}

void verify_rounding(Check *check, NncFunctionKind function, int64_t n) {
    Arena *arena = arena_new();
    Values rounded = compute(check, check->compiled->plan[function]->fusion->graph, n, arena);
    Values exact = compute(check, check->compiled->module->graph[function], n, arena);
    for (int i = 0; i < exact.graph->root.count; i++) { // lowering keeps their order
        const Root *root = &exact.graph->root.at[i];
        const double *is = rounded.value[rounded.graph->root.at[i].value->id];
        const double *is_exact = exact.value[root->value->id];
        int64_t size = shape_eval(&root->value->shape, n);
        bool output = root->kind == ROOT_OUTPUT;
        double error = output ? output_error(is, is_exact, size)
                              : step_error(is, is_exact, exact.leaf[root->leaf->id], size);
        printf("rounding to bf16: %-28s %10.2e of %s\n",
               arena_printf(arena, "%s, %s", function_name(function), root->name), error,
               output ? "its largest element" : "the step");
    }
    arena_free(arena);
}
