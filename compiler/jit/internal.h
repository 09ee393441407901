// SPDX-License-Identifier: MIT
// What the files of jit/ share.
#ifndef NNC_JIT_INTERNAL_H
#define NNC_JIT_INTERNAL_H

#include "jit/jit.h"
#include "support/buf.h"
#include <stdio.h>

struct Jit {
    JitTier tier;
    bool from_cache;
    void *handle; // of dlopen, or a TCCState
};

// --- process.c

// A growing, NULL-terminated argument list.
typedef struct Args {
    Arena *arena;
    VEC(const char *) list;
} Args;

Args args_new(Arena *arena);
void args_add(Args *args, const char *arg);
void args_add_words(Args *args, const char *words); // split at blanks

typedef struct Process { // one that was started
    int pid;             // -1: could not be started
    const char *log;     // path of what it prints
} Process;

Process process_start(const Args *args, const char *log);
bool process_wait(Process process); // true where it ended with status 0

typedef struct Job { // a compiler to be run
    Args args;
    const char *output, *log; // paths
} Job;

typedef VEC(Job) Jobs;

int processor_count(void);
// Runs all of them, in their order, as many at a time as there are processors. The first that
// failed; NULL: none.
const Job *jobs_run(const Jobs *jobs);

// --- files.c

const char *path_join(Arena *arena, const char *folder, const char *name);
bool folder_make(const char *path); // and those above it
bool file_write(const char *path, const char *text, size_t length);
const char *first_line(Arena *arena, const char *path);          // "" where it cannot be read
char *file_read(Arena *arena, const char *path, size_t *length); // NULL where it cannot be read
// Only a file of ours that nobody else may write to, and no symbolic link.
char *file_read_ours(Arena *arena, const char *path, size_t *length);
bool folder_is_safe(const char *path); // nobody else can put another one in its place
bool folder_is_ours(const char *path); // and nobody else may write to it
void folder_remove(const char *path);                            // and the files in it
const char *folder_new(Arena *arena, const char *parent);         // for us alone; NULL
// The same in $TMPDIR, or /tmp, where there is no parent; NULL where others could replace it.
const char *temporary_folder(Arena *arena, const char *parent);  

extern const char no_folder[]; // the error where there is no temporary one

// --- compiler.c

typedef struct CCompiler {
    const char *program, *words; // path; what $CC had behind it
    const char *command;         // both, for messages
    const char *version;  // the first line of what it says of itself
    const char *identity; // differs where another program would run: path, version, size, time
    bool cuda;            // nvcc
} CCompiler;

// False with *error set where there is none.
bool compiler_find(Arena *arena, CCompiler *compiler, const char **error);
// The same of nvcc: $NVCC, or in $PATH or where CUDA is installed.
bool nvcc_find(Arena *arena, CCompiler *compiler, const char **error);
void args_add_compiler(Args *args, const CCompiler *compiler);
const char *compiler_flags(void); // without -march, which each call has, too
// The first words of each call: command and flags; march NULL: native.
Args compiler_args(Arena *arena, const CCompiler *compiler, const char *march, bool debug);
// Flags that shorten the compilation of emitted code; "" where the compiler does not know them.
const char *compiler_quick_flags(Arena *arena, const CCompiler *compiler, const char *folder);
// Compiles and links a line of C. A compiler that cannot do that is not our mistake.
// Else *log is the first line of what it says.
bool compiler_works(Arena *arena, const CCompiler *compiler, const char *march, const char *folder,
                    const char **log);

// --- pieces.c

typedef struct Piece { // of a source: what one compiler gets
    double cost;       // estimated
    Buf text;
    bool once; // what runs once: to be compiled quickly
} Piece;

typedef VEC(Piece) Pieces;

// The largest first. A source without units is one piece.
Pieces source_pieces(Arena *arena, const char *source);

typedef struct Compilation { // how pieces become objects
    const CCompiler *compiler;
    const char *march, *folder, *prefix; // of the files' names in the folder
    bool debug;
} Compilation;

// A job for each piece, whose output is an object. False where the folder cannot be written.
bool jobs_add_source(Arena *arena, const Compilation *how, const char *source, Jobs *jobs);

// --- cache.c

typedef struct Cache {
    const char *folder; // NULL: none that we may trust or write to
} Cache;

typedef struct CacheKey {
    char hex[33];
} CacheKey;

Cache cache_open(Arena *arena, const char *folder);
// Where what was measured of a target is kept: by its processor, its compiler and its flags. NULL:
// nowhere.
const char *cache_target_file(Arena *arena, Cache cache, const Target *target);
CacheKey cache_key(Arena *arena, const CCompiler *compiler, const JitOptions *options,
                   const char *source);
const char *cache_path(Arena *arena, Cache cache, CacheKey key);
// True where the file at `path` is a whole object that was stored under `key`, by us.
bool cache_check(Arena *arena, const char *path, CacheKey key);
// Seals the object at `object` and moves it to `path`; then takes out the oldest over the limit.
bool cache_store(Arena *arena, Cache cache, const char *object, const char *path, CacheKey key);

// C source without #line and the lines that are comments, which change no code.
char *source_normalize(Arena *arena, const char *source);

// --- gpu.c, cuda.c

typedef struct Gpu {
    const char *name;
    int capability; // 90 of sm_90
} Gpu;

// The first GPU. False with *why where there is none.
bool gpu_find(Arena *arena, Gpu *gpu, const char **why);
// What nvcc is told of the GPUs that code is for: sm_90, or sm_80,sm_90.
void cuda_args_add(Args *args, const char *march, bool debug);
// A job for the kernels and one for the runtime's part. False where files are missing.
bool jobs_add_cuda(Arena *arena, const Compilation *how, const char *source, Jobs *jobs);
const char *cuda_whole_source(Arena *arena, const char *source); // with the runtime's part

// --- native.c, tcc.c, symbols.c

Jit *native_load(Arena *arena, const CCompiler *compiler, const char *source,
                 const JitOptions *options, const char **error);
void native_free(Jit *jit);
void *native_symbol(const Jit *jit, const char *name);

Jit *instant_load(Arena *arena, const char *source, const char **error);
void instant_free(Jit *jit);
void *instant_symbol(const Jit *jit, const char *name);

typedef struct RuntimeSymbol {
    const char *name;
    void *address;
} RuntimeSymbol;

const RuntimeSymbol *runtime_symbols(int *count);

#endif
