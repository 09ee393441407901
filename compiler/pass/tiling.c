// SPDX-License-Identifier: MIT
// Chooses the register blocks and tiles of a product from its shape and the target's registers.
//
// First the indices of the product are brought to digits that a, b and the output all have: where
// one operand's memory takes an index in two steps, it is two digits for all three. Neighbours that
// all three walk through as one become one again. Of the forms that the strides allow, and of both
// ways round, the one is taken that costs least by a count of what its vectors and registers waste.
#include "pass/tiling.h"
#include "pass/view.h"
#include "support/choice.h"

#include <math.h>

enum {
    LEAST_PARALLEL = 200000, // multiplications, below which threads are not worth waking
    TILE_WORK = 60000,       // multiplications in a tile, at least
    MOST_TILES = 16,
    COPY_COST = 40, // of an element that is stored and loaded again, in multiplications
    WIDEN_COST = 4, // of one that is loaded as bf16 and stored in the cache as f32
};

typedef struct Problem {
    const Target *target;
    int64_t batch;
    const Node *core;
    View view[2];
    bool in_scratch; // the product, one g (where there is one alone, a tile) at a time
    bool plain;      // nothing is computed behind it
    Dim outer, unit; // else: indices of the epilogue's outermost loop, and the rows of each
} Problem;

// --- Digits

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

static const Digit *last(const Digits *digits) { return &digits->at[digits->count - 1]; }

static double total(const Tiling *tiling, const Digits *digits) {
    double product = 1;
    for (int i = 0; i < digits->count; i++)
        product *= (double)dim_eval(digits->at[i].extent, tiling->batch);
    return product;
}

static int64_t extent(const Tiling *tiling, const Digits *digits) {
    return dim_eval(last(digits)->extent, tiling->batch);
}

// --- What the operands and the output walk through

typedef struct Walks {
    Walk g[SIDES], m[SIDES], n[SIDES], k[SIDES];
} Walks;

static void add_steps(Walk *to, const Walk *from) {
    for (int i = 0; i < from->count; i++)
        walk_add(to, from->at[i].extent, from->at[i].stride);
}

static void read_operand(const Problem *p, int which, Side side, Walks *walks) {
    const View *view = &p->view[which];
    const ProductAttr *attr = &p->core->attr->product;
    Dim times;
    if (!dim_div(&times, p->core->shape.dim[0], p->core->in[which]->shape.dim[0]))
        bug("a product's batch is no multiple of its operand's");
    walk_add(&walks->g[side], times, 0);
    add_steps(&walks->g[side], &view->axis[0]);
    bool transposed = which ? attr->transpose_b : attr->transpose_a;
    bool k_last = transposed == (which == 1);
    add_steps(&walks->k[side], &view->axis[1]);
    add_steps(&walks->k[side], &view->axis[k_last ? 3 : 2]);
    add_steps(side == SIDE_A ? &walks->m[side] : &walks->n[side], &view->axis[k_last ? 2 : 3]);
}

// The rows to one index of the epilogue's outermost loop are a step of their own, so that tiles end
// between them.
static void read_output(const Problem *p, bool swapped, Walks *walks) {
    const Dim *dim = p->core->shape.dim;
    int64_t row = dim_eval(dim[2], p->batch), block = row * dim_eval(dim[1], p->batch);
    Walk *rows = swapped ? &walks->n[SIDE_C] : &walks->m[SIDE_C];
    Dim of_batch;
    if (dim_div(&of_batch, dim[0], dim_batch()) && !dim_is_one(of_batch)) {
        walk_add(&walks->g[SIDE_C], dim_batch(), block * dim_eval(of_batch, p->batch));
        walk_add(&walks->g[SIDE_C], of_batch, block);
    } else {
        walk_add(&walks->g[SIDE_C], dim[0], p->in_scratch ? 0 : block);
    }
    walk_add(rows, p->outer, row * dim_eval(p->unit, p->batch));
    walk_add(rows, p->unit, row);
    walk_add(swapped ? &walks->m[SIDE_C] : &walks->n[SIDE_C], dim[2], 1);
}

static bool find_digits(const Problem *p, Tiling *tiling) {
    Walks walks = {0};
    int right = !tiling->swapped;
    for (int side = 0; side < 2; side++) {
        int which = side == SIDE_A ? !right : right;
        read_operand(p, which, (Side)side, &walks);
        tiling->base[side] = p->view[which].base;
        tiling->offset[side] = p->view[which].offset;
    }
    read_output(p, tiling->swapped, &walks);
    if (!digits_make(walks.g, &tiling->g) || !digits_make(walks.m, &tiling->m) ||
        !digits_make(walks.n, &tiling->n) || !digits_make(walks.k, &tiling->k))
        return false;
    if (dim_is_one(p->unit) || dim_is_one(p->outer)) merge(&tiling->m);
    merge(&tiling->n);
    merge(&tiling->k);
    return true;
}

// --- Blocks

static Cut cut_in(int64_t length, int count) {
    int size = (int)((length + count - 1) / count);
    return (Cut){size, (int)(length - (int64_t)count * (size - 1)), count};
}

static Cut cut_evenly(int64_t length, int most) {
    return cut_in(length, (int)((length + most - 1) / most));
}

static double fill(double count, double by) {
    return count / (by * (double)(int)((count + by - 1) / by));
}

// What a block of `chains` accumulators makes of the machine, which works on about ten at a time.
static double busy(double chains) { return chains < 10 ? chains / 10 : 1; }

static double multiplications(const Tiling *t) {
    return total(t, &t->g) * total(t, &t->m) * total(t, &t->n) * total(t, &t->k);
}

// Do rows that far apart meet in a few sets of the first cache?
static bool crowds(int64_t stride) { return stride != 0 && stride % 512 == 0; }

// Do so many lines that far apart meet in fewer sets of the first cache (64, of 8 lines at least)
// than they fill?
static bool crowds_along(int64_t stride, int64_t count) {
    enum { LINE = 16, SETS = 64, WAYS = 8 }; // floats; sets; lines
    int64_t lines = stride / LINE, sets = SETS;
    if (stride == 0 || stride % LINE) return false;
    for (; lines % 2 == 0 && sets > 1; lines /= 2)
        sets /= 2;
    return count > sets * WAYS;
}

// May a's rows be packed, and does it pay? Where b is not packed, each tile of rows goes through
// all of it.
static bool packs_rows(const Tiling *t) {
    enum { FITS = 128 * 1024, LEAST_COLUMNS = 32 }; // floats of b that stay in a core's cache
    const Digit *m = last(&t->m), *k = last(&t->k);
    double columns = total(t, &t->n);
    if (t->flat || t->m.count > 1 || t->k.count > 1 || !tiling_is_single(t)) return false;
    if (m->stride[SIDE_A] != 1 || !dim_is_const(m->extent) || columns < LEAST_COLUMNS) return false;
    return crowds_along(k->stride[SIDE_A], extent(t, &t->k)) &&
           (t->packed || columns * total(t, &t->k) <= FITS);
}

// May every row have a place of its own in its block's code? Those that an epilogue has tied to its
// own loop may not: tiles end between them.
static bool is_flat(const Tiling *t, int most) {
    for (int i = 0; i < t->m.count; i++)
        if (!dim_is_const(t->m.at[i].extent)) return false;
    return t->m.count > 1 && t->plain && extent(t, &t->m) < most / 2 && total(t, &t->m) <= 3 * most;
}

// Elements of a or b that are widened, again for each tile of a single matrix, or for each of
// several.
static double widening(const Tiling *t, Side side) {
    if (t->base[side]->dtype != DT_BF16) return 0;
    double again = tiling_is_single(t) && side == SIDE_B ? MOST_TILES : 1;
    const Digits *own = side == SIDE_A ? &t->m : &t->n;
    return WIDEN_COST * again * total(t, &t->g) * total(t, own) * total(t, &t->k);
}

// As many rows as leave registers for what is loaded. Returns its cost in multiplications, -1: it
// cannot read b.
static double choose_outer(const Target *target, Tiling *t, bool pack) {
    const Digit *n = last(&t->n), *m = last(&t->m), *k = last(&t->k);
    double columns = (double)extent(t, &t->n), cost = 0;
    if (!pack && n->stride[SIDE_B] != 1 && columns > 1) return -1;
    t->packed = pack;
    t->packed_rows = columns > 1 && packs_rows(t);
    bool narrow = (t->packed_rows && !pack) || crowds(m->stride[SIDE_A]); // few rows at a time
    t->vectors = columns == 1 ? 1 : target->registers > 16 && narrow ? 3 : 2;
    int most = columns == 1 ? 12 : (target->registers - 2 - t->vectors) / t->vectors;
    t->flat = is_flat(t, most);
    t->row = cut_evenly(t->flat ? (int64_t)total(t, &t->m) : extent(t, &t->m), most);
    if (t->packed_rows && t->row.count % 2) // blocks of rows are all that threads share
        t->row = cut_in(extent(t, &t->m), t->row.count + 1);
    t->panels = (int)(columns / (t->vectors * t->lanes));
    double used = fill(columns, columns < t->lanes ? 1 : t->lanes) * busy(t->row.size * t->vectors);
    used *= (double)extent(t, &t->k) / ((double)extent(t, &t->k) + 0.5);
    if (columns <= t->lanes) used *= 0.7 * columns / t->lanes; // a load for each step
    if (n->stride[SIDE_C] != 1)
        cost += (crowds(n->stride[SIDE_C]) ? 60 : 20) * total(t, &t->g) * total(t, &t->m) *
                total(t, &t->n);
    if (pack) {
        double each = n->stride[SIDE_B] == 1 ? 10 : k->stride[SIDE_B] == 1 ? 25 : 80;
        double times = t->panels < 2 ? 4 : 1; // tiles of rows pack the same columns each
        cost += each * times * total(t, &t->k) * total(t, &t->n) * total(t, &t->g);
    } else if (crowds(k->stride[SIDE_B]) && extent(t, &t->k) > 64) {
        used /= 1.6;
    }
    if (t->packed_rows)
        cost += 10 * total(t, &t->k) * total(t, &t->m);
    else if (crowds(k->stride[SIDE_A]) && extent(t, &t->k) > 64)
        used /= 1.6;
    if (!pack) cost += widening(t, SIDE_B);
    if (!t->packed_rows) cost += widening(t, SIDE_A);
    return cost + multiplications(t) / used;
}

// Each step loads a vector of each column, then one of each row that meets them all. Four columns
// are added up together.
static double choose_dot(const Target *target, Tiling *t) {
    const Digit *k = last(&t->k);
    double length = (double)extent(t, &t->k);
    if (!dim_is_const(k->extent) || length < 4) return -1;
    if (k->stride[SIDE_A] != 1 || k->stride[SIDE_B] != 1) return -1;
    t->dot = true;
    while (t->lanes > length)
        t->lanes /= 2;
    t->row = cut_evenly(extent(t, &t->m), target->registers > 16 ? 6 : 2);
    t->column = cut_evenly(extent(t, &t->n), 4);
    double used = fill(length, t->lanes) * busy(t->row.size * t->column.size) * 0.95;
    used *= t->lanes / (double)target->lanes;
    if (crowds(last(&t->m)->stride[SIDE_A]) || crowds(last(&t->n)->stride[SIDE_B])) used *= 0.8;
    return (multiplications(t) +
            3.0 * target->lanes * total(t, &t->g) * total(t, &t->m) * total(t, &t->n)) /
               used +
           widening(t, SIDE_A) + widening(t, SIDE_B);
}

enum { FORMS = 6 }; // outer, packed, dot; each also swapped

// The cost of one of the forms; -1: it cannot be had.
static double make_form(const Problem *p, int form, Tiling *t) {
    *t = (Tiling){.swapped = form % 2, .plain = p->plain, .batch = p->batch};
    t->lanes = p->target->lanes;
    if ((t->swapped && !p->plain) || !find_digits(p, t)) return -1;
    return form / 2 < 2 ? choose_outer(p->target, t, form / 2) : choose_dot(p->target, t);
}

// --- Reads

static bool is_empty(int64_t batch, const Node *core) {
    for (int i = 0; i < 2; i++)
        if (shape_eval(&core->in[i]->shape, batch) == 0) return true;
    return shape_eval(&core->shape, batch) == 0;
}

static void set_epilogue(Problem *p, const Node *end, const Shape *space) {
    const Dim *dim = p->core->shape.dim;
    p->plain = end == p->core;
    p->outer = dim[1], p->unit = dim_const(1);
    if (dim_is_one(dim[0]) && !p->plain && !product_outer(p->core, space, &p->outer, &p->unit))
        bug("a product's epilogue is not its rows");
}

// What movements are between an operand and what is computed: "b by window permute". Those that
// only rename are left out.
static void print_movements(Buf *out, char name, const Node *operand) {
    for (bool first = true; node_is_movement(operand); operand = operand->in[0]) {
        if (operand->op == OP_reshape) continue;
        if (first) buf_printf(out, ", %c by", name);
        buf_printf(out, " %s", op_info(operand->op)->name);
        first = false;
    }
    if (operand->dtype != DT_F32) buf_printf(out, ", %c in %s", name, dtype_name(operand->dtype));
}

// "product 16x128x784, b transposed, epilogue": rows, columns, and what is summed; how many, and of
// how many blocks. Also all else that the choice depends on.
static const char *name_site(Arena *arena, const Reading *from, int64_t batch) {
    const Node *core = from->product;
    const ProductAttr *attr = &core->attr->product;
    const Dim *out = core->shape.dim, *a = core->in[0]->shape.dim;
    int64_t times = dim_eval(out[0], batch), blocks = dim_eval(a[1], batch);
    Buf text = buf_new(arena);
    buf_add(&text, "product ");
    if (times > 1) buf_printf(&text, "%lld of ", (long long)times);
    buf_printf(&text, "%lldx%lldx", (long long)dim_eval(out[1], batch),
               (long long)dim_eval(out[2], batch));
    if (blocks > 1) buf_printf(&text, "%lld*", (long long)blocks);
    buf_printf(&text, "%lld", (long long)dim_eval(a[attr->transpose_a ? 2 : 3], batch));
    if (attr->transpose_a) buf_add(&text, ", a transposed");
    if (attr->transpose_b) buf_add(&text, ", b transposed");
    for (int i = 0; i < 2; i++)
        print_movements(&text, "ab"[i], core -> in[i]);
    if (from->end != core) buf_add(&text, ", epilogue");
    return text.text;
}

// Ways: 1 reads a, 2 reads b from what it moves; else it is read itself, and stored for that. False
// where that is the same memory.
static bool set_way(Problem *p, const Reading *from, int way, double *cost) {
    *cost = 0;
    for (int i = 0; i < 2; i++) {
        const Node *operand = p->core->in[i];
        p->view[i] = view_find(operand, from->deep[i], p->batch);
        if (!(way >> i & 1)) {
            if (p->view[i].base == operand || from->stored[i]) return false;
            p->view[i] = view_find(operand, operand, p->batch);
        }
        if (p->view[i].base == operand && !from->stored[i])
            *cost += COPY_COST * (double)shape_eval(&operand->shape, p->batch);
    }
    return true;
}

// Is a call of the library worth a try? The model does not know what it makes of a shape.
static bool suits_library(const Target *target, const Problem *p) {
    enum { LEAST_CALLED = 100000 }; // multiplications of one call
    const Dim *dim = p->core->shape.dim;
    bool transposed = p->core->attr->product.transpose_a;
    double work = (double)dim_eval(dim[1], p->batch) * (double)dim_eval(dim[2], p->batch) *
                  (double)dim_eval(p->core->in[0]->shape.dim[transposed ? 2 : 3], p->batch);
    bool plain = p->core->in[0]->dtype == DT_F32 && p->core->in[1]->dtype == DT_F32;
    return plain && target_is_here(target) && work >= LEAST_CALLED;
}

enum { WAYS = 4 };

static const char *candidate_name(int form, int way) {
    static const char *const names[WAYS][FORMS] = {
#define WAY(how)                                                                                   \
    {"outer" how, "outer, swapped" how, "packed" how, "packed, swapped" how,                       \
     "dot" how,   "dot, swapped" how}
        WAY(", a and b stored"),
        WAY(", b stored"),
        WAY(", a stored"),
        WAY(""),
#undef WAY
    };
    return names[way][form];
}

static void offer_forms(Choice *choice, Problem *p, const Reading *from, int way) {
    double copies;
    if (!set_way(p, from, way, &copies)) return;
    for (int form = 0; form < FORMS; form++) {
        Tiling tiling;
        double cost = make_form(p, form, &tiling);
        if (cost >= 0) choice_offer(choice, candidate_name(form, way), copies + cost);
    }
}

bool tiling_choose_reads(Arena *arena, const Target *target, int64_t batch, const Reading *from,
                         Reads *read) {
    double copies;
    Problem p = {.target = target, .batch = batch, .core = from->product};
    set_epilogue(&p, from->end, &from->end->shape);
    if (target->lanes == 0 || is_empty(batch, p.core)) return false;
    Choice *choice = choice_new(arena, CHOICE_FORM, name_site(arena, from, batch));
    for (int way = WAYS - 1; way >= 0; way--)
        offer_forms(choice, &p, from, way);
    if (choice->count > 0 && !from->used_up && suits_library(target, &p))
        choice_offer(choice, "library", INFINITY);
    if (choice_take(choice, target->tuning) < 0) return false;
    read->choice = choice;
    for (int way = 0; way < WAYS; way++)
        for (int form = 0; form < FORMS; form++) {
            if (!choice_takes(choice, candidate_name(form, way))) continue;
            set_way(&p, from, way, &copies);
            read->base[0] = p.view[0].base, read->base[1] = p.view[1].base;
            read->form = form;
            return true;
        }
    return false;
}

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
    double one = multiplications(tiling) / (double)dim_eval(tiling->g.at[0].extent, tiling->batch);
    return one >= TILE_WORK ? 1 : (int64_t)(TILE_WORK / one) + 1;
}

bool tiling_is_serial(const Tiling *tiling) { return multiplications(tiling) < LEAST_PARALLEL; }

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

int64_t tiling_panel_elements(const Tiling *tiling) {
    return tiling->packed ? (int64_t)total(tiling, &tiling->k) * tiling_panel(tiling) : 0;
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
    int64_t blocks = (tiling->row.count + tiling->row_tiles - 1) / tiling->row_tiles;
    int64_t rows = tiling->packed_rows ? blocks * tiling->row.size : 0;
    return tiling_panel_elements(tiling) + rows * (int64_t)total(tiling, &tiling->k);
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
// are, so that none is packed twice.
static void choose_tiles(const Kernel *kernel, Tiling *t) {
    double rows = total(t, &t->m), columns = total(t, &t->n), best = -1;
    t->row_tiles = t->column_tiles = 1;
    if (!tiling_is_single(t) || tiling_is_serial(t)) return;
    int most = least((int64_t)(multiplications(t) / TILE_WORK), MOST_TILES);
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
    int64_t rows = (int64_t)total(t, &t->m), columns = (int64_t)total(t, &t->n);
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
        stride *= dim_eval(t->k.at[i].extent, t->batch);
    }
    for (int i = 0; i < t->g.count; i++) {
        t->g.at[i].unpacked = t->g.at[i].stride[SIDE_B];
        t->g.at[i].stride[SIDE_B] = 0;
    }
}

// Blocks that read all of k walk through both operands from end to end, over and over.
static bool is_long(const Tiling *t) {
    enum { CACHED = 32 * 1024, LEAST_STEP = 16 }; // floats; multiplications of one chain
    double step = total(t, &t->k) / (double)dim_eval(t->k.at[0].extent, t->batch);
    bool whole = extent(t, &t->n) % t->lanes == 0;         // no column is computed twice
    if (!dim_at_least(t->k.at[0].extent, 1)) return false; // a sum of nothing is stored, too
    return t->k.count > 1 && step >= LEAST_STEP && last(&t->n)->stride[SIDE_C] == 1 && whole &&
           (total(t, &t->m) + total(t, &t->n)) * total(t, &t->k) > CACHED;
}

const Tiling *tiling_make(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    const Node *core = kernel->core;
    Problem p = {.target = fusion->target, .batch = fusion->batch, .core = core};
    if (p.target->lanes == 0 || is_empty(fusion->batch, core)) return NULL;
    if (!fusion->read[core->id].tiled) return NULL;
    for (int i = 0; i < 2; i++) {
        const Node *base = fusion->read[core->id].base[i];
        p.view[i] = view_find(core->in[i], base ? base : core->in[i], fusion->batch);
    }
    p.in_scratch = kernel->product;
    set_epilogue(&p, kernel->result.at[0].value, &kernel->space);
    Tiling *tiling = ARENA_NEW(arena, Tiling);
    if (make_form(&p, fusion->read[core->id].form, tiling) < 0)
        bug("a product has lost its tiling");
    choose_tiles(kernel, tiling);
    if (p.in_scratch && tiling_is_single(tiling)) place_tile(tiling);
    if (tiling->packed) pack(tiling);
    tiling->stepwise = !tiling->dot && !tiling->packed && is_long(tiling);
    tiling->widened[SIDE_A] = tiling->base[SIDE_A]->dtype == DT_BF16 && !tiling->packed_rows;
    tiling->widened[SIDE_B] = tiling->base[SIDE_B]->dtype == DT_BF16 && !tiling->packed;
    return tiling;
}
