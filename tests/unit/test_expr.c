// SPDX-License-Identifier: MIT
// Expressions: how they group, told by a printer that brackets everything; what prints parses back;
// where lines end; what a hostile text meets.
#include "ir/expr.h"

#include <criterion/criterion.h>
#include <string.h>

static Arena *arena;
static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }
TestSuite(expr, .init = set_up, .fini = tear_down);

// (operator operand ..), so that the tree shows without any rule of precedence.
static void print_tree(Buf *out, const Expr *expr) {
    static const char *const kinds[] = {"",      "", "",     "",   "",    "call",
                                        "index", "", "next", "if", "list"};
    if (expr->in_count == 0) {
        buf_printf(out, "%s%s", expr->text, expr->kind == EXPR_PRIME ? "'" : "");
        return;
    }
    buf_printf(out, "(%s", expr->text ? expr->text : kinds[expr->kind]);
    if (expr->kind == EXPR_CALL && expr->piped) buf_add(out, "|>");
    for (int i = 0; i < expr->index_count; i++)
        buf_printf(out, " %s", expr->index[i].name);
    for (int i = 0; i < expr->in_count; i++) {
        buf_add(out, " ");
        if (expr->kind == EXPR_CALL && expr->arg_name[i]) buf_printf(out, "%s=", expr->arg_name[i]);
        print_tree(out, expr->in[i]);
    }
    buf_printf(out, "%s%s)", expr->instance ? " as " : "", expr->instance ? expr->instance : "");
}

static Expr *parse(const char *text, Diag *diag) {
    return expr_parse_text(arena, source_from_text(arena, "t", text), diag);
}

static const char *tree(const char *text) {
    Diag *diag = diag_new(arena);
    Expr *expr = parse(text, diag);
    cr_assert(expr, "%s", diag_text(diag, arena));
    Buf out = buf_new(arena);
    print_tree(&out, expr);
    return out.text;
}

static const char *printed(const char *text) {
    Diag *diag = diag_new(arena);
    Expr *expr = parse(text, diag);
    cr_assert(expr, "%s", diag_text(diag, arena));
    Buf out = buf_new(arena);
    expr_print(&out, expr);
    return out.text;
}

static const struct {
    const char *text, *tree;
} groups[] = {
    {"a - b - c", "(- (- a b) c)"},
    {"a / b * c // d % e", "(% (// (* (/ a b) c) d) e)"},
    {"a + b * c ^ d", "(+ a (* b (^ c d)))"},
    {"a ^ b ^ c", "(^ a (^ b c))"},
    {"-a ^ b", "(- (^ a b))"},
    {"a ^ -b ^ c", "(^ a (- (^ b c)))"},
    {"-a * b", "(* (- a) b)"},
    {"not a == b and c or d", "(or (and (not (== a b)) c) d)"},
    {"a + b < c * d", "(< (+ a b) (* c d))"},
    {"sum[i] a * b + c", "(+ (sum i (* a b)) c)"},
    {"c - mean[i, j: 3] a ^ d", "(- c (mean i j (^ a d)))"},
    {"a * sum[i] b * c", "(* a (sum i (* b c)))"},
    {"-max[i] a * b", "(- (max i (* a b)))"},
    {"sum(a) * b", "(* (call sum a) b)"},
    {"a + b |> f(c) as d |> g", "(call|> g (call|> f (+ a b) c as d))"},
    {"f(a, k = b) as c + d", "(+ (call f a k=b as c) d)"},
    {"a[i, 2 * h + r][..]", "(index (index a i (+ (* 2 h) r)) ..)"},
    {"f(a)[i] ^ p'", "(^ (index (call f a) i) p')"},
    {"if a then b else if c then d else e |> f", "(if a b (if c d (call|> f e)))"},
    {"[a, [b], f()]", "(list a (list b) (call f))"},
};

Test(expr, groups_as_the_grammar_says) {
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        cr_assert_str_eq(tree(groups[i].text), groups[i].tree);
        // The printer leaves brackets out; the tree must not change.
        cr_assert_str_eq(tree(printed(groups[i].text)), groups[i].tree, "%s",
                         printed(groups[i].text));
    }
}

Test(expr, prints_few_brackets) {
    static const char *const same[] = {
        "a - b - c - (d - e)",
        "(a + b) * c",
        "(-a) ^ 2",
        "-a ^ 2",
        "(a ^ b) ^ c",
        "(sum[i] a) * b",
        "sum[i] (a + b)",
        "(if a then b else c) + d",
        "(a |> f) + b",
        "f(a |> g, k = if a then b else c)",
        "(mean)[i]",
        "not (a and b)",
        "(a or b) and c",
        "[1, 2.5, 0.001, 1.0]",
        "\"a \\\"b\\\" \\\\ \\n \\t\"",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        cr_assert_str_eq(printed(same[i]), same[i]);
}

Test(expr, numbers_are_exact) {
    Diag *diag = diag_new(arena);
    cr_assert_eq(parse("0.1", diag)->number, 0.1);
    cr_assert_eq(parse("1.1283791670955126", diag)->number, 1.1283791670955126);
    cr_assert(parse("9007199254740992", diag)->is_integer);
    cr_assert_not(parse("1e3", diag)->is_integer);
    cr_assert_eq(diag_error_count(diag), 0);
    cr_assert_null(parse("9007199254740993", diag)); // 2^53 + 1 is no double
    cr_assert_null(parse("1e309", diag));
    cr_assert_eq(diag_error_count(diag), 2);
}

static const char *kinds(const char *text) {
    Buf out = buf_new(arena);
    Lexer *lexer = lexer_new(arena, source_from_text(arena, "t", text), diag_new(arena));
    for (const Token *token; (token = lexer_next(lexer))->kind != TOKEN_END;)
        buf_add(&out, token->kind == TOKEN_NEWLINE ? "|" : token->text);
    return out.text;
}

Test(expr, lines_end_statements) {
    cr_assert_str_eq(kinds("a\n\n# c\nb\n"), "a|b|");
    cr_assert_str_eq(kinds("a\r\nb"), "a|b");
    cr_assert_str_eq(kinds("a; b"), "a|b");
    cr_assert_str_eq(kinds("(a\n b) [c\n]\nd"), "(ab)[c]|d");
    cr_assert_str_eq(kinds("a +\n b and\n c =\n d,\n e"), "a+bandc=d,e");
    cr_assert_str_eq(kinds("a\n  # c\n  |> b"), "a|>b");
    cr_assert_str_eq(kinds("{ a\n }\n else b"), "{a|}elseb");
    cr_assert_str_eq(kinds("( { a\nb"), "({a|b"); // a brace ends what was left open
}

Test(expr, second_token_is_the_one_after_the_next) {
    Lexer *lexer = lexer_new(arena, source_from_text(arena, "t", "a (b\nc)\nd"), diag_new(arena));
    for (;;) {
        const Token second = *lexer_peek_second(lexer);
        if (lexer_next(lexer)->kind == TOKEN_END) break;
        const Token *now = lexer_peek(lexer);
        cr_assert_eq(now->kind, second.kind);
        cr_assert_str_eq(now->text, second.text);
    }
}

static char *repeat(const char *text, int times) {
    Buf out = buf_new(arena);
    for (int i = 0; i < times; i++)
        buf_add(&out, text);
    return out.text;
}

// One message, no stack overflow.
Test(expr, depth_is_limited) {
    static const char *const units[] = {
        "(",   "[",       "-",    "not ", "f(", "a^", "sum[i]", "a[", "if a then b else ",
        "if ", "a |> f(", "a+(b*"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        Diag *diag = diag_new(arena);
        cr_assert_null(parse(repeat(units[i], 100000), diag));
        cr_assert_eq(diag_error_count(diag), 1, "%s", units[i]);
        cr_assert(strstr(diag_text(diag, arena), "levels"), "%s", units[i]);
    }
}

Test(expr, long_chains_are_limited_too) {
    static const char *const units[] = {"a+", "a*", "a and ", "a |> f |> "};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        Diag *diag = diag_new(arena);
        cr_assert(parse(arena_printf(arena, "%sf", repeat(units[i], 400)), diag));
        cr_assert_null(parse(arena_printf(arena, "%sf", repeat(units[i], 100000)), diag));
        cr_assert_eq(diag_error_count(diag), 1);
    }
}
