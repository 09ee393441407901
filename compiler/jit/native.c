// SPDX-License-Identifier: MIT
// The native tier: the system's C compiler, into a shared object that is kept (cache.c).
//
// Source that comes in parts is dealt out to as many compilers as there are processors. An
// optimising compiler is the slowest station of the whole way, and parts need nothing of each other
// but declarations.
#include "jit/internal.h"

#include "support/diag.h"
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PIECES = 64 };

typedef struct Piece { // of the source: what one compiler gets
    Buf text;
    const char *object;
    Process process;
} Piece;

typedef struct Build {
    Arena *arena;
    const CCompiler *compiler;
    const JitOptions *options;
    const char *folder; // temporary
    const char *failed; // log of the compiler that failed
} Build;

static bool is_marker(const char *line) {
    return strncmp(line, JIT_UNIT_MARKER, strlen(JIT_UNIT_MARKER)) == 0;
}

// The start of the first marker line from `text` on, or the end of the text.
static const char *find_marker(const char *text) {
    while (*text && !is_marker(text)) {
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

// The first part goes to all; each other to the piece that is the shortest so far.
static int split(Arena *arena, const char *source, Piece *piece, int most) {
    const char *unit = find_marker(source);
    int count = 0;
    for (const char *next; *unit; unit = next) {
        next = find_marker(unit + 1);
        int to = 0;
        for (int i = 1; i < count; i++)
            if (piece[i].text.length < piece[to].text.length) to = i;
        if (count < most) {
            to = count++;
            piece[to].text = buf_new(arena);
            buf_add_n(&piece[to].text, source, (size_t)(find_marker(source) - source));
        }
        buf_add_n(&piece[to].text, unit, (size_t)(next - unit));
    }
    if (count == 0) {
        piece[0].text = buf_new(arena);
        buf_add(&piece[0].text, source);
        count = 1;
    }
    return count;
}

static bool start_piece(Build *build, Piece *piece, int number) {
    Arena *arena = build->arena;
    const char *source = arena_printf(arena, "%s/piece%d.c", build->folder, number);
    const char *log = arena_printf(arena, "%s/piece%d.log", build->folder, number);
    piece->object = arena_printf(arena, "%s/piece%d.o", build->folder, number);
    build->failed = log;
    if (!file_write(source, piece->text.text, piece->text.length)) return false;
    Args args = compiler_args(arena, build->compiler, build->options->march, build->options->debug);
    args_add_words(&args, "-c -o");
    args_add(&args, piece->object);
    args_add(&args, source);
    piece->process = process_start(&args, log);
    return piece->process.pid > 0;
}

// -Bsymbolic: a compiled function that has the name of one of ours is called by the others all the
// same. -nostdlib: what it calls is in this process already, so that no library need be installed
// to link with.
static const char *link_pieces(Build *build, const Piece *piece, int count) {
    const char *object = path_join(build->arena, build->folder, "object.so");
    const char *log = path_join(build->arena, build->folder, "link.log");
    Args args =
        compiler_args(build->arena, build->compiler, build->options->march, build->options->debug);
    args_add_words(&args, "-shared -nostdlib -Wl,-Bsymbolic -o");
    args_add(&args, object);
    for (int i = 0; i < count; i++)
        args_add(&args, piece[i].object);
    build->failed = log;
    return process_wait(process_start(&args, log)) ? object : NULL;
}

// The path of the object, or NULL.
static const char *build_object(Build *build, const char *source) {
    Piece piece[MAX_PIECES] = {0};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int most = processors < 1 ? 1 : processors > MAX_PIECES ? MAX_PIECES : (int)processors;
    int count = split(build->arena, source, piece, most), started = 0;
    const char *failed = NULL;
    while (started < count && start_piece(build, &piece[started], started))
        started++;
    if (started < count) failed = build->failed;
    for (int i = 0; i < started; i++)
        if (!process_wait(piece[i].process) && !failed) failed = piece[i].process.log;
    if (!failed) return link_pieces(build, piece, count);
    build->failed = failed;
    return NULL;
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
    const char *says = first_line(arena, build->failed), *folder = temporary_folder(arena, NULL);
    const char *kept = arena_printf(arena, "%s/%s.c", folder ? folder : ".", key.hex);
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

static Jit *open_object(Arena *arena, const char *path, bool from_cache) {
    if (!has_symbols()) return NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return NULL;
    Jit *jit = ARENA_NEW(arena, Jit);
    *jit = (Jit){JIT_NATIVE, from_cache, handle};
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
    Jit *jit = open_object(build->arena, object, false);
    if (!jit)
        *error = arena_printf(build->arena, "the compiled model cannot be loaded: %s", dlerror());
    return jit;
}

Jit *native_load(Arena *arena, const CCompiler *compiler, const char *source,
                 const JitOptions *options, const char **error) {
    Cache cache = cache_open(arena, options->cache_dir);
    CacheKey key = cache_key(arena, compiler, options, source);
    if (cache.folder) {
        const char *path = cache_path(arena, cache, key);
        Jit *jit = cache_check(arena, path, key) ? open_object(arena, path, true) : NULL;
        if (jit) return jit;
    }
    Build build = {.arena = arena, .compiler = compiler, .options = options};
    build.folder = cache.folder ? temporary_folder(arena, cache.folder) : NULL;
    if (!build.folder) build.folder = temporary_folder(arena, NULL);
    if (!build.folder) {
        *error = "no folder to compile in: neither the cache nor $TMPDIR (or /tmp) can be written";
        return NULL;
    }
    Jit *jit = compile_and_open(&build, cache, key, source, error);
    folder_remove(build.folder);
    return jit;
}

void *native_symbol(const Jit *jit, const char *name) { return dlsym(jit->handle, name); }

void native_free(Jit *jit) { dlclose(jit->handle); }
