// SPDX-License-Identifier: MIT
// From a file's name to functions that can be called, an error being printed wherever the way ends.
#include "cli/cli.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

int report(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fputs("nnc: error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_USER;
}

static Source *read_file(const Settings *settings) {
    const char *error;
    Source *source = source_read(settings->arena, settings->file, &error);
    if (!source) report("%s: %s", settings->file, error);
    return source;
}

Module *load_module(const Settings *settings) {
    Source *source = read_file(settings);
    if (!source) return NULL;
    Diag *diag = diag_new(settings->arena);
    File *file = nnd_parse(settings->arena, source, diag);
    Module *module = NULL;
    if (diag_error_count(diag) == 0)
        module = nnd_elaborate(settings->arena, file, &settings->elab, diag);
    diag_print(diag, stderr, isatty(2));
    return diag_error_count(diag) == 0 ? module : NULL;
}

Compiled *load_compiled(const Settings *settings) {
    Module *module = load_module(settings);
    if (!module) return NULL;
    Diag *diag = diag_new(settings->arena);
    Compiled *compiled = compile(settings->arena, module, diag);
    diag_print(diag, stderr, isatty(2));
    return compiled;
}

// A function that the compiler left out, such as train in a file without data, has no symbol.
static void *find_function(const Settings *settings, const Jit *jit, const char *kind,
                           int function) {
    const char *name =
        arena_printf(settings->arena, "nnc_%s_%s", kind, function_name((NncFunctionKind)function));
    return jit_symbol(jit, name);
}

Jit *load_functions(const Settings *settings, Compiled *compiled) {
    const char *error;
    Jit *jit = jit_load(settings->arena, compiled->source, &settings->jit, &error);
    if (!jit) {
        report("%s", error);
        return NULL;
    }
    for (int i = 0; i < NNC_FUNCTIONS; i++) {
        NncFunction *function = &compiled->program.function[i];
        void *run = find_function(settings, jit, "run", i),
             *scalars = find_function(settings, jit, "scalars", i);
        memcpy(&function->run, &run, sizeof run); // ISO C has no conversion of void * to a function
        memcpy(&function->scalars, &scalars, sizeof scalars);
        if (compiled->module->graph[i] && !run)
            bug("emitted C has no function %s", function_name((NncFunctionKind)i));
    }
    compiled->program.jit = jit_tier_name(jit_tier(jit));
    return jit;
}
