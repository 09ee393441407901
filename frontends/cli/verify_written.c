// SPDX-License-Identifier: MIT
// Derivatives that a file writes itself (`fn f(x) { .. } derivative { .. }`) against finite
// differences of the function, on made-up arguments. One that is called `surrogate` is another by
// intention.
#include "cli/verify.h"

#include "pass/grad.h"
#include <math.h>
#include <string.h>

static const double tolerance = 1e-5, step = 1e-6;
enum { EXAMPLES = 2 };

typedef struct Range { // of arguments; the second serves where the first has no finite value
    double low, high;
} Range;

static const Range ranges[] = {{-1, 1}, {0.1, 0.9}};

typedef struct Written {
    Check *check;
    Graph *graph; // output 0: the function; then the gradient of its sum by each input in turn
    VEC(const Node *) input; // those of real numbers
    double **leaf;           // by node id
} Written;

static void add_gradients(Written *w) {
    Graph *graph = w->graph;
    const Node *y = graph->root.at[0].value;
    for (int id = 0; id < graph->node.count; id++)
        if (graph->node.at[id]->op == OP_input && graph->node.at[id]->dtype == DT_F32)
            VEC_PUSH(w->check->arena, w->input, graph->node.at[id]);
    const Node **gradient = ARENA_ARRAY(w->check->arena, const Node *, w->input.count + 1);
    const Node *ones = node_fill(graph, DT_F32, 1, y->shape);
    graph_grad(graph, y, ones, w->input.at, w->input.count, gradient);
    for (int i = 0; i < w->input.count; i++)
        graph_add_root(graph, ROOT_OUTPUT, w->input.at[i]->attr->name, NULL, gradient[i]);
}

static void draw(Written *w, const ExampleArgument *argument, int count, Range range) {
    w->leaf = ARENA_ARRAY(w->check->arena, double *, w->graph->node.count);
    for (int id = 0; id < w->graph->node.count; id++) {
        const Node *node = w->graph->node.at[id];
        int64_t classes = 2, size = shape_eval(&node->shape, EXAMPLES);
        if (node->op != OP_input) continue;
        for (int i = 0; i < count; i++)
            if (argument[i].classes && strcmp(argument[i].name, node->attr->name) == 0)
                classes = argument[i].classes;
        w->leaf[id] = ARENA_ARRAY(w->check->arena, double, size);
        for (int64_t i = 0; i < size; i++) {
            double u = check_random(w->check);
            w->leaf[id][i] = node->dtype == DT_F32 ? range.low + (range.high - range.low) * u
                                                   : floor(u * (double)classes);
        }
    }
}

static double *value_of(const Written *w, int root, Arena *arena) {
    Interp with = {.n = EXAMPLES, .leaf = (const double *const *)(void *)w->leaf};
    return graph_interpret(w->graph, &with, arena)[w->graph->root.at[root].value->id];
}

static double result_sum(const Written *w) {
    Arena *scratch = arena_new();
    const double *value = value_of(w, 0, scratch);
    double sum = 0;
    for (int64_t i = 0; i < shape_eval(&w->graph->root.at[0].value->shape, EXAMPLES); i++)
        sum += value[i];
    arena_free(scratch);
    return sum;
}

// The largest error over the elements of one input, as a part of the gradient's largest.
static double input_error(Written *w, int input) {
    Arena *scratch = arena_new();
    const Node *node = w->input.at[input];
    const double *gradient = value_of(w, input + 1, scratch);
    double scale = 1e-3, worst = 0;
    for (int64_t i = 0; i < shape_eval(&node->shape, EXAMPLES); i++) {
        double *x = &w->leaf[node->id][i], start = *x;
        *x = start + step;
        double above = result_sum(w);
        *x = start - step;
        double error = fabs((above - result_sum(w)) / (2 * step) - gradient[i]);
        *x = start;
        scale = fmax(scale, fabs(gradient[i]));
        worst = error <= worst ? worst : error; // a NaN stays
    }
    arena_free(scratch);
    return worst / scale;
}

static void verify_declaration(Check *check, const File *file, const Decl *decl) {
    Diag *diag = diag_new(check->arena);
    Written w = {.check = check};
    int count;
    const ExampleArgument *argument = nnd_example_arguments(check->arena, decl, &count);
    w.graph = nnd_elaborate_call(check->arena, file, decl->name, argument, count, true, diag);
    if (!w.graph || w.graph->root.at[0].value->dtype != DT_F32)
        return; // the arguments that were made up do not suit it
    add_gradients(&w);
    double worst = NAN;
    for (int range = 0; range < 2 && isnan(worst); range++) {
        draw(&w, argument, count, ranges[range]);
        worst = 0;
        for (int i = 0; i < w.input.count; i++) {
            double error = input_error(&w, i);
            worst = error <= worst ? worst : error;
        }
    }
    const char *place = arena_printf(check->arena, "line %d", span_line(decl->name_span));
    check_report(check, decl->name, place, worst, tolerance);
}

void verify_written(Check *check) {
    const File *file =
        nnd_parse(check->arena, check->compiled->module->source, diag_new(check->arena));
    bool titled = false;
    for (int i = 0; i < file->decl_count; i++) {
        const Decl *decl = file->decl[i];
        if (!decl->derivative || decl->surrogate) continue;
        if (!titled) printf("derivatives as written, against finite differences\n");
        titled = true;
        verify_declaration(check, file, decl);
    }
}
