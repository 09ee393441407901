// SPDX-License-Identifier: MIT
// What the files that print CUDA share. Values, indices and conditions are printed as for C
// (printer.h); what differs is how the threads of a GPU share a nest (pass/gpu.h).
#ifndef NNC_EMIT_CUDA_INTERNAL_H
#define NNC_EMIT_CUDA_INTERNAL_H

#include "compile.h"
#include "emit/printer.h"

typedef struct CudaLaunch {
    const Kernel *kernel;
    const char *suffix; // of the function's name, FUNCTION_KERNEL; "" or that of a first step
    const char *blocks; // C, of n
    int threads;
    int least_blocks; // that a processor is to hold at a time; 0: it does not matter
    int64_t shared;   // bytes of shared memory that its code does not declare
} CudaLaunch;

typedef struct CudaFile {
    Buf *out;
    const char *function; // train, eval ..
    VEC(CudaLaunch) launch;
} CudaFile;

// Prints the kernels of one function, its scalar function, and nnc_run_NAME, which launches them.
void emit_cuda_function(Buf *out, const Module *module, NncFunctionKind kind, const Plan *plan);

// The head of a __global__ function, with ctx and n; what follows is its body and "}\n\n".
void cuda_open(CudaFile *file, const Fusion *fusion, CudaLaunch launch);
// So many blocks that each of `count` has a thread, as C.
const char *cuda_blocks(Arena *arena, Dim count, int64_t of_block);
// The product of some loops' extents.
Dim cuda_count(const Loops *loops, const int *var, int count);
// Declares loops' variables from the C expression `at`, the number of an element; the last loop's
// run fastest. `first` (NULL: 0) is added to the first one's.
void cuda_set_vars(Printer *p, const int *var, int count, const char *at, const char *first);

// Loops of a row that are written out, each over the same elements: of a reduction, or (NULL) of
// what is stored. What later ones need again is kept: declares where.
typedef struct SharedLoop {
    const Value *reduction;
    const int *var;
    int count;
} SharedLoop;

void cuda_keep(Printer *p, const SharedLoop *loop, int loops, int64_t turns);

// Kernels: elements and scatters (cuda_nest.c), what teams share (cuda_team.c), products
// (cuda_gemm.c).
void emit_cuda_loops(CudaFile *file, const Fusion *fusion, const Kernel *kernel);
void emit_cuda_scatter(CudaFile *file, const Fusion *fusion, const Kernel *kernel);
void emit_cuda_team(CudaFile *file, const Fusion *fusion, const Loops *loops,
                    const GpuShape *shape);
void emit_cuda_product(CudaFile *file, const Fusion *fusion, const Kernel *kernel);

#endif
