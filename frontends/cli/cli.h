// SPDX-License-Identifier: MIT
// The `nnc` program: one function a subcommand, one table of all options.
//
// Exit statuses: 0 done, 1 the user's mistake (said with its place) or an expectation that is not met,
// 2 wrong usage, 3 our own mistake, 130 training was interrupted.
#ifndef NNC_CLI_H
#define NNC_CLI_H

#include "compile.h"
#include "jit/jit.h"
#include "nnc.h"
#include "nnd/elab.h"
#include "support/choice.h"

enum { EXIT_DONE, EXIT_USER, EXIT_USAGE_ERROR, EXIT_BUG, EXIT_STOPPED = 130 };

typedef enum CommandId {
    CMD_TRAIN,
    CMD_EVAL,
    CMD_PREDICT,
    CMD_PLOT,
    CMD_SHOW,
    CMD_BUILD,
    CMD_EMIT,
    CMD_CHECK,
    CMD_GRAPH,
    CMD_VERIFY,
    CMD_EXPLAIN,
    CMD_BENCH,
    CMD_TUNE,
    CMD_COUNT,
} CommandId;

typedef enum Device { DEVICE_CPU, DEVICE_CUDA, DEVICE_AUTO } Device;

typedef struct Settings { // what the command line says
    Arena *arena;
    CommandId command;
    const char *file;
    VEC(const char *) input; // predict
    VEC(const char *) log;
    NncOptions run;
    JitOptions jit;
    Device device; // auto: a GPU, where there is one that can be used
    ElabOptions elab;
    const char *output; // -o
    const Tuning *tuning; // what was measured; NULL: what `nnc tune` has kept
    bool no_tuned;        // nothing of that
    int rounds;           // tune: how often each candidate is measured
    bool baseline;        // compiled as what nnc bench compares with
    const char *plot;   // bench: where the roofline goes
    const char *stage, *format, *function, *target;
    bool metrics; // graph: in a step's picture
    bool draws; // graph: a picture in any format
    int depth;
    VEC(const char *) set_name;
    VEC(double) set_value;
} Settings;

// Ends the process with EXIT_USAGE_ERROR, after a message, where the line is wrong (cli/options.c).
void settings_parse(Settings *settings, CommandId command, int argc, char **argv);

// --- cli/model.c: the stations of the way; NULL or false after an error, which is printed

Module *load_module(const Settings *settings);
// What is compiled for: the tier and the processor that the command line asks for. NULL after an
// error, as above.
const Target *load_target(const Settings *settings);
bool is_portable(const Settings *settings); // --march portable: several processors, for build alone
Compiled *load_compiled(const Settings *settings);
// Compiled and loaded: program.function[].run and .scalars and program.jit are filled in. Where the
// tier that was hoped for cannot be had (--jit auto), *compiled is compiled again for the other.
Jit *load_functions(const Settings *settings, Compiled *compiled);
int report(const char *format, ...)
    __attribute__((format(printf, 1, 2))); // nnc: error: ..; EXIT_USER

// --- cli/waiting.c

// Says on a terminal what is being done, until the next one or until it is over.
void waiting(const char *format, ...) __attribute__((format(printf, 1, 2)));
void waiting_over(void);

// --- cli/tuned.c: what was measured, in a file of the cache

// What is known of the target; NULL: nothing, or it is not to be used. A file that is not ours or
// makes no sense is left out, with a warning.
const Tuning *tuned_load(const Settings *settings, const Target *target);
// Adds to that file. NULL after an error, which is printed; else its path.
const char *tuned_keep(const Settings *settings, const Target *target, const Tuning *found);

typedef struct Choices {
    VEC(const Choice *);
} Choices;
// Those of some functions (bits 1 << NNC_TRAIN ..), each site once.
Choices compiled_choices(Arena *arena, const Compiled *compiled, unsigned functions);

// --- cli/trap.c

// Of a step that makes numbers that are none: which operators do. `of`: the Compiled.
void trap_explain(void *of, const NncTrouble *trouble, FILE *out);

// --- cli/inspect.c

// --function, or the first that the module has of train, eval, predict.
NncFunctionKind chosen_function(const Settings *settings, const Module *module);
long long module_parameters(const Module *module);

// --- The subcommands: an exit status each

int command_train(const Settings *settings);
int command_eval(const Settings *settings);
int command_predict(const Settings *settings);
int command_plot(const Settings *settings);
int command_show(const Settings *settings);
int command_build(const Settings *settings);
int command_emit(const Settings *settings);
int command_check(const Settings *settings);
int command_graph(const Settings *settings);
int command_verify(const Settings *settings);
int command_explain(const Settings *settings);
int command_bench(const Settings *settings);
int command_tune(const Settings *settings);

#endif
