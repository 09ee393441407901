// SPDX-License-Identifier: MIT
// nnc check, graph: what the compiler made of a file.
#include "budget.h"
#include "cli/cli.h"

#include "jit/internal.h"
#include "picture/picture.h"
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

// What --set takes, as it is now: of nnc what is compiled in, an expression, too, for a number in
// its place; of a built program the numbers that it takes when it starts.
static void print_settings(const Module *module) {
    printf("\n%-32s %-20s %s\n", "setting", "--set of", "value");
    for (int i = 0; i < module->setting.count; i++) {
        const SettingInfo *setting = &module->setting.at[i];
        printf("%-32s %-20s ", setting->name, "nnc");
        if (setting->text)
            printf("%s\n", setting->text);
        else if (setting->is_bool)
            printf("%s\n", setting->value != 0 ? "true" : "false");
        else
            printf("%g\n", setting->value);
    }
    for (int i = 0; i < module->hyper.count; i++)
        if (nnc_hyper_is_given(&module->hyper.at[i]))
            printf("%-32s %-20s %g\n", module->hyper.at[i].name, "nnc, a built program",
                   module->hyper.at[i].value);
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
    print_settings(module);
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

static int write_out(const Settings *settings, const Buf *text) {
    if (!settings->output) {
        fwrite(text->text, 1, text->length, stdout);
        return EXIT_DONE;
    }
    if (!file_write(settings->output, text->text, text->length))
        return report("%s cannot be written", settings->output);
    return EXIT_DONE;
}

// What a budget or `accumulate` makes of a module; without, itself.
static const Module *fit_module(const Settings *settings, const Module *module,
                                const Target *target) {
    if (module->budget == 0 && module->accumulate < 2) return module;
    Diag *diag = diag_new(settings->arena);
    const Compiled *compiled = plan_within(settings->arena, module, target, diag);
    diag_print(diag, stderr, isatty(2));
    return compiled ? compiled->module : NULL;
}

// The picture of a graph in the format that was asked for: of a step, as it learns; what it measures
// besides would crowd it.
static void draw(Buf *out, const Settings *settings, const Graph *graph) {
    const Picture *picture =
        picture_make(settings->arena, graph, settings->draws ? settings->depth : 1);
    const char *format = settings->format ? settings->format : "text";
    if (!strcmp(format, "dot"))
        picture_dot(out, picture);
    else if (!strcmp(format, "svg"))
        picture_svg(out, picture);
    else
        picture_list(out, picture);
}

int command_graph(const Settings *settings) {
    int stages;
    const StageInfo *stage = stage_list(&stages);
    bool is_text = !settings->format || !strcmp(settings->format, "text");
    const char *name = settings->stage ? settings->stage : stage[0].name;
    const Module *module = load_module(settings);
    const Target *target = module ? load_target(settings) : NULL;
    if (!target || !(module = fit_module(settings, module, target))) return EXIT_USER;
    NncFunctionKind function = chosen_function(settings, module);
    Buf text = buf_new(settings->arena);
    if (!module->graph[function])
        return report("%s has nothing to %s", settings->file, function_name(function));
    if (is_text && !settings->draws) {
        if (!stage_dump(&text, module, target, function, name))
            return report("there is nothing to show of %s after '%s'", function_name(function),
                          name);
        return write_out(settings, &text);
    }
    const Graph *graph = stage_graph(settings->arena, module, target, function, name);
    if (!graph) return report("stage '%s' is no graph: there is no picture of it", name);
    if (function == NNC_TRAIN && !settings->metrics)
        graph = picture_without_metrics(settings->arena, graph, module->graph[NNC_EVAL]);
    draw(&text, settings, graph);
    return write_out(settings, &text);
}
