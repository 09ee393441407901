// SPDX-License-Identifier: MIT
// Data sources and the loader: what is in a batch, in which order, and what is said of wrong files.
#include "rt_program.h"

#include "augment.h"
#include "columns.h"
#include "loader.h"
#ifdef NNC_HAVE_ZLIB
#include <zlib.h>
#endif

static const char *folder;
static NncProgram program;
static NncSource source;
static NncColumns columns;

static void set_up(void) {
    folder = rt_folder();
    program = rt_program(folder);
}

static void tear_down(void) {
    nnc_columns_free(&columns);
    nnc_source_close(&source);
    rt_remove_folder(folder);
}

TestSuite(rt_data, .init = set_up, .fini = tear_down);

static NncStatus open_source(const char *name, const char *path, NncError *error) {
    NncArgument argument = {"", path, 0};
    nnc_columns_free(&columns);
    nnc_source_close(&source);
    return nnc_source_open(&source, &(NncCall){name, NULL, &argument, path != NULL}, NULL, error);
}

static void open_ok(const char *name, const char *path) {
    NncError error;
    cr_assert_eq(open_source(name, path, &error), NNC_OK, "%s", error.text);
}

// An image and its label, as all sources of images have them.
static NncStatus read_image(NncSplit split, long long index, unsigned char *image, int *label,
                            NncError *error) {
    NncExample example = {split, index, malloc(source.example_bytes)};
    NncStatus status = source.read(&source, &example, error);
    cr_assert_eq(source.field_count, 2);
    cr_assert(source.field[0].kind == NNC_FIELD_BYTES && source.field[1].kind == NNC_FIELD_LABEL);
    memcpy(image, nnc_example_field(&example, &source.field[0]),
           (size_t)nnc_field_bytes(&source.field[0]));
    *label = *(int *)nnc_example_field(&example, &source.field[1]);
    free(example.values);
    return status;
}

static NncLoader *new_loader(const NncLoading *loading) {
    NncError error;
    nnc_columns_free(&columns);
    cr_assert_eq(nnc_columns_match(&columns, &program, &source, true, &error), NNC_OK, "%s",
                 error.text);
    NncLoader *loader = nnc_loader_new(&columns, loading, &error);
    cr_assert(loader, "%s", error.text);
    return loader;
}

static void expect_refused(const char *name, NncStatus status, const char *says) {
    NncError error;
    cr_assert_eq(open_source(name, folder, &error), status, "expected: %s", says);
    cr_assert(strstr(error.text, says), "'%s' does not say '%s'", error.text, says);
}

// --- The loader

typedef struct Epoch { // what a loader gave
    int batches, examples;
    int size[64];
    float first_pixel[256];
    int label[256];
} Epoch;

static Epoch load(const NncLoading *loading) {
    NncError error;
    NncBatch batch;
    Epoch epoch = {0};
    NncLoader *loader = new_loader(loading);
    while (nnc_loader_next(loader, &batch, &error) == NNC_OK && batch.count) {
        const float *image = (const float *)batch.input + RT_IMAGE;
        const int *label = (const int *)batch.input + RT_LABEL;
        for (int n = 0; n < batch.count; n++, epoch.examples++) {
            epoch.first_pixel[epoch.examples] = image[n * RT_PIXELS];
            epoch.label[epoch.examples] = label[n];
        }
        epoch.size[epoch.batches++] = (int)batch.count;
        cr_assert_eq(batch.end, loading->position + epoch.examples);
    }
    nnc_loader_free(loader);
    return epoch;
}

Test(rt_data, batches_hold_the_examples_in_order_and_the_last_is_smaller) {
    open_ok("idx", folder);
    Epoch epoch = load(&(NncLoading){.split = NNC_SPLIT_TEST});
    cr_assert_eq(epoch.batches, 3);
    cr_assert_eq(epoch.size[2], 5);
    for (int i = 0; i < RT_TEST; i++) {
        NncError error;
        unsigned char image[RT_PIXELS];
        int label;
        read_image(NNC_SPLIT_TEST, i, image, &label, &error);
        cr_assert_eq(epoch.label[i], label);
        cr_assert_eq(epoch.first_pixel[i], (float)image[0] / 255.0f);
    }
}

// A step that begins amid an epoch, in chunks that do not come out even, and the epoch's last.
Test(rt_data, chunks_are_those_of_each_batch) {
    static const struct {
        int count, first, of;
    } wanted[] = {{3, 0, 8}, {3, 3, 8}, {2, 6, 8}, {3, 0, 8},
                  {3, 3, 8}, {2, 6, 8}, {3, 0, 5}, {2, 3, 5}};
    NncError error;
    NncBatch batch;
    open_ok("idx", folder);
    Epoch whole = load(&(NncLoading){.split = NNC_SPLIT_TRAIN});
    program.chunk = 3;
    NncLoading loading = {.split = NNC_SPLIT_TRAIN, .position = 8, .limit = 8 + 8 + 8 + 5};
    Epoch chunks = load(&loading);
    cr_assert_eq(chunks.examples, 21);
    for (int i = 0; i < chunks.examples; i++)
        cr_assert_eq(chunks.first_pixel[i], whole.first_pixel[8 + i]);
    NncLoader *loader = new_loader(&loading);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cr_assert_eq(nnc_loader_next(loader, &batch, &error), NNC_OK);
        cr_expect(batch.count == wanted[i].count && batch.first == wanted[i].first &&
                      batch.of == wanted[i].of,
                  "chunk %d: %lld examples from %lld of %lld", (int)i, batch.count, batch.first,
                  batch.of);
    }
    cr_expect(nnc_loader_next(loader, &batch, &error) == NNC_OK && batch.count == 0);
    nnc_loader_free(loader);
}

static void no_function(NncCtx *ctx) { (void)ctx; }

// A step that goes through its examples twice: its chunks, with the same examples, come twice, in
// training alone.
Test(rt_data, passes_are_those_of_each_batch) {
    static const struct {
        int count, first, pass;
    } wanted[] = {{3, 0, 0}, {3, 3, 0}, {2, 6, 0}, {3, 0, 1}, {3, 3, 1},
                  {2, 6, 1}, {3, 0, 0}, {2, 3, 0}, {3, 0, 1}, {2, 3, 1}};
    enum { BATCHES = sizeof wanted / sizeof *wanted, FIRST_OF = 8 };
    NncError error;
    NncBatch batch;
    open_ok("idx", folder);
    Epoch whole = load(&(NncLoading){.split = NNC_SPLIT_TRAIN});
    program.chunk = 3;
    program.function[NNC_CHUNK + 1].run = no_function;
    NncLoading loading = {.split = NNC_SPLIT_TRAIN, .limit = FIRST_OF + 5};
    cr_assert_eq(load(&loading).examples, FIRST_OF + 5);
    loading.steps = true;
    NncLoader *loader = new_loader(&loading);
    for (int i = 0; i < BATCHES; i++) {
        int start = wanted[i].first + (i < 6 ? 0 : FIRST_OF);
        cr_assert_eq(nnc_loader_next(loader, &batch, &error), NNC_OK);
        cr_expect(batch.count == wanted[i].count && batch.first == wanted[i].first &&
                      batch.pass == wanted[i].pass && batch.end == start + batch.count,
                  "chunk %d: %lld examples from %lld in pass %d", i, batch.count, batch.first,
                  batch.pass);
        cr_expect_eq(((const float *)batch.input)[RT_IMAGE], whole.first_pixel[start]);
    }
    cr_expect(nnc_loader_next(loader, &batch, &error) == NNC_OK && batch.count == 0);
    nnc_loader_free(loader);
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void expect_same_set(Epoch a, Epoch b) {
    cr_assert_eq(a.examples, b.examples);
    qsort(a.first_pixel, (size_t)a.examples, sizeof(float), by_value);
    qsort(b.first_pixel, (size_t)b.examples, sizeof(float), by_value);
    cr_assert(!memcmp(a.first_pixel, b.first_pixel, (size_t)a.examples * sizeof(float)));
}

static bool same_order(const Epoch *a, const Epoch *b) {
    return a->examples == b->examples &&
           !memcmp(a->first_pixel, b->first_pixel, (size_t)a->examples * sizeof(float)) &&
           !memcmp(a->label, b->label, (size_t)a->examples * sizeof(int));
}

Test(rt_data, shuffling_is_a_new_order_each_epoch_and_seed_and_no_other) {
    open_ok("idx", folder);
    Epoch plain = load(&(NncLoading){0});
    Epoch first = load(&(NncLoading){.shuffle = true, .seed = 1});
    Epoch again = load(&(NncLoading){.shuffle = true, .seed = 1});
    Epoch next = load(&(NncLoading){.shuffle = true, .seed = 1, .epoch = 1});
    Epoch seed = load(&(NncLoading){.shuffle = true, .seed = 2});
    cr_assert_eq(plain.examples, RT_TRAIN);
    expect_same_set(plain, first);
    expect_same_set(plain, next);
    cr_assert(same_order(&first, &again));
    cr_assert_not(same_order(&plain, &first));
    cr_assert_not(same_order(&first, &next));
    cr_assert_not(same_order(&first, &seed));
}

Test(rt_data, the_limit_comes_before_the_shuffle) {
    open_ok("idx", folder);
    Epoch plain = load(&(NncLoading){.limit = 20});
    Epoch shuffled = load(&(NncLoading){.limit = 20, .shuffle = true, .seed = 5});
    cr_assert_eq(plain.examples, 20);
    expect_same_set(plain, shuffled);
    cr_assert_eq(load(&(NncLoading){.limit = 1000}).examples, RT_TRAIN);
}

Test(rt_data, a_position_goes_on_where_the_epoch_was_left) {
    open_ok("idx", folder);
    NncLoading loading = {.shuffle = true, .augment = true, .seed = 3, .epoch = 2};
    Epoch whole = load(&loading);
    loading.position = 24;
    Epoch rest = load(&loading);
    cr_assert_eq(rest.examples, RT_TRAIN - 24);
    cr_assert(
        !memcmp(rest.first_pixel, whole.first_pixel + 24, (size_t)rest.examples * sizeof(float)));
    loading.position = RT_TRAIN;
    cr_assert_eq(load(&loading).examples, 0);
}

Test(rt_data, a_loader_can_be_left_at_any_time) {
    NncError error;
    NncBatch batch;
    open_ok("idx", folder);
    for (int taken = 0; taken < 4; taken++) {
        NncLoader *loader = new_loader(&(NncLoading){0});
        for (int i = 0; i < taken; i++)
            cr_assert_eq(nnc_loader_next(loader, &batch, &error), NNC_OK);
        nnc_loader_free(loader);
    }
}

Test(rt_data, a_label_out_of_range_is_named_with_its_place) {
    NncError error;
    NncBatch batch;
    unsigned char labels[8 + RT_TRAIN] = {0, 0, 8, 1, 0, 0, 0, RT_TRAIN};
    labels[8 + 30] = 3;
    rt_write_file(folder, "train-labels-idx1-ubyte", labels, sizeof labels);
    open_ok("idx", folder);
    NncLoader *loader = new_loader(&(NncLoading){0});
    for (int i = 0; i < 3; i++)
        cr_assert_eq(nnc_loader_next(loader, &batch, &error),
                     NNC_OK); // those before it are handed out
    cr_assert_eq(nnc_loader_next(loader, &batch, &error), NNC_ERROR_VALUE);
    cr_assert(strstr(error.text, "train-labels-idx1-ubyte: record 30, byte 38: the label is 3, but "
                                 "label is to be below 3"),
              "%s", error.text);
    nnc_loader_free(loader);
}

// --- Columns

static void expect_mismatch(bool needs_targets, const char *says) {
    NncError error;
    nnc_columns_free(&columns);
    cr_assert_eq(nnc_columns_match(&columns, &program, &source, needs_targets, &error),
                 NNC_ERROR_MATCH);
    cr_assert(strstr(error.text, says), "'%s' does not say '%s'", error.text, says);
}

Test(rt_data, what_does_not_fit_is_named_with_both_shapes) {
    NncError error;
    open_ok("shapes", NULL);
    expect_mismatch(true, "the program's input image: f32[N, 4, 4] does not fit image of shapes: "
                          "f32[N, 3, 32, 32]");
    NncColumn input[2] = {rt_inputs[0], rt_inputs[1]};
    input[0].rank = 2;
    input[0].extent[1] = 3 * 32 * 32; // in another shape, but as many
    program.input = input;
    expect_mismatch(true, "label has 3 classes, but shapes has 10");
    nnc_columns_free(&columns);
    cr_assert_eq(nnc_columns_match(&columns, &program, &source, false, &error), NNC_OK);
}

// --- Augmentations

// Images of which each byte is its own place.
static void augmented(const NncCall *call, long long index, unsigned char image[48]) {
    unsigned char spare[48];
    NncError error;
    NncField field = {.name = "image", .kind = NNC_FIELD_BYTES, .rank = 3, .extent = {3, 4, 4}};
    NncSource planes = {.field = &field, .field_count = 1};
    NncColumn input = {"image", NNC_F32, 2, {RT_BATCH, 48}, .per_example = true};
    NncExample example = {.index = index, .values = image};
    program.augment = call;
    program.augment_count = 1;
    program.input = &input;
    program.input_count = 1;
    nnc_columns_free(&columns);
    cr_assert_eq(nnc_columns_match(&columns, &program, &planes, true, &error), NNC_OK, "%s",
                 error.text);
    cr_assert_eq(nnc_augment_check(&columns, &error), NNC_OK, "%s", error.text);
    for (int i = 0; i < 48; i++)
        image[i] = (unsigned char)(i + 1);
    nnc_augment(&columns, 1, 0, &example, spare);
}

Test(rt_data, random_flip_is_none_or_left_and_right_exchanged) {
    int flipped = 0;
    for (int example = 0; example < 200; example++) {
        unsigned char image[48];
        augmented(&(NncCall){.name = "random_flip", .column = "image"}, example, image);
        bool flip = image[0] != 1;
        flipped += flip;
        for (int i = 0; i < 48; i++)
            cr_assert_eq(image[i], (flip ? i / 4 * 4 + 3 - i % 4 : i) + 1);
    }
    cr_assert(flipped > 70 && flipped < 130, "%d", flipped);
}

Test(rt_data, random_crop_moves_and_fills_with_black) {
    bool seen[5][5] = {{false}};
    NncArgument padding = {"padding", NULL, 2};
    for (int example = 0; example < 400; example++) {
        unsigned char image[48];
        augmented(&(NncCall){"random_crop", "image", &padding, 1}, example, image);
        int at = 0; // a pixel that stayed within tells how far all moved
        while (!image[at])
            at++;
        int from = image[at] - 1, down = from / 4 - at / 4, right = from % 4 - at % 4;
        seen[down + 2][right + 2] = true;
        for (int i = 0; i < 48; i++) {
            int y = i / 4 % 4 + down, x = i % 4 + right;
            bool inside = y >= 0 && y < 4 && x >= 0 && x < 4;
            cr_assert_eq(image[i], inside ? i / 16 * 16 + y * 4 + x + 1 : 0);
        }
    }
    for (int i = 0; i < 25; i++)
        cr_assert(seen[i / 5][i % 5], "%d, %d was never drawn", i / 5 - 2, i % 5 - 2);
}

// --- IDX

Test(rt_data, wrong_idx_files_are_refused_with_the_byte) {
    size_t size;
    char *bytes = rt_file("train-images-idx3-ubyte", &size), name[] = "train-images-idx3-ubyte";
    rt_write_file(folder, name, bytes, 2);
    expect_refused(
        "idx", NNC_ERROR_FORMAT,
        "train-images-idx3-ubyte: at byte 2: expected 2 more of an IDX header: it ends there");
    rt_write_file(folder, name, bytes, size - 1);
    expect_refused("idx", NNC_ERROR_FORMAT, "expected 1 more of the pixels");
    bytes[size] = 0;
    rt_write_file(folder, name, bytes, size + 1);
    expect_refused("idx", NNC_ERROR_FORMAT, "expected the end, but there is more");
    bytes[3] = 1;
    rt_write_file(folder, name, bytes, size);
    expect_refused("idx", NNC_ERROR_FORMAT, "at byte 0: expected 00 00 08 03");
    bytes[3] = 3;
    memset(bytes + 4, 0xff, 12);
    rt_write_file(folder, name, bytes, size);
    expect_refused("idx", NNC_ERROR_FORMAT, "axis 1 cannot have");
    memset(bytes + 4, 0, 4);
    rt_write_file(folder, name, bytes, size);
    expect_refused("idx", NNC_ERROR_FORMAT, "axis 0 cannot have 0 elements");
    // 2^31 images: the file decides what is read, not its header
    memcpy(bytes + 4, "\x7f\xff\xff\xff\0\0\0\x04\0\0\0\x04", 12);
    rt_write_file(folder, name, bytes, size);
    expect_refused("idx", NNC_ERROR_FORMAT, "more of the pixels: it ends there");
    free(bytes);
    unlink(name);
    expect_refused("idx", NNC_ERROR_FILE,
                   "holds neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz");
}

Test(rt_data, labels_and_images_must_be_as_many) {
    rt_write_idx(folder, "t10k", 9, 1);
    size_t size;
    char *labels = rt_file("t10k-labels-idx1-ubyte", &size);
    labels[7] = 8;
    rt_write_file(folder, "t10k-labels-idx1-ubyte", labels, size - 1);
    expect_refused("idx", NNC_ERROR_FORMAT, "t10k-labels-idx1-ubyte: at byte 4: 8 labels, but");
    free(labels);
}

#ifdef NNC_HAVE_ZLIB
Test(rt_data, compressed_idx_files_are_the_same_and_truncated_ones_are_refused) {
    size_t size;
    open_ok("idx", folder);
    Epoch plain = load(&(NncLoading){0});
    char *bytes = rt_file("train-images-idx3-ubyte", &size);
    gzFile file = gzopen("train-images-idx3-ubyte.gz", "wb");
    cr_assert(gzwrite(file, bytes, (unsigned)size) == (int)size && gzclose(file) == Z_OK);
    unlink("train-images-idx3-ubyte");
    free(bytes);
    open_ok("idx", folder);
    Epoch packed = load(&(NncLoading){0});
    cr_assert(same_order(&plain, &packed));
    bytes = rt_file("train-images-idx3-ubyte.gz", &size);
    rt_write_file(folder, "train-images-idx3-ubyte.gz", bytes, size / 2);
    expect_refused("idx", NNC_ERROR_FORMAT, "its compressed data is truncated");
    free(bytes);
}
#endif

// --- CIFAR-10

enum { RECORD = 3073 };

static void write_cifar(int records, size_t cut) {
    unsigned char *bytes = calloc((size_t)records, RECORD);
    for (int file = 0; file < 6; file++) {
        char name[32];
        snprintf(name, sizeof name, file < 5 ? "data_batch_%d.bin" : "test_batch.bin", file + 1);
        for (int i = 0; i < records; i++) {
            bytes[i * RECORD] = (unsigned char)((file + i) % 10);
            memset(bytes + i * RECORD + 1, file * 16 + i, RECORD - 1);
        }
        rt_write_file(folder, name, bytes, (size_t)records * RECORD - (file == 2 ? cut : 0));
    }
    free(bytes);
}

Test(rt_data, cifar10_records_are_found) {
    NncError error;
    unsigned char image[RECORD];
    int label;
    char place[200];
    write_cifar(4, 0);
    open_ok("cifar10", folder);
    cr_assert_eq(source.count[NNC_SPLIT_TRAIN], 20);
    cr_assert_eq(source.count[NNC_SPLIT_TEST], 4);
    cr_assert_str_eq(source.field[1].class_name[9], "truck");
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(read_image(NNC_SPLIT_TRAIN, i, image, &label, &error), NNC_OK);
        cr_assert_eq(label, i / 4 + i % 4);
        cr_assert(image[0] == i / 4 * 16 + i % 4 && image[3071] == image[0]);
    }
    cr_assert_eq(read_image(NNC_SPLIT_TEST, 3, image, &label, &error), NNC_OK);
    cr_assert(label == 8 && image[5] == 5 * 16 + 3);
    source.place(&source, &(NncExample){.index = 9}, place, sizeof place);
    cr_assert(strstr(place, "/data_batch_3.bin: record 1, byte 3073"), "%s", place);
}

Test(rt_data, wrong_cifar10_files_are_refused) {
    write_cifar(4, 1);
    expect_refused("cifar10", NNC_ERROR_FORMAT,
                   "data_batch_3.bin: its size is 12291 bytes: expected a multiple of 3073");
    write_cifar(1, RECORD);
    expect_refused("cifar10", NNC_ERROR_FORMAT, "data_batch_3.bin: its size is 0 bytes");
    unlink("data_batch_3.bin");
    expect_refused("cifar10", NNC_ERROR_FILE, "data_batch_3.bin: No such file");
}

Test(rt_data, a_file_that_becomes_shorter_is_an_error) {
    NncError error;
    unsigned char image[RECORD];
    int label;
    write_cifar(4, 0);
    open_ok("cifar10", folder);
    cr_assert_eq(truncate("data_batch_1.bin", RECORD + 100), 0);
    cr_assert_eq(read_image(NNC_SPLIT_TRAIN, 1, image, &label, &error), NNC_ERROR_FILE);
    cr_assert(
        strstr(error.text,
               "data_batch_1.bin: cannot read record 1 at byte 3173: the file has become shorter"),
        "%s", error.text);
}

Test(rt_data, paths_start_from_the_data_folder) {
    NncError error;
    NncArgument argument = {"", "sets/mnist", 0};
    NncCall call = {"idx", NULL, &argument, 1};
    cr_assert_eq(
        system(
            "mkdir -p sets/mnist other/mnist && cp *-ubyte sets/mnist && mv *-ubyte other/mnist"),
        0);
    cr_assert_eq(nnc_source_open(&source, &call, NULL, &error), NNC_OK, "%s", error.text);
    nnc_source_close(&source);
    cr_assert_eq(nnc_source_open(&source, &call, folder, &error), NNC_OK, "%s", error.text);
    nnc_source_close(&source);
    cr_assert_eq(nnc_source_open(&source, &call, "other", &error), NNC_OK, "%s", error.text);
    nnc_source_close(&source);
    cr_assert_eq(nnc_source_open(&source, &call, "no", &error), NNC_ERROR_FILE);
    cr_assert(strstr(error.text, "neither no/sets/mnist nor no/mnist"), "%s", error.text);
    argument.text = "mnist"; // one place, and it is named once
    cr_assert_eq(nnc_source_open(&source, &call, "no", &error), NNC_ERROR_FILE);
    cr_assert(strstr(error.text, "idx: no/mnist is not there"), "%s", error.text);
}

// --- The procedural set

Test(rt_data, shapes_are_balanced_different_and_always_the_same) {
    NncError error;
    unsigned char image[3072], again[3072], other[3072];
    int label;
    open_ok("shapes", NULL);
    cr_assert_eq(source.count[NNC_SPLIT_TRAIN], 20000);
    cr_assert_eq(source.count[NNC_SPLIT_TEST], 2000);
    for (int i = 0; i < 50; i++) {
        read_image(NNC_SPLIT_TRAIN, i, image, &label, &error);
        cr_assert_eq(label, i % 10);
        read_image(NNC_SPLIT_TRAIN, i, again, &label, &error);
        cr_assert(!memcmp(image, again, sizeof image));
        read_image(NNC_SPLIT_TEST, i, other, &label, &error);
        cr_assert(memcmp(image, other, sizeof image));
    }
    NncArgument arguments[] = {{"train", NULL, 30}, {"seed", NULL, 9}};
    NncCall call = {"shapes", NULL, arguments, 2};
    nnc_source_close(&source);
    cr_assert_eq(nnc_source_open(&source, &call, NULL, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(source.count[NNC_SPLIT_TRAIN], 30);
    read_image(NNC_SPLIT_TRAIN, 0, other, &label, &error);
    nnc_source_close(&source);
    open_ok("shapes", NULL);
    read_image(NNC_SPLIT_TRAIN, 0, image, &label, &error);
    cr_assert(memcmp(image, other, sizeof image));
}

Test(rt_data, wrong_arguments_are_named) {
    static const struct {
        NncArgument argument;
        const char *says;
    } wrong[] = {
        {{"train", NULL, 0}, "train is to be an integer from 1 to"},
        {{"train", NULL, 1.5}, "not 1.5"},
        {{"test", "many", 0}, "test is to be a number, not \"many\""},
        {{"sead", NULL, 1}, "shapes has no argument named sead"},
        {{"seed", NULL, NAN}, "seed is to be an integer"},
    };
    NncError error;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        NncCall call = {"shapes", NULL, &wrong[i].argument, 1};
        cr_assert_eq(nnc_source_open(&source, &call, NULL, &error), NNC_ERROR_VALUE);
        cr_assert(strstr(error.text, wrong[i].says), "%s", error.text);
    }
    NncArgument six[6] = {{"", NULL, 1}, {"", NULL, 1}, {"", NULL, 1},
                          {"", NULL, 1}, {"", NULL, 1}, {"", NULL, 1}};
    cr_assert_eq(nnc_source_open(&source, &(NncCall){"shapes", NULL, six, 6}, NULL, &error),
                 NNC_ERROR_VALUE);
    cr_assert(strstr(error.text, "too many arguments"), "%s", error.text);
    cr_assert_eq(nnc_source_open(&source, &(NncCall){.name = "imagenet"}, NULL, &error),
                 NNC_ERROR_VALUE);
    cr_assert(strstr(error.text, "no data source named imagenet"), "%s", error.text);
}

Test(rt_data, some_of_the_shapes) {
    NncArgument some[] = {{"first", NULL, 6}, {"classes", NULL, 4}};
    NncCall call = {"shapes", NULL, some, 2};
    NncError error;
    cr_assert_eq(nnc_source_open(&source, &call, NULL, &error), NNC_OK, "%s", error.text);
    const NncField *label = &source.field[1];
    cr_assert(label->classes == 4 && !strcmp(label->class_name[0], "rows") &&
              !strcmp(label->class_name[3], "checker"));
    NncExample example = {.index = 7, .values = malloc(source.example_bytes)};
    cr_assert_eq(source.read(&source, &example, &error), NNC_OK);
    cr_assert_eq(*(int32_t *)nnc_example_field(&example, label), 3);
    free(example.values);
    nnc_source_close(&source);
    some[1].number = 5;
    cr_assert_eq(nnc_source_open(&source, &call, NULL, &error), NNC_ERROR_VALUE);
    cr_assert(strstr(error.text, "classes is to be an integer from 1 to 4"), "%s", error.text);
}

Test(rt_data, the_table_of_sources_agrees_with_itself) {
    int count;
    const char *const *names = nnc_source_names(&count);
    cr_assert(count >= 3);
    for (int i = 0; i < count; i++) {
        cr_assert(nnc_source_info(names[i]), "%s", names[i]);
        cr_assert_str_eq(nnc_source_info(names[i])->name, names[i]);
    }
    cr_assert_null(nnc_source_info("nothing"));
    cr_assert_str_eq(nnc_augmentation_takes("random_flip"), "");
    cr_assert_str_eq(nnc_augmentation_takes("random_crop"), "padding = 4");
    cr_assert_null(nnc_augmentation_takes("random_blur"));
}
