// SPDX-License-Identifier: MIT
// Pointwise operators on values of any rate. What is structural is computed here and now; what is
// known once a step becomes f64 nodes of rank 0; anything else is tensor code, with its types made
// equal and its shapes broadcast: axes of size 1, numbers, and in index notation the indices that
// an operand lacks.
//
//     2 * 3            6
//     lr / (1 + step)  div %lr, add(1, step)          f64
//     x * 0.5          mul %x, const 0.5              f32
#include "nnd/elab_internal.h"

#include <math.h>

static bool is_numeric(Value v) {
    return v.kind == VALUE_BOOL || v.kind == VALUE_INT || v.kind == VALUE_REAL ||
           v.kind == VALUE_INDEX || v.kind == VALUE_TENSOR;
}

static bool is_condition(Value v) {
    return v.kind == VALUE_BOOL || (v.kind == VALUE_TENSOR && v.node->dtype == DT_BOOL);
}

// As it is written: a + b, or sin(x).
static const char *op_text(Op op) {
    static const char *const sign[OP_COUNT] = {
        [OP_add] = "+", [OP_sub] = "-",  [OP_mul] = "*", [OP_div] = "/",  [OP_mod] = "%",
        [OP_eq] = "==", [OP_ne] = "!=",  [OP_lt] = "<",  [OP_le] = "<=",  [OP_gt] = ">",
        [OP_ge] = ">=", [OP_pow] = "^",  [OP_neg] = "-", [OP_select] = "if"};
    return sign[op] ? sign[op] : op_info(op)->name;
}

static Value wrong_type(Elab *e, Span span, Op op, Value got, bool logic) {
    const char *name = op_text(op);
    if (is_condition(got)) {
        elab_error(e, span, "%s takes numbers, but this is a condition", name);
        diag_hint(e->diag, "f32(x) makes 0 and 1 of it; if c then a else b chooses");
    } else {
        elab_error(e, span, "%s takes %s, but this is %s", name,
                   logic ? "a condition" : "numbers and tensors", value_describe(e, got));
        if (got.kind == VALUE_LIST)
            diag_hint(e->diag, "a list has elements: y[n, c] = x[n, c] - v[c]");
    }
    return POISON;
}

static bool check_kinds(Elab *e, Span span, Op op, const Value *in) {
    const OpInfo *info = op_info(op);
    for (int i = 0; i < info->in_count; i++) {
        bool logic = info->types == TYPES_LOGIC || (info->types == TYPES_SELECT && i == 0);
        bool branch = info->types == TYPES_SELECT && i > 0;
        if (is_numeric(in[i]) && (branch || is_condition(in[i]) == logic)) continue;
        wrong_type(e, span, op, in[i], logic);
        return false;
    }
    if (info->types == TYPES_SELECT && is_condition(in[1]) != is_condition(in[2])) {
        elab_error(e, span, "one branch is a condition and the other a number");
        return false;
    }
    return true;
}

// --- Structural

// Integers stay integers where the operator leaves them so.
static bool fold_sizes(Op op, const Value *in, Value *out) {
    if (in[0].kind != VALUE_INT || (op_info(op)->in_count == 2 && in[1].kind != VALUE_INT))
        return false;
    Dim result;
    bool known = false;
    if (op == OP_add)
        known = dim_add(&result, in[0].size, in[1].size);
    else if (op == OP_sub)
        known = dim_sub(&result, in[0].size, in[1].size);
    else if (op == OP_mul)
        known = dim_mul(&result, in[0].size, in[1].size);
    else if (op == OP_neg)
        known = dim_sub(&result, dim_const(0), in[0].size);
    if (known) *out = value_size(result);
    if (!known && dim_equal(in[0].size, in[1].size) && (op == OP_eq || op == OP_ne)) {
        *out = value_bool(op == OP_eq);
        known = true;
    }
    return known;
}

static double as_double(Value v) {
    double number = 0;
    if (v.kind == VALUE_BOOL) return v.boolean;
    value_number(v, &number);
    return number;
}

static bool keeps_integers(Op op) {
    return op == OP_max || op == OP_min || op == OP_abs || op == OP_sign || op == OP_mod;
}

static Value fold(Elab *e, Span span, Op op, const Value *in) {
    const OpInfo *info = op_info(op);
    double x[3] = {0};
    bool integers = true;
    for (int i = 0; i < info->in_count; i++) {
        x[i] = as_double(in[i]);
        integers &= in[i].kind == VALUE_INT;
    }
    if (op == OP_mod && x[1] == 0) {
        elab_error(e, span, "this divides by zero");
        return POISON;
    }
    if (info->types == TYPES_ARITH && integers && !keeps_integers(op)) {
        elab_error(e, span, "this integer does not fit 64 bits");
        return POISON;
    }
    if (info->types == TYPES_SELECT) return in[0].boolean ? in[1] : in[2];
    double result = op_reference(op, x[0], x[1], x[2]);
    if (info->types == TYPES_COMPARE || info->types == TYPES_LOGIC) return value_bool(result != 0);
    return integers && keeps_integers(op) ? value_int((int64_t)result) : value_real(result);
}

// --- Of the step

const Node *elab_to_step(Elab *e, Span span, Value v) {
    double number;
    if (value_number(v, &number)) return node_const(e->graph, DT_F64, number);
    if (v.kind == VALUE_BOOL) return node_const(e->graph, DT_BOOL, v.boolean);
    if (v.kind == VALUE_INT) return node_size(e->graph, v.size);
    if (v.kind == VALUE_TENSOR && v.step) return v.node;
    if (v.kind != VALUE_POISON)
        elab_error(e, span, "this has to be known once a step, but is %s", value_describe(e, v));
    return NULL;
}

static Value step_pointwise(Elab *e, Span span, Op op, const Value *in) {
    const Node *node[3];
    for (int i = 0; i < op_info(op)->in_count; i++)
        node[i] = elab_to_step(e, span, in[i]);
    Value result = value_tensor(node_pointwise(e->graph, op, node));
    result.step = true;
    return result;
}

// --- Tensors

// Scalars of the step enter tensor code as f32; so a condition goes through a number.
static const Node *step_into_tensor(Elab *e, const Node *node, DType dtype) {
    Graph *g = e->graph;
    if (node->dtype == DT_F64) return node_cast(g, dtype, node_cast(g, DT_F32, node));
    const Node *number = node_select(g, node, node_const(g, DT_F64, 1), node_const(g, DT_F64, 0));
    number = node_cast(g, DT_F32, number);
    if (dtype != DT_BOOL) return node_cast(g, dtype, number);
    return node_binary(g, OP_ne, number, node_const(g, DT_F32, 0));
}

// [a, b, c] as a vector.
static const Node *list_node(Elab *e, Span span, Value list, DType dtype) {
    const Node **part = ARENA_ARRAY(e->arena, const Node *, list.count + 1);
    Dim one = dim_const(1);
    for (int i = 0; i < list.count; i++) {
        Value item = list.item[i];
        bool number = item.kind != VALUE_LIST && item.kind != VALUE_INDEX;
        part[i] = number ? elab_to_node(e, span, item, dtype) : NULL;
        if (part[i] && part[i]->shape.rank == 0) {
            part[i] = node_reshape(e->graph, part[i], shape_of(1, &one));
            continue;
        }
        if (!number || part[i])
            elab_error(e, span, "a list that is used as a vector holds numbers");
        return NULL;
    }
    if (list.count > 0) return node_concat(e->graph, part, list.count, 0);
    elab_error(e, span, "a tensor is wanted, but this list is empty");
    return NULL;
}

const Node *elab_to_node(Elab *e, Span span, Value v, DType dtype) {
    double number;
    if (v.kind == VALUE_LIST) return list_node(e, span, v, dtype);
    if (v.kind == VALUE_INDEX) v = elab_iota(e, v);
    if (value_number(v, &number)) {
        if (dtype != DT_I32 || (floor(number) == number && fabs(number) <= INT32_MAX))
            return node_const(e->graph, dtype, dtype == DT_BOOL ? number != 0 : number);
        elab_error(e, span, "%.17g is no 32-bit integer", number);
        return NULL;
    }
    if (v.kind == VALUE_BOOL) return node_const(e->graph, dtype, v.boolean);
    if (v.kind == VALUE_INT) return step_into_tensor(e, node_size(e->graph, v.size), dtype);
    if (v.kind == VALUE_TENSOR && v.step) return step_into_tensor(e, v.node, dtype);
    if (v.kind == VALUE_TENSOR) return node_cast(e->graph, dtype, v.node);
    if (v.kind != VALUE_POISON)
        elab_error(e, span, "a tensor is wanted, but this is %s", value_describe(e, v));
    if (v.kind == VALUE_FUNCTION) diag_hint(e->diag, "brackets behind its name call it: f(x)");
    return NULL;
}

static DType own_type(Value v) {
    if (v.kind == VALUE_INDEX) return DT_I32;
    if (v.kind == VALUE_INT) return dim_is_const(v.size) ? DT_I32 : DT_F32;
    if (v.kind == VALUE_BOOL) return DT_BOOL;
    return v.kind == VALUE_TENSOR && v.node->dtype != DT_F64 ? v.node->dtype : DT_F32;
}

bool elab_is_whole(Value v) { return own_type(v) == DT_I32; }

Value elab_as_tensor(Elab *e, Span span, Value v) {
    if (v.kind == VALUE_TENSOR && !v.step) return v;
    if (v.kind == VALUE_INDEX) return elab_iota(e, v);
    const Node *node = elab_to_node(e, span, v, own_type(v));
    return node ? value_tensor(node) : POISON;
}

// The type in which the operands meet: f32 where one of them is real, or the operator is.
static DType common_type(Op op, const Value *in) {
    const OpInfo *info = op_info(op);
    if (info->types == TYPES_REAL) return DT_F32;
    if (info->types == TYPES_LOGIC) return DT_BOOL;
    DType type = DT_I32;
    for (int i = info->types == TYPES_SELECT; i < info->in_count; i++) {
        DType own = own_type(in[i]);
        if (own == DT_F32 || (own == DT_BOOL && type != DT_F32)) type = own;
    }
    // Whole numbers alone, if c then 1 else 0, are real: there is nothing that they should count.
    bool numbers = info->types == TYPES_SELECT && type == DT_I32;
    for (int i = 1; i < info->in_count; i++)
        numbers &= in[i].kind == VALUE_INT;
    return numbers ? DT_F32 : type;
}

bool elab_is_element(Elab *e, Span span, Value value) {
    if (value.kind != VALUE_TENSOR || value.loops || value.node->shape.rank == 0) return true;
    elab_error(e, span, "this is a whole %s inside of index notation", value_describe(e, value));
    diag_hint(e->diag, "give it indices, as in x[n, c]");
    return false;
}

static bool find_loops(Elab *e, Span span, const Value *in, int count, Loops **loops,
                       uint32_t *axes) {
    *loops = NULL;
    *axes = 0;
    for (int i = 0; i < count; i++) {
        if (in[i].kind != VALUE_TENSOR || !in[i].loops) continue;
        if (*loops && *loops != in[i].loops) {
            elab_error(e, span, "an element of one index notation meets another's");
            return false;
        }
        *loops = in[i].loops;
        *axes |= in[i].axes;
    }
    for (int i = 0; i < count && *loops; i++)
        if (!elab_is_element(e, span, in[i])) return false;
    return true;
}

static int first_apart(const Shape *a, const Shape *b) {
    int axis = 0;
    while (axis < a->rank && (dim_equal(a->dim[axis], b->dim[axis]) || dim_is_one(a->dim[axis]) ||
                              dim_is_one(b->dim[axis])))
        axis++;
    return axis;
}

static void hint_meeting(Elab *e, const Shape *a, const Shape *b) {
    int axis = a->rank == b->rank ? first_apart(a, b) : -1;
    if (axis < 0)
        diag_hint(e->diag, "only numbers broadcast to more axes; say which axes meet with index "
                           "notation: y[n, c] = a[n, c] + b[c]");
    else if (a->rank == 4 && axis >= 2)
        diag_hint(e->diag, "a convolution makes images smaller: with a kernel of 3, padding = 1 "
                           "keeps their size");
    else if (a->rank == 4 && axis == 1)
        diag_hint(e->diag, "x |> conv2d(%s, kernel = 1) has as many channels as the other",
                  dim_text(e, dim_at_least(a->dim[1], b->dim[1].c[0]) ? a->dim[1] : b->dim[1]));
    else
        diag_hint(e->diag, "they differ in axis %d, counted from 0: %s and %s", axis,
                  dim_text(e, a->dim[axis]), dim_text(e, b->dim[axis]));
}

static void report_shapes(Elab *e, Span span, Op op, Value a, Value b) {
    const Shape *first = &a.node->shape, *second = &b.node->shape;
    const char *one = shape_text(e, first), *other = shape_text(e, second);
    elab_error(e, span, "%s and %s do not meet in %s", one, other, op_text(op));
    elab_note(e, a.from, "%s comes from here", one);
    elab_note(e, b.from, "%s comes from here", other);
    hint_meeting(e, first, second);
}

// One shape for all operands: of equal rank, extents equal or 1.
static bool common_shape(Elab *e, Span span, Op op, const Value *in, int count, Shape *shape) {
    int first = -1;
    *shape = shape_of(0, NULL);
    for (int i = 0; i < count; i++) {
        const Shape *own = &in[i].node->shape;
        if (own->rank == 0) continue;
        if (first < 0) {
            first = i;
            *shape = *own;
        }
        bool fits = own->rank == shape->rank;
        for (int k = 0; fits && k < own->rank; k++) {
            if (dim_is_one(shape->dim[k])) shape->dim[k] = own->dim[k];
            fits = dim_is_one(own->dim[k]) || dim_equal(own->dim[k], shape->dim[k]);
        }
        if (fits) continue;
        report_shapes(e, span, op, in[first], in[i]);
        return false;
    }
    return true;
}

const Node *elab_expand_to(Elab *e, Span span, const Node *node, const Shape *to) {
    if (shape_equal(&node->shape, to)) return node;
    if (node->shape.rank == 0) return node_expand(e->graph, node, *to);
    uint32_t missing = 0;
    Shape kept = shape_of(0, NULL);
    bool fits = node->shape.rank == to->rank;
    for (int i = 0; fits && i < to->rank; i++) {
        if (dim_equal(node->shape.dim[i], to->dim[i]))
            kept.dim[kept.rank++] = to->dim[i];
        else if (dim_is_one(node->shape.dim[i]))
            missing |= 1u << i;
        else
            fits = false;
    }
    if (!fits) {
        elab_error(e, span, "%s is wanted, but this is %s", shape_text(e, to),
                   shape_text(e, &node->shape));
        return NULL;
    }
    return node_broadcast(e->graph, node_reshape(e->graph, node, kept), missing, *to);
}

static Value tensor_pointwise(Elab *e, Span span, Op op, const Value *given) {
    int count = op_info(op)->in_count;
    DType type = common_type(op, given);
    Loops *loops;
    uint32_t axes;
    Value in[3];
    const Node *node[3];
    Shape shape;
    for (int i = 0; i < count; i++) {
        in[i] = elab_as_tensor(e, span, given[i]);
        if (value_is_poison(in[i])) return POISON;
    }
    if (!find_loops(e, span, in, count, &loops, &axes)) return POISON;
    if (loops ? !loops_check(e, loops, axes, span)
              : !common_shape(e, span, op, in, count, &shape) || !elab_check_size(e, &shape, span))
        return POISON;
    for (int i = 0; i < count; i++) {
        bool condition = op_info(op)->types == TYPES_SELECT && i == 0;
        node[i] = elab_to_node(e, span, given[i], condition ? DT_BOOL : type);
        if (!node[i]) return POISON;
        if (node[i]->shape.rank == 0) continue; // the operator broadcasts it
        node[i] = loops ? loops_align(e, loops, node[i], in[i].axes, axes)
                        : elab_expand_to(e, span, node[i], &shape);
    }
    const Node *result = node_pointwise(e->graph, op, node);
    return loops ? elab_indexed_value(loops, result, axes) : value_tensor(result);
}

// --- Any

static bool is_of_step(const Value *in, int count) {
    for (int i = 0; i < count; i++)
        if (!value_is_step(in[i])) return false;
    return true;
}

static bool is_structural(const Value *in, int count) {
    for (int i = 0; i < count; i++)
        if (!value_is_structural(in[i])) return false;
    return true;
}

// x ^ 2 as x * x: exact for negative x, and cheap.
static bool small_power(Elab *e, Span span, Value base, Value exponent, Value *out) {
    double power;
    if (value_is_structural(base) || !value_number(exponent, &power)) return false;
    if (power == 0.5) {
        *out = elab_pointwise(e, span, OP_sqrt, &base);
    } else if (power == 1) {
        *out = base;
    } else if (power == 2 || power == 3 || power == 4) {
        Value square = elab_binary(e, span, OP_mul, base, base);
        *out =
            power == 2 ? square : elab_binary(e, span, OP_mul, square, power == 3 ? base : square);
    } else if (power == -1) {
        *out = elab_binary(e, span, OP_div, value_int(1), base);
    } else {
        return false;
    }
    return true;
}

Value elab_pointwise(Elab *e, Span span, Op op, const Value *in) {
    int count = op_info(op)->in_count;
    Value out;
    for (int i = 0; i < count; i++)
        if (value_is_poison(in[i])) return POISON;
    if (!check_kinds(e, span, op, in)) return POISON;
    if (op == OP_pow && small_power(e, span, in[0], in[1], &out)) return out;
    Span before = elab_here(e, span);
    if (count <= 2 && fold_sizes(op, in, &out))
        ;
    else if (is_structural(in, count))
        out = fold(e, span, op, in);
    else if (is_of_step(in, count))
        out = step_pointwise(e, span, op, in);
    else
        out = tensor_pointwise(e, span, op, in);
    e->graph->here = before;
    out.from = span;
    return out;
}

Value elab_binary(Elab *e, Span span, Op op, Value a, Value b) {
    return elab_pointwise(e, span, op, (Value[]){a, b});
}

Value elab_select(Elab *e, Span span, Value condition, Value yes, Value no) {
    return elab_pointwise(e, span, OP_select, (Value[]){condition, yes, no});
}
