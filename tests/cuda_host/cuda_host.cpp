// SPDX-License-Identifier: MIT
// The runtime's functions: see cuda_runtime.h. A stream is a queue of operations, which run in its
// order: at once, or (late) when the host waits for the stream, or another stream for an event in
// it.
#include "cuda_host_internal.h"

#include <chrono>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <vector>

// --- Options

static CudaHostOptions read_options(void) {
    CudaHostOptions options = {};
    options.memory = (size_t)8 << 30;
    options.devices = 1, options.driver = CUDART_VERSION, options.capability = 90;
    const char *text = getenv("CUDA_HOST");
    for (char word[64]; text && *text; text += strcspn(text, ","), text += *text == ',') {
        snprintf(word, sizeof word, "%.*s", (int)strcspn(text, ","), text);
        char *value = strchr(word, '=');
        if (value) *value++ = 0;
        unsigned long long number = value ? strtoull(value, nullptr, 0) : 0;
        if (!strcmp(word, "late"))
            options.late = true;
        else if (!strcmp(word, "strict"))
            options.strict = true;
        else if (!strcmp(word, "no-image"))
            options.no_image = true;
        else if (!strcmp(word, "shuffle"))
            options.shuffle = number;
        else if (!strcmp(word, "memory"))
            options.memory = number;
        else if (!strcmp(word, "devices"))
            options.devices = (int)number;
        else if (!strcmp(word, "driver"))
            options.driver = (int)number;
        else if (!strcmp(word, "capability"))
            options.capability = (int)number;
        else if (*word)
            fprintf(stderr, "cuda_host: $CUDA_HOST: there is no '%s'\n", word);
    }
    return options;
}

const CudaHostOptions *cuda_host_options(void) {
    static const CudaHostOptions options = read_options();
    return &options;
}

// --- Errors

struct ErrorName {
    cudaError_t error;
    const char *name, *text;
};

static const ErrorName error_names[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress",
     "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
};

static const ErrorName *find_error(cudaError_t error) {
    for (const ErrorName &name : error_names)
        if (name.error == error) return &name;
    return nullptr;
}

const char *cudaGetErrorString(cudaError_t error) {
    return find_error(error) ? find_error(error)->text : "unrecognized error code";
}

const char *cudaGetErrorName(cudaError_t error) {
    return find_error(error) ? find_error(error)->name : "unrecognized error code";
}

static cudaError_t last = cudaSuccess, for_good = cudaSuccess;

static cudaError_t set(cudaError_t error) {
    if (for_good) error = for_good;
    if (error && error != cudaErrorNotReady) last = error;
    return error;
}

cudaError_t cudaPeekAtLastError(void) { return last; }

cudaError_t cudaGetLastError(void) {
    cudaError_t error = last;
    last = for_good;
    return error;
}

// --- The device

static cudaError_t device_state(void) {
    const CudaHostOptions *options = cuda_host_options();
    if (options->driver < CUDART_VERSION) return cudaErrorInsufficientDriver;
    return options->devices ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = device_state() ? 0 : cuda_host_options()->devices;
    return set(device_state());
}

cudaError_t cudaSetDevice(int device) {
    cudaError_t state = device_state();
    return set(state                                                  ? state
               : device < 0 || device >= cuda_host_options()->devices ? cudaErrorInvalidDevice
                                                                      : cudaSuccess);
}

cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return set(device_state());
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    const CudaHostOptions *options = cuda_host_options();
    cudaError_t error = cudaSetDevice(device);
    *properties = {};
    snprintf(properties->name, sizeof properties->name, "CUDA on the CPU");
    properties->totalGlobalMem = options->memory;
    properties->sharedMemPerBlock = 48 << 10;
    properties->sharedMemPerBlockOptin = CUDA_HOST_MOST_SHARED;
    properties->major = options->capability / 10, properties->minor = options->capability % 10;
    properties->multiProcessorCount = 4;
    properties->maxThreadsPerBlock = CUDA_HOST_MOST_THREADS;
    properties->warpSize = warpSize;
    return error;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceProperties(&properties, device);
    *value = attribute == cudaDevAttrMultiProcessorCount      ? properties.multiProcessorCount
             : attribute == cudaDevAttrComputeCapabilityMajor ? properties.major
             : attribute == cudaDevAttrComputeCapabilityMinor
                 ? properties.minor
                 : (int)properties.sharedMemPerBlockOptin;
    return error;
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = cuda_host_options()->driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

// --- Memory

enum { PAGE = 4096, ALIGN = 256, FENCE = 0xfd };

static size_t whole(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

// [page that nobody may touch][fence .. the memory .. fence][page that nobody may touch]
static size_t inner_size(size_t size) { return whole(whole(size, ALIGN), PAGE); }

static char *inner_start(const void *memory) { return (char *)((uintptr_t)memory / PAGE * PAGE); }

void *cuda_host_guarded_new(size_t size) {
    size_t inner = inner_size(size);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *all = (char *)mmap(nullptr, inner + 2 * PAGE, PROT_NONE, flags, -1, 0);
    if (all == MAP_FAILED || mprotect(all + PAGE, inner, PROT_READ | PROT_WRITE)) return nullptr;
    char *memory = all + PAGE + inner - whole(size, ALIGN);
    memset(all + PAGE, FENCE, (size_t)(memory - all - PAGE));
    memset(memory + size, FENCE, whole(size, ALIGN) - size);
    return memory;
}

void cuda_host_guarded_free(void *memory, size_t size) {
    munmap(inner_start(memory) - PAGE, inner_size(size) + 2 * PAGE);
}

void cuda_host_guarded_show(void *memory, size_t size, bool shown) {
    mprotect(inner_start(memory), inner_size(size), shown ? PROT_READ | PROT_WRITE : PROT_NONE);
}

bool cuda_host_guarded_is_whole(const void *memory, size_t size) {
    const unsigned char *at = (const unsigned char *)inner_start(memory),
                        *start = (const unsigned char *)memory;
    bool is = true;
    for (; at < start; at++)
        is = is && *at == FENCE;
    for (size_t i = size; i < whole(size, ALIGN); i++)
        is = is && start[i] == FENCE;
    return is;
}

struct Piece { // of memory
    char *start;
    size_t size;
    bool on_device;
};

static std::vector<Piece> pieces;
static size_t used;

static Piece *find_piece(const void *address, size_t size) {
    for (Piece &piece : pieces)
        if ((const char *)address >= piece.start &&
            (const char *)address + size <= piece.start + piece.size)
            return &piece;
    return nullptr;
}

void cuda_host_describe(const void *address, char *text, size_t size) {
    const char *at = (const char *)address;
    snprintf(text, size, "which is no device memory");
    for (const Piece &piece : pieces)
        if (at >= piece.start && at < piece.start + piece.size)
            snprintf(text, size, "byte %td of device memory of %zu", at - piece.start, piece.size);
        else if (at >= piece.start + piece.size && at < piece.start + piece.size + 2 * PAGE)
            snprintf(text, size, "%td bytes behind the end of device memory of %zu",
                     at - piece.start - (ptrdiff_t)piece.size, piece.size);
        else if (at < piece.start && at >= piece.start - 2 * PAGE)
            snprintf(text, size, "%td bytes in front of device memory of %zu", piece.start - at,
                     piece.size);
}

static void show_device(bool shown) {
    for (const Piece &piece : pieces)
        if (piece.on_device && cuda_host_options()->strict)
            cuda_host_guarded_show(piece.start, piece.size, shown);
}

static bool is_capturing(void);

static cudaError_t allocate(void **memory, size_t size, bool on_device) {
    cudaError_t error = device_state();
    *memory = nullptr;
    if (error) return set(error);
    if (is_capturing()) return set(cudaErrorStreamCaptureUnsupported);
    if (size == 0) return set(cudaSuccess);
    if (on_device && used + size > cuda_host_options()->memory)
        return set(cudaErrorMemoryAllocation);
    *memory = cuda_host_guarded_new(size);
    if (!*memory) return set(cudaErrorMemoryAllocation);
    cuda_host_poison(*memory, size);
    pieces.push_back({(char *)*memory, size, on_device});
    if (on_device) used += size;
    if (on_device && cuda_host_options()->strict) cuda_host_guarded_show(*memory, size, false);
    return set(cudaSuccess);
}

cudaError_t cudaMalloc(void **memory, size_t size) { return allocate(memory, size, true); }

cudaError_t cudaHostAlloc(void **memory, size_t size, unsigned) {
    return allocate(memory, size, false);
}

cudaError_t cudaMallocHost(void **memory, size_t size) { return allocate(memory, size, false); }

static cudaError_t release(void *memory, bool on_device) {
    cudaError_t error = cudaDeviceSynchronize();
    if (!memory) return error;
    for (size_t i = 0; i < pieces.size(); i++) {
        Piece piece = pieces[i];
        if (piece.start != memory || piece.on_device != on_device) continue;
        cuda_host_guarded_show(memory, piece.size, true);
        if (!cuda_host_guarded_is_whole(memory, piece.size)) {
            fprintf(stderr, "cuda_host: something was written beside memory of %zu bytes\n",
                    piece.size);
            for_good = cudaErrorIllegalAddress;
        }
        cuda_host_guarded_free(memory, piece.size);
        pieces.erase(pieces.begin() + (ptrdiff_t)i);
        if (on_device) used -= piece.size;
        return set(error);
    }
    return set(cudaErrorInvalidValue);
}

cudaError_t cudaFree(void *memory) { return release(memory, true); }
cudaError_t cudaFreeHost(void *memory) { return release(memory, false); }

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
    *total = cuda_host_options()->memory;
    *free = *total - used;
    return set(device_state());
}

// --- Operations

enum OperationKind { KERNEL, COPY, FILL, RECORD, WAIT, GRAPH };

struct Operation {
    OperationKind kind;
    CudaHostLaunch launch;
    void *to;
    const void *from;
    size_t size;
    int value;
    cudaEvent_t event;
    long long generation; // of the event
    cudaGraph_t graph;
};

struct CudaHostGraph {
    std::vector<Operation> operation;
};

struct CudaHostEvent {
    long long recorded, done; // generations
    cudaStream_t stream;      // that it was last recorded in
    std::chrono::steady_clock::time_point time;
};

struct CudaHostStream {
    std::vector<Operation> queue;
    size_t next; // operations before this one are done
    cudaGraph_t capturing;
    bool broken; // the capture
};

static CudaHostStream default_stream;
static std::vector<cudaStream_t> streams;

static bool is_capturing(void) {
    for (cudaStream_t stream : streams)
        if (stream->capturing) return true;
    return false;
}

static cudaStream_t stream_of(cudaStream_t stream) { return stream ? stream : &default_stream; }

static void perform(const Operation &operation);

static void advance(cudaStream_t stream) {
    Operation operation = stream->queue[stream->next++];
    if (stream->next == stream->queue.size()) stream->queue.clear(), stream->next = 0;
    if (!for_good)
        perform(operation);
    else if (operation.kind == RECORD)
        perform(operation);
}

static void finish(cudaStream_t stream) {
    while (stream->next < stream->queue.size())
        advance(stream);
}

static void finish_until(cudaEvent_t event, long long generation) {
    while (event->done < generation && event->stream &&
           event->stream->next < event->stream->queue.size())
        advance(event->stream);
}

static void run_kernel(const CudaHostLaunch &launch) {
    show_device(true);
    if (!cuda_host_run(&launch)) for_good = cudaErrorLaunchFailure;
    show_device(false);
}

static void perform(const Operation &operation) {
    switch (operation.kind) {
    case KERNEL:
        run_kernel(operation.launch);
        break;
    case COPY:
        show_device(true);
        memmove(operation.to, operation.from, operation.size);
        show_device(false);
        break;
    case FILL:
        show_device(true);
        memset(operation.to, operation.value, operation.size);
        show_device(false);
        break;
    case RECORD:
        operation.event->done = operation.generation;
        operation.event->time = std::chrono::steady_clock::now();
        break;
    case WAIT:
        finish_until(operation.event, operation.generation);
        break;
    case GRAPH:
        for (const Operation &each : operation.graph->operation)
            if (!for_good) perform(each);
    }
}

static cudaError_t enqueue(cudaStream_t given, const Operation &operation) {
    cudaStream_t stream = stream_of(given);
    if (for_good) return set(for_good);
    if (stream->capturing) {
        bool allowed = operation.kind != GRAPH && operation.kind != WAIT;
        if (!allowed) stream->broken = true;
        if (!allowed) return set(cudaErrorStreamCaptureUnsupported);
        stream->capturing->operation.push_back(operation);
        return set(cudaSuccess);
    }
    if (stream == &default_stream) // which waits for all others
        for (cudaStream_t other : streams)
            finish(other);
    stream->queue.push_back(operation);
    if (!cuda_host_options()->late || stream == &default_stream) finish(stream);
    return set(cudaSuccess);
}

// --- Copies

// Where a side is to be on the device it has to be there, and else not.
static bool is_side(const void *memory, size_t size, bool on_device) {
    const Piece *piece = find_piece(memory, size);
    return on_device ? piece && piece->on_device : !piece || !piece->on_device;
}

static bool is_copy(void *to, const void *from, size_t size, cudaMemcpyKind kind) {
    if (kind == cudaMemcpyDefault) return true;
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    return is_side(to, size, to_device) && is_side(from, size, from_device);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    if (size == 0) return set(cudaSuccess);
    if (!is_copy(to, from, size, kind)) return set(cudaErrorInvalidValue);
    Operation operation = {};
    operation.kind = COPY;
    operation.to = to, operation.from = from, operation.size = size;
    cudaError_t error = enqueue(stream, operation);
    // Memory that is not pinned is read, and written, before the call returns.
    bool pageable = !find_piece(to, size) || !find_piece(from, size);
    if (!error && pageable && !stream_of(stream)->capturing) finish(stream_of(stream));
    return set(error);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t size, cudaMemcpyKind kind) {
    cudaError_t error = cudaMemcpyAsync(to, from, size, kind, nullptr);
    return error ? error : set(cudaSuccess);
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t size, cudaStream_t stream) {
    if (size && !is_side(memory, size, true)) return set(cudaErrorInvalidValue);
    Operation operation = {};
    operation.kind = FILL;
    operation.to = memory, operation.value = value, operation.size = size;
    return enqueue(stream, operation);
}

cudaError_t cudaMemset(void *memory, int value, size_t size) {
    return cudaMemsetAsync(memory, value, size, nullptr);
}

// --- Streams and events

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
    *stream = new CudaHostStream();
    streams.push_back(*stream);
    return set(device_state());
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) { return cudaStreamCreateWithFlags(stream, 0); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    finish(stream);
    for (size_t i = 0; i < streams.size(); i++)
        if (streams[i] == stream) streams.erase(streams.begin() + (ptrdiff_t)i);
    delete stream;
    return set(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t given) {
    cudaStream_t stream = stream_of(given);
    if (stream->capturing) {
        stream->broken = true;
        return set(cudaErrorStreamCaptureUnsupported);
    }
    finish(stream);
    return set(cudaSuccess);
}

cudaError_t cudaDeviceSynchronize(void) {
    if (is_capturing()) return set(cudaErrorStreamCaptureUnsupported);
    for (cudaStream_t stream : streams)
        finish(stream);
    finish(&default_stream);
    return set(device_state());
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) {
    *event = new CudaHostEvent();
    return set(device_state());
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    finish_until(event, event->recorded);
    delete event;
    return set(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    Operation operation = {};
    operation.kind = RECORD;
    operation.event = event, operation.generation = ++event->recorded;
    event->stream = stream_of(stream);
    return enqueue(stream, operation);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    Operation operation = {};
    operation.kind = WAIT;
    operation.event = event, operation.generation = event->recorded;
    return enqueue(stream, operation);
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    finish_until(event, event->recorded);
    return set(cudaSuccess);
}

// Each question brings the stream one operation further, so that who asks long enough is told.
cudaError_t cudaEventQuery(cudaEvent_t event) {
    if (event->done == event->recorded) return set(cudaSuccess);
    if (event->stream->next < event->stream->queue.size()) advance(event->stream);
    return set(event->done == event->recorded ? cudaSuccess : cudaErrorNotReady);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
    if (!from->recorded || !to->recorded) return set(cudaErrorInvalidResourceHandle);
    if (from->done != from->recorded || to->done != to->recorded) return set(cudaErrorNotReady);
    *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
    return set(cudaSuccess);
}

// --- Graphs

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (!stream || stream->capturing) return set(cudaErrorIllegalState);
    stream->capturing = new CudaHostGraph();
    stream->broken = false;
    return set(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
    if (!stream || !stream->capturing) return set(cudaErrorIllegalState);
    *graph = stream->broken ? nullptr : stream->capturing;
    if (stream->broken) delete stream->capturing;
    stream->capturing = nullptr;
    return set(stream->broken ? cudaErrorStreamCaptureInvalidated : cudaSuccess);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
    *exec = new CudaHostGraph(*graph);
    return set(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
    Operation operation = {};
    operation.kind = GRAPH;
    operation.graph = exec;
    return enqueue(stream, operation);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    return set(cudaSuccess);
}

// The calls stay: other graphs may have them. Waits for the streams, which may be at it.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
    cudaError_t error = cudaDeviceSynchronize();
    delete exec;
    return error;
}

// --- Launches

struct SharedLimit {
    const void *kernel;
    size_t bytes;
};
static std::vector<SharedLimit> limits;

static size_t shared_limit(const void *kernel) {
    for (const SharedLimit &limit : limits)
        if (limit.kernel == kernel) return limit.bytes;
    return 48 << 10;
}

static cudaError_t image_state(void) {
    cudaError_t error = device_state();
    return error                           ? error
           : cuda_host_options()->no_image ? cudaErrorNoKernelImageForDevice
                                           : cudaSuccess;
}

cudaError_t cuda_host_get_attributes(cudaFuncAttributes *attributes, const void *) {
    *attributes = {};
    attributes->binaryVersion = attributes->ptxVersion = cuda_host_options()->capability;
    attributes->maxThreadsPerBlock = CUDA_HOST_MOST_THREADS;
    return set(image_state());
}

cudaError_t cuda_host_set_attribute(const void *kernel, cudaFuncAttribute attribute, int value) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return set(image_state());
    if (value < 0 || value > CUDA_HOST_MOST_SHARED) return set(cudaErrorInvalidValue);
    limits.insert(limits.begin(), {kernel, (size_t)value});
    return set(image_state());
}

cudaError_t cuda_host_launch(CudaHostCall *call, dim3 blocks, dim3 threads, size_t shared,
                             cudaStream_t stream) {
    std::shared_ptr<const CudaHostCall> taken(call);
    unsigned long long count = 1ull * threads.x * threads.y * threads.z;
    if (image_state()) return set(image_state());
    if (!count || count > CUDA_HOST_MOST_THREADS || threads.z > 64 || !blocks.x || !blocks.y ||
        !blocks.z || blocks.x > INT32_MAX || blocks.y > 65535 || blocks.z > 65535)
        return set(cudaErrorInvalidConfiguration);
    if (shared > shared_limit(call->kernel)) return set(cudaErrorInvalidValue);
    Operation operation = {};
    operation.kind = KERNEL;
    operation.launch = {taken, blocks, threads, shared};
    return enqueue(stream, operation);
}
