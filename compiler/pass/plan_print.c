// SPDX-License-Identifier: MIT
// Fusions and plans as text:
//
//     kernel k2_product_fc1_weight [N, 10] = %14, product %9 {
//       reads %3 %8
//       apart "a matrix product ends here"
//     }
//     buffer b4 f32 1280 work+512 live 2..5
//     seq {
//       par 0..N grain 1 {
//         call k2_product_fc1_weight
//         call k3_max * 10
//       }
//       call k4_reduce_sum
//     }
//
// k3_max has 10 of its own outermost indices to one of the loop's, and the last is called as a
// whole. A node's number is its place in the graph after lowering (nnc graph --stage lower).
#include "pass/cuda_tiling.h"
#include "pass/plan.h"

const char *kernel_kind_name(KernelKind kind) {
    static const char *const name[] = {"loops", "product", "wino", "scatter"};
    return name[kind];
}

static void print_storage(Buf *out, Storage at) {
    buf_printf(out, "%s", at.buffer->name);
    if (at.offset) buf_printf(out, "+%lld", (long long)at.offset);
}

static void print_kernel(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    buf_printf(out, "kernel %s ", kernel->name);
    shape_print(out, &kernel->space);
    buf_printf(out, " %s {\n", kernel_kind_name(kernel->kind));
    for (int i = 0; i < kernel->result.count; i++) {
        const Result *result = &kernel->result.at[i];
        buf_printf(out, "  %s ", dtype_name(result->value->dtype));
        print_storage(out, result->to);
        buf_printf(out, " = %%%u %s", result->value->id, op_info(result->value->op)->name);
        if (result->from.buffer) buf_add(out, " from "), print_storage(out, result->from);
        buf_add(out, "\n");
    }
    for (int i = 0; i < kernel->inside.count; i++) {
        const Result *inside = &kernel->inside.at[i];
        buf_printf(out, "  inside %%%u %s", inside->value->id, op_info(inside->value->op)->name);
        if (inside->to.buffer) buf_printf(out, " kept in %s", inside->to.buffer->name);
        buf_add(out, "\n");
    }
    if (kernel->core && kernel->core != kernel->result.at[0].value)
        buf_printf(out, "  core %%%u %s\n", kernel->core->id, op_info(kernel->core->op)->name);
    for (int i = 0; i < kernel->reads.count; i++) {
        buf_printf(out, "  reads %%%u ", kernel->reads.at[i]->id);
        print_storage(out, fusion->storage[kernel->reads.at[i]->id]);
        buf_add(out, "\n");
    }
    for (int i = 0; i < 2; i++)
        if (kernel->operand[i]) {
            buf_printf(out, "  copies %%%u to %s, part by part\n", kernel->core->in[i]->id,
                       kernel->operand[i]->name);
        }
    if (kernel->cuda) {
        buf_add(out, "  ");
        cuda_tile_print(out, kernel->cuda);
        buf_add(out, "\n");
    }
    if (kernel->partial) buf_printf(out, "  parts in %s\n", kernel->partial->name);
    if (kernel->product) buf_printf(out, "  product in %s\n", kernel->product->name);
    if (kernel->apart) buf_printf(out, "  apart \"%s\"\n", kernel->apart);
    if (kernel->waits) buf_printf(out, "  waits \"%s\"\n", kernel->waits);
    buf_add(out, "}\n");
}

void fusion_print(Buf *out, const Fusion *fusion) {
    for (int i = 0; i < fusion->kernel.count; i++)
        print_kernel(out, fusion, fusion->kernel.at[i]);
}

static void print_buffers(Buf *out, const Fusion *fusion) {
    static const char *const arena[] = {"state", "input", "output", "work", "scratch"};
    for (int i = 0; i < fusion->buffer.count; i++) {
        const Buffer *buffer = fusion->buffer.at[i];
        if (buffer->last < 0 && buffer->arena != ARENA_SCRATCH) continue;
        buf_printf(out, "buffer %s %s %lld %s+%lld", buffer->name, dtype_name(buffer->dtype),
                   (long long)buffer->elements, arena[buffer->arena], (long long)buffer->offset);
        if (buffer->part)
            buf_printf(out, " part %lld", (long long)buffer->part);
        else if (buffer->arena != ARENA_SCRATCH)
            buf_printf(out, " live %d..%d", buffer->first, buffer->last);
        buf_add(out, "\n");
    }
}

static void print_tree(Buf *out, const PlanNode *node, int depth) {
    for (int i = 0; i < depth; i++)
        buf_add(out, "  ");
    if (node->prepared) buf_add(out, "prepared ");
    if (node->kind == PLAN_CALL) {
        buf_printf(out, "call %s", node->kernel->name);
        if (node->unit > 1) buf_printf(out, " * %lld", (long long)node->unit);
        buf_add(out, "\n");
        return;
    }
    if (node->kind == PLAN_PAR) {
        buf_add(out, "par 0..");
        dim_print(out, node->count);
        buf_printf(out, " grain %lld {\n", (long long)node->grain);
    } else {
        buf_add(out, node->kind == PLAN_SEQ ? "seq {\n" : "each {\n");
    }
    for (int i = 0; i < node->child.count; i++)
        print_tree(out, node->child.at[i], depth + 1);
    for (int i = 0; i < depth; i++)
        buf_add(out, "  ");
    buf_add(out, "}\n");
}

void plan_print(Buf *out, const Plan *plan) {
    buf_printf(out, "work %lld bytes, scratch %lld bytes a thread\n", (long long)plan->work_bytes,
               (long long)plan->scratch_bytes);
    fusion_print(out, plan->fusion);
    print_buffers(out, plan->fusion);
    print_tree(out, plan->root, 0);
}
