// SPDX-License-Identifier: MIT
// Numbers of the run, which only a run knows: how many epochs and steps it will have in all, how
// many plateaus its loss has come to so far. In the graph they are hyper-parameters that nobody
// sets; the runtime fills them in (NncHyperKind):
//
//     adam(lr = cosine(1e-3, over = steps, at = step))
//     %3 = hyper "run/steps" {value = 1000} : f64[]
#include "nnd/elab_internal.h"

#include <string.h>

// A slash is in no name of the language, so nothing that is set has the same name.
static const struct {
    const char *name, *hyper;
    NncHyperKind kind;
} numbers[] = {
    {"epochs", "run/epochs", NNC_RUN_EPOCHS},
    {"steps", "run/steps", NNC_RUN_STEPS},
    {"plateaus", "run/plateaus", NNC_RUN_PLATEAUS},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers, STEPS_OF_AN_EPOCH = 100 };

// What stands for it where nothing is trained (explain, bench, verify).
static double usual(const Elab *e, NncHyperKind kind) {
    int epochs = e->epochs > 0 ? e->epochs : 1;
    return kind == NNC_RUN_EPOCHS ? epochs : kind == NNC_RUN_STEPS ? epochs * STEPS_OF_AN_EPOCH : 0;
}

const Node *elab_run_number(Elab *e, const char *name) {
    for (int i = 0; i < NUMBERS && !e->in_init; i++)
        if (!strcmp(name, numbers[i].name))
            return node_hyper(e->graph, numbers[i].hyper, usual(e, numbers[i].kind));
    return NULL;
}

// Defaults that something else was given for leave nodes that no root needs.
static bool reads(Elab *e, const Graph *graph, const char *hyper) {
    bool *needed = ARENA_ARRAY(e->arena, bool, graph->node.count + 1);
    for (int i = 0; i < graph->root.count; i++)
        needed[graph->root.at[i].value->id] = true;
    for (int id = graph->node.count - 1; id >= 0; id--) {
        const Node *node = graph->node.at[id];
        if (!needed[id]) continue;
        if (node->op == OP_hyper && !strcmp(node->attr->name, hyper)) return true;
        for (int i = 0; i < node->in_count; i++)
            needed[node->in[i]->id] = true;
    }
    return false;
}

static bool any_reads(Elab *e, const Module *module, const char *hyper) {
    for (int f = 0; f < NNC_FUNCTIONS; f++)
        if (module->graph[f] && reads(e, module->graph[f], hyper)) return true;
    return false;
}

void elab_run_numbers(Elab *e, Module *module) {
    for (int i = 0; i < NUMBERS; i++) {
        NncHyper hyper = {numbers[i].hyper, usual(e, numbers[i].kind), numbers[i].kind};
        if (any_reads(e, module, hyper.name)) VEC_PUSH(e->arena, module->hyper, hyper);
    }
}
