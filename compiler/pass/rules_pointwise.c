// SPDX-License-Identifier: MIT
// Rules for the pointwise operators and casts: folding, identities, and doing the work before a
// broadcast instead of after it.
//
//     mul (broadcast %a) (broadcast of 2)    ->  broadcast (mul %a 2)
//     select %c %x %x                        ->  %x
#include "pass/rules.h"

#include <float.h>
#include <math.h>

// --- Constants

bool node_is_fill(const Node *node, double *value) {
    if (node->op == OP_broadcast) node = node->in[0];
    if (node->op != OP_const) return false;
    *value = node->attr->value;
    return true;
}

bool node_is_fill_of(const Node *node, double value) {
    double known;
    return node_is_fill(node, &known) && known == value;
}

static bool representable(DType dtype, double value) {
    switch (dtype) {
    case DT_F32:
        return fabs(value) <= FLT_MAX;
    case DT_I32:
        return floor(value) == value && fabs(value) <= INT32_MAX;
    case DT_BOOL:
        return value == 0 || value == 1;
    default:
        return isfinite(value);
    }
}

// The value of a pointwise operator or a cast of numbers, where there is one that can be kept.
static bool evaluate(const Node *node, const double *in, double *value) {
    if (node->op != OP_cast)
        *value = op_reference(node->op, in[0], in[1], in[2]);
    else if (node->dtype == DT_BOOL)
        *value = in[0] != 0;
    else if (node->dtype == DT_BF16)
        return false; // a constant has no type that is for casts
    else
        *value = node->dtype == DT_I32 ? trunc(in[0]) : in[0];
    *value += 0.0; // -0 is 0, or there would be two constants zero
    return representable(node->dtype, *value);
}

static const Node *fold(Graph *graph, const Node *node) {
    double in[3] = {0}, value;
    for (int i = 0; i < node->in_count; i++)
        if (!node_is_fill(node->in[i], &in[i])) return NULL;
    if (!evaluate(node, in, &value)) return NULL;
    return node_fill(graph, node->dtype, value, node->shape);
}

// f(c ? 1 : 0, 3) with constants alone besides c: c ? f(1, 3) : f(0, 3).
static const Node *fold_into_select(Graph *graph, const Node *node) {
    const Node *choice = NULL;
    double yes[3] = {0}, no[3] = {0}, yes_value, no_value;
    for (int i = 0; i < node->in_count; i++) {
        const Node *in = node->in[i];
        if (node_is_fill(in, &yes[i])) {
            no[i] = yes[i];
        } else if (!choice && in->op == OP_select && node_is_fill(in->in[1], &yes[i]) &&
                   node_is_fill(in->in[2], &no[i])) {
            choice = in;
        } else {
            return NULL;
        }
    }
    if (node->dtype == DT_BF16) return NULL; // that is for casts
    if (!choice || !evaluate(node, yes, &yes_value) || !evaluate(node, no, &no_value)) return NULL;
    return node_select(graph, choice->in[0], node_fill(graph, node->dtype, yes_value, node->shape),
                       node_fill(graph, node->dtype, no_value, node->shape));
}

// --- Broadcasts

static const Node *with_inputs(Graph *graph, const Node *node, const Node *const *in) {
    return node->op == OP_cast ? node_cast(graph, node->dtype, in[0])
                               : node_pointwise(graph, node->op, in);
}

// Axes along which every input repeats itself are broadcast afterwards.
static const Node *broadcast_last(Graph *graph, const Node *node) {
    uint32_t common = ~0u;
    for (int i = 0; i < node->in_count; i++)
        common &= node->in[i]->op == OP_broadcast ? node->in[i]->attr->axes : 0;
    if (!common || node->dtype == DT_BF16) return NULL; // bf16 is for casts
    const Node *in[3];
    for (int i = 0; i < node->in_count; i++) {
        uint32_t rest = axes_without(node->in[i]->attr->axes, common);
        in[i] = node->in[i]->in[0];
        if (rest) in[i] = node_broadcast(graph, in[i], rest, shape_without(&node->shape, common));
    }
    return node_broadcast(graph, with_inputs(graph, node, in), common, node->shape);
}

// --- Identities. a, b, c are the inputs.

static const Node *zeros(Graph *graph, const Node *like) {
    return node_fill(graph, like->dtype, 0, like->shape);
}

// Whether no element can be NaN or infinite, by what the node is.
static bool is_finite(const Node *node, int depth) {
    double value;
    if (node->dtype == DT_I32 || node->dtype == DT_BOOL || node->op == OP_random) return true;
    if (node_is_fill(node, &value)) return isfinite(value);
    if (!depth) return false;
    switch (node->op) {
    case OP_select:
        return is_finite(node->in[1], depth - 1) && is_finite(node->in[2], depth - 1);
    case OP_cast:
        return node->in[0]->dtype == DT_I32 || node->in[0]->dtype == DT_BOOL;
    case OP_broadcast:
    case OP_reshape:
    case OP_permute:
    case OP_slice:
    case OP_flip:
        return is_finite(node->in[0], depth - 1);
    default:
        return false;
    }
}

static const Node *simplify_mul(Graph *graph, const Node *a, const Node *b) {
    enum { DEPTH = 6 };
    if (node_is_fill_of(b, 1)) return a;
    if (node_is_fill_of(b, -1)) return node_unary(graph, OP_neg, a);
    if (node_is_fill_of(b, 0) && is_finite(a, DEPTH)) return zeros(graph, a);
    return NULL;
}

static const Node *simplify_pow(Graph *graph, const Node *a, const Node *b) {
    const Node *one = node_fill(graph, a->dtype, 1, a->shape);
    if (node_is_fill_of(b, 0)) return one; // also of NaN, as C has it
    if (node_is_fill_of(b, 1)) return a;
    if (node_is_fill_of(b, 2)) return node_binary(graph, OP_mul, a, a);
    if (node_is_fill_of(b, -1)) return node_binary(graph, OP_div, one, a);
    return NULL;
}

static const Node *simplify_logic(Graph *graph, const Node *node) {
    const Node *a = node->in[0], *b = node->in[1];
    bool absorbs = node->op == OP_or; // the value that decides alone; the other is neutral
    if (a == b || node_is_fill_of(b, !absorbs)) return a;
    if (node_is_fill_of(b, absorbs)) return node_fill(graph, DT_BOOL, absorbs, node->shape);
    return NULL;
}

static const Node *simplify_not(Graph *graph, const Node *a) {
    if (a->op == OP_not) return a->in[0];
    bool integers = a->in_count == 2 && a->in[0]->dtype == DT_I32; // no NaN, which is not less
    static const Op opposite[OP_COUNT] = {
        [OP_eq] = OP_ne, [OP_ne] = OP_eq, [OP_lt] = OP_ge,
        [OP_le] = OP_gt, [OP_gt] = OP_le, [OP_ge] = OP_lt,
    };
    if (opposite[a->op] && (integers || a->op == OP_eq || a->op == OP_ne))
        return node_binary(graph, opposite[a->op], a->in[0], a->in[1]);
    return NULL;
}

static const Node *simplify_select(Graph *graph, const Node *c, const Node *yes, const Node *no) {
    if (yes == no || node_is_fill_of(c, 1)) return yes;
    if (node_is_fill_of(c, 0)) return no;
    if (yes->dtype == DT_BOOL && node_is_fill_of(yes, 1) && node_is_fill_of(no, 0)) return c;
    if (c->op == OP_not) return node_select(graph, c->in[0], no, yes);
    if (yes->op == OP_select && yes->in[0] == c) return node_select(graph, c, yes->in[1], no);
    if (no->op == OP_select && no->in[0] == c) return node_select(graph, c, yes, no->in[2]);
    return NULL;
}

// The type between them loses nothing of the first.
static const Node *simplify_cast(Graph *graph, DType to, const Node *a) {
    if (a->op != OP_cast || to == DT_BF16) return NULL; // which is made of f32 alone
    const Node *x = a->in[0];
    bool keeps = x->dtype == DT_BOOL || a->dtype == DT_F64;
    return keeps ? node_cast(graph, to, x) : NULL;
}

static const Node *identity(Graph *graph, const Node *node) {
    const Node *a = node->in[0], *b = node->in_count > 1 ? node->in[1] : NULL;
    switch (node->op) {
    case OP_add:
        return node_is_fill_of(b, 0) ? a : NULL;
    case OP_sub:
        if (node_is_fill_of(a, 0)) return node_unary(graph, OP_neg, b);
        return node_is_fill_of(b, 0) ? a : NULL;
    case OP_mul:
        return simplify_mul(graph, a, b);
    case OP_div:
        if (node_is_fill_of(b, -1)) return node_unary(graph, OP_neg, a);
        return node_is_fill_of(b, 1) ? a : NULL;
    case OP_pow:
        return simplify_pow(graph, a, b);
    case OP_max:
    case OP_min:
        return a == b ? a : NULL;
    case OP_abs:
        if (a->op == OP_neg) return node_unary(graph, OP_abs, a->in[0]);
        return a->op == OP_abs ? a : NULL;
    case OP_eq:
    case OP_ne:
        return a == b && a->dtype == DT_I32
                   ? node_fill(graph, DT_BOOL, node->op == OP_eq, node->shape)
                   : NULL;
    case OP_and:
    case OP_or:
        return simplify_logic(graph, node);
    case OP_not:
        return simplify_not(graph, a);
    case OP_select:
        return simplify_select(graph, a, b, node->in[2]);
    case OP_cast:
        return simplify_cast(graph, node->dtype, a);
    default:
        return NULL;
    }
}

// Constants on the right, so that the rules look for them there alone.
static const Node *constant_last(Graph *graph, const Node *node) {
    bool commutes = node->op == OP_add || node->op == OP_mul || node->op == OP_eq ||
                    node->op == OP_ne || node->op == OP_and || node->op == OP_or;
    double value;
    if (!commutes || !node_is_fill(node->in[0], &value) || node_is_fill(node->in[1], &value))
        return NULL;
    return node_binary(graph, node->op, node->in[1], node->in[0]);
}

Rule *const *pointwise_rules(void) {
    static Rule *const rules[] = {fold,      constant_last,      broadcast_last,   identity,
                                  rule_sign, rule_sum_of_pieces, fold_into_select, NULL};
    return rules;
}
