// SPDX-License-Identifier: MIT
// docs/ERRORS.md is made from the mistakes in tests/golden/errors, each a file with what `nnc check`
// says of it (golden.c). A file begins with two comments: what is wrong, and what to do about it.
//
//     # A name that nothing has
//     # Look at its spelling; ..
//     nnd 1
//     ..
//
// Its name begins with the section that it belongs to. NNC_PROMOTE=1 writes the document, below
// what stands in front of its first section.
#define _GNU_SOURCE
#include "documents.h"
#include "support/buf.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *prefix, *title;
} sections[] = {
    {"file_", "The file, declarations, statements"},
    {"text_", "Characters, numbers, strings"},
    {"names_", "Names"},
    {"calls_", "Calls and their arguments"},
    {"shapes_", "Shapes"},
    {"index_", "Index notation"},
    {"body_", "Functions, layers, optimizers"},
    {"data_", "Data"},
    {"train_", "Training"},
};
enum { SECTIONS = sizeof sections / sizeof *sections, MOST_LINES = 12, FEWEST = 80 };

// The comment on line `number` of a file, without its mark; NULL where there is none.
static const char *comment_of(Arena *arena, const char *text, int number) {
    if (starts_with(text, "\xef\xbb\xbf")) text += 3;
    for (; number > 1; number--)
        text += strcspn(text, "\n") + 1;
    return starts_with(text, "# ") ? arena_strndup(arena, text + 2, strcspn(text, "\r\n") - 2)
                                   : NULL;
}

static int count_lines(const char *text) {
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void add_case(Buf *out, const char *name) {
    const char *stem = arena_printf(out->arena, "tests/golden/errors/%.*s",
                                    (int)(strlen(name) - strlen(".nnd")), name);
    const char *text = read_shipped(out->arena, arena_printf(out->arena, "%s.nnd", stem))->text;
    const char *says = read_shipped(out->arena, arena_printf(out->arena, "%s.expected", stem))->text;
    const char *title = comment_of(out->arena, text, 1), *advice = comment_of(out->arena, text, 2);
    cr_expect(title && advice, "%s does not begin with what is wrong and what to do", name);
    cr_expect_leq(count_lines(says), MOST_LINES, "%s takes too many lines", name);
    buf_printf(out, "\n### %s\n\n%s\n\n", title ? title : name, advice ? advice : "");
    for (const char *line = says; *line; line += strcspn(line, "\n") + 1)
        buf_printf(out, "    %.*s\n", (int)strcspn(line, "\n"), line);
}

static int is_case(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 4 && !strcmp(entry->d_name + length - 4, ".nnd");
}

Test(documents, errors) {
    struct dirent **entry;
    Arena *arena = arena_new();
    const char *root = getenv("NNC_SOURCE_DIR"), *set = getenv("NNC_PROMOTE");
    const char *folder = arena_printf(arena, "%s/tests/golden/errors", root ? root : ".");
    int count = scandir(folder, &entry, is_case, alphasort), placed = 0;
    Buf out = buf_new(arena);
    const char *document = read_shipped(arena, "docs/ERRORS.md")->text;
    const char *first = strstr(document, "\n## ");
    buf_add_n(&out, document, first ? (size_t)(first - document) : strlen(document));
    for (int i = 0; i < SECTIONS; i++) {
        buf_printf(&out, "\n## %s\n", sections[i].title);
        for (int k = 0; k < count; k++)
            if (starts_with(entry[k]->d_name, sections[i].prefix)) {
                add_case(&out, entry[k]->d_name);
                placed++;
            }
    }
    cr_expect_eq(placed, count, "%d files belong to no section", count - placed);
    cr_expect_geq(count, FEWEST);
    if (set && !strcmp(set, "1")) promote(arena, "docs/ERRORS.md", out.text);
    cr_assert_str_eq(out.text, read_shipped(arena, "docs/ERRORS.md")->text,
                     "docs/ERRORS.md is not what the mistakes make of it (NNC_PROMOTE=1 accepts "
                     "it)");
    for (int k = 0; k < count; k++)
        free(entry[k]);
    free(entry);
    arena_free(arena);
}
