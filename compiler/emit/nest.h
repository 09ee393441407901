// SPDX-License-Identifier: MIT
// The C text of a loop nest (pass/loops.h).
#ifndef NNC_EMIT_NEST_H
#define NNC_EMIT_NEST_H

#include "pass/loops.h"

// Pointers to the buffers that the nest touches, as locals: `const float *restrict b3 = ..`; keys,
// scalars.
void nest_print_locals(Buf *out, const Loops *loops, int depth);
// The loops, over low .. high - 1 (C expressions) of the outermost one.
void nest_print(Buf *out, const Loops *loops, const char *low, const char *high, int depth);
// Not coalesced: the second loop from first to last - 1, too (NULL: all of it).
void nest_print_tile(Buf *out, const Loops *loops, const char *low, const char *high,
                     const char *first, const char *last, int depth);
// The value that the nest stores, of one element: prints the statements that it needs, where all of
// the nest's loop variables are declared, and returns its text. `carry` stands for the
// product's own element.
const char *nest_print_value(Buf *out, const Loops *loops, const char *carry, int depth);
// How a buffer's address is spelled in a kernel: (float *)(ctx->work + 128)
char *buffer_address(Arena *arena, const Buffer *buffer);
const char *c_type(DType dtype);        // of a value: float, int
const char *c_memory_type(DType dtype); // in a buffer: float, int, unsigned char
void print_dim(Buf *out, Dim dim);      // as C, of a variable n
char *dim_as_c(Arena *arena, Dim dim);  // the same, as a string
void print_indent(Buf *out, int depth);
// A number as a C constant of its type; infinities and NaN included.
void print_number(Buf *out, DType dtype, double number);
// One of an operator's C text, with its inputs' texts put in.
void print_pointwise(Buf *out, Op op, DType in_type, const char *const *in);

#endif
