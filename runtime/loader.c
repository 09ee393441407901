// SPDX-License-Identifier: MIT
// The loader: a ring of batches between the thread that fills them and the one that trains. See
// loader.h.
#include "loader.h"
#include "augment.h"
#include "device.h"
#include "draw.h"
#include <pthread.h>
#include <stdlib.h>

struct NncLoader {
    const NncColumns *columns;
    NncLoading loading;
    long long count;      // examples in the epoch
    long long *order;     // which example comes when; NULL: as they lie
    void *values, *spare; // an example, and room for augmentations
    char *ring;           // NNC_LOADER_BATCHES places of `stride` bytes; a device's (device.h)
    size_t stride;        // input_bytes, rounded up to NNC_ALIGN

    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // Below: under the lock. Batches are numbered from 0; number i lies at place i %
    // NNC_LOADER_BATCHES.
    long long filled, released; // batches that are ready, and that are no longer needed
    bool held;                  // batch `released` is with the consumer
    bool stop;
    NncStatus status; // of the filling thread
    NncError error;
};

long long nnc_loading_count(const NncSource *source, const NncLoading *loading) {
    long long all = source->count[loading->split];
    return loading->limit > 0 && loading->limit < all ? loading->limit : all;
}

// A new order each epoch, from nothing but (seed, epoch): a resumed run makes the same one. (Fisher
// and Yates.)
static long long *shuffled(long long count, long long seed, long long epoch) {
    long long *order = malloc((size_t)count * sizeof *order);
    if (!order) return NULL;
    NncDraw draw = nnc_draw((uint64_t)seed, (uint64_t)epoch, UINT64_MAX);
    for (long long i = 0; i < count; i++) {
        long long j = nnc_draw_below(&draw, (uint32_t)(i + 1));
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

// --- The thread that fills

static NncStatus fill_slot(NncLoader *loader, char *batch, long long slot, long long index,
                           NncError *error) {
    const NncLoading *loading = &loader->loading;
    const NncColumns *columns = loader->columns;
    NncExample example = nnc_source_example(columns->source, loading->split, index);
    example.values = loader->values;
    NncStatus status = columns->source->read(columns->source, &example, error);
    if (!status && loading->augment)
        nnc_augment(columns, loading->seed, loading->epoch, &example, loader->spare);
    return status ? status : nnc_columns_fill(columns, &example, batch, slot, error);
}

static long long least(long long a, long long b) { return a < b ? a : b; }

int nnc_passes(const NncProgram *program) {
    int passes = 1;
    while (passes < NNC_PASSES && program->function[NNC_CHUNK + passes].run)
        passes++;
    return passes;
}

static long long chunks_of(const NncProgram *program, long long examples) {
    return (examples + program->chunk - 1) / program->chunk;
}

// The examples of batch `number`, without the examples themselves: of a step, its next chunk.
static NncBatch batch_range(const NncLoader *loader, long long number) {
    const NncProgram *program = loader->columns->program;
    int passes = loader->loading.steps ? nnc_passes(program) : 1;
    long long whole = passes * chunks_of(program, program->batch), at = number % whole;
    long long start = loader->loading.position + number / whole * program->batch;
    NncBatch batch = {.of = least(loader->count - start, program->batch)};
    if (batch.of <= 0) return (NncBatch){0};
    long long chunks = chunks_of(program, batch.of); // of the last step, fewer
    if (at >= passes * chunks) return (NncBatch){0};
    batch.pass = (int)(at / chunks);
    batch.first = at % chunks * program->chunk;
    batch.count = least(batch.of - batch.first, program->chunk);
    batch.end = start + batch.first + batch.count;
    return batch;
}

static char *batch_place(const NncLoader *loader, long long number) {
    return loader->ring + (size_t)(number % NNC_LOADER_BATCHES) * loader->stride;
}

static NncStatus fill_batch(NncLoader *loader, long long number, NncError *error) {
    NncBatch batch = batch_range(loader, number);
    for (long long slot = 0; slot < batch.count; slot++) {
        long long example = batch.end - batch.count + slot;
        if (loader->order) example = loader->order[example];
        NncStatus status = fill_slot(loader, batch_place(loader, number), slot, example, error);
        if (status) return status;
    }
    return NNC_OK;
}

static void *fill(void *argument) {
    NncLoader *loader = argument;
    for (long long number = 0; batch_range(loader, number).count; number++) {
        pthread_mutex_lock(&loader->lock);
        while (number >= loader->released + NNC_LOADER_BATCHES && !loader->stop)
            pthread_cond_wait(&loader->changed, &loader->lock);
        bool stop = loader->stop;
        pthread_mutex_unlock(&loader->lock);
        if (stop) break;

        NncError error;
        NncStatus status = fill_batch(loader, number, &error);
        pthread_mutex_lock(&loader->lock);
        if (status) loader->error = error;
        loader->status = status;
        loader->filled += !status;
        pthread_cond_broadcast(&loader->changed);
        pthread_mutex_unlock(&loader->lock);
        if (status) break;
    }
    return NULL;
}

// --- The thread that trains

NncStatus nnc_loader_next(NncLoader *loader, NncBatch *batch, NncError *error) {
    pthread_mutex_lock(&loader->lock);
    if (loader->held) {
        loader->released++;
        loader->held = false;
        pthread_cond_broadcast(&loader->changed);
    }
    long long number = loader->released;
    *batch = batch_range(loader, number);
    while (batch->count && loader->filled <= number && !loader->status)
        pthread_cond_wait(&loader->changed, &loader->lock);
    // Batches that were filled before an error are handed out first, so that a run always ends at
    // the same one.
    NncStatus status = batch->count && loader->filled <= number ? loader->status : NNC_OK;
    if (status) *error = loader->error;
    loader->held = batch->count && !status;
    pthread_mutex_unlock(&loader->lock);
    batch->input = batch_place(loader, number);
    return status;
}

long long nnc_loader_example(const NncLoader *loader, long long position) {
    return loader->order ? loader->order[position] : position;
}

static NncStatus allocate(NncLoader *loader) {
    const NncColumns *columns = loader->columns;
    const NncDevice *device = columns->program->device;
    size_t example = columns->source->example_bytes, bytes;
    loader->stride =
        ((size_t)columns->program->input_bytes + NNC_ALIGN - 1) / NNC_ALIGN * NNC_ALIGN;
    if (__builtin_mul_overflow(loader->stride, (size_t)NNC_LOADER_BATCHES, &bytes))
        return NNC_ERROR_MEMORY;
    loader->ring = device ? device->host_new(bytes) : aligned_alloc(NNC_ALIGN, bytes);
    loader->values = malloc(example + !example);
    loader->spare = malloc(example + !example);
    if (loader->loading.shuffle)
        loader->order = shuffled(loader->count, loader->loading.seed, loader->loading.epoch);
    bool all = loader->ring && loader->values && loader->spare &&
               (loader->order || !loader->loading.shuffle);
    return all ? NNC_OK : NNC_ERROR_MEMORY;
}

NncLoader *nnc_loader_new(const NncColumns *columns, const NncLoading *loading, NncError *error) {
    NncLoader *loader = calloc(1, sizeof *loader);
    if (loader) {
        *loader = (NncLoader){.columns = columns, .loading = *loading};
        loader->count = nnc_loading_count(columns->source, loading);
        pthread_mutex_init(&loader->lock, NULL);
        pthread_cond_init(&loader->changed, NULL);
        if (!allocate(loader))
            loader->running = pthread_create(&loader->thread, NULL, fill, loader) == 0;
    }
    if (loader && loader->running) return loader;
    nnc_error(error, NNC_ERROR_MEMORY, "no memory to load the data");
    nnc_loader_free(loader);
    return NULL;
}

void nnc_loader_free(NncLoader *loader) {
    if (!loader) return;
    if (loader->running) {
        pthread_mutex_lock(&loader->lock);
        loader->stop = true;
        pthread_cond_broadcast(&loader->changed);
        pthread_mutex_unlock(&loader->lock);
        pthread_join(loader->thread, NULL);
    }
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    free(loader->order);
    free(loader->values);
    free(loader->spare);
    if (loader->columns->program->device && loader->ring)
        loader->columns->program->device->host_free(loader->ring);
    else
        free(loader->ring);
    free(loader);
}
