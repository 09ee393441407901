// SPDX-License-Identifier: MIT
// The language of kernels for g++ and clang++: keywords, the places of threads, barriers, shuffles,
// atomics, mathematics, and the instructions that generated code uses, each as a function. What
// several threads take part in is done by cuda_host_block.cpp.
//
//     __global__ void sum(const float *x, float *y) {
//         __shared__ float part[32];
//         ...
//         __syncthreads();
#ifndef NNC_TESTS_CUDA_HOST_DEVICE_H
#define NNC_TESTS_CUDA_HOST_DEVICE_H

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__    // libstdc++ has an attribute of this name
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))

// One block runs at a time. Each variable has a section of its own, since g++ lets none be of
// functions that are templates and of others; the linker lays them beside one another
// (cuda_host.ld).
#define CUDA_HOST_TEXT_(x) #x
#define CUDA_HOST_TEXT(x)  CUDA_HOST_TEXT_(x)
#define __shared__         static __attribute__((section("cuda_shared." CUDA_HOST_TEXT(__COUNTER__))))
void *cuda_host_shared(void); // the launch's dynamic shared memory

// --- Types

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned across = 1, unsigned down = 1, unsigned deep = 1)
        : x(across), y(down), z(deep) {}
};

#define CUDA_HOST_VECTORS(scalar, name)                                                            \
    struct alignas(2 * sizeof(scalar)) name##2 {                                                   \
        scalar x, y;                                                                               \
    };                                                                                             \
    struct alignas(4 * sizeof(scalar)) name##4 {                                                   \
        scalar x, y, z, w;                                                                         \
    };                                                                                             \
    static inline name##2 make_##name##2(scalar x, scalar y) { return {x, y}; }                    \
    static inline name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w) {                 \
        return {x, y, z, w};                                                                       \
    }
CUDA_HOST_VECTORS(float, float)
CUDA_HOST_VECTORS(int, int)
CUDA_HOST_VECTORS(unsigned, uint)
CUDA_HOST_VECTORS(unsigned short, ushort)
CUDA_HOST_VECTORS(unsigned char, uchar)
struct alignas(16) double2 {
    double x, y;
};

// --- Places

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static const int warpSize = 32;

// --- What a block's threads do together. The caller's place is for messages.

#define CUDA_HOST_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

enum CudaHostMeeting {
    CUDA_HOST_SHUFFLE, // value of the lane `argument`, in groups of `width`
    CUDA_HOST_SHUFFLE_UP,
    CUDA_HOST_SHUFFLE_DOWN,
    CUDA_HOST_SHUFFLE_XOR,
    CUDA_HOST_BALLOT,
    CUDA_HOST_SYNC,
    CUDA_HOST_MMA_TF32,
    CUDA_HOST_MMA_BF16,
    CUDA_HOST_LDMATRIX, // `argument` matrices
    CUDA_HOST_LDMATRIX_TRANS,
};

struct CudaHostRequest {
    CudaHostMeeting kind;
    unsigned mask;
    unsigned long long value; // what the lane gives, then what it gets
    int argument, width;
    float *c;               // mma: the lane's part of the result,
    const unsigned *a, *b;  // and of the operands
    unsigned *r;            // ldmatrix: what it gets,
    const void *row;        // the row that it names,
    unsigned short rows[8]; // and what is in it
};

void cuda_host_sync_threads(int operation, int *value, const char *file, int line);
void cuda_host_meet(CudaHostRequest *request, const char *file, int line);

enum { CUDA_HOST_BARRIER, CUDA_HOST_COUNT, CUDA_HOST_AND, CUDA_HOST_OR };

static inline void __syncthreads(CUDA_HOST_PLACE) {
    cuda_host_sync_threads(CUDA_HOST_BARRIER, nullptr, file, line);
}
static inline int __syncthreads_count(int value, CUDA_HOST_PLACE) {
    cuda_host_sync_threads(CUDA_HOST_COUNT, &value, file, line);
    return value;
}
static inline int __syncthreads_and(int value, CUDA_HOST_PLACE) {
    cuda_host_sync_threads(CUDA_HOST_AND, &value, file, line);
    return value;
}
static inline int __syncthreads_or(int value, CUDA_HOST_PLACE) {
    cuda_host_sync_threads(CUDA_HOST_OR, &value, file, line);
    return value;
}
static inline void __syncwarp(unsigned mask = 0xffffffffu, CUDA_HOST_PLACE) {
    CudaHostRequest request = {CUDA_HOST_SYNC, mask};
    cuda_host_meet(&request, file, line);
}
static inline unsigned __ballot_sync(unsigned mask, int value, CUDA_HOST_PLACE) {
    CudaHostRequest request = {CUDA_HOST_BALLOT, mask, value != 0};
    cuda_host_meet(&request, file, line);
    return (unsigned)request.value;
}
static inline int __any_sync(unsigned mask, int value, CUDA_HOST_PLACE) {
    return __ballot_sync(mask, value, file, line) != 0;
}
static inline int __all_sync(unsigned mask, int value, CUDA_HOST_PLACE) {
    return __ballot_sync(mask, value, file, line) == mask;
}

template <class T>
T cuda_host_shuffle(CudaHostMeeting kind, unsigned mask, T value, int argument, int width,
                    const char *file, int line) {
    static_assert(sizeof(T) <= sizeof(unsigned long long), "a shuffle has 8 bytes at most");
    CudaHostRequest request = {kind, mask, 0, argument, width};
    memcpy(&request.value, &value, sizeof value);
    cuda_host_meet(&request, file, line);
    memcpy(&value, &request.value, sizeof value);
    return value;
}

#define CUDA_HOST_SHUFFLES(name, kind)                                                             \
    template <class T>                                                                             \
    static inline T name(unsigned mask, T value, int argument, int width = 32, CUDA_HOST_PLACE) {  \
        return cuda_host_shuffle(kind, mask, value, argument, width, file, line);                  \
    }
CUDA_HOST_SHUFFLES(__shfl_sync, CUDA_HOST_SHUFFLE)
CUDA_HOST_SHUFFLES(__shfl_up_sync, CUDA_HOST_SHUFFLE_UP)
CUDA_HOST_SHUFFLES(__shfl_down_sync, CUDA_HOST_SHUFFLE_DOWN)
CUDA_HOST_SHUFFLES(__shfl_xor_sync, CUDA_HOST_SHUFFLE_XOR)

// c += a b of a warp, in the fragments of mma.sync: m16n8k8 of tf32, m16n8k16 of bf16. Exact
// products, summed in double and rounded once, where a GPU rounds more often.
static inline void cuda_host_mma_tf32(float c[4], const unsigned a[4], const unsigned b[2],
                                      CUDA_HOST_PLACE) {
    CudaHostRequest request = {CUDA_HOST_MMA_TF32, 0xffffffffu, 0, 0, 0, c, a, b};
    cuda_host_meet(&request, file, line);
}
static inline void cuda_host_mma_bf16(float c[4], const unsigned a[4], const unsigned b[2],
                                      CUDA_HOST_PLACE) {
    CudaHostRequest request = {CUDA_HOST_MMA_BF16, 0xffffffffu, 0, 0, 0, c, a, b};
    cuda_host_meet(&request, file, line);
}

// ldmatrix.sync.aligned.m8n8.xN.shared.b16: lane 8 j + i names row i of matrix j.
#define CUDA_HOST_LDMATRIX_N(n)                                                                    \
    static inline void cuda_host_ldmatrix_x##n(unsigned *r, const void *row, CUDA_HOST_PLACE) {    \
        CudaHostRequest request = {CUDA_HOST_LDMATRIX, 0xffffffffu, 0, n};                         \
        request.r = r, request.row = row;                                                          \
        cuda_host_meet(&request, file, line);                                                      \
    }                                                                                              \
    static inline void cuda_host_ldmatrix_x##n##_trans(unsigned *r, const void *row,               \
                                                       CUDA_HOST_PLACE) {                          \
        CudaHostRequest request = {CUDA_HOST_LDMATRIX_TRANS, 0xffffffffu, 0, n};                   \
        request.r = r, request.row = row;                                                          \
        cuda_host_meet(&request, file, line);                                                      \
    }
CUDA_HOST_LDMATRIX_N(1)
CUDA_HOST_LDMATRIX_N(2)
CUDA_HOST_LDMATRIX_N(4)

// cp.async: `valid` of 4, 8 or 16 bytes, zeros behind them. What a thread has begun arrives when it
// waits until no more than `left` of its groups are under way, and not before.
void cuda_host_cp_async(void *to, const void *from, int bytes, int valid);
void cuda_host_cp_async_commit(void);
void cuda_host_cp_async_wait(int left);

// --- Atomics, fences

#define CUDA_HOST_ATOMIC(name, expression)                                                         \
    template <class T> static inline T name(T *place, T value) {                                   \
        T before = *place;                                                                         \
        *place = expression;                                                                       \
        return before;                                                                             \
    }
CUDA_HOST_ATOMIC(atomicAdd, before + value)
CUDA_HOST_ATOMIC(atomicSub, before - value)
CUDA_HOST_ATOMIC(atomicExch, value)
CUDA_HOST_ATOMIC(atomicMax, value > before ? value : before)
CUDA_HOST_ATOMIC(atomicMin, value < before ? value : before)
CUDA_HOST_ATOMIC(atomicAnd, before &value)
CUDA_HOST_ATOMIC(atomicOr, before | value)
CUDA_HOST_ATOMIC(atomicXor, before ^ value)
template <class T> static inline T atomicCAS(T *place, T expected, T value) {
    T before = *place;
    if (before == expected) *place = value;
    return before;
}
static inline unsigned atomicInc(unsigned *place, unsigned limit) {
    unsigned before = *place;
    *place = before >= limit ? 0 : before + 1;
    return before;
}
static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}
void __trap(void);

// --- Loads, bits, numbers

template <class T> static inline T __ldg(const T *from) { return *from; }
template <class T> static inline T __ldcs(const T *from) { return *from; }
template <class T> static inline T __ldcg(const T *from) { return *from; }
template <class T> static inline void __stcs(T *to, T value) { *to = value; }
template <class T> static inline void __stcg(T *to, T value) { *to = value; }

template <class To, class From> static inline To cuda_host_pun(From from) {
    To to;
    static_assert(sizeof to == sizeof from, "as many bytes");
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline unsigned __float_as_uint(float x) { return cuda_host_pun<unsigned>(x); }
static inline int __float_as_int(float x) { return cuda_host_pun<int>(x); }
static inline float __uint_as_float(unsigned x) { return cuda_host_pun<float>(x); }
static inline float __int_as_float(int x) { return cuda_host_pun<float>(x); }
static inline long long __double_as_longlong(double x) { return cuda_host_pun<long long>(x); }
static inline double __longlong_as_double(long long x) { return cuda_host_pun<double>(x); }

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)((unsigned long long)a * b >> 32);
}
static inline unsigned __brev(unsigned x) {
    unsigned y = 0;
    for (int i = 0; i < 32; i++)
        y |= (x >> i & 1u) << (31 - i);
    return y;
}

// Rounded to nearest and never contracted, as -ffp-contract=off compiles them.
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __frcp_rn(float a) { return 1 / a; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float rsqrtf(float a) { return 1 / sqrtf(a); }
static inline float __int2float_rn(int a) { return (float)a; }
static inline float __uint2float_rn(unsigned a) { return (float)a; }

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
static inline long long min(long long a, long long b) { return a < b ? a : b; }
static inline long long max(long long a, long long b) { return a > b ? a : b; }

#endif
