// SPDX-License-Identifier: MIT
// Measurements: see samples.h.
#include "support/samples.h"

#include <math.h>
#include <stdlib.h>
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
