// SPDX-License-Identifier: MIT
// The operator table as data: ops.def expanded into properties, names and the double reference.
#include "ir/graph.h"

#include <math.h>
#include <string.h>

static const OpInfo table[OP_COUNT] = {
#define POINTWISE(op, in, type, c, reference, da, db, dc, from)                                    \
    [OP_##op] = {.name = #op,                                                                      \
                 .in_count = in,                                                                   \
                 .pointwise = true,                                                                \
                 .types = TYPES_##type,                                                            \
                 .c_text = c,                                                                      \
                 .derivative = {da, db, dc},                                                       \
                 .domain = DOMAIN_##from},
#define STRUCTURAL(op, in, from) [OP_##op] = {.name = #op, .in_count = in, .stage = STAGE_##from},
#include "ir/ops.def"
#undef POINTWISE
#undef STRUCTURAL
};

const OpInfo *op_info(Op op) {
    if ((unsigned)op >= OP_COUNT) bug("no operator has number %d", (int)op);
    return &table[op];
}

Op op_find(const char *name) {
    for (int op = 0; op < OP_COUNT; op++)
        if (!strcmp(table[op].name, name)) return (Op)op;
    return OP_COUNT;
}

// --- What the double references of ops.def call

static double ref_max(double a, double b) { return isnan(a) || a >= b ? a : b; }

static double ref_min(double a, double b) { return isnan(a) || a <= b ? a : b; }

static double ref_sign(double a) { return a > 0 ? 1 : a < 0 ? -1 : a; } // NaN, 0 and -0 stay

static double ref_mod(double a, double b) {
    double rest = fmod(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double op_reference(Op op, double a, double b, double c) {
    switch (op) {
#define POINTWISE(op, in, type, c, reference, da, db, dc, from)                                    \
    case OP_##op:                                                                                  \
        return reference;
#define STRUCTURAL(op, in, from)
#include "ir/ops.def"
#undef POINTWISE
#undef STRUCTURAL
    default:
        bug("%s has no reference of its own", op_info(op)->name);
    }
}

// --- Types

const char *dtype_name(DType dtype) {
    static const char *const name[] = {"f32", "i32", "bool", "f64", "bf16"};
    return name[dtype];
}

int dtype_size(DType dtype) {
    static const int size[] = {4, 4, 1, 8, 2};
    return size[dtype];
}
