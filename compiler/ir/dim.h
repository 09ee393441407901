// SPDX-License-Identifier: MIT
// Extents: polynomials in N, the number of examples in a batch, with integer coefficients.
// N is the only size that is known at run time; everything else is a constant.
#ifndef NNC_IR_DIM_H
#define NNC_IR_DIM_H

#include "support/buf.h"
#include <stdbool.h>
#include <stdint.h>

enum { DIM_DEGREE = 3, MAX_RANK = 8 };

typedef struct Dim {
    int64_t c[DIM_DEGREE + 1]; // c[0] + c[1] N + c[2] N^2 + c[3] N^3
} Dim;

typedef struct Shape { // row-major; axes past rank are zero, so shapes compare as bytes
    int rank;
    Dim dim[MAX_RANK];
} Shape;

Dim dim_const(int64_t value);
Dim dim_batch(void); // N
bool dim_is_const(Dim dim);
bool dim_is_one(Dim dim);
bool dim_equal(Dim a, Dim b);
int64_t dim_eval(Dim dim, int64_t n);
// False where the result does not fit (64-bit overflow, degree over DIM_DEGREE, inexact division).
bool dim_add(Dim *sum, Dim a, Dim b);
bool dim_sub(Dim *difference, Dim a, Dim b);
bool dim_mul(Dim *product, Dim a, Dim b);
bool dim_div(Dim *quotient, Dim a, Dim b); // exact: quotient * b is a
// Whether it is at least `least` for every n >= 1. May say no where it holds (degree above 1).
bool dim_at_least(Dim dim, int64_t least);
void dim_print(Buf *out, Dim dim);         // 64, N, 2*N + 1, N^2

Shape shape_of(int rank, const Dim *dims);
bool shape_equal(const Shape *a, const Shape *b);
bool shape_size(Dim *size, const Shape *shape);      // product of the extents; false on overflow
int64_t shape_eval(const Shape *shape, int64_t n);   // elements for a batch of n
void shape_print(Buf *out, const Shape *shape);      // [N, 3, 32, 32]

#endif
