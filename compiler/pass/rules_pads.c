// SPDX-License-Identifier: MIT
// A rule for what the gradient of something cut into pieces looks like: each piece's gradient comes
// back with zeros around it, and all are added. Pieces that do not overlap are put side by side.
//
//     add (pad %a by 0, 3) (pad %b by 2, 0)    ->  concat %a %b
#include "pass/rules.h"

typedef struct Piece { // of an axis: elements low .. low + extent - 1
    int64_t low, extent;
} Piece;

static Piece piece_of(const Node *pad, int axis) {
    return (Piece){pad->attr->pad[axis].low, pad->in[0]->shape.dim[axis].c[0]};
}

static bool same_pad(PadAxis a, PadAxis b) {
    return a.low == b.low && a.high == b.high && a.interior == b.interior;
}

// The one axis along which the paddings differ, of constant extent and nothing between; else -1.
static int axis_of_difference(const Node *a, const Node *b) {
    int axis = -1;
    for (int i = 0; i < a->shape.rank; i++) {
        Dim in_a = a->in[0]->shape.dim[i], in_b = b->in[0]->shape.dim[i];
        PadAxis pad_a = a->attr->pad[i], pad_b = b->attr->pad[i];
        if (same_pad(pad_a, pad_b) && dim_equal(in_a, in_b)) continue;
        if (axis >= 0 || pad_a.interior || pad_b.interior) return -1;
        if (!dim_is_const(in_a) || !dim_is_const(in_b)) return -1;
        axis = i;
    }
    return axis;
}

static bool pads_zeros(const Node *node) { return node->op == OP_pad && node->attr->value == 0; }

static const Node *side_by_side(Graph *graph, const Node *first, const Node *second, int axis) {
    Piece a = piece_of(first, axis), b = piece_of(second, axis);
    int64_t gap = b.low - a.low - a.extent;
    if (gap < 0) return NULL;
    Shape between = first->in[0]->shape;
    between.dim[axis] = dim_const(gap);
    const Node *in[3] = {first->in[0]};
    int count = 1;
    if (gap) in[count++] = node_fill(graph, first->dtype, 0, between);
    in[count++] = second->in[0];
    PadAxis pad[MAX_RANK];
    for (int i = 0; i < MAX_RANK; i++)
        pad[i] = first->attr->pad[i];
    pad[axis].high = second->attr->pad[axis].high;
    return node_pad(graph, node_concat(graph, in, count, axis), pad, 0);
}

const Node *rule_sum_of_pieces(Graph *graph, const Node *node) {
    if (node->op != OP_add || !pads_zeros(node->in[0]) || !pads_zeros(node->in[1])) return NULL;
    const Node *a = node->in[0], *b = node->in[1];
    int axis = axis_of_difference(a, b);
    if (axis < 0) return NULL;
    bool in_order = piece_of(a, axis).low <= piece_of(b, axis).low;
    return side_by_side(graph, in_order ? a : b, in_order ? b : a, axis);
}
