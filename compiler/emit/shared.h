// SPDX-License-Identifier: MIT
// Functions that several kernels call: blocks of products, Winograd's transforms. They stand in
// front of all kernels, each once, under a name that says what it does:
//
//     NNC_SHARED void block_3f2a90c1d5e8b746(const float *a0, ..);
//     ..
//     // --- unit: block_3f2a90c1d5e8b746
//     NNC_SHARED NNC_FUSED void block_3f2a90c1d5e8b746(const float *a0, ..) {
//
// Each is a unit of its own for the compilers that work on pieces of a source (jit/pieces.c).
#ifndef NNC_EMIT_SHARED_H
#define NNC_EMIT_SHARED_H

#include "support/buf.h"

#include <stdbool.h>

typedef struct SharedFunction {
    const char *name, *arguments;
    bool fused;         // NNC_FUSED, which is for arithmetic: copying loops become vectors without
    const char *before; // what stands in front of it, or NULL
    const char *body;
    unsigned users; // 1 << NncFunctionKind
} SharedFunction;

typedef struct SharedFunctions {
    Arena *arena;
    unsigned user; // whose kernels are being printed
    VEC(SharedFunction) list;
} SharedFunctions;

// What `body` does, as a name: kind_HASH.
const char *shared_name(Arena *arena, const char *kind, const Buf *body);
// Whether there is one of this name already; what is printed now uses it.
bool shared_use(SharedFunctions *shared, const char *name);
void shared_add(SharedFunctions *shared, SharedFunction function);
// Those that any of `users` has: declarations, then units.
void shared_print(Buf *out, const SharedFunctions *shared, unsigned users);

#endif
