// SPDX-License-Identifier: MIT
// What nnc is at, where that takes its time: a line on a terminal that goes away again. Pipes and
// files never see it.
//
//     waiting("compiling %s", settings->file);
//     Jit *jit = jit_load(..);
//     waiting_over();
#include "cli/cli.h"

#include <stdarg.h>
#include <unistd.h>

void waiting(const char *format, ...) {
    char text[70]; // less than a terminal's line, or the next one would not cover it
    va_list args;
    if (!isatty(2)) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "\r\033[K%s ..", text);
    fflush(stderr);
}

void waiting_over(void) {
    if (isatty(2)) fputs("\r\033[K", stderr);
}
