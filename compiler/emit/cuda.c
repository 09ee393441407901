// SPDX-License-Identifier: MIT
// One function of a program as CUDA: a __global__ function for each kernel, and one on the
// processor that launches them in the order of the plan:
//
//     // k3_relu: [N, 64]
//     //   net.nnd:8    |> relu
//     extern "C" __global__ void __launch_bounds__(256)
//     train_k3_relu(const __grid_constant__ NncCtx ctx_) {
//     ..
//     extern "C" void train_k3_relu_launch(NncCtx *ctx) {
//         nnc_launch(ctx, train_k3_relu, "train_k3_relu", "net.nnd:8", (n * 64 + 255) / 256, 256,
//         0);
#include "emit/cuda_internal.h"
#include "emit/emit.h"
#include "pass/cost.h"

static const char *function_of(const CudaFile *file, const CudaLaunch *launch) {
    return arena_printf(file->out->arena, "%s_%s%s", file->function, launch->kernel->name,
                        launch->suffix);
}

void cuda_open(CudaFile *file, const Fusion *fusion, CudaLaunch launch) {
    Buf *out = file->out;
    emit_kernel_comment(out, fusion, launch.kernel);
    buf_printf(out, "extern \"C\" __global__ void __launch_bounds__(%d", launch.threads);
    if (launch.least_blocks) buf_printf(out, ", %d", launch.least_blocks);
    buf_printf(out, ")\n%s(const __grid_constant__ NncCtx ctx_) {\n", function_of(file, &launch));
    buf_add(out,
            "    const NncCtx *const ctx = &ctx_;\n    const int n = (int)ctx->n;\n    (void)n;\n");
    VEC_PUSH(out->arena, file->launch, launch);
}

// --- Numbers of elements

const char *cuda_blocks(Arena *arena, Dim count, int64_t of_block) {
    if (dim_is_const(count))
        return arena_printf(arena, "%lld", (long long)((count.c[0] + of_block - 1) / of_block));
    if (of_block == 1) return dim_as_c(arena, count);
    return arena_printf(arena, "(%s + %lld) / %lld", dim_as_c(arena, count),
                        (long long)of_block - 1, (long long)of_block);
}

Dim cuda_count(const Loops *loops, const int *var, int count) {
    Dim all = dim_const(1);
    for (int i = 0; i < count; i++)
        if (!dim_mul(&all, all, loops->var[var[i]].extent)) bug("the size of a nest overflows");
    return all;
}

// As what is divided by, with an unsigned number.
static const char *factor(Arena *arena, Dim dim) {
    return arena_printf(arena, dim_is_const(dim) ? "%s" : "(unsigned)(%s)", dim_as_c(arena, dim));
}

void cuda_set_vars(Printer *p, const int *var, int count, const char *at, const char *first) {
    Dim inner = dim_const(1);
    for (int i = count - 1; i >= 0; i--) {
        Dim extent = p->loops->var[var[i]].extent;
        const char *rest = at,
                   *plus = i == 0 && first ? arena_printf(p->arena, "%s + ", first) : "";
        if (!dim_is_one(inner))
            rest = arena_printf(p->arena, "%s / %s", rest, factor(p->arena, inner));
        if (i > 0) rest = arena_printf(p->arena, "%s %% %s", rest, factor(p->arena, extent));
        printer_set_var(
            p, var[i],
            arena_printf(p->arena, rest == at ? "%s(int)%s" : "%s(int)(%s)", plus, rest));
        if (!dim_mul(&inner, inner, extent)) bug("the size of a nest overflows");
    }
}

// --- The function

static void print_kernel(CudaFile *file, const Fusion *fusion, const Kernel *kernel) {
    if (kernel->kind == KERNEL_WINO) bug("a transform of Winograd's on a GPU");
    if (kernel->kind == KERNEL_SCATTER)
        emit_cuda_scatter(file, fusion, kernel);
    else if (kernel->kind == KERNEL_PRODUCT)
        emit_cuda_product(file, fusion, kernel);
    else
        emit_cuda_loops(file, fusion, kernel);
}

// "net.nnd:8", or nothing.
static void print_place(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    Places places = kernel_places(out->arena, fusion, kernel);
    buf_add(out, "\"");
    if (places.span.count > 0) {
        emit_file_name(out, places.span.at[0].source->name);
        buf_printf(out, ":%d", span_line(places.span.at[0]));
    }
    buf_add(out, "\"");
}

static void print_launch(const CudaFile *file, const Fusion *fusion, const CudaLaunch *launch) {
    const char *name = function_of(file, launch);
    buf_printf(file->out, "    nnc_launch(ctx, %s, \"%s\", ", name, name);
    print_place(file->out, fusion, launch->kernel);
    buf_printf(file->out, ", %s, %d, %lld);\n", launch->blocks, launch->threads,
               (long long)launch->shared);
}

// The launches of a kernel, in a function that can be called alone: FUNCTION_KERNEL_launch.
static void print_launches(const CudaFile *file, const Fusion *fusion, const Kernel *kernel) {
    buf_printf(file->out,
               "extern \"C\" void %s_%s_launch(NncCtx *ctx) {\n    const long long n = ctx->n;\n"
               "    (void)n;\n",
               file->function, kernel->name);
    for (int i = 0; i < file->launch.count; i++)
        if (file->launch.at[i].kernel == kernel) print_launch(file, fusion, &file->launch.at[i]);
    buf_add(file->out, "}\n\n");
}

void emit_cuda_function(Buf *out, const Module *module, NncFunctionKind kind, const Plan *plan) {
    CudaFile file = {.out = out, .function = function_name(kind)};
    buf_printf(out, "// --- %s\n\n", file.function);
    for (int i = 0; i < plan->root->child.count; i++)
        print_kernel(&file, plan->fusion, plan->root->child.at[i]->kernel);
    buf_add(out, "extern \"C\" ");
    emit_scalars(out, module, file.function, plan->fusion);
    for (int i = 0; i < plan->root->child.count; i++)
        print_launches(&file, plan->fusion, plan->root->child.at[i]->kernel);
    buf_printf(out, "extern \"C\" void nnc_run_%s(NncCtx *ctx) {\n    (void)ctx;\n", file.function);
    for (int i = 0; i < plan->root->child.count; i++)
        buf_printf(out, "    %s_%s_launch(ctx);\n", file.function,
                   plan->root->child.at[i]->kernel->name);
    buf_add(out, "}\n\n");
}
