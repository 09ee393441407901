// SPDX-License-Identifier: MIT
// The two matrix products behind nnc_product (nnc_ctx.h): OpenBLAS's, where the runtime was built
// with it, and our own. Both are always there to be compared.
#ifndef NNC_PRODUCT_H
#define NNC_PRODUCT_H

// Arguments as those of nnc_product.
void nnc_product_own(int transpose_a, int transpose_b, long long m, long long n, long long k,
                     const float *a, long long lda, const float *b, long long ldb, float *c,
                     long long ldc, int accumulate);

#endif
