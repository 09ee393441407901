// SPDX-License-Identifier: MIT
// Statements of functions, layers and optimizers: bindings, parameters with their first values,
// state.
#include "nnd/elab_internal.h"

#include <string.h>

// --- Frames: the names of instances and parameters

Frame *frame_new(Elab *e, const char *path) {
    Frame *frame = ARENA_NEW(e->arena, Frame);
    *frame = (Frame){path, map_new(e->arena), map_new(e->arena)};
    return frame;
}

const char *frame_path(Elab *e, const Frame *frame, const char *name) {
    return *frame->path ? arena_printf(e->arena, "%s.%s", frame->path, name) : name;
}

bool frame_take(Elab *e, Frame *frame, const char *name, Span span) {
    const Span *old = map_get(frame->taken, name);
    if (old) {
        elab_error(e, span, "there is a %s here already", name);
        elab_note(e, *old, "it is this one");
        diag_hint(e->diag, "each has its own name; use D = .. makes an instance that is applied "
                           "several times: D(a), D(b)");
        return false;
    }
    Span *place = ARENA_NEW(e->arena, Span);
    *place = span;
    map_put(frame->taken, name, place);
    return true;
}

// --- First values

typedef struct Outside { // what an excursion into another graph has to put back
    Graph *graph;
    Frame *frame;
    Map *random_count;
    bool in_init;
    const FirstValues *first_values;
} Outside;

static Outside enter_init(Elab *e, const char *path) {
    Outside outside = {e->graph, e->frame, e->random_count, e->in_init, e->first_values};
    e->init->here = e->graph->here;
    e->graph = e->init;
    e->frame = frame_new(e, path); // names the random numbers after the parameter
    e->random_count = map_new(e->arena);
    e->in_init = true;
    return outside;
}

static void leave_init(Elab *e, Outside outside) {
    e->graph = outside.graph;
    e->frame = outside.frame;
    e->random_count = outside.random_count;
    e->in_init = outside.in_init;
    e->first_values = outside.first_values;
}

// `~ uniform(-1, 1)` is random numbers of the parameter's shape |> uniform(-1, 1), in `~ 1 + 0.1 *
// normal()` too (elab_call.c); what has no such call is the value itself, in every element.
const Node *elab_initial(Elab *e, Scope *scope, const Expr *expr, const Shape *shape,
                         const char *path, Span span) {
    Outside outside = enter_init(e, path);
    Span before = elab_here(e, span);
    const Node *node = NULL;
    e->first_values = &(FirstValues){expr, shape};
    Value value = elab_expr(e, scope, expr);
    if (!value_is_poison(value)) node = elab_to_node(e, expr->span, value, DT_F32);
    if (node) node = elab_expand_to(e, expr->span, node, shape);
    e->graph->here = before;
    leave_init(e, outside);
    return node;
}

// --- Parameters

static ParamEntry *register_param(Elab *e, Scope *scope, const Stmt *stmt, const char *path,
                                  const Shape *shape) {
    ParamEntry *entry = map_get(e->param_by_path, path);
    if (entry) return entry;
    Dim size;
    entry = ARENA_NEW(e->arena, ParamEntry);
    *entry = (ParamEntry){.path = path, .shape = *shape, .span = stmt->name_span, .group = -1};
    if (shape_size(&size, shape)) entry->size = size.c[0];
    entry->init = elab_initial(e, scope, stmt->value, shape, path, stmt->span);
    map_put(e->param_by_path, path, entry);
    VEC_PUSH(e->arena, e->param, entry);
    return entry;
}

static bool is_constant(const Shape *shape) {
    for (int i = 0; i < shape->rank; i++)
        if (!dim_is_const(shape->dim[i])) return false;
    return true;
}

static bool kept_shape(Elab *e, Scope *scope, const Stmt *stmt, Shape *shape) {
    *shape = shape_of(0, NULL);
    if (!stmt->type) return true;
    const Type *type = stmt->type;
    bool is_f32 = type->kind == TYPE_SHAPE || type->kind == TYPE_REAL ||
                  (type->kind == TYPE_TENSOR && !strcmp(type->element, "f32"));
    if (!is_f32) {
        elab_error(e, type->span, "parameters and state are of f32: %s: [64, 32]", stmt->name);
        return false;
    }
    if (!elab_shape(e, scope, type, shape)) return false;
    if (is_constant(shape)) return true;
    elab_error(e, type->span, "%s is %s, which depends on the batch", stmt->name,
               shape_text(e, shape));
    diag_hint(e->diag, "it is the same for all examples: leave N out of its shape");
    return false;
}

static void bind_slot(Elab *e, Scope *scope, const Stmt *stmt, Slot *slot) {
    Value value = slot ? value_tensor(slot->leaf) : POISON;
    Binding *binding = scope_bind(e, scope, stmt->name, stmt->name_span, value);
    if (slot && binding->value.node == slot->leaf) binding->slot = slot;
}

static bool frame_is_here(Elab *e, const Stmt *stmt, const char *what) {
    if (e->frame && !e->optimizer) return true;
    elab_error(e, stmt->span, "a %s stands in a layer or a model", what);
    return false;
}

static Slot *param_slot(Elab *e, Scope *scope, const Stmt *stmt) {
    Shape shape;
    if (!frame_is_here(e, stmt, "param") || !kept_shape(e, scope, stmt, &shape)) return NULL;
    if (!frame_take(e, e->frame, stmt->name, stmt->name_span)) return NULL;
    const char *path = frame_path(e, e->frame, stmt->name);
    const ParamEntry *entry = register_param(e, scope, stmt, path, &shape);
    if (!shape_equal(&entry->shape, &shape)) {
        elab_error(e, stmt->span, "%s is %s here, but was made as %s", path, shape_text(e, &shape),
                   shape_text(e, &entry->shape));
        return NULL;
    }
    const Node *node = node_param(e->graph, path, shape);
    graph_set_label(e->graph, node, path);
    map_put(e->param_used, path, (void *)node);
    Slot *slot = ARENA_NEW(e->arena, Slot);
    *slot = (Slot){.kind = SLOT_PARAM, .path = path, .shape = shape, .leaf = node};
    return slot;
}

// --- State of layers

static StateEntry *register_state(Elab *e, Scope *scope, const Stmt *stmt, const char *path,
                                  const Shape *shape) {
    StateEntry *entry = map_get(e->state_by_path, path);
    if (entry) return entry;
    entry = ARENA_NEW(e->arena, StateEntry);
    *entry = (StateEntry){.path = path, .shape = *shape, .span = stmt->name_span};
    entry->init = elab_initial(e, scope, stmt->value, shape, path, stmt->span);
    map_put(e->state_by_path, path, entry);
    VEC_PUSH(e->arena, e->state, entry);
    return entry;
}

static StateNow *state_now(Elab *e, const StateEntry *entry) {
    StateNow *now = map_get(e->state_now, entry->path);
    if (now) return now;
    now = ARENA_NEW(e->arena, StateNow);
    now->entry = entry;
    now->leaf = node_state(e->graph, entry->path, DT_F32, entry->shape);
    map_put(e->state_now, entry->path, now);
    VEC_PUSH(e->arena, e->state_used, now);
    return now;
}

// An instance that is applied twice reads in its second application what the first one left.
static Slot *state_slot(Elab *e, Scope *scope, const Stmt *stmt) {
    Shape shape;
    if (e->optimizer) return optimizer_state(e, scope, stmt);
    if (!frame_is_here(e, stmt, "state") || !kept_shape(e, scope, stmt, &shape)) return NULL;
    if (!frame_take(e, e->frame, stmt->name, stmt->name_span)) return NULL;
    const char *path = frame_path(e, e->frame, stmt->name);
    const StateEntry *entry = register_state(e, scope, stmt, path, &shape);
    if (!shape_equal(&entry->shape, &shape)) {
        elab_error(e, stmt->span, "%s is %s here, but was made as %s", path, shape_text(e, &shape),
                   shape_text(e, &entry->shape));
        return NULL;
    }
    StateNow *now = state_now(e, entry);
    Slot *slot = ARENA_NEW(e->arena, Slot);
    *slot = (Slot){.kind = SLOT_STATE, .path = path, .shape = shape};
    slot->leaf = now->value ? now->value : now->leaf;
    return slot;
}

// name' = value
static void next_value(Elab *e, Scope *scope, const Stmt *stmt) {
    Binding *binding = scope_find(scope, stmt->name);
    if (!binding) {
        elab_error(e, stmt->name_span, "there is no state %s", stmt->name);
        diag_hint(e->diag, "state %s = 0 declares one, with its first value", stmt->name);
        scope_bind(e, scope, stmt->name, stmt->name_span, POISON)->unknown = true;
        return;
    }
    Value value = elab_expr(e, scope, stmt->value);
    Slot *slot = binding->slot;
    if (!slot || (slot->kind == SLOT_PARAM && !e->optimizer)) {
        if (value_is_poison(binding->value)) return;
        elab_error(e, stmt->name_span, "%s has no next value: it is no state", stmt->name);
        if (slot) diag_hint(e->diag, "parameters get theirs from the optimizer");
        return;
    }
    const Node *node = value_is_poison(value) ? NULL : elab_to_node(e, stmt->span, value, DT_F32);
    if (node) node = elab_expand_to(e, stmt->span, node, &slot->shape);
    Value next = node ? value_tensor(node) : POISON;
    scope_bind(e, scope, arena_printf(e->arena, "%s'", stmt->name), stmt->name_span, next);
    if (!node) return;
    slot->next = node;
    StateNow *now = e->optimizer ? NULL : map_get(e->state_now, slot->path);
    if (now) now->value = node;
}

// --- Blocks

static bool ends_in_value(Stmt *const *body, int count);

static bool gives_value(const Stmt *stmt) {
    if (stmt->kind == STMT_IF)
        return ends_in_value(stmt->body, stmt->body_count) ||
               ends_in_value(stmt->otherwise, stmt->otherwise_count);
    return stmt->kind == STMT_LET || stmt->kind == STMT_INDEXED;
}

static bool ends_in_value(Stmt *const *body, int count) {
    return count > 0 && gives_value(body[count - 1]);
}

// The value of an if is that of its last statement, where that has one.
static Value structural_if(Elab *e, Scope *scope, const Stmt *stmt, const Type *result) {
    bool condition;
    if (!elab_structural_bool(e, scope, stmt->value, &condition)) return POISON;
    Stmt *const *body = condition ? stmt->body : stmt->otherwise;
    int count = condition ? stmt->body_count : stmt->otherwise_count;
    Value value = {.kind = VALUE_NONE};
    for (int i = 0; i < count; i++) {
        value = (Value){.kind = VALUE_NONE};
        elab_stmt(e, scope, body[i], i + 1 == count ? result : NULL, &value);
    }
    return value;
}

static Value let(Elab *e, Scope *scope, const Stmt *stmt) {
    Value value = elab_expr(e, scope, stmt->value);
    if (stmt->name) scope_bind(e, scope, stmt->name, stmt->name_span, value);
    return value;
}

static Value indexed(Elab *e, Scope *scope, const Stmt *stmt, const Type *result) {
    Shape shape;
    bool hinted = elab_shape_if_known(e, scope, result, &shape);
    Value value = elab_indexed(e, scope, stmt->index, stmt->index_count, stmt->value,
                               hinted ? &shape : NULL, stmt->span);
    if (stmt->name) scope_bind(e, scope, stmt->name, stmt->name_span, value);
    return value;
}

void elab_stmt(Elab *e, Scope *scope, const Stmt *stmt, const Type *result, Value *value) {
    Span before = elab_here(e, stmt->span);
    Value made = {.kind = VALUE_NONE};
    switch (stmt->kind) {
    case STMT_LET:
        made = let(e, scope, stmt);
        break;
    case STMT_INDEXED:
        made = indexed(e, scope, stmt, result);
        break;
    case STMT_IF:
        made = structural_if(e, scope, stmt, result);
        break;
    case STMT_NEXT:
        next_value(e, scope, stmt);
        break;
    case STMT_PARAM:
        bind_slot(e, scope, stmt, param_slot(e, scope, stmt));
        break;
    case STMT_STATE:
        bind_slot(e, scope, stmt, state_slot(e, scope, stmt));
        break;
    case STMT_USE:
        scope_bind(e, scope, stmt->name, stmt->name_span,
                   elab_use(e, scope, stmt->value, stmt->name, stmt->name_span));
        break;
    default:
        elab_error(e, stmt->span, "this does not stand here");
    }
    if (gives_value(stmt) && made.kind != VALUE_NONE) *value = made;
    e->graph->here = before;
}

// The declared result gives ranges to the last statement that can be it.
static int last_with_value(Stmt *const *body, int count) {
    for (int i = count - 1; i >= 0; i--)
        if (gives_value(body[i])) return i;
    return -1;
}

Value elab_block(Elab *e, Scope *scope, Stmt *const *body, int count, const Type *result) {
    Value value = {.kind = VALUE_NONE};
    int last = last_with_value(body, count);
    scope->body = body;
    scope->body_count = count;
    for (int i = 0; i < count; i++)
        elab_stmt(e, scope, body[i], i == last ? result : NULL, &value);
    return value;
}
