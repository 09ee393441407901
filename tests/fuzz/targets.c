// SPDX-License-Identifier: MIT
#include "fuzz/targets.h"

#include "compile.h"
#include "ir/expr.h"
#include "nnd/elab.h"
#include "picture/picture.h"

#include <stdio.h>
#include <string.h>

const FuzzTarget fuzz_targets[] = {
    {"nnd", fuzz_nnd},       {"elaborate", fuzz_elaborate}, {"compile", fuzz_compile},
    {"graph", fuzz_graph},   {"expr", fuzz_expr},           {"checkpoint", fuzz_checkpoint},
    {"idx", fuzz_idx},
#ifdef NNC_HAVE_ZLIB
    {"idx_gz", fuzz_idx_gz},
#endif
    {"csv", fuzz_csv},       {"cifar10", fuzz_cifar10},     {"json", fuzz_json},
    {"log", fuzz_log},
#ifdef NNC_HAVE_PNG
    {"png", fuzz_png},
#endif
    {"tuning", fuzz_tuning}, {"object", fuzz_object},       {0},
};

static const Source *source_of(Arena *arena, const char *text, size_t length) {
    Source *source = ARENA_NEW(arena, Source);
    const char *copy = arena_strndup(arena, text, length);
    *source = *source_from_text(arena, "fuzz", copy);
    source->text = copy; // beyond a zero byte, too
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

// Whatever a graph is, there is a picture of it.
static void draw(Arena *arena, const Graph *graph, int depth) {
    const Picture *picture = picture_make(arena, graph, depth);
    Buf out = buf_new(arena);
    picture_list(&out, picture);
    picture_dot(&out, picture);
    picture_svg(&out, picture);
}

static const char *check_graphs(Arena *arena, Graph *const *graphs, int count, char *message,
                                size_t size) {
    for (int i = 0; i < count; i++) {
        const char *wrong = graphs[i] ? graph_verify(graphs[i], STAGE_MODEL, arena) : NULL;
        if (graphs[i]) draw(arena, graphs[i], i % 2 ? 1 : PICTURE_OPERATORS);
        if (!wrong) continue;
        snprintf(message, size, "%s", wrong);
        return message;
    }
    return NULL;
}

// A function, layer or optimizer alone, applied to arguments that suit it.
static const char *check_call(Arena *arena, const File *file, const Decl *decl, char *message,
                              size_t size) {
    Diag *diag = diag_new(arena);
    int count;
    const ExampleArgument *argument = nnd_example_arguments(arena, decl, &count);
    Graph *graph = nnd_elaborate_call(arena, file, decl->name, argument, count, true, diag);
    if (!graph && diag_error_count(diag) == 0) return "no graph, and no message";
    return check_graphs(arena, &graph, 1, message, size);
}

static const char *check_elaborate(Arena *arena, const Source *source, char *message, size_t size) {
    Diag *diag = diag_new(arena);
    const File *file = nnd_parse(arena, source, diag);
    if (file->lost) return NULL;
    const char *wrong = NULL;
    for (int i = 0; i < file->decl_count && !wrong; i++)
        if (file->decl[i]->kind <= DECL_OPTIMIZER && !file->broken)
            wrong = check_call(arena, file, file->decl[i], message, size);
    if (wrong) return wrong;
    const Module *module = nnd_elaborate(arena, file, &(ElabOptions){0}, diag);
    if (!module) return diag_error_count(diag) ? NULL : "no network, and no message";
    if (file->broken) return "a network of a file with mistakes";
    return check_graphs(arena, module->graph, NNC_FUNCTIONS, message, size);
}

static const char *check_expr(Arena *arena, const Source *source, char *message, size_t size) {
    Diag *diag = diag_new(arena);
    Buf once = buf_new(arena), twice = buf_new(arena);
    const Expr *expr = expr_parse_text(arena, source, diag);
    diag_text(diag, arena);
    if (!expr && diag_error_count(diag)) return NULL;
    if (!expr) return "no expression, and no message";
    expr_print(&once, expr);
    expr = expr_parse_text(arena, source_from_text(arena, "printed", once.text), diag);
    if (expr) expr_print(&twice, expr);
    return compare(&once, &twice, diag_text(diag, arena), message, size);
}

// Whatever elaborates becomes C, or an error with its place.
static const char *check_compile(Arena *arena, const Source *source, char *message, size_t size) {
    static const char *const level[] = {"x86-64-v4", "x86-64"};
    Diag *diag = diag_new(arena);
    const File *file = nnd_parse(arena, source, diag);
    const Module *module = file->lost ? NULL : nnd_elaborate(arena, file, &(ElabOptions){0}, diag);
    if (!module) return NULL;
    (void)message, (void)size;
    for (int i = 0; i < 3; i++) {
        const Target *target = i < 2 ? target_find(level[i]) : &target_library;
        const Compiled *compiled = compile(arena, module, target, diag);
        if (!compiled && !diag_error_count(diag)) return "no code, and no message";
        if (!compiled) return NULL;
        Buf table = buf_new(arena);
        emit_table(&table, &compiled->program, "nnc_program");
    }
    return NULL;
}

static const char *run(const char *text, size_t length, char *message, size_t size,
                       const char *(*check)(Arena *, const Source *, char *, size_t)) {
    Arena *arena = arena_new();
    const char *wrong = check(arena, source_of(arena, text, length), message, size);
    arena_free(arena);
    return wrong;
}

const char *fuzz_nnd(const char *text, size_t length, char *message, size_t size) {
    return run(text, length, message, size, check_nnd);
}

const char *fuzz_graph(const char *text, size_t length, char *message, size_t size) {
    return run(text, length, message, size, check_graph);
}

const char *fuzz_expr(const char *text, size_t length, char *message, size_t size) {
    return run(text, length, message, size, check_expr);
}

const char *fuzz_elaborate(const char *text, size_t length, char *message, size_t size) {
    return run(text, length, message, size, check_elaborate);
}

const char *fuzz_compile(const char *text, size_t length, char *message, size_t size) {
    return run(text, length, message, size, check_compile);
}
