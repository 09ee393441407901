// SPDX-License-Identifier: MIT
// The matrices of Winograd's convolution F(m x m, 3 x 3), in double.
//
//     y = A' [ (G g G') . (B' d B) ] A        d: patch of m + 2, g: filter of 3, y: m results a
//     side
//
// With polynomials through the points p: A'[j][i] = p_i^j, G[i][j] = p_i^j / prod (p_i - p_k), and
// row i of B' has the coefficients of prod (x - p_k), k other than i; the last point is infinity.
// F(2): 0, 1, -1. F(4): 0, +-1/sqrt 2, +-sqrt 2, whose rounding error in f32 is a quarter of what
// 0, +-1, +-2 give. (Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, 2016; points:
// Barabasz et al., Error Analysis and Improving the Accuracy of Winograd Convolution, 2020.)
#ifndef NNC_IR_WINO_H
#define NNC_IR_WINO_H

#include "ir/graph.h"

enum { WINO_PATCH = 6, WINO_POINTS = WINO_PATCH * WINO_PATCH };

typedef struct WinoMatrix { // to[i] = sum of at[i][j] * from[j]
    int rows, columns;
    double at[WINO_PATCH][WINO_PATCH];
} WinoMatrix;

// What one of the operators OP_wino_* does along one side of a patch.
WinoMatrix wino_matrix(Op op, int tile);

#endif
