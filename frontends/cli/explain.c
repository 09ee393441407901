// SPDX-License-Identifier: MIT
// nnc explain: what became of a network. Its memory, then each kernel in the order of the plan:
//
//     kernel                                         time   of all       work     moves  of the
//     limit k4_product_conv2d_2_weight                  20.1 ms     24 %   3.7 GFLOP    46 MB   78
//     % flops
//         product, [N, 128, 28, 28]: window product add max; 16 parts
//         line 12  |> conv2d(128, kernel = 3) |> relu
//         stored: a matrix product ends here
//
// The limit is the longer of two times: that of its arithmetic at this machine's multiply-add rate,
// and that of its traffic at the rate of a copy that reaches as far.
#include "cli/profile.h"

#include "budget.h"
#include "cli/machine.h"
#include "json.h"
#include <math.h>
#include <string.h>

enum { PROFILE_SECONDS = 2, LINES_SHOWN = 3, OPERATORS_SHOWN = 12 };

typedef struct Explain {
    const Settings *settings;
    Trainer *net;
    NncFunctionKind function;
    const Fusion *fusion;
    Machine *machine;
    Profile *profile;
    NncArenas memory;
    int threads;
    double prepared_seconds; // of kernels that run once for many calls
    double kernel_seconds;   // of all others
    Cost cost;               // of these
    double limit_seconds;    // what they would take at their limits
} Explain;

static double most(double a, double b) { return a > b ? a : b; }

// What the same step takes where everything is kept as f32.
static long long bytes_in_f32(const Explain *explain) {
    const Compiled *compiled = explain->net->compiled;
    Module wide = *compiled->module;
    wide.precision = DT_F32;
    const Compiled *other = compile_plans(explain->net->settings.arena, &wide, compiled->target);
    return nnc_arenas(&other->program, explain->threads).all;
}

// --- Figures of one kernel

typedef struct Figures {
    double seconds;    // median
    double part;       // of all kernels' time
    double share;      // of the limit; NaN: not known
    const char *bound; // what the limit is: flops, bytes
} Figures;

typedef struct Limit { // seconds that a kernel takes at least
    double flops, bytes, longer;
} Limit;

static Limit limit_of(const Explain *explain, int kernel) {
    const Machine *machine = explain->machine;
    Cost cost = explain->profile->cost[kernel];
    Limit limit = {.bytes =
                       cost.bytes / machine_copy_rate(machine, explain->profile->reach[kernel])};
    if (machine->flops > 0) limit.flops = cost.flops / machine->flops;
    limit.longer = most(limit.flops, limit.bytes);
    return limit;
}

static Figures kernel_figures(const Explain *explain, const Kernel *kernel) {
    double seconds = sample_median(&explain->profile->kernel[kernel->id]);
    Limit limit = limit_of(explain, kernel->id);
    return (Figures){.seconds = seconds,
                     .part = seconds / explain->kernel_seconds,
                     .share = limit.longer / seconds,
                     .bound = limit.flops > limit.bytes ? "flops" : "bytes"};
}

static Figures total_figures(const Explain *explain) {
    return (Figures){.seconds = explain->kernel_seconds,
                     .part = 1,
                     .share = explain->limit_seconds / explain->kernel_seconds,
                     .bound = "of each"};
}

// "window product add max", in the order in which they are computed.
static const char *operators_of(const Explain *explain, const Kernel *kernel) {
    Arena *arena = explain->net->settings.arena;
    KernelNodes nodes = kernel_nodes(arena, explain->fusion, kernel);
    Buf text = buf_new(arena);
    bool seen[OP_COUNT] = {0};
    int count = 0;
    for (int i = 0; i < nodes.node.count; i++) {
        const Node *node = nodes.node.at[i];
        if (seen[node->op] || node->op == OP_const || node->op == OP_broadcast ||
            node->op == OP_reshape || node->op == OP_permute)
            continue;
        seen[node->op] = true;
        if (count++ < OPERATORS_SHOWN)
            buf_printf(&text, "%s%s", count > 1 ? " " : "", op_info(node->op)->name);
    }
    if (count > OPERATORS_SHOWN) buf_add(&text, " ..");
    return count ? text.text : "copy";
}

// Of the places in the user's own file, if there are such, else in the library's.
static Places own_places(const Explain *explain, const Kernel *kernel) {
    Arena *arena = explain->net->settings.arena;
    Places all = kernel_places(arena, explain->fusion, kernel), own = {0};
    for (int i = 0; i < all.span.count; i++)
        if (all.span.at[i].source == explain->net->compiled->module->source)
            VEC_PUSH(arena, own.span, all.span.at[i]);
    return own.span.count ? own : all;
}

static const char *line_text(Arena *arena, Span span) {
    const char *text = span.source->text, *start = text + span.start, *end;
    while (start > text && start[-1] != '\n')
        start--;
    while (*start == ' ' || *start == '\t')
        start++;
    for (end = start; *end && *end != '\n' && *end != '\r'; end++)
        continue;
    return arena_strndup(arena, start, (size_t)(end - start));
}

// --- Text

// 12.3 M, with three digits: of bytes, operations.
static const char *number(Arena *arena, double value, const char *unit) {
    static const char *const prefix[] = {"", "k", "M", "G", "T", "P"};
    int i = 0;
    for (; i < 5 && value >= 999.5; i++)
        value /= 1000;
    int digits = i == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    return arena_printf(arena, "%.*f %s%s", digits, value, prefix[i], unit);
}

static const char *duration(Arena *arena, double seconds) {
    if (seconds >= 1) return arena_printf(arena, "%.2f s", seconds);
    return seconds >= 1e-3 ? arena_printf(arena, "%.2f ms", 1e3 * seconds)
                           : arena_printf(arena, "%.1f us", 1e6 * seconds);
}

static void print_head(const Explain *explain) {
    Arena *arena = explain->net->settings.arena;
    const NncProgram *program = &explain->net->compiled->program;
    const Machine *machine = explain->machine;
    const NncArenas *memory = &explain->memory;
    printf("%s of %s: %s, batch %d, %d thread%s, %s code for %s\n", program->model, program->file,
           function_name(explain->function), program->batch, explain->threads,
           explain->threads == 1 ? "" : "s", program->jit, explain->net->compiled->target->name);
    printf("  weights  %lld\n", module_parameters(explain->net->compiled->module));
    printf("  memory   %s: state %s, input %d x %s, output %s, work %s, scratch %d x %s\n",
           number(arena, (double)memory->all, "B"), number(arena, (double)memory->state, "B"),
           NNC_LOADER_BATCHES, number(arena, (double)memory->input, "B"),
           number(arena, (double)memory->output, "B"), number(arena, (double)memory->work, "B"),
           explain->threads, number(arena, (double)memory->scratch, "B"));
    const char *budget = budget_text(arena, explain->net->compiled);
    if (budget) printf("  step     %s\n", budget);
    if (explain->net->compiled->module->precision == DT_BF16)
        printf("  precision bf16: in f32 it would be %s\n",
               number(arena, (double)bytes_in_f32(explain), "B"));
    printf("  machine  ");
    if (machine->flops > 0)
        printf("%s/s in multiply-adds; ", number(arena, machine->flops, "FLOP"));
    printf("copies at %s/s of 1 MiB, %s/s of 256 MiB\n",
           number(arena, machine_copy_rate(machine, 1 << 20), "B"),
           number(arena, machine_copy_rate(machine, 1 << 28), "B"));
    printf("  a run    %s; its kernels one by one %s",
           duration(arena, sample_median(&explain->profile->whole)),
           duration(arena, explain->kernel_seconds));
    if (explain->prepared_seconds > 0)
        printf("; prepared once for many runs in %s", duration(arena, explain->prepared_seconds));
    printf("\n\n");
    printf("%-44s %10s %6s %11s %9s  %s\n", "kernel", "time", "of all", "work", "moves",
           "of the limit");
}

static void print_figures(const Explain *explain, const char *name, int depth, Figures figures,
                          Cost cost) {
    Arena *arena = explain->net->settings.arena;
    printf("%*s%-*s %10s %4.1f %% %11s %9s  %3.0f %% %s\n", depth, "", 44 - depth, name,
           duration(arena, figures.seconds), 100 * figures.part, number(arena, cost.flops, "FLOP"),
           number(arena, cost.bytes, "B"), 100 * figures.share, figures.bound);
}

static const char *share_text(const Explain *explain, const PlanNode *node) {
    Arena *arena = explain->net->settings.arena;
    int64_t count = dim_eval(node->count, explain->fusion->batch);
    if (node->kind == PLAN_CALL) return "on one thread";
    int64_t parts = (count + node->grain - 1) / node->grain;
    return arena_printf(arena, "%lld part%s", (long long)parts, parts == 1 ? "" : "s");
}

// "line 7" of the model, "std/norm.nnd:7" of the library.
static const char *place_text(const Explain *explain, Span span) {
    Arena *arena = explain->net->settings.arena;
    bool own = span.source == explain->net->compiled->module->source;
    return own ? arena_printf(arena, "line %d", span_line(span))
               : arena_printf(arena, "%s:%d", span.source->name, span_line(span));
}

static const char *choice_text(Arena *arena, const Choice *choice) {
    Buf text = buf_new(arena);
    buf_printf(&text, "%s: ", choice->site);
    choice_print(&text, choice);
    return text.text;
}

static void print_kernel(const Explain *explain, const Kernel *kernel, const PlanNode *par,
                         int depth) {
    Arena *arena = explain->net->settings.arena;
    Buf shape = buf_new(arena);
    shape_print(&shape, &kernel->space);
    print_figures(explain, kernel->name, depth, kernel_figures(explain, kernel),
                  explain->profile->cost[kernel->id]);
    printf("%*s%s, %s: %s%s%s\n", depth + 4, "", kernel_kind_name(kernel->kind), shape.text,
           operators_of(explain, kernel), par ? "; " : "", par ? share_text(explain, par) : "");
    Places places = own_places(explain, kernel);
    for (int i = 0; i < places.span.count && i < LINES_SHOWN; i++)
        printf("%*s%s  %.*s\n", depth + 4, "", place_text(explain, places.span.at[i]), 80 - depth,
               line_text(arena, places.span.at[i]));
    int more = places.span.count - LINES_SHOWN;
    if (more > 0) printf("%*sand %d more line%s\n", depth + 4, "", more, more > 1 ? "s" : "");
    for (int i = 0; i < kernel->choice.count; i++)
        printf("%*s%s\n", depth + 4, "", choice_text(arena, kernel->choice.at[i]));
    if (kernel->apart) printf("%*sstored: %s\n", depth + 4, "", kernel->apart);
    if (kernel->waits) printf("%*swaits for %s\n", depth + 4, "", kernel->waits);
}

// A loop around one call is that kernel's; around several it stands for itself.
static void print_plan(const Explain *explain, const PlanNode *node, const PlanNode *around,
                       int depth) {
    bool alone = node->kind == PLAN_PAR && node->child.count == 1;
    if (node->kind == PLAN_CALL) print_kernel(explain, node->kernel, around ? around : node, depth);
    if (node->kind == PLAN_EACH)
        printf("%*s%d loops, their parts shared out together:\n", depth, "", node->child.count);
    if (node->kind == PLAN_PAR && !alone)
        printf("%*s%s, each through these one after the other:\n", depth, "",
               share_text(explain, node));
    if (node->kind == PLAN_EACH || (node->kind == PLAN_PAR && !alone)) depth += 2;
    for (int i = 0; i < node->child.count; i++)
        print_plan(explain, node->child.at[i], node->kind == PLAN_PAR ? node : NULL, depth);
}

static void print_text(const Explain *explain) {
    print_head(explain);
    const PlanNode *root = explain->profile->plan->root;
    for (int i = 0; i < root->child.count; i++) {
        bool prepared = root->child.at[i]->prepared,
             before = i > 0 && root->child.at[i - 1]->prepared;
        if (prepared && !before) printf("prepared, once as long as the parameters stay:\n");
        if (before && !prepared) printf("in each run:\n");
        print_plan(explain, root->child.at[i], NULL, 0);
    }
    print_figures(explain, "all kernels", 0, total_figures(explain), explain->cost);
}

// --- JSON: one object a line

static void json_text(const char *name, const char *text) {
    printf(",\"%s\":", name);
    nnc_json_write_string(stdout, text);
}

static void json_count(const char *name, long long value) { printf(",\"%s\":%lld", name, value); }

static void json_number(const char *name, double value) {
    printf(",\"%s\":", name);
    nnc_json_write_number(stdout, value);
}

static void json_head(const Explain *explain) {
    const Compiled *compiled = explain->net->compiled;
    const NncProgram *program = &compiled->program;
    const NncArenas *memory = &explain->memory;
    printf("{\"event\":\"explain\"");
    json_text("model", program->model);
    json_text("file", program->file);
    json_text("function", function_name(explain->function));
    json_text("jit", program->jit);
    json_text("target", compiled->target->name);
    json_text("precision", program->precision);
    json_count("batch", program->batch);
    json_count("chunk", program->chunk);
    json_count("threads", explain->threads);
    json_count("parameters", module_parameters(compiled->module));
    json_count("state_bytes", memory->state);
    json_count("input_bytes", memory->input);
    json_count("output_bytes", memory->output);
    json_count("work_bytes", memory->work);
    json_count("scratch_bytes", memory->scratch);
    json_count("arena_bytes", memory->all);
    if (compiled->without.bytes) {
        json_count("budget", compiled->module->budget);
        json_count("accumulate", compiled->module->accumulate);
        json_count("bytes_without_budget", compiled->without.bytes);
        json_number("flops_without_budget", compiled->without.flops);
        json_number("step_flops", compiled_price(compiled).flops);
        json_number("more_time", compiled_price(compiled).time / compiled->without.time - 1);
        json_count("computed_again", compiled_again(compiled));
    }
    if (explain->net->compiled->module->precision == DT_BF16)
        json_count("arena_bytes_f32", bytes_in_f32(explain));
    json_number("peak_flops", explain->machine->flops);
    json_number("copy_bytes_per_second", machine_copy_rate(explain->machine, 1 << 28));
    printf("}\n");
}

static void json_figures(Figures figures, Cost cost) {
    json_number("seconds", figures.seconds);
    json_number("part", figures.part);
    json_number("flops", cost.flops);
    json_number("bytes", cost.bytes);
    json_number("share", figures.share);
    json_text("bound", figures.bound);
}

static void json_choice(const Choice *choice) {
    printf("{\"site\":");
    nnc_json_write_string(stdout, choice->site);
    json_text("takes", choice->candidate[choice->taken].name);
    json_text("by", choice->tuned ? "tuned" : "model");
    printf(",\"candidates\":[");
    for (int i = 0; i < choice->count; i++) {
        printf("%s{\"name\":", i ? "," : "");
        nnc_json_write_string(stdout, choice->candidate[i].name);
        json_number("multiplications", choice->candidate[i].cost);
        if (choice->candidate[i].seconds > 0) json_number("seconds", choice->candidate[i].seconds);
        printf("}");
    }
    printf("]}");
}

static void json_kernel(const Explain *explain, const Kernel *kernel, const PlanNode *par,
                        int group) {
    Places places = own_places(explain, kernel);
    printf("{\"event\":\"kernel\"");
    json_text("name", kernel->name);
    json_text("algorithm", kernel_kind_name(kernel->kind));
    json_text("computes", operators_of(explain, kernel));
    json_count("region", group);
    printf(",\"prepared\":%s", kernel->prepared ? "true" : "false");
    json_text("shared", share_text(explain, par));
    json_figures(kernel_figures(explain, kernel), explain->profile->cost[kernel->id]);
    printf(",\"lines\":[");
    for (int i = 0; i < places.span.count; i++) {
        printf("%s{\"file\":", i ? "," : "");
        nnc_json_write_string(stdout, places.span.at[i].source->name);
        printf(",\"line\":%d}", span_line(places.span.at[i]));
    }
    printf("],\"choices\":[");
    for (int i = 0; i < kernel->choice.count; i++) {
        if (i) printf(",");
        json_choice(kernel->choice.at[i]);
    }
    printf("]");
    if (kernel->apart) json_text("apart", kernel->apart);
    if (kernel->waits) json_text("waits", kernel->waits);
    printf("}\n");
}

// Kernels with the same `region` run in one parallel region: a child of the plan's root.
static void json_plan(const Explain *explain, const PlanNode *node, const PlanNode *around,
                      int region) {
    if (node->kind == PLAN_CALL) json_kernel(explain, node->kernel, around ? around : node, region);
    for (int i = 0; i < node->child.count; i++)
        json_plan(explain, node->child.at[i], node->kind == PLAN_PAR ? node : NULL, region);
}

static void print_json(const Explain *explain) {
    const PlanNode *root = explain->profile->plan->root;
    json_head(explain);
    for (int i = 0; i < root->child.count; i++)
        json_plan(explain, root->child.at[i], NULL, i);
    printf("{\"event\":\"total\"");
    json_figures(total_figures(explain), explain->cost);
    json_number("run_seconds", sample_median(&explain->profile->whole));
    printf("}\n");
}

// --- The command

static void measure(Explain *explain) {
    Trainer *net = explain->net;
    explain->fusion = net->compiled->plan[explain->function]->fusion;
    waiting("measuring %s", function_name(explain->function));
    explain->profile = profile_run(net, explain->function, PROFILE_SECONDS);
    waiting_over();
    explain->cost = (Cost){0};
    explain->kernel_seconds = explain->limit_seconds = explain->prepared_seconds = 0;
    for (int k = 0; k < explain->fusion->kernel.count; k++) {
        Cost cost = explain->profile->cost[k];
        double seconds = sample_median(&explain->profile->kernel[k]);
        if (explain->fusion->kernel.at[k]->prepared) {
            explain->prepared_seconds += seconds;
            continue;
        }
        explain->kernel_seconds += seconds;
        explain->limit_seconds += limit_of(explain, k).longer;
        explain->cost.flops += cost.flops;
        explain->cost.bytes += cost.bytes;
    }
}

static void explain_function(Explain *explain, NncFunctionKind function) {
    explain->function = function;
    measure(explain);
    if (explain->settings->run.json)
        print_json(explain);
    else
        print_text(explain);
}

int command_explain(const Settings *settings) {
    Explain explain = {.settings = settings, .net = trainer_open(settings)};
    Trainer *net = explain.net;
    if (!net) return EXIT_USER;
    const Module *module = net->compiled->module;
    NncFunctionKind function = chosen_function(settings, module);
    bool exists = module->graph[function] != NULL;
    if (exists) {
        explain.threads = nnc_pool_threads(net->session.pool);
        explain.memory = nnc_arenas(&net->compiled->program, explain.threads);
        waiting("measuring this machine");
        explain.machine = machine_measure(&net->settings, net->compiled->target, net->session.pool);
        for (int f = NNC_CHUNK; !settings->function && f < NNC_FUNCTIONS; f++)
            if (module->graph[f]) explain_function(&explain, (NncFunctionKind)f);
        explain_function(&explain, function);
    } else {
        report("%s has nothing to %s", settings->file, function_name(function));
    }
    trainer_free(net);
    return exists ? EXIT_DONE : EXIT_USER;
}
