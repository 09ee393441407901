// SPDX-License-Identifier: MIT
// Results and expectations: see result.h.
#include "result.h"
#include <string.h>

static bool is_met(const NncExpect *expect, double value) {
    bool equal = value == expect->value && expect->relation[1] == '=';
    return equal || (*expect->relation == '<' ? value < expect->value : value > expect->value);
}

// Every one is reported; the error is of the first that is not met.
static NncStatus check_expectations(const NncProgram *program, NncProgress *progress,
                                    const NncBoard *board, NncError *error) {
    int unmet = 0;
    const NncExpect *first = NULL;
    for (int i = 0; i < program->expect_count; i++) {
        const NncExpect *expect = &program->expect[i];
        const double *value = nnc_board_find(board, expect->score);
        bool met = value && is_met(expect, *value);
        nnc_progress_expect(progress, expect, value, met);
        if (met) continue;
        if (!first) first = expect;
        unmet++;
    }
    if (!unmet) return NNC_OK;
    if (first->otherwise)
        return nnc_error(error, NNC_UNMET, "%s (not met: %s %s %g)", first->otherwise, first->score,
                         first->relation, first->value);
    return nnc_error(error, NNC_UNMET, "not met: %d of %d expectations, the first is %s %s %g",
                     unmet, program->expect_count, first->score, first->relation, first->value);
}

NncStatus nnc_result(NncSession *session, NncProgress *progress, const char *best,
                     const volatile sig_atomic_t *stop, NncError *error) {
    long long step = session->checkpoint.at.step;
    NncStatus status = best ? nnc_session_restore(session, best, false, error) : NNC_OK;
    if (status) return status;
    NncBoard board = session->checkpoint.board;
    NncScores *test = &board.of[NNC_SPLIT_TEST];
    if (!test->count && session->program->function[NNC_EVAL].run)
        status = nnc_session_evaluate(session, NNC_SPLIT_TEST, stop, test, error);
    if (status) return status;
    nnc_progress_result(progress, session->checkpoint.at.epoch, step, &board, best != NULL);
    return check_expectations(session->program, progress, &board, error);
}
