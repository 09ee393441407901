// SPDX-License-Identifier: MIT
// The body of a product's kernel: calls of nnc_product for blocks of its output, in one of three
// ways.
//
//     batched:   for each g of low .. high - 1: copy what is not stored, multiply, then the
//     epilogue columns:   columns low .. high - 1, blocks of the sum (s) in turn; of an operand
//     that is not stored, the
//                part at hand is copied to scratch memory first, so that it stays in the cache
//     rows:      rows low .. high - 1, then the epilogue on them
#include "emit/emit.h"
#include "emit/gemm.h"
#include "emit/nest.h"

typedef struct Operand { // an operand: [g or 1, s, rows, columns], stored or copied part by part
    const char *address;
    int64_t g_stride, s_stride, row_stride;
} Operand;

typedef struct Call { // one nnc_product, as text
    Operand a, b;
    const char *a_at, *b_at, *c_at; // added to the addresses
    const char *m, *n, *k;
} Call;

static Operand block_of(Arena *arena, const Fusion *fusion, const Kernel *kernel, int which) {
    const Node *node = kernel->core->in[which];
    const Dim *dim = node->shape.dim;
    Operand block = {.row_stride = dim_eval(dim[3], fusion->batch)};
    if (kernel->operand[which]) {
        block.address = buffer_address(arena, kernel->operand[which]);
        return block;
    }
    Storage at = fusion->storage[node->id];
    block.address = arena_printf(arena, at.offset ? "%s + %lld" : "%s",
                                 buffer_address(arena, at.buffer), (long long)at.offset);
    block.s_stride = dim_is_one(dim[1]) ? 0 : block.row_stride * dim_eval(dim[2], fusion->batch);
    block.g_stride = dim_is_one(dim[0]) ? 0
                                        : block.row_stride * dim_eval(dim[2], fusion->batch) *
                                              dim_eval(dim[1], fusion->batch);
    return block;
}

// " + g * 784", or nothing.
static const char *step(Arena *arena, const char *index, int64_t stride) {
    return stride == 0   ? ""
           : stride == 1 ? arena_printf(arena, " + %s", index)
                         : arena_printf(arena, " + %s * %lld", index, (long long)stride);
}

static Call call_of(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    const Node *core = kernel->core;
    Dim k = core->in[0]->shape.dim[core->attr->product.transpose_a ? 2 : 3];
    return (Call){.a = block_of(arena, fusion, kernel, 0),
                  .b = block_of(arena, fusion, kernel, 1),
                  .a_at = "",
                  .b_at = "",
                  .c_at = "",
                  .m = dim_as_c(arena, core->shape.dim[1]),
                  .n = dim_as_c(arena, core->shape.dim[2]),
                  .k = dim_as_c(arena, k)};
}

const char *product_result_address(Arena *arena, const Kernel *kernel) {
    Storage to = kernel->result.at[0].to;
    if (kernel->product) return arena_printf(arena, "b%d", kernel->product->id);
    // The epilogue's pointer to the same memory is restrict: this one must come from it.
    const char *base = kernel->result.at[0].value == kernel->core
                           ? buffer_address(arena, to.buffer)
                           : arena_printf(arena, "b%d", to.buffer->id);
    return to.offset ? arena_printf(arena, "%s + %lld", base, (long long)to.offset) : base;
}

static void print_call(Buf *out, const Fusion *fusion, const Kernel *kernel, const Call *call,
                       int depth) {
    const ProductAttr *attr = &kernel->core->attr->product;
    bool several = !dim_is_one(kernel->core->in[0]->shape.dim[1]);
    Arena *arena = out->arena;
    print_indent(out, depth);
    buf_printf(out, "nnc_product(%d, %d, %s, %s, %s,\n", attr->transpose_a, attr->transpose_b,
               call->m, call->n, call->k);
    print_indent(out, depth + 1);
    buf_printf(out, "%s%s%s, %lld,\n", call->a.address, call->a_at,
               step(arena, "s", call->a.s_stride), (long long)call->a.row_stride);
    print_indent(out, depth + 1);
    buf_printf(out, "%s%s%s, %lld,\n", call->b.address, call->b_at,
               step(arena, "s", call->b.s_stride), (long long)call->b.row_stride);
    print_indent(out, depth + 1);
    buf_printf(out, "%s%s, %lld, %s);\n", product_result_address(arena, kernel), call->c_at,
               (long long)dim_eval(kernel->core->shape.dim[2], fusion->batch),
               several ? "s > 0" : "0");
}

static void open_sum(Buf *out, const Kernel *kernel, int depth) {
    print_indent(out, depth);
    buf_printf(out, "for (int s = 0; s < %s; s++) {\n",
               dim_as_c(out->arena, kernel->core->in[0]->shape.dim[1]));
}

// A bound of the outermost loop, counted in the indices that it had before it was coalesced.
static const char *outer_bound(Arena *arena, const Loops *loops, const char *index) {
    if (loops->outer_unit == 1) return index;
    return arena_printf(arena, "%s * %lld", index, (long long)loops->outer_unit);
}

static void close_block(Buf *out, int depth) {
    print_indent(out, depth);
    buf_add(out, "}\n");
}

// Copies one index `first` of operand `which`'s first axis, of its second the indices low .. high
// - 1.
// Copies one index `first` of operand `which`'s first axis to scratch memory, of its second the
// indices low .. high - 1 (NULL: all).
static void print_copy(Buf *out, const Fusion *fusion, const Kernel *kernel, int which,
                       const char *first, const char *low, const char *high, int depth) {
    int64_t offset;
    const Node *operand = strip_views(kernel->core->in[which], fusion->batch, &offset);
    Loops *loops =
        loops_build_part(out->arena, fusion, operand, kernel->operand[which], first, low);
    loops_coalesce(loops);
    print_indent(out, depth);
    buf_add(out, "{\n");
    nest_print_locals(out, loops, depth + 1);
    nest_print(out, loops, low ? outer_bound(out->arena, loops, low) : "0",
               high ? outer_bound(out->arena, loops, high) : dim_as_c(out->arena, loops->outer),
               depth + 1);
    close_block(out, depth);
}

void product_print_epilogue(Buf *out, const Fusion *fusion, const Kernel *kernel, Range rows,
                            Range columns, int depth) {
    if (kernel->result.at[0].value == kernel->core) return;
    Loops *loops = loops_build(out->arena, fusion, kernel);
    if (!columns.low) loops_coalesce(loops);
    nest_print_tile(out, loops, outer_bound(out->arena, loops, rows.low),
                    outer_bound(out->arena, loops, rows.high), columns.low, columns.high, depth);
}

static void print_epilogue(Buf *out, const Fusion *fusion, const Kernel *kernel, const char *low,
                           const char *high, int depth) {
    product_print_epilogue(out, fusion, kernel, (Range){low, high}, (Range){NULL, NULL}, depth);
}

// The block of an operand that serves g: one of fewer than there are of the output comes round
// again.
static const char *block_at(Arena *arena, const Node *core, int which, int64_t stride) {
    Dim own = core->in[which]->shape.dim[0];
    const char *g = dim_equal(own, core->shape.dim[0])
                        ? "g"
                        : arena_printf(arena, "g %% %s", dim_as_c(arena, own));
    return step(arena, g, stride);
}

static void print_batched(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    Arena *arena = out->arena;
    Call call = call_of(arena, fusion, kernel);
    const Node *core = kernel->core;
    const Dim *dim = core->shape.dim;
    bool several = !dim_is_one(kernel->core->in[0]->shape.dim[1]);
    call.a_at = block_at(arena, core, 0, call.a.g_stride);
    call.b_at = block_at(arena, core, 1, call.b.g_stride);
    if (!kernel->product)
        call.c_at =
            step(arena, "g", dim_eval(dim[1], fusion->batch) * dim_eval(dim[2], fusion->batch));
    buf_add(out, "    for (int g = (int)low; g < (int)high; g++) {\n");
    for (int which = 0; which < 2; which++)
        if (kernel->operand[which]) print_copy(out, fusion, kernel, which, "g", NULL, NULL, 2);
    if (several) open_sum(out, kernel, 2);
    print_call(out, fusion, kernel, &call, several ? 3 : 2);
    if (several) close_block(out, 2);
    print_epilogue(out, fusion, kernel, "g", "(g + 1)", 2);
    close_block(out, 1);
}

static void print_copied_columns(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    Arena *arena = out->arena;
    Call call = call_of(arena, fusion, kernel);
    Dim outer, unit;
    product_share(kernel, &outer, &unit);
    long long columns = dim_eval(unit, fusion->batch), grain = product_grain(fusion, kernel);
    call.c_at = step(arena, "first", columns);
    call.n = arena_printf(arena, "(last - first) * %lld", columns);
    buf_printf(out, "    for (int first = (int)low; first < (int)high; first += %lld) {\n", grain);
    buf_printf(out,
               "        const int last = first + %lld < (int)high ? first + %lld : (int)high;\n",
               grain, grain);
    open_sum(out, kernel, 2);
    print_copy(out, fusion, kernel, 1, "s", "first", "last", 3);
    print_call(out, fusion, kernel, &call, 3);
    close_block(out, 2);
    close_block(out, 1);
}

static void print_plain(Buf *out, const Fusion *fusion, const Kernel *kernel, bool columns) {
    Arena *arena = out->arena;
    Call call = call_of(arena, fusion, kernel);
    const ProductAttr *attr = &kernel->core->attr->product;
    bool several = !dim_is_one(kernel->core->in[0]->shape.dim[1]);
    Dim outer, unit;
    product_share(kernel, &outer, &unit);
    int64_t rows = dim_eval(unit, fusion->batch);
    const char *count =
        rows == 1 ? "high - low" : arena_printf(arena, "(high - low) * %lld", (long long)rows);
    if (columns) {
        call.b_at = step(arena, "low", attr->transpose_b ? call.b.row_stride : 1);
        call.c_at = " + low";
        call.n = count;
    } else {
        call.a_at = step(arena, "low", rows * (attr->transpose_a ? 1 : call.a.row_stride));
        call.c_at = step(arena, "low", rows * dim_eval(kernel->core->shape.dim[2], fusion->batch));
        call.m = count;
    }
    if (several) open_sum(out, kernel, 1);
    print_call(out, fusion, kernel, &call, several ? 2 : 1);
    if (several) close_block(out, 1);
    print_epilogue(out, fusion, kernel, "(int)low", "(int)high", 1);
}

void emit_product(Buf *out, SharedFunctions *shared, const Fusion *fusion, const Kernel *kernel) {
    bool columns = kernel_splits_columns(kernel);
    if (kernel->tiling)
        gemm_body(out, shared, fusion, kernel);
    else if (!dim_is_one(kernel->core->shape.dim[0]))
        print_batched(out, fusion, kernel);
    else if (kernel->operand[1])
        print_copied_columns(out, fusion, kernel);
    else
        print_plain(out, fusion, kernel, columns);
}
