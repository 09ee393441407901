// SPDX-License-Identifier: MIT
// Turns files into a C table of their texts (compiler/support/embed.h), when building nnc.
//
//     embed OUTPUT.c TABLE FILE...
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *open_file(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (!file) {
        perror(path);
        exit(1);
    }
    return file;
}

// Numbers, not a string literal: those are limited to 4095 characters by the standard.
static long write_text(FILE *out, const char *path, int number) {
    FILE *in = open_file(path, "rb");
    long length = 0;
    fprintf(out, "static const char text_%d[] = {", number);
    for (int c; (c = getc(in)) != EOF; length++)
        fprintf(out, "%s%d,", length % 24 == 0 ? "\n" : "", c > 127 ? c - 256 : c);
    fprintf(out, "0};\n");
    fclose(in);
    return length;
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: embed OUTPUT.c TABLE FILE...\n");
        return 2;
    }
    FILE *out = open_file(argv[1], "w");
    long *length = calloc((size_t)argc, sizeof *length);
    if (!length) return 1;
    fprintf(out, "#include \"support/embed.h\"\nextern const EmbeddedFile %s[];\n", argv[2]);
    for (int i = 3; i < argc; i++)
        length[i] = write_text(out, argv[i], i);
    fprintf(out, "const EmbeddedFile %s[] = {\n", argv[2]);
    for (int i = 3; i < argc; i++)
        fprintf(out, "    {\"%s\", text_%d, %ld},\n", base_name(argv[i]), i, length[i]);
    fprintf(out, "    {0},\n};\n");
    free(length);
    return fclose(out) == 0 ? 0 : 1;
}
