// SPDX-License-Identifier: MIT
// What this machine can do at most, measured: multiply-adds in registers, and copies.
//
//     Machine *machine = machine_measure(&settings, target, pool);
//     machine->flops;                      // a second, all threads together; 0: not measured
//     machine_copy_rate(machine, 1 << 20); // bytes a second, of a copy that moves 1 MiB again and
//     again
#ifndef NNC_CLI_MACHINE_H
#define NNC_CLI_MACHINE_H

#include "cli/cli.h"

enum { COPY_SIZES = 7 }; // from 64 KiB to 256 MiB, each four times the one before

typedef struct Machine {
    int threads;
    double flops;                 // float32; a multiply-add is two
    double copy_rate[COPY_SIZES]; // bytes read and bytes written
} Machine;

// In the settings' arena. Takes about half a second, and a C compiler for the multiply-adds.
Machine *machine_measure(const Settings *settings, const Target *target, NncPool *pool);
// For a copy that reads and writes `bytes` in all; between the sizes it is interpolated.
double machine_copy_rate(const Machine *machine, double bytes);

#endif
