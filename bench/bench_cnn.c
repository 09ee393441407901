// SPDX-License-Identifier: MIT
// Training the network of examples/cifar10.nnd: images a second, compiled and written by hand.
//     bench_cnn examples/cifar10.nnd [--json] [--rounds N]
// Fails below 90 images/s ($NNC_BENCH_FLOOR), which is what two cores of 2020 are expected to do.
#include "contest.h"

int main(int argc, char **argv) {
    const Contest contest = {.name = "cnn",
                             .by_hand = baseline_cnn,
                             .unit = "images/s",
                             .counts_images = true,
                             .rounds = 15,
                             .steps = 4,
                             .floor = 90};
    return contest_main(&contest, argc, argv);
}
