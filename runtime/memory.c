// SPDX-License-Identifier: MIT
// Large pieces of memory from the system: zeroed, and there page by page as it is touched.
//
// Pages of two megabytes, where the system has them, are fewer to touch (each first touch is a
// fault) and fewer to look up.
#define _GNU_SOURCE
#include "nnc.h"
#include <sys/mman.h>

static const size_t small_page = 4096, large_page = 2 << 20;

static size_t whole_pages(size_t size) { return (size + small_page - 1) & ~(small_page - 1); }

// Arenas are pages. A processor compares the addresses of a load and of stores shortly before by
// their places in a page alone: a kernel that walks through arrays at equal places in their pages
// meets no store that only looks like its own.
static long long aligned(long long bytes) { return (long long)whole_pages((size_t)bytes); }

static long long most(long long a, long long b) { return a > b ? a : b; }

NncArenas nnc_arenas(const NncProgram *program, int threads) {
    NncArenas arenas = {.state = aligned(program->state_bytes),
                        .input = aligned(program->input_bytes)};
    for (int i = 0; i < NNC_FUNCTIONS; i++) {
        const NncFunction *function = &program->function[i];
        arenas.output = most(arenas.output, aligned(function->output_bytes));
        arenas.work = most(arenas.work, aligned(function->work_bytes));
        arenas.scratch = most(arenas.scratch, aligned(function->scratch_bytes));
    }
    arenas.all = arenas.state + arenas.input * NNC_LOADER_BATCHES + arenas.output + arenas.work +
                 arenas.scratch * threads;
    return arenas;
}

void *nnc_memory_new(size_t size) {
    size_t whole = whole_pages(size), apart = whole >= large_page ? large_page : 0;
    char *mapped =
        mmap(NULL, whole + apart, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return NULL;
    if (!apart) return mapped;
    size_t before = -(uintptr_t)mapped & (large_page - 1), after = apart - before;
    if (before) munmap(mapped, before);
    if (after) munmap(mapped + before + whole, after);
    madvise(mapped + before, whole, MADV_HUGEPAGE); // where that fails, pages are small
    return mapped + before;
}

void nnc_memory_free(void *memory, size_t size) {
    if (memory) munmap(memory, whole_pages(size));
}
