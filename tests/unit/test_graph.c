// SPDX-License-Identifier: MIT
// Extents, hash-consing, roots, import, the verifier.
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

static void tear_down(void) { arena_free(arena); }

TestSuite(graph, .init = set_up, .fini = tear_down);
TestSuite(dim, .init = set_up, .fini = tear_down);

static Dim polynomial(int64_t c0, int64_t c1, int64_t c2, int64_t c3) {
    return (Dim){{c0, c1, c2, c3}};
}

static const char *dim_text(Dim dim) {
    Buf buf = buf_new(arena);
    dim_print(&buf, dim);
    return buf.text;
}

static Shape shape2(int64_t rows, int64_t columns) {
    return shape_of(2, (Dim[]){dim_const(rows), dim_const(columns)});
}

static Shape batch_of(int64_t width) { return shape_of(2, (Dim[]){dim_batch(), dim_const(width)}); }

// --- Extents

Test(dim, prints_as_polynomials) {
    cr_assert_str_eq(dim_text(dim_const(64)), "64");
    cr_assert_str_eq(dim_text(dim_const(0)), "0");
    cr_assert_str_eq(dim_text(dim_const(-3)), "-3");
    cr_assert_str_eq(dim_text(dim_batch()), "N");
    cr_assert_str_eq(dim_text(polynomial(1, 2, 0, 0)), "2*N + 1");
    cr_assert_str_eq(dim_text(polynomial(-1, -2, 1, 0)), "N^2 - 2*N - 1");
    cr_assert_str_eq(dim_text(polynomial(0, 0, 0, -1)), "-N^3");
    cr_assert_str_eq(dim_text(dim_const(INT64_MIN)), "-9223372036854775808");
}

Test(dim, computes) {
    Dim d;
    cr_assert(dim_mul(&d, polynomial(1, 2, 0, 0), polynomial(3, 1, 0, 0)));
    cr_assert(dim_equal(d, polynomial(3, 7, 2, 0)));
    cr_assert_eq(dim_eval(d, 10), 3 + 70 + 200);
    cr_assert(dim_div(&d, d, polynomial(3, 1, 0, 0)));
    cr_assert(dim_equal(d, polynomial(1, 2, 0, 0)));
    cr_assert(dim_div(&d, polynomial(0, 0, 6, 0), polynomial(0, 2, 0, 0)));
    cr_assert(dim_equal(d, polynomial(0, 3, 0, 0)));
    cr_assert(dim_sub(&d, dim_batch(), dim_const(1)));
    cr_assert(dim_equal(d, polynomial(-1, 1, 0, 0)));
}

Test(dim, refuses_what_does_not_fit) {
    Dim d = dim_const(5);
    cr_assert_not(dim_add(&d, dim_const(INT64_MAX), dim_const(1)));
    cr_assert_not(dim_sub(&d, dim_const(INT64_MIN), dim_const(1)));
    cr_assert_not(dim_mul(&d, dim_const(INT64_MAX), dim_const(2)));
    cr_assert_not(dim_mul(&d, polynomial(0, 0, 1, 0), polynomial(0, 0, 1, 0)));
    cr_assert_not(dim_div(&d, dim_const(7), dim_const(2)));
    cr_assert_not(dim_div(&d, dim_const(7), dim_const(0)));
    cr_assert_not(dim_div(&d, dim_const(7), dim_batch()));
    cr_assert_not(dim_div(&d, polynomial(1, 1, 0, 0), dim_batch()));
    cr_assert_not(dim_div(&d, dim_const(INT64_MIN), dim_const(-1)));
    Shape huge = shape2(INT64_MAX, 3);
    cr_assert_not(shape_size(&d, &huge));
}

Test(dim, eval_overflow_is_our_bug, .exit_code = 3) { dim_eval(polynomial(0, 0, 0, 1), 1 << 30); }

Test(dim, bounds_hold_for_every_batch) {
    cr_assert(dim_at_least(dim_batch(), 1));
    cr_assert_not(dim_at_least(dim_batch(), 2));
    cr_assert(dim_at_least(polynomial(-1, 1, 0, 0), 0));
    cr_assert_not(dim_at_least(polynomial(-2, 1, 0, 0), 0));
    cr_assert_not(dim_at_least(polynomial(100, -1, 0, 0), 0));
    cr_assert(dim_at_least(polynomial(1, -2, 1, 0), 0)); // (N - 1)^2
    cr_assert(dim_at_least(polynomial(0, 0, 0, 1), 1));
}

// --- Nodes

Test(graph, equal_nodes_are_one) {
    const Node *x = node_input(graph, "x", DT_F32, batch_of(4));
    cr_assert_eq(x, node_input(graph, "x", DT_F32, batch_of(4)));
    cr_assert_neq(x, node_input(graph, "y", DT_F32, batch_of(4)));
    cr_assert_eq(node_unary(graph, OP_exp, x), node_unary(graph, OP_exp, x));
    cr_assert_neq(node_unary(graph, OP_exp, x), node_unary(graph, OP_tanh, x));
    cr_assert_eq(node_reduce(graph, OP_reduce_sum, x, 1), node_reduce(graph, OP_reduce_sum, x, 1));
    cr_assert_neq(node_reduce(graph, OP_reduce_sum, x, 1), node_reduce(graph, OP_reduce_sum, x, 2));
    cr_assert_eq(node_random(graph, "a", batch_of(4)), node_random(graph, "a", batch_of(4)));
    cr_assert_neq(node_random(graph, "a", batch_of(4)), node_random(graph, "b", batch_of(4)));
}

Test(graph, constants_are_told_apart_by_their_bits) {
    cr_assert_neq(node_const(graph, DT_F32, 0.0), node_const(graph, DT_F32, -0.0));
    cr_assert_eq(node_const(graph, DT_F32, NAN), node_const(graph, DT_F32, NAN));
    cr_assert_neq(node_const(graph, DT_F32, 1), node_const(graph, DT_I32, 1));
}

// Attributes are handed in by callers whose padding and unused entries hold anything.
Test(graph, contractions_are_compared_by_content) {
    const Node *x = node_input(graph, "x", DT_F32, batch_of(4));
    const Node *w = node_param(graph, "w", shape2(4, 3));
    const Node *made[2];
    for (int k = 0; k < 2; k++) {
        ContractAttr attr;
        memset(&attr, k ? 0x5A : 0xA5, sizeof attr);
        attr.summed = 1;
        attr.extent[0] = dim_const(4);
        const int8_t a[] = {0, 2}, b[] = {2, 1};
        for (int i = 0; i < 2; i++) {
            Access *access[] = {&attr.a[i], &attr.b[i]};
            for (int side = 0; side < 2; side++) {
                access[side]->index[0] = side ? b[i] : a[i];
                access[side]->index[1] = -1;
                access[side]->coef[0] = 1; // coef[1] is noise
                access[side]->offset = 0;
                access[side]->divisor = 1;
            }
        }
        made[k] = node_contract(graph, x, w, &attr, batch_of(3));
    }
    cr_assert_eq(made[0], made[1]);
}

Test(graph, operands_come_first_and_scalars_are_broadcast) {
    const Node *x = node_input(graph, "x", DT_F32, batch_of(4));
    const Node *y = node_binary(graph, OP_mul, node_const(graph, DT_F32, 2), x);
    cr_assert(shape_equal(&y->shape, &x->shape));
    cr_assert_eq(y->in[0]->op, OP_broadcast);
    cr_assert_eq(y->in[0]->attr->axes, 3u);
    for (int i = 0; i < graph->node.count; i++)
        for (int k = 0; k < graph->node.at[i]->in_count; k++)
            cr_assert_lt(graph->node.at[i]->in[k]->id, (uint32_t)i);
    cr_assert_null(graph_verify(graph, STAGE_MODEL, arena));
}

Test(graph, cast_to_the_same_type_is_nothing) {
    const Node *x = node_input(graph, "x", DT_F32, batch_of(4));
    cr_assert_eq(node_cast(graph, DT_F32, x), x);
    cr_assert_eq(node_cast(graph, DT_I32, x)->dtype, DT_I32);
}

Test(graph, spans_collect_once_oldest_first) {
    const Source *source = source_from_text(arena, "net.nnd", "a\nb\nc\n");
    graph->here = (Span){source, 2, 3};
    const Node *x = node_const(graph, DT_F32, 1);
    graph->here = (Span){source, 0, 1};
    node_const(graph, DT_F32, 1);
    graph->here = (Span){source, 2, 3};
    node_const(graph, DT_F32, 1);
    const SpanList *spans = graph->spans.at[x->id];
    cr_assert_eq(span_line(spans->span), 2);
    cr_assert_eq(span_line(spans->next->span), 1);
    cr_assert_null(spans->next->next);
}

Test(graph, a_foreign_operand_is_our_bug, .exit_code = 3) {
    Graph *other = graph_new(arena, "other");
    node_unary(graph, OP_exp, node_const(other, DT_F32, 1));
}

Test(graph, a_broken_rule_is_our_bug, .exit_code = 3) {
    node_binary(graph, OP_add, node_const(graph, DT_F32, 1), node_const(graph, DT_I32, 1));
}

Test(graph, a_state_root_of_another_shape_is_our_bug, .exit_code = 3) {
    const Node *v = node_state(graph, "v", DT_F32, batch_of(4));
    graph_add_root(graph, ROOT_STATE, "v", v, node_const(graph, DT_F32, 0));
}

Test(graph, import_copies_what_is_needed) {
    const Node *x = node_input(graph, "x", DT_F32, batch_of(4));
    const Node *unused = node_unary(graph, OP_log, x);
    const Node *cut = node_unary(graph, OP_exp, x);
    const Node *y = node_unary(graph, OP_tanh, cut);
    const Node *z = node_reduce(graph, OP_reduce_sum, y, 3);
    graph_set_label(graph, y, "here");
    Graph *other = graph_new(arena, "other");
    const Node *stand_in = node_param(other, "p", batch_of(4));
    const Node **done = ARENA_ARRAY(arena, const Node *, graph->node.count);
    done[cut->id] = stand_in;
    const Node *copy = graph_import(other, graph, z, done);
    cr_assert_eq(copy->op, OP_reduce_sum);
    cr_assert_eq(copy->attr->axes, 3u);
    cr_assert_eq(copy->in[0]->in[0], stand_in);
    cr_assert_str_eq(other->label.at[copy->in[0]->id], "here");
    cr_assert_eq(other->node.count, 3);
    cr_assert_null(done[unused->id]);
    cr_assert_eq(graph_import(other, graph, z, done), copy);
    cr_assert_null(graph_verify(other, STAGE_MODEL, arena));
}

Test(graph, operators_are_found_by_name) {
    for (int op = 0; op < OP_COUNT; op++)
        cr_assert_eq(op_find(op_info((Op)op)->name), (Op)op);
    cr_assert_eq(op_find("no_such"), OP_COUNT);
    cr_assert_eq(op_reference(OP_mod, -1, 3, 0), 2);
    cr_assert_eq(op_reference(OP_mod, 1, -3, 0), -2);
    cr_assert_eq(op_reference(OP_select, 0, 1, 2), 2);
    cr_assert(isnan(op_reference(OP_max, 1, NAN, 0)) && isnan(op_reference(OP_max, NAN, 1, 0)));
}

// --- The verifier, on graphs that no builder makes

static void expect_unsound(Stage stage, const char *part) {
    const char *text = graph_verify(graph, stage, arena);
    cr_assert(text, "the graph passes");
    cr_assert(strstr(text, part), "%s", text);
}

Test(graph, verify_accepts_a_sound_graph) {
    const Node *x = node_state(graph, "x", DT_F32, batch_of(4));
    graph_add_root(graph, ROOT_OUTPUT, "y", NULL, node_unary(graph, OP_exp, x));
    graph_add_root(graph, ROOT_STATE, "x", x, node_unary(graph, OP_neg, x));
    cr_assert_null(graph_verify(graph, STAGE_MODEL, arena));
    cr_assert_null(graph_verify(graph, STAGE_LOWERED, arena));
}

Test(graph, verify_order) {
    const Node *x = node_input(graph, "x", DT_F32, batch_of(4));
    const Node *y = node_unary(graph, OP_exp, x);
    graph->node.at[0] = y;
    graph->node.at[1] = x;
    expect_unsound(STAGE_MODEL, "not at the place of its number");
}

Test(graph, verify_operands_come_before) {
    const Node *x = node_input(graph, "x", DT_F32, batch_of(4));
    Node *y = (Node *)node_unary(graph, OP_exp, x);
    y->in = (const Node *const[]){y};
    expect_unsound(STAGE_MODEL, "%1: has an operand that does not come before it");
}

Test(graph, verify_rules) {
    Node *x = (Node *)node_unary(graph, OP_exp, node_input(graph, "x", DT_F32, batch_of(4)));
    x->dtype = DT_BOOL;
    expect_unsound(STAGE_MODEL, "%1: exp: the result is f32[N, 4], not bool[N, 4]");
}

Test(graph, verify_stage) {
    const Shape shape =
        shape_of(4, (Dim[]){dim_const(1), dim_const(1), dim_const(2), dim_const(2)});
    const Node *a = node_param(graph, "a", shape);
    node_product(graph, a, a, (ProductAttr){0});
    cr_assert_null(graph_verify(graph, STAGE_LOWERED, arena));
    expect_unsound(STAGE_MODEL, "product is not legal at this stage");
}

Test(graph, verify_one_leaf_a_name) {
    node_param(graph, "w", shape2(1, 2));
    node_state(graph, "w", DT_F32, shape2(2, 1));
    expect_unsound(STAGE_MODEL, "a second tensor \"w\"");
}

Test(graph, verify_step_scalars) {
    const Node *x = node_input(graph, "x", DT_F32, shape_of(0, NULL));
    const Node *rate = node_binary(graph, OP_mul, node_step(graph), node_hyper(graph, "lr", 1));
    node_cast(graph, DT_F32, rate);
    cr_assert_null(graph_verify(graph, STAGE_MODEL, arena));
    node_cast(graph, DT_F64, x);
    expect_unsound(STAGE_MODEL, "is f64 but depends on a tensor");
}

Test(graph, verify_roots) {
    const Node *x = node_state(graph, "x", DT_F32, batch_of(4));
    graph_add_root(graph, ROOT_STATE, "x", x, x);
    graph_add_root(graph, ROOT_STATE, "again", x, x);
    expect_unsound(STAGE_MODEL, "root \"again\" is given twice");
}
