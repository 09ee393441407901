// SPDX-License-Identifier: MIT
// Choices and what was measured for them: see choice.h.
#include "support/choice.h"
#include "support/map.h"

#include <math.h>
#include <string.h>

// --- What was measured

Tuning *tuning_new(Arena *arena) {
    Tuning *tuning = ARENA_NEW(arena, Tuning);
    tuning->arena = arena;
    tuning->by_site = map_new(arena);
    return tuning;
}

void tuning_put(Tuning *tuning, const Tuned *tuned) {
    Tuned *kept = map_get(tuning->by_site, tuned->site);
    if (!kept) {
        kept = ARENA_NEW(tuning->arena, Tuned);
        VEC_PUSH(tuning->arena, tuning->all, kept);
        map_put(tuning->by_site, tuned->site, kept);
    }
    *kept = *tuned;
    kept->site = arena_strdup(tuning->arena, tuned->site);
    kept->takes = arena_strdup(tuning->arena, tuned->takes);
    for (int i = 0; i < kept->count; i++)
        kept->candidate[i].name = arena_strdup(tuning->arena, tuned->candidate[i].name);
}

const Tuned *tuning_find(const Tuning *tuning, const char *site) {
    return tuning ? map_get(tuning->by_site, site) : NULL;
}

// --- Choices

Choice *choice_new(Arena *arena, ChoiceKind kind, const char *site) {
    Choice *choice = ARENA_NEW(arena, Choice);
    choice->kind = kind;
    choice->site = site;
    return choice;
}

static Candidate *find(Choice *choice, const char *name) {
    for (int i = 0; i < choice->count; i++)
        if (!strcmp(choice->candidate[i].name, name)) return &choice->candidate[i];
    return NULL;
}

void choice_offer(Choice *choice, const char *name, double cost) {
    Candidate *known = find(choice, name);
    if (known)
        known->cost = fmin(known->cost, cost);
    else if (choice->count < MOST_CANDIDATES)
        choice->candidate[choice->count++] = (Candidate){.name = name, .cost = cost};
}

static void take_tuned(Choice *choice, const Tuned *tuned) {
    Candidate *takes = find(choice, tuned->takes);
    if (!takes) return; // of another version, or not possible here
    choice->taken = (int)(takes - choice->candidate);
    choice->tuned = true;
    for (int i = 0; i < tuned->count; i++) {
        Candidate *measured = find(choice, tuned->candidate[i].name);
        if (measured) measured->seconds = tuned->candidate[i].seconds;
    }
}

int choice_take(Choice *choice, const Tuning *tuning) {
    if (choice->count == 0) return -1;
    choice->model = 0;
    for (int i = 1; i < choice->count; i++)
        if (choice->candidate[i].cost < choice->candidate[choice->model].cost) choice->model = i;
    choice->taken = choice->model;
    const Tuned *tuned = tuning_find(tuning, choice->site);
    if (tuned) take_tuned(choice, tuned);
    return choice->taken;
}

bool choice_takes(const Choice *choice, const char *name) {
    return !strcmp(choice->candidate[choice->taken].name, name);
}

// --- Text

static void print_count(Buf *out, double count) {
    static const char *const unit[] = {"", " k", " M", " G", " T"};
    int i = 0;
    for (; i < 4 && count >= 999.5; i++)
        count /= 1000;
    buf_printf(out, "%.3g%s", count, unit[i]);
}

static void print_seconds(Buf *out, double seconds) {
    buf_printf(out, seconds >= 1e-3 ? "%.2f ms" : "%.1f us",
               (seconds >= 1e-3 ? 1e3 : 1e6) * seconds);
}

// The others follow what is taken, the cheapest first, as far as anything is known of them.
static double known_of(const Choice *choice, int i) {
    const Candidate *candidate = &choice->candidate[i];
    if (choice->tuned) return candidate->seconds > 0 ? candidate->seconds : INFINITY;
    return candidate->cost;
}

void choice_print(Buf *out, const Choice *choice) {
    enum { SHOWN = 3 };
    void (*print)(Buf *, double) = choice->tuned ? print_seconds : print_count;
    bool shown[MOST_CANDIDATES] = {0};
    buf_add(out, choice->candidate[choice->taken].name);
    shown[choice->taken] = true;
    if (!isfinite(known_of(choice, choice->taken))) {
        if (choice->tuned) buf_add(out, ", since others made the whole no faster");
        return;
    }
    buf_add(out, choice->tuned ? ", measured " : ", counted as ");
    print(out, known_of(choice, choice->taken));
    if (!choice->tuned) buf_add(out, " multiplications");
    for (int more = 0; more < SHOWN; more++) {
        int best = -1;
        for (int i = 0; i < choice->count; i++)
            if (!shown[i] && isfinite(known_of(choice, i)) &&
                (best < 0 || known_of(choice, i) < known_of(choice, best)))
                best = i;
        if (best < 0) return;
        shown[best] = true;
        buf_printf(out, "%s%s ", more ? ", " : "; ", choice->candidate[best].name);
        print(out, known_of(choice, best));
    }
}
