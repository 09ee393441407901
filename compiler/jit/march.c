// SPDX-License-Identifier: MIT
// What a name of --march means. The C compiler knows: it is asked for the macros that it defines
// for that name, and for those of this processor where the code is to run here.
//
//     cc -march=znver2 -dM -E -x c /dev/null    #define __AVX2__ 1 ..    -> x86-64-v3, 8 lanes
#include "jit/internal.h"

#include "nnc.h"
#include <string.h>

// The instructions that a compiler may use of its own accord: __NAME__, __ARM_FEATURE_NAME.
// clang-format off
static const char *const features[] = {
    "SSE3", "SSSE3", "SSE4_1", "SSE4_2", "SSE4A", "POPCNT", "LZCNT", "MOVBE", "BMI", "BMI2", "TBM",
    "AVX", "AVX2", "FMA", "FMA4", "XOP", "F16C", "AVXVNNI", "GFNI", "VAES",
    "AVX512F", "AVX512CD", "AVX512VL", "AVX512BW", "AVX512DQ", "AVX512VBMI", "AVX512VBMI2",
    "AVX512IFMA", "AVX512VNNI", "AVX512BITALG", "AVX512VPOPCNTDQ", "AVX512FP16", "AVX512BF16",
    "AVX512ER", "AVX512PF",
}, *const arm_features[] = {
    "SVE", "SVE2", "DOTPROD", "ATOMICS", "BF16", "FP16_VECTOR_ARITHMETIC",
};
// clang-format on

// Is there a line `#define BEFORE NAME AFTER ..`, those three written as one word?
static bool defines(const char *macros, const char *before, const char *name, const char *after) {
    char line[80];
    snprintf(line, sizeof line, "#define %s%s%s ", before, name, after);
    return strstr(macros, line) != NULL;
}

static bool has(const char *macros, const char *feature) {
    return defines(macros, "__", feature, "__");
}

static bool has_all(const char *macros, const char *const *feature, int count) {
    int found = 0;
    for (int i = 0; i < count; i++)
        found += has(macros, feature[i]);
    return found == count;
}

static const Target *level_of(const char *macros) {
    static const char *const v4[] = {"AVX512F", "AVX512CD", "AVX512VL", "AVX512BW", "AVX512DQ"};
    static const char *const v3[] = {"AVX2", "FMA", "BMI2"}, *const v2[] = {"SSE4_2", "POPCNT"};
    if (has(macros, "aarch64")) return target_find("armv8-a");
    if (!has(macros, "x86_64")) return target_find("generic");
    bool wide = has_all(macros, v4, 5), bf16 = wide && has(macros, "AVX512BF16");
    return target_find(bf16                     ? "x86-64-v4+bf16"
                       : wide                   ? "x86-64-v4"
                       : has_all(macros, v3, 3) ? "x86-64-v3"
                       : has_all(macros, v2, 2) ? "x86-64-v2"
                                                : "x86-64");
}

// NULL where the compiler knows no such name; *says is what it says then.
static const char *ask_macros(Arena *arena, const CCompiler *compiler, const char *march,
                              const char **says) {
    const char *folder = temporary_folder(arena, NULL), *macros = NULL;
    *says = "there is no folder to compile in";
    if (!folder) return NULL;
    const char *printed = path_join(arena, folder, "macros");
    size_t length;
    Args args = compiler_args(arena, compiler, march, false);
    args_add_words(&args, "-dM -E -x c /dev/null");
    bool known = process_wait(process_start(&args, printed));
    *says = first_line(arena, printed);
    if (known) macros = file_read(arena, printed, &length);
    folder_remove(folder);
    return macros;
}

// The first feature that `macros` has and this processor has not; NULL: it runs that code.
static const char *missing_here(Arena *arena, const CCompiler *compiler, const char *macros) {
    const char *says, *native = ask_macros(arena, compiler, "native", &says);
    if (!native) return "name that this compiler knows";
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (has(macros, features[i]) && !has(native, features[i])) return features[i];
    for (size_t i = 0; i < sizeof arm_features / sizeof *arm_features; i++)
        if (defines(macros, "__ARM_FEATURE_", arm_features[i], "") &&
            !defines(native, "__ARM_FEATURE_", arm_features[i], ""))
            return arm_features[i];
    return NULL;
}

static const char *unknown(Arena *arena, const CCompiler *compiler, const char *march,
                           const char *says) {
    const Target *level = target_find(march);
    if (level)
        return arena_printf(arena,
                            "--march %s is code for %s, and the C compiler '%s' does not compile "
                            "that; $CC can name one that does (on Debian: %s-linux-gnu-gcc)",
                            march, level->architecture, compiler->command,
                            !strcmp(level->architecture, "aarch64") ? "aarch64" : "x86_64");
    const char *of_native;
    if (!ask_macros(arena, compiler, "native", &of_native))
        return arena_printf(arena, "the C compiler '%s' does not work here: %s", compiler->command,
                            *of_native ? of_native : "it cannot be run");
    return arena_printf(arena,
                        "--march %s: the C compiler '%s' says \"%s\"; there are native, x86-64-v4, "
                        "x86-64-v3, x86-64-v2, x86-64, and the names of processors that it knows",
                        march, compiler->command, says);
}

static const Target *resolve(Arena *arena, const CCompiler *compiler, const char *march,
                             bool to_run, const char **error) {
    const char *says, *macros = ask_macros(arena, compiler, march, &says);
    if (!macros) {
        *error = unknown(arena, compiler, march, says);
        return NULL;
    }
    const Target *target = level_of(macros);
    if (!to_run) return target;
    if (!target_is_here(target)) {
        *error = arena_printf(arena, "--march %s is %s, which this machine does not run", march,
                              target->architecture);
        return NULL;
    }
    const char *missing = missing_here(arena, compiler, macros);
    if (!missing) return target;
    *error = arena_printf(arena, "--march %s: this processor (%s) has no %s", march,
                          nnc_processor(), missing);
    return NULL;
}

const Target *jit_target(Arena *arena, const JitOptions *options, bool to_run, const char **error) {
    const char *march = options->march ? options->march : "native";
    CCompiler *compiler = ARENA_NEW(arena, CCompiler);
    if (!compiler_find(arena, compiler, error)) return NULL;
    const Target *level = strcmp(march, "native") == 0
                              ? target_find(march)
                              : resolve(arena, compiler, march, to_run, error);
    if (!level) return NULL;
    Target *target = ARENA_NEW(arena, Target);
    *target = *level;
    target->compiler = compiler;
    target->tools =
        arena_printf(arena, "%s\n%s -march=%s", compiler->version, compiler_flags(), march);
    return target;
}
