// SPDX-License-Identifier: MIT
// The prelude of emitted code: every row of ops.def that calls it, put into a loop as the emitter
// does it and compiled with the flags of the native tier, against the double reference; the same
// bits from other compilers and levels; vector instructions from gcc.
#include "ir/graph.h"
#include "jit/jit.h"
#include "support/buf.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NATIVE_FLAGS "-std=gnu11 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -w"

enum { CHUNK = 4096 };

typedef void FloatLoop(int n, const float *a, const float *b, float *y);
typedef void IntLoop(int n, const int *a, const int *b, int *y);
typedef void DoubleLoop(int n, const double *a, const double *b, double *y);

static Arena *arena;
static char folder[] = "/tmp/nnc-test-prelude-XXXXXX";

static void set_up(void) {
    arena = arena_new();
    cr_assert(mkdtemp(folder));
}

static void tear_down(void) {
    static const char *const files[] = {"loops.c", "loops.so", "loops.s"};
    for (int i = 0; i < 3; i++)
        unlink(arena_printf(arena, "%s/%s", folder, files[i]));
    rmdir(folder);
    arena_free(arena);
}

TestSuite(prelude, .init = set_up, .fini = tear_down);

// --- The loops

static bool in_prelude(Op op) {
    const OpInfo *info = op_info(op);
    return info->pointwise && !strncmp(info->c_text, "nnc_", 4);
}

// The row's C text for elements i: nnc_max($a, $b) becomes nnc_max_d(a[i], b[i]) with suffix _d.
static void call_write(Buf *out, const char *c_text, const char *suffix) {
    for (const char *s = c_text; *s; s++) {
        if (*s == '(')
            buf_printf(out, "%s(", suffix);
        else if (*s == '$')
            buf_printf(out, "%c[i]", *++s);
        else
            buf_printf(out, "%c", *s);
    }
}

static void loop_write(Buf *out, Op op, const char *type, const char *suffix) {
    buf_printf(out,
               "void loop_%s%s(int n, const %s *restrict a, const %s *restrict b, %s *restrict y)\n"
               "{\n    for (int i = 0; i < n; i++)\n        y[i] = ",
               op_info(op)->name, suffix, type, type, type);
    call_write(out, op_info(op)->c_text, suffix);
    buf_printf(out, ";\n}\n\n");
}

static char *file_text(const char *path) {
    FILE *file = fopen(path, "r");
    cr_assert(file, "no %s", path);
    Buf text = buf_new(arena);
    char block[4096];
    for (size_t n; (n = fread(block, 1, sizeof block, file));)
        buf_add_n(&text, block, n);
    fclose(file);
    return text.text;
}

static const char *loops_source(void) {
    Buf out = buf_new(arena);
    buf_add(&out,
            file_text(arena_printf(arena, "%s/compiler/emit/prelude.h", getenv("NNC_SOURCE_DIR"))));
    for (int op = 0; op < OP_COUNT; op++) {
        if (!in_prelude(op)) continue;
        loop_write(&out, op, "float", "");
        loop_write(&out, op, "double", "_d");
        if (op_info(op)->types == TYPES_ARITH) loop_write(&out, op, "int", "_i");
    }
    return out.text;
}

// Writes `output` into the folder; false where the compiler is not installed.
static bool loops_compile(const char *compiler, const char *flags, const char *output) {
    FILE *file = fopen(arena_printf(arena, "%s/loops.c", folder), "w");
    cr_assert(file && fputs(loops_source(), file) >= 0 && !fclose(file));
    if (system(arena_printf(arena, "command -v %s >/dev/null", compiler))) return false;
    const char *command =
        arena_printf(arena, "%s %s -o %s/%s %s/loops.c", compiler, flags, folder, output, folder);
    cr_assert(!system(command), "failed: %s", command);
    return true;
}

static void *library_open(const char *compiler, const char *flags) {
    if (!loops_compile(compiler, arena_printf(arena, "-shared -fPIC %s", flags), "loops.so"))
        return NULL;
    void *library = dlopen(arena_printf(arena, "%s/loops.so", folder), RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
    unlink(arena_printf(arena, "%s/loops.so", folder)); // the next one is another file
    return library;
}

static void *native_library(void) {
    void *library = library_open("cc", NATIVE_FLAGS " -march=native");
    cr_assert(library, "no C compiler");
    return library;
}

static uintptr_t library_loop(void *library, const char *name, const char *suffix) {
    void *symbol = dlsym(library, arena_printf(arena, "loop_%s%s", name, suffix));
    cr_assert(symbol, "no loop_%s%s", name, suffix);
    return (uintptr_t)symbol;
}

static float apply(void *library, const char *name, float a, float b) {
    float y;
    ((FloatLoop *)library_loop(library, name, ""))(1, &a, &b, &y);
    return y;
}

// --- Inputs and errors

static float float_from(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint32_t random_next(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static double random_between(uint32_t *state, double low, double high) {
    return low + (high - low) * (random_next(state) / 4294967296.0);
}

static const float special[] = {
    0.0f,     -0.0f,     1.0f,        -1.0f,       0.5f,        -0.5f,          2.0f,
    -2.0f,    3.0f,      -3.0f,       2.5f,        -2.5f,       INFINITY,       -INFINITY,
    NAN,      1e-40f,    -1e-40f,     FLT_MIN,     -FLT_MIN,    FLT_MAX,        -FLT_MAX,
    8388609,  16777216,  33554436,    -16777215,   8388607.5f,  -8388607.5f,    1e30f,
    88.7228f, -103.972f, FLT_EPSILON, 0.99999994f, 1.00000012f, -1.401298e-45f, 1.401298e-45f,
};
enum { SPECIALS = sizeof special / sizeof *special };

// The distance in units of the last place of a float near `want`; infinite where one of them alone
// is a NaN, an infinity or of the other sign.
static double error_ulps(float got, double want) {
    float nearest = (float)want;
    if (isnan(nearest) || isnan(got)) return isnan(nearest) && isnan(got) ? 0 : INFINITY;
    if (got == 0 || nearest == 0) {
        if (got == nearest && signbit(got) != signbit(nearest)) return INFINITY;
    } else if (signbit(got) != signbit(nearest))
        return INFINITY;
    if (isinf(got) && isinf(nearest)) return 0;
    // One step above FLT_MAX, for a result that just overflowed and should not have, or vice versa.
    double value = isinf(got) ? copysign(0x1p128, got) : got;
    double target = isinf(want) ? copysign(0x1p128, want) : want;
    int exponent;
    frexp(target, &exponent);
    return fabs(value - target) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

// --- Accuracy

typedef struct Accuracy {
    const char *name;
    double largest; // |a| up to here
    double ulps;    // as prelude.h states
} Accuracy;

static const Accuracy accuracy[] = {
    {"abs", INFINITY, 0},     {"sign", INFINITY, 0},   {"floor", INFINITY, 0},
    {"sqrt", INFINITY, 0.5},  {"exp", INFINITY, 1.05}, {"log", INFINITY, 1},
    {"sin", 8192, 1.6},       {"cos", 8192, 1.6},      {"sin", 4194303.75, 5.5},
    {"cos", 4194303.75, 5.5}, {"tanh", INFINITY, 2.6}, {"sigmoid", INFINITY, 2.5},
    {"erf", INFINITY, 2},
};
enum { ACCURACIES = sizeof accuracy / sizeof *accuracy };

// The special values, then floats a stride apart, none larger than the row says; how many.
static int inputs_fill(float *a, uint64_t *bits, double largest) {
    // A prime: all exponents, many fractions. Every float takes a quarter of an hour and more.
    const uint32_t stride = getenv("NNC_TEST_EVERY_FLOAT") ? 1 : 4093;
    int n = 0;
    for (int i = 0; i < SPECIALS && *bits == 0; i++)
        if (!(fabsf(special[i]) > largest)) a[n++] = special[i];
    for (; n < CHUNK && *bits <= UINT32_MAX; *bits += stride) {
        float x = float_from((uint32_t)*bits);
        if (!(fabsf(x) > largest)) a[n++] = x;
    }
    return n;
}

static void accuracy_check(const Accuracy *row, FloatLoop *loop) {
    Op op = op_find(row->name);
    float a[CHUNK], y[CHUNK], at = 0;
    double worst = -1;
    for (uint64_t bits = 0; bits <= UINT32_MAX;) {
        int n = inputs_fill(a, &bits, row->largest);
        loop(n, a, a, y);
        for (int i = 0; i < n; i++) {
            double error = error_ulps(y[i], op_reference(op, a[i], 0, 0));
            if (!(error <= worst)) worst = error, at = a[i];
        }
    }
    cr_expect(worst <= row->ulps, "%s: %.3f ulp at %a (%.9g), %g allowed", row->name, worst, at, at,
              row->ulps);
}

Test(prelude, accuracy_of_one_input) {
    void *library = native_library();
    for (int i = 0; i < ACCURACIES; i++)
        accuracy_check(&accuracy[i], (FloatLoop *)library_loop(library, accuracy[i].name, ""));
}

Test(prelude, every_row_of_one_input_states_its_accuracy) {
    for (int op = 0; op < OP_COUNT; op++) {
        if (!in_prelude(op) || op_info(op)->in_count != 1) continue;
        bool stated = false;
        for (int i = 0; i < ACCURACIES; i++)
            stated |= !strcmp(accuracy[i].name, op_info(op)->name);
        cr_expect(stated, "%s has no row in the table `accuracy`", op_info(op)->name);
    }
}

// The exponent's error grows with |b log a|, up to which results are finite or at least denormal.
static double pow_worst(FloatLoop *pow_loop, double low, double high) {
    uint32_t state = 2463534242u;
    float a[CHUNK], b[CHUNK], y[CHUNK];
    double worst = 0;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < CHUNK; i++) {
            double spread = exp(random_between(&state, -12, 4));
            a[i] = (float)exp(random_between(&state, -spread, spread));
            double product = random_between(&state, low, high) * (random_next(&state) & 1 ? 1 : -1);
            b[i] = (float)(a[i] == 1 ? product : product / log(a[i]));
        }
        pow_loop(CHUNK, a, b, y);
        for (int i = 0; i < CHUNK; i++)
            worst = fmax(worst, error_ulps(y[i], pow(a[i], b[i])));
    }
    return worst;
}

Test(prelude, accuracy_of_pow) {
    FloatLoop *loop = (FloatLoop *)library_loop(native_library(), "pow", "");
    double moderate = pow_worst(loop, 0, 10), any = pow_worst(loop, 0, 110);
    cr_expect(moderate < 1.3, "%.3f ulp for results of e^-10 .. e^10", moderate);
    cr_expect(any < 3, "%.3f ulp", any);
}

// --- Single values

Test(prelude, ends_of_one_input) {
    static const struct {
        const char *name;
        float a, want;
    } rows[] = {
        {"exp", 88.72283f, 3.40279851e38f},
        {"exp", 88.722839f, INFINITY},
        {"exp", -103.9f, 1.40129846e-45f},
        {"exp", -104, 0},
        {"log", 1, 0},
        {"log", 1.40129846e-45f, -103.278931f},
        {"log", 0, -INFINITY},
        {"log", -0.0f, -INFINITY},
        {"log", -1, NAN},
        {"tanh", 9.1f, 1},
        {"tanh", -INFINITY, -1},
        {"tanh", -1e-45f, -1e-45f},
        {"sigmoid", 20, 1},
        {"sigmoid", -INFINITY, 0},
        {"sigmoid", INFINITY, 1},
        {"erf", 4, 1},
        {"erf", -INFINITY, -1},
        {"sin", -0.0f, -0.0f},
        {"sin", INFINITY, NAN},
        {"cos", -INFINITY, NAN},
        {"sin", 1e20f, 0},
        {"cos", 1e20f, 1},
        {"sqrt", -1, NAN},
        {"sqrt", -0.0f, -0.0f},
        {"floor", -0.5f, -1},
        {"sign", NAN, NAN},
        {"sign", -0.0f, -0.0f},
        {"abs", -0.0f, 0},
    };
    void *library = native_library();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float got = apply(library, rows[i].name, rows[i].a, 0);
        cr_expect(error_ulps(got, rows[i].want) == 0, "%s(%.9g) = %.9g, not %.9g", rows[i].name,
                  rows[i].a, got, rows[i].want);
    }
}

// All pairs of special values, with signs of zeros where the operator promises them.
static void pairs_check(const char *name, double ulps, bool signed_zero, bool near_quotients) {
    void *library = native_library();
    for (int i = 0; i < SPECIALS; i++)
        for (int j = 0; j < SPECIALS; j++) {
            float a = special[i], b = special[j];
            if (near_quotients && isfinite(a) && fabs((double)a / b) >= 0x1p24) continue;
            float got = apply(library, name, a, b);
            double want = op_reference(op_find(name), a, b, 0);
            if (!signed_zero && got == 0 && want == 0) continue;
            double error = error_ulps(got, want);
            cr_expect(error <= ulps, "%s(%.9g, %.9g) = %.9g, not %.9g: %g ulp", name, a, b, got,
                      want, error);
        }
}

Test(prelude, pow_of_special_values_is_that_of_c) { pairs_check("pow", 1.5, true, false); }

Test(prelude, max_takes_the_first_of_equals_and_any_nan) { pairs_check("max", 0, true, false); }

Test(prelude, min_takes_the_first_of_equals_and_any_nan) { pairs_check("min", 0, true, false); }

Test(prelude, mod_of_special_values) { pairs_check("mod", 0.5, false, true); }

Test(prelude, mod_has_the_sign_of_the_divisor) {
    void *library = native_library();
    uint32_t state = 88172645u;
    float a[CHUNK], b[CHUNK], y[CHUNK];
    for (int i = 0; i < CHUNK; i++) {
        a[i] = (float)random_between(&state, -5000, 5000);
        b[i] = (float)random_between(&state, -7, 7);
        if (i % 4 == 0)
            a[i] = b[i] * (float)(random_next(&state) % 100); // close to whole quotients
    }
    ((FloatLoop *)library_loop(library, "mod", ""))(CHUNK, a, b, y);
    for (int i = 0; i < CHUNK; i++) {
        double want = op_reference(OP_mod, a[i], b[i], 0);
        cr_expect(y[i] == (float)want, "mod(%a, %a) = %a, not %a", a[i], b[i], y[i], want);
    }
    cr_expect(apply(library, "mod", 3e38f, 3) == 0, "no last digit of the quotient");
    cr_expect(apply(library, "mod", 1, 1e-40f) == 0, "an infinite quotient of finite numbers");
}

// --- Other types

Test(prelude, whole_numbers) {
    static const struct {
        const char *name;
        int a, b, want;
    } rows[] = {
        {"max", 3, -4, 3},   {"min", 3, -4, -4},      {"abs", -7, 0, 7},
        {"sign", -7, 0, -1}, {"sign", 0, 0, 0},       {"sign", INT_MAX, 0, 1},
        {"mod", 7, 3, 1},    {"mod", -7, 3, 2},       {"mod", 7, -3, -2},
        {"mod", -7, -3, -1}, {"mod", -6, 3, 0},       {"mod", 5, 0, 0},
        {"mod", 5, -1, 0},   {"mod", INT_MIN, -1, 0}, {"abs", INT_MIN, 0, INT_MIN},
    };
    void *library = native_library();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int got;
        ((IntLoop *)library_loop(library, rows[i].name, "_i"))(1, &rows[i].a, &rows[i].b, &got);
        cr_expect(got == rows[i].want, "%s(%d, %d) = %d, not %d", rows[i].name, rows[i].a,
                  rows[i].b, got, rows[i].want);
    }
}

Test(prelude, double_is_the_reference) {
    void *library = native_library();
    static const double a[] = {0.3, 1.7, 2, 1e-3}, b[] = {-0.7, 1.7, 2.5, 3};
    for (int op = 0; op < OP_COUNT; op++) {
        if (!in_prelude(op)) continue;
        double y[4];
        ((DoubleLoop *)library_loop(library, op_info(op)->name, "_d"))(4, a, b, y);
        for (int i = 0; i < 4; i++) {
            double want = op_reference(op, a[i], b[i], 0);
            cr_expect(fabs(y[i] - want) <= 1e-15 * fabs(want), "%s(%g, %g) = %.17g, not %.17g",
                      op_info(op)->name, a[i], b[i], y[i], want);
        }
    }
}

// --- The same bits, in vectors

enum { SAMPLES = 1 << 16 };

typedef struct Samples {
    float a[SAMPLES], b[SAMPLES];
} Samples;

static Samples *samples_new(void) {
    Samples *samples = arena_alloc(arena, sizeof *samples);
    uint32_t state = 362436069u;
    for (int i = 0; i < SAMPLES; i++) {
        samples->a[i] =
            i & 1 ? (float)random_between(&state, -20, 20) : float_from(random_next(&state));
        samples->b[i] =
            i & 2 ? (float)random_between(&state, -20, 20) : float_from(random_next(&state));
    }
    for (int i = 0; i < SPECIALS; i++)
        for (int j = 0; j < SPECIALS; j++) {
            samples->a[i * SPECIALS + j] = special[i];
            samples->b[i * SPECIALS + j] = special[j];
        }
    return samples;
}

// NaNs are all the same here: which of two an instruction hands on is up to the order of its
// operands.
static void bits_compare(const char *who, const char *name, const Samples *samples,
                         FloatLoop *expected, FloatLoop *loop) {
    float *want = arena_alloc(arena, sizeof samples->a),
          *got = arena_alloc(arena, sizeof samples->a);
    expected(SAMPLES, samples->a, samples->b, want);
    loop(SAMPLES, samples->a, samples->b, got);
    int different = 0, first = 0;
    for (int i = SAMPLES - 1; i >= 0; i--)
        if (bits_of(want[i]) != bits_of(got[i]) && !(isnan(want[i]) && isnan(got[i])))
            different++, first = i;
    cr_expect(!different, "%s: %d results of %s differ; (%a, %a): %a, not %a", who, different, name,
              samples->a[first], samples->b[first], got[first], want[first]);
}

Test(prelude, same_bits_from_other_compilers_and_levels) {
    static const struct {
        const char *compiler, *flags;
    } variant[] = {
        {"gcc", "-O0 -w -ffp-contract=off"},
        {"gcc", NATIVE_FLAGS},
        {"gcc", NATIVE_FLAGS " -march=native -mprefer-vector-width=512"},
        {"clang", NATIVE_FLAGS " -march=native"},
        {"clang", "-O0 -w"},
    };
    void *native = native_library();
    const Samples *samples = samples_new();
    for (size_t v = 0; v < sizeof variant / sizeof *variant; v++) {
        void *library = library_open(variant[v].compiler, variant[v].flags);
        if (!library) {
            cr_log_info("no %s: not compared", variant[v].compiler);
            continue;
        }
        for (int op = 0; op < OP_COUNT; op++)
            if (in_prelude(op))
                bits_compare(arena_printf(arena, "%s %s", variant[v].compiler, variant[v].flags),
                             op_info(op)->name, samples,
                             (FloatLoop *)library_loop(native, op_info(op)->name, ""),
                             (FloatLoop *)library_loop(library, op_info(op)->name, ""));
    }
}

Test(prelude, same_bits_from_libtcc) {
    if (!jit_has_tcc()) cr_skip_test("built without libtcc");
    void *native = native_library();
    const Samples *samples = samples_new();
    const char *error = "no error";
    Jit *jit = jit_load(arena, loops_source(), &(JitOptions){.tier = JIT_TCC}, &error);
    cr_assert(jit, "%s", error);
    for (int op = 0; op < OP_COUNT; op++) {
        if (!in_prelude(op)) continue;
        const char *name = op_info(op)->name;
        void *loop = jit_symbol(jit, arena_printf(arena, "loop_%s", name));
        bits_compare("libtcc", name, samples, (FloatLoop *)library_loop(native, name, ""),
                     (FloatLoop *)(uintptr_t)loop);
    }
    jit_free(jit);
}

// The instructions of one function.
static const char *assembly_of(const char *assembly, const char *name) {
    const char *start = strstr(assembly, arena_printf(arena, "\n%s:\n", name));
    cr_assert(start, "no %s in the assembly", name);
    const char *end = strstr(start, ".cfi_endproc");
    cr_assert(end);
    return arena_printf(arena, "%.*s", (int)(end - start), start);
}

// Of each row's loop, with vectors of so many bits in registers of that name.
static void vectors_check(const char *flags, const char *vector) {
    if (!loops_compile("gcc", arena_printf(arena, NATIVE_FLAGS " -S %s", flags), "loops.s"))
        cr_skip_test("no gcc");
    const char *assembly = file_text(arena_printf(arena, "%s/loops.s", folder));
    for (int op = 0; op < OP_COUNT; op++) {
        if (!in_prelude(op)) continue;
        const char *name = op_info(op)->name;
        const char *body = assembly_of(assembly, arena_printf(arena, "loop_%s", name));
        cr_expect(strstr(body, vector), "%s: the loop of %s has no vectors", flags, name);
        cr_expect(!strstr(body, "call"), "%s: the loop of %s calls a function", flags, name);
    }
}

Test(prelude, gcc_makes_vector_instructions_of_it) {
#if !defined __x86_64__
    cr_skip_test("reads the assembly of x86-64 alone");
#endif
    vectors_check("-mavx2 -mfma", "%ymm");
    vectors_check("-march=x86-64-v4 -mprefer-vector-width=512", "%zmm");
}
