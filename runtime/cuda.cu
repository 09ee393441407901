// SPDX-License-Identifier: MIT
// A program on a GPU: see device.h. Compiled by nvcc together with the kernels.
//
// A run goes through one of NNC_DEVICE_RUNS slots, which has room for its inputs, for what changes
// from step to step, and for its outputs, on both sides:
//
//     copies:  input ──► slot            input ──► slot
//     stream:           now, scalars ──► kernels ──► outputs        now, scalars ──► kernels ..
//
// While the host waits for a slot, the others are at work. What the stream does for a function is
// captured as a graph, one for each slot, when it comes for the second time with as many examples,
// and replayed from then on.
#include <cuda_runtime.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "device.h"
extern const NncDevice nnc_cuda_device;
}

enum { SLOTS = NNC_DEVICE_RUNS, ALIGN = 256 };

typedef struct Slot {
    char *input, *now;            // on the device; behind NncNow the scalars
    char *host_now, *host_output; // pinned
    cudaEvent_t copied, done;     // of the inputs; of the run
    long long run;                // that has or had it; -1: none yet
    cudaGraphExec_t graph[NNC_FUNCTIONS];
    long long graph_n[NNC_FUNCTIONS]; // examples that it is for
} Slot;

struct NncDeviceRun {
    const NncProgram *program;
    char name[320];
    cudaStream_t stream, copies;
    char *memory, *state, *work, *output; // on the device
    char *pinned;
    size_t output_bytes, now_bytes;
    Slot slot[SLOTS];
    long long runs;
    long long last_n[NNC_FUNCTIONS]; // examples of a function's last run
    NncFault fault;
};

// A kernel of this file: what it cannot be launched on, none of the program's can.
static __global__ void probe(void) {}

// --- Errors

static NncStatus fail(NncError *error, cudaError_t code, const char *what) {
    return nnc_error(error, NNC_ERROR_DEVICE, "the GPU has failed: %s: %s", what,
                     cudaGetErrorString(code));
}

static const char *function_names[] = {"init",  "train", "eval",  "predict", "train",
                                       "train", "train", "train", "train"};

// What was launched earlier may be what failed.
static NncStatus fail_run(NncDeviceRun *run, NncError *error, cudaError_t code,
                          NncFunctionKind kind) {
    const NncFault *fault = &run->fault;
    if (fault->code)
        return nnc_error(error, NNC_ERROR_DEVICE, "kernel %s, %s, cannot be launched: %s",
                         fault->kernel, fault->place, cudaGetErrorString((cudaError_t)fault->code));
    return nnc_error(error, NNC_ERROR_DEVICE, "the GPU has failed in run %lld of %s: %s", run->runs,
                     function_names[kind], cudaGetErrorString(code));
}

static NncStatus explain_absence(cudaError_t code, NncError *error) {
    int driver = 0, needed = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&needed);
    if (code == cudaErrorInsufficientDriver && driver == 0)
        return nnc_error(error, NNC_ERROR_DEVICE, "there is no NVIDIA driver here");
    if (code == cudaErrorInsufficientDriver)
        return nnc_error(
            error, NNC_ERROR_DEVICE,
            "the NVIDIA driver here is for CUDA %d.%d, and this needs one for CUDA %d.%d",
            driver / 1000, driver % 1000 / 10, needed / 1000, needed % 1000 / 10);
    if (code == cudaErrorNoDevice || code == cudaSuccess)
        return nnc_error(error, NNC_ERROR_DEVICE, "there is no NVIDIA GPU here");
    return nnc_error(error, NNC_ERROR_DEVICE, "the GPU cannot be used: %s",
                     cudaGetErrorString(code));
}

// --- Memory

static size_t aligned(long long bytes) { return ((size_t)bytes + ALIGN - 1) / ALIGN * ALIGN; }

typedef struct Sizes {
    size_t state, work, output, input, now, all;
} Sizes;

static Sizes sizes_of(const NncProgram *program) {
    Sizes s = {};
    int scalars = 0;
    NncArenas arenas = nnc_arenas(program, 0);
    for (int i = 0; i < NNC_FUNCTIONS; i++)
        if (program->function[i].scalar_count > scalars)
            scalars = program->function[i].scalar_count;
    s.state = aligned(arenas.state + 1);
    s.work = aligned(arenas.work + 1);
    s.output = aligned(arenas.output + 1);
    s.input = aligned(arenas.input + 1);
    s.now = aligned((long long)(sizeof(NncNow) + ALIGN + (size_t)scalars * sizeof(float)));
    s.all = s.state + s.work + s.output + SLOTS * (s.input + s.now);
    return s;
}

static double megabytes(size_t bytes) { return (double)bytes / 1e6; }

// All but the state grows with the batch.
static NncStatus too_large(const NncDeviceRun *run, const Sizes *s, size_t room, NncError *error) {
    char fits[96];
    int batch = run->program->chunk;
    double each = (double)(s->all - s->state) / batch,
           left = room > s->state ? (double)(room - s->state) / each : 0;
    snprintf(fits, sizeof fits,
             left >= 1 ? "a batch of about %.0f would fit" : "no batch would fit", floor(left));
    return nnc_error(
        error, NNC_ERROR_MEMORY,
        "%s takes %.1f MB of the GPU's memory with a batch of %d (%.1f MB parameters and "
        "states, %.1f MB work, %.1f MB examples), and %.1f MB are free (%s): %s",
        run->program->model, megabytes(s->all), batch, megabytes(s->state),
        megabytes(s->work + s->output), megabytes(SLOTS * (s->input + s->now)), megabytes(room),
        run->name, fits);
}

static void place_slots(NncDeviceRun *run, const Sizes *s) {
    char *at = run->output + s->output, *host = run->pinned;
    for (int i = 0; i < SLOTS; i++) {
        Slot *slot = &run->slot[i];
        slot->run = -1;
        slot->input = at, at += s->input;
        slot->now = at, at += s->now;
        slot->host_now = host, host += s->now;
        slot->host_output = host, host += s->output;
    }
}

static NncStatus allocate(NncDeviceRun *run, NncError *error) {
    const Sizes s = sizes_of(run->program);
    size_t room = 0, all = 0;
    cudaError_t code = cudaMalloc((void **)&run->memory, s.all);
    if (code == cudaErrorMemoryAllocation) {
        cudaGetLastError();
        cudaMemGetInfo(&room, &all);
        return too_large(run, &s, room, error);
    }
    if (!code) code = cudaMemset(run->memory, 0, s.all);
    if (!code) code = cudaHostAlloc((void **)&run->pinned, SLOTS * (s.now + s.output), 0);
    if (code) return fail(error, code, "memory");
    run->state = run->memory;
    run->work = run->state + s.state;
    run->output = run->work + s.work;
    run->output_bytes = s.output, run->now_bytes = s.now;
    place_slots(run, &s);
    return NNC_OK;
}

// --- Opening

static NncStatus check_code(const NncDeviceRun *run, const cudaDeviceProp *gpu, NncError *error) {
    cudaFuncAttributes attributes;
    cudaError_t code = cudaFuncGetAttributes(&attributes, probe);
    if (!code) return NNC_OK;
    if (code == cudaErrorNoKernelImageForDevice || code == cudaErrorInvalidDeviceFunction)
        return nnc_error(
            error, NNC_ERROR_DEVICE,
            "%s is sm_%d%d, and this program's code is for %s: it is to be compiled with "
            "--march sm_%d%d",
            gpu->name, gpu->major, gpu->minor, run->program->target, gpu->major, gpu->minor);
    return fail(error, code, "loading the kernels");
}

static NncStatus make_streams(NncDeviceRun *run, NncError *error) {
    cudaError_t code = cudaStreamCreateWithFlags(&run->stream, cudaStreamNonBlocking);
    if (!code) code = cudaStreamCreateWithFlags(&run->copies, cudaStreamNonBlocking);
    for (int i = 0; i < SLOTS && !code; i++) {
        code = cudaEventCreateWithFlags(&run->slot[i].copied, cudaEventDisableTiming);
        if (!code) code = cudaEventCreateWithFlags(&run->slot[i].done, cudaEventDisableTiming);
    }
    return code ? fail(error, code, "streams") : NNC_OK;
}

static NncStatus begin(NncDeviceRun *run, NncError *error) {
    int count = 0;
    cudaDeviceProp gpu;
    cudaError_t code = cudaGetDeviceCount(&count);
    if (code || count == 0) return explain_absence(code, error);
    code = cudaSetDevice(0);
    if (!code) code = cudaGetDeviceProperties(&gpu, 0);
    if (code) return explain_absence(code, error);
    snprintf(run->name, sizeof run->name, "%s, sm_%d%d, %.1f GB", gpu.name, gpu.major, gpu.minor,
             (double)gpu.totalGlobalMem / 1e9);
    NncStatus status = check_code(run, &gpu, error);
    if (!status) status = make_streams(run, error);
    if (!status) status = allocate(run, error);
    return status;
}

static void close_run(NncDeviceRun *run) {
    if (!run) return;
    cudaDeviceSynchronize();
    for (int i = 0; i < SLOTS; i++) {
        Slot *slot = &run->slot[i];
        for (int kind = 0; kind < NNC_FUNCTIONS; kind++)
            if (slot->graph[kind]) cudaGraphExecDestroy(slot->graph[kind]);
        if (slot->copied) cudaEventDestroy(slot->copied);
        if (slot->done) cudaEventDestroy(slot->done);
    }
    if (run->stream) cudaStreamDestroy(run->stream);
    if (run->copies) cudaStreamDestroy(run->copies);
    cudaFree(run->memory);
    cudaFreeHost(run->pinned);
    free(run);
}

static NncStatus open_run(const NncProgram *program, NncDeviceRun **opened, NncError *error) {
    NncDeviceRun *run = (NncDeviceRun *)calloc(1, sizeof *run);
    *opened = NULL;
    if (!run) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for the device");
    run->program = program;
    for (int i = 0; i < SLOTS; i++)
        run->slot[i].run = -1;
    NncStatus status = begin(run, error);
    if (status)
        close_run(run);
    else
        *opened = run;
    return status;
}

static const char *name_of(const NncDeviceRun *run) { return run->name; }

static void *host_new(size_t size) {
    void *memory = NULL;
    return cudaHostAlloc(&memory, size, 0) ? NULL : memory;
}

static void host_free(void *memory) { cudaFreeHost(memory); }

// --- The state

static NncStatus move_state(NncDeviceRun *run, void *to, const void *from, cudaMemcpyKind kind,
                            NncError *error) {
    cudaError_t code = cudaStreamSynchronize(run->stream);
    size_t size = (size_t)run->program->state_bytes;
    if (!code && size) code = cudaMemcpyAsync(to, from, size, kind, run->stream);
    if (!code) code = cudaStreamSynchronize(run->stream);
    return code ? fail(error, code, "copying the parameters") : NNC_OK;
}

static NncStatus upload(NncDeviceRun *run, const char *state, NncError *error) {
    return move_state(run, run->state, state, cudaMemcpyHostToDevice, error);
}

static NncStatus download(NncDeviceRun *run, char *state, NncError *error) {
    return move_state(run, state, run->state, cudaMemcpyDeviceToHost, error);
}

// --- What kernels see

static NncCtx context_of(NncDeviceRun *run, const Slot *slot, long long n) {
    NncCtx ctx = {};
    ctx.state = run->state, ctx.work = run->work, ctx.output = run->output;
    ctx.input = slot->input;
    ctx.now = (const NncNow *)slot->now;
    ctx.scalar = (const float *)(slot->now + ALIGN);
    ctx.n = n;
    ctx.stream = run->stream;
    ctx.fault = &run->fault;
    return ctx;
}

static void write_now(Slot *slot, const NncFunction *function, const NncCtx *ctx) {
    NncNow now = {ctx->first, ctx->seed_low, ctx->seed_high, ctx->step};
    memcpy(slot->host_now, &now, sizeof now);
    memcpy(slot->host_now + ALIGN, ctx->scalar, (size_t)function->scalar_count * sizeof(float));
}

// --- One kernel

typedef struct Arena {
    char *here, *there;
    long long size;
} Arena;

static cudaError_t copy_arenas(NncDeviceRun *run, const Arena *arena, int count, bool back) {
    cudaError_t code = cudaSuccess;
    for (int i = 0; i < count && !code; i++)
        if (arena[i].here && arena[i].size > 0)
            code = cudaMemcpyAsync(back ? arena[i].here : arena[i].there,
                                   back ? arena[i].there : arena[i].here, (size_t)arena[i].size,
                                   back ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice,
                                   run->stream);
    return code ? code : cudaStreamSynchronize(run->stream);
}

static NncStatus apply(NncDeviceRun *run, NncFunctionKind of, void (*launch)(NncCtx *),
                       const NncCtx *given, NncError *error) {
    const NncFunction *function = &run->program->function[of];
    Slot *slot = &run->slot[0];
    const Arena arena[] = {{given->state, run->state, run->program->state_bytes},
                           {given->work, run->work, function->work_bytes},
                           {given->output, run->output, function->output_bytes},
                           {(char *)given->input, slot->input, run->program->input_bytes}};
    cudaError_t code = cudaStreamSynchronize(run->stream);
    if (!code) code = copy_arenas(run, arena, 4, false);
    if (!code) {
        write_now(slot, function, given);
        code = cudaMemcpy(slot->now, slot->host_now, run->now_bytes, cudaMemcpyHostToDevice);
    }
    if (code) return fail(error, code, "copying arenas");
    NncCtx ctx = context_of(run, slot, given->n);
    launch(&ctx);
    code = run->fault.code ? (cudaError_t)run->fault.code : copy_arenas(run, arena, 3, true);
    return code ? fail_run(run, error, code, of) : NNC_OK;
}

// --- Runs

// What the stream does for a function.
static cudaError_t enqueue(NncDeviceRun *run, Slot *slot, NncFunctionKind kind, long long n) {
    const NncFunction *function = &run->program->function[kind];
    NncCtx ctx = context_of(run, slot, n);
    cudaError_t code = cudaMemcpyAsync(slot->now, slot->host_now, run->now_bytes,
                                       cudaMemcpyHostToDevice, run->stream);
    if (code) return code;
    function->run(&ctx);
    if (run->fault.code) return (cudaError_t)run->fault.code;
    if (!function->output_bytes) return cudaSuccess;
    return cudaMemcpyAsync(slot->host_output, run->output, (size_t)function->output_bytes,
                           cudaMemcpyDeviceToHost, run->stream);
}

static cudaError_t capture(NncDeviceRun *run, Slot *slot, NncFunctionKind kind, long long n) {
    cudaGraph_t graph = NULL;
    cudaError_t code = cudaStreamBeginCapture(run->stream, cudaStreamCaptureModeThreadLocal);
    if (code) return code;
    cudaError_t inside = enqueue(run, slot, kind, n);
    code = cudaStreamEndCapture(run->stream, &graph);
    if (inside || code) return inside ? inside : code;
    code = cudaGraphInstantiate(&slot->graph[kind], graph, 0);
    cudaGraphDestroy(graph);
    slot->graph_n[kind] = n;
    return code;
}

// By its graph, or with one from now on; the last batch of an epoch, which may be smaller, without.
static cudaError_t launch(NncDeviceRun *run, Slot *slot, NncFunctionKind kind, long long n) {
    bool again = run->last_n[kind] == n;
    run->last_n[kind] = n;
    if (!slot->graph[kind] && again) {
        cudaError_t code = capture(run, slot, kind, n);
        if (code) return code;
    }
    if (slot->graph[kind] && slot->graph_n[kind] == n)
        return cudaGraphLaunch(slot->graph[kind], run->stream);
    return enqueue(run, slot, kind, n);
}

static cudaError_t copy_input(NncDeviceRun *run, Slot *slot, const char *input) {
    size_t size = (size_t)run->program->input_bytes;
    if (!input || !size) return cudaSuccess;
    cudaError_t code =
        cudaMemcpyAsync(slot->input, input, size, cudaMemcpyHostToDevice, run->copies);
    if (!code) code = cudaEventRecord(slot->copied, run->copies);
    if (!code) code = cudaStreamWaitEvent(run->stream, slot->copied, 0);
    return code;
}

// The inputs are the caller's again when it returns; until they are copied, other slots are at
// work.
static NncStatus begin_run(NncDeviceRun *run, NncFunctionKind kind, const NncCtx *ctx,
                           NncError *error) {
    Slot *slot = &run->slot[run->runs % SLOTS];
    cudaError_t code = slot->run < 0 ? cudaSuccess : cudaEventSynchronize(slot->done);
    if (!code) {
        slot->run = run->runs;
        write_now(slot, &run->program->function[kind], ctx);
        code = copy_input(run, slot, ctx->input);
    }
    if (!code) code = launch(run, slot, kind, ctx->n);
    if (!code) code = cudaEventRecord(slot->done, run->stream);
    if (!code && ctx->input && run->program->input_bytes) code = cudaEventSynchronize(slot->copied);
    if (code) return fail_run(run, error, code, kind);
    run->runs++;
    return NNC_OK;
}

static const char *output_of(NncDeviceRun *run, long long number, bool wait, NncError *error) {
    Slot *slot = &run->slot[number % SLOTS];
    error->status = NNC_OK;
    if (slot->run != number) {
        nnc_error(error, NNC_ERROR_DEVICE, "the outputs of run %lld are gone", number);
        return NULL;
    }
    cudaError_t code = wait ? cudaEventSynchronize(slot->done) : cudaEventQuery(slot->done);
    if (!code) return slot->host_output;
    if (code != cudaErrorNotReady) fail(error, code, "one of its kernels");
    return NULL;
}

extern "C" const NncDevice nnc_cuda_device = {
    "cuda", open_run, close_run, name_of,   host_new, host_free,
    upload, download, begin_run, output_of, apply,
};
