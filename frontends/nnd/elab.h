// SPDX-License-Identifier: MIT
// Elaboration: from the tree of a .nnd file to the graphs of its network. Here names get their
// meaning, dimensions their extents, calls of layers their instances and parameters, index notation
// its loops; what is structural is computed, and the rest becomes nodes.
//
//     File *file = nnd_parse(arena, source, diag);
//     Module *module = nnd_elaborate(arena, file, &(ElabOptions){.batch = 32}, diag);
//     if (!module) diag_print(diag, stderr, true);
//
// The standard library (std/*.nnd) is a part of the program; a file's own declarations come before
// it.
#ifndef NNC_NND_ELAB_H
#define NNC_NND_ELAB_H

#include "ir/program.h"
#include "nnd/ast.h"

typedef struct ElabOptions { // zero: what the file says
    int batch, epochs;
    bool has_seed;
    int64_t seed;
    bool whole; // steps take their batch at once, whatever memory that takes
    // NAME=VALUE of the command line: a parameter of the model or an argument of its optimizer
    // (true and false are 1 and 0). A name that neither has is an error.
    const char *const *set_name;
    const double *set_value;
    int set_count;
} ElabOptions;

// NULL after an error (reported in diag). Elaborates the network that the file's `train` names, or
// where there is none its last model: then TRAIN is NULL.
Module *nnd_elaborate(Arena *arena, const File *file, const ElabOptions *options, Diag *diag);

// The keys that a train block may have, beside statements.
const char *const *nnd_train_keys(int *count);

// --- One declaration alone, for tests

// What is handed to a parameter: a number (also for int, bool), or a tensor that becomes an input.
typedef struct ExampleArgument {
    const char *name;
    bool is_number;
    double number;
    DType dtype; // DT_I32: an index below `classes`
    int64_t classes;
    Shape shape;
} ExampleArgument;

// All functions, layers and optimizers of the standard library, in the order of its files.
const Decl *const *nnd_library(Arena *arena, Diag *diag, int *count);

// Its reference, from its files: docs/LIBRARY.md (nnd/reference.c).
void nnd_library_reference(Buf *out);

// The graph of one application: tensors are OP_input nodes under their parameter's name, a layer's
// parameters OP_param and its state OP_state leaves. Roots: output "y"; for an optimizer (whose p
// and g are inputs) output "p" and a ROOT_STATE for each of its states. NULL after an error. `file`
// may declare more, or be NULL. Parameters that are not among the arguments take their defaults.
Graph *nnd_elaborate_call(Arena *arena, const File *file, const char *name,
                          const ExampleArgument *argument, int count, bool training, Diag *diag);

// Arguments that suit the declaration, made up from its signature: each dimension gets a small
// extent of its own, `..` two axes; numbers without a default get 2 or 0.5.
const ExampleArgument *nnd_example_arguments(Arena *arena, const Decl *decl, int *count);

#endif
