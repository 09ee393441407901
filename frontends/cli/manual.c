// SPDX-License-Identifier: MIT
// The manual page, nnc(1), in mdoc: what `nnc --manual` prints, and what is installed. Commands and
// options come from the tables that the program itself reads, so it has all of them.
#include "cli/manual.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct Entry {
    const char *name, *text;
} Entry;

static const Entry environment[] = {
    {"CC", "the C compiler of the native tier, of build and of what is built; else cc, gcc or "
           "clang, whichever is found in PATH first"},
    {"NVCC", "the CUDA compiler of --device cuda and --target cuda, with words behind it where it "
             "needs any; else nvcc, found in PATH or in /usr/local/cuda/bin"},
    {"NNC_CACHE", "the folder of compiled objects and of what `nnc tune` has found; else nnc in "
                  "XDG_CACHE_HOME, or in .cache in HOME"},
    {"NNC_RUNTIME_DIR", "where the runtime lies that built programs carry; else beside nnc"},
    {"NNC_MARCH", "of a program that was built with --march portable: which of its versions runs"},
    {"NNC_CC_SECONDS", "how long a compiler may take before it is ended; else 600"},
    {"TMPDIR", "where folders for the C compiler are made; else /tmp"},
};

static const Entry statuses[] = {
    {"0", "done"},
    {"1", "the user's mistake, said with its place; or trained, but an `expect` of the train block "
          "is not met"},
    {"2", "wrong usage"},
    {"3", "a mistake in nnc itself"},
    {"130", "interrupted, after a checkpoint was written"},
};

static const Entry files[] = {
    {"out/NAME.safetensors", "the checkpoint of NAME.nnd"},
    {"out/NAME.best.safetensors", "that of its best epoch"},
    {"~/.cache/nnc", "compiled objects, and what `nnc tune` has found"},
};

static const Entry examples[] = {
    {"Train, evaluate and ask about one image:",
     "nnc train net.nnd\nnnc eval net.nnd --checkpoint out/net.safetensors\n"
     "nnc predict net.nnd --checkpoint out/net.safetensors photo.png"},
    {"A program that needs neither nnc nor a compiler where it runs:",
     "nnc build net.nnd -o net --march portable\n./net train"},
    {"A picture of what is computed, forwards and backwards:",
     "nnc graph net.nnd --format svg -o net.svg"},
};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

// A line of text: nothing in it is a request or an escape.
static void put_text(FILE *to, const char *text) {
    bool begins = true;
    for (; *text; text++) {
        if (begins && (*text == '.' || *text == '\'')) fputs("\\&", to);
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else if (*text == '`')
            fputs("\\(aq", to);
        else
            fputc(*text, to);
        begins = *text == '\n';
    }
    fputc('\n', to);
}

static void put_entries(FILE *to, const char *title, const char *macro, const Entry *entry,
                        int count) {
    fprintf(to, ".Sh %s\n.Bl -tag -width Ds\n", title);
    for (int i = 0; i < count; i++) {
        fprintf(to, ".It %s %s\n", macro, entry[i].name);
        put_text(to, entry[i].text);
    }
    fputs(".El\n", to);
}

// --- Options: each once, with the commands that take it

static void put_option_name(FILE *to, const struct argp_option *option) {
    bool has_letter = option->key > 0 && option->key < 128 && isalnum(option->key);
    fputs(".It", to);
    if (has_letter) fprintf(to, " Fl %c ,", option->key);
    fprintf(to, " Fl \\-%s", option->name);
    if (option->arg) fprintf(to, " Ar %s", option->arg);
    fputc('\n', to);
}

static void put_options(FILE *to) {
    int count;
    const OptionRow *row = option_rows(&count);
    fputs(".Sh OPTIONS\nThe commands that take an option stand behind it.\n.Bl -tag -width Ds\n",
          to);
    for (int i = 0; i < count; i++) {
        bool all = true;
        put_option_name(to, &row[i].option);
        put_text(to, row[i].option.doc);
        for (CommandId c = 0; c < CMD_COUNT; c++)
            all = all && row[i].commands >> c & 1;
        fputs(all ? "(all commands" : "(", to);
        const char *before = "";
        for (CommandId c = 0; c < CMD_COUNT && !all; c++)
            if (row[i].commands >> c & 1) {
                fprintf(to, "%s%s", before, command_name(c));
                before = ", ";
            }
        fputs(")\n", to);
    }
    fputs(".El\n", to);
}

static void put_commands(FILE *to) {
    fputs(".Sh COMMANDS\n.Bl -tag -width Ds\n", to);
    for (CommandId c = 0; c < CMD_COUNT; c++) {
        fprintf(to, ".It Cm %s Ar %s\n", command_name(c), command_arguments(c));
        put_text(to, command_description(c));
    }
    int count;
    const StageInfo *stage = stage_list(&count);
    fputs(".El\n.Pp\nThe stages of\n.Cm graph ,\nin order:\n.Bl -tag -width Ds\n", to);
    for (int i = 0; i < count; i++) {
        fprintf(to, ".It Cm %s\n", stage[i].name);
        put_text(to, stage[i].help);
    }
    fputs(".El\n", to);
}

static void put_examples(FILE *to) {
    fputs(".Sh EXAMPLES\n", to);
    for (int i = 0; i < COUNT(examples); i++) {
        if (i) fputs(".Pp\n", to);
        put_text(to, examples[i].name);
        fputs(".Bd -literal -offset indent\n", to);
        put_text(to, examples[i].text);
        fputs(".Ed\n", to);
    }
}

void manual_print(FILE *to) {
    fputs(".\\\" Printed by nnc --manual.\n.Dd November 23, 2026\n.Dt NNC 1\n.Os\n"
          ".Sh NAME\n.Nm nnc\n.Nd compile neural networks to native code that trains them\n"
          ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Ar file\n.Op Ar option ...\n"
          ".Nm\n.Fl \\-help | \\-manual | \\-library | \\-version\n"
          ".Sh DESCRIPTION\n.Nm\n"
          "reads a neural network, its data and its training from a file in a language of its\n"
          "own (.nnd), works out gradients, optimizer and memory when it compiles, and runs the\n"
          "C that comes of it: compiled by the C compiler and kept in a cache, or by libtcc,\n"
          "which needs none.\n"
          "A run is a function of the program, the data and the seed: the same bits from any\n"
          "number of threads, and after a kill and a resume;\n"
          ".Fl Fl expect-hash\nchecks it.\n"
          "Another processor, C compiler, tuning, batch or seed may give other bits.\n"
          ".Pp\nA built program has the commands train, eval and predict, and those of the\n"
          "options below that matter where nothing is compiled;\n"
          ".Ql PROGRAM train \\-\\-help\nlists them.\n",
          to);
    put_commands(to);
    put_options(to);
    put_entries(to, "ENVIRONMENT", "Ev", environment, COUNT(environment));
    put_entries(to, "FILES", "Pa", files, COUNT(files));
    put_entries(to, "EXIT STATUS", "Li", statuses, COUNT(statuses));
    put_examples(to);
}
