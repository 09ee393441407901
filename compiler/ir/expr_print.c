// SPDX-License-Identifier: MIT
// Expressions as text, with brackets only where the grammar, or a reader, needs them. What is
// printed parses to an equal tree.
//
//     (a + b) * -c |> f(2, k = 1) as name
#include "ir/expr.h"

#include <stdlib.h>
#include <string.h>

// How tightly an expression binds; an operand that binds more loosely than its place asks for gets
// brackets. A reduction takes in all of a product that follows, so it is as loose as one.
typedef enum Level {
    LEVEL_IF,
    LEVEL_PIPE,
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_COMPARISON,
    LEVEL_SUM,
    LEVEL_PRODUCT,
    LEVEL_UNARY,
    LEVEL_POWER,
    LEVEL_POSTFIX,
} Level;

static void print_at(Buf *out, const Expr *expr, Level least);

static Level binary_level(const char *op) {
    static const struct {
        const char *op;
        Level level;
    } table[] = {
        {"or", LEVEL_OR},         {"and", LEVEL_AND},       {"==", LEVEL_COMPARISON},
        {"!=", LEVEL_COMPARISON}, {"<", LEVEL_COMPARISON},  {"<=", LEVEL_COMPARISON},
        {">", LEVEL_COMPARISON},  {">=", LEVEL_COMPARISON}, {"+", LEVEL_SUM},
        {"-", LEVEL_SUM},         {"*", LEVEL_PRODUCT},     {"/", LEVEL_PRODUCT},
        {"//", LEVEL_PRODUCT},    {"%", LEVEL_PRODUCT},     {"^", LEVEL_POWER},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(op, table[i].op) == 0) return table[i].level;
    bug("no binary operator: %s", op);
}

static Level expr_level(const Expr *expr) {
    switch (expr->kind) {
    case EXPR_IF:
        return LEVEL_IF;
    case EXPR_CALL:
        return expr->piped ? LEVEL_PIPE : LEVEL_POSTFIX;
    case EXPR_BINARY:
        return binary_level(expr->text);
    case EXPR_UNARY:
        return strcmp(expr->text, "not") == 0 ? LEVEL_NOT : LEVEL_UNARY;
    case EXPR_REDUCE:
        return LEVEL_PRODUCT;
    default:
        return LEVEL_POSTFIX;
    }
}

// The shortest text that reads back as the same double.
static void print_number(Buf *out, const Expr *expr) {
    char text[40];
    if (expr->is_integer) {
        buf_printf(out, "%.0f", expr->number);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, expr->number);
        if (strtod(text, NULL) == expr->number) break;
    }
    buf_add(out, text);
    if (!strpbrk(text, ".e")) buf_add(out, ".0");
}

void text_print(Buf *out, const char *text) {
    buf_add(out, "\"");
    for (; *text; text++) {
        switch (*text) {
        case '\n':
            buf_add(out, "\\n");
            break;
        case '\t':
            buf_add(out, "\\t");
            break;
        case '"':
        case '\\':
            buf_add(out, "\\");
            buf_add_n(out, text, 1);
            break;
        default:
            buf_add_n(out, text, 1);
        }
    }
    buf_add(out, "\"");
}

static void print_items(Buf *out, const Expr *expr, int first) {
    for (int i = first; i < expr->in_count; i++) {
        buf_add(out, i > first ? ", " : "");
        if (expr->kind == EXPR_CALL && expr->arg_name[i])
            buf_printf(out, "%s = ", expr->arg_name[i]);
        print_at(out, expr->in[i], LEVEL_IF);
    }
}

static void print_call(Buf *out, const Expr *expr) {
    int first = expr->piped ? 2 : 1;
    if (expr->piped) {
        print_at(out, expr->in[1], LEVEL_PIPE);
        buf_add(out, " |> ");
    }
    buf_add(out, expr->in[0]->text);
    if (!expr->piped || expr->in_count > first) {
        buf_add(out, "(");
        print_items(out, expr, first);
        buf_add(out, ")");
    }
    if (expr->instance) buf_printf(out, " as %s", expr->instance);
}

void indices_print(Buf *out, const IndexName *index, int count) {
    buf_add(out, "[");
    for (int i = 0; i < count; i++) {
        buf_printf(out, "%s%s", i ? ", " : "", index[i].name);
        if (index[i].extent) {
            buf_add(out, ": ");
            expr_print(out, index[i].extent);
        }
    }
    buf_add(out, "]");
}

static void print_index(Buf *out, const Expr *expr) {
    const Expr *base = expr->in[0];
    // sum[i] would be a reduction
    bool brackets = base->kind == EXPR_NAME && name_is_reduction(base->text);
    buf_add(out, brackets ? "(" : "");
    print_at(out, base, brackets ? LEVEL_IF : LEVEL_POSTFIX);
    buf_add(out, brackets ? ")[" : "[");
    print_items(out, expr, 1);
    buf_add(out, "]");
}

static void print_binary(Buf *out, const Expr *expr) {
    Level level = binary_level(expr->text), left = level, right = level + 1;
    if (level == LEVEL_COMPARISON) left = LEVEL_SUM;
    if (level == LEVEL_POWER) {
        left = LEVEL_POSTFIX;
        right = LEVEL_UNARY;
    }
    if (level == LEVEL_PRODUCT && expr->in[0]->kind == EXPR_REDUCE) left = LEVEL_POSTFIX;
    print_at(out, expr->in[0], left);
    buf_printf(out, " %s ", expr->text);
    print_at(out, expr->in[1], right);
}

static void print_inside(Buf *out, const Expr *expr) {
    switch (expr->kind) {
    case EXPR_NUMBER:
        print_number(out, expr);
        return;
    case EXPR_STRING:
        text_print(out, expr->text);
        return;
    case EXPR_NAME:
        buf_add(out, expr->text);
        return;
    case EXPR_PRIME:
        buf_printf(out, "%s'", expr->text);
        return;
    case EXPR_UNARY:
        buf_add(out, expr_level(expr) == LEVEL_NOT ? "not " : "-");
        print_at(out, expr->in[0], expr_level(expr));
        return;
    case EXPR_BINARY:
        print_binary(out, expr);
        return;
    case EXPR_CALL:
        print_call(out, expr);
        return;
    case EXPR_INDEX:
        print_index(out, expr);
        return;
    case EXPR_REDUCE:
        buf_add(out, expr->text);
        indices_print(out, expr->index, expr->index_count);
        buf_add(out, " ");
        print_at(out, expr->in[0], LEVEL_PRODUCT);
        return;
    case EXPR_IF:
        buf_add(out, "if ");
        print_at(out, expr->in[0], LEVEL_PIPE);
        buf_add(out, " then ");
        print_at(out, expr->in[1], LEVEL_PIPE);
        buf_add(out, " else ");
        print_at(out, expr->in[2], LEVEL_IF);
        return;
    case EXPR_LIST:
        buf_add(out, "[");
        print_items(out, expr, 0);
        buf_add(out, "]");
        return;
    }
}

static void print_at(Buf *out, const Expr *expr, Level least) {
    bool brackets = expr_level(expr) < least;
    buf_add(out, brackets ? "(" : "");
    print_inside(out, expr);
    buf_add(out, brackets ? ")" : "");
}

void expr_print(Buf *out, const Expr *expr) { print_at(out, expr, LEVEL_IF); }
