// SPDX-License-Identifier: MIT
// What code is emitted for: the widths that the generator of kernels goes by.
//
//     const Target *t = target_find("native");      // the processor that this runs on
#ifndef NNC_SUPPORT_TARGET_H
#define NNC_SUPPORT_TARGET_H

typedef struct Target {
    const char *name;  // what a C compiler's -march knows, or the tier's name
    int lanes;         // floats in a vector register; 0: no vectors in emitted code, products are the
                       // runtime's (the instant tier: its compiler knows neither)
    int registers;     // vector registers
} Target;

// The instant tier: plain loops, products by the library.
extern const Target target_library;

// By a name of -march (native: from the processor that this runs on); NULL: native. A name that is
// not known gets what every processor of this architecture has.
const Target *target_find(const char *march);

#endif
