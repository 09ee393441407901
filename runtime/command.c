// SPDX-License-Identifier: MIT
// Command lines: as text that a shell reads back as the same words; and whether their options are
// some.
#include "nnc.h"
#include <argp.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(const char *word) {
    bool plain = *word != 0;
    for (; *word; word++)
        plain &= isalnum((unsigned char)*word) || strchr("-_./=:,+@%", *word);
    return plain;
}

static void write_word(FILE *out, const char *word) {
    if (is_plain(word)) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, 0}, out);
    fputc('\'', out);
}

char *nnc_command_to_resume(int argc, char **argv) {
    char *text = NULL;
    size_t size;
    bool resumes = false;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    for (int i = 0; i < argc; i++) {
        resumes |= !strcmp(argv[i], "--resume");
        if (i) fputc(' ', out);
        write_word(out, argv[i]);
    }
    if (!resumes) fputs(" --resume", out);
    fclose(out);
    return text;
}

// --- Options

enum { MOST_OPTIONS = 64 };

static bool is_end(const struct argp_option *option) { return !option->name && !option->key; }

static const struct argp_option *find_option(const struct argp_option *options, const char *name,
                                             size_t length) {
    for (; !is_end(options); options++)
        if (options->name && strlen(options->name) == length &&
            !strncmp(options->name, name, length))
            return options;
    return NULL;
}

static const struct argp_option *find_letter(const struct argp_option *options, char letter) {
    for (; !is_end(options); options++)
        if (options->key == letter) return options;
    return NULL;
}

static NncStatus unknown_option(const struct argp_option *options, const char *name, size_t length,
                                NncError *error) {
    const char *names[MOST_OPTIONS];
    char given[64];
    int count = 0;
    for (; !is_end(options) && count < MOST_OPTIONS; options++)
        if (options->name) names[count++] = options->name;
    snprintf(given, sizeof given, "%.*s", (int)length, name);
    const char *near = nnc_nearest(given, names, count);
    return nnc_error(error, NNC_ERROR_VALUE, "there is no option --%s%s%s%s", given,
                     near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

// argp's own
static bool is_help(const char *name) { return !strcmp(name, "help") || !strcmp(name, "usage"); }

NncStatus nnc_options_check(const struct argp_option *options, int argc, char *const *argv,
                            NncError *error) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *word = argv[i];
        const struct argp_option *option;
        if (word[0] != '-' || !word[1]) continue;
        size_t length = word[1] == '-' ? 2 + strcspn(word + 2, "=") : 2;
        if (word[1] == '-')
            option = find_option(options, word + 2, length - 2);
        else
            option = find_letter(options, word[1]);
        if (!option && word[1] == '-' && !is_help(word + 2))
            return unknown_option(options, word + 2, length - 2, error);
        i += option && option->arg && !word[length]; // its value is the next word
    }
    return NNC_OK;
}
