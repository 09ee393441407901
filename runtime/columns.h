// SPDX-License-Identifier: MIT
// How the columns of a program's batch come from the fields of a source's examples:
//
//  1. a column takes the field of its own name;
//  2. else a float column takes the one image, as 0 .. 1, and an index the one label;
//  3. else a float column takes all numbers that no column names, in the source's order.
//
// A column and what it takes have as many elements an example; their shapes may differ. Whatever
// does not match is an error that names both sides.
//
//     NncColumns columns;
//     nnc_columns_match(&columns, program, &source, true, error);
//     nnc_columns_fill(&columns, &example, batch, slot, error);
//     nnc_columns_free(&columns);
#ifndef NNC_COLUMNS_H
#define NNC_COLUMNS_H

#include "source.h"

typedef struct NncColumns {
    const NncProgram *program;
    const NncSource *source;
    const NncCall *augment; // the program's, or as they were set
    // Input i takes the fields source->field[taken[start[i]]] .. before start[i + 1].
    int *start, *taken;
} NncColumns;

// With needs_targets a target that has nothing to take is an error, as an input is.
NncStatus nnc_columns_match(NncColumns *columns, const NncProgram *program, const NncSource *source,
                            bool needs_targets, NncError *error);
void nnc_columns_free(NncColumns *columns); // a zeroed one: nothing

// The fields of an input, *count of them.
const int *nnc_columns_fields(const NncColumns *columns, int input, int *count);
// The label that the program's first index target takes: NULL where there is none.
const NncField *nnc_columns_label(const NncColumns *columns);

// Writes one example into place `slot` of the batch at `batch`, inputs and what is there of the
// targets. An index out of range is an error.
NncStatus nnc_columns_fill(const NncColumns *columns, const NncExample *example, char *batch,
                           long long slot, NncError *error);

// An image of bytes into a column of floats, as 0 .. 1.
void nnc_column_fill_image(const NncColumn *column, const unsigned char *image, char *batch);

long long
nnc_column_elements(const NncColumn *column); // an example's; extents after the first axis
int nnc_type_size(NncType type);
// "f32[N, 3, 32, 32]"
void nnc_column_describe(const NncColumn *column, char *text, size_t size);

#endif
