// SPDX-License-Identifier: MIT
// One register block as a C function. Its accumulators are variables of their own, since compilers
// keep those in registers where they put an array to memory:
//
//     for (int k0 = 0; k0 < 128; k0++, a += 1, b += 128) {
//         const nnc_v16 b0 = *(const nnc_v16 *)(b + 0);
//         const nnc_v16 b1 = *(const nnc_v16 *)(b + 16);
//         { const float x = a[0]; c0_0 += x * b0, c0_1 += x * b1; }
//         { const float x = a[128]; c1_0 += x * b0, c1_1 += x * b1; }
//     }
//
// Each output is one chain of fused steps in ascending k, whatever block it is in, so its bits do
// not depend on how rows and columns are cut. In the dot form it is a chain for each lane, and one
// tree at the end.
#include "emit/gemm.h"
#include "emit/nest.h"

#include <string.h>

typedef struct Printer {
    Buf *out;
    const Tiling *tiling;
    const Block *block;
    int64_t row[SIDES], column[SIDES]; // strides; rows of a flat tiling have row_at
    int64_t ahead[2];                  // to the same elements of the next step or panel
} Printer;

static const Digit *last(const Digits *digits) { return &digits->at[digits->count - 1]; }

// --- Operands that are kept as bf16

static bool is_bf16(const Tiling *tiling, Side side) {
    return tiling->base[side]->dtype == DT_BF16;
}

static const char *c_type_of(bool narrow) { return narrow ? "unsigned short" : "float"; }

// As it is packed: of what is multiplied in pairs, as it is.
static const char *element(Arena *arena, const Tiling *tiling, Side side, const char *from) {
    bool widens = is_bf16(tiling, side) && !tiling->pairs;
    return widens ? arena_printf(arena, "nnc_bf16_value(%s)", from) : from;
}

// --- The sum

static int64_t row_at(const Printer *p, int row, Side side) {
    const Digits *m = &p->tiling->m;
    int64_t at = 0, rest = p->block->first_row + row;
    if (!p->tiling->flat) return row * p->row[side];
    for (int i = m->count - 1; i >= 0; i--) {
        int64_t extent = dim_eval(m->at[i].extent, 1);
        at += rest % extent * m->at[i].stride[side];
        rest /= extent;
    }
    return at;
}

static void print_zeros(const Printer *p) {
    for (int row = 0; row < p->block->rows; row++)
        for (int i = 0; i < p->block->pieces; i++)
            buf_printf(p->out, "    nnc_v%d c%d_%d = {0};\n", p->block->piece[i].lanes, row, i);
}

// How many elements of k one step takes.
static int step_of(const Tiling *t, const Block *block) {
    return (t->dot ? block->piece[0].lanes : 1) * (t->pairs ? 2 : 1);
}

// What whole steps take of the last digit of k.
static const char *whole_steps(const Printer *p) {
    const Dim *extent = &last(&p->tiling->k)->extent;
    const char *all = dim_as_c(p->out->arena, *extent);
    int step = step_of(p->tiling, p->block);
    if (step == 1) return all;
    if (!dim_is_const(*extent)) return arena_printf(p->out->arena, "%s / %d * %d", all, step, step);
    return arena_printf(p->out->arena, "%lld", (long long)(dim_eval(*extent, 1) / step * step));
}

// Loops over all digits of k, the last of which moves the operands' pointers. Gives the pointers'
// names their number.
static int open_sum(const Printer *p) {
    const Tiling *t = p->tiling;
    for (int i = 0; i < t->k.count; i++) {
        const Digit *digit = &t->k.at[i];
        bool inner = i + 1 == t->k.count;
        const char *extent = inner ? whole_steps(p) : dim_as_c(p->out->arena, digit->extent);
        long long step = inner ? step_of(t, p->block) : 1;
        print_indent(p->out, i + 1);
        buf_printf(p->out, "for (int k%d = 0; k%d < %s; k%d += %lld", i, i, extent, i, step);
        int64_t along = t->packed_rows ? p->block->rows : digit->stride[SIDE_A];
        buf_printf(p->out, ", a%d += %lld, b%d += %lld) {\n", i, (long long)along * step, i,
                   (long long)digit->stride[SIDE_B] * step);
        if (inner) continue;
        for (int side = 0; side < 2; side++) {
            print_indent(p->out, i + 2);
            buf_printf(p->out, "const %s *%c%d = %c%d;\n", c_type_of(t->narrow[side]), "ab"[side],
                       i + 1, "ab"[side], i);
        }
    }
    return t->k.count - 1;
}

static void close_sum(const Printer *p, int depth) {
    print_indent(p->out, depth);
    buf_add(p->out, "}\n");
}

// --- Outer form: a row of b meets a column of a

// What comes next is on its way while this computes.
static void print_prefetch(const Printer *p, int at, int depth) {
    enum { LINE = 16 }; // floats
    const Piece *last = &p->block->piece[p->block->pieces - 1];
    print_indent(p->out, depth);
    if (p->ahead[SIDE_A])
        buf_printf(p->out, "__builtin_prefetch(a%d + %lld);\n", at, (long long)p->ahead[SIDE_A]);
    for (int column = 0; column < last->column + last->lanes; column += LINE) {
        print_indent(p->out, depth);
        buf_printf(p->out, "__builtin_prefetch(b%d + %lld);\n", at,
                   (long long)(p->ahead[SIDE_B] + column * p->column[SIDE_B]));
    }
}

static void print_row_of_b(const Printer *p, const Piece *piece, int i, int at) {
    const Tiling *t = p->tiling;
    char kind = t->pairs ? 'p' : 'v';
    buf_printf(p->out, "const nnc_%c%d y%d = ", kind, piece->lanes, i);
    const char *from = arena_printf(p->out->arena, "b%d + %lld", at,
                                    (long long)(piece->column * p->column[SIDE_B]));
    if (t->narrow[SIDE_B] && !t->pairs)
        buf_printf(p->out, "nnc_wide%d(%s);\n", piece->lanes, from);
    else
        buf_printf(p->out, "*(const nnc_%c%d *)(%s);\n", kind, piece->lanes, from);
}

// x, an element of a; `pair` is how two of them are read, as pairs for all lanes.
static void print_element_of_a(const Printer *p, int row, int at, const char *pair) {
    const Tiling *t = p->tiling;
    long long place = row_at(p, row, SIDE_A);
    if (t->pairs)
        buf_printf(p->out, "const nnc_p%d x = %s%d(a%d + %lld);", p->block->piece[0].lanes, pair,
                   p->block->piece[0].lanes, at, place);
    else if (t->narrow[SIDE_A])
        buf_printf(p->out, "const float x = nnc_bf16_value(a%d[%lld]);", at, place);
    else
        buf_printf(p->out, "const float x = a%d[%lld];", at, place);
}

static void print_multiply(const Printer *p, int row, int i) {
    if (p->tiling->dot2)
        buf_printf(p->out, " c%d_%d = nnc_dot2_%d(c%d_%d, x, y%d);", row, i,
                   p->block->piece[0].lanes, row, i, i);
    else
        buf_printf(p->out, " c%d_%d += x * y%d;", row, i, i);
}

static void print_outer_step(const Printer *p, int at, const char *pair, int depth) {
    const Block *block = p->block;
    for (int i = 0; i < block->pieces; i++) {
        print_indent(p->out, depth);
        print_row_of_b(p, &block->piece[i], i, at);
    }
    if (p->ahead[SIDE_A] || p->ahead[SIDE_B]) print_prefetch(p, at, depth);
    for (int row = 0; row < block->rows; row++) {
        print_indent(p->out, depth);
        buf_add(p->out, "{ ");
        print_element_of_a(p, row, at, pair);
        for (int i = 0; i < block->pieces; i++)
            print_multiply(p, row, i);
        buf_add(p->out, " }\n");
    }
}

// What is left of k behind whole pairs: half of one. Where rows are packed, the other half is zero,
// as it is in b.
static void print_half_pair(const Printer *p, int at, int depth) {
    const Dim *extent = &last(&p->tiling->k)->extent;
    if (!p->tiling->pairs || (dim_is_const(*extent) && dim_eval(*extent, 1) % 2 == 0)) return;
    print_indent(p->out, depth);
    buf_printf(p->out, "if (%s %% 2) {\n", dim_as_c(p->out->arena, *extent));
    print_outer_step(p, at, p->tiling->packed_rows ? "nnc_pair" : "nnc_half", depth + 1);
    close_sum(p, depth);
}

// To array[row * width + column], an array where rows are `width` apart; to the output where that
// is 0.
static void print_stores(const Printer *p, const char *array, int width) {
    for (int row = 0; row < p->block->rows; row++)
        for (int i = 0; i < p->block->pieces; i++) {
            const Piece *piece = &p->block->piece[i];
            int64_t at = piece->column + (width ? row * width : row_at(p, row, SIDE_C));
            buf_printf(p->out, "    *(nnc_v%d *)(%s + %lld) = c%d_%d;\n", piece->lanes, array,
                       (long long)at, row, i);
        }
}

// The output's columns lie apart: a loop over them, rather than as many statements.
static void print_scatter(const Printer *p) {
    const Block *block = p->block;
    const Piece *last = &block->piece[block->pieces - 1];
    int width = last->column + last->lanes;
    buf_printf(p->out, "    float all[%d];\n", block->rows * width);
    print_stores(p, "all", width);
    buf_printf(p->out, "#pragma GCC unroll 1\n    for (int i = 0; i < %d; i++, c += %lld) {\n",
               width, (long long)p->column[SIDE_C]);
    for (int row = 0; row < block->rows; row++)
        buf_printf(p->out, "        c[%lld] = all[%d + i];\n", (long long)row_at(p, row, SIDE_C),
                   row * width);
    buf_add(p->out, "    }\n");
}

// Of the steps before, if there were any.
static void print_sums_so_far(const Printer *p) {
    buf_add(p->out, "    if (more) {\n");
    for (int row = 0; row < p->block->rows; row++)
        for (int i = 0; i < p->block->pieces; i++)
            buf_printf(p->out, "        c%d_%d = *(const nnc_v%d *)(c + %lld);\n", row, i,
                       p->block->piece[i].lanes,
                       (long long)(row_at(p, row, SIDE_C) + p->block->piece[i].column));
    buf_add(p->out, "    }\n");
}

static void print_outer(const Printer *p) {
    int at = open_sum(p);
    print_outer_step(p, at, "nnc_pair", at + 2);
    close_sum(p, at + 1);
    print_half_pair(p, at, at + 1);
    for (int i = at - 1; i >= 0; i--)
        close_sum(p, i + 1);
    if (p->column[SIDE_C] == 1)
        print_stores(p, "c", 0);
    else
        print_scatter(p);
}

// --- Dot form: rows of a meet rows of b's transpose

// What a step reads of a and b. Pairs that no instruction multiplies are two steps of floats: of
// their upper halves, then of their lower ones.
typedef enum Half { WHOLE, UPPER, LOWER } Half;

static void print_load(const Printer *p, const char *name, const char *from, Half half,
                       const char *mask) {
    int lanes = p->block->piece[0].lanes;
    const Tiling *t = p->tiling;
    char kind = half == WHOLE && t->pairs ? 'p' : 'v', stored = t->pairs ? 'p' : mask ? 'm' : 'v';
    buf_printf(p->out, "const nnc_%c%d %s = ", kind, lanes, name);
    if (kind != stored) buf_printf(p->out, "(nnc_%c%d)(", kind, lanes);
    if (half == LOWER && mask) buf_add(p->out, "(");
    buf_printf(p->out, "*(const nnc_%c%d *)(%s)", stored, lanes, from);
    if (mask) buf_printf(p->out, " & %s", mask);
    if (half == UPPER) buf_add(p->out, " & NNC_UPPER");
    if (half == LOWER) buf_printf(p->out, "%s << 16", mask ? ")" : "");
    buf_add(p->out, kind != stored ? ");" : ";");
}

static void print_dot_half(const Printer *p, int at, long long shift, Half half, const char *mask,
                           int depth) {
    const Block *block = p->block;
    Arena *arena = p->out->arena;
    for (int i = 0; i < block->pieces; i++) {
        int64_t from = block->piece[i].column * p->column[SIDE_B] + shift;
        print_indent(p->out, depth);
        print_load(p, arena_printf(arena, "y%d", i),
                   arena_printf(arena, "b%d + %lld", at, (long long)from), half, mask);
        buf_add(p->out, "\n");
    }
    for (int row = 0; row < block->rows; row++) {
        int64_t from = row_at(p, row, SIDE_A) + shift;
        print_indent(p->out, depth);
        buf_add(p->out, "{ ");
        print_load(p, "x", arena_printf(arena, "a%d + %lld", at, (long long)from), half, mask);
        for (int i = 0; i < block->pieces; i++)
            print_multiply(p, row, i);
        buf_add(p->out, " }\n");
    }
}

static void print_dot_step(const Printer *p, int at, long long shift, const char *mask, int depth) {
    if (!p->tiling->pairs || p->tiling->dot2) {
        print_dot_half(p, at, shift, WHOLE, mask, depth);
        return;
    }
    for (Half half = UPPER; half <= LOWER; half++) {
        print_indent(p->out, depth);
        buf_add(p->out, "{\n");
        print_dot_half(p, at, shift, half, mask, depth + 1);
        close_sum(p, depth);
    }
}

// What is left of k behind whole vectors: the last vector once more, without what was counted
// already.
static void print_rest(const Printer *p, int at, int rest, int depth) {
    int lanes = p->block->piece[0].lanes, step = step_of(p->tiling, p->block);
    print_indent(p->out, depth);
    buf_printf(p->out, "const nnc_%c%d mask = {", p->tiling->pairs ? 'p' : 'm', lanes);
    for (int i = 0; i < lanes; i++) {
        int past = (i + 1) * step / lanes - (step - rest); // elements of the lane that are new
        bool half = p->tiling->pairs && past == 1;
        buf_printf(p->out, "%s%s", i ? ", " : "", past <= 0 ? "0" : half ? "NNC_UPPER" : "-1");
    }
    buf_add(p->out, "};\n");
    print_dot_step(p, at, rest - step, "mask", depth);
}

// Four columns of a row at a time; where there are fewer, the last one again and again.
static void print_sums(const Printer *p, int row, int first) {
    const Block *block = p->block;
    int last = block->pieces - 1, count = block->pieces - first < 4 ? block->pieces - first : 4;
    buf_printf(p->out, "    { const nnc_v4 z = nnc_sums%d(", block->piece[0].lanes);
    for (int i = 0; i < 4; i++)
        buf_printf(p->out, "%sc%d_%d", i ? ", " : "", row, first + i < last ? first + i : last);
    buf_add(p->out, "); ");
    int64_t at = row_at(p, row, SIDE_C) + block->piece[first].column * p->column[SIDE_C];
    if (count == 4 && p->column[SIDE_C] == 1)
        buf_printf(p->out, "*(nnc_v4 *)(c + %lld) = z; }\n", (long long)at);
    else
        for (int i = 0; i < count; i++)
            buf_printf(p->out, "c[%lld] = z[%d];%s", (long long)(at + i * p->column[SIDE_C]), i,
                       i + 1 == count ? " }\n" : " ");
}

static void print_dot(const Printer *p) {
    const Block *block = p->block;
    int rest = (int)(dim_eval(last(&p->tiling->k)->extent, 1) % step_of(p->tiling, block));
    int at = open_sum(p);
    print_dot_step(p, at, 0, NULL, at + 2);
    close_sum(p, at + 1);
    if (rest) print_rest(p, at, rest, at + 1);
    for (int i = at - 1; i >= 0; i--)
        close_sum(p, i + 1);
    for (int row = 0; row < block->rows; row++)
        for (int i = 0; i < block->pieces; i += 4)
            print_sums(p, row, i);
}

// --- Packing: the columns of each k together

// The last digit of k runs along memory: lines of it are turned by fours.
static void print_turned(Buf *out, const Tiling *tiling, int columns, int at, int depth) {
    long long k = dim_eval(last(&tiling->k)->extent, 1), fours = k / 4 * 4,
              width = tiling_panel(tiling);
    long long step = last(&tiling->n)->unpacked, whole = columns / 4 * 4;
    print_indent(out, depth);
    buf_printf(out, "for (int line = 0; line < %lld; line += 16)\n", fours);
    print_indent(out, depth + 1);
    buf_printf(out, "for (int column = 0; column < %lld; column += 4)\n", whole);
    print_indent(out, depth + 2);
    buf_printf(out, "for (int k = line; k < line + 16 && k < %lld; k += 4)\n", fours);
    print_indent(out, depth + 3);
    buf_printf(out, "%s(b%d + k + column * %lld, %lld, c + k * %lld + column, %lld);\n",
               is_bf16(tiling, SIDE_B) ? "nnc_transpose4_wide" : "nnc_transpose4", at, step, step,
               width, width);
    for (int rest = 0; rest < 2; rest++) {
        long long from_k = rest ? fours : 0, from_column = rest ? 0 : whole;
        if (from_k == k || from_column == columns) continue;
        print_indent(out, depth);
        buf_printf(out, "for (int k = %lld; k < %lld; k++)\n", from_k, k);
        print_indent(out, depth + 1);
        buf_printf(out, "for (int column = %lld; column < %d; column++)\n", from_column, columns);
        print_indent(out, depth + 2);
        const char *from = arena_printf(out->arena, "b%d[k + column * %lld]", at, step);
        buf_printf(out, "c[k * %lld + column] = %s;\n", width,
                   element(out->arena, tiling, SIDE_B, from));
    }
    print_indent(out, depth);
    buf_printf(out, "c += %lld;\n", k * width);
}

static void print_copied(Buf *out, const Tiling *tiling, int columns, int at, int depth) {
    print_indent(out, depth);
    buf_printf(out, "for (int k = 0; k < %s; k++, b%d += %lld, c += %d)\n",
               dim_as_c(out->arena, last(&tiling->k)->extent), at,
               (long long)last(&tiling->k)->unpacked, tiling_panel(tiling));
    print_indent(out, depth + 1);
    buf_printf(out, "for (int column = 0; column < %d; column++)\n", columns);
    print_indent(out, depth + 2);
    const char *from =
        arena_printf(out->arena, "b%d[column * %lld]", at, (long long)last(&tiling->n)->unpacked);
    buf_printf(out, "c[column] = %s;\n", element(out->arena, tiling, SIDE_B, from));
}

// Of a digit of k in what is packed: whole pairs.
static int64_t packed_extent(const Tiling *tiling, int digit) {
    int64_t extent = dim_eval(tiling->k.at[digit].extent, tiling->batch);
    return tiling->pairs && digit + 1 == tiling->k.count ? extent + extent % 2 : extent;
}

// Pairs low .. high - 1 (C) of columns from `first` on; or the element that is left of k, with
// zero.
static void print_pair_loop(Buf *out, const Tiling *tiling, int at, int depth, const char *low,
                            const char *high, int first, int columns) {
    long long along = last(&tiling->k)->unpacked, across = last(&tiling->n)->unpacked;
    print_indent(out, depth);
    buf_printf(out, "for (int k = %s; k < %s; k++)\n", low, high);
    print_indent(out, depth + 1);
    buf_printf(out, "for (int column = %d; column < %d; column++) {\n", first, columns);
    print_indent(out, depth + 2);
    buf_printf(out, "const unsigned short *from = b%d + k * %lld + column * %lld;\n", at, 2 * along,
               across);
    print_indent(out, depth + 2);
    buf_printf(out, "unsigned short *to = c + (k * %d + column) * 2;\n", tiling_panel(tiling));
    print_indent(out, depth + 2);
    buf_printf(out, "to[0] = from[0], to[1] = 2 * k + 1 < %s ? from[%lld] : 0;\n",
               dim_as_c(out->arena, last(&tiling->k)->extent), along);
    print_indent(out, depth + 1);
    buf_add(out, "}\n");
}

// Where k runs along memory, pairs are turned by fours as if each were a float.
static void print_pairs(Buf *out, const Tiling *tiling, int columns, int at, int depth) {
    const Digit *k = last(&tiling->k);
    bool turned = k->unpacked == 1 && dim_is_const(k->extent);
    long long fours = turned ? dim_eval(k->extent, 1) / 8 * 4 : 0, width = tiling_panel(tiling);
    int whole = columns / 4 * 4;
    const char *pairs = arena_printf(out->arena, "(%s + 1) / 2", dim_as_c(out->arena, k->extent));
    const char *rest = arena_printf(out->arena, "%lld", fours);
    if (fours) {
        print_indent(out, depth);
        buf_printf(out, "for (int column = 0; column < %d; column += 4)\n", whole);
        print_indent(out, depth + 1);
        buf_printf(out, "for (int k = 0; k < %lld; k += 4)\n", fours);
        print_indent(out, depth + 2);
        buf_printf(
            out,
            "nnc_transpose4_pairs(b%d + 2 * k + column * %lld, %lld, c + (k * %lld + column) "
            "* 2, %lld);\n",
            at, (long long)last(&tiling->n)->unpacked, (long long)last(&tiling->n)->unpacked, width,
            2 * width);
        if (whole < columns) print_pair_loop(out, tiling, at, depth, "0", rest, whole, columns);
    }
    print_pair_loop(out, tiling, at, depth, rest, pairs, 0, columns);
    print_indent(out, depth);
    buf_printf(out, "c += %s * %lld;\n", pairs, 2 * width);
}

// Panels are laid out for the batch: behind a digit with fewer indices today, some are left out.
static void print_left_out(Buf *out, const Tiling *tiling, int digit, int depth) {
    const Digits *k = &tiling->k;
    long long each = tiling_panel(tiling);
    if (digit == 0 || dim_is_const(k->at[digit].extent)) return;
    for (int i = digit + 1; i < k->count; i++)
        each *= packed_extent(tiling, i);
    print_indent(out, depth);
    buf_printf(out, "c += (%lld - (%s)) * %lld;\n",
               (long long)dim_eval(k->at[digit].extent, tiling->batch),
               dim_as_c(out->arena, k->at[digit].extent), each);
}

static void print_pack(Buf *out, const Tiling *tiling, int columns) {
    const Digits *k = &tiling->k;
    int at = k->count - 1;
    for (int i = 0; i < at; i++) {
        print_indent(out, i + 1);
        buf_printf(out, "for (int k%d = 0; k%d < %s; k%d++, b%d += %lld) {\n", i, i,
                   dim_as_c(out->arena, k->at[i].extent), i, i, (long long)k->at[i].unpacked);
        print_indent(out, i + 2);
        buf_printf(out, "const %s *b%d = b%d;\n", c_type_of(is_bf16(tiling, SIDE_B)), i + 1, i);
    }
    bool turned =
        last(k)->unpacked == 1 && last(&tiling->n)->unpacked != 1 && dim_is_const(last(k)->extent);
    (tiling->pairs ? print_pairs
     : turned      ? print_turned
                   : print_copied)(out, tiling, columns, at, at + 1);
    for (int i = at; i >= 0; i--) {
        if (i < at) {
            print_indent(out, i + 1);
            buf_add(out, "}\n");
        }
        print_left_out(out, tiling, i, i + 1);
    }
}

static void print_row_pairs(Buf *out, const Tiling *tiling) {
    const Digit *k = last(&tiling->k);
    const char *extent = dim_as_c(out->arena, k->extent);
    buf_printf(out,
               "        for (int k = 0; k < %s; k += 2, a += %lld, c += 2 * rows)\n"
               "            for (int r = 0; r < rows; r++)\n"
               "                c[2 * r] = a[r], c[2 * r + 1] = k + 1 < %s ? a[r + %lld] : 0;\n",
               extent, 2 * (long long)k->stride[SIDE_A], extent, (long long)k->stride[SIDE_A]);
}

// Blocks first .. last - 1 of a's rows, each with the rows of each k together.
static void print_pack_rows(Buf *out, const Tiling *tiling) {
    const Digit *k = last(&tiling->k);
    const Cut *row = &tiling->row;
    buf_printf(out,
               "    for (int i = first; i < last; i++) {\n"
               "        const int rows = i < %d ? %d : %d;\n"
               "        const %s *a = a0 + i * %d - (i > %d ? i - %d : 0);\n",
               row->large, row->size, row->size - 1, c_type_of(is_bf16(tiling, SIDE_A)), row->size,
               row->large, row->large);
    if (tiling->pairs)
        print_row_pairs(out, tiling);
    else
        buf_printf(out,
                   "        for (int k = 0; k < %s; k++, a += %lld, c += rows)\n"
                   "            for (int r = 0; r < rows; r++)\n"
                   "                c[r] = %s;\n",
                   dim_as_c(out->arena, k->extent), (long long)k->stride[SIDE_A],
                   element(out->arena, tiling, SIDE_A, "a[r]"));
    buf_add(out, "    }\n");
}

// --- Functions

static const char *share(SharedFunctions *shared, const char *kind, const char *arguments,
                         bool fused, const Buf *body) {
    Arena *arena = body->arena;
    const char *name = shared_name(arena, kind, body);
    if (shared_use(shared, name)) return name;
    shared_add(shared, (SharedFunction){
                           .name = name,
                           .arguments = arena_printf(arena, "%s, const int n", arguments),
                           .fused = fused,
                           .body = arena_printf(arena, "    (void)n;\n%s", body->text),
                       });
    return name;
}

// The rest of a sum whose first digit is outside.
static Tiling one_step(const Tiling *tiling) {
    Tiling step = *tiling;
    for (int i = 0; i + 1 < step.k.count; i++)
        step.k.at[i] = step.k.at[i + 1];
    step.k.count--;
    return step;
}

// The next step of a sum in steps; else the next panel, where panels lie apart.
static void set_ahead(Printer *p, const Tiling *tiling) {
    if (tiling->widened[SIDE_A] || tiling->widened[SIDE_B]) return; // it lies in the cache
    if (tiling->stepwise)
        memcpy(p->ahead, tiling->k.at[0].stride, sizeof p->ahead);
    else if (tiling->n.count > 1 && !tiling->packed && !tiling->dot)
        p->ahead[SIDE_B] = tiling->n.at[tiling->n.count - 2].stride[SIDE_B];
}

const char *block_name(SharedFunctions *shared, const Tiling *tiling, const Block *block) {
    Buf body = buf_new(shared->arena);
    Tiling step = tiling->stepwise ? one_step(tiling) : *tiling;
    Printer p = {.out = &body, .tiling = &step, .block = block};
    memcpy(p.row, last(&tiling->m)->stride, sizeof p.row);
    memcpy(p.column, last(&tiling->n)->stride, sizeof p.column);
    if (tiling->packed) p.column[SIDE_B] = tiling->pairs ? 2 : 1;
    set_ahead(&p, tiling);
    if (tiling->packed_rows) p.row[SIDE_A] = tiling->pairs ? 2 : 1;
    print_zeros(&p);
    if (tiling->stepwise) print_sums_so_far(&p);
    tiling->dot ? print_dot(&p) : print_outer(&p);
    return share(shared, "block",
                 arena_printf(shared->arena, "const %s *a0, const %s *b0, float *restrict c%s",
                              c_type_of(tiling->narrow[SIDE_A]), c_type_of(tiling->narrow[SIDE_B]),
                              tiling->stepwise ? ", const int more" : ""),
                 true, &body);
}

const char *pack_rows_name(SharedFunctions *shared, const Tiling *tiling) {
    Buf body = buf_new(shared->arena);
    print_pack_rows(&body, tiling);
    return share(shared, "rows",
                 arena_printf(shared->arena,
                              "const %s *a0, %s *restrict c, const int first, const int last",
                              c_type_of(is_bf16(tiling, SIDE_A)), c_type_of(tiling->pairs)),
                 false, &body);
}

const char *pack_name(SharedFunctions *shared, const Tiling *tiling, int columns) {
    Buf body = buf_new(shared->arena);
    print_pack(&body, tiling, columns);
    return share(shared, "pack",
                 arena_printf(shared->arena, "const %s *b0, %s *restrict c",
                              c_type_of(is_bf16(tiling, SIDE_B)), c_type_of(tiling->pairs)),
                 false, &body);
}
