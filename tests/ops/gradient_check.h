// SPDX-License-Identifier: MIT
// Compares first and second derivatives of a graph with central differences, in double, on the
// interpreter.
//
//     const char *wrong = gradient_check(graph, y, &x, 1, &(CheckOptions){.n = 2, .seed = 1});
//     cr_assert_null(wrong, "%s", wrong);
#ifndef NNC_TESTS_GRADIENT_CHECK_H
#define NNC_TESTS_GRADIENT_CHECK_H

#include "ir/graph.h"

// Fills in the values of one leaf: `count` of them. `state` is for random_unit().
typedef void DrawLeaf(void *context, const Node *leaf, double *value, int64_t count,
                      uint64_t *state);

typedef struct CheckOptions {
    int64_t n; // the batch
    uint64_t seed;
    DrawLeaf *draw; // NULL: draw_leaf
    void *context;
} CheckOptions;

double random_unit(uint64_t *state); // in [0, 1)

// f32: -2 .. 2; i32: 0 .. 3.
void draw_leaf(void *context, const Node *leaf, double *value, int64_t count, uint64_t *state);

// What is returned where y has an element that is NaN or infinite.
extern const char gradient_not_finite[];

// Appends to the graph d = the gradient of sum(y * seed) with respect to leaves wrt[..], and the
// gradient of sum(d * direction) with respect to wrt[..] and seed, for random seeds and directions,
// and compares both with differences. NULL where they agree, else a sentence, in the graph's arena.
const char *gradient_check(Graph *graph, const Node *y, const Node *const *wrt, int count,
                           const CheckOptions *options);

#endif
