// SPDX-License-Identifier: MIT
// Random numbers of the runtime's own: the order of a shuffle, augmentations, procedural images.
// A sequence (splitmix64) is started from what it belongs to, so that no state has to be kept or
// saved:
//
//     NncDraw d = nnc_draw(seed, epoch, example);
//     bool flip = nnc_draw_below(&d, 2);
//
// What compiled code draws comes from rng.h; nothing here has to agree with it.
#ifndef NNC_DRAW_H
#define NNC_DRAW_H

#include <stdint.h>

typedef struct NncDraw {
    uint64_t state;
} NncDraw;

// The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of the input moves every bit of
// the result.
static inline uint64_t nnc_mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static inline NncDraw nnc_draw(uint64_t a, uint64_t b, uint64_t c) {
    const uint64_t step = 0x9e3779b97f4a7c15u;
    return (NncDraw){nnc_mix(nnc_mix(nnc_mix(a + step) + b + step) + c + step)};
}

static inline uint64_t nnc_draw_bits(NncDraw *draw) {
    return nnc_mix(draw->state += 0x9e3779b97f4a7c15u);
}

// 0 <= result < bound; the bias is below bound / 2^32.
static inline uint32_t nnc_draw_below(NncDraw *draw, uint32_t bound) {
    return (uint32_t)(((nnc_draw_bits(draw) >> 32) * bound) >> 32);
}

static inline float nnc_draw_between(NncDraw *draw, float low, float high) {
    return low + (high - low) * ((float)(nnc_draw_bits(draw) >> 40) * 0x1p-24f);
}

#endif
