// SPDX-License-Identifier: MIT
// One function of a program as C: its kernels, what it computes in double once a step, and the
// calls in the order of the plan.
#include "emit/emit.h"
#include "emit/nest.h"
#include "jit/jit.h"

#include <string.h>

enum { UNIT_BYTES = 60000 }; // about what a compiler takes a second for

// --- Scalars

static void scalar_text(Buf *out, const Module *module, const Node *node) {
    const char *in[3] = {0};
    for (int i = 0; i < node->in_count && i < 3; i++)
        in[i] = arena_printf(out->arena, "x%u", node->in[i]->id);
    switch (node->op) {
    case OP_const:
        print_number(out, node->dtype, node->attr->value);
        return;
    case OP_step:
        buf_add(out, "step");
        return;
    case OP_epoch:
        buf_add(out, "epoch");
        return;
    case OP_size:
        print_dim(out, node->attr->extent);
        return;
    case OP_hyper:
        for (int i = 0; i < module->hyper.count; i++)
            if (!strcmp(module->hyper.at[i].name, node->attr->name)) {
                buf_printf(out, "hyper[%d]", i);
                return;
            }
        bug("hyper-parameter %s is not the module's", node->attr->name);
    case OP_cast:
    case OP_stop:
    case OP_reshape:
    case OP_broadcast:
        buf_add(out, in[0]);
        return;
    default:
        break;
    }
    if (!op_info(node->op)->pointwise) bug("%s of a scalar", op_info(node->op)->name);
    print_pointwise(out, node->op, node->in[node->in_count - 1]->dtype, in);
}

static void print_scalar(Buf *out, const Module *module, const Node *node, bool *printed) {
    if (printed[node->id]) return;
    printed[node->id] = true;
    for (int i = 0; i < node->in_count; i++)
        print_scalar(out, module, node->in[i], printed);
    buf_printf(out, "    const %s x%u = ", c_type(node->dtype), node->id);
    scalar_text(out, module, node);
    buf_add(out, ";\n");
}

void emit_scalars(Buf *out, const Module *module, const char *function, const Fusion *fusion) {
    bool *printed = ARENA_ARRAY(out->arena, bool, fusion->graph->node.count + 1);
    buf_printf(out,
               "void nnc_scalars_%s(const double *hyper, double step, double epoch, double n, "
               "float *out) {\n",
               function);
    buf_add(out, "    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;\n");
    for (int i = 0; i < fusion->scalar.count; i++) {
        print_scalar(out, module, fusion->scalar.at[i], printed);
        buf_printf(out, "    out[%d] = (float)x%u;\n", i, fusion->scalar.at[i]->id);
    }
    buf_add(out, "}\n\n");
}

// --- Calls

static void print_run(Buf *out, const char *function, const PlanNode *root) {
    buf_printf(out,
               "void nnc_run_%s(NncCtx *ctx) {\n    const long long n = ctx->n;\n    (void)n;\n",
               function);
    for (int i = 0; i < root->child.count; i++) {
        const PlanNode *par = root->child.at[i];
        const char *name = par->child.at[0]->kernel->name;
        if (par->serial) {
            buf_printf(out, "    %s_%s(ctx, 0, ", function, name);
            print_dim(out, par->count);
            buf_add(out, ", 0);\n");
        } else {
            buf_printf(out, "    nnc_parallel(ctx, %s_%s, ", function, name);
            print_dim(out, par->count);
            buf_printf(out, ", %lld);\n", (long long)par->grain);
        }
    }
    buf_add(out, "}\n");
}

static void print_prototypes(Buf *out, const char *function, const Fusion *fusion) {
    for (int i = 0; i < fusion->kernel.count; i++)
        buf_printf(out, "void %s_%s(const NncCtx *, long long, long long, int);\n", function,
                   fusion->kernel.at[i]->name);
    buf_add(out, "\n");
}

static void print_file(Buf *out, const Module *module) {
    for (const char *c = module->source->name; *c; c++)
        buf_add_char(out, *c == '\\' || *c == '\n' || *c == '\r' ? '_' : *c);
}

void emit_function(Buf *out, const Module *module, NncFunctionKind kind, const Plan *plan) {
    const char *function = function_name(kind);
    const Fusion *fusion = plan->fusion;
    size_t unit = 0;
    for (int i = 0; i < fusion->kernel.count; i++) {
        if (i == 0 || out->length - unit > UNIT_BYTES) {
            buf_printf(out, "%s: %s of ", JIT_UNIT_MARKER, function);
            print_file(out, module);
            buf_add(out, "\n\n");
            unit = out->length;
        }
        emit_kernel(out, function, fusion, fusion->kernel.at[i]);
    }
    buf_printf(out, "%s: the calls of %s, in order\n\n", JIT_UNIT_MARKER, function);
    print_prototypes(out, function, fusion);
    emit_scalars(out, module, function, fusion);
    print_run(out, function, plan->root);
    buf_add(out, "\n");
}
