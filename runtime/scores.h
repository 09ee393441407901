// SPDX-License-Identifier: MIT
// What was measured, by name; and of an epoch, by split and name: train.loss, val.accuracy, test.loss.
//
//     NncBoard board = {0};
//     nnc_scores_set(&board.of[NNC_SPLIT_TRAIN], "loss", 0.25);
//     const double *loss = nnc_board_find(&board, "train.loss");      // NULL: it was not measured
#ifndef NNC_SCORES_H
#define NNC_SCORES_H

#include "source.h"

typedef struct NncScores { // of one split; a mean over its examples each
    int count;
    const char *name[NNC_MAX_SCORES]; // loss, accuracy; they outlive the scores
    double value[NNC_MAX_SCORES];
    long long examples;
} NncScores;

typedef struct NncBoard {
    NncScores of[NNC_ALL_SPLITS]; // count 0: not measured
} NncBoard;

// What a function gives of a batch, all zero: for sums.
NncScores nnc_scores_of(const NncFunction *function);
void nnc_scores_add(NncScores *sum, const NncScores *more); // of the same function
NncScores nnc_scores_mean(const NncScores *sum); // sums over examples, divided by their number

void nnc_scores_set(NncScores *scores, const char *name,
                    double value); // more than there is room for: left out
const double *nnc_board_find(const NncBoard *board, const char *name);

// {"train.loss":0.25,"val.loss":0.5}
void nnc_board_write(FILE *out, const NncBoard *board);
// Takes what has a name that the program gives; false where the text is no such object.
bool nnc_board_read(const char *text, const NncProgram *program, NncBoard *board);

// Is `value` better than the best so far? That may be NaN, there being none; a NaN never is.
bool nnc_score_is_better(const NncProgram *program, double value, double best);

#endif
