// SPDX-License-Identifier: MIT
// What kernels on a GPU share. Emitted CUDA repeats this text word for word, between the runtime's
// and the prelude's.
//
//     extern "C" __global__ void __launch_bounds__(256)
//     train_k4_reduce_sum(const __grid_constant__ NncCtx ctx_) { .. v7 = nnc_warp_sum<32>(v7); .. }
//
//     nnc_launch(ctx, train_k4_reduce_sum, "train_k4_reduce_sum", "net.nnd:8", (n * 64 + 7) / 8, 256, 0);
//
// Sums over a warp or a block are trees of a fixed shape, so the same bits in each run. Compiled
// without contraction (nvcc -fmad=false): where one rounding is meant, the source says fmaf.
#include <cuda_runtime.h>

#ifdef __CUDACC__ // a kernel of two launches declares what only one of them uses
#pragma nv_diag_suppress 177
#endif

#define restrict __restrict__
#define NNC_INLINE static __device__ __host__ inline
#define NNC_MATH   NNC_INLINE

// --- Launches

// Keeps the first error with the kernel's name and its place; after one, nothing more is launched.
// Of no elements there are no blocks, and nothing to do.
static void nnc_launch(NncCtx *ctx, void (*kernel)(NncCtx), const char *name, const char *place,
                       long long blocks, int threads, int shared) {
    void *argument[] = {ctx};
    if (blocks <= 0 || ctx->fault->code) return;
    cudaError_t error = cudaSuccess;
    if (shared > 48 * 1024) // what a kernel may have without asking
        error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
    if (error == cudaSuccess)
        error = cudaLaunchKernel(kernel, dim3((unsigned)blocks), dim3((unsigned)threads), argument,
                                 (size_t)shared, (cudaStream_t)ctx->stream);
    if (error == cudaSuccess) return;
    ctx->fault->code = (int)error;
    ctx->fault->kernel = name;
    ctx->fault->place = place;
}

// --- Neighbours in memory, loaded and stored by one instruction

template <typename T> struct __align__(4 * sizeof(T)) NncFour {
    T at[4];
};

template <typename T> static __device__ inline NncFour<T> nnc_four(const T *from) {
    return *(const NncFour<T> *)from;
}

template <typename T> static __device__ inline void nnc_put_four(T *to, NncFour<T> four) {
    *(NncFour<T> *)to = four;
}

// --- What a warp or a block reduces; all of its threads get the result

static __device__ inline float nnc_sum_of(float a, float b) { return a + b; }
static __device__ inline int nnc_sum_of(int a, int b) { return a + b; }
static __device__ inline float nnc_max_of(float a, float b) {
    return ((a >= b) | (a != a)) ? a : b;
}
static __device__ inline int nnc_max_of(int a, int b) { return a >= b ? a : b; }
static __device__ inline float nnc_min_of(float a, float b) {
    return ((a <= b) | (a != a)) ? a : b;
}
static __device__ inline int nnc_min_of(int a, int b) { return a <= b ? a : b; }

// Of a warp, TEAM threads that stand together. A block's warps leave their results in shared memory, which each warp then reduces in the same
// tree. ROWS of threads, for columns: row 0 takes the rows' results in order; all get its own.
#define NNC_REDUCTION(name)                                                                        \
    template <int TEAM, typename T> static __device__ inline T nnc_warp_##name(T a) {              \
        for (int apart = TEAM / 2; apart > 0; apart /= 2)                                          \
            a = nnc_##name##_of(a, __shfl_xor_sync(0xffffffffu, a, apart));                        \
        return a;                                                                                  \
    }                                                                                              \
    template <int THREADS, typename T> static __device__ inline T nnc_block_##name(T a) {          \
        __shared__ T of_warp[THREADS / 32];                                                        \
        const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;                      \
        a = nnc_warp_##name<32>(a);                                                                \
        __syncthreads(); /* those before are read */                                               \
        if (lane == 0) of_warp[warp] = a;                                                          \
        __syncthreads();                                                                           \
        a = of_warp[lane % (THREADS / 32)];                                                        \
        for (int apart = THREADS / 64; apart > 0; apart /= 2)                                      \
            a = nnc_##name##_of(a, __shfl_xor_sync(0xffffffffu, a, apart));                        \
        return a;                                                                                  \
    }                                                                                              \
    template <int ROWS, typename T> static __device__ inline T nnc_rows_##name(T a) {              \
        __shared__ T of_row[ROWS][32];                                                             \
        const int row = (int)threadIdx.x / 32, column = (int)threadIdx.x % 32;                     \
        __syncthreads();                                                                           \
        of_row[row][column] = a;                                                                   \
        __syncthreads();                                                                           \
        a = of_row[0][column];                                                                     \
        for (int i = 1; i < ROWS; i++)                                                             \
            a = nnc_##name##_of(a, of_row[i][column]);                                             \
        return a;                                                                                  \
    }

NNC_REDUCTION(sum)
NNC_REDUCTION(max)
NNC_REDUCTION(min)

// The place of the greatest, which `at` is of a thread's own: the first of equal ones, and the first
// NaN before all numbers.
template <typename T> static __device__ inline int nnc_warp_argmax(T value, int at) {
    for (int apart = 16; apart > 0; apart /= 2) {
        const T other = __shfl_xor_sync(0xffffffffu, value, apart);
        const int there = __shfl_xor_sync(0xffffffffu, at, apart);
        const bool nan = other != other, was = value != value;
        const bool more = nan ? !was : other > value, same = nan ? was : other == value;
        const bool take = more || (same && there < at);
        value = take ? other : value;
        at = take ? there : at;
    }
    return at;
}
