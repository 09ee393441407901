// SPDX-License-Identifier: MIT
// What the files of the interpreter share: shapes at the run's n, and walking over them.
#ifndef NNC_IR_INTERP_INTERNAL_H
#define NNC_IR_INTERP_INTERNAL_H

#include "ir/graph.h"

enum { MAX_LOOPS = 2 * MAX_RANK }; // of a contraction: output axes and summed indices

typedef struct Extents { // a shape with numbers; also the loops of a contraction
    int rank;
    int64_t size; // elements
    int64_t dim[MAX_LOOPS], stride[MAX_LOOPS];
} Extents;

// One node to compute: its result, its operands, and their shapes.
typedef struct Eval {
    const Node *node;
    const Interp *with;
    Arena *scratch;
    Extents shape, in_shape[2]; // of the first two operands
    const double *in[3];        // of the first three operands
    double *const *value;       // of all nodes, by id
    double *out;                // zeroed
} Eval;

Extents extents_at(const Shape *shape, int64_t n);
// To the next index in row-major order; false, with all zeros again, after the last one.
bool index_advance(int64_t *index, const Extents *extents);
int64_t index_offset(const int64_t *index, const Extents *extents);

void eval_contract(const Eval *eval);
void eval_product(const Eval *eval);
void eval_wino_tiles(const Eval *eval);
void eval_wino_filter(const Eval *eval);
// Everything that only moves elements: reshape, permute, broadcast, pad, slice, flip, window; and
// fold, concat, gather and scatter_add.
void eval_movement(const Eval *eval);

#endif
