// SPDX-License-Identifier: MIT
// Is there a GPU, and which? Asked of the driver's own library, which nnc does without where it is
// missing: it is loaded for the question alone.
#include "jit/internal.h"

#include <dlfcn.h>
#include <stdint.h>

// Of the driver's interface (cuda.h), which need not be installed.
enum { MAJOR = 75, MINOR = 76 };
typedef int Init(unsigned flags);
typedef int GetCount(int *count);
typedef int Get(int *device, int ordinal);
typedef int GetName(char *name, int length, int device);
typedef int GetAttribute(int *value, int attribute, int device);

typedef struct Driver {
    Init *init;
    GetCount *count;
    Get *get;
    GetName *name;
    GetAttribute *attribute;
} Driver;

static JitFunction *function(void *library, const char *name) {
    return (JitFunction *)(uintptr_t)dlsym(library, name);
}

static bool load_driver(void *library, Driver *driver) {
    *driver = (Driver){
        (Init *)function(library, "cuInit"), (GetCount *)function(library, "cuDeviceGetCount"),
        (Get *)function(library, "cuDeviceGet"), (GetName *)function(library, "cuDeviceGetName"),
        (GetAttribute *)function(library, "cuDeviceGetAttribute")};
    return driver->init && driver->count && driver->get && driver->name && driver->attribute;
}

static bool ask(Arena *arena, const Driver *driver, Gpu *gpu, const char **why) {
    int code = driver->init(0), count = 0, device = 0, major = 0, minor = 0;
    char name[256] = "";
    if (!code) code = driver->count(&count);
    *why = code ? arena_printf(arena, "the NVIDIA driver cannot be used (its error %d)", code)
                : "there is no NVIDIA GPU here";
    if (code || count == 0) return false;
    code = driver->get(&device, 0);
    if (!code) code = driver->name(name, sizeof name, device);
    if (!code) code = driver->attribute(&major, MAJOR, device);
    if (!code) code = driver->attribute(&minor, MINOR, device);
    if (code) *why = arena_printf(arena, "the GPU cannot be asked what it is (error %d)", code);
    *gpu = (Gpu){arena_strdup(arena, name), 10 * major + minor};
    return !code;
}

bool gpu_find(Arena *arena, Gpu *gpu, const char **why) {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    Driver driver;
    bool found = library && load_driver(library, &driver);
    *why = "there is no NVIDIA driver here";
    if (found) found = ask(arena, &driver, gpu, why);
    if (library) dlclose(library);
    return found;
}
