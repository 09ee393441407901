// SPDX-License-Identifier: MIT
// What cuda_host.cpp (the runtime's functions) and cuda_host_block.cpp (running a kernel) share.
#ifndef NNC_TESTS_CUDA_HOST_INTERNAL_H
#define NNC_TESTS_CUDA_HOST_INTERNAL_H

#include "cuda_runtime.h"

#include <memory>

struct CudaHostOptions { // $CUDA_HOST
    bool late, strict, no_image;
    unsigned long long shuffle; // 0: in order
    size_t memory;
    int devices, driver, capability;
};
const CudaHostOptions *cuda_host_options(void);

struct CudaHostLaunch {
    std::shared_ptr<const CudaHostCall> call;
    dim3 blocks, threads;
    size_t shared;
};

enum { CUDA_HOST_MOST_THREADS = 1024, CUDA_HOST_MOST_SHARED = 227 * 1024 };

// Runs all blocks. False after a mistake, which is on standard error.
bool cuda_host_run(const CudaHostLaunch *launch);

// Pages of memory with some before and behind that nobody may touch: `size` bytes that end as near
// as 256 bytes to those behind.
void *cuda_host_guarded_new(size_t size);
void cuda_host_guarded_free(void *memory, size_t size);
void cuda_host_guarded_show(void *memory, size_t size, bool shown); // false: to nobody
// Was anything written to what lies between the memory and those pages?
bool cuda_host_guarded_is_whole(const void *memory, size_t size);

void cuda_host_poison(void *memory, size_t size); // no number, and no index

// What an address is, for messages: "device memory", "4 bytes past the end of device memory of 64".
void cuda_host_describe(const void *address, char *text, size_t size);

#endif
