// SPDX-License-Identifier: MIT
// Fusion: decides which nodes are stored. All others are computed in passing by the kernels that
// use them.
//
// Stored are: what a product or a scatter reads (it wants memory), what a root or an in-place
// concat keeps, the end of each core's epilogue, and what would cost more to compute again than to
// store and load. Cheap things (masks, normalisations, a ReLU on the way into a convolution) are
// computed again.
//
// A core (a reduction, fold, product, scatter) closes a kernel. Its epilogue is the chain of
// pointwise operators behind it, as long as each is the only user of the one before.
#include "pass/forms.h"
#include "pass/fuse_internal.h"
#include "pass/prepare.h"
#include "pass/update.h"

#include <string.h>

bool node_is_leaf(const Node *node) {
    return node->op == OP_input || node->op == OP_param || node->op == OP_state;
}

bool node_is_wino(const Node *node) {
    return node->op >= OP_wino_in && node->op <= OP_wino_filter_t;
}

bool node_is_core(const Node *node) {
    if (node_is_wino(node)) return true;
    switch (node->op) {
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_argmax:
    case OP_fold:
    case OP_contract:
    case OP_product:
    case OP_scatter_add:
        return true;
    default:
        return false;
    }
}

bool node_is_widened(const Node *node) {
    return node->op == OP_cast && node->in[0]->dtype == DT_BF16;
}

const Node *wino_operand(const Node *node) {
    const Node *in = node->in[0];
    return node_is_widened(in) ? in->in[0] : in;
}

// --- Views

static int
varying_axis(const Shape *shape) { // the one whose extent is not constant; -1: none, -2: several
    int found = -1;
    for (int axis = 0; axis < shape->rank; axis++)
        if (!dim_is_const(shape->dim[axis])) found = found == -1 ? axis : -2;
    return found;
}

static Dim prefix_size(const Shape *shape, int axes) {
    Shape prefix = shape_of(axes, shape->dim);
    Dim size;
    if (!shape_size(&size, &prefix)) bug("size of a prefix overflows");
    return size;
}

static bool reshape_is_view(const Shape *in, const Shape *out) {
    int a = varying_axis(in), b = varying_axis(out);
    if (a == -1 && b == -1) return true;
    if (a < 0 || b < 0) return false;
    return dim_equal(prefix_size(in, a), prefix_size(out, b));
}

static bool permute_is_view(const Node *node) {
    int last = -1;
    for (int i = 0; i < node->shape.rank; i++) {
        if (dim_is_one(node->shape.dim[i])) continue;
        if (node->attr->perm[i] < last) return false;
        last = node->attr->perm[i];
    }
    return true;
}

static bool slice_is_view(const Node *node, int64_t batch, int64_t *offset) {
    const Shape *in = &node->in[0]->shape;
    int64_t stride = shape_eval(in, batch);
    bool outermost = true;
    *offset = 0;
    for (int axis = 0; axis < in->rank; axis++) {
        const SliceAxis *slice = &node->attr->slice[axis];
        int64_t extent = dim_eval(in->dim[axis], batch);
        bool whole = dim_equal(in->dim[axis], node->shape.dim[axis]);
        stride /= extent > 0 ? extent : 1;
        if (!whole && (slice->step != 1 || !outermost)) return false;
        *offset += slice->start * stride;
        outermost = outermost && dim_is_one(node->shape.dim[axis]);
    }
    return true;
}

bool node_is_view(const Node *node, int64_t batch, int64_t *offset) {
    *offset = 0;
    switch (node->op) {
    case OP_stop:
    case OP_again:
        return true;
    case OP_reshape:
        return reshape_is_view(&node->in[0]->shape, &node->shape);
    case OP_permute:
        return permute_is_view(node);
    case OP_slice:
        return slice_is_view(node, batch, offset);
    default:
        return false;
    }
}

const Node *strip_views(const Node *node, int64_t batch, int64_t *offset) {
    int64_t step;
    *offset = 0;
    while (node_is_view(node, batch, &step)) {
        *offset += step;
        node = node->in[0];
    }
    return node;
}

bool node_is_placed_concat(const Node *node) {
    bool placed = node->op == OP_concat && node->attr->axis == 0;
    for (int i = 0; placed && i + 1 < node->in_count; i++)
        placed = dim_is_const(node->in[i]->shape.dim[0]);
    return placed;
}

// --- Epilogues

// Operators behind one another in a kernel: those that print it, and the C compiler, recurse.
enum { MOST_DEPTH = 256 };

bool product_outer(const Node *product, const Shape *shape, Dim *outer, Dim *rows) {
    int axis = 0;
    while (axis + 1 < shape->rank && dim_is_one(shape->dim[axis]))
        axis++;
    *outer = shape->rank ? shape->dim[axis] : dim_const(1);
    *rows = product->shape.dim[1];
    if (!dim_is_one(product->shape.dim[0])) return dim_equal(*outer, product->shape.dim[0]);
    return dim_div(rows, product->shape.dim[1], *outer);
}

bool product_is_wide(const Node *product) {
    const Dim *dim = product->shape.dim;
    return dim_is_one(dim[0]) && dim_is_const(dim[1]) && dim_eval(dim[2], 64) > dim_eval(dim[1], 1);
}

static const Node *only_user(const Fuse *f, const Node *node) {
    const Users *users = &f->users[node->id];
    return users->node.count == 1 && users->roots == 0 ? users->node.at[0] : NULL;
}

// May the epilogue of `core`, which has come to `node`, go on with its only user?
static bool epilogue_takes(const Fuse *f, const Node *core, const Node *user) {
    int64_t offset;
    if (!user || f->claimed[user->id] || user->of_step) return false;
    if (f->fusion->target->separate) return false;
    if (op_info(user->op)->pointwise || user->op == OP_stop || user->dtype == DT_BF16) return true;
    if (node_is_wino(core)) return false;
    if (core->op == OP_product)
        return user->op == OP_reshape && node_is_view(user, f->fusion->batch, &offset);
    return user->op == OP_reshape || user->op == OP_permute || user->op == OP_slice ||
           user->op == OP_flip || user->op == OP_cast;
}

static bool is_real(const Node *node) { return node->dtype == DT_F32 || node->dtype == DT_BF16; }

static bool can_end(const Fuse *f, const Node *core, const Node *node) {
    Dim outer, rows;
    if (core->op == OP_wino_in_t || core->op == OP_wino_out) return is_real(node);
    if (core->op == OP_scatter_add || node_is_wino(core)) return node == core;
    if (core->op != OP_product) return true;
    // What is to be rounded lies in scratch memory first, one matrix at a time; a GPU's tiles lie
    // in registers.
    if (node->dtype == DT_BF16 && !f->fusion->target->gpu && !dim_is_one(core->shape.dim[0]) &&
        !dim_equal(core->shape.dim[0], dim_batch()))
        return false;
    return is_real(node) && product_outer(core, &node->shape, &outer, &rows);
}

static void claim_epilogue(Fuse *f, const Node *core) {
    const Node *end = core, *node = core;
    int depth = 0;
    for (const Node *user; node->dtype != DT_BF16 && (user = only_user(f, node)) &&
                           depth++ < MOST_DEPTH && epilogue_takes(f, core, user);
         node = user)
        if ((op_info(user->op)->pointwise || user->dtype == DT_BF16) && can_end(f, core, user))
            end = user;
    for (node = core; node != end; node = only_user(f, node)) {
        f->inside[node->id] = true;
        f->claimed[node->id] = true;
    }
    f->claimed[end->id] = true;
    f->core[end->id] = core;
    f->end[core->id] = end;
    f->stored[end->id] = true;
    f->apart[end->id] = core->op == OP_product ? "a matrix product ends here"
                        : node_is_wino(core)   ? "a Winograd transform ends here"
                                               : "a reduction ends here";
}

// A batched product may end behind folds (the gradient of a convolution): they need one example of
// it at a time, so that it never lies in memory as a whole.
static bool folds_on(const Fuse *f, const Node *user, Dim batch) {
    if (!user || f->claimed[user->id] || user->of_step || user->shape.rank == 0) return false;
    if (!dim_equal(user->shape.dim[0], batch)) return false;
    switch (user->op) {
    case OP_reshape:
        return reshape_is_view(&user->in[0]->shape, &user->shape);
    case OP_permute:
        return user->attr->perm[0] == 0;
    case OP_fold:
        return user->attr->window.axis > 0;
    case OP_slice:
        return user->attr->slice[0].start == 0 && user->attr->slice[0].step == 1;
    default:
        return (op_info(user->op)->pointwise || user->dtype == DT_BF16) &&
               !f->fusion->target->separate;
    }
}

static void claim_folds(Fuse *f, const Node *core) {
    const Node *end = NULL, *node = core;
    int64_t offset;
    Dim batch = core->shape.dim[0];
    if (core->op != OP_product || dim_is_one(batch)) return;
    for (const Node *user;
         node->dtype != DT_BF16 && (user = only_user(f, node)) && folds_on(f, user, batch);
         node = user)
        if (user->op == OP_fold || (end && user->op != OP_reshape && is_real(user) &&
                                    !node_is_view(user, f->fusion->batch, &offset)))
            end = user;
    if (!end) return;
    for (node = core; node != end; node = only_user(f, node))
        f->inside[node->id] = f->claimed[node->id] = true;
    f->claimed[end->id] = f->stored[end->id] = f->folded[core->id] = true;
    f->core[end->id] = core;
    f->end[core->id] = end;
    f->apart[end->id] = "a matrix product ends here, behind folds";
}

// A fold of a fold is one sum.
static bool is_within_fold(const Fuse *f, const Node *node) {
    const Node *user = only_user(f, node);
    while (user && (user->op == OP_reshape || user->op == OP_permute || user->op == OP_slice))
        user = only_user(f, user);
    return node->op == OP_fold && user && user->op == OP_fold;
}

static void claim_epilogues(Fuse *f) {
    const Graph *graph = f->fusion->graph;
    bool scratch = !f->fusion->target->gpu; // where a matrix can lie until it is folded
    for (int id = graph->node.count - 1; id >= 0 && scratch; id--)
        if (f->live[id] && !f->claimed[id]) claim_folds(f, graph->node.at[id]);
    for (int id = graph->node.count - 1; id >= 0; id--) {
        const Node *node = graph->node.at[id];
        if (!f->live[id] || !node_is_core(node) || f->inside[id] || f->claimed[id]) continue;
        if (is_within_fold(f, node))
            f->inside[id] = true;
        else
            claim_epilogue(f, node);
    }
}

// --- What must lie in memory

static void store(Fuse *f, const Node *node, const char *why) {
    int64_t offset;
    const Node *base = strip_views(node, f->fusion->batch, &offset);
    if (node_is_leaf(base)) return;
    if (!f->stored[base->id]) f->apart[base->id] = why;
    f->stored[base->id] = true;
    f->inside[base->id] = false;
}

bool node_is_movement(const Node *node) {
    return node->op == OP_reshape || node->op == OP_permute || node->op == OP_slice ||
           node->op == OP_flip || node->op == OP_window || node->op == OP_broadcast ||
           node->op == OP_stop || node->op == OP_again || node_is_widened(node);
}

// Is it elements of something smaller, many times over, in another order?
static bool unrolls_windows(const Node *node) {
    bool window = false;
    while (node->op == OP_permute || node->op == OP_flip || node->op == OP_window ||
           node->op == OP_pad || node->op == OP_slice) {
        window |= node->op == OP_window;
        node = node->in[0];
    }
    return window;
}

static bool splits_columns(const Fuse *f, const Node *product) {
    return f->core[product->id] == product && product_is_wide(product);
}

// Reads a product's operands through movements, from what those move, where that is better.
static void choose_reads(Fuse *f, const Node *product) {
    Reading from = {
        .product = product, .end = f->end[product->id], .used_up = f->used_up[product->id]};
    if (!from.end) bug("a product ends nowhere");
    Reads *read = &f->fusion->read[product->id];
    int64_t offset;
    for (int i = 0; i < 2; i++) {
        const Node *base = strip_views(product->in[i], f->fusion->batch, &offset);
        from.stored[i] = f->stored[base->id] || node_is_leaf(base);
        for (base = product->in[i]; node_is_movement(base) && !f->stored[base->id];)
            base = base->in[0];
        from.deep[i] = base;
    }
    read->tiled = tiling_choose_reads(f->arena, f->fusion->target, f->fusion->batch, &from, read);
    if (!read->tiled) return;
    for (int i = 0; i < 2; i++)
        if (read->base[i] == product->in[i]) read->base[i] = NULL;
}

const Node *product_copied_operand(const Fuse *f, const Node *product, int which) {
    const Node *operand = product->in[which];
    int64_t offset;
    if (f->fusion->read[product->id].tiled || f->fusion->target->gpu) return NULL;
    const Node *base = strip_views(operand, f->fusion->batch, &offset);
    const Dim *dim = operand->shape.dim;
    if (f->stored[base->id] || offset != 0 || !unrolls_windows(base) || base->shape.rank < 2)
        return NULL;
    if (shape_eval(&base->shape, f->fusion->batch) != shape_eval(&operand->shape, f->fusion->batch))
        return NULL;
    if (!dim_is_one(product->shape.dim[0])) // one example of the batch at a time
        return dim_is_one(dim[1]) && dim_equal(dim[0], base->shape.dim[0]) && !dim_is_one(dim[0])
                   ? base
                   : NULL;
    // Some columns of one of the summed blocks at a time.
    Dim unit;
    bool columns = which == 1 && product->attr->product.transpose_b && !dim_is_one(dim[1]) &&
                   dim_equal(dim[1], base->shape.dim[0]) &&
                   dim_div(&unit, dim[2], base->shape.dim[1]);
    return columns && dim_is_const(base->shape.dim[1]) && splits_columns(f, product) ? base : NULL;
}

static bool is_parameter(const Node *node) { return node->op == OP_param || node->op == OP_state; }

// On a GPU a parameter that products read in another order is brought into it once, for all of them.
static void store_permuted(Fuse *f, const Node *product) {
    int64_t offset;
    for (int i = 0; i < 2; i++)
        for (const Node *node = product->in[i]; node_is_movement(node); node = node->in[0])
            if (node->op == OP_permute && !node_is_view(node, f->fusion->batch, &offset) &&
                is_parameter(strip_views(node->in[0], f->fusion->batch, &offset)))
                store(f, node, "products read it in this order");
}

// A parameter, rounded: stored where that serves a product.
static bool copies_leaf(const Fuse *f, const Node *cast) {
    int64_t offset;
    return node_is_leaf(strip_views(cast->in[0], f->fusion->batch, &offset));
}

static void store_operands(Fuse *f) {
    const Graph *graph = f->fusion->graph;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        if (!f->live[id]) continue;
        if (node->op == OP_product && f->fusion->target->gpu) store_permuted(f, node);
        if (node->op == OP_product) choose_reads(f, node);
        for (int i = 0; node->op == OP_product && i < 2; i++) {
            const Node *base = f->fusion->read[id].base[i];
            if (base || !product_copied_operand(f, node, i))
                store(f, base ? base : node->in[i], "a matrix product reads it");
        }
        if (node_is_wino(node)) store(f, wino_operand(node), "a Winograd transform reads it");
        if (node->dtype == DT_BF16 && !copies_leaf(f, node)) store(f, node, "it is kept as bf16");
        if (node->op == OP_again) store(f, node->in[1], "something comes after it");
        if (node->op == OP_again) store(f, node->in[0], "it is computed from again");
        if (node->op == OP_gather) store(f, node->in[0], "it is gathered from");
        if (node->op == OP_scatter_add)
            store(f, node->in[0], "it is scattered"), store(f, node->in[1], "it is scattered");
        if (node_is_placed_concat(node)) {
            for (int i = 0; i < node->in_count; i++)
                store(f, node->in[i], "it is a part of a longer vector");
            store(f, node, "it is put together from parts");
        }
    }
    for (int i = 0; i < graph->root.count; i++)
        if (graph->root.at[i].kind == ROOT_STATE ||
            !op_info(graph->root.at[i].value->op)->pointwise)
            store(f, graph->root.at[i].value, "it is kept");
        else
            f->stored[graph->root.at[i].value->id] = true,
            f->apart[graph->root.at[i].value->id] = "it is an output";
}

// Every operator by itself, movements aside: for comparison.
static void store_operators(Fuse *f) {
    const Graph *graph = f->fusion->graph;
    for (int id = 0; id < graph->node.count; id++)
        if (f->live[id] && op_info(graph->node.at[id]->op)->pointwise &&
            !graph->node.at[id]->of_step)
            store(f, graph->node.at[id], "each operator is a kernel");
}

// --- What is cheaper to store than to compute again

double node_cost(const Node *node) {
    switch (node->op) {
    case OP_exp:
    case OP_log:
    case OP_tanh:
    case OP_sigmoid:
    case OP_erf:
    case OP_sin:
    case OP_cos:
        return 4;
    case OP_pow:
        return 10;
    case OP_div:
    case OP_sqrt:
        return 1;
    case OP_mod:
    case OP_random:
        return 3;
    case OP_pad:
        return 0.5;
    default:
        return op_info(node->op)->pointwise ? 0.1 : 0;
    }
}

static double *costs(const Fuse *f) {
    const Graph *graph = f->fusion->graph;
    double *cost = ARENA_ARRAY(f->arena, double, graph->node.count);
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        cost[id] = node_cost(node);
        if (node_is_leaf(node) || node_is_core(node) || node->op == OP_gather)
            cost[id] = 1;
        else if (!node->of_step)
            for (int i = 0; i < node->in_count; i++)
                cost[id] += f->stored[node->in[i]->id] ? 1 : cost[node->in[i]->id];
        // Across a broadcast a value is hoisted out of the inner loop; what is stored is small, and
        // so in the cache.
        double most = node->op == OP_broadcast && f->stored[node->in[0]->id] ? 0.1 : 0.5;
        if (node->op == OP_broadcast && cost[id] > most) cost[id] = most;
    }
    return cost;
}

// How often one element of `in` is read to compute all of `user` once.
static double replication(const Fuse *f, const Node *user, const Node *in) {
    double in_size = (double)shape_eval(&in->shape, f->fusion->batch);
    if (user->op != OP_broadcast && user->op != OP_window) return 1;
    return in_size > 0 ? (double)shape_eval(&user->shape, f->fusion->batch) / in_size : 1;
}

static void store_costly(Fuse *f) {
    const Graph *graph = f->fusion->graph;
    double *cost = costs(f), *reads = ARENA_ARRAY(f->arena, double, graph->node.count);
    for (int id = graph->node.count - 1; id >= 0; id--) {
        const Node *node = graph->node.at[id];
        if (!f->live[id] || node_is_leaf(node) || node->of_step) continue;
        bool again = reads[id] * cost[id] > cost[id] + 1.5 + reads[id];
        if (!f->inside[id] && again && cost[id] >= 1 && node->shape.rank > 0 &&
            !node_is_view(node, 1, &(int64_t){0}))
            store(f, node, "used more than once and dear to compute again");
        double times = f->stored[id] || (node_is_core(node) && !f->inside[id]) ? 1 : reads[id];
        for (int i = 0; i < node->in_count; i++)
            reads[node->in[i]->id] += times * replication(f, node, node->in[i]);
    }
}

// --- What would make a kernel of too many index variables (loops.h: LOOP_VARS), or too deep

// Variables that the way through this node makes, about.
static int own_variables(const Node *node) {
    int count = 0;
    switch (node->op) {
    case OP_gather:
        return 1;
    case OP_reshape:
        return node->shape.rank < node->in[0]->shape.rank ? 2 : 0;
    case OP_pad:
        for (int axis = 0; axis < node->shape.rank; axis++)
            count += node->attr->pad[axis].interior > 0;
        return count;
    case OP_concat:
        for (int i = 1; i < node->in_count; i++)
            count += !dim_is_const(node->in[i - 1]->shape.dim[node->attr->axis]);
        return count;
    default:
        return 0;
    }
}

// A node's inputs are stored, the most crowded first, until what is left of them fits.
static bool lies_in_memory(const Fuse *f, const Node *node) {
    int64_t offset;
    const Node *base = strip_views(node, f->fusion->batch, &offset);
    return f->stored[base->id] || node_is_leaf(base);
}

// The input of `node` that is computed in passing with the most variables, or NULL.
static const Node *most_crowded(const Fuse *f, const Node *node) {
    const Node *most = NULL;
    for (int i = 0; i < node->in_count; i++) {
        const Node *in = node->in[i];
        if (f->inside[in->id] || lies_in_memory(f, in) || f->variables[in->id] == 0) continue;
        if (!most || f->variables[in->id] > f->variables[most->id]) most = in;
    }
    return most;
}

// The input of `node` that is computed in passing and has the most operators behind one another.
static const Node *deepest(const Fuse *f, const Node *node) {
    const Node *most = NULL;
    for (int i = 0; i < node->in_count; i++) {
        const Node *in = node->in[i];
        if (f->inside[in->id] || lies_in_memory(f, in) || in->of_step) continue;
        if (!most || f->depth[in->id] > f->depth[most->id]) most = in;
    }
    return most;
}

static void store_deep(Fuse *f) {
    const Graph *graph = f->fusion->graph;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id], *most;
        if (!f->live[id] || node_is_leaf(node) || node->of_step) continue;
        while ((most = deepest(f, node)) && f->depth[most->id] >= MOST_DEPTH)
            store(f, most, "its kernel would be too deep");
        f->depth[id] = most ? f->depth[most->id] + 1 : 0;
    }
}

static void store_crowded(Fuse *f) {
    const Graph *graph = f->fusion->graph;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id], *most;
        if (!f->live[id] || node_is_leaf(node) || node->of_step) continue;
        for (;;) {
            f->variables[id] = own_variables(node);
            for (int i = 0; i < node->in_count; i++)
                if (!lies_in_memory(f, node->in[i]))
                    f->variables[id] += f->variables[node->in[i]->id];
            if (f->variables[id] <= CROWDED || !(most = most_crowded(f, node))) break;
            store(f, most, "its kernel would need too many index variables");
        }
    }
}

// --- The pass

static void mark_live(Fuse *f) {
    const Graph *graph = f->fusion->graph;
    for (int i = 0; i < graph->root.count; i++) {
        f->live[graph->root.at[i].value->id] = true;
        f->users[graph->root.at[i].value->id].roots++;
        if (graph->root.at[i].leaf) f->live[graph->root.at[i].leaf->id] = true;
    }
    for (int id = graph->node.count - 1; id >= 0; id--) {
        const Node *node = graph->node.at[id];
        if (!f->live[id]) continue;
        for (int i = 0; i < node->in_count; i++) {
            f->live[node->in[i]->id] = true;
            VEC_PUSH(f->arena, f->users[node->in[i]->id].node, node);
        }
    }
}

void choose_stored(Fuse *f) {
    mark_live(f);
    claim_updates(f);
    claim_epilogues(f);
    store_operands(f);
    if (f->fusion->target->separate) store_operators(f);
    store_costly(f);
    store_deep(f);
    store_crowded(f);
}

Fuse fuse_begin(Arena *arena, const Graph *graph, int64_t batch, const Target *target) {
    int count = graph->node.count + 1;
    Fusion *fusion = ARENA_NEW(arena, Fusion);
    Fuse f = {.fusion = fusion, .arena = arena};
    fusion->graph = graph;
    fusion->seen = marks_new(arena, 2 * count);
    fusion->batch = batch;
    fusion->target = target;
    fusion->storage = ARENA_ARRAY(arena, Storage, count);
    fusion->scalar_slot = ARENA_ARRAY(arena, int, count);
    fusion->read = ARENA_ARRAY(arena, Reads, count);
    f.users = ARENA_ARRAY(arena, Users, count);
    f.live = ARENA_ARRAY(arena, bool, count);
    f.stored = ARENA_ARRAY(arena, bool, count);
    f.inside = ARENA_ARRAY(arena, bool, count);
    f.claimed = ARENA_ARRAY(arena, bool, count);
    f.end = ARENA_ARRAY(arena, const Node *, count);
    f.used_up = ARENA_ARRAY(arena, bool, count);
    f.with = ARENA_ARRAY(arena, const Node *, count);
    f.variables = ARENA_ARRAY(arena, int, count);
    f.depth = ARENA_ARRAY(arena, int, count);
    f.folded = ARENA_ARRAY(arena, bool, count);
    f.core = ARENA_ARRAY(arena, const Node *, count);
    f.apart = ARENA_ARRAY(arena, const char *, count);
    return f;
}

Fusion *fuse(Arena *arena, const Graph *graph, int64_t batch, const Target *target,
             const Placement *placement, int placements) {
    Fuse f = fuse_begin(arena, graph, batch, target);
    f.placement = placement;
    f.placements = placements;
    choose_stored(&f);
    make_kernels(&f);
    if (!target->gpu) mark_prepared(arena, f.fusion);
    return f.fusion;
}
