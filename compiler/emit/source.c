// SPDX-License-Identifier: MIT
// The head of an emitted file: the texts that it carries word for word.
#include "emit/emit.h"
#include "support/embed.h"

#include <string.h>

extern const EmbeddedFile embedded_runtime[];

static bool is_needed(const char *name, const Module *module, const Target *target) {
    bool vectors = !strcmp(name, "vector.h"), wide = !strcmp(name, "wide.h");
    if (target->gpu && (vectors || wide)) return false;
    if (!strcmp(name, "cuda.h") || !strcmp(name, "cuda_product.h")) return target->gpu;
    if ((wide || !strcmp(name, "bf16.h")) && module->precision != DT_BF16) return false;
    return target->lanes > 0 || !(vectors || wide);
}

void emit_head(Buf *out, const Module *module, const Target *target) {
    buf_add(out, "// Emitted by nnc: the kernels of ");
    for (const char *c = module->model; *c; c++)
        buf_add_char(out, *c == '\\' || *c == '\n' ? '_' : *c);
    buf_printf(out,
               ", batch %d.\n"
               "// Tensors are row-major in four arenas (state, input, output, work) at offsets "
               "fixed here; %s\n\n",
               module->batch,
               target->gpu
                   ? "a\n// kernel goes over all of its indices, n of them along the batch."
                   : "a kernel\n// works on indices low .. high - 1 of its outermost loop. Nothing "
                     "is included.");
    if (target->lanes >= 16) // else gcc takes half of a register where it makes vectors itself
        buf_add(out, "#if defined(__x86_64__) && !defined(__clang__)\n"
                     "#pragma GCC target(\"prefer-vector-width=512\")\n#endif\n\n");
    for (const EmbeddedFile *file = embedded_runtime; file->name; file++) {
        if (!is_needed(file->name, module, target)) continue;
        buf_add_n(out, file->text, file->length);
        buf_add(out, "\n");
    }
}
