// SPDX-License-Identifier: MIT
// The model and its data: columns of the batch, what is made of them before the model sees them,
// and the model's statements. A model is elaborated twice, for training and not, since `training`
// is known.
#include "nnd/elab_internal.h"

#include <math.h>
#include <string.h>

// --- The command line's values

bool elab_set_value(Elab *e, const char *name, double *value) {
    bool found = false;
    for (int i = 0; i < e->options->set_count; i++) {
        if (strcmp(e->options->set_name[i], name)) continue;
        *value = e->options->set_value[i];
        e->set_used[i] = found = true;
    }
    return found;
}

void elab_add_setting(Elab *e, Module *module, SettingInfo setting) {
    for (int i = 0; i < module->setting.count; i++)
        if (!strcmp(module->setting.at[i].name, setting.name)) return;
    VEC_PUSH(e->arena, module->setting, setting);
}

// --- Data

static const char *const data_keys[] = {"source", "each", "augment", "validation"};
enum { DATA_KEYS = sizeof data_keys / sizeof *data_keys };

static bool constant_argument(Elab *e, Scope *scope, const Expr *expr, NncArgument *argument) {
    Value value = elab_expr(e, scope, expr);
    if (value_is_poison(value)) return false;
    argument->text = value.kind == VALUE_TEXT ? value.text : NULL;
    if (value.kind == VALUE_BOOL)
        argument->number = value.boolean;
    else if (!argument->text && !value_number(value, &argument->number)) {
        elab_error(e, expr->span, "a constant is wanted, this is %s", value_describe(e, value));
        return false;
    }
    return true;
}

// `first`: the argument from which on they count (an augmentation's first one is its column).
static bool constant_call(Elab *e, Scope *scope, const Expr *call, int first, NncCall *to) {
    int count = call->in_count - first;
    NncArgument *argument = ARENA_ARRAY(e->arena, NncArgument, count > 0 ? count : 1);
    bool fits = true;
    for (int i = 0; i < count; i++) {
        argument[i].name = call->arg_name[first + i] ? call->arg_name[first + i] : "";
        fits &= constant_argument(e, scope, call->in[first + i], &argument[i]);
    }
    *to = (NncCall){.name = call->in[0]->text, .argument = argument, .argument_count = count};
    return fits;
}

static void data_source(Elab *e, Scope *scope, const Expr *call, Module *module) {
    if (call->kind != EXPR_CALL) {
        elab_error(e, call->span, "a source is a call that says how files are read");
        diag_hint(e->diag, "source = csv(\"iris.csv\"), idx(\"folder\"), cifar10(\"folder\")");
        return;
    }
    const NncSourceInfo *info = nnc_source_info(call->in[0]->text);
    int count, given = call->in_count - 1;
    const char *const *names = nnc_source_names(&count);
    if (!info) {
        elab_unknown(e, call->operator_span, "data source", call->in[0]->text, names, count);
        return;
    }
    if (given < info->least_arguments || given > info->most_arguments) {
        elab_error(e, call->span, "%s takes %s(%s)", info->name, info->name, info->arguments);
        return;
    }
    NncField field[NNC_KNOWN_FIELDS];
    NncError error;
    if (!constant_call(e, scope, call, 1, &module->data)) return;
    elab_source_numbers(e, info, &module->data);
    if (!nnc_source_fields(&module->data, field, &count, &error)) return;
    elab_error(e, call->span, "%s", error.text);
    diag_hint(e->diag, "it is %s(%s)", info->name, info->arguments);
}

static void data_augment(Elab *e, Scope *scope, const Stmt *stmt, Module *module) {
    for (int i = 0; i < stmt->body_count; i++) {
        const Stmt *step = stmt->body[i];
        const Expr *call = step->value;
        NncCall made;
        NncError error;
        bool is_call = step->kind == STMT_LET && !step->name && call->kind == EXPR_CALL &&
                       call->in_count >= 2 && call->in[1]->kind == EXPR_NAME &&
                       !strcmp(call->in[1]->text, stmt->name);
        if (!is_call) {
            elab_error(e, step->span,
                       "an augmentation is a call with the column first: "
                       "random_flip(%s)",
                       stmt->name);
        } else if (!nnc_augmentation_takes(call->in[0]->text)) {
            int count;
            const char *const *known = nnc_augmentation_names(&count);
            elab_unknown(e, call->operator_span, "augmentation", call->in[0]->text, known, count);
        } else if (constant_call(e, scope, call, 2, &made)) {
            made.column = stmt->name;
            if (nnc_augmentation_arguments(&made, &error)) {
                elab_error(e, call->span, "%s", error.text);
                continue;
            }
            VEC_PUSH(e->arena, module->augment, made);
            elab_augment_numbers(e, module);
        }
    }
}

// A part of the training examples, or how many of them; what is set may be 0, which is none.
static void data_validation(Elab *e, Scope *scope, const Stmt *stmt, Module *module) {
    double number = 0;
    Value value = stmt ? elab_expr(e, scope, stmt->value) : value_int(0);
    if (value_is_poison(value)) return;
    bool is_number = value_number(value, &number),
         is_set = elab_set_value(e, "validation", &number);
    bool is_none = (is_set || !stmt) && number == 0;
    if (is_none || (is_number && number > 0 && (number < 1 || number == floor(number))))
        module->validation = number;
    else
        elab_error(e, is_set ? SPAN_NONE : stmt->value->span,
                   "validation is a part of the training examples, as 0.1, or how many of them");
}

static void data_unknown(Elab *e, const Stmt *stmt, const char *key) {
    int count;
    const char *const *others = nnd_train_keys(&count);
    elab_error(e, key ? stmt->name_span : stmt->span, "there is no key of data %s",
               key ? key : "like this");
    for (int i = 0; key && i < count; i++)
        if (!strcmp(key, others[i])) {
            diag_hint(e->diag, "%s belongs in the train block", key);
            return;
        }
    elab_hint_near(e, key ? key : "", data_keys, DATA_KEYS);
}

void elab_data(Elab *e, const Decl *data, Module *module) {
    Scope *scope = scope_new(e, NULL);
    Map *seen = map_new(e->arena);
    const Stmt *validation = NULL;
    bool has_source = false;
    for (int i = 0; i < data->body_count; i++) {
        const Stmt *stmt = data->body[i];
        const char *key = stmt->kind == STMT_LET && stmt->name ? stmt->name : "";
        if (stmt->kind == STMT_EACH && map_get(seen, stmt->name)) {
            elab_error(e, stmt->name_span, "each %s stands here a second time", stmt->name);
        } else if (stmt->kind == STMT_EACH) {
            map_put(seen, stmt->name, (void *)stmt);
        } else if (stmt->kind == STMT_AUGMENT) {
            data_augment(e, scope, stmt, module);
        } else if (!strcmp(key, "source")) {
            has_source = true;
            data_source(e, scope, stmt->value, module);
        } else if (!strcmp(key, "validation")) {
            validation = stmt;
        } else {
            data_unknown(e, stmt, *key ? key : NULL);
            has_source = true; // maybe under that name
        }
    }
    data_validation(e, scope, validation, module);
    if (has_source) return;
    elab_error(e, data->name_span, "%s has no source", data->name);
    diag_hint(e->diag, "source = csv(\"iris.csv\") says where the examples come from");
}

const Stmt *data_each(const Decl *data, const char *input) {
    for (int i = 0; data && i < data->body_count; i++)
        if (data->body[i]->kind == STMT_EACH && !strcmp(data->body[i]->name, input))
            return data->body[i];
    return NULL;
}

// --- Columns

static bool report_batch(Elab *e, const Type *type, const Expr *first) {
    elab_error(e, first ? first->span : type->span, "the first axis of a column is N, the batch");
    diag_hint(e->diag, "N stands for however many examples there are: f32[N, 784], index(10)[N]; "
                       "batch = 16 belongs in the train block");
    return false;
}

static bool column_shape(Elab *e, Scope *scope, const Stmt *stmt, Shape *shape) {
    const Type *type = stmt->type;
    bool known =
        type->kind == TYPE_INDEX || (type->kind == TYPE_TENSOR && !strcmp(type->element, "f32"));
    if (!known) {
        elab_error(e, type->span, "a column is of f32[N, ..] or index(classes)[N]");
        diag_hint(e->diag, "index(10)[N] are labels from 0 to 9, f32[N, 784] rows of 784 numbers");
        return false;
    }
    const Expr *first = type->dim_count ? type->dim[0] : NULL;
    bool has_batch = first && first->kind == EXPR_NAME && !strcmp(first->text, "N");
    if (!has_batch) return report_batch(e, type, first);
    if (!elab_shape(e, scope, type, shape)) return false;
    bool rest_const = true;
    for (int i = 1; i < shape->rank; i++)
        rest_const &= dim_is_const(shape->dim[i]);
    if (rest_const) return true;
    elab_error(e, type->span, "the first axis of a column is N, the batch, and no other one is");
    return false;
}

// The field of the source that a column takes, as far as that is known without files; NULL:
// unknown. It is what the runtime does (columns.h).
static const NncField *field_of(Elab *e, const Module *module, const char *name, bool is_index) {
    int count, found = -1, kinds = 0;
    NncError error;
    NncField *field = ARENA_ARRAY(e->arena, NncField, NNC_KNOWN_FIELDS);
    if (nnc_source_fields(&module->data, field, &count, &error)) return NULL; // was reported
    for (int i = 0; i < count; i++) {
        if (!strcmp(field[i].name, name)) return &field[i];
        if (is_index != (field[i].kind == NNC_FIELD_LABEL)) continue;
        found = i;
        kinds++;
    }
    return kinds == 1 ? &field[found] : NULL;
}

// An example's shape as the source gives it; false where that is known from the files alone.
static bool field_shape(const NncField *field, Shape *shape) {
    if (!field || field->rank < 0) return false;
    *shape = shape_of(0, NULL);
    shape->dim[shape->rank++] = dim_batch();
    for (int i = 0; i < field->rank; i++)
        shape->dim[shape->rank++] = dim_const(field->extent[i]);
    return true;
}

static bool classes_of(Elab *e, Scope *scope, const Stmt *stmt, const Module *module,
                       int64_t *classes) {
    *classes = 0;
    if (stmt->type->kind != TYPE_INDEX) return true;
    if (!elab_int(e, scope, stmt->type->bound, classes)) return false;
    if (*classes < 1 || *classes > INT32_MAX) {
        elab_error(e, stmt->type->bound->span, "a number of classes is wanted, this is %lld",
                   (long long)*classes);
        return false;
    }
    const NncField *label = field_of(e, module, stmt->name, true);
    if (!label || label->classes == 0 || label->classes == *classes) return true;
    elab_error(e, stmt->type->bound->span, "%s has %lld classes, but %s has %lld", stmt->name,
               (long long)*classes, module->data.name, label->classes);
    return false;
}

static void add_input(Elab *e, Module *module, InputInfo info) {
    for (int i = 0; i < module->input.count; i++)
        if (!strcmp(module->input.at[i].name, info.name)) return;
    VEC_PUSH(e->arena, module->input, info);
}

// What the model sees of the column: `each` of the data block, applied.
static Value prepare(Elab *e, const Stmt *each, const Stmt *stmt, const Node *raw,
                     const Shape *wanted) {
    if (!each) return value_tensor(raw);
    Scope *scope = scope_new(e, NULL);
    scope_bind(e, scope, stmt->name, each->name_span, value_tensor(raw));
    Value value = elab_block(e, scope, each->body, each->body_count, NULL);
    if (value_is_poison(value)) return POISON;
    if (value.kind == VALUE_TENSOR && !value.loops && value.node->dtype == DT_F32 &&
        shape_equal(&value.node->shape, wanted))
        return value;
    elab_error(e, each->span, "this makes %s of %s, but the model's is %s",
               value_describe(e, value), stmt->name, shape_text(e, wanted));
    elab_note(e, stmt->span, "it is declared here");
    return POISON;
}

static Value column(Elab *e, Scope *scope, const Stmt *stmt, const Decl *data, Module *module) {
    Shape shape, raw;
    int64_t classes;
    if (!column_shape(e, scope, stmt, &shape)) return POISON;
    if (!classes_of(e, scope, stmt, module, &classes)) return POISON;
    raw = shape;
    bool is_target = stmt->kind == STMT_TARGET;
    const Stmt *each = classes ? NULL : data_each(data, stmt->name);
    const NncField *field = classes ? NULL : field_of(e, module, stmt->name, false);
    if (field_shape(field, &raw) && !each) {
        Dim given, wanted;
        bool fits =
            shape_size(&given, &raw) && shape_size(&wanted, &shape) && dim_equal(given, wanted);
        if (!fits) {
            elab_error(e, stmt->type->span, "%s is %s, but %s has %s", stmt->name,
                       shape_text(e, &shape), module->data.name, shape_text(e, &raw));
            if (data) elab_note(e, data->span, "the data is declared here");
            return POISON;
        }
        raw = shape; // as many elements: the runtime takes them in this shape
    }
    DType dtype = classes ? DT_I32 : DT_F32;
    add_input(e, module, (InputInfo){stmt->name, dtype, raw, classes, is_target});
    const Node *node = node_input(e->graph, stmt->name, dtype, raw);
    Value value = prepare(e, each, stmt, node, &shape);
    value.classes = classes;
    return value;
}

// --- The model's own statements

static bool is_taken(const Named *named, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (!strcmp(named[i].name, name)) return true;
    return false;
}

static const char *expr_name(const Expr *expr) {
    if (expr->kind == EXPR_NAME) return expr->text;
    return expr->kind == EXPR_CALL ? expr->in[0]->text : NULL;
}

static void add_output(Elab *e, Scope *scope, Run *run, const Expr *expr) {
    const char *name = expr_name(expr);
    Value value = elab_expr(e, scope, expr);
    if (value_is_poison(value)) return;
    value = elab_as_tensor(e, expr->span, value);
    if (!name || is_taken(run->output.at, run->output.count, name)) {
        elab_error(e, expr->span, "an output needs a name of its own: bind it first");
        return;
    }
    Named named = {name, value, expr->span};
    if (!value_is_poison(value)) VEC_PUSH(e->arena, run->output, named);
}

// A loss and a metric are one number of the batch.
static bool one_number(Elab *e, Value *value, const Expr *expr, const char *what) {
    *value = elab_as_tensor(e, expr->span, *value);
    if (value_is_poison(*value)) return false;
    if (value->node->shape.rank == 0 && value->node->dtype != DT_BOOL) {
        value->node = elab_to_node(e, expr->span, *value, DT_F32);
        return true;
    }
    elab_error(e, expr->span, "a %s is one number, this is %s", what, value_describe(e, *value));
    if (value->node->shape.rank > 0) diag_hint(e->diag, "mean(x) is the mean of all its elements");
    return false;
}

static void set_loss(Elab *e, Scope *scope, Run *run, const Stmt *stmt) {
    Value value = elab_expr(e, scope, stmt->value);
    if (run->has_loss) {
        elab_error(e, stmt->span, "a second loss");
        elab_note(e, run->loss_span, "the first is here");
        diag_hint(e->diag, "add them: loss a + 0.1 * b");
        return;
    }
    run->has_loss = true;
    run->loss_span = stmt->span;
    run->loss = one_number(e, &value, stmt->value, "loss") ? value : POISON;
}

static void add_metric(Elab *e, Scope *scope, Run *run, const Stmt *stmt) {
    const char *name = stmt->name ? stmt->name : expr_name(stmt->value);
    Value value = elab_expr(e, scope, stmt->value);
    if (!name || !strcmp(name, "loss") || is_taken(run->metric.at, run->metric.count, name)) {
        elab_error(e, stmt->span, "a metric needs a name of its own: metric top1 = ...");
        return;
    }
    if (run->metric.count == NNC_MAX_SCORES - 1) {
        elab_error(e, stmt->span, "a model has at most %d metrics", NNC_MAX_SCORES - 1);
        return;
    }
    if (!one_number(e, &value, stmt->value, "metric")) return;
    Named named = {name, value, stmt->span};
    VEC_PUSH(e->arena, run->metric, named);
}

static void model_stmt(Elab *e, Scope *scope, Run *run, const Stmt *stmt, const Decl *data,
                       Module *module) {
    Span before = elab_here(e, stmt->span);
    Value ignored;
    switch (stmt->kind) {
    case STMT_INPUT:
    case STMT_TARGET:
        scope_bind(e, scope, stmt->name, stmt->name_span, column(e, scope, stmt, data, module));
        break;
    case STMT_OUTPUT:
        for (int i = 0; i < stmt->value->in_count; i++)
            add_output(e, scope, run, stmt->value->in[i]);
        break;
    case STMT_LOSS:
        set_loss(e, scope, run, stmt);
        break;
    case STMT_METRIC:
        add_metric(e, scope, run, stmt);
        break;
    case STMT_IF: {
        bool condition;
        if (!elab_structural_bool(e, scope, stmt->value, &condition)) break;
        int count = condition ? stmt->body_count : stmt->otherwise_count;
        for (int i = 0; i < count; i++)
            model_stmt(e, scope, run, (condition ? stmt->body : stmt->otherwise)[i], data, module);
        break;
    }
    default:
        if (stmt->kind == STMT_LET && !stmt->name)
            elab_error(e, stmt->span,
                       "nothing uses this value: bind it, or write output before it");
        else
            elab_stmt(e, scope, stmt, NULL, &ignored);
    }
    e->graph->here = before;
}

// Hyper-parameters take the command line's value, else their default.
static bool bind_settings(Elab *e, Scope *scope, const Decl *model) {
    Arguments from = arguments_new(e, model);
    for (int i = 0; i < model->param_count; i++) {
        const Parameter *param = &model->param[i];
        double number;
        if (!elab_set_value(e, param->name, &number)) continue;
        from.given[i] = true;
        from.span[i] = param->span;
        Value model_value =
            param->default_value ? elab_expr(e, scope, param->default_value) : POISON;
        if (model_value.kind == VALUE_BOOL || (param->type && param->type->kind == TYPE_BOOL))
            from.value[i] = value_bool(number != 0);
        else if (floor(number) == number && fabs(number) < 9e15)
            from.value[i] = value_int((int64_t)number);
        else
            from.value[i] = value_real(number);
    }
    return arguments_bind(e, scope, &from, model->name_span);
}

static void list_settings(Elab *e, const Scope *scope, const Decl *model, Module *module) {
    for (int i = 0; i < model->param_count; i++) {
        double number;
        SettingInfo setting = {.name = model->param[i].name};
        Value value = scope_find((Scope *)scope, setting.name)->value;
        setting.is_bool = value.kind == VALUE_BOOL;
        if (setting.is_bool)
            setting.value = value.boolean;
        else if (value_number(value, &number))
            setting.value = number;
        else
            continue;
        elab_add_setting(e, module, setting);
    }
}

typedef VEC(const char *) NameVec;

static void input_names(Elab *e, Stmt *const *body, int count, NameVec *names) {
    for (int i = 0; i < count; i++) {
        if (body[i]->kind == STMT_INPUT) VEC_PUSH(e->arena, *names, body[i]->name);
        if (body[i]->kind != STMT_IF) continue;
        input_names(e, body[i]->body, body[i]->body_count, names);
        input_names(e, body[i]->otherwise, body[i]->otherwise_count, names);
    }
}

static void check_each(Elab *e, const Decl *data, const Decl *model) {
    NameVec names = {0};
    input_names(e, model->body, model->body_count, &names);
    for (int i = 0; data && i < data->body_count; i++) {
        const Stmt *stmt = data->body[i];
        bool found = stmt->kind != STMT_EACH && stmt->kind != STMT_AUGMENT;
        for (int k = 0; k < names.count; k++)
            found |= stmt->name && !strcmp(names.at[k], stmt->name);
        if (!found) elab_unknown(e, stmt->name_span, "input", stmt->name, names.at, names.count);
    }
}

static void report_no_output(Elab *e, const Decl *model) {
    elab_error(e, model->name_span, "%s has no output", model->name);
    diag_hint(e->diag, "output y says what a prediction is");
}

Run *elab_model(Elab *e, const Decl *model, const Decl *data, bool training, Module *module) {
    Run *run = ARENA_NEW(e->arena, Run);
    run->graph = graph_new(e->arena, training ? "training" : "inference");
    run->scope = scope_new(e, NULL);
    run->loss = POISON;
    elab_begin_graph(e, run->graph, training);
    run->graph->inside =
        section_new(run->graph, (Section){SECTION_MODEL, model->name, model->name, "", NULL, NULL});
    e->frame = frame_new(e, "");
    if (bind_settings(e, run->scope, model)) {
        if (training) list_settings(e, run->scope, model, module);
        scope_bind(e, run->scope, "N", SPAN_NONE, value_size(dim_batch()));
        run->scope->body = model->body;
        run->scope->body_count = model->body_count;
        for (int i = 0; i < model->body_count; i++)
            model_stmt(e, run->scope, run, model->body[i], data, module);
        check_each(e, data, model);
        if (run->output.count == 0 && !elab_failed(e)) report_no_output(e, model);
    }
    e->frame = NULL;
    run->param = e->param_used;
    for (int i = 0; i < e->state_used.count; i++)
        VEC_PUSH(e->arena, run->state, e->state_used.at[i]);
    return run;
}
