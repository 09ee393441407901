// SPDX-License-Identifier: MIT
// Mathematics on one number, written so that a C compiler turns a loop of it into vector
// instructions:
//
//     for (int i = 0; i < n; i++)
//         y[i] = nnc_tanh(x[i]);
//
// Nothing is included and nothing branches; fmaf, sqrtf and floorf become single instructions. With
// -ffp-contract=off the results are the same bits from every compiler and at every optimisation
// level. The code below does not depend on the sizes of registers, nor on a C library's exp.
//
// f32 takes the plain name, i32 the suffix _i (nnc_max_i), f64 the suffix _d (nnc_exp_d, from libm:
// it serves the few scalars of a step). NaN in gives NaN out, with no promise about its sign.
//
// An ulp is the distance between neighbouring floats at the exact result. The errors stated are the
// largest over all floats of the stated range (docs/NUMERICS.md). Denormals are numbers like
// others, unless the processor is told to flush them.
//
// Coefficients are minimax fits made for this file (Remez' exchange in 40 digits, each rounded to a
// float). Arguments are reduced after Cody and Waite, Software Manual for the Elementary Functions,
// 1980; sums that lose nothing are Dekker's, Numerische Mathematik 18, 1971.
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif
#ifndef NNC_MATH // a GPU's code says what it runs on, and has these functions
#define NNC_MATH static inline __attribute__((always_inline, unused))

float fmaf(float, float, float);
float sqrtf(float);
float floorf(float);
double fabs(double), floor(double), exp(double), log(double), sqrt(double), sin(double),
    cos(double), tanh(double), erf(double), pow(double, double), fmod(double, double);
#endif

// Bits.

NNC_MATH unsigned nnc_bits(float a) {
    union {
        float f;
        unsigned u;
    } pun;
    pun.f = a;
    return pun.u;
}

NNC_MATH float nnc_from_bits(unsigned a) {
    union {
        unsigned u;
        float f;
    } pun;
    pun.u = a;
    return pun.f;
}

#define NNC_SIGN     0x80000000u
#define NNC_INFINITY nnc_from_bits(0x7f800000u)
#define NNC_NAN      nnc_from_bits(0x7fc00000u)

// Adding this number and taking it away again rounds to an integer, which is meanwhile the low bits
// of the sum: 1.5 * 2^23, for |a| < 2^22.
#define NNC_ROUND 12582912.0f

// Exact.

NNC_MATH float nnc_max(float a, float b) { // a tie gives a, be it max(0, -0); NaN wins
    return ((a >= b) | (a != a)) ? a : b;
}

NNC_MATH float nnc_min(float a, float b) { return ((a <= b) | (a != a)) ? a : b; }

NNC_MATH float nnc_abs(float a) { return nnc_from_bits(nnc_bits(a) & ~NNC_SIGN); }

NNC_MATH float nnc_copysign(float a, float sign) {
    return nnc_from_bits((nnc_bits(a) & ~NNC_SIGN) | (nnc_bits(sign) & NNC_SIGN));
}

NNC_MATH float nnc_sign(float a) { // of 0: a itself
    return a > 0 ? 1.0f : a < 0 ? -1.0f : a;
}

NNC_MATH float nnc_floor(float a) { return floorf(a); }

NNC_MATH float nnc_sqrt(float a) { return sqrtf(a); }

// a - b * floor(a / b), from 0 to b: exact while |a / b| < 2^24, but for one rounding where the
// signs differ. Beyond that the quotient has no last digit: 0. By 0 and of infinity: NaN.
NNC_MATH float nnc_mod(float a, float b) {
    float quotient = floorf(a / b);
    float rest = fmaf(-quotient, b, a);
    rest = quotient == 0 ? a : rest; // b may be infinite
    float other_side = rest + b;
    int opposite = ((rest < 0) & (b > 0)) | ((rest > 0) & (b < 0));
    rest = opposite ? other_side : rest;
    return nnc_abs(quotient) >= 16777216.0f ? (a - a) / b : rest;
}

// Exponentials: e^x = 2^n e^r with n = round(x / ln 2) and r = x - n ln 2 in -ln 2 / 2 .. ln 2 / 2.

// Gives n + NNC_ROUND, for |x| < 2^21. ln 2 in two parts; the first product and difference are
// exact.
NNC_MATH float nnc_exp_reduce(float x, float *r) {
    float shifted = fmaf(x, 1.44269502f, NNC_ROUND);
    float n = shifted - NNC_ROUND;
    *r = fmaf(n, 1.90465421e-09f, fmaf(n, -0.693147182f, x));
    return shifted;
}

// e^r - 1 on that interval: relative error of the polynomial 2^-26.
NNC_MATH float nnc_expm1_poly(float r) {
    float p = 0.00138356385f;
    p = fmaf(p, r, 0.00836712494f);
    p = fmaf(p, r, 0.0416677557f);
    p = fmaf(p, r, 0.16666539f);
    p = fmaf(p, r, 0.49999997f);
    return fmaf(r * r, p, r);
}

// a * 2^n for n = -252 .. 254, in two steps, so that the result may be denormal or infinite.
NNC_MATH float nnc_scale(float a, float shifted) {
    unsigned all = nnc_bits(shifted) << 23, half = nnc_bits(shifted) >> 1 << 23; // of NNC_ROUND: 0
    return a * nnc_from_bits(half + 0x3f800000u) * nnc_from_bits(all - half + 0x3f800000u);
}

// Outside of -104 .. 104 every result is 0 or infinite. (One comparison, since two take longer than
// what follows of the scaling.)
NNC_MATH float nnc_exp_clamp(float x) {
    return nnc_abs(x) > 104.0f ? nnc_copysign(104.0f, x) : x;
}

// Error < 1.05 ulp, denormal results included; 0 and infinity at the ends.
NNC_MATH float nnc_exp(float x) {
    float r, shifted = nnc_exp_reduce(nnc_exp_clamp(x), &r);
    return nnc_scale(nnc_expm1_poly(r) + 1.0f, shifted);
}

// e^x - 1 for -80 < x < 80.
NNC_MATH float nnc_expm1(float x) {
    float r, shifted = nnc_exp_reduce(x, &r);
    float power = nnc_from_bits((nnc_bits(shifted) << 23) + 0x3f800000u);
    return fmaf(power, nnc_expm1_poly(r), power - 1.0f);
}

// t / (t + 2) with t = e^(2 |x|) - 1, so that small x keep their digits. Error < 2.6 ulp.
NNC_MATH float nnc_tanh(float x) {
    float size = nnc_abs(x);
    float t = nnc_expm1(size > 10.0f ? 20.0f : size + size);
    return nnc_copysign(t / (t + 2.0f), x);
}

// Error < 2.5 ulp; falls to denormals and 0 as e^x does.
NNC_MATH float nnc_sigmoid(float x) {
    float e = nnc_exp(-nnc_abs(x));
    return (x < 0 ? e : 1.0f) / (1.0f + e);
}

// 1 - e^-t with t = -log(erfc |x|), which is |x| times a smooth function: one polynomial from 0 to
// where erf rounds to 1 (relative error 2^-27). Its first coefficient, 2 / sqrt(pi), has two parts.
NNC_MATH float nnc_erf(float x) {
    float size = nnc_abs(x);
    size = size > 3.95f ? 3.95f : size;
    float p = -9.32914645e-06f;
    p = fmaf(p, size, 0.000118321841f);
    p = fmaf(p, size, -0.000635386503f);
    p = fmaf(p, size, 0.00167196093f);
    p = fmaf(p, size, -0.0001656846f);
    p = fmaf(p, size, -0.0191499367f);
    p = fmaf(p, size, 0.102776878f);
    p = fmaf(p, size, 0.636619508f);
    p = fmaf(p, size, -5.86353828e-08f);
    float t = fmaf(size, 1.12837923f, size * p);
    return nnc_copysign(nnc_expm1(-t), x); // error < 2 ulp
}

// Logarithms: x = 2^e m, with m from sqrt(1/2) to sqrt(2).

// Gives m - 1 (exact) for positive finite x; a denormal x is scaled first.
NNC_MATH float nnc_log_reduce(float x, float *e) {
    int tiny = x < 1.17549435e-38f;
    float scaled = x * 8388608.0f;
    unsigned bits = nnc_bits(tiny ? scaled : x) - 0x3f3504f3u; // sqrt(1/2)
    *e = (float)((int)bits >> 23) - (tiny ? 23.0f : 0.0f);
    return nnc_from_bits((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
}

// ln 2, of 16 bits, so that its products with exponents are exact, and the rest.
#define NNC_LN2_HIGH 0.693145752f
#define NNC_LN2_LOW  1.42860677e-06f

// log(1 + f) = f - f^2/2 + f^3 p(f), added from small to large. Error < 1 ulp.
NNC_MATH float nnc_log(float x) {
    float e, f = nnc_log_reduce(x, &e);
    float p = -0.0763466731f;
    p = fmaf(p, f, 0.127616793f);
    p = fmaf(p, f, -0.131601632f);
    p = fmaf(p, f, 0.142017409f);
    p = fmaf(p, f, -0.166233569f);
    p = fmaf(p, f, 0.200012282f);
    p = fmaf(p, f, -0.250008196f);
    p = fmaf(p, f, 0.333333313f);
    float tail = f * f * fmaf(f, p, -0.5f);
    float high = e * NNC_LN2_HIGH;
    float sum = high + f;
    float lost = f - (sum - high);
    float result = sum + (tail + fmaf(e, NNC_LN2_LOW, lost));
    float edge = x == 0 ? -NNC_INFINITY : NNC_NAN;
    return x > 0 ? (x < NNC_INFINITY ? result : x) : edge;
}

// log x as the sum of two floats, relative error about 2^-32: 2 artanh s with s = f / (2 + f),
// itself in two parts. For positive finite x.
NNC_MATH float nnc_log_pair(float x, float *low) {
    float e, f = nnc_log_reduce(x, &e);
    float denominator = 2.0f + f;
    float denominator_lost = f - (denominator - 2.0f);
    float inverse = 1.0f / denominator;
    float s = f * inverse;
    float s_low = (fmaf(-s, denominator, f) - s * denominator_lost) * inverse;
    float z = s * s;
    float p = 0.242862195f;
    p = fmaf(p, z, 0.284984857f);
    p = fmaf(p, z, 0.400009751f);
    p = fmaf(p, z, 0.666666627f);
    float tail = fmaf(z * s, p, 2.0f * fmaf(s_low, z, s_low));
    float first = e * NNC_LN2_HIGH;
    float sum = first + 2.0f * s;
    float rest = 2.0f * s - (sum - first) + fmaf(e, NNC_LN2_LOW, tail);
    float high = sum + rest;
    *low = rest - (high - sum);
    return high;
}

// |a|^b as e^(b log |a|) with the product in two parts, then the cases and the sign as in C's pow:
// a^0 = 1^b = 1 even of NaN, a negative a takes whole b alone. Error < 1.3 ulp
// for results in e^-10 .. e^10, < 3 ulp for all.
NNC_MATH float nnc_pow(float a, float b) {
    float size = nnc_abs(a);
    float log_low, log_high = nnc_log_pair(size, &log_low);
    float product = b * log_high;
    float product_low = fmaf(b, log_low, fmaf(b, log_high, -product));
    product_low = nnc_abs(product) < 128.0f ? product_low : 0.0f;
    float r, shifted = nnc_exp_reduce(nnc_exp_clamp(product), &r);
    float result = nnc_scale(nnc_expm1_poly(r + product_low) + 1.0f, shifted);

    int at_end = (size == 0) | (size == NNC_INFINITY);
    float end = (size == 0) == (b < 0) ? NNC_INFINITY : 0.0f;
    result = at_end ? end : result;
    result = size == 1.0f ? 1.0f : result;
    int whole = floorf(b) == b;
    int odd = whole & (floorf(b * 0.5f) * 2.0f != b);
    result = nnc_copysign(result, odd ? a : 1.0f);
    int none = (a != a) | (b != b) | ((a < 0) & (size < NNC_INFINITY) & !whole);
    result = none ? NNC_NAN : result;
    return ((b == 0) | (a == 1.0f)) ? 1.0f : result;
}

// Circular functions: |x| = n pi/2 + r, with pi/2 in three parts. Error < 1.6 ulp for |x| <= 8192
// and < 5.5 ulp to 2^22. From there on, where neighbouring floats lie half a radian and more apart,
// the angle is taken as 0, so that sine and cosine still belong together. Of infinity: NaN.

// Gives r in -pi/4 .. pi/4 (a little beyond for large n) and n, of which the lowest two bits count.
NNC_MATH float nnc_angle_reduce(float size, unsigned *quadrant) {
    size = size < 4194304.0f ? size : size - size;
    float shifted = fmaf(size, 0.636619747f, NNC_ROUND);
    float n = shifted - NNC_ROUND;
    *quadrant = nnc_bits(shifted);
    return fmaf(n, 1.71512451e-15f, fmaf(n, 4.37113883e-08f, fmaf(n, -1.57079637f, size)));
}

// The sine of r + quadrant * pi/2: one of two polynomials and a sign.
NNC_MATH float nnc_angle_sin(float r, unsigned quadrant) {
    float z = r * r;
    float s = fmaf(-0.000195182845f, z, 0.00833218917f);
    s = fmaf(r * z, fmaf(s, z, -0.166666552f), r);
    float c = fmaf(2.44323273e-05f, z, -0.00138873095f);
    c = fmaf(c, z, 0.0416666456f);
    c = fmaf(z, fmaf(c, z, -0.5f), 1.0f);
    unsigned sign = (quadrant & 2) << 30;
    return nnc_from_bits(nnc_bits(quadrant & 1 ? c : s) ^ sign);
}

NNC_MATH float nnc_sin(float x) {
    unsigned quadrant;
    float r = nnc_angle_reduce(nnc_abs(x), &quadrant);
    return nnc_from_bits(nnc_bits(nnc_angle_sin(r, quadrant)) ^ (nnc_bits(x) & NNC_SIGN));
}

NNC_MATH float nnc_cos(float x) {
    unsigned quadrant;
    float r = nnc_angle_reduce(nnc_abs(x), &quadrant);
    return nnc_angle_sin(r, quadrant + 1);
}

// Whole numbers. They wrap around as machine words do; x mod 0 is 0.

NNC_MATH int nnc_max_i(int a, int b) { return a >= b ? a : b; }

NNC_MATH int nnc_min_i(int a, int b) { return a <= b ? a : b; }

NNC_MATH int nnc_abs_i(int a) { return a < 0 ? (int)(0u - (unsigned)a) : a; }

NNC_MATH int nnc_sign_i(int a) { return (a > 0) - (a < 0); }

NNC_MATH int nnc_mod_i(int a, int b) { // dividing by 0 or INT_MIN by -1 would trap
    int divisor = ((b == 0) | (b == -1)) ? 1 : b;
    int rest = a % divisor;
    return rest + (((rest != 0) & ((rest ^ divisor) < 0)) ? divisor : 0);
}

// Double precision, for the scalars of a step: libm's own.

NNC_MATH double nnc_max_d(double a, double b) { return ((a >= b) | (a != a)) ? a : b; }

NNC_MATH double nnc_min_d(double a, double b) { return ((a <= b) | (a != a)) ? a : b; }

NNC_MATH double nnc_abs_d(double a) { return fabs(a); }

NNC_MATH double nnc_sign_d(double a) { return a > 0 ? 1.0 : a < 0 ? -1.0 : a; }

NNC_MATH double nnc_floor_d(double a) { return floor(a); }

NNC_MATH double nnc_exp_d(double a) { return exp(a); }

NNC_MATH double nnc_log_d(double a) { return log(a); }

NNC_MATH double nnc_sqrt_d(double a) { return sqrt(a); }

NNC_MATH double nnc_sin_d(double a) { return sin(a); }

NNC_MATH double nnc_cos_d(double a) { return cos(a); }

NNC_MATH double nnc_tanh_d(double a) { return tanh(a); }

NNC_MATH double nnc_sigmoid_d(double a) { return 1 / (1 + exp(-a)); }

NNC_MATH double nnc_erf_d(double a) { return erf(a); }

NNC_MATH double nnc_pow_d(double a, double b) { return pow(a, b); }

NNC_MATH double nnc_mod_d(double a, double b) {
    double rest = fmod(a, b);
    return (rest != 0 && (rest < 0) != (b < 0)) ? rest + b : rest;
}
