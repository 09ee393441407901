// SPDX-License-Identifier: MIT
// Choices: which of several ways a piece of a network is computed. A pass describes the piece (its
// site) and offers the ways that there are, each with what the model says it costs; what is taken
// is the cheapest, or what was measured to be faster on the target (`nnc tune`).
//
//     Choice *choice = choice_new(arena, CHOICE_ALGORITHM, "conv2d 3x3 64->128 to 28x28, batch
//     16"); choice_offer(choice, "F(4)", 2.1e8); choice_offer(choice, "product", 9.2e8); int way =
//     choice_take(choice, target->tuning);     // 0
//
// A site's text says all that the choice may depend on, so it means the same in each function and
// in each model: shapes for a batch, never how many threads there are.
#ifndef NNC_SUPPORT_CHOICE_H
#define NNC_SUPPORT_CHOICE_H

#include "support/buf.h"
#include <stdbool.h>

enum { MOST_CANDIDATES = 41 };

typedef struct Candidate {
    const char *name;
    double cost;    // the model's, in multiplications and what takes as long; INFINITY: it does not
                    // know, and never takes it by itself
    double seconds; // measured, of all kernels of the site; 0: was not
} Candidate;

// In the order in which they are made: which products there are follows from the algorithms.
typedef enum ChoiceKind { CHOICE_ALGORITHM, CHOICE_FORM, CHOICE_KINDS } ChoiceKind;

typedef struct Choice {
    ChoiceKind kind;
    const char *site;
    Candidate candidate[MOST_CANDIDATES];
    int count;
    int model, taken; // the cheapest; the one that is computed
    bool tuned;       // taken because it was measured
} Choice;

// What was measured of a target: by site. What is not known there is left to the model.
typedef struct Tuned {
    const char *site, *takes;             // the name of a candidate
    Candidate candidate[MOST_CANDIDATES]; // those with seconds
    int count;
} Tuned;

typedef struct Tuning {
    Arena *arena;
    struct Map *by_site;
    VEC(Tuned *) all;
} Tuning;

Tuning *tuning_new(Arena *arena);
void tuning_put(Tuning *tuning, const Tuned *tuned); // copied; replaces what the site had
const Tuned *tuning_find(const Tuning *tuning, const char *site); // NULL: nothing

Choice *choice_new(Arena *arena, ChoiceKind kind, const char *site);
void choice_offer(Choice *choice, const char *name, double cost); // again: the smaller cost counts
// Decides; tuning may be NULL. The index of the candidate; -1: none was offered.
int choice_take(Choice *choice, const Tuning *tuning);
bool choice_takes(const Choice *choice, const char *name);

// "F(4) measured 2.10 ms; product 9.04 ms", or "F(4) counts as 210 M multiplications; product 920
// M"
void choice_print(Buf *out, const Choice *choice);

#endif
