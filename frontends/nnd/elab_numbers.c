// SPDX-License-Identifier: MIT
// Numbers of the train block that can be set when a program runs. A plain number that is given to a
// parameter of an optimizer, or to a real parameter of a function that it is given to, becomes a
// hyper-parameter under the names of both:
//
//     optimizer = adam(lr = cosine(1e-3, over = 10))     lr.peak, lr.over
//     optimizer = sgd(lr = 0.1 * warmup(1, 500))         lr.warmup.peak, lr.warmup.steps
//     clip = global_norm(1)                              clip.limit
//     group "*.bias" { lr = 0.1 }                        *.bias.lr
//
// What the command line sets is one as well, whatever stands there. In the tree it is replaced by a
// name that only this file can write, and that is bound to the hyper-parameter.
#include "nnd/elab_train.h"

#include <string.h>

// As it is written, in one line.
static const char *expr_words(Elab *e, const Expr *expr) {
    Buf words = buf_new(e->arena);
    expr_print(&words, expr);
    return words.text;
}

static bool is_number(const Expr *expr) {
    return expr->kind == EXPR_NUMBER || (expr->kind == EXPR_UNARY && !strcmp(expr->text, "-") &&
                                         expr->in[0]->kind == EXPR_NUMBER);
}

static const NncHyper *find_hyper(const Module *module, const char *name) {
    for (int i = 0; i < module->hyper.count; i++)
        if (!strcmp(module->hyper.at[i].name, name)) return &module->hyper.at[i];
    return NULL;
}

Value numbers_hyper(Elab *e, Module *module, const char *name, double value) {
    elab_set_value(e, name, &value);
    const NncHyper *old = find_hyper(module, name);
    NncHyper added = {.name = name, .value = value};
    if (!old) VEC_PUSH(e->arena, module->hyper, added);
    return value_tensor(node_hyper(e->graph, name, value));
}

bool numbers_is_real(Elab *e, const Decl *decl, const Parameter *param) {
    if (param->type) return param->type->kind == TYPE_REAL;
    if (!param->default_value) return decl->kind == DECL_OPTIMIZER;
    ValueKind kind = elab_expr(e, scope_new(e, NULL), param->default_value).kind;
    bool is_int = kind == VALUE_INT && decl->kind == DECL_OPTIMIZER;
    return is_int || kind == VALUE_REAL || kind == VALUE_TENSOR;
}

static const Parameter *param_of(const Decl *decl, const Expr *call, int i, int skipped) {
    if (!call->arg_name[i])
        return i - 1 + skipped < decl->param_count ? &decl->param[i - 1 + skipped] : NULL;
    for (int k = 0; k < decl->param_count; k++)
        if (!strcmp(decl->param[k].name, call->arg_name[i])) return &decl->param[k];
    return NULL;
}

static Expr *copy(Elab *e, const Expr *expr) {
    Expr *made = ARENA_NEW(e->arena, Expr);
    *made = *expr;
    made->in = ARENA_ARRAY(e->arena, Expr *, expr->in_count + 1);
    for (int i = 0; i < expr->in_count; i++)
        made->in[i] = expr->in[i];
    return made;
}

static const Expr *number(Elab *e, Module *module, Scope *scope, const Expr *expr, double value,
                          const char *name) {
    const Binding *old = scope_find(scope, name);
    if (old && old->span.start != expr->span.start) return expr; // a namesake stays what it is
    if (!old) scope_bind(e, scope, name, expr->span, numbers_hyper(e, module, name, value));
    Expr *made = ARENA_NEW(e->arena, Expr);
    *made = (Expr){.kind = EXPR_NAME, .text = name, .span = expr->span};
    return made;
}

const Expr *numbers_of_call(Elab *e, Module *module, Scope *scope, const Expr *call,
                            const Decl *decl, int skipped, const char *name) {
    Expr *made = copy(e, call);
    for (int i = 1; i < call->in_count; i++) {
        const Parameter *param = param_of(decl, call, i, skipped);
        if (!param || !numbers_is_real(e, decl, param)) continue;
        const char *whole = arena_printf(e->arena, "%s%s", name, param->name);
        made->in[i] = (Expr *)numbers_of(e, module, scope, call->in[i], whole);
    }
    return made;
}

// Of sums and products of calls, those have names of their own.
static const Expr *numbers_of_operands(Elab *e, Module *module, Scope *scope, const Expr *expr,
                                       const char *name) {
    Expr *made = copy(e, expr);
    for (int i = 0; i < expr->in_count; i++) {
        const Expr *in = expr->in[i];
        const char *own =
            in->kind == EXPR_CALL ? arena_printf(e->arena, "%s.%s", name, in->in[0]->text) : name;
        if (!is_number(in)) made->in[i] = (Expr *)numbers_of(e, module, scope, in, own);
    }
    return made;
}

const Expr *numbers_of(Elab *e, Module *module, Scope *scope, const Expr *expr, const char *name) {
    double value = expr->kind == EXPR_NUMBER ? expr->number : 0;
    if (expr->kind == EXPR_UNARY && is_number(expr)) value = -expr->in[0]->number;
    if (is_number(expr) || elab_set_value(e, name, &value))
        return number(e, module, scope, expr, value, name);
    elab_add_setting(e, module, (SettingInfo){.name = name, .text = expr_words(e, expr)});
    if (expr->kind == EXPR_UNARY || expr->kind == EXPR_BINARY)
        return numbers_of_operands(e, module, scope, expr, name);
    const Decl *decl = expr->kind == EXPR_CALL ? map_get(e->decls, expr->in[0]->text) : NULL;
    if (!decl || decl->kind != DECL_FN) return expr;
    return numbers_of_call(e, module, scope, expr, decl, 0, arena_printf(e->arena, "%s.", name));
}
