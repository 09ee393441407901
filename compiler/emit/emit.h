// SPDX-License-Identifier: MIT
// From a plan to C source. One file of C holds all functions of a program; it includes nothing.
#ifndef NNC_EMIT_EMIT_H
#define NNC_EMIT_EMIT_H

#include "compile.h"
#include "emit/shared.h"
#include "pass/plan.h"

// The head of the file: what it is, the prelude, the context, the random numbers; where the target
// has vectors, their types: nnc_v4, nnc_v8 .. of floats, loaded from any address, and NNC_FUSED
// before a function with NNC_FUSED_BODY; in it, where a * b + c is one rounding.
void emit_head(Buf *out, const Module *module, const Target *target);
// One function: its kernels, in units (jit/jit.h), its scalar function and nnc_run_NAME. What
// kernels share stands in front of all functions (shared_print).
void emit_function(Buf *out, SharedFunctions *shared, const Module *module, NncFunctionKind kind,
                   const Plan *plan);
// void nnc_rates(hyper, step, epoch, n, out): the learning rates of a step, for reports.
void emit_rates(Buf *out, const Module *module);
// One kernel, a C function `FUNCTION_KERNEL(ctx, low, high, thread)`.
void emit_kernel(Buf *out, SharedFunctions *shared, const char *function, const Fusion *fusion,
                 const Kernel *kernel);
// What stands in front of it: what it is, the lines that it serves, a #line directive.
void emit_kernel_comment(Buf *out, const Fusion *fusion, const Kernel *kernel);
// A name as it may stand in a string or a comment.
void emit_file_name(Buf *out, const char *name);
// nnc_scalars_FUNCTION: what hyper-parameters, step, epoch and n give for a step, in double.
void emit_scalars(Buf *out, const Module *module, const char *function, const Fusion *fusion);
// The body of a product's kernel (emit/product.c).
void emit_product(Buf *out, SharedFunctions *shared, const Fusion *fusion, const Kernel *kernel);
// Likewise of one of Winograd's transforms (emit/wino.c).
void emit_wino(Buf *out, SharedFunctions *shared, const Fusion *fusion, const Kernel *kernel);

#endif
