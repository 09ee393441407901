// SPDX-License-Identifier: MIT
// Rules for signs. A minus moves outwards through products, into constants, and turns a sum into a
// difference; all of it exact, because rounding does not look at the sign.
//
//     add %x (neg (mul %y %z))    ->  sub %x (mul %y %z)
#include "pass/rules.h"

// x where the node is -x, or the broadcast of such; else NULL.
static const Node *negated(Graph *graph, const Node *node) {
    if (node->op == OP_neg) return node->in[0];
    if (node->op != OP_broadcast || node->in[0]->op != OP_neg) return NULL;
    return node_broadcast(graph, node->in[0]->in[0], node->attr->axes, node->shape);
}

static const Node *opposite_fill(Graph *graph, const Node *node) {
    double value;
    if (!node_is_fill(node, &value) || value == 0) return NULL;
    return node_fill(graph, node->dtype, -value, node->shape);
}

// -(x - y), -(x * k), -(x / k), -(k / x)
static const Node *neg_of(Graph *graph, const Node *x) {
    if (x->op == OP_neg) return x->in[0];
    if (x->op == OP_sub) return node_binary(graph, OP_sub, x->in[1], x->in[0]);
    if (x->op != OP_mul && x->op != OP_div) return NULL;
    const Node *k = opposite_fill(graph, x->in[1]);
    if (k) return node_binary(graph, x->op, x->in[0], k);
    k = x->op == OP_div ? opposite_fill(graph, x->in[0]) : NULL;
    return k ? node_binary(graph, OP_div, k, x->in[1]) : NULL;
}

static const Node *neg_in_sum(Graph *graph, const Node *node) {
    const Node *a = node->in[0], *b = node->in[1];
    const Node *minus_b = negated(graph, b);
    if (minus_b) return node_binary(graph, node->op == OP_add ? OP_sub : OP_add, a, minus_b);
    const Node *minus_a = node->op == OP_add ? negated(graph, a) : NULL;
    return minus_a ? node_binary(graph, OP_sub, b, minus_a) : NULL;
}

static const Node *neg_in_product(Graph *graph, const Node *node) {
    for (int i = 0; i < 2; i++) {
        const Node *x = negated(graph, node->in[i]);
        if (!x) continue;
        const Node *other = node->in[!i], *k = opposite_fill(graph, other);
        const Node *in[2] = {i ? (k ? k : other) : x, i ? x : (k ? k : other)};
        const Node *product = node_binary(graph, node->op, in[0], in[1]);
        return k ? product : node_unary(graph, OP_neg, product);
    }
    return NULL;
}

const Node *rule_sign(Graph *graph, const Node *node) {
    switch (node->op) {
    case OP_neg:
        return neg_of(graph, node->in[0]);
    case OP_add:
    case OP_sub:
        return neg_in_sum(graph, node);
    case OP_mul:
    case OP_div:
        return neg_in_product(graph, node);
    default:
        return NULL;
    }
}
