// SPDX-License-Identifier: MIT
// Reductions in index notation. A sum of a product whose factors meet like those of a matrix
// product or a convolution becomes contractions, of two factors at a time from the left; any other
// body is computed and reduced. Factors without a summed index stay outside of the sum.
//
//     sum[i] x[n, i] * w[o, i]                            contract
//     sum[c, r, s] x[n, c, h + r, w + s] * k[o, c, r, s]  contract, two axes of x read by two
//     indices sum[i] a[n, i] * b[n, i]                            mul, reduce_sum
#include "nnd/elab_internal.h"

#include <string.h>

typedef struct Factor {
    const IndexUse *use; // read where it lies; else
    Value value;         // an element
    uint32_t axes;       // the indices that it depends on
} Factor;

typedef VEC(Factor) FactorVec;

// --- Factors

static bool is_direct(const IndexUse *use) {
    uint32_t seen = 0;
    if (use->base.node->dtype != DT_F32) return false;
    for (int axis = 0; axis < use->rank; axis++) {
        const Affine *a = &use->at[axis];
        if (a->dynamic || a->count == 0 || !dim_is_const(a->offset)) return false;
        if (a->offset.c[0] < 0 || a->offset.c[0] > INT32_MAX) return false;
        for (int i = 0; i < a->count; i++) {
            if (a->coef[i] < 1 || a->coef[i] > INT32_MAX || (seen >> a->var[i] & 1)) return false;
            seen |= 1u << a->var[i];
        }
    }
    return true;
}

static uint32_t use_axes(const IndexUse *use) {
    uint32_t axes = 0;
    for (int axis = 0; axis < use->rank; axis++)
        for (int i = 0; i < use->at[axis].count; i++)
            axes |= 1u << use->at[axis].var[i];
    return axes;
}

static bool collect_factors(Elab *e, Scope *scope, Loops *loops, const Expr *expr,
                            FactorVec *factors) {
    if (expr->kind == EXPR_BINARY && !strcmp(expr->text, "*"))
        return collect_factors(e, scope, loops, expr->in[0], factors) &&
               collect_factors(e, scope, loops, expr->in[1], factors);
    Factor factor = {0};
    const IndexUse *use = expr->kind == EXPR_INDEX ? loops_use(loops, expr) : NULL;
    if (use && is_direct(use)) {
        factor.use = use;
        factor.axes = use_axes(use);
    } else {
        factor.value = elab_expr(e, scope, expr);
        if (value_is_poison(factor.value) || !elab_is_element(e, expr->span, factor.value))
            return false;
        if (factor.value.kind == VALUE_INDEX) factor.value = elab_iota(e, factor.value);
        factor.axes = factor.value.loops ? factor.value.axes : 0;
    }
    VEC_PUSH(e->arena, *factors, factor);
    return true;
}

static Value factor_value(Elab *e, Loops *loops, const Factor *factor) {
    return factor->use ? access_gather(e, loops, factor->use) : factor->value;
}

static Factor factor_of(Value value) {
    return (Factor){.value = value, .axes = value.loops ? value.axes : 0};
}

// --- Contractions

static bool has_pair(const Factor *factor) {
    for (int axis = 0; factor->use && axis < factor->use->rank; axis++)
        if (factor->use->at[axis].count == 2) return true;
    return false;
}

static bool is_contraction(const Factor *a, const Factor *b, uint32_t summed) {
    if (!(summed & (a->axes | b->axes))) return false;
    bool apart = (a->axes & ~b->axes) && (b->axes & ~a->axes);
    return apart || has_pair(a) || has_pair(b);
}

static bool runs_along_an_axis(const Loops *loops, const Factor *factor, int var) {
    if (!factor->use) return factor->axes >> var & 1;
    for (int axis = 0; axis < factor->use->rank; axis++) {
        const Affine *a = &factor->use->at[axis];
        if (a->count == 1 && a->var[0] == var && a->coef[0] == 1 && a->offset.c[0] == 0 &&
            dim_equal(factor->use->base.node->shape.dim[axis], loops->var[var].extent))
            return true;
    }
    return false;
}

// Each summed index needs a whole axis that it runs along (ir/graph.h).
static bool can_be_read_directly(const Loops *loops, const Factor *a, const Factor *b,
                                 uint32_t summed) {
    for (int i = 0; i < loops->count; i++)
        if ((summed >> i & 1) && !runs_along_an_axis(loops, a, i) &&
            !runs_along_an_axis(loops, b, i))
            return false;
    return true;
}

static int loop_of(uint32_t kept, uint32_t summed, int var) {
    return kept >> var & 1 ? loops_axis(kept, var)
                           : __builtin_popcount(kept) + loops_axis(summed, var);
}

static const Node *operand(Elab *e, const Factor *factor, uint32_t kept, uint32_t summed,
                           Access *access) {
    if (factor->use) {
        for (int axis = 0; axis < factor->use->rank; axis++) {
            const Affine *a = &factor->use->at[axis];
            access[axis] = (Access){{-1, -1}, {0, 0}, (int32_t)a->offset.c[0], 1};
            for (int i = 0; i < a->count; i++) {
                access[axis].index[i] = (int8_t)loop_of(kept, summed, a->var[i]);
                access[axis].coef[i] = (int32_t)a->coef[i];
            }
        }
        return factor->use->base.node;
    }
    for (int i = 0, axis = 0; i < MAX_LOOPS; i++)
        if (factor->axes >> i & 1)
            access[axis++] = (Access){{(int8_t)loop_of(kept, summed, i), -1}, {1, 0}, 0, 1};
    return node_cast(e->graph, DT_F32, factor->value.node);
}

static bool make_plain(Elab *e, Loops *loops, Factor *factor) {
    Value value = factor_value(e, loops, factor);
    *factor = factor_of(value);
    return !value_is_poison(value);
}

static Value contract(Elab *e, Loops *loops, Factor a, Factor b, uint32_t summed, Span span) {
    summed &= a.axes | b.axes;
    uint32_t kept = (a.axes | b.axes) & ~summed;
    Shape shape = loops_shape(loops, kept), sums = loops_shape(loops, summed);
    if (!elab_check_size(e, &shape, span)) return POISON;
    if (!can_be_read_directly(loops, &a, &b, summed) &&
        (!make_plain(e, loops, &a) || !make_plain(e, loops, &b)))
        return POISON;
    ContractAttr attr = {.summed = sums.rank};
    for (int i = 0; i < sums.rank; i++)
        attr.extent[i] = sums.dim[i];
    const Node *left = operand(e, &a, kept, summed, attr.a);
    const Node *right = operand(e, &b, kept, summed, attr.b);
    return elab_indexed_value(loops, node_contract(e->graph, left, right, &attr, shape), kept);
}

static bool fits_rank(uint32_t axes) { return __builtin_popcount(axes) <= MAX_RANK; }

// Either a contraction or, where the factors do not meet like one, their product.
static Factor join(Elab *e, Loops *loops, Factor a, Factor b, uint32_t summed, Span span) {
    uint32_t kept = (a.axes | b.axes) & ~summed;
    if (is_contraction(&a, &b, summed) && fits_rank(kept) && fits_rank(summed))
        return factor_of(contract(e, loops, a, b, summed, span));
    Value x = factor_value(e, loops, &a), y = factor_value(e, loops, &b);
    return factor_of(elab_binary(e, span, OP_mul, x, y));
}

// --- Sums

static bool is_number(Elab *e, Value value, Span span) {
    if (value.node->dtype != DT_BOOL) return true;
    elab_error(e, span, "numbers are reduced, but this is a condition");
    diag_hint(e->diag, "if c then 1 else 0 makes a number of it");
    return false;
}

static Value reduce(Elab *e, Loops *loops, Op op, Value value, uint32_t summed, Span span) {
    value = elab_as_tensor(e, span, value);
    if (value_is_poison(value) || !elab_is_element(e, span, value)) return POISON;
    if (!is_number(e, value, span)) return POISON;
    const Node *node = value.node;
    uint32_t axes = (value.loops ? value.axes : 0) | summed, places = 0;
    if (!loops_check(e, loops, axes, span)) return POISON;
    node = loops_align(e, loops, node, value.loops ? value.axes : 0, axes);
    for (int i = 0; i < loops->count; i++)
        if (summed >> i & 1) places |= 1u << loops_axis(axes, i);
    return elab_indexed_value(loops, node_reduce(e->graph, op, node, places), axes & ~summed);
}

static uint32_t later_axes(const FactorVec *factors, int from) {
    uint32_t axes = 0;
    for (int i = from; i < factors->count; i++)
        axes |= factors->at[i].axes;
    return axes;
}

static Dim range_product(Elab *e, Loops *loops, uint32_t axes, Span span) {
    Shape shape = loops_shape(loops, axes);
    Dim size = dim_const(1);
    if (!shape_size(&size, &shape)) elab_error(e, span, "this counts too many elements");
    return size;
}

Value elab_sum(Elab *e, Scope *scope, Loops *loops, const Expr *body, uint32_t summed) {
    FactorVec all = {0}, inner = {0};
    Span span = body->span;
    if (!collect_factors(e, scope, loops, body, &all)) return POISON;
    uint32_t absent = summed & ~later_axes(&all, 0);
    for (int i = 0; i < all.count; i++)
        if (all.at[i].axes & summed) VEC_PUSH(e->arena, inner, all.at[i]);
    Value result = {.kind = VALUE_NONE};
    if (inner.count > 0) {
        Factor sum = inner.at[0];
        for (int i = 1; i < inner.count; i++)
            sum = join(e, loops, sum, inner.at[i], summed & ~later_axes(&inner, i + 1), span);
        result = factor_value(e, loops, &sum);
        uint32_t left = sum.axes & summed;
        if (left && !value_is_poison(result))
            result = reduce(e, loops, OP_reduce_sum, result, left, span);
    }
    for (int i = 0; i < all.count; i++)
        if (!(all.at[i].axes & summed)) {
            Value factor = factor_value(e, loops, &all.at[i]);
            result =
                result.kind == VALUE_NONE ? factor : elab_binary(e, span, OP_mul, result, factor);
        }
    if (absent)
        result =
            elab_binary(e, span, OP_mul, result, value_size(range_product(e, loops, absent, span)));
    return result;
}

// Element k of an axis.
static const Node *part_of(Elab *e, const Node *node, int axis, int k) {
    SliceAxis slice[MAX_RANK];
    Shape one = node->shape, kept = shape_of(0, NULL);
    for (int i = 0; i < MAX_RANK; i++)
        slice[i] = (SliceAxis){i == axis ? k : 0, 1};
    one.dim[axis] = dim_const(1);
    for (int i = 0; i < one.rank; i++)
        if (i != axis) kept.dim[kept.rank++] = one.dim[i];
    return node_reshape(e->graph, node_slice(e->graph, node, slice, one), kept);
}

// Factor by factor, for short axes.
static Value product(Elab *e, Loops *loops, Value value, uint32_t summed, Span span) {
    Dim count = range_product(e, loops, summed, span);
    if (!dim_is_const(count) || count.c[0] > 64) {
        elab_error(e, span, "prod takes at most 64 factors");
        diag_hint(e->diag, "exp(sum[i] log(x[i])) for positive numbers");
        return POISON;
    }
    value = elab_as_tensor(e, span, value);
    if (value_is_poison(value) || !elab_is_element(e, span, value)) return POISON;
    if (!is_number(e, value, span)) return POISON;
    uint32_t has = value.loops ? value.axes : 0, axes = has | summed;
    if (!loops_check(e, loops, axes, span)) return POISON;
    const Node *node = loops_align(e, loops, value.node, has, axes);
    for (int i = loops->count - 1; i >= 0; i--) {
        if (!(summed >> i & 1)) continue;
        int axis = loops_axis(axes, i);
        const Node *result = part_of(e, node, axis, 0);
        for (int k = 1; k < loops->var[i].extent.c[0]; k++)
            result = node_binary(e->graph, OP_mul, result, part_of(e, node, axis, k));
        node = result;
        axes &= ~(1u << i);
    }
    return elab_indexed_value(loops, node, axes);
}

// any and all: of conditions, as the greatest and least of 0 and 1.
static Value reduce_condition(Elab *e, Loops *loops, Op op, Value value, uint32_t axes, Span span) {
    value = elab_as_tensor(e, span, value);
    if (value_is_poison(value)) return POISON;
    if (value.node->dtype != DT_BOOL) {
        elab_error(e, span, "a condition is wanted, but this is %s", value_describe(e, value));
        return POISON;
    }
    value.node = node_cast(e->graph, DT_I32, value.node);
    value = reduce(e, loops, op, value, axes, span);
    return value_is_poison(value) ? POISON : elab_binary(e, span, OP_ne, value, value_int(0));
}

Value elab_reduction(Elab *e, Scope *scope, const Expr *expr) {
    static const struct {
        const char *name;
        Op op;
        bool condition;
    } row[] = {{"max", OP_reduce_max, false},
               {"min", OP_reduce_min, false},
               {"argmax", OP_argmax, false},
               {"any", OP_reduce_max, true},
               {"all", OP_reduce_min, true}};
    Loops *loops = e->loops;
    Span span = expr->span;
    if (!loops) return elab_indexed(e, scope, NULL, 0, expr, NULL, span);
    const Reduction *reduction = loops_reduction(loops, expr);
    if (!reduction) return POISON;
    uint32_t axes = reduction->mask;
    if (!strcmp(expr->text, "sum")) return elab_sum(e, reduction->scope, loops, expr->in[0], axes);
    if (!strcmp(expr->text, "mean")) {
        Value sum = elab_sum(e, reduction->scope, loops, expr->in[0], axes);
        Value count = value_size(range_product(e, loops, axes, span));
        return elab_binary(e, span, OP_div, sum, count);
    }
    Value body = elab_expr(e, reduction->scope, expr->in[0]);
    if (value_is_poison(body)) return POISON;
    if (!strcmp(expr->text, "prod")) return product(e, loops, body, axes, span);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (!strcmp(expr->text, row[i].name))
            return row[i].condition ? reduce_condition(e, loops, row[i].op, body, axes, span)
                                    : reduce(e, loops, row[i].op, body, axes, span);
    elab_error(e, span, "there is no reduction %s", expr->text);
    return POISON;
}
