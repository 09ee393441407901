// SPDX-License-Identifier: MIT
// nnc check, graph: what the compiler made of a file.
#include "budget.h"
#include "cli/cli.h"

#include "jit/internal.h"
#include <string.h>
#include <unistd.h>

// --- check

static long long tensor_size(const TensorInfo *tensor) { return shape_eval(&tensor->shape, 1); }

// Is `name` a parameter of the instance itself, as conv2d_1.weight is of conv2d_1?
static bool belongs(const char *name, const char *instance) {
    size_t length = strlen(instance);
    return strncmp(name, instance, length) == 0 && name[length] == '.' &&
           !strchr(name + length + 1, '.');
}

static long long instance_parameters(const Module *module, const char *instance) {
    long long total = 0;
    for (int i = 0; i < module->tensor.count; i++) {
        const TensorInfo *tensor = &module->tensor.at[i];
        if (tensor->kind == NNC_PARAMETER && belongs(tensor->name, instance))
            total += tensor_size(tensor);
    }
    return total;
}

long long module_parameters(const Module *module) {
    long long total = 0;
    for (int i = 0; i < module->tensor.count; i++)
        if (module->tensor.at[i].kind == NNC_PARAMETER) total += tensor_size(&module->tensor.at[i]);
    return total;
}

static const char *shape_text(Arena *arena, const Shape *shape) {
    Buf text = buf_new(arena);
    shape_print(&text, shape);
    return text.text;
}

static bool is_first_use(const Module *module, int index) {
    for (int i = 0; i < index; i++)
        if (strcmp(module->layer.at[i].name, module->layer.at[index].name) == 0) return false;
    return true;
}

int command_check(const Settings *settings) {
    Compiled *compiled =
        load_compiled(settings); // what later passes find wrong is an error as well
    if (!compiled) return EXIT_USER;
    const Module *module = compiled->module;
    printf("%-24s %-12s %-22s %12s\n", "instance", "layer", "output", "parameters");
    for (int i = 0; i < module->layer.count; i++) {
        const LayerInfo *layer = &module->layer.at[i];
        long long count = is_first_use(module, i) ? instance_parameters(module, layer->name) : 0;
        printf("%-24s %-12s %-22s %12lld\n", layer->name, layer->layer,
               shape_text(settings->arena, &layer->output), count);
    }
    printf("%-24s %-12s %-22s %12lld\n", "total", "", "", module_parameters(module));
    return EXIT_DONE;
}

// --- graph

NncFunctionKind chosen_function(const Settings *settings, const Module *module) {
    if (!settings->function) // the first that there is: train, else eval, predict
        for (int i = NNC_TRAIN; i < NNC_FUNCTIONS; i++)
            if (module->graph[i]) return (NncFunctionKind)i;
    for (int i = 0; settings->function && i < NNC_FUNCTIONS; i++)
        if (strcmp(settings->function, function_name((NncFunctionKind)i)) == 0)
            return (NncFunctionKind)i;
    return NNC_INIT;
}

// Of the first stage, the module's own, which has labels; of others, what their text reads back as.
static const Graph *stage_graph(const Settings *settings, const Graph *elaborated, bool first,
                                const Buf *text) {
    if (first) return elaborated;
    Diag *diag = diag_new(settings->arena);
    Graph *graph =
        graph_read(settings->arena, source_from_text(settings->arena, "graph", text->text), diag);
    return diag_error_count(diag) ? NULL : graph;
}

static void add_label(Buf *out, const Node *node, const char *label) {
    buf_printf(out, "%s", op_info(node->op)->name);
    if (node->attr->name)
        buf_printf(out, " %s", node->attr->name);
    else if (label)
        buf_printf(out, "\\n%s", label);
    buf_add(out, "\\n");
    shape_print(out, &node->shape);
}

static Buf dot_text(Arena *arena, const Graph *graph) {
    Buf out = buf_new(arena);
    buf_printf(&out, "digraph \"%s\" {\n  node [shape=box, fontname=sans, fontsize=10];\n",
               graph->name);
    for (int i = 0; i < graph->node.count; i++) {
        const Node *node = graph->node.at[i];
        buf_printf(&out, "  n%d [label=\"", i);
        add_label(&out, node, i < graph->label.count ? graph->label.at[i] : NULL);
        buf_add(&out,
                node->in_count == 0 ? "\", style=filled, fillcolor=\"#e8eef7\"];\n" : "\"];\n");
        for (int k = 0; k < node->in_count; k++)
            buf_printf(&out, "  n%u -> n%d;\n", node->in[k]->id, i);
    }
    for (int i = 0; i < graph->root.count; i++) {
        const Root *root = &graph->root.at[i];
        buf_printf(&out, "  r%d [label=\"%s\", shape=ellipse];\n  n%u -> r%d;\n", i,
                   root->name ? root->name : "", root->value->id, i);
    }
    buf_add(&out, "}\n");
    return out;
}

// dot reads a file and prints; what it prints is what is shown.
static bool draw_svg(Arena *arena, const Buf *dot, Buf *svg) {
    const char *folder = temporary_folder(arena, NULL);
    if (!folder) return false;
    const char *in = path_join(arena, folder, "graph.dot"),
               *out = path_join(arena, folder, "graph.svg");
    size_t length = 0;
    char *text = NULL;
    Args args = args_new(arena);
    args_add_words(&args, "dot -Tsvg -o");
    args_add(&args, out);
    args_add(&args, in);
    if (file_write(in, dot->text, dot->length) &&
        process_wait(process_start(&args, path_join(arena, folder, "log"))))
        text = file_read(arena, out, &length);
    folder_remove(folder);
    if (text) buf_add_n(svg, text, length);
    return text != NULL;
}

static int write_out(const Settings *settings, const Buf *text) {
    if (!settings->output) {
        fwrite(text->text, 1, text->length, stdout);
        return EXIT_DONE;
    }
    if (!file_write(settings->output, text->text, text->length))
        return report("%s cannot be written", settings->output);
    return EXIT_DONE;
}

// What a budget makes of a module; without one, itself.
static const Module *fit_module(const Settings *settings, const Module *module,
                                const Target *target) {
    if (module->budget == 0) return module;
    Diag *diag = diag_new(settings->arena);
    const Compiled *compiled = plan_within(settings->arena, module, target, diag);
    diag_print(diag, stderr, isatty(2));
    return compiled ? compiled->module : NULL;
}

int command_graph(const Settings *settings) {
    int stages;
    const StageInfo *stage = stage_list(&stages);
    const char *name = settings->stage ? settings->stage : stage[0].name;
    const char *format = settings->format ? settings->format : "text";
    const Module *module = load_module(settings);
    const Target *target = module ? load_target(settings) : NULL;
    if (!target || !(module = fit_module(settings, module, target))) return EXIT_USER;
    NncFunctionKind function = chosen_function(settings, module);
    Buf text = buf_new(settings->arena);
    if (!module->graph[function])
        return report("%s has nothing to %s", settings->file, function_name(function));
    if (!stage_dump(&text, module, target, function, name))
        return report("there is nothing to show of %s after '%s'", function_name(function), name);
    if (strcmp(format, "text") == 0) return write_out(settings, &text);
    const Graph *graph =
        stage_graph(settings, module->graph[function], strcmp(name, stage[0].name) == 0, &text);
    if (!graph) return report("stage '%s' is no graph: it has --format text alone", name);
    Buf dot = dot_text(settings->arena, graph), svg = buf_new(settings->arena);
    if (strcmp(format, "dot") == 0) return write_out(settings, &dot);
    if (!draw_svg(settings->arena, &dot, &svg))
        return report(
            "the program `dot` (Debian: graphviz) is needed for svg, and is missing or failed");
    return write_out(settings, &svg);
}
