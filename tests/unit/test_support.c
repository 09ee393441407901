// SPDX-License-Identifier: MIT
// Arena, buffer, map, and the messages' exact text.
#include "nnc.h"
#include "support/arena.h"
#include "support/buf.h"
#include "support/diag.h"
#include "support/map.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Arena *arena;

static void set_up(void) { arena = arena_new(); }
static void tear_down(void) { arena_free(arena); }

TestSuite(support, .init = set_up, .fini = tear_down);

Test(support, arena_gives_zeroed_aligned_memory_of_any_size) {
    for (size_t size = 0; size < 200000; size = size * 3 + 1) {
        unsigned char *memory = arena_alloc(arena, size);
        cr_assert_eq((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(memory[i], 0);
        memset(memory, 0xAA, size); // the next one must still be zero
    }
}

Test(support, arena_vectors_keep_their_items) {
    VEC(int) numbers = {0};
    for (int i = 0; i < 1000; i++)
        VEC_PUSH(arena, numbers, i * i);
    cr_assert_eq(numbers.count, 1000);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(numbers.at[i], i * i);
}

Test(support, arena_texts) {
    cr_assert_str_eq(arena_printf(arena, "%s_%d", "conv2d", 1), "conv2d_1");
    cr_assert_str_eq(arena_strndup(arena, "weight", 3), "wei");
    arena_free(NULL);
}

Test(support, arena_out_of_memory_is_our_bug, .exit_code = 3) { arena_alloc(arena, SIZE_MAX / 2); }

Test(support, buffer_grows) {
    Buf buf = buf_new(arena);
    cr_assert_str_eq(buf.text, "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&buf, "%03d,", i);
    buf_add_n(&buf, "end, not this", 3);
    cr_assert_eq(buf.length, 4003);
    cr_assert_eq(strlen(buf.text), 4003);
    cr_assert_str_eq(buf.text + 3996, "999,end");
}

Test(support, map_finds_what_was_put) {
    Map *map = map_new(arena);
    static int values[3000];
    for (int i = 0; i < 3000; i++)
        map_put(map, arena_printf(arena, "key%d", i), &values[i]);
    map_put(map, "key7", &values[8]);
    for (int i = 0; i < 3000; i++)
        cr_assert_eq(map_get(map, arena_printf(arena, "key%d", i)), &values[i == 7 ? 8 : i]);
    cr_assert_null(map_get(map, "key3000"));
    cr_assert_null(map_get(map, ""));
}

Test(support, map_copies_its_keys_and_compares_all_bytes) {
    Map *map = map_new(arena);
    char key[] = {0, 1, 0, 2};
    map_put_bytes(map, key, sizeof key, key);
    char probe[] = {0, 1, 0, 2};
    cr_assert_eq(map_get_bytes(map, probe, sizeof probe), key);
    cr_assert_null(map_get_bytes(map, probe, 3));
    key[3] = 9;
    cr_assert_eq(map_get_bytes(map, probe, sizeof probe), key);
}

// --- Messages

static const char *const network = "model Net {\n"
                                   "  input x: f32[N, 64]\n"
                                   "\ty = x |> linear(10)\n"
                                   "}\n";

static Span span_of(const Source *source, const char *part) {
    unsigned start = (unsigned)(strstr(source->text, part) - source->text);
    return (Span){source, start, start + (unsigned)strlen(part)};
}

Test(support, diag_shows_the_place) {
    const Source *source = source_from_text(arena, "net.nnd", network);
    Diag *diag = diag_new(arena);
    diag_error(diag, span_of(source, "linear"), "linear: x is [N, %d]", 64);
    diag_note(diag, span_of(source, "64"), "64 comes from here");
    diag_hint(diag, "did you mean linear(64)?");
    cr_assert_eq(diag_error_count(diag), 1);
    cr_assert_str_eq(diag_text(diag, arena), "net.nnd:3:11: error: linear: x is [N, 64]\n"
                                             "   3 | \ty = x |> linear(10)\n"
                                             "     | \t         ^~~~~~\n"
                                             "net.nnd:2:19: note: 64 comes from here\n"
                                             "     = hint: did you mean linear(64)?\n");
}

Test(support, diag_sorts_by_place_and_prints_equal_errors_once) {
    const Source *first = source_from_text(arena, "a.nnd", "one two\n");
    const Source *second = source_from_text(arena, "b.nnd", "three\n");
    Diag *diag = diag_new(arena);
    diag_error(diag, span_of(first, "two"), "late");
    diag_error(diag, span_of(second, "three"), "other file");
    diag_error(diag, SPAN_NONE, "nowhere");
    diag_error(diag, span_of(first, "one"), "early");
    diag_note(diag, SPAN_NONE, "belongs to early");
    diag_error(diag, span_of(first, "two"), "late");
    cr_assert_str_eq(diag_text(diag, arena), "a.nnd:1:1: error: early\n"
                                             "   1 | one two\n"
                                             "     | ^~~\n"
                                             "note: belongs to early\n"
                                             "a.nnd:1:5: error: late\n"
                                             "   1 | one two\n"
                                             "     |     ^~~\n"
                                             "b.nnd:1:1: error: other file\n"
                                             "   1 | three\n"
                                             "     | ^~~~~\n"
                                             "error: nowhere\n");
}

Test(support, diag_at_the_end_of_the_text_and_across_lines) {
    const Source *source = source_from_text(arena, "x", "ab\ncd");
    Diag *diag = diag_new(arena);
    diag_error(diag, (Span){source, 1, 5}, "across");
    diag_error(diag, (Span){source, 5, 5}, "end");
    cr_assert_str_eq(diag_text(diag, arena), "x:1:2: error: across\n"
                                             "   1 | ab\n"
                                             "     |  ^\n"
                                             "x:2:3: error: end\n"
                                             "   2 | cd\n"
                                             "     |   ^\n");
}

Test(support, diag_counts_characters_and_hides_control_bytes) {
    const Source *source = source_from_text(arena, "x", "\"\xc3\xa4\xc3\xb6\" \033[2J bad\r\n");
    Diag *diag = diag_new(arena);
    diag_error(diag, span_of(source, "bad"), "no");
    cr_assert_str_eq(diag_text(diag, arena), "x:1:13: error: no\n"
                                             "   1 | \"\xc3\xa4\xc3\xb6\" ?[2J bad\n"
                                             "     |           ^~~\n");
}

Test(support, diag_hides_control_bytes_of_names) {
    const Source *source = source_from_text(arena, "a\033[2J\xff.nnd", "bad\n");
    Diag *diag = diag_new(arena);
    diag_error(diag, span_of(source, "bad"), "no '%s'", "\033]0;title\a");
    cr_assert_str_eq(diag_text(diag, arena), "a?[2J?.nnd:1:1: error: no '?]0;title?'\n"
                                             "   1 | bad\n"
                                             "     | ^~~\n");
}

Test(support, diag_shows_a_part_of_a_long_line) {
    char *text = arena_alloc(arena, 5001);
    memset(text, 'x', 5000);
    text[3000] = 'E';
    const Source *source = source_from_text(arena, "x", text);
    Diag *diag = diag_new(arena);
    diag_error(diag, (Span){source, 3000, 3001}, "here");
    const char *shown = diag_text(diag, arena);
    cr_assert_lt(strlen(shown), 300);
    const char *line = strchr(shown, '\n') + 1, *caret = strchr(line, '\n') + 1;
    cr_assert_eq(strchr(line, 'E') - line, strchr(caret, '^') - caret);
}

Test(support, diag_colors_are_for_terminals) {
    Diag *diag = diag_new(arena);
    diag_error(diag, SPAN_NONE, "bad");
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    diag_print(diag, out, true);
    fclose(out);
    cr_assert_str_eq(text, "\033[1;31merror:\033[0m bad\n");
    free(text);
}

Test(support, spans_join) {
    const Source *source = source_from_text(arena, "x", "abc\ndef\n");
    Span joined = span_join((Span){source, 4, 5}, (Span){source, 1, 2});
    cr_assert_eq(joined.start, 1);
    cr_assert_eq(joined.end, 5);
    cr_assert_eq(span_join(SPAN_NONE, joined).end, 5);
    cr_assert_eq(span_line((Span){source, 4, 5}), 2);
    cr_assert_eq(span_column((Span){source, 6, 7}), 3);
}

Test(support, nearest_names) {
    const char *const names[] = {"linear", "conv2d", "relu", "max_pool"};
    cr_assert_str_eq(nnc_nearest("linaer", names, 4), "linear");
    cr_assert_str_eq(nnc_nearest("Relu", names, 4), "relu");
    cr_assert_str_eq(nnc_nearest("maxpool", names, 4), "max_pool");
    cr_assert_null(nnc_nearest("dropout", names, 4));
    cr_assert_null(nnc_nearest("x", names, 4));
    cr_assert_null(nnc_nearest("", names, 4));
}

Test(support, source_files) {
    char path[] = "/tmp/nnc-test-XXXXXX";
    int file = mkstemp(path);
    cr_assert_eq(write(file, "a\nb", 3), 3);
    const char *error = NULL;
    const Source *source = source_read(arena, path, &error);
    cr_assert_eq(source->length, 3);
    cr_assert_str_eq(source->text, "a\nb");
    cr_assert_str_eq(source->name, path);
    cr_assert_eq(write(file, "\0x", 2), 2);
    close(file);
    cr_assert_null(source_read(arena, path, &error));
    cr_assert_str_eq(error, "is no text: it holds a zero byte");
    unlink(path);
    cr_assert_null(source_read(arena, path, &error));
    cr_assert_str_eq(error, "cannot be opened: No such file or directory");
    cr_assert_null(source_read(arena, "/tmp", &error));
    cr_assert_str_eq(error, "cannot be read: Is a directory");
}
