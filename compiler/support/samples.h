// SPDX-License-Identifier: MIT
// Measurements: a clock, medians, quartiles.
//
//     double begin = clock_seconds();
//     work();
//     sample_add(&samples, clock_seconds() - begin);   // .. many times
//     sample_median(&samples);
#ifndef NNC_SUPPORT_SAMPLES_H
#define NNC_SUPPORT_SAMPLES_H

enum { MAX_SAMPLES = 1000 };

typedef struct Samples {
    double at[MAX_SAMPLES];
    int count;
} Samples;

void sample_add(Samples *samples, double value); // those beyond MAX_SAMPLES are left out
// fraction 0.5: the median; between two samples it is interpolated. No samples: NaN.
double sample_quantile(const Samples *samples, double fraction);
double sample_median(const Samples *samples);

double clock_seconds(void); // monotonic, the same in all processes

#endif
