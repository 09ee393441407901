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

typedef enum ProfileClock {
    PROFILE_TIME, // from a kernel's start to its end, the threads together
    PROFILE_WORK, // the processor time that all threads spend in it, added up: what others do on the
                  // machine is not counted, nor that a thread waits for another
} ProfileClock;

typedef struct Profile {
    Trainer *net;
    NncFunctionKind function;
    struct Walk *walk; // through the plan
    const Plan *plan;
    Cost *cost;      // by kernel id
    double *reach;   // by kernel id: bytes that all threads move at a time; in a group, parts of it
    Samples *kernel; // seconds of a run, by kernel id; of those that run together, by their share
                     // of the threads' time
    Samples whole;   // seconds of a run of the whole function, as it is compiled
} Profile;

// From the initial parameters on; in the net's arena. Profiles of several nets can take turns.
Profile *profile_new(Trainer *net, NncFunctionKind function, ProfileClock clock);
// Runs the function again and again for about `seconds`, at least and at most so many times.
void profile_go_on(Profile *profile, double seconds, int least, int most);
// Both, at least five times.
Profile *profile_run(Trainer *net, NncFunctionKind function, double seconds);

#endif
