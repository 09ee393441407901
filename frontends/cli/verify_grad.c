// SPDX-License-Identifier: MIT
// Gradients against finite differences of the loss, in double: along one random direction for each
// parameter, the derivative is the gradient's product with it.
//
// What stop_gradient holds (and, below it, a derivative that the file writes itself:
// verify_written.c looks at those) is held while the parameter moves. So is every comparison: among
// ten thousands of activations one is always so near to relu's kink that it lies between the two
// ends, which spoils the quotient and not the gradient. A kink that is no comparison (of max over
// an axis) is met by trying a mismatch again with other steps.
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
    double **held; // by node id: what stop_gradient and comparisons gave before the parameter moved
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

// max, min and abs as choices by a comparison, which can be held; the rest as it is.
static const Node *as_choice(Graph *graph, const Node *node, const Node *const *in) {
    if (node->op != OP_max && node->op != OP_min && node->op != OP_abs)
        return node_rebuild(graph, node, in);
    const Node *other = in[1];
    if (node->op == OP_abs) other = node_unary(graph, OP_neg, in[0]);
    Op is_first = node->op == OP_min ? OP_le : OP_ge; // a tie goes to the first, as in ops.def
    const Node *choice[] = {node_binary(graph, is_first, in[0], other), in[0], other};
    return node_pointwise(graph, OP_select, choice);
}

static Graph *with_choices(Arena *arena, const Graph *from) {
    Graph *to = graph_new(arena, from->name);
    const Node **map = ARENA_ARRAY(arena, const Node *, from->node.count + 1);
    to->stage = from->stage;
    for (int id = 0; id < from->node.count; id++) {
        const Node *node = from->node.at[id];
        const Node **in = ARENA_ARRAY(arena, const Node *, node->in_count + 1);
        for (int i = 0; i < node->in_count; i++)
            in[i] = map[node->in[i]->id];
        map[id] = as_choice(to, node, in);
    }
    for (int i = 0; i < from->root.count; i++)
        graph_add_root(to, from->root.at[i].kind, from->root.at[i].name, NULL,
                       map[from->root.at[i].value->id]);
    return to;
}

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

static void hold_choices(Loss *loss) {
    double **value = interpret(loss->graph, loss->leaf, NULL, loss->check->arena);
    loss->held = ARENA_ARRAY(loss->check->arena, double *, loss->graph->node.count);
    for (int i = 0; i < loss->graph->node.count; i++)
        if (loss->graph->node.at[i]->op == OP_stop || loss->graph->node.at[i]->dtype == DT_BOOL)
            loss->held[i] = value[i];
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
    waiting("interpreting gradients in double precision");
    Graph *graph = loss_graph(check, train, value);
    Graph *lowered = lower(check->arena, graph, EXAMPLES, 0, check->compiled->target);
    Loss loss = {.check = check, .graph = with_choices(check->arena, lowered)};
    loss.leaf = check_leaves(check, loss.graph);
    hold_choices(&loss);
    add_gradients(check, graph);
    Graph *with_gradients = lower(check->arena, graph, EXAMPLES, 0, check->compiled->target);
    double **gradient =
        interpret(with_gradients, check_leaves(check, with_gradients), NULL, check->arena);
    waiting_over();
    printf("gradients: against finite differences of the loss, %d example\n", EXAMPLES);
    for (int i = 0; i < module->tensor.count; i++) {
        const TensorInfo *tensor = &module->tensor.at[i];
        const Node *leaf = find_leaf(loss.graph, tensor->leaf);
        if (tensor->kind != NNC_PARAMETER || !leaf) continue;
        const Node *output = find_output(with_gradients, tensor->leaf);
        waiting("  %s", tensor->name);
        double error =
            difference_error(&loss, loss.leaf[leaf->id] + tensor->offset,
                             gradient[output->id] + tensor->offset, shape_eval(&tensor->shape, 1));
        check_report(check, tensor->name, "", error, tolerance);
    }
}
