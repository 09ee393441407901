// SPDX-License-Identifier: MIT
// The derivative of a contraction, which is a contraction. With respect to operand a, indexed by p:
//
//     z[i..] = sum[j..] a[access(i, j)] * b[access(i, j)]
//     da[p..] = sum over the i, j for which a's accesses are p, of dz[i..] * b[access(i, j)]
//
// So an axis of `a` read at a bare index names that index: it becomes p. An axis read at
// (c0*i + c1*j + o) / d is solved for one of its indices: i = (d*p - c1*j - o) / c0, again an
// access, which takes i's place where dz and b read it. An example, a convolution of stride 2:
//
//     z[n, o, y] = sum[c, r] x[n, c, 2*y + r] * w[o, c, r]
//     dx[n, c, p] = sum[o, r] dz[n, o, (p - r) / 2] * w[o, c, r]
//     dw[o, c, r] = sum[n, y] dz[n, o, y] * x[n, c, 2*y + r]
//
// What cannot be solved so (a diagonal a[i, i], an index wanted twice) is summed for each place of
// the loops that `a` sees, and scattered. Both are right for every contraction; the second is slow.
#include "pass/adjoint.h"

enum { MAX_LOOPS = 2 * MAX_RANK };

typedef struct Contraction { // z, seen from the operand that is differentiated
    const Node *z;
    const Node *own, *other;
    const Access *own_access, *other_access;
    int loops;
    Dim range[MAX_LOOPS]; // of the loop indices: z's axes, then the summed ones
} Contraction;

typedef enum Role {
    LOOP_SUMMED, // stays a loop, to be summed over
    LOOP_AXIS,   // is an axis of the operand
    LOOP_SOLVED, // is worked out from an axis of the operand
} Role;

typedef struct Solution {
    Role role[MAX_LOOPS];
    int axis[MAX_LOOPS];     // AXIS, SOLVED: of the operand
    int slot[MAX_LOOPS];     // SOLVED: which index of the axis's access
    Access by[MAX_LOOPS];    // what takes the index's place, in terms of the loops of the result
    Dim out[MAX_RANK];       // the axes of the result
    int32_t zeros[MAX_RANK]; // that follow, up to the operand's extents
} Solution;

static Access plain(int index) { return (Access){{(int8_t)index, -1}, {1, 0}, 0, 1}; }

static bool is_plain(const Access *a) {
    return a->index[0] >= 0 && a->index[1] < 0 && a->coef[0] == 1 && a->offset == 0 &&
           a->divisor == 1;
}

static bool mentions(const Access *a, int index) {
    return a->index[0] == index || a->index[1] == index;
}

// Whether a <= b for every N, as far as it shows.
static bool at_most(Dim a, Dim b) {
    Dim d;
    return dim_sub(&d, b, a) && dim_at_least(d, 0);
}

static Contraction contraction_of(const Node *z, int operand) {
    const ContractAttr *attr = z->attr->contract;
    Contraction c = {.z = z, .own = z->in[operand], .other = z->in[!operand]};
    c.own_access = operand ? attr->b : attr->a;
    c.other_access = operand ? attr->a : attr->b;
    for (int i = 0; i < z->shape.rank; i++)
        c.range[c.loops++] = z->shape.dim[i];
    for (int i = 0; i < attr->summed; i++)
        c.range[c.loops++] = attr->extent[i];
    return c;
}

// --- Solving

// An axis of the operand that is read at a bare index is that index, as far as the index goes.
static bool name_axis(Solution *s, const Contraction *c, int axis) {
    int index = c->own_access[axis].index[0];
    Dim extent = c->own->shape.dim[axis], rest;
    if (s->role[index] != LOOP_SUMMED) return false;
    s->role[index] = LOOP_AXIS;
    s->axis[index] = axis;
    s->by[index] = plain(axis);
    s->out[axis] = extent;
    if (at_most(extent, c->range[index])) return true;
    if (!dim_sub(&rest, extent, c->range[index]) || !dim_is_const(rest) || rest.c[0] < 0 ||
        rest.c[0] > INT32_MAX)
        return false;
    s->out[axis] = c->range[index];
    s->zeros[axis] = (int32_t)rest.c[0];
    return true;
}

// Whether an expression may take the index's place: it is read by one access of the operand, and
// elsewhere bare. That keeps it in its range, dz and an axis that a summed index runs along being
// zero outside.
static bool can_solve(const Solution *s, const Contraction *c, int index) {
    if (index < 0 || s->role[index] != LOOP_SUMMED) return false;
    int own = 0;
    for (int i = 0; i < c->own->shape.rank; i++)
        own += mentions(&c->own_access[i], index);
    for (int i = 0; i < c->other->shape.rank; i++)
        if (mentions(&c->other_access[i], index) && !is_plain(&c->other_access[i])) return false;
    return own == 1;
}

// Which of an access's two indices to solve for, or -1. One of z's own first: that leaves the
// summed ones, a filter's taps, to be summed.
static int slot_to_solve(const Solution *s, const Contraction *c, const Access *a) {
    if (a->index[0] == a->index[1]) return -1;
    for (int k = 0; k < 2; k++)
        if (a->index[k] < c->z->shape.rank && can_solve(s, c, a->index[k])) return k;
    for (int k = 0; k < 2; k++)
        if (can_solve(s, c, a->index[k])) return k;
    return -1;
}

static bool solve_axis(Solution *s, const Contraction *c, int axis) {
    const Access *a = &c->own_access[axis];
    s->out[axis] = c->own->shape.dim[axis];
    if (a->index[0] < 0 && a->index[1] < 0) return dim_is_one(s->out[axis]) && a->offset == 0;
    int slot = slot_to_solve(s, c, a);
    if (slot < 0) return false;
    s->role[a->index[slot]] = LOOP_SOLVED;
    s->axis[a->index[slot]] = axis;
    s->slot[a->index[slot]] = slot;
    return true;
}

static int64_t gcd(int64_t a, int64_t b) {
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// i from (c*i + c1*j + o) / d = p: (d*p - c1*j - o) / c, its divisor positive, in lowest terms.
static Access solved(const Solution *s, const Contraction *c, int index) {
    const Access *a = &c->own_access[s->axis[index]];
    int slot = s->slot[index], partner = a->index[!slot];
    int32_t sign = a->coef[slot] < 0 ? -1 : 1;
    int32_t other = partner < 0 ? 0 : a->coef[!slot];
    int32_t common = (int32_t)gcd(gcd(a->coef[slot], a->divisor), gcd(other, a->offset)) * sign;
    Access r = plain(s->axis[index]);
    r.coef[0] = a->divisor / common;
    r.offset = -a->offset / common;
    r.divisor = a->coef[slot] / common;
    if (partner >= 0) {
        r.index[1] = s->by[partner].index[0];
        r.coef[1] = -other / common;
    }
    return r;
}

static bool solve(Solution *s, const Contraction *c) {
    for (int i = 0; i < c->own->shape.rank; i++)
        if (is_plain(&c->own_access[i]) && !name_axis(s, c, i)) return false;
    for (int i = 0; i < c->own->shape.rank; i++)
        if (!is_plain(&c->own_access[i]) && !solve_axis(s, c, i)) return false;
    int next = c->own->shape.rank;
    for (int i = 0; i < c->loops; i++)
        if (s->role[i] == LOOP_SUMMED) s->by[i] = plain(next++);
    for (int i = 0; i < c->loops; i++)
        if (s->role[i] == LOOP_SOLVED) s->by[i] = solved(s, c, i);
    return next - c->own->shape.rank <= MAX_RANK;
}

// --- Building

// `a` with its indices replaced: a bare one by anything, those of an expression by other bare ones.
static Access replaced(const Access *a, const Access *by) {
    if (is_plain(a)) return by[a->index[0]];
    Access r = *a;
    for (int k = 0; k < 2; k++)
        if (a->index[k] >= 0) r.index[k] = by[a->index[k]].index[0];
    return r;
}

// The contraction of z's adjoint with the other operand, over the loops that `summed` names.
static const Node *contract_with(Graph *graph, const Contraction *c, const Node *adjoint,
                                 const Access *by, const bool *summed, Shape out) {
    ContractAttr attr = {0};
    for (int i = 0; i < c->loops; i++)
        if (summed[i]) attr.extent[attr.summed++] = c->range[i];
    for (int i = 0; i < adjoint->shape.rank; i++)
        attr.a[i] = by[i];
    for (int i = 0; i < c->other->shape.rank; i++)
        attr.b[i] = replaced(&c->other_access[i], by);
    return node_contract(graph, adjoint, c->other, &attr, out);
}

static const Node *adjoint_solved(Graph *graph, const Contraction *c, const Solution *s,
                                  const Node *adjoint) {
    bool summed[MAX_LOOPS] = {0}, short_of = false;
    PadAxis pad[MAX_RANK] = {{0}};
    for (int i = 0; i < c->loops; i++)
        summed[i] = s->role[i] == LOOP_SUMMED;
    for (int i = 0; i < c->own->shape.rank; i++) {
        pad[i].high = s->zeros[i];
        short_of |= s->zeros[i] > 0;
    }
    const Node *sum =
        contract_with(graph, c, adjoint, s->by, summed, shape_of(c->own->shape.rank, s->out));
    return short_of ? node_pad(graph, sum, pad, 0) : sum;
}

// --- The slow way: a sum for each place of the loops that the operand sees, added up where it is
// read

static Dim product_of(Dim a, Dim b) {
    Dim d;
    if (!dim_mul(&d, a, b)) bug("grad: an extent does not fit");
    return d;
}

static const Node *integer(Graph *graph, int64_t value) {
    return node_const(graph, DT_I32, (double)value);
}

static const Node *extent_node(Graph *graph, Dim extent) {
    if (dim_is_const(extent)) return integer(graph, extent.c[0]);
    return node_cast(graph, DT_I32, node_size(graph, extent));
}

// coef[0]*index[0] + coef[1]*index[1] + offset, for each place of `loops`, whose axis place[i] is
// loop i.
static const Node *position(Graph *graph, const Access *a, const int *place, Shape loops) {
    const Node *sum = node_fill(graph, DT_I32, a->offset, loops);
    for (int k = 0; k < 2; k++) {
        if (a->index[k] < 0) continue;
        const Node *term = node_binary(graph, OP_mul, node_iota(graph, place[a->index[k]], loops),
                                       integer(graph, a->coef[k]));
        sum = node_binary(graph, OP_add, sum, term);
    }
    return sum;
}

// Where each place of `loops` reads the operand, row-major in `grid`; -1: nowhere. The grid has
// each axis `divisor` times as long, so that what is between two elements falls between them.
static const Node *flat_position(Graph *graph, const Contraction *c, const int *place, Shape loops,
                                 const Shape *grid) {
    const Node *flat = node_fill(graph, DT_I32, 0, loops);
    const Node *inside = node_fill(graph, DT_BOOL, 1, loops);
    for (int i = 0; i < grid->rank; i++) {
        const Node *extent = extent_node(graph, grid->dim[i]);
        const Node *at = position(graph, &c->own_access[i], place, loops);
        inside =
            node_binary(graph, OP_and, inside, node_binary(graph, OP_ge, at, integer(graph, 0)));
        inside = node_binary(graph, OP_and, inside, node_binary(graph, OP_lt, at, extent));
        flat = node_binary(graph, OP_add, node_binary(graph, OP_mul, flat, extent), at);
    }
    return node_select(graph, inside, flat, integer(graph, -1));
}

static const Node *adjoint_scattered(Graph *graph, const Contraction *c, const Node *adjoint) {
    Shape loops = {0}, grid = c->own->shape;
    int place[MAX_LOOPS];
    Access by[MAX_LOOPS];
    bool seen[MAX_LOOPS] = {0}, summed[MAX_LOOPS];
    SliceAxis slice[MAX_RANK] = {{0}};
    for (int i = 0; i < grid.rank; i++) {
        const Access *a = &c->own_access[i];
        for (int k = 0; k < 2; k++)
            if (a->index[k] >= 0) seen[a->index[k]] = true;
        grid.dim[i] = product_of(grid.dim[i], dim_const(a->divisor));
        slice[i].step = a->divisor;
    }
    for (int i = 0; i < c->loops; i++) {
        summed[i] = !seen[i];
        if (seen[i] && loops.rank == MAX_RANK)
            bug("grad: a contraction's operand is read at more than %d indices", MAX_RANK);
        if (seen[i]) loops.dim[place[i] = loops.rank++] = c->range[i];
    }
    for (int i = 0, next = loops.rank; i < c->loops; i++)
        by[i] = plain(seen[i] ? place[i] : next++);
    const Node *rows = contract_with(graph, c, adjoint, by, summed, loops);
    Dim places;
    if (!shape_size(&places, &grid)) bug("grad: an extent does not fit");
    const Node *index = flat_position(graph, c, place, loops, &grid);
    const Node *sums = node_reshape(graph, node_scatter_add(graph, index, rows, places), grid);
    return node_slice(graph, sums, slice, c->own->shape);
}

const Node *contract_adjoint(Graph *graph, const Node *z, int input, const Node *adjoint) {
    Contraction c = contraction_of(z, input);
    Solution s = {0};
    return solve(&s, &c) ? adjoint_solved(graph, &c, &s, adjoint)
                         : adjoint_scattered(graph, &c, adjoint);
}
