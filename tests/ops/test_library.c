// SPDX-License-Identifier: MIT
// Every declaration of the standard library: it elaborates, and the first and second derivatives of
// all that it gives, with respect to its arguments, parameters and state, agree with differences.
// Arguments are made up from the signature, so that a new declaration is tested as it is.
#include "gradient_check.h"
#include "nnd/elab.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

enum { MAX_LEAVES = 8 };

typedef struct Arguments {
    ExampleArgument *at;
    int count;
    double low, high; // of real inputs
} Arguments;

// Parameters and state are positive: exponents, variances.
static void draw_argument(void *context, const Node *leaf, double *value, int64_t count,
                          uint64_t *state) {
    const Arguments *arguments = context;
    double low = 0.5, high = 1.5;
    if (leaf->op == OP_input) low = arguments->low, high = arguments->high;
    for (int i = 0; i < arguments->count && leaf->dtype == DT_I32; i++)
        if (!strcmp(arguments->at[i].name, leaf->attr->name))
            low = 0, high = (double)arguments->at[i].classes;
    for (int64_t i = 0; i < count; i++) {
        value[i] = low + (high - low) * random_unit(state);
        if (leaf->dtype == DT_I32) value[i] = floor(value[i]);
    }
}

// --- Elaborating

// Whether a parameter without a type is a tensor or a number, its body alone says: all are tensors
// at first, then the last ones become numbers until it elaborates.
static Graph *elaborate(Arena *arena, const Decl *decl, bool training, Arguments *arguments) {
    const ExampleArgument *made = nnd_example_arguments(arena, decl, &arguments->count);
    arguments->at = ARENA_ARRAY(arena, ExampleArgument, arguments->count + 1);
    for (int i = 0; i < arguments->count; i++)
        arguments->at[i] = made[i];
    for (int last = arguments->count; last >= 0; last--) {
        Diag *diag = diag_new(arena);
        Graph *graph = nnd_elaborate_call(arena, NULL, decl->name, arguments->at, arguments->count,
                                          training, diag);
        if (graph || last == 0 || arguments->at[last - 1].is_number) {
            cr_expect(graph != NULL, "%s: %s", decl->name, diag_text(diag, arena));
            return graph;
        }
        arguments->at[last - 1].is_number = true;
        arguments->at[last - 1].number = 0.5;
    }
    return NULL;
}

static int real_leaves(const Graph *graph, const Node **leaf) {
    int count = 0;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        bool is_leaf = node->op == OP_input || node->op == OP_param || node->op == OP_state;
        if (node->dtype == DT_F32 && is_leaf && count < MAX_LEAVES) leaf[count++] = node;
    }
    return count;
}

// --- Checking

typedef enum Outcome { AGREES, NOT_FINITE, NOTHING_TO_CHECK } Outcome;

static Outcome check_root(const Decl *decl, bool training, int root, double low, double high) {
    Arena *arena = arena_new();
    Arguments arguments = {.low = low, .high = high};
    CheckOptions options = {.n = 2, .seed = 3, .draw = draw_argument, .context = &arguments};
    Graph *graph = elaborate(arena, decl, training, &arguments);
    const Node *leaf[MAX_LEAVES];
    int leaves = graph ? real_leaves(graph, leaf) : 0;
    const Node *y = leaves ? graph->root.at[root].value : NULL;
    Outcome outcome = NOTHING_TO_CHECK;
    if (y && y->dtype == DT_F32) {
        const char *wrong = gradient_check(graph, y, leaf, leaves, &options);
        outcome = wrong == gradient_not_finite ? NOT_FINITE : AGREES;
        cr_expect(!wrong || outcome == NOT_FINITE, "%s, root %d%s: %s", decl->name, root,
                  training ? ", training" : "", wrong);
    }
    arena_free(arena);
    return outcome;
}

static int root_count(const Decl *decl, bool training) {
    Arena *arena = arena_new();
    Arguments arguments = {0};
    Graph *graph = elaborate(arena, decl, training, &arguments);
    int count = graph ? graph->root.count : 0;
    arena_free(arena);
    return count;
}

// From -2 .. 2; where it is not defined there, from 0.1 .. 0.9. How many roots were compared.
static int check_declaration(const Decl *decl, bool training) {
    int checked = 0;
    for (int root = root_count(decl, training) - 1; root >= 0; root--) {
        Outcome outcome = check_root(decl, training, root, -2, 2);
        if (outcome == NOT_FINITE) outcome = check_root(decl, training, root, 0.1, 0.9);
        cr_expect(outcome != NOT_FINITE, "%s, root %d is not finite", decl->name, root);
        checked += outcome == AGREES;
    }
    return checked;
}

Test(library, derivatives, .timeout = 240) {
    Arena *arena = arena_new();
    Diag *diag = diag_new(arena);
    int count, checked = 0;
    const Decl *const *decl = nnd_library(arena, diag, &count);
    cr_assert(count > 0 && !diag_error_count(diag), "%s", diag_text(diag, arena));
    for (int i = 0; i < count; i++) {
        if (decl[i]->surrogate) continue; // its derivative is another by intention
        checked += check_declaration(decl[i], true);
        checked += check_declaration(decl[i], false);
    }
    // Learning rates over time are numbers alone; of the rest each has something to differentiate.
    cr_expect(checked > 3 * count / 2, "%d of %d declarations", checked, count);
    arena_free(arena);
}
