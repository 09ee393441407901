// SPDX-License-Identifier: MIT
// Expressions: one lexer and one parser for the operator table's derivatives, the graph's text form and
// the language (whose own statements frontends/nnd/parse.c adds).
//
//     binary, loosest first:  |>   or   and   not   == != < <= > >=   + -   * / // %   unary -   ^ (right)
//     postfix:                f(a, k = v)   x[i, 2*h + r]   v'   (… as name after a call in a pipe)
//     reduction:              sum[i, j: 3] body      binds like a product: sum[i] a[i] * b[i] + c
//                             is (sum[i] (a[i] * b[i])) + c
//     also:                   if c then a else b     [a, b]     "text"     1e-3
#ifndef NNC_IR_EXPR_H
#define NNC_IR_EXPR_H

#include "support/buf.h"
#include "support/diag.h"
#include <stdint.h>

typedef enum TokenKind {
    TOKEN_END,
    TOKEN_NEWLINE, // ends a statement; not made inside brackets, after a binary operator or before |>
    TOKEN_NAME,
    TOKEN_NUMBER,  // 12  1.5  1e-3
    TOKEN_STRING,  // text: without quotes, escapes \n \t \" \\ resolved
    TOKEN_PUNCT,   // text: the operator or bracket; a prime is a PUNCT "'"
    TOKEN_ERROR,   // reported already
} TokenKind;

typedef struct Token {
    TokenKind kind;
    const char *text; // interned or owned by the arena, NUL-terminated
    size_t length;    // of a string (may hold any byte but NUL)
    double number;
    bool is_integer;  // NUMBER without point or exponent
    Span span;
} Token;

typedef struct Lexer Lexer;

// Comments run from # to the line's end.
Lexer *lexer_new(Arena *arena, const Source *source, Diag *diag);
const Token *lexer_peek(Lexer *lexer);
const Token *lexer_peek_second(Lexer *lexer);
// The token behind the first ( ) or [ ] from here and what is in it; END where it is not closed.
const Token *lexer_peek_past_brackets(Lexer *lexer);
const Token *lexer_next(Lexer *lexer);
unsigned lexer_last_end(const Lexer *lexer); // offset behind the token that was read last
bool lexer_is(Lexer *lexer, const char *punct_or_name); // the next token is this text (not a string)
bool lexer_take(Lexer *lexer, const char *punct_or_name);
bool lexer_expect(Lexer *lexer, const char *punct_or_name, const char *where); // reports where it is not
// The same for the bracket that closes the one at `open`, which a note shows where it is on another line.
bool lexer_expect_close(Lexer *lexer, const char *close, Span open, const char *where);
void lexer_unexpected(Lexer *lexer, const char *expected); // "expected .., found .." about the next token
void lexer_skip_statement(Lexer *lexer); // to after the next newline outside brackets, or before a closing }
void lexer_skip_newlines(Lexer *lexer);

typedef enum ExprKind {
    EXPR_NUMBER, // number
    EXPR_STRING, // text
    EXPR_NAME,   // text
    EXPR_UNARY,  // text: - not; in[0]
    EXPR_BINARY, // text: the operator; in[0], in[1]
    EXPR_CALL,   // callee: in[0]; args: in[1..] with arg_name (NULL: positional)
    EXPR_INDEX,  // base: in[0]; indices: in[1..]
    EXPR_REDUCE, // text: sum, mean, prod, max, min, argmax ..; indices; body: in[0]
    EXPR_PRIME,  // text' : the next value of a state, a parameter
    EXPR_IF,     // in[0] then in[1] else in[2]
    EXPR_LIST,   // in[0..]
} ExprKind;

enum { EXPR_HEIGHT = 1000 };

typedef struct IndexName { // h   or   h: extent
    const char *name;
    Span span;
    struct Expr *extent; // NULL: inferred
} IndexName;

typedef struct Expr {
    ExprKind kind;
    Span span;     // the whole expression
    int height;    // levels of the tree, at most EXPR_HEIGHT: a walk may recurse
    Span operator_span; // BINARY: the operator; CALL: the callee's name
    const char *text;
    double number;
    bool is_integer;
    int in_count;
    struct Expr **in;
    const char **arg_name; // CALL: in_count entries, [0] unused
    Span *arg_span;        // CALL: of the names
    const char *instance;  // CALL: `as name`, or NULL
    Span instance_span;
    bool piped;            // CALL: in[1] came through |>
    int index_count;
    IndexName *index; // REDUCE
} Expr;

// Reports a mistake and returns NULL; the caller skips to the next statement.
Expr *expr_parse(Arena *arena, Lexer *lexer, Diag *diag);
Expr *expr_parse_text(Arena *arena, const Source *source, Diag *diag); // the whole text is one expression
// The rest of `if condition then a else b` from `then` on, for a reader of `if condition {` as well.
Expr *expr_parse_then(Arena *arena, Lexer *lexer, Diag *diag, Span start, Expr *condition);
// "[i, j: extent]"; with `dots`, ".." counts as a name. False after a mistake.
bool expr_parse_indices(Arena *arena, Lexer *lexer, Diag *diag, bool dots, IndexName **index, int *count);
bool name_is_reserved(const char *name); // and or not if then else: no names
bool name_is_reduction(const char *name);
void expr_print(Buf *out, const Expr *expr); // with few brackets; reads back as equal
void indices_print(Buf *out, const IndexName *index, int count); // [i, j: extent]
void text_print(Buf *out, const char *text);                     // quoted, with escapes

#endif
