// SPDX-License-Identifier: MIT
// Functions that several kernels call.
#include "emit/shared.h"

#include "jit/jit.h"
#include "support/hash.h"

#include <string.h>

const char *shared_name(Arena *arena, const char *kind, const Buf *body) {
    return arena_printf(arena, "%s_%016llx", kind,
                        (unsigned long long)hash64(body->text, body->length));
}

bool shared_use(SharedFunctions *shared, const char *name) {
    for (int i = 0; i < shared->list.count; i++) {
        SharedFunction *function = &shared->list.at[i];
        if (strcmp(function->name, name)) continue;
        function->users |= shared->user;
        return true;
    }
    return false;
}

void shared_add(SharedFunctions *shared, SharedFunction function) {
    function.users = shared->user;
    VEC_PUSH(shared->arena, shared->list, function);
}

void shared_print(Buf *out, const SharedFunctions *shared, unsigned users) {
    size_t before = out->length;
    for (int i = 0; i < shared->list.count; i++) {
        const SharedFunction *f = &shared->list.at[i];
        if (f->users & users) buf_printf(out, "NNC_SHARED void %s(%s);\n", f->name, f->arguments);
    }
    if (out->length > before) buf_add(out, "\n");
    for (int i = 0; i < shared->list.count; i++) {
        const SharedFunction *f = &shared->list.at[i];
        if (!(f->users & users)) continue;
        buf_printf(out, "%s: %s\n\n%sNNC_SHARED %svoid %s(%s) {\n%s%s}\n\n", JIT_UNIT_MARKER,
                   f->name, f->before ? f->before : "", f->fused ? "NNC_FUSED " : "", f->name,
                   f->arguments, f->fused ? "    NNC_FUSED_BODY\n" : "", f->body);
    }
}
