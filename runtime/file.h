// SPDX-License-Identifier: MIT
// Files: where data lies, reading plain and gzip-compressed ones, writing one whole or not at all.
#ifndef NNC_FILE_H
#define NNC_FILE_H

#include "nnc.h"
#include <stddef.h>

enum { NNC_PATH = 4096 };

// The file or folder that a program calls `path`: it starts from the folder `data` where that is
// given (there as the whole path or as its last part), else from the current one. An error tells
// what was tried. `what` for it: "the folder of cifar10".
NncStatus nnc_file_find(char found[NNC_PATH], const char *data, const char *path, const char *what,
                        NncError *error);

// folder/name; an error where that is too long.
NncStatus nnc_file_join(char joined[NNC_PATH], const char *folder, const char *name,
                        NncError *error);
bool nnc_file_exists(const char *path);
bool nnc_file_make_folder_of(const char *path); // and those around it; false: errno

// Reads a file from its start, through zlib where it is compressed. Offsets are of the uncompressed
// contents.
typedef struct NncReader NncReader;
NncReader *nnc_reader_open(const char *path, NncError *error); // NULL on error
// Exactly `size` bytes; a file that ends before is NNC_ERROR_FORMAT, with the offset and `what` was
// expected.
NncStatus nnc_reader_read(NncReader *reader, void *to, size_t size, const char *what,
                          NncError *error);
// `size` bytes that are allocated as they arrive, so that a file that lies about its size costs
// only its size.
NncStatus nnc_reader_take(NncReader *reader, unsigned char **bytes, size_t size, const char *what,
                          NncError *error);
// All that there is, NUL behind it; more than `most` bytes are an error.
NncStatus nnc_reader_take_all(NncReader *reader, char **text, size_t *size, size_t most,
                              NncError *error);
NncStatus nnc_reader_expect_end(NncReader *reader, NncError *error);
void nnc_reader_close(NncReader *reader); // NULL: nothing

// A file that appears under its name complete and synced, or not at all:
//     nnc_writer_open(&w, "out/net.safetensors", error), fwrite(.., w.file), nnc_writer_commit(&w,
//     error)
// The folder is made where it does not exist. After an error nothing is left to close.
typedef struct NncWriter {
    FILE *file;
    char path[NNC_PATH], temporary[NNC_PATH];
} NncWriter;
NncStatus nnc_writer_open(NncWriter *writer, const char *path, NncError *error);
NncStatus nnc_writer_commit(NncWriter *writer, NncError *error);
void nnc_writer_drop(NncWriter *writer);

#endif
