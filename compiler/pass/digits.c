// SPDX-License-Identifier: MIT
// The indices of a product as digits that a, b and the output all have: where one operand's memory
// takes an index in two steps, it is two digits for all three. Neighbours that all three walk
// through as one become one again.
#include "pass/digits.h"

// Takes the innermost `extent` off; false where it is no whole part of a step.
static bool walk_take(IndexWalk *walk, Dim extent, int64_t *stride) {
    Dim rest;
    if (walk->count == 0) return false;
    int last = walk->count - 1;
    *stride = walk->at[last].stride;
    if (!dim_div(&rest, walk->at[last].extent, extent)) return false;
    if (dim_is_one(rest)) {
        walk->count--;
        return true;
    }
    if (!dim_is_const(extent) && walk->at[last].stride != 0) return false;
    walk->at[last].extent = rest;
    walk->at[last].stride *= dim_eval(extent, 1);
    return true;
}

// An innermost step that divides those of the others.
static bool common_step(const IndexWalk *walk, Dim *step) {
    for (int side = 0; side < SIDES; side++) {
        if (walk[side].count == 0) continue;
        Dim rest, extent = walk[side].at[walk[side].count - 1].extent;
        bool divides = true;
        for (int other = 0; other < SIDES; other++)
            if (walk[other].count > 0)
                divides &= dim_div(&rest, walk[other].at[walk[other].count - 1].extent, extent);
        *step = extent;
        if (divides) return true;
    }
    return false;
}

static bool is_one_walk(const Digit *outer, const Digit *inner) {
    if (!dim_is_const(inner->extent)) return false;
    for (int side = 0; side < SIDES; side++)
        if (outer->stride[side] != inner->stride[side] * dim_eval(inner->extent, 1)) return false;
    return true;
}

void digits_merge(Digits *digits) {
    for (int i = digits->count - 2; i >= 0; i--) {
        Dim whole;
        if (!is_one_walk(&digits->at[i], &digits->at[i + 1]) ||
            !dim_mul(&whole, digits->at[i].extent, digits->at[i + 1].extent))
            continue;
        digits->at[i] = digits->at[i + 1];
        digits->at[i].extent = whole;
        for (int k = i + 1; k + 1 < digits->count; k++)
            digits->at[k] = digits->at[k + 1];
        digits->count--;
    }
}

bool digits_make(const IndexWalk of[SIDES], Digits *digits) {
    IndexWalk walk[SIDES] = {of[SIDE_A], of[SIDE_B], of[SIDE_C]};
    Digit found[DIGITS];
    int count = 0;
    while (walk[SIDE_A].count + walk[SIDE_B].count + walk[SIDE_C].count > 0) {
        Digit digit = {.extent = dim_const(1)};
        if (count == DIGITS || !common_step(walk, &digit.extent)) return false;
        for (int side = 0; side < SIDES; side++)
            if (of[side].count > 0 && !walk_take(&walk[side], digit.extent, &digit.stride[side]))
                return false;
        found[count++] = digit;
    }
    digits->count = count ? count : 1;
    digits->at[0] = (Digit){.extent = dim_const(1)};
    for (int i = 0; i < count; i++)
        digits->at[i] = found[count - 1 - i];
    return true;
}

const Digit *digits_last(const Digits *digits) { return &digits->at[digits->count - 1]; }

double digits_total(const Digits *digits, int64_t batch) {
    double product = 1;
    for (int i = 0; i < digits->count; i++)
        product *= (double)dim_eval(digits->at[i].extent, batch);
    return product;
}

int64_t digits_extent(const Digits *digits, int64_t batch) {
    return dim_eval(digits_last(digits)->extent, batch);
}
