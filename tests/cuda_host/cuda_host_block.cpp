// SPDX-License-Identifier: MIT
// One block after the other, its threads as fibers: a thread runs until it has to wait for others,
// then the next one does. Threads that wait for nobody run one after the other on one fiber.
//
//     scheduler ──switch──► fiber: thread 0 .. waits at __syncthreads ──► scheduler ──► fiber: ..
//
// When no thread can go on, those that have met are let go: at a barrier all of the block, in a
// warp all lanes of a mask, whose values are exchanged then. If none have, the kernel is wrong.
#include "cuda_host_internal.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

// --- Switching

#if defined(__x86_64__)
struct Context {
    void *stack;
};

extern "C" __attribute__((visibility("hidden"))) void cuda_host_switch(void **from, void *to);
__asm__(".text\n"
        ".hidden cuda_host_switch\n"
        ".globl cuda_host_switch\n"
        ".type cuda_host_switch, @function\n"
        "cuda_host_switch:\n"
        "    pushq %rbp\n    pushq %rbx\n"
        "    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n"
        "    popq %rbx\n    popq %rbp\n"
        "    ret\n"
        ".size cuda_host_switch, . - cuda_host_switch\n");

static void context_make(Context *context, char *stack, size_t size, void (*entry)(void)) {
    void **top = (void **)(stack + size);
    top[-1] = nullptr; // entry() is called from nowhere
    top[-2] = (void *)entry;
    for (int i = 3; i <= 8; i++) // the registers that are popped
        top[-i] = nullptr;
    context->stack = top - 8;
}

static void context_switch(Context *from, Context *to) {
    cuda_host_switch(&from->stack, to->stack);
}
#else
typedef ucontext_t Context;

static void context_make(Context *context, char *stack, size_t size, void (*entry)(void)) {
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = size;
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
}

static void context_switch(Context *from, Context *to) { swapcontext(from, to); }
#endif

// --- What runs

enum { LANES = 32, STACK = 256 << 10, MOST_COPIES = 256 };

enum State { NEW, READY, AT_BARRIER, AT_MEETING, DONE };

struct Fiber {
    char *stack;
    Context context;
};

struct Thread {
    State state;
    Fiber *fiber;
    const char *file; // where it waits
    int line;
    int operation, *value; // at a barrier
    CudaHostRequest *request;
};

struct Copy { // of cp.async
    void *to;
    const void *from;
    int bytes, valid, group;
};

struct Copies { // of a thread
    Copy at[MOST_COPIES];
    int count, group;
};

struct Block {
    const CudaHostLaunch *launch;
    Thread thread[CUDA_HOST_MOST_THREADS];
    Copies *copies; // of each thread; NULL: none yet
    int order[CUDA_HOST_MOST_THREADS];
    int count, started, current;
    Fiber *fiber[CUDA_HOST_MOST_THREADS]; // that are free
    int fibers;
    Context scheduler;
    char *shared; // dynamic
    bool failed;
};

static Block block; // kernels run on one thread at a time

static const char *kernel_name(void) {
    Dl_info info;
    const void *kernel = block.launch->call->kernel;
    return dladdr(kernel, &info) && info.dli_sname ? info.dli_sname : "(a kernel)";
}

static uint3 place_of(int thread) {
    const dim3 &size = block.launch->threads;
    unsigned t = (unsigned)thread;
    return {t % size.x, t / size.x % size.y, t / size.x / size.y};
}

// The rest of the kernel does not run.
static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "cuda_host: %s, block (%u, %u, %u): ", kernel_name(), blockIdx.x, blockIdx.y,
            blockIdx.z);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    block.failed = true;
}

static void leave(void) {
    context_switch(&block.thread[block.current].fiber->context, &block.scheduler);
}

// Threads that have not begun yet, one after the other; the fiber that is theirs stays with one
// that waits.
static void fiber_main(void) {
    for (;;) {
        block.launch->call->run();
        cuda_host_cp_async_wait(0);
        Thread *ended = &block.thread[block.current];
        ended->state = DONE;
        if (block.started == block.count) break;
        block.current = block.order[block.started++];
        block.thread[block.current].state = READY;
        block.thread[block.current].fiber = ended->fiber;
        threadIdx = place_of(block.current);
    }
    block.fiber[block.fibers++] = block.thread[block.current].fiber;
    leave();
}

static Fiber *fiber_new(void) {
    if (block.fibers) return block.fiber[--block.fibers];
    Fiber *fiber = new Fiber;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    fiber->stack = (char *)mmap(nullptr, STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (fiber->stack == MAP_FAILED) abort();
    mprotect(fiber->stack, 4096, PROT_NONE); // kernels with larger arrays fail there
    return fiber;
}

static void resume(int number) {
    Thread *thread = &block.thread[number];
    block.current = number;
    threadIdx = place_of(number);
    thread->state = READY;
    context_switch(&block.scheduler, &thread->fiber->context);
}

static void start_threads(void) {
    while (block.started < block.count && !block.failed) {
        int number = block.order[block.started++];
        Fiber *fiber = fiber_new();
        block.thread[number].fiber = fiber;
        context_make(&fiber->context, fiber->stack, STACK, fiber_main);
        resume(number);
    }
}

// --- Meetings

void cuda_host_sync_threads(int operation, int *value, const char *file, int line) {
    Thread *thread = &block.thread[block.current];
    thread->state = AT_BARRIER;
    thread->operation = operation, thread->value = value;
    thread->file = file, thread->line = line;
    leave();
}

void cuda_host_meet(CudaHostRequest *request, const char *file, int line) {
    Thread *thread = &block.thread[block.current];
    if (request->row && block.current % LANES < 8 * request->argument)
        memcpy(request->rows, request->row, sizeof request->rows);
    thread->state = AT_MEETING;
    thread->request = request;
    thread->file = file, thread->line = line;
    leave();
}

void __trap(void) {
    fail("thread (%u, %u, %u) has called __trap", threadIdx.x, threadIdx.y, threadIdx.z);
    leave();
}

static void release_barrier(void) {
    int count = 0;
    for (int i = 0; i < block.count; i++)
        if (block.thread[i].value) count += *block.thread[i].value != 0;
    for (int i = 0; i < block.count; i++) {
        Thread *thread = &block.thread[i];
        if (thread->operation == CUDA_HOST_COUNT) *thread->value = count;
        if (thread->operation == CUDA_HOST_AND) *thread->value = count == block.count;
        if (thread->operation == CUDA_HOST_OR) *thread->value = count > 0;
        thread->state = READY;
    }
}

// All threads at one barrier?
static bool meets_barrier(void) {
    const Thread *first = &block.thread[0];
    for (int i = 0; i < block.count; i++) {
        const Thread *thread = &block.thread[i];
        if (thread->state != AT_BARRIER || thread->operation != first->operation) return false;
        if (thread->line != first->line || strcmp(thread->file, first->file)) {
            fail("threads wait at different barriers: thread 0 at %s:%d, thread %d at %s:%d",
                 first->file, first->line, i, thread->file, thread->line);
            return false;
        }
    }
    return true;
}

static unsigned long long shuffled(const Thread *lane, int own) {
    const CudaHostRequest *request = lane[own].request;
    int start = own / request->width * request->width, end = start + request->width, from = own;
    switch (request->kind) {
    case CUDA_HOST_SHUFFLE:
        from = start + (request->argument & (request->width - 1));
        break;
    case CUDA_HOST_SHUFFLE_UP:
        from = own - request->argument;
        break;
    case CUDA_HOST_SHUFFLE_DOWN:
        from = own + request->argument;
        break;
    default:
        from = own ^ request->argument;
    }
    if (from < start || from >= end) return request->value;
    if (!(request->mask >> from & 1)) {
        fail("lane %d asks for the value of lane %d, which is not in the mask %08x (%s:%d)", own,
             from, request->mask, lane[own].file, lane[own].line);
        return 0;
    }
    return lane[from].request->value;
}

static float half_of(unsigned pair, int which) {
    return cuda_host_pun<float>(which ? pair & 0xffff0000u : pair << 16);
}

// Element (row, column) of a and b and c from the registers of the lane that has it.
static void multiply_tf32(const Thread *lane, float c[16][8]) {
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++) {
            const CudaHostRequest *of_c = lane[row % 8 * 4 + column / 2].request;
            double sum = (double)of_c->c[row / 8 * 2 + column % 2];
            for (int k = 0; k < 8; k++) {
                unsigned a = lane[row % 8 * 4 + k % 4].request->a[row / 8 + k / 4 * 2];
                unsigned b = lane[column * 4 + k % 4].request->b[k / 4];
                sum += (double)cuda_host_pun<float>(a & 0xffffe000u) *
                       (double)cuda_host_pun<float>(b & 0xffffe000u);
            }
            c[row][column] = (float)sum;
        }
}

static void multiply_bf16(const Thread *lane, float c[16][8]) {
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < 8; column++) {
            const CudaHostRequest *of_c = lane[row % 8 * 4 + column / 2].request;
            double sum = (double)of_c->c[row / 8 * 2 + column % 2];
            for (int k = 0; k < 16; k++) {
                unsigned a = lane[row % 8 * 4 + k % 8 / 2].request->a[row / 8 + k / 8 * 2];
                unsigned b = lane[column * 4 + k % 8 / 2].request->b[k / 8];
                sum += (double)half_of(a, k % 2) * (double)half_of(b, k % 2);
            }
            c[row][column] = (float)sum;
        }
}

static void multiply(const Thread *lane, CudaHostMeeting kind) {
    float c[16][8];
    kind == CUDA_HOST_MMA_TF32 ? multiply_tf32(lane, c) : multiply_bf16(lane, c);
    for (int i = 0; i < LANES; i++)
        for (int r = 0; r < 4; r++)
            lane[i].request->c[r] = c[i / 4 + r / 2 * 8][i % 4 * 2 + r % 2];
}

static void load_matrices(const Thread *lane, bool transposed) {
    for (int i = 0; i < LANES; i++)
        for (int m = 0; m < lane[i].request->argument; m++) {
            unsigned short pair[2];
            for (int k = 0; k < 2; k++) {
                int row = transposed ? i % 4 * 2 + k : i / 4;
                int column = transposed ? i / 4 : i % 4 * 2 + k;
                pair[k] = lane[m * 8 + row].request->rows[column];
            }
            lane[i].request->r[m] = (unsigned)pair[1] << 16 | pair[0];
        }
}

static void exchange(Thread *lane, unsigned mask) {
    unsigned long long value[LANES] = {0};
    CudaHostMeeting kind = lane[__builtin_ctz(mask)].request->kind;
    unsigned ballot = 0;
    for (int i = 0; i < LANES; i++)
        if (mask >> i & 1 && lane[i].request->value & 1) ballot |= 1u << i;
    for (int i = 0; i < LANES && kind <= CUDA_HOST_BALLOT; i++)
        if (mask >> i & 1) value[i] = kind == CUDA_HOST_BALLOT ? ballot : shuffled(lane, i);
    if (kind == CUDA_HOST_MMA_TF32 || kind == CUDA_HOST_MMA_BF16) multiply(lane, kind);
    if (kind == CUDA_HOST_LDMATRIX || kind == CUDA_HOST_LDMATRIX_TRANS)
        load_matrices(lane, kind == CUDA_HOST_LDMATRIX_TRANS);
    for (int i = 0; i < LANES; i++)
        if (mask >> i & 1) {
            lane[i].request->value = value[i];
            lane[i].state = READY;
        }
}

// Have all lanes of the mask that this one names come to the same call?
static bool meets(const Thread *lane, int lanes, int own) {
    unsigned mask = lane[own].request->mask;
    if (!(mask >> own & 1)) {
        fail("lane %d is not in its own mask %08x (%s:%d)", own, mask, lane[own].file,
             lane[own].line);
        return false;
    }
    for (int i = 0; i < LANES; i++) {
        if (!(mask >> i & 1)) continue;
        if (i >= lanes || lane[i].state != AT_MEETING || lane[i].request->mask != mask ||
            lane[i].request->kind != lane[own].request->kind || lane[i].line != lane[own].line)
            return false;
    }
    return true;
}

static bool release_warps(void) {
    bool released = false;
    for (int first = 0; first < block.count; first += LANES) {
        int lanes = block.count - first < LANES ? block.count - first : LANES;
        Thread *lane = &block.thread[first];
        for (int i = 0; i < lanes && !block.failed; i++)
            if (lane[i].state == AT_MEETING && meets(lane, lanes, i)) {
                exchange(lane, lane[i].request->mask);
                released = true;
            }
    }
    return released;
}

static void report_divergence(void) {
    int waits = 0, ended = 0, warp = 0;
    const Thread *one = nullptr;
    for (int i = 0; i < block.count; i++) {
        const Thread *thread = &block.thread[i];
        ended += thread->state == DONE;
        waits += thread->state == AT_BARRIER;
        warp += thread->state == AT_MEETING;
        if (thread->state != DONE && !one) one = thread;
    }
    fail("threads wait for others that do not come: of %d, %d are at a __syncthreads, %d at a "
         "warp's "
         "exchange, %d have ended; one of them waits at %s:%d",
         block.count, waits, warp, ended, one->file, one->line);
}

// --- A block

static unsigned long long scramble(unsigned long long x) { // splitmix64's finalizer
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static void make_order(int *order, int count, unsigned long long seed) {
    for (int i = 0; i < count; i++) {
        int j = seed ? (int)(scramble(seed + (unsigned)i) % (unsigned)(i + 1)) : i;
        order[i] = order[j];
        order[j] = i;
    }
}

extern "C" __attribute__((weak, visibility("hidden"))) char cuda_shared_start[], cuda_shared_end[];

// Not a number, as float, as double and as two bf16, and no index.
void cuda_host_poison(void *memory, size_t size) {
    static const unsigned pattern = 0x7fffffffu;
    for (size_t i = 0; i + sizeof pattern <= size; i += sizeof pattern)
        memcpy((char *)memory + i, &pattern, sizeof pattern);
}

void *cuda_host_shared(void) { return block.shared; }

static bool is_over(void) {
    for (int i = 0; i < block.count; i++)
        if (block.thread[i].state != DONE) return false;
    return true;
}

static void run_block(unsigned long long seed) {
    block.started = 0;
    cuda_host_poison(cuda_shared_start, (size_t)(cuda_shared_end - cuda_shared_start));
    cuda_host_poison(block.shared, block.launch->shared);
    memset(block.thread, 0, (size_t)block.count * sizeof *block.thread);
    make_order(block.order, block.count, seed);
    start_threads();
    while (!block.failed && !is_over()) {
        if (meets_barrier())
            release_barrier();
        else if (!block.failed && !release_warps() && !block.failed)
            report_divergence();
        for (int i = 0; i < block.count && !block.failed; i++)
            if (block.thread[block.order[i]].state == READY) resume(block.order[i]);
    }
    for (int i = 0; i < block.count && block.failed; i++) // their fibers are free
        if (block.thread[i].state != NEW && block.thread[i].state != DONE)
            block.fiber[block.fibers++] = block.thread[i].fiber;
}

// --- cp.async

void cuda_host_cp_async(void *to, const void *from, int bytes, int valid) {
    if (!block.copies) block.copies = new Copies[CUDA_HOST_MOST_THREADS]();
    Copies *copies = &block.copies[block.current];
    if (copies->count == MOST_COPIES || (uintptr_t)to % (unsigned)bytes ||
        (uintptr_t)from % (unsigned)bytes) {
        fail("thread (%u, %u, %u): %s", threadIdx.x, threadIdx.y, threadIdx.z,
             copies->count == MOST_COPIES ? "too many copies that it never waits for"
                                          : "cp.async from or to an address that is not aligned");
        leave();
    }
    copies->at[copies->count++] = {to, from, bytes, valid, copies->group};
}

void cuda_host_cp_async_commit(void) {
    if (block.copies) block.copies[block.current].group++;
}

void cuda_host_cp_async_wait(int left) {
    if (!block.copies) return;
    Copies *copies = &block.copies[block.current];
    int kept = 0;
    for (int i = 0; i < copies->count; i++) {
        const Copy copy = copies->at[i];
        if (copy.group >= copies->group - left && left) {
            copies->at[kept++] = copy;
            continue;
        }
        memcpy(copy.to, copy.from, (size_t)copy.valid);
        memset((char *)copy.to + copy.valid, 0, (size_t)(copy.bytes - copy.valid));
    }
    copies->count = kept;
}

// --- Addresses that are none

static struct sigaction before[2];
static const int caught[2] = {SIGSEGV, SIGBUS};

static void on_fault(int number, siginfo_t *info, void *) {
    char what[128];
    (void)number;
    cuda_host_describe(info->si_addr, what, sizeof what);
    fail("thread (%u, %u, %u) touches %p, %s", threadIdx.x, threadIdx.y, threadIdx.z, info->si_addr,
         what);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGSEGV);
    sigaddset(&signals, SIGBUS);
    sigprocmask(SIG_UNBLOCK, &signals, nullptr);
    leave(); // for good: the fiber is not gone on with
}

static void catch_faults(void) {
    static char stack[64 << 10];
    stack_t alternate = {};
    alternate.ss_sp = stack;
    alternate.ss_size = sizeof stack;
    sigaltstack(&alternate, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int i = 0; i < 2; i++)
        sigaction(caught[i], &action, &before[i]);
}

static void release_faults(void) {
    for (int i = 0; i < 2; i++)
        sigaction(caught[i], &before[i], nullptr);
}

// --- A launch

static void take_shared(const CudaHostLaunch *launch) {
    block.shared = nullptr;
    if (launch->shared) block.shared = (char *)cuda_host_guarded_new(launch->shared);
}

bool cuda_host_run(const CudaHostLaunch *launch) {
    const dim3 &grid = launch->blocks;
    unsigned long long seed = cuda_host_options()->shuffle, count = 1ull * grid.x * grid.y * grid.z;
    block.launch = launch;
    block.count = (int)(launch->threads.x * launch->threads.y * launch->threads.z);
    block.failed = false;
    blockDim = launch->threads, gridDim = grid;
    take_shared(launch);
    catch_faults();
    // A step that has no common divisor with the count goes through all blocks.
    unsigned long long step = 1, start = seed ? scramble(seed) % count : 0;
    for (unsigned long long s = seed ? scramble(seed + 1) % count : 0; s > 1 && step == 1; s--) {
        unsigned long long a = s, b = count;
        while (b) {
            unsigned long long rest = a % b;
            a = b, b = rest;
        }
        if (a == 1) step = s;
    }
    for (unsigned long long i = 0, at = start; i < count && !block.failed; i++) {
        blockIdx = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y),
                    (unsigned)(at / grid.x / grid.y)};
        run_block(seed ? seed + at + 1 : 0);
        at = (at + step) % count;
    }
    release_faults();
    if (block.failed && block.copies)
        memset(block.copies, 0, sizeof(Copies) * CUDA_HOST_MOST_THREADS);
    if (block.shared && !cuda_host_guarded_is_whole(block.shared, launch->shared))
        fail("it has written past its %zu bytes of shared memory", launch->shared);
    if (block.shared) cuda_host_guarded_free(block.shared, launch->shared);
    return !block.failed;
}
