// SPDX-License-Identifier: MIT
// nnc_product: which matrix product is taken.
//
// OpenBLAS is kept to one thread: with its own threads the bits of a result change with their
// number, and it would compete with our pool, from whose threads it is called.
//
// Where NNC_OPENBLAS_FOLDER is defined, it is loaded with the first product, else it is linked.
// What comes with loading it (threads that spin, a printf that takes twice the time) is not for
// those who multiply by themselves, as compiled programs do.
#include "product.h"
#include "nnc.h"
#include <limits.h>

#ifdef NNC_HAVE_OPENBLAS
#include <cblas.h>
#include <pthread.h>

typedef struct Library { // NULL: there is none
    __typeof__(cblas_sgemm) *product;
    __typeof__(openblas_set_num_threads) *set_threads;
} Library;

static Library library;

#ifdef NNC_OPENBLAS_FOLDER
#include <dlfcn.h>
#include <string.h>

static void find_library(void) {
    static const char *const names[] = {NNC_OPENBLAS_FOLDER "/libopenblas.so.0",
                                        NNC_OPENBLAS_FOLDER "/libopenblas.so", "libopenblas.so.0",
                                        "libopenblas.so"};
    void *handle = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !handle; i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    void *product = handle ? dlsym(handle, "cblas_sgemm") : NULL;
    void *set_threads = handle ? dlsym(handle, "openblas_set_num_threads") : NULL;
    if (!product || !set_threads) return;
    memcpy(&library.product, &product, sizeof product); // ISO C casts no void * to a function's
    memcpy(&library.set_threads, &set_threads, sizeof set_threads);
}
#else
static void find_library(void) { library = (Library){cblas_sgemm, openblas_set_num_threads}; }
#endif

static void open_library(void) {
    find_library();
    if (library.set_threads) library.set_threads(1);
}

static const Library *use_library(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_library);
    return &library;
}

static int fits(long long m, long long n, long long k, long long lda, long long ldb,
                long long ldc) {
    return m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX &&
           ldc <= INT_MAX;
}

void nnc_product(int transpose_a, int transpose_b, long long m, long long n, long long k,
                 const float *a, long long lda, const float *b, long long ldb, float *c,
                 long long ldc, int accumulate) {
    const Library *use = use_library();
    if (m == 0 || n == 0) return;
    if (k == 0 || !use->product || !fits(m, n, k, lda, ldb, ldc)) {
        nnc_product_own(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate);
        return;
    }
    use->product(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                 transpose_b ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)lda, b,
                 (int)ldb, accumulate ? 1 : 0, c, (int)ldc);
}

const char *nnc_product_library(void) { return use_library()->product ? OPENBLAS_VERSION : "own"; }

#else

void nnc_product(int transpose_a, int transpose_b, long long m, long long n, long long k,
                 const float *a, long long lda, const float *b, long long ldb, float *c,
                 long long ldc, int accumulate) {
    nnc_product_own(transpose_a, transpose_b, m, n, k, a, lda, b, ldb, c, ldc, accumulate);
}

const char *nnc_product_library(void) { return "own"; }

#endif
