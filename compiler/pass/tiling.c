// SPDX-License-Identifier: MIT
// Cuts a product's output into tiles that threads share, and says what of memory and of scratch
// memory its blocks touch.
#include "pass/forms.h"

enum {
    LEAST_PARALLEL = 200000, // multiplications, below which threads are not worth waking
    TILE_WORK = 60000,       // multiplications in a tile, at least
    LEAST_ROW_UNITS = 8,     // of which tiles are about even for a few threads
};

// --- Tiles

bool tiling_is_single(const Tiling *tiling) {
    return tiling->g.count == 1 && dim_is_one(tiling->g.at[0].extent);
}

Dim tiling_count(const Tiling *tiling) {
    if (!tiling_is_single(tiling)) return tiling->g.at[0].extent;
    return dim_const((int64_t)tiling->row_tiles * tiling->column_tiles);
}

int64_t tiling_grain(const Tiling *tiling) {
    if (tiling_is_single(tiling)) return 1;
    double one =
        tiling_multiplications(tiling) / (double)dim_eval(tiling->g.at[0].extent, tiling->batch);
    return one >= TILE_WORK ? 1 : (int64_t)(TILE_WORK / one) + 1;
}

static bool is_serial(const Tiling *tiling) {
    return tiling_multiplications(tiling) < LEAST_PARALLEL;
}

static int64_t stride_in_memory(const Tiling *tiling, const Digit *digit, Side side) {
    return side == SIDE_B && tiling->packed ? digit->unpacked : digit->stride[side];
}

int64_t tiling_stride(const Tiling *tiling, Side side) {
    return stride_in_memory(tiling, &tiling->g.at[0], side);
}

void tiling_reach(const Tiling *tiling, Side side, int64_t *low, int64_t *high) {
    const Digits *all[] = {&tiling->g, &tiling->m, &tiling->n, &tiling->k};
    *low = *high = tiling->offset[side];
    for (int i = 0; i < 4; i++)
        for (int d = i == 0; d < all[i]->count; d++) {
            int64_t stride = stride_in_memory(tiling, &all[i]->at[d], side);
            int64_t reach = (dim_eval(all[i]->at[d].extent, tiling->batch) - 1) * stride;
            *(reach < 0 ? low : high) += reach;
        }
}

int tiling_panel(const Tiling *tiling) { return tiling->vectors * tiling->lanes; }

// Of the last digit of k, in what is packed: whole pairs.
static int64_t packed_extent(const Tiling *tiling) {
    int64_t extent = digits_extent(&tiling->k, tiling->batch);
    return tiling->pairs ? extent + extent % 2 : extent;
}

// Floats along k of what is packed: a pair takes the place of one.
static int64_t packed_length(const Tiling *tiling) {
    int64_t outer =
        (int64_t)digits_total(&tiling->k, tiling->batch) / digits_extent(&tiling->k, tiling->batch);
    return outer * packed_extent(tiling) / (tiling->pairs ? 2 : 1);
}

int64_t tiling_panel_elements(const Tiling *tiling) {
    return tiling->packed ? packed_length(tiling) * tiling_panel(tiling) : 0;
}

void tiling_widened_reach(const Tiling *tiling, Side side, int64_t *low, int64_t *high) {
    const Digits *all[] = {&tiling->m, &tiling->n, &tiling->k};
    *low = *high = 0;
    for (int i = 0; i < 3; i++)
        for (int d = i == 2 && tiling->stepwise; d < all[i]->count; d++) {
            int64_t reach =
                (dim_eval(all[i]->at[d].extent, tiling->batch) - 1) * all[i]->at[d].stride[side];
            *(reach < 0 ? low : high) += reach;
        }
}

// In whole cache lines.
static int64_t widened_elements(const Tiling *tiling, Side side) {
    int64_t low, high;
    if (!tiling->widened[side]) return 0;
    tiling_widened_reach(tiling, side, &low, &high);
    return (high - low + 1 + 15) / 16 * 16;
}

static int64_t rows_end(const Tiling *tiling) { // behind the panel and the rows
    if (!tiling->packed_rows) return tiling_panel_elements(tiling);
    int64_t blocks = (tiling->row.count + tiling->row_tiles - 1) / tiling->row_tiles;
    return tiling_panel_elements(tiling) + blocks * tiling->row.size * packed_length(tiling);
}

int64_t tiling_widened_start(const Tiling *tiling, Side side) {
    int64_t start = (rows_end(tiling) + 15) / 16 * 16;
    return side == SIDE_A ? start : start + widened_elements(tiling, SIDE_A);
}

int64_t tiling_packed_elements(const Tiling *tiling) {
    if (!tiling->widened[SIDE_A] && !tiling->widened[SIDE_B]) return rows_end(tiling);
    return tiling_widened_start(tiling, SIDE_B) + widened_elements(tiling, SIDE_B);
}

bool tiling_is_shared(const Tiling *tiling, Side side) {
    for (int i = 0; i < tiling->g.count; i++)
        if (tiling->g.at[i].stride[side] != 0) return false;
    return !tiling->stepwise && !tiling_is_single(tiling);
}

// Is the epilogue one loop over rows and one over columns, so that it can be run on a tile?
static bool can_cut_columns(const Kernel *kernel) {
    Dim extent[2] = {dim_const(1), dim_const(1)};
    int loops = 0;
    if (kernel->result.at[0].value == kernel->core) return true;
    for (int axis = 0; axis < kernel->space.rank; axis++) {
        if (dim_is_one(kernel->space.dim[axis])) continue;
        if (loops == 2) return false;
        extent[loops++] = kernel->space.dim[axis];
    }
    return loops == 2 && dim_equal(extent[0], kernel->core->shape.dim[1]) &&
           dim_equal(extent[1], kernel->core->shape.dim[2]);
}

int tiling_row_units(const Tiling *t) {
    return t->m.count > 1 && !t->flat ? (int)dim_eval(t->m.at[0].extent, t->batch) : t->row.count;
}

int tiling_column_units(const Tiling *t) {
    if (t->n.count > 1) return (int)dim_eval(t->n.at[0].extent, t->batch);
    return t->dot ? t->column.count : t->panels;
}

static int least(int64_t a, int b) { return a < b ? (int)a : b; }

// How unevenly 2, 3 and 4 threads would share the tiles, and how much more they read than one
// (`reading`: what that costs).
static double tile_cost(double rows, double columns, int row_units, int column_units, int down,
                        int across, double reading) {
    int tiles = down * across;
    double largest =
               ((row_units + down - 1) / down) * (double)((column_units + across - 1) / across),
           cost = 0;
    for (int threads = 2; threads <= 4; threads++)
        cost += ((tiles + threads - 1) / threads) * threads * largest / row_units / column_units;
    return cost + reading * (across * rows + down * columns) / (rows + columns);
}

// Rows that share a packed panel are not dealt out, unless they are packed, too: then they alone
// are, so that none is packed twice. A tile that becomes new weights is one of whole rows: the
// forward pass shares out the same weights by its columns, which are these rows, so that a thread
// finds those in its cache that it has written there.
static void choose_tiles(const Kernel *kernel, Tiling *t) {
    double rows = digits_total(&t->m, t->batch), columns = digits_total(&t->n, t->batch), best = -1;
    t->row_tiles = t->column_tiles = 1;
    if (!tiling_is_single(t) || is_serial(t)) return;
    int most = least((int64_t)(tiling_multiplications(t) / TILE_WORK), MOST_TILES);
    int row_units = tiling_row_units(t);
    int column_units = tiling_column_units(t);
    if (column_units < 1 || !can_cut_columns(kernel)) column_units = 1;
    // Where what is read again stays in the cache, fine tiles are better: other kernels' parts are
    // shared out with them.
    double reading = t->packed_rows && !t->packed ? -0.01 : 0.1;
    if (t->packed_rows)
        column_units = 1, most = t->packed ? least(most, 4) : most;
    else if (t->packed && column_units > 1)
        row_units = 1;
    else if (kernel->product && row_units >= LEAST_ROW_UNITS)
        column_units = 1; // becomes new weights
    for (int down = 1; down <= least(row_units, most); down++)
        for (int across = 1; across <= least(column_units, most / down); across++) {
            double cost = tile_cost(rows, columns, row_units, column_units, down, across, reading);
            if (best >= 0 && cost >= best) continue;
            best = cost;
            t->row_tiles = down, t->column_tiles = across;
        }
}

int64_t tiling_tile_elements(const Tiling *tiling) {
    return tiling->tile_rows * tiling->tile_columns;
}

// Of `length` rows or columns in `units`, of `unit` at most each, the most that one of `tiles` has.
static int64_t largest_share(int64_t length, int64_t units, int64_t unit, int tiles) {
    int64_t share = (units + tiles - 1) / tiles * unit;
    return tiles == 1 || share > length ? length : share;
}

// A tile's rows follow one another; the last one may have columns behind its panels.
static void place_tile(Tiling *t) {
    int64_t rows = (int64_t)digits_total(&t->m, t->batch),
            columns = (int64_t)digits_total(&t->n, t->batch);
    int64_t units = tiling_row_units(t), inner = t->m.count > 1 ? rows / units : t->row.size;
    t->tile_rows = largest_share(rows, units, inner, t->row_tiles);
    units = tiling_column_units(t);
    inner = t->n.count > 1 ? columns / units : t->dot ? t->column.size : tiling_panel(t);
    int64_t rest = t->n.count > 1 || t->dot ? 0 : columns - units * inner;
    t->tile_columns = largest_share(columns - rest, units, inner, t->column_tiles) + rest;
    for (int i = 0; i < t->m.count; i++)
        t->m.at[i].stride[SIDE_C] = t->m.at[i].stride[SIDE_C] / columns * t->tile_columns;
}

// --- All of it

// In a packed panel the columns of each k lie together.
static void pack(Tiling *t) {
    int64_t stride = tiling_panel(t);
    for (int i = 0; i < t->n.count; i++) {
        t->n.at[i].unpacked = t->n.at[i].stride[SIDE_B];
        t->n.at[i].stride[SIDE_B] = 0;
    }
    for (int i = t->k.count - 1; i >= 0; i--) {
        t->k.at[i].unpacked = t->k.at[i].stride[SIDE_B];
        t->k.at[i].stride[SIDE_B] = stride;
        stride *= i + 1 == t->k.count ? packed_extent(t) : dim_eval(t->k.at[i].extent, t->batch);
    }
    for (int i = 0; i < t->g.count; i++) {
        t->g.at[i].unpacked = t->g.at[i].stride[SIDE_B];
        t->g.at[i].stride[SIDE_B] = 0;
    }
}

const Tiling *tiling_make(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    const Node *core = kernel->core;
    Problem p = {.target = fusion->target, .batch = fusion->batch, .core = core};
    if (!fusion->read[core->id].tiled) return NULL;
    for (int i = 0; i < 2; i++) {
        const Node *base = fusion->read[core->id].base[i];
        p.view[i] = view_find(core->in[i], base ? base : core->in[i], fusion->batch);
    }
    p.in_scratch = kernel->product;
    problem_set_epilogue(&p, kernel->result.at[0].value, &kernel->space);
    Tiling *tiling = ARENA_NEW(arena, Tiling);
    tiling->batch = fusion->batch;
    if (p.target->gpu) {
        if (!problem_find_digits(&p, tiling)) bug("a product has lost its digits");
        return tiling;
    }
    if (form_make(&p, fusion->read[core->id].form, tiling) < 0)
        bug("a product has lost its tiling");
    choose_tiles(kernel, tiling);
    if (p.in_scratch && tiling_is_single(tiling)) place_tile(tiling);
    if (tiling->packed) pack(tiling);
    for (int side = 0; side < 2; side++)
        tiling->widened[side] = tiling->base[side]->dtype == DT_BF16 && !tiling->narrow[side] &&
                                !(side == SIDE_A ? tiling->packed_rows : tiling->packed);
    return tiling;
}
