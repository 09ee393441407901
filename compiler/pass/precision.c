// SPDX-License-Identifier: MIT
// precision = bf16 (after Micikevicius et al., "Mixed Precision Training", 2018): values that lie
// in memory from one kernel to another are rounded to 16 bits; all arithmetic is in f32.
//
//     %7 = tanh %6 : f32[N, 64]              %7 = tanh %6 : f32[N, 64]
//     %8 = product %7 %w ..          ->      %8 = cast %7 : bf16[N, 64]
//                                            %9 = cast %8 : f32[N, 64]      read by all users of %7
//
// What would be stored is asked of fusion. Of that, rounded are tensors of examples: what products
// and convolutions read, what they end with, and other activations and their gradients that are
// kept. In f32 stay sums and statistics, what an exponential or a logarithm reads or makes
// (softmax, losses), outputs, parameters with their gradients and the optimizer's state; and
// Winograd's points, whose transforms would magnify the error. Of a parameter that a product reads,
// the product alone reads a rounded copy.
//
// The cast is a node of the graph like any other, so the interpreter rounds where the kernels do.
#include "pass/precision.h"
#include "bf16.h"
#include "pass/fuse_internal.h"

typedef struct Precision {
    Fuse *f;
    Graph *to;
    const Node **made; // by old id: what stands for it
    bool *wide;        // stays f32 for those that read it
    bool *operand;     // a product or a convolution reads it
    bool *compared;    // with another value for equality: the gradient of a maximum
    bool *exact;       // has 8 bits of precision already
    bool *curved;      // its kernel takes an exponential or a logarithm for it
} Precision;

static bool is_movement(const Node *node) { return node_is_movement(node) || node->op == OP_pad; }

// --- What is rounded

// Marks what lies in memory and is read as operand `node`.
static void mark_operand(Precision *p, const Node *node) {
    while (!p->f->stored[node->id] && is_movement(node))
        node = node->in[0];
    p->operand[node->id] = true;
}

// Of Winograd's transforms, those from an image to points.
static bool takes_image(const Node *node) {
    return node->op == OP_wino_in || node->op == OP_wino_out_t;
}

static bool is_curved(Op op) { return op == OP_exp || op == OP_log || op == OP_pow; }

static bool reads_wide(const Node *node) {
    return is_curved(node->op) || (node_is_wino(node) && !takes_image(node));
}

static const Node *moved_from(const Node *node) {
    while (is_movement(node))
        node = node->in[0];
    return node;
}

// With another value. With a constant, nothing changes: what is rounded to it counts as equal.
static bool compares(const Node *node, int i) {
    return (node->op == OP_eq || node->op == OP_ne) && moved_from(node->in[1 - i])->op != OP_const;
}

static void mark_reads(Precision *p, const Node *node) {
    bool passes = !p->f->stored[node->id];
    for (int i = 0; i < node->in_count; i++) {
        int in = (int)node->in[i]->id;
        p->wide[in] |= reads_wide(node) || (passes && p->wide[node->id]);
        p->compared[in] |=
            compares(node, i) || (passes && is_movement(node) && p->compared[node->id]);
        if (node->op == OP_product || takes_image(node)) mark_operand(p, node->in[i]);
    }
}

static void mark_all(Precision *p, const Graph *from) {
    int64_t offset;
    for (int i = 0; i < from->root.count; i++)
        p->wide[strip_views(from->root.at[i].value, p->f->fusion->batch, &offset)->id] = true;
    for (int id = from->node.count - 1; id >= 0; id--)
        if (p->f->live[id]) mark_reads(p, from->node.at[id]);
}

static bool varies(const Shape *shape) { // with the number of examples
    for (int axis = 0; axis < shape->rank; axis++)
        if (!dim_is_const(shape->dim[axis])) return true;
    return false;
}

// Several elements for each example.
static bool has_examples(const Shape *shape) { return varies(shape) && shape_eval(shape, 1) > 1; }

// One of its operands, or elements of one.
static bool selects(const Node *node) {
    node = moved_from(node);
    return node->op == OP_max || node->op == OP_min || node->op == OP_reduce_max ||
           node->op == OP_reduce_min;
}

static bool is_rounded(const Precision *p, const Node *node) {
    const Node *core = p->f->core[node->id];
    if (!p->f->stored[node->id] || node->dtype != DT_F32 || p->wide[node->id]) return false;
    if (!has_examples(&node->shape) || node_is_placed_concat(node) || takes_image(node))
        return false;
    // An element would no longer be equal to the greatest.
    if (p->compared[node->id] && selects(node) && !p->exact[node->id]) return false;
    if (p->operand[node->id]) return true;
    if (p->curved[node->id]) return false;
    return !core || core->op == OP_product || core->op == OP_contract || core->op == OP_fold ||
           node_is_wino(core);
}

static bool is_exact(const Precision *p, const Node *node) {
    double value;
    if (node->op == OP_const) {
        value = node->attr->value;
        return nnc_bf16_round((float)value) == value;
    }
    if (!selects(node) && !is_movement(node) && node->op != OP_neg && node->op != OP_abs &&
        node->op != OP_stop)
        return false;
    for (int i = 0; i < node->in_count; i++)
        if (!p->exact[node->in[i]->id]) return false;
    return node->op != OP_pad || node->attr->value == 0;
}

// --- The new graph

static const Node *rounded(Precision *p, const Node *node) {
    return node_cast(p->to, DT_F32, node_cast(p->to, DT_BF16, node));
}

static bool is_parameter(const Precision *p, const Node *node) {
    int64_t offset;
    const Node *base = strip_views(node, p->f->fusion->batch, &offset);
    return base->op == OP_param || base->op == OP_state;
}

// Operand `node` of a product, as it is in the new graph: of a parameter, a rounded copy of it. So
// of Winograd's points, where the product sums over the examples: they are kept for that until all
// of the examples are done, while the image's own products read them at once.
static const Node *operand(Precision *p, const Node *product, const Node *node) {
    bool waits = takes_image(node) && !varies(&product->shape), stored = p->f->stored[node->id];
    bool ordered = stored && node->op == OP_permute && is_parameter(p, node->in[0]);
    if (waits || ordered || (is_parameter(p, node) && node->dtype == DT_F32))
        return rounded(p, p->made[node->id]);
    if (!node_is_movement(node) || stored) return p->made[node->id];
    const Node *in = operand(p, product, node->in[0]);
    return in == p->made[node->in[0]->id] ? p->made[node->id] : node_rebuild(p->to, node, &in);
}

static void make(Precision *p, const Graph *from, const Node *node) {
    const Node **in = ARENA_ARRAY(p->f->arena, const Node *, node->in_count + 1);
    for (int i = 0; i < node->in_count; i++)
        in[i] = node->op == OP_product ? operand(p, node, node->in[i]) : p->made[node->in[i]->id];
    graph_stand_for(p->to, from, node);
    const Node *made = node_rebuild(p->to, node, in);
    p->exact[node->id] = is_exact(p, node);
    p->curved[node->id] = is_curved(node->op);
    for (int i = 0; i < node->in_count; i++)
        p->curved[node->id] |= p->curved[node->in[i]->id] && !p->f->stored[node->in[i]->id];
    graph_take_notes(p->to, made, from, node);
    if (p->f->live[node->id] && is_rounded(p, node)) {
        made = rounded(p, made);
        p->exact[node->id] = true;
    }
    p->made[node->id] = made;
    graph_stand_for(p->to, from, NULL);
}

Graph *precision(Arena *arena, const Graph *from, int64_t batch, const Target *target) {
    int count = from->node.count + 1;
    Fuse f = fuse_begin(arena, from, batch, target);
    choose_stored(&f);
    Precision p = {.f = &f, .to = graph_new(arena, from->name)};
    p.to->stage = from->stage;
    p.made = ARENA_ARRAY(arena, const Node *, count);
    p.wide = ARENA_ARRAY(arena, bool, count);
    p.operand = ARENA_ARRAY(arena, bool, count);
    p.compared = ARENA_ARRAY(arena, bool, count);
    p.exact = ARENA_ARRAY(arena, bool, count);
    p.curved = ARENA_ARRAY(arena, bool, count);
    mark_all(&p, from);
    for (int id = 0; id < from->node.count; id++)
        make(&p, from, from->node.at[id]);
    for (int i = 0; i < from->root.count; i++) {
        const Root *root = &from->root.at[i];
        graph_add_root(p.to, root->kind, root->name, root->leaf ? p.made[root->leaf->id] : NULL,
                       p.made[root->value->id]);
    }
    return p.to;
}
