// SPDX-License-Identifier: MIT
// What a front end hands to the compiler: the graphs of one network, and what surrounds them.
#ifndef NNC_IR_PROGRAM_H
#define NNC_IR_PROGRAM_H

#include "ir/graph.h"
#include "nnc.h"

typedef struct InputInfo {
    const char *name;
    DType dtype; // f32; i32 for an index
    Shape shape; // its first axis is N
    int64_t classes; // > 0: an index below it
    bool is_target;
} InputInfo;

// A named part of a state leaf: elements offset .. of the leaf `leaf` (rank 1), or all of it.
typedef struct TensorInfo {
    const char *name; // conv2d_1.weight; adam.m/conv2d_1.weight
    NncTensorKind kind;
    const char *leaf;
    int64_t offset; // elements
    Shape shape;
} TensorInfo;

// An application of a layer, for `nnc check`: what came out of it where the network was elaborated.
typedef struct LayerInfo {
    const char *name;  // of the instance: conv2d_1; block.fc1
    const char *layer; // conv2d
    Shape output;
} LayerInfo;

// What is known when compiling, and can be set then: a parameter of the model, a key of the train
// block, an optimizer's default, a whole expression.
typedef struct SettingInfo {
    const char *name;
    const char *text; // the expression that a number would stand in place of; NULL: it is a value
    double value;
    bool is_bool;
} SettingInfo;

// Roots: INIT has one ROOT_STATE a leaf. TRAIN has output "loss", the metrics of the batch that is trained on, further
// losses, and a ROOT_STATE for what it changes.
// EVAL has outputs "loss" and the metrics, each rank 0. PREDICT has the model's outputs.
// In all of them parameters are slices of OP_state leaves, one leaf for each parameter group ("params").
typedef struct Module {
    const char *model;
    const Source *source;
    int batch, epochs;
    int chunk;         // examples that a step takes at a time: the batch, or fewer of them
    int64_t room;      // bytes that a step's work arena is to have, computing things again; 0: any number
    int64_t budget;    // bytes that training may take; 0: any number
    int accumulate;    // chunks that a step takes its batch in at least; below 2: it may be one
    Span budget_span, accumulate_span;
    int64_t seed;
    bool shuffle;
    int plateau;       // as in NncProgram, as are the next five
    double validation;
    const char *best;
    bool best_is_lowest;
    int patience;
    VEC(NncExpect) expect;
    DType precision;             // of tensors between kernels: DT_F32, DT_BF16
    bool tf32;                   // products may round what they read to TF32 (a GPU's do)
    Graph *graph[NNC_FUNCTIONS]; // NULL where there is none (no data or train block: TRAIN; no loss: EVAL)
    Graph *rates; // f64 outputs: learning rates, under the names that set them; NULL: no train block
    VEC(InputInfo) input;
    VEC(TensorInfo) tensor;
    VEC(LayerInfo) layer; // in the order of application
    VEC(NncHyper) hyper;
    VEC(SettingInfo) setting;
    NncCall data;
    VEC(NncCall) augment;
} Module;

#endif
