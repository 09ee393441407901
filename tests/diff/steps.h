// SPDX-License-Identifier: MIT
// A network of the language, compiled and trained for a few steps.
//
//     Module *module = steps_module(arena, text);
//     Run run = run_new(arena, module, target, tier);
//     const char *state = run_steps(&run, 2);          // of two threads
#ifndef NNC_TESTS_STEPS_H
#define NNC_TESTS_STEPS_H

#include "compile.h"
#include "jit/jit.h"

enum { BATCH = 11, STEPS = 3, CLASSES = 10, MOST_THREADS = 4 };

// What its networks begin with; TRAIN, after the model's body: its loss, data, and train block with
// `keys` in it.
#define MODEL       "nnd 1\nmodel Net { input image: f32[N, 3, 32, 32]\n target label: index(10)[N]\n"
#define DATA        "}\ndata d { source = shapes() }\ntrain Net on d { batch = 11; "
#define TRAIN(keys) "output logits\n loss cross_entropy(logits, label) " DATA keys " }\n"

typedef struct Run {
    Arena *arena;
    Compiled *compiled;
    Jit *jit;
    float loss[STEPS];
    long long bytes; // that the session has allocated
} Run;

Module *steps_module(Arena *arena, const char *text);
Run run_new(Arena *arena, const Module *module, const Target *target, JitTier tier);
// The state after all steps, the last of them with fewer examples.
char *run_steps(Run *run, int threads);

// The largest difference of a loss, or of an element of a tensor, relative to the tensor's largest.
double run_difference(const Run *a, const char *state_a, const Run *b, const char *state_b);
// From any number of threads, bit for bit.
void expect_same_bits(Run *run, const char *state);

#endif
