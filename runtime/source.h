// SPDX-License-Identifier: MIT
// Data sources: where examples come from. A source has two splits of examples, and a third one is
// held out of those of training. An example has fields: named columns, such as an image of bytes and
// a label, or the numbers of a table's row. A new source is a file with an open function, and a row
// of the table in source.c.
//
//     NncSource source;
//     nnc_source_open(&source, &program->data, options->data, error);
//     NncExample example = {NNC_SPLIT_TEST, 17, malloc(source.example_bytes)};
//     source.read(&source, &example, error);
//     const float *x = nnc_example_field(&example, &source.field[0]);
//     nnc_source_close(&source);
#ifndef NNC_SOURCE_H
#define NNC_SOURCE_H

#include "nnc.h"
#include <stddef.h>

typedef enum NncSplit {
    NNC_SPLIT_TRAIN,
    NNC_SPLIT_TEST,
    NNC_SPLITS, // that a source opens; then what is held out of training
    NNC_SPLIT_VALIDATION = NNC_SPLITS,
    NNC_ALL_SPLITS
} NncSplit;

typedef struct NncSource NncSource;

typedef struct NncExample {
    NncSplit split;
    long long index; // of the split: of training or test, as the files have them
    void *values;    // source->example_bytes: each field at its offset
} NncExample;

struct NncSource {
    const NncSourceInfo *info;
    NncField *field; // field_count of them
    int field_count;
    size_t example_bytes;
    long long count[NNC_ALL_SPLITS];
    void *own; // the source's
    // The training examples by their number in the files: those trained on, then those held out.
    // NULL: none is.
    long long *order;

    // Fills in example->values. May be called from several threads.
    NncStatus (*read)(const NncSource *source, const NncExample *example, NncError *error);
    // Where an example lies, for messages: "data/data_batch_3.bin: record 17".
    void (*place)(const NncSource *source, const NncExample *example, char *text, size_t size);
    void (*close)(NncSource *source);
};

NncStatus nnc_source_open(NncSource *source, const NncCall *call, const char *data,
                          NncError *error);
void nnc_source_close(NncSource *source); // a zeroed one: nothing

// Takes some training examples away for validation: that part of them (below 1), or so many; 0: none.
// Which ones is a function of (seed, how many there are); both keep their order. Once for a source.
NncStatus nnc_source_hold_out(NncSource *source, double validation, long long seed,
                              NncError *error);

// Where the files have an example of a split; it has no values yet.
NncExample nnc_source_example(const NncSource *source, NncSplit split, long long index);

const char *nnc_split_name(NncSplit split); // train, test, val

long long nnc_field_elements(const NncField *field); // of one example
long long nnc_field_bytes(const NncField *field);

static inline void *nnc_example_field(const NncExample *example, const NncField *field) {
    return (char *)example->values + field->offset;
}

// --- For those who write one

// Another field, behind those before; its arrays must live as long as the source.
NncStatus nnc_source_add(NncSource *source, const NncField *field, NncError *error);

// The arguments of a call by name or, where they have none, by position. The value is the default
// where there is none; an argument of the wrong kind or out of range is an error.
NncStatus nnc_argument_text(const NncCall *call, const char *name, int position, const char **text,
                            NncError *error);
NncStatus nnc_argument_real(const NncCall *call, const char *name, int position, double *value,
                            NncError *error);
NncStatus nnc_argument_integer(const NncCall *call, const char *name, int position, long long least,
                               long long most, long long *value, NncError *error);
bool nnc_argument_is_text(const NncCall *call, const char *name, int position);
// Is every argument one of `names` (NULL at the end) or among the first `positions`?
NncStatus nnc_arguments_check(const NncCall *call, const char *const *names, int positions,
                              NncError *error);

// What source.c's table names. `fields` tells what is known without the files (those are the
// source's fields already when it is opened, and it fills in what is missing), `open` the counts
// and functions.
typedef NncStatus NncFieldsOf(const NncCall *call, NncField *field, int *count, NncError *error);
typedef NncStatus NncOpen(NncSource *source, const NncCall *call, const char *data,
                          NncError *error);
NncFieldsOf nnc_cifar10_fields, nnc_idx_fields, nnc_shapes_fields, nnc_csv_fields, nnc_blobs_fields,
    nnc_points_fields;
NncOpen nnc_cifar10_open, nnc_idx_open, nnc_shapes_open, nnc_csv_open, nnc_blobs_open,
    nnc_points_open;

#endif
