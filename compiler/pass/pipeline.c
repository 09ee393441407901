// SPDX-License-Identifier: MIT
// The passes of passes.def, and what runs them.
#include "pass/pipeline.h"
#include "pass/again.h"
#include "pass/layout.h"
#include "pass/lower.h"
#include "pass/precision.h"
#include "pass/simplify.h"
#include "pass/update.h"

#include <string.h>

static void run_elab(Pipeline *p) { p->graph = p->module->graph[p->function]; }
static void run_simplify(Pipeline *p) { p->graph = simplify(p->arena, p->graph); }
static void run_tidy(Pipeline *p) { run_simplify(p); }
static void run_lower(Pipeline *p) {
    p->graph = lower(p->arena, p->graph, p->module->chunk, LEAST_PRODUCT, p->target);
}
static void run_layout(Pipeline *p) { p->graph = simplify(p->arena, layout(p->arena, p->graph)); }
static void run_update(Pipeline *p) { p->graph = update(p->arena, p->graph, p->target); }
static void run_precision(Pipeline *p) {
    if (p->module->precision == DT_BF16 && p->function != NNC_INIT)
        p->graph = precision(p->arena, p->graph, p->module->chunk, p->target);
}

static void run_again(Pipeline *p) {
    Planning how = {p->module->chunk, p->target, p->placement, p->placements};
    bool trains = p->function == NNC_TRAIN || p->function >= NNC_CHUNK;
    if (p->module->room > 0 && trains)
        p->graph = compute_again(p->arena, p->graph, &how, p->module->room);
}
static void run_fuse(Pipeline *p) {
    p->fusion = fuse(p->arena, p->graph, p->module->chunk, p->target, p->placement, p->placements);
}
static void run_plan(Pipeline *p) { p->plan = plan_make(p->arena, p->fusion, WAKING_TIME); }

static const struct {
    const char *name;
    Stage stage;
    void (*run)(Pipeline *);
} passes[] = {
#define PASS(name, stage, help) {#name, stage, run_##name},
#include "pass/passes.def"
#undef PASS
};

void pipeline_run(Pipeline *p, const char *last) {
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        passes[i].run(p);
        const char *wrong = graph_verify(p->graph, passes[i].stage, p->arena);
        if (wrong) bug("after %s: %s", passes[i].name, wrong);
        if (last && !strcmp(last, passes[i].name)) return;
    }
}
