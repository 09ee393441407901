// SPDX-License-Identifier: MIT
// Data sources: where examples come from. A source has two splits of images, each with a label. A
// new one is a file with an open function, and a row of the table in source.c.
//
//     NncSource source;
//     nnc_source_open(&source, &program->data, options->data, error);
//     source.read(&source, NNC_SPLIT_TEST, 17, pixels, &label, error);
//     nnc_source_close(&source);
#ifndef NNC_SOURCE_H
#define NNC_SOURCE_H

#include "nnc.h"

typedef enum NncSplit { NNC_SPLIT_TRAIN, NNC_SPLIT_TEST, NNC_SPLITS } NncSplit;

typedef struct NncSource NncSource;

struct NncSource {
    const NncSourceInfo *info;
    int rank; // of an image: [C, H, W] or [H, W]
    long long extent[NNC_MAX_RANK];
    long long pixels;              // the product of extent: bytes of an image
    long long classes;             // 0: not known
    const char *const *class_name; // classes of them, or NULL
    long long count[NNC_SPLITS];
    void *own; // the source's

    // One example: pixels of 0 .. 255, and its label. May be called from several threads.
    NncStatus (*read)(const NncSource *source, NncSplit split, long long index,
                      unsigned char *image, int *label, NncError *error);
    // Where an example lies, for messages: "data/data_batch_3.bin, record 17".
    void (*place)(const NncSource *source, NncSplit split, long long index, char *text,
                  size_t size);
    void (*close)(NncSource *source);
};

NncStatus nnc_source_open(NncSource *source, const NncCall *call, const char *data,
                          NncError *error);
void nnc_source_close(NncSource *source); // a zeroed one: nothing

const char *nnc_split_name(NncSplit split); // train, test

// The arguments of a call by name or, where they have none, by position. The value is the default
// where there is none; an argument of the wrong kind or out of range is an error.
NncStatus nnc_argument_text(const NncCall *call, const char *name, int position, const char **text,
                            NncError *error);
NncStatus nnc_argument_integer(const NncCall *call, const char *name, int position, long long least,
                               long long most, long long *value, NncError *error);
// Is every argument one of `names` (NULL at the end) or among the first `positions`?
NncStatus nnc_arguments_check(const NncCall *call, const char *const *names, int positions,
                              NncError *error);

// What source.c's table names. Each fills in everything but info and pixels.
NncStatus nnc_cifar10_open(NncSource *source, const NncCall *call, const char *data,
                           NncError *error);
NncStatus nnc_idx_open(NncSource *source, const NncCall *call, const char *data, NncError *error);
NncStatus nnc_shapes_open(NncSource *source, const NncCall *call, const char *data,
                          NncError *error);

#endif
