// SPDX-License-Identifier: MIT
#include "ir/wino.h"

#include <math.h>
#include <string.h>

static int points(int tile, double *point) {
    const double near = sqrt(0.5), far = sqrt(2);
    const double two[] = {0, 1, -1}, four[] = {0, near, -near, far, -far};
    int count = tile + 1;
    memcpy(point, tile == 2 ? two : four, sizeof *point * (size_t)count);
    return count;
}

// Row `skip` of B': the coefficients of the product of x - p[k], k other than `skip`. Those that
// are zero but for rounding, because points come in pairs, are zero.
static void polynomial(const double *point, int count, int skip, double *coefficient) {
    memset(coefficient, 0, sizeof *coefficient * WINO_PATCH);
    coefficient[0] = 1;
    for (int k = 0; k < count; k++) {
        if (k == skip) continue;
        for (int i = WINO_PATCH - 1; i >= 0; i--)
            coefficient[i] = (i ? coefficient[i - 1] : 0) - point[k] * coefficient[i];
    }
    for (int i = 0; i < WINO_PATCH; i++)
        if (fabs(coefficient[i]) < 1e-9) coefficient[i] = 0;
}

static WinoMatrix input_matrix(int tile) {
    WinoMatrix m = {.rows = tile + 2, .columns = tile + 2};
    double point[WINO_PATCH];
    int count = points(tile, point);
    for (int i = 0; i < m.rows; i++)
        polynomial(point, count, i < count ? i : -1, m.at[i]);
    return m;
}

static WinoMatrix filter_matrix(int tile) {
    WinoMatrix m = {.rows = tile + 2, .columns = 3};
    double point[WINO_PATCH];
    int count = points(tile, point);
    for (int i = 0; i < count; i++) {
        double scale = 1;
        for (int k = 0; k < count; k++)
            scale *= k == i ? 1 : point[i] - point[k];
        for (int j = 0; j < 3; j++)
            m.at[i][j] = (j == 0 ? 1 : pow(point[i], j)) / scale;
    }
    m.at[count][2] = 1;
    return m;
}

static WinoMatrix output_matrix(int tile) {
    WinoMatrix m = {.rows = tile, .columns = tile + 2};
    double point[WINO_PATCH];
    int count = points(tile, point);
    for (int j = 0; j < tile; j++)
        for (int i = 0; i < count; i++)
            m.at[j][i] = j == 0 ? 1 : pow(point[i], j);
    m.at[tile - 1][count] = 1;
    return m;
}

static WinoMatrix transposed(WinoMatrix of) {
    WinoMatrix m = {.rows = of.columns, .columns = of.rows};
    for (int i = 0; i < m.rows; i++)
        for (int j = 0; j < m.columns; j++)
            m.at[i][j] = of.at[j][i];
    return m;
}

WinoMatrix wino_matrix(Op op, int tile) {
    switch (op) {
    case OP_wino_in:
        return input_matrix(tile);
    case OP_wino_in_t:
        return transposed(input_matrix(tile));
    case OP_wino_out:
        return output_matrix(tile);
    case OP_wino_out_t:
        return transposed(output_matrix(tile));
    case OP_wino_filter:
        return filter_matrix(tile);
    case OP_wino_filter_t:
        return transposed(filter_matrix(tile));
    default:
        bug("%s is no transform", op_info(op)->name);
    }
}
