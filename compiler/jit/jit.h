// SPDX-License-Identifier: MIT
// From C source in memory to functions in this process.
//
//     Jit *jit = jit_load(compiled->source, JIT_AUTO, diag_text_out, ..);
//     void *run = jit_symbol(jit, "nnc_train");
#ifndef NNC_JIT_H
#define NNC_JIT_H

#include "support/arena.h"
#include <stdbool.h>

typedef enum JitTier {
    JIT_AUTO,   // native where there is a C compiler, else tcc
    JIT_NATIVE, // the system's C compiler ($CC, cc, gcc, clang), into a shared object cached by content
    JIT_TCC,    // libtcc, in process
} JitTier;

typedef struct Jit Jit;

typedef struct JitOptions {
    JitTier tier;
    const char *cache_dir; // NULL: $NNC_CACHE, $XDG_CACHE_HOME/nnc, ~/.cache/nnc
    const char *march;     // NULL: native
    bool debug;            // -g, so that a debugger names the lines of the .nnd file
} JitOptions;

// NULL with *error set to a sentence (in the arena) where it cannot be had.
Jit *jit_load(Arena *arena, const char *c_source, const JitOptions *options, const char **error);
void *jit_symbol(const Jit *jit, const char *name); // NULL where there is none
JitTier jit_tier(const Jit *jit);                   // the one that was taken
bool jit_from_cache(const Jit *jit);
void jit_free(Jit *jit);

bool jit_has_tcc(void);                               // built with libtcc
const char *jit_find_compiler(Arena *arena);          // path, or NULL
// Compiles C files (paths) and links them with what a built program carries into `output`, atomically.
bool jit_build_program(Arena *arena, const char *const *sources, int count, const char *output,
                       const char *runtime_dir, const char **error);

#endif
