// SPDX-License-Identifier: MIT
// Calls: which argument is which parameter's, what is called, a layer's instance, the result.
//
//     linear(x, 10)            an instance linear_1 of the layer, applied to x
//     x |> linear(10) as head  the same, named
//     use D = Critic(64)       an instance alone; D(a), D(b) apply it
#include "nnc.h"
#include "nnd/elab_internal.h"

#include <string.h>

// --- Arguments

Arguments arguments_new(Elab *e, const Decl *decl) {
    return (Arguments){.decl = decl,
                       .value = ARENA_ARRAY(e->arena, Value, decl->param_count + 1),
                       .span = ARENA_ARRAY(e->arena, Span, decl->param_count + 1),
                       .given = ARENA_ARRAY(e->arena, bool, decl->param_count + 1)};
}

static bool is_tensor_param(const Decl *decl, const Parameter *param) {
    if (param->type) return param->type->kind <= TYPE_SHAPE;
    return !param->default_value && (decl->kind == DECL_FN || decl->kind == DECL_LAYER);
}

static bool accepts(const Decl *decl, int i, Accept accept) {
    if (accept == ACCEPT_ALL) return true;
    return is_tensor_param(decl, &decl->param[i]) == (accept == ACCEPT_TENSORS);
}

static int find_param(const Decl *decl, const char *name) {
    for (int i = 0; i < decl->param_count; i++)
        if (!strcmp(decl->param[i].name, name)) return i;
    return -1;
}

static int next_param(const Arguments *to, Accept accept) {
    for (int i = 0; i < to->decl->param_count; i++)
        if (!to->given[i] && accepts(to->decl, i, accept)) return i;
    return -1;
}

static int param_of(Elab *e, const Expr *call, int i, Accept accept, Arguments *to) {
    const Decl *decl = to->decl;
    const char *name = call->arg_name[i];
    int at = name ? find_param(decl, name) : next_param(to, accept);
    if (!name && at < 0) {
        elab_error(e, call->in[i]->span, "%s takes no further argument", decl->name);
        elab_declared(e, decl, decl->span);
    } else if (at < 0) {
        VEC(const char *) names = {0};
        for (int k = 0; k < decl->param_count; k++)
            VEC_PUSH(e->arena, names, decl->param[k].name);
        elab_error(e, call->arg_span[i], "%s has no parameter %s", decl->name, name);
        elab_hint_parameter(e, name, names.at, names.count);
        elab_declared(e, decl, decl->span);
    } else if (to->given[at]) {
        elab_error(e, call->arg_span[i], "%s: %s is given twice", decl->name, name);
        elab_note(e, to->span[at], "here already");
        at = -1;
    }
    return at;
}

void arguments_match(Elab *e, Scope *scope, const Expr *call, int first, Accept accept,
                     Arguments *to) {
    for (int i = first; i < call->in_count; i++) {
        Value value = elab_expr(e, scope, call->in[i]);
        int at = param_of(e, call, i, accept, to);
        if (at < 0 || value_is_poison(value)) to->failed = true;
        if (at < 0) continue;
        to->given[at] = true;
        to->value[at] = value;
        to->span[at] = call->in[i]->span;
    }
}

// A parameter without a type takes anything in a function; a number in an optimizer; else what its
// default is.
static Value fit_untyped(Elab *e, const Decl *decl, const Parameter *param, Value value, Span span,
                         const char *what, Scope *scope) {
    static const Type real = {.kind = TYPE_REAL}, whole = {.kind = TYPE_INT},
                      boolean = {.kind = TYPE_BOOL};
    const Expr *otherwise = param->default_value;
    if (!otherwise && decl->kind != DECL_OPTIMIZER) return value;
    Value model = POISON;
    if (otherwise) {
        int errors = diag_error_count(e->diag);
        model = elab_expr(e, scope, otherwise);
        if (diag_error_count(e->diag) > errors) return POISON;
    }
    const Type *type = &real;
    if (model.kind == VALUE_BOOL)
        type = &boolean;
    else if (model.kind == VALUE_INT && decl->kind != DECL_OPTIMIZER)
        type = &whole;
    else if (model.kind == VALUE_TENSOR && !model.step)
        return value;
    return elab_fit(e, scope, type, value, span, what, param->span);
}

static bool bind_param(Elab *e, Scope *scope, const Arguments *from, int i, Span call) {
    const Parameter *param = &from->decl->param[i];
    Value value = from->value[i];
    Span span = from->span[i];
    const char *what = arena_printf(e->arena, "%s: %s", from->decl->name, param->name);
    if (!from->given[i] && !param->default_value) {
        elab_error(e, call, "%s is missing", what);
        elab_declared(e, from->decl, param->span);
        return false;
    }
    if (!from->given[i]) {
        value = elab_expr(e, scope, param->default_value);
        span = param->default_value->span;
    }
    int errors = diag_error_count(e->diag);
    value = param->type ? elab_fit(e, scope, param->type, value, span, what, param->span)
                        : fit_untyped(e, from->decl, param, value, span, what, scope);
    if (diag_error_count(e->diag) > errors && !elab_is_users(e, param->span))
        elab_declared(e, from->decl, param->span);
    if (value_is_poison(value)) return false;
    scope_bind(e, scope, param->name, param->span, value);
    return diag_error_count(e->diag) == errors;
}

bool arguments_bind(Elab *e, Scope *scope, const Arguments *from, Span call) {
    bool fits = !from->failed;
    for (int i = 0; fits && i < from->decl->param_count; i++)
        fits = bind_param(e, scope, from, i, call);
    return fits;
}

// --- Bodies

static bool calls_itself(const CallSite *site) {
    for (const CallSite *outer = site->outer; outer; outer = outer->outer)
        if (!strcmp(outer->name, site->name)) return true;
    return false;
}

// Said once, of the user's call that goes round in a circle. The calls around it end silently.
static void report_nested(Elab *e, const CallSite *site) {
    if (e->nested_too_deep) return;
    e->nested_too_deep = true;
    while (site->outer && !(elab_is_users(e, site->span) && calls_itself(site)))
        site = site->outer;
    e->calls = NULL;
    elab_error(e, site->span, "calls of %s are nested more than %d deep", site->name, MAX_NESTED);
    diag_hint(e->diag, "it comes to call itself, and never ends: an if with a number that gets "
                       "smaller ends it");
}

static bool enter_call(Elab *e, CallSite *site) {
    site->outer = e->calls;
    if (e->nested == MAX_NESTED) {
        report_nested(e, site);
        return false;
    }
    if (++e->calls_made > MAX_CALLS) {
        if (e->calls_made == MAX_CALLS + 1)
            elab_error(e, site->span, "this makes more than %d calls", MAX_CALLS);
        return false;
    }
    e->calls = site;
    e->nested++;
    return true;
}

static void leave_call(Elab *e, const CallSite *site) {
    e->calls = site->outer;
    e->nested--;
}

static Value stopped(Elab *e, Value value) {
    if (value.kind != VALUE_TENSOR || value.step || value.node->dtype != DT_F32) return value;
    value.node = node_stop(e->graph, value.node);
    return value;
}

// The derivative by one parameter: what d<name> is bound to, or the block's value.
static Value derivative_by(Elab *e, Scope *params, const Decl *decl, const char *name, bool stop) {
    Scope *scope = scope_new(e, NULL);
    scope->has_rest = params->has_rest;
    scope->rest = params->rest;
    for (const Binding *b = params->first; b; b = b->next)
        scope_bind(e, scope, b->name, b->span, stop ? stopped(e, b->value) : b->value);
    Value value = elab_block(e, scope, decl->derivative, decl->derivative_count, NULL);
    const Binding *own = scope_find(scope, arena_printf(e->arena, "d%s", name));
    return own ? own->value : value;
}

// f(x) = stop(f(x)) + h * (f'(x) + f'(stop x)) / 2 with h = x - stop(x), which is 0: its value is
// f(x), its first derivative f'(x), and its second f''(x), as of the trapezoid rule.
static Value with_derivative(Elab *e, Scope *params, const Decl *decl, Value result, Span span) {
    result = stopped(e, result);
    for (int i = 0; i < decl->param_count; i++) {
        Value x = scope_find(params, decl->param[i].name)->value;
        if (x.kind != VALUE_TENSOR || x.step || x.node->dtype != DT_F32) continue;
        Value here = derivative_by(e, params, decl, decl->param[i].name, false);
        Value there = derivative_by(e, params, decl, decl->param[i].name, true);
        if (here.kind == VALUE_NONE) {
            elab_error(e, decl->name_span, "the derivative block of %s has no value", decl->name);
            return POISON;
        }
        Value slope = elab_binary(e, span, OP_mul, value_real(0.5),
                                  elab_binary(e, span, OP_add, here, there));
        Value change = elab_binary(e, span, OP_sub, x, stopped(e, x));
        result = elab_binary(e, span, OP_add, result, elab_binary(e, span, OP_mul, slope, change));
    }
    return result;
}

static Value body_value(Elab *e, const Arguments *from, Scope *scope, Span call) {
    const Decl *decl = from->decl;
    Scope *params = scope_new(e, NULL); // as they are before the body binds more
    params->has_rest = scope->has_rest;
    params->rest = scope->rest;
    params->first = scope->first;
    Value value = elab_block(e, scope, decl->body, decl->body_count, decl->result);
    if (value.kind == VALUE_NONE) {
        elab_error(e, decl->name_span, "%s has no result", decl->name);
        diag_hint(e->diag, "its last statement is its result");
        return POISON;
    }
    if (decl->derivative && !value_is_poison(value))
        value = with_derivative(e, params, decl, value, call);
    if (!decl->result) return value;
    const char *what = arena_printf(e->arena, "the result of %s", decl->name);
    return elab_fit(e, scope, decl->result, value, call, what, decl->result->span);
}

// A layer's frame is that of its body already.
static const Section *section_of_call(Elab *e, const Decl *decl) {
    Section section = {SECTION_FUNCTION, decl->name, decl->name, "", .outer = e->graph->inside};
    if (decl->kind == DECL_LAYER) {
        const char *dot = strrchr(e->frame->path, '.');
        section.kind = SECTION_LAYER;
        section.path = e->frame->path;
        section.name = dot ? dot + 1 : section.path;
    }
    return section_new(e->graph, section);
}

Value elab_apply(Elab *e, const Arguments *from, Span call) {
    CallSite site = {.name = from->decl->name, .span = call};
    Scope *scope = scope_new(e, NULL);
    Loops *loops = e->loops;
    const FirstValues *first_values = e->first_values;
    Value value = POISON;
    if (from->failed || !arguments_bind(e, scope, from, call)) return POISON;
    if (!enter_call(e, &site)) return POISON;
    const Section *outer = e->graph->inside;
    e->graph->inside = section_of_call(e, from->decl);
    e->loops = NULL;
    e->first_values = NULL;
    value = body_value(e, from, scope, call);
    e->first_values = first_values;
    e->loops = loops;
    e->graph->inside = outer;
    leave_call(e, &site);
    return value;
}

// --- Instances

static const char *instance_name(Elab *e, const Decl *layer, const Expr *call) {
    if (call->instance) return call->instance;
    int *count = map_get(e->frame->count, layer->name);
    if (!count) {
        count = ARENA_NEW(e->arena, int);
        map_put(e->frame->count, layer->name, count);
    }
    return arena_printf(e->arena, "%s_%d", layer->name, ++*count);
}

static bool needs_frame(Elab *e, const Decl *layer, Span span) {
    if (e->frame && !e->in_init) return true;
    elab_error(e, span,
               "%s is a layer: it has parameters, which there are in models and layers alone",
               layer->name);
    return false;
}

static Value apply_in_frame(Elab *e, const Arguments *from, const char *path, Span call) {
    Frame *outer = e->frame;
    bool training = e->training;
    e->frame = frame_new(e, path);
    e->training = training && !elab_is_frozen_inside(e, path);
    Value value = elab_apply(e, from, call);
    e->frame = outer;
    e->training = training;
    if (e->module && value.kind == VALUE_TENSOR && !value.loops) {
        LayerInfo info = {path, from->decl->name, value.node->shape};
        VEC_PUSH(e->arena, e->module->layer, info);
    }
    return value;
}

static Value apply_layer(Elab *e, const Expr *call, const Arguments *from) {
    if (!needs_frame(e, from->decl, call->operator_span)) return POISON;
    const char *name = instance_name(e, from->decl, call);
    Span span = call->instance ? call->instance_span : call->operator_span;
    if (!frame_take(e, e->frame, name, span)) return POISON;
    return apply_in_frame(e, from, frame_path(e, e->frame, name), elab_call_span(call));
}

Value elab_use(Elab *e, Scope *scope, const Expr *call, const char *name, Span name_span) {
    if (call->kind != EXPR_CALL) {
        elab_error(e, call->span, "use wants a layer with its settings: use D = Critic(64)");
        return POISON;
    }
    Value callee = elab_name(e, scope, call->in[0]->text, call->operator_span);
    if (value_is_poison(callee)) return POISON;
    if (!callee.decl || callee.decl->kind != DECL_LAYER) {
        elab_error(e, call->operator_span, "%s is no layer", call->in[0]->text);
        diag_hint(e->diag,
                  "use makes an instance of a layer, with its parameters; a function needs "
                  "none: %s(x)",
                  call->in[0]->text);
        return POISON;
    }
    Arguments from = arguments_new(e, callee.decl);
    arguments_match(e, scope, call, 1, ACCEPT_SETTINGS, &from);
    if (from.failed || !needs_frame(e, callee.decl, call->operator_span)) return POISON;
    if (!frame_take(e, e->frame, name, name_span)) return POISON;
    Instance *instance = ARENA_NEW(e->arena, Instance);
    instance->arguments = from;
    instance->path = frame_path(e, e->frame, name);
    return (Value){.kind = VALUE_INSTANCE, .instance = instance};
}

static Value apply_instance(Elab *e, Scope *scope, const Expr *call, const Instance *instance) {
    Arguments from = arguments_new(e, instance->arguments.decl);
    int count = from.decl->param_count;
    if (count > 0) {
        memcpy(from.value, instance->arguments.value, sizeof *from.value * (size_t)count);
        memcpy(from.span, instance->arguments.span, sizeof *from.span * (size_t)count);
        memcpy(from.given, instance->arguments.given, sizeof *from.given * (size_t)count);
    }
    arguments_match(e, scope, call, 1, ACCEPT_TENSORS, &from);
    return apply_in_frame(e, &from, instance->path, elab_call_span(call));
}

// --- Calls

static void hint_builtin(Elab *e, const Builtin *builtin) {
    Buf text = buf_new(e->arena);
    for (int i = 0; i < MAX_BUILTIN && builtin->param[i]; i++)
        buf_printf(&text, "%s%s%s", i ? ", " : "", builtin->param[i],
                   i < builtin->required ? "" : " = ..");
    diag_hint(e->diag, "it is %s(%s)", builtin->name, text.text);
    if (name_is_reduction(builtin->name))
        diag_hint(e->diag, "along one axis: y[n] = %s[c] x[n, c]", builtin->name);
}

static void report_builtin(Elab *e, const Expr *call, int i, const Builtin *builtin) {
    const char *name = call->arg_name[i];
    if (name)
        elab_error(e, call->arg_span[i], "%s has no parameter %s", builtin->name, name);
    else
        elab_error(e, call->in[i]->span, "%s takes no further argument", builtin->name);
    hint_builtin(e, builtin);
}

static Value call_builtin(Elab *e, Scope *scope, const Expr *call, const Builtin *builtin) {
    Value in[MAX_BUILTIN] = {0};
    int count = 0, next = 0;
    bool failed = false;
    for (int i = 0; i < MAX_BUILTIN; i++) {
        in[i].kind = VALUE_NONE;
        count += builtin->param[i] != NULL && count == i;
    }
    for (int i = 1; i < call->in_count; i++) {
        Value value = elab_expr(e, scope, call->in[i]);
        int at = call->arg_name[i] ? 0 : next++;
        while (call->arg_name[i] && at < count && strcmp(builtin->param[at], call->arg_name[i]))
            at++;
        if (at >= count || in[at].kind != VALUE_NONE) {
            report_builtin(e, call, i, builtin);
            failed = true;
            continue;
        }
        failed |= value_is_poison(value);
        in[at] = value;
    }
    for (int i = 0; i < builtin->required && !failed; i++)
        if (in[i].kind == VALUE_NONE) {
            elab_error(e, call->span, "%s: %s is missing", builtin->name, builtin->param[i]);
            hint_builtin(e, builtin);
            failed = true;
        }
    return failed ? POISON : builtin->apply(e, call->span, in);
}

static Value call_operator(Elab *e, Scope *scope, const Expr *call, Op op) {
    Value in[3];
    const OpInfo *info = op_info(op);
    int count = call->in_count - 1;
    bool failed = false, reduces = count == 1 && (op == OP_max || op == OP_min);
    for (int i = 1; i < call->in_count; i++) {
        Value value = elab_expr(e, scope, call->in[i]);
        failed |= value_is_poison(value);
        if (i <= 3) in[i - 1] = value;
        if (!call->arg_name[i]) continue;
        elab_error(e, call->arg_span[i], "the arguments of %s have no names", info->name);
        failed = true;
    }
    if (failed) return POISON;
    if (reduces) return elab_reduce_all(e, call->span, info->name, in[0]);
    if (count == info->in_count) return elab_pointwise(e, call->span, op, in);
    elab_error(e, call->span, "%s takes %d argument%s, not %d", info->name, info->in_count,
               info->in_count == 1 ? "" : "s", count);
    if (op == OP_max || op == OP_min)
        diag_hint(e->diag, "%s(a, b) at each place; %s(x) of all elements", info->name, info->name);
    return POISON;
}

// --- Random numbers

// Behind `~`, does a function begin with random numbers? One whose first parameter is a tensor
// does; one that says nothing of it, where it is called by itself: `~ mine(2)`.
static bool wants_random(const Elab *e, const Expr *call, const Decl *decl) {
    if (!e->first_values || decl->kind != DECL_FN || decl->param_count == 0) return false;
    const Parameter *first = &decl->param[0];
    if (first->type) return first->type->kind <= TYPE_SHAPE;
    return call == e->first_values->whole && !first->default_value;
}

static bool is_number(Value value) { return value_is_step(value) && value.kind != VALUE_BOOL; }

static Arguments match(Elab *e, Scope *scope, const Expr *call, const Decl *decl,
                       const Value *first) {
    Arguments from = arguments_new(e, decl);
    if (first && decl->param_count > 0) {
        from.given[0] = true;
        from.value[0] = *first;
        from.span[0] = call->span;
    }
    arguments_match(e, scope, call, 1, ACCEPT_ALL, &from);
    return from;
}

// The library's first values, called where no random numbers come by themselves.
static void check_random(Elab *e, const Expr *call, Arguments *from) {
    const Decl *decl = from->decl;
    bool makes_first_values = !elab_is_users(e, decl->name_span) && decl->param_count > 0 &&
                              !strcmp(decl->param[0].name, "u");
    if (!makes_first_values || from->failed || (from->given[0] && !is_number(from->value[0])))
        return;
    if (!elab_is_users(e, call->span)) return;
    from->failed = true;
    elab_error(e, elab_call_span(call), "%s makes first values of a parameter, behind ~",
               decl->name);
    diag_hint(e->diag,
              "random numbers come first, and come by themselves in param w: [I] ~ %s(..) alone; "
              "in each step anew: random_like(x) |> %s(..)",
              decl->name, decl->name);
}

// What a call is given; random numbers of the parameter's shape, where they are its first argument
// and no tensor stands there already.
static Arguments take_arguments(Elab *e, Scope *scope, const Expr *call, const Decl *decl,
                                const Value *first) {
    Arguments from = match(e, scope, call, decl, first);
    if (first || from.failed) return from;
    if (!wants_random(e, call, decl)) {
        check_random(e, call, &from);
        return from;
    }
    if (from.given[0] && !is_number(from.value[0])) return from;
    Value random = elab_random(e, *e->first_values->shape);
    return match(e, scope, call, decl, &random);
}

static Value call_decl(Elab *e, Scope *scope, const Expr *call, const Decl *decl, Value *first) {
    static const char *const what[] = {[DECL_OPTIMIZER] = "an optimizer",
                                       [DECL_MODEL] = "a model",
                                       [DECL_DATA] = "data",
                                       [DECL_TRAIN] = "training"};
    if (decl->kind != DECL_FN && decl->kind != DECL_LAYER) {
        elab_error(e, call->operator_span, "%s is %s, which is not called in expressions",
                   decl->name, what[decl->kind]);
        if (decl->kind == DECL_OPTIMIZER)
            diag_hint(e->diag, "it belongs in a train block: optimizer = %s(..)", decl->name);
        return POISON;
    }
    Arguments from = take_arguments(e, scope, call, decl, first);
    if (decl->kind == DECL_LAYER) return apply_layer(e, call, &from);
    if (call->instance) {
        elab_error(e, call->instance_span, "%s is a function: it has no parameters to name",
                   decl->name);
        return POISON;
    }
    return elab_apply(e, &from, elab_call_span(call));
}

static void report_not_called(Elab *e, Scope *scope, const Expr *call, Value callee) {
    const char *name = call->in[0]->text;
    const Binding *binding = scope_find(scope, name);
    elab_error(e, call->operator_span, "%s is %s, which cannot be called", name,
               value_describe(e, callee));
    if (!binding) return;
    elab_note(e, binding->span, "it is bound here");
    if (map_get(e->decls, name) || builtin_find(name) || op_find(name) != OP_COUNT)
        diag_hint(e->diag, "the value hides the function %s: give it another name", name);
    else if (callee.kind == VALUE_TENSOR)
        diag_hint(e->diag, "its elements are %s[i, ..]", name);
}

Value elab_call(Elab *e, Scope *scope, const Expr *call) {
    const char *name = call->in[0]->text;
    if (!strcmp(name, "all") && e->optimizer) return optimizer_all(e, scope, call);
    Value callee = elab_name(e, scope, name, call->operator_span);
    if (value_is_poison(callee)) {
        for (int i = 1; i < call->in_count; i++) // its errors too
            elab_expr(e, scope, call->in[i]);
        return POISON;
    }
    if (callee.kind == VALUE_INSTANCE) return apply_instance(e, scope, call, callee.instance);
    if (callee.kind != VALUE_FUNCTION) {
        report_not_called(e, scope, call, callee);
        return POISON;
    }
    if (callee.decl) return call_decl(e, scope, call, callee.decl, NULL);
    if (call->instance) {
        elab_error(e, call->instance_span, "%s is a function: it has no parameters to name", name);
        return POISON;
    }
    if (callee.builtin) return call_builtin(e, scope, call, callee.builtin);
    return call_operator(e, scope, call, callee.op);
}

Value elab_call_piped(Elab *e, Scope *scope, const Expr *call, Value first) {
    Value callee = elab_name(e, scope, call->in[0]->text, call->operator_span);
    if (value_is_poison(callee)) return POISON;
    if (callee.decl) return call_decl(e, scope, call, callee.decl, &first);
    elab_error(e, call->operator_span, "a function of the library or of this file is wanted here");
    return POISON;
}
