// SPDX-License-Identifier: MIT
// Contractions over random affine indices: products, convolutions with stride, dilation and
// padding, diagonals, and what has no name.
#include "random_internal.h"

enum { MAX_INDICES = 5 };

typedef struct Loops {
    int count, summed; // the last `summed` of them
    Dim range[MAX_INDICES];
} Loops;

typedef struct Operand {
    Shape shape;
    Access access[MAX_RANK];
} Operand;

static void add_axis(Operand *operand, Dim extent, Access access) {
    operand->access[operand->shape.rank] = access;
    operand->shape.dim[operand->shape.rank++] = extent;
}

static void add_plain(RandomGraph *random, Operand *operand, const Loops *loops) {
    int index = below(random, loops->count);
    Dim extent = loops->range[index];
    if (dim_is_const(extent) && one_in(random, 8)) extent = dim_const(between(random, 1, 4));
    add_axis(operand, extent, (Access){{(int8_t)index, -1}, {1, 0}, 0, 1});
}

static void add_affine(RandomGraph *random, Operand *operand, const Loops *loops) {
    static const int coef[] = {1, 1, 1, 2, -1, 3};
    int first = below(random, loops->count), second = below(random, loops->count);
    Access access = {{(int8_t)first, second == first ? -1 : (int8_t)second},
                     {coef[below(random, 6)], second == first ? 0 : coef[below(random, 6)]},
                     between(random, -2, 2),
                     one_in(random, 4) ? 2 : 1};
    add_axis(operand, dim_const(between(random, 1, 6)), access);
}

static void add_constant(RandomGraph *random, Operand *operand) {
    Access access = {{-1, -1}, {0, 0}, below(random, 3), 1};
    add_axis(operand, dim_const(between(random, 1, 3)), access);
}

static Operand random_operand(RandomGraph *random, const Loops *loops) {
    Operand operand = {.shape = shape_of(0, NULL)};
    for (int axes = between(random, 0, 3); axes > 0; axes--) {
        if (!loops->count || one_in(random, 10))
            add_constant(random, &operand);
        else if (one_in(random, 3))
            add_affine(random, &operand, loops);
        else
            add_plain(random, &operand, loops);
    }
    return operand;
}

// Each summed index runs along the whole of some axis.
static void complete(RandomGraph *random, Operand *a, Operand *b, const Loops *loops) {
    for (int i = loops->count - loops->summed; i < loops->count; i++)
        add_axis(one_in(random, 2) ? a : b, loops->range[i],
                 (Access){{(int8_t)i, -1}, {1, 0}, 0, 1});
}

const Node *random_contract(RandomGraph *random) {
    Loops loops = {.summed = between(random, 0, 2)};
    int rank = between(random, 0, 3);
    loops.count = rank + loops.summed;
    int batch = one_in(random, 2) ? below(random, MAX_INDICES) : -1; // the one that runs to N
    for (int i = 0; i < loops.count; i++)
        loops.range[i] = i == batch ? dim_batch() : dim_const(between(random, 1, 3));
    Operand a = random_operand(random, &loops), b = random_operand(random, &loops);
    complete(random, &a, &b, &loops);
    if (!random_fits(&a.shape) || !random_fits(&b.shape)) return NULL;
    ContractAttr attr = {.summed = loops.summed};
    for (int i = 0; i < loops.summed; i++)
        attr.extent[i] = loops.range[rank + i];
    for (int i = 0; i < MAX_RANK; i++) {
        attr.a[i] = a.access[i];
        attr.b[i] = b.access[i];
    }
    return node_contract(random->graph, pick_of_shape(random, DT_F32, a.shape),
                         pick_of_shape(random, DT_F32, b.shape), &attr,
                         shape_of(rank, loops.range));
}
