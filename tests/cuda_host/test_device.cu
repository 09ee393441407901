// SPDX-License-Identifier: MIT
// The runtime's part for GPUs (runtime/cuda.cu) with a program of a few kernels written by hand in
// the form of emitted ones. TAP.
//     test_device         that it computes what it should, with many runs under way
//     test_device NAME    prints what opening or a run says that cannot be
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "device.h"
extern const NncDevice nnc_cuda_device;
}

enum { BATCH = 8 };

// --- The program. State: weight[4], count. Input: x[BATCH]. Output: loss.

static void launch(NncCtx *ctx, void (*kernel)(NncCtx), const char *name, int blocks) {
    void *arguments[] = {ctx};
    cudaError_t code =
        cudaLaunchKernel(kernel, dim3(blocks), dim3(32), arguments, 0, (cudaStream_t)ctx->stream);
    if (code && !ctx->fault->code) *ctx->fault = {(int)code, name, "test.nnd:7"};
}

extern "C" __global__ void init_k0(const __grid_constant__ NncCtx ctx) {
    float *weight = (float *)ctx.state;
    if (threadIdx.x < 4) weight[threadIdx.x] = (float)(ctx.now->seed_low + threadIdx.x);
    if (threadIdx.x == 4) weight[4] = 0;
}

extern "C" __global__ void train_k0(const __grid_constant__ NncCtx ctx) { // work: the sum of x
    float sum = 0;
    for (int i = 0; i < ctx.n; i++)
        sum += ((const float *)ctx.input)[i];
    if (threadIdx.x == 0) *(float *)ctx.work = sum;
}

extern "C" __global__ void train_k1(const __grid_constant__ NncCtx ctx) {
    float *weight = (float *)ctx.state, sum = *(const float *)ctx.work;
    if (threadIdx.x < 4) weight[threadIdx.x] += ctx.scalar[0] * sum;
    if (threadIdx.x == 4) weight[4] += 1;
    if (threadIdx.x == 5) ((float *)ctx.output)[0] = sum + (float)ctx.now->step;
}

extern "C" __global__ void eval_k0(const __grid_constant__ NncCtx ctx) {
    if (threadIdx.x == 0) ((float *)ctx.output)[0] = ((const float *)ctx.state)[1] + (float)ctx.n;
}

extern "C" __global__ void predict_k0(const __grid_constant__ NncCtx ctx) {
    ((float *)ctx.output)[1 << 30] = 1; // nobody's
}

static int calls[NNC_FUNCTIONS];
static void run_init(NncCtx *ctx) { launch(ctx, init_k0, "init_k0", 1); }
static void run_train(NncCtx *ctx) {
    calls[NNC_TRAIN]++;
    launch(ctx, train_k0, "train_k0", 1);
    launch(ctx, train_k1, "train_k1", 1);
}
static void run_eval(NncCtx *ctx) { launch(ctx, eval_k0, "eval_k0", 1); }
static void run_predict(NncCtx *ctx) { launch(ctx, predict_k0, "predict_k0", 1); }
static void run_wrong(NncCtx *ctx) { launch(ctx, eval_k0, "between_k0", 0); }

static NncProgram make_program(void) {
    NncProgram program = {};
    program.abi = NNC_ABI;
    program.model = "Counter", program.target = "sm_90";
    program.batch = program.chunk = BATCH;
    program.state_bytes = 64, program.input_bytes = BATCH * sizeof(float);
    program.device = &nnc_cuda_device;
    void (*run[])(NncCtx *) = {run_init, run_train, run_eval, run_predict, run_wrong};
    for (int i = 0; i < 5; i++) {
        program.function[i].run = run[i];
        program.function[i].scalar_count = 1;
        program.function[i].work_bytes = program.function[i].output_bytes = 64;
    }
    return program;
}

// --- Checks

static int number;
static void result(bool good, const char *name) {
    printf("%sok %d - %s\n", good ? "" : "not ", ++number, name);
}

static NncStatus begin(NncDeviceRun *run, NncFunctionKind kind, long long step, const char *input,
                       long long n, NncError *error) {
    float scalar = (float)(step + 1);
    NncCtx ctx = {};
    ctx.scalar = &scalar, ctx.input = input, ctx.n = n;
    ctx.seed_low = 10, ctx.step = (unsigned)step;
    return nnc_cuda_device.run(run, kind, &ctx, error);
}

// The last of the steps has fewer examples.
static void check_steps(NncDeviceRun *run, float *input) {
    enum { STEPS = 23 };
    NncError error = {};
    bool good = !begin(run, NNC_INIT, 0, NULL, BATCH, &error), outputs = true;
    float want = 11, loss[STEPS];
    for (int step = 0; step < STEPS; step++) {
        int n = step == STEPS - 1 ? 3 : BATCH;
        loss[step] = (float)step;
        for (int i = 0; i < BATCH; i++)
            input[i] = i < n ? (float)(step * 10 + i) : 1e6f, loss[step] += i < n ? input[i] : 0;
        good = good && !begin(run, NNC_TRAIN, step, (const char *)input, n, &error);
        for (int i = 0; i < BATCH; i++)
            input[i] = -1e9f; // the memory is the caller's again
        want += (float)(step + 1) * (loss[step] - (float)step);
        if (step < 2) continue;
        const char *late = nnc_cuda_device.output(run, step - 1, true, &error);
        outputs = outputs && late && *(const float *)late == loss[step - 2];
    }
    result(good, "steps begin");
    result(outputs, "their outputs are those of their step");
    result(calls[NNC_TRAIN] <= 1 + NNC_DEVICE_RUNS + 1, "they are captured, and replayed");
    good = !begin(run, NNC_EVAL, STEPS, (const char *)input, 5, &error);
    const char *output = nnc_cuda_device.output(run, STEPS + 1, true, &error);
    result(good && output && *(const float *)output == want + 5,
           "what comes behind sees the state");
    float state[16] = {};
    result(!nnc_cuda_device.download(run, (char *)state, &error) && state[1] == want &&
               state[4] == STEPS && state[0] == want - 1,
           "the state comes back");
    state[1] = 5;
    good = !nnc_cuda_device.upload(run, (const char *)state, &error) &&
           !begin(run, NNC_EVAL, 0, (const char *)input, 5, &error);
    output = nnc_cuda_device.output(run, STEPS + 2, true, &error);
    result(good && output && *(const float *)output == 10, "and goes there");
    result(!nnc_cuda_device.output(run, 1, true, &error) && error.status, "old outputs are gone");
}

static int say(const char *name) {
    NncProgram program = make_program();
    NncDeviceRun *run;
    NncError error = {};
    if (!strcmp(name, "large")) {
        program.chunk = program.batch = 1000;
        program.function[NNC_TRAIN].work_bytes = 1000000;
    }
    NncStatus status = nnc_cuda_device.open(&program, &run, &error);
    bool fault = !strcmp(name, "fault");
    if (!status) status = begin(run, fault ? NNC_CHUNK : NNC_PREDICT, 0, NULL, 1, &error);
    if (!status && !nnc_cuda_device.output(run, 0, true, &error)) status = error.status;
    puts(status ? error.text : "no error");
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) return say(argv[1]);
    NncProgram program = make_program();
    NncDeviceRun *run;
    NncError error = {};
    if (nnc_cuda_device.open(&program, &run, &error)) return puts(error.text), 1;
    result(strstr(nnc_cuda_device.name(run), "sm_90") != NULL, "the device has a name");
    float *pinned = (float *)nnc_cuda_device.host_new(BATCH * sizeof(float)), plain[BATCH];
    check_steps(run, pinned);
    nnc_cuda_device.close(run);
    nnc_cuda_device.host_free(pinned);
    memset(calls, 0, sizeof calls);
    if (nnc_cuda_device.open(&program, &run, &error)) return puts(error.text), 1;
    check_steps(run, plain); // memory that is not pinned
    nnc_cuda_device.close(run);
    result(!cudaGetLastError(), "no errors");
    printf("1..%d\n", number);
    return 0;
}
