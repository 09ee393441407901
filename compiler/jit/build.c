// SPDX-License-Identifier: MIT
// Programs of their own: finds what they carry of the runtime, compiles and links.
#include "jit/internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0;
}

// The folder that this program lies in, or NULL.
static const char *program_folder(Arena *arena) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    char *slash = strrchr(path, '/');
    *slash = 0;
    return arena_strdup(arena, path);
}

static bool try_runtime(Arena *arena, RuntimeFiles files, RuntimeFiles *found, Buf *tried) {
    bool complete = exists(files.library) && exists(path_join(arena, files.sources, "nnc.h"));
    if (complete)
        *found = files;
    else
        buf_printf(tried, "%s%s", tried->length ? ", " : "", files.library);
    return complete;
}

static RuntimeFiles files_in(Arena *arena, const char *folder) {
    return (RuntimeFiles){path_join(arena, folder, "libnnc_program.a"), folder};
}

bool runtime_find(Arena *arena, RuntimeFiles *files, const char **error) {
    const char *chosen = getenv("NNC_RUNTIME_DIR"), *here = program_folder(arena);
    Buf tried = buf_new(arena);
    if (chosen && *chosen) {
        if (try_runtime(arena, files_in(arena, chosen), files, &tried)) return true;
    } else {
        RuntimeFiles build_tree = {NNC_BUILD_ROOT "/runtime/libnnc_program.a",
                                   NNC_SOURCE_ROOT "/runtime"};
        bool in_build_tree = here && strncmp(here, NNC_BUILD_ROOT, strlen(NNC_BUILD_ROOT)) == 0;
        if (in_build_tree && try_runtime(arena, build_tree, files, &tried)) return true;
        if (here && try_runtime(arena, files_in(arena, path_join(arena, here, "../lib/nnc")), files,
                                &tried))
            return true;
        if (try_runtime(arena, files_in(arena, NNC_RUNTIME_INSTALLED), files, &tried)) return true;
    }
    *error = arena_printf(arena,
                          "nnc's runtime (libnnc_program.a, with nnc.h) is missing; tried %s; "
                          "NNC_RUNTIME_DIR can name its folder",
                          tried.text);
    return false;
}

bool jit_build_program(Arena *arena, const char *const *sources, int count, const char *output,
                       const RuntimeFiles *runtime, const char *march, const char **error) {
    CCompiler compiler;
    if (!compiler_find(arena, &compiler, error)) return false;
    const char *temporary = arena_printf(arena, "%s.%ld.tmp", output, (long)getpid());
    const char *log = arena_printf(arena, "%s.%ld.log", output, (long)getpid());
    Args args = compiler_args(arena, &compiler, march, false);
    args_add_words(&args, "-static-libgcc -Wl,--gc-sections -I");
    args_add(&args, runtime->sources);
    args_add(&args, "-o");
    args_add(&args, temporary);
    for (int i = 0; i < count; i++)
        args_add(&args, sources[i]);
    args_add(&args, runtime->library);
    args_add_words(&args, "-lm -lpthread");
    bool built = process_wait(process_start(&args, log)) && rename(temporary, output) == 0;
    if (!built) {
        const char *says = first_line(arena, log);
        *error = arena_printf(arena, "'%s' could not make %s: %s", compiler.command, output,
                              *says ? says : "it cannot be written there");
        unlink(temporary);
    }
    unlink(log);
    return built;
}
