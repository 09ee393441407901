// SPDX-License-Identifier: MIT
// What CUDA on the CPU promises, each by a kernel that would show if it did not. TAP.
//     test_cuda_host ok        programs that are right
//     test_cuda_host NAME      one that is wrong: prints the name of the error that it gets
#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>

static int number;
static void result(bool good, const char *name) {
    printf("%sok %d - %s\n", good ? "" : "not ", ++number, name);
}

template <class... P, class... A>
static cudaError_t launch(void (*kernel)(P...), int blocks, int threads, size_t shared,
                          cudaStream_t stream, A... given) {
    std::tuple<P...> values(given...);
    void *arguments[sizeof...(P) + 1] = {};
    int i = 0;
    std::apply([&](auto &...each) { ((arguments[i++] = (void *)&each), ...); }, values);
    return cudaLaunchKernel(kernel, dim3(blocks), dim3(threads), arguments, shared, stream);
}

// --- Kernels that are right

template <int N> static __device__ float sum_of(float x) { // shared memory in a template
    __shared__ float part[N];
    part[threadIdx.x] = x;
    for (int half = N / 2; half; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    }
    __syncthreads();
    float sum = part[0];
    __syncthreads(); // before the next sum writes there
    return sum;
}

__global__ void block_sums(const float *x, float *y) {
    __shared__ float kept;
    float a = sum_of<64>(x[blockIdx.x * 64 + threadIdx.x]), b = sum_of<64>(1);
    if (threadIdx.x == 5) kept = a + b;
    __syncthreads();
    y[blockIdx.x * 64 + threadIdx.x] = kept;
}

__global__ void warps(int *down, int *across, unsigned *ballot, int *from) {
    int i = threadIdx.x, x = i;
    for (int step = 16; step; step /= 2)
        x += __shfl_down_sync(0xffffffffu, x, step);
    down[i] = x;
    x = i;
    for (int step = 4; step; step /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, step, 8);
    across[i] = x;
    ballot[i] = __ballot_sync(0xffffffffu, i % 3 == 0);
    from[i] = i < 40 ? __shfl_sync(i < 32 ? 0xffffffffu : 0xffu, i * 10, 3) : -1;
}

__global__ void dynamic(int *out) {
    int *shared = (int *)cuda_host_shared();
    shared[blockDim.x - 1 - threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = shared[threadIdx.x];
}

__global__ void copies(const float4 *from, float4 *to, float *early) {
    __shared__ float4 tile[2][32];
    int i = threadIdx.x;
    for (int k = 0; k < 2; k++) {
        cuda_host_cp_async(&tile[k][i], &from[k * 32 + i], 16, k ? 8 : 16);
        cuda_host_cp_async_commit();
    }
    cuda_host_cp_async_wait(1);
    early[i] = tile[0][i].y;
    early[32 + i] = tile[1][i].x;
    cuda_host_cp_async_wait(0);
    __syncthreads();
    to[i] = tile[0][31 - i], to[32 + i] = tile[1][31 - i];
}

static __device__ unsigned bits(float x) { return __float_as_uint(x); }

// c = a b + 1 with a [16, 8] and b [8, 8]; then with bf16, a [16, 16] and b [16, 8].
__global__ void products(const float *a, const float *b, float *c) {
    int group = threadIdx.x / 4, in = threadIdx.x % 4;
    float part[4] = {1, 1, 1, 1};
    unsigned x[4], y[2];
    for (int i = 0; i < 4; i++)
        x[i] = bits(a[(group + i % 2 * 8) * 8 + in + i / 2 * 4]);
    for (int i = 0; i < 2; i++)
        y[i] = bits(b[(in + i * 4) * 8 + group]);
    cuda_host_mma_tf32(part, x, y);
    for (int i = 0; i < 4; i++)
        c[(group + i / 2 * 8) * 8 + in * 2 + i % 2] = part[i];
}

__global__ void halves(const float *a, const float *b, float *c) {
    int group = threadIdx.x / 4, in = threadIdx.x % 4;
    float part[4] = {1, 1, 1, 1};
    unsigned x[4], y[2];
    for (int i = 0; i < 4; i++) {
        const float *at = &a[(group + i % 2 * 8) * 16 + in * 2 + i / 2 * 8];
        x[i] = bits(at[0]) >> 16 | (bits(at[1]) & 0xffff0000u);
    }
    for (int i = 0; i < 2; i++) {
        const float *at = &b[(in * 2 + i * 8) * 8 + group];
        y[i] = bits(at[0]) >> 16 | (bits(at[8]) & 0xffff0000u);
    }
    cuda_host_mma_bf16(part, x, y);
    for (int i = 0; i < 4; i++)
        c[(group + i / 2 * 8) * 8 + in * 2 + i % 2] = part[i];
}

// Four matrices of 8 x 8 shorts, one below the other, into registers and out of them.
__global__ void matrices(unsigned short *plain, unsigned short *transposed) {
    __shared__ __align__(16) unsigned short tile[32][8];
    unsigned r[4];
    int lane = threadIdx.x;
    for (int k = 0; k < 8; k++)
        tile[lane][k] = lane * 8 + k;
    __syncwarp();
    cuda_host_ldmatrix_x4(r, tile[lane]);
    for (int m = 0; m < 4; m++)
        for (int k = 0; k < 2; k++)
            plain[(m * 8 + lane / 4) * 8 + lane % 4 * 2 + k] = r[m] >> 16 * k;
    cuda_host_ldmatrix_x4_trans(r, tile[lane]);
    for (int m = 0; m < 4; m++)
        for (int k = 0; k < 2; k++)
            transposed[(m * 8 + lane / 4) * 8 + lane % 4 * 2 + k] = r[m] >> 16 * k;
}

__global__ void add(int *x, int by) { atomicAdd(&x[0], by), x[1] = gridDim.x * blockDim.x; }
__global__ void scale(int *x, int by) { x[threadIdx.x] *= by; }

// --- Kernels that are wrong

extern "C" __global__ void some_sync(int *out) {
    if (threadIdx.x < 32) __syncthreads();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void two_syncs(int *out) {
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void half_warp(int *out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1, 1);
}
extern "C" __global__ void beyond(int *out) { out[threadIdx.x + 100] = 1; }
extern "C" __global__ void unwritten(int *out) {
    __shared__ int index[64];
    if (threadIdx.x == 64) index[0] = 0;
    out[index[threadIdx.x]] = 1;
}
extern "C" __global__ void racing(int *out) {
    __shared__ int x[64];
    x[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = x[63 - threadIdx.x]; // no barrier between
}

// --- Checks

static float *on_device(size_t count, float (*value)(int)) {
    float *host = new float[count], *device;
    for (size_t i = 0; i < count; i++)
        host[i] = value((int)i);
    cudaMalloc(&device, count * sizeof(float));
    cudaMemcpy(device, host, count * sizeof(float), cudaMemcpyHostToDevice);
    delete[] host;
    return device;
}

template <class T> static T *fetch(const T *device, size_t count) {
    T *host = new T[count];
    if (cudaMemcpy(host, device, count * sizeof(T), cudaMemcpyDeviceToHost)) printf("# no copy\n");
    return host;
}

template <class T> static T *device_new(size_t count) {
    T *device;
    cudaMalloc(&device, count * sizeof(T));
    return device;
}

static float ordinal(int i) { return (float)i; }
static float small(int i) { return (float)(i * 7 % 11 - 5); }

static void check_blocks(void) {
    float *x = on_device(3 * 64, ordinal), *y = device_new<float>(3 * 64);
    launch(block_sums, 3, 64, 0, nullptr, x, y);
    float *got = fetch(y, 3 * 64);
    bool good = true;
    for (int i = 0; i < 3 * 64; i++)
        good = good && got[i] == 64.f * 64 * (i / 64) + 2016 + 64;
    result(good, "barriers, shared memory, blocks");
    int *out = device_new<int>(96), *order = nullptr;
    launch(dynamic, 1, 96, 96 * sizeof(int), nullptr, out);
    order = fetch(out, 96);
    good = true;
    for (int i = 0; i < 96; i++)
        good = good && order[i] == 95 - i;
    result(good, "dynamic shared memory");
    result(launch(dynamic, 1, 96, 60 << 10, nullptr, out) == cudaErrorInvalidValue,
           "more shared memory than a kernel may have");
    cudaGetLastError();
    cudaFuncSetAttribute(dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 60 << 10);
    result(!launch(dynamic, 1, 96, 60 << 10, nullptr, out), "and what it may have when it asks");
}

static void check_warps(void) {
    int *down = device_new<int>(64), *across = device_new<int>(64), *from = device_new<int>(64);
    unsigned *ballot = device_new<unsigned>(64);
    launch(warps, 1, 64, 0, nullptr, down, across, ballot, from);
    int *d = fetch(down, 64), *a = fetch(across, 64), *f = fetch(from, 64);
    unsigned *b = fetch(ballot, 64);
    bool good[4] = {d[0] == 496 && d[32] == 496 + 32 * 32, true, true, true};
    for (int i = 0; i < 64; i++) {
        good[1] = good[1] && a[i] == i / 8 * 64 + 28;
        good[2] = good[2] && b[i] == (i < 32 ? 0x49249249u : 0x92492492u);
        good[3] = good[3] && f[i] == (i < 32 ? 30 : i < 40 ? 350 : -1);
    }
    result(good[0], "__shfl_down_sync");
    result(good[1], "__shfl_xor_sync in groups");
    result(good[2], "__ballot_sync");
    result(good[3], "__shfl_sync of a part of a warp");
}

static void check_instructions(void) {
    float4 *from = (float4 *)on_device(256, ordinal), *to = device_new<float4>(64);
    float *early = device_new<float>(64);
    launch(copies, 1, 32, 0, nullptr, (const float4 *)from, to, early);
    float4 *t = fetch(to, 64);
    float *e = fetch(early, 64);
    bool good = true;
    for (int i = 0; i < 32; i++)
        good = good && t[i].w == 4 * (31 - i) + 3 && t[32 + i].y == 128 + 4 * (31 - i) + 1 &&
               t[32 + i].z == 0 && e[i] == 4 * i + 1 && isnan(e[32 + i]);
    result(good, "cp.async arrives with its wait, and zeros behind what is valid");
    float *a = on_device(256, small), *b = on_device(128, small), *c = device_new<float>(128);
    float *x = fetch(a, 256), *y = fetch(b, 128);
    for (int k = 8; k <= 16; k += 8) {
        launch(k == 8 ? products : halves, 1, 32, 0, nullptr, (const float *)a, (const float *)b,
               c);
        float *z = fetch(c, 128);
        good = true;
        for (int i = 0; i < 128; i++) {
            float sum = 1;
            for (int j = 0; j < k; j++)
                sum += x[i / 8 * k + j] * y[j * 8 + i % 8];
            good = good && z[i] == sum;
        }
        result(good, k == 8 ? "mma.m16n8k8 of tf32" : "mma.m16n8k16 of bf16");
    }
    unsigned short *plain = device_new<unsigned short>(256),
                   *other = device_new<unsigned short>(256);
    launch(matrices, 1, 32, 0, nullptr, plain, other);
    unsigned short *p = fetch(plain, 256), *o = fetch(other, 256);
    good = true;
    for (int i = 0; i < 256; i++)
        good = good && p[i] == i && o[i] == i / 64 * 64 + i % 8 * 8 + i / 8 % 8;
    result(good, "ldmatrix, transposed and not");
}

static void check_streams(void) {
    int *x = device_new<int>(64), *host;
    cudaStream_t stream, other;
    cudaEvent_t event;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cudaMallocHost(&host, 64 * sizeof(int));
    host[0] = 5;
    cudaMemcpyAsync(x, host, sizeof(int), cudaMemcpyHostToDevice, stream);
    cudaEventRecord(event, stream);
    cudaStreamWaitEvent(other, event);
    launch(add, 4, 32, 0, other, x, 1);
    cudaMemcpyAsync(host, x, 2 * sizeof(int), cudaMemcpyDeviceToHost, other);
    cudaStreamSynchronize(other);
    result(host[0] == 5 + 128 && host[1] == 128, "one stream waits for another's event");

    cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
    launch(add, 1, 2, 0, stream, x, 10);
    launch(scale, 1, 1, 0, stream, x, 2);
    void *none;
    bool refused = cudaMalloc(&none, 4) == cudaErrorStreamCaptureUnsupported;
    result(refused && !cudaStreamEndCapture(stream, &graph),
           "a stream is captured, and no memory then");
    cudaGetLastError();
    cudaGraphInstantiate(&exec, graph, 0);
    for (int i = 0; i < 3; i++)
        cudaGraphLaunch(exec, stream);
    int *got = (cudaStreamSynchronize(stream), fetch(x, 1));
    int want = 133;
    for (int i = 0; i < 3; i++)
        want = (want + 20) * 2;
    result(*got == want, "a graph, three times");

    host[0] = 1;
    cudaMemcpyAsync(x, host, sizeof(int), cudaMemcpyHostToDevice, stream);
    host[0] = 2; // too early
    cudaStreamSynchronize(stream);
    bool late = getenv("CUDA_HOST") && strstr(getenv("CUDA_HOST"), "late");
    result(*fetch(x, 1) == (late ? 2 : 1), "a copy runs at once, or as late as it may");
}

static int wrong(const char *name) {
    int *out;
    cudaError_t error = cudaMalloc(&out, 64 * sizeof(int));
    struct {
        const char *name;
        void (*kernel)(int *);
    } kernels[] = {{"some_sync", some_sync}, {"two_syncs", two_syncs}, {"half_warp", half_warp},
                   {"beyond", beyond},       {"unwritten", unwritten}, {"racing", racing}};
    for (auto &kernel : kernels)
        if (!error && !strcmp(kernel.name, name)) launch(kernel.kernel, 1, 64, 0, nullptr, out);
    if (!strcmp(name, "threads")) error = launch(beyond, 1, 2000, 0, nullptr, out);
    if (!strcmp(name, "touch")) out[0] = 1;
    int *host = new int[64];
    if (!error) error = cudaMemcpy(host, out, 64 * sizeof(int), cudaMemcpyDeviceToHost);
    if (!error) error = cudaGetLastError();
    printf("%s\n", cudaGetErrorName(error));
    for (int i = 0; i < 64 && !error; i++)
        printf("%d%c", host[i], i < 63 ? ' ' : '\n');
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "ok")) return wrong(argv[1]);
    check_blocks();
    check_warps();
    check_instructions();
    check_streams();
    result(!cudaDeviceSynchronize() && !cudaGetLastError(), "no errors");
    printf("1..%d\n", number);
    return 0;
}
