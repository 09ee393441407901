// SPDX-License-Identifier: MIT
// Running a program somewhere else than on this processor: what a session needs of a device. What
// NncProgram.device points to comes with the program's code (cuda.cu, compiled by nvcc together
// with the kernels), so that the runtime itself links with no library of a device.
//
//     NncDeviceRun *run;
//     status = device->open(program, &run, error);
//     status = device->run(run, NNC_TRAIN, &ctx, error);               // begun, not done
//     const char *output = device->output(run, 0, true, error);        // of run 0, when it is done
//
// The state lives on the device; the host's copy is what was downloaded last. Functions that are
// run follow one another there, while the host is some runs ahead. What fails there shows later,
// with the next call: an error is for good, and the device is to be closed.
#ifndef NNC_DEVICE_H
#define NNC_DEVICE_H

#include "nnc.h"

enum { NNC_DEVICE_RUNS = 4 }; // that are begun at the same time, each with its inputs and outputs

typedef struct NncDeviceRun NncDeviceRun; // an open device, with the arenas of one program

typedef struct NncDevice {
    const char *kind; // cuda
    // Takes the device and memory for the program's arenas, which is zero. An error is a sentence
    // that says what is missing: a driver, a GPU, one that runs this code, memory.
    NncStatus (*open)(const NncProgram *, NncDeviceRun **, NncError *);
    void (*close)(NncDeviceRun *);             // NULL: nothing
    const char *(*name)(const NncDeviceRun *); // NVIDIA H200, sm_90, 139.8 GB
    // The host's memory that copies to the device need not stop for. NULL where there is none.
    void *(*host_new)(size_t size);
    void (*host_free)(void *);
    // All of the state arena. Both wait for what was begun.
    NncStatus (*upload)(NncDeviceRun *, const char *state, NncError *);
    NncStatus (*download)(NncDeviceRun *, char *state, NncError *);
    // Begins a function: of the context, which is the host's, it takes scalar, input, n, first, the
    // seed and step, and needs none of them when it returns. Waits where NNC_DEVICE_RUNS have
    // begun.
    NncStatus (*run)(NncDeviceRun *, NncFunctionKind, const NncCtx *, NncError *);
    // The output arena as run number `run` left it (they count from 0), one of the last
    // NNC_DEVICE_RUNS, as long as no later one takes its place. NULL: it is not done yet, and not
    // to be waited for; or, error->status says, it has failed.
    const char *(*output)(NncDeviceRun *, long long run, bool wait, NncError *);
    // Calls a function of the program's code, one that launches a kernel, on copies of the arenas that
    // the context points to, of `of`'s sizes, scratch and pool left out, and copies all back. For
    // checks: what the device holds otherwise is lost.
    NncStatus (*apply)(NncDeviceRun *, NncFunctionKind of, void (*launch)(NncCtx *), const NncCtx *,
                       NncError *);
} NncDevice;

#endif
