// SPDX-License-Identifier: MIT
// What the networks written by hand share: see baseline.h.
#include "baseline.h"

#include "support/diag.h"

enum { ALIGN = 64 }; // bytes: a cache line, and the widest vector

float *baseline_floats(Arena *arena, long long count) {
    char *place = arena_alloc(arena, sizeof(float) * (size_t)count + ALIGN);
    return (float *)(place + (ALIGN - (uintptr_t)place % ALIGN) % ALIGN);
}

void baseline_add(Baseline *net, const char *name, long long count) {
    if (net->parameter_count == MAX_PARAMETERS) bug("no room for the parameter %s", name);
    BaselineParameter *parameter = &net->parameter[net->parameter_count++];
    *parameter = (BaselineParameter){.name = name, .count = count};
    parameter->value = baseline_floats(net->arena, count);
    parameter->gradient = baseline_floats(net->arena, count);
    for (int i = 0; i < MAX_MOMENTS; i++)
        if (net->moment_name[i]) parameter->moment[i] = baseline_floats(net->arena, count);
}

void baseline_free(Baseline *net) { arena_free(net->arena); }
