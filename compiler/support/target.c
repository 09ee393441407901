// SPDX-License-Identifier: MIT
// The levels of the architectures that code is emitted for.
#include "support/target.h"
#include "nnc.h"

#include <string.h>

#define X86 "x86-64"
#define ARM "aarch64"

#if defined(__x86_64__)
static const char here[] = X86;
#elif defined(__aarch64__)
static const char here[] = ARM;
#else
static const char here[] = "generic";
#endif

const Target target_library = {.name = "library", .architecture = here, .tools = "libtcc"};
const Target target_baseline = {.name = "baseline", .architecture = here, .separate = true};

static const Target levels[] = {
    {.name = "x86-64-v4+bf16", .architecture = X86, .lanes = 16, .registers = 32, .dot2 = true},
    {.name = "x86-64-v4", .architecture = X86, .lanes = 16, .registers = 32},
    {.name = "x86-64-v3", .architecture = X86, .lanes = 8, .registers = 16},
    {.name = "x86-64-v2", .architecture = X86, .lanes = 4, .registers = 16},
    {.name = "x86-64", .architecture = X86, .lanes = 4, .registers = 16},
    {.name = "armv8-a", .architecture = ARM, .lanes = 4, .registers = 32},
    {.name = "generic", .architecture = "generic", .lanes = 4, .registers = 16},
};

// Compute capabilities, and the processors of the largest GPU that has each.
static const Target gpus[] = {
    {.name = "sm_75", .architecture = "cuda", .gpu = 75, .processors = 72},
    {.name = "sm_80", .architecture = "cuda", .gpu = 80, .processors = 108},
    {.name = "sm_90", .architecture = "cuda", .gpu = 90, .processors = 132},
    {.name = "sm_90a", .architecture = "cuda", .gpu = 90, .processors = 132},
};

const Target *target_cuda(const char *level) {
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++)
        if (!strcmp(gpus[i].name, level ? level : "sm_90")) return &gpus[i];
    return NULL;
}

int target_width(const Target *target) {
    enum { GPU_WIDTH = 4 };
    return target->gpu ? GPU_WIDTH : target->lanes;
}

const Target *target_find(const char *level) {
    if (!level || !strcmp(level, "native")) level = nnc_processor();
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (!strcmp(levels[i].name, level)) return &levels[i];
    return NULL;
}

bool target_is_here(const Target *target) { return !strcmp(target->architecture, here); }
