// SPDX-License-Identifier: MIT
// An index of a product may be several of an operand's memory (an image's rows and columns), so
// each of g, m, n and k is a list of digits, the last of which runs fastest:
//
//     the image walks m in (30, 32) (30, 1), the output in (900, 128):
//     digits (30: 32 and 3840) (30: 1 and 128)
#ifndef NNC_PASS_DIGITS_H
#define NNC_PASS_DIGITS_H

#include "pass/view.h"

enum { DIGITS = 8 };

typedef enum Side { SIDE_A, SIDE_B, SIDE_C, SIDES } Side;

typedef struct Digit {
    Dim extent;
    int64_t stride[SIDES]; // elements; 0: the operand is the same along it
    int64_t unpacked;      // b's own stride, where b is packed
} Digit;

typedef struct Digits {
    int count; // at least 1
    Digit at[DIGITS];
} Digits;

// The digits of an index that a, b and c walk through; one with no steps at all is the same along
// it. False where there are none.
bool digits_make(const IndexWalk of[SIDES], Digits *digits);
// Neighbours that all sides walk through as one become one.
void digits_merge(Digits *digits);

const Digit *digits_last(const Digits *digits);
double digits_total(const Digits *digits, int64_t batch);   // the product of all extents
int64_t digits_extent(const Digits *digits, int64_t batch); // of the last

#endif
