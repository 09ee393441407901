// SPDX-License-Identifier: MIT
// How a step that takes too much memory is made to fit. There are two ways to take less, for more
// work: its batch in chunks, and things computed again rather than kept. A `Way` is so much of
// each:
//
//     {.examples = 128}                      the batch of 128 as it is
//     {.examples = 32, .room = 40 << 20}     4 chunks, computing again until 40 MiB are enough
//
// Each that comes into question is planned, which is quick beside compiling it; of those that fit,
// the one that takes the least time is taken, by the count that plans are made by.
#include "budget.h"
#include "pass/chunk.h"
#include "pass/cost.h"
#include "pass/simplify.h"

#include <string.h>

// --- What a step takes

static NncArenas arenas_of(const Compiled *compiled) {
    return nnc_arenas(&compiled->program, BUDGET_THREADS);
}

enum { MOVED_BYTES = 10 }; // in a nanosecond, more or less: plans' times count arithmetic alone

static void add_price(Arena *arena, const Compiled *compiled, NncFunctionKind kind, int times,
                      Price *price) {
    const Plan *plan = compiled->plan[kind];
    if (!plan) return;
    for (int k = 0; k < plan->fusion->kernel.count; k++) {
        Cost cost = kernel_cost(arena, plan->fusion, plan->fusion->kernel.at[k]);
        price->flops += times * cost.flops;
        price->time += times * cost.bytes / MOVED_BYTES;
    }
    price->time += times * (plan->root->time + (double)plan->root->child.count * WAKING_TIME);
}

Price compiled_price(const Compiled *compiled) {
    Arena *arena = arena_new();
    Price price = {.bytes = arenas_of(compiled).all};
    add_price(arena, compiled, NNC_TRAIN, 1, &price);
    for (int i = NNC_CHUNK; i < NNC_FUNCTIONS; i++)
        add_price(arena, compiled, (NncFunctionKind)i,
                  i < NNC_BETWEEN ? compiled_chunks(compiled) : 1, &price);
    arena_free(arena);
    return price;
}

int compiled_chunks(const Compiled *compiled) {
    const NncProgram *program = &compiled->program;
    return (program->batch + program->chunk - 1) / program->chunk;
}

static int passes_of(const Compiled *compiled) {
    int passes = 0;
    while (passes < NNC_PASSES && compiled->plan[NNC_CHUNK + passes])
        passes++;
    return passes;
}

static int again_in(const Plan *plan) {
    int count = 0;
    for (int k = 0; plan && k < plan->fusion->kernel.count; k++)
        count += plan->fusion->kernel.at[k]->after.count > 0;
    return count;
}

int compiled_again(const Compiled *compiled) {
    int count = again_in(compiled->plan[NNC_TRAIN]);
    for (int i = NNC_CHUNK; i < NNC_FUNCTIONS; i++)
        count += again_in(compiled->plan[i]);
    return count;
}

// --- In words

static const char *megabytes(Arena *arena, long long bytes) { // no less than there are
    if (bytes < 1000000)
        return arena_printf(arena, "%lld kB", (long long)((bytes + 999) / 1000));
    return arena_printf(arena, "%.1f MB", (double)((bytes + 99999) / 100000) / 10);
}

const char *budget_text(Arena *arena, const Compiled *compiled) {
    if (compiled->without.bytes == 0) return NULL;
    const Module *module = compiled->module;
    Price price = compiled_price(compiled);
    int chunks = compiled_chunks(compiled), again = compiled_again(compiled);
    Buf text = buf_new(arena);
    if (module->budget > 0)
        buf_printf(&text, "budget %s: ", megabytes(arena, module->budget));
    else
        buf_printf(&text, "accumulate %d: ", module->accumulate);
    if (chunks > 1)
        buf_printf(&text, "%d chunks of %d example%s", chunks, module->chunk,
                   module->chunk > 1 ? "s" : "");
    if (passes_of(compiled) > 1) buf_printf(&text, " (%d times)", passes_of(compiled));
    if (again > 0)
        buf_printf(&text, "%s%d kernel%s compute%s again what is not kept", chunks > 1 ? ", " : "",
                   again, again > 1 ? "s" : "", again > 1 ? "" : "s");
    buf_printf(&text, "; %s with %d threads, not %s", megabytes(arena, price.bytes), BUDGET_THREADS,
               megabytes(arena, compiled->without.bytes));
    double flops = 100 * (price.flops / compiled->without.flops - 1),
           time = 100 * (price.time / compiled->without.time - 1);
    buf_printf(&text, "; %.1f %% more arithmetic, about %.0f %% more time", flops > 0 ? flops : 0,
               time > 0 ? time : 0);
    return text.text;
}

// --- Ways

typedef struct Way {
    int examples; // at a time
    int64_t room; // of the work arena, computing things again; 0: nothing is
    Price price;
    long long work; // bytes of the work arena
} Way;

typedef struct Search {
    const Module *whole, *split; // the step as it is; as one of chunks, NULL: it cannot be
    const Target *target;
} Search;

static Module module_of(const Search *s, Way way) {
    Module module = way.examples < s->whole->batch ? *s->split : *s->whole;
    module.chunk = way.examples;
    module.room = way.room;
    return module;
}

static Way priced(const Search *s, Way way) {
    Arena *arena = arena_new();
    Module module = module_of(s, way);
    const Compiled *compiled = compile_plans(arena, &module, s->target);
    way.price = compiled_price(compiled);
    way.work = arenas_of(compiled).work;
    arena_free(arena);
    return way;
}

static bool fits(const Search *s, Way way) {
    return s->whole->budget == 0 || way.price.bytes <= s->whole->budget;
}

static bool is_better(const Search *s, Way a, Way b) {
    if (fits(s, a) != fits(s, b)) return fits(s, a);
    return fits(s, a) ? a.price.time < b.price.time : a.price.bytes < b.price.bytes;
}

// So many examples at a time; where they do not fit, as much computed again as makes them fit. What
// is beside the work arena may grow with that: if it is not enough then, all is that can be.
static Way with_room(const Search *s, int examples) {
    Way plain = priced(s, (Way){.examples = examples});
    int64_t room = s->whole->budget - (plain.price.bytes - plain.work);
    if (fits(s, plain)) return plain;
    Way some = priced(s, (Way){.examples = examples, .room = room > 1 ? room : 1});
    if (fits(s, some)) return some;
    Way most = room > 1 ? priced(s, (Way){.examples = examples, .room = 1}) : some;
    return is_better(s, most, plain) ? most : plain;
}

// --- Sizes of chunks: those that make the chunks of a batch about equal, the largest first

typedef struct Sizes {
    VEC(int) at;
} Sizes;

static Sizes chunk_sizes(Arena *arena, const Search *s) {
    Sizes sizes = {0};
    int batch = s->whole->batch, last = 0;
    int least = s->whole->accumulate > 1 ? s->whole->accumulate : 1;
    for (int chunks = least; chunks <= batch; chunks++) {
        int size = (batch + chunks - 1) / chunks;
        if (size != last) VEC_PUSH(arena, sizes.at, size);
        last = size;
        if (!s->split) break;
    }
    return sizes;
}

// The first size that fits as it is; the last, if none does.
static int first_that_fits(const Search *s, const Sizes *sizes) {
    int fit = sizes->at.count - 1;
    for (int low = 0; low < fit;) {
        int middle = low + (fit - low) / 2;
        if (fits(s, priced(s, (Way){.examples = sizes->at.at[middle]})))
            fit = middle;
        else
            low = middle + 1;
    }
    return fit;
}

// Chunks as few as fit; and ever fewer, computing again, as long as that is better. Or none.
static Way cheapest(Arena *arena, const Search *s) {
    Sizes sizes = chunk_sizes(arena, s);
    Way best = with_room(s, sizes.at.at[0]);
    if (fits(s, best) && best.room == 0) return best;
    for (int i = first_that_fits(s, &sizes); i > 0; i--) {
        Way way = with_room(s, sizes.at.at[i]);
        if (!is_better(s, way, best)) break;
        best = way;
    }
    return best;
}

// --- What does not fit

static Module with_batch(const Module *whole, int examples) {
    Module module = *whole;
    module.batch = module.chunk = examples;
    return module;
}

// The largest batch that fits as it is; 0: not even one of 1, which takes *one.
static int batch_that_fits(const Search *s, long long *one) {
    int fit = 0, too_many = s->whole->batch;
    for (int examples = 1; too_many - fit > 1; examples = fit + (too_many - fit) / 2) {
        Module module = with_batch(s->whole, examples);
        Search smaller = {.whole = &module, .target = s->target};
        Way way = priced(&smaller, (Way){.examples = examples});
        if (examples == 1) *one = way.price.bytes;
        if (fits(s, way))
            fit = examples;
        else if (examples == 1)
            return 0;
        else
            too_many = examples;
    }
    return fit;
}

static void report(Arena *arena, const Search *s, const Chunks *chunks, long long least,
                   Diag *diag) {
    const Module *whole = s->whole;
    long long one = 0;
    int batch = batch_that_fits(s, &one);
    diag_error(diag, whole->budget_span, "training %s takes %s at least", whole->model,
               megabytes(arena, least));
    if (!s->split)
        diag_note(diag, chunks->where, "its batch cannot be taken in chunks: %s", chunks->why);
    diag_hint(diag, "a batch of %d takes %s, or, with what can be computed twice, %s", whole->batch,
              megabytes(arena, priced(s, (Way){.examples = whole->batch}).price.bytes),
              megabytes(arena, with_room(s, whole->batch).price.bytes));
    if (s->split)
        diag_hint(diag, "in chunks of 1 example it takes %s",
                  megabytes(arena, with_room(s, 1).price.bytes));
    if (batch > 0)
        diag_hint(diag, "batch = %d is the largest that fits", batch);
    else if (whole->batch > 1)
        diag_hint(diag, "no smaller batch fits: one of 1 takes %s", megabytes(arena, one));
}

// --- The whole

static bool wants_less(const Module *module, const Compiled *whole) {
    bool fits = module->budget == 0 || arenas_of(whole).all <= module->budget;
    return module->graph[NNC_TRAIN] && (!fits || module->accumulate > 1);
}

static Module *split_module(Arena *arena, const Module *module, const Chunks *chunks) {
    Module *split = ARENA_NEW(arena, Module);
    *split = *module;
    split->graph[NNC_TRAIN] = chunks->rest;
    for (int i = 0; i < chunks->passes; i++)
        split->graph[NNC_CHUNK + i] = chunks->chunk[i];
    for (int i = 0; i + 1 < chunks->passes; i++)
        split->graph[NNC_BETWEEN + i] = chunks->between[i];
    return split;
}

static bool has_output(const Graph *graph, const char *name) {
    for (int i = 0; i < graph->root.count; i++)
        if (graph->root.at[i].kind == ROOT_OUTPUT && !strcmp(graph->root.at[i].name, name))
            return true;
    return false;
}

// A score of training that the run is judged by has to be measured, in chunks, too.
static bool check_score(const Module *made, const char *score, Diag *diag) {
    static const char train[] = "train.";
    if (!score || strncmp(score, train, strlen(train)) ||
        has_output(made->graph[NNC_TRAIN], score + strlen(train)))
        return true;
    diag_error(diag, made->accumulate > 1 ? made->accumulate_span : made->budget_span,
               "%s cannot be measured where the batch is taken in chunks", score);
    return false;
}

static bool check_scores(const Module *made, Diag *diag) {
    bool known = check_score(made, made->best, diag);
    for (int i = 0; i < made->expect.count; i++)
        known &= check_score(made, made->expect.at[i].score, diag);
    return known;
}

Compiled *plan_within(Arena *arena, const Module *module, const Target *target, Diag *diag) {
    Compiled *whole = compile_plans(arena, module, target);
    if (!wants_less(module, whole)) return whole;
    Search s = {.whole = module, .target = target};
    Chunks chunks = chunk_split(arena, simplify(arena, module->graph[NNC_TRAIN]));
    if (chunks.passes) s.split = split_module(arena, module, &chunks);
    if (!s.split && module->accumulate > 1) {
        diag_error(diag, module->accumulate_span, "the batch of %s cannot be taken in chunks",
                   module->model);
        diag_note(diag, chunks.where, "%s", chunks.why);
        return NULL;
    }
    Way way = cheapest(arena, &s);
    if (!fits(&s, way)) {
        report(arena, &s, &chunks, way.price.bytes, diag);
        return NULL;
    }
    Module *made = ARENA_NEW(arena, Module);
    *made = module_of(&s, way);
    if (!check_scores(made, diag)) return NULL;
    Compiled *compiled = compile_plans(arena, made, target);
    compiled->without = compiled_price(whole);
    return compiled;
}
