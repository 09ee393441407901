// SPDX-License-Identifier: MIT
// What all benchmarks share: exit statuses, limits that the environment can set, what else the
// machine does.
#ifndef NNC_BENCH_MEASURE_H
#define NNC_BENCH_MEASURE_H

#include "support/samples.h"
#include <stdbool.h>

enum { BENCH_PASSED = 0, BENCH_FAILED = 1, BENCH_USAGE = 2, BENCH_SKIPPED = 77 }; // 77: Meson's

// The part of all processors' time, 0 .. 1, that other processes took between two calls: a
// measurement with much of it says little. NaN where the system does not tell.
typedef struct Busy {
    double total, busy, own; // seconds of processor time
} Busy;
Busy busy_now(void);
double busy_others(Busy from, Busy to);
// Beside a limit that was not kept: says so on standard error where the machine was too busy for a
// verdict.
void warn_of_others(double others);

// ,"name":value  or, where there is no number, null
void print_json_number(const char *name, double value);

// The number in an environment variable; `otherwise` where it is not set. Ends the process with
// BENCH_USAGE where it is no number.
double limit_from_environment(const char *name, double otherwise);

typedef struct BenchOptions {
    const char *file; // the model
    bool json;
    int rounds; // 0: the benchmark's own
} BenchOptions;

// FILE [--json] [--rounds N]; ends the process with BENCH_USAGE where the line is wrong.
BenchOptions options_from_line(int argc, char **argv);

#endif
