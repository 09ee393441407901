// SPDX-License-Identifier: MIT
// The interpreter's movement operators. Most are one question: which element of the operand does an
// index of the result show, if any?
#include "ir/interp_internal.h"

#include <string.h>

// Sets in[] to the operand's index that out[] shows; false where it shows none (the padding).
typedef bool Origin(const Node *node, const Extents *in_shape, const int64_t *out, int64_t *in);

static bool permute_origin(const Node *node, const Extents *in_shape, const int64_t *out,
                           int64_t *in) {
    for (int i = 0; i < in_shape->rank; i++)
        in[node->attr->perm[i]] = out[i];
    return true;
}

static bool broadcast_origin(const Node *node, const Extents *in_shape, const int64_t *out,
                             int64_t *in) {
    (void)in_shape;
    for (int i = 0, axis = 0; i < node->shape.rank; i++)
        if (!(node->attr->axes >> i & 1)) in[axis++] = out[i];
    return true;
}

static bool pad_origin(const Node *node, const Extents *in_shape, const int64_t *out, int64_t *in) {
    for (int i = 0; i < in_shape->rank; i++) {
        int64_t place = out[i] - node->attr->pad[i].low, gap = node->attr->pad[i].interior + 1ll;
        if (place < 0 || place % gap || place / gap >= in_shape->dim[i]) return false;
        in[i] = place / gap;
    }
    return true;
}

static bool slice_origin(const Node *node, const Extents *in_shape, const int64_t *out,
                         int64_t *in) {
    for (int i = 0; i < in_shape->rank; i++)
        in[i] = node->attr->slice[i].start + out[i] * node->attr->slice[i].step;
    return true;
}

static bool flip_origin(const Node *node, const Extents *in_shape, const int64_t *out,
                        int64_t *in) {
    for (int i = 0; i < in_shape->rank; i++)
        in[i] = node->attr->axes >> i & 1 ? in_shape->dim[i] - 1 - out[i] : out[i];
    return true;
}

// Of fold too, whose operand has the windows and whose result has the whole axis.
static bool window_origin(const Node *node, const Extents *in_shape, const int64_t *out,
                          int64_t *in) {
    const WindowAttr *window = &node->attr->window;
    for (int i = 0; i < in_shape->rank; i++)
        in[i] = out[i + (i > window->axis)];
    in[window->axis] =
        out[window->axis] * window->stride + out[window->axis + 1] * window->dilation;
    return true;
}

static void show(const Eval *eval, Origin *origin) {
    int64_t out[MAX_LOOPS] = {0}, in[MAX_LOOPS] = {0};
    for (int64_t i = 0; i < eval->shape.size; i++) {
        bool shows = origin(eval->node, &eval->in_shape[0], out, in);
        eval->out[i] =
            shows ? eval->in[0][index_offset(in, &eval->in_shape[0])] : eval->node->attr->value;
        index_advance(out, &eval->shape);
    }
}

static void fold(const Eval *eval) {
    int64_t part[MAX_LOOPS] = {0}, whole[MAX_LOOPS] = {0};
    for (int64_t i = 0; i < eval->in_shape[0].size; i++) {
        window_origin(eval->node, &eval->shape, part, whole);
        eval->out[index_offset(whole, &eval->shape)] += eval->in[0][i];
        index_advance(part, &eval->in_shape[0]);
    }
}

static void concat(const Eval *eval) {
    const Node *node = eval->node;
    int axis = node->attr->axis;
    int64_t start = 0; // along the axis
    for (int k = 0; k < node->in_count; k++) {
        Extents part = extents_at(&node->in[k]->shape, eval->with->n);
        const double *from = eval->value[node->in[k]->id];
        int64_t index[MAX_LOOPS] = {0};
        for (int64_t i = 0; i < part.size; i++) {
            int64_t base = start * eval->shape.stride[axis];
            eval->out[base + index_offset(index, &eval->shape)] = from[i];
            index_advance(index, &part);
        }
        start += part.dim[axis];
    }
}

// --- By an index: rows are what lies behind one entry of the table's first axis

// The row that the index names, or -1 where there is none.
static int64_t row_of(double index, int64_t rows) {
    return index >= 0 && index < (double)rows ? (int64_t)index : -1;
}

static void gather(const Eval *eval) {
    const Extents *table = &eval->in_shape[0];
    int64_t width = table->stride[0];
    for (int64_t i = 0; i < eval->in_shape[1].size; i++) {
        int64_t row = row_of(eval->in[1][i], table->dim[0]);
        if (row < 0) continue;
        memcpy(eval->out + i * width, eval->in[0] + row * width, sizeof(double) * (size_t)width);
    }
}

static void scatter_add(const Eval *eval) {
    int64_t width = eval->shape.stride[0];
    for (int64_t i = 0; i < eval->in_shape[0].size; i++) {
        int64_t row = row_of(eval->in[0][i], eval->shape.dim[0]);
        for (int64_t k = 0; row >= 0 && k < width; k++)
            eval->out[row * width + k] += eval->in[1][i * width + k];
    }
}

void eval_movement(const Eval *eval) {
    switch (eval->node->op) {
    case OP_reshape:
        memcpy(eval->out, eval->in[0], sizeof(double) * (size_t)eval->shape.size);
        return;
    case OP_permute:
        show(eval, permute_origin);
        return;
    case OP_broadcast:
        show(eval, broadcast_origin);
        return;
    case OP_pad:
        show(eval, pad_origin);
        return;
    case OP_slice:
        show(eval, slice_origin);
        return;
    case OP_flip:
        show(eval, flip_origin);
        return;
    case OP_window:
        show(eval, window_origin);
        return;
    case OP_fold:
        fold(eval);
        return;
    case OP_concat:
        concat(eval);
        return;
    case OP_gather:
        gather(eval);
        return;
    case OP_scatter_add:
        scatter_add(eval);
        return;
    default:
        bug("%s moves nothing", op_info(eval->node->op)->name);
    }
}
