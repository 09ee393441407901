// SPDX-License-Identifier: MIT
// Each target with what its corpus holds (tests/fuzz/corpus/NAME: what libFuzzer kept because it
// reached something new, and what once was a mistake), and with changed copies of that; the same
// ones in every run. Texts of the language come from the golden tests and examples, too.
//
// NNC_FUZZ_RUNS=N sets how many changed copies are tried.
#include "fuzz/targets.h"
#include "support/arena.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 8192, MAX_SEEDS = 1024 };

static uint64_t random_state;

static unsigned random_below(unsigned limit) { // xorshift64*
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (unsigned)((random_state * 2685821657736338717u) >> 33) % limit;
}

typedef struct Text {
    char at[MAX_TEXT];
    unsigned length;
} Text;

static Text seeds[MAX_SEEDS];
static unsigned seed_count;

static void read_seed(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || seed_count == MAX_SEEDS) return;
    Text *seed = &seeds[seed_count++];
    seed->length = (unsigned)fread(seed->at, 1, MAX_TEXT / 2, file);
    fclose(file);
}

// Those of a folder whose names end so; NULL: all.
static void read_seeds(const char *folder, const char *extension) {
    char top[512], path[1024];
    const char *root = getenv("NNC_SOURCE_DIR");
    snprintf(top, sizeof top, "%s/%s", root ? root : ".", folder);
    DIR *open = opendir(top);
    cr_assert(open, "%s is missing", top);
    for (const struct dirent *entry; (entry = readdir(open));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (*entry->d_name == '.' || (extension && (!dot || strcmp(dot, extension)))) continue;
        snprintf(path, sizeof path, "%s/%s", top, entry->d_name);
        read_seed(path);
    }
    closedir(open);
    cr_assert_gt(seed_count, 0);
}

// Replaces `old` bytes at `at` by `length` others, as far as there is room.
static void replace(Text *text, unsigned at, unsigned old, const char *with, unsigned length) {
    if (text->length - old + length > MAX_TEXT) return;
    char copy[MAX_TEXT];
    memcpy(copy, with, length);
    memmove(text->at + at + length, text->at + at + old, text->length - at - old);
    memcpy(text->at + at, copy, length);
    text->length += length - old;
}

static void mutate(Text *text) {
    static const char *const words[] = {"(",
                                        ")",
                                        "[",
                                        "]",
                                        "{",
                                        "}",
                                        "|>",
                                        "..",
                                        "'",
                                        "\n",
                                        ";",
                                        "if ",
                                        "then ",
                                        "else ",
                                        "fn ",
                                        "layer ",
                                        "sum[i] ",
                                        "as x",
                                        "\"",
                                        "1e999",
                                        "-",
                                        "^",
                                        "%0",
                                        "=",
                                        ":",
                                        ",",
                                        "N",
                                        "f32",
                                        "9223372036854775807",
                                        "\0",
                                        "\xff",
                                        "#",
                                        "_",
                                        "0",
                                        "not ",
                                        "/"};
    unsigned at = random_below(text->length + 1), rest = text->length - at;
    unsigned some = rest ? random_below(rest < 16 ? rest : 16) + 1 : 0;
    const Text *other = &seeds[random_below(seed_count)];
    const char *word = words[random_below(sizeof words / sizeof *words)];
    char byte = (char)random_below(256);
    switch (random_below(5)) {
    case 0:
        replace(text, at, some, "", 0);
        break;
    case 1:
        replace(text, at, rest ? 1 : 0, &byte, 1);
        break;
    case 2:
        replace(text, at, 0, word, (unsigned)(*word ? strlen(word) : 1));
        break;
    case 3: // a piece of itself, again
        replace(text, random_below(text->length + 1), 0, text->at + at, some);
        break;
    case 4: { // a piece of another
        unsigned from = random_below(other->length + 1), left = other->length - from;
        replace(text, at, some, other->at + from, left ? random_below(left < 64 ? left : 64) : 0);
    }
    }
}

static const FuzzTarget *find_target(const char *name) {
    const FuzzTarget *target = fuzz_targets;
    while (target->name && strcmp(target->name, name) != 0)
        target++;
    return target->name ? target : NULL;
}

static void run(const char *name, int runs) {
    static char message[2 * MAX_TEXT], folder[100];
    static Text text;
    const FuzzTarget *target = find_target(name);
    const char *set = getenv("NNC_FUZZ_RUNS");
    if (!target) cr_skip_test("built without the library that reads it");
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", name);
    read_seeds(folder, NULL);
    random_state = 88172645463325252u;
    for (unsigned i = 0; i < seed_count + (unsigned)(set ? atoi(set) : runs); i++) {
        text = seeds[i < seed_count ? i : random_below(seed_count)];
        for (unsigned k = i < seed_count ? 0 : 1 + random_below(5); k > 0; k--)
            mutate(&text);
        const char *wrong = target->run(text.at, text.length, message, sizeof message);
        cr_assert_null(wrong, "run %u: %s\n%.*s", i, wrong, (int)text.length, text.at);
    }
}

Test(fuzz, nnd) {
    read_seeds("tests/golden/parse", ".nnd");
    run("nnd", 4000);
}

Test(fuzz, graph) {
    read_seeds("tests/golden/graph", ".graph");
    run("graph", 4000);
}

Test(fuzz, elaborate) {
    read_seeds("examples", ".nnd");
    read_seeds("tests/golden/elab", ".nnd");
    run("elaborate", 500);
}

Test(fuzz, compile) { run("compile", 50); }
Test(fuzz, expr) { run("expr", 4000); }
Test(fuzz, checkpoint) { run("checkpoint", 1000); }
Test(fuzz, idx) { run("idx", 500); }
Test(fuzz, idx_gz) { run("idx_gz", 500); }
Test(fuzz, csv) { run("csv", 1000); }
Test(fuzz, cifar10) { run("cifar10", 200); }
Test(fuzz, json) { run("json", 4000); }
Test(fuzz, log) { run("log", 500); }
Test(fuzz, png) { run("png", 500); }
Test(fuzz, tuning) { run("tuning", 1000); }
Test(fuzz, object) { run("object", 500); }
