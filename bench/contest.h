// SPDX-License-Identifier: MIT
// A compiled network against the same one written by hand. First both take a few steps from the
// same parameters on the same batch, and their losses, parameters and optimizer states are
// compared: only what computes the same is timed. Then they take turns, round by round, so that
// whatever else the machine does meets both; medians over the rounds are given, and the median of
// the rounds' ratios.
#ifndef NNC_BENCH_CONTEST_H
#define NNC_BENCH_CONTEST_H

#include "baseline.h"
#include <stdbool.h>

typedef struct Contest {
    const char *name; // cnn
    Baseline *(*by_hand)(int batch, unsigned seed);
    const char *unit; // images/s, or steps/s
    bool counts_images;
    int rounds, steps; // of each side in a round
    double floor; // in `unit`, which nnc may not stay below; 0: none. $NNC_BENCH_FLOOR is over it
} Contest;

// All of a benchmark's main(): reads the line, prints a table or JSON, returns the exit status.
int contest_main(const Contest *contest, int argc, char **argv);

#endif
