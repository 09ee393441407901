// SPDX-License-Identifier: MIT
// Rows: reductions along the last axes, and the pointwise code before, between and behind them, as
// one kernel that goes through memory once. Of softmax(x), x: f32[N, 1024]:
//
//     for each row    m = max of x;  e = exp(x - m), kept;  s = sum of e;  result = e / s
//
// The row is read from memory once and lies in the core's cache from then on; one value of a row is
// a local, a row that is dear to compute is kept in the thread's scratch memory.
#ifndef NNC_PASS_ROWS_H
#define NNC_PASS_ROWS_H

#include "pass/plan.h"

typedef struct Rows {
    int rank;    // so many first axes of
    Shape space; // are rows
} Rows;

// Do two kernels, each of them over rows or over all of their elements, have their rows in common?
bool rows_common(const Fusion *fusion, const Kernel *a, const Kernel *b, Rows *rows);
// Does b, in each row, read of what a makes this row alone?
bool rows_read_own(Arena *arena, const Fusion *fusion, const Kernel *a, const Kernel *b,
                   const Rows *rows);

#endif
