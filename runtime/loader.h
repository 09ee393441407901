// SPDX-License-Identifier: MIT
// Batches of one epoch, or their chunks, put together ahead of time by a thread of their own.
//
//     NncLoader *loader = nnc_loader_new(columns, &(NncLoading){.split = NNC_SPLIT_TRAIN, ..},
//     error); while (!(status = nnc_loader_next(loader, &batch, error)) && batch.count) ...
//     nnc_loader_free(loader);
//
// What is in a batch depends on (program, source, loading) alone.
#ifndef NNC_LOADER_H
#define NNC_LOADER_H

#include "columns.h"

typedef struct NncLoading {
    NncSplit split;
    long long limit; // the first `limit` examples of the split, before shuffling; 0: all
    bool shuffle, augment;
    long long seed, epoch; // of the shuffle and the augmentations
    long long position;    // examples of the epoch to leave out, having been had before
    bool steps;            // of training, which may go through its examples several times
} NncLoading;

typedef struct NncBatch {
    const char *input; // valid until the next one is asked for
    long long count;   // 0: the epoch is over
    long long end;     // examples of the epoch up to here
    // Where a step takes several: the examples before these, all of its examples, and how often it
    // has gone through all of them before.
    long long first, of;
    int pass;
} NncBatch;

int nnc_passes(const NncProgram *); // of a step

typedef struct NncLoader NncLoader;

// The columns must outlive the loader. Augmentations were checked before. NULL on error.
NncLoader *nnc_loader_new(const NncColumns *columns, const NncLoading *loading, NncError *error);
NncStatus nnc_loader_next(NncLoader *loader, NncBatch *batch, NncError *error);
void nnc_loader_free(NncLoader *loader); // NULL: nothing
long long nnc_loader_example(const NncLoader *loader, long long position); // of the split, from 0

// Examples in an epoch.
long long nnc_loading_count(const NncSource *source, const NncLoading *loading);

#endif
