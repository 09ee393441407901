// SPDX-License-Identifier: MIT
// What a run is measured by: the score of its best epoch, and what is expected of it.
//
//     best = val.accuracy                 # lowest of a loss, else highest
//     expect test.accuracy > 0.58
//
// A score is a split and a number that is measured on it: the loss or a metric of the model on train,
// on val, which the data block holds out, or on test.
#include "nnd/elab_internal.h"

#include <string.h>

static const char *const splits[] = {"train", "val", "test"};
enum { SPLITS = sizeof splits / sizeof *splits };

typedef VEC(const char *) NameVec;

static NameVec names_of(Elab *e, const Run *eval_run) {
    NameVec names = {0};
    VEC_PUSH(e->arena, names, "loss");
    for (int i = 0; i < eval_run->metric.count; i++)
        VEC_PUSH(e->arena, names, eval_run->metric.at[i].name);
    return names;
}

static bool is_among(const char *name, const char *const *names, int count) {
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], name)) return true;
    return false;
}

// Is there such a score? Reports what is not.
static bool check_score(Elab *e, const Stmt *stmt, const Module *module, const Run *eval_run) {
    const char *point = strchr(stmt->name, '.'), *name = point + 1;
    const char *split = arena_strndup(e->arena, stmt->name, (size_t)(point - stmt->name));
    NameVec names = names_of(e, eval_run);
    if (!is_among(split, splits, SPLITS)) {
        elab_unknown(e, stmt->name_span, "split", split, splits, SPLITS);
    } else if (strcmp(split, "train") != 0 && !eval_run->has_loss) {
        elab_error(e, stmt->name_span, "a model without a loss is not measured on other examples");
        diag_hint(e->diag, "in the model: loss .., of the number that is minimized");
    } else if (!is_among(name, names.at, names.count)) {
        elab_unknown(e, stmt->name_span, "metric", name, names.at, names.count);
    } else if (!strcmp(split, "val") && module->validation == 0) {
        elab_error(e, stmt->name_span, "nothing is held out for validation");
        diag_hint(e->diag, "in the data block: validation = 0.1");
    } else {
        return true;
    }
    return false;
}

static bool is_loss(const char *score) { return !strcmp(strchr(score, '.'), ".loss"); }

static void set_best(Elab *e, const Stmt *stmt, Module *module, const Run *eval_run) {
    if (module->best) {
        elab_error(e, stmt->span, "best stands here a second time");
        return;
    }
    if (!check_score(e, stmt, module, eval_run)) return;
    if (!strncmp(stmt->name, "test.", 5)) {
        elab_error(e, stmt->name_span,
                   "what is chosen by the test examples cannot be tested by them");
        diag_hint(e->diag, "validation = 0.1 in the data block holds some out: best = val%s",
                  stmt->name + 4);
        return;
    }
    module->best = stmt->name;
    module->best_is_lowest =
        stmt->relation ? !strcmp(stmt->relation, "lowest") : is_loss(stmt->name);
}

static void add_expect(Elab *e, const Stmt *stmt, Module *module, const Run *eval_run) {
    NncExpect expect = {.score = stmt->name, .relation = stmt->relation};
    expect.otherwise = stmt->otherwise_text;
    Value value = elab_expr(e, scope_new(e, NULL), stmt->value);
    bool known = check_score(e, stmt, module, eval_run);
    if (value_is_poison(value)) return;
    if (!value_number(value, &expect.value))
        elab_error(e, stmt->value->span, "a score is compared with a number, this is %s",
                   value_describe(e, value));
    else if (known)
        VEC_PUSH(e->arena, module->expect, expect);
}

static const Stmt *find_patience(const Decl *train) {
    for (int i = 0; i < train->body_count; i++)
        if (train->body[i]->kind == STMT_LET && train->body[i]->name &&
            !strcmp(train->body[i]->name, "patience"))
            return train->body[i];
    return NULL;
}

void elab_goals(Elab *e, const Decl *train, Module *module, const Run *eval_run) {
    bool chosen = false;
    for (int i = 0; i < train->body_count; i++) {
        const Stmt *stmt = train->body[i];
        chosen |= stmt->kind == STMT_BEST;
        if (stmt->kind == STMT_BEST) set_best(e, stmt, module, eval_run);
        if (stmt->kind == STMT_EXPECT) add_expect(e, stmt, module, eval_run);
    }
    if (!chosen && module->validation > 0 && eval_run->has_loss) {
        module->best = "val.loss";
        module->best_is_lowest = true;
    }
    if (module->patience && !module->best && !chosen) {
        const Stmt *patience = find_patience(train);
        elab_error(e, patience ? patience->span : train->span, "patience waits for a better score: of what?");
        diag_hint(e->diag, "validation = 0.1 in the data block, or best = train.loss here");
    }
}
