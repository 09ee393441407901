// SPDX-License-Identifier: MIT
// One function of a program as C: its kernels, what it computes in double once a step, and the
// calls in the order of the plan.
#include "emit/cuda_internal.h"
#include "emit/emit.h"
#include "emit/nest.h"
#include "jit/jit.h"

#include <string.h>

enum { UNIT_BYTES = 6000 }; // small beside what a compiler gets: they are dealt out

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

// double x = ..; of hyper-parameters, step, epoch and n: what the nodes in fusion->scalar are.
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

// The same of learning rates, which are only reported.
void emit_rates(Buf *out, const Module *module) {
    const Graph *rates = module->rates;
    bool *printed = ARENA_ARRAY(out->arena, bool, rates->node.count + 1);
    buf_add(out, "void nnc_rates(const double *hyper, double step, double epoch, double n, double *out) {\n"
                 "    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;\n");
    for (int i = 0; i < rates->root.count; i++) {
        const Node *rate = rates->root.at[i].value;
        print_scalar(out, module, rate, printed);
        buf_printf(out, "    out[%d] = x%u;\n", i, rate->id);
    }
    buf_add(out, "}\n\n");
}

// --- Calls. What nnc_parallel calls is a kernel, or a function that calls several for its part.

enum { WHOLE = 1 << 30 }; // a grain that leaves one part

typedef struct Steps {
    Buf *out;
    const char *function;
    int groups; // printed so far
    int depth;
} Steps;

static const char *call_text(const Steps *steps, const PlanNode *call, bool in_part) {
    const char *thread = in_part ? "thread" : "0", *low = "0";
    const char *high = dim_as_c(steps->out->arena, call->count);
    if (in_part && call->unit) {
        const char *times =
            call->unit > 1 ? arena_printf(steps->out->arena, " * %lld", (long long)call->unit) : "";
        low = arena_printf(steps->out->arena, "low%s", times);
        high = arena_printf(steps->out->arena, "high%s", times);
    }
    return arena_printf(steps->out->arena, "%s_%s(ctx, %s, %s, %s);\n", steps->function,
                        call->kernel->name, low, high, thread);
}

// Kernels in order, of one part or (a SEQ) each as a whole.
static void print_group(Steps *steps, const PlanNode *node) {
    buf_printf(
        steps->out,
        "static void %s_group%d(const NncCtx *ctx, long long low, long long high, "
        "int thread) {\n    const long long n = ctx->n;\n    (void)n, (void)low, (void)high;\n",
        steps->function, ++steps->groups);
    for (int i = 0; i < node->child.count; i++)
        buf_printf(steps->out, "    %s", call_text(steps, node->child.at[i], true));
    buf_add(steps->out, "}\n\n");
}

static bool is_group(const PlanNode *node) { // needs a function of its own
    return node->child.count > 1 && node->kind != PLAN_EACH;
}

static void print_groups(Steps *steps, const PlanNode *node) {
    for (int i = 0; i < node->child.count; i++) {
        const PlanNode *child = node->child.at[i];
        if (is_group(child))
            print_group(steps, child);
        else
            print_groups(steps, child);
    }
}

// "train_k3_add, n, 4": what is called, over how many indices, cut where.
static const char *loop_text(Steps *steps, const PlanNode *node) {
    Arena *arena = steps->out->arena;
    const char *name = is_group(node) ? arena_printf(arena, "group%d", ++steps->groups)
                                      : node->child.at[0]->kernel->name;
    bool whole = node->kind == PLAN_SEQ;
    Dim count = !whole ? node->count : is_group(node) ? dim_const(1) : node->child.at[0]->count;
    return arena_printf(arena, "%s_%s, %s, %lld", steps->function, name, dim_as_c(arena, count),
                        whole ? WHOLE : (long long)node->grain);
}

static void print_each(Steps *steps, const PlanNode *each) {
    Buf *out = steps->out;
    int depth = steps->depth;
    buf_add(out, "{\n"), print_indent(out, depth + 1);
    buf_add(out, "const NncLoop loop[] = {\n");
    for (int i = 0; i < each->child.count; i++) {
        const PlanNode *child = each->child.at[i];
        print_indent(out, depth + 2);
        buf_printf(out, "{%s, %lld},\n", loop_text(steps, child), (long long)child->time + 1);
    }
    print_indent(out, depth + 1), buf_add(out, "};\n");
    print_indent(out, depth + 1);
    buf_printf(out, "nnc_parallel_all(ctx, loop, %d);\n", each->child.count);
    print_indent(out, depth), buf_add(out, "}\n");
}

static void print_child(Steps *steps, const PlanNode *node) {
    print_indent(steps->out, steps->depth);
    if (node->kind == PLAN_CALL)
        buf_add(steps->out, call_text(steps, node, false));
    else if (node->kind == PLAN_EACH)
        print_each(steps, node);
    else
        buf_printf(steps->out, "nnc_parallel(ctx, %s);\n", loop_text(steps, node));
}

static void print_run(Buf *out, const char *function, const PlanNode *root) {
    Steps steps = {.out = out, .function = function};
    print_groups(&steps, root);
    steps.groups = 0; // they are called in the order in which they were printed
    buf_printf(out,
               "void nnc_run_%s(NncCtx *ctx) {\n    const long long n = ctx->n;\n    (void)n;\n",
               function);
    bool open = root->child.count > 0 && root->child.at[0]->prepared;
    if (open) buf_add(out, "    if (!ctx->prepared) {\n");
    for (int i = 0; i < root->child.count; i++) {
        const PlanNode *child = root->child.at[i];
        if (open && !child->prepared) open = false, buf_add(out, "    }\n");
        steps.depth = 1 + open;
        print_child(&steps, child);
    }
    if (open) buf_add(out, "    }\n");
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

void emit_function(Buf *out, SharedFunctions *shared, const Module *module, NncFunctionKind kind,
                   const Plan *plan) {
    const char *function = function_name(kind);
    const Fusion *fusion = plan->fusion;
    size_t unit = 0;
    if (fusion->target->gpu) {
        emit_cuda_function(out, module, kind, plan);
        return;
    }
    shared->user = 1u << kind;
    for (int i = 0; i < fusion->kernel.count; i++) {
        if (i == 0 || out->length - unit > UNIT_BYTES) {
            const char *marker = kind == NNC_INIT ? JIT_ONCE_MARKER : JIT_UNIT_MARKER;
            buf_printf(out, "%s: %s of ", marker, function);
            print_file(out, module);
            buf_add(out, "\n\n");
            unit = out->length;
        }
        emit_kernel(out, shared, function, fusion, fusion->kernel.at[i]);
    }
    buf_printf(out, "%s: the calls of %s, in order\n\n", JIT_UNIT_MARKER, function);
    print_prototypes(out, function, fusion);
    emit_scalars(out, module, function, fusion);
    print_run(out, function, plan->root);
    buf_add(out, "\n");
}
