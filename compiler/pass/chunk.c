// SPDX-License-Identifier: MIT
// Which part of a step can be done for some examples at a time. Every node is of one of four kinds:
//
//     fixed     without N, from parameters and constants: computed wherever it is read
//     examples  its shape has N, and each example's part is computed from that example's part of
//               what it reads
//     sum       without N, a sum over examples: what a chunk has of it is added up
//     later     computed from sums
//
// A node that is none of them is why a step cannot be split: something that an example needs from
// the others (a batch statistic), or that is gathered from all in another way than by a sum.
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

// --- The kinds

typedef struct Split {
    const Graph *graph;
    uint8_t *kind;
    Chunks result;
} Split;

static bool refuse(Split *s, const Node *node, const char *why) {
    const SpanList *places = s->graph->spans.at[node->id];
    s->result.why = why;
    s->result.where = places ? places->span : SPAN_NONE;
    return false;
}

static bool classify(Split *s, const Node *node) {
    bool examples = false, later = false;
    for (int i = 0; i < node->in_count; i++) {
        Kind kind = (Kind)s->kind[node->in[i]->id];
        examples |= kind == EXAMPLES;
        later |= kind == SUM || kind == LATER;
    }
    if ((examples || is_varying(node)) && later)
        return refuse(s, node, "an example needs what is computed from all of them here");
    if (is_varying(node)) {
        s->kind[node->id] = EXAMPLES;
        return is_by_example(node) || refuse(s, node, "examples are not apart here");
    }
    s->kind[node->id] = examples ? SUM : later ? LATER : FIXED;
    return !examples || is_sum(node) ||
           refuse(s, node, "examples are put together here in another way than by a sum");
}

static bool *find_live(Arena *arena, const Graph *graph) {
    bool *live = ARENA_ARRAY(arena, bool, graph->node.count + 1);
    for (int i = 0; i < graph->root.count; i++)
        live[graph->root.at[i].value->id] = true;
    for (int id = graph->node.count - 1; id >= 0; id--)
        for (int i = 0; live[id] && i < graph->node.at[id]->in_count; i++)
            live[graph->node.at[id]->in[i]->id] = true;
    return live;
}

static bool find_kinds(Split *s, Arena *arena) {
    const bool *live = find_live(arena, s->graph);
    bool any = false;
    for (int id = 0; id < s->graph->node.count; id++) {
        if (live[id] && !classify(s, s->graph->node.at[id])) return false;
        any |= s->kind[id] == SUM;
    }
    for (int i = 0; i < s->graph->root.count; i++)
        if (s->kind[s->graph->root.at[i].value->id] == EXAMPLES)
            return refuse(s, s->graph->root.at[i].value, "this is kept of every example");
    if (!any) s->result.why = "nothing in it is summed over examples";
    return any;
}

// --- The two graphs

Chunks chunk_split(Arena *arena, const Graph *train) {
    Split s = {.graph = train};
    int count = train->node.count + 1, sums = 0;
    s.kind = ARENA_ARRAY(arena, uint8_t, count);
    if (!find_kinds(&s, arena)) return s.result;
    Graph *chunk = s.result.chunk = graph_new(arena, "chunk");
    Graph *rest = s.result.rest = graph_new(arena, train->name);
    const Node **in_chunk = ARENA_ARRAY(arena, const Node *, count);
    const Node **in_rest = ARENA_ARRAY(arena, const Node *, count);
    for (int id = 0; id < train->node.count; id++) {
        const Node *node = train->node.at[id];
        if (s.kind[id] != SUM) continue;
        const char *name = arena_printf(arena, "sum.%d", sums++);
        const Node *old = node_state(chunk, name, node->dtype, node->shape);
        const Node *part = graph_import(chunk, train, node, in_chunk);
        graph_add_root(chunk, ROOT_STATE, name, old, node_binary(chunk, OP_add, old, part));
        in_rest[id] = node_state(rest, name, node->dtype, node->shape);
    }
    for (int i = 0; i < train->root.count; i++) {
        const Root *root = &train->root.at[i];
        const Node *leaf = root->leaf ? graph_import(rest, train, root->leaf, in_rest) : NULL;
        graph_add_root(rest, root->kind, root->name, leaf,
                       graph_import(rest, train, root->value, in_rest));
    }
    for (int id = 0; id < train->node.count; id++)
        if (s.kind[id] == SUM)
            graph_add_root(rest, ROOT_STATE, in_rest[id]->attr->name, in_rest[id],
                           node_fill(rest, in_rest[id]->dtype, 0, in_rest[id]->shape));
    return s.result;
}
