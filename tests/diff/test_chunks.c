// SPDX-License-Identifier: MIT
// Steps that take their batch in chunks. On random graphs, by the oracle: where a graph can be
// split, the chunks' sums and the rest give what the whole gives. On networks that were compiled
// with a budget: the steps of the whole batch, within rounding, a last smaller batch and dropout
// included, in no more memory than the budget; and the same bits from any number of threads.
#include "budget.h"
#include "jit/jit.h"
#include "nnd/elab.h"
#include "pass/chunk.h"
#include "random_graph.h"
#include "session.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

// --- Random graphs

enum { GRAPHS = 600, LEAST_SPLIT = 60, EXAMPLES = 5 };

// One root alone; what it has for each example is summed.
static Graph *one_root(Arena *arena, const Graph *graph, const Root *root) {
    Graph *made = graph_new(arena, "train");
    const Node **done = ARENA_ARRAY(arena, const Node *, graph->node.count + 1);
    const Node *value = graph_import(made, graph, root->value, done);
    bool varies = false;
    for (int axis = 0; axis < value->shape.rank; axis++)
        varies |= !dim_is_const(value->shape.dim[axis]);
    if (varies && value->dtype == DT_BOOL) value = node_cast(made, DT_I32, value);
    if (varies) value = node_reduce(made, OP_reduce_sum, value, (1u << value->shape.rank) - 1);
    graph_add_root(made, ROOT_OUTPUT, "y", NULL, value);
    return made;
}

static const Node *find_leaf(const Graph *graph, const Node *like) {
    for (int id = 0; id < graph->node.count; id++)
        if (graph->node.at[id]->op == like->op &&
            !strcmp(graph->node.at[id]->attr->name, like->attr->name))
            return graph->node.at[id];
    return NULL;
}

static bool is_leaf(const Node *node) {
    return node->op == OP_input || node->op == OP_param || node->op == OP_state;
}

// The leaves that `part` shares with the whole; of inputs, the examples from `first` on.
static const double **leaves_of(Arena *arena, const Graph *part, const Graph *whole,
                                const double *const *leaf, int64_t first) {
    const double **own = ARENA_ARRAY(arena, const double *, part->node.count + 1);
    for (int id = 0; id < part->node.count; id++) {
        const Node *node = part->node.at[id],
                   *from = is_leaf(node) ? find_leaf(whole, node) : NULL;
        if (!from) continue;
        bool by_example = from->shape.rank > 0 && !dim_is_const(from->shape.dim[0]);
        own[id] = leaf[from->id] + (by_example ? first * shape_eval(&from->shape, 1) : 0);
    }
    return own;
}

// Gives the leaf of a sum in `part` its value: zeros, or what the root of that name was.
static void set_sums(Arena *arena, const Graph *part, const double **leaf, const Graph *before,
                     double *const *value) {
    for (int i = 0; i < part->root.count; i++) {
        const Root *root = &part->root.at[i];
        if (root->kind != ROOT_STATE) continue;
        leaf[root->leaf->id] = ARENA_ARRAY(arena, double, shape_eval(&root->leaf->shape, 1));
        for (int k = 0; before && k < before->root.count; k++)
            if (!strcmp(before->root.at[k].name, root->name))
                leaf[root->leaf->id] = value[before->root.at[k].value->id];
    }
}

static void expect_the_same(Arena *arena, const Graph *whole, const Chunks *chunks, int seed,
                            int64_t size) {
    const double **leaf = random_leaves(arena, whole, EXAMPLES, (uint64_t)seed);
    Interp with = {.n = EXAMPLES, .step = 3, .epoch = 1, .seed = 7, .leaf = leaf};
    double **wanted = graph_interpret(whole, &with, arena), **sum = NULL;
    for (int64_t first = 0; first < EXAMPLES; first += size) {
        const double **own = leaves_of(arena, chunks->chunk, whole, leaf, first);
        set_sums(arena, chunks->chunk, own, sum ? chunks->chunk : NULL, sum);
        Interp part = with;
        part.n = first + size > EXAMPLES ? EXAMPLES - first : size;
        part.first = first;
        part.of = EXAMPLES;
        part.leaf = own;
        sum = graph_interpret(chunks->chunk, &part, arena);
    }
    const double **own = leaves_of(arena, chunks->rest, whole, leaf, 0);
    set_sums(arena, chunks->rest, own, chunks->chunk, sum);
    with.leaf = own;
    double **got = graph_interpret(chunks->rest, &with, arena);
    for (int i = 0; i < whole->root.count; i++) {
        const Node *a = whole->root.at[i].value, *b = chunks->rest->root.at[i].value;
        for (int64_t k = 0; k < shape_eval(&a->shape, EXAMPLES); k++)
            cr_assert(fabs(wanted[a->id][k] - got[b->id][k]) <= 1e-9 * (1 + fabs(wanted[a->id][k])) ||
                          (isnan(wanted[a->id][k]) && isnan(got[b->id][k])),
                      "seed %d, chunks of %d: %s[%d] was %.17g, is %.17g", seed, (int)size,
                      whole->root.at[i].name, (int)k, wanted[a->id][k], got[b->id][k]);
    }
}

static bool split_and_compare(Arena *arena, const Graph *whole, int seed) {
    Chunks chunks = chunk_split(arena, whole);
    cr_assert((chunks.why == NULL) == (chunks.chunk != NULL));
    for (int64_t size = 1; chunks.chunk && size <= 3; size++) {
        const char *wrong = graph_verify(chunks.chunk, STAGE_MODEL, arena);
        if (!wrong) wrong = graph_verify(chunks.rest, STAGE_MODEL, arena);
        cr_assert_null(wrong, "seed %d: %s", seed, wrong);
        expect_the_same(arena, whole, &chunks, seed, size);
    }
    return chunks.chunk != NULL;
}

Test(chunks, of_random_graphs_give_what_the_whole_gives) {
    int split = 0, all = 0;
    for (int seed = 1; seed <= GRAPHS; seed++) {
        Arena *arena = arena_new();
        const Graph *graph = random_graph(arena, (uint64_t)seed);
        for (int i = 0; i < graph->root.count; i++, all++)
            split += split_and_compare(arena, one_root(arena, graph, &graph->root.at[i]), seed);
        arena_free(arena);
    }
    cr_assert(split >= LEAST_SPLIT, "%d of %d graphs were split", split, all);
}

// --- Networks

enum { BATCH = 11, STEPS = 3, CLASSES = 10, MOST_THREADS = 4 };

static const int step_examples[STEPS] = {BATCH, BATCH, 7}; // the last batch is smaller

#define COLUMNS "input image: f32[N, 3, 32, 32]\n target label: index(10)[N]\n"
#define TRAIN(with)                                                                                \
    "output logits\n loss cross_entropy(logits, label) }\n"                                        \
    "data d { source = shapes() }\n"                                                               \
    "train Net on d { batch = 11; optimizer = momentum(lr = 0.1)" with " }\n"

static const char *const network[] = {
    "nnd 1\nmodel Net {\n" COLUMNS
    "logits = image |> conv2d(8, kernel = 5, stride = 3) |> relu |> conv2d(8, kernel = 3, stride = 2) |> relu\n"
    "|> max_pool(2) |> flatten |> dropout(0.5) |> linear(10)\n" TRAIN(""),
    "nnd 1\nmodel Net {\n" COLUMNS
    "logits = image |> conv2d(8, kernel = 5, stride = 2) |> relu |> conv2d(16, kernel = 3) |> relu\n"
    "|> global_avg_pool |> linear(10)\n" TRAIN("; clip = global_norm(0.1)"),
    "nnd 1\nmodel Net {\n" COLUMNS
    "logits = image |> conv2d(8, kernel = 3, padding = 1) |> batch_norm |> relu\n"
    "|> conv2d(8, kernel = 3, padding = 1) |> batch_norm |> relu |> dropout(0.1)\n"
    "|> conv2d(8, kernel = 3, padding = 1) |> batch_norm |> relu |> global_avg_pool |> linear(10)\n"
    TRAIN(""),
    "nnd 1\nmodel Net {\n" COLUMNS
    "logits = image |> avg_pool(4) |> flatten |> linear(64) |> layer_norm |> gelu |> dropout(0.2) |> linear(10)\n"
    TRAIN(""),
};
enum { NETWORKS = sizeof network / sizeof *network };

typedef struct Run {
    Arena *arena;
    Compiled *compiled;
    Jit *jit;
    float loss[STEPS];
} Run;

static Module *elaborated(Arena *arena, const char *text) {
    Diag *diag = diag_new(arena);
    File *file = nnd_parse(arena, source_from_text(arena, "net.nnd", text), diag);
    Module *module = nnd_elaborate(arena, file, NULL, diag);
    cr_assert(module, "%s", diag_text(diag, arena));
    return module;
}

static Run run_new(Arena *arena, const Module *module, const Target *target, JitTier tier) {
    Run run = {.arena = arena};
    Diag *diag = diag_new(arena);
    const char *error = NULL;
    run.compiled = compile(arena, module, target, diag);
    cr_assert(run.compiled, "%s", diag_text(diag, arena));
    run.jit = jit_load(arena, run.compiled->source, &(JitOptions){.tier = tier}, &error);
    if (!run.jit) cr_skip_test("%s", error);
    for (int i = 0; i < NNC_FUNCTIONS; i++) {
        NncFunction *f = &run.compiled->program.function[i];
        const char *name = function_name((NncFunctionKind)i);
        if (!run.compiled->module->graph[i]) continue;
        *(void **)&f->run = jit_symbol(run.jit, arena_printf(arena, "nnc_run_%s", name));
        *(void **)&f->scalars = jit_symbol(run.jit, arena_printf(arena, "nnc_scalars_%s", name));
    }
    return run;
}

// Example `number` of the run, into place `slot`.
static void fill(char *input, const NncProgram *program, int slot, int number) {
    for (int c = 0; c < program->input_count; c++) {
        const NncColumn *column = &program->input[c];
        int elements = 1;
        for (int axis = 1; axis < column->rank; axis++)
            elements *= (int)column->extent[axis];
        for (int i = 0; i < elements; i++) {
            unsigned noise = (unsigned)(number * elements + i) * 2654435761u >> 8;
            char *at = input + column->offset + 4 * ((long long)slot * elements + i);
            if (column->is_target)
                *(int *)(void *)at = number * 7 % CLASSES;
            else
                *(float *)(void *)at = (float)noise * 0x1p-24f + (float)(number * 7 % CLASSES);
        }
    }
}

static void run_step(NncSession *session, char *input, int first_example, int of) {
    const NncProgram *program = session->program;
    NncBatch batch = {.input = input, .of = of};
    for (bool done = false; !done; batch.first += batch.count) {
        batch.count = of - batch.first < program->chunk ? of - batch.first : program->chunk;
        for (int slot = 0; slot < batch.count; slot++)
            fill(input, program, slot, first_example + (int)batch.first + slot);
        done = nnc_session_step(session, &batch);
    }
    session->checkpoint.at.step++;
}

// The state after all steps.
static char *run_steps(Run *run, int threads) {
    NncSession session;
    NncError error;
    const NncProgram *program = &run->compiled->program;
    NncOptions options = {.threads = threads};
    cr_assert(nnc_session_open(&session, program, &options, &error) == NNC_OK, "%s", error.text);
    char *input = nnc_memory_new((size_t)program->input_bytes);
    nnc_session_run(&session, NNC_INIT, NULL, program->chunk);
    for (int step = 0; step < STEPS; step++) {
        run_step(&session, input, step * BATCH, step_examples[step]);
        run->loss[step] =
            (float)nnc_session_output(&session, &program->function[NNC_TRAIN].output[0]);
    }
    char *state = arena_alloc(run->arena, (size_t)program->state_bytes);
    memcpy(state, session.state, (size_t)program->state_bytes);
    nnc_memory_free(input, (size_t)program->input_bytes);
    nnc_session_close(&session);
    return state;
}

static void expect_near(const Run *a, const char *state_a, const Run *b, const char *state_b) {
    const NncProgram *whole = &a->compiled->program, *other = &b->compiled->program;
    for (int step = 0; step < STEPS; step++)
        cr_assert(fabsf(a->loss[step] - b->loss[step]) <= 2e-5f * fabsf(a->loss[step]),
                  "step %d, chunks of %d: loss %.9g, not %.9g", step, other->chunk, b->loss[step],
                  a->loss[step]);
    for (int t = 0; t < whole->tensor_count; t++) {
        long long count = 1;
        double worst = 0, scale = 0;
        for (int axis = 0; axis < whole->tensor[t].rank; axis++)
            count *= whole->tensor[t].extent[axis];
        for (long long i = 0; i < count; i++) {
            float x = ((const float *)(const void *)(state_a + whole->tensor[t].offset))[i];
            float y = ((const float *)(const void *)(state_b + other->tensor[t].offset))[i];
            worst = fmax(worst, fabs((double)x - (double)y));
            scale = fmax(scale, fabs((double)x));
        }
        cr_assert(scale > 0 && worst <= 2e-5 * scale, "chunks of %d: %s is off by %.1e of %.1e",
                  other->chunk, whole->tensor[t].name, worst, scale);
    }
}

static void expect_same_bits(Run *run, const char *state) {
    for (int threads = 2; threads <= MOST_THREADS; threads++)
        cr_assert(!memcmp(run_steps(run, threads), state,
                          (size_t)run->compiled->program.state_bytes),
                  "chunks of %d: other bits from %d threads", run->compiled->program.chunk,
                  threads);
}

// With most of the memory that the whole takes, and with less and less of it: where things are
// computed twice, with the same bits. Counts what was made of the step.
static void check_network(const char *text, const Target *target, JitTier tier, int *again,
                          int *chunks) {
    Arena *arena = arena_new();
    Module *module = elaborated(arena, text);
    Run whole = run_new(arena, module, target, tier);
    const char *wanted = run_steps(&whole, 1);
    long long all = compiled_price(whole.compiled).bytes;
    for (int part = 8; part > 0; part -= 3) {
        module->budget = all * part / 10;
        Compiled *fits = plan_within(arena, module, target, diag_new(arena));
        if (!fits) break;
        cr_assert(compiled_price(fits).bytes <= module->budget);
        Run run = run_new(arena, module, target, tier);
        bool same = run.compiled->program.chunk == BATCH;
        const char *state = run_steps(&run, 1);
        cr_assert(!same ||
                  !memcmp(state, wanted, (size_t)whole.compiled->program.state_bytes),
                  "other bits with %d tenths of the memory", part);
        expect_near(&whole, wanted, &run, state);
        expect_same_bits(&run, state);
        *(same ? again : chunks) += 1;
        jit_free(run.jit);
    }
    jit_free(whole.jit);
    arena_free(arena);
}

static void check_networks(const Target *target, JitTier tier) {
    int again = 0, chunks = 0;
    for (int i = 0; i < NETWORKS; i++)
        check_network(network[i], target, tier, &again, &chunks);
    cr_assert(again >= 1 && chunks >= 2, "%d budgets were kept by computing twice, %d by chunks",
              again, chunks);
}

Test(chunks, of_a_network_take_its_steps_without_a_compiler, .timeout = 300) {
    check_networks(&target_library, JIT_TCC);
}

Test(chunks, of_a_network_take_its_steps_natively, .timeout = 300) {
    Arena *arena = arena_new();
    const char *error;
    const Target *target = jit_target(arena, &(JitOptions){.tier = JIT_NATIVE}, true, &error);
    if (!target) cr_skip_test("%s", error);
    check_networks(target, JIT_NATIVE);
    arena_free(arena);
}
