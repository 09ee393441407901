// SPDX-License-Identifier: MIT
// nnc build, emit: the model as a program of its own, compiled or as source.
#include "cli/cli.h"

#include "jit/internal.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const main_text =
    "// The program: train, eval, predict; `--help` says how.\n"
    "#include \"nnc.h\"\n\n"
    "extern const NncProgram nnc_program;\n\n"
    "int main(int argc, char **argv) { return nnc_main(&nnc_program, argc, argv); }\n";

// What a program is made of beside the runtime.
static const char *const source_names[] = {"program.c", "table.c", "main.c"};
enum { SOURCE_COUNT = 3 };

static bool write_sources(Arena *arena, const Compiled *compiled, const char *folder,
                          const char **paths) {
    Buf table = buf_new(arena);
    emit_table(&table, &compiled->program);
    const char *text[SOURCE_COUNT] = {compiled->source, table.text, main_text};
    for (int i = 0; i < SOURCE_COUNT; i++) {
        paths[i] = path_join(arena, folder, source_names[i]);
        if (!file_write(paths[i], text[i], strlen(text[i]))) {
            report("%s cannot be written: %s", paths[i], strerror(errno));
            return false;
        }
    }
    return true;
}

int command_build(const Settings *settings) {
    Arena *arena = settings->arena;
    Compiled *compiled = load_compiled(settings);
    RuntimeFiles runtime;
    const char *error, *paths[SOURCE_COUNT];
    if (!compiled) return EXIT_USER;
    if (!runtime_find(arena, &runtime, &error)) return report("%s", error);
    const char *folder = temporary_folder(arena, NULL);
    if (!folder) return report("no folder to compile in: $TMPDIR (or /tmp) cannot be written");
    compiled->program.jit = "native";
    bool built = write_sources(arena, compiled, folder, paths);
    if (built && !jit_build_program(arena, paths, SOURCE_COUNT, settings->output, &runtime,
                                    settings->jit.march, &error)) {
        report("%s", error);
        built = false;
    }
    folder_remove(folder);
    return built ? EXIT_DONE : EXIT_USER;
}

// --- emit

static bool has_suffix(const char *name, const char *suffix) {
    size_t length = strlen(name), end = strlen(suffix);
    return length > end && strcmp(name + length - end, suffix) == 0;
}

static bool copy_file(Arena *arena, const char *from, const char *to) {
    size_t length;
    const char *text = file_read(arena, from, &length);
    if (text && file_write(to, text, length)) return true;
    report("%s cannot be copied to %s: %s", from, to, strerror(errno));
    return false;
}

// All of the runtime's source; what of it needs a library is left out by its own #ifs.
static bool copy_runtime(Arena *arena, const char *from, const char *to) {
    DIR *folder = opendir(from);
    bool copied = folder != NULL && folder_make(to);
    if (!copied) report("%s cannot be copied to %s: %s", from, to, strerror(errno));
    for (struct dirent *entry; copied && (entry = readdir(folder));)
        if (has_suffix(entry->d_name, ".c") || has_suffix(entry->d_name, ".h"))
            copied = copy_file(arena, path_join(arena, from, entry->d_name),
                               path_join(arena, to, entry->d_name));
    if (folder) closedir(folder);
    return copied;
}

static const char *const makefile_text =
    "CFLAGS  ?= -O3 -march=$(MARCH)\n"
    "FLAGS   := -std=gnu11 -ffp-contract=off -fno-math-errno -fno-trapping-math -Iruntime \\\n"
    "           $(foreach name,$(WITH),-DNNC_HAVE_$(name)=1)\n"
    "LIBS_OPENBLAS := -lopenblas\n"
    "LIBS_ZLIB     := -lz\n"
    "LIBS_PNG      := -lpng\n"
    "LIBS    := $(foreach name,$(WITH),$(LIBS_$(name))) -lm -lpthread\n"
    "SOURCES := program.c table.c main.c $(wildcard runtime/*.c)\n"
    "OBJECTS := $(SOURCES:.c=.o)\n\n";

static const char *makefile(Arena *arena, const char *program, const char *march) {
    return arena_printf(
        arena,
        "# Builds the program with nothing but a C compiler. OpenBLAS, zlib and libpng are used\n"
        "# when asked for:\n"
        "#     make WITH=\"OPENBLAS ZLIB PNG\"\n"
        "CC      ?= cc\n"
        "MARCH   ?= %s\n"
        "%s%s: $(OBJECTS)\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS) $(LIBS)\n\n"
        "%%.o: %%.c $(wildcard runtime/*.h)\n\t$(CC) $(CFLAGS) $(FLAGS) -c -o $@ $<\n\n"
        "clean:\n\trm -f %s $(OBJECTS)\n\n.PHONY: clean\n",
        march ? march : "native", makefile_text, program, program);
}

// simplenet of path/to/simplenet.nnd, reduced to what a Makefile and a shell take as it is.
static const char *program_name(Arena *arena, const char *file) {
    const char *slash = strrchr(file, '/');
    char *name = arena_strdup(arena, slash ? slash + 1 : file);
    name[strcspn(name, ".")] = 0;
    for (char *at = name; *at; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *at))
            *at = '_';
    bool taken = !*name || strcmp(name, "clean") == 0 || strcmp(name, "runtime") == 0;
    return taken ? "net" : name;
}

int command_emit(const Settings *settings) {
    Arena *arena = settings->arena;
    Compiled *compiled = load_compiled(settings);
    RuntimeFiles runtime;
    const char *error, *paths[SOURCE_COUNT];
    if (!compiled) return EXIT_USER;
    if (!runtime_find(arena, &runtime, &error)) return report("%s", error);
    if (!folder_make(settings->output))
        return report("%s cannot be made: %s", settings->output, strerror(errno));
    compiled->program.jit = "native";
    const char *make = makefile(arena, program_name(arena, settings->file), settings->jit.march);
    const char *make_path = path_join(arena, settings->output, "Makefile");
    if (!write_sources(arena, compiled, settings->output, paths) ||
        !copy_runtime(arena, runtime.sources, path_join(arena, settings->output, "runtime")))
        return EXIT_USER;
    if (!file_write(make_path, make, strlen(make)))
        return report("%s cannot be written: %s", make_path, strerror(errno));
    return EXIT_DONE;
}
