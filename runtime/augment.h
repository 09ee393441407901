// SPDX-License-Identifier: MIT
// Augmentations: changes to the images of training, drawn anew each epoch and a function of (seed,
// epoch, example).
//     random_flip(image)                left and right exchanged, in one image of two
//     random_crop(image, padding = 4)   moved by up to `padding` pixels each way; black comes in
//     from outside
#ifndef NNC_AUGMENT_H
#define NNC_AUGMENT_H

#include "columns.h"

// Arguments of all the program's augmentations, and whether their columns take images.
NncStatus nnc_augment_check(const NncColumns *columns, NncError *error);

// Changes the example's images in place, in the program's order; `spare` has room for another
// example. After nnc_augment_check.
void nnc_augment(const NncColumns *columns, long long seed, long long epoch,
                 const NncExample *example, void *spare);

#endif
