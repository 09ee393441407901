// SPDX-License-Identifier: MIT
// A picture of a function's dearest kernels under this machine's roofs, as SVG: operations per byte
// to the right, operations per second upwards, both logarithmic. Higher than the roofs nothing can
// be: on the left the copies' bandwidth bounds, on the right the multiply-adds.
#ifndef NNC_CLI_ROOFLINE_H
#define NNC_CLI_ROOFLINE_H

#include "cli/machine.h"
#include "cli/profile.h"

typedef struct Roofline {
    const char *title;   // Net, train, batch 16, 2 threads
    const char *summary; // a line below it
    const Machine *machine;
    const Profile *profile;
    const Source *source; // whose lines are named
} Roofline;

void roofline_draw(Buf *out, const Roofline *picture);

#endif
