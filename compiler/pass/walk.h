// SPDX-License-Identifier: MIT
// How a kernel walks through memory when it is taken a part of its outermost dimension at a time.
//
//     const Walk *w = walk_make(arena, fusion, kernel);   // of [N, 64], reading x[N, 64] and
//     b[64]:
//     // outer N, unit 1; writes its result, 64 elements to a part; reads x, 64 to a part, and all
//     of b
//
// Two kernels that share an outer extent, and in which each touches of what the other writes its
// own part alone, may go through a part one after the other: nobody has to wait for other parts.
#ifndef NNC_PASS_WALK_H
#define NNC_PASS_WALK_H

#include "pass/plan.h"

typedef struct Touch {
    const Buffer *buffer;
    int64_t from, to; // elements that it touches, all parts together
    int64_t part;     // > 0: part p touches from + p * part .. from + (p + 1) * part alone
    bool write;
    bool wait; // not even read: it is to be made before
} Touch;

typedef struct Walk {
    Kernel *kernel;
    Dim outer;     // what it can be cut along; 1: it cannot
    int64_t unit;  // of its own outermost indices, how many are one of `outer`
    Dim count;     // its own outermost extent: outer * unit
    int64_t grain; // own indices to a part where it is shared out alone
    int64_t rows;  // a product of rows: how many of them are one of `outer`; else 0
    double time;   // nanoseconds on one thread, about
    VEC(Touch) touch;
} Walk;

typedef enum Relation {
    APART,    // neither touches what the other writes
    BY_PART,  // .. but for its own part
    AS_WHOLE, // all parts of the earlier one must be done
} Relation;

Walk *walk_make(Arena *arena, const Fusion *fusion, Kernel *kernel);
// What the later of two kernels has to wait for in the earlier one.
Relation walk_relation(const Walk *earlier, const Walk *later);
// Do both read the same of something, part by part?
bool walk_shares_reads(const Walk *a, const Walk *b);

#endif
