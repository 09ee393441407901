// SPDX-License-Identifier: MIT
// The forms of a product's register blocks, and which nodes it reads: what fusion asks for each
// product, and what tiles (tiling.h) are cut from.
#ifndef NNC_PASS_FORMS_H
#define NNC_PASS_FORMS_H

#include "pass/tiling.h"

// --- For fusion: which nodes a product reads

// Chooses a product's form, and what its operands are read from: operand[i], or what it moves,
// `deep[i]`; what it costs to store what is not stored otherwise is counted. False where the
// library multiplies: the target has no vectors, or the library was measured to be faster.
typedef struct Reading {
    const Node *product;
    const Node *deep[2]; // the nodes that the operands are movements of, or the operands themselves
    bool stored[2];      // is operand[i] in memory in any case?
    const Node *end;     // of its epilogue: the product itself where there is none
    bool used_up;        // tile by tile: only emitted code can
} Reading;
bool tiling_choose_reads(Arena *arena, const Target *target, int64_t batch, const Reading *from,
                         Reads *read);

// --- For tiles

enum {
    FORMS = 10,      // outer, packed, dot, packed pairs, dot of pairs; each also swapped
    MOST_TILES = 16, // of one product
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

// `end`: of the epilogue, which is computed over `space`.
void problem_set_epilogue(Problem *p, const Node *end, const Shape *space);
// base, offset, g, m, n and k of the tiling; false where an index has no digits.
bool problem_find_digits(const Problem *p, Tiling *tiling);
// The cost of one of the forms, in multiplications, and its digits and blocks; -1: it cannot be
// had.
double form_make(const Problem *p, int form, Tiling *tiling);
double tiling_multiplications(const Tiling *tiling);
bool product_is_empty(int64_t batch, const Node *product);

#endif
