// SPDX-License-Identifier: MIT
// The train block and the graphs of the program. The parameters that one `minimize` trains lie in
// one leaf, in an order in which each `group` of it is one range; so an optimizer without
// reductions runs once on the flat vector of a range. In each graph a parameter is a slice of its
// leaf:
//
//     %0 = state "params" : f32[299434]
//     %1 = slice %0, reshape                   # conv2d_1.weight
//
// The short form `optimizer = adam(..)` is one minimize over everything.
#include "nnd/elab_train.h"

#include <string.h>

// --- What is minimized

static const Stmt *find_key(Stmt *const *body, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (body[i]->kind == STMT_LET && body[i]->name && !strcmp(body[i]->name, name))
            return body[i];
    return NULL;
}

// What the expressions of the block see beside numbers of the step and of the run.
static Scope *train_scope(Elab *e, const Program *p) {
    Scope *scope = scope_new(e, NULL);
    scope_bind(e, scope, "batch", p->train->span, value_int(p->module->batch));
    return scope;
}

static const Decl *optimizer_of(Elab *e, const Expr *call) {
    if (call->kind != EXPR_CALL) {
        elab_error(e, call->span, "an optimizer is a call: adam(lr = 1e-3)");
        return NULL;
    }
    const char *name = call->in[0]->text;
    const Decl *decl = map_get(e->decls, name);
    if (decl && decl->kind == DECL_OPTIMIZER) return decl->broken ? NULL : decl;
    VEC(const char *) names = {0};
    for (int i = 0; i < e->decl_names.count; i++) {
        const Decl *other = map_get(e->decls, e->decl_names.at[i]);
        if (other->kind == DECL_OPTIMIZER) VEC_PUSH(e->arena, names, other->name);
    }
    elab_unknown(e, call->operator_span, "optimizer", name, names.at, names.count);
    return NULL;
}

static void add_minimize(Elab *e, Program *p, const Stmt *stmt, const Expr *call,
                         const Expr *clip) {
    const Decl *decl = optimizer_of(e, call);
    if (!decl) return;
    optimizer_check(e, decl, call, train_scope(e, p));
    Minimize *m = ARENA_NEW(e->arena, Minimize);
    int same = 1, number = p->minimize.count + 1;
    for (int i = 0; i < p->minimize.count; i++)
        same += p->minimize.at[i]->decl == decl;
    *m = (Minimize){.decl = decl, .call = call, .clip = clip, .span = stmt->span};
    m->loss_name = stmt->kind == STMT_MINIMIZE ? stmt->name : "loss";
    m->pattern = stmt->kind == STMT_MINIMIZE ? stmt->pattern : "*";
    m->leaf_name = number == 1 ? "params" : arena_printf(e->arena, "params_%d", number);
    m->prefix = same == 1 ? decl->name : arena_printf(e->arena, "%s_%d", decl->name, same);
    m->loss_span = stmt->kind == STMT_MINIMIZE ? stmt->name_span : stmt->span;
    VEC_PUSH(e->arena, p->minimize, m);
}

static const Expr *minimize_clip(Elab *e, const Stmt *stmt) {
    static const char *const keys[] = {"clip"};
    const Stmt *clip = find_key(stmt->body, stmt->body_count, "clip");
    for (int i = 0; i < stmt->body_count; i++) {
        const Stmt *key = stmt->body[i];
        if (key != clip)
            elab_unknown(e, key->span, "key of minimize", key->name ? key->name : "like this", keys,
                         1);
    }
    return clip ? clip->value : NULL;
}

static void report_no_optimizer(Elab *e, const Decl *train) {
    elab_error(e, train->span, "train has no optimizer");
    diag_hint(e->diag, "optimizer = adam(lr = 1e-3) is a good start");
}

static void collect_minimizes(Elab *e, Program *p) {
    const Decl *train = p->train;
    const Stmt *optimizer = find_key(train->body, train->body_count, "optimizer");
    const Stmt *clip = find_key(train->body, train->body_count, "clip");
    int count = 0;
    for (int i = 0; i < train->body_count; i++) {
        const Stmt *stmt = train->body[i];
        if (stmt->kind == STMT_GROUP) VEC_PUSH(e->arena, p->group, stmt);
        if (stmt->kind != STMT_MINIMIZE) continue;
        count++;
        add_minimize(e, p, stmt, stmt->value, minimize_clip(e, stmt));
    }
    if (optimizer && count > 0)
        elab_error(e, optimizer->span,
                   "optimizer is short for one minimize, and here are both: keep one of them");
    else if (optimizer)
        add_minimize(e, p, optimizer, optimizer->value, clip ? clip->value : NULL);
    else if (count == 0)
        report_no_optimizer(e, train);
    if (clip && !optimizer)
        elab_error(e, clip->span, "clip belongs to an optimizer; put it in the braces of minimize");
}

// --- Layout: which parameter lies where

static void report_frozen(Elab *e, const Minimize *m) {
    elab_error(e, m->span, "all parameters that match \"%s\" are frozen", m->pattern);
    elab_note(e, e->freeze.at[0]->span, "they are frozen here");
    diag_hint(e->diag, "something has to be left to train");
}

static void report_again(Elab *e, const Program *p, const Minimize *m, const ParamEntry *param) {
    elab_error(e, m->span, "%s is minimized a second time", param->path);
    elab_note(e, p->minimize.at[param->group]->span, "the first is here");
    diag_hint(e->diag, "each parameter has one minimize: patterns have nothing in common");
}

static void assign_params(Elab *e, Program *p) {
    for (int i = 0; i < p->minimize.count; i++) {
        Minimize *m = p->minimize.at[i];
        bool again = false;
        int found = 0, frozen = 0;
        for (int k = 0; k < e->param.count; k++) {
            ParamEntry *param = e->param.at[k];
            if (!pattern_matches(m->pattern, param->path)) continue;
            found++;
            frozen += elab_is_frozen(e, param->path);
            if (elab_is_frozen(e, param->path)) continue;
            if (param->group >= 0 && !again) report_again(e, p, m, param);
            again |= param->group >= 0;
            param->group = i;
        }
        if (found > 0 && found == frozen)
            report_frozen(e, m);
        if (found > 0) continue;
        elab_error(e, m->span,
                   e->param.count ? "no parameter matches \"%s\"" : "the model has no parameters",
                   m->pattern);
        if (e->param.count)
            elab_hint_pattern(e, m->pattern);
        else
            diag_hint(e->diag, "layers have parameters: linear, conv2d; so has param w: [I] ~ 0");
    }
}

// The range of a parameter: of the last group whose pattern it matches, 0 for none.
static int range_of(const Program *p, const ParamEntry *param) {
    for (int i = p->group.count; i > 0; i--)
        if (pattern_matches(p->group.at[i - 1]->pattern, param->path)) return i;
    return 0;
}

static void place(Elab *e, Leaf *leaf, ParamEntry *param) {
    param->offset = leaf->size;
    if (__builtin_add_overflow(leaf->size, param->size, &leaf->size) || leaf->size > INT32_MAX) {
        elab_error(e, param->span, "the parameters together have too many elements");
        leaf->size = param->size;
    }
    VEC_PUSH(e->arena, leaf->param, param);
}

static void lay_out_minimize(Elab *e, Program *p, Minimize *m, int index) {
    m->leaf.name = m->leaf_name;
    for (int r = 0; r <= p->group.count; r++) {
        Range range = {.group = r ? p->group.at[r - 1] : NULL,
                       .first = m->leaf.param.count,
                       .offset = m->leaf.size};
        for (int k = 0; k < e->param.count; k++)
            if (e->param.at[k]->group == index && range_of(p, e->param.at[k]) == r)
                place(e, &m->leaf, e->param.at[k]);
        range.count = m->leaf.param.count - range.first;
        range.size = m->leaf.size - range.offset;
        if (range.count > 0) VEC_PUSH(e->arena, m->range, range);
    }
    VEC_PUSH(e->arena, p->leaf, &m->leaf);
}

static void lay_out(Elab *e, Program *p) {
    for (int i = 0; i < p->minimize.count; i++)
        lay_out_minimize(e, p, p->minimize.at[i], i);
    p->frozen.name = p->train ? "frozen" : "params";
    for (int k = 0; k < e->param.count; k++)
        if (e->param.at[k]->group < 0) place(e, &p->frozen, e->param.at[k]);
    if (p->frozen.param.count > 0) VEC_PUSH(e->arena, p->leaf, &p->frozen);
    for (int i = 0; i < p->leaf.count; i++)
        for (int k = 0; k < p->leaf.at[i]->param.count; k++) {
            const ParamEntry *param = p->leaf.at[i]->param.at[k];
            TensorInfo info = {param->path, NNC_PARAMETER, p->leaf.at[i]->name, param->offset,
                               param->shape};
            VEC_PUSH(e->arena, p->module->tensor, info);
        }
    for (int i = 0; i < e->state.count; i++) {
        TensorInfo info = {e->state.at[i]->path, NNC_LAYER_STATE, e->state.at[i]->path, 0,
                           e->state.at[i]->shape};
        VEC_PUSH(e->arena, p->module->tensor, info);
    }
}

// --- Pieces of a flat vector

const Node *flat_slice(Graph *graph, const Node *flat, int64_t offset, int64_t size) {
    if (offset == 0 && dim_equal(flat->shape.dim[0], dim_const(size))) return flat;
    SliceAxis slice = {(int32_t)offset, 1};
    Dim extent = dim_const(size);
    return node_slice(graph, flat, &slice, shape_of(1, &extent));
}

const Node *flat_param(Graph *graph, const Node *flat, const ParamEntry *param) {
    const Node *part = flat_slice(graph, flat, param->offset, param->size);
    if (!shape_equal(&part->shape, &param->shape)) part = node_reshape(graph, part, param->shape);
    return part;
}

const Node *flatten(Graph *graph, const Node *node) {
    Dim size;
    shape_size(&size, &node->shape);
    return node->shape.rank == 1 ? node : node_reshape(graph, node, shape_of(1, &size));
}

const Node *join_flat(Graph *graph, const Node *const *part, int count) {
    return count == 1 ? part[0] : node_concat(graph, part, count, 0);
}

// --- Graphs

static const Node *leaf_node(Graph *graph, const Leaf *leaf) {
    Dim size = dim_const(leaf->size);
    const Node *node = node_state(graph, leaf->name, DT_F32, shape_of(1, &size));
    graph_set_label(graph, node, leaf->name);
    return node;
}

// Stands for the run's parameters in `graph`: slices of what the leaves are now.
static const Node **param_map(Elab *e, const Program *p, Graph *graph, const Run *run,
                              const Node *const *now) {
    const Node **done = ARENA_ARRAY(e->arena, const Node *, run->graph->node.count);
    for (int i = 0; i < p->leaf.count; i++)
        for (int k = 0; k < p->leaf.at[i]->param.count; k++) {
            const ParamEntry *param = p->leaf.at[i]->param.at[k];
            const Node *node = map_get(run->param, param->path);
            const Node *slice = flat_param(graph, now[i], param);
            graph_set_label(graph, slice, param->path);
            if (node) done[node->id] = slice;
        }
    return done;
}

static const Node **leaf_nodes(Elab *e, const Program *p, Graph *graph) {
    const Node **now = ARENA_ARRAY(e->arena, const Node *, p->leaf.count + 1);
    for (int i = 0; i < p->leaf.count; i++)
        now[i] = leaf_node(graph, p->leaf.at[i]);
    return now;
}

// The graph's spans are those of the nodes that are copied, not of the place where they are.
static const Node *import(Graph *graph, const Run *run, const Node *value, const Node **done) {
    graph->here = SPAN_NONE;
    return graph_import(graph, run->graph, value, done);
}

static Graph *inference_graph(Elab *e, Program *p, const Run *run, const char *name, bool predict) {
    Graph *graph = graph_new(e->arena, name);
    const Node **done = param_map(e, p, graph, run, leaf_nodes(e, p, graph));
    if (!predict)
        graph_add_root(graph, ROOT_OUTPUT, "loss", NULL, import(graph, run, run->loss.node, done));
    int count = predict ? run->output.count : run->metric.count;
    for (int i = 0; i < count; i++) {
        const Named *named = predict ? &run->output.at[i] : &run->metric.at[i];
        graph_add_root(graph, ROOT_OUTPUT, named->name, NULL,
                       import(graph, run, named->value.node, done));
    }
    return graph;
}

static Graph *init_graph(Elab *e, Program *p) {
    Graph *graph = e->init;
    graph->here = SPAN_NONE;
    for (int i = 0; i < p->leaf.count; i++) {
        const Leaf *leaf = p->leaf.at[i];
        const Node **part = ARENA_ARRAY(e->arena, const Node *, leaf->param.count);
        for (int k = 0; k < leaf->param.count; k++)
            part[k] = flatten(graph, leaf->param.at[k]->init);
        graph_add_root(graph, ROOT_STATE, leaf->name, leaf_node(graph, leaf),
                       join_flat(graph, part, leaf->param.count));
    }
    for (int i = 0; i < p->first.count; i++) {
        const FirstValue *first = &p->first.at[i];
        const Node *state = node_state(graph, first->name, DT_F32, first->node->shape);
        graph_add_root(graph, ROOT_STATE, first->name, state, first->node);
    }
    for (int i = 0; i < e->state.count; i++) {
        const StateEntry *entry = e->state.at[i];
        const Node *state = node_state(graph, entry->path, DT_F32, entry->shape);
        graph_add_root(graph, ROOT_STATE, entry->path, state, entry->init);
    }
    return graph;
}

// --- The step

static const Node *loss_node(Elab *e, const Run *run, const Minimize *m) {
    if (!strcmp(m->loss_name, "loss") && run->has_loss) return run->loss.node;
    const Binding *binding = scope_find(run->scope, m->loss_name);
    if (!binding) {
        elab_error(e, m->loss_span, "the model has no %s", m->loss_name);
        diag_hint(e->diag, "loss is its loss; any number that the model binds to a name is one, too");
        return NULL;
    }
    Value value = binding->value;
    if (value.kind == VALUE_TENSOR && !value.step && value.node->dtype == DT_F32 &&
        value.node->shape.rank == 0)
        return value.node;
    if (!value_is_poison(value))
        elab_error(e, m->loss_span, "a loss is one number, %s is %s", m->loss_name,
                   value_describe(e, value));
    return NULL;
}

static const Node *gradient(Elab *e, Graph *graph, const Minimize *m, const Node *now,
                            const Node *loss) {
    int count = m->leaf.param.count;
    const Node **wrt = ARENA_ARRAY(e->arena, const Node *, count);
    const Node **part = ARENA_ARRAY(e->arena, const Node *, count);
    for (int i = 0; i < count; i++)
        wrt[i] = flat_param(graph, now, m->leaf.param.at[i]);
    graph_grad(graph, loss, NULL, wrt, count, part);
    for (int i = 0; i < count; i++)
        part[i] = flatten(graph, part[i]);
    const Node *flat = join_flat(graph, part, count);
    graph_set_label(graph, flat, "gradient");
    return flat;
}

static const Node *clipped(Elab *e, Program *p, Scope *train, const Minimize *m, const Node *flat) {
    if (!m->clip) return flat;
    if (m->clip->kind != EXPR_CALL) {
        elab_error(e, m->clip->span, "clip wants a function: clip = global_norm(1)");
        return NULL;
    }
    Span before = elab_here(e, m->clip->span);
    Scope *scope = scope_new(e, train);
    const Decl *decl = map_get(e->decls, m->clip->in[0]->text);
    const char *name = arena_printf(e->arena, "%sclip.", hyper_prefix(e, p, m));
    const Expr *call = m->clip;
    if (decl && decl->kind == DECL_FN)
        call = numbers_of_call(e, p->module, scope, call, decl, 1, name);
    Value value = elab_call_piped(e, scope, call, value_tensor(flat));
    e->graph->here = before;
    if (value.kind == VALUE_TENSOR && !value.step && shape_equal(&value.node->shape, &flat->shape))
        return value.node;
    if (!value_is_poison(value))
        elab_error(e, m->clip->span, "clip makes %s of the gradient, which is %s",
                   value_describe(e, value), shape_text(e, &flat->shape));
    return NULL;
}

// The first loss is what a run reports, as "loss". One that is minimized twice is reported once.
static void add_loss(Graph *graph, const char *name, const Node *loss) {
    for (int i = 0; i < graph->root.count; i++)
        if (graph->root.at[i].kind == ROOT_OUTPUT && !strcmp(graph->root.at[i].name, name)) return;
    graph_add_root(graph, ROOT_OUTPUT, name, NULL, loss);
}

// What is measured of the batch that is trained on; a metric of a loss's name is that loss.
static void add_metrics(Graph *graph, const Run *run, const Node **done) {
    for (int i = 0; i < run->metric.count; i++)
        add_loss(graph, run->metric.at[i].name,
                 import(graph, run, run->metric.at[i].value.node, done));
}

// One after the other: a later loss sees the parameters that an earlier minimize has changed.
static Graph *train_graph(Elab *e, Program *p, const Run *run) {
    Graph *graph = graph_new(e->arena, "train");
    Scope *scope = train_scope(e, p);
    elab_begin_graph(e, graph, true);
    const Node **leaf = leaf_nodes(e, p, graph);
    const Node **now = ARENA_ARRAY(e->arena, const Node *, p->leaf.count + 1);
    memcpy(now, leaf, sizeof *now * (size_t)p->leaf.count);
    for (int i = 0; i < p->minimize.count; i++) {
        Minimize *m = p->minimize.at[i];
        const Node **done = param_map(e, p, graph, run, now);
        const Node *loss = loss_node(e, run, m);
        if (!loss) return NULL;
        int before = graph->node.count;
        loss = import(graph, run, loss, done);
        if (i > 0) section_renew(graph, before);
        add_loss(graph, i == 0 ? "loss" : m->loss_name, loss);
        if (i == 0) add_metrics(graph, run, done);
        for (int k = 0; i == 0 && k < run->state.count; k++) {
            const StateNow *state = run->state.at[k];
            if (!state->value || elab_is_frozen(e, state->entry->path)) continue;
            const Node *next = import(graph, run, state->value, done);
            const Node *old = import(graph, run, state->leaf, done);
            graph_add_root(graph, ROOT_STATE, state->entry->path, old, next);
        }
        graph->inside =
            section_new(graph, (Section){SECTION_UPDATE, m->prefix, m->decl->name, "", NULL, NULL});
        const Node *flat = clipped(e, p, scope, m, gradient(e, graph, m, now[i], loss));
        const Node *next = flat ? optimizer_apply(e, p, m, scope, now[i], flat) : NULL;
        graph->inside = NULL;
        if (!next) return NULL;
        graph_add_root(graph, ROOT_STATE, p->leaf.at[i]->name, leaf[i], next);
        // No later gradient is taken through this step.
        now[i] = i + 1 < p->minimize.count ? node_stop(graph, next) : next;
    }
    return graph;
}

static bool predicts_without_targets(Elab *e, const Run *run, const Graph *graph,
                                     const Module *module) {
    for (int i = 0; i < graph->node.count; i++) {
        const Node *node = graph->node.at[i];
        if (node->op != OP_input) continue;
        for (int k = 0; k < module->input.count; k++)
            if (module->input.at[k].is_target &&
                !strcmp(module->input.at[k].name, node->attr->name)) {
                elab_error(e, run->output.at[0].span, "an output depends on the target %s",
                           node->attr->name);
                return false;
            }
    }
    return true;
}

static void report_no_loss(Elab *e, const Decl *train) {
    elab_error(e, train->span, "%s has no loss to minimize", train->name);
    diag_hint(e->diag, "in the model: loss cross_entropy(y, label), or loss mse(y, target)");
}

void elab_program(Elab *e, const Decl *train, Module *module, const Run *train_run,
                  const Run *eval_run) {
    Program p = {.train = train, .module = module};
    if (train) collect_minimizes(e, &p);
    if (elab_failed(e)) return;
    if (train) {
        for (int i = 0; i < e->freeze.count; i++)
            elab_check_pattern(e, e->freeze.at[i]);
        for (int i = 0; i < p.group.count; i++)
            elab_check_pattern(e, p.group.at[i]);
        assign_params(e, &p);
        if (train_run->loss.kind == VALUE_POISON && !train_run->has_loss && p.minimize.count > 0 &&
            !strcmp(p.minimize.at[0]->loss_name, "loss"))
            report_no_loss(e, train);
    }
    if (elab_failed(e)) return;
    lay_out(e, &p);
    if (elab_failed(e)) return;
    if (train) module->rates = graph_new(e->arena, "rates");
    if (train) module->graph[NNC_TRAIN] = train_graph(e, &p, train_run);
    if (train && !elab_fits(e, module->graph[NNC_TRAIN], train->span)) return;
    if (eval_run->has_loss)
        module->graph[NNC_EVAL] = inference_graph(e, &p, eval_run, "eval", false);
    module->graph[NNC_PREDICT] = inference_graph(e, &p, eval_run, "predict", true);
    predicts_without_targets(e, eval_run, module->graph[NNC_PREDICT], module);
    if (elab_failed(e)) return;
    module->graph[NNC_INIT] = init_graph(e, &p);
}
