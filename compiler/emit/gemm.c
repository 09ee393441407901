// SPDX-License-Identifier: MIT
// The body of a product's kernel where it is emitted: loops over blocks of the output, and the
// epilogue behind them while the tile is in the cache.
//
//     for (int tile = (int)low; tile < (int)high; tile++) {
//         const int row_first = tile % 2 * 5 / 2, ..          // blocks, of 5, in 2 tiles
//         for (int j = column_first; j < column_last; j++)    // panels: one stays in the cache
//             for (int i = row_first; i < row_last; i++)      // for all rows
//                 block_..(a + .., b + .., c + .., n);
//         ..                                                  // bias and activation of the tile
//     }
//
// Columns behind the last whole panel are computed by vectors that overlap with those before: the
// same sums once more. Where there are fewer than a vector has lanes, vectors are shorter.
#include "emit/gemm.h"
#include "emit/emit.h"
#include "emit/nest.h"

typedef struct Place { // what is added to the addresses: " + g0 * 784 + row * 128"
    const char *side[SIDES];
    const char *unpacked; // of b, before it is packed
} Place;

typedef struct Gemm {
    Buf *out;
    SharedFunctions *shared;
    Arena *arena;
    const Fusion *fusion;
    const Kernel *kernel;
    const Tiling *tiling;
    int depth;
    Place at;
} Gemm;

static const Digit *last(const Digits *digits) { return &digits->at[digits->count - 1]; }

static int64_t extent(const Gemm *g, const Digits *digits) {
    return dim_eval(last(digits)->extent, g->tiling->batch);
}

static void line(Gemm *g, const char *text) {
    print_indent(g->out, g->depth);
    buf_printf(g->out, "%s\n", text);
}

static void open(Gemm *g, const char *text) {
    line(g, text);
    g->depth++;
}

static void close(Gemm *g) {
    g->depth--;
    line(g, "}");
}

// --- Addresses

static void step(Gemm *g, const Digit *digit, const char *index) {
    for (int side = 0; side < SIDES; side++) {
        long long stride = digit->stride[side];
        if (stride == 1)
            g->at.side[side] = arena_printf(g->arena, "%s + %s", g->at.side[side], index);
        if (stride != 0 && stride != 1)
            g->at.side[side] =
                arena_printf(g->arena, "%s + %s * %lld", g->at.side[side], index, stride);
    }
    if (digit->unpacked)
        g->at.unpacked = arena_printf(g->arena, "%s + %s * %lld", g->at.unpacked, index,
                                      (long long)digit->unpacked);
}

// Loops over all digits but the last, the first one from `low` to `high` (NULL: all of it).
static int open_digits(Gemm *g, const Digits *digits, char name, const char *low,
                       const char *high) {
    for (int i = 0; i + 1 < digits->count; i++) {
        const char *index = arena_printf(g->arena, "%c%d", name, i);
        const char *most = i == 0 && high ? high : dim_as_c(g->arena, digits->at[i].extent);
        if (i == 0 && high && !dim_is_const(digits->at[i].extent))
            most = arena_printf(g->arena, "%s && %s < %s", high, index,
                                dim_as_c(g->arena, digits->at[i].extent));
        open(g, arena_printf(g->arena, "for (int %s = %s; %s < %s; %s++) {", index,
                             i == 0 && low ? low : "0", index, most, index));
        step(g, &digits->at[i], index);
    }
    return digits->count - 1;
}

static void close_all(Gemm *g, int count) {
    while (count-- > 0)
        close(g);
}

// --- Blocks

// Where the sum is taken in steps, the first digit of k, for all blocks of a step.
static int open_steps(Gemm *g) {
    const Digit *digit = &g->tiling->k.at[0];
    if (!g->tiling->stepwise) return 0;
    open(g, arena_printf(g->arena, "for (int k0 = 0; k0 < %s; k0++) {",
                         dim_as_c(g->arena, digit->extent)));
    step(g, digit, "k0");
    return 1;
}

static void call(Gemm *g, int rows, const Block *columns) {
    Block block = *columns;
    block.rows = rows;
    const char *name = block_name(g->shared, g->tiling, &block);
    line(g, arena_printf(g->arena, "%s(a%s, b%s, c%s, %sn);", name, g->at.side[SIDE_A],
                         g->at.side[SIDE_B], g->at.side[SIDE_C],
                         g->tiling->stepwise ? "k0 > 0, " : ""));
}

// Packed rows lie block by block, from the tile's first row on.
static void step_packed(Gemm *g, const Digit *m) {
    Digit other = *m;
    const char *k = dim_as_c(g->arena, last(&g->tiling->k)->extent);
    other.stride[SIDE_A] = 0;
    step(g, &other, "row");
    g->at.side[SIDE_A] =
        arena_printf(g->arena,
                     g->tiling->pairs ? "%s + (row - row_start) * ((%s + 1) / 2 * 2)"
                                      : "%s + (row - row_start) * (%s)",
                     g->at.side[SIDE_A], k);
}

// A block of `rows` from `row` on; where there are not as many today, one row at a time.
static void call_rows(Gemm *g, int rows, const Block *columns) {
    const Digit *m = last(&g->tiling->m);
    const Place before = g->at;
    bool varies = !dim_is_const(m->extent) && rows > 1;
    const char *count = dim_as_c(g->arena, m->extent);
    if (!dim_is_const(m->extent)) {
        line(g, arena_printf(g->arena, "if (row + %d <= %s)", rows, count));
        g->depth++;
    }
    if (g->tiling->packed_rows)
        step_packed(g, m);
    else
        step(g, m, "row");
    call(g, rows, columns);
    if (!dim_is_const(m->extent)) g->depth--;
    g->at = before;
    if (!varies) return;
    line(g, "else");
    g->depth++;
    line(g, arena_printf(g->arena, "for (int r = row; r < %s; r++)", count));
    g->depth++;
    step(g, m, "r");
    call(g, 1, columns);
    g->depth -= 2;
    g->at = before;
}

static const char *cut_at(Arena *arena, const Cut *cut, const char *index) {
    if (cut->large == cut->count) return arena_printf(arena, "%s * %d", index, cut->size);
    return arena_printf(arena, "%s * %d - (%s > %d ? %s - %d : 0)", index, cut->size, index,
                        cut->large, index, cut->large);
}

// Rows with places of their own: each block is another function.
static void print_flat_rows(Gemm *g, const Block *columns) {
    const Cut *row = &g->tiling->row;
    Block block = *columns;
    for (int i = 0; i < row->count; i++) {
        if (g->tiling->row_tiles > 1)
            line(g, arena_printf(g->arena, "if (row_first <= %d && %d < row_last)", i, i));
        g->depth += g->tiling->row_tiles > 1;
        call(g, i < row->large ? row->size : row->size - 1, &block);
        g->depth -= g->tiling->row_tiles > 1;
        block.first_row += i < row->large ? row->size : row->size - 1;
    }
}

static void print_rows(Gemm *g, const Block *columns) {
    if (g->tiling->flat) {
        print_flat_rows(g, columns);
        return;
    }
    const Digits *m = &g->tiling->m;
    const Cut *row = &g->tiling->row;
    const Place before = g->at;
    bool tiles = g->tiling->row_tiles > 1, outer = m->count > 1;
    int opened = open_digits(g, m, 'm', tiles && outer ? "row_first" : NULL,
                             tiles && outer ? "row_last" : NULL);
    const char *count = arena_printf(g->arena, "%d", row->count);
    open(g,
         arena_printf(g->arena, "for (int i = %s; i < %s; i++) {",
                      tiles && !outer ? "row_first" : "0", tiles && !outer ? "row_last" : count));
    line(g, arena_printf(g->arena, "const int row = %s;", cut_at(g->arena, row, "i")));
    if (row->large < row->count) {
        open(g, arena_printf(g->arena, "if (i < %d) {", row->large));
        call_rows(g, row->size, columns);
        g->depth--;
        open(g, "} else {");
        call_rows(g, row->size - 1, columns);
        close(g);
    } else {
        call_rows(g, row->size, columns);
    }
    close_all(g, opened + 1);
    g->at = before;
}

// --- Widening: what the blocks read of an operand that is kept as bf16

// Of a single matrix' rows (b: columns), those of the tile at hand.
static void widen(Gemm *g, Side side) {
    const Tiling *t = g->tiling;
    const Digits *own = side == SIDE_A ? &t->m : &t->n;
    const char *name = side == SIDE_A ? "a" : "b", *unit = side == SIDE_A ? "row" : "column";
    int64_t low, high, stride = last(own)->stride[side];
    tiling_widened_reach(t, side, &low, &high);
    const char *start = arena_printf(g->arena, "%lld", (long long)low);
    const char *count = arena_printf(g->arena, "%lld", (long long)(high - low + 1));
    bool tiles = (side == SIDE_A ? t->row_tiles : t->column_tiles) > 1;
    if (tiles && own->count == 1 && stride > 0 && (side == SIDE_A || t->dot)) {
        const Cut *cut = side == SIDE_A ? &t->row : &t->column;
        line(g, arena_printf(g->arena, "const int %s_low = %s, %s_high = %s;", name,
                             cut_at(g->arena, cut, arena_printf(g->arena, "%s_first", unit)), name,
                             cut_at(g->arena, cut, arena_printf(g->arena, "%s_last", unit))));
        start = arena_printf(g->arena, "%s + %s_low * %lld", start, name, (long long)stride);
        count = arena_printf(g->arena, "%s - (%lld - (%s_high - %s_low)) * %lld", count,
                             (long long)extent(g, own), name, name, (long long)stride);
    }
    line(g, arena_printf(g->arena, "nnc_widen(narrow_%s%s + %s, %s + %s, %s);", name,
                         g->at.side[side], start, name, start, count));
}

// Both operands, or those that are the same for all matrices; the blocks find them without an
// offset.
static void widen_all(Gemm *g, bool shared) {
    for (int side = 0; side < 2; side++) {
        if (!g->tiling->widened[side]) continue;
        if (tiling_is_shared(g->tiling, (Side)side) == shared) widen(g, (Side)side);
        g->at.side[side] = "";
    }
}

// --- Columns

static Block vectors(int64_t columns, int lanes) {
    Block block = {0};
    while (columns < lanes)
        lanes /= 2;
    for (int at = 0; at + lanes <= columns; at += lanes)
        block.piece[block.pieces++] = (Piece){at, lanes};
    if (columns % lanes) block.piece[block.pieces++] = (Piece){(int)(columns - lanes), lanes};
    return block;
}

static Block dots(const Tiling *tiling, int columns) {
    Block block = {0};
    while (block.pieces < columns)
        block.piece[block.pieces] = (Piece){block.pieces, tiling->lanes}, block.pieces++;
    return block;
}

// --- Packing: one panel at a time, in front of the rows that meet it

static void print_pack(Gemm *g, const char *column, int64_t columns) {
    const Tiling *tiling = g->tiling;
    if (!tiling->packed) return;
    const char *name = pack_name(g->shared, tiling, (int)columns);
    line(g, arena_printf(g->arena, "%s(unpacked%s + %s * %lld, b, n);", name, g->at.unpacked,
                         column, (long long)last(&tiling->n)->unpacked));
}

static void print_at(Gemm *g, const char *column, Block block) {
    const Place before = g->at;
    step(g, last(&g->tiling->n), column);
    print_rows(g, &block);
    g->at = before;
}

static void print_dot_columns(Gemm *g, const char *low, const char *high) {
    const Cut *column = &g->tiling->column;
    open(g, arena_printf(g->arena, "for (int j = %s; j < %s; j++) {", low ? low : "0",
                         high ? high : arena_printf(g->arena, "%d", column->count)));
    line(g, arena_printf(g->arena, "const int column = %s;", cut_at(g->arena, column, "j")));
    if (column->large < column->count) {
        open(g, arena_printf(g->arena, "if (j < %d) {", column->large));
        print_at(g, "column", dots(g->tiling, column->size));
        g->depth--;
        open(g, "} else {");
        print_at(g, "column", dots(g->tiling, column->size - 1));
        close(g);
    } else {
        print_at(g, "column", dots(g->tiling, column->size));
    }
    close(g);
}

// The rest behind the panels starts where a vector of its own ends: it belongs to the last tile, in
// which what it overlaps with lies, too.
static void print_panels(Gemm *g, const char *low, const char *high) {
    const Tiling *tiling = g->tiling;
    int lanes = tiling->lanes, panels = tiling->panels, panel = tiling_panel(tiling);
    if (panels > 0) {
        open(g, arena_printf(g->arena, "for (int j = %s; j < %s; j++) {", low ? low : "0",
                             high ? high : arena_printf(g->arena, "%d", panels)));
        line(g, arena_printf(g->arena, "const int column = j * %d;", panel));
        print_pack(g, "column", panel);
        print_at(g, "column", vectors(panel, lanes));
        close(g);
    }
    int64_t columns = extent(g, &tiling->n), rest = columns - (int64_t)panel * panels;
    if (rest == 0) return;
    if (high) open(g, arena_printf(g->arena, "if (%s == %d) {", high, panels));
    if (panels > 0 && rest < lanes) rest = lanes;
    const char *column = arena_printf(g->arena, "%lld", (long long)(columns - rest));
    print_pack(g, column, rest);
    print_at(g, column, vectors(rest, lanes));
    if (high) close(g);
}

static void print_columns(Gemm *g) {
    const Digits *n = &g->tiling->n;
    const Place before = g->at;
    bool tiles = g->tiling->column_tiles > 1, outer = n->count > 1;
    const char *low = tiles ? "column_first" : NULL, *high = tiles ? "column_last" : NULL;
    int opened = open_digits(g, n, 'n', outer ? low : NULL, outer ? high : NULL);
    if (g->tiling->dot)
        print_dot_columns(g, outer ? NULL : low, outer ? NULL : high);
    else
        print_panels(g, outer ? NULL : low, outer ? NULL : high);
    close_all(g, opened);
    g->at = before;
}

// --- Tiles

// first .. last: what this tile has of the units (blocks or digits) of rows or columns.
static void print_share(Gemm *g, const char *name, const char *tile, int64_t units, int tiles) {
    line(g, arena_printf(g->arena,
                         "const int %s_first = %s * %lld / %d, %s_last = (%s + 1) * %lld / %d;",
                         name, tile, (long long)units, tiles, name, tile, (long long)units, tiles));
}

static int64_t inner_extents(const Gemm *g, const Digits *digits) {
    int64_t product = 1;
    for (int i = 1; i < digits->count; i++)
        product *= dim_eval(digits->at[i].extent, g->tiling->batch);
    return product;
}

// The rows of the product (or columns) at which a unit starts, as C.
static const char *unit_start(const Gemm *g, const Digits *digits, const Cut *cut,
                              const char *unit) {
    if (digits->count > 1) // (a flat tiling has no epilogue)
        return arena_printf(g->arena, "%s * %lld", unit, (long long)inner_extents(g, digits));
    return cut_at(g->arena, cut, unit);
}

static const char *row_start(const Gemm *g, const char *unit) {
    return unit_start(g, &g->tiling->m, &g->tiling->row, unit);
}

static const char *column_start(const Gemm *g, const char *unit) {
    const Tiling *t = g->tiling;
    Cut panel = {tiling_panel(t), t->panels, t->panels};
    return unit_start(g, &t->n, t->dot ? &t->column : &panel, unit);
}

// Of a tile in scratch memory: what its first element's index would be, had the product as many
// columns as the tile.
static void print_corner(Gemm *g) {
    const Tiling *t = g->tiling;
    const char *row = t->row_tiles > 1 ? row_start(g, "row_first") : "0";
    const char *column = t->column_tiles > 1 ? column_start(g, "column_first") : "0";
    line(g, arena_printf(g->arena, "const int corner = (%s) * %lld + %s;", row,
                         (long long)t->tile_columns, column));
    g->at.side[SIDE_C] = " - corner";
}

// At which index of the epilogue's outermost loop a tile starts, or ends: `row` of the product,
// which may have fewer rows today.
static const char *epilogue_row(const Gemm *g, const char *row, Dim rows, Dim unit) {
    const char *limit = dim_as_c(g->arena, rows);
    if (!dim_is_const(rows))
        row = arena_printf(g->arena, "(%s < %s ? %s : %s)", row, limit, row, limit);
    return arena_printf(g->arena, dim_is_one(unit) ? "(%s)" : "(%s) / %s", row,
                        dim_as_c(g->arena, unit));
}

static void print_tile_epilogue(Gemm *g) {
    const Tiling *t = g->tiling;
    const Shape *shape = &g->kernel->core->shape;
    if (g->kernel->result.at[0].value == g->kernel->core) return;
    Dim outer, unit;
    product_outer(g->kernel->core, &g->kernel->space, &outer, &unit);
    Range rows = {"0", arena_printf(g->arena, "(%s)", dim_as_c(g->arena, outer))};
    Range columns = {NULL, NULL};
    if (t->row_tiles > 1) {
        const char *from = row_start(g, "row_first");
        const char *to = row_start(g, "row_last");
        rows.low = epilogue_row(g, from, shape->dim[1], unit);
        rows.high = epilogue_row(g, to, shape->dim[1], unit);
    }
    if (t->column_tiles > 1) {
        columns.low = column_start(g, "column_first");
        columns.high = column_start(g, "column_last");
        if (!t->dot && t->n.count == 1)
            columns.high = arena_printf(g->arena, "(column_last == %d ? %s : %s)", t->panels,
                                        dim_as_c(g->arena, shape->dim[2]), columns.high);
    }
    product_print_epilogue(g->out, g->fusion, g->kernel, rows, columns, g->depth);
}

static void print_pack_rows(Gemm *g) {
    const Tiling *t = g->tiling;
    if (t->row_tiles == 1)
        line(g, arena_printf(g->arena, "const int row_first = 0, row_last = %d;", t->row.count));
    line(g, arena_printf(g->arena, "const int row_start = %s;",
                         cut_at(g->arena, &t->row, "row_first")));
    const char *name = pack_rows_name(g->shared, t);
    line(g, arena_printf(g->arena, "%s(unpacked_a, a, row_first, row_last, n);", name));
}

static void print_tiles(Gemm *g) {
    const Tiling *t = g->tiling;
    bool cut = t->row_tiles * t->column_tiles > 1;
    if (cut) {
        open(g, "for (int tile = (int)low; tile < (int)high; tile++) {");
        if (t->row_tiles > 1)
            print_share(g, "row", arena_printf(g->arena, "(tile %% %d)", t->row_tiles),
                        tiling_row_units(t), t->row_tiles);
        if (t->column_tiles > 1)
            print_share(g, "column", arena_printf(g->arena, "(tile / %d)", t->row_tiles),
                        tiling_column_units(t), t->column_tiles);
    }
    if (t->tile_columns) print_corner(g);
    if (t->packed_rows) print_pack_rows(g);
    const Place before = g->at;
    int steps = open_steps(g);
    widen_all(g, false);
    print_columns(g);
    close_all(g, steps);
    g->at = before;
    print_tile_epilogue(g);
    if (cut) close(g);
}

// --- Several matrices: indices low .. high - 1 of g's first digit

static void print_batch(Gemm *g) {
    const Digits *digits = &g->tiling->g;
    widen_all(g, true);
    open(g, "for (int g0 = (int)low; g0 < (int)high; g0++) {");
    step(g, &digits->at[0], "g0");
    for (int i = 1; i < digits->count; i++) {
        const char *index = arena_printf(g->arena, "g%d", i);
        open(g, arena_printf(g->arena, "for (int %s = 0; %s < %s; %s++) {", index, index,
                             dim_as_c(g->arena, digits->at[i].extent), index));
        step(g, &digits->at[i], index);
    }
    int steps = open_steps(g);
    widen_all(g, false);
    print_columns(g);
    close_all(g, digits->count - 1 + steps);
    Range rows = {"g0", "(g0 + 1)"};
    int64_t inner = inner_extents(g, digits);
    if (inner > 1) {
        rows.low = arena_printf(g->arena, "g0 * %lld", (long long)inner);
        rows.high = arena_printf(g->arena, "(g0 + 1) * %lld", (long long)inner);
    }
    product_print_epilogue(g->out, g->fusion, g->kernel, rows, (Range){0}, g->depth);
    close(g);
}

static void print_all(Gemm *g) {
    g->at = (Place){{"", "", ""}, ""};
    if (tiling_is_single(g->tiling))
        print_tiles(g);
    else
        print_batch(g);
}

static const char *operand_address(const Gemm *g, Side side) {
    const Tiling *tiling = g->tiling;
    Storage at = g->fusion->storage[tiling->base[side]->id];
    return arena_printf(g->arena, "%s + %lld", buffer_address(g->arena, at.buffer),
                        (long long)(at.offset + tiling->offset[side]));
}

// The operand as the blocks read it, and in front of that as it is stored.
static void print_operand(Gemm *g, Side side) {
    const Tiling *t = g->tiling;
    const char *name = side == SIDE_A ? "a" : "b";
    const char *type = t->base[side]->dtype == DT_BF16 ? "unsigned short" : "float";
    bool packed = side == SIDE_A ? t->packed_rows : t->packed;
    const char *stored = packed             ? (side == SIDE_A ? "unpacked_a" : "unpacked")
                         : t->widened[side] ? arena_printf(g->arena, "narrow_%s", name)
                                            : name;
    int64_t at = side == SIDE_A ? tiling_panel_elements(t) : 0, low = 0, high;
    line(g, arena_printf(g->arena, "const %s *const %s = %s;", type, stored,
                         operand_address(g, side)));
    if (!packed && !t->widened[side]) return;
    if (t->widened[side]) {
        tiling_widened_reach(t, side, &low, &high);
        at = tiling_widened_start(t, side) - low;
    }
    const char *there = buffer_address(g->arena, g->kernel->packed);
    line(g, arena_printf(g->arena,
                         t->pairs ? "unsigned short *const %s = (unsigned short *)(%s + %lld);"
                                  : "float *const %s = %s + %lld;",
                         name, there, (long long)at));
}

void gemm_body(Buf *out, SharedFunctions *shared, const Fusion *fusion, const Kernel *kernel) {
    Gemm g = {.out = out,
              .shared = shared,
              .arena = out->arena,
              .fusion = fusion,
              .kernel = kernel,
              .depth = 1};
    g.tiling = kernel->tiling;
    print_operand(&g, SIDE_A);
    print_operand(&g, SIDE_B);
    line(&g,
         arena_printf(g.arena, "float *const c = %s;", product_result_address(g.arena, kernel)));
    print_all(&g);
}
