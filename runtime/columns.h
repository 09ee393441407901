// SPDX-License-Identifier: MIT
// From an example, bytes of an image and a label, to the columns of a program's batch.
//
// A column of floats with as many elements an example as the image has pixels takes the image, as 0
// .. 1; an index takes the label. Anything else is an error that names both shapes.
#ifndef NNC_COLUMNS_H
#define NNC_COLUMNS_H

#include "source.h"

// Does each input column that is needed have something to take? Predicting needs no targets.
NncStatus nnc_columns_check(const NncProgram *program, const NncSource *source, bool with_targets,
                            NncError *error);

// Writes one example into place `slot` of the batch at `batch`. A label below zero: the targets are
// left alone.
void nnc_columns_fill(const NncProgram *program, char *batch, long long slot,
                      const unsigned char *image, int label);

long long
nnc_column_elements(const NncColumn *column); // an example's; extents after the first axis
int nnc_type_size(NncType type);
// "f32[N, 3, 32, 32]"
void nnc_column_describe(const NncColumn *column, char *text, size_t size);

#endif
