// SPDX-License-Identifier: MIT
// A whole run of a program written by hand: it learns, reports, is interrupted, goes on, evaluates,
// predicts.
#include "rt_program.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#ifdef NNC_HAVE_PNG
#include <png.h>
#endif

static const char *folder;

static void set_up(void) { folder = rt_folder(); }
static void tear_down(void) { rt_remove_folder(folder); }

TestSuite(rt_train, .init = set_up, .fini = tear_down);

// The last number after "name": in a text of JSON lines.
static double last_number(const char *text, const char *name) {
    char key[64];
    const char *found = NULL;
    snprintf(key, sizeof key, "\"%s\":", name);
    for (const char *at = text; (at = strstr(at, key)); at++)
        found = at;
    cr_assert(found, "no %s in %s", name, text);
    return strtod(found + strlen(key), NULL);
}

Test(rt_train, learns_and_reports_as_json) {
    NncError error;
    NncProgram program = rt_program(folder);
    char *text = rt_run(&program, (NncOptions){.json = true, .threads = 2, .report_every = 5},
                       NNC_OK, &error);
    cr_assert(strstr(text, "{\"event\":\"start\",\"version\":1,\"model\":\"Soft\",\"parameters\":51,\"device\":"
                           "\"cpu\",\"jit\":\"native\",\"target\":\"x86-64-v2\",\"precision\":\"f32\","
                           "\"plan\":\"0123456789abcdef\","
                           "\"threads\":2,\"batch\":8,\"chunk\":8,\"arena_bytes\":") == text,
              "%s", text);
    cr_assert(strstr(text, "{\"event\":\"step\",\"epoch\":1,\"step\":5,\"loss\":"));
    cr_assert(strstr(text, "\"event\":\"step\",\"epoch\":3,\"step\":30,"));
    cr_assert(strstr(text, "{\"event\":\"epoch\",\"epoch\":3,\"step\":33,\"loss\":"));
    cr_assert(
        strstr(text, "{\"event\":\"done\",\"checkpoint\":\"out/soft.safetensors\",\"hash\":\""));
    cr_assert(last_number(text, "accuracy") > 0.9, "%s", text);
    cr_assert(strstr(text, "\"lr\":0.3,") && strstr(text, "\"lr\":0.25,"), "%s", text);
    cr_assert(last_number(text, "examples_per_second") > 0);
    free(text);
}

Test(rt_train, the_epoch_s_loss_is_the_mean_over_examples) {
    NncError error;
    NncProgram program = rt_program(folder);
    // One step a batch: 10 of 8 examples and one of 3.
    char *text =
        rt_run(&program, (NncOptions){.json = true, .report_every = 1, .epochs = 1}, NNC_OK, &error);
    double sum = 0;
    int step = 0;
    for (const char *at = text; (at = strstr(at, "\"event\":\"step\"")); at++, step++)
        sum += strtod(strstr(at, "\"loss\":") + 7, NULL) * (step < 10 ? 8 : 3);
    const char *epoch = strstr(text, "\"event\":\"epoch\"");
    cr_assert_eq(step, 11);
    cr_assert_float_eq(strtod(strstr(epoch, "\"loss\":") + 7, NULL), sum / 83, 1e-7);
    free(text);
}

Test(rt_train, plain_lines_and_quiet) {
    NncError error;
    NncProgram program = rt_program(folder);
    char *text = rt_run(&program, (NncOptions){.report_every = 20}, NNC_OK, &error);
    cr_assert(strstr(text, "Soft: 51 parameters"), "%s", text);
    cr_assert(strstr(text, "epoch 2  step 20  loss "), "%s", text);
    cr_assert(strstr(text, "test: loss "), "%s", text);
    cr_assert(strstr(text, "wrote out/soft.safetensors, hash "), "%s", text);
    cr_assert(!strchr(text, '\r'));
    free(text);
    text = rt_run(&program, (NncOptions){.quiet = true}, NNC_OK, &error);
    cr_assert_str_eq(text, "");
    free(text);
}

Test(rt_train, the_same_bits_with_any_number_of_threads) {
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){.out = "one", .threads = 1});
    rt_run_ok(&program, (NncOptions){.out = "two", .threads = 2});
    rt_run_ok(&program, (NncOptions){.out = "many", .threads = 7});
    rt_expect_same_file("one/soft.safetensors", "two/soft.safetensors");
    rt_expect_same_file("one/soft.safetensors", "many/soft.safetensors");
}

Test(rt_train, resuming_at_every_step_gives_the_same_bits) {
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){.out = "whole", .threads = 1});
    for (int step = 1; step < 33; step += 3) {
        rt_run_ok(&program, (NncOptions){.out = "parts", .threads = 1, .steps = step});
        rt_run_ok(&program,
                 (NncOptions){.out = "parts", .threads = 1, .steps = step + 2, .resume = true});
        rt_run_ok(&program, (NncOptions){.out = "parts", .threads = 1, .resume = true});
        rt_expect_same_file("whole/soft.safetensors", "parts/soft.safetensors");
    }
}

Test(rt_train, seed_and_hyper_parameters_matter_and_are_kept) {
    NncProgram program = rt_program(folder);
    const char *name[] = {"lr"};
    const double value[] = {0.05};
    NncOptions set = {.out = "set",
                      .set_name = name,
                      .set_value = value,
                      .set_count = 1,
                      .has_seed = true,
                      .seed = 3};
    rt_run_ok(&program, set);
    // Resumed without them, they are those of the checkpoint.
    set.out = "parts";
    set.steps = 5;
    rt_run_ok(&program, set);
    rt_run_ok(&program, (NncOptions){.out = "parts", .resume = true});
    rt_expect_same_file("set/soft.safetensors", "parts/soft.safetensors");
    NncError error;
    free(rt_run(&program, (NncOptions){.out = "parts", .resume = true, .has_seed = true, .seed = 4},
               NNC_ERROR_MATCH, &error));
    cr_assert(strstr(error.text, "seed 3"), "%s", error.text);
}

static int steps_until_signal;
static void train_and_signal(NncCtx *ctx) {
    rt_train(ctx);
    if (--steps_until_signal == 0) raise(SIGINT);
}

Test(rt_train, a_signal_ends_it_after_the_step_and_it_goes_on) {
    NncError error;
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){.out = "whole"});
    program.function[NNC_TRAIN].run = train_and_signal;
    steps_until_signal = 14;
    free(rt_run(&program, (NncOptions){.out = "parts"}, NNC_INTERRUPTED, &error));
    cr_assert(strstr(error.text, "interrupted after step 14; parts/soft.safetensors"), "%s",
              error.text);
    rt_run_ok(&program, (NncOptions){.out = "parts", .resume = true});
    rt_expect_same_file("whole/soft.safetensors", "parts/soft.safetensors");
}

static void train_to_nan(NncCtx *ctx) {
    rt_train(ctx);
    if (ctx->step == 12) *(float *)ctx->output = NAN;
}

Test(rt_train, a_loss_that_is_no_number_is_an_error_that_names_the_step) {
    NncError error;
    NncProgram program = rt_program(folder);
    program.function[NNC_TRAIN].run = train_to_nan;
    free(rt_run(&program, (NncOptions){0}, NNC_ERROR_NUMBER, &error));
    cr_assert(strstr(error.text, "not a number at step 13, in epoch 2"), "%s", error.text);
    // What was there stays: the checkpoint of the first epoch.
    program.function[NNC_TRAIN].run = rt_train;
    free(rt_run(&program, (NncOptions){.resume = true, .steps = 12}, NNC_OK, &error));
}

#if defined(__x86_64__) || defined(__aarch64__)
static volatile float small = 1e-20f, seen = 1;
static void train_small(NncCtx *ctx) {
    rt_train(ctx);
    seen = small * small;
}

Test(rt_train, a_step_takes_what_is_too_small_for_zero_and_its_caller_does_not) {
    NncProgram program = rt_program(folder);
    program.function[NNC_TRAIN].run = train_small;
    rt_run_ok(&program, (NncOptions){.steps = 1});
    cr_assert_eq(seen, 0);
    cr_assert_gt(small * small, 0);
}
#endif

enum { STATE = 256 };
static int prepared, taken, stale; // calls of eval: made a copy of the parameters; used it; in vain
static void eval_prepared(NncCtx *ctx) {
    rt_eval(ctx);
    if (!ctx->prepared) memcpy(ctx->work, ctx->state, STATE);
    ctx->prepared ? taken++ : prepared++;
    stale += memcmp(ctx->work, ctx->state, STATE) != 0;
}

Test(rt_train, what_an_evaluation_prepares_serves_all_its_batches_and_no_later_one) {
    NncProgram program = rt_program(folder);
    program.function[NNC_EVAL].run = eval_prepared;
    program.function[NNC_EVAL].work_bytes = STATE;
    rt_run_ok(&program, (NncOptions){.epochs = 4});
    cr_assert_eq(prepared, 4);
    cr_assert_geq(taken, 4);
    cr_assert_eq(stale, 0);
}

static int count_files(const char *path) {
    int count = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir) closedir(dir);
    return dir ? count - 2 : -1;
}

Test(rt_train, what_cannot_be_written_is_said_before_the_first_step) {
    NncError error;
    NncProgram program = rt_program(folder);
    program.function[NNC_INIT].run = NULL; // it would crash there
    rt_write_file(folder, "file", "", 0);
    program.function[NNC_INIT].run = (void (*)(NncCtx *))abort;
    free(rt_run(&program, (NncOptions){.out = "file"}, NNC_ERROR_FILE, &error));
    cr_assert(strstr(error.text, "cannot write file/soft.safetensors: "), "%s", error.text);
    free(rt_run(&program, (NncOptions){.out = "/proc/nowhere"}, NNC_ERROR_FILE, &error));
    cr_assert(strstr(error.text, "/proc/nowhere/soft.safetensors"), "%s", error.text);
}

Test(rt_train, nothing_but_the_checkpoint_is_left) {
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){.out = "deep/er"});
    cr_assert_eq(count_files("deep/er"), 1);
}

Test(rt_train, wrong_options_are_named) {
    NncError error;
    NncProgram program = rt_program(folder);
    const char *name[] = {"rate"};
    const double value[] = {1};
    free(rt_run(&program, (NncOptions){.set_name = name, .set_value = value, .set_count = 1},
               NNC_ERROR_VALUE, &error));
    cr_assert(strstr(error.text, "no hyper-parameter named rate; Soft has: lr, momentum.gamma"),
              "%s", error.text);
    program.augment =
        (const NncCall[]){{"random_crop", "image", (const NncArgument[]){{"pading", NULL, 1}}, 1}};
    free(rt_run(&program, (NncOptions){0}, NNC_ERROR_VALUE, &error));
    cr_assert(strstr(error.text, "random_crop has no argument named pading"), "%s", error.text);
    program.abi = 99;
    free(rt_run(&program, (NncOptions){0}, NNC_ERROR_MATCH, &error));
    program = rt_program("missing");
    free(rt_run(&program, (NncOptions){.data = "elsewhere"}, NNC_ERROR_FILE, &error));
    cr_assert(strstr(error.text, "elsewhere/missing"), "%s", error.text);
}

Test(rt_train, limit_takes_the_first_examples) {
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){.out = "all", .limit = 24, .epochs = 1});
    // The same as a set that has no more of them.
    rt_write_idx(folder, "train", 24, 0);
    rt_run_ok(&program, (NncOptions){.out = "short", .epochs = 1});
    rt_expect_same_file("all/soft.safetensors", "short/soft.safetensors");
    rt_write_idx(folder, "train", RT_TRAIN, 0);
    // Amid an epoch, the same examples are needed to go on.
    NncError error;
    rt_run_ok(&program, (NncOptions){.out = "all", .limit = 24, .steps = 2});
    free(rt_run(&program, (NncOptions){.out = "all", .resume = true}, NNC_ERROR_MATCH, &error));
    cr_assert(strstr(error.text, "after 16 of 24 examples"), "%s", error.text);
}

Test(rt_train, evaluation_agrees_with_the_report_of_the_epoch) {
    NncError error;
    NncProgram program = rt_program(folder);
    char *text = rt_run_json(&program, (NncOptions){0}, NNC_OK, &error);
    char *again = rt_eval_json(&program, (NncOptions){.checkpoint = "out/soft.safetensors"});
    const char *test = strstr(again, "\"test\":{");
    cr_assert(test && strstr(again, "\"examples\":21"), "%s", again);
    char *end = strchr(test, '}');
    *end = 0;
    cr_assert(strstr(text, test), "%s is not in %s", test, text);
    free(text);
    free(again);
}

Test(rt_train, prediction_gives_classes_and_probabilities) {
    NncError error;
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){0});
    char *text = NULL;
    size_t size;
    const char *inputs[] = {"test:0", "train:5"}, *beyond[] = {"test:21"};
    NncOptions options = {.json = true, .report = open_memstream(&text, &size)};
    cr_assert_eq(nnc_predict(&program, &options, inputs, 2, &error), NNC_OK, "%s", error.text);
    fclose(options.report);
    cr_assert(strstr(text, "{\"event\":\"predict\",\"input\":\"test:0\",\"outputs\":{\"logits\":["),
              "%s", text);
    double sum = 0;
    const char *line_end = strchr(text, '\n');
    for (const char *at = text; (at = strstr(at, "\"probability\":")) && at < line_end; at++)
        sum += strtod(at + 14, NULL);
    cr_assert_float_eq(sum, 1, 1e-5);
    int best = (int)strtol(strstr(text, "\"classes\":[{\"index\":") + 20, NULL, 10);
    int label = (int)strtol(strstr(text, "\"label\":") + 8, NULL, 10);
    cr_assert_eq(best, label);
    free(text);
    options.report = stdout;
    cr_assert_eq(nnc_predict(&program, &options, beyond, 1, &error), NNC_ERROR_VALUE);
    cr_assert(strstr(error.text, "examples 0 to 20"), "%s", error.text);
}

static char *predict(const NncProgram *program, NncOptions options, const char *input,
                     NncStatus expected, NncError *error) {
    char *text = NULL;
    size_t size;
    options.report = open_memstream(&text, &size);
    NncStatus status = nnc_predict(program, &options, &input, 1, error);
    fclose(options.report);
    cr_assert_eq(status, expected, "%s", status ? error->text : text);
    return text;
}

Test(rt_train, prediction_in_lines_with_the_names_in_the_checkpoint) {
    NncError error;
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){0});
    char *text = predict(&program, (NncOptions){0}, "train:0", NNC_OK, &error);
    int first, second, third, label;
    double a, b, c;
    cr_assert_eq(sscanf(text,
                        "train:0 class %d %lf %%, class %d %lf %%, class %d %lf %% (is class %d)",
                        &first, &a, &second, &b, &third, &c, &label),
                 7, "%s", text);
    cr_assert(a >= b && b >= c && fabs(a + b + c - 100) < 0.2 && first == label, "%s", text);
    cr_assert_eq(first + second + third, 3);
    free(text);
    // Outputs that are no logits of a target are numbers.
    NncColumn output = rt_predict_output[0];
    output.extent[1] = 2;
    program.function[NNC_PREDICT].output = &output;
    text = predict(&program, (NncOptions){0}, "train:0", NNC_OK, &error);
    cr_assert_eq(sscanf(text, "train:0 logits %lf %lf", &a, &b), 2, "%s", text);
    free(text);
}

static int most_at_a_time;
static void predict_and_count(NncCtx *ctx) {
    if (ctx->n > most_at_a_time) most_at_a_time = (int)ctx->n;
    rt_predict(ctx);
}

Test(rt_train, predictions_are_made_in_batches_and_printed_in_order) {
    NncError error;
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){0});
    char names[RT_TEST + 1][16], *alone = NULL, *together = NULL;
    const char *inputs[RT_TEST + 1];
    size_t size;
    FILE *all = open_memstream(&alone, &size);
    for (int i = 0; i <= RT_TEST; i++) {
        snprintf(names[i], sizeof names[i], "test:%d", i);
        inputs[i] = names[i];
        if (i == RT_TEST) continue; // there is none
        char *one = predict(&program, (NncOptions){.json = true}, inputs[i], NNC_OK, &error);
        fputs(one, all);
        free(one);
    }
    fclose(all);
    program.function[NNC_PREDICT].run = predict_and_count;
    NncOptions options = {.json = true, .report = open_memstream(&together, &size)};
    // What is wrong comes last, and what was asked before it is answered.
    cr_assert_eq(nnc_predict(&program, &options, inputs, RT_TEST + 1, &error), NNC_ERROR_VALUE);
    fclose(options.report);
    cr_assert_str_eq(together, alone);
    cr_assert_eq(most_at_a_time, RT_BATCH);
    free(alone);
    free(together);
}

#ifdef NNC_HAVE_PNG
static void write_png(const char *path, unsigned width, unsigned height,
                      const unsigned char *grey) {
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_GRAY};
    cr_assert(png_image_write_to_file(&image, path, 0, grey, 0, NULL));
}

Test(rt_train, an_image_file_is_as_good_as_an_example) {
    NncError error;
    size_t size;
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){0});
    char *images = rt_file("t10k-images-idx3-ubyte", &size);
    write_png("a.png", 4, 4, (unsigned char *)images + 16 + 3 * RT_PIXELS);
    char *file = predict(&program, (NncOptions){.json = true}, "a.png", NNC_OK, &error);
    char *example = predict(&program, (NncOptions){.json = true}, "test:3", NNC_OK, &error);
    char *outputs = strstr(file, "\"outputs\"");
    *strrchr(outputs, '}') = 0;
    cr_assert(strstr(example, outputs), "%s and %s", file, example);
    free(file);
    free(example);

    write_png("large.png", 5, 4, (unsigned char *)images);
    free(predict(&program, (NncOptions){0}, "large.png", NNC_ERROR_MATCH, &error));
    cr_assert_str_eq(error.text,
                     "large.png has 5 x 4 pixels, but the program's input image is f32[N, 4, 4]");
    rt_write_file(folder, "no.png", images, 100);
    free(predict(&program, (NncOptions){0}, "no.png", NNC_ERROR_FORMAT, &error));
    cr_assert(strstr(error.text, "no.png"), "%s", error.text);
    char *bytes = rt_file("a.png", &size);
    rt_write_file(folder, "cut.png", bytes, size - 20);
    free(predict(&program, (NncOptions){0}, "cut.png", NNC_ERROR_FORMAT, &error));
    free(predict(&program, (NncOptions){0}, "gone.png", NNC_ERROR_FORMAT, &error));
    cr_assert(strstr(error.text, "gone.png"), "%s", error.text);
    free(images);
    free(bytes);
}
#endif

// --- The command line of a built program

static int run_main(const char *line) {
    char text[200], *argv[16];
    int argc = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        NncProgram program = rt_program(folder);
        if (!freopen("stdout.txt", "w", stdout) || !freopen("stderr.txt", "w", stderr)) abort();
        int status = nnc_main(&program, argc, argv);
        fflush(NULL);
        _exit(status);
    }
    int status;
    cr_assert(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_main(const char *line, int status, const char *file, const char *says) {
    size_t size;
    int got = run_main(line);
    char *text = rt_file(file, &size);
    cr_assert_eq(got, status, "%s: status %d: %s", line, got, text);
    cr_assert(strstr(text, says), "%s: '%s' does not say '%s'", line, text, says);
    free(text);
}

Test(rt_train, a_built_program_s_command_line) {
    expect_main("soft --help", 0, "stdout.txt", "input    image: f32[N, 4, 4]");
    expect_main("soft", 2, "stderr.txt", "Usage: soft train");
    expect_main("soft trian", 2, "stderr.txt", "Usage: soft train");
    expect_main("soft train --help", 0, "stdout.txt", "--epochs=N");
    expect_main("soft train --epochs 0", 2, "stderr.txt",
                "--epochs is to be an integer of 1 or more, not '0'");
    expect_main("soft train --lr fast", 2, "stderr.txt", "lr is to be a number, not 'fast'");
    expect_main("soft train --set lr", 2, "stderr.txt", "NAME=VALUE");
    expect_main("soft train extra", 2, "stderr.txt", "'extra'");
    expect_main("soft train --set speed=3", 1, "stderr.txt", "no hyper-parameter named speed");
    expect_main("soft eval", 1, "stderr.txt", "out/soft.safetensors: No such file");
    expect_main("soft train --epochs 2 --lr 0.2 --set momentum.gamma=0.8 --threads 1 --json", 0,
                "stdout.txt", "\"event\":\"done\"");
    expect_main("soft eval --checkpoint out/soft.safetensors", 0, "stdout.txt",
                "test (21 examples): loss");
    expect_main("soft predict test:1", 0, "stdout.txt", "test:1");
    expect_main("soft predict", 2, "stderr.txt", "needs an INPUT");
    expect_main("soft predict test:99", 1, "stderr.txt", "examples 0 to 20");
}
