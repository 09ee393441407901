// SPDX-License-Identifier: MIT
// The keys of the train block that are values: how long, in what steps, in what memory.
//
//     batch = 16; epochs = 10; budget = 256 MB; precision = bf16
//
// Whole numbers and `shuffle` can be set on the command line: --set patience=3.
#include "nnd/elab_internal.h"

#include <math.h>
#include <string.h>

static const char *const train_keys[] = {
    "batch", "accumulate", "epochs", "shuffle", "seed",      "budget",   "precision", "clip",
    "best",  "patience",   "expect", "plateau", "optimizer", "minimize", "group",     "freeze"};
enum { TRAIN_KEYS = sizeof train_keys / sizeof *train_keys };

const char *const *nnd_train_keys(int *count) {
    *count = TRAIN_KEYS;
    return train_keys;
}

static const char *const units[] = {"kB", "MB", "GB", "TB"};
enum { UNITS = sizeof units / sizeof *units };

// Where the module keeps a whole number; NULL: the key is none.
static int *whole_key(Module *module, const char *name, int64_t *least, int64_t *most) {
    const struct {
        const char *name;
        int64_t least, most;
        int *to;
    } whole[] = {
        {"batch", 1, 1 << 20, &module->batch},
        {"accumulate", 1, 1 << 20, &module->accumulate},
        {"epochs", 1, 1 << 30, &module->epochs},
        {"plateau", 1, 1 << 30, &module->plateau},
        {"patience", 0, 1 << 30, &module->patience},
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (!strcmp(name, whole[i].name)) {
            *least = whole[i].least;
            *most = whole[i].most;
            return whole[i].to;
        }
    return NULL;
}

static bool is_in_range(Elab *e, const char *name, Span span, double given, int64_t least,
                        int64_t most) {
    if (given >= (double)least && given <= (double)most && given == floor(given)) return true;
    elab_error(e, span, "%s is a whole number from %lld to %lld, this is %.15g", name,
               (long long)least, (long long)most, given);
    return false;
}

// Bytes, in the units of 1000 of them in which memory is reported.
static void budget_key(Elab *e, const Stmt *stmt, Module *module) {
    double bytes = stmt->value->number;
    int unit = 0;
    if (!stmt->unit || stmt->value->kind != EXPR_NUMBER) {
        elab_error(e, stmt->value->span, "budget is an amount of memory, with its unit: 256 MB");
        return;
    }
    while (unit < UNITS && strcmp(stmt->unit, units[unit]))
        unit++;
    if (unit == UNITS) {
        elab_unknown(e, stmt->unit_span, "unit of memory", stmt->unit, units, UNITS);
        return;
    }
    for (int i = 0; i <= unit; i++)
        bytes *= 1000;
    if (bytes < 1 || bytes >= 0x1p62)
        elab_error(e, span_join(stmt->value->span, stmt->unit_span),
                   "no training has its memory in %g %s", stmt->value->number, stmt->unit);
    else
        module->budget = (int64_t)bytes;
    module->budget_span = stmt->span;
}

static void precision_key(Elab *e, const Expr *value, Module *module) {
    const char *name = value->kind == EXPR_NAME ? value->text : "";
    static const char *const names[] = {"f32", "tf32", "bf16"};
    if (!strcmp(name, "f32") || !strcmp(name, "tf32") || !strcmp(name, "bf16")) {
        module->precision = !strcmp(name, "bf16") ? DT_BF16 : DT_F32;
        module->tf32 = !strcmp(name, "tf32");
    } else if (*name) {
        elab_unknown(e, value->span, "precision", name, names, 3);
    } else {
        elab_error(e, value->span, "precision is f32, tf32 or bf16");
    }
}

static void shuffle_key(Elab *e, Scope *scope, const Expr *value, Module *module) {
    bool flag;
    if (elab_structural_bool(e, scope, value, &flag)) module->shuffle = flag;
}

static void seed_key(Elab *e, Scope *scope, const Expr *value, Module *module) {
    int64_t seed;
    if (elab_int(e, scope, value, &seed) &&
        is_in_range(e, "seed", value->span, (double)seed, 0, INT64_MAX))
        module->seed = seed;
}

static void train_key(Elab *e, Scope *scope, const Stmt *stmt, Module *module) {
    int64_t value, least, most;
    int *whole = whole_key(module, stmt->name, &least, &most);
    if (!strcmp(stmt->name, "budget")) {
        budget_key(e, stmt, module);
    } else if (stmt->unit) {
        elab_error(e, stmt->unit_span, "%s has no unit", stmt->name);
        diag_hint(e->diag, "statements stand on lines of their own, or with ; between them");
    } else if (whole) {
        if (elab_int(e, scope, stmt->value, &value) &&
            is_in_range(e, stmt->name, stmt->value->span, (double)value, least, most))
            *whole = (int)value;
        if (whole == &module->accumulate) module->accumulate_span = stmt->span;
    } else if (!strcmp(stmt->name, "seed")) {
        seed_key(e, scope, stmt->value, module);
    } else if (!strcmp(stmt->name, "shuffle")) {
        shuffle_key(e, scope, stmt->value, module);
    } else if (!strcmp(stmt->name, "precision")) {
        precision_key(e, stmt->value, module);
    }
}

// What --set says of them, and what it could say.
static void set_keys(Elab *e, Module *module) {
    double given;
    int64_t least, most;
    for (int i = 0; i < TRAIN_KEYS; i++) {
        const char *name = train_keys[i];
        int *whole = whole_key(module, name, &least, &most);
        if (!whole) continue;
        if (elab_set_value(e, name, &given) && is_in_range(e, name, SPAN_NONE, given, least, most))
            *whole = (int)given;
        elab_add_setting(e, module, (SettingInfo){.name = name, .value = *whole});
    }
    if (elab_set_value(e, "seed", &given) && is_in_range(e, "seed", SPAN_NONE, given, 0, 1LL << 53))
        module->seed = (int64_t)given;
    elab_add_setting(e, module, (SettingInfo){.name = "seed", .value = (double)module->seed});
    if (elab_set_value(e, "shuffle", &given)) module->shuffle = given != 0;
    elab_add_setting(e, module,
                     (SettingInfo){.name = "shuffle", .value = module->shuffle, .is_bool = true});
}

static void report_key(Elab *e, const Stmt *stmt) {
    if (strcmp(stmt->name, "loss") != 0) {
        elab_unknown(e, stmt->name_span, "key of train", stmt->name, train_keys, TRAIN_KEYS);
        return;
    }
    elab_error(e, stmt->name_span, "there is no key of train loss");
    diag_hint(e->diag, "it belongs in the model: loss cross_entropy(logits, label)");
}

static bool is_train_key(const char *name) {
    for (int i = 0; i < TRAIN_KEYS; i++)
        if (!strcmp(name, train_keys[i])) return true;
    return false;
}

void elab_train_keys(Elab *e, const Decl *train, Module *module) {
    Scope *scope = scope_new(e, NULL);
    Map *seen = map_new(e->arena);
    for (int i = 0; train && i < train->body_count; i++) {
        const Stmt *stmt = train->body[i];
        if (stmt->kind >= STMT_MINIMIZE) continue; // these are no keys
        if (stmt->kind != STMT_LET || !stmt->name) {
            elab_error(e, stmt->span, "this is no key of train");
            diag_hint(e->diag, "keys are given values: batch = 16, optimizer = adam(lr = 1e-3)");
            continue;
        }
        const Stmt *old = map_get(seen, stmt->name);
        if (!is_train_key(stmt->name))
            report_key(e, stmt);
        else if (old) {
            elab_error(e, stmt->name_span, "%s stands here a second time", stmt->name);
            elab_note(e, old->name_span, "the first is here");
        } else
            train_key(e, scope, stmt, module);
        map_put(seen, stmt->name, (void *)stmt);
    }
    if (train) set_keys(e, module);
    if (e->options->batch > 0) module->batch = e->options->batch;
    if (e->options->whole) module->budget = module->accumulate = 0;
    if (module->accumulate > module->batch)
        elab_error(e, module->accumulate_span,
                   "a batch of %d has no %d chunks: it has at most one for each example",
                   module->batch, module->accumulate);
    module->chunk = module->batch;
    if (e->options->epochs > 0) module->epochs = e->options->epochs;
    if (e->options->has_seed) module->seed = e->options->seed;
}
