// SPDX-License-Identifier: MIT
// Chooses a tier and hands on to it.
#include "jit/internal.h"

#include <stdint.h>

static Jit *load_native(Arena *arena, const char *source, const JitOptions *options,
                        const char **error) {
    CCompiler sought;
    const CCompiler *compiler = options->compiler;
    if (!compiler && !compiler_find(arena, &sought, error)) return NULL;
    return native_load(arena, compiler ? compiler : &sought, source, options, error);
}

static Jit *load_auto(Arena *arena, const char *source, const JitOptions *options,
                      const char **error) {
    const char *native_error, *tcc_error;
    Jit *jit = load_native(arena, source, options, &native_error);
    if (!jit) jit = instant_load(arena, source, &tcc_error);
    if (!jit)
        *error =
            arena_printf(arena, "%s; and %s; install a C compiler (on Debian: apt install gcc)",
                         native_error, tcc_error);
    return jit;
}

Jit *jit_load(Arena *arena, const char *source, const JitOptions *options, const char **error) {
    switch (options->tier) {
    case JIT_NATIVE:
    case JIT_CUDA: // options->compiler is nvcc
        return load_native(arena, source, options, error);
    case JIT_TCC:
        return instant_load(arena, source, error);
    case JIT_AUTO:
        break;
    }
    return load_auto(arena, source, options, error);
}

void *jit_symbol(const Jit *jit, const char *name) {
    return jit->tier == JIT_TCC ? instant_symbol(jit, name) : native_symbol(jit, name);
}

JitFunction *jit_function(const Jit *jit, const char *name) {
    return (JitFunction *)(uintptr_t)jit_symbol(jit, name);
}

void jit_free(Jit *jit) {
    if (!jit) return;
    if (jit->tier == JIT_TCC)
        instant_free(jit);
    else
        native_free(jit);
}

JitTier jit_tier(const Jit *jit) { return jit->tier; }

bool jit_from_cache(const Jit *jit) { return jit->from_cache; }

const char *jit_tier_name(JitTier tier) {
    static const char *const names[] = {"auto", "native", "tcc", "cuda"};
    return names[tier];
}
