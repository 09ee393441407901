// SPDX-License-Identifier: MIT
// Stages of a kernel over rows (rows.h). What is reduced of a row can be used only behind the whole
// of it, so a row is walked through several times: of softmax(x)
//
//     stage 0    m = max of x
//     stage 1    e = exp(x - m), kept;  s = sum of e
//     stage 2    result = e * (1 / s)
//
// Rows have nothing to do with one another, so the stages need not wait: in one turn stage 0 works
// on a row, stage 1 on the one before, stage 2 on the one before that, block by block of the row.
// So loads from memory, arithmetic and stores go on evenly all the time.
#ifndef NNC_PASS_STAGES_H
#define NNC_PASS_STAGES_H

#include "pass/loops.h"

typedef struct Stages {
    int count;
    int row;        // the variable of the loop over rows
    int store;      // the stage that stores elements; -1: there are none
    int64_t length; // of a row, in elements
    int *begin;     // by value id: the first stage that can use the value
    int *last;      // by value id, of values of a row: the last stage that does; -1: none, or those
                    // of the same beginning alone
    uint32_t *in;   // by value id: the stages, as bits, whose elements or reductions it is part of
    VEC(const Value *) reduction; // stage begin - 1
} Stages;

// Of a coalesced nest. NULL where its rows cannot be taken in stages: other loops around them or
// reductions that are not of vectors.
Stages *stages_find(Arena *arena, const Loops *loops);
// Of a value of a row, which stages behind its first one use: does it have to be carried along?
bool stages_carry(const Stages *stages, const Value *value);
// Makes room for all rows of what is kept in the buffer that are there at the same time.
void stages_keep(const Stages *stages, const Loops *loops, Buffer *kept);
// Lets the nest's indices into such buffers (Buffer.rows) follow the row.
void stages_place(Loops *loops, const Stages *stages);

#endif
