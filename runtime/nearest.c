// SPDX-License-Identifier: MIT
// Near names, for "did you mean": nnc_nearest("linaer", names, count) is "linear".
#include "nnc.h"
#include <ctype.h>
#include <string.h>

enum { LONGEST_NAME = 63 };

// Insertions, deletions, changes and swaps of neighbours between two names (optimal string
// alignment).
static int edit_distance(const char *a, const char *b) {
    int m = (int)strlen(a), n = (int)strlen(b);
    if (m > LONGEST_NAME || n > LONGEST_NAME) return INT32_MAX;
    int row[LONGEST_NAME + 1][LONGEST_NAME + 1];
    for (int i = 0; i <= m; i++) {
        for (int j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                row[i][j] = i + j;
                continue;
            }
            int change = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            int least = row[i - 1][j - 1] + change;
            if (row[i - 1][j] + 1 < least) least = row[i - 1][j] + 1;
            if (row[i][j - 1] + 1 < least) least = row[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && row[i - 2][j - 2] + 1 < least) least = row[i - 2][j - 2] + 1;
            row[i][j] = least;
        }
    }
    return row[m][n];
}

// cifar of cifar10
static bool begins_with(const char *name, const char *part) {
    for (; *part; name++, part++)
        if (tolower((unsigned char)*name) != tolower((unsigned char)*part)) return false;
    return true;
}

const char *nnc_nearest(const char *name, const char *const *names, int count) {
    const char *nearest = NULL;
    int length = (int)strlen(name);
    int least = length < 3 ? length - 1 : (length + 1) / 3; // one mistake in three letters
    for (int i = 0; i < count; i++) {
        int distance = edit_distance(name, names[i]);
        if (length >= 3 && distance > 1 && begins_with(names[i], name)) distance = 1;
        if (distance >= (int)strlen(names[i])) continue; // nothing in common
        if (distance < least || (distance == least && !nearest)) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
