// SPDX-License-Identifier: MIT
// A safetensors file as checkpoint_read.c reads it, for what else is read of one: the tensors that
// it has, checked against its size, sorted by name.
#ifndef NNC_CHECKPOINT_FILE_H
#define NNC_CHECKPOINT_FILE_H

#include "checkpoint.h"
#include "file.h"

typedef struct NncEntry { // a tensor in the file
    char *name, *type;
    int rank;
    long long extent[NNC_MAX_RANK];
    long long begin, end; // bytes from the first tensor on
} NncEntry;

typedef struct NncHeader {
    const char *path;
    char *text;
    size_t size;
    long long data_size;
    NncEntry *entry;
    int count, capacity;
    char *hyper, *classes, *scores, *sums; // JSON in the metadata
    char *format;
} NncHeader;

// Reads and checks all in front of the tensors; the metadata's numbers go to *checkpoint. The path
// is set. Free it, after an error too.
NncStatus nnc_header_read(NncHeader *header, NncReader *reader, NncCheckpoint *checkpoint,
                          NncError *error);
void nnc_header_free(NncHeader *header);
// The entry of a program's tensor, of its type and shape.
NncStatus nnc_header_find(const NncHeader *header, const NncTensor *tensor, const NncEntry **found,
                          NncError *error);
// Was it written by a version that this one reads? To train on, by any of them.
NncStatus nnc_header_check_format(const NncHeader *header, bool to_train, NncError *error);
int nnc_stored_size(const char *type); // bytes of a number; 0: there is no such type

static inline bool nnc_tensor_is_wanted(const NncTensor *tensor, bool to_train) {
    return to_train || tensor->kind != NNC_OPTIMIZER_STATE;
}

#endif
