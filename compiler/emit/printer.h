// SPDX-License-Identifier: MIT
// What the files that print loop nests share: where the printing stands, and texts of values and
// indices.
#ifndef NNC_EMIT_PRINTER_H
#define NNC_EMIT_PRINTER_H

#include "emit/nest.h"
#include "pass/gpu.h"
#include "pass/stages.h"

enum { REDUCE_LANES = 16 };

typedef struct Printer {
    Buf *out;
    const Loops *loops;
    Arena *arena;
    int depth;
    uint64_t open;     // variables whose loops are open, or LETs that are printed
    uint64_t stored;   // stores that are printed
    bool streams;      // the innermost loop is one of blocks, from `first`
    const GpuShape *gpu;      // how threads share the nest (emit/cuda_team.c); NULL: on a processor
    const char **keep;        // by value id, where it goes as soon as it is computed; or NULL
    const char *const *place; // by store, where it goes meanwhile; NULL: into its buffer
    uint64_t *deps;    // by value id: the variables it depends on
    int *uses;         // by value id
    const char **name; // by value id: its local, where it is printed and in scope
    VEC(int) named;    // ids in the order of printing; variables below 0: -1 - var
} Printer;

// Knows who uses what in the nest, which nothing is printed of yet (nest.c).
Printer printer_new(Buf *out, const Loops *loops, int depth);

// --- Scopes (printer.c)

void printer_line(Printer *p);            // starts a line, indented
int printer_enter(Printer *p);            // behind a {; the mark is for
void printer_leave(Printer *p, int mark); // the }, where what was named inside goes out of scope
int printer_open_loop(Printer *p, int var, const char *low, const char *high);
void printer_own_var(Printer *p, int var); // one that was declared: is in scope from here on
void printer_set_var(Printer *p, int var, const char *text); // a loop's variable, without the loop

// --- Texts. They print the statements that they need in front of the line at hand.

const char *printer_var(const Printer *p, int var);
const char *printer_extent(Printer *p, int var);
const char *printer_index(Printer *p, const Index *index);
void printer_condition(Printer *p, Buf *text, const Condition *condition);
// Those that `keep` (NULL: all) keeps, joined by &&; NULL where there are none.
const char *printer_conditions(Printer *p, const Condition *condition, int count,
                               bool (*keep)(const Printer *, const Condition *));
const char *printer_value(Printer *p, const Value *value);
const char *printer_declare(Printer *p, const Value *value, const char *text);
// Declares what a value needs and what does not depend on loops yet to be opened.
void printer_hoist(Printer *p, const Value *value);
// Computes all results whose loops are open, then stores them; each once.
void printer_stores(Printer *p);
bool printer_stores_due(const Printer *p); // is there one?

// Are the store's neighbours along the innermost loop to be written past the caches?
bool printer_streams(const Loops *loops, const Store *store);

// Around a block of the innermost loop, from `first` on, that is to be written past the caches:
// what it has computed goes from a local array.
void printer_near(Printer *p, int size);
void printer_streamed(Printer *p, int var, bool even);

// --- Reductions (reduce.c)

void printer_reduce(Printer *p, const Value *value); // names the value
// In lanes, piece by piece: the accumulators; sixteen elements, from 16 * which of the block that
// the C variable v<id>_block is the first index of, all or (`rest`) so many; their sum, which names
// the value; the accumulators as at first.
int reduce_lanes(const Printer *p, const Value *value);
void reduce_declare(Printer *p, const Value *value);
void reduce_sixteen(Printer *p, const Value *value, int which, const char *rest);
void reduce_close(Printer *p, const Value *value);
void reduce_reset(Printer *p, const Value *value);
// Exponentials in `value`, sixteen at a time, for a loop of `lane` behind it: their arguments begin
// at index NAME_block + first of `var`.
void reduce_exponentials(Printer *p, const Value *value, int var, const char *name, int first);
const char *reduce_identity(const Value *value);
const char *reduce_least(DType dtype); // than which nothing is less, as C
void printer_accumulate(Printer *p, const Value *value, const char *to);
bool printer_is_open(const Printer *p, const Condition *condition); // can be asked here
// An if around what follows, of a reduction's conditions that can be asked here: the mark to leave
// it by, or -1 where there are none.
int printer_open_if(Printer *p, const Value *value);
// Skips this turn of the loops of `var` where a condition that can be asked since they opened does
// not hold.
void printer_ask(Printer *p, const Value *value, const int *var, int count);
// to = the reduction of to and another term.
void printer_combine(Printer *p, const Value *value, const char *to, const char *term);

// Behind a loop over some terms, for the turns that the conditions hold in: an argmax.
void reduce_argmax_turn(Printer *p, const Value *value, const char *name);

// --- Shared by the threads of a GPU (cuda_team.c)

void printer_team_reduce(Printer *p, const Value *value); // names the value

// --- Stages (stages.c)

// The loop over rows from low to high, with all that is in it.
void printer_stages(Printer *p, const Stages *stages, const char *low, const char *high);

// --- Rows (row.c)

// The only reduction of the nest, if it is to be accumulated by rows; else NULL.
const Value *printer_row_reduction(const Printer *p);
// The innermost loop of the nest, from low to high, with that reduction and the stores.
void printer_row(Printer *p, const Value *value, const char *low, const char *high);

#endif
