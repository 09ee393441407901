// SPDX-License-Identifier: MIT
// Functions that several kernels call.
#include "emit/shared.h"

#include "support/hash.h"

const char *shared_name(Arena *arena, const char *kind, const Buf *body) {
    return arena_printf(arena, "%s_%016llx", kind,
                        (unsigned long long)hash64(body->text, body->length));
}

void shared_define(Buf *out, const SharedFunction *f) {
    buf_printf(out, "NNC_SHARED void %s(%s);\n#ifndef %s_\n#define %s_\n%s", f->name, f->arguments,
               f->name, f->name, f->before);
    buf_printf(out, "NNC_SHARED %svoid %s(%s) {\n", f->fused ? "NNC_FUSED " : "", f->name,
               f->arguments);
    if (f->fused) buf_add(out, "    NNC_FUSED_BODY\n");
    buf_printf(out, "%s}\n#endif\n\n", f->body);
}
