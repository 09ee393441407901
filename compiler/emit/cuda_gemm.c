// SPDX-License-Identifier: MIT
// A product's kernel as CUDA: what its shape is, where its operands' rows and summed indices begin,
// and what becomes of its elements. All else is in emit/cuda_product.h.
//
//     extern "C" __global__ void __launch_bounds__(128) train_k3_product(..) {
//         typedef NncTile<NNC_F32, 128, 64, 16, 32, 64, NNC_EVEN_COLUMNS | NNC_EVEN_SUM> Tile;
//         const int rows = n * 784, columns = 64;
//         ..
//         const auto a = nnc_operand<4, NNC_ALONG_SUM>(b1,
//             [=](unsigned row) { return (int)(row / 784) * 30720 + ..; },
//             [=](unsigned k) { return ..; });
//
// A view through windows is those two functions, so a convolution is a product like any other. A
// sum that is cut into parts is two kernels: partial sums, and what joins them.
#include "emit/cuda_internal.h"
#include "emit/nest.h"
#include "pass/cuda_tiling.h"

#include <limits.h>

typedef struct Gemm {
    Buf *out;
    Arena *arena;
    const Fusion *fusion;
    const Kernel *kernel;
    const Tiling *tiling;
    CudaTile tile;
} Gemm;

static void line(Gemm *g, int depth, const char *text) {
    print_indent(g->out, depth);
    buf_printf(g->out, "%s\n", text);
}

// --- Indices

static Dim total(const Digits *digits) {
    Dim all = dim_const(1);
    for (int i = 0; i < digits->count; i++)
        if (!dim_mul(&all, all, digits->at[i].extent)) bug("an index of a product overflows");
    return all;
}

static int64_t total_at(const Gemm *g, Dim dim) { return dim_eval(dim, g->fusion->batch); }

static const char *dim_text(const Gemm *g, Dim dim) { // as a factor
    return dim_is_const(dim) ? dim_as_c(g->arena, dim)
                             : arena_printf(g->arena, "(unsigned)(%s)", dim_as_c(g->arena, dim));
}

// Do all places in the operand fit an int?
static bool is_small(const Gemm *g, Side side) {
    const Node *base = g->tiling->base[side];
    return shape_eval(&base->shape, g->fusion->batch) < INT_MAX;
}

// Where index `name` is in an operand: "(int)(row / 784) * 30720 + (int)(row % 784) * 32".
static const char *place_of(Gemm *g, const Digits *digits, Side side, const char *name) {
    Buf text = buf_new(g->arena);
    Dim inner = dim_const(1);
    const char *type = is_small(g, side) ? "int" : "long long";
    for (int i = digits->count - 1; i >= 0; i--) {
        const Digit *digit = &digits->at[i];
        const char *index = name;
        if (!dim_is_one(inner))
            index = arena_printf(g->arena, "%s / %s", index, dim_text(g, inner));
        if (i > 0) index = arena_printf(g->arena, "%s %% %s", index, dim_text(g, digit->extent));
        if (digit->stride[side])
            buf_printf(&text, "%s(%s)(%s)", text.length ? " + " : "", type, index);
        if (digit->stride[side] && digit->stride[side] != 1)
            buf_printf(&text, " * %lld", (long long)digit->stride[side]);
        if (!dim_mul(&inner, inner, digit->extent)) bug("an index of a product overflows");
    }
    return text.length ? text.text : arena_printf(g->arena, "(%s)0", type);
}

// --- The kernel's head

static const char *even_of(const Gemm *g) {
    const CudaTile *t = &g->tile;
    const Dim dim[] = {total(&g->tiling->m), total(&g->tiling->n), total(&g->tiling->k)};
    const int by[] = {t->shape.rows, t->shape.columns, cuda_depth(t)};
    static const char *const names[] = {"NNC_EVEN_ROWS", "NNC_EVEN_COLUMNS", "NNC_EVEN_SUM"};
    Buf text = buf_new(g->arena);
    for (int i = 0; i < 3; i++)
        if (dim_is_const(dim[i]) && dim_eval(dim[i], 1) % by[i] == 0)
            buf_printf(&text, "%s%s", text.length ? " | " : "", names[i]);
    return text.length ? text.text : "0";
}

static void print_extents(Gemm *g) {
    line(g, 1,
         arena_printf(g->arena, "const int rows = %s, columns = %s, last = %s;",
                      dim_as_c(g->arena, total(&g->tiling->m)),
                      dim_as_c(g->arena, total(&g->tiling->n)),
                      dim_as_c(g->arena, total(&g->tiling->k))));
}

static const char *operand_pointer(Gemm *g, Side side) {
    const Tiling *t = g->tiling;
    Storage at = g->fusion->storage[t->base[side]->id];
    const char *type = c_memory_type(t->base[side]->dtype);
    return arena_printf(g->arena, "(const %s *)(%s) + %lld", type,
                        buffer_address(g->arena, at.buffer),
                        (long long)(at.offset + t->offset[side]));
}

static void print_operand(Gemm *g, Side side) {
    const Tiling *t = g->tiling;
    const char *name = side == SIDE_A ? "a" : "b", *row = side == SIDE_A ? "row" : "column";
    line(g, 1,
         arena_printf(g->arena, "const auto %s = nnc_operand<%d, %s>(", name, g->tile.vector[side],
                      g->tile.along_sum[side] ? "NNC_ALONG_SUM" : "NNC_ALONG_ROWS"));
    line(g, 2,
         arena_printf(g->arena, "%s + (long long)(%s),", operand_pointer(g, side),
                      place_of(g, &t->g, side, "(unsigned)g")));
    line(g, 2,
         arena_printf(g->arena, "[=](unsigned %s) { return %s; },", row,
                      place_of(g, side == SIDE_A ? &t->m : &t->n, side, row)));
    line(g, 2,
         arena_printf(g->arena, "[=](unsigned k) { return %s; });", place_of(g, &t->k, side, "k")));
}

// --- Results

// Declares the indices of the epilogue's loops, whose elements are those of the product in their
// order: the last loops are the product's columns, those before its rows; or, where a loop is of
// both, all are counted as one.
static void print_loop_indices(Gemm *g, const Loops *loops, int depth) {
    const Dim part[] = {total(&g->tiling->n), total(&g->tiling->m)};
    static const char *const names[] = {"column", "row", "g"};
    int first_of[3], at = loops->loop_count; // the loops of each
    bool apart = true;
    for (int i = 0; i < 2; i++) {
        Dim whole = dim_const(1);
        first_of[i] = at;
        while (apart && !dim_equal(whole, part[i]) && first_of[i] > 0)
            apart &= dim_mul(&whole, whole, loops->var[loops->loop[--first_of[i]]].extent);
        apart &= dim_equal(whole, part[i]);
        at = first_of[i];
    }
    first_of[2] = 0;
    if (!apart) {
        line(g, depth, "const unsigned element = (unsigned)((g * rows + row) * columns + column);");
        first_of[0] = 0;
    }
    int end = loops->loop_count;
    for (int i = 0; i < (apart ? 3 : 1); i++) {
        const char *name = apart ? arena_printf(g->arena, "(unsigned)%s", names[i]) : "element";
        Dim inner = dim_const(1);
        for (int k = end - 1; k >= first_of[i]; k--) {
            Dim extent = loops->var[loops->loop[k]].extent;
            const char *index = name;
            if (!dim_is_one(inner))
                index = arena_printf(g->arena, "%s / %s", index, dim_text(g, inner));
            if (k > first_of[i])
                index = arena_printf(g->arena, "%s %% %s", index, dim_text(g, extent));
            line(g, depth,
                 arena_printf(g->arena, "const int i%d = (int)(%s);", loops->loop[k], index));
            if (!dim_mul(&inner, inner, extent)) bug("an index of a product overflows");
        }
        end = first_of[i];
    }
}

// const auto end = [=](int g, int row, int column, float z) { .. };
static void print_end(Gemm *g) {
    if (g->kernel->result.at[0].value == g->kernel->core) {
        line(g, 1, "const auto end = [](int, int, int, float z) { return z; };");
        return;
    }
    Loops *loops = loops_build(g->arena, g->fusion, g->kernel);
    loops_coalesce(loops);
    nest_print_locals(g->out, loops, 1);
    line(g, 1, "const auto end = [=](int g, int row, int column, float z) -> float {");
    line(g, 2, "(void)g, (void)row, (void)column;");
    print_loop_indices(g, loops, 2);
    const char *value = nest_print_value(g->out, loops, "z", 2);
    line(g, 2, arena_printf(g->arena, "return %s;", value));
    line(g, 1, "};");
}

static const char *result_pointer(Gemm *g) {
    const Result *result = &g->kernel->result.at[0];
    return arena_printf(g->arena, "(%s *)(%s) + %lld", c_memory_type(result->value->dtype),
                        buffer_address(g->arena, result->to.buffer), (long long)result->to.offset);
}

static int64_t matrix(const Gemm *g) { // elements
    return total_at(g, total(&g->tiling->m)) * total_at(g, total(&g->tiling->n));
}

static int64_t all_elements(const Gemm *g) { return matrix(g) * total_at(g, total(&g->tiling->g)); }

// --- Tiles

// As C: how many tiles of this size there are.
static const char *tiles(const Gemm *g, Dim dim, int size) {
    if (dim_is_const(dim))
        return arena_printf(g->arena, "%lld", (long long)((dim_eval(dim, 1) + size - 1) / size));
    return arena_printf(g->arena, "((%s + %d) / %d)", dim_as_c(g->arena, dim), size - 1, size);
}

static const char *count_blocks(const Gemm *g) {
    const CudaShape *shape = &g->tile.shape;
    return arena_printf(g->arena, "(long long)%s * %s * %lld * (%s)",
                        tiles(g, total(&g->tiling->n), shape->columns),
                        tiles(g, total(&g->tiling->m), shape->rows), (long long)g->tile.parts,
                        dim_as_c(g->arena, total(&g->tiling->g)));
}

// Which tile of which part of which matrix a block has: columns run fastest.
static void print_block(Gemm *g) {
    const CudaShape *s = &g->tile.shape;
    const char *across = tiles(g, total(&g->tiling->n), s->columns),
               *down = tiles(g, total(&g->tiling->m), s->rows);
    line(g, 1,
         arena_printf(g->arena, "const unsigned block = blockIdx.x, across = %s, down = %s;",
                      across, down));
    line(g, 1,
         arena_printf(g->arena,
                      "const int column = (int)(block %% across) * %d, row = (int)"
                      "(block / across %% down) * %d;",
                      s->columns, s->rows));
    if (g->tile.parts > 1)
        line(g, 1,
             arena_printf(g->arena,
                          "const int part = (int)(block / (across * down) %% %lld), "
                          "g = (int)(block / (across * down * %lld));",
                          (long long)g->tile.parts, (long long)g->tile.parts));
    else
        line(g, 1, "const int g = (int)(block / (across * down));");
}

static void print_tile_type(Gemm *g) {
    static const char *const names[] = {"NNC_F32", "NNC_TF32", "NNC_BF16"};
    const CudaShape *s = &g->tile.shape;
    line(g, 1,
         arena_printf(g->arena, "typedef NncTile<%s, %d, %d, %d, %d, %d, %s> Tile;",
                      names[g->tile.arithmetic], s->rows, s->columns, s->cells, s->warp_rows,
                      s->warp_columns, even_of(g)));
}

static void print_tiles(Gemm *g) {
    const char *first = "0", *last = "last";
    print_tile_type(g);
    print_extents(g);
    print_block(g);
    if (g->tile.parts > 1) {
        long long part = (long long)g->tile.part;
        line(g, 1,
             arena_printf(g->arena,
                          "const int from = part * %lld, to_k = from + %lld < last ? "
                          "from + %lld : last;",
                          part, part, part));
        first = "from", last = "to_k";
    }
    print_operand(g, SIDE_A);
    print_operand(g, SIDE_B);
    line(g, 1, "float sum[Tile::sums] = {0};");
    line(g, 1,
         arena_printf(g->arena,
                      "nnc_multiply<Tile>(sum, a, b, row, rows, column, columns, %s, "
                      "%s);",
                      first, last));
}

static void print_whole(Gemm *g) {
    print_tiles(g);
    print_end(g);
    line(g, 1,
         arena_printf(g->arena,
                      "nnc_finish<Tile, %d>(sum, %s + g * %lldll, g, row, rows, "
                      "column, columns, end);",
                      g->tile.store, result_pointer(g), (long long)matrix(g)));
}

// --- Parts

static const char *partial_pointer(Gemm *g) { return buffer_address(g->arena, g->kernel->partial); }

static int store_of_partial(const Gemm *g) {
    int64_t columns = total_at(g, total(&g->tiling->n));
    return columns % 4 == 0 ? 4 : columns % 2 == 0 ? 2 : 1;
}

static void print_part(Gemm *g) {
    print_tiles(g);
    line(g, 1, "const auto end = [](int, int, int, float z) { return z; };");
    line(g, 1,
         arena_printf(g->arena,
                      "nnc_finish<Tile, %d>(sum, %s + part * %lldll + g * %lldll, g, "
                      "row, rows, column, columns, end);",
                      store_of_partial(g), partial_pointer(g), (long long)all_elements(g),
                      (long long)matrix(g)));
}

static void print_join(Gemm *g) {
    print_extents(g);
    line(g, 1, "(void)last;");
    print_end(g);
    line(g, 1,
         arena_printf(g->arena,
                      "nnc_join<%d>(%s, %s, %lld, %lldll, %s, %lld, rows, columns, "
                      "end);",
                      g->tile.store, result_pointer(g), partial_pointer(g),
                      (long long)g->tile.parts, (long long)all_elements(g),
                      dim_as_c(g->arena, total(&g->tiling->g)),
                      (long long)total_at(g, total(&g->tiling->m))));
}

// --- Without tiles

static void print_dots(Gemm *g) {
    print_extents(g);
    int rows = g->tile.rows;
    line(g, 1, "const long long warp = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / 32;");
    line(g, 1,
         arena_printf(g->arena,
                      "const int down = (rows + %d) / %d, column = (int)(warp %% "
                      "columns), row = (int)(warp / columns %% down) * %d;",
                      rows - 1, rows, rows));
    line(g, 1,
         arena_printf(g->arena, "const int g = (int)(warp / columns / down), lane = "
                                "(int)threadIdx.x %% 32;"));
    line(g, 1,
         arena_printf(g->arena, "if (g >= %s) return; // the whole warp",
                      dim_as_c(g->arena, total(&g->tiling->g))));
    print_operand(g, SIDE_A);
    print_operand(g, SIDE_B);
    line(g, 1, arena_printf(g->arena, "float sum[%d] = {0};", rows));
    line(g, 1, "nnc_dot(sum, a, b, row, rows, column, last);");
    print_end(g);
    line(g, 1, arena_printf(g->arena, "for (int r = 0; r < %d; r++)", rows));
    line(g, 2, "if (lane == r && row + r < rows) {");
    line(g, 3, "const float value = end(g, row + r, column, sum[r]);");
    line(g, 3,
         arena_printf(g->arena,
                      "nnc_store<1>(%s + g * %lldll + (long long)(row + r) * columns "
                      "+ column, &value);",
                      result_pointer(g), (long long)matrix(g)));
    line(g, 2, "}");
}

static void print_alone(Gemm *g) {
    Dim k = total(&g->tiling->k);
    print_extents(g);
    line(g, 1, "const long long element = (long long)blockIdx.x * blockDim.x + threadIdx.x;");
    line(g, 1,
         "const int column = (int)(element % columns), row = (int)(element / columns % rows), "
         "g = (int)(element / columns / rows);");
    line(g, 1,
         arena_printf(g->arena, "if (g >= %s) return;", dim_as_c(g->arena, total(&g->tiling->g))));
    print_operand(g, SIDE_A);
    print_operand(g, SIDE_B);
    print_end(g);
    line(g, 1,
         arena_printf(g->arena,
                      "const float value = end(g, row, column, nnc_alone<%lld>(a, b, "
                      "row, column, last));",
                      dim_is_const(k) ? (long long)dim_eval(k, 1) : 0));
    line(g, 1,
         arena_printf(g->arena,
                      "nnc_store<1>(%s + g * %lldll + (long long)row * columns + "
                      "column, &value);",
                      result_pointer(g), (long long)matrix(g)));
}

// --- Launches

// So many threads in all, as blocks of the tile's size: `each` for one of [g, m, n].
static const char *spread(const Gemm *g, Dim rows, const char *each, int per) {
    const char *columns = dim_as_c(g->arena, total(&g->tiling->n)),
               *matrices = dim_as_c(g->arena, total(&g->tiling->g));
    return arena_printf(g->arena, "((long long)(%s) * %s * (%s)%s + %d) / %d", matrices,
                        tiles(g, rows, per), columns, each, g->tile.threads - 1, g->tile.threads);
}

static void print_kernel(Gemm *g, CudaFile *file, const char *suffix, const char *blocks,
                         int threads, void (*body)(Gemm *)) {
    cuda_open(file, g->fusion, g->kernel, suffix,
              (CudaLaunch){.blocks = blocks, .threads = threads});
    body(g);
    buf_add(g->out, "}\n\n");
}

void emit_cuda_product(CudaFile *file, const Fusion *fusion, const Kernel *kernel) {
    Gemm g = {.out = file->out,
              .arena = file->out->arena,
              .fusion = fusion,
              .kernel = kernel,
              .tiling = kernel->tiling,
              .tile = cuda_tile(fusion, kernel)};
    Dim rows = total(&g.tiling->m);
    int threads = g.tile.threads;
    if (g.tile.form == CUDA_DOTS) {
        print_kernel(&g, file, "", spread(&g, rows, " * 32", g.tile.rows), threads, print_dots);
    } else if (g.tile.form == CUDA_ALONE) {
        print_kernel(&g, file, "", spread(&g, rows, "", 1), threads, print_alone);
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
