// SPDX-License-Identifier: MIT
// Scores of an epoch: see scores.h.
#include "scores.h"
#include "json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void nnc_scores_set(NncScores *scores, const char *name, double value) {
    if (scores->count == NNC_MAX_SCORES) return;
    scores->name[scores->count] = name;
    scores->value[scores->count++] = value;
}

NncScores nnc_scores_of(const NncFunction *function) {
    NncScores scores = {0};
    for (int i = 0; i < function->output_count; i++)
        nnc_scores_set(&scores, function->output[i].name, 0);
    return scores;
}

void nnc_scores_add(NncScores *sum, const NncScores *more) {
    for (int i = 0; i < sum->count; i++)
        sum->value[i] += more->value[i];
    sum->examples += more->examples;
}

NncScores nnc_scores_mean(const NncScores *sum) {
    NncScores mean = *sum;
    for (int i = 0; i < sum->count; i++)
        mean.value[i] = sum->examples ? sum->value[i] / (double)sum->examples : 0;
    return mean;
}

// "val.accuracy" is of a split where it begins with that one's name and a point; what is behind it.
static const char *name_within(const char *name, NncSplit split) {
    const char *prefix = nnc_split_name(split);
    size_t length = strlen(prefix);
    return !strncmp(name, prefix, length) && name[length] == '.' ? name + length + 1 : NULL;
}

const double *nnc_board_find(const NncBoard *board, const char *name) {
    for (NncSplit split = 0; split < NNC_ALL_SPLITS; split++) {
        const NncScores *scores = &board->of[split];
        const char *own = name_within(name, split);
        for (int i = 0; own && i < scores->count; i++)
            if (!strcmp(scores->name[i], own)) return &scores->value[i];
    }
    return NULL;
}

void nnc_board_write(FILE *out, const NncBoard *board) {
    const char *before = "{";
    for (NncSplit split = 0; split < NNC_ALL_SPLITS; split++)
        for (int i = 0; i < board->of[split].count; i++, before = ",") {
            char name[300];
            snprintf(name, sizeof name, "%s.%s", nnc_split_name(split), board->of[split].name[i]);
            fputs(before, out);
            nnc_json_write_string(out, name);
            fputc(':', out);
            nnc_json_write_number(out, board->of[split].value[i]);
        }
    fputs(*before == '{' ? "{}" : "}", out);
}

// A score that is no number was written as null.
static double read_value(NncJson *json) {
    double value;
    size_t start = json->at;
    if (nnc_json_number(json, &value)) return value;
    json->problem = NULL;
    json->at = start;
    nnc_json_skip(json);
    return NAN;
}

// What of training's and eval's outputs has such a name.
static void take_score(const NncProgram *program, NncBoard *board, const char *name, double value) {
    for (NncSplit split = 0; split < NNC_ALL_SPLITS; split++) {
        const NncFunction *function =
            &program->function[split == NNC_SPLIT_TRAIN ? NNC_TRAIN : NNC_EVAL];
        const char *own = name_within(name, split);
        for (int i = 0; own && i < function->output_count; i++)
            if (!strcmp(function->output[i].name, own))
                nnc_scores_set(&board->of[split], function->output[i].name, value);
    }
}

bool nnc_board_read(const char *text, const NncProgram *program, NncBoard *board) {
    char *name;
    NncJson json = nnc_json(text, strlen(text));
    *board = (NncBoard){0};
    for (nnc_json_enter(&json, '{'); nnc_json_key(&json, &name); free(name))
        take_score(program, board, name, read_value(&json));
    return nnc_json_end(&json);
}

bool nnc_score_is_better(const NncProgram *program, double value, double best) {
    if (isnan(value) || isnan(best)) return !isnan(value);
    return program->best_is_lowest ? value < best : value > best;
}
