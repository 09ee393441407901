// SPDX-License-Identifier: MIT
// Chooses how a contraction of plain axes becomes a batched matrix product (OP_product).
//
// Indices of both operands and the output are the batch, g; of a and the output, m; of b and the
// output, n; of both operands alone, k. Leading output indices may be batched too where one operand
// lacks them (the weights of a convolution, for every image): no copy then brings the output into
// its order. Leading k indices may be summed outside of the product (s), where they are split from
// the others by m or n.
#include "pass/lower_internal.h"

#include <string.h>

typedef struct List {
    int8_t at[2 * MAX_RANK];
    int count;
} List;

typedef struct Choice {
    int batched, outside; // lengths of the prefixes of `want` and of k
    bool swap, permuted;  // roles of a and b exchanged; output not in the wanted order
    List k;
    double cost;
} Choice;

static bool has(const Operand *operand, int index) { return operand->has >> index & 1; }

static void append(List *to, const List *from, int start) {
    for (int i = start; i < from->count; i++)
        to->at[to->count++] = from->at[i];
}

static double elements(const Lowering *l, const Shape *shape) {
    return (double)shape_eval(shape, l->batch);
}

static bool same_order(const Operand *operand, const List *order) {
    return operand->node->shape.rank == order->count &&
           memcmp(operand->index, order->at, (size_t)order->count) == 0;
}

// Do the parts of the operand stand as [g, s, rows, columns] or (transposed) [g, s, columns, rows]?
// Gives the order to copy it to where they do not.
static bool operand_order(const Lowering *l, const Operand *operand, const List *outer,
                          const List *rows, const List *columns, List *order, bool *transposed) {
    List straight = *outer, crossed = *outer;
    append(&straight, rows, 0), append(&straight, columns, 0);
    append(&crossed, columns, 0), append(&crossed, rows, 0);
    *order = straight;
    *transposed = false;
    if (operand->free_order) { // the long runs of memory last
        bool rows_long = rows->count && l->index[rows->at[rows->count - 1]].window_output;
        bool columns_long =
            columns->count && l->index[columns->at[columns->count - 1]].window_output;
        if (rows_long && !columns_long) *order = crossed, *transposed = true;
        return true;
    }
    if (same_order(operand, &straight)) return true;
    if (!same_order(operand, &crossed)) return false;
    *order = crossed;
    *transposed = true;
    return true;
}

typedef struct Parts {
    List g, s, m, n, k;
} Parts;

static void split(const Choice *choice, const Operand *a, const int8_t *want, int count,
                  Parts *parts) {
    memset(parts, 0, sizeof *parts);
    for (int i = 0; i < choice->batched; i++)
        parts->g.at[parts->g.count++] = want[i];
    for (int i = choice->batched; i < count; i++) {
        List *part = has(a, want[i]) ? &parts->m : &parts->n;
        part->at[part->count++] = want[i];
    }
    for (int i = 0; i < choice->k.count; i++) {
        List *part = i < choice->outside ? &parts->s : &parts->k;
        part->at[part->count++] = choice->k.at[i];
    }
}

// The outer axes of an operand: what it has of the batch, and s. Of the batch it has all, nothing,
// or, for code that reads it where it lies, the last indices: the filters of each group of
// channels, for every image. False: anything else.
static bool outer_axes(const Lowering *l, const Operand *operand, const Parts *parts, List *outer) {
    int lacks = 0;
    outer->count = 0;
    while (lacks < parts->g.count && !has(operand, parts->g.at[lacks]))
        lacks++;
    for (int i = lacks; i < parts->g.count; i++)
        if (!has(operand, parts->g.at[i])) return false;
    if (lacks > 0 && lacks < parts->g.count && !target_width(l->target)) return false;
    append(outer, &parts->g, lacks);
    append(outer, &parts->s, 0);
    return true;
}

// Where images run along vectors and channels along rows, it is better the other way round: images
// lie channels last then, as other kernels for images have them (pass/layout.c).
static bool channels_last(const Lowering *l, const Parts *parts, bool swap) {
    const List *rows = swap ? &parts->n : &parts->m, *columns = swap ? &parts->m : &parts->n;
    if (!target_width(l->target) || !rows->count || !columns->count) return false;
    bool channels = true, image = false;
    for (int i = 0; i < rows->count; i++)
        channels &= !l->index[rows->at[i]].window_output;
    for (int i = 0; i < columns->count; i++)
        image |= l->index[columns->at[i]].window_output;
    return channels && image;
}

static double evaluate(const Lowering *l, const Operand *a, const Operand *b, const int8_t *want,
                       int count, Choice *choice) {
    Parts parts;
    List outer_a, outer_b, order;
    bool transposed;
    double cost = 0, calls = 1, out = 1;
    split(choice, a, want, count, &parts);
    for (int i = choice->batched; i < count; i++)
        if (has(a, want[i]) && has(b, want[i])) return -1; // must be batched
    for (int i = 0; i < parts.s.count; i++) // the first block is what is not added to
        if (!dim_at_least(l->index[parts.s.at[i]].extent, 1)) return -1;
    if (!outer_axes(l, a, &parts, &outer_a) || !outer_axes(l, b, &parts, &outer_b)) return -1;
    bool m_first = true, n_first = true; // the rest of the output is [m, n]; [n, m]
    for (int i = choice->batched; i < count; i++) {
        int place = i - choice->batched;
        m_first &= has(a, want[i]) == (place < parts.m.count);
        n_first &= has(b, want[i]) == (place < parts.n.count);
        out *= (double)dim_eval(l->index[want[i]].extent, l->batch);
    }
    for (int i = 0; i < choice->batched; i++)
        out *= (double)dim_eval(l->index[want[i]].extent, l->batch);
    choice->swap = !m_first && n_first;
    choice->permuted = !m_first && !n_first;
    if (channels_last(l, &parts, choice->swap))
        choice->swap = !choice->swap, choice->permuted = true;
    else if (choice->permuted)
        cost += out;
    if (!operand_order(l, a, &outer_a, &parts.m, &parts.k, &order, &transposed))
        cost += elements(l, &a->node->shape);
    if (!operand_order(l, b, &outer_b, &parts.k, &parts.n, &order, &transposed))
        cost += elements(l, &b->node->shape);
    for (int i = 0; i < parts.g.count; i++)
        calls *= (double)dim_eval(l->index[parts.g.at[i]].extent, l->batch);
    for (int i = 0; i < parts.s.count; i++)
        calls *= (double)dim_eval(l->index[parts.s.at[i]].extent, l->batch);
    return cost + 3000 * calls;
}

static void list_k(const Lowering *l, const Operand *order, const Operand *other, List *k) {
    k->count = 0;
    for (int axis = 0; axis < order->node->shape.rank; axis++) {
        int i = order->index[axis];
        if (has(other, i) && !l->index[i].in_out) k->at[k->count++] = (int8_t)i;
    }
}

static Choice choose(const Lowering *l, const Operand *a, const Operand *b, const int8_t *want,
                     int count) {
    Choice best = {.cost = -1};
    const Operand *by[2] = {a->free_order ? b : a, a->free_order ? a : b};
    for (int o = 0; o < 2; o++) {
        Choice choice = {0};
        list_k(l, by[o], by[!o], &choice.k);
        for (choice.batched = 0; choice.batched <= count; choice.batched++)
            for (choice.outside = 0; choice.outside <= choice.k.count; choice.outside++) {
                choice.cost = evaluate(l, a, b, want, count, &choice);
                if (choice.cost >= 0 && (best.cost < 0 || choice.cost < best.cost)) best = choice;
            }
    }
    return best;
}

static Dim extent_of(const Lowering *l, const List *list) {
    Dim size = dim_const(1);
    for (int i = 0; i < list->count; i++)
        if (!dim_mul(&size, size, l->index[list->at[i]].extent)) bug("size of a product overflows");
    return size;
}

// The operand as a block matrix [g or 1, s, rows, columns], or with the last two exchanged.
static const Node *arrange(Lowering *l, const Operand *operand, const Parts *parts,
                           const List *rows, const List *columns, bool *transposed) {
    List outer, order, batch = {0};
    int8_t perm[MAX_RANK];
    const Node *node = operand->node;
    outer_axes(l, operand, parts, &outer);
    operand_order(l, operand, &outer, rows, columns, &order, transposed);
    for (int i = 0; i < order.count; i++)
        for (int axis = 0; axis < order.count; axis++)
            if (operand->index[axis] == order.at[i]) perm[i] = (int8_t)axis;
    node = node_permute(l->graph, node, perm);
    int held = outer.count - parts->s.count;
    append(&batch, &parts->g, parts->g.count - held);
    Dim r = extent_of(l, rows), c = extent_of(l, columns), whole = extent_of(l, &parts->g), times;
    Dim dims[5] = {dim_const(1), extent_of(l, &batch), extent_of(l, &parts->s), *transposed ? c : r,
                   *transposed ? r : c};
    node = node_reshape(l->graph, node, shape_of(4, dims + 1));
    if (held == 0 || held == parts->g.count) return node;
    if (!dim_div(&times, whole, dims[1])) bug("a batch is no multiple of its part");
    dims[0] = times;
    node = node_broadcast(l->graph, node, 1, shape_of(5, dims));
    dims[1] = whole;
    return node_reshape(l->graph, node, shape_of(4, dims + 1));
}

const Node *lower_product(Lowering *l, const Operand *a, const Operand *b, const int8_t *want,
                          int count, int8_t *got) {
    Choice choice = choose(l, a, b, want, count);
    Parts parts;
    ProductAttr attr = {0};
    if (choice.cost < 0) return NULL;
    if (choice.swap) {
        const Operand *swapped = a;
        a = b;
        b = swapped;
    }
    split(&choice, a, want, count, &parts);
    const Node *left = arrange(l, a, &parts, &parts.m, &parts.k, &attr.transpose_a);
    const Node *right = arrange(l, b, &parts, &parts.k, &parts.n, &attr.transpose_b);
    const Node *product = node_product(l->graph, left, right, attr);
    List order = parts.g;
    append(&order, &parts.m, 0);
    append(&order, &parts.n, 0);
    Dim dims[2 * MAX_RANK];
    for (int i = 0; i < order.count; i++)
        got[i] = order.at[i], dims[i] = l->index[order.at[i]].extent;
    return node_reshape(l->graph, product, shape_of(order.count, dims));
}
