// SPDX-License-Identifier: MIT
// What random_graph.c, which picks operands, and random_ops.c, which makes nodes, share.
#ifndef NNC_TESTS_RANDOM_INTERNAL_H
#define NNC_TESTS_RANDOM_INTERNAL_H

#include "random_graph.h"

int below(RandomGraph *random, int count);           // 0 .. count - 1
bool one_in(RandomGraph *random, int count);         // with probability 1 / count
int between(RandomGraph *random, int low, int high); // both inclusive

Dim random_extent(RandomGraph *random); // 1 .. 4, or N
bool random_fits(const Shape *shape);   // small, and no more than N squared
Shape random_shape(RandomGraph *random, int least_rank, int most_rank);

const Node *random_leaf(RandomGraph *random, DType dtype, Shape shape);
// Any operand; one of a shape; one of a rank; one that single precision has exactly.
const Node *pick(RandomGraph *random, DType dtype, int least_rank, int most_rank);
const Node *pick_of_shape(RandomGraph *random, DType dtype, Shape shape);
const Node *pick_exact(RandomGraph *random, DType dtype, int least_rank);
const Node *pick_exact_of_shape(RandomGraph *random, DType dtype, Shape shape);

// Puts it into the pool.
const Node *random_keep(RandomGraph *random, const Node *node);

const Node *random_contract(RandomGraph *random);

#endif
