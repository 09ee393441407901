// SPDX-License-Identifier: MIT
// Reverse-mode differentiation: appends adjoints to the graph that holds the function.
//
//     const Node *dw;
//     graph_grad(graph, loss, NULL, &w, 1, &dw); // d loss / d w, of w's shape
//
// Every rule stays inside the operator set of a model's graph, so that a gradient can be
// differentiated again: the language's grad(y, x) is this call.
#ifndef NNC_PASS_GRAD_H
#define NNC_PASS_GRAD_H

#include "ir/graph.h"

// out[i] = sum over the elements of y of seed * dy / d wrt[i], of wrt[i]'s shape. A NULL seed means
// 1 and wants y of rank 0. `wrt` may be any real nodes, leaves or not: what lies between one of
// them and y is what is differentiated. One that y does not depend on gets zeros. Kinks: the
// pointwise operators' are stated in ops.def; the gradient of a maximum over axes goes to its first
// place in row-major order. New nodes inherit the spans of those they are the adjoints of.
void graph_grad(Graph *graph, const Node *y, const Node *seed, const Node *const *wrt, int count,
                const Node **out);

#endif
