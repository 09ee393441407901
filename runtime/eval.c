// SPDX-License-Identifier: MIT
// nnc_eval: the loss and the metrics of a checkpoint on the test split.
#include "file.h"
#include "session.h"

static NncStatus evaluate(NncSession *session, NncError *error) {
    char path[NNC_PATH];
    NncScores scores;
    if (!session->program->function[NNC_EVAL].run)
        return nnc_error(error, NNC_ERROR_VALUE, "%s has no loss: there is nothing to evaluate",
                         session->program->model);
    NncStatus status = nnc_session_checkpoint_path(session, path, error);
    if (!status) status = nnc_session_restore(session, path, false, error);
    if (!status) status = nnc_session_open_data(session, true, error);
    if (!status) status = nnc_session_hold_out(session, error);
    if (!status) status = nnc_session_evaluate(session, NNC_SPLIT_TEST, NULL, &scores, error);
    if (status) return status;
    NncProgress progress = {.out = nnc_report_file(session->options),
                            .mode = nnc_report_mode(session->options)};
    nnc_progress_scores(&progress, path, &scores);
    return NNC_OK;
}

NncStatus nnc_eval(const NncProgram *program, const NncOptions *options, NncError *error) {
    NncSession session;
    NncStatus status = nnc_session_open(&session, program, options, error);
    if (!status) status = evaluate(&session, error);
    nnc_session_close(&session);
    return status;
}
