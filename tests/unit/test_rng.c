// SPDX-License-Identifier: MIT
// The random numbers: known values, so that a trained model can be trained again, and what
// statistics can see of neighbours, steps, streams and seeds. Bounds are five standard deviations
// of what true randomness would give.
#include "rng.h"

#include <criterion/criterion.h>
#include <math.h>

enum { COUNT = 1 << 20 };

typedef struct Stream {
    unsigned key_a, key_b;
} Stream;

static Stream stream_of(unsigned seed_low, unsigned seed_high, const char *name, unsigned step) {
    unsigned stream = nnc_random_stream(name);
    return (Stream){nnc_random_key(seed_low, seed_high, stream, step, 0),
                    nnc_random_key(seed_low, seed_high, stream, step, 1)};
}

static double unit(Stream stream, unsigned index) {
    return (double)nnc_random_unit(stream.key_a, stream.key_b, index);
}

// Of COUNT pairs (a at i, b at i + shift); its standard deviation is COUNT^-1/2 for independent
// ones.
static double correlation(Stream a, Stream b, unsigned shift) {
    double sum = 0;
    for (unsigned i = 0; i < COUNT; i++)
        sum += (unit(a, i) - 0.5) * (unit(b, i + shift) - 0.5);
    return sum / COUNT * 12;
}

static const double bound = 5.0 / 1024; // 5 * COUNT^-1/2

Test(rng, values_are_fixed) {
    Stream stream = stream_of(1, 0, "dropout_1", 0);
    cr_assert_eq(nnc_random_stream(""), 0x811c9dc5u);
    cr_assert_eq(nnc_random_stream("a"), 0xe40c292cu); // published FNV-1a values
    unsigned bits = nnc_random_bits(stream.key_a, stream.key_b, 0);
    cr_assert_eq(bits, 0xb2d2bf92u, "%#x", bits);
    bits = nnc_random_bits(stream.key_a, stream.key_b, 4294967295u);
    cr_assert_eq(bits, 0x3f2d3f46u, "%#x", bits);
}

Test(rng, mean_variance_and_range) {
    Stream stream = stream_of(42, 7, "init", 3);
    double sum = 0, squares = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        double u = unit(stream, i);
        cr_assert(u >= 0 && u < 1);
        sum += u;
        squares += (u - 0.5) * (u - 0.5);
    }
    cr_assert_float_eq(sum / COUNT, 0.5, 5 / sqrt(12.0) / 1024);
    cr_assert_float_eq(squares / COUNT, 1.0 / 12, 5 * sqrt(1.0 / 180) / 1024);
}

Test(rng, every_bit_is_balanced) {
    Stream stream = stream_of(0, 0, "", 0); // the poorest seed
    int ones[32] = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned bits = nnc_random_bits(stream.key_a, stream.key_b, i);
        for (int k = 0; k < 32; k++)
            ones[k] += bits >> k & 1;
    }
    for (int k = 0; k < 32; k++)
        cr_assert_float_eq(ones[k], COUNT / 2.0, 5 * 512, "bit %d: %d", k, ones[k]);
}

Test(rng, cells_are_even) { // chi squared over 1024 cells
    enum { CELLS = 1024 };
    Stream stream = stream_of(5, 0, "x", 9);
    static int hits[CELLS];
    for (unsigned i = 0; i < COUNT; i++)
        hits[(int)(unit(stream, i) * CELLS)]++;
    double chi = 0, mean = (double)COUNT / CELLS;
    for (int i = 0; i < CELLS; i++)
        chi += (hits[i] - mean) * (hits[i] - mean) / mean;
    cr_assert_float_eq(chi, CELLS - 1, 5 * sqrt(2.0 * (CELLS - 1)));
}

Test(rng, neighbours_are_independent) {
    Stream stream = stream_of(1, 0, "dropout_1", 0);
    for (unsigned shift = 1; shift <= 4096; shift *= 4)
        cr_assert_float_eq(correlation(stream, stream, shift), 0, bound, "shift %u", shift);
}

Test(rng, steps_streams_and_seeds_are_independent) {
    Stream base = stream_of(1, 0, "dropout_1", 0);
    const Stream others[] = {stream_of(1, 0, "dropout_1", 1), stream_of(1, 0, "dropout_1", 2),
                             stream_of(1, 0, "dropout_2", 0), stream_of(2, 0, "dropout_1", 0),
                             stream_of(1, 1, "dropout_1", 0)};
    for (int i = 0; i < 5; i++)
        for (unsigned shift = 0; shift < 2; shift++)
            cr_assert_float_eq(correlation(base, others[i], shift), 0, bound, "pair %d", i);
}

Test(rng, one_element_over_the_steps) {
    double sum = 0, product = 0, before = 0.5;
    for (unsigned step = 0; step < COUNT / 4; step++) {
        double u = unit(stream_of(1, 0, "dropout_1", step), 0);
        sum += u;
        product += (u - 0.5) * (before - 0.5);
        before = u;
    }
    cr_assert_float_eq(sum / (COUNT / 4), 0.5, 5 / sqrt(12.0) / 512);
    cr_assert_float_eq(product / (COUNT / 4) * 12, 0, 2 * bound);
}
