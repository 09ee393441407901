// SPDX-License-Identifier: MIT
// The training loop: what is held out, the best epoch, an end for want of a better one, what is
// expected; and that all of it is the same after any interruption.
#include "rt_program.h"
#include "scores.h"

#include <signal.h>
#include <sys/wait.h>

static const char *folder;

static void set_up(void) { folder = rt_folder(); }
static void tear_down(void) { rt_remove_folder(folder); }

TestSuite(rt_loop, .init = set_up, .fini = tear_down);

static NncProgram held_out_program(void) {
    NncProgram program = rt_program(folder);
    program.validation = 0.25;
    program.best = "val.loss";
    program.best_is_lowest = true;
    return program;
}

// --- Holding out

static NncSource open_source(double validation, long long seed, NncStatus expected) {
    NncError error;
    NncSource source;
    NncProgram program = rt_program(folder);
    cr_assert_eq(nnc_source_open(&source, &program.data, NULL, &error), NNC_OK);
    cr_assert_eq(nnc_source_hold_out(&source, validation, seed, &error), expected);
    return source;
}

// Which examples of the files a split has, as marks of `bit` in seen[RT_TRAIN].
static void mark(const NncSource *source, NncSplit split, int bit, int *seen) {
    long long before = -1;
    for (long long i = 0; i < source->count[split]; i++) {
        NncExample example = nnc_source_example(source, split, i);
        cr_assert(example.split == NNC_SPLIT_TRAIN && example.index > before);
        seen[example.index] |= bit;
        before = example.index;
    }
}

Test(rt_loop, each_example_is_trained_on_or_held_out) {
    int seen[RT_TRAIN] = {0}, again[RT_TRAIN] = {0}, other[RT_TRAIN] = {0};
    NncSource source = open_source(0.25, 5, NNC_OK);
    cr_assert_eq(source.count[NNC_SPLIT_VALIDATION], 21);
    cr_assert_eq(source.count[NNC_SPLIT_TRAIN], RT_TRAIN - 21);
    mark(&source, NNC_SPLIT_TRAIN, 1, seen);
    mark(&source, NNC_SPLIT_VALIDATION, 2, seen);
    for (int i = 0; i < RT_TRAIN; i++)
        cr_assert(seen[i] == 1 || seen[i] == 2);
    nnc_source_close(&source);
    source = open_source(21, 5, NNC_OK); // by their number: the same ones
    mark(&source, NNC_SPLIT_VALIDATION, 2, again);
    nnc_source_close(&source);
    source = open_source(21, 6, NNC_OK);
    mark(&source, NNC_SPLIT_VALIDATION, 2, other);
    nnc_source_close(&source);
    int same = 0, common = 0;
    for (int i = 0; i < RT_TRAIN; i++) {
        same += (seen[i] & again[i] & 2) != 0;
        common += (seen[i] & other[i] & 2) != 0;
    }
    cr_assert_eq(same, 21);
    cr_assert(common < 15, "%d of 21 are held out by two seeds", common);
}

Test(rt_loop, each_example_is_held_out_as_often) {
    int times[RT_TRAIN] = {0};
    for (long long seed = 0; seed < 400; seed++) {
        NncSource source = open_source(0.25, seed, NNC_OK);
        for (long long i = 0; i < source.count[NNC_SPLIT_VALIDATION]; i++)
            times[nnc_source_example(&source, NNC_SPLIT_VALIDATION, i).index]++;
        nnc_source_close(&source);
    }
    for (int i = 0; i < RT_TRAIN; i++) // 101 are to be expected, within 5 standard deviations
        cr_assert(times[i] > 58 && times[i] < 145, "%d: %d times", i, times[i]);
}

Test(rt_loop, something_is_left_on_both_sides) {
    NncSource source = open_source(0.001, 1, NNC_ERROR_VALUE);
    nnc_source_close(&source);
    source = open_source(RT_TRAIN, 1, NNC_ERROR_VALUE);
    nnc_source_close(&source);
    source = open_source(RT_TRAIN - 1, 1, NNC_OK);
    cr_assert_eq(source.count[NNC_SPLIT_TRAIN], 1);
    nnc_source_close(&source);
}

// --- Scores

Test(rt_loop, scores_are_found_by_name_written_and_read) {
    char *text = NULL;
    size_t size;
    NncBoard board = {0}, read;
    NncProgram program = rt_program(folder);
    nnc_scores_set(&board.of[NNC_SPLIT_TRAIN], "loss", 0.25);
    nnc_scores_set(&board.of[NNC_SPLIT_VALIDATION], "loss", NAN);
    nnc_scores_set(&board.of[NNC_SPLIT_VALIDATION], "accuracy", 1.0 / 3);
    cr_assert_eq(*nnc_board_find(&board, "train.loss"), 0.25);
    cr_assert_eq(*nnc_board_find(&board, "val.accuracy"), 1.0 / 3);
    cr_assert_null(nnc_board_find(&board, "test.loss"));
    cr_assert_null(nnc_board_find(&board, "train.accuracy"));
    cr_assert_null(nnc_board_find(&board, "trainXloss"));
    FILE *out = open_memstream(&text, &size);
    nnc_board_write(out, &board);
    fclose(out);
    cr_assert(nnc_board_read(text, &program, &read), "%s", text);
    cr_assert_eq(*nnc_board_find(&read, "train.loss"), 0.25);
    cr_assert_eq(*nnc_board_find(&read, "val.accuracy"), 1.0 / 3);
    cr_assert(isnan(*nnc_board_find(&read, "val.loss")));
    cr_assert(!nnc_board_read("{\"train.loss\":1", &program, &read));
    cr_assert(nnc_board_read("{\"speed\":1,\"val.speed\":2}", &program, &read));
    cr_assert_eq(read.of[NNC_SPLIT_VALIDATION].count, 0);
    free(text);
}

Test(rt_loop, what_is_better) {
    NncProgram program = {.best_is_lowest = true};
    cr_assert(nnc_score_is_better(&program, 1, NAN) && nnc_score_is_better(&program, 1, 2));
    cr_assert(!nnc_score_is_better(&program, 2, 2) && !nnc_score_is_better(&program, NAN, 2));
    cr_assert(!nnc_score_is_better(&program, NAN, NAN));
    program.best_is_lowest = false;
    cr_assert(nnc_score_is_better(&program, 3, 2) && !nnc_score_is_better(&program, 1, 2));
}

// --- Runs

// Field `name` of the n-th event of a kind; NaN where there is none.
static double field(const char *text, const char *event, int n, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"event\":\"%s\"", event);
    for (int i = 0; text && i <= n; i++)
        if ((text = strstr(text, key))) text += strlen(key);
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *found = text ? strstr(text, key) : NULL;
    const char *end = text ? strchr(text, '\n') : NULL;
    return found && found < end ? strtod(found + strlen(key), NULL) : NAN;
}

Test(rt_loop, what_is_held_out_is_measured_each_epoch_and_the_test_examples_at_the_end) {
    NncError error;
    NncProgram program = held_out_program();
    char *text = rt_run_json(&program, (NncOptions){.epochs = 4}, NNC_OK, &error);
    cr_assert_eq(field(text, "epoch", 0, "step"), 8); // of 62 examples in batches of 8
    cr_assert(strstr(text, "\"val\":{\"loss\":"), "%s", text);
    const char *result = strstr(text, "\"event\":\"result\"");
    cr_assert(result && strstr(text, "\"test\":{") > result, "%s", text);
    // It is what `eval` says of the best checkpoint.
    char *again = rt_eval_json(&program, (NncOptions){.checkpoint = "out/soft.best.safetensors"});
    char *test = strstr(again, "\"test\":{");
    *strchr(test, '}') = 0;
    cr_assert(strstr(result, test), "%s is not in %s", test, result);
    free(text);
    free(again);
}

// Field `name` of an event's split: 0.5 of "val":{"loss":0.5}
static double score(const char *text, const char *event, int n, const char *split,
                    const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"event\":\"%s\"", event);
    for (int i = 0; text && i <= n; i++)
        if ((text = strstr(text, key))) text += strlen(key);
    snprintf(key, sizeof key, "\"%s\":{", split);
    const char *found = text ? strstr(text, key) : NULL;
    snprintf(key, sizeof key, "\"%s\":", name);
    if (found) found = strstr(found, key);
    return found ? strtod(found + strlen(key), NULL) : NAN;
}

// What is trained on at a rate of 0 is what is evaluated.
Test(rt_loop, metrics_of_training_are_those_of_its_batches) {
    NncError error;
    NncProgram program = held_out_program();
    program.augment_count = 0;
    const char *name[] = {"lr"};
    const double zero[] = {0};
    NncOptions still = {.epochs = 2, .set_name = name, .set_value = zero, .set_count = 1};
    char *text = rt_run_json(&program, still, NNC_OK, &error);
    char *again = rt_eval_json(
        &program, (NncOptions){.checkpoint = "out/soft.safetensors", .split = "train"});
    const double trained = score(text, "epoch", 1, "train", "accuracy");
    cr_assert_eq(trained, score(again, "eval", 0, "train", "accuracy"), "%s%s", text, again);
    cr_assert_float_eq(score(text, "epoch", 1, "train", "loss"),
                       score(again, "eval", 0, "train", "loss"), 1e-6);
    cr_assert(trained > 0 && trained < 1 && strstr(again, "\"examples\":62,"));
    cr_assert_eq(field(text, "epoch", 0, "lr"), 0);
    free(text);
    free(again);
    static const NncExpect expect[] = {{"train.accuracy", ">", 0.9, NULL}};
    program.expect = expect;
    program.expect_count = 1;
    rt_run_ok(&program, (NncOptions){.epochs = 4});
    free(rt_run_json(&program, still, NNC_UNMET, &error));
}

Test(rt_loop, an_evaluation_is_of_any_split) {
    NncError error;
    NncProgram program = held_out_program();
    char *text = rt_run_json(&program, (NncOptions){.epochs = 2}, NNC_OK, &error);
    char *again = rt_eval_json(
        &program, (NncOptions){.checkpoint = "out/soft.safetensors", .split = "val"});
    cr_assert_eq(score(text, "epoch", 1, "val", "loss"), score(again, "eval", 0, "val", "loss"));
    cr_assert(strstr(again, "\"examples\":21,"), "%s", again);
    free(text);
    free(again);
    NncOptions options = {.checkpoint = "out/soft.safetensors", .split = "tset"};
    cr_assert_eq(nnc_eval(&program, &options, &error), NNC_ERROR_VALUE);
    cr_assert_str_eq(error.text, "there is no split tset: train, val or test");
    options.split = "val";
    program.validation = 0;
    cr_assert_eq(nnc_eval(&program, &options, &error), NNC_ERROR_VALUE);
    cr_assert(strstr(error.text, "no val examples: validation"), "%s", error.text);
}

// --- Scores of a table, one an epoch

static double table[32];
static void eval_table(NncCtx *ctx) {
    ((float *)ctx->output)[0] = 1;
    ((float *)ctx->output)[1] = (float)table[ctx->step / 8 - 1];
}

static NncProgram table_program(void) {
    static const double values[] = {0.2, 0.4, 0.3, 0.4, 0.5, 0.1, 0.2, 0.3, 0.9};
    memcpy(table, values, sizeof values);
    NncProgram program = held_out_program();
    program.best = "val.accuracy";
    program.best_is_lowest = false;
    program.epochs = 9;
    program.patience = 3;
    program.function[NNC_EVAL].run = eval_table;
    return program;
}

Test(rt_loop, training_ends_for_want_of_a_better_epoch) {
    NncError error;
    NncProgram program = table_program();
    char *text = rt_run_json(&program, (NncOptions){0}, NNC_OK, &error);
    cr_assert_eq(field(text, "stop", 0, "epoch"), 8, "%s", text);
    cr_assert_eq(field(text, "stop", 0, "best_epoch"), 5);
    cr_assert_eq(field(text, "result", 0, "epoch"), 5);
    cr_assert_float_eq(field(text, "stop", 0, "value"), 0.5, 1e-6);
    free(text);
    program.patience = 0;
    text = rt_run_json(&program, (NncOptions){0}, NNC_OK, &error);
    cr_assert_eq(field(text, "result", 0, "epoch"), 9, "%s", text);
    free(text);
    program.best_is_lowest = true;
    text = rt_run_json(&program, (NncOptions){0}, NNC_OK, &error);
    cr_assert_eq(field(text, "result", 0, "epoch"), 6, "%s", text);
    free(text);
}

Test(rt_loop, the_best_checkpoint_is_the_one_of_its_epoch) {
    NncProgram program = table_program();
    rt_run_ok(&program, (NncOptions){.out = "whole"});
    rt_run_ok(&program, (NncOptions){.out = "five", .epochs = 5});
    rt_expect_same_file("whole/soft.best.safetensors", "five/soft.best.safetensors");
    rt_expect_same_file("five/soft.best.safetensors", "five/soft.safetensors");
}

static void expect_same_run(const char *out) {
    char name[100];
    snprintf(name, sizeof name, "%s/soft.safetensors", out);
    rt_expect_same_file("whole/soft.safetensors", name);
    snprintf(name, sizeof name, "%s/soft.best.safetensors", out);
    rt_expect_same_file("whole/soft.best.safetensors", name);
}

Test(rt_loop, resuming_at_every_step_ends_the_same) {
    NncProgram program = table_program();
    rt_run_ok(&program, (NncOptions){.out = "whole"});
    for (int step = 1; step < 66; step += 4) {
        rt_run_ok(&program, (NncOptions){.out = "parts", .steps = step});
        rt_run_ok(&program, (NncOptions){.out = "parts", .steps = step + 2, .resume = true});
        rt_run_ok(&program, (NncOptions){.out = "parts", .resume = true});
        expect_same_run("parts");
    }
    // Once more: there is nothing left to do.
    rt_run_ok(&program, (NncOptions){.out = "parts", .resume = true});
    expect_same_run("parts");
}

static int evaluations;
static void eval_and_signal(NncCtx *ctx) {
    eval_table(ctx);
    if (++evaluations == 8) raise(SIGTERM); // amid the third epoch's: there are 3 batches each
}

Test(rt_loop, interrupted_amid_the_evaluation_it_goes_on_with_that) {
    NncError error;
    NncProgram program = table_program();
    rt_run_ok(&program, (NncOptions){.out = "whole"});
    program.function[NNC_EVAL].run = eval_and_signal;
    free(rt_run_json(&program, (NncOptions){.out = "parts", .command = "soft train --resume"},
               NNC_INTERRUPTED, &error));
    cr_assert_str_eq(error.text,
                     "interrupted after step 24; parts/soft.safetensors has everything, "
                     "to go on: soft train --resume");
    char *text = rt_run_json(&program, (NncOptions){.out = "parts", .resume = true}, NNC_OK, &error);
    cr_assert_eq(field(text, "epoch", 0, "epoch"), 3);
    cr_assert_eq(field(text, "epoch", 0, "step"), 24);
    free(text);
    expect_same_run("parts");
}

static int steps_until_kill;
static void train_and_die(NncCtx *ctx) {
    rt_train(ctx);
    if (--steps_until_kill == 0) raise(SIGKILL);
}

// A process of its own, killed at a step.
static void train_killed(NncProgram program, NncOptions options, int step) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        NncError error;
        options.quiet = true;
        program.function[NNC_TRAIN].run = train_and_die;
        steps_until_kill = step;
        nnc_train(&program, &options, &error);
        _exit(1);
    }
    int status;
    cr_assert(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

Test(rt_loop, killed_at_twenty_random_steps_it_ends_the_same) {
    NncDraw draw = nnc_draw(2026, 11, 23);
    NncProgram program = table_program();
    rt_run_ok(&program, (NncOptions){.out = "whole"});
    for (int i = 0; i < 20; i++) {
        char out[32];
        snprintf(out, sizeof out, "killed%d", i);
        NncOptions options = {.out = out, .save_every = 1 + nnc_draw_below(&draw, 6)};
        int step = (int)options.save_every + 1 + (int)nnc_draw_below(&draw, 40);
        train_killed(program, options, step); // after the first checkpoint
        options.resume = true;
        train_killed(program, options, 1 + (int)nnc_draw_below(&draw, 8)); // and again
        rt_run_ok(&program, options);
        expect_same_run(out);
    }
}

Test(rt_loop, expectations_are_checked_at_the_end) {
    static const NncExpect expect[] = {{"test.accuracy", ">", 0.1, NULL},
                                       {"train.loss", "<=", 1e9, NULL},
                                       {"val.accuracy", "<", 0.5, NULL},
                                       {"val.accuracy", ">=", 0.5, "none of three is right"},
                                       {"val.speed", ">", 0, NULL}};
    NncError error;
    NncProgram program = table_program();
    program.expect = expect;
    program.expect_count = 2;
    char *text = rt_run_json(&program, (NncOptions){0}, NNC_OK, &error);
    cr_assert(strstr(text, "{\"event\":\"expect\",\"score\":\"train.loss\",\"relation\":\"<=\","
                           "\"than\":1e+09,\"value\":"),
              "%s", text);
    free(text);
    program.expect_count = 5;
    text = rt_run_json(&program, (NncOptions){.out = "five"}, NNC_UNMET, &error);
    cr_assert_str_eq(error.text, "not met: 2 of 5 expectations, the first is val.accuracy < 0.5");
    cr_assert(strstr(text, "\"event\":\"done\""), "%s", text);
    free(text);
    // A run that is ended before its time is not judged.
    free(rt_run_json(&program, (NncOptions){.out = "five", .steps = 20}, NNC_OK, &error));
}

Test(rt_loop, another_rule_for_the_best_begins_anew) {
    NncError error;
    NncProgram program = table_program();
    rt_run_ok(&program, (NncOptions){.epochs = 2});
    program.best = "val.loss";
    char *text = rt_run_json(&program, (NncOptions){.resume = true, .epochs = 9}, NNC_OK, &error);
    cr_assert_eq(field(text, "result", 0, "epoch"), 3, "%s", text); // the loss is 1 ever after
    free(text);
}

// --- Beginning with a file

// A safetensors file with a weight and a bias of 1, 2, 3 ..; `type` of 2, 4 or 8 bytes.
static void write_initial(const char *weight, const char *type, int size,
                          const unsigned char *bytes, int classes) {
    char header[600];
    int elements = classes * RT_PIXELS, start = elements * size, end = start + RT_CLASSES * size;
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]},"
             "\"bias\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[%d,%d]},"
             "\"count\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[%d,%d]}}",
             weight, type, classes, RT_PIXELS, start, type, RT_CLASSES, start, end, end, end + 4);
    FILE *file = fopen("begin.safetensors", "wb");
    uint64_t length = strlen(header);
    fwrite(&length, 8, 1, file);
    fwrite(header, 1, length, file);
    for (int i = 0; i < elements + RT_CLASSES; i++)
        fwrite(bytes, 1, (size_t)size, file);
    fwrite("\5\0\0\0", 1, 4, file);
    fclose(file);
}

static const unsigned char one_and_a_half[4][8] = {
    {0, 0x3e}, {0xc0, 0x3f}, {0, 0, 0xc0, 0x3f}, {0, 0, 0, 0, 0, 0, 0xf8, 0x3f}};

static float first_weight, last_bias;
static int first_count;
static void look_and_train(NncCtx *ctx) {
    if (ctx->step == 0) {
        first_weight = ((float *)ctx->state)[RT_WEIGHT + 20];
        last_bias = ((float *)ctx->state)[RT_BIAS + 2];
        first_count = ((int *)ctx->state)[RT_COUNT];
    }
    rt_train(ctx);
}

Test(rt_loop, a_run_begins_with_floats_of_any_size) {
    static const char *const types[] = {"F16", "BF16", "F32", "F64"};
    static const int sizes[] = {2, 2, 4, 8};
    NncProgram program = rt_program(folder);
    program.function[NNC_TRAIN].run = look_and_train;
    for (int i = 0; i < 4; i++) {
        first_weight = last_bias = 0;
        write_initial("weight", types[i], sizes[i], one_and_a_half[i], RT_CLASSES);
        rt_run_ok(&program, (NncOptions){.init = "begin.safetensors", .steps = 1});
        cr_assert(first_weight == 1.5f && last_bias == 1.5f && first_count == 5, "%s: %g, %g",
                  types[i], (double)first_weight, (double)last_bias);
    }
}

Test(rt_loop, what_does_not_fit_is_named) {
    NncError error;
    NncProgram program = rt_program(folder);
    NncOptions options = {.init = "begin.safetensors", .steps = 1};
    program.function[NNC_TRAIN].run = look_and_train;
    write_initial("wieght", "F32", 4, one_and_a_half[2], RT_CLASSES);
    free(rt_run_json(&program, options, NNC_ERROR_MATCH, &error));
    cr_assert_str_eq(error.text,
                     "begin.safetensors: there is no weight in it; the nearest is wieght (2 of 3 "
                     "tensors fit: --init-partial takes them)");
    write_initial("weight", "F32", 4, one_and_a_half[2], 7);
    free(rt_run_json(&program, options, NNC_ERROR_MATCH, &error));
    cr_assert(strstr(error.text, "weight is F32[7, 16] in it, but F32[3, 16] in the program"), "%s",
              error.text);
    options.init_partial = true;
    char *text = rt_run_json(&program, options, NNC_OK, &error);
    cr_assert(strstr(text,
                     "\"event\":\"init\",\"file\":\"begin.safetensors\",\"taken\":2,\"left\":1,"
                     "\"notes\":\"begin.safetensors: weight is F32[7, 16]"),
              "%s", text);
    cr_assert(first_weight != 1.5f && last_bias == 1.5f && first_count == 5);
    free(text);
    options.init = "nowhere.safetensors";
    free(rt_run_json(&program, options, NNC_ERROR_FILE, &error));
    rt_write_file(".", "begin.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
    options.init = "begin.safetensors";
    free(rt_run_json(&program, options, NNC_ERROR_MATCH, &error));
}

Test(rt_loop, a_checkpoint_is_a_file_to_begin_with) {
    NncProgram program = rt_program(folder);
    rt_run_ok(&program, (NncOptions){.out = "first"});
    rt_run_ok(&program,
             (NncOptions){.out = "second", .init = "first/soft.safetensors", .epochs = 1});
    rt_run_ok(&program, (NncOptions){.out = "third", .epochs = 1});
    size_t size;
    char *second = rt_file("second/soft.safetensors", &size);
    char *third = rt_file("third/soft.safetensors", &size);
    cr_assert(strstr(second + 8, "\"step\":\"11\""), "%s", second + 8);
    cr_assert(memcmp(second, third, size));
    free(second);
    free(third);
}
