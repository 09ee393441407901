// SPDX-License-Identifier: MIT
// What is fuzzed: every reader of a text or a file that may come from a stranger. A target is given
// bytes and returns NULL, or a sentence about a promise that was broken, which is in `message`;
// what crashes, hangs or leaks is found by who runs it: fuzz_read.c and fuzz_corpus.c in each run
// of the tests, libfuzzer.c for as long as one likes.
#ifndef NNC_TESTS_FUZZ_TARGETS_H
#define NNC_TESTS_FUZZ_TARGETS_H

#include <stddef.h>

typedef const char *FuzzRun(const char *bytes, size_t count, char *message, size_t size);

typedef struct FuzzTarget {
    const char *name; // of its folder in tests/fuzz/corpus, too
    FuzzRun *run;
} FuzzTarget;

extern const FuzzTarget fuzz_targets[]; // the last one has no name

// --- Texts (targets.c). What is accepted prints as a text that is accepted again and prints the
// same.
FuzzRun fuzz_nnd, fuzz_graph, fuzz_expr;
// Elaborates what parses: with mistakes reported, or every function of the network verified.
FuzzRun fuzz_elaborate;
// And on to C, for one target with vectors and one without.
FuzzRun fuzz_compile;

// --- Files (targets_files.c). What is refused is refused with one line of text.
FuzzRun fuzz_checkpoint, fuzz_idx, fuzz_idx_gz, fuzz_csv, fuzz_cifar10, fuzz_json, fuzz_log,
    fuzz_png, fuzz_tuning, fuzz_object;

#endif
