// SPDX-License-Identifier: MIT
// What is fuzzed, by fuzz_read.c and by libFuzzer alike (libfuzzer.c). A target returns NULL, or a
// sentence about a promise that was broken, which is in `message`.
#ifndef NNC_TESTS_FUZZ_TARGETS_H
#define NNC_TESTS_FUZZ_TARGETS_H

#include <stddef.h>

const char *fuzz_nnd(const char *text, size_t length, char *message, size_t size);
const char *fuzz_graph(const char *text, size_t length, char *message, size_t size);
// Elaborates what parses: with mistakes reported, or every function of the network verified.
const char *fuzz_elaborate(const char *text, size_t length, char *message, size_t size);

#endif
