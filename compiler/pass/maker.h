// SPDX-License-Identifier: MIT
// Kernels in the making: what kernels.c (their order, and where everything stored lies), kernel.c
// (one of them), join.c (several that become one) and roots.c (results of the function) share.
#ifndef NNC_PASS_MAKER_H
#define NNC_PASS_MAKER_H

#include "pass/fuse_internal.h"

typedef struct Maker {
    Fuse *f;
    Fusion *fusion;
    Arena *arena;
    int64_t batch;
    int *made_at;  // by node id: index of the last kernel that writes it; -1: a leaf
    Storage *kept; // by node id of a state: where its next value waits for the step's end
} Maker;

// kernels.c

// Without a name: "b" and its number.
Buffer *maker_buffer(Maker *m, BufferArena where, DType dtype, int64_t elements, const char *name);
// The place of what the program knows by name; NULL: it has none there.
const Placement *maker_placement(const Maker *m, const char *name, BufferArena where);

// kernel.c

// A new kernel behind all others; core: what it is built on, or NULL.
Kernel *maker_kernel(Maker *m, Result result, const Node *core);
void kernel_add_result(Maker *m, Kernel *kernel, Result result);
// Copies `value` from where it lies (or computes it again) to where it is wanted too.
void maker_copy(Maker *m, const Node *value, Storage from, Storage to, const char *why);
bool kernel_computes(const Kernel *kernel, const Node *node); // not: copies
void kernel_set_reads(Maker *m, Kernel *kernel);              // after a change of its results
const char *kernel_name(const Maker *m, const Kernel *kernel);
// A GPU's kernel: how a product is cut, and room for what is left by sums that are cut in parts.
void maker_place_partial(Maker *m, Kernel *kernel);
// What a kernel keeps for itself, one after the other in its thread's scratch memory.
void buffer_place_scratch(Buffer *buffer, int64_t *at);

// join.c

// Moves the last kernel's only result into an earlier kernel, if there is one that takes it. Gives
// the index of the kernel that has it.
int maker_join(Maker *m);
// What only the kernel itself reads of its results is stored no more. Of what a kernel over rows
// makes, a row lies in scratch memory; everything else is computed in passing.
void maker_keep_inside(Maker *m, Kernel *kernel);
// A kernel over rows in stages keeps several rows at a time.
void maker_set_stages(Maker *m, Kernel *kernel);

// roots.c
void maker_roots(Maker *m);

#endif
