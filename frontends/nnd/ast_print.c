// SPDX-License-Identifier: MIT
// A tree as canonical text: one statement a line, two columns an indentation, no comments. What is
// printed parses to an equal tree.
#include "nnd/ast.h"

typedef struct Printer {
    Buf *out;
    int indent;
} Printer;

static void print_block(Printer *p, Stmt *const *body, int count);

static void print_exprs(Buf *out, Expr *const *items, int count) {
    for (int i = 0; i < count; i++) {
        buf_add(out, i ? ", " : "");
        expr_print(out, items[i]);
    }
}

static void print_type(Buf *out, const Type *type) {
    static const char *const words[] = {
        [TYPE_TENSOR] = "",   [TYPE_INDEX] = "",    [TYPE_SHAPE] = "", [TYPE_INT] = "int",
        [TYPE_REAL] = "real", [TYPE_BOOL] = "bool", [TYPE_FN] = "fn",
    };
    buf_add(out, type->element ? type->element : words[type->kind]);
    if (type->bound) {
        buf_add(out, "(");
        expr_print(out, type->bound);
        buf_add(out, ")");
    }
    if (type->kind > TYPE_SHAPE) return;
    buf_add(out, "[");
    print_exprs(out, type->dim, type->dim_count);
    buf_add(out, "]");
}

static void print_parameters(Buf *out, const Decl *decl) {
    buf_add(out, "(");
    for (int i = 0; i < decl->param_count; i++) {
        const Parameter *param = &decl->param[i];
        buf_printf(out, "%s%s", i ? ", " : "", param->name);
        if (param->type) {
            buf_add(out, ": ");
            print_type(out, param->type);
        }
        if (param->default_value) {
            buf_add(out, " = ");
            expr_print(out, param->default_value);
        }
    }
    buf_add(out, ")");
}

void ast_print_signature(Buf *out, const Decl *decl) {
    buf_add(out, decl->name);
    print_parameters(out, decl);
}

static void print_if(Printer *p, const Stmt *stmt) {
    buf_add(p->out, "if ");
    expr_print(p->out, stmt->value);
    print_block(p, stmt->body, stmt->body_count);
    if (stmt->otherwise_count == 1 && stmt->otherwise[0]->kind == STMT_IF) {
        buf_add(p->out, " else ");
        print_if(p, stmt->otherwise[0]);
    } else if (stmt->otherwise_count) {
        buf_add(p->out, " else");
        print_block(p, stmt->otherwise, stmt->otherwise_count);
    }
}

// "word name: type", what is there of it
static void print_named(Buf *out, const char *word, const Stmt *stmt) {
    buf_printf(out, "%s%s", word, stmt->name ? stmt->name : "");
    if (stmt->type) {
        buf_add(out, ": ");
        print_type(out, stmt->type);
    }
}

static void print_pattern(Buf *out, const char *before, const Stmt *stmt) {
    buf_add(out, before);
    text_print(out, stmt->pattern);
}

static void print_assigned(Buf *out, const char *sign, const Stmt *stmt) {
    buf_add(out, stmt->name ? sign : "");
    expr_print(out, stmt->value);
}

// A line does not begin with a minus: it would read as going on with the one before.
static void print_result(Buf *out, const Expr *value) {
    Buf text = buf_new(out->arena);
    expr_print(&text, value);
    buf_printf(out, *text.text == '-' ? "(%s)" : "%s", text.text);
}

static void print_statement(Printer *p, const Stmt *stmt) {
    Buf *out = p->out;
    switch (stmt->kind) {
    case STMT_LET:
        if (!stmt->name) {
            print_result(out, stmt->value);
            return;
        }
        print_named(out, "", stmt);
        print_assigned(out, " = ", stmt);
        if (stmt->unit) buf_printf(out, " %s", stmt->unit);
        return;
    case STMT_INDEXED:
        buf_add(out, stmt->name);
        indices_print(out, stmt->index, stmt->index_count);
        print_assigned(out, " = ", stmt);
        return;
    case STMT_NEXT:
        buf_add(out, stmt->name);
        print_assigned(out, "' = ", stmt);
        return;
    case STMT_PARAM:
        print_named(out, "param ", stmt);
        print_assigned(out, " ~ ", stmt);
        return;
    case STMT_STATE:
        print_named(out, "state ", stmt);
        print_assigned(out, " = ", stmt);
        return;
    case STMT_USE:
        print_named(out, "use ", stmt);
        print_assigned(out, " = ", stmt);
        return;
    case STMT_INPUT:
        print_named(out, "input ", stmt);
        return;
    case STMT_TARGET:
        print_named(out, "target ", stmt);
        return;
    case STMT_OUTPUT:
        buf_add(out, "output ");
        print_exprs(out, stmt->value->in, stmt->value->in_count);
        return;
    case STMT_LOSS:
        buf_add(out, "loss ");
        expr_print(out, stmt->value);
        return;
    case STMT_METRIC:
        print_named(out, "metric ", stmt);
        print_assigned(out, " = ", stmt);
        return;
    case STMT_EACH:
    case STMT_AUGMENT:
        print_named(out, stmt->kind == STMT_EACH ? "each " : "augment ", stmt);
        print_block(p, stmt->body, stmt->body_count);
        return;
    case STMT_MINIMIZE:
        print_named(out, "minimize ", stmt);
        print_pattern(out, " over ", stmt);
        print_assigned(out, " with ", stmt);
        if (stmt->body_count) print_block(p, stmt->body, stmt->body_count);
        return;
    case STMT_GROUP:
        print_pattern(out, "group ", stmt);
        print_block(p, stmt->body, stmt->body_count);
        return;
    case STMT_FREEZE:
        print_pattern(out, "freeze ", stmt);
        return;
    case STMT_BEST:
        buf_printf(out, "best = %s%s%s", stmt->relation ? stmt->relation : "",
                   stmt->relation ? " " : "", stmt->name);
        return;
    case STMT_EXPECT:
        buf_printf(out, "expect %s %s ", stmt->name, stmt->relation);
        expr_print(out, stmt->value);
        if (stmt->otherwise_text) buf_add(out, " else ");
        if (stmt->otherwise_text) text_print(out, stmt->otherwise_text);
        return;
    case STMT_IF:
        print_if(p, stmt);
        return;
    }
}

static void print_block(Printer *p, Stmt *const *body, int count) {
    buf_add(p->out, " {\n");
    p->indent += 2;
    for (int i = 0; i < count; i++) {
        buf_printf(p->out, "%*s", p->indent, "");
        print_statement(p, body[i]);
        buf_add(p->out, "\n");
    }
    p->indent -= 2;
    buf_printf(p->out, "%*s}", p->indent, "");
}

static void print_declaration(Printer *p, const Decl *decl) {
    static const char *const words[] = {
        [DECL_FN] = "fn",       [DECL_LAYER] = "layer", [DECL_OPTIMIZER] = "optimizer",
        [DECL_MODEL] = "model", [DECL_DATA] = "data",   [DECL_TRAIN] = "train",
    };
    buf_printf(p->out, "\n%s %s", words[decl->kind], decl->name);
    if (decl->param_count || decl->kind == DECL_FN || decl->kind == DECL_LAYER)
        print_parameters(p->out, decl);
    if (decl->result) {
        buf_add(p->out, " -> ");
        print_type(p->out, decl->result);
    }
    if (decl->data_name) buf_printf(p->out, " on %s", decl->data_name);
    print_block(p, decl->body, decl->body_count);
    if (decl->derivative) {
        buf_add(p->out, decl->surrogate ? " derivative surrogate" : " derivative");
        print_block(p, decl->derivative, decl->derivative_count);
    }
    buf_add(p->out, "\n");
}

void ast_print(Buf *out, const File *file) {
    Printer p = {out, 0};
    buf_printf(out, "nnd %d\n", file->version);
    for (int i = 0; i < file->decl_count; i++)
        print_declaration(&p, file->decl[i]);
}
