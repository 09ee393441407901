// SPDX-License-Identifier: MIT
// Chooses the register blocks and tiles of a product from its shape and the target's registers.
//
// First the indices of the product are brought to digits that a, b and the output all have: where
// one operand's memory takes an index in two steps, it is two digits for all three. Neighbours that
// all three walk through as one become one again. Then the form is chosen by what is contiguous.
#include "pass/tiling.h"

enum {
    LEAST_PARALLEL = 200000, // multiplications, below which threads are not worth waking
    TILE_WORK = 60000,       // multiplications in a tile, at least
    MOST_TILES = 16,
};

// --- Digits

typedef struct Walk { // one operand's steps through an index of the product, outermost first
    int count;
    struct {
        Dim extent;
        int64_t stride;
    } at[DIGITS];
} Walk;

static void walk_add(Walk *walk, Dim extent, int64_t stride) {
    if (dim_is_one(extent) || walk->count == DIGITS) return;
    walk->at[walk->count].extent = extent;
    walk->at[walk->count++].stride = stride;
}

// Takes the innermost `extent` off; false where it is no whole part of a step.
static bool walk_take(Walk *walk, Dim extent, int64_t *stride) {
    Dim rest;
    if (walk->count == 0) return false;
    int last = walk->count - 1;
    *stride = walk->at[last].stride;
    if (!dim_div(&rest, walk->at[last].extent, extent)) return false;
    if (dim_is_one(rest)) {
        walk->count--;
        return true;
    }
    if (!dim_is_const(extent) && walk->at[last].stride != 0) return false;
    walk->at[last].extent = rest;
    walk->at[last].stride *= dim_eval(extent, 1);
    return true;
}

// An innermost step that divides those of the others.
static bool common_step(const Walk *walk, Dim *step) {
    for (int side = 0; side < SIDES; side++) {
        if (walk[side].count == 0) continue;
        Dim rest, extent = walk[side].at[walk[side].count - 1].extent;
        bool divides = true;
        for (int other = 0; other < SIDES; other++)
            if (walk[other].count > 0)
                divides &= dim_div(&rest, walk[other].at[walk[other].count - 1].extent, extent);
        *step = extent;
        if (divides) return true;
    }
    return false;
}

static bool is_one_walk(const Digit *outer, const Digit *inner) {
    if (!dim_is_const(inner->extent)) return false;
    for (int side = 0; side < SIDES; side++)
        if (outer->stride[side] != inner->stride[side] * dim_eval(inner->extent, 1)) return false;
    return true;
}

static void merge(Digits *digits) {
    for (int i = digits->count - 2; i >= 0; i--) {
        Dim whole;
        if (!is_one_walk(&digits->at[i], &digits->at[i + 1]) ||
            !dim_mul(&whole, digits->at[i].extent, digits->at[i + 1].extent))
            continue;
        digits->at[i] = digits->at[i + 1];
        digits->at[i].extent = whole;
        for (int k = i + 1; k + 1 < digits->count; k++)
            digits->at[k] = digits->at[k + 1];
        digits->count--;
    }
}

// The digits of an index that a, b and c walk through; one with no steps at all is the same along
// it.
static bool digits_make(const Walk *of, Digits *digits) {
    Walk walk[SIDES] = {of[SIDE_A], of[SIDE_B], of[SIDE_C]};
    Digit found[DIGITS];
    int count = 0;
    while (walk[SIDE_A].count + walk[SIDE_B].count + walk[SIDE_C].count > 0) {
        Digit digit = {.extent = dim_const(1)};
        if (count == DIGITS || !common_step(walk, &digit.extent)) return false;
        for (int side = 0; side < SIDES; side++)
            if (of[side].count > 0 && !walk_take(&walk[side], digit.extent, &digit.stride[side]))
                return false;
        found[count++] = digit;
    }
    digits->count = count ? count : 1;
    digits->at[0] = (Digit){.extent = dim_const(1)};
    for (int i = 0; i < count; i++)
        digits->at[i] = found[count - 1 - i];
    return true;
}

// --- What the operands and the output walk through

typedef struct Walks {
    Walk g[SIDES], m[SIDES], n[SIDES], k[SIDES];
} Walks;

static void read_operand(const Fusion *fusion, const Kernel *kernel, int which, Tiling *tiling,
                         Walks *walks) {
    const Node *node = kernel->core->in[which];
    const ProductAttr *attr = &kernel->core->attr->product;
    const Dim *dim = node->shape.dim;
    Dim times, whole = kernel->core->shape.dim[0];
    int64_t row = dim_eval(dim[3], fusion->batch), block = row * dim_eval(dim[2], fusion->batch);
    tiling->base[which] = node;
    if (!dim_div(&times, whole, dim[0])) bug("a product's batch is no multiple of its operand's");
    walk_add(&walks->g[which], times, 0);
    walk_add(&walks->g[which], dim[0],
             kernel->operand[which] ? 0 : block * dim_eval(dim[1], fusion->batch));
    walk_add(&walks->k[which], dim[1], block);
    bool transposed = which ? attr->transpose_b : attr->transpose_a;
    Walk *rows = which ? walks->k : walks->m, *columns = which ? walks->n : walks->k;
    Walk *first = transposed ? columns : rows, *second = transposed ? rows : columns;
    walk_add(&first[which], dim[2], row);
    walk_add(&second[which], dim[3], 1);
}

// The rows to one index of the epilogue's outermost loop are a step of their own, so that tiles end
// between them.
static void read_output(const Fusion *fusion, const Kernel *kernel, Walks *walks) {
    const Dim *dim = kernel->core->shape.dim;
    int64_t row = dim_eval(dim[2], fusion->batch), block = row * dim_eval(dim[1], fusion->batch);
    Dim outer = dim[1], unit = dim_const(1), of_batch;
    if (dim_div(&of_batch, dim[0], dim_batch()) && !dim_is_one(of_batch)) {
        walk_add(&walks->g[SIDE_C], dim_batch(), block * dim_eval(of_batch, fusion->batch));
        walk_add(&walks->g[SIDE_C], of_batch, block);
    } else {
        walk_add(&walks->g[SIDE_C], dim[0], kernel->product ? 0 : block);
    }
    if (dim_is_one(dim[0]) && kernel->result.at[0].value != kernel->core &&
        !product_outer(kernel->core, &kernel->space, &outer, &unit))
        bug("a product's epilogue is not its rows");
    walk_add(&walks->m[SIDE_C], outer, row * dim_eval(unit, fusion->batch));
    walk_add(&walks->m[SIDE_C], unit, row);
    walk_add(&walks->n[SIDE_C], dim[2], 1);
}

static bool find_digits(const Fusion *fusion, const Kernel *kernel, Tiling *tiling) {
    Walks walks = {0};
    read_operand(fusion, kernel, 0, tiling, &walks);
    read_operand(fusion, kernel, 1, tiling, &walks);
    read_output(fusion, kernel, &walks);
    bool tied = walks.m[SIDE_C].count > 1;
    if (!digits_make(walks.g, &tiling->g) || !digits_make(walks.m, &tiling->m) ||
        !digits_make(walks.n, &tiling->n) || !digits_make(walks.k, &tiling->k))
        return false;
    if (!tied) merge(&tiling->m);
    merge(&tiling->n);
    merge(&tiling->k);
    return true;
}

// --- Blocks

static const Digit *last(const Digits *digits) { return &digits->at[digits->count - 1]; }

static int64_t extent(const Tiling *tiling, const Digits *digits) {
    return dim_eval(last(digits)->extent, tiling->batch);
}

static Cut cut_evenly(int64_t length, int most) {
    int count = (int)((length + most - 1) / most);
    int size = (int)((length + count - 1) / count);
    return (Cut){size, (int)(length - (int64_t)count * (size - 1)), count};
}

static int least(int64_t a, int b) { return a < b ? (int)a : b; }

// Two vectors of columns, and as many rows as leave registers for what is loaded.
static bool choose_outer(const Target *target, Tiling *tiling) {
    const Digit *n = last(&tiling->n);
    int64_t columns = extent(tiling, &tiling->n);
    bool contiguous = n->stride[SIDE_B] == 1 || columns == 1;
    if (!contiguous || n->stride[SIDE_C] > 1) return false;
    int most = (target->registers - 4) / 2;
    tiling->row = cut_evenly(extent(tiling, &tiling->m), most);
    tiling->panels = (int)(columns / (2 * tiling->lanes));
    return true;
}

// Each step loads a vector of each column, then one of each row that meets them all. Four columns
// are added up together.
static bool choose_dot(const Target *target, Tiling *tiling) {
    const Digit *k = last(&tiling->k);
    int64_t length = extent(tiling, &tiling->k);
    if (!dim_is_const(k->extent) || length < 4) return false;
    if (k->stride[SIDE_A] != 1 || k->stride[SIDE_B] != 1) return false;
    while (tiling->lanes > length)
        tiling->lanes /= 2;
    tiling->row = cut_evenly(extent(tiling, &tiling->m), target->registers > 16 ? 6 : 2);
    tiling->column = cut_evenly(extent(tiling, &tiling->n), 4);
    tiling->dot = true;
    return true;
}

// --- Tiles

static double total(const Tiling *tiling, const Digits *digits) {
    double product = 1;
    for (int i = 0; i < digits->count; i++)
        product *= (double)dim_eval(digits->at[i].extent, tiling->batch);
    return product;
}

bool tiling_is_single(const Tiling *tiling) {
    return tiling->g.count == 1 && dim_is_one(tiling->g.at[0].extent);
}

static double work(const Tiling *tiling) {
    return total(tiling, &tiling->m) * total(tiling, &tiling->n) * total(tiling, &tiling->k);
}

int64_t tiling_grain(const Tiling *tiling) {
    if (tiling_is_single(tiling)) return 1;
    double outermost = (double)dim_eval(tiling->g.at[0].extent, tiling->batch);
    double one = work(tiling) * total(tiling, &tiling->g) / outermost;
    return one >= TILE_WORK ? 1 : (int64_t)(TILE_WORK / one) + 1;
}

bool tiling_is_serial(const Tiling *tiling) {
    return work(tiling) * total(tiling, &tiling->g) < LEAST_PARALLEL;
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

// How unevenly 2, 3 and 4 threads would share the tiles, and how much more they read than one.
static double tile_cost(double rows, double columns, int row_units, int column_units, int down,
                        int across) {
    int tiles = down * across;
    double largest = ((row_units + down - 1) / down) * (double)((column_units + across - 1) / across),
           cost = 0;
    for (int threads = 2; threads <= 4; threads++)
        cost += ((tiles + threads - 1) / threads) * threads * largest / row_units / column_units;
    return cost + 0.1 * (across * rows + down * columns) / (rows + columns);
}

static void choose_tiles(const Kernel *kernel, Tiling *tiling) {
    double rows = total(tiling, &tiling->m), columns = total(tiling, &tiling->n);
    double best = -1;
    tiling->row_tiles = tiling->column_tiles = 1;
    if (!tiling_is_single(tiling) || tiling_is_serial(tiling)) return;
    int most = least((int64_t)(work(tiling) / TILE_WORK), MOST_TILES);
    int row_units = tiling->m.count > 1 ? (int)dim_eval(tiling->m.at[0].extent, tiling->batch)
                                        : tiling->row.count;
    int column_units = tiling->n.count > 1 ? (int)dim_eval(tiling->n.at[0].extent, tiling->batch)
                       : tiling->dot       ? tiling->column.count
                                           : tiling->panels;
    if (column_units < 1 || !can_cut_columns(kernel)) column_units = 1;
    for (int down = 1; down <= least(row_units, most); down++)
        for (int across = 1; across <= least(column_units, most / down); across++) {
            double cost = tile_cost(rows, columns, row_units, column_units, down, across);
            if (best >= 0 && cost >= best) continue;
            best = cost;
            tiling->row_tiles = down, tiling->column_tiles = across;
        }
}

// --- All of it

Dim tiling_count(const Tiling *tiling) {
    if (!tiling_is_single(tiling)) return tiling->g.at[0].extent;
    return dim_const((int64_t)tiling->row_tiles * tiling->column_tiles);
}

static bool is_empty(const Fusion *fusion, const Node *core) {
    for (int i = 0; i < 2; i++)
        if (shape_eval(&core->in[i]->shape, fusion->batch) == 0) return true;
    return shape_eval(&core->shape, fusion->batch) == 0;
}

const Tiling *tiling_make(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    const Target *target = fusion->target;
    const Node *core = kernel->core;
    if (target->lanes == 0 || is_empty(fusion, core)) return NULL;
    if (dim_is_one(core->shape.dim[0]) && kernel->operand[1]) return NULL;
    Tiling *tiling = ARENA_NEW(arena, Tiling);
    tiling->lanes = target->lanes;
    tiling->batch = fusion->batch;
    if (!find_digits(fusion, kernel, tiling)) return NULL;
    if ((kernel->operand[0] || kernel->operand[1]) && tiling->g.count > 1) return NULL;
    bool narrow = extent(tiling, &tiling->n) < 4;
    if (!(narrow && choose_dot(target, tiling)) && !choose_outer(target, tiling) &&
        !choose_dot(target, tiling))
        return NULL;
    choose_tiles(kernel, tiling);
    return tiling;
}
