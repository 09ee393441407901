// SPDX-License-Identifier: MIT
// Numbers that are none: what a run does when its loss or its parameters are infinite or not a
// number. It ends, and no checkpoint is written over one that is good. With options->trap_nan it is
// looked at closely: each step's state is kept until the next, so that of the first step that goes
// wrong there are state and batch as it found them.
//
//     NncTrap trap = {0};
//     nnc_trap_keep(&trap, session, error);                   before a step
//     nnc_trap_check(&trap, progress, loader, &batch, error); after it: NNC_ERROR_NUMBER, reported
//     nnc_trap_free(&trap);
#ifndef NNC_NUMBERS_H
#define NNC_NUMBERS_H

#include "session.h"

// The loss of a step is none. `path`: of the checkpoint; `kept`: the step that it holds, or -1.
NncStatus nnc_loss_error(const NncSession *session, double loss, long long step, const char *path,
                         long long kept, NncError *error);
// Are the parameters in session->state numbers, all of them? They are about to be written to `path`.
NncStatus nnc_parameters_check(const NncSession *session, const char *path, long long kept,
                               NncError *error);

typedef struct NncTrap {
    NncSession *session;
    char *state; // as it was before the step
    bool amid;   // of a step that takes several chunks
} NncTrap;

NncStatus nnc_trap_keep(NncTrap *trap, NncSession *session, NncError *error);
// Of a step that is done and counted, whose last chunk is `batch`.
NncStatus nnc_trap_check(NncTrap *trap, NncProgress *progress, const NncLoader *loader,
                         const NncBatch *batch, NncError *error);
void nnc_trap_free(NncTrap *trap);

#endif
