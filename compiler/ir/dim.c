// SPDX-License-Identifier: MIT
// Polynomials in N with 64-bit coefficients, every operation checked for overflow.
#include "ir/dim.h"
#include "support/diag.h"

#include <string.h>

Dim dim_const(int64_t value) { return (Dim){{value}}; }

Dim dim_batch(void) { return (Dim){{0, 1}}; }

static int degree(Dim dim) {
    int degree = DIM_DEGREE;
    while (degree > 0 && dim.c[degree] == 0)
        degree--;
    return degree;
}

// Nearly all extents are constants.
static bool is_const(const Dim *dim) {
    int64_t upper = 0;
    for (int i = 1; i <= DIM_DEGREE; i++)
        upper |= dim->c[i];
    return upper == 0;
}

bool dim_is_const(Dim dim) { return is_const(&dim); }

bool dim_is_one(Dim dim) { return dim_is_const(dim) && dim.c[0] == 1; }

bool dim_equal(Dim a, Dim b) { return !memcmp(a.c, b.c, sizeof a.c); }

int64_t dim_eval(Dim dim, int64_t n) {
    int64_t value = 0;
    if (is_const(&dim)) return dim.c[0];
    for (int i = degree(dim); i >= 0; i--)
        if (__builtin_mul_overflow(value, n, &value) ||
            __builtin_add_overflow(value, dim.c[i], &value))
            bug("an extent does not fit 64 bits at N = %lld", (long long)n);
    return value;
}

bool dim_add(Dim *sum, Dim a, Dim b) {
    for (int i = 0; i <= DIM_DEGREE; i++)
        if (__builtin_add_overflow(a.c[i], b.c[i], &sum->c[i])) return false;
    return true;
}

bool dim_sub(Dim *difference, Dim a, Dim b) {
    for (int i = 0; i <= DIM_DEGREE; i++)
        if (__builtin_sub_overflow(a.c[i], b.c[i], &difference->c[i])) return false;
    return true;
}

bool dim_mul(Dim *product, Dim a, Dim b) {
    Dim result = {0};
    if (is_const(&a) && is_const(&b)) {
        if (__builtin_mul_overflow(a.c[0], b.c[0], &result.c[0])) return false;
        *product = result;
        return true;
    }
    for (int i = 0; i <= DIM_DEGREE; i++) {
        for (int j = 0; j <= DIM_DEGREE; j++) {
            int64_t term;
            if (a.c[i] == 0 || b.c[j] == 0) continue;
            if (i + j > DIM_DEGREE || __builtin_mul_overflow(a.c[i], b.c[j], &term) ||
                __builtin_add_overflow(result.c[i + j], term, &result.c[i + j]))
                return false;
        }
    }
    *product = result;
    return true;
}

// Long division from the highest power down; every step and the rest have to come out even.
bool dim_div(Dim *quotient, Dim a, Dim b) {
    int divisor_degree = degree(b);
    int64_t lead = b.c[divisor_degree];
    Dim result = {0}, rest = a;
    if (lead == 0) return false;
    if (is_const(&a) && divisor_degree == 0 && lead > 0) {
        if (a.c[0] % lead) return false;
        *quotient = dim_const(a.c[0] / lead);
        return true;
    }
    for (int i = DIM_DEGREE; i >= divisor_degree; i--) {
        bool overflow = lead == -1 && rest.c[i] == INT64_MIN;
        if (overflow || rest.c[i] % lead != 0) return false;
        Dim term = {0}, part;
        term.c[i - divisor_degree] = rest.c[i] / lead;
        if (!dim_mul(&part, term, b) || !dim_sub(&rest, rest, part)) return false;
        result.c[i - divisor_degree] = term.c[i - divisor_degree];
    }
    if (!dim_equal(rest, (Dim){0})) return false;
    *quotient = result;
    return true;
}

// With n = 1 + m the polynomial is one in m >= 0: it is at least its constant part where no other
// coefficient is negative. Exact for degree 0 and 1.
bool dim_at_least(Dim dim, int64_t least) {
    Dim shifted = dim; // Taylor shift by repeated synthetic division
    for (int i = 0; i < DIM_DEGREE; i++)
        for (int j = DIM_DEGREE - 1; j >= i; j--)
            if (__builtin_add_overflow(shifted.c[j], shifted.c[j + 1], &shifted.c[j])) return false;
    for (int i = 1; i <= DIM_DEGREE; i++)
        if (shifted.c[i] < 0) return false;
    return shifted.c[0] >= least;
}

static void print_term(Buf *out, uint64_t factor, int power) {
    if (factor != 1 || power == 0) buf_printf(out, "%llu", (unsigned long long)factor);
    if (factor != 1 && power > 0) buf_add(out, "*");
    if (power > 0) buf_add(out, "N");
    if (power > 1) buf_printf(out, "^%d", power);
}

void dim_print(Buf *out, Dim dim) {
    bool first = true;
    for (int i = DIM_DEGREE; i >= 0; i--) {
        int64_t c = dim.c[i];
        if (c == 0) continue;
        buf_add(out, first ? (c < 0 ? "-" : "") : (c < 0 ? " - " : " + "));
        print_term(out, c < 0 ? 0 - (uint64_t)c : (uint64_t)c, i);
        first = false;
    }
    if (first) buf_add(out, "0");
}

// --- Shapes

Shape shape_of(int rank, const Dim *dims) {
    if (rank < 0 || rank > MAX_RANK) bug("a shape of %d axes", rank);
    Shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dim[i] = dims[i];
    return shape;
}

bool shape_equal(const Shape *a, const Shape *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (!dim_equal(a->dim[i], b->dim[i])) return false;
    return true;
}

bool shape_size(Dim *size, const Shape *shape) {
    Dim product = dim_const(1);
    for (int i = 0; i < shape->rank; i++)
        if (!dim_mul(&product, product, shape->dim[i])) return false;
    *size = product;
    return true;
}

int64_t shape_eval(const Shape *shape, int64_t n) {
    int64_t size = 1;
    for (int i = 0; i < shape->rank; i++)
        if (__builtin_mul_overflow(size, dim_eval(shape->dim[i], n), &size))
            bug("a tensor's size does not fit 64 bits at N = %lld", (long long)n);
    return size;
}

void shape_print(Buf *out, const Shape *shape) {
    buf_add(out, "[");
    for (int i = 0; i < shape->rank; i++) {
        if (i) buf_add(out, ", ");
        dim_print(out, shape->dim[i]);
    }
    buf_add(out, "]");
}
