// SPDX-License-Identifier: MIT
// A .nnd text to its tree: the file and its declarations.
//
//     File *file = nnd_parse(arena, source, diag);      // diag has all mistakes of the file
//
// After a mistake the parser goes on at the next statement or declaration. Nothing here knows what
// a name means: that is elaboration's.
#include "nnd/parse.h"
#include "nnc.h"

#include <ctype.h>
#include <string.h>

enum { MAX_ERRORS = 100 };

static const struct Head {
    const char *word;
    DeclKind kind;
    Place place;
} heads[] = {
    {"fn", DECL_FN, PLACE_FN},          {"layer", DECL_LAYER, PLACE_LAYER},
    {"model", DECL_MODEL, PLACE_MODEL}, {"optimizer", DECL_OPTIMIZER, PLACE_OPTIMIZER},
    {"data", DECL_DATA, PLACE_DATA},    {"train", DECL_TRAIN, PLACE_TRAIN},
};
enum { HEADS = sizeof heads / sizeof *heads };

bool parser_gave_up(const Parser *p) { return diag_error_count(p->diag) >= p->error_limit; }

Span parser_span_since(const Parser *p, Span start) {
    unsigned end = lexer_last_end(p->lexer);
    return (Span){start.source, start.start, end > start.start ? end : start.end};
}

const Token *parse_name(Parser *p, const char *what) {
    const Token *token = lexer_peek(p->lexer);
    if (token->kind == TOKEN_NAME && !name_is_reserved(token->text)) return lexer_next(p->lexer);
    lexer_unexpected(p->lexer, what);
    return NULL;
}

static const struct Head *find_head(Parser *p) {
    for (int i = 0; i < HEADS; i++)
        if (lexer_is(p->lexer, heads[i].word)) return &heads[i];
    return NULL;
}

bool begins_declaration(Parser *p) {
    const Token *second = lexer_peek_second(p->lexer);
    return find_head(p) && second->kind == TOKEN_NAME && !name_is_reserved(second->text);
}

// --- Heads, from behind their name

// signature = parameters [ "->" type ]
static bool parse_signature(Parser *p, Decl *decl) {
    if (!parse_parameters(p, &decl->param, &decl->param_count)) return false;
    return !lexer_take(p->lexer, "->") || (decl->result = parse_type(p));
}

// fn = "fn" NAME signature block [ derivative ]
// layer = "layer" NAME signature block
// model = "model" NAME [ parameters ] block
// optimizer = "optimizer" NAME [ parameters ] block
// data = "data" NAME block
// train = "train" NAME "on" NAME block
static bool parse_head(Parser *p, const struct Head *head, Decl *decl) {
    const Token *name = parse_name(p, arena_printf(p->arena, "a name after '%s'", head->word));
    if (!name) return false;
    decl->name = name->text;
    decl->name_span = name->span;
    switch (head->kind) {
    case DECL_FN:
    case DECL_LAYER:
        return parse_signature(p, decl);
    case DECL_MODEL:
    case DECL_OPTIMIZER:
        return !lexer_is(p->lexer, "(") || parse_parameters(p, &decl->param, &decl->param_count);
    case DECL_DATA:
        return true;
    case DECL_TRAIN:
        if (!lexer_expect(p->lexer, "on", "and the name of a data block after the model") ||
            !(name = parse_name(p, "the name of a data block after 'on'")))
            return false;
        decl->data_name = name->text;
        decl->data_name_span = name->span;
        return true;
    }
    return false;
}

// derivative = "derivative" [ "surrogate" ] block
static void parse_derivative(Parser *p, Decl *decl) {
    const Token *token = lexer_peek(p->lexer), *second = lexer_peek_second(p->lexer);
    bool on_next_line = token->kind == TOKEN_NEWLINE && second->kind == TOKEN_NAME &&
                        strcmp(second->text, "derivative") == 0;
    if (on_next_line) lexer_skip_newlines(p->lexer);
    if (!lexer_take(p->lexer, "derivative")) return;
    decl->surrogate = lexer_take(p->lexer, "surrogate");
    Block block;
    parse_block(p, PLACE_FN, "after 'derivative'", &block);
    decl->derivative = block.stmt ? block.stmt : ARENA_ARRAY(p->arena, Stmt *, 1);
    decl->derivative_count = block.count;
}

// To the block of a head with a mistake in it, or to the next declaration where it has none.
static bool skip_to_block(Parser *p) {
    while (!lexer_is(p->lexer, "{")) {
        if (lexer_peek(p->lexer)->kind == TOKEN_END || begins_declaration(p)) return false;
        lexer_next(p->lexer);
    }
    return true;
}

static bool parse_body(Parser *p, const struct Head *head, Decl *decl) {
    Block block;
    if (!parse_block(p, head->place, "after the head", &block)) return false;
    decl->body = block.stmt;
    decl->body_count = block.count;
    if (head->kind == DECL_FN) parse_derivative(p, decl);
    return true;
}

// NULL where not even its name can be read, or where it does not end.
static Decl *parse_declaration(Parser *p, const struct Head *head) {
    int errors = diag_error_count(p->diag);
    Decl *decl = ARENA_NEW(p->arena, Decl);
    Span start = lexer_next(p->lexer)->span;
    decl->kind = head->kind;
    bool sound = parse_head(p, head, decl);
    decl->span = parser_span_since(p, start);
    if (sound && !lexer_is(p->lexer, "{")) {
        lexer_unexpected(p->lexer, "'{' and the body after the head");
        if (lexer_is(p->lexer, ":")) diag_hint(p->diag, "a block stands in braces: { .. }");
        sound = false;
    }
    bool has_body = sound || skip_to_block(p);
    if (has_body && !parse_body(p, head, decl)) return NULL;
    decl->broken = diag_error_count(p->diag) > errors;
    if (!sound)
        *decl = (Decl){.kind = decl->kind,
                       .name = decl->name,
                       .broken = true,
                       .span = decl->span,
                       .name_span = decl->name_span};
    return decl->name ? decl : NULL;
}

// --- The file

// What declarations are called elsewhere.
static const char *hint_of_word(const char *word) {
    static const struct {
        const char *word, *hint;
    } words[] = {
        {"class", "a layer is declared by layer NAME(x: [N, I]) { .. }, a network by model"},
        {"def", "a function is declared by fn NAME(x) { .. }"},
        {"func", "a function is declared by fn NAME(x) { .. }"},
        {"function", "a function is declared by fn NAME(x) { .. }"},
        {"network", "a network is declared by model NAME { .. }"},
        {"dataset", "data are declared by data NAME { source = .. }"},
        {"import", "nothing is imported: all layers are there"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i].word, word)) return words[i].hint;
    return NULL;
}

static void report_no_declaration(Parser *p) {
    const char *names[HEADS];
    for (int i = 0; i < HEADS; i++)
        names[i] = heads[i].word;
    const Token *token = lexer_peek(p->lexer);
    const char *near = token->kind == TOKEN_NAME ? nnc_nearest(token->text, names, HEADS) : NULL;
    const char *other = token->kind == TOKEN_NAME ? hint_of_word(token->text) : NULL;
    int errors = diag_error_count(p->diag);
    bool binds = token->kind == TOKEN_NAME && lexer_peek_second(p->lexer)->kind == TOKEN_PUNCT &&
                 !strcmp(lexer_peek_second(p->lexer)->text, "=");
    bool closes = lexer_is(p->lexer, "}");
    lexer_unexpected(p->lexer, "a declaration (fn, layer, model, optimizer, data, train)");
    if (diag_error_count(p->diag) == errors) return; // of a bad token, which was reported
    if (other)
        diag_hint(p->diag, "%s", other);
    else if (near)
        diag_hint(p->diag, "did you mean '%s'?", near);
    else if (binds)
        diag_hint(p->diag, "a number of a model is its parameter: model Net(%s = ..) { .. }",
                  token->text);
    else if (closes)
        diag_hint(p->diag, "there is one '}' too many, here or before");
}

// To the next declaration, over whole blocks.
static void skip_to_declaration(Parser *p) {
    int braces = 0;
    bool line_begins = false; // what stands in the middle of a line was skipped for a reason
    while (lexer_peek(p->lexer)->kind != TOKEN_END) {
        if (line_begins && begins_declaration(p)) return;
        const Token *token = lexer_next(p->lexer);
        line_begins = token->kind == TOKEN_NEWLINE;
        if (token->kind == TOKEN_PUNCT && token->text[0] == '{') braces++;
        if (token->kind == TOKEN_PUNCT && token->text[0] == '}' && braces > 0 && --braces == 0)
            return;
    }
}

// Where what follows is no declaration either, it is not looked at: one message is enough.
static void report_no_version(Parser *p, Span span) {
    bool empty = lexer_peek(p->lexer)->kind == TOKEN_END;
    diag_error(p->diag, span, "the first line has to be: nnd 1");
    diag_hint(p->diag, empty ? "this file is empty: behind that line stands model NAME { .. }"
              : begins_declaration(p)
                  ? "it is the version of the language that the file is in"
                  : "it is the version of the language; is this a file of another kind?");
    if (!begins_declaration(p)) skip_to_declaration(p);
}

// version = "nnd" "1" NEWLINE
static int parse_version(Parser *p) {
    lexer_skip_newlines(p->lexer);
    const Token *token = lexer_peek_second(p->lexer);
    if (!lexer_is(p->lexer, "nnd") || token->kind != TOKEN_NUMBER) {
        Span span = lexer_peek(p->lexer)->span;
        if (lexer_peek(p->lexer)->kind != TOKEN_ERROR)
            report_no_version(p, span);
        return 0;
    }
    lexer_next(p->lexer);
    lexer_next(p->lexer);
    if (!token->is_integer || token->number != 1) {
        diag_error(p->diag, token->span, "version %s of the language: this nnc reads nnd 1",
                   token->text);
        diag_hint(p->diag, "nnc --version says how old it is; a newer one may read the file");
        return 0;
    }
    if (lexer_peek(p->lexer)->kind != TOKEN_NEWLINE && lexer_peek(p->lexer)->kind != TOKEN_END) {
        lexer_unexpected(p->lexer, "the end of the line after 'nnd 1'");
        lexer_skip_statement(p->lexer);
    }
    return 1;
}

// Does the text begin as none of this language can? Its words and signs are not looked at then.
static bool is_other_text(const Source *source, Span *span) {
    const char *c = source->text;
    while (isspace((unsigned char)*c) || *c == '#')
        c += *c == '#' ? strcspn(c, "\n") : 1;
    unsigned start = (unsigned)(c - source->text);
    *span = (Span){source, start, start + 1};
    return ispunct((unsigned char)*c) && *c != '_';
}

static void report_other_text(Diag *diag, Span span) {
    diag_error(diag, span, "the first line has to be: nnd 1");
    diag_hint(diag, "it is the version of the language; is this a file of another kind?");
}

// file = version { declaration }
// declaration = fn | layer | model | optimizer | data | train
File *nnd_parse(Arena *arena, const Source *source, Diag *diag) {
    int errors = diag_error_count(diag);
    Span beginning;
    if (is_other_text(source, &beginning)) {
        File *other = ARENA_NEW(arena, File);
        *other = (File){.source = source, .lost = true};
        report_other_text(diag, beginning);
        return other;
    }
    Lexer *lexer = lexer_new(arena, source, diag);
    Parser p = {.arena = arena, .lexer = lexer, .diag = diag};
    p.has_bad_tokens = diag_error_count(diag) > errors;
    p.error_limit = diag_error_count(diag) + MAX_ERRORS;
    File *file = ARENA_NEW(arena, File);
    file->lost = p.has_bad_tokens;
    VEC(Decl *) list = {0};
    file->source = source;
    file->version = parse_version(&p);
    for (lexer_skip_newlines(lexer); lexer_peek(lexer)->kind != TOKEN_END && !parser_gave_up(&p);
         lexer_skip_newlines(lexer)) {
        const struct Head *head = find_head(&p);
        Decl *decl = head ? parse_declaration(&p, head) : NULL;
        if (!head) {
            report_no_declaration(&p);
            skip_to_declaration(&p);
        }
        if (decl)
            VEC_PUSH(arena, list, decl);
        else
            file->lost = true;
    }
    file->broken = diag_error_count(diag) > errors;
    file->lost |= file->version != 1 || parser_gave_up(&p);
    file->decl = list.at;
    file->decl_count = list.count;
    return file;
}
