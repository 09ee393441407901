// SPDX-License-Identifier: MIT
// Which nodes a walk has been at: a set of small numbers that is empty again at no cost, so that
// many short walks through a large graph take no longer than what they see.
//
//     marks_clear(marks);
//     if (!marks_add(marks, node->id)) return;      // was there already
#ifndef NNC_SUPPORT_MARKS_H
#define NNC_SUPPORT_MARKS_H

#include "support/arena.h"
#include <stdbool.h>

typedef struct Marks {
    unsigned *at, now; // at[i] == now: i is in the set
} Marks;

static inline Marks *marks_new(Arena *arena, int count) { // of 0 .. count - 1
    Marks *marks = ARENA_NEW(arena, Marks);
    marks->at = ARENA_ARRAY(arena, unsigned, count);
    marks->now = 1;
    return marks;
}

static inline void marks_clear(Marks *marks) { marks->now++; }

// False where it is in the set already.
static inline bool marks_add(Marks *marks, unsigned i) {
    bool fresh = marks->at[i] != marks->now;
    marks->at[i] = marks->now;
    return fresh;
}

#endif
