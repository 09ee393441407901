// SPDX-License-Identifier: MIT
// nnc train, eval, predict: compile in memory, then the runtime does what a built program does.
#include "cli/cli.h"

#include "budget.h"
#include "progress.h"
#include "session.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int status_of(NncStatus status, const NncError *error) {
    if (status == NNC_OK) return EXIT_DONE;
    report("%s", error->text);
    return status == NNC_INTERRUPTED ? EXIT_STOPPED : EXIT_USER;
}

// Of training, as lines of JSON: that nnc has begun, before anything is read, and that there is code
// to run.
static void tell_begin(const Settings *settings) {
    NncReport report = nnc_report(&settings->run, NULL);
    if (settings->command != CMD_TRAIN || !nnc_report_event(&report, "compile")) return;
    nnc_report_integer(&report, "version", NNC_EVENTS);
    nnc_report_text(&report, "file", settings->file);
    nnc_report_end(&report);
}

static void tell_done(const Settings *settings, const Compiled *compiled, const Jit *jit,
                      double seconds) {
    NncReport report = nnc_report(&settings->run, NULL);
    if (settings->command != CMD_TRAIN || !nnc_report_event(&report, "compiled")) return;
    nnc_report_text(&report, "jit", jit_tier_name(jit_tier(jit)));
    nnc_report_text(&report, "plan", compiled->program.plan);
    nnc_report_truth(&report, "cached", jit_from_cache(jit));
    nnc_report_measure(&report, "seconds", seconds);
    nnc_report_end(&report);
}

// Said before the C compiler is at work, which takes seconds.
static void announce(const Settings *settings, const Compiled *compiled) {
    if (settings->run.json || settings->run.quiet) return;
    Choices choices = compiled_choices(settings->arena, compiled, ~0u);
    int tuned = 0;
    for (int i = 0; i < choices.count; i++)
        tuned += choices.at[i]->tuned;
    const char *budget = budget_text(settings->arena, compiled);
    if (budget) printf("%s: %s\n", settings->file, budget);
    printf("%s: C in %.0f ms", settings->file, 1e3 * compiled->seconds);
    if (tuned) printf(", tuned: %d choice%s", tuned, tuned > 1 ? "s" : "");
    printf("\n");
    fflush(stdout);
}

static void announce_done(const Settings *settings, const Jit *jit, double seconds) {
    if (settings->run.json || settings->run.quiet) return;
    const char *cached = jit_from_cache(jit) ? ", from the cache" : "";
    printf("machine code in %.2f s (%s%s)\n", seconds, jit_tier_name(jit_tier(jit)), cached);
    fflush(stdout);
}

static bool is_there(const char *path, NncError *error) {
    NncReader *reader = path ? nnc_reader_open(path, error) : NULL;
    if (reader) nnc_reader_close(reader);
    return reader || !path;
}

static bool can_resume(const Settings *settings, const NncProgram *program, NncError *error) {
    char path[NNC_PATH];
    NncSession session = {.program = program, .options = &settings->run};
    return nnc_session_checkpoint_path(&session, path, error) == NNC_OK && is_there(path, error);
}

// The files that the run will read, before a compiler is at work for seconds. Data that was opened
// is kept for the run.
static bool look_at_files(const Settings *settings, const NncProgram *program, NncError *error) {
    const NncOptions *run = &settings->run;
    NncColumns columns = {0};
    if (!is_there(run->checkpoint, error) || !is_there(run->init, error)) return false;
    if (run->resume && !can_resume(settings, program, error)) return false;
    if (settings->command == CMD_PREDICT) return true;
    NncStatus status = nnc_source_open(run->opened, &program->data, run->data, error);
    if (!status) status = nnc_columns_match(&columns, program, run->opened, true, error);
    nnc_columns_free(&columns);
    return status == NNC_OK;
}

// Compiled and loaded; NULL after an error, which is printed.
static Jit *prepare(const Settings *settings, NncFunctionKind function, Compiled **compiled) {
    NncError error;
    tell_begin(settings);
    *compiled = load_compiled(settings);
    if (!*compiled) return NULL;
    if (!(*compiled)->module->graph[function]) {
        report("%s: there is nothing to %s: no %s", settings->file, function_name(function),
               function == NNC_TRAIN ? "`train` block (with its data)" : "loss, output or data");
        return NULL;
    }
    if (!look_at_files(settings, &(*compiled)->program, &error)) {
        report("%s", error.text);
        return NULL;
    }
    announce(settings, *compiled);
    double start = now();
    Jit *jit = load_functions(settings, *compiled);
    if (!jit) return NULL;
    announce_done(settings, jit, now() - start);
    tell_done(settings, *compiled, jit, now() - start);
    return jit;
}

// What --set gives is compiled in as the program's own values; over those of a checkpoint it is to
// be set anew, where it is no structural one.
static NncOptions train_options(const Settings *settings, const NncProgram *program) {
    NncOptions options = settings->run;
    const char **name = ARENA_ARRAY(settings->arena, const char *, settings->set_name.count + 1);
    double *value = ARENA_ARRAY(settings->arena, double, settings->set_name.count + 1);
    for (int i = 0; i < settings->set_name.count; i++)
        for (int k = 0; k < program->hyper_count; k++)
            if (!strcmp(settings->set_name.at[i], program->hyper[k].name)) {
                name[options.set_count] = settings->set_name.at[i];
                value[options.set_count++] = settings->set_value.at[i];
            }
    options.set_name = name;
    options.set_value = value;
    return options;
}

// A command and what it leaves open.
static int with_source(const Settings *given, int (*run)(const Settings *)) {
    NncSource source = {0};
    Settings settings = *given;
    settings.run.opened = &source;
    int status = run(&settings);
    nnc_source_close(&source);
    return status;
}

static int run_train(const Settings *settings) {
    // A reader of the report that goes away takes nothing of the training with it.
    signal(SIGPIPE, SIG_IGN);
    Compiled *compiled;
    NncError error = {0};
    Jit *jit = prepare(settings, NNC_TRAIN, &compiled);
    if (!jit) return EXIT_USER;
    NncOptions options = train_options(settings, &compiled->program);
    options.explain = trap_explain;
    options.explain_of = compiled;
    int status = status_of(nnc_train(&compiled->program, &options, &error), &error);
    jit_free(jit);
    return status;
}

static int run_eval(const Settings *settings) {
    Compiled *compiled;
    NncError error = {0};
    Jit *jit = prepare(settings, NNC_EVAL, &compiled);
    if (!jit) return EXIT_USER;
    int status = status_of(nnc_eval(&compiled->program, &settings->run, &error), &error);
    jit_free(jit);
    return status;
}

int command_predict(const Settings *settings) {
    Compiled *compiled;
    NncError error = {0};
    Jit *jit = prepare(settings, NNC_PREDICT, &compiled);
    if (!jit) return EXIT_USER;
    NncStatus done = nnc_predict(&compiled->program, &settings->run, settings->input.at,
                                 settings->input.count, &error);
    int status = status_of(done, &error);
    jit_free(jit);
    return status;
}

int command_train(const Settings *settings) { return with_source(settings, run_train); }
int command_eval(const Settings *settings) { return with_source(settings, run_eval); }
