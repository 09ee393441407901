// SPDX-License-Identifier: MIT
// Files from strangers: the readers of checkpoints, IDX files (plain and compressed), images and
// JSON neither crash nor hang on damaged ones, say what is wrong, and leave nothing half read.
//
// Inputs are good files with some bytes changed, cut out or doubled; the same ones in every run.
// NNC_FUZZ_RUNS=N sets how many.
#include "../unit/rt_program.h"

#include "checkpoint.h"
#include "image.h"
#include "json.h"
#include "source.h"
#ifdef NNC_HAVE_ZLIB
#include <zlib.h>
#endif
#ifdef NNC_HAVE_PNG
#include <png.h>
#endif

enum { MOST = 1 << 16 };

static const char *folder;
static NncProgram program;

static void set_up(void) {
    folder = rt_folder();
    program = rt_program(folder);
}
static void tear_down(void) { rt_remove_folder(folder); }

TestSuite(fuzz_files, .init = set_up, .fini = tear_down);

static int run_count(void) {
    const char *text = getenv("NNC_FUZZ_RUNS");
    return text ? atoi(text) : 500;
}

typedef struct Bytes {
    size_t size;
    unsigned char at[MOST];
} Bytes;

static void damage(Bytes *bytes, NncDraw *draw) {
    static const unsigned char special[] = {0,   1,   0x7f, 0x80, 0xff, '"', '\\',
                                            '{', '}', '[',  ',',  '-',  '9'};
    for (int i = (int)nnc_draw_below(draw, 4); i >= 0 && bytes->size > 0; i--) {
        // The beginning is where the structure is.
        size_t within = nnc_draw_below(draw, 2) && bytes->size > 64 ? 64 : bytes->size;
        size_t at = nnc_draw_below(draw, (uint32_t)within), length = 1 + nnc_draw_below(draw, 16);
        if (length > bytes->size - at) length = bytes->size - at;
        switch (nnc_draw_below(draw, 5)) {
        case 0:
            bytes->at[at] = (unsigned char)nnc_draw_below(draw, 256);
            break;
        case 1:
            bytes->at[at] = special[nnc_draw_below(draw, sizeof special)];
            break;
        case 2:
            bytes->size = at;
            break;
        case 3: // cut out
            memmove(bytes->at + at, bytes->at + at + length, bytes->size - at - length);
            bytes->size -= length;
            break;
        default: // double
            if (bytes->size + length > MOST) break;
            memmove(bytes->at + at + length, bytes->at + at, bytes->size - at);
            bytes->size += length;
        }
    }
}

// Runs `read` on damaged copies of the file; it says whether it took one. Some are to be refused,
// some taken (where what was damaged does not matter).
static void fuzz(const char *path, bool (*read)(const char *path, const Bytes *bytes)) {
    size_t size;
    int taken = 0, runs = run_count();
    char *good = rt_file(path, &size);
    static Bytes bytes;
    cr_assert(size > 0 && size < MOST);
    for (int run = 0; run < runs; run++) {
        NncDraw draw = nnc_draw((uint64_t)run, size, 77);
        memcpy(bytes.at, good, bytes.size = size);
        damage(&bytes, &draw);
        rt_write_file(folder, path, bytes.at, bytes.size);
        taken += read(path, &bytes);
    }
    cr_assert(taken < runs - runs / 10, "%d of %d damaged files were taken", taken, runs);
    free(good);
}

static bool refused_with_a_sentence(NncStatus status, const NncError *error) {
    if (status == NNC_OK) return false;
    cr_assert(status == error->status && *error->text && !strchr(error->text, '\n'));
    return true;
}

static bool read_checkpoint(const char *path, const Bytes *bytes) {
    (void)bytes;
    NncError error;
    NncCheckpoint checkpoint;
    char state[4 * RT_STATE];
    memset(state, 0x77, sizeof state);
    NncStatus status = nnc_checkpoint_read(path, &program, true, &checkpoint, state, &error);
    nnc_checkpoint_free(&checkpoint);
    if (!refused_with_a_sentence(status, &error)) return true;
    for (size_t i = 0; i < sizeof state; i++)
        cr_assert_eq(state[i], 0x77, "%s", error.text);
    return false;
}

Test(fuzz_files, checkpoints) {
    NncError error;
    cr_assert_eq(nnc_train(&program, &(NncOptions){.quiet = true, .steps = 3}, &error), NNC_OK,
                 "%s", error.text);
    fuzz("out/soft.safetensors", read_checkpoint);
}

static bool read_idx(const char *path, const Bytes *bytes) {
    (void)path;
    (void)bytes;
    NncError error;
    NncSource source;
    NncStatus status = nnc_source_open(&source, &program.data, NULL, &error);
    if (refused_with_a_sentence(status, &error)) return false;
    NncExample example = {.values = malloc(source.example_bytes)};
    for (; example.index < source.count[NNC_SPLIT_TRAIN]; example.index++)
        cr_assert_eq(source.read(&source, &example, &error), NNC_OK);
    free(example.values);
    nnc_source_close(&source);
    return true;
}

// A changed pixel cannot be told from a right one: so the files are mostly header here.
Test(fuzz_files, idx) {
    rt_write_idx(folder, "train", 2, 0);
    fuzz("train-images-idx3-ubyte", read_idx);
    rt_write_idx(folder, "train", 2, 0);
    fuzz("train-labels-idx1-ubyte", read_idx);
}

#ifdef NNC_HAVE_ZLIB
Test(fuzz_files, compressed_idx) {
    size_t size;
    char *bytes = rt_file("train-images-idx3-ubyte", &size);
    gzFile file = gzopen("train-images-idx3-ubyte.gz", "wb");
    cr_assert(gzwrite(file, bytes, (unsigned)size) == (int)size && gzclose(file) == Z_OK);
    unlink("train-images-idx3-ubyte");
    free(bytes);
    fuzz("train-images-idx3-ubyte.gz", read_idx);
}
#endif

static bool read_csv(const char *path, const Bytes *bytes) {
    (void)bytes;
    NncError error;
    NncSource source;
    const NncArgument arguments[] = {{"", path, 0}, {"test", NULL, 0.3}};
    NncStatus status =
        nnc_source_open(&source, &(NncCall){"csv", NULL, arguments, 2}, NULL, &error);
    if (refused_with_a_sentence(status, &error)) return false;
    NncExample example = {.values = malloc(source.example_bytes)};
    for (; example.split < NNC_SPLITS; example.split++)
        for (example.index = 0; example.index < source.count[example.split]; example.index++)
            cr_assert_eq(source.read(&source, &example, &error), NNC_OK);
    free(example.values);
    nnc_source_close(&source);
    return true;
}

Test(fuzz_files, csv) {
    const char text[] =
        "\xef\xbb\xbfsize,\"the \"\"kind\"\"\",weight\r\n1,pear,\"2\"\r\n\n-3e1,\"a\nb\","
        "0x1p4\n5,pear,6\n7,\"\"\"\",8";
    rt_write_file(folder, "a.csv", text, strlen(text));
    fuzz("a.csv", read_csv);
}

#ifdef NNC_HAVE_PNG
static bool read_image(const char *path, const Bytes *bytes) {
    (void)bytes;
    NncError error;
    unsigned char pixels[RT_PIXELS];
    return !refused_with_a_sentence(nnc_image_read(path, &rt_inputs[0], pixels, &error), &error);
}

Test(fuzz_files, images) {
    size_t size;
    char *grey = rt_file("train-images-idx3-ubyte", &size);
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = 4, .height = 4, .format = PNG_FORMAT_GRAY};
    cr_assert(png_image_write_to_file(&image, "image.png", 0, grey + 16, 0, NULL));
    free(grey);
    fuzz("image.png", read_image);
}
#endif

static bool read_json(const char *path, const Bytes *bytes) {
    (void)path;
    char *exact = malloc(bytes->size + !bytes->size); // so that a sanitizer sees a byte too many
    memcpy(exact, bytes->at, bytes->size);
    NncJson json = nnc_json(exact, bytes->size);
    nnc_json_skip(&json);
    bool taken = nnc_json_end(&json);
    cr_assert(taken || (json.problem && json.at <= bytes->size));
    free(exact);
    return taken;
}

Test(fuzz_files, json) {
    const char text[] =
        "{\"a\":[1.5e3,-2,true,null,{\"b\":\"\\u00e4\\ud83c\\udf0d\\n\"}],\"c\":{\"d\":[[],{}]}}";
    rt_write_file(folder, "a.json", text, strlen(text));
    fuzz("a.json", read_json);
}
