// SPDX-License-Identifier: MIT
// The head of an emitted file: the texts that it carries word for word.
#include "emit/emit.h"
#include "support/embed.h"

extern const EmbeddedFile embedded_runtime[];

// gcc and clang are asked for contraction each in their own way.
static void print_vectors(Buf *out, const Target *target) {
    for (int lanes = 4; lanes <= target->lanes; lanes *= 2)
        buf_printf(
            out, "typedef float nnc_v%d __attribute__((vector_size(%d), aligned(4), may_alias));\n",
            lanes, lanes * 4);
    buf_add(out, "#ifdef __clang__\n"
                 "#define NNC_FUSED\n"
                 "#define NNC_FUSED_BODY _Pragma(\"clang fp contract(fast)\")\n"
                 "#else\n"
                 "#define NNC_FUSED __attribute__((optimize(\"fp-contract=fast\")))\n"
                 "#define NNC_FUSED_BODY\n"
                 "#endif\n\n");
}

void emit_head(Buf *out, const Module *module, const Target *target) {
    buf_add(out, "// Emitted by nnc: the kernels of ");
    for (const char *c = module->model; *c; c++)
        buf_add_char(out, *c == '\\' || *c == '\n' ? '_' : *c);
    buf_printf(
        out,
        ", batch %d.\n"
        "// Tensors are row-major in four arenas (state, input, output, work) at offsets fixed "
        "here; a kernel\n"
        "// works on indices low .. high - 1 of its outermost loop. Nothing is included.\n\n",
        module->batch);
    for (const EmbeddedFile *file = embedded_runtime; file->name; file++) {
        buf_add_n(out, file->text, file->length);
        buf_add(out, "\n");
    }
    if (target->lanes) print_vectors(out, target);
}
