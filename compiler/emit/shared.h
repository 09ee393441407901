// SPDX-License-Identifier: MIT
// Functions that several kernels call: blocks of products, Winograd's transforms. Each stands
// before its callers, behind a guard by its name, so that a file may hold it several times:
//
//     NNC_SHARED void block_3f2a90c1d5e8b746(const float *a0, ..);
//     #ifndef block_3f2a90c1d5e8b746_
//     #define block_3f2a90c1d5e8b746_
//     NNC_SHARED NNC_FUSED void block_3f2a90c1d5e8b746(const float *a0, ..) {
//         ..
//     }
//     #endif
//
// Of a source that is compiled in pieces (jit/pieces.c), one piece has what is behind the guard and
// the others the prototype: equal names are equal functions.
#ifndef NNC_EMIT_SHARED_H
#define NNC_EMIT_SHARED_H

#include "support/buf.h"

#include <stdbool.h>

// What `body` does, as a name: kind_HASH.
const char *shared_name(Arena *arena, const char *kind, const Buf *body);
typedef struct SharedFunction {
    const char *name, *arguments;
    bool fused;         // NNC_FUSED, which is for arithmetic: copying loops become vectors without
    const char *before; // what stands in front of it, behind the guard, too
    const char *body;
} SharedFunction;

void shared_define(Buf *out, const SharedFunction *function);

#endif
