// SPDX-License-Identifier: MIT
// Indices of a loop nest: sums of variables with constant coefficients, kept in one normal form so
// that equal ones have equal terms.
#include "pass/index.h"

#include <string.h>

// Padding and all: bytes of indices are keys (loops.c), where one more than needed does no harm.
Index index_const(int64_t value) {
    Index index;
    memset(&index, 0, sizeof index);
    index.constant = value;
    return index;
}

Index index_var(int var) {
    Index index = index_const(0);
    index.count = 1;
    index.term[0].var = var;
    index.term[0].coef = 1;
    return index;
}

Index index_add(Index a, Index b) {
    Index sum = index_const(a.constant + b.constant);
    int i = 0, j = 0;
    while (i < a.count || j < b.count) {
        bool from_a = j == b.count || (i < a.count && a.term[i].var <= b.term[j].var);
        int var = from_a ? a.term[i].var : b.term[j].var;
        int64_t coef = 0;
        if (i < a.count && a.term[i].var == var) coef += a.term[i++].coef;
        if (j < b.count && b.term[j].var == var) coef += b.term[j++].coef;
        if (coef == 0) continue;
        if (sum.count == INDEX_TERMS) bug("an index has more than %d terms", INDEX_TERMS);
        sum.term[sum.count].var = var;
        sum.term[sum.count++].coef = coef;
    }
    return sum;
}

Index index_scale(Index a, int64_t factor) {
    if (factor == 0) return index_const(0);
    a.constant *= factor;
    for (int i = 0; i < a.count; i++)
        a.term[i].coef *= factor;
    return a;
}

bool index_equal(const Index *a, const Index *b) {
    bool same = a->constant == b->constant && a->count == b->count;
    for (int i = 0; same && i < a->count; i++)
        same = a->term[i].var == b->term[i].var && a->term[i].coef == b->term[i].coef;
    return same;
}

int64_t index_coefficient(const Index *index, int var) {
    for (int i = 0; i < index->count; i++)
        if (index->term[i].var == var) return index->term[i].coef;
    return 0;
}

void index_bounds(const Loops *loops, const Index *index, int64_t *low, int64_t *high) {
    *low = *high = index->constant;
    for (int i = 0; i < index->count; i++) {
        int64_t most = dim_eval(loops->var[index->term[i].var].extent, loops->batch) - 1;
        if (most < 0) most = 0;
        *(index->term[i].coef > 0 ? high : low) += index->term[i].coef * most;
    }
}

uint64_t index_deps(const Loops *loops, const Index *index) {
    uint64_t deps = 0;
    for (int i = 0; i < index->count; i++)
        deps |= index_var_deps(loops, index->term[i].var);
    return deps;
}

uint64_t index_var_deps(const Loops *loops, int var) {
    if (loops->var[var].kind == VAR_OUTSIDE) return 0;
    return loops->var[var].kind == VAR_LET ? index_deps(loops, &loops->var[var].of) : 1ull << var;
}

int loops_add_var(Loops *loops, VarKind kind, Dim extent) {
    if (loops->var_count == LOOP_VARS)
        bug("a kernel needs more than %d index variables", LOOP_VARS);
    loops->var[loops->var_count] = (Var){.kind = kind, .extent = extent};
    return loops->var_count++;
}

static Index let(Loops *loops, LetKind kind, const Index *of, Dim by) {
    int64_t low, high, factor = dim_eval(by, loops->batch);
    for (int v = 0; v < loops->var_count; v++) {
        const Var *var = &loops->var[v];
        if (var->kind == VAR_LET && var->let == kind && dim_equal(var->by, by) &&
            index_equal(&var->of, of))
            return index_var(v);
    }
    index_bounds(loops, of, &low, &high);
    int64_t most = kind == LET_TIMES ? high * factor : kind == LET_MODULO ? factor - 1 : high;
    if (kind == LET_DIVIDE && dim_is_const(by)) most = high / factor;
    int v = loops_add_var(loops, VAR_LET, dim_const(most + 1));
    loops->var[v].let = kind;
    loops->var[v].of = *of;
    loops->var[v].by = by;
    return index_var(v);
}

// index = divisor * whole + rest, the terms that divide being in `whole`.
static void divide_terms(const Index *index, int64_t divisor, Index *whole, Index *rest) {
    int64_t constant = index->constant % divisor;
    if (constant < 0) constant += divisor;
    *whole = index_const((index->constant - constant) / divisor);
    *rest = index_const(constant);
    for (int i = 0; i < index->count; i++) {
        int64_t coef = index->term[i].coef;
        Index term = index_var(index->term[i].var);
        int64_t part = coef % divisor;
        if (part < 0) part += divisor;
        *whole = index_add(*whole, index_scale(term, (coef - part) / divisor));
        *rest = index_add(*rest, index_scale(term, part));
    }
}

Index index_divide(Loops *loops, Index index, Dim by) {
    Index whole, rest;
    int64_t low, high, divisor = dim_eval(by, loops->batch);
    if (dim_is_one(by) || (index.count == 0 && index.constant == 0)) return index;
    if (!dim_is_const(by)) return let(loops, LET_DIVIDE, &index, by);
    divide_terms(&index, divisor, &whole, &rest);
    index_bounds(loops, &rest, &low, &high);
    if (high < divisor) return whole;
    return index_add(whole, let(loops, LET_DIVIDE, &rest, by));
}

Index index_modulo(Loops *loops, Index index, Dim by) {
    Index whole, rest;
    int64_t low, high, divisor = dim_eval(by, loops->batch);
    if (dim_is_one(by)) return index_const(0);
    if (index.count == 0 && index.constant == 0) return index;
    if (!dim_is_const(by)) return let(loops, LET_MODULO, &index, by);
    divide_terms(&index, divisor, &whole, &rest);
    index_bounds(loops, &rest, &low, &high);
    return high < divisor ? rest : let(loops, LET_MODULO, &rest, by);
}

Index index_times(Loops *loops, Index index, Dim by) {
    if (dim_is_const(by)) return index_scale(index, by.c[0]);
    if (index.count == 0 && index.constant == 0) return index;
    return let(loops, LET_TIMES, &index, by);
}

// --- Reshape

// Both shapes' axes fall into groups of equal size; within one, the linear index is taken apart
// again.
static void split_group(Loops *loops, const Shape *in, int first, int end, Index linear,
                        Index *into) {
    while (first < end && dim_is_one(in->dim[first]))
        into[first++] = index_const(0);
    for (int axis = end - 1; axis > first; axis--) {
        into[axis] = index_modulo(loops, linear, in->dim[axis]);
        linear = index_divide(loops, linear, in->dim[axis]);
    }
    if (end > first) into[first] = linear;
}

void index_reshape(Loops *loops, const Shape *in, const Shape *out, const Index *at, Index *into) {
    int i = 0, o = 0;
    while (i < in->rank || o < out->rank) {
        int in_first = i, out_first = o;
        Dim in_size = dim_const(1), out_size = dim_const(1);
        if (i < in->rank) in_size = in->dim[i++];
        if (o < out->rank) out_size = out->dim[o++];
        while (!dim_equal(in_size, out_size)) {
            bool grow_in =
                o == out->rank || (i < in->rank && dim_eval(in_size, 2) < dim_eval(out_size, 2));
            bool fits = grow_in ? i < in->rank && dim_mul(&in_size, in_size, in->dim[i])
                                : o < out->rank && dim_mul(&out_size, out_size, out->dim[o]);
            if (!fits) bug("a reshape's groups do not meet");
            grow_in ? i++ : o++;
        }
        Index linear = index_const(0);
        for (int axis = out_first; axis < o; axis++)
            linear = index_add(index_times(loops, linear, out->dim[axis]), at[axis]);
        split_group(loops, in, in_first, i, linear, into);
    }
}
