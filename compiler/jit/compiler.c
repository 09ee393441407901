// SPDX-License-Identifier: MIT
// The system's C compiler: which one, what it is told, and whether it works at all.
#include "jit/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// What emitted C is compiled with. No contraction: where a product and a sum are one rounding, the
// source says fmaf, so that every tier gives the same bits. errno and traps are nobody's, and both
// stand in the way of vectors; nothing here lets a compiler reorder sums. -w: the source is ours,
// not the user's.
static const char *const compile_flags =
    "-std=gnu11 -O3 -ffp-contract=off -fno-math-errno -fno-trapping-math -fPIC -w";

// Of -O3, what takes gcc a quarter of its time where code is long and straight, and gains nothing:
// the loops are in the order that they are to have. No bits depend on it.
static const char *const quick_flags =
    "-fno-tree-loop-distribution -fno-loop-unroll-and-jam -fno-loop-interchange "
    "-fno-unswitch-loops";

static const char *const default_compilers[] = {"cc", "gcc", "clang"};

static bool is_program(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static const char *find_in_path(Arena *arena, const char *name) {
    if (strchr(name, '/')) return is_program(name) ? name : NULL;
    const char *path = getenv("PATH");
    while (path && *path) {
        size_t length = strcspn(path, ":");
        const char *full = arena_printf(arena, "%.*s/%s", (int)length, path, name);
        if (length > 0 && is_program(full)) return full;
        path += length + (path[length] == ':');
    }
    return NULL;
}

static const char blanks[] = " \t\n";

// $CC is a path, blanks and all, or a program and words: "ccache gcc". The path stands for the
// first of them. No shell reads it.
static bool find_command(Arena *arena, const char *command, CCompiler *compiler) {
    command += strspn(command, blanks);
    size_t length =
        strchr(command, '/') && is_program(command) ? strlen(command) : strcspn(command, blanks);
    compiler->program = find_in_path(arena, arena_strndup(arena, command, length));
    if (!compiler->program) return false;
    compiler->words = arena_strdup(arena, command + length);
    compiler->command = arena_printf(arena, "%s%s", compiler->program, compiler->words);
    return true;
}

void args_add_compiler(Args *args, const CCompiler *compiler) {
    args_add(args, compiler->program);
    args_add_words(args, compiler->words);
}

// The line of its version: nvcc has others before it.
static const char *version_line(Arena *arena, const char *path) {
    size_t length;
    const char *text = file_read(arena, path, &length);
    const char *release = text ? strstr(text, "release ") : NULL;
    return release ? arena_strndup(arena, release, strcspn(release, "\n"))
                   : first_line(arena, path);
}

// What the compiler says of itself; "" where it does not.
static const char *ask_version(Arena *arena, const CCompiler *compiler) {
    Args args = args_new(arena);
    args_add_compiler(&args, compiler);
    args_add(&args, "--version");
    const char *folder = temporary_folder(arena, NULL), *version = NULL;
    if (folder) {
        const char *log = path_join(arena, folder, "version");
        if (process_wait(process_start(&args, log))) version = version_line(arena, log);
        folder_remove(folder);
    }
    return version ? version : "";
}

// A symbolic link to a wrapper says little; what the compiler says of itself, and the file behind
// its name, say the rest.
static const char *identify(Arena *arena, const CCompiler *compiler) {
    struct stat info = {0};
    char *real = realpath(compiler->program, NULL);
    stat(compiler->program, &info);
    const char *text =
        arena_printf(arena, "%s\n%s\n%lld %lld.%09ld\n%s", compiler->command, real ? real : "",
                     (long long)info.st_size, (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                     compiler->version);
    free(real);
    return text;
}

static bool find_any(Arena *arena, CCompiler *compiler) {
    const char *chosen = getenv("CC");
    if (chosen && *chosen) return find_command(arena, chosen, compiler);
    for (size_t i = 0; i < sizeof default_compilers / sizeof *default_compilers; i++)
        if (find_command(arena, default_compilers[i], compiler)) return true;
    return false;
}

const char *jit_find_compiler(Arena *arena) {
    CCompiler compiler;
    return find_any(arena, &compiler) ? compiler.command : NULL;
}

static void complete(Arena *arena, CCompiler *compiler) {
    compiler->version = ask_version(arena, compiler);
    compiler->identity = identify(arena, compiler);
}

bool compiler_find(Arena *arena, CCompiler *compiler, const char **error) {
    const char *chosen = getenv("CC");
    *compiler = (CCompiler){0};
    if (!find_any(arena, compiler)) {
        *error = chosen && *chosen
                     ? arena_printf(arena, "the C compiler named by $CC, '%s', is not to be found",
                                    chosen)
                     : "no C compiler: none of cc, gcc, clang is in $PATH (and $CC is not set)";
        return false;
    }
    complete(arena, compiler);
    return true;
}

static const char *const nvcc_places[] = {"nvcc", "/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc"};

bool nvcc_find(Arena *arena, CCompiler *compiler, const char **error) {
    const char *chosen = getenv("NVCC");
    bool is_chosen = chosen && *chosen;
    *compiler = (CCompiler){.cuda = true};
    bool found = is_chosen && find_command(arena, chosen, compiler);
    for (size_t i = 0; i < sizeof nvcc_places / sizeof *nvcc_places && !found && !is_chosen; i++)
        found = find_command(arena, nvcc_places[i], compiler);
    if (!found) {
        *error = is_chosen
                     ? arena_printf(arena,
                                    "the CUDA compiler named by $NVCC, '%s', is not to "
                                    "be found",
                                    chosen)
                     : "no CUDA compiler: nvcc is neither in $PATH nor in /usr/local/cuda/bin "
                       "(and $NVCC is not set)";
        return false;
    }
    complete(arena, compiler);
    return true;
}

const char *compiler_flags(void) { return compile_flags; }

// No compiler's name (runtime/processor.c).
static const char ours[] = "x86-64-v4+bf16";

const char *jit_march_text(const char *march) {
    if (!march) return "native";
    return strcmp(march, ours) ? march : "x86-64-v4 -mavx512bf16";
}

Args compiler_args(Arena *arena, const CCompiler *compiler, const char *march, bool debug) {
    Args args = args_new(arena);
    args_add_compiler(&args, compiler);
    if (compiler->cuda) {
        cuda_args_add(&args, march, debug);
        return args;
    }
    args_add_words(&args, compile_flags);
    const char *text = arena_printf(arena, "-march=%s", jit_march_text(march));
    (march && !strcmp(march, ours) ? args_add_words : args_add)(&args, text);
    if (debug) args_add(&args, "-g");
    return args;
}

const char *compiler_quick_flags(Arena *arena, const CCompiler *compiler, const char *folder) {
    Args args = args_new(arena);
    args_add_compiler(&args, compiler);
    args_add_words(&args, quick_flags);
    args_add_words(&args, "-fsyntax-only -x c /dev/null");
    return process_wait(process_start(&args, path_join(arena, folder, "flags.log"))) ? quick_flags
                                                                                     : "";
}

bool compiler_works(Arena *arena, const CCompiler *compiler, const char *march, const char *folder,
                    const char **log) {
    const char *source = path_join(arena, folder, compiler->cuda ? "probe.cu" : "probe.c");
    const char *printed = path_join(arena, folder, "probe.log");
    const char *text = "int probe(int x) { return x + 1; }\n";
    if (!file_write(source, text, strlen(text))) {
        *log = arena_printf(arena, "%s cannot be written", source);
        return false;
    }
    Args args = compiler_args(arena, compiler, march, false);
    args_add_words(&args, compiler->cuda ? "-shared -o" : "-shared -nostdlib -o");
    args_add(&args, path_join(arena, folder, "probe.so"));
    args_add(&args, source);
    bool works = process_wait(process_start(&args, printed));
    *log = first_line(arena, printed);
    return works;
}
