// SPDX-License-Identifier: MIT
// The vectors of bf16 that emitted source carries (emit/wide.h), compiled here as plain C: numbers
// that are special, and pairs against the instruction that they stand for, VDPBF16PS.
#include "bf16.h"

#pragma GCC diagnostic ignored "-Wpsabi"
#include "emit/vector.h"
#include "emit/wide.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static unsigned bits_of(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static const float specials[] = {
    0,         -0.0f,   1,           -1,       0x1p-126f, -0x1p-126f, 0x1p-127f, 0x1.fcp-127f,
    0x1p-133f, 0x1p64f, 0x1.fep127f, INFINITY, -INFINITY, NAN,        3.140625f, -0x1.02p-63f,
};
enum { SPECIALS = sizeof specials / sizeof *specials };

static unsigned next(unsigned *state) { return *state = *state * 1664525u + 1013904223u; }

// Any bits one time in four; else a special number, or one of usual size.
static unsigned short any(unsigned *state) {
    unsigned choice = next(state) >> 28;
    unsigned short bits = (unsigned short)(next(state) >> 16);
    if (choice < 4) return bits;
    if (choice < 8) return nnc_bf16_bits(specials[bits % SPECIALS]);
    return (unsigned short)((bits & 0x83ffu) | 0x3c00u);
}

Test(bf16_vectors, every_number_is_widened) {
    for (int first = 0; first < 65536; first += 16) {
        unsigned short from[17];
        float to[16];
        for (int i = 0; i < 16; i++)
            from[i + 1] = (unsigned short)(first + i);
        nnc_widen(from + 1, to, 16);
        const nnc_v4 v4 = nnc_wide4(from + 1);
        const nnc_v8 v8 = nnc_wide8(from + 1);
        const nnc_v16 v16 = nnc_wide16(from + 1);
        for (int i = 0; i < 16; i++) {
            unsigned want = (unsigned)(first + i) << 16;
            cr_assert(bits_of(to[i]) == want && bits_of(v16[i]) == want);
            cr_assert(i >= 8 || bits_of(v8[i]) == want);
            cr_assert(i >= 4 || bits_of(v4[i]) == want);
        }
    }
}

// --- Pairs

static float flushed(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }

// As the processor's manual has it: a sum in one rounding, of the second elements first; denormals
// count as zero, given or made.
static float instruction(float c, const unsigned short *a, const unsigned short *b) {
    for (int i = 1; i >= 0; i--)
        c = flushed(fmaf(flushed(nnc_bf16_value(a[i])), flushed(nnc_bf16_value(b[i])), flushed(c)));
    return c;
}

static bool same(float want, float got) {
    return isnan(want) ? isnan(got) : bits_of(want) == bits_of(got);
}

// Without the instruction denormals are themselves, and a product may be too large for a float
// where its sum is not.
static bool is_usual(float c, const unsigned short *a, const unsigned short *b) {
    for (int i = 0; i < 2; i++) {
        float x = nnc_bf16_value(a[i]), y = nnc_bf16_value(b[i]);
        double product = (double)x * (double)y;
        if (flushed(x) != x || flushed(y) != y) return isnan(x) || isnan(y);
        if (product != 0 && (fabs(product) < 0x1p-100 || fabs(product) > 0x1p126)) return false;
    }
    return c == 0 || (fabsf(c) > 0x1p-100f && fabsf(c) < 0x1p126f);
}

#define CHECK_DOT2(lanes)                                                                          \
    Test(bf16_vectors, pairs_of_##lanes) {                                                         \
        unsigned state = lanes, checked = 0;                                                       \
        for (int round = 0; round < 20000; round++) {                                              \
            unsigned short a[2 * lanes], b[2 * lanes];                                             \
            nnc_v##lanes c;                                                                        \
            for (int i = 0; i < 2 * lanes; i++)                                                    \
                a[i] = any(&state), b[i] = any(&state);                                            \
            for (int i = 0; i < lanes; i++)                                                        \
                c[i] = nnc_bf16_value(any(&state)) * 1.2345f;                                      \
            const nnc_v##lanes z =                                                                 \
                nnc_dot2_##lanes(c, *(const nnc_p##lanes *)a, *(const nnc_p##lanes *)b);           \
            for (int i = 0; i < lanes; i++) {                                                      \
                if (!is_usual(c[i], a + 2 * i, b + 2 * i)) continue;                               \
                float want = instruction(c[i], a + 2 * i, b + 2 * i);                              \
                cr_assert(same(want, z[i]), "%a, not %a", z[i], want);                             \
                checked++;                                                                         \
            }                                                                                      \
        }                                                                                          \
        cr_assert_gt(checked, 20000u);                                                             \
    }
CHECK_DOT2(4)
CHECK_DOT2(8)
CHECK_DOT2(16)

Test(bf16_vectors, a_pair_and_half_of_one_in_all_lanes) {
    const unsigned short from[] = {7, 0x1234, 0x8765};
    const nnc_p16 pair = nnc_pair16(from + 1), half = nnc_half16(from + 1);
    for (int i = 0; i < 16; i++)
        cr_assert((unsigned)pair[i] == 0x87651234u && half[i] == 0x1234);
}

Test(bf16_vectors, pairs_are_turned) {
    unsigned short from[4 * 11], to[4 * 9];
    for (int i = 0; i < 4 * 11; i++)
        from[i] = (unsigned short)(i * 1000);
    nnc_transpose4_pairs(from, 11, to, 9);
    for (int row = 0; row < 4; row++)
        for (int i = 0; i < 8; i++)
            cr_assert_eq(to[i / 2 * 9 + row * 2 + i % 2], from[row * 11 + i]);
}
