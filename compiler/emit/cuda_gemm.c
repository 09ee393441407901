// SPDX-License-Identifier: MIT
// A product's kernel as CUDA: what its shape is, where its operands' rows and summed indices begin,
// and what becomes of its elements. All else is in emit/cuda_product.h.
//
//     extern "C" __global__ void __launch_bounds__(128) train_k3_product(..) {
//         typedef NncTile<NNC_F32, 128, 64, 16, 32, 64, NNC_EVEN_COLUMNS | NNC_EVEN_SUM> Tile;
//         const int rows = n * 784, columns = 64, last = 576;
//         ..
//         const auto a = nnc_operand<4, NNC_ALONG_SUM>(
//             (float *)(ctx->work + 128),
//             [=](unsigned row) { return (int)(row / 784) * 30720 + ..; },
//             [=](unsigned k) { return (int)(k / 96) * 1024 + (int)(k % 96); });
//
// A view through windows is those two functions, so a convolution is a product like any other. A
// sum that is cut into parts is two kernels: partial sums, and what joins them.
#include "emit/cuda_internal.h"
#include "emit/nest.h"
#include "pass/cuda_tiling.h"

#include <stdarg.h>
#include <string.h>

typedef struct Gemm {
    Buf *out;
    Arena *arena;
    const Fusion *fusion;
    const Kernel *kernel;
    CudaTile tile;
} Gemm;

static void line(Gemm *g, int depth, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(g->arena, format, args);
    va_end(args);
    print_indent(g->out, depth);
    buf_printf(g->out, "%s\n", text);
}

// --- Indices

static const char *text_of(const Gemm *g, Dim dim) { return dim_as_c(g->arena, dim); }

static long long most(const Gemm *g, Dim dim) { return dim_eval(dim, g->fusion->batch); }

static long long matrix(const Gemm *g) { return most(g, g->tile.rows) * most(g, g->tile.columns); }

static long long all_elements(const Gemm *g) { return matrix(g) * most(g, g->tile.g); }

static const char *factor(const Gemm *g, Dim dim) {
    return dim_is_const(dim) ? text_of(g, dim)
                             : arena_printf(g->arena, "(unsigned)(%s)", text_of(g, dim));
}

// One of several digits of the index `name`: those behind it have `inner` values. The first digit
// of all has no end.
static const char *digit_text(const Gemm *g, const char *name, Dim inner, Dim extent, bool first) {
    const char *text = name;
    if (!dim_is_one(inner)) text = arena_printf(g->arena, "%s / %s", text, factor(g, inner));
    if (!first) text = arena_printf(g->arena, "%s %% %s", text, factor(g, extent));
    return arena_printf(g->arena, text == name ? "(int)%s" : "(int)(%s)", text);
}

// Where index `name` is in an operand: "(int)(row / 28) * 1024 + (int)(row % 28) * 32".
static const char *place_of(const Gemm *g, const Digits *digits, Side side, const char *name) {
    Buf text = buf_new(g->arena);
    Dim inner = dim_const(1);
    for (int i = digits->count - 1; i >= 0; i--) {
        const Digit *digit = &digits->at[i];
        if (digit->stride[side])
            buf_printf(&text, "%s%s", text.length ? " + " : "",
                       digit_text(g, name, inner, digit->extent, i == 0));
        if (digit->stride[side] && digit->stride[side] != 1)
            buf_printf(&text, " * %lld", (long long)digit->stride[side]);
        if (!dim_mul(&inner, inner, digit->extent)) bug("an index of a product overflows");
    }
    return text.length ? text.text : "0";
}

// --- What all forms begin with

static void print_extents(Gemm *g) {
    line(g, 1, "const int rows = %s, columns = %s, last = %s;", text_of(g, g->tile.rows),
         text_of(g, g->tile.columns), text_of(g, g->tile.k));
}

// An address with what is added to it; a text of 0 is nothing.
static const char *plus(const Gemm *g, const char *address, long long offset, const char *text) {
    if (offset) address = arena_printf(g->arena, "%s + %lld", address, offset);
    return strcmp(text, "0") ? arena_printf(g->arena, "%s + %s", address, text) : address;
}

static void print_operand(Gemm *g, Side side) {
    const Tiling *t = &g->tile.digits;
    Storage at = g->fusion->storage[t->base[side]->id];
    const char *row = side == SIDE_A ? "row" : "column";
    line(g, 1, "const auto %c = nnc_operand<%d, %s>(", "ab"[side], g -> tile.vector[side],
         g->tile.along_sum[side] ? "NNC_ALONG_SUM" : "NNC_ALONG_ROWS");
    line(g, 2, "%s,",
         plus(g, buffer_address(g->arena, at.buffer), at.offset + t->offset[side],
              place_of(g, &t->g, side, "(unsigned)g")));
    line(g, 2, "[=](unsigned %s) { return %s; },", row,
         place_of(g, side == SIDE_A ? &t->m : &t->n, side, row));
    line(g, 2, "[=](unsigned k) { return %s; });", place_of(g, &t->k, side, "k"));
}

// --- Results

// The epilogue's loops are over the product's elements, in their order: the last loops are its
// columns, those before its rows. Gives the first loop of g, of rows and of columns; false where a
// loop is of two of these.
static bool part_loops(const Gemm *g, const Loops *loops, int first[3]) {
    const Dim part[] = {g->tile.g, g->tile.rows, g->tile.columns};
    int at = loops->loop_count;
    for (int i = 2; i >= 0; i--) {
        Dim whole = dim_const(1);
        while (!dim_equal(whole, part[i]) && at > 0)
            if (!dim_mul(&whole, whole, loops->var[loops->loop[--at]].extent)) return false;
        if (!dim_equal(whole, part[i])) return false;
        first[i] = at;
    }
    return true;
}

static void print_indices(Gemm *g, const Loops *loops, int first, int end, const char *name) {
    Dim inner = dim_const(1);
    for (int i = end - 1; i >= first; i--) {
        Dim extent = loops->var[loops->loop[i]].extent;
        line(g, 2, "const int i%d = %s;", loops->loop[i],
             digit_text(g, name, inner, extent, i == first));
        if (!dim_mul(&inner, inner, extent)) bug("an index of a product overflows");
    }
}

static void print_loop_indices(Gemm *g, const Loops *loops) {
    int first[3];
    if (part_loops(g, loops, first)) {
        print_indices(g, loops, 0, first[1], "(unsigned)g");
        print_indices(g, loops, first[1], first[2], "(unsigned)row");
        print_indices(g, loops, first[2], loops->loop_count, "(unsigned)column");
    } else {
        line(g, 2, "const unsigned element = (unsigned)((g * rows + row) * columns + column);");
        print_indices(g, loops, 0, loops->loop_count, "element");
    }
}

// const auto end = ..: what an element is once it is summed.
static void print_end(Gemm *g) {
    if (g->kernel->result.at[0].value == g->kernel->core) {
        line(g, 1, "const auto end = [](int, int, int, float z) { return z; };");
        return;
    }
    Loops *loops = loops_build(g->arena, g->fusion, g->kernel);
    loops_coalesce(loops);
    nest_print_locals(g->out, loops, 1);
    line(g, 1, "const auto end = [=](int g, int row, int column, float z) -> float {");
    line(g, 2, "(void)g, (void)row, (void)column, (void)z;");
    print_loop_indices(g, loops);
    const char *value = nest_print_value(g->out, loops, "z", 2);
    print_indent(g->out, 2);
    buf_printf(g->out, "return %s;\n", value);
    line(g, 1, "};");
}

// Where matrix g of the result lies, of several.
static const char *result_pointer(const Gemm *g) {
    const Storage *to = &g->kernel->result.at[0].to;
    return plus(g, buffer_address(g->arena, to->buffer), to->offset, "0");
}

static const char *of_matrix(const Gemm *g, const char *address) {
    return dim_is_one(g->tile.g)
               ? address
               : plus(g, address, 0, arena_printf(g->arena, "g * %lldll", matrix(g)));
}

// --- Tiles

static const char *even_of(const Gemm *g) {
    const CudaTile *t = &g->tile;
    const Dim dim[] = {g->tile.rows, g->tile.columns, g->tile.k};
    const int by[] = {t->shape.rows, t->shape.columns, cuda_depth(t)};
    static const char *const names[] = {"NNC_EVEN_ROWS", "NNC_EVEN_COLUMNS", "NNC_EVEN_SUM"};
    Buf text = buf_new(g->arena);
    for (int i = 0; i < 3; i++)
        if (dim_is_const(dim[i]) && dim_eval(dim[i], 1) % by[i] == 0)
            buf_printf(&text, "%s%s", text.length ? " | " : "", names[i]);
    return text.length ? text.text : "0";
}

// As C: how many tiles of this size there are.
static const char *count_tiles(const Gemm *g, Dim dim, int size) {
    if (dim_is_const(dim))
        return arena_printf(g->arena, "%lld", (long long)((dim_eval(dim, 1) + size - 1) / size));
    return arena_printf(g->arena, "(%s + %d) / %d", text_of(g, dim), size - 1, size);
}

static const char *times(const Gemm *g, const char *product, const char *factor) {
    if (!strcmp(factor, "1")) return product;
    return arena_printf(g->arena, "%s * (%s)", product, factor);
}

static const char *count_blocks(const Gemm *g) {
    const CudaShape *s = &g->tile.shape;
    const char *parts = arena_printf(g->arena, "%lld", (long long)g->tile.parts);
    const char *across = count_tiles(g, g->tile.columns, s->columns);
    const char *down = count_tiles(g, g->tile.rows, s->rows);
    const char *all = times(g, times(g, "1ll", across), down);
    return times(g, times(g, all, parts), text_of(g, g->tile.g));
}

// Which tile of which part of which matrix a block has: columns run fastest.
static void print_block(Gemm *g) {
    const CudaShape *s = &g->tile.shape;
    static const char *const names[] = {"NNC_F32", "NNC_TF32", "NNC_BF16"};
    line(g, 1, "typedef NncTile<%s, %d, %d, %d, %d, %d, %s> Tile;", names[g->tile.arithmetic],
         s->rows, s->columns, s->cells, s->warp_rows, s->warp_columns, even_of(g));
    print_extents(g);
    line(g, 1, "const unsigned block = blockIdx.x, across = %s, down = %s;",
         count_tiles(g, g->tile.columns, s->columns), count_tiles(g, g->tile.rows, s->rows));
    line(g, 1, "const int column = (int)(block %% across) * %d;", s->columns);
    line(g, 1, "const int row = (int)(block / across %% down) * %d;", s->rows);
}

// Of k = from .. to - 1.
static void print_sum(Gemm *g, const char *from, const char *to) {
    print_operand(g, SIDE_A);
    print_operand(g, SIDE_B);
    line(g, 1, "float sum[Tile::sums] = {0};");
    line(g, 1, "nnc_multiply<Tile, %lld>(sum, a, b, row, rows, column, columns, %s, %s);",
         (long long)g->tile.shared, from, to);
}

static void print_whole(Gemm *g) {
    print_block(g);
    line(g, 1,
         dim_is_one(g->tile.g) ? "const int g = 0;"
                               : "const int g = (int)(block / (across * down));");
    print_sum(g, "0", "last");
    print_end(g);
    line(g, 1, "nnc_finish<Tile, %d>(sum, %s, %lld, g, row, rows, column, columns, end);",
         g->tile.store, of_matrix(g, result_pointer(g)), most(g, g->tile.columns));
}

// --- Parts

static const char *partial_pointer(const Gemm *g) {
    return arena_printf(g->arena, "(%s)", buffer_address(g->arena, g->kernel->partial));
}

static void print_part(Gemm *g) {
    long long parts = g->tile.parts, part = g->tile.part;
    print_block(g);
    line(g, 1, "const int part = (int)(block / (across * down) %% %lld);", parts);
    line(g, 1, "const int g = (int)(block / (across * down * %lld));", parts);
    line(g, 1, "const int from = part * %lld, to = from + %lld < last ? from + %lld : last;", part,
         part, part);
    print_sum(g, "from", "to");
    line(g, 1, "const auto end = [](int, int, int, float z) { return z; };");
    line(g, 1,
         "nnc_finish<Tile, %d>(sum, %s + part * %lldll, %lld, g, row, rows, column, columns, end);",
         g->tile.store, of_matrix(g, partial_pointer(g)), all_elements(g),
         most(g, g->tile.columns));
}

static void print_join(Gemm *g) {
    print_extents(g);
    line(g, 1, "(void)last;");
    print_end(g);
    line(g, 1, "nnc_join<%d>(%s, %s, %lld, %lldll, %s, %lld, %lld, rows, columns, end);",
         g->tile.store, result_pointer(g), partial_pointer(g), (long long)g->tile.parts,
         all_elements(g), text_of(g, g->tile.g), most(g, g->tile.rows), most(g, g->tile.columns));
}

// --- Without tiles

static void print_store(Gemm *g, int depth, const char *row) {
    line(g, depth, "nnc_store<1>(%s + (%s) * %lld + column, &value);",
         of_matrix(g, result_pointer(g)), row, most(g, g->tile.columns));
}

static void print_dots(Gemm *g) {
    int rows = g->tile.warp_rows;
    print_extents(g);
    line(g, 1, "const int warp = (int)((blockIdx.x * (long long)blockDim.x + threadIdx.x) / 32);");
    line(g, 1, "const int lane = (int)threadIdx.x %% 32, down = (rows + %d) / %d;", rows - 1, rows);
    line(g, 1, "const int column = warp %% columns, row = warp / columns %% down * %d;", rows);
    line(g, 1, "const int g = warp / columns / down;");
    line(g, 1, "if (g >= %s) return; // the whole warp", text_of(g, g->tile.g));
    print_operand(g, SIDE_A);
    print_operand(g, SIDE_B);
    line(g, 1, "float sum[%d] = {0};", rows);
    line(g, 1, "nnc_dot(sum, a, b, row, rows, column, last);");
    print_end(g);
    line(g, 1, "#pragma unroll");
    line(g, 1, "for (int r = 0; r < %d; r++)", rows);
    line(g, 2, "if (lane == r && row + r < rows) {");
    line(g, 3, "const float value = end(g, row + r, column, sum[r]);");
    print_store(g, 3, "row + r");
    line(g, 2, "}");
}

// An empty sum is zero; there is nothing to be read.
static void print_alone(Gemm *g) {
    const char *sum = "0";
    print_extents(g);
    line(g, 1, "const long long element = blockIdx.x * (long long)blockDim.x + threadIdx.x;");
    line(g, 1,
         "const int column = (int)(element %% columns), row = (int)(element / columns %% rows);");
    line(g, 1, "const int g = (int)(element / columns / rows);");
    line(g, 1, "if (g >= %s) return;", text_of(g, g->tile.g));
    if (g->kernel->tiling) {
        print_operand(g, SIDE_A);
        print_operand(g, SIDE_B);
        long long last = dim_is_const(g->tile.k) ? dim_eval(g->tile.k, 1) : 0;
        sum = arena_printf(g->arena, "nnc_alone<%lld>(a, b, row, column, last)", last);
    }
    print_end(g);
    line(g, 1, "const float value = end(g, row, column, %s);", sum);
    print_store(g, 1, "row");
}

// --- Launches

// Blocks for so many threads for each of [g, rows / per, columns].
static const char *spread(const Gemm *g, int threads, int per) {
    const char *all = arena_printf(g->arena, "%dll", threads);
    all = times(g, all, text_of(g, g->tile.columns));
    all = times(g, all, count_tiles(g, g->tile.rows, per));
    all = times(g, all, text_of(g, g->tile.g));
    return arena_printf(g->arena, "(%s + %d) / %d", all, g->tile.threads - 1, g->tile.threads);
}

static void print_kernel(Gemm *g, CudaFile *file, const char *suffix, const char *blocks,
                         int threads, void (*body)(Gemm *)) {
    cuda_open(file, g->fusion,
              (CudaLaunch){.kernel = g->kernel,
                           .suffix = suffix,
                           .blocks = blocks,
                           .threads = threads,
                           .shared = body == print_join ? 0 : g->tile.shared});
    body(g);
    buf_add(g->out, "}\n\n");
}

void emit_cuda_product(CudaFile *file, const Fusion *fusion, const Kernel *kernel) {
    Gemm g = {.out = file->out,
              .arena = file->out->arena,
              .fusion = fusion,
              .kernel = kernel,
              .tile = *kernel->cuda};
    int threads = g.tile.threads;
    if (g.tile.form == CUDA_DOTS) {
        print_kernel(&g, file, "", spread(&g, 32, g.tile.warp_rows), threads, print_dots);
    } else if (g.tile.form == CUDA_ALONE) {
        print_kernel(&g, file, "", spread(&g, 1, 1), threads, print_alone);
    } else if (g.tile.parts > 1) {
        enum { THREADS = 256 };
        long long each = (long long)THREADS * g.tile.store;
        const char *blocks = arena_printf(g.arena, "%lld", (all_elements(&g) + each - 1) / each);
        print_kernel(&g, file, "_parts", count_blocks(&g), threads, print_part);
        print_kernel(&g, file, "", blocks, THREADS, print_join);
    } else {
        print_kernel(&g, file, "", count_blocks(&g), threads, print_whole);
    }
}
