// SPDX-License-Identifier: MIT
// Where a function's results go: outputs to their places, a state's next value over its old one
// where no kernel reads that any more; else it is copied when the step ends.
#include "pass/index.h"
#include "pass/maker.h"
#include "pass/tiling.h"

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
    Storage kept = {maker_buffer(m, ARENA_WORK, root->value->dtype, size, NULL), 0};
    m->kept[root->leaf->id] = kept;
    maker_copy(m, root->value, m->fusion->storage[root->value->id], kept, "states change together");
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
        maker_copy(m, root->value, from, to, "the old value is read until the step ends");
}

static void place_output(Maker *m, const Root *root) {
    const Placement *at = maker_placement(m, root->name, ARENA_OUTPUT);
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
        maker_buffer(m, ARENA_OUTPUT, value->dtype, shape_eval(&value->shape, m->batch), NULL);
    out->offset = at->offset;
    maker_copy(m, value, *made, (Storage){out, 0}, "it is an output");
}

void maker_roots(Maker *m) {
    const Graph *graph = m->fusion->graph;
    for (int i = 0; i < graph->root.count; i++)
        if (graph->root.at[i].kind == ROOT_OUTPUT) place_output(m, &graph->root.at[i]);
    static void (*const phase[])(Maker *, const Root *) = {keep_old_value, write_in_place, commit};
    for (size_t p = 0; p < sizeof phase / sizeof *phase; p++)
        for (int i = 0; i < graph->root.count; i++)
            if (graph->root.at[i].kind == ROOT_STATE && !keeps_its_value(m, &graph->root.at[i]))
                phase[p](m, &graph->root.at[i]);
}
