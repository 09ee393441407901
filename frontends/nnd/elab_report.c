// SPDX-License-Identifier: MIT
// What elaboration says of mistakes. An error stands where the user can mend it: of what goes wrong
// in the library, at the call that led there. Behind it come the places that it follows from, and
// how to mend it.
//
//     net.nnd:6:15: error: there is no name lienar
//        6 |   output x |> lienar(3)
//          |               ^~~~~~
//          = hint: did you mean linear?
#include "nnc.h"
#include "nnd/elab_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

bool elab_is_users(const Elab *e, Span span) { return !e->user || span.source == e->user; }

static bool same_place(Span a, Span b) { return a.source == b.source && a.start == b.start; }

static void note_calls(Elab *e, Span error) {
    int shown = 0;
    for (const CallSite *site = e->calls; site && shown < 3; site = site->outer)
        if (elab_is_users(e, site->span) && !same_place(site->span, error)) {
            diag_note(e->diag, site->span, "in %s, called from here", site->name);
            shown++;
        }
}

bool elab_failed(const Elab *e) { return diag_error_count(e->diag) > e->errors; }

void elab_error(Elab *e, Span span, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(e->arena, format, args);
    va_end(args);
    const CallSite *site = e->calls;
    while (site && !elab_is_users(e, site->span))
        site = site->outer;
    if (elab_is_users(e, span) || !site) {
        diag_error(e->diag, span, "%s", text);
        note_calls(e, span);
        return;
    }
    diag_error(e->diag, site->span, "%s: %s", site->name, text);
    if (span.source) diag_note(e->diag, span, "it is here in the standard library");
}

// A place in the library tells the user nothing: what is to be known of it is said in words.
void elab_note(Elab *e, Span span, const char *format, ...) {
    if (!span.source || !elab_is_users(e, span)) return;
    va_list args;
    va_start(args, format);
    diag_note(e->diag, span, "%s", arena_vprintf(e->arena, format, args));
    va_end(args);
}

void elab_declared(Elab *e, const Decl *decl, Span span) {
    if (elab_is_users(e, span)) {
        elab_note(e, span, "it is declared here");
        return;
    }
    Buf text = buf_new(e->arena);
    ast_print_signature(&text, decl);
    diag_hint(e->diag, "it is %s", text.text);
}

// --- Names that there are not

// What other libraries call it; without capitals and underscores.
static const struct Synonym {
    const char *other, *hint;
} synonyms[] = {
    {"dense", "it is called linear"},
    {"fc", "it is called linear"},
    {"fullyconnected", "it is called linear"},
    {"conv", "it is called conv2d"},
    {"convolution", "it is called conv2d"},
    {"adaptiveavgpool2d", "it is called global_avg_pool"},
    {"globalaveragepooling2d", "it is called global_avg_pool"},
    {"averagepool2d", "it is called avg_pool"},
    {"maxpooling2d", "it is called max_pool"},
    {"crossentropyloss", "it is called cross_entropy"},
    {"categoricalcrossentropy", "it is called cross_entropy"},
    {"mseloss", "it is called mse"},
    {"meansquarederror", "it is called mse"},
    {"swish", "it is called silu"},
    {"nllloss", "cross_entropy(logits, label) takes softmax, logarithm and mean by itself"},
    {"nll", "cross_entropy(logits, label) takes softmax, logarithm and mean by itself"},
    {"bceloss", "mean(-t * log(p) - (1 - t) * log(1 - p)) is that, p being sigmoid(z)"},
    {"bcewithlogitsloss", "mean(max(z, 0) - z * t + log(1 + exp(-abs(z)))) is that"},
    {"binarycrossentropy", "mean(max(z, 0) - z * t + log(1 + exp(-abs(z)))) is that, of logits z"},
    {"l1loss", "mean(abs(y - target)) is that"},
    {"sequential", "a pipe is that: x |> linear(64) |> relu |> linear(10)"},
    {"module", "layer NAME(x: [.., I]) { .. } declares one"},
    {"parameter", "param w: [I] ~ normal(0, 0.1) declares one"},
    {"view", "x |> flatten keeps the examples, reshape(x, [N, 4, 8]) gives any shape"},
    {"cat", "it is called concat: concat([a, b], axis = 1)"},
    {"matmul", "index notation multiplies: y[n, o] = sum[i] x[n, i] * w[i, o]"},
    {"mm", "index notation multiplies: y[n, o] = sum[i] x[n, i] * w[i, o]"},
    {"bmm", "index notation multiplies: y[n, i, o] = sum[k] x[n, i, k] * w[n, k, o]"},
    {"einsum", "index notation is that: y[n, o] = sum[i] x[n, i] * w[i, o]"},
    {"permute", "index notation changes the order of axes: y[n, j, i] = x[n, i, j]"},
    {"transpose", "index notation changes the order of axes: y[n, j, i] = x[n, i, j]"},
    {"scheduler", "a schedule stands in the optimizer's call: adam(lr = cosine(1e-3))"},
    {"lrscheduler", "a schedule stands in the optimizer's call: adam(lr = cosine(1e-3))"},
    {"metric", "it belongs in the model: metric accuracy(logits, label)"},
    {"metrics", "they belong in the model: metric accuracy(logits, label)"},
    {"dim", "axes have names in index notation; softmax and linear are of the last one"},
    {"axis", "axes have names in index notation; softmax and linear are of the last one"},
    {"criterion", "it belongs in the model: loss cross_entropy(logits, label)"},
    {"device", "nnc train FILE --device cuda says where it runs"},
    {"inchannels", "how many there are it sees from what it is given: leave it out"},
    {"infeatures", "how many there are it sees from what it is given: leave it out"},
    {"momentum", "there is an optimizer momentum(lr, gamma = 0.9)"},
    {"mnist", "its files are read by idx(\"FOLDER\")"},
    {"learningrate", "it is an argument of the optimizer: sgd(lr = 0.1)"},
    {"lr", "it is an argument of the optimizer: sgd(lr = 0.1)"},
    {"weightdecay", "it is an argument of the optimizer: sgd(lr = 0.1, decay = 1e-4)"},
    {"batchsize", "it is called batch"},
    {"nepochs", "it is called epochs"},
    {"zeros", "a number is the value of each element: 0"},
    {"ones", "a number is the value of each element: 1"},
    {"randn", "of a parameter: ~ normal(0, 1); in each step: random_like(x) |> normal(0, 1)"},
    {"xavier", "~ uniform(-b, b) does that, b being sqrt(6 / (inputs + outputs))"},
    {"xavieruniform", "~ uniform(-b, b) does that, b being sqrt(6 / (inputs + outputs))"},
    {"xaviernormal", "~ normal(0, s) does that, s being sqrt(2 / (inputs + outputs))"},
    {"glorot", "~ uniform(-b, b) does that, b being sqrt(6 / (inputs + outputs))"},
    {"glorotuniform", "~ uniform(-b, b) does that, b being sqrt(6 / (inputs + outputs))"},
    {"glorotnormal", "~ normal(0, s) does that, s being sqrt(2 / (inputs + outputs))"},
    {"kaiming", "~ normal(0, s) does that, s being sqrt(2 / inputs)"},
    {"kaimingnormal", "~ normal(0, s) does that, s being sqrt(2 / inputs)"},
    {"kaiminguniform", "~ uniform(-b, b) does that, b being sqrt(6 / inputs)"},
    {"henormal", "~ normal(0, s) does that, s being sqrt(2 / inputs)"},
    {"yes", "it is written true"},
    {"no", "it is written false"},
    {"none", "where there is nothing to say, leave it out"},
};

// Likewise parameters, where the callee has one of the second name.
static const char *const parameter_synonyms[][2] = {
    {"kernelsize", "kernel"}, {"filtersize", "kernel"}, {"outchannels", "units"},
    {"outfeatures", "units"}, {"filters", "units"},     {"bias", "has_bias"},
    {"usebias", "has_bias"},  {"learningrate", "lr"},   {"weightdecay", "decay"},
    {"betas", "beta1"},       {"eps", "epsilon"},       {"momentum", "gamma"},
};

static bool equal_letters(const char *a, const char *b) {
    while (*a || *b) {
        if (*a == '_')
            a++;
        else if (tolower((unsigned char)*a++) != *b++)
            return false;
    }
    return true;
}

static const char *hint_of_synonym(const char *name) {
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (equal_letters(name, synonyms[i].other)) return synonyms[i].hint;
    return NULL;
}

// All of them, where they are few enough to be read.
static void hint_list(Elab *e, const char *const *names, int count) {
    enum { MOST = 24 };
    Buf text = buf_new(e->arena);
    if (count == 0 || count > MOST) return;
    for (int i = 0; i < count; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", names[i]);
    diag_hint(e->diag, count == 1 ? "there is %s" : "there are %s", text.text);
}

void elab_hint_near(Elab *e, const char *name, const char *const *names, int count) {
    const char *near = nnc_nearest(name, names, count), *other = hint_of_synonym(name);
    if (near)
        diag_hint(e->diag, "did you mean %s?", near);
    else if (other)
        diag_hint(e->diag, "%s", other);
    else
        hint_list(e, names, count);
}

void elab_hint_parameter(Elab *e, const char *name, const char *const *names, int count) {
    const char *near = nnc_nearest(name, names, count), *hint = hint_of_synonym(name);
    for (size_t i = 0; i < sizeof parameter_synonyms / sizeof *parameter_synonyms && !near; i++)
        for (int k = 0; k < count && equal_letters(name, parameter_synonyms[i][0]); k++)
            if (!strcmp(names[k], parameter_synonyms[i][1])) near = names[k];
    if (near)
        diag_hint(e->diag, "did you mean %s?", near);
    else if (hint)
        diag_hint(e->diag, "%s", hint);
}

void elab_unknown(Elab *e, Span span, const char *what, const char *name, const char *const *names,
                  int count) {
    elab_error(e, span, "there is no %s %s", what, name);
    elab_hint_near(e, name, names, count);
}

// The statement of the blocks around that binds the name further down, or NULL.
static const Stmt *bound_below(const Scope *scope, const char *name, Span span) {
    for (; scope; scope = scope->parent)
        for (int i = 0; i < scope->body_count; i++) {
            const Stmt *stmt = scope->body[i];
            bool binds = stmt->name && stmt->kind != STMT_NEXT && stmt->kind < STMT_OUTPUT;
            if (binds && !strcmp(stmt->name, name) && stmt->span.source == span.source &&
                stmt->name_span.start > span.start)
                return stmt;
        }
    return NULL;
}

typedef VEC(const char *) NameVec;

static NameVec known_names(Elab *e, const Scope *scope) {
    int count;
    NameVec known = {0};
    const Builtin *builtin = builtin_list(&count);
    for (; scope; scope = scope->parent)
        for (const Binding *b = scope->first; b; b = b->next)
            if (!b->unknown) VEC_PUSH(e->arena, known, b->name);
    for (int i = 0; i < e->decl_names.count; i++)
        VEC_PUSH(e->arena, known, e->decl_names.at[i]);
    for (int i = 0; i < count; i++)
        VEC_PUSH(e->arena, known, builtin[i].name);
    for (int op = 0; op < OP_COUNT; op++)
        if (op_info(op)->pointwise) VEC_PUSH(e->arena, known, op_info(op)->name);
    return known;
}

static void hint_name(Elab *e, Scope *scope, const char *name) {
    NameVec known = known_names(e, scope);
    const char *near = nnc_nearest(name, known.at, known.count), *other = hint_of_synonym(name);
    bool is_index = e->loops && strlen(name) <= 2;
    if (is_index)
        diag_hint(e->diag, "an index stands on the left, y[%s] = .., or is reduced: sum[%s]", name,
                  name);
    else if (near)
        diag_hint(e->diag, "did you mean %s?", near);
    else if (other)
        diag_hint(e->diag, "%s", other);
    else
        diag_hint(e->diag, "nnc --library lists the layers and functions that there are");
}

// Once in a scope: what follows from it is silent.
void elab_unknown_name(Elab *e, Scope *scope, const char *name, Span span) {
    const Stmt *below = bound_below(scope, name, span);
    elab_error(e, span, "there is no name %s%s", name, below ? " yet" : "");
    if (below) {
        elab_note(e, below->name_span, "it is bound here");
        diag_hint(e->diag, "statements are read from top to bottom: bind it first");
    } else {
        hint_name(e, scope, name);
    }
    if (scope) scope_bind(e, scope, name, span, POISON)->unknown = true;
}
