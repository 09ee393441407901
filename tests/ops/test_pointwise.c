// SPDX-License-Identifier: MIT
// Every row of ops.def: derivatives against differences, in the row's domain; and what the double
// reference gives at the edges.
#include "gradient_check.h"
#include "pass/grad.h"

#include <criterion/criterion.h>
#include <math.h>

enum { ELEMENTS = 12 };

static double from_domain(OpDomain domain, double unit) {
    switch (domain) {
    case DOMAIN_POSITIVE:
        return 0.1 + 3.9 * unit;
    case DOMAIN_UNIT:
        return 1.8 * unit - 0.9;
    case DOMAIN_AWAY:
        return unit < 0.5 ? -2 + 3.8 * unit : 0.1 + 3.8 * (unit - 0.5);
    default:
        return 4 * unit - 2;
    }
}

static void draw_domain(void *context, const Node *leaf, double *value, int64_t count,
                        uint64_t *state) {
    const OpInfo *info = context;
    for (int64_t i = 0; i < count; i++)
        value[i] = leaf->dtype == DT_F32 ? from_domain(info->domain, random_unit(state))
                                         : floor(2 * random_unit(state));
}

// z = op of inputs a, b, c, each of the operator's type; real ones are listed in wrt.
static const Node *build_row(Graph *graph, Op op, const Node **wrt, int *count) {
    const OpInfo *info = op_info(op);
    Shape shape = shape_of(1, (Dim[]){dim_const(ELEMENTS)});
    const Node *in[3];
    for (int i = 0; i < info->in_count; i++) {
        bool truth = info->types == TYPES_LOGIC || (info->types == TYPES_SELECT && i == 0);
        const char *name = (const char *[]){"a", "b", "c"}[i];
        in[i] = node_input(graph, name, truth ? DT_I32 : DT_F32, shape);
        if (!truth) wrt[(*count)++] = in[i];
        if (truth) in[i] = node_cast(graph, DT_BOOL, in[i]);
    }
    return node_pointwise(graph, op, in);
}

Test(pointwise, derivatives) {
    for (Op op = 0; op < OP_COUNT; op++) {
        const OpInfo *info = op_info(op);
        if (!info->pointwise) continue;
        Arena *arena = arena_new();
        Graph *graph = graph_new(arena, info->name);
        const Node *wrt[3];
        int count = 0;
        const Node *z = build_row(graph, op, wrt, &count);
        if (z->dtype == DT_BOOL) z = node_cast(graph, DT_F32, z); // a step: its derivative is zero
        CheckOptions options = {.n = 1, .seed = op, .draw = draw_domain, .context = (void *)info};
        const char *wrong = gradient_check(graph, z, wrt, count, &options);
        cr_expect_null(wrong, "%s: %s", info->name, wrong);
        arena_free(arena);
    }
}

// --- Kinks: where the derivative is a choice, the one that ops.def states

typedef struct Kink {
    Op op;
    double a, b;   // inputs
    double da, db; // derivatives there
} Kink;

Test(pointwise, kinks) {
    static const Kink kinks[] = {
        {OP_max, 1, 1, 1, 0},
        {OP_min, 1, 1, 1, 0},
        {OP_max, 0.0, -0.0, 1, 0},
        {OP_min, 0.0, -0.0, 1, 0},
        {OP_max, -0.0, 0.0, 1, 0},
        {OP_max, INFINITY, INFINITY, 1, 0},
        {OP_max, 2, INFINITY, 0, 1},
        {OP_min, 2, INFINITY, 1, 0},
        {OP_mod, 4, 2, 1, -2},
        {OP_abs, 0, 0, 0, 0},
        {OP_abs, -0.0, 0, 0, 0},
        {OP_sign, 0, 0, 0, 0},
        {OP_floor, 2, 0, 0, 0},
        {OP_tanh, INFINITY, 0, 0, 0},
        {OP_sigmoid, -INFINITY, 0, 0, 0},
        {OP_exp, -INFINITY, 0, 0, 0},
        {OP_sqrt, 0, 0, INFINITY, 0},
        {OP_log, 0, 0, INFINITY, 0},
    };
    for (size_t i = 0; i < sizeof kinks / sizeof *kinks; i++) {
        const Kink *k = &kinks[i];
        Arena *arena = arena_new();
        Graph *graph = graph_new(arena, "kink");
        const Node *in[2] = {node_input(graph, "a", DT_F32, shape_of(0, NULL)),
                             node_input(graph, "b", DT_F32, shape_of(0, NULL))};
        const Node *z = node_pointwise(graph, k->op, in), *d[2];
        graph_grad(graph, z, NULL, in, 2, d);
        const double **leaf = ARENA_ARRAY(arena, const double *, graph->node.count);
        leaf[in[0]->id] = &k->a;
        leaf[in[1]->id] = &k->b;
        double **value = graph_interpret(graph, &(Interp){.n = 1, .leaf = leaf}, arena);
        double da = value[d[0]->id][0], db = value[d[1]->id][0];
        cr_expect(da == k->da && db == k->db, "%s(%g, %g): da = %g, db = %g", op_info(k->op)->name,
                  k->a, k->b, da, db);
        arena_free(arena);
    }
}

// --- The reference at the edges

typedef struct Edge {
    Op op;
    double a, b, z;
} Edge;

static bool same(double x, double y) {
    return (isnan(x) && isnan(y)) || (x == y && signbit(x) == signbit(y));
}

Test(pointwise, edges_of_the_reference) {
    static const Edge edges[] = {
        {OP_max, NAN, 1, NAN},
        {OP_max, 1, NAN, NAN},
        {OP_min, NAN, 1, NAN},
        {OP_min, 1, NAN, NAN},
        {OP_max, -INFINITY, 1, 1},
        {OP_min, -INFINITY, 1, -INFINITY},
        {OP_sign, 0, 0, 0},
        {OP_sign, -INFINITY, 0, -1},
        {OP_sign, NAN, 0, NAN},
        {OP_mod, -1, 3, 2},
        {OP_mod, 1, -3, -2},
        {OP_mod, 1, 0, NAN},
        {OP_mod, 3, 3, 0},
        {OP_pow, NAN, 0, 1},
        {OP_pow, 0, 0, 1},
        {OP_pow, -2, 0.5, NAN},
        {OP_pow, 0, -1, INFINITY},
        {OP_log, 0, 0, -INFINITY},
        {OP_log, -1, 0, NAN},
        {OP_sqrt, -0.0, 0, -0.0},
        {OP_sqrt, -1, 0, NAN},
        {OP_exp, -INFINITY, 0, 0},
        {OP_exp, 1000, 0, INFINITY},
        {OP_div, 1, 0, INFINITY},
        {OP_div, 0, 0, NAN},
        {OP_neg, 0, 0, -0.0},
        {OP_tanh, -INFINITY, 0, -1},
        {OP_sigmoid, INFINITY, 0, 1},
        {OP_sigmoid, -INFINITY, 0, 0},
        {OP_erf, -INFINITY, 0, -1},
        {OP_eq, NAN, NAN, 0},
        {OP_ne, NAN, NAN, 1},
        {OP_lt, NAN, 1, 0},
        {OP_ge, NAN, 1, 0},
        {OP_eq, 0, -0.0, 1},
        {OP_le, -0.0, 0, 1},
        {OP_mul, 0, INFINITY, NAN},
        {OP_floor, -0.5, 0, -1},
        {OP_abs, -INFINITY, 0, INFINITY},
        {OP_and, 1, 0, 0},
        {OP_or, 1, 0, 1},
        {OP_not, 0, 0, 1},
        {OP_sin, INFINITY, 0, NAN},
        {OP_cos, 0, 0, 1},
        {OP_sub, INFINITY, INFINITY, NAN},
    };
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) {
        const Edge *e = &edges[i];
        double z = op_reference(e->op, e->a, e->b, 0);
        cr_expect(same(z, e->z), "%s(%g, %g) = %g, not %g", op_info(e->op)->name, e->a, e->b, z,
                  e->z);
    }
}

// No operator on real numbers hides a NaN in its first input, but for x^0.
Test(pointwise, nan_goes_through) {
    for (Op op = 0; op < OP_COUNT; op++) {
        const OpInfo *info = op_info(op);
        if (!info->pointwise || (info->types != TYPES_REAL && info->types != TYPES_ARITH)) continue;
        cr_expect(isnan(op_reference(op, NAN, 2, 0)), "%s(NaN, 2)", info->name);
        if (info->in_count == 2)
            cr_expect(isnan(op_reference(op, 2, NAN, 0)), "%s(2, NaN)", info->name);
    }
}
