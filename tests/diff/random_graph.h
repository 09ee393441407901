// SPDX-License-Identifier: MIT
// Random well-typed graphs over all operators, for tests that compare two ways of computing the
// same.
//
//     Graph *graph = random_graph(arena, seed);                 // the same graph for the same seed
//     const double **leaf = random_leaves(arena, graph, n, seed);
//     double **value = graph_interpret(graph, &(Interp){.n = n, .leaf = leaf}, arena);
//
// Shapes are small, some axes are N. Values stay where functions are defined. An operator that
// jumps (floor, a comparison, argmax) is only applied to values that single precision has exactly,
// so that a rounding elsewhere cannot decide which side of the jump a value falls on.
#ifndef NNC_TESTS_RANDOM_GRAPH_H
#define NNC_TESTS_RANDOM_GRAPH_H

#include "ir/graph.h"

// Two dozen nodes or more, outputs and states among the roots; in half of them a gradient.
Graph *random_graph(Arena *arena, uint64_t seed);

// Values of the leaves by node id, each a float: f32 -2 .. 2, i32 -1 .. 3.
const double **random_leaves(Arena *arena, const Graph *graph, int64_t n, uint64_t seed);

// The graph with some of its numbers kept as bf16: most leaves, and, where `inner` says so, every
// fourth value between. What is rounded is as exact as before; but a value between two numbers
// of bf16 may become the one here and the other there.
Graph *random_rounded(Arena *arena, const Graph *graph, uint64_t seed, bool inner);

// One operator after another, for tests of one operator.
typedef struct RandomGraph {
    Graph *graph;
    uint64_t state;
    int leaves;
    VEC(const Node *) pool; // what operands are picked from
    VEC(bool) exact;        // by node id: a float holds every element exactly
} RandomGraph;

RandomGraph *random_graph_new(Arena *arena, uint64_t seed);
// The operator over random operands with random attributes; NULL for an operator of a lowered
// graph.
const Node *random_node(RandomGraph *random, Op op);

#endif
