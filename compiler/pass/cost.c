// SPDX-License-Identifier: MIT
// Kernels described: see cost.h. All of it is a function of the fusion, which is walked from a
// kernel's results down to what is stored.
#include "pass/cost.h"

#include "ir/wino.h"
#include "pass/fuse_internal.h"

#include <stdlib.h>

// Is `node` what the kernel computes, and not what it copies or reads?
static bool is_computed(const Kernel *kernel, const Node *node) {
    for (int i = 0; i < kernel->result.count; i++)
        if (kernel->result.at[i].value == node) return !kernel->result.at[i].from.buffer;
    return false;
}

// Not stored, or stored by this kernel: then its inputs belong to the kernel, too.
static bool is_own(const Fusion *fusion, const Kernel *kernel, const Node *node) {
    return is_computed(kernel, node) || !fusion->storage[node->id].buffer;
}

static bool is_slot(const Fusion *fusion, const Node *node) { // computed once a step
    return node->dtype == DT_F64 || fusion->scalar_slot[node->id] >= 0;
}

// --- Nodes and places

static void collect(Arena *arena, const Fusion *fusion, const Kernel *kernel, const Node *node,
                    KernelNodes *nodes) {
    if (!is_own(fusion, kernel, node) || is_slot(fusion, node) ||
        !marks_add(fusion->seen, node->id))
        return;
    VEC_PUSH(arena, nodes->node, node);
    for (int i = 0; i < node->in_count; i++)
        collect(arena, fusion, kernel, node->in[i], nodes);
}

static int by_id(const void *a, const void *b) {
    uint32_t first = (*(const Node *const *)a)->id, second = (*(const Node *const *)b)->id;
    return (first > second) - (first < second);
}

KernelNodes kernel_nodes(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    KernelNodes nodes = {0};
    marks_clear(fusion->seen);
    for (int i = 0; i < kernel->result.count; i++)
        if (is_computed(kernel, kernel->result.at[i].value))
            collect(arena, fusion, kernel, kernel->result.at[i].value, &nodes);
    if (nodes.node.count > 0)
        qsort(nodes.node.at, (size_t)nodes.node.count, sizeof *nodes.node.at, by_id);
    return nodes;
}

static void add_places(const Fusion *fusion, const Kernel *kernel, const Node *node, Places *places,
                       Arena *arena) {
    enum { MOST_PLACES = 64 }; // nobody reads more
    if (!marks_add(fusion->seen, node->id) || places->span.count >= MOST_PLACES) return;
    for (const SpanList *s = fusion->graph->spans.at[node->id]; s; s = s->next) {
        bool known = s->span.source == NULL;
        for (int i = 0; i < places->span.count; i++)
            known |= places->span.at[i].source == s->span.source &&
                     span_line(places->span.at[i]) == span_line(s->span);
        if (!known) VEC_PUSH(arena, places->span, s->span);
    }
    for (int i = 0; i < node->in_count; i++)
        if (is_own(fusion, kernel, node->in[i]))
            add_places(fusion, kernel, node->in[i], places, arena);
}

Places kernel_places(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    Places places = {0};
    marks_clear(fusion->seen);
    for (int i = 0; i < kernel->result.count; i++)
        add_places(fusion, kernel, kernel->result.at[i].value, &places, arena);
    return places;
}

// --- Cost

static double size_of(const Fusion *fusion, const Node *node) {
    return (double)shape_eval(&node->shape, fusion->batch);
}

// How many elements of its input `which` a node needs, if `used` elements of itself are.
static double elements_needed(const Fusion *fusion, const Node *node, int which, double used) {
    double size = size_of(fusion, node), in = size_of(fusion, node->in[which]);
    if (node_is_wino(node)) return in;
    switch (node->op) {
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_argmax:
    case OP_concat:
        return size > 0 ? used / size * in : 0;
    case OP_fold:
    case OP_contract:
    case OP_product:
    case OP_scatter_add:
        return in;
    case OP_gather:
        return which == 0 && used < in ? used : in;
    default: // pointwise operators and movements
        return used < in ? used : in;
    }
}

static double product_terms(const Fusion *fusion, const Node *product) {
    const Dim *a = product->in[0]->shape.dim;
    Dim k = a[product->attr->product.transpose_a ? 2 : 3];
    return (double)dim_eval(a[1], fusion->batch) * (double)dim_eval(k, fusion->batch);
}

static double contract_terms(const Fusion *fusion, const Node *contract) {
    const ContractAttr *attr = contract->attr->contract;
    double terms = 1;
    for (int i = 0; i < attr->summed; i++)
        terms *= (double)dim_eval(attr->extent[i], fusion->batch);
    return terms;
}

// A patch is multiplied by the operator's matrix from both sides.
static double wino_flops(const Fusion *fusion, const Node *node) {
    WinoMatrix matrix = wino_matrix(node->op, node->attr->wino.tile);
    double side = node->attr->wino.tile + 2, terms = 0;
    double out = size_of(fusion, node), in = size_of(fusion, node->in[0]);
    for (int i = 0; i < matrix.rows; i++)
        for (int j = 0; j < matrix.columns; j++)
            terms += matrix.at[i][j] != 0;
    bool to_points = matrix.rows == side && node->op != OP_wino_in_t;
    return (to_points ? out : in) / (side * side) * 2 * terms * (matrix.rows + matrix.columns);
}

// Of `used` elements of a node.
static double node_flops(const Fusion *fusion, const Node *node, double used) {
    if (node_is_wino(node)) return wino_flops(fusion, node);
    switch (node->op) {
    case OP_product:
        return 2 * used * product_terms(fusion, node);
    case OP_contract:
        return 2 * used * contract_terms(fusion, node);
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_argmax:
        return elements_needed(fusion, node, 0, used);
    case OP_fold:
        return size_of(fusion, node->in[0]);
    case OP_scatter_add:
        return size_of(fusion, node->in[1]);
    default:
        return op_info(node->op)->pointwise ? used : 0;
    }
}

// needed: elements by node id; of a node that is used twice, no more than it has.
static void add_need(const Fusion *fusion, double *needed, const Node *node, double elements) {
    double size = size_of(fusion, node), *sum = &needed[node->id];
    *sum = *sum + elements < size ? *sum + elements : size;
}

Cost kernel_cost(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    const Graph *graph = fusion->graph;
    double *needed = ARENA_ARRAY(arena, double, graph->node.count + 1);
    Cost cost = {0};
    for (int i = 0; i < kernel->result.count; i++) {
        const Node *value = kernel->result.at[i].value;
        add_need(fusion, needed, value, size_of(fusion, value));
        cost.bytes += size_of(fusion, value) * dtype_size(value->dtype); // written
    }
    for (int id = graph->node.count - 1; id >= 0; id--) {
        const Node *node = graph->node.at[id];
        double used = needed[id];
        int64_t offset;
        if (used <= 0 || is_slot(fusion, node)) continue;
        if (is_own(fusion, kernel, node)) {
            cost.flops += node_flops(fusion, node, used);
            for (int i = 0; i < node->in_count; i++)
                add_need(fusion, needed, node->in[i], elements_needed(fusion, node, i, used));
        } else if (!is_computed(kernel, strip_views(node, fusion->batch, &offset))) {
            cost.bytes += used * dtype_size(node->dtype); // read
        }
    }
    return cost;
}
