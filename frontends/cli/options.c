// SPDX-License-Identifier: MIT
// The options: one table, with the commands that each belongs to; argp does the rest.
#include "cli/cli.h"
#include "cli/manual.h"
#include "picture/picture.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIT(id) (1u << (id))
enum {
    TRAIN = BIT(CMD_TRAIN),
    RUN = BIT(CMD_TRAIN) | BIT(CMD_EVAL) | BIT(CMD_PREDICT),
    USE = BIT(CMD_EVAL) | BIT(CMD_PREDICT) | BIT(CMD_PLOT),
    MEASURED = BIT(CMD_EXPLAIN) | BIT(CMD_BENCH) | BIT(CMD_TUNE),
    ANY = (BIT(CMD_COUNT) - 1) & ~BIT(CMD_SHOW), // of a network
    // Options without a letter:
    OPT_EPOCHS = 256,
    OPT_BATCH,
    OPT_LR,
    OPT_SEED,
    OPT_THREADS,
    OPT_DATA,
    OPT_LIMIT,
    OPT_STEPS,
    OPT_DEVICE,
    OPT_JIT,
    OPT_MARCH,
    OPT_OUT,
    OPT_RESUME,
    OPT_SET,
    OPT_REPORT_EVERY,
    OPT_SAVE_EVERY,
    OPT_LOG,
    OPT_INIT,
    OPT_INIT_PARTIAL,
    OPT_TRAP_NAN,
    OPT_EXPECT_HASH,
    OPT_TENSORBOARD,
    OPT_JSON,
    OPT_QUIET,
    OPT_CHECKPOINT,
    OPT_SPLIT,
    OPT_TARGET,
    OPT_STAGE,
    OPT_FORMAT,
    OPT_DEPTH,
    OPT_METRICS,
    OPT_FUNCTION,
    OPT_DEBUG,
    OPT_PLOT,
    OPT_NO_TUNED,
    OPT_ROUNDS,
};

static const OptionRow option_table[] = {
    {TRAIN, {"epochs", OPT_EPOCHS, "N", 0, "times through the training data", 0}},
    {ANY, {"batch", OPT_BATCH, "N", 0, "examples in a step", 0}},
    {TRAIN | BIT(CMD_BUILD) | BIT(CMD_EMIT),
     {"lr", OPT_LR, "X", 0, "learning rate: --set lr=X", 0}},
    {ANY, {"seed", OPT_SEED, "N", 0, "of all random numbers", 0}},
    {ANY, {"set", OPT_SET, "NAME=VALUE", 0, "any number of FILE that `nnc check` lists", 0}},
    {RUN | MEASURED | BIT(CMD_PLOT), {"threads", OPT_THREADS, "N", 0, "how many (default: one a processor)", 0}},
    {RUN | BIT(CMD_PLOT), {"data", OPT_DATA, "DIR", 0, "where the paths of data sources start", 0}},
    {RUN, {"limit", OPT_LIMIT, "N", 0, "take the first N training examples", 0}},
    {TRAIN, {"steps", OPT_STEPS, "N", 0, "stop after N steps", 0}},
    {TRAIN, {"out", OPT_OUT, "DIR", 0, "where the checkpoint goes (default: out)", 0}},
    {TRAIN, {"resume", OPT_RESUME, NULL, 0, "go on from the checkpoint in --out", 0}},
    {TRAIN, {"report-every", OPT_REPORT_EVERY, "K", 0, "steps between reports (default: 100)", 0}},
    {TRAIN, {"save-every", OPT_SAVE_EVERY, "K", 0, "steps between checkpoints within an epoch", 0}},
    {TRAIN, {"init", OPT_INIT, "FILE", 0, "begin with the parameters in a safetensors file", 0}},
    {TRAIN, {"init-partial", OPT_INIT_PARTIAL, NULL, 0, "with those of them that fit", 0}},
    {TRAIN, {"trap-nan", OPT_TRAP_NAN, NULL, 0, "stop where numbers become none, and say where", 0}},
    {TRAIN, {"expect-hash", OPT_EXPECT_HASH, "H", 0, "fail if the checkpoint's hash is another", 0}},
    {TRAIN, {"log", OPT_LOG, "FILE", 0, "losses and scores as NAME.jsonl or NAME.csv", 0}},
    {TRAIN, {"tensorboard", OPT_TENSORBOARD, "DIR", 0, "the same as an event file", 0}},
    {RUN | BIT(CMD_VERIFY), {"device", OPT_DEVICE, "cpu|cuda|auto", 0,
          "what to run on (default: cpu): this processor, an NVIDIA GPU, or that where there is one", 0}},
    {RUN | MEASURED | BIT(CMD_VERIFY) | BIT(CMD_PLOT),
     {"jit", OPT_JIT, "auto|native|tcc", 0, "the C compiler, or libtcc, which needs none", 0}},
    {RUN | MEASURED | BIT(CMD_BUILD) | BIT(CMD_EMIT) | BIT(CMD_GRAPH) | BIT(CMD_VERIFY) |
         BIT(CMD_PLOT),
     {"march", OPT_MARCH, "CPU", 0,
      "the processor to compile for (default: native, this one): x86-64-v4, x86-64-v3, x86-64, "
      "armv8-a or any name that the C compiler has",
      0}},
    {RUN | BIT(CMD_EXPLAIN) | BIT(CMD_BENCH) | BIT(CMD_BUILD) | BIT(CMD_VERIFY) | BIT(CMD_PLOT),
     {"no-tuned", OPT_NO_TUNED, NULL, 0, "leave out what `nnc tune` has found", 0}},
    {BIT(CMD_TUNE), {"rounds", OPT_ROUNDS, "N", 0, "of measurements (default: 5)", 0}},
    {RUN, {"debug", OPT_DEBUG, NULL, 0, "let a debugger see the lines of FILE", 0}},
    {RUN | MEASURED | BIT(CMD_SHOW), {"json", OPT_JSON, NULL, 0, "one JSON object a line", 0}},
    {RUN, {"quiet", OPT_QUIET, NULL, 0, "print results alone", 0}},
    {BIT(CMD_EVAL), {"split", OPT_SPLIT, "train|val|test", 0, "of which examples (default: test)", 0}},
    {USE, {"checkpoint", OPT_CHECKPOINT, "FILE", 0, "what was trained", 0}},
    {BIT(CMD_PLOT), {"output", 'o', "FILE.svg", 0, "where the picture goes", 0}},
    {BIT(CMD_BUILD), {"output", 'o', "PROGRAM", 0, "where the program goes", 0}},
    {BIT(CMD_EMIT), {"output", 'o', "DIR", 0, "where the source goes", 0}},
    {BIT(CMD_BUILD) | BIT(CMD_EMIT) | BIT(CMD_GRAPH),
     {"target", OPT_TARGET, "c|cuda", 0, "code for a processor, or for a GPU", 0}},
    {BIT(CMD_BENCH),
     {"plot", OPT_PLOT, "FILE.svg", 0, "draw the kernels below the machine's roofs", 0}},
    {BIT(CMD_GRAPH), {"stage", OPT_STAGE, "STAGE", 0, "after which pass (below)", 0}},
    {BIT(CMD_GRAPH), {"format", OPT_FORMAT, "text|dot|svg", 0, "a picture in dot's language or as SVG", 0}},
    {BIT(CMD_GRAPH),
     {"depth", OPT_DEPTH, "N|operators", 0,
      "open calls down to level N (default: 1) in a picture; with text, a picture as lines", 0}},
    {BIT(CMD_GRAPH), {"metrics", OPT_METRICS, NULL, 0, "draw also what a step only measures", 0}},
    {BIT(CMD_GRAPH) | BIT(CMD_EXPLAIN),
     {"function", OPT_FUNCTION, "train|eval|predict|init", 0, "which one (default: train)", 0}},
    {BIT(CMD_GRAPH), {"output", 'o', "FILE", 0, "instead of standard output", 0}},
};

enum { OPTION_COUNT = sizeof option_table / sizeof *option_table };

static const char *const arguments[CMD_COUNT] = {
    [CMD_PREDICT] = "FILE INPUT...",
    [CMD_SHOW] = "FILE [NAME...]",
};

static const char *const descriptions[CMD_COUNT] = {
    [CMD_TRAIN] = "Trains the network in FILE and writes a checkpoint.",
    [CMD_EVAL] = "Prints loss and metrics of a checkpoint on the test data, or on those that --split names.",
    [CMD_PREDICT] =
        "Prints what a checkpoint says of each INPUT: a PNG image, test:17 or train:17 for an "
        "example "
        "of the data source, a row of values such as 5.1,3.5,1.4,0.2, or a CSV file of rows.",
    [CMD_PLOT] =
        "Draws what a checkpoint's network computes over the range of its data, as SVG: of one "
        "number each output as a curve, of two the regions that it decides for.",
    [CMD_SHOW] =
        "Lists the tensors of FILE, a checkpoint or any other safetensors file: least, mean and greatest "
        "value; and all values of those that a NAME, such as 'conv2d_1.*', stands for.",
    [CMD_BUILD] =
        "Makes one program that trains, evaluates and predicts, and needs neither nnc nor a "
        "compiler where it runs.",
    [CMD_EMIT] = "Writes that program as C source, with its runtime and a Makefile.",
    [CMD_CHECK] = "Prints all errors of FILE; or its layers with their shapes and parameters, and what --set takes.",
    [CMD_GRAPH] =
        "Prints what is computed, after any pass of the compiler; or draws it (--format, --depth): "
        "the calls of the model, their gradients and the update as boxes, shapes on the arrows.",
    [CMD_VERIFY] =
        "Compares each compiled kernel with an interpreter in double precision, and each gradient "
        "with finite differences.",
    [CMD_EXPLAIN] =
        "Runs the network on random examples and prints each kernel: the lines of FILE in it, what "
        "it computes, its work, its time, and what part of this machine's limit that is.",
    [CMD_BENCH] =
        "Measures training steps a second on random examples, against the same network computed "
        "operator by operator with a library's matrix products.",
    [CMD_TUNE] =
        "Measures on this machine what the compiler else decides by a count: the algorithm of each "
        "convolution, the form of each matrix product. What is faster than the compiler's choice "
        "is "
        "kept in the cache, where train, eval, predict, build, verify, explain and bench take it "
        "from. It is about shapes: --batch says for which batch, any number of threads takes it.",
};

const OptionRow *option_rows(int *count) {
    *count = OPTION_COUNT;
    return option_table;
}

const char *command_arguments(CommandId command) {
    return arguments[command] ? arguments[command] : "FILE";
}

const char *command_description(CommandId command) { return descriptions[command]; }

// --- Values

static long long parse_integer(struct argp_state *state, const char *option, const char *text,
                               long long least, long long most) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < least || value > most)
        argp_error(state, "--%s wants a whole number from %lld to %lld, not '%s'", option, least,
                   most, text);
    return value;
}

static double parse_real(struct argp_state *state, const char *option, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (strcmp(text, "true") == 0) return 1;
    if (strcmp(text, "false") == 0) return 0;
    if (end == text || *end || !isfinite(value))
        argp_error(state, "--%s wants a number, not '%s'", option, text);
    return value;
}

static int parse_choice(struct argp_state *state, const char *option, const char *text,
                        const char *const *choices, int count) {
    for (int i = 0; i < count; i++)
        if (strcmp(choices[i], text) == 0) return i;
    const char *near = nnc_nearest(text, choices, count);
    argp_error(state, "--%s: there is no '%s'%s%s%s", option, text, near ? "; did you mean '" : "",
               near ? near : "", near ? "'?" : "");
    return 0;
}

static void add_set(Settings *settings, const char *name, double value) {
    VEC_PUSH(settings->arena, settings->set_name, name);
    VEC_PUSH(settings->arena, settings->set_value, value);
}

static void parse_set(struct argp_state *state, Settings *settings, const char *text) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        argp_error(state, "--set wants NAME=VALUE, not '%s'", text);
    else
        add_set(settings, arena_strndup(settings->arena, text, (size_t)(equals - text)),
                parse_real(state, "set", equals + 1));
}

static const char *parse_hash(struct argp_state *state, const char *text) {
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        argp_error(state, "--expect-hash wants 16 hexadecimal digits, not '%s'", text);
    return text;
}

static JitTier parse_tier(struct argp_state *state, const char *text) {
    static const char *const tiers[] = {"auto", "native", "tcc"};
    return (JitTier)parse_choice(state, "jit", text, tiers, 3);
}

static const char *parse_stage(struct argp_state *state, const char *text) {
    int count;
    const StageInfo *stage = stage_list(&count);
    const char *names[64];
    for (int i = 0; i < count && i < 64; i++)
        names[i] = stage[i].name;
    return names[parse_choice(state, "stage", text, names, count < 64 ? count : 64)];
}

static const char *parse_format(struct argp_state *state, const char *text) {
    static const char *const formats[] = {"text", "dot", "svg"};
    return formats[parse_choice(state, "format", text, formats, 3)];
}

static int parse_depth(struct argp_state *state, const char *text) {
    if (!strcmp(text, "operators")) return PICTURE_OPERATORS;
    return (int)parse_integer(state, "depth", text, 1, PICTURE_DEEPEST);
}

static const char *parse_function(struct argp_state *state, const char *text) {
    const char *names[NNC_FUNCTIONS];
    for (int i = 0; i < NNC_FUNCTIONS; i++)
        names[i] = function_name((NncFunctionKind)i);
    return names[parse_choice(state, "function", text, names, NNC_FUNCTIONS)];
}

// --- The line

static void parse_argument(struct argp_state *state, Settings *settings, const char *text) {
    if (!settings->file)
        settings->file = text;
    else if (settings->command == CMD_PREDICT || settings->command == CMD_SHOW)
        VEC_PUSH(settings->arena, settings->input, text);
    else
        argp_error(state, "one FILE, not also '%s'", text);
}

static void parse_end(struct argp_state *state, Settings *settings) {
    bool needs_output = settings->command == CMD_BUILD || settings->command == CMD_EMIT ||
                        settings->command == CMD_PLOT;
    bool needs_checkpoint = BIT(settings->command) & USE;
    if (!settings->file)
        argp_error(state, "which FILE?");
    else if (needs_output && !settings->output)
        argp_error(state, "-o says where the result goes, and is missing");
    else if (needs_checkpoint && !settings->run.checkpoint)
        argp_error(state, "--checkpoint says what was trained, and is missing");
    else if (settings->command == CMD_PREDICT && settings->input.count == 0)
        argp_error(state, "which INPUT?");
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    Settings *settings = state->input;
    NncOptions *run = &settings->run;
    static const char *const devices[] = {"cpu", "cuda", "auto"};
    static const char *const targets[] = {"c", "cuda"};
    static const char *const splits[] = {"train", "val", "test"};
    // clang-format off
    switch (key) {
    case OPT_EPOCHS: run->epochs = (int)parse_integer(state, "epochs", text, 1, INT_MAX); break;
    case OPT_BATCH: settings->elab.batch = (int)parse_integer(state, "batch", text, 1, 1 << 20); break;
    case OPT_LR: add_set(settings, "lr", parse_real(state, "lr", text)); break;
    case OPT_SEED: run->has_seed = true; run->seed = parse_integer(state, "seed", text, 0, LLONG_MAX); break;
    case OPT_SET: parse_set(state, settings, text); break;
    case OPT_THREADS: run->threads = (int)parse_integer(state, "threads", text, 1, 1024); break;
    case OPT_DATA: run->data = text; break;
    case OPT_LIMIT: run->limit = parse_integer(state, "limit", text, 1, LLONG_MAX); break;
    case OPT_STEPS: run->steps = parse_integer(state, "steps", text, 1, LLONG_MAX); break;
    case OPT_OUT: run->out = text; break;
    case OPT_RESUME: run->resume = true; break;
    case OPT_REPORT_EVERY: run->report_every = parse_integer(state, "report-every", text, 1, LLONG_MAX); break;
    case OPT_SAVE_EVERY: run->save_every = parse_integer(state, "save-every", text, 1, LLONG_MAX); break;
    case OPT_INIT: run->init = text; break;
    case OPT_INIT_PARTIAL: run->init_partial = true; break;
    case OPT_TRAP_NAN: run->trap_nan = settings->elab.whole = true; break;
    case OPT_EXPECT_HASH: run->expect_hash = parse_hash(state, text); break;
    case OPT_LOG: VEC_PUSH(settings->arena, settings->log, text); break;
    case OPT_TENSORBOARD: run->tensorboard = text; break;
    case OPT_DEVICE: settings->device = (Device)parse_choice(state, "device", text, devices, 3); break;
    case OPT_JIT: settings->jit.tier = parse_tier(state, text); break;
    case OPT_MARCH: settings->jit.march = text; break;
    case OPT_DEBUG: settings->jit.debug = true; break;
    case OPT_JSON: run->json = true; break;
    case OPT_QUIET: run->quiet = true; break;
    case OPT_SPLIT: run->split = splits[parse_choice(state, "split", text, splits, 3)]; break;
    case OPT_CHECKPOINT: run->checkpoint = text; break;
    case OPT_TARGET: settings->target = targets[parse_choice(state, "target", text, targets, 2)]; break;
    case OPT_NO_TUNED: settings->no_tuned = true; break;
    case OPT_ROUNDS: settings->rounds = (int)parse_integer(state, "rounds", text, 1, 100); break;
    case OPT_PLOT: settings->plot = text; break;
    case OPT_STAGE: settings->stage = parse_stage(state, text); break;
    case OPT_DEPTH: settings->draws = true; settings->depth = parse_depth(state, text); break;
    case OPT_METRICS: settings->metrics = true; break;
    case OPT_FORMAT: settings->format = parse_format(state, text); break;
    case OPT_FUNCTION: settings->function = parse_function(state, text); break;
    case 'o': settings->output = text; break;
    case ARGP_KEY_ARG: parse_argument(state, settings, text); break;
    case ARGP_KEY_END: parse_end(state, settings); break;
    default: return ARGP_ERR_UNKNOWN;
    }
    // clang-format on
    return 0;
}

// What stands below the options: the stages, which only the compiler knows.
static const char *describe(Arena *arena, CommandId command) {
    Buf text = buf_new(arena);
    buf_printf(&text, "%s\v", descriptions[command]);
    if (command == CMD_GRAPH) {
        int count;
        const StageInfo *stage = stage_list(&count);
        buf_add(&text, "Stages, in order:\n");
        for (int i = 0; i < count; i++)
            buf_printf(&text, "  %-10s %s\n", stage[i].name, stage[i].help);
    }
    return text.text;
}

void settings_parse(Settings *settings, CommandId command, int argc, char **argv) {
    struct argp_option options[OPTION_COUNT + 1] = {0};
    int count = 0;
    for (int i = 0; i < OPTION_COUNT; i++)
        if (option_table[i].commands & BIT(command)) options[count++] = option_table[i].option;
    struct argp argp = {
        .options = options,
        .parser = parse_option,
        .args_doc = command_arguments(command),
        .doc = describe(settings->arena, command),
    };
    argp_err_exit_status = EXIT_USAGE_ERROR;
    settings->command = command;
    argv[0] = arena_printf(settings->arena, "nnc %s", argv[0]);
    NncError error;
    if (nnc_options_check(options, argc, argv, &error)) {
        fprintf(stderr, "%s: %s\n", argv[0], error.text);
        fprintf(stderr, "`%s --help` lists them\n", argv[0]);
        exit(EXIT_USAGE_ERROR);
    }
    argp_parse(&argp, argc, argv, 0, NULL, settings);
    settings->run.log = settings->log.at;
    settings->run.log_count = settings->log.count;
    settings->elab.has_seed = settings->run.has_seed;
    settings->elab.seed = settings->run.seed;
    settings->elab.epochs = settings->run.epochs;
    settings->elab.set_name = settings->set_name.at;
    settings->elab.set_value = settings->set_value.at;
    settings->elab.set_count = settings->set_name.count;
}
