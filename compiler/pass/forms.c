// SPDX-License-Identifier: MIT
// Chooses the form of a product's register blocks from its shape and the target's registers.
//
// The indices of the product are brought to digits (digits.h). Of the forms that their strides
// allow, both ways round, and of the nodes that the operands may be read from, that is taken which
// costs least by a count of what vectors and registers waste.
#include "pass/forms.h"
#include "support/choice.h"

#include <math.h>

enum {
    COPY_COST = 40, // of an element that is stored and loaded again, in multiplications
    WIDEN_COST = 4, // of one that is loaded as bf16 and stored in the cache as f32
    LONG_COST = 20, // of one that goes through memory, as they do not fit
};

// --- What the operands and the output walk through

typedef struct Walks {
    IndexWalk g[SIDES], m[SIDES], n[SIDES], k[SIDES];
} Walks;

static void add_steps(IndexWalk *to, const IndexWalk *from) {
    for (int i = 0; i < from->count; i++)
        index_walk_add(to, from->at[i].extent, from->at[i].stride);
}

static void read_operand(const Problem *p, int which, Side side, Walks *walks) {
    const View *view = &p->view[which];
    const ProductAttr *attr = &p->core->attr->product;
    Dim times;
    if (!dim_div(&times, p->core->shape.dim[0], p->core->in[which]->shape.dim[0]))
        bug("a product's batch is no multiple of its operand's");
    index_walk_add(&walks->g[side], times, 0);
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
    IndexWalk *rows = swapped ? &walks->n[SIDE_C] : &walks->m[SIDE_C];
    Dim of_batch;
    if (dim_div(&of_batch, dim[0], dim_batch()) && !dim_is_one(of_batch)) {
        index_walk_add(&walks->g[SIDE_C], dim_batch(), block * dim_eval(of_batch, p->batch));
        index_walk_add(&walks->g[SIDE_C], of_batch, block);
    } else {
        index_walk_add(&walks->g[SIDE_C], dim[0], p->in_scratch ? 0 : block);
    }
    index_walk_add(rows, p->outer, row * dim_eval(p->unit, p->batch));
    index_walk_add(rows, p->unit, row);
    index_walk_add(swapped ? &walks->m[SIDE_C] : &walks->n[SIDE_C], dim[2], 1);
}

bool problem_find_digits(const Problem *p, Tiling *tiling) {
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
    if (dim_is_one(p->unit) || dim_is_one(p->outer)) digits_merge(&tiling->m);
    digits_merge(&tiling->n);
    digits_merge(&tiling->k);
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

double tiling_multiplications(const Tiling *t) {
    return digits_total(&t->g, t->batch) * digits_total(&t->m, t->batch) *
           digits_total(&t->n, t->batch) * digits_total(&t->k, t->batch);
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
    const Digit *m = digits_last(&t->m), *k = digits_last(&t->k);
    double columns = digits_total(&t->n, t->batch);
    if (t->flat || t->m.count > 1 || t->k.count > 1 || !tiling_is_single(t)) return false;
    if (m->stride[SIDE_A] != 1 || !dim_is_const(m->extent) || columns < LEAST_COLUMNS) return false;
    if (t->pairs) return k->stride[SIDE_A] != 1;
    return crowds_along(k->stride[SIDE_A], digits_extent(&t->k, t->batch)) &&
           (t->packed || columns * digits_total(&t->k, t->batch) <= FITS);
}

// May every row have a place of its own in its block's code? Those that an epilogue has tied to its
// own loop may not: tiles end between them.
static bool is_flat(const Tiling *t, int most) {
    for (int i = 0; i < t->m.count; i++)
        if (!dim_is_const(t->m.at[i].extent)) return false;
    return t->m.count > 1 && t->plain && digits_extent(&t->m, t->batch) < most / 2 &&
           digits_total(&t->m, t->batch) <= 3 * most;
}

// Blocks that read all of k walk through both operands from end to end, over and over.
static bool is_long(const Tiling *t) {
    enum { CACHED = 32 * 1024, LEAST_STEP = 16 }; // floats; multiplications of one chain
    double step = digits_total(&t->k, t->batch) / (double)dim_eval(t->k.at[0].extent, t->batch);
    bool whole = digits_extent(&t->n, t->batch) % t->lanes == 0; // no column is computed twice
    if (!dim_at_least(t->k.at[0].extent, 1)) return false;       // a sum of nothing is stored, too
    return t->k.count > 1 && step >= LEAST_STEP && digits_last(&t->n)->stride[SIDE_C] == 1 &&
           whole &&
           (digits_total(&t->m, t->batch) + digits_total(&t->n, t->batch)) *
                   digits_total(&t->k, t->batch) >
               CACHED;
}

// --- Operands in bf16

static bool is_bf16(const Tiling *t, Side side) { return t->base[side]->dtype == DT_BF16; }

// What it costs to widen a or b, with all that lies between what is read: again for each tile of a
// single matrix, or for each of several, and for each step.
static double widening(const Tiling *t, Side side) {
    enum { CACHED = 256 * 1024 }; // floats
    int64_t low, high;
    if (!is_bf16(t, side)) return 0;
    tiling_widened_reach(t, side, &low, &high);
    double span = (double)(high - low + 1), times = digits_total(&t->g, t->batch);
    if (t->stepwise) times *= (double)dim_eval(t->k.at[0].extent, t->batch);
    bool single = tiling_is_single(t), cached = span / (single ? MOST_TILES : 1) <= CACHED;
    return (cached ? WIDEN_COST : LONG_COST) * (single ? 4 : 1) * times * span;
}

// Blocks of the outer form read rows of b as bf16: widening a vector is little beside what it is
// multiplied with. An element of a is not, and is used again for each panel: it is widened before,
// unless that is dearer. `multiplying` is what it costs to multiply floats; returns what it does.
static double read_narrow(Tiling *t, double multiplying) {
    enum { PAIRS = 2 };
    if (t->pairs) {
        t->narrow[SIDE_A] = t->narrow[SIDE_B] = true;
        return multiplying / PAIRS;
    }
    t->narrow[SIDE_B] = is_bf16(t, SIDE_B) && !t->packed;
    if (t->narrow[SIDE_B]) multiplying *= (t->row.size + 1.5) / t->row.size;
    if (!is_bf16(t, SIDE_A) || t->packed_rows) return multiplying;
    double widened = widening(t, SIDE_A), narrow = 0.7 * multiplying;
    t->narrow[SIDE_A] = narrow < widened;
    return multiplying + (narrow < widened ? narrow : widened);
}

// May a and packed columns of b be multiplied in pairs? Neighbours along k lie together in a, in
// memory or where its rows are packed.
static bool can_pair(const Tiling *t) {
    const Digit *k = digits_last(&t->k);
    if (!is_bf16(t, SIDE_A) || !is_bf16(t, SIDE_B)) return false;
    if (digits_extent(&t->n, t->batch) < 4 || t->flat) return false;
    if (t->k.count > 1 && !dim_is_const(k->extent)) return false;
    return t->packed_rows || k->stride[SIDE_A] == 1;
}

// As many rows as leave registers for what is loaded. Returns its cost in multiplications, -1: it
// cannot read b.
static double choose_outer(const Target *target, Tiling *t, bool pack, bool pairs) {
    const Digit *n = digits_last(&t->n), *m = digits_last(&t->m), *k = digits_last(&t->k);
    double columns = (double)digits_extent(&t->n, t->batch), cost = 0;
    if (!pack && n->stride[SIDE_B] != 1 && columns > 1) return -1;
    t->packed = pack, t->pairs = t->dot2 = pairs;
    t->packed_rows = columns > 1 && packs_rows(t);
    bool narrow = (t->packed_rows && !pack) || crowds(m->stride[SIDE_A]); // few rows at a time
    t->vectors = columns == 1 ? 1 : target->registers > 16 && narrow ? 3 : 2;
    int most = columns == 1 ? 12 : (target->registers - 2 - t->vectors) / t->vectors;
    t->flat = is_flat(t, most);
    t->row = cut_evenly(
        t->flat ? (int64_t)digits_total(&t->m, t->batch) : digits_extent(&t->m, t->batch), most);
    if (t->packed_rows && t->row.count % 2) // blocks of rows are all that threads share
        t->row = cut_in(digits_extent(&t->m, t->batch), t->row.count + 1);
    if (pairs && !(target->dot2 && can_pair(t))) return -1;
    t->panels = (int)(columns / (t->vectors * t->lanes));
    double used = fill(columns, columns < t->lanes ? 1 : t->lanes) * busy(t->row.size * t->vectors);
    used *= (double)digits_extent(&t->k, t->batch) / ((double)digits_extent(&t->k, t->batch) + 0.5);
    if (columns <= t->lanes) used *= 0.7 * columns / t->lanes; // a load for each step
    if (n->stride[SIDE_C] != 1)
        cost += (crowds(n->stride[SIDE_C]) ? 60 : 20) * digits_total(&t->g, t->batch) *
                digits_total(&t->m, t->batch) * digits_total(&t->n, t->batch);
    if (pack) {
        double each = n->stride[SIDE_B] == 1 ? 10 : k->stride[SIDE_B] == 1 ? 25 : 80;
        double times = t->panels < 2 ? 4 : 1; // tiles of rows pack the same columns each
        cost += each * times * digits_total(&t->k, t->batch) * digits_total(&t->n, t->batch) *
                digits_total(&t->g, t->batch);
    } else if (crowds(k->stride[SIDE_B]) && digits_extent(&t->k, t->batch) > 64) {
        used /= 1.6;
    }
    if (t->packed_rows)
        cost += 10 * digits_total(&t->k, t->batch) * digits_total(&t->m, t->batch);
    else if (crowds(k->stride[SIDE_A]) && digits_extent(&t->k, t->batch) > 64)
        used /= 1.6;
    t->stepwise = !pack && is_long(t);
    return cost + read_narrow(t, tiling_multiplications(t) / used);
}

// Each step loads a vector of each column, then one of each row that meets them all. Four columns
// are added up together.
static double choose_dot(const Target *target, Tiling *t, bool pairs) {
    const Digit *k = digits_last(&t->k);
    double length = (double)digits_extent(&t->k, t->batch), step = pairs ? 2 : 1;
    if (!dim_is_const(k->extent) || length < 4 * step) return -1;
    if (pairs && !(is_bf16(t, SIDE_A) && is_bf16(t, SIDE_B))) return -1;
    if (k->stride[SIDE_A] != 1 || k->stride[SIDE_B] != 1) return -1;
    t->dot = true;
    t->pairs = t->narrow[SIDE_A] = t->narrow[SIDE_B] = pairs, t->dot2 = pairs && target->dot2;
    while (t->lanes * step > length)
        t->lanes /= 2;
    t->row = cut_evenly(digits_extent(&t->m, t->batch), target->registers > 16 ? 6 : 2);
    t->column = cut_evenly(digits_extent(&t->n, t->batch), 4);
    double used = fill(length, t->lanes * step) * busy(t->row.size * t->column.size) * 0.95;
    if (pairs) used *= t->dot2 ? 2 : 0.7; // else halves of what is loaded are taken apart
    used *= t->lanes / (double)target->lanes;
    if (crowds(digits_last(&t->m)->stride[SIDE_A]) || crowds(digits_last(&t->n)->stride[SIDE_B]))
        used *= 0.8;
    return (tiling_multiplications(t) + 3.0 * target->lanes * digits_total(&t->g, t->batch) *
                                            digits_total(&t->m, t->batch) *
                                            digits_total(&t->n, t->batch)) /
               used +
           (pairs ? 0 : widening(t, SIDE_A) + widening(t, SIDE_B));
}

double form_make(const Problem *p, int form, Tiling *t) {
    *t = (Tiling){.swapped = form % 2, .plain = p->plain, .batch = p->batch};
    t->lanes = p->target->lanes;
    if ((t->swapped && !p->plain) || !problem_find_digits(p, t)) return -1;
    switch (form / 2) {
    case 2:
    case 4:
        return choose_dot(p->target, t, form / 2 == 4);
    default:
        return choose_outer(p->target, t, form / 2 > 0, form / 2 == 3);
    }
}

// --- Reads

bool product_is_empty(int64_t batch, const Node *core) {
    for (int i = 0; i < 2; i++)
        if (shape_eval(&core->in[i]->shape, batch) == 0) return true;
    return shape_eval(&core->shape, batch) == 0;
}

void problem_set_epilogue(Problem *p, const Node *end, const Shape *space) {
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
    return plain && target_is_here(target) && !target->alone && work >= LEAST_CALLED;
}

enum { WAYS = 4 };

static const char *candidate_name(int form, int way) {
    static const char *const names[WAYS][FORMS] = {
#define WAY(how)                                                                                   \
    {"outer" how,        "outer, swapped" how,                                                     \
     "packed" how,       "packed, swapped" how,                                                    \
     "dot" how,          "dot, swapped" how,                                                       \
     "packed pairs" how, "packed pairs, swapped" how,                                              \
     "dot of pairs" how, "dot of pairs, swapped" how}
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
        double cost = form_make(p, form, &tiling);
        if (cost >= 0) choice_offer(choice, candidate_name(form, way), copies + cost);
    }
}

// On a GPU an operand is read from as deep as digits go, by blocks that are chosen later
// (pass/gpu.h).
static bool choose_deepest(Problem *p, const Reading *from, Reads *read) {
    double copies;
    for (int way = WAYS - 1; way >= 0; way--) {
        Tiling tiling = {0};
        if (!set_way(p, from, way, &copies) || !problem_find_digits(p, &tiling)) continue;
        read->base[0] = p->view[0].base, read->base[1] = p->view[1].base;
        return true;
    }
    return false;
}

bool tiling_choose_reads(Arena *arena, const Target *target, int64_t batch, const Reading *from,
                         Reads *read) {
    double copies;
    Problem p = {.target = target, .batch = batch, .core = from->product};
    problem_set_epilogue(&p, from->end, &from->end->shape);
    if (target_width(target) == 0 || product_is_empty(batch, p.core)) return false;
    if (target->gpu) return choose_deepest(&p, from, read);
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
