// SPDX-License-Identifier: MIT
// nnc build, emit: the model as a program of its own, compiled or as source.
#include "cli/cli.h"

#include "columns.h"
#include "jit/internal.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>

// --- build

enum { MOST_VERSIONS = 3 };

// The names of --march that a program is compiled for, the most demanding first.
static int list_marches(const Settings *settings, const char *march[MOST_VERSIONS]) {
    static const char *const portable[MOST_VERSIONS] = {"x86-64-v4", "x86-64-v3", "x86-64"};
    bool several = is_portable(settings); // of processors: one version serves several GPUs
    for (int i = 0; i < (several ? MOST_VERSIONS : 1); i++)
        march[i] = several ? portable[i] : settings->jit.march;
    return several ? MOST_VERSIONS : 1;
}

static const char *table_text(Arena *arena, const NncProgram *program, const char *name) {
    Buf table = buf_new(arena);
    emit_table(&table, program, name);
    return table.text;
}

// The version for one processor. With a prefix to its names, where it is one of several.
static bool make_version(const Settings *given, const char *march, int number, bool several,
                         ProgramVersion *version, const Target **target) {
    Settings settings = *given;
    settings.jit.march = march;
    Compiled *compiled = load_compiled(&settings);
    if (!compiled) return false;
    *target = compiled->target;
    compiled->program.jit = "native";
    const char *name = several ? arena_printf(given->arena, "v%d_", number) : "";
    *version = (ProgramVersion){
        .name = name,
        .march = compiled->target->gpu ? compiled->target->name : march,
        .source = compiled->source,
        .table = table_text(given->arena, &compiled->program,
                            arena_printf(given->arena, "%snnc_program", name)),
    };
    return true;
}

// main() hands the runtime a table of each version.
static const char *main_text(Arena *arena, const ProgramVersion *version, int count) {
    Buf text = buf_new(arena);
    buf_add(&text,
            "// The program: train, eval, predict; `--help` says how.\n#include \"nnc.h\"\n\n");
    for (int i = 0; i < count; i++)
        buf_printf(&text, "extern const NncProgram %snnc_program;\n", version[i].name);
    buf_add(&text, "\nint main(int argc, char **argv) {\n"
                   "    static const NncProgram *const versions[] = {");
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%s&%snnc_program", i ? ", " : "", version[i].name);
    buf_printf(&text, "};\n    return nnc_main_of(versions, %d, argc, argv);\n}\n", count);
    return text.text;
}

int command_build(const Settings *settings) {
    Arena *arena = settings->arena;
    ProgramVersion version[MOST_VERSIONS];
    RuntimeFiles runtime;
    const char *error, *march[MOST_VERSIONS];
    const Target *target = NULL;
    int count = list_marches(settings, march);
    for (int i = 0; i < count; i++)
        if (!make_version(settings, march[i], i, count > 1, &version[i], &target)) return EXIT_USER;
    if (!runtime_find(arena, &runtime, &error)) return report("%s", error);
    ProgramParts parts = {.version = version,
                          .count = count,
                          .main = main_text(arena, version, count),
                          .runtime = &runtime,
                          .cuda = target->gpu ? target->compiler : NULL,
                          .here = target->gpu || target_is_here(target)};
    waiting("compiling %s", settings->output);
    bool built = jit_build_program(arena, &parts, settings->output, &error);
    waiting_over();
    return built ? EXIT_DONE : report("%s", error);
}

// --- emit

static bool write_text(Arena *arena, const char *folder, const char *name, const char *text) {
    const char *path = path_join(arena, folder, name);
    if (file_write(path, text, strlen(text))) return true;
    report("%s cannot be written: %s", path, strerror(errno));
    return false;
}

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
static bool copy_runtime(Arena *arena, const char *from, const char *to, bool for_gpu) {
    DIR *folder = opendir(from);
    bool copied = folder != NULL && folder_make(to);
    if (!copied) report("%s cannot be copied to %s: %s", from, to, strerror(errno));
    for (struct dirent *entry; copied && (entry = readdir(folder));)
        if (has_suffix(entry->d_name, ".c") || has_suffix(entry->d_name, ".h") ||
            (for_gpu && has_suffix(entry->d_name, ".cu")))
            copied = copy_file(arena, path_join(arena, from, entry->d_name),
                               path_join(arena, to, entry->d_name));
    if (folder) closedir(folder);
    return copied;
}

// @ stands for the program's name, ! for the processor or the GPUs.
static const char *const makefile_c =
    "# Builds the program with nothing but a C compiler; zlib and libpng are used when asked for:\n"
    "#     make WITH=\"ZLIB PNG\"\n"
    "# With objcopy, libraries that other programs train and ask the network by (@.h):\n"
    "#     make lib@.a lib@.so\n"
    "CC      ?= cc\n"
    "OBJCOPY ?= objcopy\n"
    "MARCH   ?= !\n"
    "CFLAGS  ?= -O3 -march=$(MARCH)\n"
    "LINK    := $(CC) $(CFLAGS) $(LDFLAGS)\n"
    "OBJECTS := program.o table.o\n";

static const char *const makefile_cuda =
    "# Builds the program with nvcc and a C compiler, for GPUs of the kinds in ARCH:\n"
    "#     make ARCH=\"sm_80 sm_90\"\n"
    "# zlib and libpng are used when asked for: WITH=\"ZLIB PNG\". With objcopy, libraries that "
    "other\n"
    "# programs train and ask the network by (@.h): make lib@.a lib@.so\n"
    "CC      ?= cc\n"
    "NVCC    ?= nvcc\n"
    "OBJCOPY ?= objcopy\n"
    "ARCH    ?= !\n"
    "CFLAGS  ?= -O3\n"
    "LINK    := $(NVCC) -cudart static $(LDFLAGS)\n"
    "OBJECTS := program.o runtime/cuda.o table.o\n\n"
    "%.o: %.cu $(wildcard runtime/*.h)\n"
    "\t$(NVCC) -std=c++17 -O3 -fmad=false -Xcompiler -fPIC -w -Iruntime \\\n"
    "\t    $(foreach gpu,$(ARCH:sm_%=%),-gencode arch=compute_$(gpu),code=sm_$(gpu)) -c -o $@ "
    "$<\n\n";

static const char *const makefile_rules =
    "FLAGS   := -std=gnu11 -fPIC -ffp-contract=off -fno-math-errno -fno-trapping-math -Iruntime "
    "\\\n"
    "           $(foreach name,$(WITH),-DNNC_HAVE_$(name)=1)\n"
    "LIBS_ZLIB := -lz\n"
    "LIBS_PNG  := -lpng\n"
    "LIBS    := $(foreach name,$(WITH),$(LIBS_$(name))) -lm -lpthread\n"
    "RUNTIME := $(patsubst %.c,%.o,$(wildcard runtime/*.c))\n\n"
    "@: main.o $(OBJECTS) $(RUNTIME)\n"
    "\t$(LINK) -o $@ $^ $(LIBS)\n\n"
    "# Of the network's own names only its table's can be seen: several networks go into one "
    "program.\n"
    "network.o: $(OBJECTS)\n"
    "\t$(CC) -r -nostdlib -o $@ $^\n"
    "\t$(OBJCOPY) --keep-global-symbol=@_program $@\n\n"
    "lib@.a: network.o $(RUNTIME)\n"
    "\trm -f $@\n"
    "\t$(AR) rcs $@ $^\n\n"
    "lib@.so: network.o $(RUNTIME)\n"
    "\t$(LINK) -shared -o $@ $^ $(LIBS)\n\n"
    "%.o: %.c $(wildcard runtime/*.h)\n"
    "\t$(CC) $(CFLAGS) $(FLAGS) -c -o $@ $<\n\n"
    "clean:\n"
    "\trm -f @ lib@.a lib@.so main.o network.o $(OBJECTS) $(RUNTIME)\n\n"
    ".PHONY: clean\n";

// A list of --march has commas, one of make's blanks.
static void add_march(Buf *text, const Target *target, const char *march) {
    if (!target->gpu) buf_add(text, jit_march_text(march));
    for (const char *at = target->gpu ? target->name : ""; *at; at++)
        buf_add_char(text, *at == ',' ? ' ' : *at);
}

static const char *makefile(Arena *arena, const char *name, const Target *target,
                            const char *march) {
    Buf text = buf_new(arena), all = buf_new(arena);
    buf_printf(&all, "%s%s", target->gpu ? makefile_cuda : makefile_c, makefile_rules);
    for (const char *at = all.text; *at; at++)
        if (*at == '@' && at[-1] != '$')
            buf_add(&text, name);
        else if (*at == '!')
            add_march(&text, target, march);
        else
            buf_add_char(&text, *at);
    return text.text;
}

static void describe_columns(Buf *out, const char *what, const NncColumn *column, int count) {
    char text[200];
    for (int i = 0; i < count; i++) {
        nnc_column_describe(&column[i], text, sizeof text);
        buf_printf(out, "//   %s %d: %s %s\n", what, i, column[i].name, text);
    }
}

// Names are C's: what they come from is the user's (a model's is a name of the language).
static const char *header_text(Arena *arena, const NncProgram *program, const char *name) {
    Buf text = buf_new(arena);
    buf_printf(&text, "// The network %s. runtime/net.h says what can be done with it.\n//\n",
               program->model);
    describe_columns(&text, "input", program->input, program->input_count);
    describe_columns(&text, "output", program->function[NNC_PREDICT].output,
                     program->function[NNC_PREDICT].output_count);
    buf_printf(&text, "#include \"runtime/net.h\"\n\nextern const NncProgram %s_program;\n", name);
    return text.text;
}

static const char *emitted_main(Arena *arena, const char *name) {
    return arena_printf(
        arena,
        "// The program: train, eval, predict; `--help` says how.\n"
        "#include \"%s.h\"\n\n"
        "int main(int argc, char **argv) { return nnc_main(&%s_program, argc, argv); }\n",
        name, name);
}

// simplenet of path/to/simplenet.nnd, reduced to what a Makefile, a shell and C take as it is.
static const char *program_name(Arena *arena, const char *file) {
    const char *slash = strrchr(file, '/');
    char *name = arena_strdup(arena, slash ? slash + 1 : file);
    name[strcspn(name, ".")] = 0;
    for (char *at = name; *at; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *at))
            *at = '_';
    static const char *const taken[] = {"", "clean", "runtime", "main", "network", "net", "nnc"};
    bool free = *name < '0' || *name > '9';
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        free = free && strcmp(name, taken[i]) != 0;
    return free ? name : arena_printf(arena, "the_%s", *name ? name : "network");
}

int command_emit(const Settings *settings) {
    Arena *arena = settings->arena;
    const char *folder = settings->output, *error;
    Compiled *compiled = load_compiled(settings);
    RuntimeFiles runtime;
    if (!compiled) return EXIT_USER;
    if (!runtime_find(arena, &runtime, &error)) return report("%s", error);
    if (!folder_make(folder)) return report("%s cannot be made: %s", folder, strerror(errno));
    compiled->program.jit = "native";
    const char *name = program_name(arena, settings->file);
    const char *table_name = arena_printf(arena, "%s_program", name);
    bool written =
        write_text(arena, folder, compiled->target->gpu ? "program.cu" : "program.c",
                   compiled->source) &&
        write_text(arena, folder, "table.c", table_text(arena, &compiled->program, table_name)) &&
        write_text(arena, folder, arena_printf(arena, "%s.h", name),
                   header_text(arena, &compiled->program, name)) &&
        write_text(arena, folder, "main.c", emitted_main(arena, name)) &&
        copy_runtime(arena, runtime.sources, path_join(arena, folder, "runtime"),
                     compiled->target->gpu > 0) &&
        write_text(arena, folder, "Makefile",
                   makefile(arena, name, compiled->target, settings->jit.march));
    return written ? EXIT_DONE : EXIT_USER;
}
