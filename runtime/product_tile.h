// SPDX-License-Identifier: MIT
// The innermost kernel of our matrix product, as a text that product_own.c includes once for each
// instruction set:
//
//     #define TILE tile_avx2           the function's name
//     #define TILE_TARGET "avx2,fma"   what it may use (not defined: what the file is compiled for)
//     #define TILE_LANES 8             floats in a vector
//     #define TILE_ROWS 6              rows of a tile; it has two vectors of columns
//
// c[TILE_ROWS, 2 TILE_LANES] (row stride ldc) = (accumulate ? c : 0) + a' b, with a packed as [k,
// TILE_ROWS] and b as [k, 2 TILE_LANES], b aligned to a vector. Each result is one chain of
// additions in ascending k. The 2 TILE_ROWS sums must stay in registers: 12 of AVX2's 16, 24 of
// AVX-512's 32.
#define TILE_JOIN_(a, b) a##b
#define TILE_JOIN(a, b)  TILE_JOIN_(a, b)
#define Lanes            TILE_JOIN(TILE, _lanes)
#define LanesAnywhere    TILE_JOIN(TILE, _lanes_anywhere)

typedef float Lanes __attribute__((vector_size(4 * TILE_LANES), may_alias));
typedef float LanesAnywhere __attribute__((vector_size(4 * TILE_LANES), aligned(4), may_alias));

#ifdef TILE_TARGET
__attribute__((target(TILE_TARGET)))
#endif
TILE_ATTRIBUTE static void
TILE(long long k, const float *a, const float *b, float *c, long long ldc, int accumulate) {
    TILE_CONTRACT
    Lanes sum[TILE_ROWS][2];
#pragma GCC unroll 16
    for (int r = 0; r < TILE_ROWS; r++)
        sum[r][0] = sum[r][1] = (Lanes){0};
    for (long long p = 0; p < k; p++, a += TILE_ROWS, b += 2 * TILE_LANES) {
        Lanes left = *(const Lanes *)b, right = *(const Lanes *)(b + TILE_LANES);
#pragma GCC unroll 16
        for (int r = 0; r < TILE_ROWS; r++) {
            sum[r][0] += a[r] * left;
            sum[r][1] += a[r] * right;
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < TILE_ROWS; r++, c += ldc) {
        LanesAnywhere *left = (LanesAnywhere *)c, *right = (LanesAnywhere *)(c + TILE_LANES);
        if (accumulate) {
            sum[r][0] += *left;
            sum[r][1] += *right;
        }
        *left = sum[r][0];
        *right = sum[r][1];
    }
}

#undef Lanes
#undef LanesAnywhere
#undef TILE_JOIN
#undef TILE_JOIN_
#undef TILE
#undef TILE_TARGET
#undef TILE_LANES
#undef TILE_ROWS
