// SPDX-License-Identifier: MIT
// Training the network of examples/simplenet.nnd: steps a second, compiled and written by hand.
//     bench_mlp examples/simplenet.nnd [--json] [--rounds N]
#include "contest.h"

int main(int argc, char **argv) {
    const Contest contest = {
        .name = "mlp", .by_hand = baseline_mlp, .unit = "steps/s", .rounds = 25, .steps = 300};
    return contest_main(&contest, argc, argv);
}
