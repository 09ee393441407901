// SPDX-License-Identifier: MIT
// What the processor at hand can run, by the names that C compilers give to the levels of an
// architecture (x86-64 psABI, "micro-architecture levels"). Above the highest of them is our own
// name for one with AVX512_BF16.
#include "nnc.h"
#include <string.h>

#if defined(__x86_64__)
static const char *const levels[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4",
                                     "x86-64-v4+bf16"};
#elif defined(__aarch64__)
static const char *const levels[] = {"armv8-a"};
#else
static const char *const levels[] = {"generic"};
#endif

enum { LEVELS = sizeof levels / sizeof *levels };

// One feature stands for those that came with it in every processor.
static int highest(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt")) return 0;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi2"))
        return 1;
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl");
    if (!wide) return 2;
    return __builtin_cpu_supports("avx512bf16") ? 4 : 3;
#else
    return 0;
#endif
}

const char *nnc_processor(void) { return levels[highest()]; }

bool nnc_processor_runs(const char *level) {
    for (int i = 0; i <= highest(); i++)
        if (!strcmp(levels[i], level)) return true;
    return false;
}

// Both the results (flush to zero) and what is read (denormals are zero), as one bit on ARM.
#if defined(__x86_64__)
unsigned long long nnc_floats_flush(void) {
    unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0x8040u);
    return before;
}

void nnc_floats_restore(unsigned long long before) { __builtin_ia32_ldmxcsr((unsigned)before); }
#elif defined(__aarch64__)
unsigned long long nnc_floats_flush(void) {
    unsigned long long before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | 1ull << 24) : "memory");
    return before;
}

void nnc_floats_restore(unsigned long long before) {
    __asm__ volatile("msr fpcr, %0" : : "r"(before) : "memory");
}
#else
unsigned long long nnc_floats_flush(void) { return 0; }

void nnc_floats_restore(unsigned long long before) { (void)before; }
#endif
