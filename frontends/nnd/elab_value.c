// SPDX-License-Identifier: MIT
// Values and scopes of elaboration.
#include "nnd/elab_internal.h"

#include <math.h>
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

bool elab_fits(Elab *e, const Graph *graph, Span span) {
    if (!graph || graph->node.count <= MAX_NODES) return true;
    if (!e->is_large)
        elab_error(e, span, "with this there are more than %d operations; that is the most",
                   MAX_NODES);
    e->is_large = true;
    return false;
}

// --- Scopes

Scope *scope_new(Elab *e, Scope *parent) {
    Scope *scope = ARENA_NEW(e->arena, Scope);
    scope->parent = parent;
    return scope;
}

static Binding *find_own(const Scope *scope, const char *name) {
    if (scope->by_name) return map_get(scope->by_name, name);
    for (Binding *b = scope->first; b; b = b->next)
        if (!strcmp(b->name, name)) return b;
    return NULL;
}

static void report_bound(Elab *e, const char *name, Span span, const Binding *old) {
    elab_error(e, span, "%s is bound already", name);
    elab_note(e, old->span, "here");
    if (old->slot)
        diag_hint(e->diag, "%s' = .. gives its next value", name);
    else if (old->value.kind == VALUE_INDEX)
        diag_hint(e->diag,
                  "each index has a name of its own; one that is reduced, sum[%s], is not "
                  "on the left",
                  name);
    else
        diag_hint(e->diag, "a name binds once; choose another for the new value");
}

Binding *scope_find(Scope *scope, const char *name) {
    Binding *found = NULL;
    for (; scope && !found; scope = scope->parent)
        found = find_own(scope, name);
    return found;
}

// Most scopes hold a few names, which a list finds faster than a map.
Binding *scope_put(Elab *e, Scope *scope, Binding binding) {
    enum { FEW = 16 };
    Binding *put = ARENA_NEW(e->arena, Binding);
    *put = binding;
    put->next = scope->first;
    scope->first = put;
    if (scope->by_name) map_put(scope->by_name, put->name, put);
    if (++scope->count != FEW) return put;
    scope->by_name = map_new(e->arena);
    for (Binding *b = scope->first; b; b = b->next) // the newest of a name is first
        if (!map_get(scope->by_name, b->name)) map_put(scope->by_name, b->name, b);
    return put;
}

Binding *scope_bind(Elab *e, Scope *scope, const char *name, Span span, Value value) {
    Binding *old = scope_find(scope, name);
    if (old && old->unknown) { // was missing further up, which was reported
        *old = (Binding){.name = name, .span = span, .value = value, .next = old->next};
        return old;
    }
    if (old) {
        report_bound(e, name, span, old);
        return old;
    }
    if (!value.from.source) value.from = span;
    return scope_put(e, scope, (Binding){.name = name, .span = span, .value = value});
}

// --- Places

Span elab_here(Elab *e, Span span) {
    Span before = e->graph->here;
    if (elab_is_users(e, span) || !before.source) e->graph->here = span;
    return before;
}
