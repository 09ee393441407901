// SPDX-License-Identifier: MIT
// Both tiers on C written by hand; the cache on files that someone damaged.
#include "jit/internal.h"

#include "nnc.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef float FloatFunction(float);

static const char *const half = "float half(float x) { return x * 0.5f; }\n";

static const char *const in_parts = "float power(float, float);\n"
                                    "#define SIX 6.0f\n"
                                    "float twice(float x);\n"
                                    "// --- unit\n"
                                    "float twice(float x) { return x + x; }\n"
                                    "// --- unit\n"
                                    "float twelve(float x) { return twice(x) * SIX; }\n"
                                    "// --- unit\n"
                                    "float third(float x) { return x / 3; }\n";

static Arena *arena;
static char folder[] = "/tmp/nnc-test-jit-XXXXXX";

static void set_up(void) {
    arena = arena_new();
    cr_assert(mkdtemp(folder));
    setenv("NNC_CACHE", folder, 1);
    unsetenv("CC");
}

static void tear_down(void) {
    folder_remove(folder);
    arena_free(arena);
}

TestSuite(jit, .init = set_up, .fini = tear_down);

static Jit *load(JitTier tier, const char *source) {
    const char *error = "no error";
    Jit *jit = jit_load(arena, source, &(JitOptions){.tier = tier}, &error);
    cr_assert(jit, "%s", error);
    return jit;
}

static float call(const Jit *jit, const char *name, float x) {
    FloatFunction *function = (FloatFunction *)jit_function(jit, name);
    cr_assert(function);
    return function(x);
}

// The path of the only object in the cache.
static const char *only_object(void) {
    const char *path = NULL;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') {
            cr_assert_null(path, "more than an object is left: %s", entry->d_name);
            path = path_join(arena, folder, entry->d_name);
        }
    closedir(dir);
    cr_assert(path);
    return path;
}

Test(jit, native_computes_and_caches) {
    Jit *first = load(JIT_NATIVE, half);
    cr_assert_float_eq(call(first, "half", 3), 1.5f, 0);
    cr_assert_not(jit_from_cache(first));
    jit_free(first);
    Jit *second = load(JIT_NATIVE, half);
    cr_assert(jit_from_cache(second));
    cr_assert_float_eq(call(second, "half", 3), 1.5f, 0);
    jit_free(second);
}

Test(jit, native_parts_call_each_other) {
    Jit *jit = load(JIT_NATIVE, in_parts);
    cr_assert_float_eq(call(jit, "twelve", 2), 24, 0);
    cr_assert_float_eq(call(jit, "third", 9), 3, 0);
    cr_assert_null(jit_symbol(jit, "fourth"));
    jit_free(jit);
}

Test(jit, tcc_computes) {
    if (!jit_has_tcc()) cr_skip_test("built without libtcc");
    Jit *jit = load(JIT_TCC, in_parts);
    cr_assert_eq(jit_tier(jit), JIT_TCC);
    cr_assert_float_eq(call(jit, "twelve", 2), 24, 0);
    jit_free(jit);
}

Test(jit, both_tiers_reach_the_listed_symbols) {
    const char *source =
        "float fmaf(float, float, float); void *memset(void *, int, unsigned long);\n"
        "float f(float x) { char b[4]; memset(b, 1, 4); return fmaf(x, 2, b[3]); }\n"
        "float wide(float x) { unsigned long long u = (unsigned long long)x;"
        " return (float)(u + 0x8000000000000000ull); }\n";
    for (JitTier tier = JIT_NATIVE; tier <= (jit_has_tcc() ? JIT_TCC : JIT_NATIVE); tier++) {
        Jit *jit = load(tier, source);
        cr_assert_float_eq(call(jit, "f", 3), 7, 0);
        cr_assert_float_eq(call(jit, "wide", 3), 9223372036854775808.0f, 0);
        jit_free(jit);
    }
}

// A function of the program's own that has the same name must not take its place.
float twice(float x);
float twice(float x) { return -x; }

Test(jit, own_functions_come_first) {
    Jit *jit = load(JIT_NATIVE, in_parts);
    cr_assert_float_eq(call(jit, "twelve", 2), 24, 0);
    jit_free(jit);
}

static void damage(const char *path, long at, long cut_to) {
    FILE *file = fopen(path, "r+b");
    cr_assert(file);
    if (at >= 0) {
        fseek(file, at, SEEK_SET);
        putc('x', file);
    }
    fclose(file);
    if (cut_to >= 0) cr_assert_eq(truncate(path, cut_to), 0);
}

Test(jit, damaged_objects_are_compiled_anew) {
    jit_free(load(JIT_NATIVE, half));
    const char *path = only_object();
    struct stat whole;
    stat(path, &whole);
    const long cuts[] = {0, 10, 1000, (long)whole.st_size - 1, -1, -1, -1};
    const long bytes[] = {-1, -1, -1, -1, 0, 600, (long)whole.st_size - 3};
    for (int i = 0; i < 7; i++) {
        damage(path, bytes[i], cuts[i]);
        Jit *jit = load(JIT_NATIVE, half);
        cr_assert_not(jit_from_cache(jit), "damage %d was loaded", i);
        cr_assert_float_eq(call(jit, "half", 3), 1.5f, 0);
        jit_free(jit);
    }
}

Test(jit, renamed_object_is_not_loaded) {
    jit_free(load(JIT_NATIVE, half));
    const char *first = only_object(), *aside = path_join(arena, folder, ".aside");
    rename(first, aside);
    jit_free(load(JIT_NATIVE, "float half(float x) { return x * 0.25f; }\n"));
    const char *second = only_object();
    rename(aside, second);
    Jit *jit = load(JIT_NATIVE, "float half(float x) { return x * 0.25f; }\n");
    cr_assert_float_eq(call(jit, "half", 4), 1, 0);
    jit_free(jit);
}

Test(jit, objects_others_may_write_are_not_loaded) {
    jit_free(load(JIT_NATIVE, half));
    chmod(only_object(), 0666);
    Jit *jit = load(JIT_NATIVE, half);
    cr_assert_not(jit_from_cache(jit));
    jit_free(jit);
}

static const char *large_object(const char *name, long age) {
    const char *path = path_join(arena, folder, name);
    struct timespec used[2] = {{time(NULL) - age, 0}, {time(NULL) - age, 0}};
    cr_assert(file_write(path, "", 0));
    cr_assert_eq(truncate(path, 600L << 20), 0); // a hole: takes no room
    cr_assert_eq(utimensat(AT_FDCWD, path, used, 0), 0);
    return path;
}

Test(jit, cache_keeps_to_its_size) {
    const char *young = large_object("young.so", 100), *old = large_object("old.so", 1000);
    const char *other = large_object("other.txt", 2000);
    jit_free(load(JIT_NATIVE, half));
    cr_assert_eq(access(old, F_OK), -1);
    cr_assert_eq(access(young, F_OK), 0);
    cr_assert_eq(access(other, F_OK), 0, "what is not ours is left alone");
    Jit *jit = load(JIT_NATIVE, half);
    cr_assert(jit_from_cache(jit));
    jit_free(jit);
}

Test(jit, unusable_cache_folder_is_done_without) {
    setenv("NNC_CACHE", "/dev/null/cache", 1);
    Jit *jit = load(JIT_NATIVE, half);
    cr_assert_float_eq(call(jit, "half", 3), 1.5f, 0);
    jit_free(jit);
}

Test(jit, missing_compiler_is_an_error_or_tcc) {
    const char *error = NULL;
    setenv("CC", "/no/such/compiler", 1);
    cr_assert_null(jit_load(arena, half, &(JitOptions){.tier = JIT_NATIVE}, &error));
    cr_assert(strstr(error, "/no/such/compiler"), "%s", error);
    cr_assert_null(jit_find_compiler(arena));
    if (!jit_has_tcc()) return;
    Jit *jit = load(JIT_AUTO, half);
    cr_assert_eq(jit_tier(jit), JIT_TCC);
    jit_free(jit);
}

Test(jit, compiler_that_does_not_work_is_no_bug_of_ours) {
    const char *error = NULL;
    setenv("CC", "false", 1);
    cr_assert_null(jit_load(arena, half, &(JitOptions){.tier = JIT_NATIVE}, &error));
    cr_assert(strstr(error, "does not work"), "%s", error);
}

static const char *script(const char *name, const char *text) {
    const char *path = path_join(arena, folder, name);
    const char *whole = arena_printf(arena, "#!/bin/sh\n%s\n", text);
    cr_assert(file_write(path, whole, strlen(whole)));
    chmod(path, 0700);
    return path;
}

// What the native tier says of a C compiler that is such a script.
static const char *compiler_error(const char *text) {
    const char *error = NULL;
    setenv("CC", script(".cc", text), 1);
    cr_assert_null(jit_load(arena, half, &(JitOptions){.tier = JIT_NATIVE}, &error));
    unlink(path_join(arena, folder, ".cc"));
    cr_assert(error && *error);
    return error;
}

static int entries(void) {
    int count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

// Only what compiles emitted code is in trouble here: the probe works.
#define PROBED "case \"$*\" in *probe*|*--version*) exec cc \"$@\";; esac\n"

Test(jit, compiler_that_is_killed_is_no_bug_of_ours) {
    cr_assert(strstr(compiler_error("kill -9 $$"), "killed by signal 9"));
    cr_assert(strstr(compiler_error(PROBED "kill -9 $$"), "killed by signal 9"));
    cr_assert(strstr(compiler_error(PROBED "echo 'fatal error: Killed signal terminated program "
                                           "cc1'; exit 1"),
                     "Killed signal"));
    cr_assert(strstr(compiler_error(PROBED "exit 1"), "does not say why"));
    cr_assert_eq(entries(), 0, "something was left in the cache");
}

Test(jit, compiler_that_hangs_is_ended) {
    setenv("NNC_CC_SECONDS", "1", 1);
    cr_assert(strstr(compiler_error(PROBED "exec sleep 100"), "more than 1 seconds"));
    cr_assert(strstr(compiler_error(PROBED "trap '' TERM; while :; do read -r x; done </dev/zero"),
                     "more than 1 seconds"));
    cr_assert_eq(entries(), 0, "something was left in the cache");
}

Test(jit, the_name_of_a_compiler_is_no_command_of_a_shell) {
    const char *witness = path_join(arena, folder, ".witness"), *error = NULL;
    // What cc itself makes of words that are no files is its own affair.
    const char *const names[] = {"cc; touch %s", "cc $(touch %s)", "cc `touch %s`"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[200];
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, names[i], witness);
        setenv("CC", text, 1);
        cr_assert_null(jit_load(arena, half, &(JitOptions){.tier = JIT_NATIVE}, &error));
        cr_assert_eq(access(witness, F_OK), -1, "%s was run by a shell", text);
    }
}

Test(jit, a_compiler_may_have_blanks_in_its_path) {
    const char *tools = path_join(arena, folder, ".my tools");
    cr_assert(folder_make(tools));
    const char *real = jit_find_compiler(arena); // not `cc`, which is the script
    const char *compiler = script(".my tools/cc", arena_printf(arena, "exec '%s' \"$@\"", real));
    setenv("CC", compiler, 1);
    jit_free(load(JIT_NATIVE, half));
    setenv("CC", arena_printf(arena, "%s -DX", compiler), 1);
    const char *error = NULL;
    cr_assert_null(jit_load(arena, half, &(JitOptions){.tier = JIT_NATIVE}, &error), "ambiguous");
    unsetenv("CC");
    const char *path = getenv("PATH");
    setenv("PATH", arena_printf(arena, "%s:%s", tools, path), 1);
    Jit *jit = load(JIT_NATIVE, half);
    cr_assert_float_eq(call(jit, "half", 3), 1.5f, 0);
    jit_free(jit);
    folder_remove(tools);
}

// --- Whose code runs

Test(jit, folders_others_may_write_to_are_no_cache) {
    const mode_t modes[] = {0777, 0770, 01777, 0775};
    for (int i = 0; i < 4; i++) {
        chmod(folder, modes[i]);
        cr_assert_null(cache_open(arena, folder).folder, "mode %o", (unsigned)modes[i]);
        jit_free(load(JIT_NATIVE, half)); // done without
        cr_assert_eq(entries(), 0);
    }
    chmod(folder, 0700);
    cr_assert(cache_open(arena, folder).folder);
}

Test(jit, a_cache_in_a_folder_of_all_is_none) {
    const char *shared = path_join(arena, folder, "shared"), *own = path_join(arena, shared, "own");
    cr_assert(folder_make(own));
    cr_assert(cache_open(arena, own).folder);
    chmod(shared, 0777); // anyone could move `own` away and put another one there
    cr_assert_null(cache_open(arena, own).folder);
    cr_assert_null(temporary_folder(arena, shared));
    setenv("TMPDIR", shared, 1);
    cr_assert(strncmp(temporary_folder(arena, NULL), "/tmp/nnc-", 9) == 0);
    chmod(shared, 01777); // as /tmp is
    cr_assert(cache_open(arena, own).folder);
    rmdir(own);
    rmdir(shared);
}

Test(jit, another_user_s_folder_is_no_cache) {
    if (geteuid() != 0) cr_skip_test("only root can give folders away");
    const char *theirs = path_join(arena, folder, "theirs"), *own = path_join(arena, theirs, "own");
    cr_assert(folder_make(own));
    cr_assert_eq(chown(own, 12345, 12345), 0);
    cr_assert_null(cache_open(arena, own).folder);
    cr_assert_eq(chown(own, 0, 0), 0);
    cr_assert_eq(chown(theirs, 12345, 12345), 0);
    cr_assert_null(cache_open(arena, own).folder, "on the way to it there is another user's");
    rmdir(own);
    rmdir(theirs);
}

Test(jit, objects_of_others_and_links_are_not_loaded) {
    jit_free(load(JIT_NATIVE, half));
    const char *object = only_object(), *aside = path_join(arena, folder, ".aside");
    struct stat info;
    cr_assert_eq(stat(object, &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600);
    rename(object, aside);
    cr_assert_eq(symlink(aside, object), 0);
    Jit *jit = load(JIT_NATIVE, half);
    cr_assert_not(jit_from_cache(jit), "a link was followed");
    jit_free(jit);
    cr_assert_eq(lstat(object, &info), 0);
    cr_assert(S_ISREG(info.st_mode), "a link is replaced, what it leads to is left alone");
    if (geteuid() != 0) return;
    cr_assert_eq(chown(object, 12345, 12345), 0);
    jit = load(JIT_NATIVE, half);
    cr_assert_not(jit_from_cache(jit), "another user's object was loaded");
    jit_free(jit);
}

Test(jit, what_is_no_file_is_not_loaded) {
    jit_free(load(JIT_NATIVE, half));
    const char *object = only_object();
    unlink(object);
    cr_assert_eq(mkfifo(object, 0600), 0); // to be read, it would wait for a writer
    Jit *jit = load(JIT_NATIVE, half);
    cr_assert_not(jit_from_cache(jit));
    cr_assert_float_eq(call(jit, "half", 3), 1.5f, 0);
    jit_free(jit);
}

Test(jit, a_mask_that_lets_the_group_write_does_no_harm) {
    umask(0);
    jit_free(load(JIT_NATIVE, half));
    Jit *jit = load(JIT_NATIVE, half);
    cr_assert(jit_from_cache(jit));
    jit_free(jit);
}

Test(jit, several_processes_fill_one_cache) {
    enum { PROCESSES = 4, OBJECTS = 3 };
    pid_t pid[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pid[i] = fork();
        for (int k = 0; k < OBJECTS && pid[i] == 0; k++) {
            const char *text = arena_printf(arena, "float half(float x) { return x * %d; }\n", k);
            Jit *jit = load(JIT_NATIVE, text);
            if (call(jit, "half", 2) != (float)(2 * k)) _exit(1);
            jit_free(jit);
        }
        if (pid[i] == 0) _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        cr_assert(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
    }
    cr_assert_eq(entries(), OBJECTS, "temporary folders are left, or objects are missing");
}

Test(jit, wrong_c_is_a_bug_of_ours, .exit_code = 3) {
    freopen("/dev/null", "w", stderr);
    setenv("TMPDIR", folder, 1);
    const char *error;
    jit_load(arena, "float half(float x) { return y; }\n", &(JitOptions){.tier = JIT_NATIVE},
             &error);
}

Test(jit, comments_and_lines_change_no_key) {
    const char *plain =
        source_normalize(arena, "int a;\nchar *b = \"// no /* comment\";\nint c = 'a';\n");
    const char *dressed = source_normalize(arena, "// the first\nint a;\n#line 7 \"x.nnd\"\n"
                                                  "char *b = \"// no /* comment\";\n  // more\n\n"
                                                  "    int c = 'a';\n");
    cr_assert(strstr(plain, "// no /* comment"));
    cr_assert_str_eq(plain, dressed);
    cr_assert_str_neq(source_normalize(arena, "int a = 1;"), source_normalize(arena, "int a = 2;"));
    cr_assert(strstr(source_normalize(arena, "a\n// --- unit\nb\n"), "// --- unit"));
}

Test(jit, same_source_with_other_comments_is_cached) {
    jit_free(load(JIT_NATIVE, half));
    const char *dressed = arena_printf(arena, "// half of it\n%s// end", half);
    Jit *jit = load(JIT_NATIVE, dressed);
    cr_assert(jit_from_cache(jit));
    jit_free(jit);
}

// --- Pieces

static const char *units_text(Arena *to, int units) {
    Buf text = buf_new(to);
    buf_add(&text, "int head;\n// --- unit once: start\nint start;\n");
    for (int i = 0; i < units; i++) {
        buf_printf(&text, "// --- unit %d\nint unit%d;\n", i, i);
        for (int line = 0; line < 40; line++)
            buf_add(&text, "    for (int i = 0; i < 10; i++)\n");
    }
    return text.text;
}

Test(jit, units_are_dealt_out_evenly) {
    enum { UNITS = 24 };
    Pieces pieces = source_pieces(arena, units_text(arena, UNITS));
    cr_assert_eq(pieces.count, 2 * processor_count() + 1);
    int found = 0, once = 0;
    double least = INFINITY, most = 0;
    for (int i = 0; i < pieces.count; i++) {
        const Piece *piece = &pieces.at[i];
        cr_assert(strncmp(piece->text.text, "int head;\n", 10) == 0);
        cr_assert(i == 0 || piece->cost <= pieces.at[i - 1].cost, "the largest come first");
        once += piece->once;
        cr_assert_eq(piece->once, strstr(piece->text.text, "int start;") != NULL);
        for (const char *at = piece->text.text; (at = strstr(at, "\nint unit")); at++)
            found++;
        if (piece->once) continue;
        least = fmin(least, piece->cost);
        most = fmax(most, piece->cost);
    }
    cr_assert_eq(found, UNITS);
    cr_assert_eq(once, 1);
    cr_assert_lt(most, 1.5 * least);
}

Test(jit, a_source_without_units_is_one_piece) {
    cr_assert_eq(source_pieces(arena, "int a;\n").count, 1);
    cr_assert_str_eq(source_pieces(arena, "int a;\n").at[0].text.text, "int a;\n");
}

// --- Targets

static const char *target_error(const char *march, bool to_run) {
    const char *error = NULL;
    cr_assert_null(jit_target(arena, &(JitOptions){.march = march}, to_run, &error), "%s", march);
    return error;
}

Test(jit, the_compiler_knows_what_a_processor_has) {
#ifdef __x86_64__
    static const struct {
        const char *march, *level;
        int lanes, registers;
    } known[] = {{"x86-64-v4", "x86-64-v4", 16, 32},
                 {"skylake-avx512", "x86-64-v4", 16, 32},
                 {"x86-64-v3", "x86-64-v3", 8, 16},
                 {"haswell", "x86-64-v3", 8, 16},
                 {"nehalem", "x86-64-v2", 4, 16},
                 {"x86-64", "x86-64", 4, 16},
                 {"x86-64-v4+bf16", "x86-64-v4+bf16", 16, 32},
                 {"cooperlake", "x86-64-v4+bf16", 16, 32}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *error = "";
        const Target *target =
            jit_target(arena, &(JitOptions){.march = known[i].march}, false, &error);
        cr_assert(target, "%s", error);
        cr_assert_str_eq(target->name, known[i].level);
        cr_assert_eq(target->lanes, known[i].lanes);
        cr_assert_eq(target->registers, known[i].registers);
        cr_assert(target_is_here(target));
        cr_assert(strstr(target->tools, known[i].march));
        cr_assert_eq(target->dot2, strstr(known[i].level, "bf16") != NULL);
    }
#endif
    cr_assert(strstr(target_error("nonesuch", false), "there are native"));
    setenv("CC", "false", 1);
    cr_assert(strstr(target_error("haswell", false), "does not work"));
}

Test(jit, native_is_the_highest_level_of_this_processor) {
    const char *error = "";
    const Target *target = jit_target(arena, &(JitOptions){0}, true, &error);
    cr_assert(target, "%s", error);
    cr_assert_str_eq(target->name, nnc_processor());
    cr_assert(nnc_processor_runs(target->name));
    cr_assert_not(nnc_processor_runs("z80"));
    cr_assert_null(target_find("z80"));
}

Test(jit, another_machine_s_code_is_compiled_and_not_run) {
    const char *script = path_join(arena, folder, "foreign-cc"); // says what a cross-compiler says
    const char *text = "#!/bin/sh\necho '#define __aarch64__ 1'\n";
    const char *error = "";
    cr_assert(file_write(script, text, strlen(text)));
    chmod(script, 0700);
    setenv("CC", script, 1);
    const Target *target = jit_target(arena, &(JitOptions){.march = "any"}, false, &error);
    cr_assert(target, "%s", error);
    cr_assert_str_eq(target->name, "armv8-a");
#ifdef __x86_64__
    cr_assert(strstr(target_error("any", true), "does not run"));
#endif
}
