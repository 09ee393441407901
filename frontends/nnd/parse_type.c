// SPDX-License-Identifier: MIT
// Types and parameter lists.
//
//     f32[N, 3, 32, 32]     index(classes)[N]     [.., I]     int
//     (x: [.., I], units: int, bias = true)
#include "nnc.h"
#include "nnd/parse.h"

#include <string.h>

static const struct {
    const char *word;
    TypeKind alone, before_dims;
    bool takes_dims;
} words[] = {
    {"f32", TYPE_TENSOR, TYPE_TENSOR, true}, {"i32", TYPE_TENSOR, TYPE_TENSOR, true},
    {"bool", TYPE_BOOL, TYPE_TENSOR, true},  {"index", TYPE_INDEX, TYPE_INDEX, true},
    {"int", TYPE_INT, TYPE_INT, false},      {"real", TYPE_REAL, TYPE_REAL, false},
    {"fn", TYPE_FN, TYPE_FN, false},
};
enum { WORDS = sizeof words / sizeof *words };

static Expr *any_axes(Parser *p, Span span) {
    Expr *expr = ARENA_NEW(p->arena, Expr);
    *expr = (Expr){.kind = EXPR_NAME, .span = span, .height = 1, .text = ".."};
    return expr;
}

// dims = "[" [ dim { "," dim } [ "," ] ] "]"
// dim = ".." | expr
static bool parse_dims(Parser *p, Type *type) {
    VEC(Expr *) dims = {0};
    bool has_any = false;
    Span open = lexer_next(p->lexer)->span;
    while (!lexer_is(p->lexer, "]")) {
        Span span = lexer_peek(p->lexer)->span;
        Expr *dim;
        if (lexer_take(p->lexer, "..")) {
            if (has_any) {
                diag_error(p->diag, span, "a second '..' in one type");
                return false;
            }
            has_any = true;
            dim = any_axes(p, span);
        } else if (!(dim = expr_parse(p->arena, p->lexer, p->diag))) {
            return false;
        }
        VEC_PUSH(p->arena, dims, dim);
        if (!lexer_take(p->lexer, ",")) break;
    }
    type->dim = dims.at;
    type->dim_count = dims.count;
    return lexer_expect_close(p->lexer, "]", open, "after the dimensions");
}

static int find_word(const char *name) {
    for (int i = 0; i < WORDS; i++)
        if (strcmp(words[i].word, name) == 0) return i;
    return -1;
}

static void report_unknown_type(Parser *p) {
    const Token *token = lexer_peek(p->lexer);
    if (token->kind != TOKEN_NAME) {
        lexer_unexpected(p->lexer, "a type");
        return;
    }
    const char *names[WORDS];
    for (int i = 0; i < WORDS; i++)
        names[i] = words[i].word;
    const char *near = nnc_nearest(token->text, names, WORDS);
    diag_error(p->diag, token->span, "no type is named '%s'", token->text);
    bool is_float = !strncmp(token->text, "float", 5) || !strcmp(token->text, "double");
    if (is_float)
        diag_hint(p->diag, "numbers are f32[N, 4], whole tensors of them; one number is real");
    else if (near)
        diag_hint(p->diag, "did you mean '%s'?", near);
    else
        diag_hint(p->diag, "types are f32[..] i32[..] bool[..] index(n)[..] [..] int real bool fn");
}

// type = "int" | "real" | "bool" | "fn" | [ "f32" | "i32" | "bool" ] dims | "f32" | "i32"
//      | "index" "(" expr ")" [ dims ]
Type *parse_type(Parser *p) {
    Type *type = ARENA_NEW(p->arena, Type);
    const Token *token = lexer_peek(p->lexer);
    int word = token->kind == TOKEN_NAME ? find_word(token->text) : -1;
    type->kind = word < 0 ? TYPE_SHAPE : words[word].alone;
    if (word < 0 && !lexer_is(p->lexer, "[")) {
        report_unknown_type(p);
        return NULL;
    }
    if (word >= 0) lexer_next(p->lexer);
    if (type->kind == TYPE_INDEX) {
        if (!lexer_expect(p->lexer, "(", "and the number of values after 'index'") ||
            !(type->bound = expr_parse(p->arena, p->lexer, p->diag)) ||
            !lexer_expect(p->lexer, ")", "after the number of values"))
            return NULL;
    }
    if (lexer_is(p->lexer, "[") && (word < 0 || words[word].takes_dims)) {
        type->kind = word < 0 ? TYPE_SHAPE : words[word].before_dims;
        if (!parse_dims(p, type)) return NULL;
    }
    if (type->kind == TYPE_TENSOR || type->kind == TYPE_INDEX) type->element = words[word].word;
    type->span = parser_span_since(p, token->span);
    return type;
}

// parameter = NAME [ ":" type ] [ "=" expr ]
static bool parse_parameter(Parser *p, Parameter *parameter) {
    const Token *name = parse_name(p, "the name of a parameter");
    if (!name) return false;
    *parameter = (Parameter){.name = name->text, .span = name->span};
    if (lexer_take(p->lexer, ":") && !(parameter->type = parse_type(p))) return false;
    if (lexer_take(p->lexer, "="))
        return (parameter->default_value = expr_parse(p->arena, p->lexer, p->diag)) != NULL;
    return true;
}

// parameters = "(" [ parameter { "," parameter } [ "," ] ] ")"
bool parse_parameters(Parser *p, Parameter **param, int *count) {
    VEC(Parameter) list = {0};
    Span open = lexer_peek(p->lexer)->span;
    if (!lexer_expect(p->lexer, "(", "before the parameters")) return false;
    while (!lexer_is(p->lexer, ")")) {
        Parameter parameter;
        if (!parse_parameter(p, &parameter)) return false;
        VEC_PUSH(p->arena, list, parameter);
        if (!lexer_take(p->lexer, ",")) break;
    }
    *param = list.at;
    *count = list.count;
    return lexer_expect_close(p->lexer, ")", open, "after the parameters");
}
