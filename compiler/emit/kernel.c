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
#include "emit/nest.h"

#include <string.h>

// --- Places

typedef struct Places {
    VEC(Span) span;
} Places;

static void collect(const Fusion *fusion, const Kernel *kernel, const Node *node, bool *seen,
                    Places *places, Arena *arena) {
    if (seen[node->id]) return;
    seen[node->id] = true;
    for (const SpanList *s = fusion->graph->spans.at[node->id]; s; s = s->next) {
        bool known = s->span.source == NULL;
        for (int i = 0; i < places->span.count; i++)
            known |= places->span.at[i].source == s->span.source &&
                     span_line(places->span.at[i]) == span_line(s->span);
        if (!known) VEC_PUSH(arena, places->span, s->span);
    }
    for (int i = 0; i < node->in_count; i++) {
        const Node *in = node->in[i];
        bool own = !fusion->storage[in->id].buffer;
        for (int r = 0; r < kernel->result.count; r++)
            own |= kernel->result.at[r].value == in;
        if (own) collect(fusion, kernel, in, seen, places, arena);
    }
}

// The line's text, without what could end a comment's line or continue it.
static void print_source_line(Buf *out, Span span) {
    const char *text = span.source->text, *start = text + span.start, *end;
    while (start > text && start[-1] != '\n')
        start--;
    while (*start == ' ' || *start == '\t')
        start++;
    for (end = start; *end && *end != '\n'; end++)
        buf_printf(out, "%c", *end == '\\' || (unsigned char)*end < ' ' ? ' ' : *end);
}

static void print_file_name(Buf *out, const char *name) {
    for (const char *c = name; *c; c++)
        buf_printf(out, "%c", *c == '\\' || *c == '"' || (unsigned char)*c < ' ' ? '_' : *c);
}

void emit_places(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    Arena *arena = out->arena;
    bool *seen = ARENA_ARRAY(arena, bool, fusion->graph->node.count);
    Places places = {0};
    for (int i = 0; i < kernel->result.count; i++)
        collect(fusion, kernel, kernel->result.at[i].value, seen, &places, arena);
    for (int i = 0; i < places.span.count && i < 8; i++) {
        buf_add(out, "//   ");
        print_file_name(out, places.span.at[i].source->name);
        buf_printf(out, ":%d    ", span_line(places.span.at[i]));
        print_source_line(out, places.span.at[i]);
        buf_add(out, "\n");
    }
    if (places.span.count > 8) buf_printf(out, "//   and %d more places\n", places.span.count - 8);
    if (places.span.count == 0) return;
    buf_printf(out, "#line %d \"", span_line(places.span.at[0]));
    print_file_name(out, places.span.at[0].source->name);
    buf_add(out, "\"\n");
}

// --- Matrix products

static char *dim_text(Arena *arena, Dim dim) {
    Buf text = buf_new(arena);
    print_dim(&text, dim);
    return text.text;
}

typedef struct Block { // one operand: [g or 1, s, rows, columns]
    const char *address;
    int64_t offset, g_stride, s_stride, row_stride;
} Block;

static Block block_of(Arena *arena, const Fusion *fusion, const Node *node) {
    Storage at = fusion->storage[node->id];
    const Dim *dim = node->shape.dim;
    Block block = {.address = buffer_address(arena, at.buffer), .offset = at.offset};
    block.row_stride = dim_eval(dim[3], fusion->batch);
    block.s_stride = block.row_stride * dim_eval(dim[2], fusion->batch);
    block.g_stride = dim_is_one(dim[0]) ? 0 : block.s_stride * dim_eval(dim[1], fusion->batch);
    return block;
}

static void print_call(Buf *out, const Fusion *fusion, const Kernel *kernel, int depth,
                       bool batched, bool columns, const char *rows) {
    const Node *node = kernel->core, *left = node->in[0], *right = node->in[1];
    const ProductAttr *attr = &node->attr->product;
    Arena *arena = out->arena;
    Storage to = kernel->result.at[0].to;
    Block a = block_of(arena, fusion, left), b = block_of(arena, fusion, right);
    Dim k = left->shape.dim[attr->transpose_a ? 2 : 3];
    int64_t n = dim_eval(node->shape.dim[2], fusion->batch),
            m = dim_eval(node->shape.dim[1], fusion->batch);
    bool several = !dim_is_one(left->shape.dim[1]);
    const char *extra_a = "", *extra_b = "", *extra_c = "";
    const char *m_text = dim_text(arena, node->shape.dim[1]),
               *n_text = dim_text(arena, node->shape.dim[2]);
    if (batched) {
        if (a.g_stride) extra_a = arena_printf(arena, " + g * %lld", (long long)a.g_stride);
        if (b.g_stride) extra_b = arena_printf(arena, " + g * %lld", (long long)b.g_stride);
        extra_c = arena_printf(arena, " + g * %lld", (long long)(m * n));
    } else if (columns) {
        extra_b =
            arena_printf(arena, " + low * %lld", (long long)(attr->transpose_b ? b.row_stride : 1));
        extra_c = " + low";
        n_text = "high - low";
    } else {
        extra_a = arena_printf(arena, " + low%s * %lld", rows,
                               (long long)(attr->transpose_a ? 1 : a.row_stride));
        extra_c = arena_printf(arena, " + low%s * %lld", rows, (long long)n);
        m_text = arena_printf(arena, *rows ? "(high - low)%s" : "high - low%s", rows);
    }
    if (several) {
        print_indent(out, depth++);
        buf_printf(out, "for (long long s = 0; s < %s; s++)\n",
                   dim_text(arena, left->shape.dim[1]));
    }
    print_indent(out, depth);
    buf_printf(out, "nnc_product(%d, %d, %s, %s, %s,\n", attr->transpose_a, attr->transpose_b,
               m_text, n_text, dim_text(arena, k));
    const char *s_a = several ? arena_printf(arena, " + s * %lld", (long long)a.s_stride) : "";
    const char *s_b = several ? arena_printf(arena, " + s * %lld", (long long)b.s_stride) : "";
    print_indent(out, depth + 1);
    buf_printf(out, "%s + %lld%s%s, %lld,\n", a.address, (long long)a.offset, extra_a, s_a,
               (long long)a.row_stride);
    print_indent(out, depth + 1);
    buf_printf(out, "%s + %lld%s%s, %lld,\n", b.address, (long long)b.offset, extra_b, s_b,
               (long long)b.row_stride);
    print_indent(out, depth + 1);
    // The epilogue's pointer to the same memory is restrict: this one must come from it.
    const char *c = kernel->result.at[0].value == node ? buffer_address(arena, to.buffer)
                                                       : arena_printf(arena, "b%d", to.buffer->id);
    buf_printf(out, "%s + %lld%s, %lld, %s);\n", c, (long long)to.offset, extra_c, (long long)n,
               several ? "s > 0" : "0");
}

static const char *range_text(Arena *arena, const char *index, int64_t unit) {
    return unit == 1 ? arena_printf(arena, "(int)%s", index)
                     : arena_printf(arena, "(int)(%s * %lld)", index, (long long)unit);
}

static void print_product(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    const Node *core = kernel->core;
    Dim outer, rows = dim_const(1);
    bool batched = !dim_is_one(core->shape.dim[0]), columns = kernel_splits_columns(kernel);
    if (!batched && !columns) product_rows(kernel, &outer, &rows);
    if (batched) buf_add(out, "    for (long long g = low; g < high; g++) {\n");
    const char *per_index =
        dim_is_one(rows) ? "" : arena_printf(out->arena, " * (%s)", dim_text(out->arena, rows));
    print_call(out, fusion, kernel, batched ? 2 : 1, batched, columns, per_index);
    if (kernel->result.at[0].value != core && !columns) {
        Loops *loops = loops_build(out->arena, fusion, kernel);
        loops_coalesce(loops);
        const char *first = range_text(out->arena, batched ? "g" : "low", loops->outer_unit);
        const char *last = range_text(out->arena, batched ? "(g + 1)" : "high", loops->outer_unit);
        nest_print(out, loops, first, last, batched ? 2 : 1);
    }
    if (batched) buf_add(out, "    }\n");
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
    buf_printf(out, "    float *restrict to = %s + %lld;\n", buffer_address(arena, to.buffer),
               (long long)to.offset);
    buf_printf(out, "    const int *restrict index = %s + %lld;\n",
               buffer_address(arena, at.buffer), (long long)at.offset);
    buf_printf(out, "    const float *restrict from = %s + %lld;\n",
               buffer_address(arena, from.buffer), (long long)from.offset);
    buf_printf(out,
               "    for (long long i = low * %lld; i < high * %lld; i++)\n        to[i] = 0.0f;\n",
               width, width);
    Buf at_text = buf_new(arena);
    int64_t stride = shape_eval(&index->shape, fusion->batch);
    int depth = 1;
    for (int axis = 0; axis < index->shape.rank; axis++) {
        stride /= dim_eval(index->shape.dim[axis], fusion->batch);
        buf_printf(&at_text, "%si%d * %lld", axis ? " + " : "", axis, (long long)stride);
        print_indent(out, depth++);
        buf_printf(out, "for (int i%d = 0; i%d < %s; i%d++)\n", axis, axis,
                   dim_text(arena, index->shape.dim[axis]), axis);
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
    if (kernel->result.count > 1) buf_printf(out, ", %d results", kernel->result.count);
    buf_add(out, "\n");
}

void emit_kernel(Buf *out, const char *function, const Fusion *fusion, const Kernel *kernel) {
    print_summary(out, kernel);
    emit_places(out, fusion, kernel);
    buf_printf(out, "void %s_%s(const NncCtx *ctx, long long low, long long high, int thread) {\n",
               function, kernel->name);
    buf_add(out, "    const int n = (int)ctx->n;\n    (void)n, (void)thread;\n");
    if (kernel->kind == KERNEL_SCATTER) {
        print_scatter(out, fusion, kernel);
    } else {
        Loops *loops = loops_build(out->arena, fusion, kernel);
        loops_coalesce(loops);
        bool epilogue = kernel->kind == KERNEL_LOOPS || kernel->result.at[0].value != kernel->core;
        if (epilogue) nest_print_locals(out, loops);
        if (kernel->kind == KERNEL_PRODUCT)
            print_product(out, fusion, kernel);
        else
            nest_print(out, loops, "(int)low", "(int)high", 1);
    }
    buf_add(out, "}\n\n");
}
