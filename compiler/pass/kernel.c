// SPDX-License-Identifier: MIT
// One kernel as it is made: what it reads, its name, and the scratch memory that it needs for
// itself.
#include "pass/cuda_tiling.h"
#include "pass/gpu.h"
#include "pass/maker.h"
#include "pass/tiling.h"

bool kernel_computes(const Kernel *kernel, const Node *node) {
    for (int i = 0; i < kernel->result.count; i++)
        if (kernel->result.at[i].value == node && !kernel->result.at[i].from.buffer) return true;
    return false;
}

static void list_reads(const Maker *m, Kernel *kernel, const Node *node) {
    if (!marks_add(m->fusion->seen, node->id)) return;
    if (!kernel_computes(kernel, node) && (m->f->stored[node->id] || node_is_leaf(node))) {
        VEC_PUSH(m->arena, kernel->reads, node);
        return;
    }
    int64_t offset;
    int used = node->op == OP_again ? 1 : node->in_count;
    if (node->op == OP_again)
        VEC_PUSH(m->arena, kernel->after, strip_views(node->in[1], m->batch, &offset));
    for (int i = 0; i < used; i++)
        list_reads(m, kernel, node_is_wino(node) ? wino_operand(node) : node->in[i]);
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

void kernel_set_reads(Maker *m, Kernel *kernel) {
    marks_clear(m->fusion->seen);
    kernel->reads.count = kernel->after.count = 0;
    for (int i = 0; i < kernel->result.count; i++) {
        const Result *result = &kernel->result.at[i];
        const Buffer *own = m->fusion->storage[result->value->id].buffer;
        if (!result->from.buffer || result->from.buffer == own) // not from a copy of its own
            list_reads(m, kernel, result->value);
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

const char *kernel_name(const Maker *m, const Kernel *kernel) {
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

void buffer_place_scratch(Buffer *buffer, int64_t *at) {
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
    kernel->product = maker_buffer(m, ARENA_SCRATCH, DT_F32, size, NULL);
    buffer_place_scratch(kernel->product, at);
}

static void place_in_scratch(Maker *m, Kernel *kernel) {
    const Node *core = kernel->core;
    int64_t at = 0, packed;
    for (int i = 0; i < 2; i++) {
        const Node *operand = product_copied_operand(m->f, core, i);
        if (!operand) continue;
        int64_t size =
            shape_eval(&operand->shape, m->batch) / dim_eval(operand->shape.dim[0], m->batch);
        kernel->operand[i] = maker_buffer(m, ARENA_SCRATCH, DT_F32, size, NULL);
        if (dim_is_one(core->shape.dim[0])) // a part of its second axis
            kernel->operand[i]->elements =
                size / dim_eval(operand->shape.dim[1], m->batch) * product_grain(m->fusion, kernel);
        buffer_place_scratch(kernel->operand[i], &at);
    }
    place_product(m, kernel, &at);
    if (m->f->used_up[core->id]) kernel->product = maker_buffer(m, ARENA_SCRATCH, DT_F32, 0, NULL);
    kernel->tiling = tiling_make(m->arena, m->fusion, kernel);
    if (m->f->used_up[core->id]) {
        kernel->product->elements = tiling_tile_elements(kernel->tiling);
        buffer_place_scratch(kernel->product, &at);
    }
    if (!kernel->tiling || (packed = tiling_packed_elements(kernel->tiling)) == 0) return;
    kernel->packed = maker_buffer(m, ARENA_SCRATCH, DT_F32, packed, NULL);
    buffer_place_scratch(kernel->packed, &at);
}

static void add_choice(Maker *m, Kernel *kernel, const struct Choice *choice) {
    if (choice) VEC_PUSH(m->arena, kernel->choice, choice);
}

Kernel *maker_kernel(Maker *m, Result result, const Node *core) {
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
    kernel_set_reads(m, kernel);
    add_choice(m, kernel, m->fusion->graph->choice.at[(core ? core : result.value)->id]);
    if (core && core->op == OP_product) add_choice(m, kernel, m->fusion->read[core->id].choice);
    int64_t at = 0;
    if (kernel->kind == KERNEL_PRODUCT) place_in_scratch(m, kernel);
    if (kernel->kind == KERNEL_WINO) place_product(m, kernel, &at);
    return kernel;
}

void kernel_add_result(Maker *m, Kernel *kernel, Result result) {
    VEC_PUSH(m->arena, kernel->result, result);
    kernel_set_reads(m, kernel);
}

void maker_copy(Maker *m, const Node *value, Storage from, Storage to, const char *why) {
    maker_kernel(m, (Result){value, to, from}, NULL)->apart = why;
}

void maker_place_partial(Maker *m, Kernel *kernel) {
    const Choice *choice = NULL;
    if (kernel->kind == KERNEL_PRODUCT)
        kernel->cuda = cuda_tile_choose(m->arena, m->fusion, kernel, &choice);
    add_choice(m, kernel, choice);
    int64_t elements = gpu_partial_elements(m->arena, m->fusion, kernel);
    if (elements > 0) kernel->partial = maker_buffer(m, ARENA_WORK, DT_F32, elements, NULL);
}
