// SPDX-License-Identifier: MIT
// JSON, as much as reports and checkpoints need: writing strings and numbers, and a reader that
// asks for what it expects and trusts nothing.
//
//     NncJson json = nnc_json(text, size);
//     for (nnc_json_enter(&json, '{'); nnc_json_key(&json, &key); free(key))
//         if (!strcmp(key, "lr")) nnc_json_number(&json, &lr); else nnc_json_skip(&json);
//     if (json.problem) ... "at byte %zu: %s", json.at, json.problem
//
// After the first problem every call is false and does nothing, so that one check at the end will
// do.
#ifndef NNC_JSON_H
#define NNC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

// A quoted string. Bytes that are not UTF-8 become U+FFFD.
void nnc_json_write_string(FILE *out, const char *text);
// The shortest digits that read back as the same; null where it is not finite.
void nnc_json_write_number(FILE *out, double number);

typedef struct NncJson {
    const char *text;
    size_t at, size;
    const char *problem; // NULL: none yet
    int depth;
    bool first; // no key or item of the innermost bracket was read yet
} NncJson;

NncJson nnc_json(const char *text, size_t size);
bool nnc_json_enter(NncJson *json, char bracket); // '{' or '['
bool nnc_json_key(NncJson *json,
                  char **key);     // false after the last one, with the } read; free(key)
bool nnc_json_item(NncJson *json); // false after the last one, with the ] read
bool nnc_json_string(NncJson *json, char **text); // free(text); no NUL inside
bool nnc_json_number(NncJson *json, double *number);
bool nnc_json_integer(NncJson *json, long long *integer);
bool nnc_json_skip(NncJson *json);                      // any value
bool nnc_json_end(NncJson *json);                       // nothing but white space is left
bool nnc_json_fail(NncJson *json, const char *problem); // always false

#endif
