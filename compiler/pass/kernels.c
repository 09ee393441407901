// SPDX-License-Identifier: MIT
// From the stored nodes to kernels and buffers: who writes what where, and in which order.
//
// Kernels run in the order of the nodes that they store. Pointwise kernels over one space that read
// the same things are one kernel with several results (an optimizer's moments and parameters:
// join.c). Parts of a concat along its first axis are written straight into it. A state's next
// value is written over the old one where no one reads the old one any more, else copied at the
// end: all states change together (roots.c).
#include "pass/maker.h"

#include <string.h>

Buffer *maker_buffer(Maker *m, BufferArena where, DType dtype, int64_t elements, const char *name) {
    Buffer *buffer = ARENA_NEW(m->arena, Buffer);
    buffer->id = m->fusion->buffer.count;
    buffer->arena = where;
    buffer->dtype = dtype;
    buffer->elements = elements;
    buffer->name = name ? name : arena_printf(m->arena, "b%d", buffer->id);
    VEC_PUSH(m->arena, m->fusion->buffer, buffer);
    return buffer;
}

const Placement *maker_placement(const Maker *m, const char *name, BufferArena where) {
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
            const Placement *at = maker_placement(m, node->attr->name, where);
            if (!at) bug("%s is placed nowhere", node->attr->name);
            Buffer *buffer = maker_buffer(m, where, node->dtype, shape_eval(&node->shape, m->batch),
                                          node->attr->name);
            buffer->offset = at->offset;
            m->fusion->storage[id].buffer = buffer;
        }
        for (int i = 0; i < node->in_count && !node->of_step; i++)
            if (node->in[i]->of_step) give_slot(m, node->in[i]);
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

// --- Concats

static void place_parts(Maker *m, const Node *concat) {
    Storage *to = &m->fusion->storage[concat->id];
    if (!to->buffer)
        to->buffer =
            maker_buffer(m, ARENA_WORK, concat->dtype, shape_eval(&concat->shape, m->batch), NULL);
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
            maker_copy(m, concat->in[i], from, to, "a part that lies elsewhere too");
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
            maker_buffer(m, ARENA_WORK, node->dtype, shape_eval(&node->shape, m->batch), NULL);
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
            kernel_add_result(m, m->fusion->kernel.at[m->made_at[id]], result);
            continue;
        }
        maker_kernel(m, result, m->f->core[id]);
        m->made_at[id] = maker_join(m);
    }
    for (int k = 0; k < m->fusion->kernel.count; k++)
        if (m->fusion->kernel.at[k]->result.count > 1)
            maker_keep_inside(m, m->fusion->kernel.at[k]);
}

void make_kernels(Fuse *f) {
    Maker m = {.f = f, .fusion = f->fusion, .arena = f->arena, .batch = f->fusion->batch};
    m.made_at = ARENA_ARRAY(f->arena, int, f->fusion->graph->node.count + 1);
    m.kept = ARENA_ARRAY(f->arena, Storage, f->fusion->graph->node.count + 1);
    place_leaves_and_scalars(&m);
    place_stored(&m);
    make_stored(&m);
    maker_roots(&m);
    for (int i = 0; i < f->fusion->kernel.count; i++) {
        Kernel *kernel = f->fusion->kernel.at[i];
        kernel->id = i;
        kernel->name = kernel_name(&m, kernel);
        if (kernel->rows) maker_set_stages(&m, kernel);
        if (f->fusion->target->gpu) maker_place_partial(&m, kernel);
    }
}
