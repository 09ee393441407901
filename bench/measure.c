// SPDX-License-Identifier: MIT
// Limits, other processes and options: see measure.h.
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

// Of the line "cpu user nice system idle iowait irq softirq steal ..": in ticks, for all
// processors. Time that the host gave to other guests (steal) counts as busy.
Busy busy_now(void) {
    double time[8], tick = 1.0 / (double)sysconf(_SC_CLK_TCK), own = 0;
    enum { IDLE = 3, WAIT = 4 };
    FILE *file = fopen("/proc/stat", "r");
    Busy now = {NAN, NAN, NAN};
    struct rusage usage;
    if (!file) return now;
    int read = fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &time[0], &time[1], &time[2],
                      &time[3], &time[4], &time[5], &time[6], &time[7]);
    fclose(file);
    if (read != 8) return now;
    for (int who = 0; who < 2; who++)
        if (!getrusage(who ? RUSAGE_CHILDREN : RUSAGE_SELF, &usage))
            own += (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    now = (Busy){0, 0, own};
    for (int i = 0; i < 8; i++)
        now.total += tick * time[i];
    now.busy = now.total - tick * (time[IDLE] + time[WAIT]);
    return now;
}

double busy_others(Busy from, Busy to) {
    double others = (to.busy - from.busy - (to.own - from.own)) / (to.total - from.total);
    return others < 0 ? 0 : others; // the system counts in ticks, and rounds
}

void warn_of_others(double others) {
    if (others > 0.05)
        fprintf(stderr,
                "(other processes took %.0f %% of the machine: to be repeated on an idle one)\n",
                100 * others);
}

void print_json_number(const char *name, double value) {
    if (isfinite(value))
        printf(",\"%s\":%.4g", name, value);
    else
        printf(",\"%s\":null", name);
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
