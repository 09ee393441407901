// SPDX-License-Identifier: MIT
// The printed form of a graph, attribute by attribute.
#include "ir/graph.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static Arena *arena;
static Graph *graph;

static void set_up(void) {
    arena = arena_new();
    graph = graph_new(arena, "test");
}

static const char *text_of(const Graph *of) {
    Buf buf = buf_new(arena);
    graph_print(&buf, of);
    return buf.text;
}

static const char *text(void) { return text_of(graph); }

static const char *without_comments(const char *from) {
    Buf buf = buf_new(arena);
    while (*from) {
        size_t length = strcspn(from, "\n");
        const char *comment = strstr(from, "   # ");
        bool has_comment = comment && comment < from + length;
        buf_add_n(&buf, from, has_comment ? (size_t)(comment - from) : length);
        buf_add(&buf, "\n");
        from += length + 1;
    }
    return buf.text;
}

// After every test: what it made reads back and prints the same again.
static void tear_down(void) {
    Diag *diag = diag_new(arena);
    Graph *again = graph_read(arena, source_from_text(arena, "text", text()), diag);
    cr_assert(again, "%s", diag_text(diag, arena));
    cr_assert_str_eq(text_of(again), without_comments(text()));
    arena_free(arena);
}

TestSuite(text, .init = set_up, .fini = tear_down);

// The line of the newest node, without its number.
static const char *line(const Node *node) {
    const char *at = strstr(text(), arena_printf(arena, "  %%%u = ", node->id));
    at = strchr(at, '=') + 2;
    return arena_strndup(arena, at, strcspn(at, "\n"));
}

static const Node *input(int rank, const int64_t *extent) {
    Shape shape = shape_of(0, NULL);
    for (int i = 0; i < rank; i++)
        shape.dim[shape.rank++] = extent[i] ? dim_const(extent[i]) : dim_batch();
    return node_input(graph, "x", DT_F32, shape);
}

#define INPUT(...)                                                                                 \
    input((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

Test(text, whole_graph) {
    const Source *source = source_from_text(arena, "net.nnd", "one\ntwo\nthree\n");
    graph->here = (Span){source, 4, 7};
    const Node *x = INPUT(0, 4);
    const Node *y = node_unary(graph, OP_tanh, x);
    graph->here = SPAN_NONE;
    const Node *v = node_state(graph, "v", DT_F32, shape_of(1, (Dim[]){dim_batch()}));
    const Node *sum = node_reduce(graph, OP_reduce_sum, y, 2);
    graph_set_label(graph, y, "fc1");
    graph_set_label(graph, sum, "two\nlines");
    graph_add_span(graph, y, (Span){source, 8, 9});
    graph_add_root(graph, ROOT_OUTPUT, "y \"1\"", NULL, sum);
    graph_add_root(graph, ROOT_STATE, "v", v, sum);
    cr_assert_str_eq(text(), "graph test {\n"
                             "  %0 = input \"x\" : f32[N, 4]   # net.nnd:2\n"
                             "  %1 = tanh %0 : f32[N, 4]   # fc1, net.nnd:2, net.nnd:3\n"
                             "  %2 = state \"v\" : f32[N]\n"
                             "  %3 = reduce_sum %1 {axes = 1} : f32[N]   # two lines\n"
                             "  output \"y \\\"1\\\"\" = %3\n"
                             "  state \"v\" %2 = %3\n"
                             "}\n");
    graph->stage = STAGE_LOWERED;
    cr_assert_eq(strncmp(text(), "graph test lowered {\n", 21), 0);
}

Test(text, constants) {
    cr_assert_str_eq(line(node_const(graph, DT_F32, 0)), "const {value = 0} : f32[]");
    cr_assert_str_eq(line(node_const(graph, DT_F32, -0.0)), "const {value = -0} : f32[]");
    cr_assert_str_eq(line(node_const(graph, DT_F32, 0.1)), "const {value = 0.1} : f32[]");
    cr_assert_str_eq(line(node_const(graph, DT_F64, 1.0 / 3)),
                     "const {value = 0.3333333333333333} : f64[]");
    cr_assert_str_eq(line(node_const(graph, DT_F32, -INFINITY)), "const {value = -inf} : f32[]");
    cr_assert_str_eq(line(node_const(graph, DT_F32, -NAN)), "const {value = nan} : f32[]");
    cr_assert_str_eq(line(node_const(graph, DT_BOOL, 1)), "const {value = 1} : bool[]");
    cr_assert_str_eq(line(node_hyper(graph, "lr", 1e-3)), "hyper \"lr\" {value = 0.001} : f64[]");
}

Test(text, leaves) {
    Shape shape = shape_of(2, (Dim[]){dim_batch(), dim_const(3)});
    Dim extent = {{1, 2}};
    cr_assert_str_eq(line(node_iota(graph, 1, shape)), "iota {axis = 1} : i32[N, 3]");
    cr_assert_str_eq(line(node_iota(graph, 0, shape)), "iota : i32[N, 3]");
    cr_assert_str_eq(line(node_random(graph, "drop", shape)), "random \"drop\" : f32[N, 3]");
    cr_assert_str_eq(line(node_size(graph, extent)), "size {extent = 2*N + 1} : f64[]");
    cr_assert_str_eq(line(node_step(graph)), "step : f64[]");
}

Test(text, movement) {
    const Node *x = INPUT(0, 4, 5);
    Shape flat = shape_of(2, (Dim[]){dim_batch(), dim_const(20)});
    cr_assert_str_eq(line(node_reshape(graph, x, flat)), "reshape %0 : f32[N, 20]");
    cr_assert_str_eq(line(node_permute(graph, x, (int8_t[]){2, 0, 1})),
                     "permute %0 {perm = 2 0 1} : f32[5, N, 4]");
    cr_assert_str_eq(line(node_flip(graph, x, 6)), "flip %0 {axes = 1 2} : f32[N, 4, 5]");
    cr_assert_str_eq(line(node_pad(graph, x, (PadAxis[]){{0, 0, 0}, {1, 2, 0}, {0, 0, 1}}, -1)),
                     "pad %0 {value = -1, low = 0 1 0, high = 0 2 0, interior = 0 0 1}"
                     " : f32[N, 7, 9]");
    Shape part = shape_of(3, (Dim[]){dim_batch(), dim_const(2), dim_const(5)});
    cr_assert_str_eq(line(node_slice(graph, x, (SliceAxis[]){{0, 1}, {1, 2}, {0, 1}}, part)),
                     "slice %0 {start = 0 1 0, step = 1 2 1} : f32[N, 2, 5]");
    cr_assert_str_eq(line(node_concat(graph, (const Node *[]){x, x, x}, 3, 2)),
                     "concat %0 %0 %0 {axis = 2} : f32[N, 4, 15]");
    const Node *window = node_window(graph, x, 2, dim_const(2), 3, 2, 1);
    cr_assert_str_eq(line(window), "window %0 {axis = 2, stride = 2, dilation = 1}"
                                   " : f32[N, 4, 2, 3]");
    cr_assert_str_eq(line(node_fold(graph, window, 2, dim_const(5), 2, 1)),
                     arena_printf(arena,
                                  "fold %%%u {axis = 2, extent = 5, stride = 2, dilation = 1}"
                                  " : f32[N, 4, 5]",
                                  window->id));
}

Test(text, contractions) {
    const Node *x = INPUT(0, 3, 9);
    const Node *w = node_param(graph, "w", shape_of(1, (Dim[]){dim_const(3)}));
    ContractAttr attr = {
        .summed = 1,
        .extent = {dim_const(3)},
        .a = {{{0, -1}, {1, 0}, 0, 1}, {{-1, -1}, {0, 0}, 2, 1}, {{1, 2}, {2, -3}, -1, 2}},
        .b = {{{2, -1}, {1, 0}, 0, 1}}};
    Shape out = shape_of(2, (Dim[]){dim_batch(), dim_const(4)});
    cr_assert_str_eq(line(node_contract(graph, x, w, &attr, out)),
                     "contract %0[i0, 2, (i1*2 - j0*3 - 1)/2] %1[j0] {sum = 3} : f32[N, 4]");
    attr.a[1] = (Access){{-1, -1}, {0, 0}, 0, 1};
    attr.a[2] = (Access){{1, -1}, {-1, 0}, INT32_MIN, 1};
    cr_assert_str_eq(line(node_contract(graph, x, w, &attr, out)),
                     "contract %0[i0, 0, -i1 - 2147483648] %1[j0] {sum = 3} : f32[N, 4]");
    const Node *one = node_const(graph, DT_F32, 1);
    cr_assert_str_eq(line(node_contract(graph, one, one, &(ContractAttr){0}, shape_of(0, NULL))),
                     "contract %4[] %4[] : f32[]");
}

Test(text, products_gather_and_scatter) {
    const Node *table = INPUT(7, 4);
    const Node *index = node_input(graph, "i", DT_I32, shape_of(1, (Dim[]){dim_batch()}));
    const Node *rows = node_gather(graph, table, index);
    cr_assert_str_eq(line(rows), "gather %0 %1 : f32[N, 4]");
    cr_assert_str_eq(line(node_scatter_add(graph, index, rows, dim_const(7))),
                     "scatter_add %1 %2 {extent = 7} : f32[7, 4]");
    const Node *a = node_param(
        graph, "a", shape_of(4, (Dim[]){dim_const(1), dim_const(1), dim_const(2), dim_const(3)}));
    cr_assert_str_eq(line(node_product(graph, a, a, (ProductAttr){.transpose_b = true})),
                     "product %4 %4 {transpose_b = 1} : f32[1, 2, 2]");
}
