// SPDX-License-Identifier: MIT
// What compiled source may call: the one list, for libtcc by address and (since a program that has
// it in this table has it linked in, and exports it) for shared objects by name.
#include "jit/internal.h"

#include "nnc.h"
#include <math.h>
#include <string.h>

#define SYMBOL(name)                                                                               \
    { #name, (void *)(uintptr_t)(name) }

// libtcc calls these for conversions that x86 has no instruction for; its own are in a file that
// need not be installed.
static float float_from_u64(unsigned long long x) { return (float)x; }
static double double_from_u64(unsigned long long x) { return (double)x; }
static unsigned long long u64_from_float(float x) { return (unsigned long long)x; }
static unsigned long long u64_from_double(double x) { return (unsigned long long)x; }

#define HELPER(name, function)                                                                     \
    { name, (void *)(uintptr_t)(function) }

const RuntimeSymbol *runtime_symbols(int *count) {
    static const RuntimeSymbol symbols[] = {
        SYMBOL(nnc_parallel),
        SYMBOL(nnc_parallel_all),
        SYMBOL(nnc_product),
        SYMBOL(memcpy),
        SYMBOL(memmove),
        SYMBOL(memset),
        SYMBOL(fmaf),
        SYMBOL(sqrtf),
        SYMBOL(floorf),
        SYMBOL(expf),
        SYMBOL(logf),
        SYMBOL(sinf),
        SYMBOL(cosf),
        SYMBOL(tanhf),
        SYMBOL(erff),
        SYMBOL(powf),
        SYMBOL(fmodf),
        SYMBOL(fma),
        SYMBOL(sqrt),
        SYMBOL(floor),
        SYMBOL(exp),
        SYMBOL(log),
        SYMBOL(sin),
        SYMBOL(cos),
        SYMBOL(tanh),
        SYMBOL(erf),
        SYMBOL(pow),
        SYMBOL(fmod),
        SYMBOL(fabs),
        HELPER("__floatundisf", float_from_u64),
        HELPER("__floatundidf", double_from_u64),
        HELPER("__fixunssfdi", u64_from_float),
        HELPER("__fixunsdfdi", u64_from_double),
    };
    *count = (int)(sizeof symbols / sizeof *symbols);
    return symbols;
}
