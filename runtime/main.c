// SPDX-License-Identifier: MIT
// The command line of a built program:
//
//     ./net train [--epochs N] ..    ./net eval [--checkpoint F]    ./net predict [--checkpoint F]
//     INPUT...
//
// Exit status: 0 done, 1 the user's mistake or an expectation that is not met, 2 wrong usage, 130
// interrupted. This is the one file
// of the runtime that ends the process or writes to standard error.
#include "columns.h"
#include "progress.h"
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 130, MAX_SET = 64, MAX_LOG = 8 };

typedef enum Command { TRAIN, EVAL, PREDICT, COMMANDS } Command;
enum { ALL = (1 << COMMANDS) - 1 };
static const char *const command_names[COMMANDS] = {"train", "eval", "predict"};

typedef struct Line { // the command line
    Command command;
    NncOptions options;
    const char *set_name[MAX_SET];
    double set_value[MAX_SET];
    const char *log[MAX_LOG];
    const char **input;
    int input_count;
} Line;

enum {
    KEY_LR = 256,
    KEY_SET,
    KEY_LIMIT,
    KEY_STEPS,
    KEY_EPOCHS,
    KEY_SEED,
    KEY_THREADS,
    KEY_DATA,
    KEY_OUT,
    KEY_RESUME,
    KEY_EVERY,
    KEY_SAVE,
    KEY_LOG,
    KEY_INIT,
    KEY_INIT_PARTIAL,
    KEY_TRAP_NAN,
    KEY_EXPECT_HASH,
    KEY_TENSORBOARD,
    KEY_JSON,
    KEY_CHECKPOINT,
    KEY_SPLIT,
    KEY_QUIET
};

#define BIT(command) (1u << (command))

static const struct {
    unsigned commands;
    struct argp_option option;
} option_table[] = {
    {BIT(TRAIN), {"epochs", KEY_EPOCHS, "N", 0, "passes over the training examples", 0}},
    {BIT(TRAIN), {"lr", KEY_LR, "X", 0, "the learning rate", 0}},
    {ALL, {"set", KEY_SET, "NAME=VALUE", 0, "a hyper-parameter", 0}},
    {BIT(TRAIN), {"seed", KEY_SEED, "N", 0, "of initial values, shuffling, dropout", 0}},
    {BIT(EVAL), {"split", KEY_SPLIT, "train|val|test", 0, "of which examples (test)", 0}},
    {BIT(EVAL) | BIT(PREDICT),
     {"checkpoint", KEY_CHECKPOINT, "FILE", 0, "the one to use (that in --out)", 0}},
    {ALL,
     {"threads", KEY_THREADS, "N", 0,
      "one a processor if not given; the result does not depend on it", 0}},
    {ALL, {"data", KEY_DATA, "DIR", 0, "where the program's data paths start from", 0}},
    {BIT(TRAIN) | BIT(EVAL), {"limit", KEY_LIMIT, "N", 0, "the first N training examples only", 0}},
    {BIT(TRAIN), {"steps", KEY_STEPS, "N", 0, "end after step N", 0}},
    {ALL, {"out", KEY_OUT, "DIR", 0, "folder of the checkpoint (out)", 0}},
    {BIT(TRAIN), {"resume", KEY_RESUME, NULL, 0, "go on from the checkpoint", 0}},
    {BIT(TRAIN), {"report-every", KEY_EVERY, "K", 0, "steps from report to report (100)", 0}},
    {BIT(TRAIN),
     {"save-every", KEY_SAVE, "K", 0, "steps from checkpoint to checkpoint within an epoch", 0}},
    {BIT(TRAIN),
     {"init", KEY_INIT, "FILE", 0, "begin with the parameters in a safetensors file", 0}},
    {BIT(TRAIN), {"init-partial", KEY_INIT_PARTIAL, NULL, 0, "with those of them that fit", 0}},
    {BIT(TRAIN),
     {"trap-nan", KEY_TRAP_NAN, NULL, 0, "stop where numbers become none, and say which", 0}},
    {BIT(TRAIN),
     {"expect-hash", KEY_EXPECT_HASH, "H", 0, "fail if the checkpoint's hash is another one", 0}},
    {BIT(TRAIN), {"log", KEY_LOG, "FILE", 0, "losses and scores as NAME.jsonl or NAME.csv", 0}},
    {BIT(TRAIN), {"tensorboard", KEY_TENSORBOARD, "DIR", 0, "the same as an event file", 0}},
    {ALL, {"json", KEY_JSON, NULL, 0, "one JSON object a line, for programs", 0}},
    {BIT(TRAIN), {"quiet", KEY_QUIET, NULL, 0, "report nothing", 0}},
};
enum { OPTIONS = sizeof option_table / sizeof *option_table };

// The options of one command, and an end.
static void list_options(Command command, struct argp_option options[OPTIONS + 1]) {
    int count = 0;
    for (int i = 0; i < OPTIONS; i++)
        if (option_table[i].commands & BIT(command)) options[count++] = option_table[i].option;
    options[count] = (struct argp_option){0};
}

// --- Values of options

static long long read_integer(struct argp_state *state, const char *option, const char *text,
                              long long least, long long most) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (!*text || *end || errno || value < least || value > most)
        argp_error(state, "--%s is to be an integer of %lld or more, not '%s'", option, least,
                   text);
    return value;
}

static const char *read_hash(struct argp_state *state, const char *text) {
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        argp_error(state, "--expect-hash is to be 16 hexadecimal digits, not '%s'", text);
    return text;
}

static void add_set(struct argp_state *state, Line *line, const char *name, const char *text) {
    char *end;
    double value = strtod(text, &end);
    if (!*text || *end || !isfinite(value))
        argp_error(state, "%s is to be a number, not '%s'", name, text);
    if (line->options.set_count == MAX_SET) argp_error(state, "more than %d times --set", MAX_SET);
    line->set_name[line->options.set_count] = name;
    line->set_value[line->options.set_count++] = value;
}

static void add_assignment(struct argp_state *state, Line *line, char *text) {
    char *equals = strchr(text, '=');
    if (!equals || equals == text) argp_error(state, "--set is to be NAME=VALUE, not '%s'", text);
    *equals = 0;
    add_set(state, line, text, equals + 1);
}

static error_t parse_option(int key, char *text, struct argp_state *state) {
    Line *line = state->input;
    NncOptions *o = &line->options;
    switch (key) {
    case KEY_LR:
        add_set(state, line, "lr", text);
        break;
    case KEY_SET:
        add_assignment(state, line, text);
        break;
    case KEY_LIMIT:
        o->limit = read_integer(state, "limit", text, 1, LLONG_MAX);
        break;
    case KEY_STEPS:
        o->steps = read_integer(state, "steps", text, 1, UINT_MAX);
        break;
    case KEY_EPOCHS:
        o->epochs = (int)read_integer(state, "epochs", text, 1, INT_MAX);
        break;
    case KEY_SEED:
        o->seed = read_integer(state, "seed", text, 0, LLONG_MAX);
        o->has_seed = true;
        break;
    case KEY_THREADS:
        o->threads = (int)read_integer(state, "threads", text, 1, 1024);
        break;
    case KEY_EVERY:
        o->report_every = read_integer(state, "report-every", text, 1, LLONG_MAX);
        break;
    case KEY_SAVE:
        o->save_every = read_integer(state, "save-every", text, 1, LLONG_MAX);
        break;
    case KEY_INIT:
        o->init = text;
        break;
    case KEY_INIT_PARTIAL:
        o->init_partial = true;
        break;
    case KEY_TRAP_NAN:
        o->trap_nan = true;
        break;
    case KEY_EXPECT_HASH:
        o->expect_hash = read_hash(state, text);
        break;
    case KEY_LOG:
        if (o->log_count == MAX_LOG) argp_error(state, "more than %d times --log", MAX_LOG);
        line->log[o->log_count++] = text;
        break;
    case KEY_TENSORBOARD:
        o->tensorboard = text;
        break;
    case KEY_DATA:
        o->data = text;
        break;
    case KEY_OUT:
        o->out = text;
        break;
    case KEY_SPLIT:
        o->split = text;
        break;
    case KEY_CHECKPOINT:
        o->checkpoint = text;
        break;
    case KEY_RESUME:
        o->resume = true;
        break;
    case KEY_JSON:
        o->json = true;
        break;
    case KEY_QUIET:
        o->quiet = true;
        break;
    case ARGP_KEY_ARG:
        if (line->command != PREDICT) argp_error(state, "'%s' is too much", text);
        line->input[line->input_count++] = text;
        break;
    case ARGP_KEY_END:
        if (line->command == PREDICT && !line->input_count)
            argp_error(state, "predict needs an INPUT: a PNG file, test:17, a row such as 5.1,3.5, "
                              "or a CSV file");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

// --- Help

static void describe_columns(FILE *out, const char *title, const NncColumn *column, int count) {
    char shape[160];
    for (int i = 0; i < count; i++) {
        nnc_column_describe(&column[i], shape, sizeof shape);
        fprintf(out, "  %-8s %s: %s%s\n", title, column[i].name, shape,
                column[i].is_target ? "  (target)" : "");
    }
}

static void describe_data(FILE *out, const NncCall *data) {
    if (!data->name) return;
    fprintf(out, "  data     %s(", data->name);
    for (int i = 0; i < data->argument_count; i++) {
        const NncArgument *argument = &data->argument[i];
        fprintf(out, "%s%s%s", i ? ", " : "", argument->name, *argument->name ? " = " : "");
        if (argument->text)
            fprintf(out, "\"%s\"", argument->text);
        else
            fprintf(out, "%g", argument->number);
    }
    fputs(")\n", out);
}

static void print_help(FILE *out, const NncProgram *program, const char *name) {
    fprintf(out,
            "Usage: %s train [OPTION...]\n       %s eval [OPTION...]\n       %s predict "
            "[OPTION...] INPUT...\n\n"
            "%s: a neural network of %lld parameters, made from %s. INPUT is a PNG image,\n"
            "test:17 for an example of the data, a row such as 5.1,3.5, or a CSV file of rows.\n"
            "`%s train --help` lists the options.\n\n",
            name, name, name, program->model, nnc_parameter_count(program), program->file, name);
    describe_columns(out, "input", program->input, program->input_count);
    describe_columns(out, "output", program->function[NNC_PREDICT].output,
                     program->function[NNC_PREDICT].output_count);
    describe_data(out, &program->data);
    fprintf(out, "  training batch %d, %d epochs", program->batch, program->epochs);
    for (int i = 0; i < program->hyper_count; i++)
        if (nnc_hyper_is_given(&program->hyper[i]))
            fprintf(out, ", %s = %g", program->hyper[i].name, program->hyper[i].value);
    fprintf(out, "\n  code for %s\n", program->target ? program->target : "any processor");
}

// Below the options of train: what --set takes. NULL where there is no memory; free.
static char *describe_settings(const NncProgram *program) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    const char *before = "\vHyper-parameters, for --set:\n";
    for (int i = 0; i < program->hyper_count; i++) {
        if (!nnc_hyper_is_given(&program->hyper[i])) continue;
        fprintf(out, "%s  %s = %g\n", before, program->hyper[i].name, program->hyper[i].value);
        before = "";
    }
    fclose(out);
    return text;
}

// --- Running

static NncStatus run(const NncProgram *program, const Line *line, NncError *error) {
    switch (line->command) {
    case TRAIN:
        return nnc_train(program, &line->options, error);
    case EVAL:
        return nnc_eval(program, &line->options, error);
    default:
        return nnc_predict(program, &line->options, line->input, line->input_count, error);
    }
}

static int run_command(const NncProgram *program, Command command, const char *resume, int argc,
                       char **argv) {
    NncError error;
    Line line = {.command = command,
                 .options.command = resume,
                 .input = calloc((size_t)argc + 1, sizeof *line.input)};
    if (!line.input) return 1;
    line.options.set_name = line.set_name;
    line.options.set_value = line.set_value;
    line.options.log = line.log;
    char *settings = command == TRAIN ? describe_settings(program) : NULL;
    struct argp_option options[OPTIONS + 1];
    list_options(command, options);
    struct argp argp = {
        .options = options,
        .parser = parse_option,
        .doc = settings,
        .args_doc = command == PREDICT ? "INPUT..." : "",
    };
    if (nnc_options_check(options, argc, argv, &error)) {
        fprintf(stderr, "%s: %s\n`%s --help` lists them\n", argv[0], error.text, argv[0]);
        free(line.input);
        free(settings);
        return EXIT_USAGE;
    }
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &line);
    NncStatus status = run(program, &line, &error);
    free(line.input);
    free(settings);
    if (status) fprintf(stderr, "%s: %s\n", program->model, error.text);
    if (!status && fflush(stdout)) {
        fprintf(stderr, "%s: standard output cannot be written\n", program->model);
        return 1;
    }
    return status == NNC_INTERRUPTED ? EXIT_INTERRUPTED : status ? 1 : 0;
}

int nnc_main(const NncProgram *program, int argc, char **argv) {
    const char *name = argc > 0 ? argv[0] : program->model;
    if (argc > 1 &&
        (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))) {
        print_help(stdout, program, name);
        return 0;
    }
    for (Command command = 0; argc > 1 && command < COMMANDS; command++)
        if (!strcmp(argv[1], command_names[command])) {
            char full[512]; // argp says it in its messages, and changes the order of words
            char *resume = nnc_command_to_resume(argc, argv);
            snprintf(full, sizeof full, "%s %s", name, argv[1]);
            argv[1] = full;
            int status = run_command(program, command, resume, argc - 1, argv + 1);
            free(resume);
            return status;
        }
    print_help(stderr, program, name);
    return EXIT_USAGE;
}

// --- Versions

static void print_versions(FILE *out, const NncProgram *const *version, int count) {
    for (int i = 0; i < count; i++)
        fprintf(out, "%s%s", i ? ", " : "", version[i]->target);
}

// What a device runs has not been looked at yet: opening it does that.
static bool can_run(const NncProgram *program) {
    return program->device || nnc_processor_runs(program->target);
}

// The one that is asked for, or the first that this processor runs; NULL: none.
static const NncProgram *choose(const NncProgram *const *version, int count, const char *wanted) {
    for (int i = 0; i < count; i++)
        if (wanted ? !strcmp(version[i]->target, wanted) : can_run(version[i])) return version[i];
    return NULL;
}

int nnc_main_of(const NncProgram *const *version, int count, int argc, char **argv) {
    const char *wanted = getenv("NNC_MARCH");
    const NncProgram *program = choose(version, count, wanted && *wanted ? wanted : NULL);
    if (program && can_run(program)) return nnc_main(program, argc, argv);
    fprintf(stderr, "%s: this program is compiled for ", version[0]->model);
    print_versions(stderr, version, count);
    if (program || !wanted)
        fprintf(stderr, "; this processor is %s\n", nnc_processor());
    else
        fprintf(stderr, ", not for $NNC_MARCH, %s\n", wanted);
    return 1;
}
