// SPDX-License-Identifier: MIT
// idx("FOLDER"): images and labels in the IDX format of MNIST (LeCun, Cortes, Burges), plain or
// gzip-compressed. The folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte and the same
// with t10k, each maybe with .gz.
//
// A file is the bytes 0, 0, 8 (unsigned bytes), the number of axes, their extents as big-endian
// 32-bit integers, and the elements. The sets are small: they are read into memory, whole and
// checked, when they are opened.
#include "file.h"
#include "source.h"
#include <stdlib.h>
#include <string.h>

enum { UNSIGNED_BYTES = 8, IMAGE_AXES = 3, LABEL_AXES = 1 };

typedef struct IdxFile {
    char path[NNC_PATH];
    long long extent[IMAGE_AXES];
    unsigned char *bytes;
} IdxFile;

typedef struct Idx {
    IdxFile image[NNC_SPLITS], label[NNC_SPLITS];
} Idx;

static NncStatus read_header(IdxFile *file, NncReader *reader, int axes, size_t *size,
                             NncError *error) {
    unsigned char magic[4], extent[4 * IMAGE_AXES];
    NncStatus status = nnc_reader_read(reader, magic, sizeof magic, "an IDX header", error);
    if (status) return status;
    if (magic[0] || magic[1] || magic[2] != UNSIGNED_BYTES || magic[3] != axes)
        return nnc_error(error, NNC_ERROR_FORMAT,
                         "%s: at byte 0: expected 00 00 08 %02x (IDX, unsigned bytes, %d ax%cs), "
                         "found %02x %02x %02x %02x",
                         file->path, (unsigned)axes, axes, axes == 1 ? 'i' : 'e', magic[0],
                         magic[1], magic[2], magic[3]);
    status = nnc_reader_read(reader, extent, (size_t)axes * 4, "the extents", error);
    if (status) return status;
    unsigned long long elements = 1;
    for (int i = 0; i < axes; i++) {
        const unsigned char *e = extent + (ptrdiff_t)i * 4;
        file->extent[i] = (long long)e[0] << 24 | e[1] << 16 | e[2] << 8 | e[3];
        if (file->extent[i] == 0 ||
            __builtin_mul_overflow(elements, (unsigned long long)file->extent[i], &elements) ||
            elements > SIZE_MAX / 2)
            return nnc_error(error, NNC_ERROR_FORMAT,
                             "%s: at byte %d: axis %d cannot have %lld elements", file->path,
                             4 + 4 * i, i, file->extent[i]);
    }
    *size = (size_t)elements;
    return NNC_OK;
}

static NncStatus read_file(IdxFile *file, int axes, NncError *error) {
    size_t size = 0;
    NncReader *reader = nnc_reader_open(file->path, error);
    if (!reader) return error->status;
    NncStatus status = read_header(file, reader, axes, &size, error);
    if (!status)
        status = nnc_reader_take(reader, &file->bytes, size,
                                 axes == 1 ? "the labels" : "the pixels", error);
    if (!status) status = nnc_reader_expect_end(reader, error);
    nnc_reader_close(reader);
    return status;
}

// folder/PREFIX-images-idx3-ubyte, or that with .gz
static NncStatus find_file(IdxFile *file, const char *folder, NncSplit split, int axes,
                           NncError *error) {
    char name[64];
    const char *prefix = split == NNC_SPLIT_TRAIN ? "train" : "t10k";
    snprintf(name, sizeof name, "%s-%s-idx%d-ubyte", prefix, axes == 1 ? "labels" : "images", axes);
    NncStatus status = nnc_file_join(file->path, folder, name, error);
    if (status || nnc_file_exists(file->path)) return status;
    strcat(name, ".gz");
    status = nnc_file_join(file->path, folder, name, error);
    if (status || nnc_file_exists(file->path)) return status;
    return nnc_error(error, NNC_ERROR_FILE, "%s holds neither %.*s nor %s", folder,
                     (int)strlen(name) - 3, name, name);
}

static NncStatus open_split(NncSource *source, const char *folder, NncSplit split,
                            NncError *error) {
    Idx *idx = source->own;
    NncField *pixels = &source->field[0];
    IdxFile *image = &idx->image[split], *label = &idx->label[split];
    NncStatus status = find_file(image, folder, split, IMAGE_AXES, error);
    if (!status) status = find_file(label, folder, split, LABEL_AXES, error);
    if (!status) status = read_file(image, IMAGE_AXES, error);
    if (!status) status = read_file(label, LABEL_AXES, error);
    if (status) return status;
    if (image->extent[0] != label->extent[0])
        return nnc_error(error, NNC_ERROR_FORMAT,
                         "%s: at byte 4: %lld labels, but %s has %lld images", label->path,
                         label->extent[0], image->path, image->extent[0]);
    if (split != NNC_SPLIT_TRAIN &&
        memcmp(pixels->extent, image->extent + 1, 2 * sizeof *pixels->extent))
        return nnc_error(
            error, NNC_ERROR_FORMAT,
            "%s: at byte 8: images of %lld x %lld, but those to train on are %lld x %lld",
            image->path, image->extent[1], image->extent[2], pixels->extent[0], pixels->extent[1]);
    pixels->rank = 2;
    pixels->extent[0] = image->extent[1];
    pixels->extent[1] = image->extent[2];
    source->count[split] = image->extent[0];
    return NNC_OK;
}

static NncStatus read_example(const NncSource *source, const NncExample *example, NncError *error) {
    (void)error;
    const Idx *idx = source->own;
    long long pixels = nnc_field_elements(&source->field[0]);
    memcpy(nnc_example_field(example, &source->field[0]),
           idx->image[example->split].bytes + example->index * pixels, (size_t)pixels);
    *(int32_t *)nnc_example_field(example, &source->field[1]) =
        idx->label[example->split].bytes[example->index];
    return NNC_OK;
}

static void describe_place(const NncSource *source, const NncExample *example, char *text,
                           size_t size) {
    const Idx *idx = source->own;
    snprintf(text, size, "%s: record %lld, byte %lld", idx->label[example->split].path,
             example->index, 8 + example->index);
}

static void close_files(NncSource *source) {
    Idx *idx = source->own;
    for (int split = 0; split < NNC_SPLITS; split++) {
        free(idx->image[split].bytes);
        free(idx->label[split].bytes);
    }
    free(idx);
}

NncStatus nnc_idx_fields(const NncCall *call, NncField *field, int *count, NncError *error) {
    field[0] = (NncField){.name = "image", NNC_FIELD_BYTES, .rank = -1};
    field[1] = (NncField){.name = "label", NNC_FIELD_LABEL};
    *count = 2;
    const char *path;
    NncStatus status = nnc_arguments_check(call, (const char *const[]){"folder", NULL}, 1, error);
    return status ? status : nnc_argument_text(call, "folder", 0, &path, error);
}

NncStatus nnc_idx_open(NncSource *source, const NncCall *call, const char *data, NncError *error) {
    char folder[NNC_PATH];
    const char *path = "";
    NncStatus status = nnc_argument_text(call, "folder", 0, &path, error);
    if (!status) status = nnc_file_find(folder, data, path, "the folder of idx", error);
    if (status) return status;

    Idx *idx = calloc(1, sizeof *idx);
    if (!idx) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for idx");
    source->own = idx;
    source->read = read_example;
    source->place = describe_place;
    source->close = close_files;
    status = open_split(source, folder, NNC_SPLIT_TRAIN, error);
    if (!status) status = open_split(source, folder, NNC_SPLIT_TEST, error);
    return status;
}
