// SPDX-License-Identifier: MIT
// Shared by fuse.c (which nodes are stored) and those that make kernels of them (maker.h).
#ifndef NNC_PASS_FUSE_INTERNAL_H
#define NNC_PASS_FUSE_INTERNAL_H

#include "pass/plan.h"

enum { MOST_RESULTS = 8 }; // of a kernel
enum { CROWDED = 16 }; // index variables in a kernel, beside those of its loops

typedef struct Users {
    VEC(const Node *) node; // those that use it; one that uses it twice is there twice
    int roots;              // how many roots it is the value of
} Users;

typedef struct Fuse {
    Fusion *fusion;
    Arena *arena;
    Users *users;        // by node id, live nodes alone
    bool *live, *stored; // by node id; stored: some kernel writes it (leaves: no)
    bool *inside; // part of an epilogue, or a fold within a fold: computed in passing in any case
    const Node *
        *core; // by node id of a stored node: the product, reduction .. that its kernel is built on
    const Node **end;  // by id of a core: the end of its epilogue
    const Node **with; // by id of a stored node: another one whose kernel stores it, too; or NULL
    bool *used_up;     // by id of a product: tiles of it become other results, it is stored nowhere
    bool *folded;      // by id of a product: its epilogue is computed from it by folds
    bool *claimed;     // part of some core's epilogue
    int *variables;    // by node id: index variables that computing it makes, about
    int *depth;        // by node id: operators behind one another that computing it takes
    const char **apart; // by node id: why it was stored
    const Placement *placement;
    int placements;
} Fuse;

bool node_is_leaf(const Node *node);   // input, param, state
bool node_is_core(const Node *node);   // closes a kernel
bool node_is_widened(const Node *node); // a cast from bf16
bool node_is_wino(const Node *node);   // one of Winograd's transforms
// Cost of computing one element, its inputs aside, in loads of four bytes from the cache.
double node_cost(const Node *node);
// Is the node the same memory as its input, if that is stored? *offset: where, in elements.
bool node_is_view(const Node *node, int64_t batch, int64_t *offset);

// A concat whose parts are written straight into it: along its first axis, at constant places.
bool node_is_placed_concat(const Node *node);

// Has a product without a batch more columns than rows? Rows that are examples are always shared
// out as rows: what comes before and after goes by examples too.
bool product_is_wide(const Node *product);

// Operand `which` of a product, without views, if the kernel copies it part by part instead of
// reading it where it is stored; else NULL.
const Node *product_copied_operand(const Fuse *fuse, const Node *product, int which);

// What a transform of Winograd's reads: its input, or the bf16 that it is widened from.
const Node *wino_operand(const Node *node);

// Is it elements of its input, in another order or more often? Of a bf16, in f32.
bool node_is_movement(const Node *node);

Fuse fuse_begin(Arena *arena, const Graph *graph, int64_t batch, const Target *target);
void choose_stored(Fuse *fuse);
void make_kernels(Fuse *fuse);

#endif
