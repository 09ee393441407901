// SPDX-License-Identifier: MIT
// Random matrix products, as lowering makes them: batches of which an operand has a part, sums of
// blocks, transposed operands, operands behind movements, epilogues, any extent the examples in the
// batch. Emitted for vectors of 16, 8 and 4 floats, compared with the oracle for the whole batch
// and for less, with the same bits from 1, 2, 3 and 4 threads.
#include "compiled.h"
#include "random_graph.h"
#include "random_internal.h"

#include <criterion/criterion.h>
#include <string.h>

enum { PRODUCTS = 10, EXAMPLES = 19 };

static Dim any(RandomGraph *random, const int *of, int count) {
    int extent = of[below(random, count)];
    return extent ? dim_const(extent) : dim_batch();
}

// The four extents of an operand, g s r c, behind some movement of a leaf.
typedef const Node *Behind(RandomGraph *random, Shape shape);

static const Node *leaf(RandomGraph *random, Shape shape) {
    return random_leaf(random, DT_F32, shape);
}

static const Node *permuted(RandomGraph *random, Shape shape) {
    static const int8_t perms[][4] = {
        {1, 0, 2, 3}, {0, 2, 1, 3}, {0, 1, 3, 2}, {2, 3, 0, 1}, {3, 0, 1, 2}};
    const int8_t *perm = perms[below(random, 5)];
    Shape in = shape;
    for (int axis = 0; axis < 4; axis++)
        in.dim[perm[axis]] = shape.dim[axis];
    return node_permute(random->graph, leaf(random, in), perm);
}

// The last axis is two of memory, with another between them.
static const Node *split(RandomGraph *random, Shape shape) {
    static const int8_t perm[] = {0, 1, 3, 2, 4};
    Dim outer, inner = dim_const(between(random, 2, 4));
    if (!dim_div(&outer, shape.dim[3], inner)) return permuted(random, shape);
    Dim dim[] = {shape.dim[0], shape.dim[1], outer, shape.dim[2], inner};
    const Node *node = node_permute(random->graph, leaf(random, shape_of(5, dim)), perm);
    return node_reshape(random->graph, node, shape);
}

static const Node *sliced(RandomGraph *random, Shape shape) {
    Shape in = shape;
    SliceAxis slice[MAX_RANK];
    for (int axis = 0; axis < 4; axis++) {
        slice[axis] = (SliceAxis){0, 1};
        if (!dim_is_const(shape.dim[axis]) || one_in(random, 2)) continue;
        slice[axis] = (SliceAxis){between(random, 0, 2), between(random, 1, 2)};
        int64_t extent = slice[axis].start + (dim_eval(shape.dim[axis], 1) - 1) * slice[axis].step;
        in.dim[axis] = dim_const(extent + between(random, 1, 3));
    }
    return node_slice(random->graph, leaf(random, in), slice, shape);
}

// The last axis is outputs and taps of a window, as a convolution's is.
static const Node *windowed(RandomGraph *random, Shape shape) {
    Dim outputs;
    int taps = between(random, 2, 3), dilation = between(random, 1, 2),
        stride = between(random, 1, 2);
    if (!dim_is_const(shape.dim[3]) || !dim_div(&outputs, shape.dim[3], dim_const(taps)))
        return sliced(random, shape);
    Shape in = shape;
    PadAxis pad[MAX_RANK] = {0};
    int64_t extent = (dim_eval(outputs, 1) - 1) * stride + (taps - 1) * dilation + 1;
    if (one_in(random, 3) && extent > 2) pad[3] = (PadAxis){1, 1, 0}, extent -= 2;
    in.dim[3] = dim_const(extent);
    const Node *node = node_pad(random->graph, leaf(random, in), pad, 0);
    node = node_window(random->graph, node, 3, outputs, taps, stride, dilation);
    return node_reshape(random->graph, node, shape);
}

static const Node *flipped(RandomGraph *random, Shape shape) {
    return node_flip(random->graph, leaf(random, shape), (uint32_t)between(random, 1, 15));
}

static const Node *repeated(RandomGraph *random, Shape shape) {
    int axis = between(random, 1, 3);
    Shape in = {.rank = 3};
    for (int i = 0; i < 3; i++)
        in.dim[i] = shape.dim[i + (i >= axis)];
    return node_broadcast(random->graph, leaf(random, in), 1u << axis, shape);
}

static const Node *computed(RandomGraph *random, Shape shape) {
    return node_binary(random->graph, OP_max, leaf(random, shape),
                       node_const(random->graph, DT_F32, 0));
}

static const Node *operand(RandomGraph *random, Dim g, Dim s, Dim rows, Dim columns,
                           bool transposed) {
    static Behind *const behind[] = {leaf,   leaf,     permuted, permuted, split,
                                     sliced, windowed, flipped,  repeated, computed};
    Dim dim[] = {g, s, transposed ? columns : rows, transposed ? rows : columns};
    return behind[below(random, sizeof behind / sizeof *behind)](random, shape_of(4, dim));
}

// --- Epilogues

static const Node *finished(RandomGraph *random, const Node *z) {
    Graph *g = random->graph;
    int kind = below(random, 4);
    if (kind == 0) return z;
    const Node *bias = leaf(random, shape_of(1, &z->shape.dim[2]));
    z = node_binary(g, OP_add, z, node_broadcast(g, bias, 3, z->shape));
    if (kind == 2) z = node_binary(g, OP_max, z, node_const(g, DT_F32, 0));
    if (kind == 3) {
        const Node *mask = node_binary(g, OP_gt, leaf(random, z->shape), node_const(g, DT_F32, 0));
        z = node_select(g, mask, z, node_fill(g, DT_F32, 0, z->shape));
    }
    return z;
}

static const Node *random_product(RandomGraph *random) {
    static const int sizes[] = {1, 2, 3, 5, 8, 10, 13, 16, 17, 27, 32, 33, 40, 49, 64, 70};
    static const int sums[] = {1, 2, 4, 7, 12, 16, 27, 32, 65, 100, 0};
    static const int blocks[] = {1, 1, 1, 2, 3, 0};
    const int count = sizeof sizes / sizeof *sizes;
    Dim m = any(random, sizes, count), n = any(random, sizes, count), k = any(random, sums, 11);
    Dim g = any(random, blocks, 6), s = any(random, blocks, 6);
    Dim ga = one_in(random, 3) ? dim_const(1) : g, gb = one_in(random, 3) ? dim_const(1) : g;
    if (one_in(random, 6)) m = dim_batch();
    if (one_in(random, 12)) n = dim_batch();
    if (one_in(random, 6) && dim_mul(&ga, dim_batch(), dim_const(6))) gb = dim_const(6), g = ga;
    if (dim_eval(g, EXAMPLES) * dim_eval(s, EXAMPLES) > 40) s = dim_const(1);
    ProductAttr attr = {one_in(random, 2), one_in(random, 2)};
    const Node *a = operand(random, ga, s, m, k, attr.transpose_a);
    const Node *b = operand(random, gb, s, k, n, attr.transpose_b);
    return finished(random, node_product(random->graph, a, b, attr));
}

// --- Checks

// Which of the forms; of what.
typedef enum Way {
    CHEAPEST,
    ANY = 1,     // form, not the one that the compiler would take
    ROUNDED = 2, // operands in bf16
    DOT2 = 4,    // and a target that multiplies pairs of them
} Way;

// Whether there is a product of pairs.
static bool check(Arena *arena, RandomGraph *random, uint64_t seed, const char *march, Way way) {
    const Graph *graph =
        way & ROUNDED ? random_rounded(arena, random->graph, seed, false) : random->graph;
    Case *c = case_new(arena, graph, seed);
    c->any_choice = way & ANY;
    c->rounded = way & ROUNDED;
    c->dot2 = way & DOT2;
    c->batch = EXAMPLES;
    c->march = march;
    c->tolerance = 2e-5;
    case_build(c, 0, JIT_NATIVE);
    static const int64_t examples[] = {EXAMPLES, 7, 1};
    for (int i = 0; i < 3; i++) {
        const double **leaves = random_leaves(arena, c->graph, examples[i], seed);
        for (int threads = 2; threads <= MOST_THREADS; threads++) {
            NncPool *pool = nnc_pool_new(threads);
            case_check(c, examples[i], leaves, pool);
            nnc_pool_free(pool);
        }
    }
    jit_free(c->jit);
    return strstr(c->source, "= nnc_dot2_");
}

static bool check_random(uint64_t seed, const char *march, Way way) {
    Arena *arena = arena_new();
    RandomGraph *random = random_graph_new(arena, seed);
    for (int i = 0; i < PRODUCTS; i++)
        graph_add_root(random->graph, ROOT_OUTPUT, arena_printf(arena, "z%d", i), NULL,
                       random_product(random));
    bool pairs = check(arena, random, seed, march, way);
    arena_free(arena);
    return pairs;
}

static void check_all(const char *march, uint64_t first, Way way) {
    if (target_find(march)->lanes > target_find("native")->lanes)
        cr_skip_test("this processor is no %s", march);
    bool pairs = false;
    for (uint64_t seed = first; seed < first + 4; seed++)
        pairs |= check_random(seed, march, way);
    cr_assert(pairs == !!(way & DOT2));
}

// For a GPU, several graphs in one file; `processors` that it has: few make large tiles.
static void check_cuda(uint64_t first, Way way, bool tf32) {
    enum { GRAPHS = 3 };
    Arena *arena = arena_new();
    Case *c[GRAPHS];
    for (int i = 0; i < GRAPHS; i++) {
        uint64_t seed = first + (uint64_t)i;
        RandomGraph *random = random_graph_new(arena, seed);
        for (int z = 0; z < PRODUCTS; z++)
            graph_add_root(random->graph, ROOT_OUTPUT, arena_printf(arena, "z%d", z), NULL,
                           random_product(random));
        const Graph *graph = random->graph;
        if (way & ROUNDED) graph = random_rounded(arena, graph, seed, false);
        c[i] = case_new(arena, graph, seed);
        c[i]->march = i == 2 && !tf32 ? "sm_75" : "sm_90";
        c[i]->processors = i;
        c[i]->any_choice = way & ANY;
        c[i]->rounded = way & ROUNDED;
        c[i]->tf32 = tf32;
        c[i]->batch = EXAMPLES;
        c[i]->tolerance = tf32 ? 2e-3 : 2e-5;
    }
    cases_build(c, GRAPHS, 0);
    const char *cores = tf32 ? "<NNC_TF32" : way & ROUNDED ? "<NNC_BF16" : "<NNC_F32";
    cr_assert(strstr(strstr(c[0]->source, "// --- predict"), cores), "no %s", cores);
    static const int64_t examples[] = {EXAMPLES, 7, 1};
    for (int i = 0; i < GRAPHS; i++)
        for (int e = 0; e < 3; e++)
            case_check(c[i], examples[e],
                       random_leaves(arena, c[i]->graph, examples[e], c[i]->seed), NULL);
    arena_free(arena);
}

Test(products, cuda) { check_cuda(901, CHEAPEST, false); }
Test(products, cuda_any_tiles) { check_cuda(911, ANY, false); }
Test(products, cuda_tf32) { check_cuda(921, ANY, true); }
Test(products, cuda_bf16) { check_cuda(931, ANY | ROUNDED, false); }

// Rows a multiple of 2 KiB apart, which crowd a few sets of a cache, so that operands are packed.
static void check_crowded(Way way) {
    static const struct {
        int m, n, k; // 0: N, -1: 4 N
        bool transpose_a, transpose_b;
    } product[] = {
        {512, 70, 100, true, false}, {40, 512, 100, false, false}, {0, 512, 512, false, true},
        {512, 512, -1, true, false}, {520, 1024, 72, true, false}, {512, 33, 512, false, false},
    };
    Arena *arena = arena_new();
    RandomGraph *random = random_graph_new(arena, 7);
    for (size_t i = 0; i < sizeof product / sizeof *product; i++) {
        Dim dim[3], one = dim_const(1);
        const int extent[] = {product[i].m, product[i].n, product[i].k};
        for (int d = 0; d < 3; d++)
            if (extent[d] > 0)
                dim[d] = dim_const(extent[d]);
            else
                cr_assert(dim_mul(&dim[d], dim_batch(), dim_const(extent[d] ? 4 : 1)));
        bool ta = product[i].transpose_a, tb = product[i].transpose_b;
        Dim a[] = {one, one, dim[ta ? 2 : 0], dim[ta ? 0 : 2]};
        Dim b[] = {one, one, dim[tb ? 1 : 2], dim[tb ? 2 : 1]};
        const Node *z = node_product(random->graph, leaf(random, shape_of(4, a)),
                                     leaf(random, shape_of(4, b)), (ProductAttr){ta, tb});
        graph_add_root(random->graph, ROOT_OUTPUT, arena_printf(arena, "z%d", (int)i), NULL, z);
    }
    bool pairs = check(arena, random, 7, "native", way);
    cr_assert(pairs == !!(way & DOT2));
    arena_free(arena);
}

Test(products, crowded) { check_crowded(CHEAPEST); }
Test(products, crowded_any_form) { check_crowded(ANY); }
Test(products, crowded_in_bf16) { check_crowded(ROUNDED | DOT2); }

// Each form that the compiler offers, not the one that it would take.
Test(products, any_form) {
    check_all("native", 301, ANY);
    check_all("native", 305, ANY);
}

// As for processors that multiply pairs: compiled for this one, in steps of floats if it does not.
Test(products, any_form_of_pairs) {
    check_all("native", 401, ANY | ROUNDED | DOT2);
    check_all("native", 405, ANY | ROUNDED | DOT2);
}

#ifdef __x86_64__
Test(products, lanes16) { check_all("x86-64-v4", 1, CHEAPEST); }
Test(products, lanes8) { check_all("x86-64-v3", 101, CHEAPEST); }
Test(products, lanes4) { check_all("x86-64", 201, CHEAPEST); }
Test(products, lanes16_bf16) { check_all("x86-64-v4", 501, ANY | ROUNDED); }
Test(products, lanes8_bf16) { check_all("x86-64-v3", 601, ANY | ROUNDED); }
Test(products, lanes4_bf16) { check_all("x86-64", 701, ANY | ROUNDED); }
Test(products, lanes16_pairs) { check_all("x86-64-v4", 801, ROUNDED | DOT2); }
#else
Test(products, native) { check_all("native", 1, CHEAPEST); }
Test(products, native_bf16) { check_all("native", 501, ANY | ROUNDED); }
#endif
