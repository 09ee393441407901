// What one call of a compiled function sees. Included by the runtime and, word for word, by the emitted
// source, which includes nothing else: so no headers here, and only types that every C compiler has.
typedef struct NncNow { // on a GPU: what changes from step to step, in its memory
    long long first;    // as in NncCtx, as are these
    unsigned seed_low, seed_high, step;
} NncNow;

typedef struct NncFault { // on a GPU: the first kernel that could not be launched
    int code;             // of the CUDA runtime; 0: none
    const char *kernel, *place; // its name and its line of the .nnd file
} NncFault;

typedef struct NncCtx {
    char *state;         // persistent arena: parameters, optimizer state, the layers' state
    char *work;          // scratch arena of this function; aligned to 64 bytes, as all of them
    const char *input;   // the batch: input columns
    char *output;        // the outputs
    char *scratch;       // of thread t: scratch + t * scratch_bytes; what one call of a kernel needs for itself
    long long scratch_bytes;
    const float *scalar; // what the function's scalar function gave for this step
    long long n;         // examples in this batch, or in this chunk of it
    long long first;     // examples of the step before these
    unsigned seed_low, seed_high; // of random numbers
    unsigned step;       // likewise; steps done before this one
    int prepared;        // 1: what follows from parameters alone is in `work` from an earlier call of this function
    struct NncPool *pool; // NULL: one thread
    // On a GPU, where all arenas and scalars are its memory:
    const NncNow *now; // instead of first, seeds and step, which a captured graph could not change
    void *stream;      // of the CUDA runtime: where kernels are launched
    NncFault *fault;   // the processor's memory
} NncCtx;

// A kernel: indices low .. high - 1 of its outermost dimension. `thread` is which of the pool's it runs on.
typedef void NncKernel(const NncCtx *ctx, long long low, long long high, int thread);

// Runs kernel(ctx, low, high) over 0 .. count - 1 in parts of `grain`, split statically among the
// threads, and waits. What is computed does not depend on the number of threads.
void nnc_parallel(const NncCtx *ctx, NncKernel *kernel, long long count, long long grain);

// One of several loops that have nothing to do with one another; `weight`: what one part takes against a
// part of the others.
typedef struct NncLoop {
    NncKernel *kernel;
    long long count, grain, weight;
} NncLoop;

// Runs them all, their parts shared out together by weight, and waits once.
void nnc_parallel_all(const NncCtx *ctx, const NncLoop *loop, int loops);

// c[m, n] (row stride ldc) = (accumulate ? c : 0) + a[m, k] b[k, n]; transpose_a: a is stored [k, m].
// Strides are in elements. Single-threaded; the same bits for the same arguments on one machine.
void nnc_product(int transpose_a, int transpose_b, long long m, long long n, long long k,
                 const float *a, long long lda, const float *b, long long ldb, float *c, long long ldc,
                 int accumulate);
