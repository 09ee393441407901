// SPDX-License-Identifier: MIT
// nnc COMMAND FILE [OPTION...]
#include "cli/manual.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct Command {
    const char *name, *help;
    int (*run)(const Settings *settings);
} Command;

static const Command commands[CMD_COUNT] = {
    [CMD_TRAIN] = {"train", "train the network and write a checkpoint", command_train},
    [CMD_EVAL] = {"eval", "loss and metrics of a checkpoint on the test data", command_eval},
    [CMD_PREDICT] = {"predict", "what a checkpoint says of images or examples", command_predict},
    [CMD_PLOT] = {"plot", "draw what a checkpoint makes of one or two numbers", command_plot},
    [CMD_SHOW] = {"show", "list the tensors of a checkpoint", command_show},
    [CMD_BUILD] = {"build", "make one program that trains, evaluates and predicts", command_build},
    [CMD_EMIT] = {"emit", "write that program as C source with a Makefile", command_emit},
    [CMD_CHECK] = {"check", "show all errors, or the layers with shapes and parameters",
                   command_check},
    [CMD_GRAPH] = {"graph", "show what is computed, at any stage of the compiler", command_graph},
    [CMD_VERIFY] = {"verify", "compare compiled code and gradients with slow references",
                    command_verify},
    [CMD_EXPLAIN] = {"explain",
                     "each kernel with its lines, its work, its time and the machine's limit",
                     command_explain},
    [CMD_BENCH] = {"bench", "steps a second, against a library of operators", command_bench},
    [CMD_TUNE] = {"tune", "measure which ways to compute it are the fastest here", command_tune},
};

const char *command_name(CommandId command) { return commands[command].name; }

static void print_usage(FILE *to) {
    fprintf(to, "Usage: nnc COMMAND FILE [OPTION...]\n\n"
                "Compiles the neural network in FILE (.nnd) to native code, and runs it.\n\n");
    for (int i = 0; i < CMD_COUNT; i++)
        fprintf(to, "  nnc %-8s FILE   %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n`nnc COMMAND --help` lists a command's options; `nnc --manual` prints "
                "nnc(1),\n`nnc --library` the reference of layers, functions and optimizers.\n");
}

static int print_library(void) {
    Arena *arena = arena_new();
    Buf out = buf_new(arena);
    nnd_library_reference(&out);
    fputs(out.text, stdout);
    arena_free(arena);
    return EXIT_DONE;
}

static CommandId find_command(const char *name) {
    int i = 0;
    while (i < CMD_COUNT && strcmp(commands[i].name, name) != 0)
        i++;
    return (CommandId)i;
}

static int unknown_command(const char *name) {
    const char *names[CMD_COUNT];
    for (int i = 0; i < CMD_COUNT; i++)
        names[i] = commands[i].name;
    const char *near = nnc_nearest(name, names, CMD_COUNT), *dot = strrchr(name, '.');
    if (dot && !strcmp(dot, ".nnd")) {
        fprintf(stderr,
                "nnc: what is to be done with %s? `nnc train %s` trains it; `nnc --help` lists the "
                "commands\n",
                name, name);
        return EXIT_USAGE_ERROR;
    }
    fprintf(stderr, "nnc: there is no command '%s'%s%s%s; `nnc --help` lists them\n", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return EXIT_USAGE_ERROR;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE_ERROR;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("nnc %s\n", NNC_VERSION);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--manual") == 0) {
        manual_print(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--library") == 0) return print_library();
    CommandId id = find_command(argv[1]);
    if (id == CMD_COUNT) return unknown_command(argv[1]);
    char *command = nnc_command_to_resume(argc, argv); // argp changes the order of words
    Settings settings = {.arena = arena_new(), .run.command = command};
    settings_parse(&settings, id, argc - 1, argv + 1);
    int status = commands[id].run(&settings);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (!written && errno != EPIPE &&
        status == EXIT_DONE) // a reader that has seen enough is no mistake
        status = report("standard output cannot be written: %s", strerror(errno));
    arena_free(settings.arena);
    free(command);
    return status;
}
