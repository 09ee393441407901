// SPDX-License-Identifier: MIT
// From C source in memory to functions in this process.
//
//     Jit *jit = jit_load(arena, compiled->source, &(JitOptions){.tier = JIT_AUTO}, &error);
//     void *run = jit_symbol(jit, "nnc_run_train");
//
// The source includes nothing; what it may call of the runtime and of libm is the table in
// jit/symbols.c. Source that does not compile is our own mistake: bug(), with the path of the
// source that was kept.
#ifndef NNC_JIT_H
#define NNC_JIT_H

#include "support/arena.h"
#include "support/target.h"
#include <stdbool.h>

typedef enum JitTier {
    JIT_AUTO,   // native where there is a C compiler, else tcc
    JIT_NATIVE, // the system's C compiler ($CC, or cc, gcc, clang), into a shared object cached by
                // content
    JIT_TCC,    // libtcc, in process
    JIT_CUDA,   // nvcc, likewise into a cached object, for a target of jit_gpu_target
} JitTier;

typedef struct Jit Jit;

typedef struct JitOptions {
    JitTier tier;
    const char *cache_dir; // NULL: $NNC_CACHE, $XDG_CACHE_HOME/nnc, ~/.cache/nnc
    const char *march;     // NULL: native
    bool debug;            // -g, so that a debugger names the lines of the .nnd file
    // The native tier's compiler, where jit_target found it; NULL: it is sought.
    const struct CCompiler *compiler;
} JitOptions;

// What a C compiler is told behind -march=. NULL: native.
const char *jit_march_text(const char *march);

// What the C compiler makes of options->march. NULL with *error set to a sentence where there is no
// compiler, where it knows no such name, or, to_run, where this processor cannot run it.
const Target *jit_target(Arena *arena, const JitOptions *options, bool to_run, const char **error);

// The same for GPUs: --march sm_90, or NULL, the GPU that is there; and what nvcc makes of it.
const Target *jit_gpu_target(Arena *arena, const JitOptions *options, const char **error);
// By a name of --march alone, or several with commas between, for text.
const Target *gpu_target(Arena *arena, const char *march, const char **error);
// The name of this machine's GPU. NULL with *why: a sentence.
const char *jit_find_gpu(Arena *arena, const char **why);

// NULL with *error set to a sentence (in the arena) where it cannot be had.
Jit *jit_load(Arena *arena, const char *c_source, const JitOptions *options, const char **error);
void *jit_symbol(const Jit *jit, const char *name); // NULL where there is none
// The same for a function, to be cast to its type; ISO C has no way there from a void *.
typedef void JitFunction(void);
JitFunction *jit_function(const Jit *jit, const char *name);
JitTier jit_tier(const Jit *jit); // the one that was taken
bool jit_from_cache(const Jit *jit);
void jit_free(Jit *jit);

const char *jit_tier_name(JitTier tier);     // auto, native, tcc, cuda
bool jit_has_tcc(void);                      // built with libtcc
const char *jit_find_compiler(Arena *arena); // path, or NULL

// Native tier: source may come in parts, so that they are compiled at the same time. A line that
// starts with this ends the part before it; the first part stands before each of the others.
#define JIT_UNIT_MARKER "// --- unit"
// Likewise, of a part that runs once: it is compiled quickly rather than to run quickly.
#define JIT_ONCE_MARKER JIT_UNIT_MARKER " once"

// --- Programs (jit/build.c)

// What built and emitted programs carry: the build tree's where nnc runs from there, else
// prefix/lib/nnc.
typedef struct RuntimeFiles {
    const char *library; // path of libnnc_program.a
    const char *sources; // folder of the runtime's .c and .h files
} RuntimeFiles;

// $NNC_RUNTIME_DIR alone where it is set. False with *error naming what was tried.
bool runtime_find(Arena *arena, RuntimeFiles *files, const char **error);

typedef struct ProgramVersion { // of the compiled functions, for one kind of processor
    const char *name;           // its files and its table (NAMEnnc_program) are called by it
    const char *march;          // NULL: native
    const char *source, *table; // C text
} ProgramVersion;

typedef struct ProgramParts {
    const ProgramVersion *version; // the one that asks least of a processor last
    int count;
    const char *main; // C text; refers to nnc_program, or to NAMEnnc_program of several versions
    const RuntimeFiles *runtime;
    const struct CCompiler *cuda; // nvcc, where the one version is for GPUs: it links, too; or NULL
    bool here; // for this machine's architecture: the library is linked, else its sources
} ProgramParts;

// Compiles and links the parts into `output`, which appears whole or not at all.
bool jit_build_program(Arena *arena, const ProgramParts *parts, const char *output,
                       const char **error);

#endif
