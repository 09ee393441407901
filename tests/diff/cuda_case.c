// SPDX-License-Identifier: MIT
// Cases for a GPU, compiled for the CPU by the headers of tests/cuda_host. A C++ compiler takes
// longer for the head of a file than for a graph, so there may be several in one, under names of
// their own: nnc_run_g0, nnc_run_g1 ..
#include "compiled.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// With `name` in place of each "predict".
static void add_renamed(Buf *out, const char *text, const char *name) {
    static const char from[] = "predict";
    for (const char *end; (end = strstr(text, from)); text = end + strlen(from)) {
        buf_add_n(out, text, (size_t)(end - text));
        buf_add(out, name);
    }
    buf_add(out, text);
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s cannot be written", path);
}

static void *load_cuda(Arena *arena, const char *source) {
    char folder[] = "/tmp/nnc-cuda-XXXXXX";
    cr_assert(mkdtemp(folder));
    const char *text = arena_printf(arena, "%s/case.cu", folder),
               *object = arena_printf(arena, "%s/case.so", folder);
    write_file(text, source);
    int status = system(arena_printf(
        arena, "CUDA_HOST_OPTIMIZE=-O0 %s/tests/cuda_host/nvcc -shared -Xcompiler -fPIC -o %s %s",
        getenv("NNC_SOURCE_DIR"), object, text));
    cr_assert_eq(status, 0, "%s: emitted CUDA does not compile", text);
    void *library = dlopen(object, RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
    unlink(object), unlink(text), rmdir(folder);
    return library;
}

void cases_load_cuda(Case **c, int count) {
    Arena *arena = c[0]->arena;
    Buf source = buf_new(arena);
    cr_assert(getenv("NNC_SOURCE_DIR"), "$NNC_SOURCE_DIR is not set");
    if (system("command -v ${CUDA_HOST_CXX:-g++} >/dev/null")) cr_skip_test("no C++ compiler");
    for (int i = 0; i < count; i++) {
        const char *text = strstr(c[i]->source, "// --- predict");
        if (i == 0) buf_add_n(&source, c[i]->source, (size_t)(text - c[i]->source));
        add_renamed(&source, text, arena_printf(arena, "g%d", i));
    }
    void *library = load_cuda(arena, source.text);
    for (int i = 0; i < count; i++) {
        *(void **)&c[i]->run = dlsym(library, arena_printf(arena, "nnc_run_g%d", i));
        *(void **)&c[i]->scalars = dlsym(library, arena_printf(arena, "nnc_scalars_g%d", i));
        cr_assert(c[i]->run && c[i]->scalars);
    }
}
