// SPDX-License-Identifier: MIT
// Programs of their own: finds what they carry of the runtime, compiles and links.
#include "jit/internal.h"

#include <dirent.h>
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

// --- Compiling

typedef struct ProgramBuild {
    Arena *arena;
    const ProgramParts *parts;
    CCompiler compiler;
    const char *folder; // temporary
    Jobs jobs;
    const char *failed; // log of the program that failed, or NULL
} ProgramBuild;

typedef VEC(const char *) Paths;

// One unit of C text: the table, main().
static bool add_text(ProgramBuild *build, const char *march, const char *name, const char *text) {
    Arena *arena = build->arena;
    const char *source = arena_printf(arena, "%s/%s.c", build->folder, name);
    if (!file_write(source, text, strlen(text))) return false;
    Job job = {.output = arena_printf(arena, "%s/%s.o", build->folder, name),
               .log = arena_printf(arena, "%s/%s.log", build->folder, name)};
    job.args = compiler_args(arena, &build->compiler, march, false);
    args_add_words(&job.args, "-O1 -I");
    args_add(&job.args, build->parts->runtime->sources);
    args_add_words(&job.args, "-c -o");
    args_add(&job.args, job.output);
    args_add(&job.args, source);
    VEC_PUSH(arena, build->jobs, job);
    return true;
}

// The runtime from its sources, for another machine than this one: what of it needs a library is
// left out.
static bool add_runtime(ProgramBuild *build, const char *march) {
    Arena *arena = build->arena;
    const char *from = build->parts->runtime->sources;
    DIR *folder = opendir(from);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        if (length < 3 || strcmp(entry->d_name + length - 2, ".c")) continue;
        const char *stem = arena_printf(arena, "%s/runtime_%s", build->folder, entry->d_name);
        Job job = {.output = arena_printf(arena, "%s.o", stem),
                   .log = arena_printf(arena, "%s.log", stem)};
        job.args = compiler_args(arena, &build->compiler, march, false);
        args_add_words(&job.args, "-ffunction-sections -fdata-sections -c -o");
        args_add(&job.args, job.output);
        args_add(&job.args, path_join(arena, from, entry->d_name));
        VEC_PUSH(arena, build->jobs, job);
    }
    if (folder) closedir(folder);
    return folder != NULL;
}

// Of a program for GPUs, what is left for the processor is compiled for any.
#if defined(__x86_64__)
static const char any_processor[] = "x86-64";
#elif defined(__aarch64__)
static const char any_processor[] = "armv8-a";
#else
static const char any_processor[] = "native";
#endif

static bool add_version(ProgramBuild *build, const ProgramVersion *version) {
    const CCompiler *cuda = build->parts->cuda;
    Compilation how = {cuda ? cuda : &build->compiler, version->march, build->folder, version->name,
                       false};
    bool added = cuda ? jobs_add_cuda(build->arena, &how, version->source, &build->jobs)
                      : jobs_add_source(build->arena, &how, version->source, &build->jobs);
    return added && add_text(build, cuda ? any_processor : version->march,
                             arena_printf(build->arena, "%stable", version->name), version->table);
}

static bool compile_all(ProgramBuild *build) {
    const ProgramParts *parts = build->parts;
    const char *lowest = parts->cuda ? any_processor : parts->version[parts->count - 1].march;
    bool written = true;
    for (int i = 0; i < parts->count && written; i++)
        written = add_version(build, &parts->version[i]);
    written = written && add_text(build, lowest, "main", parts->main);
    if (written && !parts->here) written = add_runtime(build, lowest);
    const Job *failed = written ? jobs_run(&build->jobs) : NULL;
    if (failed) build->failed = failed->log;
    return written && !failed;
}

// --- Several versions: each becomes one object, of which only its table can be seen, under a name
// of its own

static bool run(ProgramBuild *build, Args *args, const char *name) {
    const char *log = arena_printf(build->arena, "%s/%s.log", build->folder, name);
    bool done = process_wait(process_start(args, log));
    if (!done) build->failed = log;
    return done;
}

// objcopy is the one that belongs to the C compiler.
static const char *find_objcopy(ProgramBuild *build) {
    Args args = args_new(build->arena);
    args_add_compiler(&args, &build->compiler);
    args_add(&args, "-print-prog-name=objcopy");
    bool asked = run(build, &args, "objcopy");
    const char *name =
        asked ? first_line(build->arena, path_join(build->arena, build->folder, "objcopy.log"))
              : "";
    return *name ? name : "objcopy";
}

static bool is_of(const ProgramBuild *build, const char *object, const char *version) {
    const char *name = object + strlen(build->folder) + 1;
    return strncmp(name, version, strlen(version)) == 0;
}

static const char *join_version(ProgramBuild *build, const char *version, const char *objcopy) {
    Arena *arena = build->arena;
    const char *whole = arena_printf(arena, "%s/%swhole.o", build->folder, version);
    Args join = args_new(arena), hide = args_new(arena);
    args_add_compiler(&join, &build->compiler);
    args_add_words(&join, "-r -nostdlib -o");
    args_add(&join, whole);
    for (int i = 0; i < build->jobs.count; i++)
        if (is_of(build, build->jobs.at[i].output, version))
            args_add(&join, build->jobs.at[i].output);
    args_add(&hide, objcopy);
    args_add(&hide, arena_printf(arena, "--keep-global-symbol=%snnc_program", version));
    args_add(&hide, whole);
    return run(build, &join, "join") && run(build, &hide, "hide") ? whole : NULL;
}

static bool join_versions(ProgramBuild *build, Paths *objects) {
    const char *objcopy = find_objcopy(build);
    for (int i = 0; i < build->parts->count; i++) {
        const char *whole = join_version(build, build->parts->version[i].name, objcopy);
        if (!whole) return false;
        VEC_PUSH(build->arena, *objects, whole);
    }
    return true;
}

// --- The program

// The objects to be linked.
static bool collect_objects(ProgramBuild *build, Paths *objects) {
    const ProgramParts *parts = build->parts;
    bool several = parts->count > 1;
    if (several && !join_versions(build, objects)) return false;
    for (int i = 0; i < build->jobs.count; i++) {
        const char *object = build->jobs.at[i].output;
        bool joined = false;
        for (int v = 0; v < parts->count && several; v++)
            joined = joined || is_of(build, object, parts->version[v].name);
        if (!joined) VEC_PUSH(build->arena, *objects, object);
    }
    return true;
}

static bool link_program(ProgramBuild *build, const char *to) {
    Paths objects = {0};
    const ProgramParts *parts = build->parts;
    if (!collect_objects(build, &objects)) return false;
    Args args = args_new(build->arena);
    args_add_compiler(&args, parts->cuda ? parts->cuda : &build->compiler);
    args_add_words(&args, parts->cuda ? "-cudart static -Xcompiler -static-libgcc -Xcompiler "
                                        "-static-libstdc++ -Xlinker --gc-sections -o"
                                      : "-static-libgcc -Wl,--gc-sections -o");
    args_add(&args, to);
    for (int i = 0; i < objects.count; i++)
        args_add(&args, objects.at[i]);
    if (parts->here) args_add(&args, parts->runtime->library);
    args_add_words(&args, "-lm -lpthread");
    return run(build, &args, "link");
}

static const char *folder_of(Arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == path ? "/" : slash ? arena_strndup(arena, path, (size_t)(slash - path)) : ".";
}

bool jit_build_program(Arena *arena, const ProgramParts *parts, const char *output,
                       const char **error) {
    ProgramBuild build = {.arena = arena, .parts = parts};
    if (!compiler_find(arena, &build.compiler, error)) return false;
    build.folder = temporary_folder(arena, NULL);
    if (!build.folder) {
        *error = no_folder;
        return false;
    }
    const char *aside = folder_new(arena, folder_of(arena, output)); // on the same file system
    const char *program = aside ? path_join(arena, aside, "program") : NULL;
    bool built = aside && compile_all(&build) && link_program(&build, program) &&
                 rename(program, output) == 0;
    if (aside) folder_remove(aside);
    if (!built) {
        const char *says = build.failed ? first_line(arena, build.failed) : "";
        *error = arena_printf(arena, "'%s' could not make %s: %s", build.compiler.command, output,
                              *says ? says : "it cannot be written there");
    }
    folder_remove(build.folder);
    return built;
}
