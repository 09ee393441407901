// SPDX-License-Identifier: MIT
// Reading the values of a text of comma-separated ones (RFC 4180): quotes with "" in them, CR LF, a
// byte order mark, blanks around values. What is malformed is an error with file:line:column.
//
//     NncCsv csv = nnc_csv("iris.csv", text, size, ',');
//     while (nnc_csv_more(&csv))
//         do
//             status = nnc_csv_value(&csv, error); // csv.value, at csv.line and csv.column
//         while (!status && !csv.last);
//     free(csv.value);
#ifndef NNC_CSV_H
#define NNC_CSV_H

#include "nnc.h"
#include <stddef.h>

typedef struct NncCsv {
    const char *path; // for messages
    const char *text;
    size_t size, at, line_start;
    long long at_line;
    char separator;

    char *value; // the one that was read last, NUL behind it
    size_t length, room;
    long long line, column; // where it begins, from 1; columns are bytes
    bool last;              // of its record
} NncCsv;

NncCsv nnc_csv(const char *path, const char *text, size_t size, char separator);
bool nnc_csv_more(NncCsv *csv); // another record? Empty lines are none.
NncStatus nnc_csv_value(NncCsv *csv, NncError *error);
// An error about the value that was read last: "iris.csv:3:7: " and what is said.
NncStatus nnc_csv_error(const NncCsv *csv, NncError *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Is the text a finite number, and nothing else?
bool nnc_csv_number(const char *text, float *number);

#endif
