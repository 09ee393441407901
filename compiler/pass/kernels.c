// SPDX-License-Identifier: MIT
// From the stored nodes to kernels and buffers: who writes what where, and in which order.
//
// Kernels run in the order of the nodes that they store. Pointwise kernels over one space that read
// the same things are one kernel with several results (an optimizer's moments and parameters).
// Parts of a concat along its first axis are written straight into it. A state's next value is
// written over the old one where no one reads the old one any more, else copied at the end: all
// states change together.
#include "pass/cuda_tiling.h"
#include "pass/fuse_internal.h"
#include "pass/gpu.h"
#include "pass/index.h"
#include "pass/rows.h"
#include "pass/stages.h"
#include "pass/tiling.h"

#include <string.h>

typedef struct Maker {
    Fuse *f;
    Fusion *fusion;
    Arena *arena;
    int64_t batch;
    int *made_at;  // by node id: index of the last kernel that writes it; -1: a leaf
    Storage *kept; // by node id of a state: where its next value waits for the step's end
} Maker;

static Buffer *new_buffer(Maker *m, BufferArena where, DType dtype, int64_t elements,
                          const char *name) {
    Buffer *buffer = ARENA_NEW(m->arena, Buffer);
    buffer->id = m->fusion->buffer.count;
    buffer->arena = where;
    buffer->dtype = dtype;
    buffer->elements = elements;
    buffer->name = name ? name : arena_printf(m->arena, "b%d", buffer->id);
    VEC_PUSH(m->arena, m->fusion->buffer, buffer);
    return buffer;
}

static const Placement *find_placement(const Maker *m, const char *name, BufferArena where) {
    for (int i = 0; i < m->f->placements; i++)
        if (m->f->placement[i].arena == where && !strcmp(m->f->placement[i].name, name))
            return &m->f->placement[i];
    return NULL;
}

static void give_slot(Maker *m, const Node *scalar) {
    if (m->fusion->scalar_slot[scalar->id] >= 0) return;
    m->fusion->scalar_slot[scalar->id] = m->fusion->scalar.count;
    VEC_PUSH(m->arena, m->fusion->scalar, scalar);
}

static void place_leaves_and_scalars(Maker *m) {
    const Graph *graph = m->fusion->graph;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        m->fusion->scalar_slot[id] = -1;
        m->made_at[id] = -1;
        if (!m->f->live[id]) continue;
        if (node_is_leaf(node)) {
            BufferArena where = node->op == OP_input ? ARENA_INPUT : ARENA_STATE;
            const Placement *at = find_placement(m, node->attr->name, where);
            if (!at) bug("%s is placed nowhere", node->attr->name);
            Buffer *buffer = new_buffer(m, where, node->dtype, shape_eval(&node->shape, m->batch),
                                        node->attr->name);
            buffer->offset = at->offset;
            m->fusion->storage[id].buffer = buffer;
        }
        for (int i = 0; i < node->in_count && !node_is_scalar(node); i++)
            if (node_is_scalar(node->in[i])) give_slot(m, node->in[i]);
    }
}

static void place_views(Maker *m) {
    const Graph *graph = m->fusion->graph;
    int64_t offset;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        if (m->f->stored[id] || !m->f->live[id] || !node_is_view(node, m->batch, &offset)) continue;
        Storage in = m->fusion->storage[node->in[0]->id];
        m->fusion->storage[id] = (Storage){in.buffer, in.offset + offset};
        m->made_at[id] = m->made_at[node->in[0]->id];
    }
}

// --- Kernels

static bool computes(const Kernel *kernel, const Node *node) { // not: copies
    for (int i = 0; i < kernel->result.count; i++)
        if (kernel->result.at[i].value == node && !kernel->result.at[i].from.buffer) return true;
    return false;
}

static void list_reads(const Maker *m, Kernel *kernel, const Node *node, bool *seen) {
    if (seen[node->id]) return;
    seen[node->id] = true;
    if (!computes(kernel, node) && (m->f->stored[node->id] || node_is_leaf(node))) {
        VEC_PUSH(m->arena, kernel->reads, node);
        return;
    }
    int64_t offset;
    int used = node->op == OP_again ? 1 : node->in_count;
    if (node->op == OP_again)
        VEC_PUSH(m->arena, kernel->after, strip_views(node->in[1], m->batch, &offset));
    for (int i = 0; i < used; i++)
        list_reads(m, kernel, node_is_wino(node) ? wino_operand(node) : node->in[i], seen);
}

// Movements between a product and what it reads may be stored for others.
static void add_product_reads(Maker *m, Kernel *kernel) {
    for (int i = 0; i < 2; i++) {
        int64_t offset;
        const Node *base = m->fusion->read[kernel->core->id].base[i];
        bool known = !base;
        if (base) base = strip_views(base, m->batch, &offset);
        for (int k = 0; k < kernel->reads.count; k++)
            known |= kernel->reads.at[k] == base;
        if (!known) VEC_PUSH(m->arena, kernel->reads, base);
    }
}

static void set_reads(Maker *m, Kernel *kernel) {
    bool *seen = ARENA_ARRAY(m->arena, bool, m->fusion->graph->node.count);
    kernel->reads.count = kernel->after.count = 0;
    for (int i = 0; i < kernel->result.count; i++) {
        const Result *result = &kernel->result.at[i];
        const Buffer *own = m->fusion->storage[result->value->id].buffer;
        if (!result->from.buffer || result->from.buffer == own) // not from a copy of its own
            list_reads(m, kernel, result->value, seen);
    }
    if (kernel->kind == KERNEL_PRODUCT) add_product_reads(m, kernel);
}

static const char *find_label(const Maker *m, const Kernel *kernel) {
    for (int i = 0; i < kernel->reads.count; i++) {
        const Users *users = &m->f->users[kernel->reads.at[i]->id];
        if (kernel->reads.at[i]->op != OP_state) continue;
        for (int u = 0; u < users->node.count && kernel->core;
             u++) // a parameter: reshape of a slice
            for (int v = 0; v < m->f->users[users->node.at[u]->id].node.count; v++) {
                const Node *view = m->f->users[users->node.at[u]->id].node.at[v];
                const char *label = m->fusion->graph->label.at[view->id];
                int64_t offset;
                if (!label) continue;
                for (int k = 0; k < kernel->core->in_count; k++)
                    for (const Node *in = kernel->core->in[k]; in;
                         in = node_is_view(in, m->batch, &offset) ? in->in[0] : NULL)
                        if (in == view) return label;
            }
    }
    return NULL;
}

static const char *name_kernel(const Maker *m, const Kernel *kernel) {
    const Node *node =
        kernel->core ? kernel->core : kernel->result.at[kernel->result.count - 1].value;
    const char *label = find_label(m, kernel);
    char *name = arena_printf(m->arena, "k%d_%s%s%s", kernel->id, op_info(node->op)->name,
                              label ? "_" : "", label ? label : "");
    for (char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9')))
            *c = '_';
    return name;
}

// What a product's kernel keeps for itself, one after the other in its thread's scratch memory.
static void place_scratch(Buffer *buffer, int64_t *at) {
    buffer->offset = *at;
    buffer->first = buffer->last = -1;
    *at += (buffer->elements * dtype_size(DT_F32) + NNC_ALIGN - 1) / NNC_ALIGN * NNC_ALIGN;
}

// Where the product (or the image that tiles are added up to) lies, if the result is not the place
// for it: elements are moved, or it is rounded. One index of the batch at a time.
static void place_product(Maker *m, Kernel *kernel, int64_t *at) {
    const Node *core = kernel->core;
    if (m->fusion->target->gpu) return; // what is computed from it, is from registers
    if (!m->f->folded[core->id] && kernel->result.at[0].value->dtype != DT_BF16) return;
    int64_t size = shape_eval(&core->shape, m->batch);
    if (kernel->kind == KERNEL_WINO || !dim_is_one(core->shape.dim[0]))
        size /= dim_eval(core->shape.dim[0], m->batch);
    kernel->product = new_buffer(m, ARENA_SCRATCH, DT_F32, size, NULL);
    place_scratch(kernel->product, at);
}

static void place_in_scratch(Maker *m, Kernel *kernel) {
    const Node *core = kernel->core;
    int64_t at = 0, packed;
    for (int i = 0; i < 2; i++) {
        const Node *operand = product_copied_operand(m->f, core, i);
        if (!operand) continue;
        int64_t size =
            shape_eval(&operand->shape, m->batch) / dim_eval(operand->shape.dim[0], m->batch);
        kernel->operand[i] = new_buffer(m, ARENA_SCRATCH, DT_F32, size, NULL);
        if (dim_is_one(core->shape.dim[0])) // a part of its second axis
            kernel->operand[i]->elements =
                size / dim_eval(operand->shape.dim[1], m->batch) * product_grain(m->fusion, kernel);
        place_scratch(kernel->operand[i], &at);
    }
    place_product(m, kernel, &at);
    if (m->f->used_up[core->id]) kernel->product = new_buffer(m, ARENA_SCRATCH, DT_F32, 0, NULL);
    kernel->tiling = tiling_make(m->arena, m->fusion, kernel);
    if (m->f->used_up[core->id]) {
        kernel->product->elements = tiling_tile_elements(kernel->tiling);
        place_scratch(kernel->product, &at);
    }
    if (!kernel->tiling || (packed = tiling_packed_elements(kernel->tiling)) == 0) return;
    kernel->packed = new_buffer(m, ARENA_SCRATCH, DT_F32, packed, NULL);
    place_scratch(kernel->packed, &at);
}

static void add_choice(Maker *m, Kernel *kernel, const struct Choice *choice) {
    if (choice) VEC_PUSH(m->arena, kernel->choice, choice);
}

static Kernel *add_kernel(Maker *m, Result result, const Node *core) {
    Kernel *kernel = ARENA_NEW(m->arena, Kernel);
    kernel->id = m->fusion->kernel.count;
    kernel->core = core;
    kernel->kind = core && core->op == OP_product       ? KERNEL_PRODUCT
                   : core && node_is_wino(core)         ? KERNEL_WINO
                   : core && core->op == OP_scatter_add ? KERNEL_SCATTER
                                                        : KERNEL_LOOPS;
    kernel->space = result.value->shape;
    kernel->apart = m->f->apart[result.value->id];
    VEC_PUSH(m->arena, kernel->result, result);
    VEC_PUSH(m->arena, m->fusion->kernel, kernel);
    set_reads(m, kernel);
    add_choice(m, kernel, m->fusion->graph->choice.at[(core ? core : result.value)->id]);
    if (core && core->op == OP_product) add_choice(m, kernel, m->fusion->read[core->id].choice);
    int64_t at = 0;
    if (kernel->kind == KERNEL_PRODUCT) place_in_scratch(m, kernel);
    if (kernel->kind == KERNEL_WINO) place_product(m, kernel, &at);
    return kernel;
}

static void add_result(Maker *m, Kernel *kernel, Result result) {
    VEC_PUSH(m->arena, kernel->result, result);
    set_reads(m, kernel);
}

// Copies `value` from where it lies (or computes it again) to where it is wanted too.
static void add_copy(Maker *m, const Node *value, Storage from, Storage to, const char *why) {
    add_kernel(m, (Result){value, to, from}, NULL)->apart = why;
}

// Does `node`, a part of what computes `wanted`, use a result of `kernel` other than element by
// element?
static bool uses_moved(const Maker *m, const Kernel *kernel, const Node *wanted, const Node *node,
                       bool moved, uint8_t *seen) {
    if (seen[node->id] & (moved ? 2 : 1)) return false;
    seen[node->id] |= moved ? 2 : 1;
    for (int i = 0; i < kernel->result.count; i++)
        if (kernel->result.at[i].value == node) return moved;
    if (node != wanted && (m->f->stored[node->id] || node_is_leaf(node))) return false;
    bool pointwise = op_info(node->op)->pointwise || node->op == OP_cast || node->op == OP_stop;
    int used = node->op == OP_again ? 1 : node->in_count;
    for (int i = 0; i < used; i++)
        if (uses_moved(m, kernel, wanted, node->in[i], moved || !pointwise, seen)) return true;
    return false;
}

static bool is_crowded(const Maker *m, const Kernel *kernel, const Kernel *wanted) {
    int variables = m->f->variables[wanted->result.at[0].value->id];
    for (int i = 0; i < kernel->result.count; i++)
        variables += m->f->variables[kernel->result.at[i].value->id];
    return variables > CROWDED || kernel->result.count >= MOST_RESULTS;
}

// Is all there that `wanted` reads when `kernel` runs, and do they share something of at least
// `least` elements?
static bool can_share(const Maker *m, const Kernel *kernel, int at, const Kernel *wanted,
                      int64_t least) {
    bool shared = false; // a concat that the kernel writes a part of is read where it lies: no
    for (int i = 0; i < wanted->reads.count; i++) {
        const Node *read = wanted->reads.at[i];
        int made_at = m->made_at[read->id];
        bool makes_it = computes(kernel, read) && wanted->after.count == 0;
        if (made_at > at || (made_at == at && !makes_it)) return false;
        shared |= made_at == at;
        for (int k = 0; k < kernel->reads.count; k++)
            shared |= kernel->reads.at[k] == read && shape_eval(&read->shape, m->batch) >= least;
    }
    for (int i = 0; i < wanted->after.count; i++)
        if (m->made_at[wanted->after.at[i]->id] >= at) return false;
    return shared;
}

static bool can_join(const Maker *m, const Kernel *kernel, int at, const Kernel *wanted) {
    if (kernel->kind != KERNEL_LOOPS || kernel->core || wanted->core) return false;
    if (!shape_equal(&kernel->space, &wanted->space) || is_crowded(m, kernel, wanted)) return false;
    bool shared = can_share(m, kernel, at, wanted, 0);
    uint8_t *seen = ARENA_ARRAY(m->arena, uint8_t, m->fusion->graph->node.count);
    const Node *value = wanted->result.at[0].value;
    return shared && !uses_moved(m, kernel, value, value, false, seen);
}

static bool join_rows(const Maker *m, Kernel *kernel, int at, const Kernel *wanted) {
    Rows rows;
    if (!rows_common(m->fusion, kernel, wanted, &rows) || is_crowded(m, kernel, wanted) ||
        !can_share(m, kernel, at, wanted, shape_eval(&rows.space, m->batch)) ||
        !rows_read_own(m->arena, m->fusion, kernel, wanted, &rows))
        return false;
    kernel->rows = rows.rank;
    kernel->row_space = rows.space;
    kernel->core = NULL;
    if (wanted->space.rank > kernel->space.rank) kernel->space = wanted->space;
    return true;
}

// Moves the last kernel's only result into an earlier kernel, if there is one that takes it.
static int join(Maker *m) {
    Kernel *last = m->fusion->kernel.at[m->fusion->kernel.count - 1];
    bool separate = m->fusion->target->separate;
    if (separate || last->kind != KERNEL_LOOPS || last->space.rank == 0)
        return m->fusion->kernel.count - 1;
    for (int at = m->fusion->kernel.count - 2; at >= 0 && at > m->fusion->kernel.count - 66; at--) {
        Kernel *kernel = m->fusion->kernel.at[at];
        if (!can_join(m, kernel, at, last) && !join_rows(m, kernel, at, last)) continue;
        m->fusion->kernel.count--;
        add_result(m, kernel, last->result.at[0]);
        return at;
    }
    return m->fusion->kernel.count - 1;
}

// --- What a kernel of several results makes for itself alone

static bool lists(const Maker *m, const Node *const *list, int count, const Buffer *buffer) {
    for (int i = 0; i < count; i++)
        if (m->fusion->storage[list[i]->id].buffer == buffer) return true;
    return false;
}

static bool is_read_outside(const Maker *m, const Kernel *own, const Buffer *buffer) {
    bool outside = buffer->arena != ARENA_WORK;
    for (int i = 0; i < m->fusion->graph->root.count; i++)
        outside |= m->fusion->storage[m->fusion->graph->root.at[i].value->id].buffer == buffer;
    for (int k = 0; k < m->fusion->kernel.count && !outside; k++) {
        const Kernel *other = m->fusion->kernel.at[k];
        outside |= other != own && (lists(m, other->reads.at, other->reads.count, buffer) ||
                                    lists(m, other->after.at, other->after.count, buffer));
    }
    return outside;
}

// It is stored no more. Of what a kernel over rows makes, a row lies in scratch memory; everything
// else is computed in passing. (A GPU's threads have their elements of a row in registers.)
static void move_inside(Maker *m, Kernel *kernel, Result result, int64_t *at) {
    const Buffer *old = result.to.buffer;
    const Shape *shape = &result.value->shape;
    int64_t row = 1;
    for (int id = 0; id < m->fusion->graph->node.count; id++)
        if (m->fusion->storage[id].buffer == old) m->fusion->storage[id] = (Storage){0};
    m->f->stored[result.value->id] = false;
    bool whole = shape->rank > kernel->rows;
    if (!kernel->rows || (whole && m->fusion->target->gpu)) return;
    for (int axis = kernel->rows; axis < shape->rank; axis++)
        row *= dim_eval(shape->dim[axis], m->batch);
    result.to = (Storage){0};
    if (whole) {
        bool rounded = result.value->dtype == DT_BF16; // the row has no need to be shorter
        result.to.buffer =
            new_buffer(m, ARENA_SCRATCH, rounded ? DT_F32 : result.value->dtype, row, NULL);
        place_scratch(result.to.buffer, at);
    }
    VEC_PUSH(m->arena, kernel->inside, result);
}

static void keep_inside(Maker *m, Kernel *kernel) {
    int kept = 0;
    int64_t at = 0;
    for (int i = 0; i < kernel->result.count; i++) {
        Result result = kernel->result.at[i];
        if (is_read_outside(m, kernel, result.to.buffer))
            kernel->result.at[kept++] = result;
        else
            move_inside(m, kernel, result, &at);
    }
    kernel->result.count = kept;
    set_reads(m, kernel);
}

// A GPU's kernel whose sums are cut in parts has room for what these leave.
static void place_partial(Maker *m, Kernel *kernel) {
    const Choice *choice = NULL;
    if (kernel->kind == KERNEL_PRODUCT)
        kernel->cuda = cuda_tile_choose(m->arena, m->fusion, kernel, &choice);
    add_choice(m, kernel, choice);
    int64_t elements = gpu_partial_elements(m->arena, m->fusion, kernel);
    if (elements > 0) kernel->partial = new_buffer(m, ARENA_WORK, DT_F32, elements, NULL);
}

// A kernel over rows in stages keeps several rows at a time.
static void set_stages(Maker *m, Kernel *kernel) {
    Loops *loops = loops_build(m->arena, m->fusion, kernel);
    int64_t at = 0;
    loops_coalesce(loops);
    const Stages *stages = stages_find(m->arena, loops);
    if (!stages) return;
    kernel->staged = true;
    for (int i = 0; i < kernel->inside.count; i++) {
        Buffer *kept = kernel->inside.at[i].to.buffer;
        if (!kept) continue;
        stages_keep(stages, loops, kept);
        place_scratch(kept, &at);
    }
}

// --- Concats

static void place_parts(Maker *m, const Node *concat) {
    Storage *to = &m->fusion->storage[concat->id];
    if (!to->buffer)
        to->buffer =
            new_buffer(m, ARENA_WORK, concat->dtype, shape_eval(&concat->shape, m->batch), NULL);
    int64_t offset = to->offset, start;
    for (int i = 0; i < concat->in_count; i++) {
        const Node *base = strip_views(concat->in[i], m->batch, &start);
        Storage *part = &m->fusion->storage[base->id];
        int64_t size = shape_eval(&concat->in[i]->shape, m->batch);
        bool whole = start == 0 && shape_eval(&base->shape, m->batch) == size;
        if (!part->buffer && m->f->stored[base->id] && whole) *part = (Storage){to->buffer, offset};
        offset += size;
    }
}

static void copy_parts(Maker *m, const Node *concat) {
    Storage to = m->fusion->storage[concat->id];
    int made_at = -1;
    for (int i = 0; i < concat->in_count; i++) {
        Storage from = m->fusion->storage[concat->in[i]->id];
        if (from.buffer == to.buffer && from.offset == to.offset) {
            if (m->made_at[concat->in[i]->id] > made_at) made_at = m->made_at[concat->in[i]->id];
        } else {
            add_copy(m, concat->in[i], from, to, "a part that lies elsewhere too");
            made_at = m->fusion->kernel.count - 1;
        }
        to.offset += shape_eval(&concat->in[i]->shape, m->batch);
    }
    m->made_at[concat->id] = made_at;
}

static void place_stored(Maker *m) {
    const Graph *graph = m->fusion->graph;
    for (int id = graph->node.count - 1; id >= 0; id--)
        if (m->f->stored[id] && node_is_placed_concat(graph->node.at[id]))
            place_parts(m, graph->node.at[id]);
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        if (!m->f->stored[id] || m->fusion->storage[id].buffer) continue;
        m->fusion->storage[id].buffer =
            new_buffer(m, ARENA_WORK, node->dtype, shape_eval(&node->shape, m->batch), NULL);
    }
    place_views(m);
}

static void make_stored(Maker *m) {
    const Graph *graph = m->fusion->graph;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        int64_t offset;
        if (m->f->live[id] && !m->f->stored[id] && node_is_view(node, m->batch, &offset))
            m->made_at[id] = m->made_at[node->in[0]->id];
        if (!m->f->stored[id]) continue;
        if (node_is_placed_concat(node)) {
            copy_parts(m, node);
            continue;
        }
        Result result = {node, m->fusion->storage[id], {0}};
        if (m->f->with[id]) {
            m->made_at[id] = m->made_at[m->f->with[id]->id];
            add_result(m, m->fusion->kernel.at[m->made_at[id]], result);
            continue;
        }
        add_kernel(m, result, m->f->core[id]);
        m->made_at[id] = join(m);
    }
    for (int k = 0; k < m->fusion->kernel.count; k++)
        if (m->fusion->kernel.at[k]->result.count > 1) keep_inside(m, m->fusion->kernel.at[k]);
}

// --- Roots

// Does a product's kernel compute its results from a tile of it at a time, none of which it needs
// `old` for?
static bool is_tile_by_tile(const Maker *m, const Kernel *kernel, const Buffer *old) {
    const Tiling *tiling = kernel->tiling;
    return kernel->kind == KERNEL_PRODUCT && m->f->used_up[kernel->core->id] &&
           m->fusion->storage[tiling->base[SIDE_A]->id].buffer != old &&
           m->fusion->storage[tiling->base[SIDE_B]->id].buffer != old;
}

// Does all that the kernel reads of `old` lie where it writes to `made` itself, in the same turn?
static bool reads_in_place(const Maker *m, const Kernel *kernel, const Buffer *old,
                           const Buffer *made) {
    bool loops_alone = kernel->kind == KERNEL_LOOPS && !kernel->rows;
    if (!loops_alone && !is_tile_by_tile(m, kernel, old)) return false;
    Loops *loops = loops_build(m->arena, m->fusion, kernel);
    for (int i = 0; i < loops->value.count; i++) {
        const Value *load = loops->value.at[i];
        bool found = load->kind != VALUE_LOAD || load->buffer != old;
        for (int k = 0; k < loops->store.count && !found; k++)
            found = loops->store.at[k].buffer == made &&
                    index_equal(&loops->store.at[k].index, &load->index);
        if (!found) return false;
    }
    return true;
}

static bool writes(const Kernel *kernel, const Buffer *buffer) {
    for (int i = 0; i < kernel->result.count; i++)
        if (kernel->result.at[i].to.buffer == buffer) return true;
    return false;
}

static bool reads(const Kernel *kernel, const Node *node) {
    for (int i = 0; i < kernel->reads.count; i++)
        if (kernel->reads.at[i] == node) return true;
    return false;
}

// May what is written to `made` be written over the state's old value? Several kernels may each
// write a part; from the first of them on, none may read what another has written over.
static bool can_overwrite(const Maker *m, const Node *leaf, const Buffer *made) {
    const Buffer *old = m->fusion->storage[leaf->id].buffer;
    bool written = false;
    if (made->elements != old->elements) return false;
    for (int k = 0; k < m->fusion->kernel.count; k++) {
        const Kernel *kernel = m->fusion->kernel.at[k];
        written |= writes(kernel, made);
        if (written && reads(kernel, leaf) && !reads_in_place(m, kernel, old, made)) return false;
    }
    return written;
}

// All that lies in `from`, which is taken as a whole, now lies in `to`.
static void move_buffer(Maker *m, const Buffer *from, Buffer *to) {
    for (int k = 0; k < m->fusion->kernel.count; k++)
        for (int i = 0; i < m->fusion->kernel.at[k]->result.count; i++) {
            Result *result = &m->fusion->kernel.at[k]->result.at[i];
            if (result->to.buffer == from) result->to.buffer = to;
            if (result->from.buffer == from) result->from.buffer = to;
        }
    for (int id = 0; id < m->fusion->graph->node.count; id++)
        if (m->fusion->storage[id].buffer == from) m->fusion->storage[id].buffer = to;
}

static bool keeps_its_value(const Maker *m, const Root *root) {
    int64_t offset;
    return strip_views(root->value, m->batch, &offset) == root->leaf && offset == 0;
}

// The next value is a leaf's old one, which may change as well: keeps a copy till the step ends.
static void keep_old_value(Maker *m, const Root *root) {
    int64_t offset, size = shape_eval(&root->value->shape, m->batch);
    if (!node_is_leaf(strip_views(root->value, m->batch, &offset))) return;
    Storage kept = {new_buffer(m, ARENA_WORK, root->value->dtype, size, NULL), 0};
    m->kept[root->leaf->id] = kept;
    add_copy(m, root->value, m->fusion->storage[root->value->id], kept, "states change together");
}

static void write_in_place(Maker *m, const Root *root) {
    const Storage *made = &m->fusion->storage[root->value->id];
    int64_t offset;
    if (strip_views(root->value, m->batch, &offset) == root->value &&
        m->f->stored[root->value->id] && m->f->users[root->value->id].roots == 1 &&
        made->offset == 0 && made->buffer->arena == ARENA_WORK &&
        can_overwrite(m, root->leaf, made->buffer))
        move_buffer(m, made->buffer, m->fusion->storage[root->leaf->id].buffer);
}

static void commit(Maker *m, const Root *root) {
    Storage kept = m->kept[root->leaf->id], to = m->fusion->storage[root->leaf->id];
    Storage from = kept.buffer ? kept : m->fusion->storage[root->value->id];
    if (from.buffer != to.buffer || from.offset != to.offset)
        add_copy(m, root->value, from, to, "the old value is read until the step ends");
}

static void place_output(Maker *m, const Root *root) {
    const Placement *at = find_placement(m, root->name, ARENA_OUTPUT);
    if (!at) bug("output %s is placed nowhere", root->name);
    const Node *value = root->value;
    Storage *made = &m->fusion->storage[value->id];
    bool alone = m->f->stored[value->id] && made->buffer->arena == ARENA_WORK &&
                 made->offset == 0 && !node_is_placed_concat(value) &&
                 made->buffer->elements == shape_eval(&value->shape, m->batch);
    for (int k = 0; k < m->fusion->kernel.count && alone; k++) // no part of something longer
        for (int i = 0; i < m->fusion->kernel.at[k]->result.count; i++)
            if (m->fusion->kernel.at[k]->result.at[i].value != value &&
                m->fusion->kernel.at[k]->result.at[i].to.buffer == made->buffer)
                alone = false;
    if (alone) {
        made->buffer->arena = ARENA_OUTPUT;
        made->buffer->offset = at->offset;
        return;
    }
    Buffer *out =
        new_buffer(m, ARENA_OUTPUT, value->dtype, shape_eval(&value->shape, m->batch), NULL);
    out->offset = at->offset;
    add_copy(m, value, *made, (Storage){out, 0}, "it is an output");
}

static void finish_roots(Maker *m) {
    const Graph *graph = m->fusion->graph;
    for (int i = 0; i < graph->root.count; i++)
        if (graph->root.at[i].kind == ROOT_OUTPUT) place_output(m, &graph->root.at[i]);
    static void (*const phase[])(Maker *, const Root *) = {keep_old_value, write_in_place, commit};
    for (size_t p = 0; p < sizeof phase / sizeof *phase; p++)
        for (int i = 0; i < graph->root.count; i++)
            if (graph->root.at[i].kind == ROOT_STATE && !keeps_its_value(m, &graph->root.at[i]))
                phase[p](m, &graph->root.at[i]);
}

void make_kernels(Fuse *f) {
    Maker m = {.f = f, .fusion = f->fusion, .arena = f->arena, .batch = f->fusion->batch};
    m.made_at = ARENA_ARRAY(f->arena, int, f->fusion->graph->node.count + 1);
    m.kept = ARENA_ARRAY(f->arena, Storage, f->fusion->graph->node.count + 1);
    place_leaves_and_scalars(&m);
    place_stored(&m);
    make_stored(&m);
    finish_roots(&m);
    for (int i = 0; i < f->fusion->kernel.count; i++) {
        Kernel *kernel = f->fusion->kernel.at[i];
        kernel->id = i;
        kernel->name = name_kernel(&m, kernel);
        if (kernel->rows) set_stages(&m, kernel);
        if (f->fusion->target->gpu) place_partial(&m, kernel);
    }
}
