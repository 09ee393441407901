// SPDX-License-Identifier: MIT
// Code for GPUs: what --march means there, and nvcc in the place of the C compiler. Kernels are
// compiled together with the runtime's part for GPUs (runtime/cuda.cu), so that nnc itself needs
// nothing of CUDA.
//
//     const Target *target = jit_gpu_target(arena, &options, &error);  // the GPU that is there
#include "jit/internal.h"

#include <stdlib.h>
#include <string.h>

// --- Which GPUs

// 90 of sm_90, sm_90a; 0: no such name.
static int capability_of(const char *name, size_t length) {
    char *end;
    if (length < 5 || strncmp(name, "sm_", 3)) return 0;
    long capability = strtol(name + 3, &end, 10);
    end += *end == 'a';
    return end == name + length && capability >= 75 && capability < 1000 ? (int)capability : 0;
}

// The most that code is emitted for and that a GPU of this capability runs.
static const Target *level_of(int capability) {
    static const char *const levels[] = {"sm_90", "sm_80", "sm_75"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const Target *level = target_cuda(levels[i]);
        if (level && level->gpu <= capability) return level;
    }
    return NULL;
}

const Target *gpu_target(Arena *arena, const char *march, const char **error) {
    int least = 0;
    for (const char *name = march; *name;) {
        size_t length = strcspn(name, ",");
        int capability = capability_of(name, length);
        if (!capability) {
            *error = arena_printf(
                arena,
                "--march %s: GPUs are sm_75, sm_80, sm_90 and the like, from sm_75 on; "
                "several with commas between",
                march);
            return NULL;
        }
        least = least == 0 || capability < least ? capability : least;
        name += length + (name[length] == ',');
    }
    const Target *exact = target_cuda(march);
    if (exact) return exact;
    Target *target = ARENA_NEW(arena, Target);
    *target = *level_of(least);
    target->name = arena_strdup(arena, march);
    return target;
}

const Target *jit_gpu_target(Arena *arena, const JitOptions *options, const char **error) {
    Gpu gpu;
    const char *march = options->march;
    CCompiler *compiler = ARENA_NEW(arena, CCompiler);
    if (!nvcc_find(arena, compiler, error)) return NULL;
    if (!march) {
        if (!gpu_find(arena, &gpu, error)) return NULL;
        if (gpu.capability < 75) {
            *error = arena_printf(arena, "%s is sm_%d: code is made for sm_75 and newer", gpu.name,
                                  gpu.capability);
            return NULL;
        }
        march = arena_printf(arena, "sm_%d", gpu.capability);
    }
    const Target *level = gpu_target(arena, march, error);
    if (!level) return NULL;
    Target *target = ARENA_NEW(arena, Target);
    *target = *level;
    target->compiler = compiler;
    target->tools = arena_printf(arena, "%s\n%s", compiler->version, march);
    return target;
}

const char *jit_find_gpu(Arena *arena, const char **why) {
    Gpu gpu;
    return gpu_find(arena, &gpu, why) ? gpu.name : NULL;
}

// --- Compiling

// No contraction: where a product and a sum are one rounding, the source says fmaf. The code of the
// newest that is asked for is there as text, too, from which drivers make that of newer GPUs.
static const char *const cuda_flags = "-std=c++17 -O3 -fmad=false -Xcompiler -fPIC -w";

void cuda_args_add(Args *args, const char *march, bool debug) {
    int newest = 0;
    args_add_words(args, cuda_flags);
    if (debug) args_add(args, "-lineinfo");
    for (const char *name = march; *name;) {
        size_t length = strcspn(name, ",");
        const char *number = arena_printf(args->arena, "%.*s", (int)length - 3, name + 3);
        args_add(args, "-gencode");
        args_add(args, arena_printf(args->arena, "arch=compute_%s,code=sm_%s", number, number));
        int capability = (int)strtol(number, NULL, 10);
        if (capability > newest) newest = capability;
        name += length + (name[length] == ',');
    }
    args_add(args, "-gencode");
    args_add(args, arena_printf(args->arena, "arch=compute_%d,code=compute_%d", newest, newest));
}

static bool add_job(Arena *arena, const Compilation *how, const char *source, const char *name,
                    const char *runtime, Jobs *jobs) {
    const char *stem = arena_printf(arena, "%s/%s%s", how->folder, how->prefix, name);
    Job job = {.output = arena_printf(arena, "%s.o", stem),
               .log = arena_printf(arena, "%s.log", stem)};
    job.args = compiler_args(arena, how->compiler, how->march, how->debug);
    args_add(&job.args, "-I");
    args_add(&job.args, runtime);
    args_add_words(&job.args, "-c -o");
    args_add(&job.args, job.output);
    args_add(&job.args, source);
    VEC_PUSH(arena, *jobs, job);
    return true;
}

bool jobs_add_cuda(Arena *arena, const Compilation *how, const char *source, Jobs *jobs) {
    const char *error;
    RuntimeFiles runtime;
    const char *path = arena_printf(arena, "%s/%skernels.cu", how->folder, how->prefix);
    if (!runtime_find(arena, &runtime, &error)) return false;
    return file_write(path, source, strlen(source)) &&
           add_job(arena, how, path, "kernels", runtime.sources, jobs) &&
           add_job(arena, how, path_join(arena, runtime.sources, "cuda.cu"), "cuda",
                   runtime.sources, jobs);
}

// The object is made of more than the emitted source.
const char *cuda_whole_source(Arena *arena, const char *source) {
    static const char *const parts[] = {"cuda.cu", "device.h", "nnc.h", "nnc_ctx.h"};
    const char *error;
    RuntimeFiles runtime;
    Buf whole = buf_new(arena);
    buf_add(&whole, source);
    for (size_t i = 0; i < 4 && runtime_find(arena, &runtime, &error); i++) {
        size_t length;
        const char *text = file_read(arena, path_join(arena, runtime.sources, parts[i]), &length);
        if (text) buf_add_n(&whole, text, length);
    }
    return whole.text;
}
