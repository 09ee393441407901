// SPDX-License-Identifier: MIT
// Each kernel alone: its inputs are the oracle's values as floats, so that an error does not
// travel, and the kernel that is off is the one that is named.
#include "cli/verify.h"

#include "bf16.h"
#include "pass/plan.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Where a value is 0 up to rounding, a float and a double may take different sides of a kink. So in
// a large tensor a few elements may differ by more; one in this many.
enum { ELEMENTS_PER_KINK = 2000 };

static const double tolerance = 1e-4; // of a tensor's largest element
static const double rounding = 1e-6;  // of the terms that are added up
// What is kept as bf16 and lies between two of its numbers may become the one here and the other
// there; later steps of a whole function go on from that.
static const double neighbour = 0x1p-7; // of the element
static const double whole_tolerance = 1e-3, whole_bf16_tolerance = 5e-2;

typedef struct Run { // of one function
    Check *check;
    NncFunctionKind function;
    const Plan *plan;
    const Graph *graph;
    int64_t n;
    double **value; // the oracle's, by node id
    NncCtx ctx;
    char *arena[5]; // by BufferArena
} Run;

typedef struct Part { // outer indices of the strand that a kernel is in
    int64_t low, high, count, grain;
    int64_t unit; // indices of the kernel to one of these
} Part;

static char *new_arena(int64_t bytes) {
    size_t size = ((size_t)(bytes > 0 ? bytes : 1) + NNC_ALIGN - 1) / NNC_ALIGN * NNC_ALIGN;
    char *memory = aligned_alloc(NNC_ALIGN, size);
    if (!memory) bug("no memory for %lld bytes", (long long)bytes);
    memset(memory, 0, size);
    return memory;
}

static char *address(const Run *run, const Storage *at, DType dtype) {
    return run->arena[at->buffer->arena] + at->buffer->offset + at->offset * dtype_size(dtype);
}

// Where element i of a batch of n lies: buffers have the extents that the full batch gives.
static int64_t place_of(const Run *run, const Shape *shape, int64_t i) {
    int64_t place = 0, stride = 1;
    for (int axis = shape->rank - 1; axis >= 0; axis--) {
        int64_t extent = dim_eval(shape->dim[axis], run->n);
        place += i % extent * stride;
        i /= extent;
        stride *= dim_eval(shape->dim[axis], run->plan->fusion->batch);
    }
    return place;
}

// Is the element at *place in memory while this part is? *place: then, from the thread's part on.
// What lies there for all parts counts with the last one.
static bool is_there(const Buffer *buffer, const Part *part, int64_t *place) {
    if (buffer->part == 0) return !part || part->high == part->count;
    if (*place < part->low * buffer->part || *place >= part->high * buffer->part) return false;
    *place -= part->low * buffer->part;
    return true;
}

// part NULL: all of it.
static void put(const Run *run, const Node *node, const Part *part) {
    const Storage *at = &run->plan->fusion->storage[node->id];
    int64_t size = shape_eval(&node->shape, run->n);
    if (!at->buffer || (at->buffer->part == 0 && part && part->low > 0)) return;
    char *to = address(run, at, node->dtype);
    for (int64_t i = 0; i < size; i++) {
        double value = run->value[node->id][i];
        int64_t place = place_of(run, &node->shape, i);
        if (at->buffer->part && !is_there(at->buffer, part, &place)) continue;
        if (node->dtype == DT_F32)
            ((float *)(void *)to)[place] = (float)value;
        else if (node->dtype == DT_BF16)
            ((uint16_t *)(void *)to)[place] = nnc_bf16_bits(nnc_bf16_round((float)value));
        else if (node->dtype == DT_I32)
            ((int32_t *)(void *)to)[place] = (int32_t)value;
        else
            to[place] = value != 0;
    }
}

static double get(const char *from, DType dtype, int64_t i) {
    if (dtype == DT_F32) return ((const float *)(const void *)from)[i];
    if (dtype == DT_BF16) return nnc_bf16_value(((const uint16_t *)(const void *)from)[i]);
    return dtype == DT_I32 ? ((const int32_t *)(const void *)from)[i] : from[i];
}

// The largest error, as a part of the largest value; the few that may lie across a kink left out.
// terms: how large what was added up is.
static double largest_error(const Run *run, const Result *result, const Part *part, double terms) {
    const Node *node = result->value;
    int64_t size = shape_eval(&node->shape, run->n), kinks = size / ELEMENTS_PER_KINK;
    const char *got = address(run, &result->to, node->dtype);
    const double *want = run->value[node->id];
    double scale = 1e-6, worst = 0;
    for (int64_t i = 0; i < size; i++)
        scale = isfinite(want[i]) ? fmax(scale, fabs(want[i])) : scale;
    scale += rounding / tolerance * terms;
    for (int64_t i = 0; i < size; i++) {
        int64_t place = place_of(run, &node->shape, i);
        if (!is_there(result->to.buffer, part, &place)) continue;
        double have = get(got, node->dtype, place);
        bool same = have == want[i] || (isnan(have) && isnan(want[i]));
        double apart = fabs(have - want[i]);
        if (node->dtype == DT_BF16) apart = fmax(0, apart - neighbour * fabs(want[i]));
        double error = same ? 0 : apart / scale;
        if (!(error <= tolerance) && kinks-- > 0) continue;
        worst = error <= worst ? worst : error; // a NaN stays
    }
    return worst;
}

static const Kernel *kernel_of(const Fusion *fusion, const Node *value) {
    for (int k = 0; k < fusion->kernel.count; k++)
        for (int i = 0; i < fusion->kernel.at[k]->result.count; i++)
            if (fusion->kernel.at[k]->result.at[i].value == value) return fusion->kernel.at[k];
    return NULL;
}

// Only what seems to be wrong is looked at for cancellation.
static double compare(const Run *run, const Result *result, const Part *part) {
    double error = largest_error(run, result, part, 0);
    const Fusion *fusion = run->plan->fusion;
    const Kernel *kernel = kernel_of(fusion, result->value);
    if (error <= tolerance || !kernel) return error;
    double terms = kernel_terms(fusion, kernel, result->value, run->value, run->n);
    return largest_error(run, result, part, terms);
}

// The parts that the plan calls the kernel for; one where it is called for all of its indices.
static bool find_part(const PlanNode *node, const PlanNode *around, const Kernel *kernel, int64_t n,
                      Part *part) {
    for (int i = 0; i < node->child.count; i++)
        if (find_part(node->child.at[i], node, kernel, n, part)) return true;
    if (node->kind != PLAN_CALL || node->kernel != kernel) return false;
    int64_t count = dim_eval(node->count, n);
    *part = (Part){.count = 1, .grain = 1, .unit = count};
    if (around->kind == PLAN_PAR)
        *part =
            (Part){.count = dim_eval(around->count, n), .grain = around->grain, .unit = node->unit};
    return true;
}

typedef void Launch(NncCtx *);

static void run_on_device(const Run *run, Launch *launch) {
    NncError error;
    const Check *check = run->check;
    const NncDevice *device = check->compiled->program.device;
    if (device->apply(check->device, run->function, launch, &run->ctx, &error))
        report("%s", error.text); // and what is compared then is off
}

// A kernel for a GPU has all of its indices in one part.
static void run_part(const Run *run, JitFunction *kernel, const Part *part) {
    if (run->check->device) {
        run_on_device(run, (Launch *)kernel);
        return;
    }
    unsigned long long floats = nnc_floats_flush();
    ((NncKernel *)kernel)(&run->ctx, part->low * part->unit, part->high * part->unit, 0);
    nnc_floats_restore(floats);
}

static void verify_kernel(Run *run, const Kernel *kernel) {
    Check *check = run->check;
    const char *symbol = arena_printf(check->arena, "%s_%s%s", function_name(run->function),
                                      kernel->name, check->device ? "_launch" : "");
    JitFunction *call = jit_function(check->jit, symbol);
    if (!call) bug("emitted code has no kernel %s", symbol);
    waiting("  %s", kernel->name);
    Part part;
    if (!find_part(run->plan->root, run->plan->root, kernel, run->n, &part))
        bug("the plan does not call %s", kernel->name);
    double worst = 0;
    while (part.low < part.count) {
        part.high = part.low + part.grain < part.count ? part.low + part.grain : part.count;
        for (int i = 0; i < kernel->reads.count; i++)
            put(run, kernel->reads.at[i], &part);
        run_part(run, call, &part);
        for (int i = 0; i < kernel->result.count; i++) {
            double error = compare(run, &kernel->result.at[i], &part);
            worst = error <= worst ? worst : error;
        }
        part.low = part.high;
    }
    check_report(check, kernel->name, check_place(check, run->graph, kernel->result.at[0].value),
                 worst, tolerance);
}

// Scalars of the step: the emitted function's in double, against the oracle's.
static void verify_scalars(Run *run, float *scalar) {
    const NncProgram *program = &run->check->compiled->program;
    const NncFunction *function = &program->function[run->function];
    const Fusion *fusion = run->plan->fusion;
    double *hyper = ARENA_ARRAY(run->check->arena, double, program->hyper_count + 1), worst = 0;
    for (int i = 0; i < program->hyper_count; i++)
        hyper[i] = program->hyper[i].value;
    if (function->scalars) function->scalars(hyper, 0, 0, (double)run->n, scalar);
    for (int i = 0; i < fusion->scalar.count; i++) {
        double want = run->value[fusion->scalar.at[i]->id][0];
        double error = fabs(scalar[i] - want) / fmax(fabs(want), 1e-30);
        worst = error <= worst ? worst : error;
    }
    if (fusion->scalar.count) check_report(run->check, "scalars of the step", "", worst, 1e-6);
}

// The whole function, from its leaves to its roots: what no kernel alone shows is the order of the
// calls and who may lie where. Errors add up on the way, and more so where a step divides by small
// numbers.
static void verify_whole(Run *run) {
    const Graph *graph = run->graph;
    bool rounds = run->check->compiled->module->precision == DT_BF16;
    for (int i = 0; i < graph->node.count; i++) {
        const Node *node = graph->node.at[i];
        if (node->op == OP_input || node->op == OP_param || node->op == OP_state)
            put(run, node, NULL);
    }
    Launch *launch = run->check->compiled->program.function[run->function].run;
    unsigned long long floats = nnc_floats_flush();
    run->check->device ? run_on_device(run, launch) : launch(&run->ctx);
    nnc_floats_restore(floats);
    for (int i = 0; i < graph->root.count; i++) {
        const Root *root = &graph->root.at[i];
        const Node *place = root->kind == ROOT_STATE ? root->leaf : root->value;
        Result result = {.value = root->value, .to = run->plan->fusion->storage[place->id]};
        if (!result.to.buffer) continue;
        const char *name = arena_printf(run->check->arena, "all of %s: %s",
                                        function_name(run->function), root->name);
        check_report(run->check, name, "", compare(run, &result, NULL),
                     rounds ? whole_bf16_tolerance : whole_tolerance);
    }
}

void verify_function(Check *check, NncFunctionKind function, int64_t n) {
    const NncProgram *program = &check->compiled->program;
    const NncFunction *about = &program->function[function];
    Run run = {.check = check, .function = function, .n = n};
    run.plan = check->compiled->plan[function];
    run.graph = run.plan->fusion->graph;
    printf("%s: %d kernels, %lld examples\n", function_name(function),
           run.plan->fusion->kernel.count, (long long)n);
    waiting("interpreting %s in double precision", function_name(function));
    Arena *values = arena_new();
    const double *const *leaf = (const double *const *)(void *)check_leaves(check, run.graph);
    run.value = graph_interpret(run.graph, &(Interp){.n = n, .seed = 1, .leaf = leaf}, values);
    int64_t bytes[5] = {[ARENA_STATE] = program->state_bytes,
                        [ARENA_INPUT] = program->input_bytes,
                        [ARENA_OUTPUT] = about->output_bytes,
                        [ARENA_WORK] = about->work_bytes,
                        [ARENA_SCRATCH] = about->scratch_bytes};
    for (int i = 0; i < 5; i++)
        run.arena[i] = new_arena(bytes[i]);
    float *scalar = ARENA_ARRAY(check->arena, float, about->scalar_count + 1);
    run.ctx = (NncCtx){.state = run.arena[ARENA_STATE],
                       .input = run.arena[ARENA_INPUT],
                       .output = run.arena[ARENA_OUTPUT],
                       .work = run.arena[ARENA_WORK],
                       .scratch = run.arena[ARENA_SCRATCH],
                       .scratch_bytes = about->scratch_bytes,
                       .scalar = scalar,
                       .n = n,
                       .seed_low = 1};
    verify_scalars(&run, scalar);
    for (int i = 0; i < run.plan->fusion->kernel.count; i++)
        verify_kernel(&run, run.plan->fusion->kernel.at[i]);
    verify_whole(&run);
    for (int i = 0; i < 5; i++)
        free(run.arena[i]);
    arena_free(values);
}
