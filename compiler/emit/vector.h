// Vectors, for targets that have them. They may lie at any address, and be read from arrays of floats.
typedef float nnc_v1;
typedef float nnc_v2 __attribute__((vector_size(8), aligned(4), may_alias));
typedef float nnc_v4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef float nnc_v8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float nnc_v16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef int nnc_m4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int nnc_m8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int nnc_m16 __attribute__((vector_size(64), aligned(4), may_alias));

// In a function that begins `NNC_FUSED void f(..) { NNC_FUSED_BODY`, a * b + c is one rounding
// where the processor has that. gcc is told before the function, clang in its body. What is to be a vector
// is one already.
#ifndef __clang__
#define NNC_FUSED __attribute__((optimize("fp-contract=fast", "no-tree-vectorize")))
#define NNC_FUSED_BODY
#else
#ifdef __x86_64__
#define NNC_FUSED __attribute__((min_vector_width(512)))
#else
#define NNC_FUSED
#endif
#define NNC_FUSED_BODY _Pragma("clang fp contract(fast)")
#endif

// A function that kernels in several objects of a program call. It does enough that a call is little
// beside it: gcc is not to make copies of it, by its callers.
#ifndef __clang__
#define NNC_SHARED __attribute__((visibility("hidden"), noinline, noclone))
#else
#define NNC_SHARED __attribute__((visibility("hidden"), noinline))
#endif

// The sums of four vectors' lanes. Each group of four lanes is added up as (0 + 2) + (1 + 3), then the
// groups alike, whichever of the four a vector is.
#ifdef __clang__
#define NNC_LANES(m, v, w, ...) __builtin_shufflevector(v, w, __VA_ARGS__)
#else
#define NNC_LANES(m, v, w, ...) __builtin_shuffle(v, w, (m){__VA_ARGS__})
#endif
static inline NNC_FUSED nnc_v4 nnc_sums4(nnc_v4 p, nnc_v4 q, nnc_v4 r, nnc_v4 s) {
    const nnc_v4 pq = NNC_LANES(nnc_m4, p, q, 0, 4, 1, 5) + NNC_LANES(nnc_m4, p, q, 2, 6, 3, 7);
    const nnc_v4 rs = NNC_LANES(nnc_m4, r, s, 0, 4, 1, 5) + NNC_LANES(nnc_m4, r, s, 2, 6, 3, 7);
    return NNC_LANES(nnc_m4, pq, rs, 0, 1, 4, 5) + NNC_LANES(nnc_m4, pq, rs, 2, 3, 6, 7);
}
static inline NNC_FUSED nnc_v4 nnc_sums8(nnc_v8 p, nnc_v8 q, nnc_v8 r, nnc_v8 s) {
#define LOW(v, w)   NNC_LANES(nnc_m8, v, w, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(v, w)  NNC_LANES(nnc_m8, v, w, 2, 10, 3, 11, 6, 14, 7, 15)
    const nnc_v8 pq = LOW(p, q) + HIGH(p, q), rs = LOW(r, s) + HIGH(r, s);
    const nnc_v8 all = NNC_LANES(nnc_m8, pq, rs, 0, 1, 8, 9, 4, 5, 12, 13) +
                       NNC_LANES(nnc_m8, pq, rs, 2, 3, 10, 11, 6, 7, 14, 15);
#undef LOW
#undef HIGH
    return (nnc_v4){all[0], all[1], all[2], all[3]} + (nnc_v4){all[4], all[5], all[6], all[7]};
}
static inline NNC_FUSED nnc_v4 nnc_sums16(nnc_v16 p, nnc_v16 q, nnc_v16 r, nnc_v16 s) {
#define LOW(v, w)  NNC_LANES(nnc_m16, v, w, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH(v, w) NNC_LANES(nnc_m16, v, w, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
    const nnc_v16 pq = LOW(p, q) + HIGH(p, q), rs = LOW(r, s) + HIGH(r, s);
    const nnc_v16 a = NNC_LANES(nnc_m16, pq, rs, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
                      NNC_LANES(nnc_m16, pq, rs, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
#undef LOW
#undef HIGH
    const nnc_v8 half = (nnc_v8){a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]} +
                        (nnc_v8){a[8], a[9], a[10], a[11], a[12], a[13], a[14], a[15]};
    return (nnc_v4){half[0], half[1], half[2], half[3]} + (nnc_v4){half[4], half[5], half[6], half[7]};
}

// Four rows of four, `step` apart, become four columns, `width` apart.
static inline void nnc_transpose4(const float *from, long long step, float *to, long long width) {
    const nnc_v4 p = *(const nnc_v4 *)from, q = *(const nnc_v4 *)(from + step);
    const nnc_v4 r = *(const nnc_v4 *)(from + 2 * step), s = *(const nnc_v4 *)(from + 3 * step);
    const nnc_v4 pq = NNC_LANES(nnc_m4, p, q, 0, 4, 1, 5), rs = NNC_LANES(nnc_m4, r, s, 0, 4, 1, 5);
    const nnc_v4 pq2 = NNC_LANES(nnc_m4, p, q, 2, 6, 3, 7), rs2 = NNC_LANES(nnc_m4, r, s, 2, 6, 3, 7);
    *(nnc_v4 *)to = NNC_LANES(nnc_m4, pq, rs, 0, 1, 4, 5);
    *(nnc_v4 *)(to + width) = NNC_LANES(nnc_m4, pq, rs, 2, 3, 6, 7);
    *(nnc_v4 *)(to + 2 * width) = NNC_LANES(nnc_m4, pq2, rs2, 0, 1, 4, 5);
    *(nnc_v4 *)(to + 3 * width) = NNC_LANES(nnc_m4, pq2, rs2, 2, 3, 6, 7);
}

// Lanes of a reduction. As nnc_max and nnc_min: a tie gives a, NaN wins. Of a NaN and a number, and of
// two zeros, the processor's own maximum gives its second operand.
#define NNC_FIRST(v, m, is, a, b) ((v)(((m)(is) & (m)(a)) | (~(m)(is) & (m)(b))))
#define NNC_MOST(v, m, a, b)      NNC_FIRST(v, m, ((a) >= (b)) | ((a) != (a)), a, b)
#define NNC_LEAST(v, m, a, b)     NNC_FIRST(v, m, ((a) <= (b)) | ((a) != (a)), a, b)
#define nnc_max4(a, b)            NNC_MOST(nnc_v4, nnc_m4, a, b)
#define nnc_min4(a, b)            NNC_LEAST(nnc_v4, nnc_m4, a, b)
#define nnc_sum4(a, b)            ((a) + (b))
#define nnc_max8(a, b)            NNC_MOST(nnc_v8, nnc_m8, a, b)
#define nnc_min8(a, b)            NNC_LEAST(nnc_v8, nnc_m8, a, b)
#define nnc_sum8(a, b)            ((a) + (b))
#define nnc_sum16(a, b)           ((a) + (b))
#ifdef __AVX512F__
#define NNC_NUMBERS16(a) ((unsigned short)__builtin_ia32_cmpps512_mask(a, a, 7, (unsigned short)-1, 4))
#ifdef __clang__
#define NNC_WHERE16(op, a, b) __builtin_ia32_selectps_512(NNC_NUMBERS16(b), op##512(b, a, 4), b)
#else
#define NNC_WHERE16(op, a, b) op##512_mask(b, a, b, NNC_NUMBERS16(b), 4)
#endif
#define nnc_max16(a, b) ((nnc_v16)NNC_WHERE16(__builtin_ia32_maxps, a, b))
#define nnc_min16(a, b) ((nnc_v16)NNC_WHERE16(__builtin_ia32_minps, a, b))
#endif

// All of them together: halves, quarters ..
#define NNC_ALL4(name, combine)                                                                    \
    static inline float name##_of4(const nnc_v4 *lanes) {                                          \
        nnc_v4 a = *lanes;                                                                         \
        a = combine##4(a, NNC_LANES(nnc_m4, a, a, 2, 3, 2, 3));                                    \
        a = combine##4(a, NNC_LANES(nnc_m4, a, a, 1, 1, 1, 1));                                    \
        return a[0];                                                                               \
    }
#define NNC_ALL8(name, combine)                                                                    \
    static inline float name##_of8(const nnc_v8 *lanes) {                                          \
        const nnc_v8 a = combine##8(*lanes, NNC_LANES(nnc_m8, *lanes, *lanes, 4, 5, 6, 7, 4, 5, 6, 7)); \
        const nnc_v4 half = {a[0], a[1], a[2], a[3]};                                              \
        return name##_of4(&half);                                                                  \
    }
#define NNC_ALL16(name, combine)                                                                   \
    static inline float name##_of16(const nnc_v16 *lanes) {                                        \
        nnc_v16 a = *lanes;                                                                        \
        a = combine##16(a, NNC_LANES(nnc_m16, a, a, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)); \
        a = combine##16(a, NNC_LANES(nnc_m16, a, a, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7)); \
        const nnc_v4 quarter = {a[0], a[1], a[2], a[3]};                                           \
        return name##_of4(&quarter);                                                               \
    }
#define NNC_ALL(lanes) lanes(nnc_sum, nnc_sum) lanes(nnc_max, nnc_max) lanes(nnc_min, nnc_min)
NNC_ALL(NNC_ALL4)
NNC_ALL(NNC_ALL8)
#ifdef __AVX512F__
NNC_ALL(NNC_ALL16)
#endif

// Of what is read once, from the beginning to the end, and lies beyond the core's caches: called every few
// lines of the cache. Half a page ahead, the next `bytes` come into the first cache. A processor fetches by
// itself, into its second one, what follows to the end of a page once it has seen a few lines of it being
// wanted; so the first lines of the page after next are, well before their time.
static inline void nnc_fetch(const void *at, int bytes) {
    const unsigned long long from = (unsigned long long)at;
    for (int i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)at + 2048 + i);
    __builtin_prefetch((const void *)((from & ~4095ull) + 2 * 4096 + (from & 4095) / 4), 0, 2);
}

// Of what is written soon, half a page ahead: it comes to this core, so that stores need not wait for it.
static inline void nnc_claim(const void *at, int bytes) {
    for (int i = 0; i < bytes; i += 64)
        __builtin_prefetch((const char *)at + 2048 + i, 1);
}

// Past the caches, into memory: a line of a cache that is written as a whole is not read before.
// Other processors see it from nnc_streamed() on.
#ifdef __x86_64__
#if defined(__AVX512F__)
enum { NNC_STREAM = 16 };
typedef nnc_v16 nnc_some;
typedef float nnc_line __attribute__((vector_size(64)));
#define NNC_MOVNT __builtin_ia32_movntps512
#elif defined(__AVX__)
enum { NNC_STREAM = 8 };
typedef nnc_v8 nnc_some;
typedef float nnc_line __attribute__((vector_size(32)));
#define NNC_MOVNT __builtin_ia32_movntps256
#else
enum { NNC_STREAM = 4 };
typedef nnc_v4 nnc_some;
typedef float nnc_line __attribute__((vector_size(16)));
#define NNC_MOVNT __builtin_ia32_movntps
#endif
#ifdef __clang__
#undef NNC_MOVNT
#define NNC_MOVNT(to, from) __builtin_nontemporal_store(from, (nnc_line *)(to))
#endif
static inline void nnc_stream16(float *to, const float *from) { // to a multiple of 64 bytes
    for (int k = 0; k < 16; k += NNC_STREAM)
        NNC_MOVNT(to + k, *(const nnc_some *)(from + k));
}
static inline void nnc_stream(float *to, const float *from, int count) {
    int i = 0;
    for (; i < count && ((unsigned long long)(to + i) & 63); i++)
        to[i] = from[i];
    for (; i + 16 <= count; i += 16)
        nnc_stream16(to + i, from + i);
    for (; i < count; i++)
        to[i] = from[i];
}
static inline void nnc_streamed(void) { __builtin_ia32_sfence(); }
#endif

// nnc_exp of sixteen floats: its steps and its bits, the scaling by 2^n in one instruction. That scales by
// any n, so that not x is kept small for results that are 0 or infinite, but r: half a unit at most, with
// its sign. A NaN is in n.
#ifdef __AVX512DQ__
#define NNC_FMA16(a, b, c) __builtin_ia32_vfmaddps512_mask(a, b, c, (unsigned short)-1, 4)
static inline void nnc_exp16(float *of) {
    typedef float v16 __attribute__((vector_size(64)));
    const v16 zero = {0};
    const v16 x = *(const v16 *)of;
    const v16 n = NNC_FMA16(x, zero + 1.44269502f, zero + NNC_ROUND) - NNC_ROUND;
    v16 r = NNC_FMA16(n, zero + 1.90465421e-09f, NNC_FMA16(n, zero - 0.693147182f, x));
    r = __builtin_ia32_rangeps512_mask(r, zero + 0.5f, 2, r, (unsigned short)-1, 4);
    v16 p = NNC_FMA16(zero + 0.00138356385f, r, zero + 0.00836712494f);
    p = NNC_FMA16(p, r, zero + 0.0416677557f);
    p = NNC_FMA16(p, r, zero + 0.16666539f);
    p = NNC_FMA16(p, r, zero + 0.49999997f);
    p = NNC_FMA16(r * r, p, r) + 1.0f;
    *(v16 *)of = __builtin_ia32_scalefps512_mask(p, n, p, (unsigned short)-1, 4);
}
#endif
