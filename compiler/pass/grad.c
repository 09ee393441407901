// SPDX-License-Identifier: MIT
// Differentiation, as one loop backwards over the nodes: by the time a node is reached, all that
// use it have handed it their share, so its adjoint is complete and is handed on to its inputs.
//
//     %2 = mul %0 %1        g2                      adjoint of %0 += g2 * %1
//     %3 = tanh %2          g3                      adjoint of %2 += g3 * (1 - %3 * %3)
//
// Only nodes between one of `wrt` and y get an adjoint. The pointwise rules are the expressions of
// ops.def, parsed once a call and built with g, z, a, b, c bound; the others are in adjoint.c.
#include "pass/grad.h"
#include "ir/expr.h"
#include "pass/adjoint.h"
#include <string.h>

typedef struct Grad {
    Graph *graph;
    bool *depends;                 // by id: on one of wrt, by a path that carries a derivative
    const Node **adjoint;          // by id
    const Expr *rule[OP_COUNT][3]; // ops.def's derivatives, parsed when first needed
} Grad;

// --- Pointwise rules

typedef struct Bound { // what the names in a derivative stand for
    Graph *graph;
    const Node *g, *z;
    const Node *const *in;
} Bound;

static const Node *bound_name(const Bound *bound, const char *name) {
    if (!strcmp(name, "g")) return bound->g;
    if (!strcmp(name, "z")) return bound->z;
    if (name[0] >= 'a' && name[0] < 'a' + bound->z->in_count && !name[1])
        return bound->in[name[0] - 'a'];
    bug("derivative of %s: unknown name %s", op_info(bound->z->op)->name, name);
}

static Op operator_of(const Expr *e) {
    static const struct {
        const char *text;
        Op op;
    } table[] = {{"+", OP_add}, {"-", OP_sub}, {"*", OP_mul},   {"/", OP_div}, {"%", OP_mod},
                 {"^", OP_pow}, {"==", OP_eq}, {"!=", OP_ne},   {"<", OP_lt},  {"<=", OP_le},
                 {">", OP_gt},  {">=", OP_ge}, {"and", OP_and}, {"or", OP_or}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].text, e->text)) return table[i].op;
    bug("derivative: unknown operator %s", e->text);
}

static const Node *build(const Bound *bound, const Expr *e);

static const Node *build_call(const Bound *bound, const Expr *e) {
    Op op = op_find(e->in[0]->text);
    if (op == OP_COUNT || !op_info(op)->pointwise || op_info(op)->in_count != e->in_count - 1)
        bug("derivative of %s: no such function: %s", op_info(bound->z->op)->name, e->in[0]->text);
    const Node *in[3];
    for (int i = 1; i < e->in_count; i++)
        in[i - 1] = build(bound, e->in[i]);
    return node_pointwise(bound->graph, op, in);
}

static const Node *build(const Bound *bound, const Expr *e) {
    switch (e->kind) {
    case EXPR_NUMBER:
        return node_const(bound->graph, bound->g->dtype, e->number);
    case EXPR_NAME:
        return bound_name(bound, e->text);
    case EXPR_UNARY:
        return node_unary(bound->graph, !strcmp(e->text, "-") ? OP_neg : OP_not,
                          build(bound, e->in[0]));
    case EXPR_BINARY: {
        const Node *a = build(bound, e->in[0]);
        return node_binary(bound->graph, operator_of(e), a, build(bound, e->in[1]));
    }
    case EXPR_CALL:
        return build_call(bound, e);
    default:
        bug("derivative of %s: not an expression of numbers", op_info(bound->z->op)->name);
    }
}

static const Expr *rule_parse(Graph *graph, const OpInfo *info, int input) {
    Diag *diag = diag_new(graph->arena);
    const Source *text = source_from_text(graph->arena, info->name, info->derivative[input]);
    const Expr *rule = expr_parse_text(graph->arena, text, diag);
    if (!rule) bug("ops.def: %s", diag_text(diag, graph->arena));
    return rule;
}

static const Node *pointwise_adjoint(Grad *grad, const Node *z, int input, const Node *adjoint) {
    const Expr **rule = &grad->rule[z->op][input];
    if (!*rule) *rule = rule_parse(grad->graph, op_info(z->op), input);
    Bound bound = {.graph = grad->graph, .g = adjoint, .z = z, .in = z->in};
    const Node *share = build(&bound, *rule);
    return share->shape.rank ? share : node_expand(grad->graph, share, z->in[input]->shape);
}

// --- The walk

static bool is_real(const Node *node) { return node->dtype == DT_F32 || node->dtype == DT_F64; }

static bool carries_derivative(const Node *z, int input) {
    const OpInfo *info = op_info(z->op);
    if (info->stage != STAGE_MODEL) bug("graph_grad: %s is of a lowered graph", info->name);
    if (!is_real(z) || !is_real(z->in[input])) return false;
    return info->pointwise ? info->derivative[input][0] != '\0' : adjoint_rule(z->op) != NULL;
}

static void mark_dependent(Grad *grad, const Node *y, const Node *const *wrt, int count) {
    for (int i = 0; i < count; i++)
        grad->depends[wrt[i]->id] = true;
    for (uint32_t id = 0; id <= y->id; id++) {
        const Node *z = grad->graph->node.at[id];
        for (int i = 0; i < z->in_count && !grad->depends[id]; i++)
            grad->depends[id] = grad->depends[z->in[i]->id] && carries_derivative(z, i);
    }
}

static void accumulate(Grad *grad, const Node *node, const Node *share) {
    const Node **sum = &grad->adjoint[node->id];
    if (!shape_equal(&share->shape, &node->shape) || share->dtype != node->dtype)
        bug("the adjoint of %s has another shape or type", op_info(node->op)->name);
    *sum = *sum ? node_binary(grad->graph, OP_add, *sum, share) : share;
}

static void hand_on(Grad *grad, const Node *z) {
    const Node *adjoint = grad->adjoint[z->id];
    bool pointwise = op_info(z->op)->pointwise;
    for (int i = 0; i < z->in_count; i++) {
        if (!grad->depends[z->in[i]->id] || !carries_derivative(z, i)) continue;
        accumulate(grad, z->in[i],
                   pointwise ? pointwise_adjoint(grad, z, i, adjoint)
                             : adjoint_rule(z->op)(grad->graph, z, i, adjoint));
    }
}

// Hands z's adjoint on; what is built for that serves the same places as z.
static void hand_on_with_spans(Grad *grad, const Node *z) {
    Graph *graph = grad->graph;
    const SpanList *spans = graph->spans.at[z->id];
    int before = graph->node.count;
    graph_stand_for(graph, graph, z);
    graph->inside = section_backward(graph, graph->inside);
    hand_on(grad, z);
    for (const SpanList *s = spans ? spans->next : NULL; s; s = s->next)
        for (int id = before; id < graph->node.count; id++)
            graph_add_span(graph, graph->node.at[id], s->span);
}

void graph_grad(Graph *graph, const Node *y, const Node *seed, const Node *const *wrt, int count,
                const Node **out) {
    Span here = graph->here;
    const Section *inside = graph->inside;
    int known = graph->node.count;
    Grad *grad = ARENA_NEW(graph->arena, Grad);
    grad->graph = graph;
    grad->depends = ARENA_ARRAY(graph->arena, bool, known);
    grad->adjoint = ARENA_ARRAY(graph->arena, const Node *, known);
    mark_dependent(grad, y, wrt, count);
    if (!seed && y->shape.rank) bug("graph_grad: a tensor's gradient wants a seed");
    accumulate(grad, y, seed ? seed : node_const(graph, y->dtype, 1));
    for (int64_t id = y->id; id >= 0; id--)
        if (grad->depends[id] && grad->adjoint[id]) hand_on_with_spans(grad, graph->node.at[id]);
    graph->here = here;
    graph->inside = inside;
    for (int i = 0; i < count; i++) {
        const Node *adjoint = grad->adjoint[wrt[i]->id];
        out[i] = adjoint ? adjoint : node_fill(graph, wrt[i]->dtype, 0, wrt[i]->shape);
    }
}
