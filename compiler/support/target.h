// SPDX-License-Identifier: MIT
// What code is emitted for: the widths that the generator of kernels goes by, and who compiles it.
//
//     const Target *t = target_find("native");      // the processor that this runs on
#ifndef NNC_SUPPORT_TARGET_H
#define NNC_SUPPORT_TARGET_H

#include <stdbool.h>

typedef struct Target {
    const char *name;         // a level of an architecture: x86-64-v4, armv8-a; or the tier's name
    const char *architecture; // x86-64, aarch64
    int lanes;      // floats in a vector register; 0: no vectors in emitted code, products are the
                    // runtime's (the instant tier: its compiler knows neither)
    int registers;  // vector registers
    int gpu;        // a GPU's compute capability, 90 of sm_90; 0: a processor's code. Kernels then
                    // go over all of their indices in one launch, one after the other
    int processors; // GPU: how many of them plans are made for
    bool tf32;      // GPU: products may round what they read to TF32 (the model says so)
    bool dot2;      // has an instruction that multiplies pairs of bf16 and adds both products up
    bool separate;  // one kernel for each operator (target_baseline)
    bool alone;     // no library is called: for programs that carry none
    const char
        *tools; // what compiles it, and how, as far as bits may depend on it; NULL: not known
    const struct Tuning *tuning;      // what was measured on it (support/choice.h); NULL: nothing
    const struct CCompiler *compiler; // that compiler, where one was asked (jit/march.c); else NULL
} Target;

// The instant tier: plain loops, products by the library.
extern const Target target_library;

// What is compared with (nnc bench): products by the library as well, and one loop for every other
// operator, with nothing fused, as a library of operators computes a network.
extern const Target target_baseline;

// By the name of a level (native or NULL: the highest that this processor has). NULL: not known
// here; what a C compiler makes of a name is for jit_target (jit/jit.h).
const Target *target_find(const char *level);

// A GPU: sm_75, sm_80, sm_90, sm_90a (NULL: sm_90). NULL: not known here.
const Target *target_cuda(const char *level);

// How many neighbouring floats are loaded at once: a vector register's, 16 bytes of a GPU's thread.
// 0: products are the runtime's; else they are emitted code, which reads operands where they lie
// and likes channels last.
int target_width(const Target *target);

// Is it for the architecture of this machine?
bool target_is_here(const Target *target);

#endif
