// SPDX-License-Identifier: MIT
// Processors by the names that C compilers give them, and the one at hand.
#include "support/target.h"

#include <stddef.h>
#include <string.h>

const Target target_library = {"library", 0, 0};

static const Target avx512 = {"x86-64-v4", 16, 32}, avx2 = {"x86-64-v3", 8, 16};
#ifdef __x86_64__
static const Target generic = {"x86-64", 4, 16};
#else
static const Target generic = {"armv8-a", 4, 32};
#endif

static const Target *native(void) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return &avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &avx2;
#endif
    return &generic;
}

const Target *target_find(const char *march) {
    static const struct {
        const char *name;
        const Target *target;
    } known[] = {
        {"x86-64-v4", &avx512},       {"skylake-avx512", &avx512}, {"cascadelake", &avx512},
        {"icelake-server", &avx512},  {"icelake-client", &avx512}, {"sapphirerapids", &avx512},
        {"cooperlake", &avx512},      {"tigerlake", &avx512},      {"x86-64-v3", &avx2},
        {"haswell", &avx2},           {"broadwell", &avx2},        {"skylake", &avx2},
        {"alderlake", &avx2},         {"znver1", &avx2},           {"znver2", &avx2},
        {"znver3", &avx2},            {"znver4", &avx512},
    };
    if (!march || !strcmp(march, "native")) return native();
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, march)) return known[i].target;
    return &generic;
}
