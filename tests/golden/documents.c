// SPDX-License-Identifier: MIT
// What is made from other files of the source tree is what would be made now: the worked example of
// emitted C (generated/), pictures, the library's reference. NNC_PROMOTE=1 writes them. Blocks of
// the documents: blocks.c.
#include "documents.h"
#include "compile.h"
#include "nnd/elab.h"
#include "picture/picture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const Source *read_shipped(Arena *arena, const char *path) {
    const char *root = getenv("NNC_SOURCE_DIR"), *error = NULL;
    const Source *source =
        source_read(arena, arena_printf(arena, "%s/%s", root ? root : ".", path), &error);
    cr_assert(source, "%s: %s", path, error);
    return source;
}

bool starts_with(const char *text, const char *prefix) {
    return !strncmp(text, prefix, strlen(prefix));
}

static bool is_line_of_block(const char *line) {
    return starts_with(line, "    ") || *line == '\n';
}

const char *next_block(Arena *arena, const char **at, const char **above) {
    Buf block = buf_new(arena);
    const char *line = *at, *end, *text = NULL;
    for (; *line && !starts_with(line, "    "); line = end) {
        if (*line != '\n') text = line;
        end = (end = strchr(line, '\n')) ? end + 1 : line + strlen(line);
    }
    if (above) *above = text;
    if (!*line) return NULL;
    for (; *line && is_line_of_block(line); line = end) {
        const char *words = *line == '\n' ? line : line + 4;
        end = strchr(line, '\n');
        end = end ? end + 1 : line + strlen(line);
        buf_add_n(&block, words, (size_t)(end - words));
    }
    *at = line;
    size_t length = block.length;
    while (length > 1 && block.text[length - 1] == '\n' && block.text[length - 2] == '\n')
        length--;
    return arena_strndup(arena, block.text, length);
}

// --- The worked example

static const char *emit_example(Arena *arena, const char *text) {
    Diag *diag = diag_new(arena);
    Buf out = buf_new(arena);
    const File *file = nnd_parse(arena, source_from_text(arena, "softmax.nnd", text), diag);
    const Module *module = nnd_elaborate(arena, file, &(ElabOptions){0}, diag);
    cr_assert(module, "%s", diag_text(diag, arena));
    cr_assert(stage_dump(&out, module, &target_library, NNC_TRAIN, "c"));
    return out.text;
}

void promote(Arena *arena, const char *path, const char *text) {
    const char *root = getenv("NNC_SOURCE_DIR");
    FILE *file = fopen(arena_printf(arena, "%s/%s", root ? root : ".", path), "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "cannot write %s", path);
}

Test(documents, worked_example_is_what_is_emitted) {
    Arena *arena = arena_new();
    const char *text = emit_example(arena, read_shipped(arena, "generated/softmax.nnd")->text);
    const char *set = getenv("NNC_PROMOTE");
    if (set && !strcmp(set, "1")) promote(arena, "generated/softmax.c", text);
    cr_assert_str_eq(text, read_shipped(arena, "generated/softmax.c")->text,
                     "generated/softmax.c is not what is emitted (NNC_PROMOTE=1 accepts it)");
    arena_free(arena);
}

// Each line that the walk through it quotes is there.
Test(documents, worked_example_is_quoted_rightly) {
    Arena *arena = arena_new();
    const char *code = read_shipped(arena, "generated/softmax.c")->text;
    const char *at = read_shipped(arena, "generated/README.md")->text, *block;
    int quotes = 0;
    while ((block = next_block(arena, &at, NULL)))
        for (size_t length; *block; block += length, quotes++) {
            length = strcspn(block, "\n") + 1;
            const char *line = arena_strndup(arena, block, length);
            bool is_command = starts_with(line, "nnc ");
            cr_expect(is_command || strstr(code, line), "generated/softmax.c has no\n%s", line);
        }
    cr_assert_geq(quotes, 4);
    arena_free(arena);
}

// --- Pictures: nnc graph examples/NAME.nnd --format svg -o docs/pictures/NAME.svg

static void check_picture(const char *name) {
    Arena *arena = arena_new();
    const char *drawn = arena_printf(arena, "docs/pictures/%s.svg", name);
    const Source *source = read_shipped(arena, arena_printf(arena, "examples/%s.nnd", name));
    Diag *diag = diag_new(arena);
    const File *file = nnd_parse(arena, source, diag);
    const Module *module = nnd_elaborate(arena, file, &(ElabOptions){0}, diag);
    cr_assert(module, "%s", diag_text(diag, arena));
    Buf svg = buf_new(arena);
    const Graph *graph =
        picture_without_metrics(arena, module->graph[NNC_TRAIN], module->graph[NNC_EVAL]);
    picture_svg(&svg, picture_make(arena, graph, 1));
    const char *set = getenv("NNC_PROMOTE");
    if (set && !strcmp(set, "1")) promote(arena, drawn, svg.text);
    cr_assert_str_eq(svg.text, read_shipped(arena, drawn)->text,
                     "%s is not what is drawn (NNC_PROMOTE=1 accepts it)", drawn);
    arena_free(arena);
}

Test(documents, picture_of_perceptron) { check_picture("perceptron"); }
Test(documents, picture_of_simplenet) { check_picture("simplenet"); }
Test(documents, picture_of_cifar10) { check_picture("cifar10"); }
Test(documents, picture_of_gem) { check_picture("gem"); }

// --- The library's reference: nnc --library > docs/LIBRARY.md

Test(documents, library) {
    Arena *arena = arena_new();
    Buf out = buf_new(arena);
    nnd_library_reference(&out);
    const char *set = getenv("NNC_PROMOTE");
    if (set && !strcmp(set, "1")) promote(arena, "docs/LIBRARY.md", out.text);
    cr_assert_str_eq(out.text, read_shipped(arena, "docs/LIBRARY.md")->text,
                     "docs/LIBRARY.md is not what nnc --library prints (NNC_PROMOTE=1 accepts it)");
    arena_free(arena);
}
