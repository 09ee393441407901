// SPDX-License-Identifier: MIT
// Checkpoints: a safetensors file (8 bytes of header length, a JSON header, the tensors) that holds
// the whole state of a run, so that one that was resumed gives the same bits as one that was not
// interrupted. docs/DATA.md has the metadata by name.
#ifndef NNC_CHECKPOINT_H
#define NNC_CHECKPOINT_H

#include "scores.h"

// Where a run stands. All of it is in the checkpoint.
#define NNC_CHECKPOINT_FORMAT "nnc 1" // keys may be added; one that means another thing is a new version

typedef struct NncPosition {
    long long seed;
    long long step;     // steps done
    long long epoch;    // epochs completed
    long long position; // examples of the current epoch that were trained on
    long long examples; // in an epoch; 0, with position 0: not known
    NncScores sum;      // over those of the current epoch, of training's loss and metrics
    double plateau_loss;     // the lowest loss of an epoch so far
    long long plateau_epoch; // after which it, or the last plateau, was; 0: neither yet
    long long plateaus;      // so far
    long long best_epoch; // after which the best checkpoint was kept, or from which on one is looked for
    double best_value;    // its score; NaN: there is none yet
} NncPosition;

typedef struct NncCheckpoint { // besides the tensors
    NncPosition at;
    NncBoard board;   // of the last completed epoch
    char best[300];   // the score that best_value is of; "": no best epoch is kept
    char plan[32];
    char **class_name; // class_count of them, or NULL
    int class_count;
    double *hyper; // one for each of the program's, as they were at the time
} NncCheckpoint;

// Can a checkpoint be written there? Makes the folder; leaves no file.
NncStatus nnc_checkpoint_try(const char *path, NncError *error);

// The file appears complete or not at all. *hash: of the tensors' bytes, in the program's order.
NncStatus nnc_checkpoint_write(const char *path, const NncProgram *program,
                               const NncCheckpoint *checkpoint, const char *state, uint64_t *hash,
                               NncError *error);

// Reads the program's tensors into `state`: all of them to go on training, else those to predict
// with. Every length and offset is checked. The caller frees with nnc_checkpoint_free, after an
// error too.
NncStatus nnc_checkpoint_read(const char *path, const NncProgram *program, bool to_train,
                              NncCheckpoint *checkpoint, char *state, NncError *error);
void nnc_checkpoint_free(NncCheckpoint *checkpoint);

typedef struct NncInitial { // what was taken of a file that a new run begins with
    bool partial;    // what does not fit is left out, and noted
    int taken, left; // of the program's tensors
    char *notes;     // a line for each that was left; free
} NncInitial;

// Parameters and layers' state by name from any safetensors file, its floats of whatever size; the
// optimizer begins anew. All of them have to be there, in the program's shapes, unless `partial`.
NncStatus nnc_checkpoint_initial(const char *path, const NncProgram *program, bool partial,
                                 char *state, NncInitial *initial, NncError *error);

typedef struct NncStored { // a tensor of any safetensors file
    const char *name, *type; // type: F32, BF16 ..
    int rank;
    const long long *extent;
    const void *data;
    long long bytes;
} NncStored;

// Calls `visit` for each tensor of a file, by name; nothing of it is kept.
NncStatus nnc_checkpoint_each(const char *path, void (*visit)(void *context, const NncStored *),
                              void *context, NncError *error);

long long nnc_tensor_bytes(const NncTensor *tensor);
const char *nnc_safetensors_type(NncType type); // F32, I32, BOOL, F64

#endif
