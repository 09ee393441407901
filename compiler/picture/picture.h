// SPDX-License-Identifier: MIT
// A graph as a person draws it: boxes for the calls of the source, arrows for what flows between
// them, each with the shapes of its values; the forward pass, the backward pass, the update.
//
//     Picture *picture = picture_make(arena, module->graph[NNC_TRAIN], 1);
//     picture_svg(&out, picture);
//
// Calls nest: with depth 1 each call that the model makes is a box, with depth 2 those in it that
// make calls are opened, and so on; what lies beside the calls of an opened one is shown operator
// by operator, and with depth PICTURE_OPERATORS everything is. Constants, scalars of the step, and
// operators that only copy (broadcast, cast) are never boxes of their own; a parameter is a line in
// the boxes that read it; an update is never opened.
#ifndef NNC_PICTURE_H
#define NNC_PICTURE_H

#include "ir/graph.h"

enum { PICTURE_DEEPEST = 64, PICTURE_OPERATORS = 0 };

typedef enum BoxRole {
    BOX_INPUT,    // a column of the batch
    BOX_LAYER,    // a call that reads parameters or state
    BOX_FUNCTION, // any other call, or an operator
    BOX_OUTPUT,   // what the function hands out
    BOX_BACKWARD,
    BOX_UPDATE, // an optimizer
    BOX_ROLES
} BoxRole;

typedef struct Leaf { // a parameter or a state, whole or a part of a long vector
    const char *name; // as the box sees it: weight, of conv2d_1
    const Node *node;
    bool written; // has a next value, which this box makes
} Leaf;

typedef struct Box {
    BoxRole role;
    const char *name, *callee; // head, linear; an operator's: add, ""
    const char *path;          // the boxes around it: "block_1 / residual_1", or ""
    int ordinal;               // among those of the same name: relu, relu 2; 0: there is but one
    const Section *section;    // the call; NULL: an operator, an input, an output
    const Section *within;     // of an operator: the innermost call that it is in, or NULL
    VEC(Leaf) leaf;
    int forward; // the box that this is the backward pass of; -1: none
} Box;

typedef enum ArrowKind {
    ARROW_VALUE,
    ARROW_GRADIENT, // from a backward box
    ARROW_KEPT,     // from forward to backward: it has to stay in memory
} ArrowKind;

typedef struct Arrow { // all values that one box takes from another
    ArrowKind kind;
    int from, to;
    VEC(const Node *) value; // nodes in `from`
} Arrow;

typedef struct Picture {
    Arena *arena;
    const char *model, *function; // "" where it is not known
    VEC(Box *) box;               // each before those that take values from it
    VEC(Arrow *) arrow;
} Picture;

// A step without what it only measures: without the outputs that `eval` has behind its loss. NULL:
// nothing is measured.
const Graph *picture_without_metrics(Arena *arena, const Graph *step, const Graph *eval);

Picture *picture_make(Arena *arena, const Graph *graph, int depth);

const char *box_title(Arena *arena, const Box *box);       // relu 2
const char *arrow_label(Arena *arena, const Arrow *arrow); // [N, 10], 2 x [N]

void picture_list(Buf *out, const Picture *picture); // lines of text
void picture_dot(Buf *out, const Picture *picture);  // for Graphviz
void picture_svg(Buf *out, const Picture *picture);

#endif
