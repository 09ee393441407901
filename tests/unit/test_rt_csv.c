// SPDX-License-Identifier: MIT
// Tables: what a CSV file is read as, how its columns are taken, what is said of wrong ones. And
// the sources of drawn points.
#include "columns.h"
#include "csv.h"
#include "rt_program.h"
#ifdef NNC_HAVE_ZLIB
#include <zlib.h>
#endif

static const char *folder;
static NncSource source;
static NncColumns columns;

static void set_up(void) { folder = rt_folder(); }

static void tear_down(void) {
    nnc_columns_free(&columns);
    nnc_source_close(&source);
    rt_remove_folder(folder);
}

TestSuite(rt_csv, .init = set_up, .fini = tear_down);

static NncStatus open_with(const NncArgument *argument, int count, NncError *error) {
    nnc_source_close(&source);
    return nnc_source_open(&source, &(NncCall){"csv", NULL, argument, count}, NULL, error);
}

// All rows to train on.
static NncStatus open_text(const char *text, NncError *error) {
    const NncArgument arguments[] = {{"", "a.csv", 0}, {"test", NULL, 0}};
    rt_write_file(folder, "a.csv", text, strlen(text));
    return open_with(arguments, 2, error);
}

static void open_ok(const char *text) {
    NncError error;
    cr_assert_eq(open_text(text, &error), NNC_OK, "%s", error.text);
}

static void expect_refused(const char *text, const char *says) {
    NncError error;
    cr_assert_eq(open_text(text, &error), NNC_ERROR_FORMAT, "expected: %s", says);
    cr_expect(strstr(error.text, says), "'%s' does not say '%s'", error.text, says);
}

// A number, or the name of a class.
static void expect_value(NncSplit split, long long row, int field, const char *wanted) {
    NncError error;
    char text[100];
    NncExample example = {split, row, malloc(source.example_bytes)};
    cr_assert_eq(source.read(&source, &example, &error), NNC_OK);
    const void *at = nnc_example_field(&example, &source.field[field]);
    if (source.field[field].kind == NNC_FIELD_LABEL)
        snprintf(text, sizeof text, "%s", source.field[field].class_name[*(const int *)at]);
    else
        snprintf(text, sizeof text, "%g", *(const float *)at);
    cr_expect_str_eq(text, wanted, "row %lld, field %d: '%s', not '%s'", row, field, text, wanted);
    free(example.values);
}

Test(rt_csv, numbers_are_reals_and_texts_are_labels) {
    open_ok("size,kind,weight\n1,pear,0.5\n-2.5e1,apple,1\n3, pear ,7\n");
    cr_assert_eq(source.field_count, 3);
    cr_assert_eq(source.count[NNC_SPLIT_TRAIN], 3);
    cr_assert_eq(source.field[0].kind, NNC_FIELD_REALS);
    cr_assert_eq(source.field[1].kind, NNC_FIELD_LABEL);
    cr_assert_eq(source.field[1].classes, 2);
    cr_assert_str_eq(source.field[1].class_name[0], "apple");
    expect_value(NNC_SPLIT_TRAIN, 1, 0, "-25");
    expect_value(NNC_SPLIT_TRAIN, 1, 1, "apple");
    expect_value(NNC_SPLIT_TRAIN, 2, 1, "pear");
    expect_value(NNC_SPLIT_TRAIN, 2, 2, "7");
}

Test(rt_csv, quotes_line_ends_and_marks_are_those_of_the_format) {
    open_ok("\xef\xbb\xbf\"a, b\",c\r\n\r\n1,\"say \"\"x\"\", y\"\r\n2,\"two\nlines\"\r3,z");
    cr_assert_str_eq(source.field[0].name, "a, b");
    cr_assert_eq(source.count[NNC_SPLIT_TRAIN], 3);
    expect_value(NNC_SPLIT_TRAIN, 0, 1, "say \"x\", y");
    expect_value(NNC_SPLIT_TRAIN, 1, 1, "two\nlines");
    expect_value(NNC_SPLIT_TRAIN, 2, 0, "3");
    char place[100];
    source.place(&source, &(NncExample){.index = 2}, place, sizeof place);
    cr_assert(strstr(place, "a.csv:6"), "%s", place);
}

Test(rt_csv, what_is_malformed_is_named_with_line_and_column) {
    expect_refused("", "a.csv:1:1: expected names of columns");
    expect_refused("a,b\n", "a.csv:2:1: there are no values");
    expect_refused("a,b\n1,2\n3\n", "a.csv:3:1: the line ends here: the value of b is missing");
    expect_refused("a,b\n1,2,3\n", "a.csv:2:5: more than the 2 values that have names");
    expect_refused("a,b\n1,\n", "a.csv:2:3: the value of b is missing");
    expect_refused("a,b\n1,2\n,2\n", "a.csv:3:1: the value of a is missing");
    expect_refused("a,a\n1,2\n", "a.csv:1:3: a second column named a");
    expect_refused("a,,c\n1,2,3\n", "a.csv:1:3: a column without a name");
    expect_refused("1,2\n3,4\n",
                   "a.csv:1:1: the first line names the columns, and '1' is a number");
    expect_refused("a,b\n1,\"x\n", "a.csv:2:3: this quote is never closed");
    expect_refused("a,b\n1,\"x\"y\n", "a.csv:2:3: expected ',' or the line's end");
    expect_refused("a,b\n1,x\"y\"\n", "a.csv:2:3: a quote within a value");
}

static void write_rows(const char *name, int count) {
    char text[8000] = "x,kind\n";
    for (int i = 0; i < count; i++)
        sprintf(text + strlen(text), "%d,%s\n", i, i % 3 ? "odd" : "third");
    rt_write_file(folder, name, text, strlen(text));
}

Test(rt_csv, a_part_is_drawn_to_test_on_and_each_row_is_in_one_split) {
    NncError error;
    const NncArgument arguments[] = {{"", "b.csv", 0}, {"test", NULL, 0.25}, {"seed", NULL, 3}};
    write_rows("b.csv", 200);
    bool seen[200] = {false}, first[200] = {false};
    for (int pass = 0; pass < 2; pass++) {
        NncArgument given[3] = {arguments[0], arguments[1], arguments[2]};
        given[2].number += pass;
        cr_assert_eq(open_with(given, 3, &error), NNC_OK, "%s", error.text);
        cr_assert_eq(source.count[NNC_SPLIT_TEST], 50);
        cr_assert_eq(source.count[NNC_SPLIT_TRAIN], 150);
        memset(seen, 0, sizeof seen);
        int same = 0;
        for (NncSplit split = 0; split < NNC_SPLITS; split++)
            for (long long i = 0; i < source.count[split]; i++) {
                float values[2];
                source.read(&source, &(NncExample){split, i, values}, &error);
                int row = (int)values[0];
                cr_assert_not(seen[row]);
                seen[row] = true;
                same += split == NNC_SPLIT_TEST && first[row];
                if (pass == 0) first[row] = split == NNC_SPLIT_TEST;
            }
        cr_assert(pass == 0 || same < 30, "another seed drew the same %d", same);
    }
}

Test(rt_csv, a_file_of_its_own_to_test_on_has_the_same_columns_and_classes) {
    NncError error;
    const NncArgument arguments[] = {{"", "b.csv", 0}, {"test", "c.csv", 0}};
    write_rows("b.csv", 20);
    write_rows("c.csv", 5);
    cr_assert_eq(open_with(arguments, 2, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(source.count[NNC_SPLIT_TEST], 5);
    expect_value(NNC_SPLIT_TEST, 3, 1, "third");
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"x,sort\n1,odd\n", "c.csv:1:3: expected the columns of b.csv: kind, found 'sort'"},
        {"x,kind\n1,even\n", "c.csv:2:3: 'even' is none of the 2 classes of kind in b.csv"},
        {"x,kind\none,odd\n", "c.csv:2:1: 'one' is no number, but all values of x are"}};
    for (int i = 0; i < 3; i++) {
        rt_write_file(folder, "c.csv", wrong[i].text, strlen(wrong[i].text));
        cr_assert_eq(open_with(arguments, 2, &error), NNC_ERROR_FORMAT);
        cr_expect(strstr(error.text, wrong[i].says), "%s", error.text);
    }
}

Test(rt_csv, names_and_separator_are_arguments) {
    NncError error;
    NncArgument arguments[] = {
        {"", "a.csv", 0}, {"test", NULL, 0}, {"separator", ";", 0}, {"names", "u, v", 0}};
    rt_write_file(folder, "a.csv", "1;x,y\n", 6);
    cr_assert_eq(open_with(arguments, 4, &error), NNC_OK, "%s", error.text);
    cr_assert_str_eq(source.field[1].name, "v");
    expect_value(NNC_SPLIT_TRAIN, 0, 1, "x,y");
    arguments[2].text = "::";
    cr_assert_eq(open_with(arguments, 4, &error), NNC_ERROR_VALUE);
    arguments[1].number = 1;
    cr_assert_eq(open_with(arguments, 2, &error), NNC_ERROR_VALUE);
    cr_assert(strstr(error.text, "from 0 to below 1"), "%s", error.text);
    arguments[0].text = "gone.csv";
    arguments[1].number = 0.2;
    cr_assert_eq(open_with(arguments, 2, &error), NNC_ERROR_FILE);
}

#ifdef NNC_HAVE_ZLIB
Test(rt_csv, compressed_files_are_the_same_and_truncated_ones_are_refused) {
    NncError error;
    size_t size;
    const NncArgument arguments[] = {{"", "b.csv.gz", 0}, {"test", NULL, 0}};
    write_rows("b.csv", 200);
    char *text = rt_file("b.csv", &size);
    gzFile file = gzopen("b.csv.gz", "wb");
    cr_assert(gzwrite(file, text, (unsigned)size) == (int)size && gzclose(file) == Z_OK);
    free(text);
    cr_assert_eq(open_with(arguments, 2, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(source.count[NNC_SPLIT_TRAIN], 200);
    text = rt_file("b.csv.gz", &size);
    rt_write_file(folder, "b.csv.gz", text, size / 2);
    cr_assert_eq(open_with(arguments, 2, &error), NNC_ERROR_FORMAT);
    cr_assert(strstr(error.text, "truncated"), "%s", error.text);
    free(text);
}
#endif

// --- Columns

static const NncColumn x4 = {"x", NNC_F32, 2, {8, 4}, 0, 0, false, true};
static const NncColumn x3 = {"x", NNC_F32, 2, {8, 3}, 0, 0, false, true};
static const NncColumn size = {"size", NNC_F32, 1, {8}, 0, 0, false, true};
static const NncColumn price = {"price", NNC_F32, 1, {8}, 256, 0, true, true};
static const NncColumn kind = {"kind", NNC_I32, 1, {8}, 256, 3, true, true};
static const char house[] = "a,price,b,size,kind\n1,2,3,4,red\n5,6,7,8,blue\n";

static NncStatus match(const NncColumn *input, int count, NncError *error) {
    static NncProgram program;
    static NncColumn inputs[4];
    program = (NncProgram){.input = inputs, .input_count = count};
    memcpy(inputs, input, (size_t)count * sizeof *input);
    nnc_columns_free(&columns);
    return nnc_columns_match(&columns, &program, &source, true, error);
}

static void expect_mismatch(const NncColumn *input, int count, const char *says) {
    NncError error;
    cr_assert_eq(match(input, count, &error), NNC_ERROR_MATCH, "expected: %s", says);
    cr_expect(strstr(error.text, says), "'%s' does not say '%s'", error.text, says);
}

Test(rt_csv, a_column_takes_its_name_and_one_all_numbers_that_are_left) {
    NncError error;
    float batch[128] = {0}, values[5];
    open_ok(house);
    cr_assert_eq(match((NncColumn[]){x3, price}, 2, &error), NNC_OK, "%s", error.text);
    NncExample example = {NNC_SPLIT_TRAIN, 1, values};
    source.read(&source, &example, &error);
    cr_assert_eq(nnc_columns_fill(&columns, &example, (char *)batch, 2, &error), NNC_OK);
    cr_assert(batch[6] == 5 && batch[7] == 7 && batch[8] == 8 && batch[64 + 2] == 6);
    cr_assert_eq(match((NncColumn[]){size, kind}, 2, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(nnc_columns_label(&columns), &source.field[4]);
}

Test(rt_csv, a_column_that_finds_nothing_is_named_with_what_there_is) {
    NncColumn prise = price, area = {"kind", NNC_F32, 1, {8}, 0, 0, false, true}, two = kind;
    prise.name = "prise";
    two.classes = 1;
    open_ok(house);
    expect_mismatch((NncColumn[]){x4, price}, 2,
                    "input x: f32[N, 4] takes 4 numbers, but csv has 3 that no column names: "
                    "a, b, size");
    expect_mismatch((NncColumn[]){x4, prise}, 2, "csv has no columns named x or prise");
    expect_mismatch(&area, 1, "input kind: f32[N] does not fit kind of csv: index(2)[N] (");
    expect_mismatch(&area, 1, "a.csv:2:9: 'red' is no number");
    expect_mismatch((NncColumn[]){size, two}, 2, "kind has 1 classes, but csv has 2");
    NncColumn word = {"sise", NNC_I32, 1, {8}, 0, 4, false, true};
    open_ok("size,weight\n1,2\n");
    expect_mismatch(&word, 1,
                    "nothing for the program's input sise: index(4)[N]; did you mean size?; "
                    "it has size: f32[N], weight: f32[N]");
}

Test(rt_csv, texts_of_too_many_kinds_are_no_label_and_the_first_of_them_is_named) {
    NncError error;
    size_t length;
    char *text = NULL;
    FILE *file = open_memstream(&text, &length);
    fprintf(file, "size,kind\n");
    for (int i = 0; i < 5000; i++)
        fprintf(file, "%d,k%d\n", i, i);
    fclose(file);
    open_ok(text);
    free(text);
    cr_assert_eq(match(&size, 1, &error), NNC_OK, "%s", error.text); // nobody asks for them
    expect_mismatch(&kind, 1, "target kind: index(3)[N] does not fit kind of csv: texts (");
    expect_mismatch(&kind, 1, "a.csv:4098:6: 'k4096' is its text number 4097, a label has up to 4096");
    expect_value(NNC_SPLIT_TRAIN, 4999, 0, "4999");
}

Test(rt_csv, a_number_that_is_no_class_is_named_with_its_line) {
    NncError error;
    float batch[128], value;
    open_ok("kind\n2\n1.5\n3\n");
    cr_assert_eq(match(&kind, 1, &error), NNC_OK, "%s", error.text);
    NncExample example = {NNC_SPLIT_TRAIN, 0, &value};
    for (; example.index < 3; example.index++) {
        source.read(&source, &example, &error);
        NncStatus status = nnc_columns_fill(&columns, &example, (char *)batch, 0, &error);
        cr_assert_eq(status, example.index ? NNC_ERROR_VALUE : NNC_OK);
    }
    cr_assert(strstr(error.text, "a.csv:4: the label is 3, but kind is to be below 3"), "%s",
              error.text);
}

// --- Points

static void open_points(const char *name, const NncArgument *argument, int count) {
    NncError error;
    nnc_source_close(&source);
    NncCall call = {name, NULL, argument, count};
    cr_assert_eq(nnc_source_open(&source, &call, NULL, &error), NNC_OK, "%s", error.text);
}

Test(rt_csv, two_blobs_of_a_radius_below_one_are_separated_by_the_line_between_their_centres) {
    for (int wide = 0; wide < 2; wide++) {
        const NncArgument arguments[] = {
            {"radius", NULL, wide ? 1.3 : 0.9}, {"axes", NULL, 3}, {"train", NULL, 500}};
        open_points("blobs", arguments, 3);
        NncError error;
        char values[64];
        double normal[3] = {0};
        NncExample example = {.values = values};
        const float *x = nnc_example_field(&example, &source.field[0]);
        const int *label = nnc_example_field(&example, &source.field[1]);
        for (; example.index < 500; example.index++) {
            source.read(&source, &example, &error);
            cr_assert_eq(*label, example.index % 2);
            for (int i = 0; i < 3; i++)
                normal[i] += (*label ? -x[i] : x[i]) / 500;
        }
        int wrong = 0;
        for (example.index = 0; example.index < 500; example.index++) {
            source.read(&source, &example, &error);
            wrong += (x[0] * normal[0] + x[1] * normal[1] + x[2] * normal[2] > 0) != (*label == 0);
        }
        cr_assert(wide ? wrong > 0 : wrong == 0, "%d on the wrong side", wrong);
    }
}

Test(rt_csv, points_fill_their_range_and_are_always_the_same) {
    const NncArgument arguments[] = {{"axes", NULL, 2}, {"low", NULL, -3}, {"high", NULL, 5}};
    NncError error;
    float x[2], again[2], low = 5, high = -3;
    open_points("points", arguments, 3);
    for (int i = 0; i < 1000; i++) {
        source.read(&source, &(NncExample){NNC_SPLIT_TRAIN, i, x}, &error);
        source.read(&source, &(NncExample){NNC_SPLIT_TRAIN, i, again}, &error);
        cr_assert(!memcmp(x, again, sizeof x));
        source.read(&source, &(NncExample){NNC_SPLIT_TEST, i % 200, again}, &error);
        cr_assert(memcmp(x, again, sizeof x));
        low = fminf(low, fminf(x[0], x[1]));
        high = fmaxf(high, fmaxf(x[0], x[1]));
    }
    cr_assert(low >= -3 && low < -2.9 && high < 5 && high > 4.9, "%g %g", low, high);
}
