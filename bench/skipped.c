// SPDX-License-Identifier: MIT
// What a benchmark is where there is nothing to compare with.
#include "measure.h"

#include <stdio.h>

int main(void) {
    printf("skipped: built without OpenBLAS\n");
    return BENCH_SKIPPED;
}
