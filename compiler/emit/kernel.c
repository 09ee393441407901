// SPDX-License-Identifier: MIT
// One kernel as a C function:
//
//     // k4_product_conv2d_2_weight: [N, 128, 28, 28] from a matrix product and add
//     //   net.nnd:8    |> conv2d(128, kernel = 3)
//     void train_k4_product_conv2d_2_weight(const NncCtx *ctx, long long low, long long high, int
//     thread) {
//
// It works on indices low .. high - 1 of its outermost loop, so that a plan can share them out.
#include "emit/emit.h"
#include "emit/gemm.h"
#include "emit/nest.h"
#include "pass/cost.h"
#include "pass/stages.h"

#include <string.h>

// --- Places

// The line's text, without what could end a comment's line or continue it.
static void print_source_line(Buf *out, Span span) {
    const char *text = span.source->text, *start = text + span.start, *end;
    while (start > text && start[-1] != '\n')
        start--;
    while (*start == ' ' || *start == '\t')
        start++;
    for (end = start; *end && *end != '\n'; end++)
        buf_add_char(out, *end == '\\' || (unsigned char)*end < ' ' ? ' ' : *end);
}

void emit_file_name(Buf *out, const char *name) {
    for (const char *c = name; *c; c++)
        buf_add_char(out, *c == '\\' || *c == '"' || (unsigned char)*c < ' ' ? '_' : *c);
}

// Where a kernel comes from: comment lines with the places in the .nnd file, and a #line directive.
static void print_places(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    Places places = kernel_places(out->arena, fusion, kernel);
    for (int i = 0; i < places.span.count && i < 8; i++) {
        buf_add(out, "//   ");
        emit_file_name(out, places.span.at[i].source->name);
        buf_printf(out, ":%d    ", span_line(places.span.at[i]));
        print_source_line(out, places.span.at[i]);
        buf_add(out, "\n");
    }
    if (places.span.count > 8) buf_printf(out, "//   and %d more places\n", places.span.count - 8);
    if (places.span.count == 0) return;
    buf_printf(out, "#line %d \"", span_line(places.span.at[0]));
    emit_file_name(out, places.span.at[0].source->name);
    buf_add(out, "\"\n");
}

// --- Scatters: rows low .. high - 1 of the table, the others' indices passed over

static void print_scatter(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    const Node *node = kernel->core, *index = node->in[0], *rows = node->in[1];
    Storage to = kernel->result.at[0].to, at = fusion->storage[index->id],
            from = fusion->storage[rows->id];
    Arena *arena = out->arena;
    int64_t table = shape_eval(&node->shape, fusion->batch),
            extent = dim_eval(node->shape.dim[0], fusion->batch);
    long long width = extent ? table / extent : 0;
    const char *type = c_memory_type(node->dtype);
    buf_printf(out, "    %s *restrict to = %s + %lld;\n", type, buffer_address(arena, to.buffer),
               (long long)to.offset);
    buf_printf(out, "    const int *restrict index = %s + %lld;\n",
               buffer_address(arena, at.buffer), (long long)at.offset);
    buf_printf(out, "    const %s *restrict from = %s + %lld;\n", type,
               buffer_address(arena, from.buffer), (long long)from.offset);
    buf_printf(out,
               "    for (long long i = low * %lld; i < high * %lld; i++)\n        to[i] = 0;\n",
               width, width);
    Buf at_text = buf_new(arena);
    int depth = 1;
    for (int axis = 0; axis < index->shape.rank; axis++) {
        int64_t stride = 1;
        for (int inner = axis + 1; inner < index->shape.rank; inner++)
            stride *= dim_eval(index->shape.dim[inner], fusion->batch);
        buf_printf(&at_text, "%si%d * %lld", axis ? " + " : "", axis, (long long)stride);
        print_indent(out, depth++);
        buf_printf(out, "for (int i%d = 0; i%d < %s; i%d++)\n", axis, axis,
                   dim_as_c(arena, index->shape.dim[axis]), axis);
    }
    const char *i = index->shape.rank ? at_text.text : "0";
    print_indent(out, depth);
    buf_printf(out, "if (index[%s] >= low && index[%s] < high)\n", i, i);
    print_indent(out, depth + 1);
    buf_printf(out, "for (int k = 0; k < %lld; k++)\n", width);
    print_indent(out, depth + 2);
    buf_printf(out, "to[index[%s] * %lldll + k] += from[(%s) * %lldll + k];\n", i, width, i, width);
}

// --- Kernels

static void print_summary(Buf *out, const Kernel *kernel) {
    buf_printf(out, "// %s: ", kernel->name);
    shape_print(out, &kernel->space);
    if (kernel->kind == KERNEL_PRODUCT) buf_add(out, ", a matrix product");
    if (kernel->kind == KERNEL_WINO) buf_add(out, ", one of Winograd's transforms");
    if (kernel->result.count > 1) buf_printf(out, ", %d results", kernel->result.count);
    buf_add(out, "\n");
}

void emit_kernel_comment(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    print_summary(out, kernel);
    print_places(out, fusion, kernel);
}

void emit_kernel(Buf *out, SharedFunctions *shared, const char *function, const Fusion *fusion,
                 const Kernel *kernel) {
    emit_kernel_comment(out, fusion, kernel);
    buf_printf(out, "void %s_%s(const NncCtx *ctx, long long low, long long high, int thread) {\n",
               function, kernel->name);
    buf_add(out, "    const int n = (int)ctx->n;\n    (void)n, (void)thread;\n");
    if (kernel->unit > 1)
        buf_printf(out, "    const long long part_low = low / %lld;\n", (long long)kernel->unit);
    else if (kernel->unit == 1)
        buf_add(out, "    const long long part_low = low;\n");
    if (kernel->kind == KERNEL_SCATTER) {
        print_scatter(out, fusion, kernel);
    } else if (kernel->kind == KERNEL_WINO && kernel->result.at[0].value == kernel->core) {
        emit_wino(out, shared, fusion, kernel);
    } else {
        Loops *loops = loops_build(out->arena, fusion, kernel);
        loops_coalesce(loops);
        if (kernel->staged) stages_place(loops, stages_find(out->arena, loops));
        bool epilogue = kernel->kind == KERNEL_LOOPS || kernel->result.at[0].value != kernel->core;
        if (epilogue) nest_print_locals(out, loops, 1);
        if (kernel->kind == KERNEL_WINO)
            emit_wino(out, shared, fusion, kernel);
        else if (kernel->kind == KERNEL_PRODUCT)
            emit_product(out, shared, fusion, kernel);
        else
            nest_print(out, loops, "(int)low", "(int)high", 1);
    }
    buf_add(out, "}\n\n");
}
