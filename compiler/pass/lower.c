// SPDX-License-Identifier: MIT
// Lowers contractions to products.
//
// Every access of an operand is first made plain by movements: y[n,k,h,w] = x[n,c,h+r,w+s] *
// w[k,c,r,s] reads its image through two windows, [n,c,h,r,w,s]. An access whose output index and
// summed index are subtracted, g[n,k,h-r,w-s], is the transposed convolution: the product is taken
// at the operand's own index and overlap-added behind (fold), which needs fewer multiplications
// than reading through holes.
//
// Then each loop index is in the batch, m, n or k part of a product, by the operands that it
// indexes; of the ways to order the parts the one that copies least is taken. Operands behind a
// window are copied in any case, so their order is free.
#include "pass/lower.h"
#include "pass/lower_internal.h"
#include "pass/plan.h"

#include <string.h>

// --- Accesses

static bool access_is_plain(const Access *access) {
    return access->index[0] >= 0 && access->index[1] < 0 && access->coef[0] == 1 &&
           access->offset == 0 && access->divisor == 1;
}

static bool indexes(const Access *access, int rank, int index, bool plainly) {
    for (int axis = 0; axis < rank; axis++) {
        const Access *at = &access[axis];
        if (plainly ? access_is_plain(at) && at->index[0] == index
                    : at->index[0] == index || at->index[1] == index)
            return true;
    }
    return false;
}

static int count_uses(const Access *access, int rank, int index) {
    int count = 0;
    for (int axis = 0; axis < rank; axis++)
        count += (access[axis].index[0] == index) + (access[axis].index[1] == index);
    return count;
}

// --- Folds

// If `access` of an operand is (p - dilation*r + offset) / stride, p an output index that nothing
// else uses and r a summed one that the other operand indexes plainly: makes it a plain index of
// its own.
static bool take_fold(Lowering *l, const Node *node, int axis, Access *own, const Access *other,
                      int other_rank) {
    Access *access = &own[axis];
    int own_rank = node->shape.rank;
    Dim axis_extent = node->shape.dim[axis];
    bool same = node->op == OP_broadcast && (node->attr->axes >> axis & 1);
    if (access->index[1] < 0 || l->fold_count == MAX_RANK / 2) return false;
    // Without a stride there are as many multiplications either way; code that reads windows where
    // they lie is quicker than adding up. What is the same everywhere is multiplied but once.
    if (target_width(l->target) && access->divisor == 1 && !same) return false;
    for (int first = 0; first < 2; first++) {
        int p = access->index[first], r = access->index[!first];
        if (access->coef[first] != 1 || access->coef[!first] >= 0) continue;
        if (!l->index[p].in_out || l->index[r].in_out) continue;
        if (count_uses(own, own_rank, p) != 1 || count_uses(own, own_rank, r) != 1) continue;
        if (indexes(other, other_rank, p, false) || !indexes(other, other_rank, r, true)) continue;
        if (!dim_is_const(axis_extent) || !dim_is_const(l->index[p].extent)) continue;
        if (!dim_is_const(l->index[r].extent)) continue;
        l->fold[l->fold_count++] = (Fold){.p = p,
                                          .r = r,
                                          .outputs = l->index[p].extent,
                                          .stride = access->divisor,
                                          .dilation = -access->coef[!first],
                                          .offset = access->offset};
        l->index[p].extent = axis_extent; // p now counts the operand's own axis
        l->index[p].window_output = true;
        l->index[r].in_out = l->index[r].tap = true;
        *access = (Access){.index = {(int8_t)p, -1}, .coef = {1, 0}, .divisor = 1};
        return true;
    }
    return false;
}

// --- Plain axes

static const Node *pad_axis(Graph *g, const Node *node, int axis, int64_t low, int64_t high,
                            int64_t interior) {
    PadAxis pad[MAX_RANK] = {0};
    if (low == 0 && high == 0 && interior == 0) return node;
    pad[axis] = (PadAxis){(int32_t)low, (int32_t)high, (int32_t)interior};
    return node_pad(g, node, pad, 0);
}

static const Node *slice_axis(Graph *g, const Node *node, int axis, int64_t start, int64_t step,
                              int64_t extent) {
    SliceAxis slice[MAX_RANK];
    Shape out = node->shape;
    if (start == 0 && step == 1 && dim_equal(out.dim[axis], dim_const(extent))) return node;
    for (int i = 0; i < MAX_RANK; i++)
        slice[i] = (SliceAxis){0, 1};
    slice[axis] = (SliceAxis){(int32_t)start, (int32_t)step};
    out.dim[axis] = dim_const(extent);
    return node_slice(g, node, slice, out);
}

// Pads and crops `axis` so that positions first .. last (of the axis) are positions 0 .. last -
// first.
static const Node *crop_axis(Graph *g, const Node *node, int axis, int64_t first, int64_t last) {
    int64_t extent = dim_eval(node->shape.dim[axis], 1);
    int64_t low = first < 0 ? -first : 0, high = last >= extent ? last - extent + 1 : 0;
    node = pad_axis(g, node, axis, low, high, 0);
    return slice_axis(g, node, axis, first + low, 1, last - first + 1);
}

static const Node *flip_axis(Graph *g, const Node *node, int axis) {
    return node_flip(g, node, 1u << axis);
}

// How an axis is read that is not plain: at low + ci*i + cj*j, with positive coefficients.
typedef struct Read {
    int i, j; // j -1: at one index alone
    int64_t ni, nj, ci, cj, low, high;
    bool flip_i, flip_j;
} Read;

// False where it cannot be had.
static bool read_axis(const Lowering *l, const Node *node, int axis, const Access *access,
                      Read *read) {
    *read = (Read){.i = access->index[0], .j = access->index[1], .ni = 1, .nj = 1};
    if (read->i < 0 || !dim_is_const(node->shape.dim[axis])) return false;
    if (!dim_is_const(l->index[read->i].extent)) return false;
    if (read->j >= 0 && !dim_is_const(l->index[read->j].extent)) return false;
    read->ni = dim_eval(l->index[read->i].extent, 1), read->ci = access->coef[0];
    if (read->j >= 0) read->nj = dim_eval(l->index[read->j].extent, 1), read->cj = access->coef[1];
    if (read->ni < 1 || read->nj < 1 || read->ci == 0 || (read->j >= 0 && read->cj == 0))
        return false;
    // A negative coefficient counts from the other end; the new axis is flipped behind.
    read->flip_i = read->ci < 0, read->flip_j = read->cj < 0;
    read->low = access->offset + (read->flip_i ? read->ci * (read->ni - 1) : 0) +
                (read->flip_j ? read->cj * (read->nj - 1) : 0);
    if (read->flip_i) read->ci = -read->ci;
    if (read->flip_j) read->cj = -read->cj;
    read->high = read->low + read->ci * (read->ni - 1) + read->cj * (read->nj - 1);
    return true;
}

// Pads and crops all axes to what is read of them, zeros included, before any is read through a
// window: so what has to be copied is small.
static bool crop_to_reads(const Lowering *l, Operand *operand, const Access *access, int rank) {
    for (int axis = 0; axis < rank; axis++) {
        Read read;
        if (access_is_plain(&access[axis])) continue;
        if (!read_axis(l, operand->node, axis, &access[axis], &read)) return false;
        operand->node = pad_axis(l->graph, operand->node, axis, 0, 0, access[axis].divisor - 1);
        operand->node = crop_axis(l->graph, operand->node, axis, read.low, read.high);
    }
    return true;
}

// Makes axis `axis` of the cropped operand, read by `access`, one plain axis or (for two indices)
// two. Returns the number of axes it became, 0 where it cannot be had.
static int make_axis_plain(Lowering *l, Operand *operand, int axis, const Access *access) {
    Graph *g = l->graph;
    Read read;
    if (access_is_plain(access)) {
        if (!dim_equal(operand->node->shape.dim[axis], l->index[access->index[0]].extent)) return 0;
        operand->index[axis] = access->index[0];
        return 1;
    }
    if (!read_axis(l, operand->node, axis, access, &read)) return 0;
    const Node *node = operand->node;
    operand->free_order = true;
    if (read.j < 0) {
        node = slice_axis(g, node, axis, 0, read.ci, read.ni);
        operand->node = read.flip_i ? flip_axis(g, node, axis) : node;
        operand->index[axis] = (int8_t)read.i;
        return 1;
    }
    if (node->shape.rank == MAX_RANK) return 0;
    if (read.ni < read.nj) // the longer index counts outputs, the shorter one taps
        read = (Read){.i = read.j,
                      .j = read.i,
                      .ni = read.nj,
                      .nj = read.ni,
                      .ci = read.cj,
                      .cj = read.ci,
                      .flip_i = read.flip_j,
                      .flip_j = read.flip_i};
    node = node_window(g, node, axis, dim_const(read.ni), (int32_t)read.nj, (int32_t)read.ci,
                       (int32_t)read.cj);
    if (read.flip_i) node = flip_axis(g, node, axis);
    if (read.flip_j) node = flip_axis(g, node, axis + 1);
    for (int k = MAX_RANK - 1; k > axis + 1; k--)
        operand->index[k] = operand->index[k - 1];
    operand->index[axis] = (int8_t)read.i;
    operand->index[axis + 1] = (int8_t)read.j;
    operand->node = node;
    l->index[read.i].window_output = true;
    l->index[read.j].tap = true;
    return 2;
}

static bool make_plain(Lowering *l, Operand *operand, const Access *access, int rank) {
    int at = 0;
    if (!crop_to_reads(l, operand, access, rank)) return false;
    for (int axis = 0; axis < rank; axis++) {
        int made = make_axis_plain(l, operand, at, &access[axis]);
        if (made == 0) return false;
        at += made;
    }
    unsigned seen = 0;
    for (int axis = 0; axis < operand->node->shape.rank; axis++) {
        if (seen & 1u << operand->index[axis]) return false; // a diagonal
        seen |= 1u << operand->index[axis];
    }
    operand->has = seen;
    return true;
}

// An operand that is the same along some plainly indexed axes does without them: the gradient
// behind a global average pool costs next to nothing.
static void drop_broadcast(const Lowering *l, const Node **node, Access *access,
                           const Access *other, int other_rank) {
    uint32_t axes = (*node)->attr->axes;
    if ((*node)->op != OP_broadcast) return;
    for (int axis = 0; axis < (*node)->shape.rank; axis++) {
        if (!(axes >> axis & 1)) continue;
        int index = access[axis].index[0];
        if (!access_is_plain(&access[axis])) return;
        if (!dim_equal((*node)->shape.dim[axis], l->index[index].extent))
            return; // zero past its end
        if (!l->index[index].in_out && !indexes(other, other_rank, index, false)) return; // counted
    }
    int kept = 0;
    for (int axis = 0; axis < (*node)->shape.rank; axis++)
        if (!(axes >> axis & 1)) access[kept++] = access[axis];
    *node = (*node)->in[0];
}

// An index of one operand alone that is summed: the operand is summed first.
static void sum_lone_indices(Lowering *l, Operand *operand, const Operand *other) {
    uint32_t axes = 0;
    int kept = 0;
    int8_t index[MAX_RANK];
    for (int axis = 0; axis < operand->node->shape.rank; axis++) {
        int i = operand->index[axis];
        if (!l->index[i].in_out && !(other->has & 1u << i)) {
            axes |= 1u << axis;
            operand->has &= ~(1u << i);
        } else {
            index[kept++] = (int8_t)i;
        }
    }
    if (axes == 0) return;
    for (int axis = 0; axis < kept; axis++)
        operand->index[axis] = index[axis];
    operand->node = node_reduce(l->graph, OP_reduce_sum, operand->node, axes);
    operand->free_order = false;
}

// --- Back from the product

// Overlap-adds `axis` and the taps behind it, and crops what comes out to the wanted range.
static const Node *fold_axis(Lowering *l, const Node *node, int axis, const Fold *fold) {
    int64_t q = dim_eval(l->index[fold->p].extent, 1), r = dim_eval(l->index[fold->r].extent, 1);
    int64_t extent = (q - 1) * fold->stride + (r - 1) * fold->dilation + 1;
    node = node_fold(l->graph, node, axis, dim_const(extent), fold->stride, fold->dilation);
    return crop_axis(l->graph, node, axis, fold->offset,
                     fold->offset + dim_eval(fold->outputs, 1) - 1);
}

// Moves what is in `set` to the end, in the order that it has.
static void move_last(int8_t *order, int count, unsigned set) {
    int8_t moved[2 * MAX_RANK];
    int kept = 0, last = 0;
    for (int i = 0; i < count; i++)
        if (set >> order[i] & 1)
            moved[last++] = order[i];
        else
            order[kept++] = order[i];
    memcpy(order + kept, moved, (size_t)last);
}

// `node` has one axis for each of order[0 .. count); makes it the contraction's output, without the
// axes that are summed behind it. An index that no operand has is broadcast; taps stand behind
// their outputs until they are folded, `channels` behind all others.
static const Node *finish(Lowering *l, const Node *node, const int8_t *order, int count,
                          unsigned channels) {
    int8_t perm[MAX_RANK] = {0}, axes[MAX_RANK], indices[MAX_RANK], back[MAX_RANK] = {0};
    Shape full = {0};
    uint32_t missing = 0;
    int kept = 0, outputs = 0;
    for (int i = 0; i < l->outputs; i++)
        if (l->index[i].in_out) indices[outputs++] = (int8_t)i;
    move_last(indices, outputs, channels);
    for (int i = 0; i < outputs; i++) {
        axes[full.rank++] = indices[i];
        for (int f = 0; f < l->fold_count; f++)
            if (l->fold[f].p == indices[i]) axes[full.rank++] = (int8_t)l->fold[f].r;
    }
    for (int i = 0; i < full.rank; i++) {
        int at = 0;
        while (at < count && order[at] != axes[i])
            at++;
        if (at < count)
            perm[kept++] = (int8_t)at;
        else
            missing |= 1u << i;
        full.dim[i] = l->index[axes[i]].extent;
    }
    node = node_permute(l->graph, node, perm);
    if (missing) node = node_broadcast(l->graph, node, missing, full);
    for (int at = 0; at < outputs; at++)
        for (int f = 0; f < l->fold_count; f++)
            if (l->fold[f].p == indices[at]) node = fold_axis(l, node, at, &l->fold[f]);
    if (!channels) return node;
    for (int i = 0; i < outputs; i++) {
        int place = 0;
        for (int k = 0; k < outputs; k++)
            place += indices[k] < indices[i];
        back[place] = (int8_t)i;
    }
    return node_permute(l->graph, node, back);
}

static void set_indices(Lowering *l, const ContractAttr *attr, const Shape *out, uint32_t summed) {
    l->outputs = out->rank;
    l->index_count = out->rank + attr->summed;
    for (int i = 0; i < l->index_count; i++)
        l->index[i] =
            (LoopIndex){.extent = i < out->rank ? out->dim[i] : attr->extent[i - out->rank],
                        .in_out = i < out->rank && !(summed >> i & 1)};
}

// The output's indices along which vectors run best, where an operand has taps of a window and not
// only their sums: its own others, if they are enough of them. They stand last.
static unsigned find_channels(const Lowering *l, const Operand *x, const Operand *y) {
    unsigned own = x->has & ~y->has, channels = 0;
    bool taps = false, places = false;
    double count = 1;
    for (int i = 0; i < l->index_count; i++) {
        places |= l->index[i].window_output && ((x->has | y->has) >> i & 1);
        if (!(own >> i & 1) || !l->index[i].in_out) continue;
        taps |= l->index[i].tap;
        if (l->index[i].tap || l->index[i].window_output) continue;
        count *= (double)dim_eval(l->index[i].extent, l->batch);
        channels |= 1u << i;
    }
    int width = target_width(l->target);
    return width && taps && places && count >= width ? channels : 0;
}

// Output order of the product: the contraction's, but with folds taps and their outputs last, and
// channels behind them.
static int output_order(const Lowering *l, unsigned has, unsigned channels, int8_t *order) {
    unsigned taps = 0, places = 0;
    int count = 0;
    for (int i = 0; i < l->index_count; i++)
        if (l->index[i].in_out && (has >> i & 1)) order[count++] = (int8_t)i;
    for (int f = 0; f < l->fold_count; f++)
        taps |= 1u << l->fold[f].r, places |= 1u << l->fold[f].p;
    if (channels) {
        move_last(order, count, places);
        for (int i = 0; i < l->index_count; i++)
            if (l->index[i].tap) taps |= 1u << i;
        move_last(order, count, taps);
    } else {
        move_last(order, count, taps);
        move_last(order, count, places);
    }
    move_last(order, count, channels);
    return count;
}

static double multiplications(const Lowering *l) {
    double work = 1;
    for (int i = 0; i < l->index_count; i++)
        work *= (double)dim_eval(l->index[i].extent, l->batch);
    return work;
}

typedef struct Lower { // the pass
    const Graph *from;
    Graph *to;
    const Node **map; // by id of a node of `from`
    int *users;       // likewise
    int64_t batch;
    double least;
    const Target *target;
} Lower;

static bool is_parameter(const Node *node) { return node->op == OP_param || node->op == OP_state; }

// A parameter with taps of windows behind its channels, a filter [k, c, r, s], is read with them in
// front of the channels, [k, r, s, c], where that is how images lie: channels side by side. A GPU
// then loads several at once; the copy serves both directions.
static const Node *channels_behind_taps(const Lowering *l, const Node *node, Access *access,
                                        const Access *other, int other_rank) {
    enum { SEVERAL = 4 };
    int8_t perm[MAX_RANK], count = 0, channels = -1;
    Access given[MAX_RANK];
    int64_t offset;
    int rank = node->shape.rank;
    unsigned taps = 0;
    if (!l->target->gpu || !is_parameter(strip_views(node, l->batch, &offset))) return node;
    for (int axis = 0; axis < rank; axis++) {
        if (!access_is_plain(&access[axis])) return node;
        int i = access[axis].index[0];
        bool tap = indexes(other, other_rank, i, false) && !indexes(other, other_rank, i, true);
        taps |= (unsigned)tap << axis;
        if (!tap) channels = (int8_t)axis;
    }
    if (channels < 1 || channels == rank - 1 || !dim_is_const(node->shape.dim[channels]) ||
        dim_eval(node->shape.dim[channels], 1) % SEVERAL)
        return node;
    for (int part = 0; part < 2; part++)
        for (int axis = 0; axis < rank; axis++)
            if (axis != channels && (int)(taps >> axis & 1) == part) perm[count++] = (int8_t)axis;
    perm[count] = channels;
    memcpy(given, access, sizeof *access * (size_t)rank);
    for (int axis = 0; axis < rank; axis++)
        access[axis] = given[perm[axis]];
    return node_permute(l->graph, node, perm);
}

// The lowered form, summed over some axes of its output; or NULL where the contraction stays as it
// is.
static const Node *lower_contract(const Lower *pass, const Node *node, ContractAttr access,
                                  const Shape *out, uint32_t summed) {
    Graph *g = pass->to;
    const Node *a = pass->map[node->in[0]->id], *b = pass->map[node->in[1]->id];
    Lowering l = {.graph = g, .batch = pass->batch, .target = pass->target};
    set_indices(&l, &access, out, summed);
    if (multiplications(&l) < pass->least) return NULL;
    const Node *winograd =
        pass->target->lanes && !summed ? lower_winograd(&l, a, b, &access, out) : NULL;
    if (winograd) return winograd;
    a = channels_behind_taps(&l, a, access.a, access.b, b->shape.rank);
    b = channels_behind_taps(&l, b, access.b, access.a, a->shape.rank);
    for (int axis = 0; axis < a->shape.rank; axis++)
        take_fold(&l, a, axis, access.a, access.b, b->shape.rank);
    for (int axis = 0; axis < b->shape.rank; axis++)
        take_fold(&l, b, axis, access.b, access.a, a->shape.rank);
    drop_broadcast(&l, &a, access.a, access.b, b->shape.rank);
    drop_broadcast(&l, &b, access.b, access.a, a->shape.rank);
    Operand x = {.node = a}, y = {.node = b};
    if (!make_plain(&l, &x, access.a, a->shape.rank) ||
        !make_plain(&l, &y, access.b, b->shape.rank))
        return NULL;
    sum_lone_indices(&l, &x, &y);
    sum_lone_indices(&l, &y, &x);
    int8_t want[2 * MAX_RANK], got[2 * MAX_RANK];
    unsigned channels = find_channels(&l, &x, &y) | find_channels(&l, &y, &x);
    int count = output_order(&l, x.has | y.has, channels, want);
    if (count > MAX_RANK) return NULL;
    const Node *product = lower_product(&l, &x, &y, want, count, got);
    return product ? finish(&l, product, got, count, channels) : NULL;
}

// What a slice leaves of a contraction that nothing else uses is computed alone: the gradient of a
// padded image, without its border.
static const Node *lower_crop(const Lower *pass, const Node *node) {
    const Node *whole = node->in[0];
    if (whole->op != OP_contract || pass->users[whole->id] != 1) return NULL;
    ContractAttr attr = *whole->attr->contract;
    for (int axis = 0; axis < node->shape.rank; axis++)
        if (node->attr->slice[axis].step != 1) return NULL;
    for (int operand = 0; operand < 2; operand++)
        for (int axis = 0; axis < whole->in[operand]->shape.rank; axis++) {
            Access *at = operand ? &attr.b[axis] : &attr.a[axis];
            for (int i = 0; i < 2; i++)
                if (at->index[i] >= 0 && at->index[i] < node->shape.rank)
                    at->offset += at->coef[i] * node->attr->slice[at->index[i]].start;
        }
    return lower_contract(pass, whole, attr, &node->shape, 0);
}

// Is each of these axes of a contraction an index of an operand? Along another it is the same, and
// a sum over that is as many times as much.
static bool has_operands_along(const Node *node, uint32_t axes) {
    for (int operand = 0; operand < 2; operand++)
        for (int axis = 0; axis < node->in[operand]->shape.rank; axis++) {
            const ContractAttr *attr = node->attr->contract;
            const Access *access = operand ? &attr->b[axis] : &attr->a[axis];
            for (int i = 0; i < 2; i++)
                if (access->index[i] >= 0) axes &= ~(1u << access->index[i]);
        }
    return axes == 0;
}

// The sum over `axes` of a node that nothing else uses, if it is a contraction, or one and
// something that is the same along these axes: its operands are summed first, so that a convolution
// in front of a global average pool costs next to nothing. NULL where it is none.
static const Node *lower_sum(const Lower *pass, const Node *node, uint32_t axes) {
    if (pass->users[node->id] != 1) return NULL;
    if (node->op == OP_contract)
        return has_operands_along(node, axes)
                   ? lower_contract(pass, node, *node->attr->contract, &node->shape, axes)
                   : NULL;
    if (node->op != OP_add && node->op != OP_sub) return NULL;
    for (int i = 0; i < 2; i++) {
        const Node *other = pass->map[node->in[!i]->id], *in[2];
        if (other->op != OP_broadcast || (other->attr->axes & axes) != axes) continue;
        in[i] = lower_sum(pass, node->in[i], axes);
        if (!in[i]) continue;
        in[!i] = node_reduce(pass->to, OP_reduce_sum, other, axes);
        return node_binary(pass->to, node->op, in[0], in[1]);
    }
    return NULL;
}

// A sum over the examples and over places within each: first within each, which is work that can be
// shared out, and done while the example is in the cache.
static const Node *sum_by_example(const Lower *pass, const Node *node, const Node *in) {
    enum { MANY = 64 };
    int64_t places = 1;
    int examples = 0;
    while (examples < in->shape.rank && dim_is_const(in->shape.dim[examples]))
        examples++;
    if (examples == in->shape.rank || !(node->attr->axes >> examples & 1)) return NULL;
    uint32_t within = node->attr->axes & ~(1u << examples);
    for (int axis = 0; axis < in->shape.rank; axis++) {
        if (!(within >> axis & 1)) continue;
        places *= dim_eval(in->shape.dim[axis], pass->batch);
        if (axis < examples) examples--; // where they stand in the sum
    }
    if (places < MANY) return NULL;
    const Node *each = node_reduce(pass->to, OP_reduce_sum, in, within);
    return node_reduce(pass->to, OP_reduce_sum, each, 1u << examples);
}

static const Node *lower_node(const Lower *pass, const Node *node) {
    const Node *lowered = NULL,
               **in = ARENA_ARRAY(pass->to->arena, const Node *, node->in_count + 1);
    for (int i = 0; i < node->in_count; i++)
        in[i] = pass->map[node->in[i]->id];
    if (node->op == OP_contract)
        lowered = lower_contract(pass, node, *node->attr->contract, &node->shape, 0);
    else if (node->op == OP_slice)
        lowered = lower_crop(pass, node);
    else if (node->op == OP_reduce_sum)
        lowered = lower_sum(pass, node->in[0], node->attr->axes);
    if (!lowered && node->op == OP_reduce_sum) lowered = sum_by_example(pass, node, in[0]);
    return lowered ? lowered : node_rebuild(pass->to, node, in);
}

static void count_users(const Lower *pass) {
    for (int id = 0; id < pass->from->node.count; id++)
        for (int i = 0; i < pass->from->node.at[id]->in_count; i++)
            pass->users[pass->from->node.at[id]->in[i]->id]++;
    for (int i = 0; i < pass->from->root.count; i++)
        pass->users[pass->from->root.at[i].value->id]++;
}

Graph *lower(Arena *arena, const Graph *from, int64_t batch, double least, const Target *target) {
    Graph *to = graph_new(arena, from->name);
    Lower pass = {.from = from, .to = to, .batch = batch, .least = least, .target = target};
    pass.map = ARENA_ARRAY(arena, const Node *, from->node.count + 1);
    pass.users = ARENA_ARRAY(arena, int, from->node.count + 1);
    count_users(&pass);
    to->stage = STAGE_LOWERED;
    for (int id = 0; id < from->node.count; id++) {
        graph_stand_for(to, from, from->node.at[id]);
        const Node *node = pass.map[id] = lower_node(&pass, from->node.at[id]);
        graph_take_notes(to, node, from, from->node.at[id]);
        to->choosing = NULL;
    }
    graph_stand_for(to, from, NULL);
    for (int i = 0; i < from->root.count; i++) {
        const Root *root = &from->root.at[i];
        graph_add_root(to, root->kind, root->name, root->leaf ? pass.map[root->leaf->id] : NULL,
                       pass.map[root->value->id]);
    }
    return to;
}
