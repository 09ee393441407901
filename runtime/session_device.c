// SPDX-License-Identifier: MIT
// Sessions of programs for a device: see session.h and device.h. The host runs ahead of the device
// by up to NNC_LATE steps, whose outputs it reads when they are there; else it does all that a
// session on this processor does.
#include "session.h"
#include <string.h>

NncStatus nnc_session_check(const NncSession *session, NncError *error) {
    if (session->failed.status) *error = session->failed;
    return session->failed.status;
}

const char *nnc_session_device(const NncSession *session) {
    return session->device ? session->program->device->name(session->device) : "cpu";
}

// --- The state

NncStatus nnc_session_pull(NncSession *session, NncError *error) {
    if (!session->device || !session->ahead) return NNC_OK;
    if (nnc_session_check(session, error)) return error->status;
    session->ahead = false;
    return session->program->device->download(session->device, session->state, error);
}

NncStatus nnc_session_push(NncSession *session, NncError *error) {
    if (!session->device) return NNC_OK;
    session->ahead = false;
    return session->program->device->upload(session->device, session->state, error);
}

// --- Outputs

static char *own_output(const NncSession *session, const NncLate *late) {
    long long bytes = session->program->function[NNC_TRAIN].output_bytes;
    return session->late_output + (late - session->late) * bytes;
}

// Its outputs in their own place. False where they are not there yet.
static bool settle(NncSession *session, NncLate *late, bool wait) {
    const NncProgram *program = session->program;
    if (late->settled) return true;
    const char *output =
        program->device->output(session->device, late->run, wait, &session->failed);
    if (output)
        memcpy(own_output(session, late), output,
               (size_t)program->function[NNC_TRAIN].output_bytes);
    return late->settled = output != NULL;
}

static NncLate *oldest(NncSession *session) { return &session->late[session->late_first]; }

static void drop_oldest(NncSession *session) {
    session->late_first = (session->late_first + 1) % NNC_LATE;
    session->late_count--;
}

// Who does not ask for steps goes without.
void nnc_session_begun(NncSession *session, long long of) {
    if (session->late_count == NNC_LATE) drop_oldest(session);
    int next = (session->late_first + session->late_count++) % NNC_LATE;
    session->late[next] =
        (NncLate){.done = {session->checkpoint.at.step + 1, of}, .run = session->runs - 1};
}

bool nnc_session_done(NncSession *session, bool wait, NncDone *done) {
    if (session->late_count == 0 || session->failed.status) return false;
    NncLate *late = oldest(session);
    if (session->device) {
        if (!settle(session, late, wait || session->late_count == NNC_LATE)) return false;
        session->output = own_output(session, late);
    }
    *done = late->done;
    drop_oldest(session);
    return true;
}

// --- Runs

// A run whose outputs nobody has asked for yet may be one whose place this one takes.
void nnc_session_begin(NncSession *session, NncFunctionKind kind, const NncCtx *ctx) {
    for (int i = 0; i < session->late_count && !session->failed.status; i++) {
        NncLate *late = &session->late[(session->late_first + i) % NNC_LATE];
        if (late->run <= session->runs - NNC_DEVICE_RUNS) settle(session, late, true);
    }
    if (session->failed.status) return;
    if (session->program->device->run(session->device, kind, ctx, &session->failed)) return;
    session->failed.status = NNC_OK;
    session->runs++;
    session->ahead = session->ahead || kind == NNC_INIT || kind == NNC_TRAIN || kind >= NNC_CHUNK;
}

void nnc_session_wait(NncSession *session) {
    if (session->failed.status) return;
    session->output = (char *)session->program->device->output(session->device, session->runs - 1,
                                                               true, &session->failed);
}
