// SPDX-License-Identifier: MIT
// Checkpoints from someone else: truncated, damaged, of another program. None may crash, none may
// be half read.
#include "rt_program.h"

#include "checkpoint.h"
#include "json.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

enum { STATE = 4 * RT_STATE };

static const char *folder;
static const char *const path = "out/soft.safetensors";
static NncProgram program;

static void set_up(void) {
    NncError error;
    folder = rt_folder();
    program = rt_program(folder);
    cr_assert_eq(nnc_train(&program, &(NncOptions){.quiet = true, .steps = 14}, &error), NNC_OK,
                 "%s", error.text);
}
static void tear_down(void) { rt_remove_folder(folder); }

TestSuite(rt_checkpoint, .init = set_up, .fini = tear_down);

static NncStatus read_it(bool to_train, float state[RT_STATE], NncError *error) {
    NncCheckpoint checkpoint;
    memset(state, 0x77, STATE);
    NncStatus status =
        nnc_checkpoint_read(path, &program, to_train, &checkpoint, (char *)state, error);
    nnc_checkpoint_free(&checkpoint);
    return status;
}

static void expect_untouched(const float *state) {
    for (int i = 0; i < STATE; i++)
        cr_assert_eq(((const char *)state)[i], 0x77);
}

Test(rt_checkpoint, is_a_safetensors_file) {
    size_t size;
    char *bytes = rt_file(path, &size), *key;
    unsigned long long header = 0;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | (unsigned char)bytes[i];
    cr_assert_eq(header % 8, 0);
    cr_assert_eq(size, 8 + header + 4 * (48 + 3 + 48 + 3 + 1));
    NncJson json = nnc_json(bytes + 8, header);
    int tensors = 0;
    for (nnc_json_enter(&json, '{'); nnc_json_key(&json, &key); free(key), tensors++)
        nnc_json_skip(&json);
    cr_assert(nnc_json_end(&json), "%s", json.problem);
    cr_assert_eq(tensors, 6); // the metadata is one
    cr_assert(strstr(
        bytes + 8,
        "\"momentum.v/weight\":{\"dtype\":\"F32\",\"shape\":[3,16],\"data_offsets\":[204,396]}"));
    cr_assert(strstr(bytes + 8, "\"source\":\"nnd 1 # a \\\"quote\\\"\\n\""));
    cr_assert(strstr(bytes + 8, "\"step\":\"14\""));
    free(bytes);
}

Test(rt_checkpoint, reads_back_what_was_written) {
    NncError error;
    NncCheckpoint checkpoint;
    float state[RT_STATE] = {0}, again[RT_STATE] = {0};
    uint64_t hash, hash_again;
    cr_assert_eq(nnc_checkpoint_read(path, &program, true, &checkpoint, (char *)state, &error),
                 NNC_OK, "%s", error.text);
    cr_assert_eq(checkpoint.at.step, 14);
    cr_assert_eq(checkpoint.at.epoch, 1);
    cr_assert_eq(checkpoint.at.position, 24);
    cr_assert_eq(checkpoint.at.examples, RT_TRAIN);
    cr_assert_eq(checkpoint.at.seed, 7);
    cr_assert_eq(checkpoint.hyper[1], 0.9);
    cr_assert_str_eq(checkpoint.plan, "0123456789abcdef");
    cr_assert_eq(((int *)state)[RT_COUNT], 14);
    cr_assert_eq(nnc_checkpoint_write("copy/soft.safetensors", &program, &checkpoint, (char *)state,
                                      &hash, &error),
                 NNC_OK);
    rt_expect_same_file(path, "copy/soft.safetensors");
    nnc_checkpoint_free(&checkpoint);
    cr_assert_eq(nnc_checkpoint_read("copy/soft.safetensors", &program, true, &checkpoint,
                                     (char *)again, &error),
                 NNC_OK);
    cr_assert(!memcmp(state, again, STATE));
    state[0] += 1;
    cr_assert_eq(nnc_checkpoint_write("copy/soft.safetensors", &program, &checkpoint, (char *)state,
                                      &hash_again, &error),
                 NNC_OK);
    cr_assert_neq(hash, hash_again);
    nnc_checkpoint_free(&checkpoint);
}

Test(rt_checkpoint, predicting_needs_no_optimizer_state) {
    NncError error;
    float state[RT_STATE];
    NncTensor tensors[5];
    memcpy(tensors, rt_tensors, sizeof tensors);
    tensors[2].name = "adam.m/weight";
    program.tensor = tensors;
    cr_assert_eq(read_it(false, state, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(((int *)state)[RT_COUNT], 14);
    cr_assert_eq(read_it(true, state, &error), NNC_ERROR_MATCH);
    cr_assert(strstr(error.text,
                     "there is no adam.m/weight in it, which the program needs as F32[3, 16]"),
              "%s", error.text);
    expect_untouched(state);
}

Test(rt_checkpoint, another_shape_is_named_with_both) {
    NncError error;
    float state[RT_STATE];
    NncTensor tensors[5];
    memcpy(tensors, rt_tensors, sizeof tensors);
    tensors[0].extent[1] = 12;
    program.tensor = tensors;
    cr_assert_eq(read_it(false, state, &error), NNC_ERROR_MATCH);
    cr_assert(strstr(error.text, "weight is F32[3, 16] in it, but F32[3, 12] in the program"), "%s",
              error.text);
    program.tensor_count = 1;
    program.tensor = rt_tensors;
    cr_assert_eq(read_it(true, state, &error), NNC_ERROR_MATCH);
    expect_untouched(state);
}

Test(rt_checkpoint, truncated_anywhere_it_is_refused) {
    NncError error;
    size_t size;
    float state[RT_STATE];
    char *bytes = rt_file(path, &size);
    for (size_t length = 0; length < size; length += length < 40 || length > size - 40 ? 1 : 13) {
        rt_write_file(folder, path, bytes, length);
        cr_assert_neq(read_it(true, state, &error), NNC_OK, "%zu of %zu bytes", length, size);
        cr_assert(strstr(error.text, "soft.safetensors"), "%s", error.text);
        expect_untouched(state);
    }
    free(bytes);
}

// Any byte of the header may be wrong; what is read then must still be a state or an error.
Test(rt_checkpoint, damaged_anywhere_it_does_no_harm) {
    NncError error;
    size_t size;
    float state[RT_STATE];
    char *bytes = rt_file(path, &size);
    static const char damage[] = {0, '"', '9', '-', '{', ']', ',', '\\', (char)0xff};
    int refused = 0;
    for (size_t at = 0; at < size - 412; at++) {
        char before = bytes[at];
        bytes[at] = damage[at % sizeof damage];
        rt_write_file(folder, path, bytes, size);
        bytes[at] = before;
        if (read_it(true, state, &error) == NNC_OK) continue;
        refused++;
        expect_untouched(state);
    }
    cr_assert(refused > 300, "%d", refused);
    free(bytes);
}

static void write_header(const char *json, unsigned long long length, size_t data) {
    unsigned char bytes[2048] = {0};
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(length >> (8 * i));
    size_t size = strlen(json);
    memcpy(bytes + 8, json, size);
    rt_write_file(folder, path, bytes, 8 + size + data);
}

Test(rt_checkpoint, lies_are_found) {
    static const struct {
        const char *json, *says;
        size_t data;
    } lies[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,12]}}",
         "a lies at bytes 0 to 12", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
         "a lies at bytes 0 to 16 of 12", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}",
         "a lies at", 0},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", "unknown type F33", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "below zero", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}",
         "too many axes", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\","
         "\"shape\":[1],\"data_offsets\":[0,4]}}",
         "begins at byte 0 of the tensors: expected 4", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         "begins at byte 4 of the tensors: expected 0", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "end at byte 4 of 8",
         8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\"a\":{\"dtype\":\"F32\","
         "\"shape\":[1],\"data_offsets\":[0,4]}}",
         "two tensors named a", 4},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4,8]}}", "expected two offsets", 4},
        {"[]", "expected {", 0},
        {"{}x", "expected the end", 0},
        {"{}", "there is no weight", 0},
    };
    NncError error;
    float state[RT_STATE];
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        write_header(lies[i].json, strlen(lies[i].json), lies[i].data);
        cr_assert_neq(read_it(false, state, &error), NNC_OK, "%s", lies[i].json);
        cr_assert(strstr(error.text, lies[i].says), "%s: %s", lies[i].json, error.text);
        expect_untouched(state);
    }
    write_header("{}", 1ull << 63, 0);
    cr_assert_eq(read_it(false, state, &error), NNC_ERROR_FORMAT);
    cr_assert(strstr(error.text, "9223372036854775808 bytes"), "%s", error.text);
}

static int count_files(const char *name) {
    int count = -2; // . and ..
    DIR *dir = opendir(name);
    while (dir && readdir(dir))
        count++;
    if (dir) closedir(dir);
    return count;
}

// As on a full disk: the old checkpoint stays, nothing else does.
Test(rt_checkpoint, a_write_that_fails_amid_the_file_leaves_the_old_one) {
    NncError error;
    NncCheckpoint checkpoint;
    float state[RT_STATE] = {0};
    uint64_t hash;
    size_t size, size_after;
    char *before = rt_file(path, &size);
    cr_assert_eq(nnc_checkpoint_read(path, &program, true, &checkpoint, (char *)state, &error),
                 NNC_OK);
    state[0] += 1;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){size / 2, RLIM_INFINITY}), 0);
    NncStatus status =
        nnc_checkpoint_write(path, &program, &checkpoint, (char *)state, &hash, &error);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    cr_assert_eq(status, NNC_ERROR_FILE);
    cr_assert(strstr(error.text, "cannot write out/soft.safetensors: File too large"), "%s",
              error.text);
    char *after = rt_file(path, &size_after);
    cr_assert(size == size_after && !memcmp(before, after, size));
    cr_assert_eq(count_files("out"), 1);
    nnc_checkpoint_free(&checkpoint);
    free(before);
    free(after);
}
