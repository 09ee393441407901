// SPDX-License-Identifier: MIT
// JSON (RFC 8259): see json.h.
#include "json.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32 };

// --- Writing

// Length of the UTF-8 sequence at `s`; 0 where there is none (overlong, surrogate, above U+10FFFF,
// cut off).
static int utf8_length(const unsigned char *s) {
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    int length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
    return length;
}

void nnc_json_write_string(FILE *out, const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    fputc('"', out);
    while (*s) {
        int length = utf8_length(s);
        if (length == 0)
            fputs("\\ufffd", out);
        else if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if (*s == '\n')
            fputs("\\n", out);
        else if (*s < ' ' || *s == 127)
            fprintf(out, "\\u%04x", *s);
        else
            fwrite(s, 1, (size_t)length, out);
        s += length ? length : 1;
    }
    fputc('"', out);
}

void nnc_json_write_number(FILE *out, double number) {
    char text[32];
    if (!isfinite(number)) {
        fputs("null", out);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number) break;
    }
    fputs(text, out);
}

// --- Reading

NncJson nnc_json(const char *text, size_t size) { return (NncJson){.text = text, .size = size}; }

bool nnc_json_fail(NncJson *json, const char *problem) {
    if (!json->problem) json->problem = problem;
    return false;
}

// The next byte, 0 at the end and after a problem (a NUL in the text is nowhere allowed).
static char peek(const NncJson *json) {
    return json->problem || json->at >= json->size ? 0 : json->text[json->at];
}

static char peek_token(NncJson *json) {
    while (peek(json) && strchr(" \t\r\n", peek(json)))
        json->at++;
    return peek(json);
}

static bool take(NncJson *json, char c, const char *problem) {
    if (peek_token(json) != c) return nnc_json_fail(json, problem);
    json->at++;
    return true;
}

bool nnc_json_enter(NncJson *json, char bracket) {
    if (!take(json, bracket, bracket == '{' ? "expected {" : "expected [")) return false;
    if (++json->depth > MAX_DEPTH) return nnc_json_fail(json, "nested too deeply");
    json->first = true;
    return true;
}

// Goes to the next member of the innermost bracket; false at its end, which is read.
static bool next_member(NncJson *json, char end, const char *problem) {
    if (peek_token(json) == end) {
        json->at++;
        json->depth--;
        json->first = false; // the bracket itself was a member of the one around it
        return false;
    }
    if (!json->first && !take(json, ',', problem)) return false;
    json->first = false;
    return !json->problem;
}

bool nnc_json_item(NncJson *json) { return next_member(json, ']', "expected , or ]"); }

bool nnc_json_key(NncJson *json, char **key) {
    *key = NULL;
    if (!next_member(json, '}', "expected , or }") || !nnc_json_string(json, key)) return false;
    if (take(json, ':', "expected :")) return true;
    free(*key);
    *key = NULL;
    return false;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The four digits after \u; -1 where they are not that.
static long four_digits(NncJson *json) {
    long code = 0;
    for (int i = 0; i < 4; i++, json->at++) {
        int digit = hex_digit(peek(json));
        if (digit < 0) return -1;
        code = code * 16 + digit;
    }
    return code;
}

// What stands after \u, surrogate pairs put together, as UTF-8 at `to`; its length, 0 on a problem.
static int read_code_point(NncJson *json, char *to) {
    long code = four_digits(json);
    if (code >= 0xd800 && code < 0xdc00 && peek(json) == '\\') {
        json->at++;
        bool low = peek(json) == 'u';
        json->at += low;
        long second = low ? four_digits(json) : -1;
        code = second >= 0xdc00 && second < 0xe000
                   ? 0x10000 + ((code - 0xd800) << 10) + second - 0xdc00
                   : -1;
    }
    if (code <= 0 || (code >= 0xd800 && code < 0xe000)) {
        nnc_json_fail(json, "bad \\u escape");
        return 0;
    }
    if (code < 0x80) return to[0] = (char)code, 1;
    int length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)((0xf0 << (4 - length) & 0xff) | code);
    return length;
}

static int read_escape(NncJson *json, char *to) {
    const char *letters = "\"\\/bfnrt", *values = "\"\\/\b\f\n\r\t";
    char c = peek(json);
    const char *known = c ? strchr(letters, c) : NULL;
    if (c) json->at++;
    if (known) return to[0] = values[known - letters], 1;
    if (c == 'u') return read_code_point(json, to);
    nnc_json_fail(json, "unknown escape");
    return 0;
}

bool nnc_json_string(NncJson *json, char **text) {
    *text = NULL;
    if (!take(json, '"', "expected a string")) return false;
    const char *end = json->text + json->at;
    const char *limit = json->text + json->size;
    while (end < limit && *end != '"')
        end += *end == '\\' && end + 1 < limit ? 2 : 1;
    // No escape is shorter than what it stands for.
    char *to = malloc((size_t)(end - (json->text + json->at)) + 1);
    if (!to) return nnc_json_fail(json, "no memory");
    size_t length = 0;
    while (!json->problem && peek(json) != '"') {
        char c = peek(json);
        if ((unsigned char)c < ' ') {
            nnc_json_fail(json, json->at < json->size ? "control character in a string"
                                                      : "string without end");
        } else {
            json->at++;
            if (c == '\\')
                length += (size_t)read_escape(json, to + length);
            else
                to[length++] = c;
        }
    }
    to[length] = 0;
    if (json->problem) {
        free(to);
        return false;
    }
    json->at++;
    *text = to;
    return true;
}

bool nnc_json_number(NncJson *json, double *number) {
    char digits[64];
    size_t length = 0;
    peek_token(json);
    while (peek(json) && strchr("+-.0123456789eE", peek(json)) && length + 1 < sizeof digits)
        digits[length++] = json->text[json->at++];
    digits[length] = 0;
    char *end = digits;
    *number = length && strchr("-0123456789", digits[0]) ? strtod(digits, &end) : 0;
    if (length && end == digits + length && isfinite(*number)) return true;
    return nnc_json_fail(json, "expected a number");
}

bool nnc_json_integer(NncJson *json, long long *integer) {
    char digits[24];
    size_t length = 0;
    peek_token(json);
    while (peek(json) && strchr("-0123456789", peek(json)) && length + 1 < sizeof digits)
        digits[length++] = json->text[json->at++];
    digits[length] = 0;
    char *end = digits;
    errno = 0;
    *integer = length ? strtoll(digits, &end, 10) : 0;
    if (length && end == digits + length && !errno) return true;
    return nnc_json_fail(json, "expected an integer");
}

bool nnc_json_skip(NncJson *json) {
    char *text = NULL;
    double number;
    switch (peek_token(json)) {
    case '{':
        for (nnc_json_enter(json, '{'); nnc_json_key(json, &text); free(text))
            nnc_json_skip(json);
        break;
    case '[':
        for (nnc_json_enter(json, '['); nnc_json_item(json);)
            nnc_json_skip(json);
        break;
    case '"':
        nnc_json_string(json, &text);
        free(text);
        break;
    case 't':
    case 'f':
    case 'n':
        for (const char *word = peek(json) == 't'   ? "true"
                                : peek(json) == 'f' ? "false"
                                                    : "null";
             *word; word++)
            if (!take(json, *word, "expected true, false or null")) break;
        break;
    default:
        nnc_json_number(json, &number);
    }
    return !json->problem;
}

bool nnc_json_end(NncJson *json) {
    peek_token(json);
    if (!json->problem && json->at < json->size) nnc_json_fail(json, "expected the end");
    return !json->problem;
}
