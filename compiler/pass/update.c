// SPDX-License-Identifier: MIT
// The optimizer's code works on one long vector. Where a part of the gradient is a product, it is
// taken apart, so that each tile of the product becomes new weights while it lies in the cache:
//
//     g = concat(reshape(dw), db)            w' = p[0..64] as a matrix - lr * dw     behind dw
//     p' = p - lr * g                  ->    b' = p[64..72] - lr * db
//                                            p' = concat(reshape(w'), b')
//
// The gradient then never lies in memory, and nobody waits between it and the update. What is too
// small to be worth a kernel of its own stays together with its neighbours.
#include "pass/update.h"

#include <string.h>

enum { LEAST_PART = 4096 }; // weights that are worth a kernel of their own

typedef struct Segment { // of the long vector
    int64_t start, size;
    const Node *gradient; // in the new graph
} Segment;

typedef struct Segments {
    VEC(Segment);
} Segments;

typedef struct Gradient {
    const Node *node;        // a concat, or the slice of one that a group of parameters has
    const Node *const *part; // its parts
    int parts;
    bool *member; // by id: computed from it, element by element
} Gradient;

typedef struct Split {
    Arena *arena;
    const Graph *from;
    Graph *to;
    const Node **map;   // by id in `from`: what the node has become; NULL: not yet
    bool *live;         // by id
    Users *users;       // by id, live nodes alone
    bool *late;         // by id: depends on a gradient that is taken apart
    const Node **piece; // by id: of an update, its piece in the segment at hand; NULL: not yet
    VEC(Gradient) gradient;
} Split;

static bool is_elementwise(const Node *node) {
    return op_info(node->op)->pointwise || node->op == OP_cast || node->op == OP_stop;
}

static bool is_const(const Shape *shape) {
    for (int axis = 0; axis < shape->rank; axis++)
        if (!dim_is_const(shape->dim[axis])) return false;
    return true;
}

// --- Which concats are gradients, and what is computed from them

static bool has_one_user(const Split *s, const Node *node) {
    return s->users[node->id].node.count == 1 && s->users[node->id].roots == 0;
}

// The product that a part is the reshape of, if nothing else wants either; else NULL.
static const Node *product_of(const Split *s, const Node *part) {
    while (part->op == OP_reshape && has_one_user(s, part))
        part = part->in[0];
    if (part->op != OP_product || !has_one_user(s, part)) return NULL;
    bool single = dim_is_one(part->shape.dim[0]) && is_const(&part->shape);
    return single && shape_eval(&part->shape, 1) >= LEAST_PART ? part : NULL;
}

static bool is_gradient(const Split *s, const Node *node) {
    bool product = false;
    if (!s->live[node->id] || !node_is_placed_concat(node) || node->shape.rank != 1) return false;
    if (s->late[node->id] || s->users[node->id].roots > 0) return false;
    for (int i = 0; i < node->in_count; i++)
        product |= product_of(s, node->in[i]) != NULL;
    return product && is_const(&node->shape);
}

// What is wanted of the update outside of it: next values of states, whole or as a part.
static bool goes_to_states(const Split *s, const bool *member, const Node *node) {
    for (int i = 0; i < s->users[node->id].node.count; i++) {
        const Node *user = s->users[node->id].node.at[i];
        if (!member[user->id] && !node_is_placed_concat(user)) return false;
    }
    return true;
}

// Finds all that is computed from the gradient, element by element; false where something else is.
static bool find_members(Split *s, Gradient *gradient) {
    const Graph *from = s->from;
    bool *member = gradient->member = ARENA_ARRAY(s->arena, bool, from->node.count + 1);
    const Users *users = &s->users[gradient->node->id];
    for (int id = gradient->node->id + 1; id < from->node.count; id++) {
        const Node *node = from->node.at[id];
        if (!s->live[id] || !is_elementwise(node)) continue;
        bool waits = false;
        for (int i = 0; i < node->in_count; i++) {
            member[id] |= node->in[i] == gradient->node || member[node->in[i]->id];
            waits |= s->late[node->in[i]->id];
        }
        if (member[id] && waits) return false;
    }
    for (int i = 0; i < users->node.count; i++)
        if (!member[users->node.at[i]->id]) return false;
    for (int id = 0; id < from->node.count; id++)
        if (member[id] && !goes_to_states(s, member, from->node.at[id])) return false;
    return true;
}

static void mark_late(const Split *s, const Node *node) {
    s->late[node->id] = true;
    for (int id = node->id + 1; id < s->from->node.count; id++)
        for (int i = 0; i < s->from->node.at[id]->in_count; i++)
            s->late[id] |= s->late[s->from->node.at[id]->in[i]->id];
}

// The parts of `whole` that a slice of it consists of; false where it ends within one.
static bool find_parts(const Node *whole, Gradient *gradient) {
    const Node *slice = gradient->node;
    int64_t at = 0, first = slice->attr->slice[0].start;
    int64_t last = first + shape_eval(&slice->shape, 1);
    if (slice->attr->slice[0].step != 1) return false;
    for (int i = 0; i < whole->in_count && at < last; i++) {
        if (at == first) gradient->part = &whole->in[i];
        if (at >= first) gradient->parts++;
        at += shape_eval(&whole->in[i]->shape, 1);
    }
    return gradient->part && at == last;
}

// A concat is taken apart as a whole, or each of its slices is.
static void find_gradients(Split *s, const Node *whole) {
    const Users *users = &s->users[whole->id];
    int before = s->gradient.count;
    bool *earlier = s->late, all = users->node.count > 0;
    bool sliced = all && users->node.at[0]->op == OP_slice;
    s->late = ARENA_ARRAY(s->arena, bool, s->from->node.count + 1);
    memcpy(s->late, earlier, sizeof *s->late * (size_t)s->from->node.count);
    for (int i = 0; i < (sliced ? users->node.count : 1) && all; i++) {
        Gradient gradient = {.node = whole, .part = whole->in, .parts = whole->in_count};
        if (sliced) gradient = (Gradient){.node = users->node.at[i]};
        all = !sliced || (gradient.node->op == OP_slice && find_parts(whole, &gradient));
        all = all && s->users[gradient.node->id].roots == 0 && find_members(s, &gradient);
        mark_late(s, gradient.node);
        VEC_PUSH(s->arena, s->gradient, gradient);
    }
    s->late[whole->id] = true;
    if (all) return;
    s->gradient.count = before;
    s->late = earlier;
}

// --- Rebuilding

static void rebuild(Split *s, const Node *node) {
    const Node **in = ARENA_ARRAY(s->arena, const Node *, node->in_count + 1);
    for (int i = 0; i < node->in_count; i++)
        in[i] = s->map[node->in[i]->id];
    s->map[node->id] = node_rebuild(s->to, node, in);
    graph_take_notes(s->to, s->map[node->id], s->from, node);
}

static Shape flat(int64_t size) { return shape_of(1, (Dim[]){dim_const(size)}); }

static void close_segment(Split *s, Segments *segments, const Node *const *part, int count,
                          int64_t start) {
    Segment segment = {.start = start};
    if (count == 0) return;
    segment.gradient = count == 1 ? part[0] : node_concat(s->to, part, count, 0);
    segment.size = shape_eval(&segment.gradient->shape, 1);
    VEC_PUSH(s->arena, *segments, segment);
}

// Products by themselves, what lies between them together.
static Segments find_segments(Split *s, const Gradient *gradient) {
    Segments segments = {0};
    const Node **part = ARENA_ARRAY(s->arena, const Node *, gradient->parts + 1);
    int64_t at = 0, start = 0;
    int count = 0;
    for (int i = 0; i < gradient->parts; i++) {
        const Node *in = gradient->part[i], *product = product_of(s, in);
        if (product) {
            close_segment(s, &segments, part, count, start);
            close_segment(s, &segments, (const Node *[]){s->map[product->id]}, 1, at);
            count = 0;
        } else {
            if (count == 0) start = at;
            part[count++] = s->map[in->id];
        }
        at += shape_eval(&in->shape, 1);
    }
    close_segment(s, &segments, part, count, start);
    return segments;
}

static const Node *update_piece(Split *s, const Node *node, const Gradient *gradient,
                                const Segment *segment);

// What one segment's code reads in place of `in`.
static const Node *piece_of(Split *s, const Node *in, const Gradient *gradient,
                            const Segment *segment) {
    const Shape *shape = &segment->gradient->shape;
    if (in == gradient->node) return segment->gradient;
    if (s->piece[in->id]) return s->piece[in->id];
    if (in->shape.rank == 0) return s->map[in->id];
    if (in->op == OP_broadcast && in->in[0]->shape.rank == 0)
        return node_expand(s->to, s->map[in->in[0]->id], *shape);
    if (is_elementwise(in)) return update_piece(s, in, gradient, segment);
    const Node *piece = s->map[in->id];
    SliceAxis slice = {(int32_t)segment->start, 1};
    if (segment->size != shape_eval(&in->shape, 1))
        piece = node_slice(s->to, piece, &slice, flat(segment->size));
    return shape->rank == 1 ? piece : node_reshape(s->to, piece, *shape);
}

static const Node *update_piece(Split *s, const Node *node, const Gradient *gradient,
                                const Segment *segment) {
    const Node *in[3] = {0};
    for (int i = 0; i < node->in_count; i++)
        in[i] = piece_of(s, node->in[i], gradient, segment);
    const Node *made = node->op == OP_cast   ? node_cast(s->to, node->dtype, in[0])
                       : node->op == OP_stop ? node_stop(s->to, in[0])
                                             : node_pointwise(s->to, node->op, in);
    graph_take_notes(s->to, made, s->from, node);
    return s->piece[node->id] = made;
}

static bool is_wanted(const Split *s, const Gradient *gradient, const Node *node) { // outside
    bool wanted = s->users[node->id].roots > 0;
    for (int i = 0; i < s->users[node->id].node.count; i++)
        wanted |= !gradient->member[s->users[node->id].node.at[i]->id];
    return wanted;
}

// Segment by segment, the whole update of each; what it is wanted for is put together from that.
static void take_apart(Split *s, const Gradient *gradient) {
    int nodes = s->from->node.count;
    s->to->inside = s->from->section.at[gradient->node->id];
    Segments segments = find_segments(s, gradient);
    const Node ***part = ARENA_ARRAY(s->arena, const Node **, nodes + 1);
    for (int k = 0; k < segments.count; k++) {
        memset(s->piece, 0, sizeof(const Node *) * (size_t)nodes);
        for (int id = gradient->node->id; id < nodes; id++) {
            const Node *node = s->from->node.at[id];
            if (!gradient->member[id]) continue;
            const Node *piece = update_piece(s, node, gradient, &segments.at[k]);
            if (!is_wanted(s, gradient, node)) continue;
            if (!part[id]) part[id] = ARENA_ARRAY(s->arena, const Node *, segments.count);
            if (piece->shape.rank != 1)
                piece = node_reshape(s->to, piece, flat(segments.at[k].size));
            part[id][k] = piece;
        }
    }
    for (int id = 0; id < nodes; id++)
        if (part[id]) s->map[id] = node_concat(s->to, part[id], segments.count, 0);
    s->to->inside = NULL;
}

// --- The pass

static void find_users(Split *s) {
    const Graph *from = s->from;
    for (int i = 0; i < from->root.count; i++) {
        const Root *root = &from->root.at[i];
        s->live[root->value->id] = true;
        if (root->leaf) s->live[root->leaf->id] = true;
        s->users[root->value->id].roots++;
    }
    for (int id = from->node.count - 1; id >= 0; id--) {
        const Node *node = from->node.at[id];
        for (int i = 0; s->live[id] && i < node->in_count; i++) {
            s->live[node->in[i]->id] = true;
            VEC_PUSH(s->arena, s->users[node->in[i]->id].node, node);
        }
    }
}

static void rebuild_all(Split *s) {
    int nodes = s->from->node.count;
    bool *gone = ARENA_ARRAY(s->arena, bool, nodes + 1);
    for (int id = 0; id < nodes; id++)
        if (s->live[id] && !s->late[id]) rebuild(s, s->from->node.at[id]);
    for (int i = 0; i < s->gradient.count; i++) {
        const Gradient *gradient = &s->gradient.at[i];
        const Node *node = gradient->node;
        gone[node->id] = true;
        if (node->op == OP_slice) gone[node->in[0]->id] = true;
        for (int id = 0; id < nodes; id++)
            gone[id] |= gradient->member[id];
        take_apart(s, gradient);
    }
    for (int id = 0; id < nodes; id++)
        if (s->live[id] && s->late[id] && !gone[id]) rebuild(s, s->from->node.at[id]);
}

const Graph *update(Arena *arena, const Graph *from, const Target *target) {
    Split s = {.arena = arena, .from = from, .to = graph_new(arena, from->name)};
    int nodes = from->node.count;
    s.to->stage = from->stage;
    s.map = ARENA_ARRAY(arena, const Node *, nodes + 1);
    s.piece = ARENA_ARRAY(arena, const Node *, nodes + 1);
    s.users = ARENA_ARRAY(arena, Users, nodes + 1);
    s.live = ARENA_ARRAY(arena, bool, nodes + 1);
    s.late = ARENA_ARRAY(arena, bool, nodes + 1);
    find_users(&s);
    for (int id = 0; id < nodes && target->lanes > 0 && !target->separate; id++)
        if (is_gradient(&s, from->node.at[id])) find_gradients(&s, from->node.at[id]);
    if (s.gradient.count == 0) return from;
    rebuild_all(&s);
    for (int i = 0; i < from->root.count; i++) {
        const Root *root = &from->root.at[i];
        graph_add_root(s.to, root->kind, root->name, root->leaf ? s.map[root->leaf->id] : NULL,
                       s.map[root->value->id]);
    }
    return s.to;
}

// --- For fusion

// Is all that the update reads beside the product there when the kernel that stores `first` runs?
// Later nodes are if they are computed in passing from such.
static bool is_all_there(const Fuse *f, const Node *product, const bool *member,
                         const Node *first) {
    const Graph *graph = f->fusion->graph;
    bool *there = ARENA_ARRAY(f->arena, bool, graph->node.count + 1);
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        there[id] = id < (int)first->id || node_is_leaf(node) || node->of_step;
        if (there[id] || node_is_core(node)) continue;
        bool all = true;
        for (int i = 0; i < node->in_count; i++)
            all &= there[node->in[i]->id] || node->in[i] == product;
        if (member[id] && !all) return false;
        there[id] = all;
    }
    return true;
}

// All that is computed from the product, element by element. Returns what is stored of it first;
// NULL where it is no update: it goes elsewhere than to a longer vector, or waits for something.
static const Node *find_tail(const Fuse *f, const Node *product, bool *member) {
    const Graph *graph = f->fusion->graph;
    const Node *first = NULL;
    for (int id = product->id + 1; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id], *used = NULL;
        for (int i = 0; f->live[id] && i < node->in_count; i++)
            if (node->in[i] == product || member[node->in[i]->id]) used = node->in[i];
        if (!used) continue;
        member[id] = is_elementwise(node) && shape_equal(&node->shape, &product->shape);
        if (member[id]) continue;
        if (node->op != OP_reshape || used == product || f->users[id].roots > 0) return NULL;
        for (int i = 0; i < f->users[id].node.count; i++)
            if (!node_is_placed_concat(f->users[id].node.at[i])) return NULL;
        if (!first || used->id < first->id) first = used;
    }
    return first && is_all_there(f, product, member, first) ? first : NULL;
}

// What is later than the kernel that reads it has none of its own.
static void compute_in_passing(Fuse *f, const bool *member, const Node *first) {
    const Graph *graph = f->fusion->graph;
    bool *needed = ARENA_ARRAY(f->arena, bool, graph->node.count + 1);
    for (int id = graph->node.count - 1; id >= (int)first->id; id--) {
        if (!member[id] && !needed[id]) continue;
        for (int i = 0; i < graph->node.at[id]->in_count; i++)
            needed[graph->node.at[id]->in[i]->id] = true;
        if (!member[id]) f->inside[id] = true;
    }
}

static void claim_update(Fuse *f, const Node *product) {
    bool *member = ARENA_ARRAY(f->arena, bool, f->fusion->graph->node.count + 1);
    const Node *first = find_tail(f, product, member);
    if (!first) return;
    f->inside[product->id] = f->claimed[product->id] = true;
    f->end[product->id] = first;
    f->used_up[product->id] = true;
    for (int id = product->id + 1; id < f->fusion->graph->node.count; id++) {
        if (!member[id]) continue;
        f->claimed[id] = true;
        bool stored = false;
        for (int i = 0; i < f->users[id].node.count; i++)
            stored |= f->users[id].node.at[i]->op == OP_reshape;
        if (stored)
            f->with[id] = first;
        else
            f->inside[id] = true;
        f->stored[id] = stored;
    }
    compute_in_passing(f, member, first);
    f->core[first->id] = product;
    f->with[first->id] = NULL;
    f->apart[first->id] = "a matrix product ends here, in new weights";
}

void claim_updates(Fuse *f) {
    const Graph *graph = f->fusion->graph;
    bool vectors = f->fusion->target->lanes > 0 && !f->fusion->target->separate;
    for (int id = 0; id < graph->node.count && vectors; id++) {
        const Node *node = graph->node.at[id];
        if (!f->live[id] || node->op != OP_product || !dim_is_one(node->shape.dim[0])) continue;
        bool empty = shape_eval(&node->in[0]->shape, f->fusion->batch) == 0;
        if (is_const(&node->shape) && !empty && shape_eval(&node->shape, 1) > 0)
            claim_update(f, node);
    }
}
