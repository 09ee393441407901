// SPDX-License-Identifier: MIT
// The passes, in order.
#include "pass/pipeline.h"
#include "pass/lower.h"
#include "pass/simplify.h"

#include <string.h>

static void run_elab(Pipeline *p) { p->graph = p->module->graph[p->function]; }
static void run_simplify(Pipeline *p) { p->graph = simplify(p->arena, p->graph); }
static void run_lower(Pipeline *p) {
    p->graph = lower(p->arena, p->graph, p->module->batch, LEAST_PRODUCT);
}
static void run_fuse(Pipeline *p) {
    p->fusion = fuse(p->arena, p->graph, p->module->batch, p->placement, p->placements);
}
static void run_plan(Pipeline *p) { p->plan = plan_make(p->arena, p->fusion); }

static const Pass passes[] = {
    {"elab", "as elaborated, gradients included", STAGE_MODEL, run_elab},
    {"simplify", "after local rewriting", STAGE_MODEL, run_simplify},
    {"lower", "contractions as matrix products", STAGE_LOWERED, run_lower},
    {"tidy", "what lowering moved, simplified", STAGE_LOWERED, run_simplify},
    {"fuse", "kernels: what is stored, what is computed in passing", STAGE_LOWERED, run_fuse},
    {"plan", "buffers with offsets, the order of the calls", STAGE_LOWERED, run_plan},
};

const Pass *pipeline_passes(int *count) {
    *count = sizeof passes / sizeof *passes;
    return passes;
}

void pipeline_run(Pipeline *p, const char *last) {
    int count;
    const Pass *pass = pipeline_passes(&count);
    for (int i = 0; i < count; i++) {
        pass[i].run(p);
        const char *wrong = graph_verify(p->graph, pass[i].stage, p->arena);
        if (wrong) bug("after %s: %s", pass[i].name, wrong);
        if (last && !strcmp(last, pass[i].name)) return;
    }
}
