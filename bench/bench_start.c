// SPDX-License-Identifier: MIT
// How long one waits before training begins, for the network of examples/cifar10.nnd.
//     bench_start examples/cifar10.nnd [--json] [--rounds N]
//
// 1. The front end and all passes, to the text of the C program: parsing, elaboration, compile().
//    At most 50 ms ($NNC_BENCH_PASSES_MS).
// 2. From the start of a process to the first training step, with libtcc: at most 100 ms
//    ($NNC_BENCH_START_MS).
// 3. The same with the C compiler, where the cache has nothing: the part of it that the compiler
//    takes is at most 2500 ms ($NNC_BENCH_COMPILE_MS).
// 4. The same from the cache: at most 50 ms ($NNC_BENCH_CACHED_MS).
//
// The process is this program, called again: it goes the way of `nnc train FILE` through the same
// functions, and where the compiled step would be entered, it writes the time and ends. The clock
// begins before the process is made, so that loading the program and its libraries counts, as do
// opening the data, the initial parameters, the loader's thread and the first batch. The data set
// is a small one of the same format: no more than a batch is read of any.
#define _GNU_SOURCE
#include "cli/cli.h"
#include "jit/internal.h"
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// --- The process that is timed

typedef enum Station { AT_MAIN, AT_COMPILED, AT_LOADED, AT_STEP, STATIONS } Station;

// When the process came by each station. The step has no other way to reach it.
static double passed_at[STATIONS];

static void end_at_step(NncCtx *ctx) {
    (void)ctx;
    passed_at[AT_STEP] = clock_seconds();
    ssize_t written = write(STDOUT_FILENO, passed_at, sizeof passed_at);
    _exit(written == sizeof passed_at ? BENCH_PASSED : BENCH_FAILED);
}

// As command_train (frontends/cli/run.c).
static int train_to_first_step(int argc, char **argv) {
    passed_at[AT_MAIN] = clock_seconds();
    Settings settings = {.arena = arena_new()};
    settings_parse(&settings, CMD_TRAIN, argc, argv);
    Compiled *compiled = load_compiled(&settings);
    passed_at[AT_COMPILED] = clock_seconds();
    Jit *jit = compiled ? load_functions(&settings, compiled) : NULL;
    passed_at[AT_LOADED] = clock_seconds();
    if (!jit) return BENCH_FAILED;
    NncError error = {.text = "no step was run"};
    compiled->program.function[NNC_TRAIN].run = end_at_step;
    nnc_train(&compiled->program, &settings.run, &error);
    report("%s", error.text);
    return BENCH_FAILED;
}

// --- Its data: CIFAR-10's files, of 16 black images each

enum { EXAMPLES = 16, RECORD = 1 + 3 * 32 * 32 };

typedef struct Data {
    Arena *arena;
    const char *folder, *images; // images: the folder in it that the model names
} Data;

static bool data_write(Data *data) {
    static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
    static const char records[EXAMPLES * RECORD];
    data->folder = temporary_folder(data->arena, NULL);
    if (!data->folder) return false;
    data->images = path_join(data->arena, data->folder, "cifar-10-batches-bin");
    bool written = folder_make(data->images);
    for (size_t i = 0; i < sizeof names / sizeof *names && written; i++)
        written =
            file_write(path_join(data->arena, data->images, names[i]), records, sizeof records);
    return written;
}

static void data_remove(const Data *data) {
    if (data->images) folder_remove(data->images);
    if (data->folder) folder_remove(data->folder);
}

// --- Timing

typedef enum Way { WITH_TCC, COMPILED, CACHED, WAYS } Way;

typedef struct Start {
    BenchOptions options;
    Samples passes;                  // ms
    Samples station[WAYS][STATIONS]; // ms, each from the one before; the first from the start
    Samples first_step[WAYS];        // ms, from the start
    double others;                   // what other processes took of the machine meanwhile, 0 .. 1
} Start;

enum { COMPILATIONS = 3 }; // they take seconds

static bool time_passes(Start *start) {
    Settings settings = {.arena = arena_new(), .file = start->options.file};
    double begin = clock_seconds();
    bool compiled = load_compiled(&settings) != NULL;
    sample_add(&start->passes, 1e3 * (clock_seconds() - begin));
    arena_free(settings.arena);
    return compiled;
}

static bool read_all(int descriptor, void *to, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        ssize_t got = read(descriptor, (char *)to + done, bytes - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

// Runs this program as `train`, with its standard output in a pipe.
static bool spawn_training(const char *file, const char *tier, const char *folder,
                           double passed[STATIONS]) {
    char *argv[] = {"train", (char *)file,   "--jit",     (char *)tier, "--data",  (char *)folder,
                    "--out", (char *)folder, "--threads", "2",          "--quiet", NULL};
    int pipe_ends[2], status;
    pid_t process;
    posix_spawn_file_actions_t actions;
    if (pipe2(pipe_ends, O_CLOEXEC)) return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
    bool spawned = !posix_spawn(&process, "/proc/self/exe", &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_ends[1]);
    bool complete = spawned && read_all(pipe_ends[0], passed, STATIONS * sizeof *passed);
    close(pipe_ends[0]);
    return spawned && waitpid(process, &status, 0) == process && status == 0 && complete;
}

static bool time_first_step(Start *start, Way way, const char *folder) {
    double passed[STATIONS], begin = clock_seconds();
    const char *tier = way == WITH_TCC ? "tcc" : "native";
    if (!spawn_training(start->options.file, tier, folder, passed)) return false;
    for (int i = 0; i < STATIONS; i++)
        sample_add(&start->station[way][i], 1e3 * (passed[i] - (i ? passed[i - 1] : begin)));
    sample_add(&start->first_step[way], 1e3 * (passed[AT_STEP] - begin));
    return true;
}

// With a cache of its own, which holds nothing before each compilation.
static bool time_native(Start *start, const Data *data) {
    const char *cache = path_join(data->arena, data->folder, "cache");
    setenv("NNC_CACHE", cache, 1);
    bool timed = true;
    for (int i = 0; i < COMPILATIONS && timed; i++) {
        folder_remove(cache);
        timed = time_first_step(start, COMPILED, data->folder);
    }
    for (int i = 0; i < start->options.rounds && timed; i++)
        timed = time_first_step(start, CACHED, data->folder);
    folder_remove(cache);
    return timed;
}

static bool time_all(Start *start) {
    Data data = {.arena = arena_new()};
    bool timed = data_write(&data);
    if (!timed) report("no data can be written below $TMPDIR or /tmp: %s", strerror(errno));
    Busy before = busy_now();
    for (int i = 0; i < start->options.rounds && timed; i++) {
        timed = time_passes(start);
        if (timed && jit_has_tcc()) timed = time_first_step(start, WITH_TCC, data.folder);
    }
    if (timed && jit_find_compiler(data.arena)) timed = time_native(start, &data);
    start->others = busy_others(before, busy_now());
    data_remove(&data);
    arena_free(data.arena);
    return timed;
}

// --- Report

static void print_row(const char *name, const Samples *samples) {
    printf("  %-34s %8.1f %8.1f .. %.1f\n", name, sample_median(samples),
           sample_quantile(samples, 0.25), sample_quantile(samples, 0.75));
}

static const char *const way_title[WAYS] = {"with libtcc", "with the C compiler", "from the cache"};
static const char *const way_name[WAYS] = {"tcc", "compiled", "cached"};

static void print_table(const Start *start) {
    static const char *const title[STATIONS] = {"  exec, to main()", "  front end and passes",
                                                "  machine code",
                                                "  data, parameters, first batch"};
    printf("%s, %d times; other processes took %.0f %% of the machine meanwhile\n\n",
           start->options.file, start->passes.count, 100 * start->others);
    printf("  %-34s %8s quartiles\n", "", "ms");
    print_row("front end and passes", &start->passes);
    for (int way = 0; way < WAYS; way++) {
        printf("  process, to its first step, %s\n", way_title[way]);
        if (!start->first_step[way].count) {
            printf("    skipped: there is none\n");
            continue;
        }
        print_row("", &start->first_step[way]);
        for (int i = 0; i < STATIONS; i++)
            print_row(title[i], &start->station[way][i]);
    }
}

static void print_json(const Start *start) {
    static const char *const name[STATIONS] = {"exec_ms", "passes_ms", "code_ms", "data_ms"};
    printf("{\"benchmark\":\"start\"");
    print_json_number("rounds", start->passes.count);
    print_json_number("others", start->others);
    print_json_number("passes_ms", sample_median(&start->passes));
    for (int way = 0; way < WAYS; way++) {
        printf(",\"%s\":{\"samples\":%d", way_name[way], start->first_step[way].count);
        print_json_number("first_step_ms", sample_median(&start->first_step[way]));
        for (int i = 0; i < STATIONS; i++)
            print_json_number(name[i], sample_median(&start->station[way][i]));
        printf("}");
    }
    printf("}\n");
}

static bool keeps(const char *what, const Samples *samples, const char *variable, double limit) {
    limit = limit_from_environment(variable, limit);
    if (samples->count == 0 || sample_median(samples) <= limit) return true;
    fprintf(stderr, "%s: %.1f ms; the limit is %g\n", what, sample_median(samples), limit);
    return false;
}

int main(int argc, char **argv) {
    if (strcmp(argv[0], "train") == 0) return train_to_first_step(argc, argv);
    Start start = {.options = options_from_line(argc, argv)};
    if (!start.options.rounds) start.options.rounds = 20;
    if (!time_all(&start)) return BENCH_FAILED;
    if (start.options.json)
        print_json(&start);
    else
        print_table(&start);
    fflush(stdout);
    bool kept = keeps("front end and passes", &start.passes, "NNC_BENCH_PASSES_MS", 50);
    kept &= keeps("first step with libtcc", &start.first_step[WITH_TCC], "NNC_BENCH_START_MS", 100);
    kept &= keeps("compilation", &start.station[COMPILED][AT_LOADED], "NNC_BENCH_COMPILE_MS", 2500);
    kept &= keeps("first step, cached", &start.first_step[CACHED], "NNC_BENCH_CACHED_MS", 50);
    if (!kept) warn_of_others(start.others);
    return kept ? BENCH_PASSED : BENCH_FAILED;
}
