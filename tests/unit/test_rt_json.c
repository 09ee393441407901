// SPDX-License-Identifier: MIT
// Writing and reading JSON.
#include "json.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static char *written(const char *text) {
    char *json = NULL;
    size_t size;
    FILE *out = open_memstream(&json, &size);
    nnc_json_write_string(out, text);
    fclose(out);
    return json;
}

static void expect_written(const char *text, const char *expected) {
    char *json = written(text);
    cr_assert_str_eq(json, expected);
    free(json);
}

Test(rt_json, strings_are_escaped) {
    expect_written("plain", "\"plain\"");
    expect_written("a\"b\\c\nd\x01\x7f", "\"a\\\"b\\\\c\\nd\\u0001\\u007f\"");
    expect_written("Zürich €", "\"Zürich €\"");
    expect_written("\xf0\x9f\x8c\x8d", "\"\xf0\x9f\x8c\x8d\"");
    expect_written("\xff", "\"\\ufffd\"");
    expect_written("\xc0\x80 \xed\xa0\x80 \xe2\x82",
                   "\"\\ufffd\\ufffd \\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\"");
}

Test(rt_json, strings_come_back) {
    char text[256], *again;
    for (int i = 0; i < 127; i++)
        text[i] = (char)(i + 1);
    strcpy(text + 127, "äß€\xf0\x9f\x8c\x8d");
    char *json = written(text);
    NncJson reader = nnc_json(json, strlen(json));
    cr_assert(nnc_json_string(&reader, &again) && nnc_json_end(&reader), "%s", reader.problem);
    cr_assert_str_eq(again, text);
    free(again);
    free(json);
}

Test(rt_json, escapes_of_others_are_read) {
    char *text;
    const char *json = "\"\\u00e4\\u20ac\\ud83c\\udf0d\\/\\b\\f\\r\\t\"";
    NncJson reader = nnc_json(json, strlen(json));
    cr_assert(nnc_json_string(&reader, &text), "%s", reader.problem);
    cr_assert_str_eq(text, "ä€\xf0\x9f\x8c\x8d/\b\f\r\t");
    free(text);
}

Test(rt_json, numbers_come_back) {
    static const double numbers[] = {0,    -1,      0.1,      1e-300, 3.0000000000000004,
                                     1e22, -2.5e-8, 123456789};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[64];
        double again;
        FILE *out = fmemopen(text, sizeof text, "w");
        nnc_json_write_number(out, numbers[i]);
        fclose(out);
        NncJson reader = nnc_json(text, strlen(text));
        cr_assert(nnc_json_number(&reader, &again) && nnc_json_end(&reader), "%s", text);
        cr_assert_eq(again, numbers[i], "%s", text);
    }
}

Test(rt_json, structures_are_walked) {
    const char *json = " { \"a\" : [ 1 , -22, [ ], {} ] , \"b\":{\"c\":true,\"d\":null}, "
                       "\"e\":[{\"f\":[false]},\"g\"] } ";
    char keys[8] = "", *key;
    NncJson reader = nnc_json(json, strlen(json));
    long long sum = 0, number;
    for (nnc_json_enter(&reader, '{'); nnc_json_key(&reader, &key); free(key)) {
        strcat(keys, key);
        if (strcmp(key, "a")) {
            nnc_json_skip(&reader);
            continue;
        }
        for (nnc_json_enter(&reader, '['); nnc_json_item(&reader);)
            if (sum > -21 && nnc_json_integer(&reader, &number))
                sum += number;
            else
                nnc_json_skip(&reader);
    }
    cr_assert(nnc_json_end(&reader), "%s at %zu", reader.problem, reader.at);
    cr_assert_str_eq(keys, "abe");
    cr_assert_eq(sum, -21);
}

Test(rt_json, what_is_no_json_is_refused) {
    static const char *const wrong[] = {"",          "{",
                                        "{\"a\"}",   "{\"a\":1,}",
                                        "[1 2]",     "[1,]",
                                        "\"",        "\"\\x\"",
                                        "\"\\u12\"", "\"\\ud800\"",
                                        "\"\n\"",    "\"\\u0000\"",
                                        "tru",       "nul",
                                        "-",         "1e",
                                        "[1}",       "{1:2}",
                                        "1 2",       "[,1]",
                                        "\"\\",      "{\"a\":1 \"b\":2}",
                                        "99e999"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        NncJson reader = nnc_json(wrong[i], strlen(wrong[i]));
        nnc_json_skip(&reader);
        cr_assert_not(nnc_json_end(&reader), "%s", wrong[i]);
    }
    char deep[200];
    memset(deep, '[', sizeof deep);
    NncJson reader = nnc_json(deep, sizeof deep);
    nnc_json_skip(&reader);
    cr_assert_str_eq(reader.problem, "nested too deeply");
}

Test(rt_json, cut_off_anywhere_it_is_refused_within_its_bytes) {
    const char *json = "{\"a\\u00e4\":[1.5,true,{\"b\":\"\\ud83c\\udf0d\"}],\"c\":null}";
    for (size_t size = 0; size < strlen(json); size++) {
        char *part = malloc(size + !size); // so that reading beyond is found
        memcpy(part, json, size);
        NncJson reader = nnc_json(part, size);
        nnc_json_skip(&reader);
        cr_assert_not(nnc_json_end(&reader), "%zu", size);
        free(part);
    }
}
