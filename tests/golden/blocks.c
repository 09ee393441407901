// SPDX-License-Identifier: MIT
// What the documents show is so. Each block of lines four columns in, in README.md and docs/*.md,
// is one of these, by its first line:
//
//     nnd 1                     a whole file, net.nnd. It has no mistakes, or those of the messages
//                               that are the next block. Where the line above names a file,
//                               `examples/gem.nnd`, it is that file
//     net.nnd:2:18: error: ..   such messages
//     fn .., layer .., data ..  declarations, as of a file that begins with nnd 1
//     file = version ..         rules of the grammar: what they name is a rule or a token, and the
//                               comments of the parser have the same rules
//     $ nnc graph F --stage S   that command and what it prints, maybe through a filter: | grep mul
//                               (NNC_PROMOTE=1 writes what it prints now)
//     docs/ ..                  folders, with what is in them: they are there
//     nnc .., scripts/..        commands: the files are there (tests/e2e/manual.sh looks at the
//                               options of nnc, documents.sh runs them)
//
// or has `<!-- not run: why -->` above it; commands are looked at all the same.
#include "compile.h"
#include "documents.h"
#include "nnd/elab.h"
#include "nnd/elab_internal.h"
#include "picture/picture.h"
#include "support/map.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Document {
    Arena *arena;
    const char *path, *text;
    Map *rules;               // the grammar's: name -> text
    VEC(const char *) names;  // of them
    VEC(const char *) wanted; // names that rules use
} Document;

// --- Programs

static bool has_model(const File *file) {
    for (int i = 0; i < file->decl_count; i++)
        if (file->decl[i]->kind == DECL_MODEL) return true;
    return false;
}

static bool is_callable(const Decl *decl) {
    return decl->kind == DECL_FN || decl->kind == DECL_LAYER || decl->kind == DECL_OPTIMIZER;
}

// All that the compiler says of a file: of its network as C too; where there is none, of each
// function, layer and optimizer applied to arguments that suit it.
static const char *messages_of(Arena *arena, const char *text) {
    Diag *diag = diag_new(arena);
    const File *file = nnd_parse(arena, source_from_text(arena, "net.nnd", text), diag);
    bool parsed = diag_error_count(diag) == 0;
    if (has_model(file) && !file->lost) {
        const Module *module = nnd_elaborate(arena, file, &(ElabOptions){0}, diag);
        if (module && parsed) compile(arena, module, &target_library, diag);
    }
    for (int i = 0; parsed && !has_model(file) && i < file->decl_count; i++) {
        int count;
        if (!is_callable(file->decl[i])) continue;
        const ExampleArgument *argument = nnd_example_arguments(arena, file->decl[i], &count);
        nnd_elaborate_call(arena, file, file->decl[i]->name, argument, count, true, diag);
    }
    return diag_text(diag, arena);
}

static void check_program(const Document *d, const char *program, const char *expected) {
    const char *messages = messages_of(d->arena, program);
    cr_expect(!strcmp(messages, expected), "%s: of\n%sthe messages are:\n%s", d->path, program,
              messages);
}

// --- Grammar: NAME = .., the next lines of a rule begin with a blank

static bool is_token(const char *name) { return isupper((unsigned char)*name); }

static void add_names(Document *d, const char *text) {
    while (*text) {
        if (*text == '"') { // a terminal
            text = strchr(text + 1, '"');
            text = text ? text + 1 : "";
        } else if (isalpha((unsigned char)*text)) {
            size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_");
            VEC_PUSH(d->arena, d->wanted, arena_strndup(d->arena, text, length));
            text += length;
        } else {
            text++;
        }
    }
}

// One blank between words, and what follows # left out.
static const char *squeezed(Arena *arena, const char *line) {
    Buf out = buf_new(arena);
    for (const char *end = line + strcspn(line, "#\n"); line < end;) {
        size_t blanks = strspn(line, " "), length = strcspn(line + blanks, " #\n");
        if (length) buf_printf(&out, "%s%.*s", out.length ? " " : "", (int)length, line + blanks);
        line += blanks + length;
    }
    return out.text;
}

static void read_grammar(Document *d, const char *block) {
    const char *name = NULL;
    for (const char *line = block, *end; *line; line = end) {
        end = strchr(line, '\n') ? strchr(line, '\n') + 1 : line + strlen(line);
        const char *text = squeezed(d->arena, line);
        const char *equals = strstr(text, " = ");
        if (isalpha((unsigned char)*line) && equals) {
            name = arena_strndup(d->arena, text, (size_t)(equals - text));
            VEC_PUSH(d->arena, d->names, name);
            map_put(d->rules, name, (void *)(equals + 3));
        } else if (name && *text) {
            map_put(d->rules, name,
                    arena_printf(d->arena, "%s %s", (char *)map_get(d->rules, name), text));
        }
    }
}

// The rules in the comments of a source file: `// name = ..`, gone on with by `//     | ..`.
static void read_comments(Document *d, const char *path) {
    Buf rule = buf_new(d->arena);
    for (const char *line = read_shipped(d->arena, path)->text; *line;
         line = strchr(line, '\n') + 1) {
        const char *text = starts_with(line, "// ") ? line + 3 : "", *word = text;
        while (isalpha((unsigned char)*word))
            word++;
        bool goes_on = rule.length && *text == ' ' && text[strspn(text, " ")] == '|';
        if (rule.length && !goes_on) {
            read_grammar(d, rule.text);
            rule = buf_new(d->arena);
        }
        if (goes_on || (word > text && starts_with(word, " = ")))
            buf_printf(&rule, "%.*s\n", (int)strcspn(text, "\n"), text);
    }
}

static void check_comments(const Document *d) {
    static const char *const files[] = {"compiler/ir/expr.c", "frontends/nnd/parse.c",
                                        "frontends/nnd/parse_stmt.c", "frontends/nnd/parse_type.c"};
    Document parser = {.arena = d->arena, .rules = map_new(d->arena)};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        read_comments(&parser, files[i]);
    for (int i = 0; i < d->names.count; i++) {
        const char *rule = map_get(d->rules, d->names.at[i]);
        const char *comment = map_get(parser.rules, d->names.at[i]);
        cr_expect(comment && !strcmp(comment, rule), "%s: %s = %s; the parser's comment: %s",
                  d->path, d->names.at[i], rule, comment ? comment : "none");
    }
    for (int i = 0; i < parser.names.count; i++)
        cr_expect(map_get(d->rules, parser.names.at[i]), "%s: the parser has a rule %s, too",
                  d->path, parser.names.at[i]);
}

static void check_grammar(Document *d) {
    for (int i = 0; i < d->names.count; i++)
        add_names(d, map_get(d->rules, d->names.at[i]));
    for (int i = 0; i < d->wanted.count; i++)
        cr_expect(is_token(d->wanted.at[i]) || map_get(d->rules, d->wanted.at[i]),
                  "%s: the grammar has no rule %s", d->path, d->wanted.at[i]);
    if (d->names.count > 0) check_comments(d);
}

// --- Transcripts

static const char *word_after(Arena *arena, const char *line, const char *option) {
    const char *at = strstr(line, option);
    if (!at) return NULL;
    at += strlen(option) + 1;
    return arena_strndup(arena, at, strcspn(at, " \n"));
}

// The files that are shown lie in examples or beside the worked example.
static const Source *shown_file(Arena *arena, const char *name) {
    const char *root = getenv("NNC_SOURCE_DIR");
    const char *path = arena_printf(arena, "generated/%s", name);
    if (access(arena_printf(arena, "%s/%s", root ? root : ".", path), F_OK))
        path = arena_printf(arena, "examples/%s", name);
    return source_from_text(arena, name, read_shipped(arena, path)->text);
}

static const char *output_of(Arena *arena, const char *command) {
    Diag *diag = diag_new(arena);
    Buf out = buf_new(arena);
    const Source *source = shown_file(arena, word_after(arena, command, "graph"));
    const Module *module =
        nnd_elaborate(arena, nnd_parse(arena, source, diag), &(ElabOptions){0}, diag);
    cr_assert(module, "%s", diag_text(diag, arena));
    const char *stage = word_after(arena, command, "--stage");
    const char *function = word_after(arena, command, "--function");
    const char *march = word_after(arena, command, "--march");
    const Target *target = march ? target_find(march) : &target_library;
    NncFunctionKind kind = NNC_TRAIN;
    for (int i = 0; function && i < NNC_FUNCTIONS; i++)
        if (!strcmp(function, function_name((NncFunctionKind)i))) kind = (NncFunctionKind)i;
    const char *depth = word_after(arena, command, "--depth");
    const Graph *graph = module->graph[kind];
    if (depth && kind == NNC_TRAIN)
        graph = picture_without_metrics(arena, graph, module->graph[NNC_EVAL]);
    if (depth)
        picture_list(&out, picture_make(arena, graph, atoi(depth)));
    else
        cr_assert(target && stage_dump(&out, module, target, kind, stage ? stage : "elab"), "%s",
                  command);
    return out.text;
}

static const char *filtered(Arena *arena, const char *text, const char *filter) {
    char path[] = "/tmp/nnc_blocks_XXXXXX";
    int handle = mkstemp(path);
    cr_assert(handle >= 0 && write(handle, text, strlen(text)) == (ssize_t)strlen(text));
    close(handle);
    FILE *pipe = popen(arena_printf(arena, "%s <%s", filter, path), "r");
    cr_assert(pipe);
    Buf out = buf_new(arena);
    for (int c; (c = fgetc(pipe)) != EOF;)
        buf_add_char(&out, (char)c);
    pclose(pipe);
    unlink(path);
    return out.text;
}

// Four columns in, but for empty lines.
static const char *indented(Arena *arena, const char *block) {
    Buf out = buf_new(arena);
    for (const char *line = block; *line; line += strcspn(line, "\n") + 1)
        buf_printf(&out, "%s%.*s\n", *line == '\n' ? "" : "    ", (int)strcspn(line, "\n"), line);
    return out.text;
}

static void replace(Document *d, const char *old, const char *now) {
    const char *at = strstr(d->text, indented(d->arena, old));
    cr_assert(at, "%s", old);
    Buf out = buf_new(d->arena);
    buf_add_n(&out, d->text, (size_t)(at - d->text));
    buf_add(&out, indented(d->arena, now));
    buf_add(&out, at + strlen(indented(d->arena, old)));
    d->text = out.text;
}

static void check_transcript(Document *d, const char *block) {
    const char *command = arena_strndup(d->arena, block, strcspn(block, "\n"));
    const char *pipe = strchr(command, '|');
    const char *output = output_of(
        d->arena, pipe ? arena_strndup(d->arena, command, (size_t)(pipe - command)) : command);
    if (pipe) output = filtered(d->arena, output, pipe + 1);
    const char *now = arena_printf(d->arena, "%s\n%s", command, output);
    const char *set = getenv("NNC_PROMOTE");
    cr_expect(*output, "%s: %s prints nothing", d->path, command);
    if (set && !strcmp(set, "1") && strcmp(now, block))
        replace(d, block, now);
    else
        cr_expect(!strcmp(now, block), "%s: it is now (NNC_PROMOTE=1 accepts it)\n%s", d->path,
                  now);
}

// --- Commands

static bool exists(const char *path) {
    const char *root = getenv("NNC_SOURCE_DIR");
    Arena *arena = arena_new();
    bool there = !access(arena_printf(arena, "%s/%s", root ? root : ".", path), F_OK);
    arena_free(arena);
    return there;
}

static bool is_command(const char *line) {
    static const char *const words[] = {"nnc ", "scripts/", "build/", "bench/", "meson ",
                                        "cd ",  "make ",    "cc ",    "./",     "NNC_"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (starts_with(line, words[i])) return true;
    return false;
}

// Lines that are further in go on with the one before.
static void check_commands(const Document *d, const char *block) {
    for (const char *line = block; *line; line = strchr(line, '\n') + 1) {
        const char *text = arena_strndup(d->arena, line, strcspn(line, "\n"));
        if (*text == ' ' || *text == '#' || !*text) continue;
        const char *path = arena_strndup(d->arena, text, strcspn(text, " "));
        cr_expect(is_command(arena_printf(d->arena, "%s ", text)), "%s: no command: %s", d->path,
                  text);
        if (starts_with(path, "build/bench/"))
            path = arena_printf(d->arena, "bench/%s.c", path + strlen("build/bench/"));
        if (starts_with(path, "scripts/") || starts_with(path, "bench/"))
            cr_expect(exists(path), "%s: there is no %s", d->path, path);
    }
}

// --- Folders

static bool is_folder_list(const char *block) {
    size_t length = strcspn(block, " \n");
    return length > 1 && block[length - 1] == '/';
}

static void check_folders(const Document *d, const char *block) {
    for (const char *line = block; *line; line = strchr(line, '\n') + 1)
        for (const char *word = line; is_folder_list(word); word += strcspn(word, " \n") + 1) {
            const char *path = arena_strndup(d->arena, word, strcspn(word, " \n"));
            cr_expect(exists(path), "%s: there is no %s", d->path, path);
        }
}

// --- A document

static bool is_declaration(const char *block) {
    static const char *const words[] = {"fn ", "layer ", "model ", "data ", "train ", "optimizer "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (starts_with(block, words[i])) return true;
    return false;
}

static bool is_rule(const char *block) {
    size_t name = strspn(block, "abcdefghijklmnopqrstuvwxyz");
    size_t blanks = strspn(block + name, " ");
    return name && blanks && block[name + blanks] == '=' && strchr(block, '"');
}

// Links within the source tree; those to other places are not looked at.
static void check_links(const Document *d) {
    const char *slash = strrchr(d->path, '/');
    int folder = slash ? (int)(slash - d->path) + 1 : 0;
    for (const char *at = strstr(d->text, "]("); at; at = strstr(at + 1, "](")) {
        const char *target = arena_strndup(d->arena, at + 2, strcspn(at + 2, ")#\n"));
        if (*target && !strstr(target, "://"))
            cr_expect(exists(arena_printf(d->arena, "%.*s%s", folder, d->path, target)),
                      "%s: a link leads to %s", d->path, target);
    }
}

// The file that the line above a program names: `examples/gem.nnd`. NULL: it is none of the tree's.
static const char *quoted_file(Arena *arena, const char *above) {
    const char *line = above ? arena_strndup(arena, above, strcspn(above, "\n")) : "";
    const char *end = strstr(line, ".nnd`"), *start = end;
    while (start && start > line && start[-1] != '`')
        start--;
    const char *path = end ? arena_strndup(arena, start, (size_t)(end + 4 - start)) : NULL;
    return path && strchr(path, '/') ? path : NULL;
}

static void check_quote(Document *d, const char *block, const char *path) {
    const char *text = read_shipped(d->arena, path)->text, *set = getenv("NNC_PROMOTE");
    if (set && !strcmp(set, "1") && strcmp(text, block))
        replace(d, block, text);
    else
        cr_expect(!strcmp(text, block), "%s: %s is another (NNC_PROMOTE=1 accepts it)", d->path,
                  path);
}

static int check_document(const char *path) {
    Document d = {.arena = arena_new(), .path = path};
    const char *original = d.text = read_shipped(d.arena, path)->text, *at = original, *above;
    const char *block = next_block(d.arena, &at, &above);
    int blocks = 0;
    d.rules = map_new(d.arena);
    for (const char *next; block; block = next, blocks++) {
        const char *mark = above;
        next = next_block(d.arena, &at, &above);
        if (mark && starts_with(mark, "<!-- not run: ")) {
            if (is_command(block)) check_commands(&d, block);
        } else if (starts_with(block, "nnd 1\n")) {
            bool fails = next && starts_with(next, "net.nnd:");
            const char *quoted = quoted_file(d.arena, mark);
            if (quoted) check_quote(&d, block, quoted);
            check_program(&d, block, fails ? next : "");
            if (fails) next = next_block(d.arena, &at, &above);
        } else if (is_declaration(block)) {
            check_program(&d, arena_printf(d.arena, "nnd 1\n%s", block), "");
        } else if (is_rule(block)) {
            read_grammar(&d, block);
        } else if (starts_with(block, "$ nnc graph ")) {
            check_transcript(&d, block);
        } else if (is_folder_list(block)) {
            check_folders(&d, block);
        } else if (is_command(block)) {
            check_commands(&d, block);
        } else {
            cr_expect_fail("%s: nothing checks this block (or say `<!-- not run: why -->` above "
                           "it):\n%s",
                           path, block);
        }
    }
    check_grammar(&d);
    check_links(&d);
    if (d.text != original) promote(d.arena, path, d.text);
    arena_free(d.arena);
    return blocks;
}

Test(blocks, readme) { cr_assert_geq(check_document("README.md"), 5); }

// These are compared as a whole: documents.c, errors.c.
static bool is_made(const char *name) {
    return !strcmp(name, "LIBRARY.md") || !strcmp(name, "ERRORS.md");
}

Test(blocks, documents) {
    const char *root = getenv("NNC_SOURCE_DIR");
    Arena *arena = arena_new();
    DIR *folder = opendir(arena_printf(arena, "%s/docs", root ? root : "."));
    int blocks = 0;
    cr_assert(folder);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".md") || is_made(entry->d_name)) continue;
        blocks += check_document(arena_printf(arena, "docs/%s", entry->d_name));
    }
    closedir(folder);
    cr_assert_geq(blocks, 30);
    arena_free(arena);
}

// Each key of a train block has a row in the manual of the language.
Test(blocks, train_keys_are_described) {
    Arena *arena = arena_new();
    const char *manual = read_shipped(arena, "docs/LANGUAGE.md")->text;
    int count;
    const char *const *key = nnd_train_keys(&count);
    cr_assert_geq(count, 8);
    for (int i = 0; i < count; i++)
        cr_expect(strstr(manual, arena_printf(arena, "`%s`", key[i])) ||
                      strstr(manual, arena_printf(arena, "`%s ", key[i])),
                  "docs/LANGUAGE.md says nothing of `%s`", key[i]);
    arena_free(arena);
}

// --- The manual of the language shows each kind of statement and of declaration, and each word

typedef struct Kinds {
    bool stmt[STMT_LAST + 1], decl[DECL_TRAIN + 1];
} Kinds;

static void note_kinds(Kinds *kinds, Stmt *const *body, int count) {
    for (int i = 0; i < count; i++) {
        kinds->stmt[body[i]->kind] = true;
        note_kinds(kinds, body[i]->body, body[i]->body_count);
        note_kinds(kinds, body[i]->otherwise, body[i]->otherwise_count);
    }
}

Test(blocks, language_shows_each_statement) {
    Arena *arena = arena_new();
    Kinds kinds = {0};
    const char *at = read_shipped(arena, "docs/LANGUAGE.md")->text, *block;
    while ((block = next_block(arena, &at, NULL))) {
        if (!starts_with(block, "nnd 1\n")) continue;
        Diag *diag = diag_new(arena);
        const File *file = nnd_parse(arena, source_from_text(arena, "net.nnd", block), diag);
        for (int i = 0; i < file->decl_count; i++) {
            kinds.decl[file->decl[i]->kind] = true;
            note_kinds(&kinds, file->decl[i]->body, file->decl[i]->body_count);
        }
    }
    for (int i = 0; i <= STMT_LAST; i++)
        cr_expect(kinds.stmt[i], "no program in docs/LANGUAGE.md has a statement of kind %d", i);
    for (int i = 0; i <= DECL_TRAIN; i++)
        cr_expect(kinds.decl[i], "nor a declaration of kind %d", i);
    arena_free(arena);
}

// The words and signs in programs and declarations.
static Map *words_of_programs(Arena *arena, const char *manual) {
    Map *words = map_new(arena);
    const char *block;
    while ((block = next_block(arena, &manual, NULL))) {
        if (!starts_with(block, "nnd 1\n") && !is_declaration(block)) continue;
        Lexer *lexer = lexer_new(arena, source_from_text(arena, "net.nnd", block), diag_new(arena));
        for (const Token *token; (token = lexer_next(lexer))->kind != TOKEN_END;)
            if (token->kind != TOKEN_STRING) map_put(words, token->text, (void *)block);
    }
    return words;
}

// Each terminal of the grammar, and each function of the compiler's.
Test(blocks, language_shows_each_word) {
    Document d = {.arena = arena_new()};
    const char *manual = read_shipped(d.arena, "docs/LANGUAGE.md")->text, *at = manual, *block;
    Map *words = words_of_programs(d.arena, manual);
    int count;
    d.rules = map_new(d.arena);
    while ((block = next_block(d.arena, &at, NULL)))
        if (is_rule(block)) read_grammar(&d, block);
    for (int i = 0; i < d.names.count; i++)
        for (const char *quote = strchr(map_get(d.rules, d.names.at[i]), '"'), *end; quote;
             quote = strchr(end + 1, '"')) {
            end = strchr(quote + 1, '"');
            const char *word = arena_strndup(d.arena, quote + 1, (size_t)(end - quote - 1));
            cr_expect(map_get(words, word), "no program in docs/LANGUAGE.md has '%s' of %s", word,
                      d.names.at[i]);
        }
    const Builtin *builtin = builtin_list(&count);
    cr_assert_geq(count, 8);
    for (int i = 0; i < count; i++)
        cr_expect(map_get(words, builtin[i].name), "nor a call of %s", builtin[i].name);
    arena_free(d.arena);
}
