// SPDX-License-Identifier: MIT
// Weights are updated behind their own gradients, in place of one sweep over all of them at the end
// of the step.
#ifndef NNC_PASS_UPDATE_H
#define NNC_PASS_UPDATE_H

#include "pass/fuse_internal.h"

// Takes the optimizer apart where a part of the long gradient is a product of some size: pointwise
// code on a concat becomes a concat of pointwise code. It comes behind all other nodes, since it
// writes over parameters that others read. Nothing changes where something needs the whole gradient
// (a norm), and for targets without vectors, whose products are the library's.
const Graph *update(Arena *arena, const Graph *from, const Target *target);

// For fusion: all that is computed from such a product is stored by the product's kernel, the
// product itself nowhere.
void claim_updates(Fuse *fuse);

#endif
