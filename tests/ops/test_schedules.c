// SPDX-License-Identifier: MIT
// The library's schedules against closed forms, at every step of a run of 12 epochs with 10 steps
// each and beyond its end: so at each of their corners, the first and the last step too.
#include "ir/graph.h"
#include "nnd/elab.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { EPOCHS = 12, STEPS = 120, BEYOND = 15 };

typedef double Rate(double step, double epoch);

static const double pi = 3.14159265358979323846;

static double half_cosine(double from, double to, double part) {
    return to + (from - to) * pow(cos(pi / 2 * part), 2);
}

static double constant(double step, double epoch) {
    (void)step, (void)epoch;
    return 0.1;
}

static double steps_down(double step, double epoch) {
    (void)step;
    return epoch < 5 ? 0.1 : epoch < 10 ? 0.05 : 0.025;
}

static double exponential(double step, double epoch) {
    (void)step;
    return 0.1 * pow(0.9, epoch);
}

static double by_step(double step, double epoch) {
    (void)epoch;
    return 0.1 * pow(0.99, step);
}

static double line(double step, double epoch) {
    (void)step;
    return epoch < EPOCHS ? 0.1 - epoch / EPOCHS * 0.1 : 0;
}

static double parabola(double step, double epoch) {
    (void)epoch;
    double left = step < 60 ? 1 - step / 60 : 0;
    return 0.01 + 0.09 * left * left;
}

static double cosine(double step, double epoch) {
    (void)step;
    return epoch < EPOCHS ? half_cosine(0.1, 0, epoch / EPOCHS) : 0;
}

static double cosine_of_steps(double step, double epoch) {
    (void)epoch;
    return step < STEPS ? half_cosine(0.1, 0.01, step / STEPS) : 0.01;
}

static double restarts(double step, double epoch) {
    (void)step;
    while (epoch >= 4)
        epoch -= 4;
    return half_cosine(0.1, 0.02, epoch / 4);
}

static double warmup(double step, double epoch) {
    (void)epoch;
    return step < 19 ? 0.1 * (step + 1) / 20 : 0.1;
}

static double warmup_cosine(double step, double epoch) {
    (void)epoch;
    if (step < 20) return 0.1 * (step + 1) / 20;
    return step < STEPS ? half_cosine(0.1, 0.001, (step - 20) / (STEPS - 20)) : 0.001;
}

// The peak is step 35 of 0 .. 119, the lowest the last one.
static double one_cycle(double step, double epoch) {
    (void)epoch;
    if (step <= 35) return half_cosine(0.1 / 25, 0.1, step / 35);
    return step < STEPS ? half_cosine(0.1, 0.1 / 25e4, (step - 35) / 84) : 0.1 / 25e4;
}

static double two_plateaus(double step, double epoch) {
    (void)step, (void)epoch;
    return 0.1 * 0.5 * 0.5;
}

static double no_lower(double step, double epoch) {
    (void)step, (void)epoch;
    return 0.05;
}

static const struct Schedule {
    const char *expression;
    Rate *rate;
} schedule[] = {
    {"0.1", constant},
    {"step_decay(0.1, every = 5, factor = 0.5)", steps_down},
    {"step_decay(0.1, 50, factor = 0.5, at = step)", steps_down},
    {"exponential(0.1, 0.9)", exponential},
    {"exponential(0.1, 0.99, at = step)", by_step},
    {"polynomial(0.1)", line},
    {"polynomial(0.1, over = 60, power = 2, least = 0.01, at = step)", parabola},
    {"cosine(0.1)", cosine},
    {"cosine(0.1, epochs)", cosine},
    {"cosine(0.1, over = steps, at = step, least = 0.01)", cosine_of_steps},
    {"cosine_restarts(0.1, every = 4, least = 0.02)", restarts},
    {"warmup(0.1, 20)", warmup},
    {"warmup(1, 20) * 0.1", warmup},
    {"warmup_cosine(0.1, 20, least = 0.001)", warmup_cosine},
    {"one_cycle(0.1)", one_cycle},
    {"on_plateau(0.1, factor = 0.5)", two_plateaus},
    {"on_plateau(0.1, factor = 0.5, least = 0.05)", no_lower},
    {"if epoch < 5 then 0.1 else if epoch < 10 then 0.05 else 0.025", steps_down},
};

static double number_of(const char *name) {
    return !strcmp(name, "run/epochs") ? EPOCHS : !strcmp(name, "run/steps") ? STEPS : 2;
}

static Graph *elaborated(Arena *arena, const char *expression) {
    Diag *diag = diag_new(arena);
    const char *text = arena_printf(arena, "nnd 1\nfn rate() { %s }\n", expression);
    File *file = nnd_parse(arena, source_from_text(arena, "rate.nnd", text), diag);
    Graph *graph = nnd_elaborate_call(arena, file, "rate", NULL, 0, true, diag);
    cr_assert(graph, "%s: %s", expression, diag_text(diag, arena));
    return graph;
}

static void check(const struct Schedule *s) {
    Arena *arena = arena_new();
    const Graph *graph = elaborated(arena, s->expression);
    const double **leaf = ARENA_ARRAY(arena, const double *, graph->node.count);
    double number[8];
    int numbers = 0;
    for (int id = 0; id < graph->node.count; id++)
        if (graph->node.at[id]->op == OP_hyper) {
            number[numbers] = number_of(graph->node.at[id]->attr->name);
            leaf[id] = &number[numbers++];
        }
    for (int step = 0; step < STEPS + BEYOND; step++) {
        int epoch = step / (STEPS / EPOCHS);
        Interp with = {.n = 1, .step = step, .epoch = epoch, .leaf = leaf};
        double got = graph_interpret(graph, &with, arena)[graph->root.at[0].value->id][0];
        double wanted = s->rate(step, epoch);
        cr_expect(fabs(got - wanted) <= 1e-15 + 1e-12 * fabs(wanted),
                  "%s at step %d, epoch %d: %.17g, not %.17g", s->expression, step, epoch, got,
                  wanted);
    }
    arena_free(arena);
}

Test(schedules, have_closed_forms) {
    for (size_t i = 0; i < sizeof schedule / sizeof *schedule; i++)
        check(&schedule[i]);
}
