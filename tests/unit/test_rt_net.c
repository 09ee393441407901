// SPDX-License-Identifier: MIT
// Networks in other programs (runtime/net.h): the same steps as a run of nnc_train, what is
// refused, checkpoints that both read.
#include "net.h"
#include "rt_program.h"

static const char *folder;

static void set_up(void) { folder = rt_folder(); }
static void tear_down(void) { rt_remove_folder(folder); }

TestSuite(rt_net, .init = set_up, .fini = tear_down);

static float images[RT_TRAIN][RT_PIXELS];
static int32_t labels[RT_TRAIN];

// The files' examples, as the loader gives them.
static const void *const *read_data(void) {
    static const void *const batch[] = {images, labels};
    size_t size;
    char *pixel = rt_file("train-images-idx3-ubyte", &size);
    char *label = rt_file("train-labels-idx1-ubyte", &size);
    for (int n = 0; n < RT_TRAIN; n++) {
        labels[n] = label[8 + n];
        for (int i = 0; i < RT_PIXELS; i++)
            images[n][i] = (float)(unsigned char)pixel[16 + n * RT_PIXELS + i] / 255.0f;
    }
    free(pixel);
    free(label);
    return batch;
}

static NncNet *net_new(const NncProgram *program) {
    NncError error;
    NncNet *net = nnc_net_new(program, 2, &error);
    cr_assert(net, "%s", error.text);
    return net;
}

static double train_epoch(NncNet *net, const void *const *data) {
    double loss = 0, sum = 0;
    NncError error;
    for (long long first = 0; first < RT_TRAIN; first += RT_BATCH) {
        const void *const batch[] = {(const float *)data[0] + first * RT_PIXELS,
                                     (const int32_t *)data[1] + first};
        long long n = RT_TRAIN - first < RT_BATCH ? RT_TRAIN - first : RT_BATCH;
        cr_assert_eq(nnc_net_train(net, batch, n, &loss, &error), NNC_OK, "%s", error.text);
        sum += loss * (double)n;
    }
    nnc_net_end_epoch(net);
    return sum / RT_TRAIN;
}

Test(rt_net, trains_as_a_run_does) {
    NncError error;
    NncProgram program = rt_program(folder);
    program.shuffle = false;
    program.augment_count = 0;
    const void *const *data = read_data();
    NncNet *net = net_new(&program), *other = net_new(&program);
    for (int epoch = 0; epoch < 3; epoch++)
        train_epoch(net, data);
    cr_assert_eq(nnc_net_steps(net), 33);
    FILE *quiet = fopen("/dev/null", "w");
    NncOptions options = {.threads = 1, .report = quiet};
    cr_assert_eq(nnc_train(&program, &options, &error), NNC_OK, "%s", error.text);
    fclose(quiet);
    cr_assert_eq(nnc_net_load(other, "out/soft.safetensors", true, &error), NNC_OK, "%s",
                 error.text);
    for (int i = 0; i < program.tensor_count; i++) {
        const char *name = program.tensor[i].name;
        const NncTensor *tensor;
        const void *mine = nnc_net_tensor(net, name, &tensor),
                   *trained = nnc_net_tensor(other, name, NULL);
        size_t elements = 1;
        for (int axis = 0; axis < tensor->rank; axis++)
            elements *= (size_t)tensor->extent[axis];
        cr_assert(!memcmp(mine, trained, 4 * elements), "%s differs", name);
    }
    cr_assert_eq(nnc_net_steps(other), 33);
    cr_assert_null(nnc_net_tensor(net, "nothing", NULL));
    nnc_net_free(net);
    nnc_net_free(other);
}

// Three chunks of which the last is smaller; the program's functions know nothing of them, so each
// is one call with its examples.
Test(rt_net, evaluates_and_predicts_any_number) {
    NncError error;
    NncProgram program = rt_program(folder);
    const void *const *data = read_data();
    NncNet *net = net_new(&program);
    double before[2], after[2], one[2], sum[2] = {0};
    static float logits[RT_TRAIN][RT_CLASSES], row[RT_CLASSES];
    cr_assert_eq(nnc_net_evaluate(net, data, RT_TRAIN, before, &error), NNC_OK);
    for (int epoch = 0; epoch < 10; epoch++)
        train_epoch(net, data);
    cr_assert_eq(nnc_net_evaluate(net, data, RT_TRAIN, after, &error), NNC_OK);
    cr_assert(after[0] < before[0] / 2 && after[1] > 0.9, "loss %g, accuracy %g", after[0],
              after[1]);
    cr_assert_eq(
        nnc_net_predict(net, (const void *[]){images, NULL}, RT_TRAIN, (void *[]){logits}, &error),
        NNC_OK, "%s", error.text);
    for (int n = 0; n < RT_TRAIN; n++) {
        const void *const example[] = {images[n], &labels[n]};
        cr_assert_eq(nnc_net_evaluate(net, example, 1, one, &error), NNC_OK);
        cr_assert_eq(nnc_net_predict(net, example, 1, (void *[]){row}, &error), NNC_OK);
        cr_assert(!memcmp(row, logits[n], sizeof row), "example %d", n);
        sum[0] += one[0] / RT_TRAIN, sum[1] += one[1] / RT_TRAIN;
    }
    cr_assert(fabs(sum[0] - after[0]) < 1e-6 && fabs(sum[1] - after[1]) < 1e-6);
    cr_assert_eq(nnc_net_predict(net, data, 3, (void *[]){NULL}, &error), NNC_OK); // not wanted
    nnc_net_free(net);
}

Test(rt_net, saves_and_loads) {
    NncError error;
    NncProgram program = rt_program(folder);
    const void *const *data = read_data();
    NncNet *net = net_new(&program), *again = net_new(&program);
    cr_assert_eq(nnc_net_set(net, "lr", 0.01, &error), NNC_OK);
    train_epoch(net, data);
    cr_assert_eq(nnc_net_save(net, "half.safetensors", &error), NNC_OK, "%s", error.text);
    cr_assert_eq(nnc_net_load(again, "half.safetensors", true, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(train_epoch(net, data), train_epoch(again, data)); // lr and epoch, too
    cr_assert_eq(nnc_net_save(net, "a.safetensors", &error), NNC_OK);
    cr_assert_eq(nnc_net_save(again, "b.safetensors", &error), NNC_OK);
    rt_expect_same_file("a.safetensors", "b.safetensors");
    nnc_net_free(net);
    nnc_net_free(again);
}

static int prepared;

static void look_and_predict(NncCtx *ctx) {
    prepared = ctx->prepared;
    rt_predict(ctx);
}

// What was prepared from parameters is used again until the caller can have written there.
Test(rt_net, prepares_anew_what_the_caller_may_have_changed) {
    NncError error;
    NncProgram program = rt_program(folder);
    program.function[NNC_PREDICT].run = look_and_predict;
    const void *const *data = read_data();
    NncNet *net = net_new(&program);
    float row[RT_CLASSES];
    const int expected[] = {0, 1, 1, 0, 0};
    for (int call = 0; call < 5; call++) {
        if (call == 3) nnc_net_tensor(net, "weight", NULL);
        cr_assert_eq(nnc_net_predict(net, data, 1, (void *[]){row}, &error), NNC_OK);
        cr_assert_eq(prepared, expected[call], "call %d", call);
    }
    nnc_net_free(net);
}

static void expect(NncStatus status, NncStatus wanted, const NncError *error, const char *text) {
    cr_assert_eq(status, wanted, "status %d", status);
    cr_assert(strstr(error->text, text), "%s", error->text);
}

Test(rt_net, refuses) {
    NncError error;
    NncProgram program = rt_program(folder);
    const void *const *data = read_data();
    NncNet *net = net_new(&program);
    double loss = 7;
    expect(nnc_net_train(net, data, 0, &loss, &error), NNC_ERROR_VALUE, &error, "0 examples");
    expect(nnc_net_train(net, data, RT_BATCH + 1, &loss, &error), NNC_ERROR_VALUE, &error,
           "9 examples, but a step takes 8 at most");
    expect(nnc_net_train(net, (const void *[]){images, NULL}, 3, &loss, &error), NNC_ERROR_VALUE,
           &error, "label is needed");
    labels[2] = RT_CLASSES;
    expect(nnc_net_train(net, data, 3, &loss, &error), NNC_ERROR_VALUE, &error,
           "label of example 2 is 3, but is to be below 3");
    labels[2] = -1;
    expect(nnc_net_train(net, data, 3, &loss, &error), NNC_ERROR_VALUE, &error, "is -1");
    cr_assert(nnc_net_steps(net) == 0 && loss == 7);
    expect(nnc_net_set(net, "rate", 1, &error), NNC_ERROR_VALUE, &error, "lr, momentum.gamma");
    program.abi++;
    cr_assert_null(nnc_net_new(&program, 1, &error));
    cr_assert(strstr(error.text, "version"), "%s", error.text);
    nnc_net_free(net);
    nnc_net_free(NULL);
}

Test(rt_net, says_that_a_loss_is_not_finite) {
    NncError error;
    NncProgram program = rt_program(folder);
    const void *const *data = read_data();
    NncNet *net = net_new(&program);
    double loss;
    *(float *)nnc_net_tensor(net, "bias", NULL) = NAN;
    expect(nnc_net_train(net, data, 3, &loss, &error), NNC_ERROR_NUMBER, &error, "not a number");
    cr_assert(isnan(loss) && nnc_net_steps(net) == 1);
    nnc_net_free(net);
}

Test(rt_net, is_lost_where_loading_fails) {
    NncError error;
    NncProgram program = rt_program(folder);
    const void *const *data = read_data();
    NncNet *net = net_new(&program);
    cr_assert_eq(nnc_net_save(net, "good.safetensors", &error), NNC_OK);
    rt_write_file(folder, "bad.safetensors", "not one", 7);
    cr_assert_neq(nnc_net_load(net, "bad.safetensors", true, &error), NNC_OK);
    expect(nnc_net_train(net, data, 3, NULL, &error), NNC_ERROR_VALUE, &error, "loaded");
    expect(nnc_net_save(net, "x.safetensors", &error), NNC_ERROR_VALUE, &error, "loading");
    expect(nnc_net_set(net, "lr", 1, &error), NNC_ERROR_VALUE, &error, "loading");
    cr_assert(access("x.safetensors", F_OK));
    cr_assert_eq(nnc_net_load(net, "good.safetensors", true, &error), NNC_OK, "%s", error.text);
    cr_assert_eq(nnc_net_train(net, data, 3, NULL, &error), NNC_OK);
    nnc_net_free(net);
}
