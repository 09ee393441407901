// SPDX-License-Identifier: MIT
// nnc_eval: the loss and the metrics of a checkpoint on a split of its data.
#include "file.h"
#include "session.h"
#include <string.h>

static NncStatus find_split(const NncSession *session, NncSplit *split, NncError *error) {
    const char *name = session->options->split;
    for (*split = 0; name && *split < NNC_ALL_SPLITS; (*split)++)
        if (!strcmp(name, nnc_split_name(*split))) break;
    if (!name) *split = NNC_SPLIT_TEST;
    if (*split == NNC_ALL_SPLITS)
        return nnc_error(error, NNC_ERROR_VALUE, "there is no split %s: train, val or test", name);
    if (session->source.count[*split] > 0) return NNC_OK;
    return nnc_error(error, NNC_ERROR_VALUE, "there are no %s examples%s", nnc_split_name(*split),
                     *split == NNC_SPLIT_VALIDATION ? ": validation in the data block holds some out"
                                                    : "");
}

static NncStatus evaluate(NncSession *session, NncError *error) {
    char path[NNC_PATH];
    NncScores scores;
    NncSplit split;
    if (!session->program->function[NNC_EVAL].run)
        return nnc_error(error, NNC_ERROR_VALUE, "%s has no loss: there is nothing to evaluate",
                         session->program->model);
    NncStatus status = nnc_session_checkpoint_path(session, path, error);
    if (!status) status = nnc_session_restore(session, path, false, error);
    if (!status) status = nnc_session_open_data(session, true, error);
    if (!status) status = nnc_session_hold_out(session, error);
    if (!status) status = find_split(session, &split, error);
    if (!status) status = nnc_session_evaluate(session, split, NULL, &scores, error);
    if (status) return status;
    NncOptions loud = *session->options; // what is asked for is no report
    loud.quiet = false;
    NncProgress progress = {.report = nnc_report(&loud, NULL)};
    nnc_progress_scores(&progress, path, split, &scores);
    return NNC_OK;
}

NncStatus nnc_eval(const NncProgram *program, const NncOptions *options, NncError *error) {
    NncSession session;
    NncStatus status = nnc_session_open(&session, program, options, error);
    if (!status) status = evaluate(&session, error);
    nnc_session_close(&session);
    return status;
}
