// SPDX-License-Identifier: MIT
// The text form of a graph, reading side; ir/text.c has the grammar and prints it.
//
//     Graph *graph = graph_read(arena, source_from_text(arena, "t", "graph g {\n ..}"), diag);
//
// What is read is sound: every node keeps its operator's rule, and the whole passes the verifier. A
// line with a mistake is left out, and lines that use its node are left out without a word.
#include "ir/expr.h"
#include "ir/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ERRORS = 100,
    SUMMED = 32, // j0 until the result's rank is known: then its number is the rank
};

typedef struct Reader {
    Arena *arena;
    Lexer *lexer;
    Diag *diag;
    Graph *graph;
    VEC(const Node *) node; // by number in the text; NULL: its line has a mistake
} Reader;

typedef struct Draft { // a node while its line is read
    Node node;
    Attr attr;
    ContractAttr contract;
    VEC(const Node *) in;
    bool unknown_in; // an operand's own line has a mistake
} Draft;

static Span here(Reader *r) { return lexer_peek(r->lexer)->span; }

static bool wrong(Reader *r, Span span, const char *text) {
    diag_error(r->diag, span, "%s", text);
    return false;
}

// --- Numbers

// From 0 to `most`.
static bool read_integer(Reader *r, int64_t most, int64_t *value) {
    const Token *token = lexer_peek(r->lexer);
    if (token->kind != TOKEN_NUMBER || !token->is_integer) {
        lexer_unexpected(r->lexer, "an integer");
        return false;
    }
    unsigned long long number = strtoull(token->text, NULL, 10);
    if (number > (unsigned long long)most)
        return wrong(r, token->span,
                     arena_printf(r->arena, "%s is over %lld", token->text, (long long)most));
    *value = (int64_t)number;
    lexer_next(r->lexer);
    return true;
}

static bool read_int32(Reader *r, int32_t *value) {
    int64_t number;
    if (!read_integer(r, INT32_MAX, &number)) return false;
    *value = (int32_t)number;
    return true;
}

// real = ["-"] ( NUMBER | "inf" | "nan" )
static bool read_real(Reader *r, double *value) {
    bool negative = lexer_take(r->lexer, "-");
    const Token *token = lexer_peek(r->lexer);
    if (lexer_take(r->lexer, "inf"))
        *value = INFINITY;
    else if (lexer_take(r->lexer, "nan"))
        *value = NAN;
    else if (token->kind == TOKEN_NUMBER)
        *value = lexer_next(r->lexer)->number;
    else {
        lexer_unexpected(r->lexer, "a number");
        return false;
    }
    if (negative) *value = -*value;
    return true;
}

// power = "N" ["^" integer]
static bool read_power(Reader *r, Dim *dim) {
    if (!lexer_expect(r->lexer, "N", "in an extent")) return false;
    int64_t power = 1;
    if (lexer_take(r->lexer, "^") && !read_integer(r, DIM_DEGREE, &power)) return false;
    *dim = dim_const(0);
    dim->c[power] = 1;
    return true;
}

// term = integer ["*" power] | power
static bool read_dim_term(Reader *r, Dim *term) {
    int64_t factor;
    if (lexer_peek(r->lexer)->kind != TOKEN_NUMBER) return read_power(r, term);
    Span span = here(r);
    if (!read_integer(r, INT64_MAX, &factor)) return false;
    *term = dim_const(factor);
    if (!lexer_take(r->lexer, "*")) return true;
    Dim power;
    return read_power(r, &power) &&
           (dim_mul(term, *term, power) || wrong(r, span, "an extent that does not fit"));
}

// extent = ["-"] term { ("+" | "-") term }
static bool read_extent(Reader *r, Dim *dim) {
    *dim = dim_const(0);
    bool negative = lexer_take(r->lexer, "-");
    do {
        Dim term;
        Span span = here(r);
        if (!read_dim_term(r, &term)) return false;
        if (negative ? !dim_sub(dim, *dim, term) : !dim_add(dim, *dim, term))
            return wrong(r, span, "an extent that does not fit");
        negative = lexer_is(r->lexer, "-");
    } while (lexer_take(r->lexer, "+") || lexer_take(r->lexer, "-"));
    return true;
}

// type = ("f32" | "i32" | "bool" | "f64" | "bf16") "[" [extent {"," extent}] "]"
static bool read_type(Reader *r, Node *node) {
    static const DType dtypes[] = {DT_F32, DT_I32, DT_BOOL, DT_F64, DT_BF16};
    enum { COUNT = sizeof dtypes / sizeof *dtypes };
    int found = -1;
    for (int i = 0; i < COUNT && found < 0; i++)
        if (lexer_take(r->lexer, dtype_name(dtypes[i]))) found = i;
    if (found < 0) {
        lexer_unexpected(r->lexer, "a type (f32, i32, bool, f64, bf16)");
        return false;
    }
    node->dtype = dtypes[found];
    if (!lexer_expect(r->lexer, "[", "after the type")) return false;
    Shape shape = shape_of(0, NULL);
    while (!lexer_is(r->lexer, "]")) {
        if (shape.rank == MAX_RANK) return wrong(r, here(r), "more than 8 axes");
        if (!read_extent(r, &shape.dim[shape.rank++])) return false;
        if (!lexer_take(r->lexer, ",")) break;
    }
    node->shape = shape;
    return lexer_expect(r->lexer, "]", "after the extents");
}

// --- Accesses of a contraction

// "i2" or "j0": a loop index, or -1, reported.
static int read_index(Reader *r) {
    const Token *token = lexer_peek(r->lexer);
    const char *text = token->kind == TOKEN_NAME ? token->text : "";
    bool sound = (text[0] == 'i' || text[0] == 'j') && text[1] >= '0' && text[1] < '0' + MAX_RANK &&
                 text[2] == '\0';
    if (!sound) {
        lexer_unexpected(r->lexer, "an index (i0 to i7, j0 to j7) or a number");
        return -1;
    }
    lexer_next(r->lexer);
    return text[1] - '0' + (text[0] == 'j' ? SUMMED : 0);
}

// term = index ["*" integer] | integer
static bool read_access_term(Reader *r, Access *access, bool negative) {
    int64_t number = 1;
    Span span = here(r);
    if (lexer_peek(r->lexer)->kind == TOKEN_NUMBER) {
        int64_t offset;
        if (!read_integer(r, INT32_MAX, &number)) return false;
        offset = access->offset + (negative ? -number : number);
        access->offset = (int32_t)offset;
        return offset == access->offset || wrong(r, span, "an offset that does not fit");
    }
    int index = read_index(r);
    if (index < 0 || (lexer_take(r->lexer, "*") && !read_integer(r, INT32_MAX, &number)))
        return false;
    int slot = access->index[0] < 0 ? 0 : 1;
    if (access->index[slot] >= 0) return wrong(r, span, "a third index in one access");
    access->index[slot] = (int8_t)index;
    access->coef[slot] = (int32_t)(negative ? -number : number);
    return true;
}

// sum = ["-"] term {("+" | "-") term}
static bool read_access_sum(Reader *r, Access *access) {
    bool negative = lexer_take(r->lexer, "-");
    do {
        if (!read_access_term(r, access, negative)) return false;
        negative = lexer_is(r->lexer, "-");
    } while (lexer_take(r->lexer, "+") || lexer_take(r->lexer, "-"));
    return true;
}

// access = sum | "(" sum ")" "/" integer
static bool read_access(Reader *r, Access *access) {
    *access = (Access){.index = {-1, -1}, .divisor = 1};
    if (!lexer_take(r->lexer, "(")) return read_access_sum(r, access);
    return read_access_sum(r, access) && lexer_expect(r->lexer, ")", "after the sum") &&
           lexer_expect(r->lexer, "/", "and a divisor") && read_int32(r, &access->divisor);
}

// accesses = "[" [access {"," access}] "]"
static bool read_accesses(Reader *r, Access *access, int rank) {
    if (!lexer_expect(r->lexer, "[", "and how the operand is read")) return false;
    for (int axis = 0; axis < rank; axis++) {
        if (axis && !lexer_expect(r->lexer, ",", "between the axes of the operand")) return false;
        if (!read_access(r, &access[axis])) return false;
    }
    return lexer_expect(r->lexer, "]", "after an access for each axis of the operand");
}

// Now that the rank of the result is known.
static bool number_indices(Reader *r, Access *access, int axes, int rank, Span span) {
    for (int axis = 0; axis < axes; axis++)
        for (int i = 0; i < 2; i++) {
            int8_t *index = &access[axis].index[i];
            if (*index >= SUMMED)
                *index = (int8_t)(*index - SUMMED + rank);
            else if (*index >= rank)
                return wrong(r, span,
                             arena_printf(r->arena, "there is no i%d: the result has %d axes",
                                          *index, rank));
        }
    return true;
}

// --- Attributes

static bool read_axes(Reader *r, uint32_t *axes) {
    while (lexer_peek(r->lexer)->kind == TOKEN_NUMBER) {
        int64_t axis;
        if (!read_integer(r, MAX_RANK - 1, &axis)) return false;
        *axes |= 1u << axis;
    }
    return true;
}

// A number for each axis of the operand, `stride` numbers apart.
static bool read_numbers(Reader *r, const Draft *draft, int32_t *number, int stride) {
    int rank = draft->in.count ? draft->in.at[0]->shape.rank : 0;
    for (int i = 0; i < rank; i++)
        if (!read_int32(r, &number[i * stride])) return false;
    return true;
}

static bool read_perm(Reader *r, Draft *draft) {
    int32_t perm[MAX_RANK] = {0};
    if (!read_numbers(r, draft, perm, 1)) return false;
    for (int i = 0; i < MAX_RANK; i++)
        draft->attr.perm[i] = perm[i] < MAX_RANK ? (int8_t)perm[i] : -1;
    return true;
}

static bool read_sum(Reader *r, ContractAttr *contract) {
    while (!lexer_is(r->lexer, "}") && !lexer_is(r->lexer, ",")) {
        if (contract->summed == MAX_RANK) return wrong(r, here(r), "more than 8 summed indices");
        if (!read_extent(r, &contract->extent[contract->summed++])) return false;
    }
    return true;
}

typedef enum AttrName {
    ATTR_value,
    ATTR_axis,
    ATTR_axes,
    ATTR_extent,
    ATTR_perm,
    ATTR_low,
    ATTR_high,
    ATTR_interior,
    ATTR_start,
    ATTR_step,
    ATTR_stride,
    ATTR_dilation,
    ATTR_sum,
    ATTR_transpose_a,
    ATTR_transpose_b,
    ATTR_tile,
    ATTR_offset,
    ATTR_tiles,
    ATTR_panel,
    ATTR_swap,
    ATTR_COUNT
} AttrName;

static const char *const attr_names[ATTR_COUNT] = {
    "value",       "axis",  "axes",   "extent", "perm",     "low", "high",
    "interior",    "start", "step",   "stride", "dilation", "sum", "transpose_a",
    "transpose_b", "tile",  "offset", "tiles",  "panel",    "swap"};

#define HAS(name) (1u << ATTR_##name)
static const unsigned attrs_of[OP_COUNT] = {
    [OP_const] = HAS(value),
    [OP_hyper] = HAS(value),
    [OP_iota] = HAS(axis),
    [OP_size] = HAS(extent),
    [OP_reduce_sum] = HAS(axes),
    [OP_reduce_max] = HAS(axes),
    [OP_reduce_min] = HAS(axes),
    [OP_argmax] = HAS(axes),
    [OP_permute] = HAS(perm),
    [OP_broadcast] = HAS(axes),
    [OP_pad] = HAS(value) | HAS(low) | HAS(high) | HAS(interior),
    [OP_slice] = HAS(start) | HAS(step),
    [OP_flip] = HAS(axes),
    [OP_concat] = HAS(axis),
    [OP_window] = HAS(axis) | HAS(stride) | HAS(dilation),
    [OP_fold] = HAS(axis) | HAS(stride) | HAS(dilation) | HAS(extent),
    [OP_contract] = HAS(sum),
    [OP_scatter_add] = HAS(extent),
    [OP_product] = HAS(transpose_a) | HAS(transpose_b),
    [OP_wino_in] = HAS(tile) | HAS(offset) | HAS(tiles),
    [OP_wino_in_t] = HAS(tile) | HAS(offset) | HAS(tiles),
    [OP_wino_out] = HAS(tile) | HAS(tiles),
    [OP_wino_out_t] = HAS(tile) | HAS(tiles),
    [OP_wino_filter] = HAS(tile) | HAS(panel) | HAS(swap),
    [OP_wino_filter_t] = HAS(tile) | HAS(panel) | HAS(swap),
};

static bool read_flag(Reader *r, bool *flag) {
    int64_t number;
    if (!read_integer(r, 1, &number)) return false;
    *flag = number == 1;
    return true;
}

static bool read_attr_value(Reader *r, Draft *draft, AttrName name) {
    enum { PAD = sizeof(PadAxis) / sizeof(int32_t), SLICE = sizeof(SliceAxis) / sizeof(int32_t) };
    Attr *attr = &draft->attr;
    bool windowed = draft->node.op == OP_window || draft->node.op == OP_fold;
    switch (name) {
    case ATTR_value:
        return read_real(r, &attr->value);
    case ATTR_axis:
        return read_int32(r, windowed ? &attr->window.axis : &attr->axis);
    case ATTR_axes:
        return read_axes(r, &attr->axes);
    case ATTR_extent:
        return read_extent(r, windowed ? &attr->window.extent : &attr->extent);
    case ATTR_perm:
        return read_perm(r, draft);
    case ATTR_low:
        return read_numbers(r, draft, &attr->pad[0].low, PAD);
    case ATTR_high:
        return read_numbers(r, draft, &attr->pad[0].high, PAD);
    case ATTR_interior:
        return read_numbers(r, draft, &attr->pad[0].interior, PAD);
    case ATTR_start:
        return read_numbers(r, draft, &attr->slice[0].start, SLICE);
    case ATTR_step:
        return read_numbers(r, draft, &attr->slice[0].step, SLICE);
    case ATTR_stride:
        return read_int32(r, &attr->window.stride);
    case ATTR_dilation:
        return read_int32(r, &attr->window.dilation);
    case ATTR_sum:
        return read_sum(r, &draft->contract);
    case ATTR_transpose_a:
        return read_flag(r, &attr->product.transpose_a);
    case ATTR_transpose_b:
        return read_flag(r, &attr->product.transpose_b);
    case ATTR_tile:
        return read_int32(r, &attr->wino.tile);
    case ATTR_offset:
        return read_int32(r, &attr->wino.offset[0]) && read_int32(r, &attr->wino.offset[1]);
    case ATTR_tiles:
        return read_int32(r, &attr->wino.tiles[0]) && read_int32(r, &attr->wino.tiles[1]);
    case ATTR_panel:
        return read_int32(r, &attr->wino.panel);
    case ATTR_swap:
        return read_flag(r, &attr->wino.swap);
    case ATTR_COUNT:
        break;
    }
    return false;
}

// To behind the brace that closes the attributes, so that it is not taken for the graph's.
static bool leave_attrs(Reader *r) {
    while (lexer_peek(r->lexer)->kind != TOKEN_NEWLINE && lexer_peek(r->lexer)->kind != TOKEN_END &&
           !lexer_take(r->lexer, "}"))
        lexer_next(r->lexer);
    return false;
}

// attrs = "{" NAME "=" value {"," NAME "=" value} "}"
static bool read_attrs(Reader *r, Draft *draft) {
    unsigned seen = 0;
    do {
        const Token *token = lexer_peek(r->lexer);
        int name = 0;
        while (name < ATTR_COUNT && !lexer_is(r->lexer, attr_names[name]))
            name++;
        if (name == ATTR_COUNT || !(attrs_of[draft->node.op] >> name & 1)) {
            lexer_unexpected(r->lexer, arena_printf(r->arena, "an attribute of %s",
                                                    op_info(draft->node.op)->name));
            return false;
        }
        if (seen >> name & 1) return wrong(r, token->span, "an attribute that is given twice");
        seen |= 1u << name;
        lexer_next(r->lexer);
        if (!lexer_expect(r->lexer, "=", "after the attribute's name") ||
            !read_attr_value(r, draft, (AttrName)name))
            return false;
    } while (lexer_take(r->lexer, ","));
    return lexer_expect(r->lexer, "}", "after the attributes");
}

// --- Nodes and roots

// "%" integer: a node of a line above; *node is NULL where that line has a mistake.
static bool read_reference(Reader *r, const Node **node) {
    Span span = here(r);
    int64_t number;
    if (!lexer_expect(r->lexer, "%", "and a node's number") || !read_integer(r, INT32_MAX, &number))
        return false;
    span.end = lexer_last_end(r->lexer);
    if (number >= r->node.count)
        return wrong(r, span,
                     arena_printf(r->arena, "%%%lld is not above this line", (long long)number));
    *node = r->node.at[number];
    return true;
}

// operands = {"%" integer [accesses]}
static bool read_operands(Reader *r, Draft *draft) {
    while (lexer_is(r->lexer, "%")) {
        const Node *node;
        if (!read_reference(r, &node)) return false;
        if (!node) {
            draft->unknown_in = true;
            return false;
        }
        int place = draft->in.count;
        VEC_PUSH(r->arena, draft->in, node);
        if (draft->node.op != OP_contract || place > 1) continue;
        if (!read_accesses(r, place ? draft->contract.b : draft->contract.a, node->shape.rank))
            return false;
    }
    return true;
}

// operator operands [string] [attrs] ":" type
static bool read_draft(Reader *r, Draft *draft) {
    Node *node = &draft->node;
    const Token *token = lexer_peek(r->lexer);
    node->op = token->kind == TOKEN_NAME ? op_find(token->text) : OP_COUNT;
    if (node->op == OP_COUNT) {
        lexer_unexpected(r->lexer, "an operator");
        return false;
    }
    lexer_next(r->lexer);
    if (!read_operands(r, draft)) return false;
    bool named = node->op == OP_input || node->op == OP_param || node->op == OP_state ||
                 node->op == OP_hyper || node->op == OP_random;
    if (named && lexer_peek(r->lexer)->kind == TOKEN_STRING)
        draft->attr.name = lexer_next(r->lexer)->text;
    if (lexer_take(r->lexer, "{") && !read_attrs(r, draft)) return leave_attrs(r);
    if (!lexer_expect(r->lexer, ":", "and the type of the result") || !read_type(r, node))
        return false;
    node->in = draft->in.at;
    node->in_count = draft->in.count;
    node->attr = &draft->attr;
    if (node->op == OP_contract) draft->attr.contract = &draft->contract;
    return true;
}

static bool number_contract(Reader *r, Draft *draft, Span span) {
    const Node *node = &draft->node;
    if (node->op != OP_contract || node->in_count != 2) return true;
    return number_indices(r, draft->contract.a, node->in[0]->shape.rank, node->shape.rank, span) &&
           number_indices(r, draft->contract.b, node->in[1]->shape.rank, node->shape.rank, span);
}

static bool line_ends(Reader *r) {
    const Token *token = lexer_peek(r->lexer);
    if (token->kind == TOKEN_NEWLINE || token->kind == TOKEN_END || lexer_is(r->lexer, "}"))
        return true;
    lexer_unexpected(r->lexer, "the end of the line");
    return false;
}

// node = "%" integer "=" operator operands [string] [attrs] ":" type
static bool read_node(Reader *r) {
    Span span = here(r);
    int64_t number;
    if (!lexer_expect(r->lexer, "%", "and a node's number") || !read_integer(r, INT32_MAX, &number))
        return false;
    if (number != r->node.count)
        return wrong(
            r, span,
            arena_printf(r->arena, "expected %%%d: nodes are numbered in order", r->node.count));
    VEC_PUSH(r->arena, r->node, NULL);
    Draft draft = {0};
    if (!lexer_expect(r->lexer, "=", "after the node's number") || !read_draft(r, &draft) ||
        !line_ends(r))
        return false;
    span.end = lexer_last_end(r->lexer);
    if (!number_contract(r, &draft, span)) return false;
    const char *text = node_check(&draft.node, r->arena);
    if (text) return wrong(r, span, text);
    r->node.at[number] = node_rebuild(r->graph, &draft.node, draft.node.in);
    return true;
}

// root = "output" STRING "=" "%" integer | "state" STRING "%" integer "=" "%" integer
static bool read_root(Reader *r) {
    Span span = here(r);
    const Node *leaf = NULL, *value;
    RootKind kind = lexer_is(r->lexer, "state") ? ROOT_STATE : ROOT_OUTPUT;
    lexer_next(r->lexer);
    const Token *name = lexer_peek(r->lexer);
    if (name->kind != TOKEN_STRING) {
        lexer_unexpected(r->lexer, "the root's name, in quotes");
        return false;
    }
    lexer_next(r->lexer);
    if (kind == ROOT_STATE && !read_reference(r, &leaf)) return false;
    if (!lexer_expect(r->lexer, "=", "and the root's value") || !read_reference(r, &value) ||
        !line_ends(r))
        return false;
    span.end = lexer_last_end(r->lexer);
    if (!value || (kind == ROOT_STATE && !leaf)) return false; // reported at their lines
    if (leaf && leaf->op != OP_state && leaf->op != OP_param)
        return wrong(r, span, "the leaf of a state root is a state or a param");
    if (leaf && (leaf->dtype != value->dtype || !shape_equal(&leaf->shape, &value->shape)))
        return wrong(r, span, "the next value has another type than the state");
    graph_add_root(r->graph, kind, name->text, leaf, value);
    return true;
}

static bool read_line(Reader *r) {
    if (lexer_is(r->lexer, "output") || lexer_is(r->lexer, "state")) return read_root(r);
    if (lexer_is(r->lexer, "%")) return read_node(r);
    lexer_unexpected(r->lexer, "a node, 'output' or 'state'");
    return false;
}

// graph = "graph" (NAME | STRING) ["lowered"] "{" {line NEWLINE} "}"
static void read_graph(Reader *r) {
    const Token *name = NULL;
    lexer_skip_newlines(r->lexer);
    if (!lexer_expect(r->lexer, "graph", "at the beginning")) return;
    name = lexer_peek(r->lexer);
    if (name->kind != TOKEN_NAME && name->kind != TOKEN_STRING) {
        lexer_unexpected(r->lexer, "the graph's name");
        return;
    }
    lexer_next(r->lexer);
    r->graph = graph_new(r->arena, name->text);
    if (lexer_take(r->lexer, "lowered")) r->graph->stage = STAGE_LOWERED;
    if (!lexer_expect(r->lexer, "{", "after the graph's name")) return;
    int most = diag_error_count(r->diag) + MAX_ERRORS;
    lexer_skip_newlines(r->lexer);
    while (!lexer_is(r->lexer, "}") && diag_error_count(r->diag) < most) {
        if (lexer_peek(r->lexer)->kind == TOKEN_END) break;
        if (!read_line(r)) lexer_skip_statement(r->lexer);
        lexer_skip_newlines(r->lexer);
    }
    if (diag_error_count(r->diag) >= most) return;
    if (!lexer_expect(r->lexer, "}", "at the end of the graph")) return;
    lexer_skip_newlines(r->lexer);
    if (lexer_peek(r->lexer)->kind != TOKEN_END) lexer_unexpected(r->lexer, "the end of the file");
}

Graph *graph_read(Arena *arena, const Source *text, Diag *diag) {
    int errors = diag_error_count(diag);
    Reader r = {.arena = arena, .lexer = lexer_new(arena, text, diag), .diag = diag};
    Span start = lexer_peek(r.lexer)->span;
    read_graph(&r);
    if (diag_error_count(diag) > errors) return NULL;
    const char *unsound = graph_verify(r.graph, r.graph->stage, arena);
    if (unsound) diag_error(diag, start, "%s", unsound);
    return unsound ? NULL : r.graph;
}
