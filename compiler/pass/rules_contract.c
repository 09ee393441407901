// SPDX-License-Identifier: MIT
// Rules for contractions: a movement of an operand becomes part of the access that reads it, and a
// contraction that sums nothing is a pointwise product.
//
//     sum over r of (pad %x by 1)[i + r] * %w[r]    ->  sum over r of %x[i + r - 1] * %w[r]
#include "pass/rules.h"

static bool is_plain(const Access *a) {
    return a->index[0] >= 0 && a->index[1] < 0 && a->coef[0] == 1 && a->offset == 0 &&
           a->divisor == 1;
}

// The contraction, where it keeps the rule that each summed index somewhere runs along a whole
// axis.
static const Node *contract_if_sound(Graph *graph, const Node *like, const Node *const *in,
                                     const ContractAttr *contract) {
    Attr attr = {.contract = contract};
    Node node = *like;
    node.in = in;
    node.attr = &attr;
    if (node_check(&node, graph->arena)) return NULL;
    return node_contract(graph, in[0], in[1], contract, like->shape);
}

static bool fits_int32(int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

// Place q of a padded axis is place (q - low) / (interior + 1) of the axis itself.
static bool access_through_pad(Access *a, PadAxis pad) {
    int64_t offset = a->offset - (int64_t)pad.low * a->divisor;
    int64_t divisor = (pad.interior + (int64_t)1) * a->divisor;
    if (!fits_int32(offset) || !fits_int32(divisor)) return false;
    a->offset = (int32_t)offset;
    a->divisor = (int32_t)divisor;
    return true;
}

// One axis at a time, so that one that cannot be taken in does not hold back the others.
static const Node *through_pad(Graph *graph, const Node *node, int operand) {
    const Node *x = node->in[operand];
    if (x->attr->value != 0) return NULL;
    for (int i = 0; i < x->shape.rank; i++) {
        PadAxis pad[MAX_RANK];
        for (int k = 0; k < MAX_RANK; k++)
            pad[k] = x->attr->pad[k];
        if (!pad[i].low && !pad[i].high && !pad[i].interior) continue;
        ContractAttr contract = *node->attr->contract;
        if (!access_through_pad(operand ? &contract.b[i] : &contract.a[i], pad[i])) continue;
        pad[i] = (PadAxis){0, 0, 0};
        const Node *in[2] = {node->in[0], node->in[1]};
        in[operand] = node_pad(graph, x->in[0], pad, 0);
        const Node *better = contract_if_sound(graph, node, in, &contract);
        if (better) return better;
    }
    return NULL;
}

static const Node *through_permute(Graph *graph, const Node *node, int operand) {
    const Node *x = node->in[operand];
    ContractAttr contract = *node->attr->contract;
    const Access *from = operand ? node->attr->contract->b : node->attr->contract->a;
    Access *to = operand ? contract.b : contract.a;
    for (int i = 0; i < x->shape.rank; i++)
        to[x->attr->perm[i]] = from[i];
    const Node *in[2] = {node->in[0], node->in[1]};
    in[operand] = x->in[0];
    return contract_if_sound(graph, node, in, &contract);
}

static const Node *rule_operand_movement(Graph *graph, const Node *node) {
    for (int i = 0; i < 2; i++) {
        Op op = node->in[i]->op;
        const Node *better = op == OP_pad       ? through_pad(graph, node, i)
                             : op == OP_permute ? through_permute(graph, node, i)
                                                : NULL;
        if (better) return better;
    }
    return NULL;
}

// --- No sum

// The operand as a tensor over all of z's indices; NULL where it does not read each axis whole,
// once.
static const Node *aligned(Graph *graph, const Node *z, const Node *x, const Access *access) {
    int axis_of[MAX_RANK];
    uint32_t absent = (1u << z->shape.rank) - 1;
    for (int i = 0; i < x->shape.rank; i++) {
        int index = access[i].index[0];
        if (!is_plain(&access[i]) || !(absent >> index & 1)) return NULL;
        if (!dim_equal(x->shape.dim[i], z->shape.dim[index])) return NULL;
        absent &= ~(1u << index);
        axis_of[index] = i;
    }
    int8_t perm[MAX_RANK] = {0};
    for (int index = 0, at = 0; index < z->shape.rank; index++)
        if (!(absent >> index & 1)) perm[at++] = (int8_t)axis_of[index];
    const Node *turned = node_permute(graph, x, perm);
    return absent ? node_broadcast(graph, turned, absent, z->shape) : turned;
}

static const Node *rule_no_sum(Graph *graph, const Node *node) {
    const ContractAttr *contract = node->attr->contract;
    if (contract->summed) return NULL;
    const Node *a = aligned(graph, node, node->in[0], contract->a);
    const Node *b = a ? aligned(graph, node, node->in[1], contract->b) : NULL;
    return b ? node_binary(graph, OP_mul, a, b) : NULL;
}

Rule *const *contract_rules(void) {
    static Rule *const rules[] = {rule_no_sum, rule_operand_movement, NULL};
    return rules;
}
