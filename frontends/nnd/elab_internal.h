// SPDX-License-Identifier: MIT
// What the files of elaboration share: values, scopes, the state of one elaboration.
//
//   elab.c            the way from a file to a Module; the standard library
//   elab_value.c      values, scopes, messages
//   elab_pointwise.c  operators: folding, the three rates, types, broadcasting
//   elab_expr.c       expressions
//   elab_builtin.c    functions that the language has and the library cannot have
//   elab_call.c       calls: arguments, instances, results
//   elab_type.c       named dimensions: what a declared type says of a value
//   elab_index.c      index notation: indices, their uses and ranges
//   elab_access.c     x[n, 2*h + r] as nodes
//   elab_sum.c        reductions; sums of products as contractions
//   elab_stmt.c       statements, parameters, state
//   elab_model.c      model and data
//   elab_keys.c       train: batch, epochs and the like
//   elab_train.c      train: which parameters lie where, gradients, the program's graphs
//   elab_optimizer.c  optimizers on flat vectors
//   elab_numbers.c    what can be set: numbers of the train block
//   elab_source.c     and of the data block
//   elab_freeze.c     train: what stays as it is
//   elab_run.c        numbers of the run: epochs, steps, plateaus
//   elab_goals.c      train: the best epoch, what is expected
//   elab_example.c    one declaration alone
#ifndef NNC_NND_ELAB_INTERNAL_H
#define NNC_NND_ELAB_INTERNAL_H

#include "nnd/elab.h"
#include "support/map.h"

enum {
    MAX_LOOPS = 32,
    MAX_TERMS = 2,
    MAX_NESTED = 64,
    MAX_CALLS = 100000,
    // Operators of the model or of a function made of it. What comes behind takes a time that grows
    // with the square of its kernels: this many are seconds.
    MAX_NODES = 1 << 15,
    MAX_DEPTH = EXPR_HEIGHT + 500
};

typedef struct Loops Loops;
typedef struct Builtin Builtin;
typedef struct Instance Instance;

typedef enum ValueKind {
    VALUE_POISON, // was reported; whatever it touches is poison too, and silent
    VALUE_NONE,   // a block without a result
    VALUE_BOOL,   // structural, as are INT, REAL, TEXT
    VALUE_INT,    // `size`: an integer, or a polynomial in N
    VALUE_REAL,
    VALUE_TEXT,
    VALUE_INDEX,  // an index of index notation
    VALUE_TENSOR, // `node`; of the step where it is f64 or `step`
    VALUE_LIST,
    VALUE_FUNCTION, // declaration, built-in function or operator, by name
    VALUE_INSTANCE, // use D = Critic(64)
} ValueKind;

typedef struct Value {
    ValueKind kind;
    Span from; // where it was made, for notes
    bool boolean;
    Dim size;
    double number;
    const char *text;
    const Node *node;
    bool step;    // TENSOR: known once a step (bool and f64 of rank 0)
    Loops *loops; // TENSOR: one element for each value of the indices in `axes`, or NULL;
    uint32_t
        axes; //   then the node's axes are those indices, ascending, and the value counts as rank 0
    int64_t classes;          // TENSOR of i32: below this, 0 where not known
    int index;                // INDEX
    const struct Value *item; // LIST
    int count;
    const Decl *decl; // FUNCTION: one of decl, builtin, op
    const Builtin *builtin;
    Op op;
    Instance *instance;
} Value;

typedef enum SlotKind { SLOT_NONE, SLOT_PARAM, SLOT_STATE } SlotKind;

typedef struct Slot { // what x' can be given for
    SlotKind kind;
    const char *path;
    Shape shape;
    const Node *leaf; // the old value
    const Node *next; // NULL: stays
} Slot;

typedef struct Binding {
    const char *name;
    Span span;
    Value value;
    Slot *slot;
    bool unknown; // there is none of this name: it was reported, and is a poisoned value from then on
    struct Binding *next;
} Binding;

typedef struct Scope {
    struct Scope *parent;
    Binding *first;
    Map *by_name; // NULL: there are few
    int count;
    bool has_rest; // `..` of the signature
    Span rest_span;
    Shape rest;
    Stmt *const *body; // of the block that binds here: for messages about what comes later
    int body_count;
} Scope;

typedef struct Frame { // an instance of a layer while its body is elaborated; the model itself
    const char *path;  // "" or "block.fc1"
    Map *count;        // layer's name -> int: unnamed instances so far
    Map *taken;        // names of instances and parameters in it -> Span
} Frame;

typedef struct Arguments { // by parameter of the declaration
    const Decl *decl;
    Value *value;
    Span *span;
    bool *given, failed;
} Arguments;

struct Instance {
    Arguments arguments;
    const char *path;
};

typedef struct CallSite {
    const char *name;
    Span span;
    struct CallSite *outer;
} CallSite;

typedef struct ParamEntry {
    const char *path;
    Shape shape;
    int64_t size;     // elements
    const Node *init; // in elab->init
    Span span;
    int group;      // which minimize trains it; -1: none
    int64_t offset; // elements in its group's leaf
} ParamEntry;

typedef struct StateEntry { // a layer's state
    const char *path;
    Shape shape;
    const Node *init;
    Span span;
} StateEntry;

typedef struct StateNow { // of a layer's state in the graph being built
    const StateEntry *entry;
    const Node *leaf, *value; // value: the next one, once it was given
} StateNow;

typedef struct FirstValues { // `param w: shape ~ whole`
    const Expr *whole;
    const Shape *shape;
} FirstValues;

typedef struct OptimizerRun OptimizerRun; // elab_optimizer.c

typedef struct Elab {
    Arena *arena;
    Diag *diag;
    int errors;         // that were there before
    const Source *user; // the file; the library's texts are others
    const ElabOptions *options;
    bool *set_used;
    int epochs;               // of the train block
    VEC(const Stmt *) freeze; // likewise
    Map *decls;               // name -> const Decl *
    VEC(const char *) decl_names;
    Graph *graph; // where nodes go now
    Graph *init;
    Module *module; // gets a row for each application of a layer; NULL: not in this run
    bool training;
    bool not_pointwise; // more than pointwise operators was used: an optimizer runs by parameter
                        // then
    bool in_init;       // an initialiser: nothing of the step can be read
    const FirstValues *first_values; // the expression behind `~` itself, not what it calls; or NULL
    Frame *frame;       // NULL: no layers here
    Loops *loops;       // index notation that is being elaborated
    OptimizerRun *optimizer;
    int depth, nested, calls_made;
    bool is_large; // which was reported
    CallSite *calls;
    Map *param_by_path;
    VEC(ParamEntry *) param;
    Map *state_by_path;
    VEC(StateEntry *) state;
    Map *state_now; // path -> StateNow, of this graph
    VEC(StateNow *) state_used;
    bool nested_too_deep; // was reported
    Map *param_used;   // path -> Node, of this graph
    Map *random_count; // stream's stem -> int, of this graph
} Elab;

// --- elab_value.c

#define POISON ((Value){.kind = VALUE_POISON})
Value value_bool(bool value);
Value value_int(int64_t value);
Value value_size(Dim size);
Value value_real(double value);
Value value_text(const char *text);
Value value_tensor(const Node *node);
bool value_is_poison(Value value);
bool value_is_structural(Value value);          // bool, real, constant integer
bool value_is_step(Value value);                // structural, or known once a step
bool value_number(Value value, double *number); // structural int or real
bool value_const(Value value, int64_t *number); // structural int
const char *value_describe(Elab *, Value);      // "[N, 3] of f32", "the number 0.5"
const char *shape_text(Elab *, const Shape *);
const char *dim_text(Elab *, Dim);

Scope *scope_new(Elab *, Scope *parent);
Binding *scope_find(Scope *, const char *name);
// Reports a second binding of a name; the first stands.
Binding *scope_bind(Elab *, Scope *, const char *name, Span, Value);
Binding *scope_put(Elab *, Scope *, Binding); // hides one of the same name

// In a text of the library the place is where the user's file calls it, with a note of the other.
void elab_error(Elab *, Span, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Belongs to the error before it; left out where the place is in the library.
void elab_note(Elab *, Span, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Belongs to an error about a call: where the declaration is, at `span`, or how it reads.
void elab_declared(Elab *, const Decl *, Span span);
// The nearest of the names as a hint; else what it is called here, or all names if they are few.
void elab_hint_near(Elab *, const char *name, const char *const *names, int count);
// Likewise of parameters of what is called.
void elab_hint_parameter(Elab *, const char *name, const char *const *names, int count);
// There is no such name in the scope, which has it from then on as a poisoned value.
void elab_unknown_name(Elab *, Scope *, const char *name, Span);
bool elab_is_users(const Elab *, Span); // and not the library's
// Has the graph (NULL: none yet, outside of models) no more operators than MAX_NODES? Reported once,
// else.
bool elab_fits(Elab *, const Graph *, Span);
bool elab_failed(const Elab *); // whether it has reported any
void elab_unknown(Elab *, Span, const char *what, const char *name, const char *const *names,
                  int count);
// Nodes made from now on serve `span`, where that lies in the user's file; returns what was there
// before.
Span elab_here(Elab *, Span);

// --- elab_pointwise.c

Value elab_pointwise(Elab *, Span, Op, const Value *in);
Value elab_binary(Elab *, Span, Op, Value a, Value b);
Value elab_select(Elab *, Span, Value condition, Value yes, Value no);
// As a tensor of that type (f32, i32, bool): constants and step values are converted. NULL:
// reported.
const Node *elab_to_node(Elab *, Span, Value, DType);
Value elab_as_tensor(Elab *, Span, Value);     // any number as a TENSOR: indices and constants too
bool elab_is_whole(Value);                      // of i32 as a tensor
// Is it no tensor as a whole, which index notation has no use for? Reported, else.
bool elab_is_element(Elab *, Span, Value);
const Node *elab_to_step(Elab *, Span, Value); // f64 (bool: bool) of rank 0
const Node *elab_expand_to(Elab *, Span, const Node *,
                           const Shape *); // from rank 0, size 1, or NULL: reported

// --- elab_expr.c, elab_call.c, elab_builtin.c

Value elab_expr(Elab *, Scope *, const Expr *);
Span elab_call_span(const Expr *);
Value elab_name(Elab *, Scope *, const char *name, Span);
bool elab_structural_bool(Elab *, Scope *, const Expr *, bool *value); // reports what is not
bool elab_int(Elab *, Scope *, const Expr *, int64_t *value); // constant; reports what is not
bool elab_dim(Elab *, Scope *, const Expr *, Dim *value);     // may hold N

Value elab_call(Elab *, Scope *, const Expr *);
Value elab_use(Elab *, Scope *, const Expr *, const char *name, Span name_span);
// A call with one value before its arguments, as |> gives it.
Value elab_call_piped(Elab *, Scope *, const Expr *call, Value first);

typedef enum Accept { ACCEPT_ALL, ACCEPT_SETTINGS, ACCEPT_TENSORS } Accept; // parameters to fill
Arguments arguments_new(Elab *, const Decl *);
void arguments_match(Elab *, Scope *, const Expr *call, int first, Accept, Arguments *);
// Binds them in `scope`, defaults where they are not given. False after an error.
bool arguments_bind(Elab *, Scope *, const Arguments *, Span call);
// The declaration's body with these arguments.
Value elab_apply(Elab *, const Arguments *, Span call);

enum { MAX_BUILTIN = 4 };

struct Builtin {
    const char *name;
    int required;                   // of its parameters; the others may be VALUE_NONE
    const char *param[MAX_BUILTIN]; // up to the first NULL
    Value (*apply)(Elab *, Span, const Value *in);
};
const Builtin *builtin_find(const char *name);
const Builtin *builtin_list(int *count);
Value elab_random(Elab *, Shape);
Value elab_reduce_all(Elab *, Span, const char *reduction,
                      Value); // sum, mean, max, min over all axes

// --- elab_type.c

// Binds the dimensions of `type` to those of the value, or reports in what they differ. `what`
// names the value: "linear: x". Numbers are converted. Poison after an error.
Value elab_fit(Elab *, Scope *, const Type *, Value, Span, const char *what, Span declared);
// The shape that a type says, all its names being bound. False: reported.
bool elab_shape(Elab *, Scope *, const Type *, Shape *);
// Likewise, but silently false where a name is not bound: what is known of a result before there is
// one.
bool elab_shape_if_known(Elab *, Scope *, const Type *, Shape *);
bool elab_check_size(Elab *, const Shape *, Span); // reports one of too many elements

// --- elab_index.c, elab_access.c, elab_sum.c

// name[indices] = body; count 0 and no indices: a reduction or an access outside of a statement.
// `hint`: the shape that the result is declared with, or NULL.
Value elab_indexed(Elab *, Scope *, const IndexName *index, int count, const Expr *body,
                   const Shape *hint, Span);
Value elab_reduction(Elab *, Scope *, const Expr *); // EXPR_REDUCE
Value elab_access(Elab *, Scope *, const Expr *);    // EXPR_INDEX
Value elab_iota(Elab *, Value index);

typedef struct LoopVar {
    const char *name;
    Span span;
    bool known, written; // written: [h: 3], and then it may be less than an axis has
    Dim extent;
    Span from;                  // where the extent comes from
    const struct IndexUse *use; // that it stays in bounds of
    int axis;
    Loops *loops;
} LoopVar;

typedef struct Affine { // sum of coef * index + offset
    int count;
    int var[MAX_TERMS];
    int64_t coef[MAX_TERMS];
    Dim offset;
    const Expr *dynamic; // an index that is read from a tensor, instead
    Span span;
} Affine;

typedef struct IndexUse { // x[..] in the statement
    const Expr *expr;
    Scope *scope;
    Value base;
    int rank;
    Affine at[MAX_RANK];
} IndexUse;

typedef struct Reduction {
    const Expr *expr;
    Scope *scope; // with its indices
    uint32_t mask;
} Reduction;

struct Loops {
    LoopVar var[MAX_LOOPS];
    int count;
    int rest_first, rest_count; // `..`: MAX_RANK indices from rest_first; count -1: no use seen
    bool has_rest, failed;
    VEC(IndexUse *) use;
    VEC(Reduction *) reduction;
};

const IndexUse *loops_use(const Loops *, const Expr *);
const Reduction *loops_reduction(const Loops *, const Expr *);
Shape loops_shape(const Loops *, uint32_t axes); // ascending
int loops_axis(uint32_t axes, int var);          // place of an index among them
Value elab_indexed_value(Loops *, const Node *, uint32_t axes);
// The element x[..] as nodes. Poison after an error.
Value access_gather(Elab *, Loops *, const IndexUse *);
// Adds the axes that are missing.
bool loops_check(Elab *, const Loops *, uint32_t axes, Span); // reports too many axes or elements
const Node *loops_align(Elab *, Loops *, const Node *, uint32_t has, uint32_t wanted);
// The sum over `summed` of a product, as contractions where it is one.
Value elab_sum(Elab *, Scope *, Loops *, const Expr *body, uint32_t summed);

// --- elab_stmt.c

// The value of the last statement that has one; VALUE_NONE where there is none.
Value elab_block(Elab *, Scope *, Stmt *const *body, int count, const Type *result);
void elab_stmt(Elab *, Scope *, const Stmt *, const Type *result, Value *value);
Frame *frame_new(Elab *, const char *path);
const char *frame_path(Elab *, const Frame *, const char *name);
bool frame_take(Elab *, Frame *, const char *name, Span); // reports a name that is taken
const Node *elab_initial(Elab *, Scope *, const Expr *, const Shape *, const char *path, Span);

// --- elab_model.c, elab_train.c

typedef struct Named {
    const char *name;
    Value value;
    Span span;
} Named;

typedef struct Run { // the model elaborated once
    Graph *graph;
    Scope *scope;
    Value loss;
    Span loss_span;
    VEC(Named) output;
    VEC(Named) metric;
    VEC(StateNow *) state;
    Map *param; // path -> Node
    bool has_loss;
} Run;

// The value that --set gives a name, if it does.
bool elab_set_value(Elab *, const char *name, double *value);
// What --set takes when compiling, once for a name.
void elab_add_setting(Elab *, Module *, SettingInfo);
void elab_data(Elab *, const Decl *, Module *);
const Stmt *data_each(const Decl *data, const char *input);
Run *elab_model(Elab *, const Decl *model, const Decl *data, bool training, Module *);
void elab_train_keys(Elab *, const Decl *train, Module *); // batch, epochs, seed, shuffle
void elab_program(Elab *, const Decl *train, Module *, const Run *train_run, const Run *eval_run);
// best, expect: what a run is measured by (elab_goals.c).
void elab_goals(Elab *, const Decl *train, Module *, const Run *eval_run);
Slot *optimizer_state(Elab *, Scope *, const Stmt *);
Value optimizer_all(Elab *, Scope *, const Expr *call); // all(sum(g^2))

// --- elab_freeze.c

bool pattern_matches(const char *pattern, const char *path); // * stands for any characters
void elab_freeze(Elab *, const Decl *train);
void elab_check_pattern(Elab *, const Stmt *);       // reports one that no parameter matches
void elab_hint_pattern(Elab *, const char *pattern); // what may be meant
bool elab_is_frozen(const Elab *, const char *path);
bool elab_is_frozen_inside(Elab *, const char *path); // an instance with all that may be in it

// --- elab_run.c

// The number of the run that goes by this name; NULL where there is none.
const Node *elab_run_number(Elab *, const char *name);
void elab_run_numbers(Elab *, Module *); // adds a row to module->hyper for each that is read

// --- elab_source.c

// All numbers of the source under their names, as the command line sets them.
void elab_source_numbers(Elab *, const NncSourceInfo *, NncCall *);
void elab_augment_numbers(Elab *, Module *); // of the last one
// Lists them, behind the numbers of the train block.
void elab_data_hypers(Elab *, Module *);

// --- elab.c

Elab *elab_new(Arena *, const File *, const ElabOptions *, Diag *);
void elab_begin_graph(Elab *, Graph *, bool training); // forgets what belonged to the last one

#endif
