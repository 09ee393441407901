// SPDX-License-Identifier: MIT
// The way from a file to a Module: the library, the declarations, the model twice, the program.
#include "nnd/elab_internal.h"
#include "support/embed.h"

#include <string.h>

extern const EmbeddedFile nnd_std[];

// --- Declarations

static bool is_named(const Decl *decl) {
    return decl->kind == DECL_FN || decl->kind == DECL_LAYER || decl->kind == DECL_OPTIMIZER;
}

static void add_decl(Elab *e, const Decl *decl) {
    const Decl *old = map_get(e->decls, decl->name);
    if (old && e->user && old->name_span.source == decl->name_span.source) {
        elab_error(e, decl->name_span, "%s is declared already", decl->name);
        elab_note(e, old->name_span, "here");
        return;
    }
    if (!old) VEC_PUSH(e->arena, e->decl_names, decl->name);
    map_put(e->decls, decl->name, (void *)decl);
}

static void load_library(Elab *e) {
    for (const EmbeddedFile *file = nnd_std; file->name; file++) {
        const char *name = arena_printf(e->arena, "std/%s", file->name);
        Diag *diag = diag_new(e->arena);
        const File *parsed =
            nnd_parse(e->arena, source_from_text(e->arena, name, file->text), diag);
        if (diag_error_count(diag) > 0) bug("the library: %s", diag_text(diag, e->arena));
        for (int i = 0; i < parsed->decl_count; i++)
            add_decl(e, parsed->decl[i]);
    }
}

Elab *elab_new(Arena *arena, const File *file, const ElabOptions *options, Diag *diag) {
    static const ElabOptions none;
    Elab *e = ARENA_NEW(arena, Elab);
    e->arena = arena;
    e->diag = diag;
    e->errors = file && file->broken ? -1 : diag_error_count(diag); // -1: has failed already
    e->options = options ? options : &none;
    e->set_used = ARENA_ARRAY(arena, bool, e->options->set_count + 1);
    e->decls = map_new(arena);
    e->init = graph_new(arena, "init");
    e->param_by_path = map_new(arena);
    e->state_by_path = map_new(arena);
    elab_begin_graph(e, graph_new(arena, "none"), false);
    load_library(e);
    e->user = file ? file->source : NULL;
    for (int i = 0; file && i < file->decl_count; i++)
        if (is_named(file->decl[i])) add_decl(e, file->decl[i]);
    return e;
}

void elab_begin_graph(Elab *e, Graph *graph, bool training) {
    e->graph = graph;
    e->training = training;
    e->state_now = map_new(e->arena);
    e->param_used = map_new(e->arena);
    e->random_count = map_new(e->arena);
    e->state_used.count = 0;
}

// --- Which of the file's blocks

static const Decl *find_block(const File *file, DeclKind kind, const char *name) {
    for (int i = 0; i < file->decl_count; i++)
        if (file->decl[i]->kind == kind && !strcmp(file->decl[i]->name, name)) return file->decl[i];
    return NULL;
}

static const Decl *named_block(Elab *e, const File *file, DeclKind kind, const char *what,
                               const char *name, Span span) {
    const Decl *found = find_block(file, kind, name);
    if (found) return found;
    VEC(const char *) names = {0};
    for (int i = 0; i < file->decl_count; i++)
        if (file->decl[i]->kind == kind) VEC_PUSH(e->arena, names, file->decl[i]->name);
    elab_unknown(e, span, what, name, names.at, names.count);
    return NULL;
}

static const Decl *first_block(const File *file, DeclKind kind) {
    for (int i = 0; i < file->decl_count; i++)
        if (file->decl[i]->kind == kind) return file->decl[i];
    return NULL;
}

static const Decl *last_block(const File *file, DeclKind kind) {
    const Decl *last = NULL;
    for (int i = 0; i < file->decl_count; i++)
        if (file->decl[i]->kind == kind) last = file->decl[i];
    return last;
}

static void check_blocks(Elab *e, const File *file) {
    const Decl *train = NULL;
    for (int i = 0; i < file->decl_count; i++) {
        const Decl *decl = file->decl[i];
        if (decl->kind == DECL_TRAIN && train) {
            elab_error(e, decl->span, "a second train block");
            elab_note(e, train->span, "the first is here");
        }
        if (decl->kind == DECL_TRAIN && !train) train = decl;
        bool unique = decl->kind == DECL_MODEL || decl->kind == DECL_DATA;
        const Decl *first = unique ? find_block(file, decl->kind, decl->name) : decl;
        if (first == decl) continue;
        elab_error(e, decl->name_span, "%s is declared already", decl->name);
        elab_note(e, first->name_span, "here");
    }
}

// --- The whole

static void check_sets(Elab *e, const Module *module) {
    for (int i = 0; i < e->options->set_count; i++) {
        if (e->set_used[i]) continue;
        VEC(const char *) names = {0};
        for (int k = 0; k < module->setting.count; k++)
            VEC_PUSH(e->arena, names, module->setting.at[k].name);
        for (int k = 0; k < module->hyper.count; k++)
            if (nnc_hyper_is_given(&module->hyper.at[k]))
                VEC_PUSH(e->arena, names, module->hyper.at[k].name);
        elab_unknown(e, SPAN_NONE, "hyper-parameter", e->options->set_name[i], names.at,
                     names.count);
        diag_hint(e->diag, "nnc check %s lists what can be set", e->user->name);
    }
}

static Module *module_new(Elab *e, const File *file) {
    Module *module = ARENA_NEW(e->arena, Module);
    module->source = file->source;
    module->batch = 32;
    module->accumulate = 1;
    module->epochs = 1;
    module->seed = 1;
    module->shuffle = true;
    module->plateau = 10;
    return module;
}

// Of a file with syntax errors the model may be what could not be read.
static void report_no_model(Elab *e, const File *file) {
    if (file->broken) return;
    elab_error(e, (Span){file->source, 0, 0}, "there is no model in this file");
    diag_hint(e->diag, "model NAME { .. } declares one, with its inputs, outputs and loss");
}

Module *nnd_elaborate(Arena *arena, const File *file, const ElabOptions *options, Diag *diag) {
    Elab *e = elab_new(arena, file, options, diag);
    Module *module = module_new(e, file);
    const Decl *train = first_block(file, DECL_TRAIN), *model, *data = NULL;
    check_blocks(e, file);
    if (train && train->broken) train = NULL;
    if (train)
        model = named_block(e, file, DECL_MODEL, "model", train->name, train->name_span);
    else if (!(model = last_block(file, DECL_MODEL)))
        report_no_model(e, file);
    if (train && train->data_name)
        data = named_block(e, file, DECL_DATA, "data", train->data_name, train->data_name_span);
    else if (!train)
        data = last_block(file, DECL_DATA);
    elab_train_keys(e, train, module);
    e->epochs = module->epochs;
    elab_freeze(e, train);
    if (data && data->broken) data = NULL;
    if (data) elab_data(e, data, module);
    if (!model || model->broken) return NULL;
    module->model = model->name;
    e->module = module;
    const Run *eval_run, *train_run = elab_model(e, model, data, true, module);
    e->module = NULL;
    eval_run = elab_model(e, model, data, false, module);
    elab_program(e, train, module, train_run, eval_run);
    elab_run_numbers(e, module);
    elab_data_hypers(e, module);
    if (train) elab_goals(e, train, module, eval_run);
    if (!elab_failed(e)) check_sets(e, module);
    return elab_failed(e) ? NULL : module;
}
