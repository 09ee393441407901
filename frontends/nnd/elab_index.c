// SPDX-License-Identifier: MIT
// Index notation: a statement y[n, o] = sum[i] x[n, i] * w[o, i] in three steps. First its uses of
// indices are collected: each x[..] with the affine form of every subscript, each reduction with
// its own indices. Then each index gets its one range. Then the body is elaborated, an element
// being a node whose axes are the indices that it depends on (elab_access.c).
//
// The range of an index is, in this order: what is written after it (h: 5); the extent that its
// plain uses agree on; the declared result's, for the statement that makes it; the largest with
// which its affine uses stay in bounds. Every use is checked with interval arithmetic, nothing is
// clipped.
#include "nnd/elab_internal.h"

#include <string.h>

// --- Indices

static LoopVar *add_var(Elab *e, Loops *loops, const char *name, Span span) {
    if (loops->count == MAX_LOOPS) {
        if (!loops->failed) elab_error(e, span, "more than %d indices in a statement", MAX_LOOPS);
        loops->failed = true;
        return NULL;
    }
    LoopVar *var = &loops->var[loops->count++];
    *var = (LoopVar){.name = name, .span = span, .loops = loops};
    return var;
}

static void add_rest(Elab *e, Loops *loops, Span span) {
    if (loops->has_rest) {
        elab_error(e, span, "'..' stands here a second time");
        loops->failed = true;
        return;
    }
    loops->has_rest = true;
    loops->rest_first = loops->count;
    loops->rest_count = -1;
    for (int i = 0; i < MAX_RANK; i++)
        add_var(e, loops, "..", span);
}

static void set_extent(LoopVar *var, Dim extent, Span from) {
    var->known = true;
    var->extent = extent;
    var->from = from;
}

static void written_range(Elab *e, Loops *loops, Scope *scope, LoopVar *var, const Expr *expr) {
    Dim extent;
    if (!elab_dim(e, scope, expr, &extent)) {
        loops->failed = true;
    } else if (!dim_at_least(extent, 1)) {
        elab_error(e, expr->span, "a range is at least 1, this is %s", dim_text(e, extent));
        loops->failed = true;
    } else {
        set_extent(var, extent, expr->span);
        var->written = true;
    }
}

// Declares the indices of a statement or a reduction in `scope`; the set of those with a name.
static uint32_t add_indices(Elab *e, Loops *loops, Scope *outer, Scope *scope,
                            const IndexName *index, int count) {
    uint32_t mask = 0;
    for (int i = 0; i < count; i++) {
        if (!strcmp(index[i].name, "..")) {
            add_rest(e, loops, index[i].span);
            continue;
        }
        Value value = {.kind = VALUE_INDEX, .loops = loops, .index = loops->count};
        LoopVar *var = add_var(e, loops, index[i].name, index[i].span);
        if (!var) return mask;
        mask |= 1u << value.index;
        if (index[i].extent) written_range(e, loops, outer, var, index[i].extent);
        int errors = diag_error_count(e->diag);
        scope_bind(e, scope, index[i].name, index[i].span, value);
        loops->failed |= diag_error_count(e->diag) > errors;
    }
    return mask;
}

Shape loops_shape(const Loops *loops, uint32_t axes) {
    Shape shape = shape_of(0, NULL);
    for (int i = 0; i < loops->count; i++)
        if (axes >> i & 1) shape.dim[shape.rank++] = loops->var[i].extent;
    return shape;
}

int loops_axis(uint32_t axes, int var) { return __builtin_popcount(axes & ((1u << var) - 1)); }

Value elab_indexed_value(Loops *loops, const Node *node, uint32_t axes) {
    Value value = value_tensor(node);
    value.loops = loops;
    value.axes = axes;
    return value;
}

Value elab_iota(Elab *e, Value index) {
    Shape shape = shape_of(1, &index.loops->var[index.index].extent);
    return elab_indexed_value(index.loops, node_iota(e->graph, 0, shape), 1u << index.index);
}

const IndexUse *loops_use(const Loops *loops, const Expr *expr) {
    for (int i = 0; i < loops->use.count; i++)
        if (loops->use.at[i]->expr == expr) return loops->use.at[i];
    return NULL;
}

const Reduction *loops_reduction(const Loops *loops, const Expr *expr) {
    for (int i = 0; i < loops->reduction.count; i++)
        if (loops->reduction.at[i]->expr == expr) return loops->reduction.at[i];
    return NULL;
}

// --- Subscripts

static bool reads_tensor(Scope *scope, const Expr *expr) {
    if (expr->kind == EXPR_NAME) {
        const Binding *binding = scope_find(scope, expr->text);
        return binding && binding->value.kind == VALUE_TENSOR && !binding->value.step;
    }
    if (expr->kind == EXPR_INDEX || expr->kind == EXPR_REDUCE) return true;
    for (int i = expr->kind == EXPR_CALL; i < expr->in_count; i++)
        if (reads_tensor(scope, expr->in[i])) return true;
    return false;
}

static bool mentions_index(Scope *scope, const Expr *expr) {
    const Binding *binding = expr->kind == EXPR_NAME ? scope_find(scope, expr->text) : NULL;
    if (binding && binding->value.kind == VALUE_INDEX) return true;
    for (int i = expr->kind == EXPR_CALL; i < expr->in_count; i++)
        if (mentions_index(scope, expr->in[i])) return true;
    return reads_tensor(scope, expr);
}

// sum += factor * term; false where it does not fit.
static bool affine_add(Affine *sum, const Affine *term, int64_t factor) {
    Dim offset;
    if (!dim_mul(&offset, term->offset, dim_const(factor)) ||
        !dim_add(&sum->offset, sum->offset, offset))
        return false;
    for (int i = 0; i < term->count; i++) {
        int at = 0;
        while (at < sum->count && sum->var[at] != term->var[i])
            at++;
        if (at == MAX_TERMS) return false;
        if (at == sum->count) sum->coef[sum->count++] = 0;
        sum->var[at] = term->var[i];
        sum->coef[at] += factor * term->coef[i];
    }
    return true;
}

static bool is_plain_number(const Affine *a, int64_t *value) {
    *value = a->offset.c[0];
    return a->count == 0 && dim_is_const(a->offset) && *value > -(1 << 30) && *value < (1 << 30);
}

// expr as an affine form of indices, or false: it is none.
static bool affine(Elab *e, Scope *scope, const Expr *expr, Affine *out) {
    Affine a = {0}, b = {0};
    int64_t factor;
    *out = (Affine){.span = expr->span};
    if (!mentions_index(scope, expr)) return elab_dim(e, scope, expr, &out->offset);
    if (expr->kind == EXPR_NAME) {
        const Binding *binding = scope_find(scope, expr->text);
        if (binding->value.kind != VALUE_INDEX) return false;
        out->count = 1;
        out->var[0] = binding->value.index;
        out->coef[0] = 1;
        return true;
    }
    if (expr->kind == EXPR_UNARY && !strcmp(expr->text, "-"))
        return affine(e, scope, expr->in[0], &a) && affine_add(out, &a, -1);
    if (expr->kind != EXPR_BINARY || !strchr("+-*", expr->text[0]) || expr->text[1]) return false;
    if (!affine(e, scope, expr->in[0], &a) || !affine(e, scope, expr->in[1], &b)) return false;
    if (expr->text[0] != '*')
        return affine_add(out, &a, 1) && affine_add(out, &b, expr->text[0] == '-' ? -1 : 1);
    if (is_plain_number(&a, &factor)) return affine_add(out, &b, factor);
    return is_plain_number(&b, &factor) && affine_add(out, &a, factor);
}

static void drop_zero_terms(Affine *a) {
    int kept = 0;
    for (int i = 0; i < a->count; i++)
        if (a->coef[i] != 0) {
            a->var[kept] = a->var[i];
            a->coef[kept++] = a->coef[i];
        }
    a->count = kept;
}

// --- Collecting

static void collect(Elab *e, Scope *scope, Loops *loops, const Expr *expr);

static bool fail(Loops *loops) {
    loops->failed = true;
    return false;
}

static void collect_subscript(Elab *e, Scope *scope, Loops *loops, const Expr *expr, Affine *at) {
    int errors = diag_error_count(e->diag);
    if (affine(e, scope, expr, at)) {
        int count = at->count;
        drop_zero_terms(at);
        if (at->count == count) return;
        elab_error(e, expr->span, "an index counts 0 times in this subscript");
        diag_hint(e->diag, "is a stride or dilation 0? They are at least 1");
        loops->failed = true;
        return;
    }
    loops->failed |= diag_error_count(e->diag) > errors;
    if (!loops->failed && !reads_tensor(scope, expr)) {
        elab_error(e, expr->span, "this subscript is too general");
        diag_hint(e->diag, "at most two indices, times constants, plus a constant");
        loops->failed = true;
    }
    *at = (Affine){.dynamic = expr, .span = expr->span};
    collect(e, scope, loops, expr);
}

// `..` in x[.., i] stands for the indices of '..' in the statement, as many as x has axes left.
static bool collect_rest(Elab *e, Loops *loops, IndexUse *use, int rank, int *axis, Span span) {
    if (!loops->has_rest) {
        elab_error(e, span, "'..' is no index of this statement");
        diag_hint(e->diag, "write it on the left too: y[.., o] = ...");
        return fail(loops);
    }
    if (loops->rest_count >= 0 && loops->rest_count != rank) {
        elab_error(e, span, "'..' stands for %d axes here and for %d before", rank,
                   loops->rest_count);
        return fail(loops);
    }
    loops->rest_count = rank;
    for (int i = 0; i < rank; i++) {
        int var = loops->rest_first + i;
        use->at[(*axis)++] = (Affine){.count = 1, .var = {var}, .coef = {1}, .span = span};
    }
    return true;
}

static bool is_dots(const Expr *expr) {
    return expr->kind == EXPR_NAME && !strcmp(expr->text, "..");
}

static bool check_subscripts(Elab *e, Loops *loops, const Expr *expr, Value base, int *rest) {
    int written = expr->in_count - 1, dots = 0;
    for (int i = 1; i < expr->in_count; i++)
        dots += is_dots(expr->in[i]);
    if (base.kind != VALUE_TENSOR || base.step || base.loops) {
        elab_error(e, expr->in[0]->span, "%s takes no indices",
                   base.loops ? "an element" : value_describe(e, base));
        return fail(loops);
    }
    int rank = base.node->shape.rank;
    *rest = rank - (written - dots);
    if (dots <= 1 && (dots == 1 ? *rest >= 0 : *rest == 0)) return true;
    elab_error(e, expr->span, "%d ind%s for %s, which has %d %s", written - dots,
               written - dots == 1 ? "ex" : "ices", shape_text(e, &base.node->shape), rank,
               rank == 1 ? "axis" : "axes");
    elab_note(e, base.from, "it comes from here");
    if (dots == 0 && *rest > 0) diag_hint(e->diag, "one for each axis; .. stands for several");
    return fail(loops);
}

static void collect_use(Elab *e, Scope *scope, Loops *loops, const Expr *expr) {
    Loops *before = e->loops;
    int rest;
    e->loops = NULL;
    Value base = elab_expr(e, scope, expr->in[0]);
    e->loops = before;
    if (value_is_poison(base)) {
        loops->failed = true;
        return;
    }
    base = elab_as_tensor(e, expr->in[0]->span, base);
    if (value_is_poison(base) || !check_subscripts(e, loops, expr, base, &rest)) {
        loops->failed = true;
        return;
    }
    IndexUse *use = ARENA_NEW(e->arena, IndexUse);
    *use = (IndexUse){.expr = expr, .scope = scope, .base = base, .rank = base.node->shape.rank};
    int axis = 0;
    for (int i = 1; i < expr->in_count; i++) {
        if (is_dots(expr->in[i])) {
            if (!collect_rest(e, loops, use, rest, &axis, expr->in[i]->span)) return;
        } else {
            collect_subscript(e, scope, loops, expr->in[i], &use->at[axis++]);
        }
    }
    VEC_PUSH(e->arena, loops->use, use);
}

static void collect_reduction(Elab *e, Scope *scope, Loops *loops, const Expr *expr) {
    Reduction *reduction = ARENA_NEW(e->arena, Reduction);
    reduction->expr = expr;
    reduction->scope = scope_new(e, scope);
    reduction->mask =
        add_indices(e, loops, scope, reduction->scope, expr->index, expr->index_count);
    VEC_PUSH(e->arena, loops->reduction, reduction);
    collect(e, reduction->scope, loops, expr->in[0]);
}

// What a structural condition leaves out is not looked at.
static void collect_if(Elab *e, Scope *scope, Loops *loops, const Expr *expr) {
    if (!mentions_index(scope, expr->in[0])) {
        Value condition = elab_expr(e, scope, expr->in[0]);
        if (condition.kind == VALUE_BOOL) {
            collect(e, scope, loops, expr->in[condition.boolean ? 1 : 2]);
            return;
        }
    }
    for (int i = 0; i < 3; i++)
        collect(e, scope, loops, expr->in[i]);
}

static void collect(Elab *e, Scope *scope, Loops *loops, const Expr *expr) {
    switch (expr->kind) {
    case EXPR_INDEX:
        collect_use(e, scope, loops, expr);
        return;
    case EXPR_REDUCE:
        collect_reduction(e, scope, loops, expr);
        return;
    case EXPR_IF:
        collect_if(e, scope, loops, expr);
        return;
    default:
        for (int i = expr->kind == EXPR_CALL; i < expr->in_count; i++)
            collect(e, scope, loops, expr->in[i]);
    }
}

// --- Ranges

static bool is_plain(const Affine *a) {
    return !a->dynamic && a->count == 1 && a->coef[0] == 1 && dim_equal(a->offset, dim_const(0));
}

static void ranges_from_plain_uses(Elab *e, Loops *loops) {
    for (int u = 0; u < loops->use.count; u++) {
        const IndexUse *use = loops->use.at[u];
        for (int axis = 0; axis < use->rank; axis++) {
            if (!is_plain(&use->at[axis])) continue;
            LoopVar *var = &loops->var[use->at[axis].var[0]];
            Dim extent = use->base.node->shape.dim[axis];
            if (!var->known) {
                set_extent(var, extent, use->expr->span);
            } else if (!loops->failed && !var->written && !dim_equal(var->extent, extent)) {
                elab_error(e, use->at[axis].span,
                           "the index %s runs over %s in %s, but over %s before", var->name,
                           dim_text(e, extent), shape_text(e, &use->base.node->shape),
                           dim_text(e, var->extent));
                elab_note(e, var->from, "%s comes from here", dim_text(e, var->extent));
                elab_note(e, use->base.from, "%s comes from here",
                          shape_text(e, &use->base.node->shape));
                loops->failed = true;
            }
        }
    }
}

// Least and greatest value of an affine form; false where an index has no range yet (but `except`,
// which counts as 0), or a number does not fit.
static bool interval(const Loops *loops, const Affine *a, int except, Dim *low, Dim *high) {
    *low = *high = a->offset;
    for (int i = 0; i < a->count; i++) {
        const LoopVar *var = &loops->var[a->var[i]];
        Dim reach;
        if (a->var[i] == except) continue;
        if (!var->known || !dim_sub(&reach, var->extent, dim_const(1)) ||
            !dim_mul(&reach, reach, dim_const(a->coef[i])))
            return false;
        Dim *end = a->coef[i] > 0 ? high : low;
        if (!dim_add(end, *end, reach)) return false;
    }
    return true;
}

// floor(room / coef) + 1, no step for room < 0; it may hold N where it divides evenly.
static bool steps_in(Dim room, int64_t coef, Dim *count) {
    if (dim_is_const(room)) {
        *count = dim_const(room.c[0] < 0 ? 0 : room.c[0] / coef + 1);
        return true;
    }
    return dim_div(count, room, dim_const(coef)) && dim_add(count, *count, dim_const(1));
}

// The largest range of term `k` with which the use stays in bounds, the others' being known. An
// index that counts backwards has one alone, as in x[7 - i]; beside another it would end where that
// begins, which is a negative stride and never meant.
static bool largest_range(const Loops *loops, const Affine *a, Dim extent, int k, Dim *range) {
    Dim low, high, room;
    int64_t coef = a->coef[k];
    if (!interval(loops, a, a->var[k], &low, &high)) return false;
    if (coef < 0) return a->count == 1 && steps_in(low, -coef, range);
    return dim_sub(&room, extent, dim_const(1)) && dim_sub(&room, room, high) &&
           steps_in(room, coef, range);
}

// One more index with a range, the first that can have one.
static bool range_from_affine_use(Loops *loops) {
    for (int u = 0; u < loops->use.count; u++) {
        const IndexUse *use = loops->use.at[u];
        for (int axis = 0; axis < use->rank; axis++) {
            const Affine *a = &use->at[axis];
            for (int k = 0; k < a->count; k++) {
                LoopVar *var = &loops->var[a->var[k]];
                Dim range;
                if (var->known ||
                    !largest_range(loops, a, use->base.node->shape.dim[axis], k, &range))
                    continue;
                set_extent(var, range, a->span);
                var->use = use;
                var->axis = axis;
                return true;
            }
        }
    }
    return false;
}

static void ranges_from_hint(Loops *loops, const int *order, int count, const Shape *hint,
                             Span span) {
    if (!hint || hint->rank != count) return;
    for (int i = 0; i < count; i++)
        if (!loops->var[order[i]].known) set_extent(&loops->var[order[i]], hint->dim[i], span);
}

static bool check_bounds(Elab *e, Loops *loops, const IndexUse *use, int axis) {
    const Affine *a = &use->at[axis];
    Dim extent = use->base.node->shape.dim[axis], low, high, room;
    if (a->dynamic) return true;
    if (interval(loops, a, -1, &low, &high) && dim_at_least(low, 0) &&
        dim_sub(&room, extent, high) && dim_at_least(room, 1))
        return true;
    const char *from = dim_text(e, low), *to = dim_text(e, high);
    elab_error(e, a->span, "this index %s%s%s%s, but axis %d of %s goes from 0 to %s - 1",
               a->count ? "runs from " : "is ", from, a->count ? " to " : "", a->count ? to : "",
               axis, shape_text(e, &use->base.node->shape), dim_text(e, extent));
    for (int i = 0; i < a->count; i++) {
        const LoopVar *var = &loops->var[a->var[i]];
        elab_note(e, var->from, "%s runs from 0 to %s - 1, from here", var->name,
                  dim_text(e, var->extent));
    }
    diag_hint(e->diag, "an index is never clipped: pad(x, ..) first, or give a smaller range");
    return false;
}

static bool is_backwards(const Loops *loops, int index) {
    for (int u = 0; u < loops->use.count; u++)
        for (int axis = 0; axis < loops->use.at[u]->rank; axis++) {
            const Affine *a = &loops->use.at[u]->at[axis];
            for (int k = 0; k < a->count; k++)
                if (a->var[k] == index && a->coef[k] < 0) return true;
        }
    return false;
}

static const char *room_text(Elab *e, const LoopVar *var) {
    if (!var->use) return "";
    return arena_printf(e->arena, " in axis %d of %s", var->axis,
                        shape_text(e, &var->use->base.node->shape));
}

// A window that is larger than what it moves over, and by how much.
static void report_room(Elab *e, Loops *loops, const LoopVar *var) {
    const Shape *shape = &var->use->base.node->shape;
    const Affine *a = &var->use->at[var->axis];
    Dim low, high, window, extent = shape->dim[var->axis], apart;
    bool known = interval(loops, a, (int)(var - loops->var), &low, &high) &&
                 dim_sub(&window, high, low) && dim_add(&window, window, dim_const(1)) &&
                 dim_sub(&apart, window, extent) && dim_is_const(window) && dim_is_const(apart);
    if (!known) {
        elab_error(e, var->span, "the index %s has no room%s", var->name, room_text(e, var));
        return;
    }
    elab_error(e, var->span, "a window of %s does not fit into axis %d of %s: it is larger by %s",
               dim_text(e, window), var->axis, shape_text(e, shape), dim_text(e, apart));
    elab_note(e, var->use->base.from, "%s comes from here", shape_text(e, shape));
    diag_hint(e->diag, "take a smaller window, pad more, or make less smaller before");
}

static bool check_range(Elab *e, Loops *loops, int index) {
    LoopVar *var = &loops->var[index];
    bool is_rest =
        loops->has_rest && index >= loops->rest_first && index < loops->rest_first + MAX_RANK;
    if (is_rest && index >= loops->rest_first + (loops->rest_count < 0 ? 0 : loops->rest_count))
        return true;
    if (var->known && dim_at_least(var->extent, 1)) return true;
    if (var->known && var->use) {
        report_room(e, loops, var);
    } else if (var->known) {
        elab_error(e, var->span, "the index %s has no range: %s", var->name,
                   dim_text(e, var->extent));
        elab_note(e, var->from, "its range comes from here");
    } else if (loops->use.count == 0) {
        elab_error(e, var->span, "the range of the index %s is not known", var->name);
        diag_hint(e->diag, "nothing here is indexed; the elements of a tensor x are x[%s, ..]",
                  var->name);
    } else {
        elab_error(e, var->span, "the range of the index %s is not known", var->name);
        diag_hint(e->diag,
                  is_backwards(loops, index) ? "it counts backwards: is a stride negative? They are "
                                               "at least 1; else give it: [%s: 3]"
                                             : "give it: [%s: 3]",
                  var->name);
    }
    return false;
}

static void solve(Elab *e, Loops *loops, const int *order, int count, const Shape *hint,
                  Span span) {
    ranges_from_plain_uses(e, loops);
    if (loops->failed) return;
    ranges_from_hint(loops, order, count, hint, span);
    while (range_from_affine_use(loops))
        ;
    for (int i = 0; i < loops->count && !loops->failed; i++)
        loops->failed = !check_range(e, loops, i);
    for (int u = 0; u < loops->use.count && !loops->failed; u++)
        for (int axis = 0; axis < loops->use.at[u]->rank; axis++)
            if (!check_bounds(e, loops, loops->use.at[u], axis)) loops->failed = true;
}

// --- The statement

// The statement's own indices in the order in which they are written.
static int written_order(const Loops *loops, Scope *scope, const IndexName *index, int count,
                         int *order) {
    int total = 0;
    for (int i = 0; i < count; i++) {
        if (!strcmp(index[i].name, "..")) {
            for (int k = 0; k < loops->rest_count; k++)
                order[total++] = loops->rest_first + k;
        } else {
            order[total++] = scope_find(scope, index[i].name)->value.index;
        }
    }
    return total;
}

// From an element to the whole: axes in the order of the left side.
static Value close_loops(Elab *e, Loops *loops, Value value, const int *order, int count,
                         Span span) {
    uint32_t axes = 0;
    int8_t perm[MAX_LOOPS];
    bool sorted = true;
    value = elab_as_tensor(e, span, value);
    if (value_is_poison(value)) return POISON;
    for (int i = 0; i < count; i++)
        axes |= 1u << order[i];
    for (int i = 0; i < count; i++) {
        perm[i] = (int8_t)loops_axis(axes, order[i]);
        sorted &= perm[i] == i;
    }
    if (!value.loops && value.node->shape.rank > 0) {
        if (count == 0) return value;
        elab_error(e, span, "this is a whole %s, an element is wanted", value_describe(e, value));
        return POISON;
    }
    if (value.loops && value.loops != loops) {
        elab_error(e, span, "an element of another index notation");
        return POISON;
    }
    const Node *node = loops_align(e, loops, value.node, value.loops ? value.axes : 0, axes);
    if (!node) return POISON;
    return value_tensor(sorted ? node : node_permute(e->graph, node, perm));
}

Value elab_indexed(Elab *e, Scope *scope, const IndexName *index, int count, const Expr *body,
                   const Shape *hint, Span span) {
    Loops *loops = ARENA_NEW(e->arena, Loops), *outer = e->loops;
    Scope *inner = scope_new(e, scope);
    int order[MAX_LOOPS + MAX_RANK];
    e->not_pointwise = true;
    add_indices(e, loops, scope, inner, index, count);
    e->loops = loops;
    if (!loops->failed) collect(e, inner, loops, body);
    Value value = POISON;
    if (!loops->failed) {
        int total = written_order(loops, inner, index, count, order);
        if (total > MAX_RANK) {
            elab_error(e, span, "a tensor has at most %d axes", MAX_RANK);
        } else {
            solve(e, loops, order, total, hint, span);
            if (!loops->failed) value = elab_expr(e, inner, body);
            if (!value_is_poison(value)) value = close_loops(e, loops, value, order, total, span);
        }
    }
    e->loops = outer;
    value.from = span;
    return value;
}

Value elab_access(Elab *e, Scope *scope, const Expr *expr) {
    if (!e->loops) return elab_indexed(e, scope, NULL, 0, expr, NULL, expr->span);
    const IndexUse *use = loops_use(e->loops, expr);
    return use ? access_gather(e, e->loops, use) : POISON;
}
