// SPDX-License-Identifier: MIT
// The tree of a .nnd file: what parse.c makes and elab*.c reads. Expressions are ir/expr.h's.
// docs/LANGUAGE.md has the grammar; each parser function carries its rule.
#ifndef NNC_NND_AST_H
#define NNC_NND_AST_H

#include "ir/expr.h"

typedef enum TypeKind {
    TYPE_TENSOR, // f32[N, C, ..]: element, dims
    TYPE_INDEX,  // index(classes)[N]: element "index", bound, dims
    TYPE_SHAPE,  // [.., I]: any element type, dims
    TYPE_INT,    // int     structural
    TYPE_REAL,   // real    structural or step
    TYPE_BOOL,   // bool    structural
    TYPE_FN,     // fn      a function or layer handed over by name
} TypeKind;

typedef struct Type {
    TypeKind kind;
    Span span;
    const char *element; // f32, i32, bool, index, or NULL
    Expr *bound;         // index(bound)
    int dim_count;
    Expr **dim;          // an extent; a bare name binds or must agree; EXPR_NAME ".." stands for any axes (once)
} Type;

typedef struct Parameter { // of a fn, layer, optimizer, model
    const char *name;
    Span span;
    Type *type;          // NULL: from the default, else real
    Expr *default_value; // NULL: required
} Parameter;

typedef enum StmtKind {
    STMT_LET,     // name = value                      (value alone: name NULL, the block's result)
    STMT_INDEXED, // name[i, j: extent] = value
    STMT_NEXT,    // name' = value
    STMT_PARAM,   // param name: type ~ value
    STMT_STATE,   // state name: type = value
    STMT_IF,      // if condition { .. } else { .. }   condition: structural; in layers, train, ..
    STMT_USE,     // use name = Layer(args)
    STMT_INPUT,   // input name: type
    STMT_TARGET,  // target name: type
    STMT_OUTPUT, // output name, ..                    names: value is EXPR_LIST of names (or calls)
    STMT_LOSS,   // loss value
    STMT_METRIC, // metric value                      named by its call: accuracy; or metric name =
                 // value
    STMT_EACH,   // each name { statements }           data
    STMT_AUGMENT,  // augment name { statements }        data
    STMT_MINIMIZE, // minimize name over "pattern" with value { body }      train
    STMT_GROUP,    // group "pattern" { body }           train
    STMT_FREEZE,   // freeze "pattern"                   train
    STMT_BEST,     // best = lowest name                train; name: val.accuracy
    STMT_EXPECT,   // expect name < value               train
    STMT_LAST = STMT_EXPECT, // of all
} StmtKind;

typedef struct Stmt {
    StmtKind kind;
    Span span;      // the whole statement
    Span name_span;
    const char *name;
    int index_count;
    IndexName *index;  // INDEXED
    Type *type;        // PARAM, STATE (may be NULL), INPUT, TARGET
    Expr *value;       // PARAM: the initialiser; IF: the condition; MINIMIZE: the optimizer's call
    const char *unit;  // LET in train: of a number, 256 MB; or NULL
    Span unit_span;
    const char *pattern;
    const char *otherwise_text; // EXPECT: what to say if it is not met, or NULL
    const char *relation; // EXPECT: < <= > >=; BEST: lowest, highest, or NULL
    struct Stmt **body;
    int body_count;
    struct Stmt **otherwise; // IF
    int otherwise_count;
} Stmt;

typedef enum DeclKind { DECL_FN, DECL_LAYER, DECL_OPTIMIZER, DECL_MODEL, DECL_DATA, DECL_TRAIN } DeclKind;

typedef struct Decl {
    DeclKind kind;
    Span span, name_span; // span: of the head, "layer linear(..)"
    const char *name;     // DECL_TRAIN: the model's name
    const char *data_name; // DECL_TRAIN: after `on`
    Span data_name_span;
    Parameter *param;
    int param_count;
    Type *result;         // after ->, or NULL
    Stmt **body;
    int body_count;
    Stmt **derivative;    // fn .. derivative { .. }: body of the derivative, or NULL
    int derivative_count;
    bool surrogate;
    bool broken; // has a mistake in it: its name is all that is sure
} Decl;

typedef struct File {
    const Source *source;
    int version; // nnd 1
    Decl **decl;
    int decl_count;
    bool broken; // has mistakes
    bool lost;   // has some that leave open what the file declares: nothing to elaborate
} File;

// Never NULL; what could be read is there even after errors, which are in `diag`.
File *nnd_parse(Arena *arena, const Source *source, Diag *diag);
void ast_print_signature(Buf *out, const Decl *decl); // conv1d(x: [N, C, L], units: int, ..)
void ast_print(Buf *out, const File *file); // canonical text; parses back to an equal tree

#endif
