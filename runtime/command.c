// SPDX-License-Identifier: MIT
// A command line as text that a shell reads back as the same words.
#include "nnc.h"
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
