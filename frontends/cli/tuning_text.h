// SPDX-License-Identifier: MIT
// The text of a file of `nnc tune`; tuned.c says where it lies.
//
//     {"version":1,"target":"x86-64-v4","sites":[
//     {"site":"conv2d 3x3 64->128 to 28x28, batch 16","takes":"F(4)",
//      "candidates":[{"name":"F(4)","seconds":0.0021},{"name":"product","seconds":0.009}]},
//     ..]}
//
// Only names are taken from it, and compared with those that the compiler offers: whatever stands
// in the file, what is computed is one of the ways that the compiler has.
#ifndef NNC_CLI_TUNING_TEXT_H
#define NNC_CLI_TUNING_TEXT_H

#include "support/choice.h"
#include <stdio.h>

// NULL with *problem set where it makes no sense.
Tuning *tuning_read(Arena *arena, const char *text, size_t length, const char **problem);
void tuning_write(FILE *file, const char *target, const Tuning *tuning);

#endif
