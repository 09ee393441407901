// SPDX-License-Identifier: MIT
// bfloat16: the upper half of a float, 8 bits of precision with a float's range. Numbers of 16 bits
// are in memory alone; what is computed with is a float whose lower half is zero.
//
//     unsigned short kept = nnc_bf16_bits(nnc_bf16_round(x));
//     float y = nnc_bf16_value(kept);                          // |y - x| <= 2^-8 |x|, but for
//     denormals
//
// Plain C without headers and without branches: emitted source repeats this text word for word.
#ifndef NNC_BF16_H
#define NNC_BF16_H

#ifndef NNC_INLINE // a GPU's code says what it runs on
#define NNC_INLINE static inline
#endif

typedef union NncBf16Pun {
    float f;
    unsigned u;
} NncBf16Pun;

// To the nearest of those numbers, in a tie to the even one; what is too large becomes infinite,
// and a NaN stays one (its bits may all be in the lower half: the quiet bit is set).
NNC_INLINE float nnc_bf16_round(float a) {
    NncBf16Pun pun;
    pun.f = a;
    const unsigned nearest = pun.u + 0x7fffu + ((pun.u >> 16) & 1u);
    pun.u = (a != a ? pun.u | 0x00400000u : nearest) & 0xffff0000u;
    return pun.f;
}

// The half that is kept of one of those numbers.
NNC_INLINE unsigned short nnc_bf16_bits(float a) {
    NncBf16Pun pun;
    pun.f = a;
    return (unsigned short)(pun.u >> 16);
}

NNC_INLINE float nnc_bf16_value(unsigned short bits) {
    NncBf16Pun pun;
    pun.u = (unsigned)bits << 16;
    return pun.f;
}

#endif
