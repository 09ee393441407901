// SPDX-License-Identifier: MIT
// nnc verify: what its two halves share.
#ifndef NNC_CLI_VERIFY_H
#define NNC_CLI_VERIFY_H

#include "cli/cli.h"
#include "device.h"
#include "pass/cost.h"
#include "support/map.h"

typedef struct Check { // one run of nnc verify
    Arena *arena;
    const Compiled *compiled;
    const Jit *jit;
    NncDeviceRun *device; // what kernels run on; NULL: this processor
    uint64_t random;  // state of the generator
    int done, off;    // comparisons, and how many of them were outside of the tolerance
    Map *leaf;        // name of an input or a state leaf -> its values
    double **initial; // values of the INIT graph, by node id
} Check;

double check_random(Check *check); // in [0, 1)

// Values for the leaves of `graph`, by node id: state as INIT leaves it, parameters moved a little
// so that none is 0, inputs at random; all of them floats. A leaf's name stands for the same values
// in every graph.
double **check_leaves(Check *check, const Graph *graph);

// A line of the table, and the count.
void check_report(Check *check, const char *name, const char *place, double error,
                  double tolerance);
// net.nnd:7 of the first place that a node serves; "" where there is none.
const char *check_place(Check *check, const Graph *graph, const Node *node);

void verify_function(Check *check, NncFunctionKind function, int64_t n); // verify_kernels.c
// The largest sum of absolute values behind an element of a kernel's result, of the oracle's values
// by node id (verify_terms.c).
double kernel_terms(const Fusion *fusion, const Kernel *kernel, const Node *result,
                    double *const *value, int64_t n);
void verify_gradients(Check *check); // verify_grad.c
void verify_rounding(Check *check, NncFunctionKind function, int64_t n); // verify_rounding.c
void verify_written(Check *check);   // verify_written.c

#endif
