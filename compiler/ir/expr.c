// SPDX-License-Identifier: MIT
// The parser of expressions, and their printer. docs/LANGUAGE.md has the grammar; each function
// carries its rule. A mistake is reported once, and NULL goes up to whoever knows where to go on.
//
//     parse_sum        a - b * c       BINARY -  (a, BINARY * (b, c))
//     parse_reduction  sum[i] a * b    REDUCE sum i (BINARY * (a, b))
//
// Trees have a greatest height, so neither this parser nor a walk over what it returns runs out of
// stack.
#include "ir/expr.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NESTING = 256 };

typedef struct Parser {
    Arena *arena;
    Lexer *lexer;
    Diag *diag;
    int nesting;
} Parser;

typedef VEC(Expr *) ExprVec;

static Expr *parse_expr(Parser *p);
static Expr *parse_unary(Parser *p);

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0) return true;
    return false;
}

bool name_is_reserved(const char *name) {
    static const char *const names[] = {"and", "or", "not", "if", "then", "else", NULL};
    return is_one_of(name, names);
}

bool name_is_reduction(const char *name) {
    static const char *const names[] = {"sum", "mean",   "prod", "max", "min",
                                        "all", "argmax", "any",  NULL};
    return is_one_of(name, names);
}

// Deep recursion is the user's mistake: p->nesting comes back down with leave().
static bool enter(Parser *p) {
    if (++p->nesting <= MAX_NESTING) return true;
    diag_error(p->diag, lexer_peek(p->lexer)->span, "an expression of more than %d levels",
               MAX_NESTING);
    p->nesting--;
    return false;
}

static Expr *leave(Parser *p, Expr *expr) {
    p->nesting--;
    return expr;
}

static Expr *expr_new(Parser *p, ExprKind kind, Span span, int in_count, Expr *const *in) {
    Expr *expr = ARENA_NEW(p->arena, Expr);
    expr->kind = kind;
    expr->span = span;
    expr->height = 1;
    expr->in_count = in_count;
    expr->in = ARENA_ARRAY(p->arena, Expr *, in_count + 1);
    for (int i = 0; i < in_count; i++) {
        expr->in[i] = in[i];
        if (in[i]->height >= expr->height) expr->height = in[i]->height + 1;
    }
    if (expr->height <= EXPR_HEIGHT) return expr;
    diag_error(p->diag, span, "an expression of more than %d levels", EXPR_HEIGHT);
    diag_hint(p->diag, "give a name to a part of it");
    return NULL;
}

static Expr *binary_new(Parser *p, const Token *op, Expr *left, Expr *right) {
    Span span = span_join(left->span, right->span);
    Expr *expr = expr_new(p, EXPR_BINARY, span, 2, (Expr *[]){left, right});
    if (expr) {
        expr->text = op->text;
        expr->operator_span = op->span;
    }
    return expr;
}

static const Token *take_any(Parser *p, const char *const *texts) {
    const Token *token = lexer_peek(p->lexer);
    if ((token->kind != TOKEN_PUNCT && token->kind != TOKEN_NAME) || !is_one_of(token->text, texts))
        return NULL;
    return lexer_next(p->lexer);
}

// A name that is not reserved, or NULL, reported.
static const Token *take_name(Parser *p, const char *what) {
    const Token *token = lexer_peek(p->lexer);
    if (token->kind == TOKEN_NAME && !name_is_reserved(token->text)) return lexer_next(p->lexer);
    lexer_unexpected(p->lexer, what);
    return NULL;
}

// --- Operands

// indices = "[" index { "," index } "]"
// index = NAME [ ":" expr ] | ".."               # .. to the left of "=" alone
bool expr_parse_indices(Arena *arena, Lexer *lexer, Diag *diag, bool dots, IndexName **index,
                        int *count) {
    Parser p = {arena, lexer, diag, 0};
    VEC(IndexName) names = {0};
    Span open = lexer_peek(lexer)->span;
    if (!lexer_expect(lexer, "[", "before the indices")) return false;
    do {
        IndexName name = {.span = lexer_peek(lexer)->span};
        if (dots && lexer_take(lexer, "..")) {
            name.name = "..";
        } else {
            const Token *token = take_name(&p, "the name of an index");
            if (!token) return false;
            name.name = token->text;
            if (lexer_take(lexer, ":") && !(name.extent = parse_expr(&p))) return false;
        }
        VEC_PUSH(arena, names, name);
    } while (lexer_take(lexer, ","));
    *index = names.at;
    *count = names.count;
    return lexer_expect_close(lexer, "]", open, "after the indices");
}

static void report_slice(Parser *p) {
    lexer_unexpected(p->lexer, "an index");
    diag_hint(p->diag, "a part is taken in index notation: y[n, i: 3] = x[n, i]");
}

// { expr "," } up to "]", which is taken too; ".." counts as an expression where `dots`
static bool parse_items(Parser *p, ExprVec *items, Span open, bool dots, const char *where) {
    while (!lexer_is(p->lexer, "]")) {
        Expr *item;
        Span span = lexer_peek(p->lexer)->span;
        if (dots && lexer_take(p->lexer, "..")) {
            item = expr_new(p, EXPR_NAME, span, 0, NULL);
            item->text = "..";
        } else {
            item = lexer_is(p->lexer, ":") ? NULL : parse_expr(p);
        }
        bool is_slice = lexer_is(p->lexer, ":");
        if (item && !is_slice) VEC_PUSH(p->arena, *items, item);
        if (is_slice) report_slice(p);
        if (!item || is_slice) return false;
        if (!lexer_take(p->lexer, ",")) break;
    }
    return lexer_expect_close(p->lexer, "]", open, where);
}

// primary = NUMBER | STRING | NAME | NAME "'" | "(" expr ")"
//         | "[" [ expr { "," expr } [ "," ] ] "]"
static Expr *parse_primary(Parser *p) {
    const Token *token = lexer_peek(p->lexer);
    ExprKind kind = token->kind == TOKEN_NUMBER   ? EXPR_NUMBER
                    : token->kind == TOKEN_STRING ? EXPR_STRING
                                                  : EXPR_NAME;
    if (lexer_take(p->lexer, "(")) {
        Expr *expr = parse_expr(p);
        bool is_list = expr && lexer_is(p->lexer, ",");
        if (!expr ||
            !lexer_expect_close(p->lexer, ")", token->span, "after the expression in brackets")) {
            if (is_list) diag_hint(p->diag, "a list stands in square brackets: [1, 2]");
            return NULL;
        }
        expr->span = (Span){token->span.source, token->span.start, lexer_last_end(p->lexer)};
        return expr;
    }
    if (lexer_take(p->lexer, "[")) {
        ExprVec items = {0};
        if (!parse_items(p, &items, token->span, false, "after the list")) return NULL;
        Span span = {token->span.source, token->span.start, lexer_last_end(p->lexer)};
        return expr_new(p, EXPR_LIST, span, items.count, items.at);
    }
    if (kind == EXPR_NAME && (token->kind != TOKEN_NAME || name_is_reserved(token->text))) {
        lexer_unexpected(p->lexer, "an expression");
        if (lexer_is(p->lexer, "if"))
            diag_hint(p->diag, "inside of an expression an 'if' stands in brackets");
        return NULL;
    }
    lexer_next(p->lexer);
    Expr *expr = expr_new(p, kind, token->span, 0, NULL);
    expr->text = token->text;
    expr->number = token->number;
    expr->is_integer = token->is_integer;
    const Token *prime = lexer_peek(p->lexer);
    if (kind == EXPR_NAME && prime->span.start == token->span.end && lexer_take(p->lexer, "'")) {
        expr->kind = EXPR_PRIME;
        expr->span = span_join(token->span, prime->span);
    }
    return expr;
}

typedef struct CallParts {
    ExprVec in; // the callee first
    VEC(const char *) name;
    VEC(Span) name_span;
} CallParts;

static void push_arg(Parser *p, CallParts *parts, Expr *value, const char *name, Span name_span) {
    VEC_PUSH(p->arena, parts->in, value);
    VEC_PUSH(p->arena, parts->name, name);
    VEC_PUSH(p->arena, parts->name_span, name_span);
}

// arg = [ NAME "=" ] expr                        # those with a name come last
static bool parse_arg(Parser *p, CallParts *parts) {
    const Token *token = lexer_peek(p->lexer);
    const char *name = NULL;
    Span name_span = SPAN_NONE;
    const Token *second = lexer_peek_second(p->lexer);
    if (token->kind == TOKEN_NAME && !name_is_reserved(token->text) &&
        second->kind == TOKEN_PUNCT && strcmp(second->text, "=") == 0) {
        name = token->text;
        name_span = token->span;
        lexer_next(p->lexer);
        lexer_next(p->lexer);
    }
    Expr *value = parse_expr(p);
    if (!value) return false;
    if (!name && parts->name.at[parts->name.count - 1]) {
        diag_error(p->diag, value->span, "an argument without a name after one with a name");
        return false;
    }
    push_arg(p, parts, value, name, name_span);
    return true;
}

// args = "(" [ arg { "," arg } [ "," ] ] ")"
static bool parse_args(Parser *p, CallParts *parts) {
    Span open = lexer_peek(p->lexer)->span;
    if (!lexer_expect(p->lexer, "(", "before the arguments")) return false;
    while (!lexer_is(p->lexer, ")")) {
        if (!parse_arg(p, parts)) return false;
        if (!lexer_take(p->lexer, ",")) break;
    }
    return lexer_expect_close(p->lexer, ")", open, "after the arguments");
}

// args [ "as" NAME ]: what is called is in `parts`, and so is what was piped into it.
static Expr *parse_call(Parser *p, CallParts *parts, Span start, Span end, bool piped) {
    const Expr *callee = parts->in.at[0];
    if (!piped || lexer_is(p->lexer, "(")) {
        if (!parse_args(p, parts)) return NULL;
        end = (Span){start.source, start.start, lexer_last_end(p->lexer)};
    }
    const Token *instance = NULL;
    if (lexer_take(p->lexer, "as")) {
        instance = take_name(p, "a name after 'as'");
        if (!instance) return NULL;
        end = instance->span;
    }
    Expr *call = expr_new(p, EXPR_CALL, span_join(start, end), parts->in.count, parts->in.at);
    if (!call) return NULL;
    call->operator_span = callee->span;
    call->arg_name = parts->name.at;
    call->arg_span = parts->name_span.at;
    call->piped = piped;
    if (instance) {
        call->instance = instance->text;
        call->instance_span = instance->span;
    }
    return call;
}

// call = NAME args [ "as" NAME ] | primary
static Expr *parse_callable(Parser *p) {
    Expr *expr = parse_primary(p);
    if (!expr || !lexer_is(p->lexer, "(")) return expr;
    if (expr->kind != EXPR_NAME) {
        diag_error(p->diag, expr->span, "only a name can be called");
        return NULL;
    }
    CallParts parts = {0};
    push_arg(p, &parts, expr, NULL, SPAN_NONE);
    return parse_call(p, &parts, expr->span, expr->span, false);
}

// postfix = call { "[" item { "," item } [ "," ] "]" }
// item = ".." | expr
static Expr *parse_postfix(Parser *p) {
    Expr *expr = parse_callable(p);
    while (expr && lexer_is(p->lexer, "[")) {
        ExprVec in = {0};
        Span open = lexer_next(p->lexer)->span;
        VEC_PUSH(p->arena, in, expr);
        if (!parse_items(p, &in, open, true, "after the indices")) return NULL;
        if (in.count == 1) {
            diag_error(p->diag, open, "expected an index after '['");
            return NULL;
        }
        Span span = {open.source, expr->span.start, lexer_last_end(p->lexer)};
        expr = expr_new(p, EXPR_INDEX, span, in.count, in.at);
    }
    return expr;
}

// --- Operators, tightest first

// power = postfix [ "^" unary ]
static Expr *parse_power(Parser *p) {
    Expr *left = parse_postfix(p);
    if (!left || !lexer_is(p->lexer, "^")) return left;
    const Token *op = lexer_next(p->lexer);
    Expr *right = parse_unary(p);
    return right ? binary_new(p, op, left, right) : NULL;
}

// operand { op operand }, grouped from the left
static Expr *parse_chain(Parser *p, const char *const *operators,
                         Expr *(*parse_operand)(Parser *)) {
    Expr *left = parse_operand(p);
    const Token *op;
    while (left && (op = take_any(p, operators))) {
        Expr *right = parse_operand(p);
        left = right ? binary_new(p, op, left, right) : NULL;
    }
    return left;
}

// product = unary { ( "*" | "/" | "//" | "%" ) unary }
static Expr *parse_product(Parser *p) {
    static const char *const operators[] = {"*", "/", "//", "%", NULL};
    return parse_chain(p, operators, parse_unary);
}

// reduction = REDUCER indices product
// REDUCER = "sum" | "mean" | "prod" | "max" | "min" | "argmax" | "all" | "any"
static Expr *parse_reduction(Parser *p) {
    const Token *name = lexer_next(p->lexer);
    IndexName *index;
    int index_count;
    if (!expr_parse_indices(p->arena, p->lexer, p->diag, false, &index, &index_count)) return NULL;
    const Token *next = lexer_peek(p->lexer);
    if (next->kind == TOKEN_END || next->kind == TOKEN_NEWLINE ||
        (next->kind == TOKEN_PUNCT && !strchr("([-", next->text[0]))) {
        diag_error(p->diag, name->span, "the reduction '%s[..]' has nothing to reduce", name->text);
        diag_hint(p->diag, "a value of that name is indexed as (%s)[..]", name->text);
        return NULL;
    }
    Expr *body = parse_product(p);
    if (!body) return NULL;
    Expr *expr = expr_new(p, EXPR_REDUCE, span_join(name->span, body->span), 1, &body);
    if (!expr) return NULL;
    expr->text = name->text;
    expr->operator_span = name->span;
    expr->index = index;
    expr->index_count = index_count;
    return expr;
}

static Expr *prefix_new(Parser *p, const Token *op, Expr *operand) {
    if (!operand) return NULL;
    Expr *expr = expr_new(p, EXPR_UNARY, span_join(op->span, operand->span), 1, &operand);
    if (expr) {
        expr->text = op->text;
        expr->operator_span = op->span;
    }
    return expr;
}

// unary = "-" unary | reduction | power
static Expr *parse_unary(Parser *p) {
    if (!enter(p)) return NULL;
    const Token *token = lexer_peek(p->lexer), *second = lexer_peek_second(p->lexer);
    if (lexer_take(p->lexer, "-")) return leave(p, prefix_new(p, token, parse_unary(p)));
    if (token->kind == TOKEN_NAME && name_is_reduction(token->text) &&
        second->kind == TOKEN_PUNCT && strcmp(second->text, "[") == 0)
        return leave(p, parse_reduction(p));
    return leave(p, parse_power(p));
}

// sum = product { ( "+" | "-" ) product }
static Expr *parse_sum(Parser *p) {
    static const char *const operators[] = {"+", "-", NULL};
    return parse_chain(p, operators, parse_product);
}

// comparison = sum [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) sum ]
static Expr *parse_comparison(Parser *p) {
    static const char *const operators[] = {"==", "!=", "<", "<=", ">", ">=", NULL};
    Expr *left = parse_sum(p);
    const Token *op = left ? take_any(p, operators) : NULL;
    if (!op) return left;
    Expr *right = parse_sum(p);
    if (!right) return NULL;
    const Token *again = take_any(p, operators);
    if (again) {
        diag_error(p->diag, again->span, "comparisons do not chain");
        diag_hint(p->diag, "write: a < b and b < c");
        return NULL;
    }
    return binary_new(p, op, left, right);
}

// negation = "not" negation | comparison
static Expr *parse_negation(Parser *p) {
    const Token *token = lexer_peek(p->lexer);
    if (!lexer_is(p->lexer, "not")) return parse_comparison(p);
    if (!enter(p)) return NULL;
    lexer_next(p->lexer);
    return leave(p, prefix_new(p, token, parse_negation(p)));
}

// conjunction = negation { "and" negation }
static Expr *parse_conjunction(Parser *p) {
    static const char *const operators[] = {"and", NULL};
    return parse_chain(p, operators, parse_negation);
}

// disjunction = conjunction { "or" conjunction }
static Expr *parse_disjunction(Parser *p) {
    static const char *const operators[] = {"or", NULL};
    return parse_chain(p, operators, parse_conjunction);
}

// pipe = disjunction { "|>" NAME [ args ] [ "as" NAME ] }
static Expr *parse_pipe(Parser *p) {
    Expr *left = parse_disjunction(p);
    while (left && lexer_take(p->lexer, "|>")) {
        const Token *name = take_name(p, "the name of a function or layer after '|>'");
        if (!name) return NULL;
        Expr *callee = expr_new(p, EXPR_NAME, name->span, 0, NULL);
        callee->text = name->text;
        CallParts parts = {0};
        push_arg(p, &parts, callee, NULL, SPAN_NONE);
        push_arg(p, &parts, left, NULL, SPAN_NONE);
        left = parse_call(p, &parts, left->span, name->span, true);
    }
    return left;
}

static Expr *parse_then(Parser *p, Span start, Expr *condition) {
    if (!lexer_expect(p->lexer, "then", "after the condition")) return NULL;
    Expr *yes = parse_expr(p);
    if (!yes || !lexer_expect(p->lexer, "else", "of 'if .. then ..'")) return NULL;
    Expr *no = parse_expr(p);
    if (!no) return NULL;
    return expr_new(p, EXPR_IF, span_join(start, no->span), 3, (Expr *[]){condition, yes, no});
}

// expr = "if" expr "then" expr "else" expr | pipe
static Expr *parse_expr(Parser *p) {
    if (!enter(p)) return NULL;
    Span start = lexer_peek(p->lexer)->span;
    if (!lexer_take(p->lexer, "if")) return leave(p, parse_pipe(p));
    Expr *condition = parse_expr(p);
    return leave(p, condition ? parse_then(p, start, condition) : NULL);
}

Expr *expr_parse(Arena *arena, Lexer *lexer, Diag *diag) {
    Parser p = {arena, lexer, diag, 0};
    return parse_expr(&p);
}

Expr *expr_parse_then(Arena *arena, Lexer *lexer, Diag *diag, Span start, Expr *condition) {
    Parser p = {arena, lexer, diag, 0};
    return parse_then(&p, start, condition);
}

Expr *expr_parse_text(Arena *arena, const Source *source, Diag *diag) {
    int errors = diag_error_count(diag);
    Lexer *lexer = lexer_new(arena, source, diag);
    lexer_skip_newlines(lexer);
    Expr *expr = expr_parse(arena, lexer, diag);
    lexer_skip_newlines(lexer);
    if (expr && lexer_peek(lexer)->kind != TOKEN_END)
        lexer_unexpected(lexer, "the end of the expression");
    return diag_error_count(diag) == errors ? expr : NULL;
}
