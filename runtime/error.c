// SPDX-License-Identifier: MIT
// How the runtime says what went wrong: a status and one sentence.
#include "nnc.h"
#include <stdarg.h>

NncStatus nnc_error(NncError *error, NncStatus status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error->status = status;
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    // One line, whatever a file name or a class name holds.
    for (char *c = error->text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    return status;
}
