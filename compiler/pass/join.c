// SPDX-License-Identifier: MIT
// Kernels that become one with several results, and what such a kernel then keeps for itself: what
// nobody else reads is stored nowhere, or a row of it in scratch memory.
#include "pass/index.h"
#include "pass/maker.h"
#include "pass/rows.h"
#include "pass/stages.h"

// Does `node`, a part of what computes `wanted`, use a result of `kernel` other than element by
// element?
static bool uses_moved(const Maker *m, const Kernel *kernel, const Node *wanted, const Node *node,
                       bool moved) {
    if (!marks_add(m->fusion->seen, 2 * node->id + moved)) return false;
    for (int i = 0; i < kernel->result.count; i++)
        if (kernel->result.at[i].value == node) return moved;
    if (node != wanted && (m->f->stored[node->id] || node_is_leaf(node))) return false;
    bool pointwise = op_info(node->op)->pointwise || node->op == OP_cast || node->op == OP_stop;
    int used = node->op == OP_again ? 1 : node->in_count;
    for (int i = 0; i < used; i++)
        if (uses_moved(m, kernel, wanted, node->in[i], moved || !pointwise)) return true;
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
        bool makes_it = kernel_computes(kernel, read) && wanted->after.count == 0;
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
    marks_clear(m->fusion->seen);
    const Node *value = wanted->result.at[0].value;
    return shared && !uses_moved(m, kernel, value, value, false);
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

int maker_join(Maker *m) {
    Kernel *last = m->fusion->kernel.at[m->fusion->kernel.count - 1];
    bool separate = m->fusion->target->separate;
    if (separate || last->kind != KERNEL_LOOPS || last->space.rank == 0)
        return m->fusion->kernel.count - 1;
    for (int at = m->fusion->kernel.count - 2; at >= 0 && at > m->fusion->kernel.count - 66; at--) {
        Kernel *kernel = m->fusion->kernel.at[at];
        if (!can_join(m, kernel, at, last) && !join_rows(m, kernel, at, last)) continue;
        m->fusion->kernel.count--;
        kernel_add_result(m, kernel, last->result.at[0]);
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
            maker_buffer(m, ARENA_SCRATCH, rounded ? DT_F32 : result.value->dtype, row, NULL);
        buffer_place_scratch(result.to.buffer, at);
    }
    VEC_PUSH(m->arena, kernel->inside, result);
}

void maker_keep_inside(Maker *m, Kernel *kernel) {
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
    kernel_set_reads(m, kernel);
}

void maker_set_stages(Maker *m, Kernel *kernel) {
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
        buffer_place_scratch(kept, &at);
    }
}
