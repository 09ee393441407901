// SPDX-License-Identifier: MIT
// The oracle against values worked out by hand, operator by operator, and its contractions against
// the definition in the plainest loops.
#include "ir/graph.h"
#include "rng.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static Arena *arena;
static Graph *graph;

static void set_up(void) {
    arena = arena_new();
    graph = graph_new(arena, "test");
}

static void tear_down(void) { arena_free(arena); }

TestSuite(interp, .init = set_up, .fini = tear_down);

enum { MOST = 4096 };
static const double *leaf[MOST];

static const double *run(const Node *node, const Interp *with) {
    Interp full = *with;
    full.leaf = leaf;
    cr_assert_null(graph_verify(graph, STAGE_LOWERED, arena));
    return graph_interpret(graph, &full, arena)[node->id];
}

static Shape shape(int rank, const int64_t *extent) {
    Shape made = shape_of(0, NULL);
    for (int i = 0; i < rank; i++)
        made.dim[made.rank++] = dim_const(extent[i]);
    return made;
}

#define SHAPE(...)                                                                                 \
    shape((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
#define SCALAR shape_of(0, NULL)

static const Node *given(DType dtype, Shape of, const double *values) {
    const char *name = arena_printf(arena, "x%d", graph->node.count);
    const Node *node = node_input(graph, name, dtype, of);
    leaf[node->id] = values;
    return node;
}

#define GIVEN(dtype, of, ...) given(dtype, of, (const double[]){__VA_ARGS__})

// Whether the node has these values; NaN is equal to itself.
static void expect(const Node *node, int count, const double *wanted) {
    const double *got = run(node, &(Interp){.n = 2, .step = 3, .epoch = 1, .seed = 5});
    cr_assert_eq(shape_eval(&node->shape, 2), count);
    for (int i = 0; i < count; i++)
        cr_assert(got[i] == wanted[i] || (isnan(got[i]) && isnan(wanted[i])), "at %d: %g, not %g",
                  i, got[i], wanted[i]);
}

#define EXPECT(node, ...)                                                                          \
    expect(node, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                          \
           (const double[]){__VA_ARGS__})

Test(interp, leaves) {
    EXPECT(node_const(graph, DT_F32, 0.25), 0.25);
    EXPECT(node_fill(graph, DT_I32, 7, SHAPE(3)), 7, 7, 7);
    EXPECT(node_step(graph), 3);
    EXPECT(node_epoch(graph), 1);
    EXPECT(node_size(graph, (Dim){{1, 0, 2}}), 9); // at n = 2
    EXPECT(node_iota(graph, 0, SHAPE(2, 3)), 0, 0, 0, 1, 1, 1);
    EXPECT(node_iota(graph, 1, SHAPE(2, 3)), 0, 1, 2, 0, 1, 2);
    EXPECT(given(DT_F32, shape_of(1, (Dim[]){dim_batch()}), (double[]){4, 5}), 4, 5);
    const Node *rate = node_hyper(graph, "lr", 0.5);
    EXPECT(rate, 0.5);
    leaf[rate->id] = (const double[]){0.125};
    EXPECT(rate, 0.125);
}

Test(interp, a_leaf_without_value_is_our_bug, .exit_code = 3) {
    run(node_input(graph, "x", DT_F32, SCALAR), &(Interp){.n = 1});
}

Test(interp, random_numbers_are_the_generators) {
    const Node *node = node_random(graph, "drop", SHAPE(3));
    const double *got = run(node, &(Interp){.n = 1, .step = 4, .seed = 0x700000009});
    unsigned stream = nnc_random_stream("drop");
    for (unsigned i = 0; i < 3; i++)
        cr_assert_eq(got[i], (double)nnc_random_unit(nnc_random_key(9, 7, stream, 4, 0),
                                                     nnc_random_key(9, 7, stream, 4, 1), i));
}

Test(interp, pointwise) {
    const Node *x = GIVEN(DT_F32, SHAPE(3), -2, 0, 3), *y = GIVEN(DT_F32, SHAPE(3), 1, 0, 4);
    EXPECT(node_binary(graph, OP_sub, x, y), -3, 0, -1);
    EXPECT(node_binary(graph, OP_sub, node_const(graph, DT_F32, 1), x), 3, 1, -2);
    EXPECT(node_select(graph, node_binary(graph, OP_lt, x, y), x, y), -2, 0, 3);
    EXPECT(node_select(graph, node_binary(graph, OP_ge, x, y), x, y), 1, 0, 4);
}

Test(interp, whole_numbers_wrap) {
    const Node *a = GIVEN(DT_I32, SHAPE(3), INT32_MAX, 123456789, -7);
    const Node *b = GIVEN(DT_I32, SHAPE(3), 1, 987654321, 0);
    EXPECT(node_binary(graph, OP_add, a, b), INT32_MIN, 1111111110, -7);
    EXPECT(node_binary(graph, OP_mul, a, b), INT32_MAX, -67153019, 0);
    EXPECT(node_binary(graph, OP_mod, a, b), 0, 123456789, 0);
}

Test(interp, casts_and_stop) {
    const Node *x = GIVEN(DT_F32, SHAPE(5), -1.5, 0, 2.9, NAN, 1e20);
    EXPECT(node_cast(graph, DT_I32, x), -1, 0, 2, 0, INT32_MAX);
    EXPECT(node_cast(graph, DT_BOOL, x), 1, 0, 1, 1, 1);
    EXPECT(node_stop(graph, x), -1.5, 0, 2.9, NAN, 1e20);
    EXPECT(node_cast(graph, DT_F32, node_step(graph)), 3);
}

Test(interp, reductions) {
    const Node *x = GIVEN(DT_F32, SHAPE(2, 3), 1, 5, 2, 7, -1, 0);
    EXPECT(node_reduce(graph, OP_reduce_sum, x, 1), 8, 4, 2);
    EXPECT(node_reduce(graph, OP_reduce_sum, x, 2), 8, 6);
    EXPECT(node_reduce(graph, OP_reduce_max, x, 1), 7, 5, 2);
    EXPECT(node_reduce(graph, OP_reduce_min, x, 3), -1);
    EXPECT(node_reduce(graph, OP_reduce_sum, x, 0), 1, 5, 2, 7, -1, 0);
    const Node *empty = given(DT_F32, SHAPE(2, 0), (double[]){0});
    EXPECT(node_reduce(graph, OP_reduce_sum, empty, 2), 0, 0);
    EXPECT(node_reduce(graph, OP_reduce_max, empty, 2), -INFINITY, -INFINITY);
    EXPECT(node_reduce(graph, OP_reduce_min, empty, 3), INFINITY);
    const Node *whole = GIVEN(DT_I32, SHAPE(2), 3, 4);
    EXPECT(node_reduce(graph, OP_reduce_sum, whole, 1), 7);
}

Test(interp, a_nan_wins) {
    const Node *x = GIVEN(DT_F32, SHAPE(2, 3), 1, NAN, 9, NAN, 0, NAN);
    EXPECT(node_reduce(graph, OP_reduce_max, x, 2), NAN, NAN);
    EXPECT(node_reduce(graph, OP_reduce_min, x, 1), NAN, NAN, NAN);
    EXPECT(node_reduce(graph, OP_argmax, x, 2), 1, 0);
}

Test(interp, argmax_is_the_first_in_row_major_order) {
    const Node *x = GIVEN(DT_F32, SHAPE(2, 2, 3), 1, 5, 2, 5, 0, 5, -4, -9, -4, -3, -3, -8);
    EXPECT(node_reduce(graph, OP_argmax, x, 6), 1, 3);
    EXPECT(node_reduce(graph, OP_argmax, x, 4), 1, 0, 0, 0);
    EXPECT(node_reduce(graph, OP_argmax, x, 5), 1, 0); // axes 0 and 2: numbers 0 .. 5
    const Node *low = GIVEN(DT_F32, SHAPE(2), -INFINITY, -INFINITY);
    EXPECT(node_reduce(graph, OP_argmax, low, 1), 0);
}

Test(interp, movement) {
    const Node *x = GIVEN(DT_F32, SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    EXPECT(node_reshape(graph, x, SHAPE(3, 2)), 1, 2, 3, 4, 5, 6);
    EXPECT(node_permute(graph, x, (int8_t[]){1, 0}), 1, 4, 2, 5, 3, 6);
    EXPECT(node_broadcast(graph, x, 2, SHAPE(2, 2, 3)), 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6);
    EXPECT(node_flip(graph, x, 1), 4, 5, 6, 1, 2, 3);
    EXPECT(node_flip(graph, x, 3), 6, 5, 4, 3, 2, 1);
    EXPECT(node_slice(graph, x, (SliceAxis[]){{1, 1}, {0, 2}}, SHAPE(1, 2)), 4, 6);
    EXPECT(node_concat(graph, (const Node *[]){x, node_flip(graph, x, 2)}, 2, 1), //
           1, 2, 3, 3, 2, 1, 4, 5, 6, 6, 5, 4);
    EXPECT(node_concat(graph, (const Node *[]){x, x, x}, 3, 0), //
           1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6);
}

// Three axes, none of them its own inverse: [a, b, c] -> [c, a, b].
Test(interp, permute_of_three) {
    const Node *x = GIVEN(DT_F32, SHAPE(1, 2, 3), 1, 2, 3, 4, 5, 6);
    EXPECT(node_permute(graph, x, (int8_t[]){2, 0, 1}), 1, 4, 2, 5, 3, 6);
    EXPECT(node_permute(graph, x, (int8_t[]){1, 2, 0}), 1, 2, 3, 4, 5, 6);
}

Test(interp, pad) {
    const Node *x = GIVEN(DT_F32, SHAPE(2), 1, 2);
    EXPECT(node_pad(graph, x, (PadAxis[]){{1, 2, 0}}, 0), 0, 1, 2, 0, 0);
    EXPECT(node_pad(graph, x, (PadAxis[]){{0, 1, 2}}, -1), 1, -1, -1, 2, -1);
    const Node *empty = given(DT_F32, SHAPE(0), (double[]){0});
    EXPECT(node_pad(graph, empty, (PadAxis[]){{1, 1, 3}}, 9), 9, 9);
}

Test(interp, window_and_fold) {
    const Node *x = GIVEN(DT_F32, SHAPE(6), 1, 2, 3, 4, 5, 6);
    const Node *window = node_window(graph, x, 0, dim_const(2), 2, 1, 3);
    EXPECT(window, 1, 4, 2, 5);
    EXPECT(node_fold(graph, window, 0, dim_const(6), 1, 3), 1, 2, 0, 4, 5, 0);
    const Node *overlapping = node_window(graph, x, 0, dim_const(3), 2, 2, 1);
    EXPECT(overlapping, 1, 2, 3, 4, 5, 6);
    EXPECT(node_fold(graph, node_window(graph, x, 0, dim_const(3), 3, 1, 1), 0, dim_const(6), 1, 1),
           1, 4, 9, 8, 5, 0);
    const Node *rows = GIVEN(DT_F32, SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
    EXPECT(node_window(graph, rows, 1, dim_const(2), 2, 1, 1), 1, 2, 2, 3, 4, 5, 5, 6);
    EXPECT(node_window(graph, rows, 0, dim_const(1), 2, 1, 1), 1, 2, 3, 4, 5, 6);
}

Test(interp, gather_and_scatter_add) {
    const Node *table = GIVEN(DT_F32, SHAPE(3, 2), 1, 2, 3, 4, 5, 6);
    const Node *index = GIVEN(DT_I32, SHAPE(4), 2, -1, 0, 3);
    EXPECT(node_gather(graph, table, index), 5, 6, 0, 0, 1, 2, 0, 0);
    const Node *rows = GIVEN(DT_F32, SHAPE(4, 2), 1, 2, 3, 4, 5, 6, 7, 8);
    const Node *twice = GIVEN(DT_I32, SHAPE(4), 1, 1, 4, -5);
    EXPECT(node_scatter_add(graph, twice, rows, dim_const(2)), 0, 0, 4, 6);
    const Node *one = GIVEN(DT_I32, SCALAR, 1);
    EXPECT(node_gather(graph, table, one), 3, 4);
    const Node *row = GIVEN(DT_F32, SHAPE(2), 7, 8);
    EXPECT(node_scatter_add(graph, one, row, dim_const(2)), 0, 0, 7, 8);
}

Test(interp, product) {
    const Node *a = GIVEN(DT_F32, SHAPE(2, 1, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8);
    const Node *b = GIVEN(DT_F32, SHAPE(1, 1, 2, 1), 10, 1);
    EXPECT(node_product(graph, a, b, (ProductAttr){0}), 12, 34, 56, 78);
    EXPECT(node_product(graph, a, b, (ProductAttr){.transpose_a = true}), 13, 24, 57, 68);
    const Node *c = GIVEN(DT_F32, SHAPE(1, 1, 1, 2), 10, 1);
    EXPECT(node_product(graph, a, c, (ProductAttr){.transpose_b = true}), 12, 34, 56, 78);
    const Node *d = GIVEN(DT_F32, SHAPE(1, 2, 1, 2), 1, 2, 3, 4);
    EXPECT(node_product(graph, d, d, (ProductAttr){.transpose_b = true}), 30); // summed over s
    EXPECT(node_product(graph, d, d, (ProductAttr){.transpose_a = true}), 10, 14, 14, 20);
}

Test(interp, imposed_values_stand_for_a_nodes_own) {
    const Node *x = GIVEN(DT_F32, SHAPE(2), 1, 2);
    const Node *y = node_unary(graph, OP_neg, x), *z = node_unary(graph, OP_abs, y);
    const double *imposed[8] = {NULL};
    imposed[y->id] = (const double[]){-7, 8};
    const double *got = run(z, &(Interp){.n = 1, .imposed = imposed});
    cr_assert_eq(got[0], 7);
    cr_assert_eq(got[1], 8);
}

// --- Contractions

#define PLAIN(i)                                                                                   \
    { {i, -1}, {1, 0}, 0, 1 }

Test(interp, matrix_product) {
    const Node *a = GIVEN(DT_F32, SHAPE(2, 2), 1, 2, 3, 4);
    const Node *b = GIVEN(DT_F32, SHAPE(2, 2), 5, 6, 7, 8);
    ContractAttr attr = {.summed = 1,
                         .extent = {dim_const(2)},
                         .a = {PLAIN(0), PLAIN(2)},
                         .b = {PLAIN(2), PLAIN(1)}};
    EXPECT(node_contract(graph, a, b, &attr, SHAPE(2, 2)), 19, 22, 43, 50);
}

// Stride 2, padding 1, and then its derivative with respect to x, which reads at a half.
Test(interp, convolution_and_its_transpose) {
    const Node *x = GIVEN(DT_F32, SHAPE(5), 1, 2, 3, 4, 5),
               *w = GIVEN(DT_F32, SHAPE(3), 1, 10, 100);
    ContractAttr forward = {
        .summed = 1, .extent = {dim_const(3)}, .a = {{{0, 1}, {2, 1}, -1, 1}}, .b = {PLAIN(1)}};
    const Node *z = node_contract(graph, x, w, &forward, SHAPE(3));
    EXPECT(z, 210, 432, 54);
    ContractAttr transpose = forward;
    transpose.a[0] = (Access){{0, 1}, {1, -1}, 1, 2};
    const Node *g = GIVEN(DT_F32, SHAPE(3), 1, 2, 3);
    EXPECT(node_contract(graph, g, w, &transpose, SHAPE(5)), 10, 102, 20, 203, 30);
}

typedef struct Random {
    unsigned index;
} Random;

static int draw(Random *random, int low, int high) {
    unsigned bits = nnc_random_bits(1, 2, random->index++);
    return low + (int)(bits % (unsigned)(high - low + 1));
}

static double value_at(const Node *node, const Access *access, const int64_t *index,
                       const double *data) {
    int64_t offset = 0;
    for (int i = 0; i < node->shape.rank; i++) {
        int64_t place = access[i].offset, extent = node->shape.dim[i].c[0];
        for (int k = 0; k < 2; k++)
            if (access[i].index[k] >= 0) place += access[i].coef[k] * index[access[i].index[k]];
        if (place % access[i].divisor) return 0;
        place /= access[i].divisor;
        if (place < 0 || place >= extent) return 0;
        offset = offset * extent + place;
    }
    return data[offset];
}

static const Node *random_operand(Random *random, int rank) {
    Shape of = shape_of(0, NULL);
    for (int i = 0; i < rank; i++)
        of.dim[of.rank++] = dim_const(draw(random, 1, 4));
    int64_t size = shape_eval(&of, 1);
    double *data = ARENA_ARRAY(arena, double, size);
    for (int64_t i = 0; i < size; i++)
        data[i] = draw(random, -4, 4);
    return given(DT_F32, of, data);
}

static void random_accesses(Random *random, Access *access, int rank, int loops) {
    for (int i = 0; i < rank; i++) {
        int first = draw(random, -1, loops - 1), second = draw(random, -1, loops - 1);
        if (first < 0 || first == second) second = -1;
        access[i] = (Access){{(int8_t)first, (int8_t)second},
                             {draw(random, -2, 2), draw(random, -2, 2)},
                             draw(random, -3, 3),
                             draw(random, 1, 3) == 1 ? 2 : 1};
    }
}

// Loops 0, 1: the result's; 2, 3: summed, each with its plain use in b.
static void compare_with_definition(Random *random) {
    const Node *a = random_operand(random, 3), *b = random_operand(random, 3);
    Shape out = SHAPE(draw(random, 1, 4), draw(random, 1, 4));
    ContractAttr attr = {.summed = 2, .extent = {b->shape.dim[0], b->shape.dim[2]}};
    random_accesses(random, attr.a, 3, 4);
    random_accesses(random, attr.b, 3, 4);
    attr.b[0] = (Access)PLAIN(2);
    attr.b[2] = (Access)PLAIN(3);
    const Node *z = node_contract(graph, a, b, &attr, out);
    const double *got = run(z, &(Interp){.n = 1});
    int64_t i[4],
        extent[] = {out.dim[0].c[0], out.dim[1].c[0], attr.extent[0].c[0], attr.extent[1].c[0]};
    for (i[0] = 0; i[0] < extent[0]; i[0]++)
        for (i[1] = 0; i[1] < extent[1]; i[1]++) {
            double sum = 0;
            for (i[2] = 0; i[2] < extent[2]; i[2]++)
                for (i[3] = 0; i[3] < extent[3]; i[3]++)
                    sum +=
                        value_at(a, attr.a, i, leaf[a->id]) * value_at(b, attr.b, i, leaf[b->id]);
            cr_assert_eq(got[i[0] * extent[1] + i[1]], sum); // small whole numbers: exact
        }
}

Test(interp, contractions_keep_their_definition) {
    Random random = {0};
    for (int i = 0; i < 1000; i++) {
        tear_down();
        set_up();
        compare_with_definition(&random);
    }
}
