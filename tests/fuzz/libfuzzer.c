// SPDX-License-Identifier: MIT
// The same targets under libFuzzer, in a build directory made with CC=clang:
//
//     ninja fuzz_texts && tests/fuzz/fuzz_texts CORPUS SOURCE/tests/golden/parse
//     SOURCE/tests/golden/graph
//
// A text whose first byte is 'g' is a graph.
#include "fuzz/targets.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char message[1 << 16];
    const char *text = (const char *)data;
    const char *wrong = size > 0 && *text == 'g' ? fuzz_graph(text, size, message, sizeof message)
                                                 : fuzz_nnd(text, size, message, sizeof message);
    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
    return 0;
}
