// SPDX-License-Identifier: MIT
// nnc train --trap-nan: where in the model numbers become none. The step that went wrong is done
// again, from the state and the batch that it found, one operator at a time (ir/interp.c, rounded to
// floats); then it is followed back from what came out of it, to the first operators that make such
// numbers of finite ones.
//
//     net.nnd:9:8: error: log makes numbers that are none
//        9 |   s = log(softmax(y) - 0.1)
//          |       ^~~~~~~~~~~~~~~~~~~~~
//     net.nnd:9:12: note: of this, from -0.1 to 0.71
//
// An infinity that the model asks for, as the border of a max_pool, is none of these.
#include "cli/cli.h"

#include <math.h>
#include <string.h>

enum { MOST_BYTES = 1 << 30, MOST_ROWS = 8, MOST_ORIGINS = 3 };

typedef struct Replay {
    Arena *arena;
    const Module *module;
    const NncProgram *program;
    const NncTrouble *trouble;
    const Graph *graph;
    double **value; // by node id
    bool *meant;    // its infinities are meant
    bool *seen;     // on the way back
} Replay;

typedef struct Statistics {
    int64_t count, nan, infinite, negative, zero;
    double low, high; // of the finite ones
} Statistics;

static Statistics statistics_of(const Replay *replay, const Node *node) {
    Statistics s = {.count = shape_eval(&node->shape, replay->trouble->n),
                    .low = INFINITY,
                    .high = -INFINITY};
    const double *value = replay->value[node->id];
    for (int64_t i = 0; i < s.count; i++) {
        s.nan += isnan(value[i]);
        s.infinite += isinf(value[i]) != 0;
        s.negative += value[i] < 0;
        s.zero += value[i] == 0;
        if (isfinite(value[i])) s.low = fmin(s.low, value[i]);
        if (isfinite(value[i])) s.high = fmax(s.high, value[i]);
    }
    return s;
}

// --- What the step found

static const double *input_value(const Replay *replay, const Node *node) {
    int64_t size = shape_eval(&node->shape, replay->trouble->n);
    double *value = ARENA_ARRAY(replay->arena, double, size);
    for (int i = 0; i < replay->program->input_count; i++) {
        const NncColumn *column = &replay->program->input[i];
        const char *from = replay->trouble->input + column->offset;
        if (strcmp(column->name, node->attr->name)) continue;
        for (int64_t k = 0; k < size; k++)
            value[k] = column->type == NNC_F32 ? ((const float *)(const void *)from)[k]
                                               : ((const int32_t *)(const void *)from)[k];
    }
    return value;
}

static const NncTensor *find_tensor(const NncProgram *program, const char *name) {
    for (int i = 0; i < program->tensor_count; i++)
        if (!strcmp(program->tensor[i].name, name)) return &program->tensor[i];
    return NULL;
}

static const double *state_value(const Replay *replay, const Node *node) {
    double *value = ARENA_ARRAY(replay->arena, double, shape_eval(&node->shape, 1));
    for (int i = 0; i < replay->module->tensor.count; i++) {
        const TensorInfo *info = &replay->module->tensor.at[i];
        const NncTensor *tensor = find_tensor(replay->program, info->name);
        if (strcmp(info->leaf, node->attr->name) || !tensor) continue;
        const float *from = (const float *)(const void *)(replay->trouble->state + tensor->offset);
        for (int64_t k = shape_eval(&info->shape, 1) - 1; k >= 0; k--)
            value[info->offset + k] = from[k];
    }
    return value;
}

static const double *hyper_value(const Replay *replay, const Node *node) {
    for (int i = 0; i < replay->program->hyper_count; i++)
        if (!strcmp(replay->program->hyper[i].name, node->attr->name))
            return &replay->trouble->hyper[i];
    return NULL;
}

static void interpret(Replay *replay) {
    const Graph *graph = replay->graph;
    const NncTrouble *trouble = replay->trouble;
    const double **leaf = ARENA_ARRAY(replay->arena, const double *, graph->node.count);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *node = graph->node.at[i];
        leaf[i] = node->op == OP_input   ? input_value(replay, node)
                  : node->op == OP_state ? state_value(replay, node)
                  : node->op == OP_hyper ? hyper_value(replay, node)
                                         : NULL;
    }
    replay->value = graph_interpret(graph,
                                    &(Interp){.n = trouble->n,
                                              .step = (double)trouble->step,
                                              .epoch = (double)trouble->epoch,
                                              .seed = (uint64_t)trouble->seed,
                                              .round = true,
                                              .leaf = leaf},
                                    replay->arena);
}

// --- The way back

static bool has_none(const Replay *replay, const Node *node) {
    Statistics s = statistics_of(replay, node);
    return s.nan > 0 || s.infinite > 0;
}

static bool is_bad(const Replay *replay, const Node *node) {
    return !replay->meant[node->id] && has_none(replay, node);
}

// An infinity that is written in the model, and what is the same infinity further on.
static void find_meant(Replay *replay) {
    for (int id = 0; id < replay->graph->node.count; id++) {
        const Node *node = replay->graph->node.at[id];
        bool pads = node->op == OP_pad && isinf(node->attr->value);
        bool meant = pads || node->op == OP_const;
        if (!has_none(replay, node) || statistics_of(replay, node).nan > 0) continue;
        for (int i = 0; i < node->in_count; i++) {
            if (is_bad(replay, node->in[i])) meant = false;
            if (is_bad(replay, node->in[i])) break;
            meant |= replay->meant[node->in[i]->id];
        }
        replay->meant[id] = meant;
    }
}

typedef VEC(const Node *) NodeVec;

// Bad nodes with no bad operands, on the way back from `node`.
static void find_origins(Replay *replay, const Node *node, NodeVec *origins) {
    bool inherited = false;
    if (replay->seen[node->id]) return;
    replay->seen[node->id] = true;
    for (int i = 0; i < node->in_count; i++)
        if (is_bad(replay, node->in[i])) {
            inherited = true;
            find_origins(replay, node->in[i], origins);
        }
    if (!inherited) VEC_PUSH(replay->arena, *origins, node);
}

// --- In words

static Span place_of(const Replay *replay, const Node *node) {
    for (const SpanList *list = replay->graph->spans.at[node->id]; list; list = list->next)
        if (list->span.source == replay->module->source) return list->span;
    return SPAN_NONE;
}

static const char *describe(const Replay *replay, const Node *node) {
    Statistics s = statistics_of(replay, node);
    Buf text = buf_new(replay->arena);
    buf_printf(&text, "%s", dtype_name(node->dtype));
    shape_print(&text, &node->shape);
    if (s.nan) buf_printf(&text, ", %lld not a number", (long long)s.nan);
    if (s.infinite) buf_printf(&text, ", %lld infinite", (long long)s.infinite);
    if (s.negative) buf_printf(&text, ", %lld below zero", (long long)s.negative);
    if (s.zero) buf_printf(&text, ", %lld zero", (long long)s.zero);
    if (s.low <= s.high)
        buf_printf(&text, ", %sfrom %g to %g", s.nan + s.infinite ? "the others " : "", s.low,
                   s.high);
    return text.text;
}

// Whose rows have them; of all, where the tensor has no row for each example.
static const char *rows_of(const Replay *replay, const Node *node) {
    const NncTrouble *trouble = replay->trouble;
    Buf text = buf_new(replay->arena);
    bool by_example = node->shape.rank > 0 && dim_equal(node->shape.dim[0], dim_batch());
    int64_t row = by_example ? shape_eval(&node->shape, trouble->n) / trouble->n : 0;
    int shown = 0;
    for (int64_t n = 0; n < trouble->n && by_example; n++) {
        bool bad = false;
        for (int64_t i = n * row; i < (n + 1) * row; i++)
            bad |= !isfinite(replay->value[node->id][i]);
        if (bad && shown++ < MOST_ROWS) buf_printf(&text, " train:%lld", trouble->example[n]);
    }
    if (shown > MOST_ROWS) buf_printf(&text, " and %d more", shown - MOST_ROWS);
    return shown ? text.text : NULL;
}

// A parameter's part of the state has its name as a label, and what moves it has none.
static const char *name_of(const Replay *replay, const Node *node) {
    bool named = node->op == OP_input || node->op == OP_state || node->op == OP_param;
    for (const Node *at = node; !named && at->in_count == 1 && !op_info(at->op)->pointwise;
         at = at->in[0])
        if (replay->graph->label.at[at->id]) return replay->graph->label.at[at->id];
    if (node->op == OP_contract) return "a sum of products";
    return named ? node->attr->name : op_info(node->op)->name;
}

static void report_origin(const Replay *replay, const Node *node, Diag *diag) {
    const Section *section = replay->graph->section.at[node->id];
    bool backward = section && section->forward;
    const char *rows = rows_of(replay, node);
    diag_error(diag, place_of(replay, node), "%s%s: %s", name_of(replay, node),
               backward ? ", in the backward pass" : "", describe(replay, node));
    for (int i = 0; i < node->in_count; i++)
        diag_note(diag, place_of(replay, node->in[i]), "of %s: %s", name_of(replay, node->in[i]),
                  describe(replay, node->in[i]));
    if (rows) diag_hint(diag, "in the examples%s", rows);
}

static void report_origins(Replay *replay, FILE *out) {
    NodeVec origins = {0};
    Diag *diag = diag_new(replay->arena);
    const Graph *graph = replay->graph;
    for (int i = 0; i < graph->root.count; i++)
        if (is_bad(replay, graph->root.at[i].value))
            find_origins(replay, graph->root.at[i].value, &origins);
    for (int i = 0; i < origins.count && i < MOST_ORIGINS; i++)
        report_origin(replay, origins.at[i], diag);
    if (origins.count == 0)
        fputs("done again one operator at a time, all numbers are finite: sums in another order "
              "stay just below the largest float\n",
              out);
    fputs(diag_text(diag, replay->arena), out);
}

static bool is_too_large(const Replay *replay) {
    int64_t bytes = 0;
    for (int i = 0; i < replay->graph->node.count; i++)
        bytes += 8 * shape_eval(&replay->graph->node.at[i]->shape, replay->trouble->n);
    return bytes > MOST_BYTES;
}

void trap_explain(void *of, const NncTrouble *trouble, FILE *out) {
    const Compiled *compiled = of;
    Arena *arena = arena_new();
    Replay replay = {.arena = arena,
                     .module = compiled->module,
                     .program = &compiled->program,
                     .trouble = trouble,
                     .graph = compiled->module->graph[NNC_TRAIN]};
    replay.meant = ARENA_ARRAY(arena, bool, replay.graph->node.count);
    replay.seen = ARENA_ARRAY(arena, bool, replay.graph->node.count);
    if (is_too_large(&replay)) {
        fputs("the step is too large to be done again one operator at a time: a smaller --batch "
              "may show it\n",
              out);
    } else {
        interpret(&replay);
        find_meant(&replay);
        report_origins(&replay, out);
    }
    arena_free(arena);
}
