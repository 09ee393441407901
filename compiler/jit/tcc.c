// SPDX-License-Identifier: MIT
// The instant tier: libtcc compiles in this process, in milliseconds, without reading or writing a
// file.
//
// It gets no library and no include path (-nostdlib, -nostdinc): every symbol comes from symbols.c.
// libtcc keeps state in globals while it compiles, so one compilation at a time.
#include "jit/internal.h"

#ifdef NNC_HAVE_TCC

#include "support/diag.h"
#include <libtcc.h>
#include <pthread.h>
#include <string.h>

bool jit_has_tcc(void) { return true; }

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void collect(void *messages, const char *text) { buf_printf(messages, "%s\n", text); }

static bool compile(TCCState *state, const char *source, Buf *messages) {
    int count;
    const RuntimeSymbol *symbol = runtime_symbols(&count);
    tcc_set_error_func(state, messages, collect);
    tcc_set_options(state, "-nostdlib -nostdinc -w");
    tcc_set_output_type(state, TCC_OUTPUT_MEMORY);
    for (int i = 0; i < count; i++)
        tcc_add_symbol(state, symbol[i].name, symbol[i].address);
    return tcc_compile_string(state, source) == 0 && tcc_relocate(state, TCC_RELOCATE_AUTO) == 0;
}

static void report_failure(Arena *arena, const char *source, const char *messages) {
    const char *folder = temporary_folder(arena, NULL);
    const char *kept = arena_printf(arena, "%s/emitted.c", folder ? folder : ".");
    bool is_kept = file_write(kept, source, strlen(source));
    bug("emitted C does not compile with libtcc: %s(%s is in %s)", messages,
        is_kept ? "it" : "none of it", kept);
}

Jit *instant_load(Arena *arena, const char *source, const char **error) {
    Buf messages = buf_new(arena);
    pthread_mutex_lock(&one_at_a_time);
    TCCState *state = tcc_new();
    bool compiled = state && compile(state, source, &messages);
    pthread_mutex_unlock(&one_at_a_time);
    if (!state) {
        *error = "libtcc could not be started (out of memory?)";
        return NULL;
    }
    if (!compiled) report_failure(arena, source, messages.text);
    Jit *jit = ARENA_NEW(arena, Jit);
    *jit = (Jit){JIT_TCC, false, state};
    return jit;
}

void *instant_symbol(const Jit *jit, const char *name) { return tcc_get_symbol(jit->handle, name); }

void instant_free(Jit *jit) {
    pthread_mutex_lock(&one_at_a_time);
    tcc_delete(jit->handle);
    pthread_mutex_unlock(&one_at_a_time);
}

#else

bool jit_has_tcc(void) { return false; }

Jit *instant_load(Arena *arena, const char *source, const char **error) {
    (void)arena, (void)source;
    *error = "this nnc was built without libtcc";
    return NULL;
}

void *instant_symbol(const Jit *jit, const char *name) {
    (void)jit, (void)name;
    return NULL;
}

void instant_free(Jit *jit) { (void)jit; }

#endif
