// SPDX-License-Identifier: MIT
// Predicting, in three files: predict.c takes what it is asked about into batches and runs them,
// predict_input.c reads one input, predict_print.c writes what came out.
#ifndef NNC_PREDICT_H
#define NNC_PREDICT_H

#include "columns.h"
#include "session.h"

typedef struct NncAsked { // an example of the batch
    char *name;           // as it is called in what is printed
    int label;            // -1: not known
} NncAsked;

typedef struct NncPrediction {
    NncSession session;
    char *input;      // the input arena
    NncAsked *asked;  // those that are in it, `count` of them; up to `most` are taken at a time
    long long count, most;
    double *probability; // of each class
} NncPrediction;

// The example that lies in the place behind the others is asked about. Runs the batch if it is full.
NncStatus nnc_prediction_add(NncPrediction *p, const char *name, int label, NncError *error);

// Reads an input (nnc.h) and adds its examples.
NncStatus nnc_prediction_read(NncPrediction *p, const char *input, NncError *error);

// What the batch's outputs say of its example i, as lines or as JSON.
void nnc_prediction_print(NncPrediction *p, long long i, FILE *out);

#endif
