// SPDX-License-Identifier: MIT
// Numbers of the data source, which can be set as those of the train block can:
//
//     source = blobs(radius = 0.8)        --set source.radius=0.9 --set source.seed=3
//
// In the program they are hyper-parameters that no step reads: the runtime opens the source with
// them. What the call does not give, as `seed` here, becomes one where the command line sets it.
#include "nnd/elab_internal.h"

#include <stdlib.h>
#include <string.h>

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

static NncArgument *find_argument(NncArgument *argument, int count, const char *name,
                                  int position) {
    int positional = 0;
    for (int i = 0; i < count; i++)
        if (*argument[i].name ? !strcmp(argument[i].name, name) : positional++ == position)
            return &argument[i];
    return NULL;
}

static const char *hyper_name(Elab *e, const char *argument) {
    return arena_printf(e->arena, "source.%s", argument);
}

void elab_source_numbers(Elab *e, const NncSourceInfo *info, NncCall *call) {
    enum { MOST = 16 };
    NncArgument *argument = ARENA_ARRAY(e->arena, NncArgument, call->argument_count + MOST);
    int given = call->argument_count, count = given;
    memcpy(argument, call->argument, sizeof *argument * (size_t)given);
    const char *text = info->arguments, *name;
    double number;
    bool has_number;
    for (int i = 0; (name = next_parameter(e, &text, &number, &has_number)) && i < MOST; i++) {
        NncArgument *found = find_argument((NncArgument *)call->argument, given, name, i);
        if (!has_number || (found && found->text)) continue;
        NncArgument *made = &argument[found ? found - call->argument : count];
        if (found) number = found->number;
        if (!elab_set_value(e, hyper_name(e, name), &number) && !found) continue;
        *made = (NncArgument){.name = name, .number = number};
        count += !found;
    }
    call->argument = argument;
    call->argument_count = count;
}

void elab_source_hypers(Elab *e, Module *module) {
    const NncSourceInfo *info = module->data.name ? nnc_source_info(module->data.name) : NULL;
    const char *text = info ? info->arguments : "", *name;
    double number;
    bool has_number;
    for (int i = 0; (name = next_parameter(e, &text, &number, &has_number)); i++) {
        const NncArgument *found = find_argument((NncArgument *)module->data.argument,
                                                 module->data.argument_count, name, i);
        if (!has_number || !found || found->text) continue;
        NncHyper hyper = {hyper_name(e, name), found->number, NNC_OF_DATA};
        VEC_PUSH(e->arena, module->hyper, hyper);
    }
}
