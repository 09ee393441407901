// SPDX-License-Identifier: MIT
// Values, scopes and messages of elaboration.
#include "nnc.h"
#include "nnd/elab_internal.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

// --- Values

Value value_bool(bool value) { return (Value){.kind = VALUE_BOOL, .boolean = value}; }

Value value_size(Dim size) { return (Value){.kind = VALUE_INT, .size = size}; }

Value value_int(int64_t value) { return value_size(dim_const(value)); }

Value value_real(double value) { return (Value){.kind = VALUE_REAL, .number = value}; }

Value value_text(const char *text) { return (Value){.kind = VALUE_TEXT, .text = text}; }

Value value_tensor(const Node *node) {
    return (Value){.kind = VALUE_TENSOR, .node = node, .step = node->dtype == DT_F64};
}

bool value_is_poison(Value value) { return value.kind == VALUE_POISON; }

bool value_const(Value value, int64_t *number) {
    if (value.kind != VALUE_INT || !dim_is_const(value.size)) return false;
    *number = value.size.c[0];
    return true;
}

bool value_is_structural(Value value) {
    return value.kind == VALUE_BOOL || value.kind == VALUE_REAL ||
           (value.kind == VALUE_INT && dim_is_const(value.size));
}

bool value_is_step(Value value) {
    return value_is_structural(value) || value.kind == VALUE_INT ||
           (value.kind == VALUE_TENSOR && value.step);
}

bool value_number(Value value, double *number) {
    int64_t whole;
    if (value.kind == VALUE_REAL)
        *number = value.number;
    else if (value_const(value, &whole))
        *number = (double)whole;
    else
        return false;
    return true;
}

const char *shape_text(Elab *e, const Shape *shape) {
    Buf buf = buf_new(e->arena);
    shape_print(&buf, shape);
    return buf.text;
}

const char *dim_text(Elab *e, Dim dim) {
    Buf buf = buf_new(e->arena);
    dim_print(&buf, dim);
    return buf.text;
}

static const char *describe_tensor(Elab *e, Value value) {
    if (value.step) return "a number of the step";
    if (value.loops) return "an element in index notation";
    const char *type = dtype_name(value.node->dtype);
    return arena_printf(e->arena, "%s%s", type, shape_text(e, &value.node->shape));
}

const char *value_describe(Elab *e, Value value) {
    switch (value.kind) {
    case VALUE_POISON:
    case VALUE_NONE:
        return "nothing";
    case VALUE_BOOL:
        return value.boolean ? "true" : "false";
    case VALUE_INT:
        return arena_printf(e->arena, "the integer %s", dim_text(e, value.size));
    case VALUE_REAL:
        return arena_printf(e->arena, "the number %g", value.number);
    case VALUE_TEXT:
        return "a text";
    case VALUE_INDEX:
        return "an index";
    case VALUE_TENSOR:
        return describe_tensor(e, value);
    case VALUE_LIST:
        return "a list";
    case VALUE_FUNCTION:
        return "a function";
    case VALUE_INSTANCE:
        return "an instance of a layer";
    }
    return "nothing";
}

// --- Scopes

Scope *scope_new(Elab *e, Scope *parent) {
    Scope *scope = ARENA_NEW(e->arena, Scope);
    scope->parent = parent;
    return scope;
}

Binding *scope_find(Scope *scope, const char *name) {
    for (; scope; scope = scope->parent)
        for (Binding *b = scope->first; b; b = b->next)
            if (!strcmp(b->name, name)) return b;
    return NULL;
}

Binding *scope_bind(Elab *e, Scope *scope, const char *name, Span span, Value value) {
    Binding *old = scope_find(scope, name);
    if (old) {
        elab_error(e, span, "%s is bound already", name);
        elab_note(e, old->span, "here");
        diag_hint(e->diag, "a name binds once; choose another for the new value");
        return old;
    }
    Binding *binding = ARENA_NEW(e->arena, Binding);
    *binding = (Binding){.name = name, .span = span, .value = value, .next = scope->first};
    if (!binding->value.from.source) binding->value.from = span;
    scope->first = binding;
    return binding;
}

// --- Messages

static bool is_users(const Elab *e, Span span) { return !e->user || span.source == e->user; }

Span elab_here(Elab *e, Span span) {
    Span before = e->graph->here;
    if (is_users(e, span) || !before.source) e->graph->here = span;
    return before;
}

static void note_calls(Elab *e) {
    int shown = 0;
    for (const CallSite *site = e->calls; site && shown < 3; site = site->outer)
        if (is_users(e, site->span)) {
            diag_note(e->diag, site->span, "in %s, called from here", site->name);
            shown++;
        }
}

bool elab_failed(const Elab *e) { return diag_error_count(e->diag) > e->errors; }

void elab_error(Elab *e, Span span, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(e->arena, format, args);
    va_end(args);
    const CallSite *site = e->calls;
    while (site && !is_users(e, site->span))
        site = site->outer;
    if (is_users(e, span) || !site) {
        diag_error(e->diag, span, "%s", text);
        note_calls(e);
        return;
    }
    diag_error(e->diag, site->span, "%s: %s", site->name, text);
    if (span.source) diag_note(e->diag, span, "it is here in the standard library");
}

void elab_note(Elab *e, Span span, const char *format, ...) {
    if (!span.source) return;
    va_list args;
    va_start(args, format);
    diag_note(e->diag, span, "%s", arena_vprintf(e->arena, format, args));
    va_end(args);
}

void elab_unknown(Elab *e, Span span, const char *what, const char *name, const char *const *names,
                  int count) {
    elab_error(e, span, "there is no %s %s", what, name);
    const char *near = nnc_nearest(name, names, count);
    if (near) diag_hint(e->diag, "did you mean %s?", near);
}
