// SPDX-License-Identifier: MIT
// The rule of each operator: what it lets pass, what it turns away and what it says then. Nodes are
// made by hand, since a builder would end the process.
#include "ir/graph.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" // rows name what matters

static Arena *arena;
static Graph *graph;

static void set_up(void) {
    arena = arena_new();
    graph = graph_new(arena, "test");
}

static void tear_down(void) { arena_free(arena); }

TestSuite(shape, .init = set_up, .fini = tear_down);

#define C(value)   dim_const(value)
#define B          dim_batch()
#define SHAPE(...) shape_of((int)(sizeof((Dim[]){__VA_ARGS__}) / sizeof(Dim)), (Dim[]){__VA_ARGS__})
#define SCALAR     shape_of(0, NULL)

static const Node *value(DType dtype, Shape shape) {
    return node_input(graph, arena_printf(arena, "x%d", graph->node.count), dtype, shape);
}

typedef struct Try {
    Op op;
    DType dtype;
    Shape shape;
    Attr attr;
    const Node *in[3];
} Try;

static const char *check(Try attempt) {
    Node *node = ARENA_NEW(arena, Node);
    Attr *attr = ARENA_NEW(arena, Attr);
    const Node **in = ARENA_ARRAY(arena, const Node *, 3);
    *attr = attempt.attr;
    memcpy(in, attempt.in, sizeof attempt.in);
    *node = (Node){
        .op = attempt.op, .dtype = attempt.dtype, .shape = attempt.shape, .attr = attr, .in = in};
    while (node->in_count < 3 && in[node->in_count])
        node->in_count++;
    return node_check(node, arena);
}

#define PASSES(...)                                                                                \
    do {                                                                                           \
        const char *said = check((Try){__VA_ARGS__});                                              \
        cr_assert(!said, "%s", said);                                                              \
    } while (0)
#define SAYS(text, ...)                                                                            \
    do {                                                                                           \
        const char *said = check((Try){__VA_ARGS__});                                              \
        cr_assert(said, "passes");                                                                 \
        cr_assert_str_eq(said, text);                                                              \
    } while (0)

Test(shape, number_of_operands) {
    const Node *x = value(DT_F32, SHAPE(B));
    SAYS("add: takes 2 operands, not 1", OP_add, DT_F32, SHAPE(B), .in = {x});
    SAYS("step: takes 0 operands, not 1", OP_step, DT_F64, SCALAR, .in = {x});
    SAYS("concat: of nothing", OP_concat, DT_F32, SHAPE(B));
}

Test(shape, extents) {
    Attr named = {.name = "x"};
    SAYS("input: f32[N - 2] has an extent that may be negative", OP_input, DT_F32, SHAPE({{-2, 1}}),
         named);
    SAYS("input: f32[9223372036854775807, 2] is too large", OP_input, DT_F32,
         SHAPE(C(INT64_MAX), C(2)), named);
    SAYS("input: f32[N, 281474976710657] is too large", OP_input, DT_F32,
         SHAPE(B, C(((int64_t)1 << 48) + 1)), named);
    PASSES(OP_input, DT_F32, SHAPE({{-1, 1}}), named);
    PASSES(OP_input, DT_F32, SHAPE(C(0)), named);
}

Test(shape, leaves) {
    SAYS("input: has no name", OP_input, DT_F32, SHAPE(B));
    SAYS("state: has no name", OP_state, DT_F32, SHAPE(B), {.name = ""});
    SAYS("param: is not f32", OP_param, DT_I32, SHAPE(B), {.name = "w"});
    SAYS("random: is not f32", OP_random, DT_I32, SHAPE(B), {.name = "r"});
    SAYS("state: f64[]: f64 is for scalars of the step", OP_state, DT_F64, SCALAR, {.name = "v"});
    SAYS("const: f64[N]: f64 is for scalars of the step", OP_const, DT_F64, SHAPE(B));
    SAYS("hyper: has no name", OP_hyper, DT_F64, SCALAR);
    SAYS("step: the result is f64[], not f32[]", OP_step, DT_F32, SCALAR);
    SAYS("size: an extent that may be negative", OP_size, DT_F64, SCALAR, {.extent = C(-1)});
    SAYS("const: the result is f32[], not f32[N]", OP_const, DT_F32, SHAPE(B));
    SAYS("const: a bool is 0 or 1, not 2", OP_const, DT_BOOL, SCALAR, {.value = 2});
    SAYS("const: 0.5 is no i32", OP_const, DT_I32, SCALAR, {.value = 0.5});
    SAYS("const: nan is no i32", OP_const, DT_I32, SCALAR, {.value = NAN});
    SAYS("iota: axis 1 of i32[N]", OP_iota, DT_I32, SHAPE(B), {.axis = 1});
    SAYS("iota: axis -1 of i32[N]", OP_iota, DT_I32, SHAPE(B), {.axis = -1});
}

Test(shape, pointwise) {
    const Node *x = value(DT_F32, SHAPE(B)), *i = value(DT_I32, SHAPE(B));
    const Node *b = value(DT_BOOL, SHAPE(B)), *y = value(DT_F32, SHAPE(C(3)));
    PASSES(OP_add, DT_I32, SHAPE(B), .in = {i, i});
    PASSES(OP_lt, DT_BOOL, SHAPE(B), .in = {i, i});
    PASSES(OP_select, DT_BOOL, SHAPE(B), .in = {b, b, b});
    SAYS("add: operands of type f32 and i32", OP_add, DT_F32, SHAPE(B), .in = {x, i});
    SAYS("add: operands of shape f32[N] and f32[3]", OP_add, DT_F32, SHAPE(B), .in = {x, y});
    SAYS("add: operand 0 is bool", OP_add, DT_F32, SHAPE(B), .in = {b, b});
    SAYS("exp: operand 0 is i32", OP_exp, DT_I32, SHAPE(B), .in = {i});
    SAYS("and: operand 1 is f32", OP_and, DT_BOOL, SHAPE(B), .in = {b, x});
    SAYS("select: operand 0 is f32", OP_select, DT_F32, SHAPE(B), .in = {x, x, x});
    SAYS("select: operands of type f32 and i32", OP_select, DT_F32, SHAPE(B), .in = {b, x, i});
    SAYS("lt: the result is bool[N], not f32[N]", OP_lt, DT_F32, SHAPE(B), .in = {x, x});
    SAYS("exp: the result is f32[N], not f32[3]", OP_exp, DT_F32, SHAPE(C(3)), .in = {x});
}

Test(shape, casts) {
    const Node *x = value(DT_F32, SHAPE(B));
    PASSES(OP_cast, DT_BOOL, SHAPE(B), .in = {x});
    SAYS("cast: the result is i32[N], not i32[3]", OP_cast, DT_I32, SHAPE(C(3)), .in = {x});
    SAYS("cast: f64[N]: f64 is for scalars of the step", OP_cast, DT_F64, SHAPE(B), .in = {x});
    SAYS("stop: the result is f32[N], not i32[N]", OP_stop, DT_I32, SHAPE(B), .in = {x});
}

Test(shape, reductions) {
    const Node *x = value(DT_F32, SHAPE(B, C(3))), *b = value(DT_BOOL, SHAPE(B));
    PASSES(OP_reduce_sum, DT_F32, SHAPE(C(3)), {.axes = 1}, {x});
    PASSES(OP_argmax, DT_I32, SCALAR, {.axes = 3}, {x});
    SAYS("reduce_sum: axis 2 of f32[N, 3]", OP_reduce_sum, DT_F32, SHAPE(B), {.axes = 6}, {x});
    SAYS("reduce_max: of bool[N]", OP_reduce_max, DT_BOOL, SCALAR, {.axes = 1}, {b});
    SAYS("reduce_max: the result is f32[N], not f32[3]", OP_reduce_max, DT_F32, SHAPE(C(3)),
         {.axes = 2}, {x});
    SAYS("argmax: the result is i32[N], not f32[N]", OP_argmax, DT_F32, SHAPE(B), {.axes = 2}, {x});
}

Test(shape, reshape_and_permute) {
    const Node *x = value(DT_F32, SHAPE(B, C(3), C(4)));
    Dim flat = {{0, 12}};
    PASSES(OP_reshape, DT_F32, SHAPE(flat), .in = {x});
    PASSES(OP_permute, DT_F32, SHAPE(C(4), B, C(3)), {.perm = {2, 0, 1}}, {x});
    SAYS("reshape: f32[N, 3, 4] and f32[N, 11] differ in size", OP_reshape, DT_F32, SHAPE(B, C(11)),
         .in = {x});
    SAYS("reshape: f32[N, 3, 4] and f32[12] differ in size", OP_reshape, DT_F32, SHAPE(C(12)),
         .in = {x});
    const char *no = "permute: perm is no permutation of the axes of f32[N, 3, 4]";
    SAYS(no, OP_permute, DT_F32, SHAPE(B, C(3), C(4)), {.perm = {0, 1, 1}}, {x});
    SAYS(no, OP_permute, DT_F32, SHAPE(B, C(3), C(4)), {.perm = {0, 1, 3}}, {x});
    SAYS(no, OP_permute, DT_F32, SHAPE(B, C(3), C(4)), {.perm = {0, 1, -1}}, {x});
    SAYS("permute: the result is f32[4, N, 3], not f32[N, 3, 4]", OP_permute, DT_F32,
         SHAPE(B, C(3), C(4)), {.perm = {2, 0, 1}}, {x});
}

Test(shape, broadcast) {
    const Node *x = value(DT_F32, SHAPE(B, C(3)));
    PASSES(OP_broadcast, DT_F32, SHAPE(B, C(5), C(3)), {.axes = 2}, {x});
    SAYS("broadcast: f32[N, 3] does not become f32[N, 5, 3] by new axes", OP_broadcast, DT_F32,
         SHAPE(B, C(5), C(3)), {.axes = 1}, {x});
    SAYS("broadcast: axis 3 of f32[N, 5, 3]", OP_broadcast, DT_F32, SHAPE(B, C(5), C(3)),
         {.axes = 8}, {x});
}

Test(shape, pad_and_slice) {
    const Node *x = value(DT_F32, SHAPE(B, C(4))), *empty = value(DT_F32, SHAPE(C(0)));
    Attr pad = {.pad = {{0}, {1, 2, 3}}};
    PASSES(OP_pad, DT_F32, SHAPE(B, C(16)), pad, {x}); // 4 + 3 * 3 + 3
    PASSES(OP_pad, DT_F32, SHAPE(C(2)), {.pad = {{1, 1, 5}}}, {empty});
    SAYS("pad: the result is f32[N, 16], not f32[N, 7]", OP_pad, DT_F32, SHAPE(B, C(7)), pad, {x});
    SAYS("pad: a negative padding of axis 1", OP_pad, DT_F32, SHAPE(B, C(3)),
         {.pad = {{0}, {-1, 0, 0}}}, {x});
    Attr slice = {.slice = {{0, 1}, {1, 2}}};
    PASSES(OP_slice, DT_F32, SHAPE(B, C(2)), slice, {x});
    SAYS("slice: axis 1 of f32[N, 4] does not hold f32[N, 3] from 1 by 2", OP_slice, DT_F32,
         SHAPE(B, C(3)), slice, {x});
    SAYS("slice: axis 0 of f32[N, 4] does not hold f32[2, 2] from 0 by 1", OP_slice, DT_F32,
         SHAPE(C(2), C(2)), slice, {x});
    SAYS("slice: axis 0: start 0, step 0", OP_slice, DT_F32, SHAPE(B, C(2)), .in = {x});
    SAYS("slice: f32[N] of f32[N, 4]", OP_slice, DT_F32, SHAPE(B), slice, {x});
}

Test(shape, flip_and_concat) {
    const Node *x = value(DT_F32, SHAPE(B, C(4))), *y = value(DT_F32, SHAPE(B, C(5)));
    const Node *i = value(DT_I32, SHAPE(B, C(4)));
    SAYS("flip: axis 2 of f32[N, 4]", OP_flip, DT_F32, SHAPE(B, C(4)), {.axes = 4}, {x});
    PASSES(OP_concat, DT_F32, SHAPE(B, C(13)), {.axis = 1}, {x, y, x});
    SAYS("concat: axis 2 of f32[N, 4]", OP_concat, DT_F32, SHAPE(B, C(9)), {.axis = 2}, {x, y});
    SAYS("concat: f32[N, 4] and f32[N, 5]", OP_concat, DT_F32, SHAPE(B, C(9)), {.axis = 0}, {x, y});
    SAYS("concat: f32[N, 4] and i32[N, 4]", OP_concat, DT_F32, SHAPE(B, C(8)), {.axis = 1}, {x, i});
    SAYS("concat: the result is f32[N, 9], not f32[N, 8]", OP_concat, DT_F32, SHAPE(B, C(8)),
         {.axis = 1}, {x, y});
}

Test(shape, window_and_fold) {
    const Node *whole = value(DT_F32, SHAPE(B, C(9))), *parts = value(DT_F32, SHAPE(B, C(4), C(3)));
    Attr attr = {.window = {.axis = 1, .stride = 2, .dilation = 1, .extent = C(9)}};
    PASSES(OP_window, DT_F32, SHAPE(B, C(4), C(3)), attr, {whole});
    PASSES(OP_fold, DT_F32, SHAPE(B, C(9)), attr, {parts});
    SAYS("window: windows reach beyond axis 1 of f32[N, 9]", OP_window, DT_F32,
         SHAPE(B, C(5), C(3)), attr, {whole});
    SAYS("window: taps, stride and dilation are at least 1", OP_window, DT_F32,
         SHAPE(B, C(4), C(0)), attr, {whole});
    SAYS("window: axis 0 differs between f32[N, 9] and f32[3, 4, 3]", OP_window, DT_F32,
         SHAPE(C(3), C(4), C(3)), attr, {whole});
    SAYS("fold: the result is f32[N, 8], not of its extent", OP_fold, DT_F32, SHAPE(B, C(8)), attr,
         {parts});
    attr.window.extent = C(8);
    SAYS("fold: windows reach beyond axis 1 of f32[N, 8]", OP_fold, DT_F32, SHAPE(B, C(8)), attr,
         {parts});
    attr.window.axis = 2;
    SAYS("window: axis 2 between f32[N, 9] and f32[N, 4, 3]", OP_window, DT_F32,
         SHAPE(B, C(4), C(3)), attr, {whole});
}

// x[i0, 2*i2 + j0] w[i1, j0] in its parts: a row of the test changes one.
static const char *convolution(int8_t second, int32_t divisor, Dim extent, int8_t plain) {
    const Node *x = value(DT_F32, SHAPE(B, C(9))), *w = value(DT_F32, SHAPE(C(5), C(3)));
    ContractAttr contract = {.summed = 1,
                             .extent = {extent},
                             .a = {{{0, -1}, {1, 0}, 0, 1}, {{2, second}, {2, 1}, 0, divisor}},
                             .b = {{{1, -1}, {1, 0}, 0, 1}, {{plain, -1}, {1, 0}, 0, 1}}};
    Attr attr = {.contract = &contract};
    return check((Try){OP_contract, DT_F32, SHAPE(B, C(5), C(4)), attr, {x, w}});
}

Test(shape, contractions) {
    cr_assert_null(convolution(3, 1, C(3), 3));
    cr_assert_null(convolution(3, 2, C(3), 3));
    cr_assert_str_eq(convolution(3, 0, C(3), 3),
                     "contract: axis 1 of operand 0 is read at no affine index");
    cr_assert_str_eq(convolution(2, 1, C(3), 3),
                     "contract: axis 1 of operand 0 is read at no affine index");
    cr_assert_str_eq(convolution(4, 1, C(3), 3),
                     "contract: axis 1 of operand 0 is read at no affine index");
    cr_assert_str_eq(convolution(3, 1, C(2), 3), "contract: j0 nowhere runs along one whole axis");
    cr_assert_str_eq(convolution(3, 1, C(3), 1), "contract: j0 nowhere runs along one whole axis");
    cr_assert_str_eq(convolution(3, 1, C(-3), 3),
                     "contract: j0 has an extent that may be negative");
    const Node *i = value(DT_I32, SCALAR), *x = value(DT_F32, SCALAR);
    ContractAttr none = {0};
    SAYS("contract: of i32[] and f32[]", OP_contract, DT_F32, SCALAR, {.contract = &none}, {i, x});
    SAYS("contract: has no indices", OP_contract, DT_F32, SCALAR, .in = {x, x});
    none.summed = MAX_RANK + 1;
    SAYS("contract: has no indices", OP_contract, DT_F32, SCALAR, {.contract = &none}, {x, x});
}

Test(shape, products) {
    const Node *a = value(DT_F32, SHAPE(B, C(2), C(3), C(4)));
    const Node *b = value(DT_F32, SHAPE(C(1), C(2), C(4), C(5)));
    const Node *c = value(DT_F32, SHAPE(C(7), C(2), C(4), C(5)));
    PASSES(OP_product, DT_F32, SHAPE(B, C(3), C(5)), .in = {a, b});
    SAYS("product: f32[N, 2, 3, 4] and f32[1, 2, 4, 5] do not fit", OP_product, DT_F32,
         SHAPE(B, C(3), C(5)), {.product = {.transpose_a = true}}, {a, b});
    SAYS("product: f32[N, 2, 3, 4] and f32[7, 2, 4, 5] differ in their batch", OP_product, DT_F32,
         SHAPE(B, C(3), C(5)), .in = {a, c});
    SAYS("product: the result is f32[N, 3, 5], not f32[N, 5, 3]", OP_product, DT_F32,
         SHAPE(B, C(5), C(3)), .in = {a, b});
}

Test(shape, gather_and_scatter) {
    const Node *table = value(DT_F32, SHAPE(C(10), C(4))), *index = value(DT_I32, SHAPE(B));
    const Node *rows = value(DT_F32, SHAPE(B, C(4))), *x = value(DT_F32, SHAPE(B));
    PASSES(OP_gather, DT_F32, SHAPE(B, C(4)), .in = {table, index});
    PASSES(OP_scatter_add, DT_F32, SHAPE(C(10), C(4)), {.extent = C(10)}, {index, rows});
    SAYS("gather: an index of f32[N]", OP_gather, DT_F32, SHAPE(B, C(4)), .in = {table, x});
    SAYS("gather: of i32[] by i32[N]", OP_gather, DT_I32, SHAPE(B),
         .in = {value(DT_I32, SCALAR), index});
    SAYS("scatter_add: an index of f32[N]", OP_scatter_add, DT_F32, SHAPE(C(10), C(4)),
         {.extent = C(10)}, {x, rows});
    SAYS("scatter_add: of f32[10, 4] by i32[N]", OP_scatter_add, DT_F32, SHAPE(C(10), C(4)),
         {.extent = C(10)}, {index, table});
    SAYS("scatter_add: the result is f32[9, 4], not f32[10, 4]", OP_scatter_add, DT_F32,
         SHAPE(C(10), C(4)), {.extent = C(9)}, {index, rows});
}
