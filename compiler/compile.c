// SPDX-License-Identifier: MIT
// From a module to C source and the program table: lays out the arenas, runs the passes on each
// function, and, when that is what it is to be (budget.c), emits.
#include "compile.h"
#include "budget.h"
#include "emit/emit.h"
#include "pass/pipeline.h"
#include "support/hash.h"

#include <string.h>
#include <time.h>

const char *function_name(NncFunctionKind kind) {
    static const char *const name[NNC_FUNCTIONS] = {
        "init", "train", "eval", "predict", "chunk", "chunk_2", "chunk_3", "between", "between_2"};
    return name[kind];
}

// --- Layout

typedef struct Layout {
    VEC(Placement) placement; // state leaves and inputs, of all functions
    long long state_bytes, input_bytes;
} Layout;

static long long aligned(long long bytes) {
    return (bytes + NNC_ALIGN - 1) / NNC_ALIGN * NNC_ALIGN;
}

static long long bytes_of(const Module *module, DType dtype, const Shape *shape) {
    return aligned(shape_eval(shape, module->chunk) * dtype_size(dtype));
}

static bool is_placed(const Layout *layout, const char *name, BufferArena arena) {
    for (int i = 0; i < layout->placement.count; i++)
        if (layout->placement.at[i].arena == arena && !strcmp(layout->placement.at[i].name, name))
            return true;
    return false;
}

static void lay_out(Arena *arena, const Module *module, Layout *layout) {
    for (int f = 0; f < NNC_FUNCTIONS; f++) {
        const Graph *graph = module->graph[f];
        for (int id = 0; graph && id < graph->node.count; id++) {
            const Node *node = graph->node.at[id];
            if ((node->op != OP_state && node->op != OP_param) ||
                is_placed(layout, node->attr->name, ARENA_STATE))
                continue;
            VEC_PUSH(arena, layout->placement,
                     ((Placement){node->attr->name, ARENA_STATE, layout->state_bytes}));
            layout->state_bytes += bytes_of(module, node->dtype, &node->shape);
        }
    }
    for (int i = 0; i < module->input.count; i++) {
        const InputInfo *input = &module->input.at[i];
        VEC_PUSH(arena, layout->placement,
                 ((Placement){input->name, ARENA_INPUT, layout->input_bytes}));
        layout->input_bytes += bytes_of(module, input->dtype, &input->shape);
    }
}

static long long placed_at(const Layout *layout, const char *name, BufferArena arena) {
    for (int i = 0; i < layout->placement.count; i++)
        if (layout->placement.at[i].arena == arena && !strcmp(layout->placement.at[i].name, name))
            return layout->placement.at[i].offset;
    bug("%s is placed nowhere", name);
}

// --- The program table

static void set_extents(const Module *module, const Shape *shape, int *rank, long long *extent) {
    *rank = shape->rank;
    for (int axis = 0; axis < shape->rank; axis++)
        extent[axis] = dim_eval(shape->dim[axis], module->chunk);
}

static void add_tensors(Arena *arena, const Module *module, const Layout *layout,
                        NncProgram *program) {
    NncTensor *tensor = ARENA_ARRAY(arena, NncTensor, module->tensor.count + 1);
    for (int i = 0; i < module->tensor.count; i++) {
        const TensorInfo *info = &module->tensor.at[i];
        tensor[i] = (NncTensor){.name = info->name, .kind = info->kind, .type = NNC_F32};
        tensor[i].offset =
            placed_at(layout, info->leaf, ARENA_STATE) + info->offset * dtype_size(DT_F32);
        set_extents(module, &info->shape, &tensor[i].rank, tensor[i].extent);
    }
    program->tensor = tensor;
    program->tensor_count = module->tensor.count;
}

static void add_inputs(Arena *arena, const Module *module, const Layout *layout,
                       NncProgram *program) {
    NncColumn *column = ARENA_ARRAY(arena, NncColumn, module->input.count + 1);
    for (int i = 0; i < module->input.count; i++) {
        const InputInfo *info = &module->input.at[i];
        column[i] = (NncColumn){.name = info->name,
                                .type = (NncType)info->dtype,
                                .classes = info->classes,
                                .is_target = info->is_target,
                                .per_example = true};
        column[i].offset = placed_at(layout, info->name, ARENA_INPUT);
        set_extents(module, &info->shape, &column[i].rank, column[i].extent);
    }
    program->input = column;
    program->input_count = module->input.count;
}

// The outputs of a function, and where each lies in the output arena.
static void add_outputs(Arena *arena, const Module *module, const Graph *graph,
                        NncFunction *function, Layout *layout) {
    NncColumn *column = ARENA_ARRAY(arena, NncColumn, graph->root.count + 1);
    for (int i = 0; i < graph->root.count; i++) {
        const Root *root = &graph->root.at[i];
        if (root->kind != ROOT_OUTPUT) continue;
        NncColumn *c = &column[function->output_count++];
        *c = (NncColumn){.name = root->name,
                         .type = (NncType)root->value->dtype,
                         .offset = function->output_bytes};
        c->per_example =
            root->value->shape.rank > 0 && dim_equal(root->value->shape.dim[0], dim_batch());
        set_extents(module, &root->value->shape, &c->rank, c->extent);
        VEC_PUSH(arena, layout->placement,
                 ((Placement){root->name, ARENA_OUTPUT, function->output_bytes}));
        function->output_bytes += bytes_of(module, root->value->dtype, &root->value->shape);
    }
    function->output = column;
}

static void add_rates(Arena *arena, const Module *module, NncProgram *program) {
    int count = module->rates ? module->rates->root.count : 0;
    const char **name = ARENA_ARRAY(arena, const char *, count + 1);
    for (int i = 0; i < count; i++)
        name[i] = module->rates->root.at[i].name;
    program->rate = name;
    program->rate_count = count;
}

static void fill_table(Arena *arena, const Module *module, const Layout *layout,
                       NncProgram *program) {
    *program = (NncProgram){.abi = NNC_ABI,
                            .model = module->model,
                            .file = module->source->name,
                            .source = module->source->text,
                            .batch = module->batch,
                            .chunk = module->chunk,
                            .epochs = module->epochs,
                            .seed = module->seed,
                            .shuffle = module->shuffle,
                            .plateau = module->plateau,
                            .validation = module->validation,
                            .best = module->best,
                            .best_is_lowest = module->best_is_lowest,
                            .patience = module->patience,
                            .expect = module->expect.at,
                            .expect_count = module->expect.count,
                            .precision = module->tf32 ? "tf32" : dtype_name(module->precision),
                            .state_bytes = layout->state_bytes,
                            .input_bytes = layout->input_bytes,
                            .hyper = module->hyper.at,
                            .hyper_count = module->hyper.count,
                            .data = module->data,
                            .augment = module->augment.at,
                            .augment_count = module->augment.count};
    add_tensors(arena, module, layout, program);
    add_inputs(arena, module, layout, program);
    add_rates(arena, module, program);
}

// --- Functions

// The target as the model wants it used.
static const Target *target_for(Arena *arena, const Module *module, const Target *target) {
    if (!module->tf32) return target;
    Target *rounding = ARENA_NEW(arena, Target);
    *rounding = *target;
    rounding->tf32 = true;
    return rounding;
}

static void run_passes(Arena *arena, const Module *module, const Target *target,
                       const Layout *layout, int kind, const char *last, Pipeline *p) {
    NncFunction outputs = {0};
    Layout own = {0};
    for (int i = 0; i < layout->placement.count; i++)
        VEC_PUSH(arena, own.placement, layout->placement.at[i]);
    add_outputs(arena, module, module->graph[kind], &outputs, &own);
    *p = (Pipeline){.arena = arena,
                    .module = module,
                    .function = (NncFunctionKind)kind,
                    .target = target_for(arena, module, target),
                    .placement = own.placement.at,
                    .placements = own.placement.count};
    pipeline_run(p, last);
}

static void plan_function(Arena *arena, const Layout *layout, int kind, Compiled *compiled) {
    NncFunction *function = &compiled->program.function[kind];
    Pipeline p;
    Layout outputs = {0};
    run_passes(arena, compiled->module, compiled->target, layout, kind, NULL, &p);
    add_outputs(arena, compiled->module, compiled->module->graph[kind], function, &outputs);
    compiled->lowered[kind] = p.graph;
    compiled->plan[kind] = p.plan;
    function->work_bytes = p.plan->work_bytes;
    function->scratch_bytes = p.plan->scratch_bytes;
    function->scalar_count = p.fusion->scalar.count;
}

Compiled *compile_plans(Arena *arena, const Module *module, const Target *target) {
    Compiled *compiled = ARENA_NEW(arena, Compiled);
    Layout layout = {0};
    compiled->module = module;
    compiled->target = target;
    lay_out(arena, module, &layout);
    fill_table(arena, module, &layout, &compiled->program);
    compiled->program.target = target->name;
    for (int kind = 0; kind < NNC_FUNCTIONS; kind++)
        if (module->graph[kind]) plan_function(arena, &layout, kind, compiled);
    return compiled;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Offsets and indices are ints in emitted code.
static bool check_sizes(const Compiled *compiled, Diag *diag) {
    const Module *module = compiled->module;
    int before = diag_error_count(diag);
    for (int f = 0; f < NNC_FUNCTIONS; f++)
        for (int i = 0; compiled->plan[f] && i < compiled->plan[f]->fusion->buffer.count; i++) {
            const Buffer *buffer = compiled->plan[f]->fusion->buffer.at[i];
            if (buffer->elements <= INT32_MAX) continue;
            diag_error(diag, (Span){module->source, 0, 0},
                       "%s: a tensor of %s has %lld elements; 2147483647 is the most",
                       module->model, function_name((NncFunctionKind)f),
                       (long long)buffer->elements);
            diag_hint(diag, "a smaller batch than %d makes smaller tensors", module->chunk);
            return false;
        }
    return diag_error_count(diag) == before;
}

static bool is_idle(const char *line) {
    line += strspn(line, " ");
    return strncmp(line, "//", 2) == 0 || strncmp(line, "#line", 5) == 0;
}

// Of all that the bits of a run may depend on: what compiles and for what, the library of products,
// where any is called, and the source without its comments and #line directives.
static uint64_t plan_id(Arena *arena, const Compiled *compiled) {
    const Target *target = compiled->target;
    bool calls = false;
    for (int kind = 0; kind < NNC_FUNCTIONS; kind++)
        calls |= strstr(compiled->text[kind], "nnc_product(") != NULL;
    const char *how = arena_printf(
        arena, "%s, %d lanes, %d registers\n%s\n%s", target->name, target->lanes, target->registers,
        target->tools ? target->tools : "",
        calls && target_is_here(target) && !target->alone ? nnc_product_library() : "own");
    uint64_t id = hash64(how, strlen(how));
    for (const char *line = compiled->source; *line;) {
        size_t length = strcspn(line, "\n");
        uint64_t pair[2] = {id, is_idle(line) ? 0 : hash64(line, length)};
        if (!is_idle(line)) id = hash64(pair, sizeof pair);
        line += length + (line[length] == '\n');
    }
    return id;
}

Compiled *compile(Arena *arena, const Module *module, const Target *target, Diag *diag) {
    double start = now();
    Compiled *compiled = plan_within(arena, module, target, diag);
    Buf head = buf_new(arena);
    if (!compiled || !check_sizes(compiled, diag)) return NULL;
    SharedFunctions *shared = ARENA_NEW(arena, SharedFunctions);
    shared->arena = arena;
    for (NncFunctionKind kind = 0; kind < NNC_FUNCTIONS; kind++) {
        Buf text = buf_new(arena);
        const Plan *plan = compiled->plan[kind];
        if (plan) emit_function(&text, shared, compiled->module, kind, plan);
        if (plan && kind == NNC_TRAIN) {
            if (target->gpu) buf_add(&text, "extern \"C\" "); // that is C++
            emit_rates(&text, compiled->module);
        }
        compiled->text[kind] = text.text;
    }
    emit_head(&head, compiled->module, target);
    compiled->head = head.text;
    compiled->shared = shared;
    compiled->source = compiled_source(arena, compiled, ~0u);
    compiled->program.plan =
        arena_printf(arena, "%016llx", (unsigned long long)plan_id(arena, compiled));
    compiled->seconds = now() - start;
    return compiled;
}

const char *compiled_source(Arena *arena, const Compiled *compiled, unsigned functions) {
    Buf source = buf_new(arena);
    buf_add(&source, compiled->head);
    shared_print(&source, compiled->shared, functions);
    for (int kind = 0; kind < NNC_FUNCTIONS; kind++)
        if (functions >> kind & 1) buf_add(&source, compiled->text[kind]);
    return source.text;
}

// --- Stages

const StageInfo *stage_list(int *count) {
    static const StageInfo stages[] = {
#define PASS(name, stage, help) {#name, help},
#include "pass/passes.def"
#undef PASS
        {"c", "the C that is emitted"},
    };
    *count = sizeof stages / sizeof *stages;
    return stages;
}

static void dump_c(Buf *out, const Module *module, NncFunctionKind function, const Plan *plan) {
    SharedFunctions shared = {.arena = out->arena};
    Buf text = buf_new(out->arena);
    emit_function(&text, &shared, module, function, plan);
    shared_print(out, &shared, ~0u);
    buf_add(out, text.text);
}

// False where there is no such stage or no such function.
static bool run_stage(Arena *arena, const Module *module, const Target *target,
                      NncFunctionKind function, const char *stage, Pipeline *p) {
    Layout layout = {0};
    int count;
    const StageInfo *list = stage_list(&count);
    bool known = false;
    for (int i = 0; i < count; i++)
        known |= !strcmp(list[i].name, stage);
    if (!known || !module->graph[function]) return false;
    lay_out(arena, module, &layout);
    run_passes(arena, module, target, &layout, function, strcmp(stage, "c") ? stage : NULL, p);
    return true;
}

const Graph *stage_graph(Arena *arena, const Module *module, const Target *target,
                         NncFunctionKind function, const char *stage) {
    Pipeline p;
    if (!run_stage(arena, module, target, function, stage, &p)) return NULL;
    return p.fusion ? NULL : p.graph;
}

bool stage_dump(Buf *out, const Module *module, const Target *target, NncFunctionKind function,
                const char *stage) {
    Pipeline p;
    if (!run_stage(out->arena, module, target, function, stage, &p)) return false;
    if (!strcmp(stage, "c"))
        dump_c(out, module, function, p.plan);
    else if (p.plan)
        plan_print(out, p.plan);
    else if (p.fusion)
        fusion_print(out, p.fusion);
    else
        graph_print(out, p.graph);
    return true;
}
