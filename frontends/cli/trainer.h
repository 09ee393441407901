// SPDX-License-Identifier: MIT
// A model as `nnc train` runs it, stepped through the runtime's thread pool on one batch of random
// examples that stays: no data files, no loader, no reports.
//
//     Trainer *net = trainer_open(&settings);      // NULL after an error, which is printed
//     trainer_start(net);                          // initial parameters, step 0
//     double loss = trainer_step(net);
//     trainer_free(net);
#ifndef NNC_CLI_TRAINER_H
#define NNC_CLI_TRAINER_H

#include "cli/cli.h"
#include "session.h"

typedef struct Trainer {
    Settings settings; // with an arena of its own
    Compiled *compiled;
    Jit *jit;
    NncSession session;
    char *batch; // the input arena
} Trainer;

Trainer *trainer_open(const Settings *settings);
// By the C compiler.
Trainer *trainer_new(const char *file, int threads);
void trainer_free(Trainer *net);

void trainer_start(Trainer *net);
void trainer_run(Trainer *net, NncFunctionKind function); // a step is counted for NNC_TRAIN
long long trainer_examples(const Trainer *net, NncFunctionKind function); // of such a run
double trainer_step(Trainer *net); // the loss before it; all chunks have the same examples

// A tensor of the state by its name, conv2d_1.weight or adam.m/conv2d_1.weight, with `count`
// elements. One that the program has not, or not of this size, is a bug().
float *trainer_tensor(const Trainer *net, const char *name, long long count);
// The column that takes images, or the one that takes labels.
const void *trainer_input(const Trainer *net, bool is_target);

#endif
