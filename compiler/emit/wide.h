// Vectors of bf16 (runtime/bf16.h) as vectors of floats: each is the upper half of one.
typedef unsigned short nnc_h2 __attribute__((vector_size(4), aligned(2), may_alias));
typedef unsigned short nnc_h4 __attribute__((vector_size(8), aligned(2), may_alias));
typedef unsigned short nnc_h8 __attribute__((vector_size(16), aligned(2), may_alias));
typedef unsigned short nnc_h16 __attribute__((vector_size(32), aligned(2), may_alias));
typedef unsigned nnc_u2 __attribute__((vector_size(8)));
typedef unsigned nnc_u4 __attribute__((vector_size(16)));
typedef unsigned nnc_u8 __attribute__((vector_size(32)));
typedef unsigned nnc_u16 __attribute__((vector_size(64)));
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
// Four rows of four, `step` apart, become four columns of floats, `width` apart.
static inline __attribute__((unused)) void nnc_transpose4_wide(const unsigned short *from, long long step,
                                                               float *to, long long width) {
    float rows[16];
    for (int i = 0; i < 4; i++)
        *(nnc_v4 *)(rows + 4 * i) = nnc_wide4(from + i * step);
    nnc_transpose4(rows, 4, to, width);
}
