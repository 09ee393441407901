// SPDX-License-Identifier: MIT
// Statements and blocks.
//
//     y[.., o] = sum[i] x[.., i] * weight[o, i]        STMT_INDEXED
//     param weight: [units, I] ~ uniform(-1, 1)        STMT_PARAM
//
// The words that begin a statement are no reserved words: `loss = x` defines a value of that name.
// They count where what follows could not go on an expression.
#include "nnd/parse.h"

#include <string.h>

enum { MAX_NESTING = 100 };

static Expr *parse_value(Parser *p) { return expr_parse(p->arena, p->lexer, p->diag); }

static bool take_stmt_name(Parser *p, Stmt *stmt, const char *what) {
    const Token *name = parse_name(p, what);
    if (!name) return false;
    stmt->name = name->text;
    stmt->name_span = name->span;
    return true;
}

static bool parse_stmt_type(Parser *p, Stmt *stmt) {
    return lexer_expect(p->lexer, ":", "and a type after the name") && (stmt->type = parse_type(p));
}

static bool parse_body(Parser *p, Stmt *stmt, Place place, const char *where) {
    Block block;
    bool sound = parse_block(p, place, where, &block);
    stmt->body = block.stmt;
    stmt->body_count = block.count;
    return sound;
}

// --- One function for each statement that a word begins, called when the word was read

static bool take_tilde(Parser *p) {
    if (lexer_expect(p->lexer, "~", "and how the parameter is initialised")) return true;
    diag_hint(p->diag,
              "param w: [I] ~ normal(std = 0.1) begins with random numbers, ~ 0 with zeros");
    return false;
}

// param = "param" NAME ":" type "~" expr
static bool parse_param(Parser *p, Stmt *stmt) {
    return take_stmt_name(p, stmt, "the name of the parameter") && parse_stmt_type(p, stmt) &&
           take_tilde(p) && (stmt->value = parse_value(p));
}

// state = "state" NAME [ ":" type ] "=" expr
static bool parse_state(Parser *p, Stmt *stmt) {
    if (!take_stmt_name(p, stmt, "the name of the state")) return false;
    if (lexer_is(p->lexer, ":") && !parse_stmt_type(p, stmt)) return false;
    return lexer_expect(p->lexer, "=", "and the state's first value") &&
           (stmt->value = parse_value(p));
}

// use = "use" NAME "=" expr
static bool parse_use(Parser *p, Stmt *stmt) {
    return take_stmt_name(p, stmt, "a name for the layer") &&
           lexer_expect(p->lexer, "=", "and the layer after the name") &&
           (stmt->value = parse_value(p));
}

// input = "input" NAME ":" type
// target = "target" NAME ":" type
static bool parse_column(Parser *p, Stmt *stmt) {
    return take_stmt_name(p, stmt, "the name of a column of the data") && parse_stmt_type(p, stmt);
}

// output = "output" expr { "," expr }
static bool parse_output(Parser *p, Stmt *stmt) {
    VEC(Expr *) items = {0};
    Expr *list = ARENA_NEW(p->arena, Expr);
    Span start = lexer_peek(p->lexer)->span;
    do {
        Expr *item = parse_value(p);
        if (!item) return false;
        VEC_PUSH(p->arena, items, item);
        if (item->height >= list->height) list->height = item->height + 1;
    } while (lexer_take(p->lexer, ","));
    list->kind = EXPR_LIST;
    list->in = items.at;
    list->in_count = items.count;
    list->span = parser_span_since(p, start);
    stmt->value = list;
    return true;
}

// loss = "loss" expr
static bool parse_loss(Parser *p, Stmt *stmt) { return (stmt->value = parse_value(p)) != NULL; }

static bool second_is(Parser *p, const char *punct) {
    const Token *token = lexer_peek_second(p->lexer);
    return token->kind == TOKEN_PUNCT && strcmp(token->text, punct) == 0;
}

// metric = "metric" [ NAME "=" ] expr
static bool parse_metric(Parser *p, Stmt *stmt) {
    if (second_is(p, "=")) {
        if (!take_stmt_name(p, stmt, "the name of the metric")) return false;
        lexer_next(p->lexer);
    }
    return (stmt->value = parse_value(p)) != NULL;
}

// each = "each" NAME block
// augment = "augment" NAME block
static bool parse_each(Parser *p, Stmt *stmt) {
    return take_stmt_name(p, stmt, "the name of a column of the data") &&
           parse_body(p, stmt, PLACE_STEPS, "after the column");
}

static bool parse_string(Parser *p, const char **text, const char *what) {
    if (lexer_peek(p->lexer)->kind != TOKEN_STRING) {
        lexer_unexpected(p->lexer, what);
        return false;
    }
    *text = lexer_next(p->lexer)->text;
    return true;
}

static bool parse_pattern(Parser *p, Stmt *stmt) {
    return parse_string(p, &stmt->pattern, "a pattern of parameter names, as in \"*.bias\"");
}

// minimize = "minimize" NAME "over" STRING "with" expr [ block ]
static bool parse_minimize(Parser *p, Stmt *stmt) {
    if (!take_stmt_name(p, stmt, "the name of a loss") ||
        !lexer_expect(p->lexer, "over", "and a pattern after the loss") ||
        !parse_pattern(p, stmt) ||
        !lexer_expect(p->lexer, "with", "and an optimizer after the pattern") ||
        !(stmt->value = parse_value(p)))
        return false;
    return !lexer_is(p->lexer, "{") || parse_body(p, stmt, PLACE_SETTINGS, "after the optimizer");
}

// group = "group" STRING block
static bool parse_group(Parser *p, Stmt *stmt) {
    return parse_pattern(p, stmt) && parse_body(p, stmt, PLACE_SETTINGS, "after the pattern");
}

// freeze = "freeze" STRING
static bool parse_freeze(Parser *p, Stmt *stmt) { return parse_pattern(p, stmt); }

// score = NAME "." NAME                           # without blanks
static bool parse_score(Parser *p, Stmt *stmt) {
    const Token *split = parse_name(p, "a score, as val.accuracy");
    if (!split || !lexer_expect(p->lexer, ".", "and a loss or metric, as in val.accuracy"))
        return false;
    const Token *name = parse_name(p, "the name of a loss or metric");
    if (!name) return false;
    stmt->name = arena_printf(p->arena, "%s.%s", split->text, name->text);
    stmt->name_span = span_join(split->span, name->span);
    return true;
}

static const char *take_any(Parser *p, const char *const *words, int count) {
    for (int i = 0; i < count; i++)
        if (lexer_take(p->lexer, words[i])) return words[i];
    return NULL;
}

// best = "best" "=" [ "lowest" | "highest" ] score
static bool parse_best(Parser *p, Stmt *stmt) {
    static const char *const words[] = {"lowest", "highest"};
    lexer_next(p->lexer);
    stmt->relation = take_any(p, words, 2);
    return parse_score(p, stmt);
}

// expect = "expect" score ( "<" | "<=" | ">" | ">=" ) expr [ "else" STRING ]
static bool parse_expect(Parser *p, Stmt *stmt) {
    static const char *const relations[] = {"<", "<=", ">", ">="};
    if (!parse_score(p, stmt)) return false;
    stmt->relation = take_any(p, relations, 4);
    if (!stmt->relation) lexer_unexpected(p->lexer, "<, <=, > or >= after the score");
    if (!stmt->relation || !(stmt->value = parse_value(p))) return false;
    return !lexer_take(p->lexer, "else") ||
           parse_string(p, &stmt->otherwise_text, "what is said if it is not met, in quotes");
}

#define IN(place) (1u << PLACE_##place)
static const struct Keyword {
    const char *word;
    StmtKind kind;
    unsigned places;
    const char *belongs; // in words
    bool (*parse)(Parser *, Stmt *);
} keywords[] = {
    {"param", STMT_PARAM, IN(LAYER) | IN(MODEL), "a layer or a model", parse_param},
    {"state", STMT_STATE, IN(LAYER) | IN(MODEL) | IN(OPTIMIZER), "a layer, a model or an optimizer",
     parse_state},
    {"use", STMT_USE, IN(LAYER) | IN(MODEL), "a layer or a model", parse_use},
    {"input", STMT_INPUT, IN(MODEL), "a model", parse_column},
    {"target", STMT_TARGET, IN(MODEL), "a model", parse_column},
    {"output", STMT_OUTPUT, IN(MODEL), "a model", parse_output},
    {"loss", STMT_LOSS, IN(MODEL), "a model", parse_loss},
    {"metric", STMT_METRIC, IN(MODEL), "a model", parse_metric},
    {"each", STMT_EACH, IN(DATA), "a data block", parse_each},
    {"augment", STMT_AUGMENT, IN(DATA), "a data block", parse_each},
    {"minimize", STMT_MINIMIZE, IN(TRAIN), "a train block", parse_minimize},
    {"group", STMT_GROUP, IN(TRAIN), "a train block", parse_group},
    {"freeze", STMT_FREEZE, IN(TRAIN), "a train block", parse_freeze},
    {"best", STMT_BEST, IN(TRAIN), "a train block", parse_best},
    {"expect", STMT_EXPECT, IN(TRAIN), "a train block", parse_expect},
};

// Does a word that begins a statement do so here? A name or a string behind it cannot go on an
// expression; behind the words that a value follows, in a model, nothing else makes sense.
static bool begins_keyword(Parser *p, const struct Keyword *keyword) {
    const Token *second = lexer_peek_second(p->lexer);
    bool before_value =
        keyword->kind == STMT_OUTPUT || keyword->kind == STMT_LOSS || keyword->kind == STMT_METRIC;
    if (!lexer_is(p->lexer, keyword->word)) return false;
    if (keyword->kind == STMT_BEST) return p->place == PLACE_TRAIN && second_is(p, "=");
    if (before_value && p->place == PLACE_MODEL) return !second_is(p, "=") && !second_is(p, "'");
    return second->kind == TOKEN_STRING ||
           (second->kind == TOKEN_NAME && !name_is_reserved(second->text));
}

static const struct Keyword *find_keyword(Parser *p) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (begins_keyword(p, &keywords[i])) return &keywords[i];
    return NULL;
}

static bool parse_keyword(Parser *p, const struct Keyword *keyword, Stmt *stmt) {
    const Token *token = lexer_next(p->lexer);
    stmt->kind = keyword->kind;
    if (!(keyword->places & 1u << p->place))
        diag_error(p->diag, token->span, "'%s' belongs in %s", keyword->word, keyword->belongs);
    return keyword->parse(p, stmt);
}

// --- The others

static bool parse_if(Parser *p, Stmt *stmt);

// otherwise = "else" ( if | block )
static bool parse_otherwise(Parser *p, Stmt *stmt) {
    Block block = {0};
    bool sound;
    if (lexer_is(p->lexer, "if")) {
        Stmt *other = ARENA_NEW(p->arena, Stmt);
        sound = parse_if(p, other);
        block.stmt = ARENA_ARRAY(p->arena, Stmt *, 1);
        block.stmt[block.count++] = other;
        if (sound && other->kind != STMT_IF) {
            diag_error(p->diag, other->span, "'else' of a statement wants a block: { .. }");
            return false;
        }
    } else {
        sound = parse_block(p, p->place, "after 'else'", &block);
    }
    stmt->otherwise = block.stmt;
    stmt->otherwise_count = block.count;
    return sound;
}

static bool parse_if_branches(Parser *p, Stmt *stmt) {
    stmt->kind = STMT_IF;
    if (!parse_body(p, stmt, p->place, "after the condition")) return false;
    return !lexer_take(p->lexer, "else") || parse_otherwise(p, stmt);
}

// if = "if" expr block [ otherwise ]             # or it turns out to be an expression
static bool parse_if(Parser *p, Stmt *stmt) {
    Span start = lexer_next(p->lexer)->span;
    if (p->nesting >= MAX_NESTING) {
        diag_error(p->diag, start, "more than %d blocks in one another", MAX_NESTING);
        return false;
    }
    p->nesting++;
    stmt->value = parse_value(p);
    bool sound = stmt->value != NULL;
    if (sound && lexer_is(p->lexer, "then")) {
        stmt->value = expr_parse_then(p->arena, p->lexer, p->diag, start, stmt->value);
        sound = stmt->value != NULL;
    } else if (sound) {
        sound = parse_if_branches(p, stmt);
    }
    stmt->span = parser_span_since(p, start);
    p->nesting--;
    return sound;
}

// indexed = NAME indices "=" expr
static bool parse_indexed(Parser *p, Stmt *stmt) {
    stmt->kind = STMT_INDEXED;
    return take_stmt_name(p, stmt, "a name") &&
           expr_parse_indices(p->arena, p->lexer, p->diag, true, &stmt->index,
                              &stmt->index_count) &&
           lexer_expect(p->lexer, "=", "after the indices") && (stmt->value = parse_value(p));
}

static bool begins_indexed(Parser *p) {
    const Token *token = lexer_peek(p->lexer), *behind = lexer_peek_past_brackets(p->lexer);
    return token->kind == TOKEN_NAME && !name_is_reserved(token->text) && second_is(p, "[") &&
           behind->kind == TOKEN_PUNCT && strcmp(behind->text, "=") == 0;
}

// The unit of a number in a train block: a word that does not begin the next statement.
static void take_unit(Parser *p, Stmt *stmt) {
    const Token *unit = lexer_peek(p->lexer);
    const Expr *value = stmt->value->kind == EXPR_UNARY ? stmt->value->in[0] : stmt->value;
    if (p->place != PLACE_TRAIN || value->kind != EXPR_NUMBER || unit->kind != TOKEN_NAME ||
        second_is(p, "="))
        return;
    stmt->unit = unit->text;
    stmt->unit_span = unit->span;
    lexer_next(p->lexer);
}

// let = NAME "=" expr [ NAME ]                   # in train, a number with a unit: 256 MB
// next = NAME "'" "=" expr
// result = expr
static bool parse_plain(Parser *p, Stmt *stmt) {
    Expr *left = parse_value(p);
    stmt->kind = STMT_LET;
    stmt->value = left;
    if (!left || !lexer_is(p->lexer, "=")) return left != NULL;
    if (left->kind != EXPR_NAME && left->kind != EXPR_PRIME) {
        diag_error(p->diag, left->span,
                   "only a name, name' or name[indices] can stand to the left of '='");
        if (left->kind == EXPR_INDEX && left->in[0]->kind == EXPR_PRIME)
            diag_hint(p->diag, "a state's next value is given whole: %s' = ..", left->in[0]->text);
        return false;
    }
    lexer_next(p->lexer);
    stmt->kind = left->kind == EXPR_PRIME ? STMT_NEXT : STMT_LET;
    stmt->name = left->text;
    stmt->name_span = left->span;
    if (stmt->kind == STMT_NEXT && (p->place == PLACE_FN || p->place >= PLACE_DATA)) {
        diag_error(p->diag, left->span, "a next value belongs in a layer, a model or an optimizer");
        diag_hint(p->diag, "the prime behind a name stands for a state's next value");
    }
    if (!(stmt->value = parse_value(p))) return false;
    take_unit(p, stmt);
    return true;
}

// An operator at the end of a line takes in the next one, which may not be meant so: 90%
static void report_no_end(Parser *p, Span start) {
    Span found = lexer_peek(p->lexer)->span;
    int errors = diag_error_count(p->diag);
    bool is_comma = lexer_is(p->lexer, ","), is_colon = lexer_is(p->lexer, ":");
    lexer_unexpected(p->lexer, "the end of the statement");
    if (diag_error_count(p->diag) > errors && is_comma)
        diag_hint(p->diag, "statements stand on lines of their own, or with ; between them");
    else if (diag_error_count(p->diag) > errors && is_colon && p->place >= PLACE_DATA)
        diag_hint(p->diag, "a key is given its value by =");
    else if (diag_error_count(p->diag) > errors && is_colon && p->place != PLACE_FN)
        diag_hint(p->diag,
                  "a parameter is declared by param w: [I] ~ 0, a column by input x: f32[N, I]");
    if (diag_error_count(p->diag) > errors && span_line(start) != span_line(found))
        diag_note(p->diag, start, "the statement begins here, and its lines go on");
    else if (diag_error_count(p->diag) > errors && lexer_peek(p->lexer)->kind == TOKEN_NAME)
        diag_hint(p->diag, "a statement ends with its line, or at ;");
}

// statement = let | indexed | next | result | if | param | state | use | input | target
//           | output | loss | metric | each | augment | minimize | group | freeze
//           | best | expect
static Stmt *parse_statement(Parser *p) {
    Stmt *stmt = ARENA_NEW(p->arena, Stmt);
    Span start = lexer_peek(p->lexer)->span;
    const struct Keyword *keyword = find_keyword(p);
    bool sound = keyword                    ? parse_keyword(p, keyword, stmt)
                 : lexer_is(p->lexer, "if") ? parse_if(p, stmt)
                 : begins_indexed(p)        ? parse_indexed(p, stmt)
                                            : parse_plain(p, stmt);
    stmt->span = parser_span_since(p, start);
    const Token *next = lexer_peek(p->lexer);
    if (sound && next->kind != TOKEN_NEWLINE && next->kind != TOKEN_END &&
        !lexer_is(p->lexer, "}")) {
        report_no_end(p, start);
        sound = false;
    }
    return sound ? stmt : NULL;
}

// `y = x` and `- z` on the next line are two statements, and are hardly meant so.
static bool begins_with_operator(Parser *p) {
    static const char *const operators[] = {"-", "+", "*", "/"};
    const char *found = NULL;
    for (int i = 0; i < 4; i++)
        if (lexer_is(p->lexer, operators[i])) found = operators[i];
    if (!found) return false;
    diag_error(p->diag, lexer_peek(p->lexer)->span,
               "a line that begins with '%s' does not go on with the one before", found);
    diag_hint(p->diag,
              *found == '-' ? "end that line with the '-'; a negative result is written (-x)"
                            : "end that line with the '%s'",
              found);
    return true;
}

// Of the statements of a block the last one may be nothing but a value; steps are calls.
static void check_result(Parser *p, const Stmt *before) {
    if (before->kind != STMT_LET || before->name || p->place == PLACE_STEPS) return;
    diag_error(p->diag, before->span, "nothing uses this value: the result of a block comes last");
}

// What is between the braces; false where the closing one is missing.
static bool parse_statements(Parser *p, Block *block) {
    VEC(Stmt *) list = {0};
    lexer_skip_newlines(p->lexer);
    while (!lexer_is(p->lexer, "}")) {
        if (lexer_peek(p->lexer)->kind == TOKEN_END || begins_declaration(p) || parser_gave_up(p))
            return false;
        if (list.count > 0) check_result(p, list.at[list.count - 1]);
        Stmt *stmt = list.count > 0 && begins_with_operator(p) ? NULL : parse_statement(p);
        if (stmt)
            VEC_PUSH(p->arena, list, stmt);
        else
            lexer_skip_statement(p->lexer);
        block->stmt = list.at;
        block->count = list.count;
        lexer_skip_newlines(p->lexer);
    }
    lexer_next(p->lexer);
    return true;
}

// A bad token may have swallowed the brace: then it is not looked for.
static void report_open_brace(Parser *p, Span open) {
    const Token *next = lexer_peek(p->lexer);
    diag_error(p->diag, open, "this '{' is never closed");
    if (next->kind != TOKEN_END) diag_note(p->diag, next->span, "a '}' is missing before this");
}

// block = "{" { NEWLINE } [ statement { NEWLINE { NEWLINE } statement } ] { NEWLINE } "}"
bool parse_block(Parser *p, Place place, const char *where, Block *block) {
    *block = (Block){0};
    Span open = lexer_peek(p->lexer)->span;
    if (p->nesting >= MAX_NESTING) {
        diag_error(p->diag, open, "more than %d blocks in one another", MAX_NESTING);
        return false;
    }
    if (!lexer_expect(p->lexer, "{", where)) return false;
    Place outer = p->place;
    p->place = place;
    p->nesting++;
    bool closed = parse_statements(p, block);
    p->nesting--;
    p->place = outer;
    if (!closed && !parser_gave_up(p) && !p->has_bad_tokens) report_open_brace(p, open);
    return closed;
}
