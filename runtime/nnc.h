// SPDX-License-Identifier: MIT
// The runtime's public header: the only thing that a compiled program links with, and what `nnc` itself
// runs a program with after compiling it in memory.
//
// A program is one constant table, NncProgram: its functions, where each tensor lies, what it trains on.
// `nnc train` fills one in memory, `nnc build` and `nnc emit` print the same one as C.
//
// Nothing here exits or prints to standard output on its own account but nnc_main; errors are a code and a
// sentence in NncError.
#ifndef NNC_H
#define NNC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "nnc_ctx.h"

enum { NNC_ABI = 3, NNC_MAX_RANK = 8, NNC_ALIGN = 64 };
enum { NNC_PASSES = 3 }; // most times that a step goes through its batch
enum { NNC_MAX_SCORES = 32 }; // that are measured: the loss and the metrics

typedef enum NncStatus {
    NNC_OK,
    NNC_ERROR_FILE,   // cannot be opened, read, written
    NNC_ERROR_FORMAT, // is not what it says it is; truncated
    NNC_ERROR_MATCH,  // does not belong to this program (shapes, names)
    NNC_ERROR_VALUE,  // out of range (a label, an option)
    NNC_ERROR_MEMORY,
    NNC_ERROR_NUMBER, // the loss is not finite
    NNC_INTERRUPTED,
    NNC_UNMET, // trained, but what the train block expects did not come
    NNC_ERROR_DEVICE, // a GPU is missing, or has failed
} NncStatus;

typedef struct NncError {
    NncStatus status;
    char text[512]; // one sentence, the file and offset in it; no newline
} NncError;

// Sets *error and returns its status, so that `return nnc_error(e, NNC_ERROR_FILE, ...)` reads well.
NncStatus nnc_error(NncError *error, NncStatus status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef enum NncType { NNC_F32, NNC_I32, NNC_BOOL, NNC_F64 } NncType; // as DType in the compiler

// --- The program

typedef enum NncTensorKind { NNC_PARAMETER, NNC_LAYER_STATE, NNC_OPTIMIZER_STATE } NncTensorKind;

typedef struct NncTensor { // in the state arena; goes into the checkpoint under its name
    const char *name;      // conv2d_1.weight; adam.m/conv2d_1.weight
    NncTensorKind kind;
    NncType type;
    int rank;
    long long extent[NNC_MAX_RANK];
    long long offset; // bytes from the arena's start
} NncTensor;

typedef struct NncColumn { // an input in the batch arena, or an output in the output arena
    const char *name;
    NncType type;
    int rank;                       // axes, the first of an input being N
    long long extent[NNC_MAX_RANK]; // with N = the program's chunk
    long long offset;               // bytes
    long long classes;              // > 0: an index, 0 .. classes - 1
    bool is_target;                 // not needed to predict
    bool per_example;               // its first axis is N (an output: else it is a value of the batch)
} NncColumn;

// Where a step takes its batch in chunks, CHUNK is what is done for each, and TRAIN the rest. Where it
// has to go through all chunks again, that is CHUNK + 1, .., with BETWEEN, .. between the passes.
typedef enum NncFunctionKind {
    NNC_INIT,
    NNC_TRAIN,
    NNC_EVAL,
    NNC_PREDICT,
    NNC_CHUNK,
    NNC_BETWEEN = NNC_CHUNK + NNC_PASSES,
    NNC_FUNCTIONS = NNC_BETWEEN + NNC_PASSES - 1
} NncFunctionKind;

typedef struct NncFunction {
    void (*run)(NncCtx *);
    // What is evaluated in double once a step: learning rate, schedules, bias correction.
    // hyper: by program->hyper; step: steps done before this one; epoch: epochs completed; n: examples in this batch.
    void (*scalars)(const double *hyper, double step, double epoch, double n, float *out);
    int scalar_count;
    long long work_bytes, output_bytes;
    long long scratch_bytes; // for each thread
    const NncColumn *output; // TRAIN, EVAL: "loss", then the metrics. PREDICT: the outputs
    int output_count;
} NncFunction;

typedef enum NncHyperKind {
    NNC_GIVEN,
    NNC_OF_DATA, // given, but of the data block: source.radius, validation
    NNC_RUN_EPOCHS,
    NNC_RUN_STEPS,
    NNC_RUN_PLATEAUS
} NncHyperKind;

// A number that the scalars of a step depend on: given, and set on the command line as --set
// NAME=VALUE ("lr" also as --lr); or one of the run, which nnc_train fills in: how many epochs and
// steps there will be, how many plateaus there have been.
typedef struct NncHyper {
    const char *name;
    double value;
    NncHyperKind kind;
} NncHyper;

static inline bool nnc_hyper_is_given(const NncHyper *hyper) {
    return hyper->kind == NNC_GIVEN || hyper->kind == NNC_OF_DATA;
}

typedef struct NncArgument { // of a data source or an augmentation: a number, or a text
    const char *name; // "" : positional
    const char *text; // NULL: number
    double number;
} NncArgument;

typedef struct NncCall { // cifar10("data"), random_crop(image, padding = 4)
    const char *name;
    const char *column; // augmentation: the column it works on; else NULL
    const NncArgument *argument;
    int argument_count;
} NncCall;

typedef struct NncExpect { // what a score of the run is to be: test.accuracy > 0.58
    const char *score;
    const char *relation; // < <= > >=
    double value;
    const char *otherwise; // what is said if it is not; or NULL
} NncExpect;

typedef struct NncProgram {
    int abi;
    const char *model, *file; // Net, net.nnd
    const char *source;       // the text of the .nnd file, kept in the checkpoint
    const char *plan;         // plan id: 16 hexadecimal digits
    const char *jit;          // native, tcc
    const char *precision;    // f32; bf16: of what lies between kernels; tf32: of what products read
    const char *target;       // what its functions were emitted for: x86-64-v4, armv8-a, library
    int batch, epochs;
    int chunk; // examples that are taken at a time, and that the arenas have room for: the batch, or fewer
    long long seed;
    bool shuffle;
    int plateau; // epochs without a lower loss that make a plateau; 0: none ever
    double validation;    // a part of the training examples (below 1), or so many, are held out; 0: none
    const char *best;     // the score by which the best checkpoint is kept: val.loss; NULL: none is
    bool best_is_lowest;
    int patience;         // epochs without a better one after which training ends; 0: any number
    const NncExpect *expect;
    int expect_count;
    long long state_bytes, input_bytes;
    const NncTensor *tensor;
    int tensor_count;
    const NncColumn *input;
    int input_count;
    const NncHyper *hyper;
    int hyper_count;
    NncFunction function[NNC_FUNCTIONS];
    const struct NncDevice *device; // what the functions run on (device.h); NULL: this processor
    // Learning rates, for reports: of a step, as its scalars are.
    void (*rates)(const double *hyper, double step, double epoch, double n, double *out);
    const char *const *rate; // names; rate_count of them
    int rate_count;
    NncCall data; // name NULL: none
    const NncCall *augment;
    int augment_count;
} NncProgram;

// --- Running one

// The first step that makes numbers that are none, as it was before.
typedef struct NncTrouble {
    const char *state, *input;     // the state arena, and the batch
    const long long *example;      // which of the training examples those of the batch are
    long long n;                   // of them
    long long step, epoch, seed;   // steps and epochs done before
    const double *hyper;           // by program->hyper
} NncTrouble;

typedef struct NncOptions { // zero: the program's own value
    int epochs, threads;    // threads 0: one a processor
    long long steps; // the run ends after this step, counted from its first one, a resumed run's too
    long long limit, report_every; // report_every 0: 100
    long long save_every;          // steps from checkpoint to checkpoint within an epoch; 0: at its end
    bool has_seed;
    long long seed;
    const char *data;       // folder that data paths start from
    const char *out;        // folder of the checkpoint; default "out"
    bool resume, json, quiet;
    const char *init;  // a safetensors file whose parameters a new run begins with; NULL: random ones
    bool init_partial; // those that fit
    // Each step is looked at: the first one whose loss or state is no finite number ends the run, and is
    // described; `explain`, or NULL, adds to the description what it knows.
    bool trap_nan;
    void (*explain)(void *of, const NncTrouble *trouble, FILE *out);
    void *explain_of;
    const char *expect_hash; // of the run's last checkpoint, 16 hexadecimal digits: else NNC_UNMET
    const char *const *log; // files for the run's figures: NAME.jsonl, NAME.csv
    int log_count;
    const char *tensorboard; // folder for an event file
    const char *checkpoint; // eval, predict
    const char *split;      // eval: train, val, test; NULL: test
    struct NncSource *opened; // the program's data, if that was opened before: the run closes it
    const char *const *set_name; // hyper-parameters set by the user
    const double *set_value;
    int set_count;
    FILE *report;           // where lines go; NULL: stdout
    const char *command;    // that goes on with an interrupted run: nnc train net.nnd --resume; or NULL
} NncOptions;

// The run's events go to options->report: a progress bar on a terminal, plain lines otherwise, JSON with json.
// Ctrl-C and SIGTERM are caught meanwhile: the step is finished, the checkpoint written, NNC_INTERRUPTED returned, with
// a sentence that says how to go on.
NncStatus nnc_train(const NncProgram *, const NncOptions *, NncError *);
NncStatus nnc_eval(const NncProgram *, const NncOptions *, NncError *);
// What a shell is to be told to go on with this training: the same words and --resume. NULL where there is no
// memory; free.
char *nnc_command_to_resume(int argc, char **argv);
// Is every option of a command line one of these, by its whole name? argp takes the beginning of a name as well, so
// that a new option changes what an old line means.
struct argp_option;
NncStatus nnc_options_check(const struct argp_option *options, int argc, char *const *argv, NncError *error);
// Inputs: an image file (PNG); test:17, train:17 for an example of the data source; a row of the inputs' values,
// "5.1,3.5"; a CSV file of rows.
NncStatus nnc_predict(const NncProgram *, const NncOptions *, const char *const *inputs, int count, NncError *);
// main() of a built program: train, eval, predict with their options, --help; its exit status.
int nnc_main(const NncProgram *, int argc, char **argv);
// The same of a program that carries its functions in several versions, by their `target`, the most demanding first:
// the first that this processor runs, or the one that $NNC_MARCH names.
int nnc_main_of(const NncProgram *const *version, int count, int argc, char **argv);

// --- What the compiler asks about data sources (runtime/source.c)

typedef enum NncFieldKind {
    NNC_FIELD_BYTES, // an image; 0 .. 255, which become 0 .. 1
    NNC_FIELD_REALS, // floats
    NNC_FIELD_LABEL, // the index of a class, an int32_t
    NNC_FIELD_TEXTS, // of more kinds than a label has: for no column
} NncFieldKind;

typedef struct NncField { // a named column of a source's examples
    const char *name;
    NncFieldKind kind;
    int rank; // of an example; below 0: known from the files alone
    long long extent[NNC_MAX_RANK];
    long long classes;             // of a label; 0: not known
    const char *const *class_name; // classes of them, or NULL
    const char *why;               // what a label's kind comes from, for messages; or NULL
    long long offset;              // where it lies in an example, in bytes
} NncField;

typedef struct NncSourceInfo {
    const char *name;          // cifar10, csv, idx
    const char *arguments;     // for messages: "FOLDER"
    int least_arguments, most_arguments;
} NncSourceInfo;

const NncSourceInfo *nnc_source_info(const char *name); // NULL where there is none
const char *const *nnc_source_names(int *count);
// What an augmentation takes behind its column, "padding = 4"; NULL where there is none of that name.
const char *nnc_augmentation_takes(const char *name);
const char *const *nnc_augmentation_names(int *count);
enum { NNC_HYPER_NAME = 300 };
// The hyper-parameter of a number in a call of the data block: source.radius; augment.random_crop.padding, and of the
// second random_crop augment.random_crop_2.padding. `augment`: the calls up to that one; count 0: it is the source's.
void nnc_data_hyper_name(char text[NNC_HYPER_NAME], const NncCall *augment, int count, const char *argument);
NncStatus nnc_augmentation_arguments(const NncCall *call, NncError *error); // are they its own?

// What is known of a source's examples without its files: as many fields as *count says, 0 where it is the files that
// tell. An argument that is wrong is an error.
enum { NNC_KNOWN_FIELDS = 2 };
NncStatus nnc_source_fields(const NncCall *call, NncField field[NNC_KNOWN_FIELDS], int *count, NncError *error);

// The nearest of `names` to `name` (for "did you mean"), or NULL where none is near (runtime/nearest.c).
const char *nnc_nearest(const char *name, const char *const *names, int count);

// --- Threads (runtime/pool.c)

typedef struct NncPool NncPool;
NncPool *nnc_pool_new(int threads); // NULL where memory or threads are not to be had
void nnc_pool_free(NncPool *);
int nnc_pool_threads(const NncPool *); // NULL: 1

// --- Memory (runtime/memory.c)

enum { NNC_LOADER_BATCHES = 4 }; // that are there at the same time, each of program->input_bytes

// The arenas of a run, in bytes as they are allocated. A run has those of all of the program's functions: of each
// the largest.
typedef struct NncArenas {
    long long state, input, output, work, scratch; // input: of one batch; scratch: of one thread
    long long all;
} NncArenas;

NncArenas nnc_arenas(const NncProgram *, int threads);

// Zeroed, aligned to a page at least; size > 0. NULL where there is none. For pieces that are large and few.
void *nnc_memory_new(size_t size);
void nnc_memory_free(void *, size_t size); // as it was asked for

// --- The processor (runtime/processor.c)

// The highest level of its architecture that this processor has: x86-64-v4, x86-64-v3, x86-64-v2, x86-64; armv8-a.
const char *nnc_processor(void);
bool nnc_processor_runs(const char *level); // false for another architecture's

// Lets this thread take numbers below the least normal float (1.2e-38) for zero, and make none: on many
// processors arithmetic with them takes a hundred times as long. Compiled functions run so, on the pool's
// threads and on the caller's. Gives what was before, for nnc_floats_restore().
unsigned long long nnc_floats_flush(void);
void nnc_floats_restore(unsigned long long before);

const char *nnc_product_library(void); // whose matrix products nnc_product's are: "OpenBLAS 0.3.21", or "own"

// --- Random numbers (runtime/rng.h has the generator itself, which emitted code repeats)

#endif
