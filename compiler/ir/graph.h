// SPDX-License-Identifier: MIT
// The graph: what a network computes, as immutable hash-consed nodes in topological order (an
// input's id is below its user's), so that a pass is a loop forwards and `grad` a loop backwards.
//
//     Graph *g = graph_new(arena, "train");
//     const Node *x = node_input(g, "image", DT_F32, shape_of(2, (Dim[]){dim_batch(), dim_const(4)}));
//     const Node *y = node_op(g, OP_tanh, x);
//     graph_add_root(g, ROOT_OUTPUT, "y", NULL, y);
//
// Builders check their arguments with the shape rules (ir/shape.c) and bug() where they do not hold: a
// user's mistake is to be found, and reported in the user's terms, before a node is built. They fold
// nothing but equal nodes: pass/simplify.c does.
#ifndef NNC_IR_GRAPH_H
#define NNC_IR_GRAPH_H

#include "ir/dim.h"
#include "support/diag.h"

typedef enum DType {
    DT_F32,
    DT_I32,
    DT_BOOL,
    DT_F64,  // scalars of the step (learning rate, schedules): rank 0, from const, hyper, step,
             // epoch, size
    DT_BF16, // the upper half of an f32, in memory alone: casts make it from f32 and make f32 of it
             // again
} DType;

typedef enum Op {
#define POINTWISE(name, ...)  OP_##name,
#define STRUCTURAL(name, ...) OP_##name,
#include "ir/ops.def"
#undef POINTWISE
#undef STRUCTURAL
    OP_COUNT
} Op;

typedef enum Stage { STAGE_MODEL, STAGE_LOWERED } Stage;

typedef struct PadAxis {
    int32_t low, high, interior; // zeros before, after, between neighbours; none negative
} PadAxis;

typedef struct SliceAxis {
    int32_t start, step; // step >= 1
} SliceAxis;

typedef struct WindowAttr { // one axis at a time: axis becomes (axis: output, axis + 1: tap)
    int32_t axis, stride, dilation;
    Dim extent; // fold: the extent E of the axis that is put together again
} WindowAttr;

// A contraction sums a product over affine indices:
//     z[i0, i1, ..] = sum over j0, j1, .. of a[access, ..] * b[access, ..]
// The loop indices are the output's axes, then the summed ones. An access reads one axis of an operand
// at (coef[0]*index[0] + coef[1]*index[1] + offset) / divisor; where that is no integer or outside of
// the operand, the product is zero. So a matrix product, a convolution with stride, padding, dilation
// and groups, and the derivatives of all of these are one family, closed under differentiation.
// Each summed index and each index that shares an access with another has a plain use (coef 1, no
// second index, offset 0, divisor 1): in the output or in the other operand or elsewhere in the same.
typedef struct Access {
    int8_t index[2]; // loop index, -1: none
    int32_t coef[2];
    int32_t offset, divisor;
} Access;

typedef struct ContractAttr {
    int summed;             // number of summed indices
    Dim extent[MAX_RANK];   // theirs
    Access a[MAX_RANK], b[MAX_RANK]; // one for each axis of the operand
} ContractAttr;

// z[g, m, n] = sum over s, k of a[g % Ga, s, m, k] * b[g % Gb, s, k, n]; a: [Ga, S, M, K] (transposed:
// [.., K, M]), b: [Gb, S, K, N] (transposed: [.., N, K]); z: [G, M, N], G the larger of Ga and Gb, which
// the other divides. Blocks are row-major.
typedef struct ProductAttr {
    bool transpose_a, transpose_b;
} ProductAttr;

// Winograd's transforms work on images [N, H, W, C] in tiles: `tile` x `tile` results of a 3x3 filter need
// a patch of (tile + 2) x (tile + 2), which becomes as many frequencies, P = (tile + 2)^2 (ir/wino.h).
//     wino_in      [N, H, W, C]   -> [N, P, T, C]     patches at offset + tile * (i, j), zero outside
//     wino_filter  [K, C, 3, 3]   -> [P, C, K], swap: [P, K, C]; panels of W: [K/W, P, C, W] likewise
//     wino_out     [N, P, T, K]   -> [N, H, W, K]     tiles put together and cropped
// T = tiles[0] * tiles[1], row-major. wino_*_t is the transposed map, from the right to the left.
typedef struct WinoAttr {
    int32_t tile; // 2 or 4
    int32_t offset[2];
    int32_t tiles[2];
    int32_t panel; // W; 0: none
    bool swap;
} WinoAttr;

typedef struct Attr { // the part that the operator uses; the rest is zero, so that it compares as bytes
    const char *name; // interned in the graph
    double value;
    uint32_t axes; // bit i: axis i
    int32_t axis;
    Dim extent;
    int8_t perm[MAX_RANK];
    PadAxis pad[MAX_RANK];
    SliceAxis slice[MAX_RANK];
    WindowAttr window;
    ProductAttr product;
    WinoAttr wino;
    const ContractAttr *contract; // compared by content
} Attr;

typedef struct Node {
    uint32_t id; // its place in graph->node
    Op op;
    DType dtype;
    Shape shape;
    int in_count;
    const struct Node *const *in;
    const Attr *attr; // never NULL
    bool of_step; // a scalar of the step: f64, or a truth value made of such alone
} Node;

typedef enum RootKind {
    ROOT_OUTPUT, // handed to the caller under its name
    ROOT_STATE,  // becomes the value of the state leaf when the step ends, together with all others
} RootKind;

typedef struct Root {
    RootKind kind;
    const char *name;
    const Node *leaf; // ROOT_STATE: an OP_state or OP_param node; else NULL
    const Node *value;
} Root;

typedef struct SpanList { // the places in the source that a node serves
    Span span;
    const struct SpanList *next;
} SpanList;

// Where in the source a node comes from, for a reader: a call, inside of another one or of the model. The
// backward pass of a call is a section of its own.
typedef enum SectionKind { SECTION_MODEL, SECTION_LAYER, SECTION_FUNCTION, SECTION_UPDATE } SectionKind;
typedef struct Section {
    SectionKind kind;
    const char *name;              // Net; conv2d_1; relu; adam
    const char *callee;            // conv2d, of conv2d_1; else the name
    const char *path;              // of a layer: block_1.conv2d_1; else ""
    const struct Section *outer;   // NULL: none
    const struct Section *forward; // of a backward pass: what it is the gradient of
} Section;

typedef struct Graph {
    const char *name; // train, eval, predict, init
    Stage stage;
    Arena *arena;
    VEC(const Node *) node;
    VEC(Root) root;
    VEC(const SpanList *) spans; // by id
    VEC(const char *) label;     // by id, or NULL: a name for a reader ("fc1.weight"); not part of equality
    VEC(const struct Choice *) choice; // by id, or NULL: the choice that it was made by (support/choice.h)
    VEC(const Section *) section;         // by id, or NULL
    const struct Choice *choosing;     // what nodes that are made now get there
    const Section *inside;                // likewise
    Span here;                   // builders give it to the nodes they make or find again (SPAN_NONE: nothing)
    struct Map *interned, *conses; // names; nodes by content
    struct Map *backward;          // sections -> their backward passes
    VEC(int64_t) key;              // where the key of a node is written to look it up
} Graph;

Graph *graph_new(Arena *arena, const char *name);
void graph_add_root(Graph *graph, RootKind kind, const char *name, const Node *leaf, const Node *value);
void graph_add_span(Graph *graph, const Node *node, Span span);
void graph_set_label(Graph *graph, const Node *node, const char *label);
// Spans, label, choice and section of a node, for what it has become in another graph.
void graph_take_notes(Graph *graph, const Node *made, const Graph *from, const Node *node);
// Nodes made from now on stand for `node` of `from`: they get its place and its section. NULL: for none.
void graph_stand_for(Graph *graph, const Graph *from, const Node *node);
const Section *section_new(Graph *graph, Section section);
// Nodes from `first` on are of sections of their own, equal to those that they were of: calls made again.
void section_renew(Graph *graph, int first);
const Section *section_backward(Graph *graph, const Section *section); // of NULL or a backward pass: itself
bool graph_owns(const Graph *graph, const Node *node);

// --- Builders. All are hash-consed: equal nodes are one node.

const Node *node_input(Graph *, const char *name, DType, Shape);
const Node *node_param(Graph *, const char *name, Shape); // f32
const Node *node_state(Graph *, const char *name, DType, Shape);
const Node *node_const(Graph *, DType, double value); // rank 0
const Node *node_fill(Graph *, DType, double value, Shape); // broadcast of a const
const Node *node_hyper(Graph *, const char *name, double value);
const Node *node_step(Graph *);
const Node *node_epoch(Graph *);
const Node *node_size(Graph *, Dim extent);
const Node *node_iota(Graph *, int axis, Shape);
const Node *node_random(Graph *, const char *stream, Shape);

// A pointwise operator. An input of rank 0 is broadcast to the shape of the others; else shapes are equal.
const Node *node_pointwise(Graph *, Op, const Node *const *in);
const Node *node_unary(Graph *, Op, const Node *a);
const Node *node_binary(Graph *, Op, const Node *a, const Node *b);
const Node *node_select(Graph *, const Node *condition, const Node *yes, const Node *no);

const Node *node_cast(Graph *, DType, const Node *); // the node itself where it has the type
const Node *node_stop(Graph *, const Node *);
const Node *node_reduce(Graph *, Op, const Node *, uint32_t axes); // OP_reduce_*, OP_argmax
const Node *node_reshape(Graph *, const Node *, Shape);            // same number of elements as polynomials
const Node *node_permute(Graph *, const Node *, const int8_t *perm);
const Node *node_broadcast(Graph *, const Node *, uint32_t axes, Shape out);
const Node *node_expand(Graph *, const Node *scalar, Shape out); // rank 0 -> any shape
const Node *node_pad(Graph *, const Node *, const PadAxis *, double value);
const Node *node_slice(Graph *, const Node *, const SliceAxis *, Shape out);
const Node *node_flip(Graph *, const Node *, uint32_t axes);
const Node *node_concat(Graph *, const Node *const *in, int count, int axis);
const Node *node_window(Graph *, const Node *, int axis, Dim outputs, int32_t taps, int32_t stride,
                        int32_t dilation);
const Node *node_fold(Graph *, const Node *, int axis, Dim extent, int32_t stride, int32_t dilation);
const Node *node_contract(Graph *, const Node *a, const Node *b, const ContractAttr *, Shape out);
const Node *node_gather(Graph *, const Node *table, const Node *index);
const Node *node_scatter_add(Graph *, const Node *index, const Node *rows, Dim extent);
const Node *node_product(Graph *, const Node *a, const Node *b, ProductAttr);
const Node *node_again(Graph *, const Node *, const Node *after);
const Node *node_wino(Graph *, Op, const Node *, WinoAttr, Shape out);

// The node of `graph` that is `node` (of any graph) with other inputs: same operator, type, shape and
// attributes. What a pass that rewrites a graph calls for the nodes it leaves as they are.
const Node *node_rebuild(Graph *graph, const Node *node, const Node *const *in);

// Copies into `to` what `value` needs of `from`, nodes for which done[id] is set standing for themselves;
// done has from->node.count entries (NULL: not yet) and is filled in. Its side tables come along.
const Node *graph_import(Graph *to, const Graph *from, const Node *value, const Node **done);

// --- The operator table

typedef enum OpTypes { TYPES_REAL, TYPES_ARITH, TYPES_COMPARE, TYPES_LOGIC, TYPES_SELECT } OpTypes;
typedef enum OpDomain { DOMAIN_ANY, DOMAIN_POSITIVE, DOMAIN_UNIT, DOMAIN_AWAY } OpDomain;

typedef struct OpInfo {
    const char *name;
    int in_count; // -1: any number
    bool pointwise;
    Stage stage;
    // pointwise alone:
    OpTypes types;
    const char *c_text;          // C, single precision, with $a $b $c
    const char *derivative[3];   // expressions of g, z, a, b, c; "" for zero
    OpDomain domain;
} OpInfo;

const OpInfo *op_info(Op op);
Op op_find(const char *name); // OP_COUNT where there is none
double op_reference(Op op, double a, double b, double c); // pointwise alone

const char *dtype_name(DType dtype); // f32, i32, bool, f64, bf16
int dtype_size(DType dtype);         // bytes in a buffer: 4, 4, 1, 8, 2

// --- Shape rules (ir/shape.c)
// NULL where `node` keeps the rule of its operator, else a sentence saying what is wrong.
const char *node_check(const Node *node, Arena *arena);
// What padding makes of an extent; false where it does not fit.
// The G of a product's operands' Ga and Gb; false where neither divides the other.
bool product_batch(Dim *batch, Dim a, Dim b);
bool pad_extent(Dim *padded, Dim extent, PadAxis pad);

// --- Verifier (ir/verify.c)
// NULL where the graph is sound at `stage`: order, rules, operators legal there, roots; else a sentence.
const char *graph_verify(const Graph *graph, Stage stage, Arena *arena);

// --- Text form (ir/text.c, ir/read.c): prints and reads back to an equal graph
//
//     graph train {
//       %0 = input "x" : f32[N, 4]
//       %1 = tanh %0 : f32[N, 4]
//       %2 = reduce_sum %1 {axes = 1} : f32[N]   # fc1.weight, net.nnd:7
//       output "y" = %2
//     }
void graph_print(Buf *out, const Graph *graph); // labels and lines are comments
Graph *graph_read(Arena *arena, const Source *text, Diag *diag); // NULL after an error

// --- Interpreter (ir/interp.c): the oracle. Double precision, one node at a time, slowly.
// Every value is row-major doubles of shape_eval(shape, n) elements (bool 0 or 1, i32 as a number).
typedef struct Interp {
    int64_t n;                     // examples in the batch
    int64_t first, of;             // examples of the step before these, and of the whole step (0: n)
    double step, epoch;
    uint64_t seed;                 // of random nodes
    bool round;                    // f32 values to floats: what is too large for one is infinite
    const double *const *leaf;     // by node id: the values of input, param and state nodes; hyper: NULL = default
    const double *const *imposed;  // by node id, or NULL: a value that stands for the node's own (shared ReLU masks)
} Interp;

// Values of all nodes by id, in the arena.
double **graph_interpret(const Graph *graph, const Interp *with, Arena *arena);

#endif
