// SPDX-License-Identifier: MIT
// Arithmetic on a kernel's indices (pass/loops.h): affine forms with interval bounds.
#ifndef NNC_PASS_INDEX_H
#define NNC_PASS_INDEX_H

#include "pass/loops.h"

Index index_const(int64_t value);
Index index_var(int var);
Index index_add(Index a, Index b);
Index index_scale(Index a, int64_t factor);
bool index_equal(const Index *a, const Index *b);
// The least and the greatest value, with N anywhere in 1 .. the batch.
void index_bounds(const Loops *loops, const Index *index, int64_t *low, int64_t *high);
// The variables that it depends on, as bits, LETs followed.
uint64_t index_deps(const Loops *loops, const Index *index);
uint64_t index_var_deps(const Loops *loops, int var);
// floor(index / by), the rest, and index * by, for indices that are not negative; makes a LET where
// that is no affine form, as where `by` depends on N.
Index index_divide(Loops *loops, Index index, Dim by);
Index index_modulo(Loops *loops, Index index, Dim by);
Index index_times(Loops *loops, Index index, Dim by);

int loops_add_var(Loops *loops, VarKind kind, Dim extent);

// The index into an input of the reshape at `out`, an index into its output.
void index_reshape(Loops *loops, const Shape *in, const Shape *out, const Index *at, Index *into);

#endif
