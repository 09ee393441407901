// Vectors of bf16 (runtime/bf16.h) as vectors of floats: each is the upper half of one.
typedef unsigned short nnc_h2 __attribute__((vector_size(4), aligned(2), may_alias));
typedef unsigned short nnc_h4 __attribute__((vector_size(8), aligned(2), may_alias));
typedef unsigned short nnc_h8 __attribute__((vector_size(16), aligned(2), may_alias));
typedef unsigned short nnc_h16 __attribute__((vector_size(32), aligned(2), may_alias));
typedef unsigned nnc_u2 __attribute__((vector_size(8)));
typedef unsigned nnc_u4 __attribute__((vector_size(16)));
typedef unsigned nnc_u8 __attribute__((vector_size(32)));
typedef unsigned nnc_u16 __attribute__((vector_size(64)));
// Pairs of neighbours along k, each in 32 bits, the first in the lower half. They may lie at any address.
typedef int nnc_p4 __attribute__((vector_size(16), aligned(2), may_alias));
typedef int nnc_p8 __attribute__((vector_size(32), aligned(2), may_alias));
typedef int nnc_p16 __attribute__((vector_size(64), aligned(2), may_alias));
typedef int nnc_p1 __attribute__((aligned(2), may_alias));

#define NNC_WIDE(lanes)                                                                              \
    static inline __attribute__((always_inline, unused)) nnc_v##lanes nnc_wide##lanes(              \
        const unsigned short *from) {                                                                \
        return (nnc_v##lanes)(__builtin_convertvector(*(const nnc_h##lanes *)from, nnc_u##lanes)     \
                              << 16);                                                                \
    }
static inline __attribute__((always_inline, unused)) nnc_v1 nnc_wide1(const unsigned short *from) {
    return nnc_bf16_value(*from);
}
NNC_WIDE(2)
NNC_WIDE(4)
NNC_WIDE(8)
NNC_WIDE(16)
#undef NNC_WIDE

// `count` of them, from any address to any address.
static inline __attribute__((unused)) void nnc_widen(const unsigned short *restrict from, float *restrict to,
                                                     long long count) {
    for (long long i = 0; i < count; i++)
        to[i] = nnc_bf16_value(from[i]);
}

// The other way: `count` floats are rounded. The instructions take denormals for zero.
static inline __attribute__((unused)) void nnc_narrow(unsigned short *restrict to, const float *restrict from,
                                                      long long count) {
    long long i = 0;
#ifdef __AVX512BF16__
    for (; i + 32 <= count; i += 32)
        __asm__("vcvtne2ps2bf16 %1, %2, %0"
                : "=v"(*(nnc_p16 *)(to + i))
                : "v"(*(const nnc_v16 *)(from + i)), "v"(*(const nnc_v16 *)(from + i + 16)));
    for (; i + 16 <= count; i += 16)
        __asm__("vcvtneps2bf16 %1, %0" : "=v"(*(nnc_h16 *)(to + i)) : "v"(*(const nnc_v16 *)(from + i)));
#endif
    for (; i < count; i++)
        to[i] = nnc_bf16_bits(nnc_bf16_round(from[i]));
}

// Four rows of four, `step` apart, become four columns of floats, `width` apart.
static inline __attribute__((unused)) void nnc_transpose4_wide(const unsigned short *from, long long step,
                                                               float *to, long long width) {
    float rows[16];
    for (int i = 0; i < 4; i++)
        *(nnc_v4 *)(rows + 4 * i) = nnc_wide4(from + i * step);
    nnc_transpose4(rows, 4, to, width);
}

#define NNC_UPPER (-65536)

// c + a * b of the second elements, then of the first: nnc_dot2. The instruction takes denormals for
// zero. Without it the same is computed in two steps of floats, of which a product is exact.
#ifdef __AVX512BF16__
#define NNC_DOT2(c, a, b) __asm__("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(a), "v"(b))
#else
#define NNC_DOT2(c, a, b)                                                                            \
    (c += (__typeof__(c))((a) & NNC_UPPER) * (__typeof__(c))((b) & NNC_UPPER),                       \
     c += (__typeof__(c))((a) << 16) * (__typeof__(c))((b) << 16))
#endif

// In all lanes: a pair; one element, with zero as the second; and what is computed with them.
#define NNC_PAIRS(lanes)                                                                             \
    static inline __attribute__((always_inline, unused)) nnc_p##lanes nnc_pair##lanes(               \
        const unsigned short *from) {                                                                \
        return (nnc_p##lanes){0} + *(const nnc_p1 *)from;                                            \
    }                                                                                                \
    static inline __attribute__((always_inline, unused)) nnc_p##lanes nnc_half##lanes(               \
        const unsigned short *from) {                                                                \
        return (nnc_p##lanes){0} + *from;                                                            \
    }                                                                                                \
    static inline __attribute__((always_inline, unused)) nnc_v##lanes nnc_dot2_##lanes(              \
        nnc_v##lanes c, nnc_p##lanes a, nnc_p##lanes b) {                                            \
        NNC_DOT2(c, a, b);                                                                           \
        return c;                                                                                    \
    }
NNC_PAIRS(4)
NNC_PAIRS(8)
NNC_PAIRS(16)
#undef NNC_PAIRS

// Four rows of four pairs, `step` apart, become four columns, `width` apart.
static inline __attribute__((unused)) void nnc_transpose4_pairs(const unsigned short *from, long long step,
                                                                unsigned short *to, long long width) {
    nnc_p4 pairs[4], turned[4];
    for (int i = 0; i < 4; i++)
        pairs[i] = *(const nnc_p4 *)(from + i * step);
    nnc_transpose4((const float *)pairs, 4, (float *)turned, 4);
    for (int i = 0; i < 4; i++)
        *(nnc_p4 *)(to + i * width) = turned[i];
}
