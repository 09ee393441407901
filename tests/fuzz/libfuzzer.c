// SPDX-License-Identifier: MIT
// The targets under libFuzzer, in a build folder of its own (clang's sanitizers go through
// everything there):
//
//     CC=clang meson setup build-fuzz -Dfuzz=enabled -Db_sanitize=address,undefined
//     -Db_lundef=false ninja -C build-fuzz tests/fuzz/fuzz build-fuzz/tests/fuzz/fuzz --target=json
//     -max_total_time=200 NEW tests/fuzz/corpus/json
//
// scripts/fuzz.sh does that for one target or all of them.
#include "fuzz/targets.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const FuzzTarget *target = fuzz_targets;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static const char option[] = "--target=";
    const char *name = fuzz_targets[0].name;
    for (int i = 1; i < *argc; i++)
        if (!strncmp((*argv)[i], option, strlen(option))) name = (*argv)[i] + strlen(option);
    while (target->name && strcmp(target->name, name) != 0)
        target++;
    if (target->name) return 0;
    fprintf(stderr, "there is no target %s:", name);
    for (target = fuzz_targets; target->name; target++)
        fprintf(stderr, " %s", target->name);
    fprintf(stderr, "\n");
    exit(2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char message[1 << 16];
    const char *wrong = target->run((const char *)data, size, message, sizeof message);
    if (!wrong) return 0;
    fprintf(stderr, "%s\n", wrong);
    abort();
}
