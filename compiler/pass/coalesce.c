// SPDX-License-Identifier: MIT
// Joins neighbouring loops (u outside of v) into one where every index walks u in steps of v's
// extent: a pointwise kernel over [N, C, H, W] becomes one loop over N*C*H*W elements.
#include "pass/index.h"

static bool walks_as_one(const Index *index, int u, int v, int64_t extent) {
    return index_coefficient(index, u) == index_coefficient(index, v) * extent;
}

static bool can_merge(const Loops *loops, int u, int v) {
    if (!dim_is_const(loops->var[v].extent)) return false;
    int64_t extent = loops->var[v].extent.c[0];
    for (int i = 0; i < loops->store.count; i++)
        if (!walks_as_one(&loops->store.at[i].index, u, v, extent)) return false;
    for (int i = 0; i < loops->var_count; i++)
        if (loops->var[i].kind == VAR_LET && !walks_as_one(&loops->var[i].of, u, v, extent))
            return false;
    for (int i = 0; i < loops->value.count; i++) {
        const Value *value = loops->value.at[i];
        if (!walks_as_one(&value->index, u, v, extent) ||
            !walks_as_one(&value->kept_index, u, v, extent))
            return false;
        for (int c = 0; c < value->condition_count; c++)
            if (!walks_as_one(&value->condition[c].index, u, v, extent)) return false;
    }
    return true;
}

static Index without(const Index *index, int var) {
    return index_add(*index, index_scale(index_var(var), -index_coefficient(index, var)));
}

static bool merge(Loops *loops, int u, int v) {
    Dim extent;
    if (!can_merge(loops, u, v) || !dim_mul(&extent, loops->var[u].extent, loops->var[v].extent))
        return false;
    if (dim_eval(extent, loops->batch) > INT32_MAX) return false; // a loop counts in an int
    for (int i = 0; i < loops->store.count; i++)
        loops->store.at[i].index = without(&loops->store.at[i].index, u);
    for (int i = 0; i < loops->var_count; i++)
        loops->var[i].of = without(&loops->var[i].of, u);
    for (int i = 0; i < loops->value.count; i++) {
        Value *value = loops->value.at[i];
        value->index = without(&value->index, u);
        value->kept_index = without(&value->kept_index, u);
        for (int c = 0; c < value->condition_count; c++)
            value->condition[c].index = without(&value->condition[c].index, u);
    }
    loops->var[v].extent = extent;
    loops->var[u].merged = true;
    return true;
}

static void merge_list(Loops *loops, int *var, int *count) {
    for (int i = *count - 2; i >= 0; i--) {
        if (!merge(loops, var[i], var[i + 1])) continue;
        for (int k = i; k + 1 < *count; k++)
            var[k] = var[k + 1];
        --*count;
    }
}

void loops_coalesce(Loops *loops) {
    int64_t before = dim_eval(loops->var[loops->loop[0]].extent, loops->batch);
    merge_list(loops, loops->loop, &loops->loop_count);
    for (int i = 0; i < loops->value.count; i++)
        if (loops->value.at[i]->kind == VALUE_REDUCE)
            merge_list(loops, loops->value.at[i]->var, &loops->value.at[i]->var_count);
    loops->outer = loops->var[loops->loop[0]].extent;
    loops->outer_unit = before > 0 ? dim_eval(loops->outer, loops->batch) / before : 1;
}
