// SPDX-License-Identifier: MIT
// Graphs: nodes, hash-consing, roots, side tables, copying from one graph to another. Every node is
// made in node_rebuild(): its rule is checked there, equal ones are found there.
#include "ir/graph.h"
#include "support/map.h"

#include <string.h>

Graph *graph_new(Arena *arena, const char *name) {
    Graph *graph = ARENA_NEW(arena, Graph);
    graph->name = arena_strdup(arena, name);
    graph->arena = arena;
    graph->interned = map_new(arena);
    graph->conses = map_new(arena);
    graph->backward = map_new(arena);
    return graph;
}

static const char *intern(Graph *graph, const char *name) {
    char *known = map_get(graph->interned, name);
    if (known) return known;
    known = arena_strdup(graph->arena, name);
    map_put(graph->interned, name, known);
    return known;
}

bool graph_owns(const Graph *graph, const Node *node) {
    return node && node->id < (uint32_t)graph->node.count && graph->node.at[node->id] == node;
}

void graph_add_root(Graph *graph, RootKind kind, const char *name, const Node *leaf,
                    const Node *value) {
    if (!graph_owns(graph, value)) bug("root %s is a node of another graph", name);
    if (kind == ROOT_STATE) {
        if (!graph_owns(graph, leaf) || (leaf->op != OP_state && leaf->op != OP_param))
            bug("root %s: a state needs its leaf", name);
        if (leaf->dtype != value->dtype || !shape_equal(&leaf->shape, &value->shape))
            bug("root %s: the next value has another type than the state", name);
    }
    Root root = {kind, intern(graph, name), kind == ROOT_STATE ? leaf : NULL, value};
    VEC_PUSH(graph->arena, graph->root, root);
}

// --- Side tables

// The oldest first: that is where the node was made.
// Of a node: nobody reads more, and a constant may serve every line of a file.
enum { MOST_SPANS = 64 };

void graph_add_span(Graph *graph, const Node *node, Span span) {
    if (!span.source) return;
    const SpanList **end = &graph->spans.at[node->id];
    int count = 0;
    for (; *end; end = (const SpanList **)&(*end)->next, count++)
        if (!memcmp(&(*end)->span, &span, sizeof span)) return;
    if (count == MOST_SPANS) return;
    SpanList *item = ARENA_NEW(graph->arena, SpanList);
    item->span = span;
    *end = item;
}

void graph_set_label(Graph *graph, const Node *node, const char *label) {
    graph->label.at[node->id] = label ? intern(graph, label) : NULL;
}

// A rule may have found the node to be an older one, of another kind: that was not chosen here.
void graph_take_notes(Graph *graph, const Node *made, const Graph *from, const Node *node) {
    for (const SpanList *item = from->spans.at[node->id]; item; item = item->next)
        graph_add_span(graph, made, item->span);
    if (from->label.at[node->id] && !graph->label.at[made->id])
        graph_set_label(graph, made, from->label.at[node->id]);
    if (made->op == node->op && !graph->choice.at[made->id])
        graph->choice.at[made->id] = from->choice.at[node->id];
    if (!graph->section.at[made->id]) graph->section.at[made->id] = from->section.at[node->id];
}

void graph_stand_for(Graph *graph, const Graph *from, const Node *node) {
    const SpanList *spans = node ? from->spans.at[node->id] : NULL;
    graph->here = spans ? spans->span : SPAN_NONE;
    graph->inside = node ? from->section.at[node->id] : NULL;
}

const Section *section_new(Graph *graph, Section section) {
    Section *made = ARENA_NEW(graph->arena, Section);
    *made = section;
    return made;
}

const Section *section_backward(Graph *graph, const Section *section) {
    if (!section || section->forward) return section;
    const Section *outer = section_backward(graph, section->outer);
    void **known = map_at_bytes(graph->backward, &section, sizeof section);
    if (!*known)
        *known = (void *)section_new(graph, (Section){section->kind, section->name, section->callee,
                                                      section->path, outer, section});
    return *known;
}

static const Section *renewed(Graph *graph, Map *made, const Section *section) {
    if (!section) return NULL;
    const Section *outer = renewed(graph, made, section->outer);
    const Section *known = map_get_bytes(made, &section, sizeof section);
    if (known) return known;
    Section copy = *section;
    copy.outer = outer;
    known = section_new(graph, copy);
    map_put_bytes(made, &section, sizeof section, (void *)known);
    return known;
}

void section_renew(Graph *graph, int first) {
    Map *made = map_new(graph->arena);
    for (int id = first; id < graph->node.count; id++)
        graph->section.at[id] = renewed(graph, made, graph->section.at[id]);
}

// --- Hash-consing: a node's key is what it is, written out as 64-bit words without any padding

static void add(Graph *graph, int64_t word) { VEC_PUSH(graph->arena, graph->key, word); }

static void add_pair(Graph *graph, int32_t high, int32_t low) {
    add(graph, (int64_t)((uint64_t)(uint32_t)high << 32 | (uint32_t)low));
}

// Which of them are constants, in one word, makes one word of each that is.
static void add_dims(Graph *graph, const Dim *dim, int count) {
    int32_t varying = 0;
    for (int i = 0; i < count; i++)
        varying |= !dim_is_const(dim[i]) << i;
    add_pair(graph, count, varying);
    for (int i = 0; i < count; i++)
        for (int power = 0; power <= (varying >> i & 1 ? DIM_DEGREE : 0); power++)
            add(graph, dim[i].c[power]);
}

static void add_accesses(Graph *graph, const Access *access, int count) {
    for (int i = 0; i < count; i++) {
        add_pair(graph, access[i].index[0], access[i].index[1]);
        add_pair(graph, access[i].index[0] < 0 ? 0 : access[i].coef[0],
                 access[i].index[1] < 0 ? 0 : access[i].coef[1]);
        add_pair(graph, access[i].offset, access[i].divisor);
    }
}

static void add_contract(Graph *graph, const Node *node) {
    const ContractAttr *contract = node->attr->contract;
    add_dims(graph, contract->extent, contract->summed);
    add_accesses(graph, contract->a, node->in[0]->shape.rank);
    add_accesses(graph, contract->b, node->in[1]->shape.rank);
}

// Attributes by axis mean the axes of the input.
static int attr_axes(const Node *node) { return node->in_count ? node->in[0]->shape.rank : 0; }

static void add_attr(Graph *graph, const Node *node) {
    const Attr *attr = node->attr;
    int64_t bits; // so that 0 and -0 differ and a NaN is equal to itself
    memcpy(&bits, &attr->value, sizeof bits);
    add(graph, attr->name ? (int64_t)(intptr_t)intern(graph, attr->name) : 0);
    add(graph, bits);
    add_pair(graph, (int32_t)attr->axes, attr->axis);
    add_dims(graph, &attr->extent, 1);
    for (int i = 0; i < attr_axes(node); i++) {
        add_pair(graph, attr->perm[i], attr->pad[i].interior);
        add_pair(graph, attr->pad[i].low, attr->pad[i].high);
        add_pair(graph, attr->slice[i].start, attr->slice[i].step);
    }
    add_pair(graph, attr->window.stride, attr->window.dilation);
    add_dims(graph, &attr->window.extent, 1);
    add_pair(graph, attr->window.axis, attr->product.transpose_a * 2 + attr->product.transpose_b);
    add_pair(graph, attr->wino.tile, attr->wino.swap);
    add(graph, attr->wino.panel);
    add_pair(graph, attr->wino.offset[0], attr->wino.offset[1]);
    add_pair(graph, attr->wino.tiles[0], attr->wino.tiles[1]);
    if (node->op == OP_contract) add_contract(graph, node);
}

// Into graph->key.
static void write_key(Graph *graph, const Node *node) {
    graph->key.count = 0;
    add_pair(graph, node->op, node->dtype);
    add_dims(graph, node->shape.dim, node->shape.rank);
    add(graph, node->in_count);
    for (int i = 0; i < node->in_count; i++)
        add(graph, node->in[i]->id);
    if (!op_info(node->op)->pointwise) add_attr(graph, node);
}

// --- Making a node

// Field by field into zeroed memory, and no more accesses than there are axes: equal attributes are
// equal bytes, whatever the padding and the unused part of what the caller handed in.
static void copy_accesses(Access *to, const Access *from, int count) {
    for (int i = 0; i < count; i++) {
        memcpy(to[i].index, from[i].index, sizeof to[i].index);
        for (int k = 0; k < 2; k++)
            to[i].coef[k] = from[i].index[k] < 0 ? 0 : from[i].coef[k];
        to[i].offset = from[i].offset;
        to[i].divisor = from[i].divisor;
    }
}

static const ContractAttr *copy_contract(Graph *graph, const Node *node) {
    const ContractAttr *from = node->attr->contract;
    ContractAttr *to = ARENA_NEW(graph->arena, ContractAttr);
    to->summed = from->summed;
    for (int i = 0; i < from->summed; i++)
        to->extent[i] = from->extent[i];
    copy_accesses(to->a, from->a, node->in[0]->shape.rank);
    copy_accesses(to->b, from->b, node->in[1]->shape.rank);
    return to;
}

static const Attr *copy_attr(Graph *graph, const Node *node) {
    static const Attr none;
    if (op_info(node->op)->pointwise) return &none;
    const Attr *from = node->attr;
    Attr *to = ARENA_NEW(graph->arena, Attr);
    to->name = from->name ? intern(graph, from->name) : NULL;
    to->value = from->value;
    to->axes = from->axes;
    to->axis = from->axis;
    to->extent = from->extent;
    for (int i = 0; i < attr_axes(node); i++) {
        to->perm[i] = from->perm[i];
        to->pad[i] = from->pad[i];
        to->slice[i] = from->slice[i];
    }
    to->window.axis = from->window.axis;
    to->window.stride = from->window.stride;
    to->window.dilation = from->window.dilation;
    to->window.extent = from->window.extent;
    to->product = from->product;
    to->wino.tile = from->wino.tile;
    to->wino.swap = from->wino.swap;
    to->wino.panel = from->wino.panel;
    memcpy(to->wino.offset, from->wino.offset, sizeof to->wino.offset);
    memcpy(to->wino.tiles, from->wino.tiles, sizeof to->wino.tiles);
    if (node->op == OP_contract) to->contract = copy_contract(graph, node);
    return to;
}

static bool is_of_step(const Node *node) {
    if (node->dtype == DT_F64) return true;
    bool of_step = node->dtype == DT_BOOL && node->in_count > 0 && op_info(node->op)->pointwise;
    for (int i = 0; i < node->in_count; i++)
        of_step = of_step && node->in[i]->of_step;
    return of_step;
}

static const Node *append(Graph *graph, const Node *node) {
    Node *copy = ARENA_NEW(graph->arena, Node);
    const Node **in = ARENA_ARRAY(graph->arena, const Node *, node->in_count);
    for (int i = 0; i < node->in_count; i++)
        in[i] = node->in[i];
    copy->id = (uint32_t)graph->node.count;
    copy->op = node->op;
    copy->dtype = node->dtype;
    copy->shape = shape_of(node->shape.rank, node->shape.dim);
    copy->in_count = node->in_count;
    copy->in = in;
    copy->attr = copy_attr(graph, node);
    copy->of_step = is_of_step(copy);
    VEC_PUSH(graph->arena, graph->node, copy);
    VEC_PUSH(graph->arena, graph->spans, NULL);
    VEC_PUSH(graph->arena, graph->label, NULL);
    VEC_PUSH(graph->arena, graph->choice, graph->choosing);
    VEC_PUSH(graph->arena, graph->section, graph->inside);
    return copy;
}

const Node *node_rebuild(Graph *graph, const Node *node, const Node *const *in) {
    Node wanted = *node;
    wanted.in = in;
    for (int i = 0; i < wanted.in_count; i++)
        if (!graph_owns(graph, in[i]))
            bug("%s of a node of another graph", op_info(node->op)->name);
    const char *wrong = node_check(&wanted, graph->arena);
    if (wrong) bug("%s", wrong);

    write_key(graph, &wanted);
    size_t size = sizeof *graph->key.at * (size_t)graph->key.count;
    void **known = map_at_bytes(graph->conses, graph->key.at, size);
    if (!*known) *known = (void *)append(graph, &wanted);
    const Node *made = *known;
    graph_add_span(graph, made, graph->here);
    return made;
}

// --- From one graph to another

static const Node *import_node(Graph *to, const Graph *from, const Node *node, const Node **done) {
    const Node **in = ARENA_ARRAY(to->arena, const Node *, node->in_count);
    for (int i = 0; i < node->in_count; i++)
        in[i] = done[node->in[i]->id];
    const Node *made = node_rebuild(to, node, in);
    graph_take_notes(to, made, from, node);
    return made;
}

const Node *graph_import(Graph *to, const Graph *from, const Node *value, const Node **done) {
    Arena *scratch = arena_new();
    bool *needed = ARENA_ARRAY(scratch, bool, value->id + 1);
    needed[value->id] = true;
    for (int id = (int)value->id; id >= 0; id--) {
        const Node *node = from->node.at[id];
        for (int i = 0; needed[id] && !done[id] && i < node->in_count; i++)
            needed[node->in[i]->id] = true;
    }
    for (uint32_t id = 0; id <= value->id; id++)
        if (needed[id] && !done[id]) done[id] = import_node(to, from, from->node.at[id], done);
    arena_free(scratch);
    return done[value->id];
}
