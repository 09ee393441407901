// SPDX-License-Identifier: MIT
// Numbers of the data block, which can be set as those of the train block can:
//
//     source = blobs(radius = 0.8)                       source.radius, source.seed ..
//     validation = 0.1                                   validation
//     augment image { random_crop(image, padding = 2) }  augment.random_crop.padding
//
// In the program they are hyper-parameters that no step reads: the runtime opens the source with
// them. What a call does not give, as `seed` here, becomes one where the command line sets it.
#include "nnd/elab_internal.h"

#include <stdlib.h>
#include <string.h>

// A call of the data block: the source's, or that of the last of `count` augmentations.
typedef struct DataCall {
    const char *takes; // "classes = 2, radius = 0.6"
    const NncCall *augment;
    int count;
} DataCall;

// The next of "classes = 2, radius = 0.6": its name; *number is its default, where that is one.
static const char *next_parameter(Elab *e, const char **text, double *number, bool *has_number) {
    if (!**text) return NULL;
    const char *start = *text, *end = strstr(start, ", "), *equals = strstr(start, " = ");
    size_t length = end ? (size_t)(end - start) : strlen(start);
    *text = start + length + (end ? 2 : 0);
    if (!equals || equals > start + length) equals = start + length;
    char *rest = NULL;
    *number = equals < start + length ? strtod(equals + 3, &rest) : 0;
    *has_number = rest && rest == start + length;
    return arena_strndup(e->arena, start, (size_t)(equals - start));
}

static NncArgument *find_argument(const NncCall *call, const char *name, int position) {
    int positional = 0;
    for (int i = 0; i < call->argument_count; i++) {
        const NncArgument *argument = &call->argument[i];
        if (*argument->name ? !strcmp(argument->name, name) : positional++ == position)
            return (NncArgument *)argument;
    }
    return NULL;
}

static const char *hyper_name(Elab *e, const DataCall *of, const char *argument) {
    char text[NNC_HYPER_NAME];
    nnc_data_hyper_name(text, of->augment, of->count, argument);
    return arena_strdup(e->arena, text);
}

// Gives the call's numbers their names, and the values that are set.
static void take_numbers(Elab *e, const DataCall *of, NncCall *call) {
    enum { MOST = 16 };
    NncArgument *argument = ARENA_ARRAY(e->arena, NncArgument, call->argument_count + MOST);
    int given = call->argument_count, count = given;
    if (given > 0) memcpy(argument, call->argument, sizeof *argument * (size_t)given);
    const char *text = of->takes, *name;
    double number;
    bool has_number;
    for (int i = 0; (name = next_parameter(e, &text, &number, &has_number)) && i < MOST; i++) {
        NncArgument *found = find_argument(call, name, i);
        if (!has_number || (found && found->text)) continue;
        NncArgument *made = &argument[found ? found - call->argument : count];
        if (found) number = found->number;
        if (!elab_set_value(e, hyper_name(e, of, name), &number) && !found) continue;
        *made = (NncArgument){.name = name, .number = number};
        count += !found;
    }
    call->argument = argument;
    call->argument_count = count;
}

void elab_source_numbers(Elab *e, const NncSourceInfo *info, NncCall *call) {
    take_numbers(e, &(DataCall){.takes = info->arguments}, call);
}

void elab_augment_numbers(Elab *e, Module *module) {
    int count = module->augment.count;
    NncCall *call = &module->augment.at[count - 1];
    take_numbers(e, &(DataCall){nnc_augmentation_takes(call->name), module->augment.at, count},
                 call);
}

// What is given is a hyper-parameter, what could be is a setting.
static void list_numbers(Elab *e, Module *module, const DataCall *of, const NncCall *call) {
    const char *text = of->takes, *name;
    double number;
    bool has_number;
    for (int i = 0; (name = next_parameter(e, &text, &number, &has_number)); i++) {
        const NncArgument *found = find_argument(call, name, i);
        if (!has_number || (found && found->text)) continue;
        name = hyper_name(e, of, name);
        NncHyper hyper = {name, found ? found->number : 0, NNC_OF_DATA};
        if (found)
            VEC_PUSH(e->arena, module->hyper, hyper);
        else
            elab_add_setting(e, module, (SettingInfo){.name = name, .value = number});
    }
}

void elab_data_hypers(Elab *e, Module *module) {
    NncHyper validation = {"validation", module->validation, NNC_OF_DATA};
    if (!module->data.name) return;
    const NncSourceInfo *info = nnc_source_info(module->data.name);
    list_numbers(e, module, &(DataCall){.takes = info->arguments}, &module->data);
    if (module->validation > 0)
        VEC_PUSH(e->arena, module->hyper, validation);
    else
        elab_add_setting(e, module, (SettingInfo){.name = validation.name});
    for (int i = 0; i < module->augment.count; i++) {
        const NncCall *call = &module->augment.at[i];
        DataCall of = {nnc_augmentation_takes(call->name), module->augment.at, i + 1};
        list_numbers(e, module, &of, call);
    }
}
