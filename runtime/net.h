// SPDX-License-Identifier: MIT
// A network inside of a program of one's own: created from its table, trained on batches that the
// caller has in memory, asked, saved and loaded. docs/EMBEDDING.md has a whole program.
//
//     NncError error;
//     NncNet *net = nnc_net_new(&simplenet_program, 2, &error);
//     const void *batch[] = {images, labels};                    // the program's inputs, in order
//     if (nnc_net_train(net, batch, 64, &loss, &error)) puts(error.text);
//     nnc_net_predict(net, (const void *[]){image, NULL}, 1, (void *[]){logits}, &error);
//
// Several may live at the same time; one is used by one thread at a time, and computes with those
// of its own pool.
#ifndef NNC_NET_H
#define NNC_NET_H

#include "nnc.h"

typedef struct NncNet NncNet;

// With the first values of its parameters, by the program's seed. threads 0: one a processor. NULL
// on error. The program must outlive it.
NncNet *nnc_net_new(const NncProgram *program, int threads, NncError *error);
void nnc_net_free(NncNet *net); // NULL: nothing

// Columns: program->input[i] says what batch[i] holds: n examples, one behind the other, each of
// the extents behind the first, of float, int32_t or (bool) char. An index that is out of range is
// an error, and nothing has been done. A column that is not needed (a target, to predict) may be
// NULL.

// One step of the optimizer on a batch of 1 <= n <= program->batch examples. *loss (or NULL): its
// mean over these, before the step. NNC_ERROR_NUMBER: it is not finite; the step was taken.
NncStatus nnc_net_train(NncNet *net, const void *const *batch, long long n, double *loss,
                        NncError *error);
// What schedules call an epoch is over.
void nnc_net_end_epoch(NncNet *net);
long long nnc_net_steps(const NncNet *net); // done

// The loss and the metrics, by program->function[NNC_EVAL].output: means over n >= 1 examples.
NncStatus nnc_net_evaluate(NncNet *net, const void *const *batch, long long n, double *scores,
                           NncError *error);

// The outputs, by program->function[NNC_PREDICT].output: of one that is per_example all n >= 1
// rows, of any other its value for the last program->chunk examples. NULL: not wanted.
NncStatus nnc_net_predict(NncNet *net, const void *const *batch, long long n, void *const *outputs,
                          NncError *error);

// Checkpoints, the same as those of `nnc train`: written whole or not at all. Loaded to go on
// training, all tensors have to be there, else what predicting needs. After an error in loading,
// every call is an error until it is loaded again.
NncStatus nnc_net_save(NncNet *net, const char *path, NncError *error);
NncStatus nnc_net_load(NncNet *net, const char *path, bool to_train, NncError *error);

// A hyper-parameter from the next step on: nnc_net_set(net, "lr", 0.001, &error). Where schedules
// read them also "epochs" and "steps", how many there will be, and "plateaus", those so far.
NncStatus nnc_net_set(NncNet *net, const char *name, double value, NncError *error);

// A tensor of the state, a parameter for example, where it lies; it may be written between calls.
// NULL: there is none of that name. *tensor (or NULL): its type and shape.
void *nnc_net_tensor(NncNet *net, const char *name, const NncTensor **tensor);

#endif
