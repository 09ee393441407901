// SPDX-License-Identifier: MIT
// A small constant matrix times a vector of C values, as statements with few operations:
//
//     transform_print(out, &m, in, "h", 2);   // const V h0 = d0 - 2.5f * d2 + d4; ..
//
// Winograd's points come in pairs, p and -p, so that rows of a matrix come in pairs whose
// coefficients are equal but for some signs: their common part and the rest are computed once, and
// the rows are the sum and the difference. Of the transposed matrices the columns come in pairs:
// their sum and difference take the place of the two.
#include "emit/transform.h"

#include <math.h>

typedef struct Term {
    const char *name;
    double row[WINO_PATCH]; // its coefficient in each row
} Term;

typedef struct Terms {
    int count;
    Term at[WINO_PATCH];
} Terms;

// All of y is x, or minus x; at least one of each kind, as far as they are not zero.
static bool are_paired(const double *x, const double *y, int count) {
    bool same = false, opposite = false;
    for (int i = 0; i < count; i++) {
        if (x[i] != y[i] && x[i] != -y[i]) return false;
        same |= x[i] == y[i] && x[i] != 0;
        opposite |= x[i] == -y[i] && x[i] != 0;
    }
    return same && opposite;
}

static void take_column(const WinoMatrix *m, int column, double *to) {
    for (int i = 0; i < WINO_PATCH; i++)
        to[i] = i < m->rows ? m->at[i][column] : 0;
}

static void declare(const Printing *p, const char *name, const char *text) {
    print_indent(p->out, p->depth);
    buf_printf(p->out, "const %s %s = %s;\n", p->type, name, text);
}

// The sum and the difference of two inputs whose columns are paired.
static void add_pair(const Printing *p, const char *const *in, int column, const double *x,
                     const double *y, Terms *terms) {
    Arena *arena = p->out->arena;
    Term sum = {.name = arena_printf(arena, "%s_s%d", p->prefix, column)};
    Term difference = {.name = arena_printf(arena, "%s_d%d", p->prefix, column)};
    for (int i = 0; i < WINO_PATCH; i++) {
        sum.row[i] = x[i] == y[i] ? x[i] : 0;
        difference.row[i] = x[i] == y[i] ? 0 : x[i];
    }
    declare(p, sum.name, arena_printf(arena, "%s + %s", in[column], in[column + 1]));
    declare(p, difference.name, arena_printf(arena, "%s - %s", in[column], in[column + 1]));
    terms->at[terms->count++] = sum;
    terms->at[terms->count++] = difference;
}

static Terms terms_of(const Printing *p, const WinoMatrix *m, const char *const *in) {
    Terms terms = {0};
    for (int column = 0; column < m->columns; column++) {
        double x[WINO_PATCH], y[WINO_PATCH];
        take_column(m, column, x);
        if (column + 1 < m->columns) take_column(m, column + 1, y);
        if (column + 1 < m->columns && are_paired(x, y, m->rows)) {
            add_pair(p, in, column++, x, y, &terms);
            continue;
        }
        Term *term = &terms.at[terms.count++];
        term->name = in[column];
        for (int i = 0; i < WINO_PATCH; i++)
            term->row[i] = x[i];
    }
    return terms;
}

static void add_term(Buf *out, const char *name, double coefficient) {
    bool first = out->length == 0;
    if (coefficient == 0) return;
    buf_add(out, coefficient < 0 ? (first ? "-" : " - ") : (first ? "" : " + "));
    if (fabs(coefficient) == 1)
        buf_add(out, name);
    else
        buf_printf(out, "%.9ef * %s", fabs(coefficient), name);
}

// The sum over the terms with these coefficients; a plain positive one first, so that the others
// are fused into it.
static const char *sum_of(Arena *arena, const Terms *terms, const double *coefficient) {
    Buf text = buf_new(arena);
    int first = -1;
    for (int i = 0; i < terms->count && first < 0; i++)
        if (coefficient[i] == 1) first = i;
    if (first >= 0) add_term(&text, terms->at[first].name, 1);
    for (int i = 0; i < terms->count; i++)
        if (i != first) add_term(&text, terms->at[i].name, coefficient[i]);
    return text.text;
}

static const char *out_name(const Printing *p, int row) {
    return arena_printf(p->out->arena, "%s%d", p->prefix, row);
}

static void print_row_pair(const Printing *p, const Terms *terms, int row, const double *x,
                           const double *y) {
    Arena *arena = p->out->arena;
    const char *even = arena_printf(arena, "%s_e%d", p->prefix, row);
    const char *odd = arena_printf(arena, "%s_o%d", p->prefix, row);
    double same[WINO_PATCH] = {0}, opposite[WINO_PATCH] = {0};
    for (int i = 0; i < terms->count; i++)
        *(x[i] == y[i] ? &same[i] : &opposite[i]) = x[i];
    declare(p, even, sum_of(arena, terms, same));
    declare(p, odd, sum_of(arena, terms, opposite));
    declare(p, out_name(p, row), arena_printf(arena, "%s + %s", even, odd));
    declare(p, out_name(p, row + 1), arena_printf(arena, "%s - %s", even, odd));
}

void transform_print(const Printing *p, const WinoMatrix *m, const char *const *in) {
    Terms terms = terms_of(p, m, in);
    double row[WINO_PATCH + 1][WINO_PATCH] = {{0}};
    for (int i = 0; i < m->rows; i++)
        for (int t = 0; t < terms.count; t++)
            row[i][t] = terms.at[t].row[i];
    for (int i = 0; i < m->rows; i++) {
        if (i + 1 < m->rows && are_paired(row[i], row[i + 1], terms.count)) {
            print_row_pair(p, &terms, i, row[i], row[i + 1]);
            i++;
        } else {
            declare(p, out_name(p, i), sum_of(p->out->arena, &terms, row[i]));
        }
    }
}
