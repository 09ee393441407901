// SPDX-License-Identifier: MIT
// Clock, medians and options: see measure.h.
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void sample_add(Samples *samples, double value) {
    if (samples->count < MAX_SAMPLES) samples->at[samples->count++] = value;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sample_quantile(const Samples *samples, double fraction) {
    if (samples->count == 0) return NAN;
    Samples sorted = *samples;
    qsort(sorted.at, (size_t)sorted.count, sizeof *sorted.at, compare);
    double place = fraction * (sorted.count - 1);
    int below = (int)place, above = below + 1 < sorted.count ? below + 1 : below;
    return sorted.at[below] + (place - below) * (sorted.at[above] - sorted.at[below]);
}

double sample_median(const Samples *samples) { return sample_quantile(samples, 0.5); }

double clock_seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

double limit_from_environment(const char *name, double otherwise) {
    const char *text = getenv(name);
    if (!text || !*text) return otherwise;
    char *end;
    double value = strtod(text, &end);
    if (*end || !isfinite(value)) {
        fprintf(stderr, "%s is to be a number, not '%s'\n", name, text);
        exit(BENCH_USAGE);
    }
    return value;
}

static _Noreturn void exit_with_usage(const char *program) {
    fprintf(stderr, "Usage: %s FILE [--json] [--rounds N]\n", program);
    exit(BENCH_USAGE);
}

BenchOptions options_from_line(int argc, char **argv) {
    BenchOptions options = {0};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            options.json = true;
        else if (!strcmp(argv[i], "--rounds") && i + 1 < argc && atoi(argv[i + 1]) > 0)
            options.rounds = atoi(argv[++i]);
        else if (argv[i][0] != '-' && !options.file)
            options.file = argv[i];
        else
            exit_with_usage(argv[0]);
    }
    if (!options.file) exit_with_usage(argv[0]);
    if (options.rounds > MAX_SAMPLES) options.rounds = MAX_SAMPLES;
    return options;
}
