// SPDX-License-Identifier: MIT
// Files that are part of the program as text; scripts/embed.c makes the tables when building.
//
//     extern const EmbeddedFile nnd_std[];
//     for (const EmbeddedFile *f = nnd_std; f->name; f++) ...
#ifndef NNC_SUPPORT_EMBED_H
#define NNC_SUPPORT_EMBED_H

#include <stddef.h>

typedef struct EmbeddedFile {
    const char *name; // without folders: linear.nnd; NULL ends a table
    const char *text; // NUL-terminated
    size_t length;
} EmbeddedFile;

#endif
