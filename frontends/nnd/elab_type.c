// SPDX-License-Identifier: MIT
// Named dimensions. A signature's names are bound by the first argument that has them, and every
// later one has to agree:
//
//     fn cross_entropy(logits: [N, C], label: index(C)[N]) -> []
//     cross_entropy(f32[N, 10], i32[N])      N = N, C = 10
#include "nnd/elab_internal.h"

#include <string.h>

static bool is_rest(const Expr *dim) { return dim->kind == EXPR_NAME && !strcmp(dim->text, ".."); }

static int rest_place(const Type *type) {
    for (int i = 0; i < type->dim_count; i++)
        if (is_rest(type->dim[i])) return i;
    return -1;
}

// Index notation hands over single elements: no axes, whatever the node's.
static Shape shape_seen(Value value) { return value.loops ? shape_of(0, NULL) : value.node->shape; }

// 28, 28: of [28, 28], without brackets; nothing where `..` stands for no axes.
static const char *rest_text(Elab *e, const Scope *scope) {
    const char *text = shape_text(e, &scope->rest);
    return scope->rest.rank ? arena_strndup(e->arena, text + 1, strlen(text) - 2) : "nothing";
}

// [N = 3, C]: the dimensions as they were written, with what is known of them.
static const char *wanted_text(Elab *e, Scope *scope, const Type *type) {
    Buf buf = buf_new(e->arena);
    buf_add(&buf, "[");
    for (int i = 0; i < type->dim_count; i++) {
        const Expr *dim = type->dim[i];
        if (i > 0) buf_add(&buf, ", ");
        expr_print(&buf, dim);
        if (is_rest(dim) && scope->has_rest) buf_printf(&buf, " = %s", rest_text(e, scope));
        const Binding *binding = dim->kind == EXPR_NAME ? scope_find(scope, dim->text) : NULL;
        if (!binding || binding->value.kind != VALUE_INT) continue;
        const char *value = dim_text(e, binding->value.size);
        if (strcmp(value, dim->text)) buf_printf(&buf, " = %s", value);
    }
    buf_add(&buf, "]");
    return buf.text;
}

// Of the extents that were known, and are another one here: where they come from.
static void note_origins(Elab *e, Scope *scope, const Type *type, const Shape *shape,
                         Span declared) {
    bool aligned = shape->rank == type->dim_count && rest_place(type) < 0;
    for (int i = 0; i < type->dim_count; i++) {
        const Expr *dim = type->dim[i];
        const Binding *binding = dim->kind == EXPR_NAME ? scope_find(scope, dim->text) : NULL;
        if (is_rest(dim) && scope->has_rest)
            elab_note(e, scope->rest_span, ".. = %s comes from here", rest_text(e, scope));
        if (!binding || binding->value.kind != VALUE_INT) continue;
        bool agrees = aligned && dim_equal(binding->value.size, shape->dim[i]);
        const char *text = dim_text(e, binding->value.size);
        if (!agrees && strcmp(text, dim->text))
            elab_note(e, binding->span, "%s = %s comes from here", dim->text, text);
    }
    elab_note(e, declared, "it is declared here");
}

// What is hardly ever meant otherwise.
static void hint_shape(Elab *e, const Type *type, const Shape *shape) {
    if (shape->rank > type->dim_count && type->dim_count == 2 && rest_place(type) < 0)
        diag_hint(e->diag,
                  "linear works on the last axis alone; flatten the image first: |> flatten");
    if (type->dim_count == 4 && shape->rank == 3)
        diag_hint(e->diag, "an image has the axes of its batch, channels, rows and columns; a grey "
                           "one is f32[N, 1, 28, 28]");
    if (type->dim_count == 4 && shape->rank == 2)
        diag_hint(e->diag, "an image has the axes of its batch, channels, rows and columns: "
                           "reshape(x, [N, 1, 28, 28])");
}

static void report_shape(Elab *e, Scope *scope, const Type *type, Value value, Span span,
                         const char *what, Span declared) {
    Shape shape = shape_seen(value);
    elab_error(e, span, "%s is %s, but %s is wanted", what, shape_text(e, &shape),
               wanted_text(e, scope, type));
    if (value.from.start != span.start || value.from.source != span.source)
        elab_note(e, value.from, "%s comes from here", shape_text(e, &shape));
    note_origins(e, scope, type, &shape, declared);
    hint_shape(e, type, &shape);
}

// One extent against what is declared for it; binds a name that has no value yet.
// `from`: where the value that has it was made.
static bool fit_dim(Elab *e, Scope *scope, const Expr *wanted, Dim got, Span from, bool *reported) {
    *reported = false;
    if (wanted->kind == EXPR_NAME) {
        const Binding *binding = scope_find(scope, wanted->text);
        if (!binding) {
            scope_bind(e, scope, wanted->text, from, value_size(got));
            return true;
        }
        return binding->value.kind == VALUE_POISON ||
               (binding->value.kind == VALUE_INT && dim_equal(binding->value.size, got));
    }
    Dim dim;
    *reported = !elab_dim(e, scope, wanted, &dim);
    return !*reported && dim_equal(dim, got);
}

static bool fit_rest(Scope *scope, const Shape *shape, int from, int count, Span span) {
    Shape rest = shape_of(count, shape->dim + from);
    if (scope->has_rest) return shape_equal(&rest, &scope->rest);
    scope->has_rest = true;
    scope->rest = rest;
    scope->rest_span = span;
    return true;
}

static bool fit_shape(Elab *e, Scope *scope, const Type *type, Value value, Span span,
                      const char *what, Span declared) {
    Shape shape = shape_seen(value);
    Span from = value.from.source ? value.from : span;
    int place = rest_place(type), named = type->dim_count - (place >= 0);
    int rest = shape.rank - named;
    bool fits = place >= 0 ? rest >= 0 : rest == 0, reported = false;
    for (int i = 0, axis = 0; fits && i < type->dim_count; i++) {
        if (i == place) {
            fits = fit_rest(scope, &shape, axis, rest, from);
            axis += rest;
        } else {
            fits = fit_dim(e, scope, type->dim[i], shape.dim[axis++], from, &reported);
        }
    }
    if (!fits && !reported) report_shape(e, scope, type, value, span, what, declared);
    return fits;
}

// index(C)[N]: how many classes there are is known of targets.
static bool fit_bound(Elab *e, Scope *scope, const Type *type, Value value, Span span,
                      const char *what) {
    Dim classes = dim_const(value.classes);
    bool reported;
    if (!type->bound || value.classes == 0) return true;
    if (fit_dim(e, scope, type->bound, classes, span, &reported)) return true;
    if (reported) return false;
    Buf wanted = buf_new(e->arena);
    expr_print(&wanted, type->bound);
    const Binding *binding =
        type->bound->kind == EXPR_NAME ? scope_find(scope, type->bound->text) : NULL;
    if (binding) buf_printf(&wanted, " = %s", dim_text(e, binding->value.size));
    elab_error(e, span, "%s has %s classes, but %s is wanted", what, dim_text(e, classes),
               wanted.text);
    if (binding) elab_note(e, binding->span, "%s comes from here", wanted.text);
    return false;
}

static const char *element_wanted(const Type *type) {
    if (type->kind == TYPE_INDEX) return "i32";
    return type->element;
}

static Value fit_tensor(Elab *e, Scope *scope, const Type *type, Value value, Span span,
                        const char *what, Span declared) {
    Span from = value.from;
    const char *element = element_wanted(type);
    bool number = value.kind == VALUE_INT || value.kind == VALUE_REAL;
    if (number && (!element || !strcmp(element, "f32"))) {
        const Node *node = elab_to_node(e, span, value, DT_F32);
        value = node ? value_tensor(node) : POISON;
    } else {
        value = elab_as_tensor(e, span, value);
    }
    if (value_is_poison(value)) return POISON;
    value.from = from;
    const char *got = dtype_name(value.node->dtype);
    if (element && strcmp(element, got)) {
        bool labels = type->kind == TYPE_INDEX;
        elab_error(e, span, "%s is of %s, but %s is wanted", what, got,
                   labels ? "a label, an index," : element);
        elab_note(e, from, "it comes from here");
        elab_note(e, declared, "it is declared here");
        if (labels) diag_hint(e->diag, "target label: index(10)[N] declares labels from 0 to 9");
        return POISON;
    }
    if (!fit_shape(e, scope, type, value, span, what, declared)) return POISON;
    if (type->kind == TYPE_INDEX && !fit_bound(e, scope, type, value, span, what)) return POISON;
    return value;
}

static Value wrong_kind(Elab *e, Value value, Span span, const char *what, const char *wanted,
                        Span declared) {
    elab_error(e, span, "%s is %s, but %s is wanted", what, value_describe(e, value), wanted);
    elab_note(e, declared, "it is declared here");
    return POISON;
}

Value elab_fit(Elab *e, Scope *scope, const Type *type, Value value, Span span, const char *what,
               Span declared) {
    bool is_number = value_is_step(value) && value.kind != VALUE_BOOL &&
                     (value.kind != VALUE_TENSOR || value.node->dtype == DT_F64);
    if (value_is_poison(value)) return POISON;
    switch (type->kind) {
    case TYPE_INT:
        if (value.kind == VALUE_INT) return value;
        return wrong_kind(e, value, span, what, "an integer known when compiling", declared);
    case TYPE_REAL:
        if (is_number) return value;
        return wrong_kind(e, value, span, what, "a number known once a step", declared);
    case TYPE_BOOL:
        if (value.kind == VALUE_BOOL) return value;
        return wrong_kind(e, value, span, what, "true or false", declared);
    case TYPE_FN:
        if (value.kind == VALUE_FUNCTION || value.kind == VALUE_INSTANCE) return value;
        return wrong_kind(e, value, span, what, "a function", declared);
    case TYPE_TENSOR:
    case TYPE_INDEX:
    case TYPE_SHAPE:
        return fit_tensor(e, scope, type, value, span, what, declared);
    }
    bug("type of kind %d", (int)type->kind);
}

// --- From a type to a shape

static bool check_extent(Elab *e, Dim dim, Span span) {
    if (dim_at_least(dim, 1)) return true;
    elab_error(e, span, "an extent is at least 1, this is %s", dim_text(e, dim));
    return false;
}

bool elab_check_size(Elab *e, const Shape *shape, Span span) {
    Dim size;
    if (shape_size(&size, shape) && dim_at_least(size, 0)) {
        bool fits = true;
        for (int i = 0; i <= DIM_DEGREE; i++)
            fits &= size.c[i] <= INT32_MAX;
        if (fits) return true;
    }
    elab_error(e, span, "a tensor of %s has too many elements", shape_text(e, shape));
    diag_hint(e->diag, "there may be %d at most; is one of the extents meant otherwise?", INT32_MAX);
    return false;
}

static bool push_dim(Elab *e, Shape *shape, Dim dim, Span span) {
    if (shape->rank == MAX_RANK) {
        elab_error(e, span, "a tensor has at most %d axes", MAX_RANK);
        return false;
    }
    shape->dim[shape->rank++] = dim;
    return true;
}

bool elab_shape(Elab *e, Scope *scope, const Type *type, Shape *shape) {
    *shape = shape_of(0, NULL);
    for (int i = 0; i < type->dim_count; i++) {
        const Expr *expr = type->dim[i];
        Dim dim;
        if (!is_rest(expr)) {
            if (!elab_dim(e, scope, expr, &dim) || !check_extent(e, dim, expr->span) ||
                !push_dim(e, shape, dim, expr->span))
                return false;
            continue;
        }
        if (!scope->has_rest) {
            elab_error(e, expr->span, "'..' stands for no axes here");
            return false;
        }
        for (int k = 0; k < scope->rest.rank; k++)
            if (!push_dim(e, shape, scope->rest.dim[k], expr->span)) return false;
    }
    return elab_check_size(e, shape, type->span);
}

static bool is_known(Scope *scope, const Expr *expr) {
    if (is_rest(expr)) return scope->has_rest;
    if (expr->kind == EXPR_NAME) return scope_find(scope, expr->text) != NULL;
    for (int i = expr->kind == EXPR_CALL; i < expr->in_count; i++)
        if (!is_known(scope, expr->in[i])) return false;
    return true;
}

bool elab_shape_if_known(Elab *e, Scope *scope, const Type *type, Shape *shape) {
    if (!type || type->kind < TYPE_TENSOR || type->kind > TYPE_SHAPE) return false;
    for (int i = 0; i < type->dim_count; i++)
        if (!is_known(scope, type->dim[i])) return false;
    return elab_shape(e, scope, type, shape);
}
