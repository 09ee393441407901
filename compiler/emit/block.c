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

// Loops over all digits of k, the last of which moves the operands' pointers. Gives the pointers'
// names their number.
static int open_sum(const Printer *p, int64_t whole) {
    const Digits *k = &p->tiling->k;
    for (int i = 0; i < k->count; i++) {
        const Digit *digit = &k->at[i];
        bool inner = i + 1 == k->count;
        const char *extent = inner && whole >= 0
                                 ? arena_printf(p->out->arena, "%lld", (long long)whole)
                                 : dim_as_c(p->out->arena, digit->extent);
        long long step = inner && p->tiling->dot ? p->block->piece[0].lanes : 1;
        print_indent(p->out, i + 1);
        buf_printf(p->out, "for (int k%d = 0; k%d < %s; k%d += %lld", i, i, extent, i, step);
        int64_t along = p->tiling->packed_rows ? p->block->rows : digit->stride[SIDE_A];
        buf_printf(p->out, ", a%d += %lld, b%d += %lld) {\n", i, (long long)along * step, i,
                   (long long)digit->stride[SIDE_B] * step);
        if (inner) continue;
        print_indent(p->out, i + 2);
        buf_printf(p->out, "const float *a%d = a%d, *b%d = b%d;\n", i + 1, i, i + 1, i);
    }
    return k->count - 1;
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

static void print_outer_step(const Printer *p, int at, int depth) {
    const Block *block = p->block;
    for (int i = 0; i < block->pieces; i++) {
        print_indent(p->out, depth);
        buf_printf(p->out, "const nnc_v%d y%d = *(const nnc_v%d *)(b%d + %lld);\n",
                   block->piece[i].lanes, i, block->piece[i].lanes, at,
                   (long long)(block->piece[i].column * p->column[SIDE_B]));
    }
    if (p->ahead[SIDE_A] || p->ahead[SIDE_B]) print_prefetch(p, at, depth);
    for (int row = 0; row < block->rows; row++) {
        print_indent(p->out, depth);
        buf_printf(p->out, "{ const float x = a%d[%lld];", at, (long long)(row_at(p, row, SIDE_A)));
        for (int i = 0; i < block->pieces; i++)
            buf_printf(p->out, " c%d_%d += x * y%d;", row, i, i);
        buf_add(p->out, " }\n");
    }
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
    int at = open_sum(p, -1);
    print_outer_step(p, at, at + 2);
    for (int i = at; i >= 0; i--)
        close_sum(p, i + 1);
    if (p->column[SIDE_C] == 1)
        print_stores(p, "c", 0);
    else
        print_scatter(p);
}

// --- Dot form: rows of a meet rows of b's transpose

static void print_load(const Printer *p, const char *name, char from, int at, long long offset,
                       const char *mask) {
    int lanes = p->block->piece[0].lanes;
    if (mask)
        buf_printf(p->out, "const nnc_v%d %s = (nnc_v%d)(*(const nnc_m%d *)(%c%d + %lld) & %s);",
                   lanes, name, lanes, lanes, from, at, offset, mask);
    else
        buf_printf(p->out, "const nnc_v%d %s = *(const nnc_v%d *)(%c%d + %lld);", lanes, name,
                   lanes, from, at, offset);
}

static void print_dot_step(const Printer *p, int at, long long shift, const char *mask, int depth) {
    const Block *block = p->block;
    Arena *arena = p->out->arena;
    for (int i = 0; i < block->pieces; i++) {
        print_indent(p->out, depth);
        print_load(p, arena_printf(arena, "y%d", i), 'b', at,
                   block->piece[i].column * p->column[SIDE_B] + shift, mask);
        buf_add(p->out, "\n");
    }
    for (int row = 0; row < block->rows; row++) {
        print_indent(p->out, depth);
        buf_add(p->out, "{ ");
        print_load(p, "x", 'a', at, row_at(p, row, SIDE_A) + shift, mask);
        for (int i = 0; i < block->pieces; i++)
            buf_printf(p->out, " c%d_%d += x * y%d;", row, i, i);
        buf_add(p->out, " }\n");
    }
}

// What is left of k behind whole vectors: the last vector once more, without the lanes that were
// counted already.
static void print_rest(const Printer *p, int at, int rest, int depth) {
    int lanes = p->block->piece[0].lanes;
    print_indent(p->out, depth);
    buf_printf(p->out, "const nnc_m%d mask = {", lanes);
    for (int i = 0; i < lanes; i++)
        buf_printf(p->out, "%s%d", i ? ", " : "", i < lanes - rest ? 0 : -1);
    buf_add(p->out, "};\n");
    print_dot_step(p, at, rest - lanes, "mask", depth);
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
    int lanes = block->piece[0].lanes;
    int64_t length = dim_eval(last(&p->tiling->k)->extent, 1);
    int at = open_sum(p, length / lanes * lanes);
    print_dot_step(p, at, 0, NULL, at + 2);
    close_sum(p, at + 1);
    if (length % lanes) print_rest(p, at, (int)(length % lanes), at + 1);
    for (int i = at - 1; i >= 0; i--)
        close_sum(p, i + 1);
    for (int row = 0; row < block->rows; row++)
        for (int i = 0; i < block->pieces; i += 4)
            print_sums(p, row, i);
}

// --- Packing: the columns of each k together

static bool is_narrow(const Tiling *tiling, Side side) {
    return tiling->base[side]->dtype == DT_BF16;
}

static const char *element_type(const Tiling *tiling, Side side) { // as the operand is stored
    return is_narrow(tiling, side) ? "unsigned short" : "float";
}

static const char *element(Arena *arena, const Tiling *tiling, Side side, const char *from) {
    return is_narrow(tiling, side) ? arena_printf(arena, "nnc_bf16_value(%s)", from) : from;
}

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
               is_narrow(tiling, SIDE_B) ? "nnc_transpose4_wide" : "nnc_transpose4", at, step, step,
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

// Panels are laid out for the batch: behind a digit with fewer indices today, some are left out.
static void print_left_out(Buf *out, const Tiling *tiling, int digit, int depth) {
    const Digits *k = &tiling->k;
    long long each = tiling_panel(tiling);
    if (digit == 0 || dim_is_const(k->at[digit].extent)) return;
    for (int i = digit + 1; i < k->count; i++)
        each *= dim_eval(k->at[i].extent, tiling->batch);
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
        buf_printf(out, "const %s *b%d = b%d;\n", element_type(tiling, SIDE_B), i + 1, i);
    }
    bool turned =
        last(k)->unpacked == 1 && last(&tiling->n)->unpacked != 1 && dim_is_const(last(k)->extent);
    (turned ? print_turned : print_copied)(out, tiling, columns, at, at + 1);
    for (int i = at; i >= 0; i--) {
        if (i < at) {
            print_indent(out, i + 1);
            buf_add(out, "}\n");
        }
        print_left_out(out, tiling, i, i + 1);
    }
}

// Blocks first .. last - 1 of a's rows, each with the rows of each k together.
static void print_pack_rows(Buf *out, const Tiling *tiling) {
    const Digit *k = last(&tiling->k);
    const Cut *row = &tiling->row;
    buf_printf(out,
               "    for (int i = first; i < last; i++) {\n"
               "        const int rows = i < %d ? %d : %d;\n"
               "        const %s *a = a0 + i * %d - (i > %d ? i - %d : 0);\n"
               "        for (int k = 0; k < %s; k++, a += %lld, c += rows)\n"
               "            for (int r = 0; r < rows; r++)\n"
               "                c[r] = %s;\n"
               "    }\n",
               row->large, row->size, row->size - 1, element_type(tiling, SIDE_A), row->size,
               row->large, row->large, dim_as_c(out->arena, k->extent),
               (long long)k->stride[SIDE_A], element(out->arena, tiling, SIDE_A, "a[r]"));
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
    if (tiling->packed) p.column[SIDE_B] = 1;
    set_ahead(&p, tiling);
    if (tiling->packed_rows) p.row[SIDE_A] = 1;
    print_zeros(&p);
    if (tiling->stepwise) print_sums_so_far(&p);
    tiling->dot ? print_dot(&p) : print_outer(&p);
    return share(shared, "block",
                 tiling->stepwise
                     ? "const float *a0, const float *b0, float *restrict c, const int more"
                     : "const float *a0, const float *b0, float *restrict c",
                 true, &body);
}

const char *pack_rows_name(SharedFunctions *shared, const Tiling *tiling) {
    Buf body = buf_new(shared->arena);
    print_pack_rows(&body, tiling);
    return share(
        shared, "rows",
        arena_printf(shared->arena,
                     "const %s *a0, float *restrict c, const int first, const int last",
                     element_type(tiling, SIDE_A)),
        false, &body);
}

const char *pack_name(SharedFunctions *shared, const Tiling *tiling, int columns) {
    Buf body = buf_new(shared->arena);
    print_pack(&body, tiling, columns);
    return share(shared, "pack",
                 arena_printf(shared->arena, "const %s *b0, float *restrict c",
                              element_type(tiling, SIDE_B)),
                 false, &body);
}
