// SPDX-License-Identifier: MIT
// nnc verify: is what was compiled what the file says? On the user's own network, with a small
// batch:
//
//   - each kernel is run alone on what the oracle (ir/interp.c, in double) has for its inputs, and
//   its
//     results are compared with the oracle's (verify_kernels.c);
//   - each parameter's gradient is compared with finite differences of the loss (verify_grad.c);
//   - each derivative that the file writes itself, with those of its function (verify_written.c);
//   - where it says precision = bf16, what its roundings change is shown (verify_rounding.c).
#include "cli/verify.h"

#include <math.h>
#include <string.h>

enum { SMALL_BATCH = 2 };

// splitmix64 (Steele, Lea, Flood 2014).
double check_random(Check *check) {
    uint64_t z = check->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

// --- Leaves

// Does this element of a state leaf belong to a parameter?
static bool is_parameter(const Module *module, const char *leaf, int64_t element) {
    for (int i = 0; i < module->tensor.count; i++) {
        const TensorInfo *tensor = &module->tensor.at[i];
        int64_t size = shape_eval(&tensor->shape, 1);
        if (strcmp(tensor->leaf, leaf) == 0 && element >= tensor->offset &&
            element < tensor->offset + size)
            return tensor->kind == NNC_PARAMETER;
    }
    return false;
}

static void fill_input(Check *check, const Node *leaf, double *value, int64_t size) {
    const Module *module = check->compiled->module;
    int64_t classes = 2;
    for (int i = 0; i < module->input.count; i++)
        if (strcmp(module->input.at[i].name, leaf->attr->name) == 0 && module->input.at[i].classes)
            classes = module->input.at[i].classes;
    for (int64_t i = 0; i < size; i++) {
        double u = check_random(check);
        value[i] = leaf->dtype == DT_F32 ? (double)(float)u : floor(u * (double)classes);
    }
}

// A parameter of exactly 0, as biases start, hides what is wrong in the terms that it multiplies.
static void fill_state(Check *check, const Node *leaf, double *value, int64_t size,
                       const double *initial) {
    const Module *module = check->compiled->module;
    for (int64_t i = 0; i < size; i++) {
        value[i] = initial ? initial[i] : 0;
        if (leaf->dtype == DT_F32 && is_parameter(module, leaf->attr->name, i))
            value[i] =
                value[i] * (0.95 + 0.1 * check_random(check)) + 0.02 * (check_random(check) - 0.5);
        value[i] = leaf->dtype == DT_F32 ? (double)(float)value[i] : value[i];
    }
}

// Zeros: INIT reads no leaf, its nodes only say what is written.
static const double *const *blank_leaves(Check *check, const Graph *graph) {
    const double **leaf = ARENA_ARRAY(check->arena, const double *, graph->node.count);
    for (int i = 0; i < graph->node.count; i++)
        leaf[i] = ARENA_ARRAY(check->arena, double, shape_eval(&graph->node.at[i]->shape, 1));
    return leaf;
}

// What the INIT graph gives a state leaf, or NULL.
static const double *initial_state(Check *check, const char *name) {
    const Graph *init = check->compiled->module->graph[NNC_INIT];
    if (!init) return NULL;
    if (!check->initial)
        check->initial = graph_interpret(
            init, &(Interp){.n = 1, .seed = 1, .leaf = blank_leaves(check, init)}, check->arena);
    for (int i = 0; i < init->root.count; i++) {
        const Root *root = &init->root.at[i];
        if (root->kind == ROOT_STATE && strcmp(root->leaf->attr->name, name) == 0)
            return check->initial[root->value->id];
    }
    return NULL;
}

// The same for every graph that has a leaf of this name; with fewer examples, the first of them.
static double *leaf_value(Check *check, const Node *node) {
    double *value = map_get(check->leaf, node->attr->name);
    if (value) return value;
    int64_t size = shape_eval(&node->shape, check->compiled->module->batch);
    value = ARENA_ARRAY(check->arena, double, size);
    if (node->op == OP_input)
        fill_input(check, node, value, size);
    else
        fill_state(check, node, value, size, initial_state(check, node->attr->name));
    map_put(check->leaf, node->attr->name, value);
    return value;
}

double **check_leaves(Check *check, const Graph *graph) {
    double **leaf = ARENA_ARRAY(check->arena, double *, graph->node.count);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *node = graph->node.at[i];
        if (node->op == OP_input || node->op == OP_param || node->op == OP_state)
            leaf[i] = leaf_value(check, node);
    }
    return leaf;
}

// --- The table

const char *check_place(Check *check, const Graph *graph, const Node *node) {
    for (const SpanList *list = graph->spans.at[node->id]; list; list = list->next)
        if (list->span.source == check->compiled->module->source)
            return arena_printf(check->arena, "line %d", span_line(list->span));
    return "";
}

void check_report(Check *check, const char *name, const char *place, double error,
                  double tolerance) {
    bool good = error <= tolerance; // a NaN is not
    waiting_over();
    printf("  %-34s %-10s %10.2e  %s\n", name, place, error, good ? "ok" : "OFF");
    check->done++;
    check->off += !good;
}

// --- The command

int command_verify(const Settings *given) {
    Settings settings = *given;
    if (!settings.elab.batch) settings.elab.batch = SMALL_BATCH;
    settings.elab.whole = true;
    Compiled *compiled = load_compiled(&settings);
    Jit *jit = compiled ? load_functions(&settings, compiled) : NULL;
    if (!jit) return EXIT_USER;
    Check check = {.arena = settings.arena, .compiled = compiled, .jit = jit, .random = 1};
    check.leaf = map_new(check.arena);
    NncError error;
    const NncDevice *device = compiled->program.device;
    if (device && device->open(&compiled->program, &check.device, &error))
        return report("%s", error.text);
    if (device) printf("on %s\n", device->name(check.device));
    int batch = settings.elab.batch; // a full one, and one that is not
    for (int i = 0; i < NNC_FUNCTIONS; i++)
        for (int n = batch; compiled->lowered[i] && n > 0 && n >= batch - 1; n--)
            verify_function(&check, (NncFunctionKind)i, n);
    verify_gradients(&check);
    for (int i = NNC_TRAIN; i < NNC_FUNCTIONS; i++)
        if (compiled->lowered[i] && compiled->module->precision == DT_BF16)
            verify_rounding(&check, (NncFunctionKind)i, batch);
    verify_written(&check);
    printf("%d compared, %d off\n", check.done, check.off);
    if (device) device->close(check.device);
    jit_free(jit);
    return check.off ? report("%s: what was compiled is not what the file says (or the tolerance "
                              "is too narrow for it)",
                              settings.file)
                     : EXIT_DONE;
}
