// SPDX-License-Identifier: MIT
// Expressions outside of calls and index notation.
#include "nnd/elab_internal.h"

#include <math.h>
#include <string.h>

// --- Names

static bool is_here(const Elab *e, const Node *node) {
    return node->id < (uint32_t)e->graph->node.count && e->graph->node.at[node->id] == node;
}

static Value bound_value(Elab *e, const Binding *binding, Span span) {
    Value value = binding->value;
    if (value.kind == VALUE_TENSOR && e->in_init && !is_here(e, value.node)) {
        elab_error(e, span, "%s is not known when parameters get their first values",
                   binding->name);
        elab_note(e, binding->span, "it is computed here, in each step");
        return POISON;
    }
    return value;
}

static bool constant_name(Elab *e, const char *name, Value *out) {
    Graph *g = e->graph;
    if (!strcmp(name, "true") || !strcmp(name, "false"))
        *out = value_bool(*name == 't');
    else if (!strcmp(name, "training"))
        *out = value_bool(e->training);
    else if (!strcmp(name, "pi"))
        *out = value_real(3.14159265358979323846);
    else if (!strcmp(name, "inf"))
        *out = value_real(INFINITY);
    else if (e->in_init)
        return false;
    else if (!strcmp(name, "step"))
        *out = value_tensor(node_step(g));
    else if (!strcmp(name, "epoch"))
        *out = value_tensor(node_epoch(g));
    else
        return false;
    return true;
}

Value elab_name(Elab *e, Scope *scope, const char *name, Span span) {
    Value value;
    const Binding *binding = scope_find(scope, name);
    if (binding) return bound_value(e, binding, span);
    if (constant_name(e, name, &value)) return value;
    const Decl *decl = map_get(e->decls, name);
    if (decl && decl->broken) return POISON;
    if (decl) return (Value){.kind = VALUE_FUNCTION, .decl = decl};
    const Builtin *builtin = builtin_find(name);
    if (builtin) return (Value){.kind = VALUE_FUNCTION, .builtin = builtin};
    Op op = op_find(name);
    if (op != OP_COUNT && op_info(op)->pointwise) return (Value){.kind = VALUE_FUNCTION, .op = op};
    const Node *run_number = elab_run_number(e, name);
    if (run_number) return value_tensor(run_number);
    elab_unknown_name(e, scope, name, span);
    return POISON;
}

static Value prime(Elab *e, Scope *scope, const Expr *expr) {
    const Binding *binding = scope_find(scope, expr->text);
    if (!binding) return elab_name(e, scope, expr->text, expr->span); // reports it
    if (!binding->slot) {
        elab_error(e, expr->span, "%s is no state: it has no next value", expr->text);
        return POISON;
    }
    const char *name = arena_printf(e->arena, "%s'", expr->text);
    const Binding *next = scope_find(scope, name);
    if (next) return next->value;
    elab_error(e, expr->span, "%s is read before it is given", name);
    return POISON;
}

// --- Operators

// Of tensors of integers: without a remainder, and so exact as far as a float holds them.
static Value floor_divide_whole(Elab *e, Span span, Value a, Value b) {
    Value rest = elab_binary(e, span, OP_mod, a, b);
    Value even = value_is_poison(rest) ? rest : elab_binary(e, span, OP_sub, a, rest);
    Value ratio = value_is_poison(even) ? even : elab_binary(e, span, OP_div, even, b);
    return value_is_poison(ratio) ? ratio : builtin_find("i32")->apply(e, span, &ratio);
}

// // and %: integers stay so; sizes with N divide where it comes out even.
static Value floor_divide(Elab *e, Span span, Value a, Value b) {
    int64_t x, y;
    Dim quotient;
    if (value_const(a, &x) && value_const(b, &y)) {
        if (y == 0 || (x == INT64_MIN && y == -1)) {
            elab_error(e, span, "this divides by zero");
            return POISON;
        }
        return value_int(x / y - (x % y != 0 && (x < 0) != (y < 0)));
    }
    if (a.kind == VALUE_INT && b.kind == VALUE_INT) {
        if (dim_div(&quotient, a.size, b.size)) return value_size(quotient);
        elab_error(e, span, "%s // %s does not come out even for every batch", dim_text(e, a.size),
                   dim_text(e, b.size));
        return POISON;
    }
    if (elab_is_whole(a) && elab_is_whole(b)) return floor_divide_whole(e, span, a, b);
    Value ratio = elab_binary(e, span, OP_div, a, b);
    return elab_pointwise(e, span, OP_floor, &ratio);
}

static Value power(Elab *e, Span span, Value a, Value b) {
    int64_t base, exponent;
    if (value_const(a, &base) && value_const(b, &exponent) && exponent >= 0) {
        double result = pow((double)base, (double)exponent);
        if (fabs(result) <= 9007199254740992.0) return value_int((int64_t)result);
    }
    return elab_binary(e, span, OP_pow, a, b);
}

static Value divide(Elab *e, Span span, Value a, Value b) {
    double divisor;
    if (value_is_structural(a) && value_number(b, &divisor) && divisor == 0) {
        elab_error(e, span, "this divides by zero");
        return POISON;
    }
    return elab_binary(e, span, OP_div, a, b);
}

static Value binary(Elab *e, Scope *scope, const Expr *expr) {
    static const struct {
        const char *text;
        Op op;
    } row[] = {{"+", OP_add}, {"-", OP_sub}, {"*", OP_mul}, {"%", OP_mod},
               {"==", OP_eq}, {"!=", OP_ne}, {"<", OP_lt},  {"<=", OP_le},
               {">", OP_gt},  {">=", OP_ge}, {"or", OP_or}, {"and", OP_and}};
    Value a = elab_expr(e, scope, expr->in[0]), b = elab_expr(e, scope, expr->in[1]);
    Span span = expr->span;
    if (value_is_poison(a) || value_is_poison(b)) return POISON;
    if (!strcmp(expr->text, "/")) return divide(e, span, a, b);
    if (!strcmp(expr->text, "//")) return floor_divide(e, span, a, b);
    if (!strcmp(expr->text, "^")) return power(e, span, a, b);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (!strcmp(expr->text, row[i].text)) return elab_binary(e, span, row[i].op, a, b);
    bug("operator %s", expr->text);
}

static Value unary(Elab *e, Scope *scope, const Expr *expr) {
    Value a = elab_expr(e, scope, expr->in[0]);
    return elab_pointwise(e, expr->span, strcmp(expr->text, "not") ? OP_neg : OP_not, &a);
}

// What a structural condition does not choose is not elaborated.
static Value choose(Elab *e, Scope *scope, const Expr *expr) {
    Value condition = elab_expr(e, scope, expr->in[0]);
    if (condition.kind == VALUE_BOOL)
        return elab_expr(e, scope, expr->in[condition.boolean ? 1 : 2]);
    Value yes = elab_expr(e, scope, expr->in[1]), no = elab_expr(e, scope, expr->in[2]);
    return elab_select(e, expr->span, condition, yes, no);
}

static Value list(Elab *e, Scope *scope, const Expr *expr) {
    Value *item = ARENA_ARRAY(e->arena, Value, expr->in_count);
    for (int i = 0; i < expr->in_count; i++) {
        item[i] = elab_expr(e, scope, expr->in[i]);
        if (value_is_poison(item[i])) return POISON;
    }
    return (Value){.kind = VALUE_LIST, .item = item, .count = expr->in_count};
}

static Value number(const Expr *expr) {
    bool whole = expr->is_integer && fabs(expr->number) <= 9007199254740992.0;
    return whole ? value_int((int64_t)expr->number) : value_real(expr->number);
}

static Value dispatch(Elab *e, Scope *scope, const Expr *expr) {
    switch (expr->kind) {
    case EXPR_NUMBER:
        return number(expr);
    case EXPR_STRING:
        return value_text(expr->text);
    case EXPR_NAME:
        return elab_name(e, scope, expr->text, expr->span);
    case EXPR_UNARY:
        return unary(e, scope, expr);
    case EXPR_BINARY:
        return binary(e, scope, expr);
    case EXPR_CALL:
        return elab_call(e, scope, expr);
    case EXPR_INDEX:
        return elab_access(e, scope, expr);
    case EXPR_REDUCE:
        return elab_reduction(e, scope, expr);
    case EXPR_PRIME:
        return prime(e, scope, expr);
    case EXPR_IF:
        return choose(e, scope, expr);
    case EXPR_LIST:
        return list(e, scope, expr);
    }
    bug("expression of kind %d", (int)expr->kind);
}

// Of x |> f(1), what is written for f: the whole would begin at the pipe's start for each of its
// calls.
Span elab_call_span(const Expr *expr) {
    if (expr->kind != EXPR_CALL || !expr->piped) return expr->span;
    return (Span){expr->span.source, expr->operator_span.start, expr->span.end};
}

Value elab_expr(Elab *e, Scope *scope, const Expr *expr) {
    if (e->depth >= MAX_DEPTH) {
        elab_error(e, expr->span, "this is nested too deeply");
        return POISON;
    }
    Span span = elab_call_span(expr);
    if (!elab_fits(e, e->graph, span)) return POISON;
    Span before = elab_here(e, span);
    e->depth++;
    Value value = dispatch(e, scope, expr);
    e->depth--;
    e->graph->here = before;
    if (!value.from.source || expr->kind != EXPR_NAME) value.from = span;
    return value;
}

// --- Structural values

static void report_condition(Elab *e, const Expr *expr, Value v) {
    elab_error(e, expr->span, "a condition that is known when compiling is wanted, this is %s",
               value_describe(e, v));
    if (v.kind == VALUE_TENSOR)
        diag_hint(e->diag, "at each element: if c then a else b, without braces");
}

bool elab_structural_bool(Elab *e, Scope *scope, const Expr *expr, bool *value) {
    Value v = elab_expr(e, scope, expr);
    *value = v.boolean;
    if (v.kind == VALUE_BOOL) return true;
    if (!value_is_poison(v)) report_condition(e, expr, v);
    return false;
}

bool elab_dim(Elab *e, Scope *scope, const Expr *expr, Dim *value) {
    Value v = elab_expr(e, scope, expr);
    *value = v.size;
    if (v.kind == VALUE_INT) return true;
    if (!value_is_poison(v))
        elab_error(e, expr->span, "an integer that is known when compiling is wanted, this is %s",
                   value_describe(e, v));
    return false;
}

bool elab_int(Elab *e, Scope *scope, const Expr *expr, int64_t *value) {
    Dim dim;
    if (!elab_dim(e, scope, expr, &dim)) return false;
    *value = dim.c[0];
    if (dim_is_const(dim)) return true;
    elab_error(e, expr->span, "this depends on the batch, a constant is wanted");
    return false;
}
