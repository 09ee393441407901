// SPDX-License-Identifier: MIT
// The rule of each operator: which types and shapes its inputs, its attributes and its result have.
// One function an operator family, called through a table; each gives NULL or a sentence that says
// what is wrong, in the terms of the text form.
//
//     node_check(node, arena)  ->  "reduce_sum: axis 2 of f32[N, 4]"
#include "ir/graph.h"

#include <math.h>
#include <string.h>

static const char *wrong(const Node *node, Arena *arena, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static const char *wrong(const Node *node, Arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return arena_printf(arena, "%s: %s", op_info(node->op)->name, text);
}

static const char *type_text(DType dtype, const Shape *shape, Arena *arena) {
    Buf out = buf_new(arena);
    buf_add(&out, dtype_name(dtype));
    shape_print(&out, shape);
    return out.text;
}

static const char *type_of(const Node *node, Arena *arena) {
    return type_text(node->dtype, &node->shape, arena);
}

static const char *expect(const Node *node, Arena *arena, DType dtype, const Shape *shape) {
    if (node->dtype == dtype && shape_equal(&node->shape, shape)) return NULL;
    return wrong(node, arena, "the result is %s, not %s", type_text(dtype, shape, arena),
                 type_of(node, arena));
}

// --- Leaves

static const char *check_leaf(const Node *node, Arena *arena) {
    if (!node->attr->name || !*node->attr->name) return wrong(node, arena, "has no name");
    if (node->op == OP_param && node->dtype != DT_F32) return wrong(node, arena, "is not f32");
    if (node->op == OP_random && node->dtype != DT_F32) return wrong(node, arena, "is not f32");
    return NULL;
}

static const char *check_scalar(const Node *node, Arena *arena) {
    Shape scalar = shape_of(0, NULL);
    if (node->op == OP_hyper && (!node->attr->name || !*node->attr->name))
        return wrong(node, arena, "has no name");
    if (node->op == OP_size && !dim_at_least(node->attr->extent, 0))
        return wrong(node, arena, "an extent that may be negative");
    return expect(node, arena, DT_F64, &scalar);
}

static const char *check_const(const Node *node, Arena *arena) {
    Shape scalar = shape_of(0, NULL);
    double value = node->attr->value;
    if (node->dtype == DT_BOOL && value != 0 && value != 1)
        return wrong(node, arena, "a bool is 0 or 1, not %g", value);
    if (node->dtype == DT_I32 && !(floor(value) == value && fabs(value) <= INT32_MAX))
        return wrong(node, arena, "%g is no i32", value);
    return expect(node, arena, node->dtype, &scalar);
}

static const char *check_iota(const Node *node, Arena *arena) {
    if (node->attr->axis < 0 || node->attr->axis >= node->shape.rank)
        return wrong(node, arena, "axis %d of %s", node->attr->axis, type_of(node, arena));
    return expect(node, arena, DT_I32, &node->shape);
}

// --- Pointwise

static bool is_arithmetic(DType dtype) { return dtype != DT_BOOL && dtype != DT_BF16; }

static bool is_real(DType dtype) { return dtype == DT_F32 || dtype == DT_F64; }

static const char *check_operand_type(const Node *node, Arena *arena, int i) {
    OpTypes types = op_info(node->op)->types;
    DType dtype = node->in[i]->dtype;
    int first = types == TYPES_SELECT ? 1 : 0;
    bool fits = types == TYPES_REAL     ? is_real(dtype)
                : types == TYPES_LOGIC  ? dtype == DT_BOOL
                : types == TYPES_SELECT ? i > 0 || dtype == DT_BOOL
                                        : is_arithmetic(dtype);
    if (!fits) return wrong(node, arena, "operand %d is %s", i, dtype_name(dtype));
    if (i > first && dtype != node->in[first]->dtype)
        return wrong(node, arena, "operands of type %s and %s", dtype_name(node->in[first]->dtype),
                     dtype_name(dtype));
    return NULL;
}

static const char *check_pointwise(const Node *node, Arena *arena) {
    for (int i = 0; i < node->in_count; i++) {
        const char *text = check_operand_type(node, arena, i);
        if (text) return text;
        if (!shape_equal(&node->in[i]->shape, &node->in[0]->shape))
            return wrong(node, arena, "operands of shape %s and %s", type_of(node->in[0], arena),
                         type_of(node->in[i], arena));
    }
    OpTypes types = op_info(node->op)->types;
    DType dtype = types == TYPES_SELECT ? node->in[1]->dtype : node->in[0]->dtype;
    return expect(node, arena, types == TYPES_COMPARE ? DT_BOOL : dtype, &node->in[0]->shape);
}

static const char *check_cast(const Node *node, Arena *arena) {
    DType to = node->dtype, from = node->in[0]->dtype;
    if ((to == DT_BF16 && from != DT_F32) || (from == DT_BF16 && to != DT_F32))
        return wrong(node, arena, "from %s to %s", dtype_name(from), dtype_name(to));
    return expect(node, arena, node->dtype, &node->in[0]->shape);
}

static const char *check_same(const Node *node, Arena *arena) {
    return expect(node, arena, node->in[0]->dtype, &node->in[0]->shape);
}

// --- Reductions

// A sentence where `axes` has an axis that `of` has not.
static const char *check_axes(const Node *node, Arena *arena, const Node *of) {
    for (int i = of->shape.rank; i < 32; i++)
        if (node->attr->axes >> i & 1)
            return wrong(node, arena, "axis %d of %s", i, type_of(of, arena));
    return NULL;
}

// The shape without, or of, the axes in the set.
static Shape shape_where(const Shape *shape, uint32_t axes, bool in_set) {
    Shape part = shape_of(0, NULL);
    for (int i = 0; i < shape->rank; i++)
        if ((axes >> i & 1) == in_set) part.dim[part.rank++] = shape->dim[i];
    return part;
}

static const char *check_reduce(const Node *node, Arena *arena) {
    const Node *in = node->in[0];
    const char *text = check_axes(node, arena, in);
    if (text) return text;
    if (in->dtype != DT_F32 && in->dtype != DT_I32)
        return wrong(node, arena, "of %s", type_of(in, arena));
    Shape shape = shape_where(&in->shape, node->attr->axes, false);
    return expect(node, arena, node->op == OP_argmax ? DT_I32 : in->dtype, &shape);
}

// --- Movement

static const char *check_reshape(const Node *node, Arena *arena) {
    Dim before, after;
    if (!shape_size(&before, &node->in[0]->shape) || !shape_size(&after, &node->shape) ||
        !dim_equal(before, after))
        return wrong(node, arena, "%s and %s differ in size", type_of(node->in[0], arena),
                     type_of(node, arena));
    return expect(node, arena, node->in[0]->dtype, &node->shape);
}

static const char *check_permute(const Node *node, Arena *arena) {
    const Node *in = node->in[0];
    Shape shape = in->shape;
    uint32_t seen = 0;
    for (int i = 0; i < in->shape.rank; i++) {
        int axis = node->attr->perm[i];
        if (axis < 0 || axis >= in->shape.rank || (seen >> axis & 1))
            return wrong(node, arena, "perm is no permutation of the axes of %s",
                         type_of(in, arena));
        seen |= 1u << axis;
        shape.dim[i] = in->shape.dim[axis];
    }
    return expect(node, arena, in->dtype, &shape);
}

static const char *check_broadcast(const Node *node, Arena *arena) {
    const char *text = check_axes(node, arena, node);
    if (text) return text;
    Shape kept = shape_where(&node->shape, node->attr->axes, false);
    if (!shape_equal(&kept, &node->in[0]->shape))
        return wrong(node, arena, "%s does not become %s by new axes", type_of(node->in[0], arena),
                     type_of(node, arena));
    return expect(node, arena, node->in[0]->dtype, &node->shape);
}

bool pad_extent(Dim *padded, Dim extent, PadAxis pad) {
    Dim gaps = dim_const(0);
    bool empty = dim_equal(extent, gaps); // nothing lies between neighbours then
    return (empty || (dim_sub(&gaps, extent, dim_const(1)) &&
                      dim_mul(&gaps, gaps, dim_const(pad.interior)))) &&
           dim_add(padded, extent, gaps) &&
           dim_add(padded, *padded, dim_const((int64_t)pad.low + pad.high));
}

static const char *check_pad(const Node *node, Arena *arena) {
    const Node *in = node->in[0];
    Shape shape = in->shape;
    for (int i = 0; i < in->shape.rank; i++) {
        PadAxis pad = node->attr->pad[i];
        if (pad.low < 0 || pad.high < 0 || pad.interior < 0)
            return wrong(node, arena, "a negative padding of axis %d", i);
        if (!pad_extent(&shape.dim[i], in->shape.dim[i], pad))
            return wrong(node, arena, "the extent of axis %d does not fit", i);
    }
    return expect(node, arena, in->dtype, &shape);
}

// Whether elements start, start + step, .. (count of them) lie within the extent, for every n.
static bool lies_within(Dim start, int32_t step, Dim count, Dim extent) {
    Dim last, room;
    if (dim_equal(count, dim_const(0))) return true;
    return dim_sub(&last, count, dim_const(1)) && dim_mul(&last, last, dim_const(step)) &&
           dim_add(&last, last, start) && dim_sub(&room, extent, last) && dim_at_least(room, 1);
}

static const char *check_slice(const Node *node, Arena *arena) {
    const Node *in = node->in[0];
    if (node->shape.rank != in->shape.rank)
        return wrong(node, arena, "%s of %s", type_of(node, arena), type_of(in, arena));
    for (int i = 0; i < in->shape.rank; i++) {
        SliceAxis slice = node->attr->slice[i];
        if (slice.start < 0 || slice.step < 1)
            return wrong(node, arena, "axis %d: start %d, step %d", i, slice.start, slice.step);
        if (!lies_within(dim_const(slice.start), slice.step, node->shape.dim[i], in->shape.dim[i]))
            return wrong(node, arena, "axis %d of %s does not hold %s from %d by %d", i,
                         type_of(in, arena), type_of(node, arena), slice.start, slice.step);
    }
    return expect(node, arena, in->dtype, &node->shape);
}

static const char *check_flip(const Node *node, Arena *arena) {
    const char *text = check_axes(node, arena, node->in[0]);
    return text ? text : check_same(node, arena);
}

static const char *check_concat(const Node *node, Arena *arena) {
    if (node->in_count < 1) return wrong(node, arena, "of nothing");
    int axis = node->attr->axis;
    Shape shape = node->in[0]->shape;
    if (axis < 0 || axis >= shape.rank)
        return wrong(node, arena, "axis %d of %s", axis, type_of(node->in[0], arena));
    for (int i = 1; i < node->in_count; i++) {
        const Node *in = node->in[i];
        Dim total;
        if (in->shape.rank != shape.rank || in->dtype != node->in[0]->dtype)
            return wrong(node, arena, "%s and %s", type_of(node->in[0], arena), type_of(in, arena));
        if (!dim_add(&total, shape.dim[axis], in->shape.dim[axis]))
            return wrong(node, arena, "the extent does not fit");
        shape.dim[axis] = in->shape.dim[axis];
        if (!shape_equal(&shape, &in->shape))
            return wrong(node, arena, "%s and %s", type_of(node->in[0], arena), type_of(in, arena));
        shape.dim[axis] = total;
    }
    return expect(node, arena, node->in[0]->dtype, &shape);
}

// Both ways between [.., E, ..] and [.., O, R, ..].
static const char *check_windows(const Node *node, Arena *arena, const Node *whole,
                                 const Node *parts) {
    const WindowAttr *window = &node->attr->window;
    int axis = window->axis;
    if (axis < 0 || axis >= whole->shape.rank || parts->shape.rank != whole->shape.rank + 1)
        return wrong(node, arena, "axis %d between %s and %s", axis, type_of(whole, arena),
                     type_of(parts, arena));
    for (int i = 0; i < whole->shape.rank; i++)
        if (i != axis && !dim_equal(whole->shape.dim[i], parts->shape.dim[i + (i > axis)]))
            return wrong(node, arena, "axis %d differs between %s and %s", i, type_of(whole, arena),
                         type_of(parts, arena));
    Dim outputs = parts->shape.dim[axis], taps = parts->shape.dim[axis + 1], first;
    if (!dim_is_const(taps) || taps.c[0] < 1 || window->stride < 1 || window->dilation < 1)
        return wrong(node, arena, "taps, stride and dilation are at least 1");
    if (!dim_mul(&first, dim_const(taps.c[0] - 1), dim_const(window->dilation)) ||
        !lies_within(first, window->stride, outputs, whole->shape.dim[axis]))
        return wrong(node, arena, "windows reach beyond axis %d of %s", axis,
                     type_of(whole, arena));
    return expect(node, arena, node->in[0]->dtype, &node->shape);
}

static const char *check_window(const Node *node, Arena *arena) {
    return check_windows(node, arena, node->in[0], node);
}

static const char *check_fold(const Node *node, Arena *arena) {
    int axis = node->attr->window.axis;
    if (axis >= 0 && axis < node->shape.rank &&
        !dim_equal(node->shape.dim[axis], node->attr->window.extent))
        return wrong(node, arena, "the result is %s, not of its extent", type_of(node, arena));
    return check_windows(node, arena, node, node->in[0]);
}

// --- Contractions

static bool is_plain(const Access *access) {
    return access->index[0] >= 0 && access->coef[0] == 1 && access->index[1] < 0 &&
           access->offset == 0 && access->divisor == 1;
}

static bool access_is_sound(const Access *access, int loops) {
    int first = access->index[0], second = access->index[1];
    return access->divisor >= 1 && first >= -1 && first < loops && second >= -1 && second < loops &&
           (second < 0 || (first >= 0 && first != second));
}

static bool has_plain_use(const Access *access, const Shape *shape, int index, Dim extent) {
    for (int i = 0; i < shape->rank; i++)
        if (is_plain(&access[i]) && access[i].index[0] == index && dim_equal(shape->dim[i], extent))
            return true;
    return false;
}

static const char *check_contract(const Node *node, Arena *arena) {
    const ContractAttr *contract = node->attr->contract;
    const Shape *a = &node->in[0]->shape, *b = &node->in[1]->shape;
    if (!contract || contract->summed < 0 || contract->summed > MAX_RANK)
        return wrong(node, arena, "has no indices");
    int loops = node->shape.rank + contract->summed;
    for (int i = 0; i < a->rank + b->rank; i++) {
        bool in_a = i < a->rank;
        if (!access_is_sound(in_a ? &contract->a[i] : &contract->b[i - a->rank], loops))
            return wrong(node, arena, "axis %d of operand %d is read at no affine index",
                         in_a ? i : i - a->rank, !in_a);
    }
    for (int i = 0; i < contract->summed; i++) {
        int index = node->shape.rank + i;
        if (!dim_at_least(contract->extent[i], 0))
            return wrong(node, arena, "j%d has an extent that may be negative", i);
        if (!has_plain_use(contract->a, a, index, contract->extent[i]) &&
            !has_plain_use(contract->b, b, index, contract->extent[i]))
            return wrong(node, arena, "j%d nowhere runs along one whole axis", i);
    }
    if (node->in[0]->dtype != DT_F32 || node->in[1]->dtype != DT_F32)
        return wrong(node, arena, "of %s and %s", type_of(node->in[0], arena),
                     type_of(node->in[1], arena));
    return expect(node, arena, DT_F32, &node->shape);
}

bool product_batch(Dim *batch, Dim a, Dim b) {
    Dim times;
    *batch = dim_div(&times, a, b) ? a : b;
    return dim_div(&times, *batch, a) && dim_div(&times, *batch, b);
}

static const char *check_product(const Node *node, Arena *arena) {
    const Shape *a = &node->in[0]->shape, *b = &node->in[1]->shape;
    bool ta = node->attr->product.transpose_a, tb = node->attr->product.transpose_b;
    if (a->rank != 4 || b->rank != 4) return wrong(node, arena, "operands have 4 axes");
    if (!dim_equal(a->dim[1], b->dim[1]) || !dim_equal(a->dim[ta ? 2 : 3], b->dim[tb ? 3 : 2]))
        return wrong(node, arena, "%s and %s do not fit", type_of(node->in[0], arena),
                     type_of(node->in[1], arena));
    Dim batch;
    if (!product_batch(&batch, a->dim[0], b->dim[0]))
        return wrong(node, arena, "%s and %s differ in their batch", type_of(node->in[0], arena),
                     type_of(node->in[1], arena));
    if (node->in[0]->dtype != DT_F32 || node->in[1]->dtype != DT_F32)
        return wrong(node, arena, "of other than f32");
    Shape shape = shape_of(3, (Dim[]){batch, a->dim[ta ? 3 : 2], b->dim[tb ? 2 : 3]});
    return expect(node, arena, DT_F32, &shape);
}

// --- Winograd

static const char *check_wino_image(const Node *node, Arena *arena, const Shape *image,
                                    const Shape *tiles) {
    const WinoAttr *wino = &node->attr->wino;
    int64_t patch = wino->tile + 2;
    if (image->rank != 4 || !dim_is_const(image->dim[1]) || !dim_is_const(image->dim[2]))
        return wrong(node, arena, "%s is no image", type_text(DT_F32, image, arena));
    if (wino->tiles[0] < 1 || wino->tiles[1] < 1 || wino->tiles[0] > 1 << 15 ||
        wino->tiles[1] > 1 << 15)
        return wrong(node, arena, "%d x %d tiles", wino->tiles[0], wino->tiles[1]);
    for (int i = 0; i < 2; i++)
        if (wino->offset[i] < -(1 << 20) || wino->offset[i] > 1 << 20)
            return wrong(node, arena, "an offset of %d", wino->offset[i]);
    Shape expected =
        shape_of(4, (Dim[]){image->dim[0], dim_const(patch * patch),
                            dim_const((int64_t)wino->tiles[0] * wino->tiles[1]), image->dim[3]});
    if (shape_equal(tiles, &expected)) return NULL;
    return wrong(node, arena, "the tiles are %s, not %s", type_text(DT_F32, &expected, arena),
                 type_text(DT_F32, tiles, arena));
}

static const char *check_wino_filter(const Node *node, Arena *arena, const Shape *filter,
                                     const Shape *out) {
    const WinoAttr *wino = &node->attr->wino;
    int64_t patch = wino->tile + 2;
    Dim three = dim_const(3);
    if (filter->rank != 4 || !dim_equal(filter->dim[2], three) || !dim_equal(filter->dim[3], three))
        return wrong(node, arena, "%s is no 3x3 filter", type_text(DT_F32, filter, arena));
    Dim rows = filter->dim[wino->swap ? 0 : 1], columns = filter->dim[wino->swap ? 1 : 0];
    Dim points = dim_const(patch * patch), panels;
    Shape expected = shape_of(3, (Dim[]){points, rows, columns});
    if (wino->panel < 0) return wrong(node, arena, "panels of %d", wino->panel);
    if (wino->panel) {
        Dim width = dim_const(wino->panel);
        if (!dim_div(&panels, columns, width))
            return wrong(node, arena, "panels of %d do not divide %s", wino->panel,
                         type_text(DT_F32, filter, arena));
        expected = shape_of(4, (Dim[]){panels, points, rows, width});
    }
    if (shape_equal(out, &expected)) return NULL;
    return wrong(node, arena, "transformed it is %s, not %s", type_text(DT_F32, &expected, arena),
                 type_text(DT_F32, out, arena));
}

static const char *check_wino(const Node *node, Arena *arena) {
    const Node *in = node->in[0];
    int32_t tile = node->attr->wino.tile;
    if (tile != 2 && tile != 4) return wrong(node, arena, "tiles of %d", tile);
    if (in->dtype != DT_F32 || node->dtype != DT_F32)
        return wrong(node, arena, "of other than f32");
    switch (node->op) {
    case OP_wino_in:
    case OP_wino_out_t:
        return check_wino_image(node, arena, &in->shape, &node->shape);
    case OP_wino_in_t:
    case OP_wino_out:
        return check_wino_image(node, arena, &node->shape, &in->shape);
    case OP_wino_filter:
        return check_wino_filter(node, arena, &in->shape, &node->shape);
    default:
        return check_wino_filter(node, arena, &node->shape, &in->shape);
    }
}

// --- Gather, scatter

// Sets *shape to the axes of `first`, then those of `second` from axis `from`; false if too many.
static bool shape_join(Shape *shape, const Shape *first, const Shape *second, int from) {
    *shape = shape_of(first->rank, first->dim);
    if (first->rank + second->rank - from > MAX_RANK) return false;
    for (int i = from; i < second->rank; i++)
        shape->dim[shape->rank++] = second->dim[i];
    return true;
}

static const char *check_gather(const Node *node, Arena *arena) {
    const Node *table = node->in[0], *index = node->in[1];
    Shape shape;
    if (index->dtype != DT_I32) return wrong(node, arena, "an index of %s", type_of(index, arena));
    if (table->shape.rank < 1 || !shape_join(&shape, &index->shape, &table->shape, 1))
        return wrong(node, arena, "of %s by %s", type_of(table, arena), type_of(index, arena));
    return expect(node, arena, table->dtype, &shape);
}

static const char *check_scatter_add(const Node *node, Arena *arena) {
    const Node *index = node->in[0], *rows = node->in[1];
    int depth = index->shape.rank;
    if (index->dtype != DT_I32) return wrong(node, arena, "an index of %s", type_of(index, arena));
    bool fits = rows->shape.rank >= depth;
    for (int i = 0; fits && i < depth; i++)
        fits = dim_equal(index->shape.dim[i], rows->shape.dim[i]);
    Shape first = shape_of(1, &node->attr->extent), shape;
    if (!fits || !shape_join(&shape, &first, &rows->shape, depth))
        return wrong(node, arena, "of %s by %s", type_of(rows, arena), type_of(index, arena));
    if (rows->dtype != DT_F32 && rows->dtype != DT_I32)
        return wrong(node, arena, "of %s", type_of(rows, arena));
    return expect(node, arena, rows->dtype, &shape);
}

// --- All of them

typedef const char *Rule(const Node *node, Arena *arena);

static Rule *const rule[OP_COUNT] = {
    [OP_input] = check_leaf,          [OP_param] = check_leaf,
    [OP_state] = check_leaf,          [OP_random] = check_leaf,
    [OP_const] = check_const,         [OP_hyper] = check_scalar,
    [OP_step] = check_scalar,         [OP_epoch] = check_scalar,
    [OP_size] = check_scalar,         [OP_iota] = check_iota,
    [OP_cast] = check_cast,           [OP_stop] = check_same,
    [OP_reduce_sum] = check_reduce,   [OP_reduce_max] = check_reduce,
    [OP_reduce_min] = check_reduce,   [OP_argmax] = check_reduce,
    [OP_reshape] = check_reshape,     [OP_permute] = check_permute,
    [OP_broadcast] = check_broadcast, [OP_pad] = check_pad,
    [OP_slice] = check_slice,         [OP_flip] = check_flip,
    [OP_concat] = check_concat,       [OP_window] = check_window,
    [OP_fold] = check_fold,           [OP_contract] = check_contract,
    [OP_gather] = check_gather,       [OP_scatter_add] = check_scatter_add,
    [OP_product] = check_product,     [OP_wino_in] = check_wino,
    [OP_wino_in_t] = check_wino,      [OP_wino_out] = check_wino,
    [OP_wino_out_t] = check_wino,     [OP_wino_filter] = check_wino,
    [OP_wino_filter_t] = check_wino,  [OP_again] = check_same,
};

// f64 is for scalars of the step: no tensors, and none of the operators that are for tensors.
static bool may_be_f64(Op op) {
    return op_info(op)->pointwise || op == OP_const || op == OP_hyper || op == OP_step ||
           op == OP_epoch || op == OP_size || op == OP_cast || op == OP_stop;
}

// Elements for each power of N: far beyond any memory, and bytes and sums of sizes still fit 64
// bits.
static const int64_t largest_size = (int64_t)1 << 48;

static bool size_fits(const Shape *shape) {
    Dim size;
    bool fits = shape_size(&size, shape);
    for (int i = 0; fits && i <= DIM_DEGREE; i++)
        fits = size.c[i] <= largest_size;
    return fits;
}

static const char *check_value(const Node *node, Arena *arena) {
    for (int i = 0; i < node->shape.rank; i++)
        if (!dim_at_least(node->shape.dim[i], 0))
            return wrong(node, arena, "%s has an extent that may be negative",
                         type_of(node, arena));
    if (!size_fits(&node->shape))
        return wrong(node, arena, "%s is too large", type_of(node, arena));
    if (node->dtype == DT_BF16 && node->op != OP_cast && node->op != OP_again)
        return wrong(node, arena, "%s: bf16 is for casts", type_of(node, arena));
    if (node->dtype == DT_F64 && (node->shape.rank > 0 || !may_be_f64(node->op)))
        return wrong(node, arena, "%s: f64 is for scalars of the step", type_of(node, arena));
    return NULL;
}

const char *node_check(const Node *node, Arena *arena) {
    const OpInfo *info = op_info(node->op);
    if (info->in_count >= 0 && node->in_count != info->in_count)
        return wrong(node, arena, "takes %d operands, not %d", info->in_count, node->in_count);
    const char *text = check_value(node, arena);
    if (text) return text;
    if (info->pointwise) return check_pointwise(node, arena);
    if (!rule[node->op]) bug("%s has no rule", info->name);
    return rule[node->op](node, arena);
}
