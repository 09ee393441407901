// SPDX-License-Identifier: MIT
// The rewriting rules of pass/simplify.c and what they share. Private to pass/simplify.c, rules*.c.
#ifndef NNC_PASS_RULES_H
#define NNC_PASS_RULES_H

#include "ir/graph.h"

// What may stand for `node` (built in `graph`, of its type and shape), or NULL where the rule does
// not apply. A rule looks at the node and what is below it, never at its users, and must lead to
// fewer nodes, smaller ones, or a form that no other rule leads back from.
typedef const Node *Rule(Graph *graph, const Node *node);

// An operator's rules, ending with NULL.
Rule *const *movement_rules(Op op); // rules_movement.c
Rule *const *reduce_rules(Op op);   // rules_reduce.c
Rule *const *contract_rules(void);  // rules_contract.c
Rule *const *pointwise_rules(void); // rules_pointwise.c: of all pointwise operators and cast
Rule rule_sign;                     // rules_neg.c
Rule rule_sum_of_pieces;            // rules_pads.c

// The number that every element of the node is, where it is a constant or the broadcast of one.
bool node_is_fill(const Node *node, double *value);
bool node_is_fill_of(const Node *node, double value);

// `axes` (numbered with the axes `gone` still there) without those of `gone`, renumbered.
uint32_t axes_without(uint32_t axes, uint32_t gone);
Shape shape_without(const Shape *shape, uint32_t gone);

#endif
