// SPDX-License-Identifier: MIT
// What a thread keeps of its row. The loops of a short row are written out, and in turn e of each
// the thread has the same element; so what a later loop would load again, or compute again though
// it is dear, is a register by then:
//
//     float own0[4], own1[4];
//     for (e ..) { own0[e] = b3[..]; v1 = nnc_max(v1, own0[e]); }
//     for (e ..) { own1[e] = nnc_exp(own0[e] - v1); v5 = v5 + own1[e]; }
//     for (e ..) { b4[..] = own1[e] / v5; }
#include "emit/cuda_internal.h"
#include "pass/fuse_internal.h"
#include "pass/index.h"

enum {
    MOST_KEPT = 96, // registers
    DEAR = 4,       // what is kept costs as much (node_cost)
};

typedef struct Keep {
    Printer *p;
    const SharedLoop *loop; // in the order in which they are printed
    int loops, groups;
    int64_t turns;
} Keep;

// --- Is it the same, of the same element, in another loop?

typedef struct Pair {
    const Loops *loops;
    const SharedLoop *a, *b;
} Pair;

static bool same_value(const Pair *pair, const Value *a, const Value *b);
static bool same_index(const Pair *pair, const Index *a, const Index *b);

static int position(const SharedLoop *loop, int var) {
    for (int i = 0; i < loop->count; i++)
        if (loop->var[i] == var) return i;
    return -1;
}

static bool same_var(const Pair *pair, int a, int b) {
    const Var *x = &pair->loops->var[a], *y = &pair->loops->var[b];
    int at = position(pair->a, a);
    if (at >= 0 || position(pair->b, b) >= 0)
        return at == position(pair->b, b) && dim_equal(x->extent, y->extent);
    if (a == b && x->kind == VAR_LOOP) return true;
    if (x->kind != y->kind) return false;
    if (x->kind == VAR_VALUE) return same_value(pair, x->value, y->value);
    return x->kind == VAR_LET && x->let == y->let && dim_equal(x->by, y->by) &&
           same_index(pair, &x->of, &y->of);
}

static bool same_index(const Pair *pair, const Index *a, const Index *b) {
    if (a->count != b->count || a->constant != b->constant) return false;
    for (int i = 0; i < a->count; i++) {
        bool found = false;
        for (int k = 0; k < b->count && !found; k++)
            found = a->term[i].coef == b->term[k].coef &&
                    same_var(pair, a->term[i].var, b->term[k].var);
        if (!found) return false;
    }
    return true;
}

static bool same_value(const Pair *pair, const Value *a, const Value *b) {
    if (a == b) return true; // of the row
    if (a->kind != b->kind || a->op != b->op || a->dtype != b->dtype || a->buffer != b->buffer ||
        a->in_count != b->in_count || a->slot != b->slot)
        return false;
    bool number = a->number == b->number || (a->number != a->number && b->number != b->number);
    if (a->kind == VALUE_REDUCE || a->kind == VALUE_GUARD || a->kind == VALUE_RANDOM || !number)
        return false;
    for (int i = 0; i < a->in_count; i++)
        if (!same_value(pair, a->in[i], b->in[i])) return false;
    return same_index(pair, &a->index, &b->index);
}

// --- Which values a loop computes

// Marks those that it computes in any case.
static void mark_certain(const Value *value, bool *certain) {
    if (certain[value->id]) return;
    certain[value->id] = true;
    if (value->kind == VALUE_GUARD || value->kind == VALUE_REDUCE) return;
    for (int i = 0; i < value->in_count; i++)
        mark_certain(value->in[i], certain);
}

static bool *certain_in(const Keep *k, const SharedLoop *loop) {
    const Loops *loops = k->p->loops;
    bool *certain = ARENA_ARRAY(k->p->arena, bool, loops->value.count + 1);
    if (loop->reduction && loop->reduction->condition_count == 0)
        mark_certain(loop->reduction->in[0], certain);
    for (int i = 0; i < loops->store.count && !loop->reduction; i++)
        mark_certain(loops->store.at[i].value, certain);
    return certain;
}

static bool is_in(const Keep *k, const SharedLoop *loop, const Value *value) {
    for (int i = 0; i < loop->count; i++)
        if (k->p->deps[value->id] >> loop->var[i] & 1) return true;
    return false;
}

static bool is_worth_it(const Value *value) {
    if (value->kind == VALUE_LOAD) return true;
    return value->kind == VALUE_POINT && node_cost(value->node) >= DEAR;
}

// Names what later loops have of the same: a register.
static bool name_later(Keep *k, int at, const Value *value, const char *name) {
    bool found = false;
    for (int later = at + 1; later < k->loops; later++)
        for (int i = 0; i < k->p->loops->value.count; i++) {
            const Value *other = k->p->loops->value.at[i];
            Pair pair = {k->p->loops, &k->loop[at], &k->loop[later]};
            if (k->p->uses[other->id] == 0 || k->p->name[other->id] ||
                !is_in(k, &k->loop[later], other) || !same_value(&pair, value, other))
                continue;
            k->p->name[other->id] = name;
            found = true;
        }
    return found;
}

static void keep_of_loop(Keep *k, int at) {
    Printer *p = k->p;
    const bool *certain = certain_in(k, &k->loop[at]);
    for (int i = 0; i < p->loops->value.count; i++) {
        const Value *value = p->loops->value.at[i];
        if (!certain[value->id] || p->name[value->id] || !is_in(k, &k->loop[at], value)) continue;
        if (!is_worth_it(value) || (k->groups + 1) * k->turns > MOST_KEPT) continue;
        const char *name = arena_printf(p->arena, "own%d[e]", k->groups);
        if (!name_later(k, at, value, name)) continue;
        p->keep[value->id] = name;
        printer_line(p);
        buf_printf(p->out, "%s own%d[%lld];\n", c_type(value->dtype), k->groups++,
                   (long long)k->turns);
    }
}

void cuda_keep(Printer *p, const SharedLoop *loop, int loops, int64_t turns) {
    Keep k = {.p = p, .loop = loop, .loops = loops, .turns = turns};
    p->keep = ARENA_ARRAY(p->arena, const char *, p->loops->value.count + 1);
    for (int at = 0; at + 1 < loops; at++)
        keep_of_loop(&k, at);
}
