// SPDX-License-Identifier: MIT
// The functions that the language has because the library cannot be written without them. The
// pointwise operators of ops.def are functions too, under their own names.
#include "nnd/elab_internal.h"
#include "pass/grad.h"

#include <math.h>
#include <string.h>

// --- Reductions over all axes

Value elab_reduce_all(Elab *e, Span span, const char *reduction, Value of) {
    Value value = elab_as_tensor(e, span, of);
    Dim size;
    if (value_is_poison(value)) return POISON;
    if (value.loops || value.node->dtype == DT_BOOL) {
        elab_error(e, span, "%s is taken of a whole tensor of numbers, this is %s", reduction,
                   value.loops ? "an element" : value_describe(e, value));
        if (value.loops) diag_hint(e->diag, "name the indices: %s[i] x[i]", reduction);
        return POISON;
    }
    Op op = !strcmp(reduction, "max")   ? OP_reduce_max
            : !strcmp(reduction, "min") ? OP_reduce_min
                                        : OP_reduce_sum;
    Span before = elab_here(e, span);
    uint32_t axes = (1u << value.node->shape.rank) - 1;
    Value result = value_tensor(axes ? node_reduce(e->graph, op, value.node, axes) : value.node);
    e->not_pointwise = true;
    e->graph->here = before;
    if (strcmp(reduction, "mean")) return result;
    shape_size(&size, &value.node->shape); // fits, as every tensor's does
    return elab_binary(e, span, OP_div, result, value_size(size));
}

static Value apply_sum(Elab *e, Span span, const Value *in) {
    return elab_reduce_all(e, span, "sum", in[0]);
}

static Value apply_mean(Elab *e, Span span, const Value *in) {
    return elab_reduce_all(e, span, "mean", in[0]);
}

// --- Of whole tensors

static bool whole(Elab *e, Span span, const char *name, Value *value) {
    *value = elab_as_tensor(e, span, *value);
    e->not_pointwise = true;
    if (value_is_poison(*value)) return false;
    if (!value->loops) return true;
    elab_error(e, span, "%s takes a whole tensor, this is an element", name);
    return false;
}

static bool ints_of(Elab *e, Span span, Value list, int count, int32_t *out) {
    for (int i = 0; i < list.count && list.kind == VALUE_LIST && list.count == count; i++) {
        int64_t value;
        if (!value_const(list.item[i], &value) || value < 0 || value > 1 << 24) {
            elab_error(e, span, "a number of elements is wanted, this is %s",
                       value_describe(e, list.item[i]));
            return false;
        }
        out[i] = (int32_t)value;
    }
    if (list.kind == VALUE_LIST && list.count == count) return true;
    elab_error(e, span, "a list with a number for each of the %d axes is wanted", count);
    return false;
}

// pad(x, [0, 0, 1, 1], high = [0, 0, 2, 2], value = 0)
static Value apply_pad(Elab *e, Span span, const Value *in) {
    Value x = in[0];
    int32_t low[MAX_RANK], high[MAX_RANK];
    double fill = 0;
    PadAxis pad[MAX_RANK] = {0};
    if (!whole(e, span, "pad", &x)) return POISON;
    int rank = x.node->shape.rank;
    if (!ints_of(e, span, in[1], rank, low)) return POISON;
    if (!ints_of(e, span, in[2].kind == VALUE_NONE ? in[1] : in[2], rank, high)) return POISON;
    if (in[3].kind != VALUE_NONE && !value_number(in[3], &fill)) {
        elab_error(e, span, "pad fills with a constant, not %s", value_describe(e, in[3]));
        return POISON;
    }
    Shape shape = x.node->shape;
    bool any = false;
    for (int i = 0; i < rank; i++) {
        pad[i] = (PadAxis){low[i], high[i], 0};
        any |= low[i] || high[i];
        if (!dim_add(&shape.dim[i], shape.dim[i], dim_const((int64_t)low[i] + high[i])))
            return POISON;
    }
    if (!any) return x;
    if (!elab_check_size(e, &shape, span)) return POISON;
    return value_tensor(node_pad(e->graph, x.node, pad, fill));
}

// reshape(x, [N, 12]), or reshape(x, y): to the shape of y
static Value apply_reshape(Elab *e, Span span, const Value *in) {
    Value x = in[0];
    Shape shape = shape_of(0, NULL);
    Dim before, after;
    if (!whole(e, span, "reshape", &x)) return POISON;
    bool is_like = in[1].kind == VALUE_TENSOR && !in[1].loops;
    if (is_like) shape = in[1].node->shape;
    bool fits = is_like || (in[1].kind == VALUE_LIST && in[1].count <= MAX_RANK);
    for (int i = 0; fits && i < in[1].count; i++) {
        fits = in[1].item[i].kind == VALUE_INT && dim_at_least(in[1].item[i].size, 1);
        shape.dim[shape.rank++] = in[1].item[i].size;
    }
    if (!fits) {
        elab_error(e, span, "reshape wants a list of at most %d extents, or a tensor", MAX_RANK);
        diag_hint(e->diag, "each extent is written out, and at least 1; flatten(x) is [N, the rest]");
        return POISON;
    }
    bool counted = shape_size(&before, &x.node->shape) && shape_size(&after, &shape);
    if (!counted || !dim_equal(before, after)) {
        elab_error(e, span, "%s and %s differ in the number of elements",
                   shape_text(e, &x.node->shape), shape_text(e, &shape));
        elab_note(e, x.from, "%s comes from here", shape_text(e, &x.node->shape));
        if (counted)
            diag_hint(e->diag, "they are %s and %s", dim_text(e, before), dim_text(e, after));
        return POISON;
    }
    if (shape_equal(&shape, &x.node->shape)) return x;
    return value_tensor(node_reshape(e->graph, x.node, shape));
}

static bool can_join(const Node *a, const Node *b, int axis) {
    bool fits = a->shape.rank == b->shape.rank && a->dtype == b->dtype;
    for (int i = 0; fits && i < a->shape.rank; i++)
        fits = i == axis || dim_equal(a->shape.dim[i], b->shape.dim[i]);
    return fits;
}

static void report_join(Elab *e, Span span, Value a, Value b, int64_t axis) {
    const Shape *first = &a.node->shape, *second = &b.node->shape;
    if (axis < 0 || axis >= second->rank) {
        elab_error(e, span, "%s has no axis %lld", shape_text(e, second), (long long)axis);
        diag_hint(e->diag, "axes are counted from 0: its last one is %d", second->rank - 1);
        return;
    }
    elab_error(e, span, "%s and %s do not join along axis %lld", shape_text(e, first),
               shape_text(e, second), (long long)axis);
    elab_note(e, a.from, "%s comes from here", shape_text(e, first));
    elab_note(e, b.from, "%s comes from here", shape_text(e, second));
    if (first->rank == second->rank)
        diag_hint(e->diag, "their other axes, counted from 0, have to be equal");
}

// concat([a, b], axis = 1)
static Value apply_concat(Elab *e, Span span, const Value *in) {
    int64_t axis = 0;
    if (in[0].kind != VALUE_LIST || in[0].count < 1 || !value_const(in[1], &axis)) {
        elab_error(e, span, "concat wants a list of tensors and an axis: concat([a, b], axis = 1)");
        return POISON;
    }
    const Node **node = ARENA_ARRAY(e->arena, const Node *, in[0].count);
    Shape shape = shape_of(0, NULL);
    for (int i = 0; i < in[0].count; i++) {
        Value part = in[0].item[i];
        if (!whole(e, span, "concat", &part)) return POISON;
        node[i] = part.node;
        if (axis < 0 || axis >= part.node->shape.rank || !can_join(node[0], node[i], (int)axis)) {
            report_join(e, span, in[0].item[0], part, axis);
            return POISON;
        }
        if (i == 0)
            shape = node[0]->shape;
        else if (!dim_add(&shape.dim[axis], shape.dim[axis], node[i]->shape.dim[axis]))
            return POISON;
    }
    if (!elab_check_size(e, &shape, span)) return POISON;
    return value_tensor(node_concat(e->graph, node, in[0].count, (int)axis));
}

// size(x): its number of elements; size(x, 1): an axis'. Both may hold N.
static Value apply_size(Elab *e, Span span, const Value *in) {
    Value x = in[0];
    int64_t axis;
    Dim size;
    if (!whole(e, span, "size", &x)) return POISON;
    if (in[1].kind == VALUE_NONE) {
        shape_size(&size, &x.node->shape);
        return value_size(size);
    }
    if (value_const(in[1], &axis) && axis >= 0 && axis < x.node->shape.rank)
        return value_size(x.node->shape.dim[axis]);
    elab_error(e, span, "%s has no such axis", value_describe(e, x));
    diag_hint(e->diag, "axes are counted from 0: its last one is %d", x.node->shape.rank - 1);
    return POISON;
}

// --- Types

static Value convert(Elab *e, Span span, Value value, DType dtype) {
    Value tensor = elab_as_tensor(e, span, value);
    if (value_is_poison(tensor)) return POISON;
    const Node *node = elab_to_node(e, span, value, dtype);
    if (!node) return POISON;
    return tensor.loops ? elab_indexed_value(tensor.loops, node, tensor.axes) : value_tensor(node);
}

static Value apply_f32(Elab *e, Span span, const Value *in) {
    return convert(e, span, in[0], DT_F32);
}

static Value apply_i32(Elab *e, Span span, const Value *in) {
    double number;
    if (value_number(in[0], &number) && fabs(number) < 1e15) return value_int((int64_t)number);
    return convert(e, span, in[0], DT_I32);
}

// --- Derivatives, random numbers

static Value apply_stop(Elab *e, Span span, const Value *in) {
    if (value_is_step(in[0])) return in[0];
    Value value = elab_as_tensor(e, span, in[0]);
    if (value_is_poison(value) || value.node->dtype != DT_F32) return value;
    value.node = node_stop(e->graph, value.node);
    return value;
}

static bool is_real_tensor(Value value) {
    return value.kind == VALUE_TENSOR && !value.loops && value.node->dtype == DT_F32;
}

// grad(y, x), of x's shape.
static Value apply_grad(Elab *e, Span span, const Value *in) {
    const Node *gradient;
    if (!is_real_tensor(in[0]) || !is_real_tensor(in[1]) || in[0].node->shape.rank > 0) {
        elab_error(e, span, "grad(y, x) wants a number y that is computed from a tensor x");
        if (is_real_tensor(in[0])) elab_note(e, in[0].from, "y is %s", value_describe(e, in[0]));
        if (is_real_tensor(in[0]) && in[0].node->shape.rank > 0)
            diag_hint(e->diag, "sum(y) and mean(y) are numbers");
        return POISON;
    }
    graph_grad(e->graph, in[0].node, NULL, &in[1].node, 1, &gradient);
    return value_tensor(gradient);
}

// A stream for each use: the instance's path and an ordinal.
Value elab_random(Elab *e, Shape shape) {
    const char *stem = e->frame && *e->frame->path ? e->frame->path : "random";
    int *count = map_get(e->random_count, stem);
    if (!count) {
        count = ARENA_NEW(e->arena, int);
        map_put(e->random_count, stem, count);
    }
    const char *stream = arena_printf(e->arena, "%s#%d", stem, ++*count);
    return value_tensor(node_random(e->graph, stream, shape));
}

// random_like(x): uniform in [0, 1), of x's shape.
static Value apply_random(Elab *e, Span span, const Value *in) {
    Value x = in[0];
    if (value_is_structural(x)) {
        elab_error(e, span, "random_like takes a tensor, for its shape: this is %s",
                   value_describe(e, x));
        if (e->in_init)
            diag_hint(e->diag, "random numbers of the parameter's shape are uniform(0, 1)");
        return POISON;
    }
    if (!whole(e, span, "random_like", &x)) return POISON;
    return elab_random(e, x.node->shape);
}

static const Builtin builtins[] = {
    {"sum", 1, {"x"}, apply_sum},
    {"mean", 1, {"x"}, apply_mean},
    {"pad", 2, {"x", "low", "high", "value"}, apply_pad},
    {"reshape", 2, {"x", "shape"}, apply_reshape},
    {"concat", 2, {"parts", "axis"}, apply_concat},
    {"size", 1, {"x", "axis"}, apply_size},
    {"f32", 1, {"x"}, apply_f32},
    {"i32", 1, {"x"}, apply_i32},
    {"stop_gradient", 1, {"x"}, apply_stop},
    {"grad", 2, {"y", "x"}, apply_grad},
    {"random_like", 1, {"x"}, apply_random},
};

const Builtin *builtin_list(int *count) {
    *count = (int)(sizeof builtins / sizeof *builtins);
    return builtins;
}

const Builtin *builtin_find(const char *name) {
    int count;
    const Builtin *builtin = builtin_list(&count);
    for (int i = 0; i < count; i++)
        if (!strcmp(builtin[i].name, name)) return &builtin[i];
    return NULL;
}
