// SPDX-License-Identifier: MIT
// A kernel as a loop nest: what an emitter prints. Made from a kernel's results by asking for one
// element at symbolic indices and following its inputs back to what is stored (pull): movements
// change the indices, pointwise operators make values, a reduction opens loops.
#ifndef NNC_PASS_LOOPS_H
#define NNC_PASS_LOOPS_H

#include "pass/plan.h"

enum { INDEX_TERMS = 16, LOOP_VARS = 64 };

typedef enum VarKind {
    VAR_LOOP,    // of the kernel's space
    VAR_REDUCE,  // of a reduction
    VAR_LET,     // computed from others: index / by, index % by, index * by
    VAR_VALUE,   // an i32 value: a gathered index
    VAR_OUTSIDE, // a C variable of the function around the nest
} VarKind;

// constant + sum of coef * var; terms in the order of their variables, no coefficient zero.
typedef struct Index {
    int64_t constant;
    int count;
    struct {
        int var;
        int64_t coef;
    } term[INDEX_TERMS];
} Index;

typedef enum LetKind { LET_DIVIDE, LET_MODULO, LET_TIMES } LetKind;

typedef struct Var {
    VarKind kind;
    Dim extent;  // its values are 0 .. extent - 1 (VALUE: anything)
    LetKind let; // LET
    Index of;
    Dim by;
    struct Value *value; // VALUE
    const char *name;    // OUTSIDE
    bool merged;         // by loops_coalesce into its right neighbour: gone
} Var;

typedef struct Condition { // 0 <= index < extent, and index is a multiple of `multiple`
    Index index;
    Dim extent;
    int64_t multiple;
    bool check_low, check_high; // what interval arithmetic could not show
} Condition;

typedef enum ValueKind {
    VALUE_CONST,  // number
    VALUE_LOAD,   // buffer[index]
    VALUE_CARRY,  // the product's own element, in the result's buffer
    VALUE_POINT,  // op(in..)
    VALUE_CAST,   // in[0] to dtype
    VALUE_INDEX,  // index as an i32
    VALUE_SCALAR, // ctx->scalar[slot]
    VALUE_RANDOM, // stream, element index
    VALUE_GUARD,  // all conditions ? in[0] : in[1]
    VALUE_REDUCE, // op over vars of in[0], where all conditions hold
} ValueKind;

typedef struct Value {
    int id;
    ValueKind kind;
    DType dtype;
    const Node *node; // that it stands for
    Op op;            // POINT; REDUCE: OP_reduce_*, OP_argmax
    double number;
    const Buffer *buffer;
    Index index; // LOAD, CARRY, INDEX, RANDOM; REDUCE of argmax: the flat index over its axes
    Index first; // LOAD: along the node's first axis that is not 1, before loops_coalesce
    int64_t start; // LOAD: where the node lies in the buffer, in elements
    const Buffer *kept; // where it is stored as soon as it is computed, for later loads of the row
    Index kept_index;
    int slot;
    const char *stream;
    int in_count;
    struct Value *in[3]; // LOAD of what was kept: the reduction that keeps it
    int condition_count;
    Condition *condition;
    int var_count;
    int var[MAX_RANK * 2]; // REDUCE: outermost first
} Value;

typedef struct Store {
    Value *value;
    const Buffer *buffer;
    Index index;
} Store;

typedef struct Loops {
    const Kernel *kernel;
    Arena *arena;
    int64_t batch;
    const Target *target;
    int var_count;
    Var var[LOOP_VARS];
    int loop_count;
    int loop[MAX_RANK]; // vars of the space, outermost first; at least one
    Dim outer;          // extent of the outermost loop, and
    int64_t
        outer_unit; // how many of its indices one index of the space's outermost axis has become
    VEC(Value *) value; // topological
    VEC(Store) store;
} Loops;

Loops *loops_build(Arena *arena, const Fusion *fusion, const Kernel *kernel);
// Copies one index of the first axis of `operand` (the C variable `first`) to a scratch buffer: of
// its second axis the indices from the C variable `low` on (NULL: all). The outermost loop is the
// second axis.
Loops *loops_build_part(Arena *arena, const Fusion *fusion, const Node *operand, Buffer *to,
                        const char *first, const char *low);
// Joins neighbouring loops that every access walks through as one.
void loops_coalesce(Loops *loops);
int64_t index_coefficient(const Index *index, int var);

#endif
