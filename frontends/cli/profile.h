// SPDX-License-Identifier: MIT
// How long each kernel of a function takes, in the step and in the order of its plan: what it reads
// lies where it lies in a real run, in a cache or not.
//
//     Profile *profile = profile_run(net, NNC_TRAIN, 1.0);
//     sample_median(&profile->kernel[k->id]);   // seconds
#ifndef NNC_CLI_PROFILE_H
#define NNC_CLI_PROFILE_H

#include "cli/trainer.h"
#include "pass/cost.h"
#include "support/samples.h"

typedef struct Profile {
    const Plan *plan;
    Cost *cost;      // by kernel id
    double *reach;   // by kernel id: bytes that all threads move at a time; in a group, parts of it
    Samples *kernel; // seconds of a run, by kernel id; of those that run together, by their share
                     // of the threads' time
    Samples whole;   // seconds of a run of the whole function, as it is compiled
} Profile;

// Runs the function again and again for about `seconds`, at least five times. In the net's arena.
Profile *profile_run(Trainer *net, NncFunctionKind function, double seconds);

#endif
