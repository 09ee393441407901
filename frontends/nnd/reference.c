// SPDX-License-Identifier: MIT
// The library's reference, out of its own files: what `nnc --library` prints, and docs/LIBRARY.md
// is.
//
// A file begins with a comment on all of it, and an empty line; a comment right above a declaration
// is about that one. The declaration's text stands below: it is the definition.
#include "nnd/elab.h"
#include "support/embed.h"

#include <string.h>

extern const EmbeddedFile nnd_std[];

static const char *line_end(const char *line) {
    const char *end = strchr(line, '\n');
    return end ? end : line + strlen(line);
}

// The lines of comment that end right above `at`, as one text without their marks.
static const char *comment_above(Arena *arena, const char *text, const char *at) {
    const char *first = at;
    Buf out = buf_new(arena);
    while (first > text + 1) {
        const char *line = first - 1;
        while (line > text && line[-1] != '\n')
            line--;
        if (*line != '#') break;
        first = line;
    }
    for (const char *line = first; line < at; line = line_end(line) + 1) {
        const char *words = line + 1 + strspn(line + 1, " ");
        if (out.length) buf_add(&out, " ");
        buf_add_n(&out, words, (size_t)(line_end(line) - words));
    }
    return out.text;
}

// The first comment of a file, where an empty line is behind it.
static const char *comment_of_file(Arena *arena, const char *text) {
    const char *line = strchr(text, '#');
    while (line && *line == '#')
        line = line_end(line) + 1;
    return line && *line == '\n' ? comment_above(arena, text, line) : "";
}

// The text of a declaration, to the brace that closes its last block.
static void add_definition(Buf *out, const File *file, int index) {
    const char *at = file->source->text + file->decl[index]->span.start;
    const char *end = index + 1 < file->decl_count
                          ? file->source->text + file->decl[index + 1]->span.start
                          : file->source->text + file->source->length;
    while (end > at && end[-1] != '}') // what is between are comments
        end--;
    for (const char *line = at; line < end; line = line_end(line) + 1)
        buf_printf(out, "    %.*s\n", (int)(line_end(line) - line), line);
}

static void add_file(Buf *out, const EmbeddedFile *embedded) {
    Diag *diag = diag_new(out->arena);
    const File *file =
        nnd_parse(out->arena, source_from_text(out->arena, embedded->name, embedded->text), diag);
    const char *about = comment_of_file(out->arena, embedded->text);
    buf_printf(out, "\n## %s\n", embedded->name);
    if (*about) buf_printf(out, "\n%s\n", about);
    for (int i = 0; i < file->decl_count; i++) {
        const Decl *decl = file->decl[i];
        const char *comment =
            comment_above(out->arena, embedded->text, embedded->text + decl->span.start);
        buf_printf(out, "\n### %s\n", decl->name);
        if (*comment) buf_printf(out, "\n%s\n", comment);
        buf_add(out, "\n");
        add_definition(out, file, i);
    }
}

static void add_index(Buf *out, const Decl *const *decl, int count, DeclKind kind,
                      const char *title) {
    const char *before = "";
    buf_printf(out, "- %s: ", title);
    for (int i = 0; i < count; i++) {
        if (decl[i]->kind != kind) continue;
        buf_printf(out, "%s[%s](#%s)", before, decl[i]->name, decl[i]->name);
        before = ", ";
    }
    buf_add(out, "\n");
}

void nnd_library_reference(Buf *out) {
    int count;
    const Decl *const *decl = nnd_library(out->arena, diag_new(out->arena), &count);
    buf_add(out, "<!-- Written by `nnc --library`. -->\n# The library\n\n"
                 "What there is without being declared, with its definition. A declaration of "
                 "your own with the same name hides it.\n"
                 "How definitions are read is in [LANGUAGE](LANGUAGE.md).\n\n");
    add_index(out, decl, count, DECL_LAYER, "Layers");
    add_index(out, decl, count, DECL_FN, "Functions");
    add_index(out, decl, count, DECL_OPTIMIZER, "Optimizers");
    for (const EmbeddedFile *file = nnd_std; file->name; file++)
        add_file(out, file);
}
