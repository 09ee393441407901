// SPDX-License-Identifier: MIT
// Gradients against finite differences of the loss, in double: along one random direction for each
// parameter, the derivative is the gradient's product with it.
//
// What stop_gradient holds (and, below it, a derivative that the file writes itself:
// verify_written.c looks at those) is held while the parameter moves. A kink (of relu, of max)
// between the two ends spoils the quotient and not the gradient, so that a mismatch is tried again
// with other steps.
#include "cli/verify.h"

#include "pass/grad.h"
#include "pass/lower.h"
#include <math.h>
#include <string.h>

static const double tolerance = 1e-4; // of the gradient's norm
static const double steps[] = {1e-6, 1e-5, 1e-7};
enum { STEP_COUNT = 3, EXAMPLES = 1 };

typedef struct Loss {
    Check *check;
    Graph *graph;  // of the loss alone; lowered, since the interpreter is fastest at products
    double **leaf; // by node id
    double **held; // by node id: what stop_gradient gave before the parameter moved; else NULL
} Loss;

static const Node *find_output(const Graph *graph, const char *name) {
    for (int i = 0; graph && i < graph->root.count; i++)
        if (graph->root.at[i].kind == ROOT_OUTPUT && strcmp(graph->root.at[i].name, name) == 0)
            return graph->root.at[i].value;
    return NULL;
}

static const Node *find_leaf(const Graph *graph, const char *name) {
    for (int i = 0; i < graph->node.count; i++) {
        const Node *node = graph->node.at[i];
        if ((node->op == OP_state || node->op == OP_param) && strcmp(node->attr->name, name) == 0)
            return node;
    }
    return NULL;
}

static double **interpret(const Graph *graph, double **leaf, double **held, Arena *arena) {
    Interp with = {.n = EXAMPLES, .seed = 1};
    with.leaf = (const double *const *)(void *)leaf;
    with.imposed = (const double *const *)(void *)held;
    return graph_interpret(graph, &with, arena);
}

// --- The graphs

// The loss of the TRAIN graph, its dropout included, in a graph of its own.
static Graph *loss_graph(Check *check, const Graph *train, const Node *value) {
    Graph *graph = graph_new(check->arena, "loss");
    const Node **done = ARENA_ARRAY(check->arena, const Node *, train->node.count);
    graph_add_root(graph, ROOT_OUTPUT, "loss", NULL, graph_import(graph, train, value, done));
    return graph;
}

// Adds an output for each leaf that parameters lie in: the gradient, under the leaf's name.
static void add_gradients(Check *check, Graph *graph) {
    const Module *module = check->compiled->module;
    VEC(const Node *) wrt = {0};
    for (int i = 0; i < module->tensor.count; i++) {
        const TensorInfo *tensor = &module->tensor.at[i];
        const Node *leaf = find_leaf(graph, tensor->leaf);
        bool is_new = tensor->kind == NNC_PARAMETER && leaf;
        for (int k = 0; k < wrt.count; k++)
            is_new = is_new && wrt.at[k] != leaf;
        if (is_new) VEC_PUSH(check->arena, wrt, leaf);
    }
    const Node **gradient = ARENA_ARRAY(check->arena, const Node *, wrt.count + 1);
    graph_grad(graph, graph->root.at[0].value, NULL, wrt.at, wrt.count, gradient);
    for (int i = 0; i < wrt.count; i++)
        graph_add_root(graph, ROOT_OUTPUT, wrt.at[i]->attr->name, NULL, gradient[i]);
}

// --- The comparison

static double loss_at(Loss *loss) {
    Arena *scratch = arena_new();
    const Node *value = find_output(loss->graph, "loss");
    double result = interpret(loss->graph, loss->leaf, loss->held, scratch)[value->id][0];
    arena_free(scratch);
    return result;
}

static void hold_stopped(Loss *loss) {
    double **value = interpret(loss->graph, loss->leaf, NULL, loss->check->arena);
    loss->held = ARENA_ARRAY(loss->check->arena, double *, loss->graph->node.count);
    for (int i = 0; i < loss->graph->node.count; i++)
        if (loss->graph->node.at[i]->op == OP_stop) loss->held[i] = value[i];
}

static void move(double *to, const double *from, const signed char *direction, int64_t size,
                 double by) {
    for (int64_t i = 0; i < size; i++)
        to[i] = from[i] + by * direction[i];
}

// The error as a part of the gradient's norm, which is what a product with signs at random amounts
// to.
static double difference_error(Loss *loss, double *parameter, const double *gradient,
                               int64_t size) {
    Arena *scratch = arena_new();
    double *start = ARENA_ARRAY(scratch, double, size), slope = 0, norm = 1e-12, best = INFINITY;
    signed char *direction = ARENA_ARRAY(scratch, signed char, size);
    memcpy(start, parameter, sizeof *start * (size_t)size);
    for (int64_t i = 0; i < size; i++) {
        direction[i] = check_random(loss->check) < 0.5 ? -1 : 1;
        slope += direction[i] * gradient[i];
        norm += gradient[i] * gradient[i];
    }
    for (int i = 0; i < STEP_COUNT && !(best <= tolerance); i++) {
        move(parameter, start, direction, size, steps[i]);
        double above = loss_at(loss);
        move(parameter, start, direction, size, -steps[i]);
        double below = loss_at(loss);
        best = fmin(best, fabs((above - below) / (2 * steps[i]) - slope) / sqrt(norm));
    }
    memcpy(parameter, start, sizeof *start * (size_t)size);
    arena_free(scratch);
    return best;
}

void verify_gradients(Check *check) {
    const Module *module = check->compiled->module;
    const Graph *train = module->graph[NNC_TRAIN];
    const Node *value = find_output(train, "loss");
    if (!value) return;
    Graph *graph = loss_graph(check, train, value);
    Loss loss = {.check = check,
                 .graph = lower(check->arena, graph, EXAMPLES, 0, check->compiled->target)};
    loss.leaf = check_leaves(check, loss.graph);
    hold_stopped(&loss);
    add_gradients(check, graph);
    Graph *with_gradients = lower(check->arena, graph, EXAMPLES, 0, check->compiled->target);
    double **gradient =
        interpret(with_gradients, check_leaves(check, with_gradients), NULL, check->arena);
    printf("gradients: against finite differences of the loss, %d example\n", EXAMPLES);
    for (int i = 0; i < module->tensor.count; i++) {
        const TensorInfo *tensor = &module->tensor.at[i];
        const Node *leaf = find_leaf(loss.graph, tensor->leaf);
        if (tensor->kind != NNC_PARAMETER || !leaf) continue;
        const Node *output = find_output(with_gradients, tensor->leaf);
        double error =
            difference_error(&loss, loss.leaf[leaf->id] + tensor->offset,
                             gradient[output->id] + tensor->offset, shape_eval(&tensor->shape, 1));
        check_report(check, tensor->name, "", error, tolerance);
    }
}
