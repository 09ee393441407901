// SPDX-License-Identifier: MIT
// Numbers of the run that a step may depend on: how many epochs and steps there will be, and how
// many plateaus the loss has come to. They are the same in a run that was interrupted.
#include "net.h"
#include "rt_program.h"

static const char *folder;

static void set_up(void) { folder = rt_folder(); }
static void tear_down(void) { rt_remove_folder(folder); }

TestSuite(rt_numbers, .init = set_up, .fini = tear_down);

enum { EXAMPLES = 83, STEPS = 11, MOST = 200 }; // an epoch's

static double seen_epochs[MOST], seen_steps[MOST], seen_plateaus[MOST];

// The rate falls with each plateau, and depends on both other numbers.
static void scalars(const double *hyper, double step, double epoch, double n, float *out) {
    (void)epoch, (void)n;
    seen_epochs[(int)step] = hyper[2];
    seen_steps[(int)step] = hyper[3];
    seen_plateaus[(int)step] = hyper[4];
    out[0] = (float)(hyper[0] * pow(0.5, hyper[4]) * (1 - step / (hyper[3] + hyper[2])));
    out[1] = (float)hyper[1];
}

static const NncHyper hypers[] = {{"lr", 0, NNC_GIVEN},
                                  {"momentum.gamma", 0.9, NNC_GIVEN},
                                  {"run/epochs", 1, NNC_RUN_EPOCHS},
                                  {"run/steps", 1, NNC_RUN_STEPS},
                                  {"run/plateaus", 0, NNC_RUN_PLATEAUS}};

static NncProgram program_with_numbers(void) {
    NncProgram program = rt_program(folder);
    program.hyper = hypers;
    program.hyper_count = 5;
    program.epochs = 8;
    program.plateau = 2;
    program.augment_count = 0; // the same loss in each epoch
    program.function[NNC_TRAIN].scalars = scalars;
    return program;
}

static void train(const NncProgram *program, NncOptions options) {
    NncError error;
    options.quiet = true;
    NncStatus status = nnc_train(program, &options, &error);
    cr_assert(!status, "%s", error.text);
}

Test(rt_numbers, epochs_and_steps_are_known_from_the_first_step) {
    NncProgram program = program_with_numbers();
    train(&program, (NncOptions){0});
    for (int step = 0; step < 8 * STEPS; step++)
        cr_assert(seen_epochs[step] == 8 && seen_steps[step] == 8 * STEPS);
    train(&program, (NncOptions){.epochs = 3, .limit = 17});
    cr_assert(seen_epochs[0] == 3 && seen_steps[0] == 9, "%g steps", seen_steps[0]);
    // Where a run stops is not where it would have ended.
    train(&program, (NncOptions){.steps = 5});
    cr_assert_eq(seen_steps[4], 8 * STEPS);
}

// With a rate of zero no epoch is better than the first one.
Test(rt_numbers, a_loss_that_stays_comes_to_plateaus) {
    static const int before_epoch[] = {0, 0, 0, 1, 1, 2, 2, 3};
    NncProgram program = program_with_numbers();
    train(&program, (NncOptions){0});
    for (int step = 0; step < 8 * STEPS; step++)
        cr_assert_eq(seen_plateaus[step], before_epoch[step / STEPS], "step %d: %g", step,
                     seen_plateaus[step]);
}

Test(rt_numbers, a_loss_that_falls_does_not) {
    NncProgram program = program_with_numbers();
    const char *name[] = {"lr"};
    const double value[] = {0.01};
    train(&program, (NncOptions){.set_name = name, .set_value = value, .set_count = 1});
    for (int step = 0; step < 8 * STEPS; step++)
        cr_assert_eq(seen_plateaus[step], 0);
}

Test(rt_numbers, are_the_same_in_a_run_that_was_interrupted) {
    NncProgram program = program_with_numbers();
    train(&program, (NncOptions){.out = "whole"});
    for (int stop = 1; stop < 8 * STEPS; stop += 6) {
        train(&program, (NncOptions){.out = "parts", .steps = stop});
        train(&program, (NncOptions){.out = "parts", .resume = true});
        rt_expect_same_file("whole/soft.safetensors", "parts/soft.safetensors");
    }
}

Test(rt_numbers, cannot_be_set) {
    NncProgram program = program_with_numbers();
    const char *name[] = {"run/steps"};
    const double value[] = {3};
    NncError error;
    NncOptions options = {.quiet = true, .set_name = name, .set_value = value, .set_count = 1};
    cr_assert_eq(nnc_train(&program, &options, &error), NNC_ERROR_VALUE);
    cr_assert(strstr(error.text, "Soft has: lr, momentum.gamma"), "%s", error.text);
}

// In a program of somebody's own there is no run: the caller says what it will be.
Test(rt_numbers, are_the_caller_s_where_there_is_no_run) {
    NncProgram program = program_with_numbers();
    static const float images[RT_BATCH][RT_PIXELS];
    static const int32_t labels[RT_BATCH];
    const void *const batch[] = {images, labels};
    NncError error;
    NncNet *net = nnc_net_new(&program, 1, &error);
    cr_assert(net, "%s", error.text);
    cr_assert_eq(nnc_net_set(net, "steps", 40, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(nnc_net_set(net, "epochs", 4, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(nnc_net_train(net, batch, RT_BATCH, NULL, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(nnc_net_set(net, "plateaus", 2, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(nnc_net_train(net, batch, RT_BATCH, NULL, &error), NNC_OK, "%s", error.text);
    cr_assert(seen_steps[0] == 40 && seen_epochs[1] == 4);
    cr_assert(seen_plateaus[0] == 0 && seen_plateaus[1] == 2);
    cr_assert_eq(nnc_net_set(net, "step", 4, &error), NNC_ERROR_VALUE);
    nnc_net_free(net);
}
