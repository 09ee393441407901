// SPDX-License-Identifier: MIT
// Vector functions of emitted code (emit/vector.h) against the plain ones of the prelude, lane by
// lane: the same bits, for every size of vectors that this processor runs. Of NaNs it is promised
// that they stay NaN, not which.
#include "emit/emit.h"
#include "jit/jit.h"
#include "support/buf.h"
#include "support/embed.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

extern const EmbeddedFile embedded_runtime[];

enum { SAMPLES = 1 << 16 };

typedef void Loop(int n, const float *a, const float *b, float *y);

// plain_NAME and wide_NAME: elements by themselves. tree_NAME and all_NAME: of each vector all
// lanes.
static const char *const wrappers =
    "#define LOOP(name, step, body) void name(int n, const float *a, const float *b, float *y) { "
    "\\\n"
    "    (void)b; for (int i = 0; i < n; i += step) { body } }\n"
    "LOOP(plain_exp, 1, y[i] = nnc_exp(a[i]);)\n"
    "#ifdef __AVX512DQ__\n"
    "LOOP(wide_exp, 16, float x[16] __attribute__((aligned(64)));\n"
    "    for (int k = 0; k < 16; k++) x[k] = a[i + k];\n"
    "    nnc_exp16(x);\n"
    "    for (int k = 0; k < 16; k++) y[i + k] = x[k];)\n"
    "#endif\n"
    "#define LANES(v, w) *(const nnc_v##w *)(v + i)\n"
    "#define PAIR(name, w) \\\n"
    "    LOOP(plain_##name##w, 1, y[i] = nnc_##name(a[i], b[i]);) \\\n"
    "    LOOP(wide_##name##w, w, *(nnc_v##w *)(y + i) = nnc_##name##w(LANES(a, w), LANES(b, w));)\n"
    "#define ALL(name, w) \\\n"
    "    LOOP(tree_##name##w, w, float x[w]; \\\n"
    "        for (int k = 0; k < w; k++) x[k] = a[i + k]; \\\n"
    "        for (int half = w / 2; half; half /= 2) \\\n"
    "            for (int k = 0; k < half; k++) x[k] = nnc_##name(x[k], x[k + half]); \\\n"
    "        for (int k = 0; k < w; k++) y[i + k] = x[0];) \\\n"
    "    LOOP(all_##name##w, w, const nnc_v##w x = LANES(a, w); \\\n"
    "        for (int k = 0; k < w; k++) y[i + k] = nnc_##name##_of##w(&x);)\n"
    "static inline float nnc_sum(float a, float b) { return a + b; }\n"
    "#define SIZE(w) PAIR(max, w) PAIR(min, w) ALL(max, w) ALL(min, w) ALL(sum, w)\n"
    "SIZE(4)\n"
    "SIZE(8)\n"
    "#ifdef __AVX512F__\n"
    "SIZE(16)\n"
    "#endif\n";

static const char *source(Arena *arena) {
    Buf out = buf_new(arena);
    for (const EmbeddedFile *file = embedded_runtime; file->name; file++)
        if (!strcmp(file->name, "prelude.h") || !strcmp(file->name, "vector.h")) {
            buf_add_n(&out, file->text, file->length);
            buf_add(&out, "\n");
        }
    buf_add(&out, wrappers);
    return out.text;
}

static const float special[] = {
    0.0f,  -0.0f,   1.0f,      -1.0f,     0.34657f,  -0.34658f, INFINITY, -INFINITY,
    NAN,   -NAN,    1e-40f,    -1e-40f,   FLT_MIN,   -FLT_MIN,  FLT_MAX,  -FLT_MAX,
    1e30f, -1e30f,  88.72283f, 88.72284f, -103.972f, -103.98f,  -104.0f,  104.0f,
    1e7f,  -87.34f, 3e9f,      -3e9f,     -150.0f,   150.0f,    -104.1f,  5e6f,
};
enum { SPECIALS = sizeof special / sizeof *special };

// Floats of any bits, floats for which an exponential is not at its ends, all pairs of special
// ones.
static void draw(float *a, float *b) {
    uint32_t state = 2463534242u;
    for (int i = 0; i < 2 * SAMPLES; i++) {
        float *to = i < SAMPLES ? &a[i] : &b[i - SAMPLES];
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        memcpy(to, &state, sizeof *to);
        if (i & 1) *to = (float)(state / 4294967296.0 * 220 - 110);
    }
    for (int i = 0; i < SPECIALS * SPECIALS; i++)
        a[i] = special[i / SPECIALS], b[i] = special[i % SPECIALS];
}

static bool same(float x, float y) { return (isnan(x) && isnan(y)) || !memcmp(&x, &y, sizeof x); }

static void compare(Jit *jit, const char *march, const char *expected, const char *name) {
    static float a[SAMPLES], b[SAMPLES], want[SAMPLES], got[SAMPLES];
    Loop *reference = (Loop *)jit_function(jit, expected), *loop = (Loop *)jit_function(jit, name);
    cr_assert(reference && loop, "%s: no %s", march, name);
    draw(a, b);
    reference(SAMPLES, a, b, want);
    loop(SAMPLES, a, b, got);
    for (int i = 0; i < SAMPLES; i++)
        cr_assert(same(want[i], got[i]), "%s: %s(%a, %a) = %a, not %a", march, name, a[i], b[i],
                  got[i], want[i]);
}

static void check_level(const char *march) {
    static const char *const pairs[] = {"max", "min"}, *const sums[] = {"max", "min", "sum"};
    Arena *arena = arena_new();
    const Target *target = target_find(march);
    const char *error = NULL;
    if (target->lanes > target_find("native")->lanes)
        cr_skip_test("this processor is no %s", march);
    Jit *jit =
        jit_load(arena, source(arena), &(JitOptions){.tier = JIT_NATIVE, .march = march}, &error);
    cr_assert(jit, "%s", error);
    if (target->lanes == 16) compare(jit, march, "plain_exp", "wide_exp");
    for (int size = 4; size <= target->lanes; size *= 2) {
        for (int i = 0; i < 2; i++)
            compare(jit, march, arena_printf(arena, "plain_%s%d", pairs[i], size),
                    arena_printf(arena, "wide_%s%d", pairs[i], size));
        for (int i = 0; i < 3; i++)
            compare(jit, march, arena_printf(arena, "tree_%s%d", sums[i], size),
                    arena_printf(arena, "all_%s%d", sums[i], size));
    }
    jit_free(jit);
    arena_free(arena);
}

#ifdef __x86_64__
Test(vector, sixteen) { check_level("x86-64-v4"); }
Test(vector, eight) { check_level("x86-64-v3"); }
Test(vector, four) { check_level("x86-64"); }
#else
Test(vector, native) { check_level("native"); }
#endif
