// SPDX-License-Identifier: MIT
// The native tier: the system's C compiler, into a shared object that is kept (cache.c).
//
// Source that comes in units is dealt out to as many compilers as there are processors (pieces.c).
#include "jit/internal.h"

#include "support/diag.h"
#include <dlfcn.h>
#include <string.h>

typedef struct Build {
    Arena *arena;
    const CCompiler *compiler;
    const JitOptions *options;
    const char *folder; // temporary
    const char *failed; // log of the compiler that failed
} Build;

// -Bsymbolic: a compiled function that has the name of one of ours is called by the others all the
// same. -nostdlib: what it calls is in this process already, so that no library need be installed
// to link with.
static const char *link_objects(Build *build, const Jobs *jobs) {
    const char *object = path_join(build->arena, build->folder, "object.so");
    const char *log = path_join(build->arena, build->folder, "link.log");
    Args args =
        compiler_args(build->arena, build->compiler, build->options->march, build->options->debug);
    args_add_words(&args, build->compiler->cuda ? "-shared -Xlinker -Bsymbolic -o"
                                                : "-shared -nostdlib -Wl,-Bsymbolic -o");
    args_add(&args, object);
    for (int i = 0; i < jobs->count; i++)
        args_add(&args, jobs->at[i].output);
    build->failed = log;
    return process_wait(process_start(&args, log)) ? object : NULL;
}

// The path of the object, or NULL.
static const char *build_object(Build *build, const char *source) {
    Jobs jobs = {0};
    Compilation how = {build->compiler, build->options->march, build->folder, "",
                       build->options->debug};
    build->failed = build->folder; // no log: it cannot be written
    bool added = build->compiler->cuda ? jobs_add_cuda(build->arena, &how, source, &jobs)
                                       : jobs_add_source(build->arena, &how, source, &jobs);
    if (!added) return NULL;
    const Job *failed = jobs_run(&jobs);
    if (!failed) return link_objects(build, &jobs);
    build->failed = failed->log;
    return NULL;
}

// Does the log say of a place in the source, or of a name in it, that it is wrong? Else something
// happened to the compiler: it was killed, there is no room on the disk.
static bool blames_source(Arena *arena, const char *log) {
    size_t length;
    const char *text = file_read(arena, log, &length);
    if (!text) return false;
    for (const char *at = text; (at = strstr(at, ": error: ")); at++)
        if (at > text && at[-1] >= '0' && at[-1] <= '9') return true;
    return strstr(text, "undefined reference") != NULL;
}

// Returns where it is not our mistake.
static void report_failure(Build *build, const char *source, CacheKey key, const char **error) {
    Arena *arena = build->arena;
    const char *log;
    if (!compiler_works(arena, build->compiler, build->options->march, build->folder, &log)) {
        *error = arena_printf(arena, "the C compiler '%s' does not work here: %s",
                              build->compiler->command, *log ? log : "it cannot be run");
        return;
    }
    if (!blames_source(arena, build->failed)) {
        log = first_line(arena, build->failed);
        *error = arena_printf(arena, "the C compiler '%s' failed: %s", build->compiler->command,
                              *log ? log : "it does not say why");
        return;
    }
    const char *says = first_line(arena, build->failed), *folder = temporary_folder(arena, NULL);
    const char *kept = arena_printf(arena, "%s/%s.%s", folder ? folder : ".", key.hex,
                                    build->compiler->cuda ? "cu" : "c");
    bool is_kept = file_write(kept, source, strlen(source));
    folder_remove(build->folder);
    bug("emitted C does not compile: %s\n(%s is in %s)", says, is_kept ? "it" : "none of it", kept);
}

// The loader finds by name what the object calls. That this program has it, though nothing else in
// it may call it, is because the table of symbols is used here.
static bool has_symbols(void) {
    int count;
    return runtime_symbols(&count) && count > 0;
}

static Jit *open_object(Arena *arena, const CCompiler *compiler, const char *path,
                        bool from_cache) {
    if (!has_symbols()) return NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return NULL;
    Jit *jit = ARENA_NEW(arena, Jit);
    *jit = (Jit){compiler->cuda ? JIT_CUDA : JIT_NATIVE, from_cache, handle};
    return jit;
}

static Jit *compile_and_open(Build *build, Cache cache, CacheKey key, const char *source,
                             const char **error) {
    const char *object = build_object(build, source);
    if (!object) {
        report_failure(build, source, key, error);
        return NULL;
    }
    const char *path = cache.folder ? cache_path(build->arena, cache, key) : NULL;
    if (path && cache_store(build->arena, cache, object, path, key)) object = path;
    Jit *jit = open_object(build->arena, build->compiler, object, false);
    if (!jit)
        *error = arena_printf(build->arena, "the compiled model cannot be loaded: %s", dlerror());
    return jit;
}

Jit *native_load(Arena *arena, const CCompiler *compiler, const char *source,
                 const JitOptions *options, const char **error) {
    Cache cache = cache_open(arena, options->cache_dir);
    const char *whole = compiler->cuda ? cuda_whole_source(arena, source) : source;
    CacheKey key = cache_key(arena, compiler, options, whole);
    if (cache.folder) {
        const char *path = cache_path(arena, cache, key);
        Jit *jit = cache_check(arena, path, key) ? open_object(arena, compiler, path, true) : NULL;
        if (jit) return jit;
    }
    Build build = {.arena = arena, .compiler = compiler, .options = options};
    build.folder = cache.folder ? temporary_folder(arena, cache.folder) : NULL;
    if (!build.folder) build.folder = temporary_folder(arena, NULL);
    if (!build.folder) {
        *error = no_folder;
        return NULL;
    }
    Jit *jit = compile_and_open(&build, cache, key, source, error);
    folder_remove(build.folder);
    return jit;
}

void *native_symbol(const Jit *jit, const char *name) { return dlsym(jit->handle, name); }

void native_free(Jit *jit) { dlclose(jit->handle); }
