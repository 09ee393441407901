// SPDX-License-Identifier: MIT
// Augmentations: changes to the images of training, drawn anew each epoch and a function of (seed,
// epoch, example).
//     random_flip(image)                left and right exchanged, in one image of two
//     random_crop(image, padding = 4)   moved by up to `padding` pixels each way; black comes in
//     from outside
#ifndef NNC_AUGMENT_H
#define NNC_AUGMENT_H

#include "source.h"

// Arguments of all the program's augmentations, and whether images of this source can take them.
NncStatus nnc_augment_check(const NncProgram *program, const NncSource *source, NncError *error);

// Changes the image in place, in the program's order; `spare` has room for another. After
// nnc_augment_check.
void nnc_augment(const NncProgram *program, const NncSource *source, long long seed,
                 long long epoch, long long example, unsigned char *image, unsigned char *spare);

#endif
