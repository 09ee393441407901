// SPDX-License-Identifier: MIT
// From a graph to boxes and arrows.
//
// A node is hidden, or it is in a box. Hidden are what has the same value in every step or is one
// number of it (constants, learning rates), what only copies (the arrow comes from what is copied),
// and what cuts a parameter out of the long vector in which it lies (a leaf of the box that reads
// it).
#include "picture/picture.h"
#include "support/map.h"

#include <string.h>

typedef struct Draft {
    Arena *arena;
    const Graph *graph;
    int depth;
    Picture *picture;
    bool *live, *fixed;  // by node: needed by a root; the same for every example, and hidden
    const Node **source; // by node: what it shows as: itself, what it copies, a leaf; NULL: fixed
    const char **leaf;   // by node: the name of the parameter or state that it is, or NULL
    int *box;            // by node; -1: none
    Map *opens;          // forward sections that hold calls
    Map *known;          // a section or a node -> 1 + its box
    Map *arrows;         // a pair of boxes -> Arrow
} Draft;

// --- What nodes are

static void mark_live(Draft *d) {
    const Graph *graph = d->graph;
    for (int i = 0; i < graph->root.count; i++) {
        d->live[graph->root.at[i].value->id] = true;
        if (graph->root.at[i].leaf) d->live[graph->root.at[i].leaf->id] = true;
    }
    for (int id = graph->node.count - 1; id >= 0; id--)
        for (int i = 0; d->live[id] && i < graph->node.at[id]->in_count; i++)
            d->live[graph->node.at[id]->in[i]->id] = true;
}

static bool is_update(const Section *section) {
    while (section && section->outer)
        section = section->outer;
    return section && section->kind == SECTION_UPDATE;
}

static bool is_fixed(const Draft *d, const Node *node) {
    if (node->dtype == DT_F64) return true;
    if (node->op == OP_input || node->op == OP_param || node->op == OP_state ||
        node->op == OP_random)
        return false;
    for (int i = 0; i < node->in_count; i++)
        if (!d->fixed[node->in[i]->id]) return false;
    return true;
}

static const char *leaf_name(const Draft *d, const Node *node) {
    const char *label = d->graph->label.at[node->id];
    if (node->op == OP_state || node->op == OP_param) return label ? label : node->attr->name;
    bool cut = (node->op == OP_slice || node->op == OP_reshape) && !d->graph->section.at[node->id];
    const char *whole = cut ? d->leaf[node->in[0]->id] : NULL;
    return whole && label ? label : whole;
}

// What a node is a copy of; NULL where it is none.
static const Node *copied(const Draft *d, const Node *node) {
    if (node->op == OP_broadcast || node->op == OP_cast || node->op == OP_stop) return node->in[0];
    bool cut = (node->op == OP_slice || node->op == OP_reshape) && !d->graph->section.at[node->id];
    const Node *from = cut ? d->source[node->in[0]->id] : NULL;
    return from && is_update(d->graph->section.at[from->id]) ? from
                                                             : NULL; // a parameter's new value
}

static void find_sources(Draft *d) {
    for (int id = 0; id < d->graph->node.count; id++) {
        const Node *node = d->graph->node.at[id];
        d->fixed[id] = is_fixed(d, node);
        if (d->fixed[id]) continue;
        d->leaf[id] = leaf_name(d, node);
        const Node *original = d->leaf[id] ? NULL : copied(d, node);
        d->source[id] = original ? d->source[original->id] : node;
    }
}

// --- Boxes

enum { MOST_CALLS = 128 };

typedef struct Place { // of a node: the calls that it is in, from the outermost
    const Section *call[MOST_CALLS], *root;
    int count;
} Place;

static Place place_of(const Section *section) {
    Place place = {.root = section};
    const Section *list[MOST_CALLS];
    int count = 0;
    for (const Section *s = section; s; s = s->outer) {
        place.root = s;
        bool is_call = s->kind == SECTION_LAYER || s->kind == SECTION_FUNCTION;
        if (is_call && count < MOST_CALLS) list[count++] = s;
    }
    for (int i = 0; i < count; i++)
        place.call[i] = list[count - 1 - i];
    place.count = count;
    return place;
}

static const Section *forward_of(const Section *section) {
    return section && section->forward ? section->forward : section;
}

static void find_callers(Draft *d) {
    for (int id = 0; id < d->graph->node.count; id++)
        for (const Section *s = d->graph->section.at[id]; s && s->outer; s = s->outer) {
            const Section *outer = forward_of(s->outer);
            map_put_bytes(d->opens, &outer, sizeof outer, (void *)outer);
        }
}

// How many of its calls are around the box of a node; -1: it is one by itself.
static int calls_around(const Draft *d, const Place *place) {
    if (d->depth == PICTURE_OPERATORS) return -1;
    for (int i = 0; i < place->count; i++) {
        const Section *call = forward_of(place->call[i]);
        if (i == d->depth - 1 || !map_get_bytes(d->opens, &call, sizeof call)) return i;
    }
    return -1;
}

static const char *path_text(Arena *arena, const Place *place, int count) {
    Buf out = buf_new(arena);
    for (int i = 0; i < count; i++)
        buf_printf(&out, "%s%s", i ? " / " : "", place->call[i]->name);
    return out.text;
}

static int add_box(Draft *d, Box box, const void *key) {
    Box *made = ARENA_NEW(d->arena, Box);
    *made = box;
    made->forward = -1;
    VEC_PUSH(d->arena, d->picture->box, made);
    map_put_bytes(d->known, &key, sizeof key, (void *)(intptr_t)d->picture->box.count);
    return d->picture->box.count - 1;
}

// -1: there is none yet.
static int find_box(const Draft *d, const void *key) {
    return (int)(intptr_t)map_get_bytes(d->known, &key, sizeof key) - 1;
}

static int box_of(Draft *d, const Node *node) {
    const Section *section = d->graph->section.at[node->id];
    Place place = place_of(section);
    bool updates = place.root && place.root->kind == SECTION_UPDATE;
    int around = updates ? 0 : calls_around(d, &place);
    const Section *shown = updates ? place.root : around >= 0 ? place.call[around] : NULL;
    const void *key = shown ? (const void *)shown : node;
    int known = find_box(d, key);
    if (known >= 0) return known;
    const char *op = op_info(node->op)->name;
    Box box = {.role = section && section->forward ? BOX_BACKWARD : BOX_FUNCTION,
               .name = shown ? shown->name : op,
               .callee = shown ? shown->callee : "",
               .section = shown,
               .within = section};
    box.path = path_text(d->arena, &place, around >= 0 ? around : place.count);
    if (updates) box.role = BOX_UPDATE;
    if (node->op == OP_input) box.role = BOX_INPUT, box.name = node->attr->name, box.path = "";
    return add_box(d, box, key);
}

static void add_leaf(Draft *d, Box *box, const Node *node, const char *name, bool written) {
    for (int i = 0; i < box->leaf.count; i++)
        if (box->leaf.at[i].node == node) {
            box->leaf.at[i].written |= written;
            return;
        }
    size_t length = box->section ? strlen(box->section->path) : 0;
    bool own = length && !strncmp(name, box->section->path, length) && name[length] == '.';
    Leaf leaf = {own ? name + length + 1 : name, node, written};
    VEC_PUSH(d->arena, box->leaf, leaf);
}

// --- Arrows

static void add_arrow(Draft *d, int from, int to, const Node *value) {
    int pair[2] = {from, to};
    Arrow *arrow = map_get_bytes(d->arrows, pair, sizeof pair);
    const Box *a = d->picture->box.at[from], *b = d->picture->box.at[to];
    if (from == to) return;
    if (!arrow) {
        arrow = ARENA_NEW(d->arena, Arrow);
        bool is_late = b->role == BOX_BACKWARD || b->role == BOX_UPDATE;
        arrow->from = from, arrow->to = to;
        arrow->kind = a->role == BOX_BACKWARD            ? ARROW_GRADIENT
                      : is_late && a->role != BOX_UPDATE ? ARROW_KEPT
                                                         : ARROW_VALUE;
        map_put_bytes(d->arrows, pair, sizeof pair, arrow);
        VEC_PUSH(d->arena, d->picture->arrow, arrow);
    }
    for (int i = 0; i < arrow->value.count; i++)
        if (arrow->value.at[i] == value) return;
    VEC_PUSH(d->arena, arrow->value, value);
}

// An operand of what is in a box: from another box, a leaf, or nothing to be shown.
static void take(Draft *d, int box, const Node *operand) {
    const Node *source = d->source[operand->id];
    if (!source) return;
    const char *leaf = d->leaf[source->id];
    if (leaf)
        add_leaf(d, d->picture->box.at[box], source, leaf, false);
    else
        add_arrow(d, d->box[source->id], box, source);
}

static void add_nodes(Draft *d) {
    for (int id = 0; id < d->graph->node.count; id++) {
        const Node *node = d->graph->node.at[id];
        bool shown = d->live[id] && d->source[id] == node && !d->leaf[id];
        d->box[id] = shown ? box_of(d, node) : -1;
        for (int i = 0; shown && i < node->in_count; i++)
            take(d, d->box[id], node->in[i]);
    }
}

// An output is a box; a next value marks its leaf in the box that makes it.
static void add_roots(Draft *d) {
    for (int i = 0; i < d->graph->root.count; i++) {
        const Root *root = &d->graph->root.at[i];
        const Node *source = d->source[root->value->id];
        if (root->kind == ROOT_OUTPUT) {
            Box box = {.role = BOX_OUTPUT, .name = root->name, .callee = "", .path = ""};
            int output = add_box(d, box, root);
            take(d, output, root->value);
        } else if (source && d->box[source->id] >= 0) {
            add_leaf(d, d->picture->box.at[d->box[source->id]], root->leaf, d->leaf[root->leaf->id],
                     true);
        }
    }
}

// --- Order, names, pairs

typedef struct Sources { // of a box: the boxes that it takes values from
    VEC(int) box;
} Sources;

typedef struct Order {
    const Sources *sources;
    bool *met;
    int *place, count;
} Order;

static void place_after_sources(Order *order, int box) {
    if (order->met[box]) return;
    order->met[box] = true;
    for (int i = 0; i < order->sources[box].box.count; i++)
        place_after_sources(order, order->sources[box].box.at[i]);
    order->place[box] = order->count++;
}

static void sort_boxes(Picture *picture) {
    int count = picture->box.count;
    Sources *sources = ARENA_ARRAY(picture->arena, Sources, count + 1);
    Order order = {sources, ARENA_ARRAY(picture->arena, bool, count + 1),
                   ARENA_ARRAY(picture->arena, int, count + 1), 0};
    Box **sorted = ARENA_ARRAY(picture->arena, Box *, count + 1);
    for (int i = 0; i < picture->arrow.count; i++)
        VEC_PUSH(picture->arena, sources[picture->arrow.at[i]->to].box, picture->arrow.at[i]->from);
    for (int i = 0; i < count; i++)
        place_after_sources(&order, i);
    for (int i = 0; i < count; i++)
        sorted[order.place[i]] = picture->box.at[i];
    for (int i = 0; i < picture->arrow.count; i++) {
        picture->arrow.at[i]->from = order.place[picture->arrow.at[i]->from];
        picture->arrow.at[i]->to = order.place[picture->arrow.at[i]->to];
    }
    picture->box.at = sorted;
    picture->box.capacity = count + 1;
}

static void pair_boxes(Picture *picture) {
    Map *boxes = map_new(picture->arena); // by section: 1 + the index
    for (int i = 0; i < picture->box.count; i++) {
        const Section *section = picture->box.at[i]->section;
        if (section) map_put_bytes(boxes, &section, sizeof section, (void *)(intptr_t)(i + 1));
    }
    for (int i = 0; i < picture->box.count; i++) {
        const Section *section = picture->box.at[i]->section;
        if (!section || !section->forward) continue;
        picture->box.at[i]->forward =
            (int)(intptr_t)map_get_bytes(boxes, &section->forward, sizeof section->forward) - 1;
    }
}

// Numbers those of the same name; a backward box has the number of its forward one.
static void number_boxes(Picture *picture) {
    Map *counts = map_new(picture->arena);
    int **count = ARENA_ARRAY(picture->arena, int *, picture->box.count + 1);
    for (int i = 0; i < picture->box.count; i++) {
        Box *box = picture->box.at[i];
        if (box->role == BOX_OUTPUT || box->forward >= 0) continue;
        const char *key = arena_printf(picture->arena, "%s / %s", box->path, box->name);
        count[i] = map_get(counts, key);
        if (!count[i]) map_put(counts, key, count[i] = ARENA_NEW(picture->arena, int));
        box->ordinal = ++*count[i];
    }
    for (int i = 0; i < picture->box.count; i++)
        if (count[i] && *count[i] == 1) picture->box.at[i]->ordinal = 0;
    for (int i = 0; i < picture->box.count; i++)
        if (picture->box.at[i]->forward >= 0)
            picture->box.at[i]->ordinal = picture->box.at[picture->box.at[i]->forward]->ordinal;
}

static const char *model_name(const Graph *graph) {
    for (int id = 0; id < graph->node.count; id++) {
        Place place = place_of(graph->section.at[id]);
        if (place.root && place.root->kind == SECTION_MODEL) return place.root->name;
    }
    return "";
}

static bool is_output(const Root *root, const char *name) {
    return root->kind == ROOT_OUTPUT && !strcmp(root->name, name);
}

const Graph *picture_without_metrics(Arena *arena, const Graph *step, const Graph *eval) {
    Graph *shown = ARENA_NEW(arena, Graph);
    *shown = *step;
    memset(&shown->root, 0, sizeof shown->root);
    for (int i = 0; i < step->root.count; i++) {
        bool is_metric = false;
        for (int k = 1; eval && k < eval->root.count; k++)
            is_metric |= is_output(&step->root.at[i], eval->root.at[k].name);
        if (!is_metric) VEC_PUSH(arena, shown->root, step->root.at[i]);
    }
    return shown;
}

Picture *picture_make(Arena *arena, const Graph *graph, int depth) {
    int count = graph->node.count + 1;
    Picture *picture = ARENA_NEW(arena, Picture);
    Draft d = {.arena = arena,
               .graph = graph,
               .depth = depth,
               .picture = picture,
               .live = ARENA_ARRAY(arena, bool, count),
               .fixed = ARENA_ARRAY(arena, bool, count),
               .source = ARENA_ARRAY(arena, const Node *, count),
               .leaf = ARENA_ARRAY(arena, const char *, count),
               .box = ARENA_ARRAY(arena, int, count),
               .opens = map_new(arena),
               .known = map_new(arena),
               .arrows = map_new(arena)};
    picture->arena = arena;
    picture->model = model_name(graph);
    picture->function = graph->name;
    mark_live(&d);
    find_sources(&d);
    find_callers(&d);
    add_nodes(&d);
    add_roots(&d);
    sort_boxes(picture);
    pair_boxes(picture);
    number_boxes(picture);
    for (int i = 0; i < picture->box.count; i++)
        if (picture->box.at[i]->role == BOX_FUNCTION && picture->box.at[i]->leaf.count > 0)
            picture->box.at[i]->role = BOX_LAYER;
    return picture;
}

// --- Texts

const char *box_title(Arena *arena, const Box *box) {
    bool is_gradient = box->role == BOX_BACKWARD && box->section;
    const char *d = is_gradient ? "d " : "";
    if (!box->ordinal) return arena_printf(arena, "%s%s", d, box->name);
    return arena_printf(arena, "%s%s %d", d, box->name, box->ordinal);
}

const char *arrow_label(Arena *arena, const Arrow *arrow) {
    Buf out = buf_new(arena);
    for (int i = 0; i < arrow->value.count; i++) {
        const Shape *shape = &arrow->value.at[i]->shape;
        int before = 0, all = 0;
        for (int k = 0; k < arrow->value.count; k++) {
            bool same = shape_equal(&arrow->value.at[k]->shape, shape);
            before += same && k < i;
            all += same;
        }
        if (before) continue;
        buf_add(&out, out.length ? ", " : "");
        if (all > 1) buf_printf(&out, "%d x ", all);
        shape_print(&out, shape);
    }
    return out.text;
}
