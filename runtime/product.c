// SPDX-License-Identifier: MIT
// nnc_product: which matrix product is taken.
//
// OpenBLAS is kept to one thread: with its own threads the bits of a result change with their
// number, and it would compete with our pool, from whose threads it is called.
#include "product.h"
#include "nnc.h"
#include <limits.h>

#ifdef NNC_HAVE_OPENBLAS
#include <cblas.h>
#include <pthread.h>

static void keep_to_one_thread(void) { openblas_set_num_threads(1); }

static int fits(long long m, long long n, long long k, long long lda, long long ldb,
                long long ldc) {
    return m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX &&
           ldc <= INT_MAX;
}

void nnc_product(int transpose_a, int transpose_b, long long m, long long n, long long k,
                 const float *a, long long lda, const float *b, long long ldb, float *c,
                 long long ldc, int accumulate) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, keep_to_one_thread);
    if (m == 0 || n == 0) return;
    if (k == 0 || !fits(m, n, k, lda, ldb, ldc)) {
        nnc_product_own(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate);
        return;
    }
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)lda, b,
                (int)ldb, accumulate ? 1 : 0, c, (int)ldc);
}

const char *nnc_product_library(void) { return OPENBLAS_VERSION; }

#else

void nnc_product(int transpose_a, int transpose_b, long long m, long long n, long long k,
                 const float *a, long long lda, const float *b, long long ldb, float *c,
                 long long ldc, int accumulate) {
    nnc_product_own(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate);
}

const char *nnc_product_library(void) { return "own"; }

#endif
