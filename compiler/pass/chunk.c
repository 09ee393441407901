// SPDX-License-Identifier: MIT
// Which part of a step can be done for some examples at a time. Every node is of one of four kinds:
//
//     fixed     without N, from parameters and constants: computed wherever it is read
//     examples  its shape has N, and each example's part is computed from that example's part of
//               what it reads
//     sum       without N, a sum over examples: what a chunk has of it is added up
//     later     computed from sums
//
// and is there from some pass through the batch on: what is fixed, from the first; a sum, from the
// one after that in which it is added up; others, when all that they read is. That an example needs
// what is computed from all of them takes a pass more. That is one for each further `minimize`, but
// two or more for each batch statistic, with everything in front of it computed again each time: a
// few passes are taken, and no more.
//
// A node that is none of the kinds is why a step cannot be split: something that is gathered from
// all examples in another way than by a sum.
#include "pass/chunk.h"

#include <string.h>

typedef enum Kind { FIXED, EXAMPLES, SUM, LATER } Kind;

// The axis along which the examples lie, so many indices to each; -1: there is none; -2: this is no
// row of examples.
static int example_axis(const Shape *shape) {
    int found = -1;
    Dim each;
    for (int axis = 0; axis < shape->rank; axis++) {
        if (dim_is_const(shape->dim[axis])) continue;
        bool row = dim_div(&each, shape->dim[axis], dim_batch()) && dim_is_const(each);
        if (!row || found != -1) return -2;
        found = axis;
    }
    return found;
}

static bool is_varying(const Node *node) { return example_axis(&node->shape) != -1; }

// --- Is each example's part of a node made from that example's part of its inputs?

static Dim size_before(const Shape *shape, int axis) {
    Shape before = shape_of(axis, shape->dim);
    Dim size;
    if (!shape_size(&size, &before)) bug("size of a prefix overflows");
    return size;
}

static bool is_whole_slice(const Node *node, int axis) {
    const SliceAxis *slice = &node->attr->slice[axis];
    return slice->start == 0 && slice->step == 1 &&
           dim_equal(node->shape.dim[axis], node->in[0]->shape.dim[axis]);
}

static bool is_unpadded(const Node *node, int axis) {
    const PadAxis *pad = &node->attr->pad[axis];
    return pad->low == 0 && pad->high == 0 && pad->interior == 0;
}

// The loop index of a contraction that runs over examples; -1: none, -2: several.
static int example_index(const Node *node) {
    const ContractAttr *a = node->attr->contract;
    int found = -1;
    for (int i = 0; i < node->shape.rank + a->summed; i++) {
        Dim extent = i < node->shape.rank ? node->shape.dim[i] : a->extent[i - node->shape.rank];
        if (!dim_is_const(extent)) found = found == -1 ? i : -2;
    }
    return found;
}

// Is the operand read at examples by that index alone, and at nothing else by it?
static bool reads_own(const Node *operand, const Access *access, int index) {
    int examples = example_axis(&operand->shape);
    for (int axis = 0; axis < operand->shape.rank; axis++) {
        const Access *at = &access[axis];
        bool plain = at->index[0] == index && at->index[1] < 0 && at->coef[0] == 1 &&
                     at->offset == 0 && at->divisor == 1;
        bool uses = at->index[0] == index || at->index[1] == index;
        if (axis == examples ? !plain : uses) return false;
    }
    return true;
}

static bool contracts_by_example(const Node *node) {
    const ContractAttr *a = node->attr->contract;
    int index = example_index(node);
    return index >= 0 && reads_own(node->in[0], a->a, index) && reads_own(node->in[1], a->b, index);
}

static bool is_by_example(const Node *node) {
    int axis = example_axis(&node->shape);
    const Node *in = node->in_count ? node->in[0] : NULL;
    if (axis < 0) return false;
    if (op_info(node->op)->pointwise) return true;
    switch (node->op) {
    case OP_input:
    case OP_random: // counted from the step's first example
        return axis == 0;
    case OP_cast:
    case OP_stop:
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_permute:
    case OP_broadcast:
        return true;
    case OP_argmax:
    case OP_iota:
        return node->op == OP_argmax || node->attr->axis != axis;
    case OP_reshape:
        return dim_equal(size_before(&in->shape, example_axis(&in->shape)),
                         size_before(&node->shape, axis));
    case OP_pad:
        return is_unpadded(node, axis);
    case OP_slice:
        return is_whole_slice(node, axis);
    case OP_flip:
        return !(node->attr->axes >> axis & 1);
    case OP_concat:
        return node->attr->axis != axis;
    case OP_window:
    case OP_fold:
        return node->attr->window.axis != example_axis(&in->shape);
    case OP_gather:
        return !is_varying(in);
    case OP_contract:
        return contracts_by_example(node);
    default:
        return false;
    }
}

static bool is_sum(const Node *node) {
    if (node->dtype != DT_F32 && node->dtype != DT_I32) return false;
    switch (node->op) {
    case OP_reduce_sum:
        return node->attr->axes >> example_axis(&node->in[0]->shape) & 1;
    case OP_scatter_add:
        return example_axis(&node->in[0]->shape) == 0 && example_axis(&node->in[1]->shape) == 0;
    case OP_contract:
        return contracts_by_example(node);
    default:
        return false;
    }
}

// The same numbers in another order: of sums, a sum.
static bool is_moved_sum(const Node *node) {
    return node->op == OP_concat || node->op == OP_reshape || node->op == OP_permute;
}

// --- The kinds

typedef struct Split {
    Arena *arena;
    const Graph *graph;
    bool *live;
    uint8_t *kind, *pass; // by node id; pass: the first in which the node's value is there
    // By node id: the state of it, from one function to those after it. NULL: it is computed where
    // it is read.
    const char **state;
    bool *left_out; // by root
    Chunks result;
} Split;

static bool refuse(Split *s, const Node *node, const char *why) {
    const SpanList *places = s->graph->spans.at[node->id];
    s->result.why = why;
    s->result.where = places ? places->span : SPAN_NONE;
    return false;
}

static bool classify(Split *s, const Node *node) {
    bool examples = false, later = false, sums = node->in_count > 0;
    uint8_t pass = 0;
    for (int i = 0; i < node->in_count; i++) {
        uint32_t in = node->in[i]->id;
        examples |= s->kind[in] == EXAMPLES;
        later |= s->kind[in] == SUM || s->kind[in] == LATER;
        sums &= s->kind[in] == SUM && s->pass[in] == s->pass[node->in[0]->id];
        if (s->pass[in] > pass) pass = s->pass[in];
    }
    examples |= is_varying(node);
    if (examples && pass >= NNC_PASSES)
        return refuse(s, node, "an example needs what is computed from all of them here");
    s->kind[node->id] = is_varying(node)             ? EXAMPLES
                        : examples                   ? SUM
                        : sums && is_moved_sum(node) ? SUM
                        : later                      ? LATER
                                                     : FIXED;
    s->pass[node->id] = (uint8_t)(pass + (examples && !is_varying(node)));
    if (is_varying(node))
        return is_by_example(node) || refuse(s, node, "examples are not apart here");
    return !examples || is_sum(node) ||
           refuse(s, node, "examples are put together here in another way than by a sum");
}

// What roots need is live, besides what was so before.
static void spread(const Split *s, bool *live) {
    for (int id = s->graph->node.count - 1; id >= 0; id--)
        for (int i = 0; live[id] && i < s->graph->node.at[id]->in_count; i++)
            live[s->graph->node.at[id]->in[i]->id] = true;
}

// Is it only reported? The loss is what a run is watched by.
static bool is_metric(const Root *root) {
    return root->kind == ROOT_OUTPUT && strcmp(root->name, "loss") != 0;
}

static bool find_kinds(Split *s) {
    const Graph *graph = s->graph;
    for (int i = 0; i < graph->root.count; i++)
        if (!is_metric(&graph->root.at[i])) s->live[graph->root.at[i].value->id] = true;
    spread(s, s->live);
    for (int id = 0; id < graph->node.count; id++) {
        if (!s->live[id]) continue;
        if (!classify(s, graph->node.at[id])) return false;
        if (s->kind[id] == SUM && s->pass[id] > s->result.passes) s->result.passes = s->pass[id];
    }
    for (int i = 0; i < graph->root.count; i++)
        if (!is_metric(&graph->root.at[i]) && s->kind[graph->root.at[i].value->id] == EXAMPLES)
            return refuse(s, graph->root.at[i].value, "this is kept of every example");
    if (!s->result.passes) s->result.why = "nothing in it is summed over examples";
    return s->result.passes > 0;
}

// A metric comes along where it takes no pass of its own.
static bool comes_along(Split *s, const Root *root) {
    const Graph *graph = s->graph;
    bool *live = ARENA_ARRAY(s->arena, bool, graph->node.count + 1), fits = true;
    live[root->value->id] = true;
    spread(s, live);
    for (int id = 0; fits && id < graph->node.count; id++)
        if (live[id] && !s->live[id])
            fits = classify(s, graph->node.at[id]) &&
                   (s->kind[id] != SUM || s->pass[id] <= s->result.passes);
    fits &= s->kind[root->value->id] != EXAMPLES;
    for (int id = 0; fits && id < graph->node.count; id++)
        s->live[id] |= live[id];
    return fits;
}

static void find_metrics(Split *s) {
    for (int i = 0; i < s->graph->root.count; i++)
        s->left_out[i] =
            is_metric(&s->graph->root.at[i]) && !comes_along(s, &s->graph->root.at[i]);
    s->result.why = NULL; // a metric's
}

// --- What goes from one function to the next: sums, and what later passes read

static bool is_moved(const Split *s, const Node *node) {
    return s->kind[node->id] == SUM && is_moved_sum(node);
}

// Is it computed where it is read, being nothing but a movement, maybe to something larger?
static bool is_passing(const Node *node) {
    return node->dtype == DT_BOOL || node->op == OP_stop || node->op == OP_slice ||
           node->op == OP_broadcast || node->op == OP_reshape || node->op == OP_permute;
}

static void keep(Split *s, const Node *node) {
    if (s->kind[node->id] != LATER || s->state[node->id]) return;
    if (!is_passing(node)) s->state[node->id] = "kept";
    for (int i = 0; is_passing(node) && i < node->in_count; i++)
        keep(s, node->in[i]);
}

static void find_states(Split *s) {
    const Graph *graph = s->graph;
    int count = 0;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        for (int i = 0; s->live[id] && i < node->in_count; i++) {
            const Node *in = node->in[i];
            if (s->kind[in->id] == SUM && !is_moved(s, node)) s->state[in->id] = "sum";
            if (s->kind[id] == EXAMPLES || s->kind[id] == SUM) keep(s, in);
        }
    }
    for (int i = 0; i < graph->root.count; i++)
        if (!s->left_out[i] && s->kind[graph->root.at[i].value->id] == SUM)
            s->state[graph->root.at[i].value->id] = "sum";
    for (int id = 0; id < graph->node.count; id++)
        if (s->state[id]) s->state[id] = arena_printf(s->arena, "%s.%d", s->state[id], count++);
}

// --- The graphs

typedef struct Function {
    Split *split;
    Graph *graph;
    const Node **done; // by id of the whole graph's nodes
} Function;

static const Node *state_of(const Function *f, uint32_t id) {
    const Node *node = f->split->graph->node.at[id];
    return node_state(f->graph, f->split->state[id], node->dtype, node->shape);
}

// A function that finds in states what is there from pass `kept` on, and sums of pass `summed`.
static Function function_new(Split *s, const char *name, int kept, int summed) {
    int count = s->graph->node.count;
    Function f = {s, graph_new(s->arena, name), ARENA_ARRAY(s->arena, const Node *, count + 1)};
    for (uint32_t id = 0; id < (uint32_t)count; id++)
        if (s->state[id] && s->pass[id] <= (s->kind[id] == SUM ? summed : kept))
            f.done[id] = state_of(&f, id);
    return f;
}

static const Node *value_in(const Function *f, const Node *node) {
    return graph_import(f->graph, f->split->graph, node, f->done);
}

// The sums, or what is kept, that are there from `pass` on.
static Graph *with_states(Function f, Kind kind, int pass) {
    const Split *s = f.split;
    for (uint32_t id = 0; id < (uint32_t)s->graph->node.count; id++) {
        if (!s->state[id] || s->kind[id] != kind || s->pass[id] != pass) continue;
        const Node *old = state_of(&f, id), *value = value_in(&f, s->graph->node.at[id]);
        graph_add_root(f.graph, ROOT_STATE, s->state[id], old,
                       kind == SUM ? node_binary(f.graph, OP_add, old, value) : value);
    }
    return f.graph;
}

static Graph *rest_of(Function f) {
    const Split *s = f.split;
    for (int i = 0; i < s->graph->root.count; i++) {
        const Root *root = &s->graph->root.at[i];
        if (s->left_out[i]) continue;
        graph_add_root(f.graph, root->kind, root->name,
                       root->leaf ? value_in(&f, root->leaf) : NULL, value_in(&f, root->value));
    }
    for (uint32_t id = 0; id < (uint32_t)s->graph->node.count; id++) {
        const Node *sum = s->graph->node.at[id];
        if (s->state[id] && s->kind[id] == SUM)
            graph_add_root(f.graph, ROOT_STATE, s->state[id], f.done[id],
                           node_fill(f.graph, sum->dtype, 0, sum->shape));
    }
    return f.graph;
}

Chunks chunk_split(Arena *arena, const Graph *train) {
    static const char *const chunk[NNC_PASSES] = {"chunk", "chunk_2", "chunk_3"},
                             *const between[NNC_PASSES - 1] = {"between", "between_2"};
    int count = train->node.count + 1;
    Split s = {.arena = arena, .graph = train};
    s.live = ARENA_ARRAY(arena, bool, count);
    s.kind = ARENA_ARRAY(arena, uint8_t, count);
    s.pass = ARENA_ARRAY(arena, uint8_t, count);
    s.state = ARENA_ARRAY(arena, const char *, count);
    s.left_out = ARENA_ARRAY(arena, bool, train->root.count + 1);
    if (!find_kinds(&s)) return (Chunks){.why = s.result.why, .where = s.result.where};
    find_metrics(&s);
    find_states(&s);
    int passes = s.result.passes;
    for (int i = 0; i < passes; i++)
        s.result.chunk[i] = with_states(function_new(&s, chunk[i], i, i), SUM, i + 1);
    for (int i = 0; i + 1 < passes; i++)
        s.result.between[i] = with_states(function_new(&s, between[i], i, i + 1), LATER, i + 1);
    s.result.rest = rest_of(function_new(&s, train->name, passes, passes));
    return s.result;
}
