// SPDX-License-Identifier: MIT
// Small constant matrices as C statements.
#ifndef NNC_EMIT_TRANSFORM_H
#define NNC_EMIT_TRANSFORM_H

#include "emit/nest.h"
#include "ir/wino.h"

typedef struct Printing {
    Buf *out;
    int depth;
    const char *type;   // of the values: nnc_v16
    const char *prefix; // of the names of what is made
} Printing;

// Declares PREFIX0, PREFIX1 .. = m times the values named by `in`.
void transform_print(const Printing *p, const WinoMatrix *m, const char *const *in);

#endif
