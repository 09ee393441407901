// SPDX-License-Identifier: MIT
// CUDA on the CPU, for tests: what `#include <cuda_runtime.h>` finds where g++ compiles CUDA code
// instead of nvcc (the script `nvcc` in this folder). The language is in cuda_host_device.h, this
// is the runtime: memory, streams, events, graphs, launches.
//
//     tests/cuda_host/nvcc -O3 -shared -Xcompiler -fPIC -o net.so net.cu
//
// It is there to find mistakes. A thread that is missing at a barrier, a shuffle that not all lanes
// come to, an address outside of device memory: said on standard error with kernel, block and
// thread, and the call fails as it would on a GPU, and all that follow. Shared memory holds NaNs
// when a block starts. What $CUDA_HOST holds, words with commas between, makes it harder:
//
//     late            copies and kernels run when something waits for them, not before
//     shuffle=7       the order of blocks, and of the threads of each, is another for each number
//     strict          the host cannot read or write device memory
//     memory=1000000  bytes that the device has             devices=0       there is none
//     driver=12000    the version of the driver; 0: none    capability=61   of the device
//     no-image        no kernel was compiled for this device
//
// Only what generated programs and their runtime use is here; everything runs on the thread that
// calls.
#ifndef NNC_TESTS_CUDA_RUNTIME_H
#define NNC_TESTS_CUDA_RUNTIME_H

#define NNC_CUDA_HOST  1
#define CUDART_VERSION 13000

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <tuple>

#include "cuda_host_device.h"

// --- Errors

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35,
    cudaErrorInvalidDeviceFunction = 98,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorInvalidResourceHandle = 400,
    cudaErrorNotReady = 600,
    cudaErrorIllegalAddress = 700,
    cudaErrorLaunchFailure = 719,
    cudaErrorStreamCaptureUnsupported = 900,
    cudaErrorStreamCaptureInvalidated = 901,
    cudaErrorIllegalState = 401,
};

const char *cudaGetErrorString(cudaError_t error);
const char *cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError(void); // and forgets it, where it is not for good
cudaError_t cudaPeekAtLastError(void);

// --- The device

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem, sharedMemPerBlock, sharedMemPerBlockOptin;
    int major, minor, multiProcessorCount, maxThreadsPerBlock, warpSize;
};

enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};

cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaMemGetInfo(size_t *free, size_t *total);

// --- Memory

enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault,
};

enum { cudaHostAllocDefault = 0 };

typedef struct CudaHostStream *cudaStream_t;
typedef struct CudaHostEvent *cudaEvent_t;
typedef struct CudaHostGraph *cudaGraph_t;
typedef struct CudaHostGraph *cudaGraphExec_t;

// Device memory lies between pages that nobody may touch.
cudaError_t cudaMalloc(void **memory, size_t size);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMallocHost(void **memory, size_t size);
cudaError_t cudaHostAlloc(void **memory, size_t size, unsigned flags);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaMemcpy(void *to, const void *from, size_t size, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream = nullptr);
cudaError_t cudaMemset(void *memory, int value, size_t size);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t size, cudaStream_t stream = nullptr);

template <class T> cudaError_t cudaMalloc(T **memory, size_t size) {
    return cudaMalloc((void **)memory, size);
}
template <class T> cudaError_t cudaMallocHost(T **memory, size_t size) {
    return cudaMallocHost((void **)memory, size);
}

// --- Streams and events

enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };

cudaError_t cudaStreamCreate(cudaStream_t *stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreate(cudaEvent_t *event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to);

// --- Graphs, captured from one stream

enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal,
    cudaStreamCaptureModeThreadLocal,
    cudaStreamCaptureModeRelaxed,
};

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);

// --- Launches

enum cudaFuncAttribute {
    cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
    cudaFuncAttributePreferredSharedMemoryCarveout = 9,
};

struct cudaFuncAttributes {
    int binaryVersion, ptxVersion, numRegs, maxThreadsPerBlock;
    size_t sharedSizeBytes, localSizeBytes;
};

cudaError_t cuda_host_get_attributes(cudaFuncAttributes *attributes, const void *kernel);
cudaError_t cuda_host_set_attribute(const void *kernel, cudaFuncAttribute attribute, int value);

// A kernel with its arguments, to be called once for each thread.
struct CudaHostCall {
    const void *kernel;
    virtual void run() const = 0;
    virtual ~CudaHostCall() {}
};

template <class... P> struct CudaHostKernel : CudaHostCall {
    void (*function)(P...);
    std::tuple<P...> arguments;
    CudaHostKernel(void (*kernel_function)(P...), const P &...values)
        : function(kernel_function), arguments(values...) {
        kernel = (const void *)kernel_function;
    }
    void run() const override { std::apply(function, arguments); }
};

// Takes the call over.
cudaError_t cuda_host_launch(CudaHostCall *call, dim3 blocks, dim3 threads, size_t shared,
                             cudaStream_t stream);

template <class... P, size_t... I>
CudaHostCall *cuda_host_call(void (*kernel)(P...), void **arguments, std::index_sequence<I...>) {
    (void)arguments;
    return new CudaHostKernel<P...>(kernel, *(P *)arguments[I]...);
}

template <class... P>
cudaError_t cudaLaunchKernel(void (*kernel)(P...), dim3 blocks, dim3 threads, void **arguments,
                             size_t shared = 0, cudaStream_t stream = nullptr) {
    static_assert((sizeof(P) + ... + 0) <= 4096,
                  "the arguments of a kernel have 4096 bytes at most");
    return cuda_host_launch(cuda_host_call(kernel, arguments, std::index_sequence_for<P...>{}),
                            blocks, threads, shared, stream);
}

// What a kernel's arguments are is known from its type alone.
cudaError_t cudaLaunchKernel(const void *kernel, dim3 blocks, dim3 threads, void **arguments,
                             size_t shared = 0, cudaStream_t stream = nullptr) = delete;

template <class F> cudaError_t cudaFuncSetAttribute(F *kernel, cudaFuncAttribute which, int value) {
    return cuda_host_set_attribute((const void *)kernel, which, value);
}
template <class F> cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, F *kernel) {
    return cuda_host_get_attributes(attributes, (const void *)kernel);
}

#endif
