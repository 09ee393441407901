// SPDX-License-Identifier: MIT
// The same targets under libFuzzer, in a build directory made with CC=clang:
//
//     ninja fuzz_texts && tests/fuzz/fuzz_texts CORPUS SOURCE/tests/golden/parse
//     SOURCE/tests/golden/graph
//
// A text whose first byte is 'g' is a graph; one that parses is elaborated too.
#include "fuzz/targets.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char message[1 << 16];
    const char *text = (const char *)data;
    const char *wrong;
    if (size > 0 && *text == 'g') {
        wrong = fuzz_graph(text, size, message, sizeof message);
    } else {
        wrong = fuzz_nnd(text, size, message, sizeof message);
        if (!wrong) wrong = fuzz_elaborate(text, size, message, sizeof message);
    }
    if (wrong) {
        fprintf(stderr, "%s\n", wrong);
        abort();
    }
    return 0;
}
