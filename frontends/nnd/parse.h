// SPDX-License-Identifier: MIT
// Between the files of the parser: parse.c (declarations), parse_stmt.c, parse_type.c.
#ifndef NNC_NND_PARSE_H
#define NNC_NND_PARSE_H

#include "nnd/ast.h"

// Where a statement stands decides which statements may stand there.
typedef enum Place {
    PLACE_FN,
    PLACE_LAYER,
    PLACE_OPTIMIZER,
    PLACE_MODEL,
    PLACE_DATA,
    PLACE_TRAIN,
    PLACE_STEPS,    // of each and augment
    PLACE_SETTINGS, // of minimize and group
} Place;

typedef struct Parser {
    Arena *arena;
    Lexer *lexer;
    Diag *diag;
    Place place;
    int nesting;     // blocks and else-ifs that are open
    int error_limit;
    bool has_bad_tokens; // characters that are no tokens stand somewhere // at so many errors the rest of the file is left
} Parser;

typedef struct Block {
    Stmt **stmt;
    int count;
} Block;

bool parser_gave_up(const Parser *p);
Span parser_span_since(const Parser *p, Span start);
// A name that is not reserved, or NULL, reported as "expected WHAT".
const Token *parse_name(Parser *p, const char *what);
// Is here a declaration's keyword and its name? No statement begins like that.
bool begins_declaration(Parser *p);

// These return NULL, or false, after a mistake; whoever called skips to where the text makes sense
// again.
Type *parse_type(Parser *p);
bool parse_parameters(Parser *p, Parameter **param, int *count);
// Goes on at the next statement after a mistake. False where the block has no beginning or no end.
bool parse_block(Parser *p, Place place, const char *where, Block *block);

#endif
