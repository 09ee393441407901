// SPDX-License-Identifier: MIT
// Optimizers. The body sees p, the parameter, g, its gradient, and t, the number of this step
// from 1. Where it is pointwise it runs once for each range of the flat vector; where it reduces
// (the norm of a parameter), once for each parameter:
//
//     state v = 0
//     v' = gamma * v + lr * g
//     p' = p - v'
//
// all(sum(g^2)) is a sum over everything that the minimize trains, in either case.
#include "nnd/elab_train.h"

#include <string.h>

typedef struct OptState { // a state of the optimizer over all pieces of p
    const char *name;
    const char *leaf_name; // adam.m
    bool scalar;           // one number for each piece, not one for each element
    const Node *leaf;
    VEC(const Node *) next, first; // by piece
} OptState;

struct OptimizerRun {
    const Minimize *m;
    const Node *all_p, *all_g; // flat, everything
    bool by_param;
    int pieces;
    // The piece that is running:
    int piece;
    int64_t offset;
    Shape shape;
    VEC(OptState *) state;
};

// --- Arguments

// lr, or adam_2.lr where another optimizer's is something else.
const char *hyper_prefix(Elab *e, const Program *p, const Minimize *m) {
    return m == p->minimize.at[0] ? "" : arena_printf(e->arena, "%s.", m->prefix);
}

static int param_index(const Decl *decl, const char *name) {
    for (int i = 0; i < decl->param_count; i++)
        if (!strcmp(decl->param[i].name, name)) return i;
    return -1;
}

// What the call does not give is what the command line sets, or the default.
static Value setting(const Parameter *param, Value otherwise, double value) {
    bool whole = param->type && param->type->kind == TYPE_INT;
    if (otherwise.kind == VALUE_BOOL) return value_bool(value != 0);
    return whole ? value_int((int64_t)value) : value_real(value);
}

static void list_setting(Elab *e, Program *p, const char *name, Value value) {
    SettingInfo info = {.name = name, .is_bool = value.kind == VALUE_BOOL};
    if (info.is_bool)
        info.value = value.boolean;
    else if (!value_number(value, &info.value))
        return;
    elab_add_setting(e, p->module, info);
}

static void take_settings(Elab *e, Program *p, const Minimize *m, Arguments *to) {
    for (int i = 0; i < m->decl->param_count; i++) {
        const Parameter *param = &m->decl->param[i];
        const char *name = arena_printf(e->arena, "%s%s", hyper_prefix(e, p, m), param->name);
        double number;
        if (to->given[i]) continue;
        Value value = POISON;
        if (param->default_value) value = elab_expr(e, scope_new(e, NULL), param->default_value);
        if (elab_set_value(e, name, &number)) {
            bool real = numbers_is_real(e, m->decl, param);
            value =
                real ? numbers_hyper(e, p->module, name, number) : setting(param, value, number);
            to->given[i] = true;
            to->span[i] = m->call->span;
            to->value[i] = value;
        }
        list_setting(e, p, name, value);
    }
}

static void override(Elab *e, Program *p, Scope *scope, const Stmt *group, Arguments *to) {
    for (int i = 0; group && i < group->body_count; i++) {
        const Stmt *stmt = group->body[i];
        int at = stmt->kind == STMT_LET && stmt->name ? param_index(to->decl, stmt->name) : -1;
        if (at < 0) {
            elab_error(e, stmt->name ? stmt->name_span : stmt->span,
                       "%s has no parameter%s%s that a group could change", to->decl->name,
                       stmt->name ? " " : "", stmt->name ? stmt->name : "");
            elab_declared(e, to->decl, to->decl->span);
            to->failed = true;
            continue;
        }
        to->given[at] = true;
        to->span[at] = stmt->value->span;
        const Expr *value = stmt->value;
        if (numbers_is_real(e, to->decl, &to->decl->param[at]))
            value = numbers_of(e, p->module, scope, value,
                               arena_printf(e->arena, "%s.%s", group->pattern, stmt->name));
        to->value[at] = elab_expr(e, scope, value);
        to->failed |= value_is_poison(to->value[at]);
    }
}

// NULL: it is no number of the step.
static const Node *rate_node(Elab *e, Graph *rates, Value value) {
    double number;
    if (value_number(value, &number)) return node_const(rates, DT_F64, number);
    if (value.kind != VALUE_TENSOR || !value.step || value.node->dtype != DT_F64) return NULL;
    const Node **done = ARENA_ARRAY(e->arena, const Node *, e->graph->node.count + 1);
    return graph_import(rates, e->graph, value.node, done);
}

// A learning rate is reported, as a number of the step, under the name that sets it.
static void add_rate(Elab *e, Program *p, Scope *scope, const Minimize *m, const Stmt *group) {
    const Binding *binding = scope_find(scope, "lr");
    if (!binding || !p->module->rates) return;
    const char *name = arena_printf(e->arena, "%slr", hyper_prefix(e, p, m));
    for (int i = 0; group && i < group->body_count; i++)
        if (group->body[i]->name && !strcmp(group->body[i]->name, "lr"))
            name = arena_printf(e->arena, "%s.lr", group->pattern);
    Graph *rates = p->module->rates;
    for (int i = 0; i < rates->root.count; i++)
        if (!strcmp(rates->root.at[i].name, name)) return;
    const Node *node = rate_node(e, rates, binding->value);
    if (node) graph_add_root(rates, ROOT_OUTPUT, name, NULL, node);
}

// --- State

static OptState *find_state(OptimizerRun *run, const char *name) {
    for (int i = 0; i < run->state.count; i++)
        if (!strcmp(run->state.at[i]->name, name)) return run->state.at[i];
    return NULL;
}

static OptState *add_state(Elab *e, OptimizerRun *run, const Stmt *stmt, bool scalar) {
    OptState *state = ARENA_NEW(e->arena, OptState);
    *state = (OptState){.name = stmt->name, .scalar = scalar};
    state->leaf_name = arena_printf(e->arena, "%s.%s", run->m->prefix, stmt->name);
    Dim size = dim_const(scalar ? run->pieces : run->m->leaf.size);
    state->leaf = node_state(e->graph, state->leaf_name, DT_F32, shape_of(1, &size));
    graph_set_label(e->graph, state->leaf, state->leaf_name);
    VEC_PUSH(e->arena, run->state, state);
    return state;
}

static void report_state(Elab *e, const OptimizerRun *run, const char *name) {
    elab_error(e, run->m->call->span, "%s has the state %s for some of the parameters only",
               run->m->decl->name, name);
    diag_hint(e->diag, "give those another optimizer: minimize .. over \"..\" with ..");
}

// state v = 0 is as large as p; state s: [] = 0 one number.
Slot *optimizer_state(Elab *e, Scope *scope, const Stmt *stmt) {
    OptimizerRun *run = e->optimizer;
    Shape shape = run->shape;
    if (stmt->type && !elab_shape(e, scope, stmt->type, &shape)) return NULL;
    if (shape.rank > 0 && !shape_equal(&shape, &run->shape)) {
        elab_error(e, stmt->span, "an optimizer's state is as large as p, or one number: []");
        return NULL;
    }
    OptState *state = find_state(run, stmt->name);
    if (!state && run->piece > 0) report_state(e, run, stmt->name); // a group takes another `if`
    if (!state) state = add_state(e, run, stmt, stmt->type && shape.rank == 0);
    Dim size;
    shape_size(&size, &shape);
    const Node *first = elab_initial(e, scope, stmt->value, &shape, state->leaf_name, stmt->span);
    if (!first) return NULL;
    VEC_PUSH(e->arena, state->first, flatten(e->init, first));
    const Node *old =
        flat_slice(e->graph, state->leaf, state->scalar ? run->piece : run->offset, size.c[0]);
    if (!shape_equal(&old->shape, &shape)) old = node_reshape(e->graph, old, shape);
    Slot *slot = ARENA_NEW(e->arena, Slot);
    *slot = (Slot){.kind = SLOT_STATE, .path = stmt->name, .shape = shape, .leaf = old};
    return slot;
}

// Binds a name anew: all() looks at everything where the body sees a piece.
static void hide(Elab *e, Scope *scope, const char *name, const Node *node) {
    scope_put(e, scope, (Binding){.name = name, .value = value_tensor(node)});
}

Value optimizer_all(Elab *e, Scope *scope, const Expr *call) {
    const OptimizerRun *run = e->optimizer;
    const Expr *sum = call->in_count == 2 ? call->in[1] : NULL;
    if (!sum || sum->kind != EXPR_CALL || strcmp(sum->in[0]->text, "sum") || call->arg_name[1]) {
        elab_error(e, call->span, "all() takes a sum: all(sum(g^2))");
        return POISON;
    }
    Scope *whole = scope_new(e, scope);
    bool reduced = e->not_pointwise;
    hide(e, whole, "p", run->all_p);
    hide(e, whole, "g", run->all_g);
    for (int i = 0; i < run->state.count; i++)
        if (!run->state.at[i]->scalar)
            hide(e, whole, run->state.at[i]->name, run->state.at[i]->leaf);
    Value value = elab_expr(e, whole, sum);
    e->not_pointwise = reduced;
    return value;
}

// --- Running the body on a piece

static bool keep_states(Elab *e, OptimizerRun *run, Scope *scope) {
    for (int i = 0; i < run->state.count; i++) {
        OptState *state = run->state.at[i];
        const Binding *binding = scope_find(scope, state->name);
        if (!binding || !binding->slot) {
            report_state(e, run, state->name);
            return false;
        }
        const Node *next = binding->slot->next ? binding->slot->next : binding->slot->leaf;
        VEC_PUSH(e->arena, state->next, flatten(e->graph, next));
    }
    return true;
}

static const Node *run_piece(Elab *e, Program *p, OptimizerRun *run, Scope *train,
                             const Stmt *group, const Node *param, const Node *grad) {
    const Minimize *m = run->m;
    Arguments from = arguments_new(e, m->decl);
    Scope *scope = scope_new(e, NULL);
    run->shape = param->shape;
    Scope *numbers = scope_new(e, train);
    const Expr *call =
        numbers_of_call(e, p->module, numbers, m->call, m->decl, 0, hyper_prefix(e, p, m));
    arguments_match(e, numbers, call, 1, ACCEPT_ALL, &from);
    if (from.failed) return NULL;
    take_settings(e, p, m, &from);
    override(e, p, numbers, group, &from);
    if (!arguments_bind(e, scope, &from, m->call->span)) return NULL;
    add_rate(e, p, scope, m, group);
    Slot *slot = ARENA_NEW(e->arena, Slot);
    *slot = (Slot){.kind = SLOT_PARAM, .path = "p", .shape = param->shape, .leaf = param};
    Binding *binding = scope_bind(e, scope, "p", m->decl->name_span, value_tensor(param));
    binding->slot = slot;
    scope_bind(e, scope, "g", m->decl->name_span, value_tensor(grad));
    scope_bind(e, scope, "t", m->decl->name_span,
               elab_binary(e, m->span, OP_add, value_tensor(node_step(e->graph)), value_int(1)));
    int errors = diag_error_count(e->diag);
    elab_block(e, scope, m->decl->body, m->decl->body_count, NULL);
    if (diag_error_count(e->diag) > errors || !keep_states(e, run, scope)) return NULL;
    if (slot->next) return slot->next;
    elab_error(e, m->decl->name_span, "%s gives the parameters no next value", m->decl->name);
    diag_hint(e->diag, "p' = p - lr * g is that of plain descent");
    return NULL;
}

static const Node *run_pieces(Elab *e, Program *p, OptimizerRun *run, Scope *train) {
    const Minimize *m = run->m;
    VEC(const Node *) next = {0};
    for (int r = 0; r < m->range.count; r++) {
        const Range *range = &m->range.at[r];
        for (int k = 0; k < (run->by_param ? range->count : 1); k++) {
            const ParamEntry *param = m->leaf.param.at[range->first + k];
            Graph *g = e->graph;
            const Node *value, *grad;
            run->offset = run->by_param ? param->offset : range->offset;
            if (run->by_param) {
                value = flat_param(g, run->all_p, param);
                grad = flat_param(g, run->all_g, param);
            } else {
                value = flat_slice(g, run->all_p, range->offset, range->size);
                grad = flat_slice(g, run->all_g, range->offset, range->size);
            }
            const Node *piece = run_piece(e, p, run, train, range->group, value, grad);
            if (!piece) return NULL;
            VEC_PUSH(e->arena, next, flatten(e->graph, piece));
            run->piece++;
        }
    }
    return join_flat(e->graph, next.at, next.count);
}

// --- The whole

void optimizer_check(Elab *e, const Decl *decl, const Expr *call, Scope *scope) {
    Arguments from = arguments_new(e, decl);
    elab_begin_graph(e, graph_new(e->arena, "check"), true);
    arguments_match(e, scope, call, 1, ACCEPT_ALL, &from);
    arguments_bind(e, scope_new(e, NULL), &from, call->span);
}

typedef struct Before {
    Graph *graph, *init;
    Frame *frame;
    CallSite *calls;
} Before;

static Before enter(Elab *e, OptimizerRun *run, CallSite *site, Graph *graph, Graph *init) {
    Before before = {e->graph, e->init, e->frame, e->calls};
    *site = (CallSite){.name = run->m->decl->name, .span = run->m->call->span, .outer = e->calls};
    e->graph = graph;
    e->init = init;
    e->frame = NULL;
    e->calls = site;
    e->optimizer = run;
    e->not_pointwise = false;
    graph->here = run->m->call->span;
    return before;
}

static void leave(Elab *e, Before before) {
    e->graph->here = SPAN_NONE;
    e->graph = before.graph;
    e->init = before.init;
    e->frame = before.frame;
    e->calls = before.calls;
    e->optimizer = NULL;
}

// Whether the body reduces is found out by running it, on graphs that are thrown away.
static bool rehearse(Elab *e, Program *p, Minimize *m, Scope *train, bool *reduces) {
    OptimizerRun run = {.m = m, .pieces = m->range.count};
    CallSite site;
    Graph *graph = graph_new(e->arena, "rehearsal"), *init = graph_new(e->arena, "rehearsal");
    Dim size = dim_const(m->leaf.size);
    run.all_p = node_input(graph, "p", DT_F32, shape_of(1, &size));
    run.all_g = node_input(graph, "g", DT_F32, shape_of(1, &size));
    Before before = enter(e, &run, &site, graph, init);
    const Node *next = run_pieces(e, p, &run, train);
    leave(e, before);
    *reduces = e->not_pointwise;
    return next != NULL;
}

static void add_tensors(Elab *e, Program *p, const OptimizerRun *run, const OptState *state) {
    const Minimize *m = run->m;
    for (int i = 0; state->scalar && i < run->pieces; i++) {
        const char *name = run->pieces == 1 ? state->leaf_name
                                            : arena_printf(e->arena, "%s/%d", state->leaf_name, i);
        TensorInfo info = {name, NNC_OPTIMIZER_STATE, state->leaf_name, i, shape_of(0, NULL)};
        VEC_PUSH(e->arena, p->module->tensor, info);
    }
    for (int i = 0; !state->scalar && i < m->leaf.param.count; i++) {
        const ParamEntry *param = m->leaf.param.at[i];
        const char *name = arena_printf(e->arena, "%s/%s", state->leaf_name, param->path);
        TensorInfo info = {name, NNC_OPTIMIZER_STATE, state->leaf_name, param->offset,
                           param->shape};
        VEC_PUSH(e->arena, p->module->tensor, info);
    }
}

static void add_states(Elab *e, Program *p, const OptimizerRun *run) {
    for (int i = 0; i < run->state.count; i++) {
        const OptState *state = run->state.at[i];
        graph_add_root(e->graph, ROOT_STATE, state->leaf_name, state->leaf,
                       join_flat(e->graph, state->next.at, state->next.count));
        FirstValue first = {state->leaf_name,
                            join_flat(e->init, state->first.at, state->first.count)};
        VEC_PUSH(e->arena, p->first, first);
        add_tensors(e, p, run, state);
    }
}

const Node *optimizer_apply(Elab *e, Program *p, Minimize *m, Scope *scope, const Node *param,
                            const Node *grad) {
    OptimizerRun run = {.m = m, .all_p = param, .all_g = grad};
    CallSite site;
    if (!rehearse(e, p, m, scope, &run.by_param)) return NULL;
    run.pieces = run.by_param ? m->leaf.param.count : m->range.count;
    Before before = enter(e, &run, &site, e->graph, e->init);
    const Node *next = run_pieces(e, p, &run, scope);
    if (next) add_states(e, p, &run);
    leave(e, before);
    return next;
}
