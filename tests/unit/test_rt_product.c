// SPDX-License-Identifier: MIT
// Both matrix products against sums in double, in every form, at sizes around the edges of tiles
// and blocks.
#include "draw.h"
#include "nnc_ctx.h"
#include "product.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef void Product(int transpose_a, int transpose_b, long long m, long long n, long long k,
                     const float *a, long long lda, const float *b, long long ldb, float *c,
                     long long ldc, int accumulate);

enum { SPARE = 3 }; // columns beyond the matrix in each row, not to be touched

static float *random_matrix(NncDraw *draw, long long rows, long long stride) {
    float *matrix = malloc((size_t)(rows * stride + 1) * sizeof *matrix);
    for (long long i = 0; i < rows * stride; i++)
        matrix[i] = nnc_draw_between(draw, -1, 1);
    return matrix;
}

static void check(Product *product, int ta, int tb, long long m, long long n, long long k,
                  int accumulate) {
    NncDraw draw = nnc_draw((uint64_t)m, (uint64_t)n, (uint64_t)k);
    long long lda = (ta ? m : k) + SPARE, ldb = (tb ? k : n) + SPARE, ldc = n + SPARE;
    float *a = random_matrix(&draw, ta ? k : m, lda), *b = random_matrix(&draw, tb ? n : k, ldb);
    float *before = random_matrix(&draw, m, ldc), *c = malloc((size_t)(m * ldc + 1) * sizeof *c);
    memcpy(c, before, (size_t)(m * ldc) * sizeof *c);
    if (!accumulate)
        for (long long i = 0; i < m; i++)
            for (long long j = 0; j < n; j++)
                c[i * ldc + j] = NAN; // must not be read
    product(ta, tb, m, n, k, a, lda, b, ldb, c, ldc, accumulate);
    for (long long i = 0; i < m; i++)
        for (long long j = 0; j < ldc; j++) {
            double sum = accumulate || j >= n ? before[i * ldc + j] : 0, size = fabs(sum);
            for (long long p = 0; j < n && p < k; p++) {
                double term =
                    (double)a[ta ? p * lda + i : i * lda + p] * b[tb ? j * ldb + p : p * ldb + j];
                sum += term;
                size += fabs(term);
            }
            cr_assert(fabs(c[i * ldc + j] - sum) <= 1e-6 * size,
                      "m %lld n %lld k %lld at %lld, %lld: %g, not %g", m, n, k, i, j,
                      (double)c[i * ldc + j], sum);
        }
    free(a);
    free(b);
    free(c);
    free(before);
}

static void check_all(Product *product) {
    static const long long sizes[][3] = {{1, 1, 1},      {1, 9, 3},   {6, 16, 5},    {12, 32, 7},
                                         {13, 33, 20},   {5, 31, 1},  {16, 10, 128}, {97, 40, 300},
                                         {100, 1030, 9}, {3, 2, 520}, {0, 4, 4},     {4, 0, 4},
                                         {7, 5, 0}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int form = 0; form < 8; form++)
            check(product, form & 1, form >> 1 & 1, sizes[s][0], sizes[s][1], sizes[s][2],
                  form >> 2);
}

Test(rt_product, own_is_right) { check_all(nnc_product_own); }
Test(rt_product, the_one_in_use_is_right) { check_all(nnc_product); }

static void expect_same_bits(Product *product) {
    enum { M = 37, N = 70, K = 300 };
    NncDraw draw = nnc_draw(1, 2, 3);
    float *a = random_matrix(&draw, M, K), *b = random_matrix(&draw, K, N);
    float first[M * N], again[M * N];
    product(0, 0, M, N, K, a, K, b, N, first, N, 0);
    for (int i = 0; i < 10; i++) {
        product(0, 0, M, N, K, a, K, b, N, again, N, 0);
        cr_assert(!memcmp(first, again, sizeof first));
    }
    free(a);
    free(b);
}

Test(rt_product, the_same_bits_each_time) {
    expect_same_bits(nnc_product_own);
    expect_same_bits(nnc_product);
}
