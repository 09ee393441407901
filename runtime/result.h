// SPDX-License-Identifier: MIT
// What a run that has come to its end is worth: the scores of its best epoch (of its last one,
// where no best is kept), on the test examples too, and whether they are what the train block
// expects.
#ifndef NNC_RESULT_H
#define NNC_RESULT_H

#include "session.h"

// Reports them; NNC_UNMET where an expectation is not met. `best`: the checkpoint of the best
// epoch, which is read into the session, or NULL. *stop may become true on the way: then
// NNC_INTERRUPTED.
NncStatus nnc_result(NncSession *session, NncProgress *progress, const char *best,
                     const volatile sig_atomic_t *stop, NncError *error);

#endif
