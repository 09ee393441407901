// SPDX-License-Identifier: MIT
// graph_grad as a whole: what it is asked for, what it gives back, where its nodes come from.
#include "pass/grad.h"

#include <criterion/criterion.h>

static Arena *arena;
static Graph *graph;
static const Node *x, *w;

static void set_up(void) {
    arena = arena_new();
    graph = graph_new(arena, "grad");
    Shape shape = shape_of(1, (Dim[]){dim_batch()});
    x = node_input(graph, "x", DT_F32, shape);
    w = node_input(graph, "w", DT_F32, shape);
}

static void tear_down(void) { arena_free(arena); }

static const Node *sum(const Node *node) { return node_reduce(graph, OP_reduce_sum, node, 1); }

TestSuite(grad, .init = set_up, .fini = tear_down);

Test(grad, with_respect_to_what_lies_between) {
    const Node *h = node_binary(graph, OP_mul, x, w), *d[2];
    const Node *y = sum(node_unary(graph, OP_sin, h));
    graph_grad(graph, y, NULL, (const Node *[]){h, x}, 2, d);
    const Node *one = node_fill(graph, DT_F32, 1, x->shape);
    const Node *dh = node_binary(graph, OP_mul, one, node_unary(graph, OP_cos, h));
    cr_expect(d[0] == dh);
    cr_expect(d[1] == node_binary(graph, OP_mul, dh, w), "and through it");
}

// Nothing is built for a factor that nobody asks about.
Test(grad, of_nothing_else) {
    const Node *y = sum(node_binary(graph, OP_pow, x, w)), *d;
    graph_grad(graph, y, NULL, &x, 1, &d);
    for (int id = 0; id < graph->node.count; id++)
        cr_expect(graph->node.at[id]->op != OP_log, "that is for the exponent's derivative");
}

Test(grad, of_itself_is_the_seed) {
    const Node *y = node_unary(graph, OP_exp, x), *d[2];
    graph_grad(graph, y, w, (const Node *[]){y, x}, 2, d);
    cr_expect(d[0] == w);
    cr_expect(d[1] == node_binary(graph, OP_mul, w, y));
}

Test(grad, of_what_is_not_there_is_zero) {
    const Node *y = sum(x), *d;
    const Node *later = node_input(graph, "later", DT_F32, x->shape);
    graph_grad(graph, y, NULL, &later, 1, &d);
    cr_expect(d == node_fill(graph, DT_F32, 0, x->shape));
}

// tanh's derivative serves both places that tanh itself serves, and the builder's place is left
// alone.
Test(grad, nodes_inherit_places) {
    const Source *text = source_from_text(arena, "net.nnd", "one\ntwo\nthree\n");
    Span one = {text, 0, 3}, two = {text, 4, 7}, three = {text, 8, 13};
    graph->here = one;
    const Node *t = node_unary(graph, OP_tanh, x), *d;
    graph_add_span(graph, t, two);
    graph->here = three;
    const Node *y = sum(t);
    int before = graph->node.count;
    graph_grad(graph, y, NULL, &x, 1, &d);
    cr_expect(graph->here.start == three.start && graph->here.source == text);
    for (int id = before; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        const SpanList *spans = graph->spans.at[id];
        if (node->op != OP_mul && node->op != OP_sub) continue;
        cr_assert(spans && spans->next, "%s has both places", op_info(node->op)->name);
        cr_expect(span_line(spans->span) == 1 && span_line(spans->next->span) == 2);
    }
}
