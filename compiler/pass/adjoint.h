// SPDX-License-Identifier: MIT
// The structural operators' derivatives, one function each. Private to pass/grad*.c.
#ifndef NNC_PASS_ADJOINT_H
#define NNC_PASS_ADJOINT_H

#include "ir/graph.h"

// What z hands to its input number `input`, given z's own adjoint; of that input's shape.
typedef const Node *AdjointRule(Graph *graph, const Node *z, int input, const Node *adjoint);

// NULL where the derivative is zero everywhere, or the operator is pointwise.
AdjointRule *adjoint_rule(Op op);

AdjointRule contract_adjoint; // pass/grad_contract.c

#endif
