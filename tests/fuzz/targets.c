// SPDX-License-Identifier: MIT
#include "fuzz/targets.h"

#include "ir/graph.h"
#include "nnd/ast.h"

#include <stdio.h>
#include <string.h>

static const Source *source_of(Arena *arena, const char *text, size_t length) {
    Source *source = ARENA_NEW(arena, Source);
    source->name = "fuzz";
    source->text = arena_strndup(arena, text, length);
    source->length = length;
    return source;
}

static const char *compare(const Buf *once, const Buf *twice, const char *errors, char *message,
                           size_t size) {
    if (*errors)
        snprintf(message, size, "what was printed has mistakes:\n%s---\n%s", errors, once->text);
    else if (strcmp(once->text, twice->text))
        snprintf(message, size, "what was printed prints otherwise:\n%s---\n%s", once->text,
                 twice->text);
    else
        return NULL;
    return message;
}

static const char *check_nnd(Arena *arena, const Source *source, char *message, size_t size) {
    Diag *diag = diag_new(arena);
    Buf once = buf_new(arena), twice = buf_new(arena);
    ast_print(&once, nnd_parse(arena, source, diag));
    diag_text(diag, arena);
    if (diag_error_count(diag)) return NULL;
    ast_print(&twice, nnd_parse(arena, source_from_text(arena, "printed", once.text), diag));
    return compare(&once, &twice, diag_text(diag, arena), message, size);
}

static const char *check_graph(Arena *arena, const Source *source, char *message, size_t size) {
    Diag *diag = diag_new(arena);
    Buf once = buf_new(arena), twice = buf_new(arena);
    const Graph *graph = graph_read(arena, source, diag);
    diag_text(diag, arena);
    if (!graph && diag_error_count(diag)) return NULL;
    if (!graph) return "no graph, and no message";
    graph_print(&once, graph);
    graph = graph_read(arena, source_from_text(arena, "printed", once.text), diag);
    if (graph) graph_print(&twice, graph);
    return compare(&once, &twice, diag_text(diag, arena), message, size);
}

const char *fuzz_nnd(const char *text, size_t length, char *message, size_t size) {
    Arena *arena = arena_new();
    const char *wrong = check_nnd(arena, source_of(arena, text, length), message, size);
    arena_free(arena);
    return wrong;
}

const char *fuzz_graph(const char *text, size_t length, char *message, size_t size) {
    Arena *arena = arena_new();
    const char *wrong = check_graph(arena, source_of(arena, text, length), message, size);
    arena_free(arena);
    return wrong;
}
