// SPDX-License-Identifier: MIT
// Image files to predict on.
#ifndef NNC_IMAGE_H
#define NNC_IMAGE_H

#include "nnc.h"

// Reads a PNG into planes of bytes (red, green, blue, or grey) as the column takes one example: [3,
// H, W], [1, H, W], [H, W] or [pixels]. Transparent parts become black. Another size, or another
// kind of column, is an error. `pixels` has room for the column's elements.
NncStatus nnc_image_read(const char *path, const NncColumn *column, unsigned char *pixels,
                         NncError *error);

#endif
