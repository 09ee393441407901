// SPDX-License-Identifier: MIT
// One declaration alone, with inputs of given shapes: what tests differentiate and compare.
#include "nnd/elab_train.h"

#include <string.h>

const Decl *const *nnd_library(Arena *arena, Diag *diag, int *count) {
    Elab *e = elab_new(arena, NULL, NULL, diag);
    const Decl **decl = ARENA_ARRAY(arena, const Decl *, e->decl_names.count + 1);
    *count = e->decl_names.count;
    for (int i = 0; i < *count; i++)
        decl[i] = map_get(e->decls, e->decl_names.at[i]);
    return decl;
}

static const ExampleArgument *find_argument(const ExampleArgument *argument, int count,
                                            const char *name) {
    for (int i = 0; i < count; i++)
        if (!strcmp(argument[i].name, name)) return &argument[i];
    return NULL;
}

static Value argument_value(Elab *e, const Parameter *param, const ExampleArgument *given) {
    if (!given->is_number) {
        Value value = value_tensor(node_input(e->graph, given->name, given->dtype, given->shape));
        value.classes = given->classes;
        return value;
    }
    if (param->type && param->type->kind == TYPE_BOOL) return value_bool(given->number != 0);
    int64_t whole = given->number > -1e15 && given->number < 1e15 ? (int64_t)given->number : 0;
    return (double)whole == given->number ? value_int(whole) : value_real(given->number);
}

static bool apply_function(Elab *e, const Decl *decl, const ExampleArgument *argument, int count) {
    Arguments from = arguments_new(e, decl);
    for (int i = 0; i < decl->param_count; i++) {
        const ExampleArgument *given = find_argument(argument, count, decl->param[i].name);
        if (!given) continue;
        from.given[i] = true;
        from.span[i] = decl->param[i].span;
        from.value[i] = argument_value(e, &decl->param[i], given);
    }
    e->frame = frame_new(e, "");
    Value value = elab_as_tensor(e, decl->name_span, elab_apply(e, &from, decl->name_span));
    if (value_is_poison(value)) return false;
    graph_add_root(e->graph, ROOT_OUTPUT, "y", NULL, value.node);
    for (int i = 0; i < e->state_used.count; i++) {
        const StateNow *state = e->state_used.at[i];
        if (state->value)
            graph_add_root(e->graph, ROOT_STATE, state->entry->path, state->leaf, state->value);
    }
    return true;
}

static const Expr *number_call(Elab *e, const Decl *decl, const ExampleArgument *argument,
                               int count) {
    Expr *call = ARENA_NEW(e->arena, Expr), *callee = ARENA_NEW(e->arena, Expr);
    *callee = (Expr){.kind = EXPR_NAME, .text = decl->name, .span = decl->name_span};
    *call = (Expr){.kind = EXPR_CALL, .span = decl->name_span, .operator_span = decl->name_span};
    call->in = ARENA_ARRAY(e->arena, Expr *, count + 1);
    call->arg_name = ARENA_ARRAY(e->arena, const char *, count + 1);
    call->arg_span = ARENA_ARRAY(e->arena, Span, count + 1);
    call->in[call->in_count++] = callee;
    for (int i = 0; i < count; i++) {
        if (!argument[i].is_number) continue;
        Expr *number = ARENA_NEW(e->arena, Expr);
        *number =
            (Expr){.kind = EXPR_NUMBER, .number = argument[i].number, .span = decl->name_span};
        call->arg_name[call->in_count] = argument[i].name;
        call->arg_span[call->in_count] = decl->name_span;
        call->in[call->in_count++] = number;
    }
    return call;
}

// p and g as flat inputs, as the train block has them.
static bool apply_optimizer(Elab *e, const Decl *decl, const ExampleArgument *argument, int count) {
    const ExampleArgument *p = find_argument(argument, count, "p");
    if (!p || p->is_number || p->shape.rank != 1 || !dim_is_const(p->shape.dim[0])) {
        elab_error(e, decl->name_span, "an optimizer needs p: a vector");
        return false;
    }
    Minimize m = {
        .decl = decl, .call = number_call(e, decl, argument, count), .prefix = decl->name};
    Program program = {.module = ARENA_NEW(e->arena, Module)};
    ParamEntry param = {.path = "p", .shape = p->shape, .size = p->shape.dim[0].c[0]};
    Minimize *const minimize = &m;
    Range range = {.count = 1, .size = param.size};
    VEC_PUSH(e->arena, program.minimize, minimize);
    m.leaf.size = param.size;
    VEC_PUSH(e->arena, m.leaf.param, &param);
    VEC_PUSH(e->arena, m.range, range);
    const Node *old = node_input(e->graph, "p", DT_F32, p->shape);
    const Node *gradient = node_input(e->graph, "g", DT_F32, p->shape);
    const Node *next = optimizer_apply(e, &program, &m, scope_new(e, NULL), old, gradient);
    if (next) graph_add_root(e->graph, ROOT_OUTPUT, "p", NULL, next);
    return next != NULL;
}

Graph *nnd_elaborate_call(Arena *arena, const File *file, const char *name,
                          const ExampleArgument *argument, int count, bool training, Diag *diag) {
    Elab *e = elab_new(arena, file, NULL, diag);
    const Decl *decl = map_get(e->decls, name);
    if (!decl) {
        elab_unknown(e, SPAN_NONE, "declaration", name, e->decl_names.at, e->decl_names.count);
        return NULL;
    }
    elab_begin_graph(e, graph_new(arena, name), training);
    bool made = decl->kind == DECL_OPTIMIZER ? apply_optimizer(e, decl, argument, count)
                                             : apply_function(e, decl, argument, count);
    return made && !elab_failed(e) ? e->graph : NULL;
}

// --- Arguments made up from the signature

typedef struct Extents { // of the names so far; each gets the next of 2, 3, 5, 6, 4 ..
    VEC(const char *) name;
} Extents;

static Dim extent_of(Arena *arena, Extents *extents, const Expr *dim) {
    static const int choice[] = {2, 3, 5, 6, 4, 7};
    if (dim->kind == EXPR_NUMBER) return dim_const((int64_t)dim->number);
    const char *name = dim->kind == EXPR_NAME ? dim->text : "";
    int at = 0;
    while (at < extents->name.count && strcmp(extents->name.at[at], name))
        at++;
    if (at == extents->name.count) VEC_PUSH(arena, extents->name, name);
    return dim_const(choice[at % 6]);
}

static Shape example_shape(Arena *arena, Extents *extents, const Type *type) {
    Shape shape = shape_of(0, NULL);
    for (int i = 0; type && i < type->dim_count && shape.rank < MAX_RANK - 1; i++) {
        bool rest = type->dim[i]->kind == EXPR_NAME && !strcmp(type->dim[i]->text, "..");
        if (rest) shape.dim[shape.rank++] = dim_const(2);
        shape.dim[shape.rank++] = rest ? dim_const(3) : extent_of(arena, extents, type->dim[i]);
    }
    if (!type) shape = shape_of(2, (Dim[]){dim_const(2), dim_const(3)});
    return shape;
}

static ExampleArgument example_argument(Arena *arena, Extents *extents, const Parameter *param) {
    const Type *type = param->type;
    ExampleArgument argument = {.name = param->name, .dtype = DT_F32};
    TypeKind kind = type ? type->kind : TYPE_SHAPE;
    argument.is_number = kind == TYPE_INT || kind == TYPE_REAL || kind == TYPE_BOOL;
    argument.number = kind == TYPE_REAL ? 0.5 : 2;
    if (argument.is_number) return argument;
    argument.shape = example_shape(arena, extents, type);
    if (kind != TYPE_INDEX) return argument;
    argument.dtype = DT_I32;
    if (type->bound) argument.classes = extent_of(arena, extents, type->bound).c[0];
    return argument;
}

const ExampleArgument *nnd_example_arguments(Arena *arena, const Decl *decl, int *count) {
    ExampleArgument *argument = ARENA_ARRAY(arena, ExampleArgument, decl->param_count + 2);
    Extents extents = {0};
    Dim six = dim_const(6);
    *count = 0;
    for (int i = 0; i < decl->param_count; i++) {
        const Parameter *param = &decl->param[i];
        if (param->default_value) continue;
        if (decl->kind == DECL_OPTIMIZER && !param->type)
            argument[(*count)++] =
                (ExampleArgument){.name = param->name, .is_number = true, .number = 0.5};
        else
            argument[(*count)++] = example_argument(arena, &extents, param);
    }
    if (decl->kind != DECL_OPTIMIZER) return argument;
    argument[(*count)++] = (ExampleArgument){.name = "p", .shape = shape_of(1, &six)};
    argument[(*count)++] = (ExampleArgument){.name = "g", .shape = shape_of(1, &six)};
    return argument;
}
