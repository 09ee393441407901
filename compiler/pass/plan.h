// SPDX-License-Identifier: MIT
// What comes after fusion: kernels, the buffers between them, and the order that they run in.
//
//     Fusion *f = fuse(arena, lowered, batch);   // which nodes are stored, which are computed in
//     passing Plan *p = plan(arena, f);                  // buffers with offsets, the tree of calls
//
// A kernel is a loop nest over the index space of what it stores. Everything between the stored
// nodes is recomputed inside the kernels that read it, element by element.
#ifndef NNC_PASS_PLAN_H
#define NNC_PASS_PLAN_H

#include "support/marks.h"
#include "ir/program.h"
#include "support/target.h"

typedef enum BufferArena {
    ARENA_STATE,   // from step to step: ctx->state
    ARENA_INPUT,   // the batch: ctx->input
    ARENA_OUTPUT,  // handed to the caller: ctx->output
    ARENA_WORK,    // between kernels: ctx->work
    ARENA_SCRATCH, // of one thread, within one call of a kernel or one part: ctx->scratch
} BufferArena;

typedef struct Buffer {
    int id;
    const char *name;
    BufferArena arena;
    DType dtype;
    int64_t elements; // with N = the batch
    int64_t offset;   // bytes from the arena's start; multiple of NNC_ALIGN
    int64_t part;     // > 0: of a thread's part, this many elements to an index; elements: a part's
    int rows;         // > 1: of a kernel over rows, whose stages keep so many of them
    int first, last;  // the first and the last child of the plan's root that touch it
    bool streamed;    // written past the caches: too large for them, and not read again soon
} Buffer;

typedef struct Buffers {
    VEC(Buffer *);
} Buffers;

// Where a stored node lies: its elements are row-major with the extents that the batch gives.
typedef struct Storage {
    Buffer *buffer; // NULL: not stored
    int64_t offset; // elements
} Storage;

typedef enum KernelKind {
    KERNEL_LOOPS,   // pointwise code, at most one reduction in it
    KERNEL_PRODUCT, // blocks of a matrix product, then its epilogue on each
    KERNEL_WINO,    // a transform of Winograd's, then its epilogue on each image
    KERNEL_SCATTER, // zero, then rows added at their index, in order
} KernelKind;

const char *kernel_kind_name(KernelKind kind);

// The node that a chain of views (node_is_view) is the memory of; *offset: where in it, in
// elements.
const Node *strip_views(const Node *node, int64_t batch, int64_t *offset);

// Does it only move or repeat what its one input has, so that it can be read in its place?
bool node_is_movement(const Node *node);

typedef struct Result {
    const Node *value;
    Storage to;
    Storage from; // a copy of what lies there, if it has a buffer
} Result;

typedef struct Kernel {
    int id;
    KernelKind kind;
    const char *name;   // k3_conv2d_1: a C identifier
    const Node *core;   // PRODUCT, WINO, SCATTER: that node
    Shape space;        // of every result; ROWS: the results' are this or its first axes
    VEC(Result) result; // PRODUCT: one
    int rows; // > 0: so many first axes are rows, and the rest of them lies in the cache (rows.h)
    Shape row_space; // ROWS: rows, and the axes along which they are reduced
    bool staged;     // ROWS: several rows at a time, each in another stage (stages.h)
    VEC(Result)
    inside; // ROWS: what nobody else reads, in order: of each row one element, without
            // a buffer, or as many as a row has, in scratch memory
    VEC(const Node *) reads; // stored nodes that it reads
    VEC(const Node *) after; // stored nodes that are to be made before it runs (OP_again)
    Buffer
        *product; // PRODUCT, WINO: where it lies, in scratch memory, if its result is computed from
                  // it by moving elements (folds) or rounded; NULL: in the result's own place
    Buffer *partial;    // GPU: what the parts of its sums leave for its second launch (pass/gpu.h);
                        // or NULL
    Buffer *packed;     // PRODUCT: where its tiling packs columns; or NULL
    Buffer *operand[2]; // PRODUCT: where an operand is copied to, part by part, that is not stored;
                        // or NULL
    const struct Tiling *tiling; // PRODUCT: the blocks it is emitted as (pass/tiling.h), GPU: its
                                 // digits alone; NULL: calls of nnc_product
    const struct CudaTile *cuda; // PRODUCT on a GPU: how it is cut up (pass/cuda_tiling.h)
    int64_t unit; // > 0: it touches buffers of a thread's part (Buffer.part), and this many of its
                  // own outermost indices are one of theirs
    VEC(const struct Choice *) choice; // that it comes from: an algorithm, a product's form
    bool prepared;                     // not run again as long as the parameters stay (prepare.h)
    const char *apart; // why it is not in one kernel with what it reads: a short reason
    const char *waits; // what all threads must be done with before it: "all of k3_fold"; or NULL
} Kernel;

typedef struct Reads {   // of a product that is emitted: what its operands are read from
    const Node *base[2]; // through movements; NULL: the operand itself
    int form;            // of its blocks (pass/forms.h)
    bool tiled;
    const struct Choice *choice; // of all that; NULL: there was none
} Reads;

typedef struct Fusion {
    const Graph *graph;
    int64_t batch;
    const Target *target;
    VEC(Kernel *) kernel;
    VEC(Buffer *) buffer;
    Marks *seen; // for walks, of twice as many as there are nodes
    Storage *storage;         // by node id
    Reads *read;              // by id of a product
    int *scalar_slot;         // by node id: of a scalar of the step, its place in ctx->scalar; -1
    VEC(const Node *) scalar; // these nodes, by slot
} Fusion;

// Where the state leaves, the inputs and the outputs lie is the caller's to say.
typedef struct Placement { // of a leaf or an output, by name
    const char *name;
    BufferArena arena;
    int64_t offset; // bytes
} Placement;

Fusion *fuse(Arena *arena, const Graph *lowered, int64_t batch, const Target *target,
             const Placement *placement, int placements);
void fusion_print(Buf *out, const Fusion *fusion);

typedef enum PlanKind {
    PLAN_SEQ,  // children in order
    PLAN_EACH, // children that have nothing to do with one another: their parts shared out together
    PLAN_PAR,  // for each part of 0 .. count - 1 the calls in order; parts in parallel
    PLAN_CALL, // one kernel: the part at hand in a PAR, else all of it
} PlanKind;

typedef struct PlanNode {
    PlanKind kind;
    const Kernel *kernel; // CALL
    Dim count;            // PAR: its indices; CALL: the kernel's own outermost extent
    int64_t unit;         // CALL in a PAR: own indices of the kernel to one of the PAR's
    int64_t grain;        // PAR: indices in a part (the last may have fewer)
    double time;          // nanoseconds on one thread, about: of a part in a PAR, else of all
    bool prepared;        // a child of the root: its kernels are; these come first
    VEC(struct PlanNode *) child;
} PlanNode;

typedef struct Plan {
    const Fusion *fusion;
    PlanNode *root;
    int64_t work_bytes, scratch_bytes; // scratch: for each thread
} Plan;

// How a product's rows are shared out: over the first axis of `shape` that is not 1. False where
// its blocks are not blocks of the product. *rows: rows of the product to one index of that axis.
bool product_outer(const Node *product, const Shape *shape, Dim *outer, Dim *rows);
// ns of work that is worth sharing out: a loop of nothing takes 400 among threads that look for
// work (bench_pool); what one thread has written and another reads next comes on top of that.
enum { WAKING_TIME = 4000 };

// A product without a batch and without an epilogue shares out the longer side of its output.
bool kernel_splits_columns(const Kernel *kernel);
// How a product without a batch is shared out: over the indices of `outer`, each of which has
// `unit` rows (or columns).
void product_share(const Kernel *kernel, Dim *outer, Dim *unit);
// How many of these indices a part has, for the batch and any number of threads.
int64_t product_grain(const Fusion *fusion, const Kernel *kernel);

// `least`: nanoseconds of work, about, from which on other threads are woken for it.
Plan *plan_make(Arena *arena, Fusion *fusion, double least);
void plan_print(Buf *out, const Plan *plan);

// Gives each buffer an offset, by their live ranges; returns the bytes needed (pass/memory.c).
int64_t memory_plan(const Buffers *buffers);

#endif
