// SPDX-License-Identifier: MIT
// What the train block's two files share: how the parameters lie, and running an optimizer on them.
#ifndef NNC_NND_ELAB_TRAIN_H
#define NNC_NND_ELAB_TRAIN_H

#include "nnd/elab_internal.h"
#include "pass/grad.h"

typedef struct Leaf { // a state leaf of f32 with parameters one behind the other
    const char *name;
    int64_t size; // elements
    VEC(ParamEntry *) param;
} Leaf;

typedef struct Range { // parameters of a leaf that have the same optimizer arguments
    const Stmt *group; // overrides; NULL: none
    int first, count;  // parameters
    int64_t offset, size;
} Range;

typedef struct Minimize {
    const Decl *decl; // the optimizer
    const Expr *call, *clip;
    Span span, loss_span;
    const char *loss_name, *pattern;
    const char *leaf_name; // params
    const char *prefix;    // adam: its state is adam.m
    Leaf leaf;
    VEC(Range) range;
} Minimize;

typedef struct FirstValue { // of an optimizer's state leaf
    const char *name;
    const Node *node; // in elab->init
} FirstValue;

typedef struct Program {
    const Decl *train; // NULL: none
    Module *module;
    VEC(Minimize *) minimize;
    VEC(const Stmt *) group;
    VEC(Leaf *) leaf; // in the order of minimize; then the one of parameters that nothing trains
    Leaf frozen;
    VEC(FirstValue) first;
} Program;

const Node *flat_slice(Graph *, const Node *flat, int64_t offset, int64_t size);
const Node *flat_param(Graph *, const Node *flat, const ParamEntry *);
const Node *flatten(Graph *, const Node *);
const Node *join_flat(Graph *, const Node *const *part, int count);

// --- elab_numbers.c

// The hyper-parameter of this name, which gets a row in the module.
Value numbers_hyper(Elab *, Module *, const char *name, double value);
bool numbers_is_real(Elab *, const Decl *, const Parameter *);
// The expression with names, bound in `scope`, in place of the plain numbers that can be set.
const Expr *numbers_of(Elab *, Module *, Scope *, const Expr *, const char *name);
// Likewise a call of `decl`, whose first parameters, `skipped` of them, are given otherwise; `name`
// stands before those of its parameters.
const Expr *numbers_of_call(Elab *, Module *, Scope *, const Expr *call, const Decl *, int skipped,
                            const char *name);

// --- elab_optimizer.c

const char *hyper_prefix(Elab *, const Program *, const Minimize *); // "", or "adam_2."
// Reports wrong arguments of an optimizer's call.
void optimizer_check(Elab *, const Decl *, const Expr *call, Scope *);
// The next value of the flat parameters; adds the roots of the optimizer's state to elab->graph,
// and rows to the program and its module. NULL after an error.
const Node *optimizer_apply(Elab *, Program *, Minimize *, Scope *, const Node *param,
                            const Node *grad);

#endif
