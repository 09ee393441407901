// SPDX-License-Identifier: MIT
// Follows indices down through movements: see view.h.
//
// Each axis of the node at hand has a form, a constant and a sum of digits with coefficients. At
// first every axis of the view is one digit. Where a reshape wants a part of one, that digit is cut
// in two and the walk begins again.
#include "pass/view.h"

#include <string.h>

enum { DIGITS = 20 };

typedef struct Form {
    int64_t constant;
    int count;
    struct {
        int digit;
        int64_t coefficient;
    } term[DIGITS]; // outermost digit first
} Form;

typedef struct Finder {
    int64_t batch;
    int count;
    struct {
        Dim extent;
        int axis;    // of the view
    } digit[DIGITS]; // of each axis outermost first
    int cut;         // the digit that a reshape wants a part of, the inner `part`; -1: none
    Dim part;
} Finder;

static Form scaled(Form form, int64_t factor, int64_t constant) {
    form.constant = form.constant * factor + constant;
    for (int i = 0; i < form.count; i++)
        form.term[i].coefficient *= factor;
    return form;
}

static Form sum(Form a, Form b) {
    a.constant += b.constant;
    for (int i = 0; i < b.count && a.count < DIGITS; i++)
        a.term[a.count++] = b.term[i];
    return a;
}

// --- Reshapes

// Is the form just its axis, cut into digits in their order?
static bool is_whole(const Finder *f, const Form *form, Dim extent) {
    Dim rest = extent;
    if (form->constant != 0) return false;
    for (int i = 0; i < form->count; i++) {
        if (!dim_div(&rest, rest, f->digit[form->term[i].digit].extent)) return false;
        if (!dim_is_const(rest) || dim_eval(rest, 1) != form->term[i].coefficient) return false;
    }
    return dim_is_one(rest);
}

// Takes the digits of an axis of this extent from the end of `from`.
static bool take_axis(Finder *f, Form *from, Dim extent, Form *form) {
    Dim whole = dim_const(1), rest;
    *form = (Form){0};
    while (!dim_equal(whole, extent)) {
        Dim need;
        if (from->count == 0 || !dim_is_const(whole) || !dim_div(&need, extent, whole))
            return false;
        int digit = from->term[from->count - 1].digit;
        if (!dim_div(&rest, need, f->digit[digit].extent)) {
            if (dim_div(&rest, f->digit[digit].extent, need)) f->cut = digit, f->part = need;
            return false;
        }
        from->count--;
        memmove(&form->term[1], &form->term[0], sizeof form->term[0] * (size_t)form->count++);
        form->term[0].digit = digit;
        form->term[0].coefficient = dim_eval(whole, 1);
        if (!dim_mul(&whole, whole, f->digit[digit].extent)) return false;
    }
    return true;
}

// The reshape's output axes o .. o_end - 1 are its input axes i .. i_end - 1.
static bool regroup(Finder *f, const Node *node, const Form *at, int o, int o_end, int i, int i_end,
                    Form *into) {
    const Shape *in = &node->in[0]->shape;
    if (o_end - o == 1 && i_end - i == 1) {
        into[i] = at[o];
        return true;
    }
    Form all = {0};
    for (int axis = o; axis < o_end; axis++) {
        if (!is_whole(f, &at[axis], node->shape.dim[axis])) return false;
        all = sum(all, at[axis]);
    }
    for (int axis = i_end - 1; axis >= i; axis--)
        if (!take_axis(f, &all, in->dim[axis], &into[axis])) return false;
    return all.count == 0;
}

// Axes of both sides that stand for the same elements, as few at a time as there can be.
static bool reshape(Finder *f, const Node *node, const Form *at, Form *into) {
    const Shape *in = &node->in[0]->shape, *out = &node->shape;
    int o = 0, i = 0;
    while (o < out->rank || i < in->rank) {
        int o_end = o, i_end = i;
        Dim left = dim_const(1), right = dim_const(1);
        do {
            bool more_left =
                dim_eval(left, f->batch) < dim_eval(right, f->batch) || i_end == in->rank;
            if (o_end == o && o < out->rank) more_left = true;
            if (more_left ? o_end == out->rank : i_end == in->rank) return false;
            if (more_left ? !dim_mul(&left, left, out->dim[o_end++])
                          : !dim_mul(&right, right, in->dim[i_end++]))
                return false;
        } while (!dim_equal(left, right) || (i_end == i && i < in->rank));
        if (!regroup(f, node, at, o, o_end, i, i_end, into)) return false;
        o = o_end, i = i_end;
    }
    return true;
}

// --- The walk

// The forms of the node's input from those of the node; false where the walk ends here.
static bool move(Finder *f, const Node *node, const Form *at, Form *into) {
    const Attr *attr = node->attr;
    int rank = node->shape.rank, kept = 0;
    switch (node->op) {
    case OP_cast: // from bf16, which whoever reads it widens
        if (node->in[0]->dtype != DT_BF16) return false;
        memcpy(into, at, sizeof *at * MAX_RANK);
        return true;
    case OP_stop:
    case OP_again:
        memcpy(into, at, sizeof *at * MAX_RANK);
        return true;
    case OP_reshape:
        return reshape(f, node, at, into);
    case OP_permute:
        for (int axis = 0; axis < rank; axis++)
            into[attr->perm[axis]] = at[axis];
        return true;
    case OP_broadcast:
        for (int axis = 0; axis < rank; axis++)
            if (!(attr->axes >> axis & 1)) into[kept++] = at[axis];
        return true;
    case OP_slice:
        for (int axis = 0; axis < rank; axis++)
            into[axis] = scaled(at[axis], attr->slice[axis].step, attr->slice[axis].start);
        return true;
    case OP_flip:
        for (int axis = 0; axis < rank; axis++) {
            bool flipped = attr->axes >> axis & 1;
            if (flipped && !dim_is_const(node->shape.dim[axis])) return false;
            into[axis] =
                flipped ? scaled(at[axis], -1, dim_eval(node->shape.dim[axis], 1) - 1) : at[axis];
        }
        return true;
    case OP_window:
        for (int axis = 0; axis + 1 < rank; axis++)
            into[axis] = at[axis + (axis > attr->window.axis)];
        into[attr->window.axis] = sum(scaled(at[attr->window.axis], attr->window.stride, 0),
                                      scaled(at[attr->window.axis + 1], attr->window.dilation, 0));
        return true;
    default:
        return false;
    }
}

static View finish(const Finder *f, const Node *base, const Form *at) {
    View view = {.base = base};
    int64_t stride = 1, by_digit[DIGITS] = {0};
    for (int axis = base->shape.rank - 1; axis >= 0; axis--) {
        view.offset += at[axis].constant * stride;
        for (int i = 0; i < at[axis].count; i++)
            by_digit[at[axis].term[i].digit] += at[axis].term[i].coefficient * stride;
        stride *= dim_eval(base->shape.dim[axis], f->batch);
    }
    for (int i = 0; i < f->count; i++) {
        IndexWalk *walk = &view.axis[f->digit[i].axis];
        index_walk_add(walk, f->digit[i].extent, by_digit[i]);
    }
    return view;
}

static View walk(Finder *f, const Node *node, const Node *stop) {
    Form at[MAX_RANK] = {{0}}, into[MAX_RANK] = {{0}};
    for (int i = 0; i < f->count; i++) { // digits of one axis, the innermost last
        Form *form = &at[f->digit[i].axis];
        Dim inner = dim_const(1);
        for (int k = i + 1; k < f->count; k++)
            if (f->digit[k].axis == f->digit[i].axis && !dim_mul(&inner, inner, f->digit[k].extent))
                bug("extent of a view overflows");
        form->term[form->count].digit = i;
        form->term[form->count++].coefficient = dim_eval(inner, f->batch);
    }
    f->cut = -1;
    while (node != stop && move(f, node, at, into)) {
        node = node->in[0];
        memcpy(at, into, sizeof at);
    }
    return finish(f, node, at);
}

static void cut_digit(Finder *f) {
    int at = f->cut;
    memmove(&f->digit[at + 1], &f->digit[at], sizeof f->digit[0] * (size_t)(f->count++ - at));
    if (!dim_div(&f->digit[at].extent, f->digit[at].extent, f->part))
        bug("a digit is cut unevenly");
    f->digit[at + 1].extent = f->part;
}

View view_find(const Node *node, const Node *stop, int64_t batch) {
    Finder f = {.batch = batch};
    for (int axis = 0; axis < node->shape.rank; axis++) {
        if (dim_is_one(node->shape.dim[axis])) continue;
        f.digit[f.count].extent = node->shape.dim[axis];
        f.digit[f.count++].axis = axis;
    }
    View view = walk(&f, node, stop);
    while (f.cut >= 0 && f.count < DIGITS && dim_is_const(f.part)) {
        cut_digit(&f);
        view = walk(&f, node, stop);
    }
    return view;
}

void index_walk_add(IndexWalk *walk, Dim extent, int64_t stride) {
    if (dim_is_one(extent)) return;
    if (walk->count == WALK_STEPS) bug("a view of too many steps");
    walk->at[walk->count].extent = extent;
    walk->at[walk->count++].stride = stride;
}
