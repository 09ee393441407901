// SPDX-License-Identifier: MIT
// How C spells types, numbers, extents, addresses and pointwise operators.
#include "emit/nest.h"

#include <math.h>
#include <string.h>

const char *c_type(DType dtype) {
    bool real = dtype == DT_F32 || dtype == DT_BF16; // wide, outside of memory
    return real ? "float" : dtype == DT_F64 ? "double" : "int";
}

const char *c_memory_type(DType dtype) {
    switch (dtype) {
    case DT_F32:
        return "float";
    case DT_I32:
        return "int";
    case DT_BOOL:
        return "unsigned char";
    case DT_F64:
        return "double";
    case DT_BF16:
        return "unsigned short";
    }
    return "?";
}

void print_indent(Buf *out, int depth) {
    for (int i = 0; i < depth; i++)
        buf_add(out, "    ");
}

void print_dim(Buf *out, Dim dim) {
    bool any = false;
    for (int power = 0; power <= DIM_DEGREE; power++) {
        if (dim.c[power] == 0) continue;
        if (any) buf_add(out, " + ");
        any = true;
        if (power == 0 || dim.c[power] != 1) buf_printf(out, "%lld", (long long)dim.c[power]);
        for (int i = 0; i < power; i++)
            buf_add(out, i > 0 || dim.c[power] != 1 ? " * n" : "n");
    }
    if (!any) buf_add(out, "0");
}

char *dim_as_c(Arena *arena, Dim dim) {
    Buf text = buf_new(arena);
    print_dim(&text, dim);
    return text.text;
}

static void print_real(Buf *out, double number, const char *suffix, int digits) {
    char text[40];
    if (isnan(number)) {
        buf_printf(out, "(0.0%s / 0.0%s)", suffix, suffix);
    } else if (isinf(number)) {
        buf_printf(out, "(%s1.0%s / 0.0%s)", number < 0 ? "-" : "", suffix, suffix);
    } else {
        snprintf(text, sizeof text, "%.*g", digits, number);
        buf_printf(out, "%s%s%s", text, strpbrk(text, ".e") ? "" : ".0", suffix);
    }
}

void print_number(Buf *out, DType dtype, double number) {
    if (dtype == DT_F32)
        print_real(out, (float)number, "f", 9);
    else if (dtype == DT_F64)
        print_real(out, number, "", 17);
    else
        buf_printf(out, "%lld", (long long)number);
}

char *buffer_address(Arena *arena, const Buffer *buffer) {
    if (buffer->part) // from the thread's part, as if it began with index 0
        return arena_printf(
            arena, "((%s *)(ctx->scratch + thread * ctx->scratch_bytes + %lld) - part_low * %lld)",
            c_memory_type(buffer->dtype), (long long)buffer->offset, (long long)buffer->part);
    if (buffer->arena == ARENA_SCRATCH)
        return arena_printf(arena, "(%s *)(ctx->scratch + thread * ctx->scratch_bytes + %lld)",
                            c_memory_type(buffer->dtype), (long long)buffer->offset);
    static const char *const base[] = {"state", "input", "output", "work"};
    return arena_printf(arena, "(%s *)(ctx->%s + %lld)", c_memory_type(buffer->dtype),
                        base[buffer->arena], (long long)buffer->offset);
}

// Integers take the `_i` functions of the prelude, doubles the `_d` ones.
void print_pointwise(Buf *out, Op op, DType in_type, const char *const *in) {
    const char *text = op_info(op)->c_text;
    for (const char *c = text; *c; c++) {
        if (*c == '$') {
            bool decrement = c > text && c[-1] == '-' && in[c[1] - 'a'][0] == '-';
            if (decrement) buf_add(out, " "); // - -1.0f is a number, --1.0f is none
            buf_add(out, in[*++c - 'a']);
        } else if (*c == '(' && in_type != DT_F32 && !strncmp(text, "nnc_", 4)) {
            buf_add(out, in_type == DT_F64 ? "_d(" : "_i(");
        } else {
            buf_add_n(out, c, 1);
        }
    }
}
