// SPDX-License-Identifier: MIT
// Rounding to bf16 against its definition: of all 65536 numbers the nearest, and of two that are as
// near the one whose last bit is 0.
#include "bf16.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

Test(bf16, every_number_is_itself) {
    for (uint32_t half = 0; half < 0x10000; half++) {
        float value = nnc_bf16_value((unsigned short)half);
        cr_assert_eq(bits_of(value), half << 16);
        if (isnan(value))
            cr_assert(isnan(nnc_bf16_round(value)));
        else
            cr_assert_eq(nnc_bf16_bits(nnc_bf16_round(value)), half);
    }
}

// Between each number and the next one up in size: a quarter, a half, three quarters of the way,
// and one bit to either side of the half.
Test(bf16, what_lies_between_goes_to_the_nearest) {
    for (uint32_t half = 0; half < 0x10000; half++) {
        if ((half & 0x7fff) >= 0x7f80) continue; // infinite, or no number
        uint32_t even = half + (half & 1), low = half << 16;
        cr_assert_eq(nnc_bf16_bits(nnc_bf16_round(from_bits(low + 0x4000))), half);
        cr_assert_eq(nnc_bf16_bits(nnc_bf16_round(from_bits(low + 0x7fff))), half);
        cr_assert_eq(nnc_bf16_bits(nnc_bf16_round(from_bits(low + 0x8000))), even);
        cr_assert_eq(nnc_bf16_bits(nnc_bf16_round(from_bits(low + 0x8001))), half + 1);
        cr_assert_eq(nnc_bf16_bits(nnc_bf16_round(from_bits(low + 0xc000))), half + 1);
    }
}

Test(bf16, the_result_has_16_bits) {
    uint32_t state = 1;
    for (int i = 0; i < 1000000; i++) {
        state = state * 1664525 + 1013904223;
        float value = from_bits(state), rounded = nnc_bf16_round(value);
        cr_assert_eq(bits_of(rounded) & 0xffff, 0);
        if (isfinite(value) && fabsf(value) > 1.2e-38f && isfinite(rounded))
            cr_assert_leq(fabs((double)rounded - value), fabs((double)value) / 256);
    }
}

Test(bf16, ends) {
    cr_assert_eq(nnc_bf16_round(INFINITY), INFINITY);
    cr_assert_eq(nnc_bf16_round(-INFINITY), -INFINITY);
    cr_assert_eq(nnc_bf16_round(3.4028235e38f), INFINITY); // the largest float is nearer to that
    cr_assert_eq(nnc_bf16_round(from_bits(0x7f7f7fff)), from_bits(0x7f7f0000));
    cr_assert(signbit(nnc_bf16_round(-0.0f)) && nnc_bf16_round(-0.0f) == 0);
    cr_assert_eq(bits_of(nnc_bf16_round(from_bits(1))), 0);    // the least denormal
    for (uint32_t bits = 1; bits; bits = bits << 1 & 0x7fffff) // a NaN with any bit
        cr_assert(
            isnan(nnc_bf16_value(nnc_bf16_bits(nnc_bf16_round(from_bits(0x7f800000 | bits))))));
}
