// SPDX-License-Identifier: MIT
// cifar10("FOLDER"): the binary version of CIFAR-10 (Krizhevsky 2009). Files data_batch_1.bin ..
// data_batch_5.bin and test_batch.bin are records of a label byte and 3072 bytes: 32 x 32 pixels of
// red, then of green, then of blue. Records are read where they lie, when they are asked for; the
// system's page cache holds the files.
#include "file.h"
#include "source.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS, CLASSES = 10, FILES = 6 };

static const char *const file_names[FILES] = {"data_batch_1.bin", "data_batch_2.bin",
                                              "data_batch_3.bin", "data_batch_4.bin",
                                              "data_batch_5.bin", "test_batch.bin"};
static const char *const class_names[CLASSES] = {
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};

typedef struct Batch {
    int descriptor;
    NncSplit split;
    long long records;
    char path[NNC_PATH];
} Batch;

typedef struct Cifar10 {
    Batch batch[FILES];
} Cifar10;

static NncStatus open_batch(Batch *batch, NncError *error) {
    struct stat info;
    batch->descriptor = open(batch->path, O_RDONLY | O_CLOEXEC);
    if (batch->descriptor < 0 || fstat(batch->descriptor, &info))
        return nnc_error(error, NNC_ERROR_FILE, "cannot read %s: %s", batch->path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return nnc_error(error, NNC_ERROR_FILE, "%s is not a file", batch->path);
    batch->records = info.st_size / RECORD;
    if (info.st_size % RECORD || !batch->records)
        return nnc_error(error, NNC_ERROR_FORMAT,
                         "%s: its size is %lld bytes: expected a multiple of %d (a label and %d "
                         "pixels; 30730000 in all): "
                         "record %lld is cut off",
                         batch->path, (long long)info.st_size, RECORD, PIXELS, batch->records);
    return NNC_OK;
}

// The batch that holds an example; *index becomes the number of its record.
static const Batch *find_batch(const NncSource *source, NncSplit split, long long *index) {
    const Batch *batch = ((const Cifar10 *)source->own)->batch;
    while (batch->split != split || *index >= batch->records) {
        if (batch->split == split) *index -= batch->records;
        batch++;
    }
    return batch;
}

static NncStatus read_example(const NncSource *source, const NncExample *example, NncError *error) {
    unsigned char record[RECORD];
    long long index = example->index;
    const Batch *batch = find_batch(source, example->split, &index);
    for (size_t done = 0; done < RECORD;) {
        ssize_t got = pread(batch->descriptor, record + done, RECORD - done,
                            (off_t)(index * RECORD + (long long)done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return nnc_error(error, NNC_ERROR_FILE, "%s: cannot read record %lld at byte %lld: %s",
                             batch->path, index, index * RECORD + (long long)done,
                             got ? strerror(errno) : "the file has become shorter");
        done += (size_t)got;
    }
    memcpy(nnc_example_field(example, &source->field[0]), record + 1, PIXELS);
    *(int32_t *)nnc_example_field(example, &source->field[1]) = record[0];
    return NNC_OK;
}

static void describe_place(const NncSource *source, const NncExample *example, char *text,
                           size_t size) {
    long long index = example->index;
    const Batch *batch = find_batch(source, example->split, &index);
    snprintf(text, size, "%s: record %lld, byte %lld", batch->path, index, index * RECORD);
}

static void close_batches(NncSource *source) {
    Cifar10 *cifar = source->own;
    for (int i = 0; i < FILES; i++)
        if (cifar->batch[i].descriptor >= 0) close(cifar->batch[i].descriptor);
    free(cifar);
}

NncStatus nnc_cifar10_fields(const NncCall *call, NncField *field, int *count, NncError *error) {
    field[0] = (NncField){.name = "image", NNC_FIELD_BYTES, .rank = 3, .extent = {3, 32, 32}};
    field[1] =
        (NncField){.name = "label", NNC_FIELD_LABEL, .classes = CLASSES, .class_name = class_names};
    *count = 2;
    const char *path;
    NncStatus status = nnc_arguments_check(call, (const char *const[]){"folder", NULL}, 1, error);
    return status ? status : nnc_argument_text(call, "folder", 0, &path, error);
}

NncStatus nnc_cifar10_open(NncSource *source, const NncCall *call, const char *data,
                           NncError *error) {
    char folder[NNC_PATH];
    const char *path = "";
    NncStatus status = nnc_argument_text(call, "folder", 0, &path, error);
    if (!status) status = nnc_file_find(folder, data, path, "the folder of cifar10", error);
    if (status) return status;

    Cifar10 *cifar = calloc(1, sizeof *cifar);
    if (!cifar) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for cifar10");
    for (int i = 0; i < FILES; i++)
        cifar->batch[i].descriptor = -1;
    source->own = cifar;
    source->read = read_example;
    source->place = describe_place;
    source->close = close_batches;
    for (int i = 0; i < FILES && !status; i++) {
        Batch *batch = &cifar->batch[i];
        batch->split = i < FILES - 1 ? NNC_SPLIT_TRAIN : NNC_SPLIT_TEST;
        status = nnc_file_join(batch->path, folder, file_names[i], error);
        if (!status) status = open_batch(batch, error);
        source->count[batch->split] += batch->records;
    }
    return status;
}
