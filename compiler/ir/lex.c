// SPDX-License-Identifier: MIT
// The lexer of expressions, of the language and of the graph's text form.
//
//     y = x            NAME y, PUNCT =, NAME x, PUNCT |>, NAME relu, NEWLINE, END
//       |> relu
//
// lexer_new scans the whole text into an array; which of the line breaks are NEWLINE tokens is
// decided when they are read, because that depends on the brackets that are open. Hostile input
// costs memory in proportion to its size and no more: tokens have a greatest length, and a text
// that is no text ends the scan after a few errors.
#include "ir/expr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_SOURCE = 64 << 20, // bytes
    MAX_NAME = 255,
    MAX_NUMBER = 63,
    MAX_STRING = 4095,
    MAX_SCAN_ERRORS = 20, // then the rest of the text is not looked at
};

typedef struct Scanned {
    Token token;
    bool first;      // on its line
    unsigned column; // from 0
} Scanned;

struct Lexer {
    Arena *arena;
    const Source *source;
    Diag *diag;
    VEC(Scanned) token; // the last one is END
    int at;             // the next token
    int open;           // ( and [ that are open there
    bool past_break;    // the NEWLINE before it was read
    int statement;      // where the statement began
    Token newline[2];   // what peek, and peek_second, return for a line break
};

// --- Scanning

typedef struct Scanner {
    Lexer *lexer;
    const char *text;
    unsigned at, end, line_start;
    bool first;
    int errors;
} Scanner;

// Every operator and bracket; a longer one before its beginnings.
static const char *const punctuation[] = {
    "//", "|>", "==", "!=", "<=", ">=", "->", "..", "+", "-", "*", "/", "%", "^",
    "<",  ">",  "=",  "~",  ",",  ":",  ";",  "'",  "(", ")", "[", "]", "{", "}",
};

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static char char_at(const Scanner *s, unsigned offset) {
    return offset < s->end ? s->text[offset] : '\0';
}

static Token *push_token(Scanner *s, TokenKind kind, unsigned start) {
    Lexer *l = s->lexer;
    VEC_PUSH(l->arena, l->token, ((Scanned){.first = s->first, .column = start - s->line_start}));
    Token *token = &l->token.at[l->token.count - 1].token;
    token->kind = kind;
    token->text = "";
    token->span = (Span){l->source, start, s->at};
    s->first = false;
    return token;
}

static Span span_from(const Scanner *s, unsigned start) {
    return (Span){s->lexer->source, start, s->at};
}

// The token that stands where an error was reported.
static void push_error(Scanner *s, unsigned start) {
    push_token(s, TOKEN_ERROR, start);
    s->errors++;
}

static void scan_name(Scanner *s) {
    unsigned start = s->at;
    while (is_letter(char_at(s, s->at)) || is_digit(char_at(s, s->at)))
        s->at++;
    if (s->at - start > MAX_NAME) {
        diag_error(s->lexer->diag, span_from(s, start), "a name of more than %d characters",
                   MAX_NAME);
        push_error(s, start);
        return;
    }
    Token *token = push_token(s, TOKEN_NAME, start);
    token->length = s->at - start;
    token->text = arena_strndup(s->lexer->arena, s->text + start, token->length);
}

static void skip_digits(Scanner *s) {
    while (is_digit(char_at(s, s->at)))
        s->at++;
}

// number = digits [ "." digits ] [ ("e" | "E") [ "+" | "-" ] digits ]
// False where it was an integer, without point and exponent.
static bool skip_number(Scanner *s) {
    bool is_real = false;
    skip_digits(s);
    if (char_at(s, s->at) == '.' && is_digit(char_at(s, s->at + 1))) {
        is_real = true;
        s->at++;
        skip_digits(s);
    }
    if (char_at(s, s->at) == 'e' || char_at(s, s->at) == 'E') {
        char next = char_at(s, s->at + 1);
        unsigned digits = s->at + (next == '+' || next == '-' ? 2 : 1);
        if (is_digit(char_at(s, digits))) {
            is_real = true;
            s->at = digits;
            skip_digits(s);
        }
    }
    return is_real;
}

// What is wrong with the number that begins at `start`, or NULL.
static const char *number_value(const Scanner *s, unsigned start, bool is_integer, double *value) {
    char copy[MAX_NUMBER + 1] = {0};
    unsigned length = s->at - start;
    if (length > MAX_NUMBER) return "a number of more than 63 digits";
    memcpy(copy, s->text + start, length);
    *value = strtod(copy, NULL);
    if (isinf(*value)) return "a number too large for double precision";
    // An integer has to be just what it says: up to 2^53, and some beyond that are printed so.
    const double limit = 0x1p63;
    if (is_integer && (*value >= limit || (uint64_t)*value != strtoull(copy, NULL, 10)))
        return "an integer too large to be exact";
    return NULL;
}

static void scan_number(Scanner *s) {
    unsigned start = s->at;
    bool is_integer = !skip_number(s);
    double value = 0;
    const char *wrong = number_value(s, start, is_integer, &value);
    unsigned length = s->at - start;
    if (is_letter(char_at(s, s->at))) {
        while (is_letter(char_at(s, s->at)) || is_digit(char_at(s, s->at)))
            s->at++;
        wrong = "a number runs into letters: there are no suffixes and no _ in it";
    }
    if (wrong) {
        diag_error(s->lexer->diag, span_from(s, start), "%s", wrong);
        push_error(s, start);
        return;
    }
    Token *token = push_token(s, TOKEN_NUMBER, start);
    token->number = value;
    token->is_integer = is_integer;
    token->length = length;
    token->text = arena_strndup(s->lexer->arena, s->text + start, length);
}

static char unescape(char c) {
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '"':
    case '\\':
        return c;
    }
    return '\0';
}

// To behind the closing quote, or to the end of the line where there is none.
// Returns what is wrong with the string, or NULL.
static const char *skip_string(Scanner *s, char *out, size_t *length) {
    const char *wrong = NULL;
    for (s->at++; s->at < s->end; s->at++) {
        char c = s->text[s->at];
        if (c == '\n' || c == '\r') break;
        if (c == '"') {
            s->at++;
            return wrong;
        }
        if (c == '\\') {
            c = unescape(char_at(s, s->at + 1));
            if (c)
                s->at++;
            else
                wrong = "an unknown escape in a string: there are \\n \\t \\\" \\\\; "
                        "folders are written with /";
        } else if ((unsigned char)c < 32 || c == 127) {
            wrong = "a control character in a string";
        }
        if (*length < MAX_STRING)
            out[(*length)++] = c;
        else
            wrong = "a string of more than 4095 bytes";
    }
    return "a string without closing quote: it ends on its line";
}

static void scan_string(Scanner *s) {
    unsigned start = s->at;
    char text[MAX_STRING];
    size_t length = 0;
    const char *wrong = skip_string(s, text, &length);
    if (wrong) {
        diag_error(s->lexer->diag, span_from(s, start), "%s", wrong);
        push_error(s, start);
        return;
    }
    Token *token = push_token(s, TOKEN_STRING, start);
    token->length = length;
    token->text = arena_strndup(s->lexer->arena, text, length);
}

static bool scan_punctuation(Scanner *s) {
    for (size_t i = 0; i < sizeof punctuation / sizeof *punctuation; i++) {
        size_t length = strlen(punctuation[i]);
        if (length > s->end - s->at || memcmp(s->text + s->at, punctuation[i], length) != 0)
            continue;
        unsigned start = s->at;
        s->at += (unsigned)length;
        Token *token = push_token(s, TOKEN_PUNCT, start);
        token->text = punctuation[i];
        token->length = length;
        return true;
    }
    return false;
}

// A point joins two names, without blanks: val.accuracy. Elsewhere there is none.
static bool scan_point(Scanner *s) {
    unsigned start = s->at;
    const Lexer *lexer = s->lexer;
    const Token *last = lexer->token.count ? &lexer->token.at[lexer->token.count - 1].token : NULL;
    if (s->text[start] != '.' || !is_letter(char_at(s, start + 1)) || !last ||
        last->kind != TOKEN_NAME || last->span.end != start)
        return false;
    s->at++;
    Token *token = push_token(s, TOKEN_PUNCT, start);
    token->text = ".";
    token->length = 1;
    return true;
}

// What other languages write, and word processors make of what was typed. Longer ones first.
static const struct {
    const char *text, *hint;
} foreign[] = {
    {"&&", "the logical operators are: and, or, not"},
    {"||", "the logical operators are: and, or, not"},
    {"&", "the logical operators are: and, or, not"},
    {"|", "a pipe is written |>, and the logical operators are: and, or, not"},
    {"!", "negation is written: not x"},
    {"@", "a product of matrices: y[i, j] = sum[k] a[i, k] * b[k, j]"},
    {".", "a number has digits on both sides of its point, 0.5; x |> f calls f(x)"},
    {"\u2018", "a string stands in straight double quotes: \"folder\""},
    {"\u2019", "a string stands in straight double quotes: \"folder\""},
    {"\u201c", "a string stands in straight double quotes: \"folder\""},
    {"\u201d", "a string stands in straight double quotes: \"folder\""},
    {"\u201e", "a string stands in straight double quotes: \"folder\""},
    {"\u00d7", "a product is written a * b"},
    {"\u00b7", "a product is written a * b"},
    {"\u00f7", "a quotient is written a / b"},
    {"\u2212", "this is no minus of ASCII: type - again"},
    {"\u2013", "this is no minus of ASCII: type - again"},
    {"\u2014", "this is no minus of ASCII: type - again"},
    {"\u2264", "it is written <="},
    {"\u2265", "it is written >="},
    {"\u2260", "it is written !="},
    {"\u00b2", "a square is written x ^ 2"},
    {"\u2192", "an arrow is written ->, a pipe |>"},
    {"\u00a0", "this blank is no ASCII one: type it again"},
};
enum { FOREIGN = sizeof foreign / sizeof *foreign };

static int find_foreign(const Scanner *s) {
    for (int i = 0; i < FOREIGN; i++) {
        size_t length = strlen(foreign[i].text);
        if (length <= s->end - s->at && !memcmp(s->text + s->at, foreign[i].text, length)) return i;
    }
    return -1;
}

static size_t char_length(const Scanner *s, unsigned at) {
    return utf8_length(s->text + at, s->end - at);
}

// A run of letters of another alphabet is one error, and so is one of bytes that are no text.
static void scan_beyond_ascii(Scanner *s) {
    unsigned start = s->at;
    Diag *diag = s->lexer->diag;
    bool is_text = char_length(s, start) > 0;
    while (s->at < s->end && (s->text[s->at] & 0x80) && (char_length(s, s->at) > 0) == is_text &&
           (s->at == start || find_foreign(s) < 0))
        s->at += is_text ? (unsigned)char_length(s, s->at) : 1;
    if (is_text) {
        diag_error(diag, span_from(s, start), "an unexpected '%.*s'", (int)(s->at - start),
                   s->text + start);
        diag_hint(diag, "outside of strings and comments there are only ASCII letters, digits and "
                        "signs");
    } else {
        diag_error(diag, span_from(s, start), "byte 0x%02x: this is no text in UTF-8",
                   (unsigned char)s->text[start]);
        diag_hint(diag, "save the file as UTF-8; names are of ASCII letters");
    }
}

static void scan_unknown(Scanner *s) {
    unsigned start = s->at;
    char c = s->text[start];
    int known = find_foreign(s);
    Diag *diag = s->lexer->diag;
    if (known >= 0) {
        s->at += (unsigned)strlen(foreign[known].text);
        diag_error(diag, span_from(s, start), "an unexpected '%s'", foreign[known].text);
        diag_hint(diag, "%s", foreign[known].hint);
    } else if (c & 0x80) {
        scan_beyond_ascii(s);
    } else {
        s->at++;
        bool control = c < 32 || c == 127;
        diag_error(diag, span_from(s, start),
                   control ? "an unexpected control character, 0x%02x" : "an unexpected '%c'", c);
    }
    push_error(s, start);
}

static void scan_token(Scanner *s) {
    char c = s->text[s->at];
    if (c == '\n') {
        s->at++;
        s->line_start = s->at;
        s->first = true;
    } else if (c == ' ' || c == '\t' || c == '\r') {
        s->at++;
    } else if (c == '#') {
        while (s->at < s->end && s->text[s->at] != '\n')
            s->at++;
    } else if (is_letter(c)) {
        scan_name(s);
    } else if (is_digit(c)) {
        scan_number(s);
    } else if (c == '"') {
        scan_string(s);
    } else if (!scan_punctuation(s) && !scan_point(s)) {
        scan_unknown(s);
    }
}

Lexer *lexer_new(Arena *arena, const Source *source, Diag *diag) {
    Lexer *lexer = ARENA_NEW(arena, Lexer);
    lexer->arena = arena;
    lexer->source = source;
    lexer->diag = diag;
    Scanner s = {.lexer = lexer, .text = source->text, .first = true};
    if (source->length > MAX_SOURCE)
        diag_error(diag, (Span){source, 0, 0}, "a text of more than 64 MiB");
    else
        s.end = (unsigned)source->length;
    if (s.end >= 3 && memcmp(s.text, "\xef\xbb\xbf", 3) == 0) // a byte order mark
        s.at = s.line_start = 3;
    while (s.at < s.end && s.errors < MAX_SCAN_ERRORS)
        scan_token(&s);
    Token *end = push_token(&s, TOKEN_END, s.at);
    end->text = "the end of the file";
    return lexer;
}

// --- Reading

static bool token_is(const Token *token, const char *text) {
    return (token->kind == TOKEN_NAME || token->kind == TOKEN_PUNCT) &&
           strcmp(token->text, text) == 0;
}

static bool token_is_any(const Token *token, const char *const *texts) {
    for (; *texts; texts++)
        if (token_is(token, *texts)) return true;
    return false;
}

// Is there a line break before token `at` that ends a statement?
static bool ends_statement(const Lexer *lexer, int at, int open) {
    static const char *const goes_on[] = {
        "+",  "-", "*", "/", "//", "%",  "^",   "==", "!=",  "<",    "<=",   ">",  ">=",
        "|>", "=", "~", ",", ":",  "->", "and", "or", "not", "then", "else", NULL,
    };
    static const char *const goes_on_before[] = {"|>", "else", NULL};
    return at > 0 && lexer->token.at[at].first && open == 0 &&
           !token_is_any(&lexer->token.at[at - 1].token, goes_on) &&
           !token_is_any(&lexer->token.at[at].token, goes_on_before);
}

static int open_after(const Token *token, int open) {
    if (token_is(token, "(") || token_is(token, "[")) return open + 1;
    if (token_is(token, ")") || token_is(token, "]")) return open > 0 ? open - 1 : 0;
    // No brace stands inside of ( ) or [ ]: what is open there was left open by mistake.
    if (token_is(token, "{") || token_is(token, "}")) return 0;
    return open;
}

// Token `at` as a reader gets it; *is_break: it is the line break before it.
static const Token *token_at(Lexer *lexer, int at, int open, bool past_break, int slot,
                             bool *is_break) {
    Token *newline = &lexer->newline[slot];
    const Token *token = &lexer->token.at[at].token;
    *newline = (Token){.kind = TOKEN_NEWLINE, .text = "the end of the line", .span = token->span};
    *is_break = !past_break && ends_statement(lexer, at, open);
    if (*is_break) {
        unsigned end = lexer->token.at[at - 1].token.span.end;
        newline->span = (Span){lexer->source, end, end};
        return newline;
    }
    if (open == 0 && token_is(token, ";")) {
        newline->text = "';'";
        return newline;
    }
    return token;
}

const Token *lexer_peek(Lexer *lexer) {
    bool is_break;
    return token_at(lexer, lexer->at, lexer->open, lexer->past_break, 0, &is_break);
}

const Token *lexer_peek_second(Lexer *lexer) {
    bool is_break;
    const Token *token = token_at(lexer, lexer->at, lexer->open, lexer->past_break, 0, &is_break);
    if (is_break) return token_at(lexer, lexer->at, lexer->open, true, 1, &is_break);
    if (token->kind == TOKEN_END) return token;
    return token_at(lexer, lexer->at + 1, open_after(token, lexer->open), false, 1, &is_break);
}

const Token *lexer_next(Lexer *lexer) {
    bool is_break;
    const Token *token = token_at(lexer, lexer->at, lexer->open, lexer->past_break, 0, &is_break);
    if (token->kind == TOKEN_END) return token;
    lexer->past_break = is_break;
    if (!is_break) {
        lexer->open = open_after(token, lexer->open);
        lexer->at++;
    }
    if (token->kind == TOKEN_NEWLINE || token_is(token, "{") || token_is(token, "}"))
        lexer->statement = lexer->at;
    return token;
}

const Token *lexer_peek_past_brackets(Lexer *lexer) {
    int at = lexer->at, open = 0;
    for (; at < lexer->token.count - 1; at++) {
        const Token *token = &lexer->token.at[at].token;
        if (token_is(token, "{") || token_is(token, "}")) break;
        int before = open;
        open = open_after(token, open);
        if (before == 1 && open == 0) return &lexer->token.at[at + 1].token;
    }
    return &lexer->token.at[lexer->token.count - 1].token;
}

unsigned lexer_last_end(const Lexer *lexer) {
    return lexer->at > 0 ? lexer->token.at[lexer->at - 1].token.span.end : 0;
}

bool lexer_is(Lexer *lexer, const char *punct_or_name) {
    return token_is(lexer_peek(lexer), punct_or_name);
}

bool lexer_take(Lexer *lexer, const char *punct_or_name) {
    bool is = lexer_is(lexer, punct_or_name);
    if (is) lexer_next(lexer);
    return is;
}

// How it is written, by what was found and what stands before and behind it; NULL: anything.
static const struct {
    const char *before, *found, *behind, *hint;
} written[] = {
    {"%", NULL, NULL, "a part is written 0.1; x % y is the remainder"},
    {"*", "*", NULL, "a power is written x ^ 2"},
    {")", "(", NULL, "a name alone can be called: x |> linear(3); or use f = linear(3), and f(x)"},
    {"+", "=", NULL, "a name binds once: give the new value a name of its own"},
    {"-", "=", NULL, "a name binds once: give the new value a name of its own"},
    {"*", "=", NULL, "a name binds once: give the new value a name of its own"},
    {"/", "=", NULL, "a name binds once: give the new value a name of its own"},
    {NULL, "//", NULL, "a comment begins with #"},
    {NULL, "/", "*", "each line of a comment begins with #"},
    {NULL, "->", NULL, "a pipe is written |>"},
    {NULL, "|>", NULL, "to the left of |> stands what goes in: x |> relu"},
    {NULL, "'", NULL, "a string stands in double quotes; x' is the next value of a state"},
    {"int", "[", NULL, "labels are index(10)[N], a tensor of whole numbers is i32[N]"},
    {"real", "[", NULL, "a tensor of numbers is f32[N, 784]"},
    {"def", NULL, NULL, "a model is its statements; beside it stand fn f(x) { .. } and layer f(x) { .. }"},
    {"for", NULL, NULL, "index notation runs over axes; a layer that calls itself in an if, over layers"},
    {"self", ".", NULL, "there is no self: x |> linear(10) as fc makes a layer fc where it is applied"},
    {"nn", ".", NULL, "there are no modules: layers go by their names alone, x |> relu"},
    {"F", ".", NULL, "there are no modules: functions go by their names alone, x |> relu"},
    {"torch", ".", NULL, "there are no modules: functions go by their names alone, x |> relu"},
    {NULL, ".", "view", "x |> flatten keeps the examples, reshape(x, [N, 4, 8]) gives any shape"},
    {NULL, ".", "reshape", "functions stand before their arguments: reshape(x, [N, 4, 8])"},
    {NULL, ".", "shape", "size(x, 1) is an extent; a signature names them: x: [N, C, H, W]"},
    {NULL, ".", "size", "size(x, 1) is an extent; a signature names them: x: [N, C, H, W]"},
    {NULL, ".", "permute", "index notation changes the order of axes: y[n, j, i] = x[n, i, j]"},
    {NULL, ".", "transpose", "index notation changes the order of axes: y[n, j, i] = x[n, i, j]"},
    {NULL, ".", NULL, "x |> f(a) calls f; a point joins a split and its score, val.accuracy"},
    {"return", NULL, NULL, "the last statement of a block is its result: leave `return` out"},
};

static bool fits(const char *wanted, const Token *token) {
    return !wanted || (token && token_is(token, wanted));
}

static void hint_written(Lexer *lexer, const Token *found) {
    const Token *before = lexer->at > 0 ? &lexer->token.at[lexer->at - 1].token : NULL;
    const Token *behind = lexer_peek_second(lexer);
    if (found->kind == TOKEN_NAME && name_is_reserved(found->text) && !token_is(found, "if"))
        diag_hint(lexer->diag, "'%s' is a word of the language, and no name", found->text);
    else if (found->kind == TOKEN_NUMBER && before && before->kind == TOKEN_NAME &&
             !token_is(before, "return"))
        diag_hint(lexer->diag, "arguments stand in brackets: %s(%s)", before->text, found->text);
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        if (fits(written[i].before, before) && fits(written[i].found, found) &&
            fits(written[i].behind, behind)) {
            diag_hint(lexer->diag, "%s", written[i].hint);
            return;
        }
}

void lexer_unexpected(Lexer *lexer, const char *expected) {
    const Token *token = lexer_peek(lexer);
    switch (token->kind) {
    case TOKEN_ERROR:
        return;
    case TOKEN_END:
    case TOKEN_NEWLINE:
        diag_error(lexer->diag, token->span, "expected %s, found %s", expected, token->text);
        return;
    case TOKEN_STRING:
        diag_error(lexer->diag, token->span, "expected %s, found a string", expected);
        return;
    default:
        diag_error(lexer->diag, token->span, "expected %s, found '%s'", expected, token->text);
        hint_written(lexer, token);
    }
}

bool lexer_expect(Lexer *lexer, const char *punct_or_name, const char *where) {
    if (lexer_take(lexer, punct_or_name)) return true;
    lexer_unexpected(lexer, arena_printf(lexer->arena, "'%s' %s", punct_or_name, where));
    return false;
}

bool lexer_expect_close(Lexer *lexer, const char *close, Span open, const char *where) {
    int errors = diag_error_count(lexer->diag);
    Span found = lexer_peek(lexer)->span;
    if (lexer_expect(lexer, close, where)) return true;
    if (diag_error_count(lexer->diag) > errors && span_line(open) != span_line(found))
        diag_note(lexer->diag, open, "this bracket is open");
    return false;
}

// Is token `at` the first of a line that is indented no more than the statement that is being
// skipped? Then a bracket was left open there, and this is the next statement.
static bool begins_anew(const Lexer *lexer, int at) {
    static const char *const never[] = {")", "]", "}", "|>", "else", NULL};
    const Scanned *token = &lexer->token.at[at];
    return at > lexer->statement && token->first &&
           token->column <= lexer->token.at[lexer->statement].column &&
           !token_is_any(&token->token, never);
}

void lexer_skip_statement(Lexer *lexer) {
    int braces = 0;
    for (int from = lexer->at;; lexer->at++, lexer->past_break = false) {
        const Token *token = &lexer->token.at[lexer->at].token;
        bool moved = lexer->at > from || !lexer->past_break;
        if (token->kind == TOKEN_END || (braces == 0 && token_is(token, "}"))) break;
        if (begins_anew(lexer, lexer->at)) break;
        if (braces == 0 && moved && ends_statement(lexer, lexer->at, lexer->open)) break;
        if (braces == 0 && lexer->open == 0 && token_is(token, ";")) {
            lexer->at++;
            break;
        }
        lexer->open = open_after(token, lexer->open);
        braces += token_is(token, "{") - token_is(token, "}");
    }
    lexer->open = 0;
    lexer->past_break = true;
    lexer->statement = lexer->at;
}

void lexer_skip_newlines(Lexer *lexer) {
    while (lexer_peek(lexer)->kind == TOKEN_NEWLINE)
        lexer_next(lexer);
}
