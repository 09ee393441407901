// SPDX-License-Identifier: MIT
// Builders: each works out the output's type from its inputs, writes the attributes into zeroed
// memory and leaves the check and the sharing to node_rebuild(). Where the arguments are too far
// off to work a type out (an axis that is not there), it ends here.
#include "ir/graph.h"

#include <string.h>

static const Node *make(Graph *graph, Op op, DType dtype, Shape shape, const Attr *attr,
                        const Node *const *in, int count) {
    static const Attr none;
    Node node = {
        .op = op, .dtype = dtype, .shape = shape, .attr = attr ? attr : &none, .in_count = count};
    return node_rebuild(graph, &node, in);
}

static const Node *leaf(Graph *graph, Op op, DType dtype, Shape shape, const Attr *attr) {
    return make(graph, op, dtype, shape, attr, NULL, 0);
}

static const Node *unary(Graph *graph, Op op, DType dtype, Shape shape, const Attr *attr,
                         const Node *in) {
    return make(graph, op, dtype, shape, attr, &in, 1);
}

static Shape scalar(void) { return shape_of(0, NULL); }

static void need_axis(Op op, const Node *in, int axis) {
    if (axis < 0 || axis >= in->shape.rank)
        bug("%s: axis %d of a value of %d axes", op_info(op)->name, axis, in->shape.rank);
}

static void need_fit(Op op, bool fits) {
    if (!fits) bug("%s: an extent does not fit", op_info(op)->name);
}

// --- Leaves

const Node *node_input(Graph *graph, const char *name, DType dtype, Shape shape) {
    return leaf(graph, OP_input, dtype, shape, &(Attr){.name = name});
}

const Node *node_param(Graph *graph, const char *name, Shape shape) {
    return leaf(graph, OP_param, DT_F32, shape, &(Attr){.name = name});
}

const Node *node_state(Graph *graph, const char *name, DType dtype, Shape shape) {
    return leaf(graph, OP_state, dtype, shape, &(Attr){.name = name});
}

const Node *node_const(Graph *graph, DType dtype, double value) {
    return leaf(graph, OP_const, dtype, scalar(), &(Attr){.value = value});
}

const Node *node_fill(Graph *graph, DType dtype, double value, Shape shape) {
    return node_expand(graph, node_const(graph, dtype, value), shape);
}

const Node *node_hyper(Graph *graph, const char *name, double value) {
    return leaf(graph, OP_hyper, DT_F64, scalar(), &(Attr){.name = name, .value = value});
}

const Node *node_step(Graph *graph) { return leaf(graph, OP_step, DT_F64, scalar(), NULL); }

const Node *node_epoch(Graph *graph) { return leaf(graph, OP_epoch, DT_F64, scalar(), NULL); }

const Node *node_size(Graph *graph, Dim extent) {
    return leaf(graph, OP_size, DT_F64, scalar(), &(Attr){.extent = extent});
}

const Node *node_iota(Graph *graph, int axis, Shape shape) {
    return leaf(graph, OP_iota, DT_I32, shape, &(Attr){.axis = axis});
}

const Node *node_random(Graph *graph, const char *stream, Shape shape) {
    return leaf(graph, OP_random, DT_F32, shape, &(Attr){.name = stream});
}

// --- Pointwise

static DType pointwise_type(Op op, const Node *const *in) {
    OpTypes types = op_info(op)->types;
    return types == TYPES_COMPARE ? DT_BOOL : types == TYPES_SELECT ? in[1]->dtype : in[0]->dtype;
}

const Node *node_pointwise(Graph *graph, Op op, const Node *const *in) {
    const OpInfo *info = op_info(op);
    if (!info->pointwise) bug("%s is no pointwise operator", info->name);
    Shape shape = in[0]->shape;
    for (int i = 1; i < info->in_count; i++)
        if (shape.rank == 0) shape = in[i]->shape;
    const Node *wide[3];
    for (int i = 0; i < info->in_count; i++)
        wide[i] = in[i]->shape.rank == 0 ? node_expand(graph, in[i], shape) : in[i];
    return make(graph, op, pointwise_type(op, in), shape, NULL, wide, info->in_count);
}

static const Node *pointwise(Graph *graph, Op op, int count, const Node *const *in) {
    if (op_info(op)->in_count != count)
        bug("%s takes %d inputs, not %d", op_info(op)->name, op_info(op)->in_count, count);
    return node_pointwise(graph, op, in);
}

const Node *node_unary(Graph *graph, Op op, const Node *a) { return pointwise(graph, op, 1, &a); }

const Node *node_binary(Graph *graph, Op op, const Node *a, const Node *b) {
    return pointwise(graph, op, 2, (const Node *[]){a, b});
}

const Node *node_select(Graph *graph, const Node *condition, const Node *yes, const Node *no) {
    return pointwise(graph, OP_select, 3, (const Node *[]){condition, yes, no});
}

const Node *node_cast(Graph *graph, DType dtype, const Node *in) {
    return in->dtype == dtype ? in : unary(graph, OP_cast, dtype, in->shape, NULL, in);
}

const Node *node_stop(Graph *graph, const Node *in) {
    return unary(graph, OP_stop, in->dtype, in->shape, NULL, in);
}

// --- Reductions and movement

const Node *node_reduce(Graph *graph, Op op, const Node *in, uint32_t axes) {
    Shape shape = scalar();
    for (int i = 0; i < in->shape.rank; i++)
        if (!(axes >> i & 1)) shape.dim[shape.rank++] = in->shape.dim[i];
    DType dtype = op == OP_argmax ? DT_I32 : in->dtype;
    return unary(graph, op, dtype, shape, &(Attr){.axes = axes}, in);
}

const Node *node_reshape(Graph *graph, const Node *in, Shape shape) {
    return unary(graph, OP_reshape, in->dtype, shape, NULL, in);
}

const Node *node_permute(Graph *graph, const Node *in, const int8_t *perm) {
    Attr attr = {0};
    Shape shape = in->shape;
    for (int i = 0; i < shape.rank; i++) {
        need_axis(OP_permute, in, perm[i]);
        attr.perm[i] = perm[i];
        shape.dim[i] = in->shape.dim[perm[i]];
    }
    return unary(graph, OP_permute, in->dtype, shape, &attr, in);
}

const Node *node_broadcast(Graph *graph, const Node *in, uint32_t axes, Shape out) {
    return unary(graph, OP_broadcast, in->dtype, out, &(Attr){.axes = axes}, in);
}

const Node *node_expand(Graph *graph, const Node *in, Shape out) {
    if (in->shape.rank != 0) bug("expand: the value has %d axes", in->shape.rank);
    return out.rank == 0 ? in : node_broadcast(graph, in, (1u << out.rank) - 1, out);
}

const Node *node_pad(Graph *graph, const Node *in, const PadAxis *pad, double value) {
    Attr attr = {.value = value};
    Shape shape = in->shape;
    for (int i = 0; i < shape.rank; i++) {
        attr.pad[i] = pad[i];
        need_fit(OP_pad, pad_extent(&shape.dim[i], in->shape.dim[i], pad[i]));
    }
    return unary(graph, OP_pad, in->dtype, shape, &attr, in);
}

const Node *node_slice(Graph *graph, const Node *in, const SliceAxis *slice, Shape out) {
    Attr attr = {0};
    memcpy(attr.slice, slice, sizeof *slice * (size_t)in->shape.rank);
    return unary(graph, OP_slice, in->dtype, out, &attr, in);
}

const Node *node_flip(Graph *graph, const Node *in, uint32_t axes) {
    return unary(graph, OP_flip, in->dtype, in->shape, &(Attr){.axes = axes}, in);
}

const Node *node_concat(Graph *graph, const Node *const *in, int count, int axis) {
    if (count < 1) bug("concat of nothing");
    Shape shape = in[0]->shape;
    need_axis(OP_concat, in[0], axis);
    for (int i = 1; i < count; i++) {
        need_axis(OP_concat, in[i], axis);
        need_fit(OP_concat, dim_add(&shape.dim[axis], shape.dim[axis], in[i]->shape.dim[axis]));
    }
    return make(graph, OP_concat, in[0]->dtype, shape, &(Attr){.axis = axis}, in, count);
}

const Node *node_window(Graph *graph, const Node *in, int axis, Dim outputs, int32_t taps,
                        int32_t stride, int32_t dilation) {
    need_axis(OP_window, in, axis);
    if (in->shape.rank == MAX_RANK) bug("window: more than %d axes", MAX_RANK);
    Shape shape = in->shape;
    shape.rank++;
    for (int i = shape.rank - 1; i > axis + 1; i--)
        shape.dim[i] = shape.dim[i - 1];
    shape.dim[axis] = outputs;
    shape.dim[axis + 1] = dim_const(taps);
    Attr attr = {.window = {.axis = axis, .stride = stride, .dilation = dilation}};
    return unary(graph, OP_window, in->dtype, shape, &attr, in);
}

const Node *node_fold(Graph *graph, const Node *in, int axis, Dim extent, int32_t stride,
                      int32_t dilation) {
    need_axis(OP_fold, in, axis + 1);
    Shape shape = in->shape;
    shape.dim[axis] = extent;
    for (int i = axis + 1; i + 1 < shape.rank; i++)
        shape.dim[i] = shape.dim[i + 1];
    shape.rank--;
    Attr attr = {
        .window = {.axis = axis, .stride = stride, .dilation = dilation, .extent = extent}};
    return unary(graph, OP_fold, in->dtype, shape_of(shape.rank, shape.dim), &attr, in);
}

// --- Of two operands

static const Node *binary(Graph *graph, Op op, DType dtype, Shape shape, const Attr *attr,
                          const Node *a, const Node *b) {
    return make(graph, op, dtype, shape, attr, (const Node *[]){a, b}, 2);
}

const Node *node_contract(Graph *graph, const Node *a, const Node *b, const ContractAttr *contract,
                          Shape out) {
    return binary(graph, OP_contract, a->dtype, out, &(Attr){.contract = contract}, a, b);
}

const Node *node_gather(Graph *graph, const Node *table, const Node *index) {
    int rank = index->shape.rank + table->shape.rank - 1;
    if (table->shape.rank < 1 || rank > MAX_RANK) bug("gather: no result of %d axes", rank);
    Shape shape = index->shape;
    for (int i = 1; i < table->shape.rank; i++)
        shape.dim[shape.rank++] = table->shape.dim[i];
    return binary(graph, OP_gather, table->dtype, shape, NULL, table, index);
}

const Node *node_scatter_add(Graph *graph, const Node *index, const Node *rows, Dim extent) {
    int rank = rows->shape.rank - index->shape.rank + 1;
    if (rank < 1 || rank > MAX_RANK) bug("scatter_add: no result of %d axes", rank);
    Shape shape = scalar();
    shape.dim[shape.rank++] = extent;
    for (int i = index->shape.rank; i < rows->shape.rank; i++)
        shape.dim[shape.rank++] = rows->shape.dim[i];
    Attr attr = {.extent = extent};
    return binary(graph, OP_scatter_add, rows->dtype, shape, &attr, index, rows);
}

const Node *node_wino(Graph *graph, Op op, const Node *in, WinoAttr wino, Shape out) {
    return unary(graph, op, in->dtype, out, &(Attr){.wino = wino}, in);
}

const Node *node_product(Graph *graph, const Node *a, const Node *b, ProductAttr product) {
    if (a->shape.rank != 4 || b->shape.rank != 4) bug("product: operands have 4 axes");
    Shape shape = scalar();
    shape.rank = 3;
    product_batch(&shape.dim[0], a->shape.dim[0], b->shape.dim[0]);
    shape.dim[1] = a->shape.dim[product.transpose_a ? 3 : 2];
    shape.dim[2] = b->shape.dim[product.transpose_b ? 2 : 3];
    return binary(graph, OP_product, a->dtype, shape, &(Attr){.product = product}, a, b);
}

const Node *node_again(Graph *graph, const Node *in, const Node *after) {
    return binary(graph, OP_again, in->dtype, in->shape, NULL, in, after);
}
