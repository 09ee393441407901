// SPDX-License-Identifier: MIT
// freeze "features.*": parameters that stay as they are. They lie apart from those that are
// trained, so no gradient is taken to them, and what would have computed one falls away.
//
// State that matches stays as well. An instance of which the pattern takes in whatever may be in it
// computes as it does outside of training: a batch norm by its running means, a dropout nothing.
#include "nnc.h"
#include "nnd/elab_internal.h"

#include <string.h>

typedef VEC(const char *) PatternVec;

// A star stands for any characters. Only the last one met is ever taken back, so this is quick.
bool pattern_matches(const char *pattern, const char *path) {
    const char *star = NULL, *from = NULL;
    while (*path) {
        if (*pattern == '*') {
            star = pattern++;
            from = path;
        } else if (*pattern == *path) {
            pattern++, path++;
        } else if (star) {
            pattern = star + 1;
            path = ++from;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

void elab_freeze(Elab *e, const Decl *train) {
    for (int i = 0; train && i < train->body_count; i++)
        if (train->body[i]->kind == STMT_FREEZE) VEC_PUSH(e->arena, e->freeze, train->body[i]);
}

bool elab_is_frozen(const Elab *e, const char *path) {
    for (int i = 0; i < e->freeze.count; i++)
        if (pattern_matches(e->freeze.at[i]->pattern, path)) return true;
    return false;
}

// No name has a line's end in it: what matches this, matches any.
bool elab_is_frozen_inside(Elab *e, const char *path) {
    return e->freeze.count > 0 && elab_is_frozen(e, arena_printf(e->arena, "%s.\n", path));
}

// Patterns that the names in the model suggest: body.*, *.weight, and each name by itself.
static void suggest(Elab *e, PatternVec *names, const char *path) {
    const char *first = strchr(path, '.'), *last = strrchr(path, '.');
    VEC_PUSH(e->arena, *names, path);
    for (const char *dot = first; dot; dot = strchr(dot + 1, '.'))
        VEC_PUSH(e->arena, *names, arena_printf(e->arena, "%.*s.*", (int)(dot - path), path));
    if (last) VEC_PUSH(e->arena, *names, arena_printf(e->arena, "*%s", last));
}

void elab_hint_pattern(Elab *e, const char *pattern) {
    PatternVec names = {0};
    for (int i = 0; i < e->param.count; i++)
        suggest(e, &names, e->param.at[i]->path);
    const char *near = nnc_nearest(pattern, names.at, names.count);
    if (near)
        diag_hint(e->diag, "did you mean \"%s\"?", near);
    else if (e->param.count > 0)
        diag_hint(e->diag, "the first is called %s", e->param.at[0]->path);
}

void elab_check_pattern(Elab *e, const Stmt *stmt) {
    bool found = e->param.count == 0;
    for (int k = 0; k < e->param.count && !found; k++)
        found = pattern_matches(stmt->pattern, e->param.at[k]->path);
    for (int k = 0; k < e->state.count && !found && stmt->kind == STMT_FREEZE; k++)
        found = pattern_matches(stmt->pattern, e->state.at[k]->path);
    if (found) return;
    elab_error(e, stmt->span, "no parameter matches \"%s\"", stmt->pattern);
    elab_hint_pattern(e, stmt->pattern);
}
