// SPDX-License-Identifier: MIT
// Our own single-precision matrix product, for where there is no OpenBLAS: blocked for the caches
// and packed as in Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication"
// (2008), in plain C with GNU vectors.
//
// The same bits for the same arguments on one machine: a result is a chain of fused multiply-adds
// in each block of BLOCK_K, and the blocks are added in order.
#include "product.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_M = 96,   // rows of a that stay in the second-level cache; a multiple of each kind's rows
    BLOCK_N = 1024, // columns of b in the third level
    BLOCK_K = 256,
    TILE_MAX = 12 * 32,
    ALIGN = 64,
};

// Whatever the flags say, a * b + c in a tile is to be one fused instruction, which takes half the
// time, and clang is to use the whole width of a register.
#if defined(__clang__)
#define TILE_ATTRIBUTE __attribute__((min_vector_width(512)))
#define TILE_CONTRACT  _Pragma("clang fp contract(fast)")
#else
#define TILE_ATTRIBUTE __attribute__((optimize("fp-contract=fast")))
#define TILE_CONTRACT
#endif

#if defined(__x86_64__)
#define TILE        tile_avx512
#define TILE_TARGET "avx512f"
#define TILE_LANES  16
#define TILE_ROWS   12
#include "product_tile.h"
#define TILE        tile_avx2
#define TILE_TARGET "avx2,fma"
#define TILE_LANES  8
#define TILE_ROWS   6
#include "product_tile.h"
#endif
#define TILE       tile_plain
#define TILE_LANES 4
#define TILE_ROWS  6
#include "product_tile.h"

typedef struct TileKind {
    int rows, columns;
    void (*run)(long long k, const float *a, const float *b, float *c, long long ldc,
                int accumulate);
} TileKind;

static TileKind tile_kind(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return (TileKind){12, 32, tile_avx512};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (TileKind){6, 16, tile_avx2};
#endif
    return (TileKind){6, 8, tile_plain};
}

static long long least(long long a, long long b) { return a < b ? a : b; }

// Packs `count` lines (rows of a, columns of b), each of `k` elements, into strips of `width`
// lines: in a strip k is the outer axis. Lines missing in the last strip are zero.
static void pack(float *to, const float *from, long long count, int width, long long k,
                 long long line_stride, long long k_stride) {
    for (long long first = 0; first < count; first += width) {
        int lines = (int)least(width, count - first);
        const float *strip = from + first * line_stride;
        for (long long p = 0; p < k; p++, to += width) {
            const float *source = strip + p * k_stride;
            if (line_stride == 1)
                memcpy(to, source, (size_t)lines * sizeof *to);
            else
                for (int i = 0; i < lines; i++)
                    to[i] = source[i * line_stride];
            for (int i = lines; i < width; i++)
                to[i] = 0;
        }
    }
}

// A tile at the edge: computed whole aside, and its part that exists is taken over.
static void run_edge(const TileKind *kind, long long k, const float *a, const float *b, float *c,
                     long long ldc, long long rows, long long columns, int accumulate) {
    float whole[TILE_MAX] __attribute__((aligned(64)));
    kind->run(k, a, b, whole, kind->columns, 0);
    for (long long r = 0; r < rows; r++)
        for (long long j = 0; j < columns; j++) {
            float sum = whole[r * kind->columns + j];
            c[r * ldc + j] = accumulate ? c[r * ldc + j] + sum : sum;
        }
}

static void run_block(const TileKind *kind, long long m, long long n, long long k,
                      const float *packed_a, const float *packed_b, float *c, long long ldc,
                      int accumulate) {
    for (long long j = 0; j < n; j += kind->columns)
        for (long long i = 0; i < m; i += kind->rows) {
            const float *a = packed_a + i * k, *b = packed_b + j * k;
            float *tile = c + i * ldc + j;
            if (m - i >= kind->rows && n - j >= kind->columns)
                kind->run(k, a, b, tile, ldc, accumulate);
            else
                run_edge(kind, k, a, b, tile, ldc, least(kind->rows, m - i),
                         least(kind->columns, n - j), accumulate);
        }
}

// Room for the packed blocks, one for each thread that multiplies, freed when the thread ends.
static pthread_key_t room_key;
static void make_room_key(void) { pthread_key_create(&room_key, free); }

static float *room(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_room_key);
    float *floats = pthread_getspecific(room_key);
    if (!floats) {
        floats = aligned_alloc(ALIGN, (BLOCK_M + BLOCK_N) * BLOCK_K * sizeof *floats);
        pthread_setspecific(room_key, floats);
    }
    return floats;
}

// Needs no room; where there is no memory, and for nothing to add up.
static void product_plain(long long m, long long n, long long k, const float *a, long long a_row,
                          long long a_k, const float *b, long long b_column, long long b_k,
                          float *c, long long ldc, int accumulate) {
    for (long long i = 0; i < m; i++)
        for (long long j = 0; j < n; j++) {
            float sum = 0;
            for (long long p = 0; p < k; p++)
                sum += a[i * a_row + p * a_k] * b[j * b_column + p * b_k];
            c[i * ldc + j] = accumulate ? c[i * ldc + j] + sum : sum;
        }
}

void nnc_product_own(int transpose_a, int transpose_b, long long m, long long n, long long k,
                     const float *a, long long lda, const float *b, long long ldb, float *c,
                     long long ldc, int accumulate) {
    long long a_row = transpose_a ? 1 : lda, a_k = transpose_a ? lda : 1;
    long long b_column = transpose_b ? ldb : 1, b_k = transpose_b ? 1 : ldb;
    float *packed_a = k > 0 ? room() : NULL;
    if (!packed_a) {
        product_plain(m, n, k, a, a_row, a_k, b, b_column, b_k, c, ldc, accumulate);
        return;
    }
    float *packed_b = packed_a + BLOCK_M * BLOCK_K;
    TileKind kind = tile_kind();
    for (long long j = 0; j < n; j += BLOCK_N)
        for (long long p = 0; p < k; p += BLOCK_K) {
            long long columns = least(BLOCK_N, n - j), depth = least(BLOCK_K, k - p);
            pack(packed_b, b + j * b_column + p * b_k, columns, kind.columns, depth, b_column, b_k);
            for (long long i = 0; i < m; i += BLOCK_M) {
                long long rows = least(BLOCK_M, m - i);
                pack(packed_a, a + i * a_row + p * a_k, rows, kind.rows, depth, a_row, a_k);
                run_block(&kind, rows, columns, depth, packed_a, packed_b, c + i * ldc + j, ldc,
                          accumulate || p > 0);
            }
        }
}
