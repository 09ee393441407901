// SPDX-License-Identifier: MIT
// The readers of files. Each gets the bytes as a file of a folder of this process, in memory where
// the system has such folders. Where a format has checksums, the bytes are tried a second time with
// right ones, so that what lies behind them is reached.
#include "fuzz/targets.h"

#include "checkpoint.h"
#include "cli/tuning_text.h"
#include "file.h"
#include "image.h"
#include "jit/internal.h"
#include "json.h"
#include "log.h"
#include "source.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef NNC_HAVE_ZLIB
#include <zlib.h>
#endif

// --- The folder

static char folder[] = "/dev/shm/nnc-fuzz-XXXXXX";
static bool is_there;

static void remove_folder(void) { folder_remove(folder); }

static const char *file_path(Arena *arena, const char *name) {
    if (!is_there) {
        if (access("/dev/shm", W_OK)) memcpy(folder, "/var/tmp/", 9); // of the same length
        if (!mkdtemp(folder)) abort();
        is_there = true;
        atexit(remove_folder);
    }
    return arena_printf(arena, "%s/%s", folder, name);
}

static const char *put(Arena *arena, const char *name, const void *bytes, size_t count) {
    const char *path = file_path(arena, name);
    if (!file_write(path, bytes, count)) abort();
    return path;
}

// NULL, or what is wrong with how it was refused.
static const char *check_refusal(NncStatus status, const NncError *error) {
    if (status == NNC_OK) return NULL;
    if (status != error->status) return "the status is not the one of the error";
    if (!*error->text || strchr(error->text, '\n')) return "an error of no line, or of several";
    return NULL;
}

// --- Checkpoints

static const NncTensor tensors[] = {
    {"weight", NNC_PARAMETER, NNC_F32, 2, {2, 3}, 0},
    {"bias", NNC_PARAMETER, NNC_F32, 1, {2}, 64},
    {"momentum.v/weight", NNC_OPTIMIZER_STATE, NNC_F32, 2, {2, 3}, 128},
    {"count", NNC_LAYER_STATE, NNC_I32, 0, {0}, 192},
};
static const NncColumn outputs[] = {{"loss", NNC_F32, 0, {0}, 0, 0, false, false},
                                    {"accuracy", NNC_F32, 0, {0}, 64, 0, false, false}};
static const NncHyper hypers[] = {{"lr", 0.1, 0}, {"mu", 0.9, 0}};
static const NncProgram program = {
    .abi = NNC_ABI,
    .model = "fuzzed",
    .state_bytes = 256,
    .tensor = tensors,
    .tensor_count = 4,
    .hyper = hypers,
    .hyper_count = 2,
    .function = {[NNC_EVAL] = {.output = outputs, .output_count = 2}},
};

static void visit(void *context, const NncStored *stored) {
    const unsigned char *byte = stored->data;
    unsigned *sum = context;
    for (long long i = 0; i < stored->bytes; i++)
        *sum += byte[i]; // it can be read
}

static const char *read_checkpoint(const char *path) {
    NncError error = {0};
    NncCheckpoint checkpoint;
    NncInitial initial;
    unsigned sum = 0;
    char state[256];
    const char *wrong = NULL;
    for (int train = 0; train < 2 && !wrong; train++) {
        memset(state, 0x77, sizeof state);
        NncStatus status = nnc_checkpoint_read(path, &program, train, &checkpoint, state, &error);
        nnc_checkpoint_free(&checkpoint);
        wrong = check_refusal(status, &error);
        for (size_t i = 0; status && i < sizeof state && !wrong; i++)
            if (state[i] != 0x77) wrong = "a refused checkpoint was read in part";
    }
    for (int partial = 0; partial < 2 && !wrong; partial++) {
        wrong = check_refusal(
            nnc_checkpoint_initial(path, &program, partial, state, &initial, &error), &error);
        free(initial.notes);
    }
    return wrong ? wrong : check_refusal(nnc_checkpoint_each(path, visit, &sum, &error), &error);
}

// --- Data

static const char *read_source(const char *name, const NncArgument *argument, int count) {
    NncError error = {0};
    NncSource source;
    NncStatus status =
        nnc_source_open(&source, &(NncCall){name, NULL, argument, count}, NULL, &error);
    if (status) return check_refusal(status, &error);
    const char *wrong = NULL;
    NncExample example = {.values = malloc(source.example_bytes + 1)};
    for (; example.split < NNC_SPLITS; example.split++)
        for (example.index = 0; example.index < source.count[example.split] && !wrong;
             example.index++) {
            status = source.read(&source, &example, &error);
            wrong = status ? "an example that was counted cannot be read" : NULL;
        }
    free(example.values);
    nnc_source_close(&source);
    return wrong;
}

static const char *read_folder(const char *kind) {
    return read_source(kind, &(NncArgument){"", folder, 0}, 1);
}

// An image and its label, in front of what is fuzzed: the bytes are the train images or labels.
static const char *read_idx(Arena *arena, const void *bytes, size_t count, const char *suffix) {
    static const unsigned char image[] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 7, 9},
                               label[] = {0, 0, 8, 1, 0, 0, 0, 1, 3};
    bool labels = count > 3 && ((const unsigned char *)bytes)[3] == 1;
    const char *name = labels ? "train-labels-idx1-ubyte" : "train-images-idx3-ubyte";
    put(arena, labels ? "train-images-idx3-ubyte" : "train-labels-idx1-ubyte",
        labels ? (const void *)image : label, labels ? sizeof image : sizeof label);
    put(arena, "t10k-images-idx3-ubyte", image, sizeof image);
    put(arena, "t10k-labels-idx1-ubyte", label, sizeof label);
    const char *path = put(arena, arena_printf(arena, "%s%s", name, suffix), bytes, count);
    const char *wrong = read_folder("idx");
    unlink(path);
    return wrong;
}

static const char *read_csv(const char *path) {
    const NncArgument plain[] = {{"", path, 0}, {"test", NULL, 0.3}},
                      named[] = {{"", path, 0}, {"separator", ";", 0}, {"names", "a, b", 0}};
    const char *wrong = read_source("csv", plain, 2);
    return wrong ? wrong : read_source("csv", named, 3);
}

static const char *read_cifar10(Arena *arena, const void *bytes, size_t count) {
    enum { RECORD = 3073 };
    size_t whole = (count + RECORD - 1) / RECORD * RECORD; // else few would get behind the size
    char *record = arena_alloc(arena, whole + RECORD);
    memcpy(record, bytes, count);
    for (int i = 1; i <= 5; i++)
        put(arena, arena_printf(arena, "data_batch_%d.bin", i), record, i == 1 ? whole : RECORD);
    put(arena, "test_batch.bin", bytes, count);
    const char *wrong = read_folder("cifar10");
    put(arena, "test_batch.bin", record, whole);
    return wrong ? wrong : read_folder("cifar10");
}

// --- Texts of the runtime

static const char *read_json(const char *bytes, size_t count) {
    char *exact = malloc(count + !count), *key; // so that a byte too many is seen
    double number;
    memcpy(exact, bytes, count);
    NncJson json = nnc_json(exact, count);
    nnc_json_skip(&json);
    bool taken = nnc_json_end(&json);
    bool explained = taken || (json.problem && json.at <= count);
    json = nnc_json(exact, count);
    for (nnc_json_enter(&json, '{'); nnc_json_key(&json, &key); free(key))
        nnc_json_number(&json, &number);
    free(exact);
    return explained ? NULL : "refused without a reason";
}

// A log that a resumed run goes on with: what it holds is cut off, never read beyond.
static const char *read_log(Arena *arena, const char *bytes, size_t count) {
    static const char *const names[] = {"log.jsonl", "log.csv"};
    const char *wrong = NULL, *logs[2];
    NncStatus status;
    for (int i = 0; i < 2; i++)
        logs[i] = put(arena, names[i], bytes, count);
    put(arena, "events.out.tfevents.fuzzed", bytes, count);
    for (int i = 0; i < 3 && !wrong; i++) {
        NncError error = {0};
        NncOptions options = {
            .log = &logs[i < 2 ? i : 0], .log_count = i < 2, .tensorboard = i == 2 ? folder : NULL};
        NncLog *log = nnc_log_open(&program, &options, 7, &status, &error);
        wrong = !log && !status ? "no log, and no error" : check_refusal(status, &error);
        nnc_log_close(log);
    }
    return wrong;
}

static const char *read_tuning(Arena *arena, const char *bytes, size_t count) {
    const char *problem;
    char *text = NULL;
    size_t size;
    const Tuning *tuning = tuning_read(arena, arena_strndup(arena, bytes, count), count, &problem);
    if (!tuning) return problem && *problem ? NULL : "refused without a reason";
    FILE *out = open_memstream(&text, &size);
    tuning_write(out, "fuzzed", tuning);
    fclose(out);
    tuning = tuning_read(arena, text, size, &problem);
    free(text);
    return tuning ? NULL : "what was written is refused";
}

// --- Images

#ifdef NNC_HAVE_PNG

static const char *read_png(const char *path) {
    static const NncColumn column[] = {{"image", NNC_F32, 4, {1, 3, 4, 4}, 0, 0, false, true},
                                       {"image", NNC_F32, 3, {1, 4, 4}, 0, 0, false, true},
                                       {"image", NNC_F32, 2, {1, 16}, 0, 0, false, true}};
    unsigned char planes[48];
    const char *wrong = NULL;
    for (int i = 0; i < 3 && !wrong; i++) {
        NncError error = {0};
        wrong = check_refusal(nnc_image_read(path, &column[i], planes, &error), &error);
    }
    return wrong;
}

static unsigned big_endian(const unsigned char *at) {
    return (unsigned)at[0] << 24 | (unsigned)at[1] << 16 | (unsigned)at[2] << 8 | at[3];
}

// Right sums behind all chunks that are whole.
static void mend_png(unsigned char *bytes, size_t count) {
    for (size_t at = 8; count >= at + 12;) {
        size_t length = big_endian(bytes + at);
        if (length > count - at - 12) return;
        unsigned long sum = crc32(crc32(0, NULL, 0), bytes + at + 4, (unsigned)length + 4);
        for (int i = 0; i < 4; i++)
            bytes[at + 8 + length + (size_t)i] = (unsigned char)(sum >> (24 - 8 * i));
        at += 12 + length;
    }
}

#endif

// --- Objects of the cache

// Nothing that was not sealed is taken; what was sealed is, until a byte of it is another one.
static const char *read_object(Arena *arena, const char *bytes, size_t count) {
    CacheKey key = {"00112233445566778899aabbccddeeff"};
    const char *path = put(arena, "object.so", bytes, count);
    chmod(path, 0600);
    if (cache_check(arena, path, key)) return "an object without a seal is taken";
    Cache cache = {folder};
    const char *kept = cache_path(arena, cache, key);
    if (!cache_store(arena, cache, path, kept, key) || !cache_check(arena, kept, key))
        return "an object that was sealed is not taken";
    size_t length;
    char *sealed = file_read(arena, kept, &length);
    sealed[count ? (unsigned char)bytes[0] % length : 0] ^= 1;
    put(arena, arena_printf(arena, "%s.so", key.hex), sealed, length);
    return cache_check(arena, kept, key) ? "a damaged object is taken" : NULL;
}

// --- All of them

const char *fuzz_checkpoint(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    const char *wrong = read_checkpoint(put(arena, "x.safetensors", bytes, count));
    // And the same text with its length in front of it.
    char *framed = arena_alloc(arena, count + 9);
    for (int i = 0; i < 8; i++)
        framed[i] = (char)((uint64_t)count >> 8 * i);
    memcpy(framed + 8, bytes, count);
    if (!wrong) wrong = read_checkpoint(put(arena, "x.safetensors", framed, count + 8));
    arena_free(arena);
    return wrong;
}

const char *fuzz_idx(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    const char *wrong = read_idx(arena, bytes, count, "");
    arena_free(arena);
    return wrong;
}

#ifdef NNC_HAVE_ZLIB
const char *fuzz_idx_gz(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    const char *wrong = read_idx(arena, bytes, count, ".gz");
    const char *packed = file_path(arena, "packed");
    gzFile file = gzopen(packed, "wb1");
    if (count) gzwrite(file, bytes, (unsigned)count);
    gzclose(file);
    size_t length;
    const char *good = file_read(arena, packed, &length);
    if (!wrong) wrong = read_idx(arena, good, length, ".gz");
    arena_free(arena);
    return wrong;
}
#endif

const char *fuzz_csv(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    const char *wrong = read_csv(put(arena, "a.csv", bytes, count));
    arena_free(arena);
    return wrong;
}

const char *fuzz_cifar10(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    const char *wrong = read_cifar10(arena, bytes, count);
    arena_free(arena);
    return wrong;
}

const char *fuzz_json(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    return read_json(bytes, count);
}

const char *fuzz_log(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    file_path(arena, "");
    const char *wrong = read_log(arena, bytes, count);
    arena_free(arena);
    return wrong;
}

#ifdef NNC_HAVE_PNG
const char *fuzz_png(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    const char *wrong = read_png(put(arena, "x.png", bytes, count));
    unsigned char *mended = arena_alloc(arena, count + 1);
    memcpy(mended, bytes, count);
    mend_png(mended, count);
    if (!wrong) wrong = read_png(put(arena, "x.png", mended, count));
    arena_free(arena);
    return wrong;
}
#endif

const char *fuzz_tuning(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    const char *wrong = read_tuning(arena, bytes, count);
    arena_free(arena);
    return wrong;
}

const char *fuzz_object(const char *bytes, size_t count, char *message, size_t size) {
    (void)message, (void)size;
    Arena *arena = arena_new();
    file_path(arena, "");
    const char *wrong = read_object(arena, bytes, count);
    arena_free(arena);
    return wrong;
}
