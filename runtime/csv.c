// SPDX-License-Identifier: MIT
// Comma-separated values: see csv.h.
#include "csv.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

NncCsv nnc_csv(const char *path, const char *text, size_t size, char separator) {
    NncCsv csv = {.path = path, .text = text, .size = size, .separator = separator, .at_line = 1};
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) csv.at = csv.line_start = 3;
    return csv;
}

NncStatus nnc_csv_error(const NncCsv *csv, NncError *error, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return nnc_error(error, NNC_ERROR_FORMAT, "%s:%lld:%lld: %s", csv->path, csv->line, csv->column,
                     text);
}

bool nnc_csv_number(const char *text, float *number) {
    char *end;
    *number = (float)strtod(text, &end);
    return end != text && !*end && isfinite(*number);
}

// --- Bytes

static bool is_end(const NncCsv *csv) { return csv->at >= csv->size; }
static bool is_newline(const NncCsv *csv) {
    return !is_end(csv) && (csv->text[csv->at] == '\n' || csv->text[csv->at] == '\r');
}

// LF, CR LF or CR.
static void skip_newline(NncCsv *csv) {
    bool pair = csv->text[csv->at] == '\r' && csv->at + 1 < csv->size;
    csv->at += pair && csv->text[csv->at + 1] == '\n' ? 2 : 1;
    csv->at_line++;
    csv->line_start = csv->at;
}

static void skip_blanks(NncCsv *csv) {
    while (!is_end(csv) && csv->text[csv->at] != csv->separator &&
           (csv->text[csv->at] == ' ' || csv->text[csv->at] == '\t'))
        csv->at++;
}

static NncStatus add_byte(NncCsv *csv, char byte, NncError *error) {
    if (csv->length + 1 >= csv->room) {
        size_t room = csv->room ? 2 * csv->room : 64;
        char *grown = realloc(csv->value, room);
        if (!grown) return nnc_error(error, NNC_ERROR_MEMORY, "%s: no memory", csv->path);
        csv->value = grown;
        csv->room = room;
    }
    csv->value[csv->length++] = byte;
    csv->value[csv->length] = 0;
    return NNC_OK;
}

static void empty_value(NncCsv *csv) {
    csv->length = 0;
    if (csv->value) *csv->value = 0;
}

// --- Values

bool nnc_csv_more(NncCsv *csv) {
    for (;;) {
        size_t start = csv->at;
        skip_blanks(csv);
        if (is_end(csv)) return false;
        if (!is_newline(csv)) {
            csv->at = start;
            return true;
        }
        skip_newline(csv);
    }
}

// Behind the opening quote, up to behind the closing one.
static NncStatus read_quoted(NncCsv *csv, NncError *error) {
    NncStatus status = NNC_OK;
    while (!status) {
        if (is_end(csv)) return nnc_csv_error(csv, error, "this quote is never closed");
        char byte = csv->text[csv->at];
        if (byte == '"') {
            csv->at++;
            if (is_end(csv) || csv->text[csv->at] != '"') return NNC_OK;
        }
        status = byte ? add_byte(csv, byte, error) : nnc_csv_error(csv, error, "a zero byte");
        if (is_newline(csv))
            skip_newline(csv);
        else
            csv->at++;
    }
    return status;
}

static NncStatus read_plain(NncCsv *csv, NncError *error) {
    NncStatus status = NNC_OK;
    for (; !status && !is_end(csv) && !is_newline(csv); csv->at++) {
        char byte = csv->text[csv->at];
        if (byte == csv->separator) break;
        if (byte == '"')
            return nnc_csv_error(csv, error, "a quote within a value that does not begin with one");
        status = byte ? add_byte(csv, byte, error)
                      : nnc_csv_error(csv, error, "a zero byte: this is no text");
    }
    while (csv->length && strchr(" \t", csv->value[csv->length - 1]))
        csv->value[--csv->length] = 0;
    return status;
}

NncStatus nnc_csv_value(NncCsv *csv, NncError *error) {
    NncStatus status;
    empty_value(csv);
    skip_blanks(csv);
    csv->line = csv->at_line;
    csv->column = (long long)(csv->at - csv->line_start) + 1;
    if (!is_end(csv) && csv->text[csv->at] == '"') {
        csv->at++;
        status = read_quoted(csv, error);
        skip_blanks(csv);
    } else {
        status = read_plain(csv, error);
    }
    if (status) return status;
    // The value of a text that has none is "", not NULL.
    if (!csv->value && (status = add_byte(csv, 0, error))) return status;
    if (!csv->length || !csv->value[0]) empty_value(csv);
    csv->last = is_end(csv) || is_newline(csv);
    if (!csv->last && csv->text[csv->at] != csv->separator)
        return nnc_csv_error(csv, error, "expected '%c' or the line's end behind the quote",
                             csv->separator);
    if (!is_end(csv)) {
        if (csv->last)
            skip_newline(csv);
        else
            csv->at++;
    }
    return NNC_OK;
}
