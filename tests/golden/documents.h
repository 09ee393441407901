// SPDX-License-Identifier: MIT
// What the tests of the documents share.
#ifndef NNC_TESTS_DOCUMENTS_H
#define NNC_TESTS_DOCUMENTS_H

#include "support/diag.h"

// A file of the source tree; a failing test where there is none.
const Source *read_shipped(Arena *arena, const char *path);
void promote(Arena *arena, const char *path, const char *text); // writes one
bool starts_with(const char *text, const char *prefix);

// The next block of lines that are four columns in, without those columns and the empty lines
// behind it; NULL where there is none. *at goes on behind it. `above`: the last line of text before
// it, or NULL to ask for none.
const char *next_block(Arena *arena, const char **at, const char **above);

#endif
