// SPDX-License-Identifier: MIT
// The text form of a graph, printing side (ir/read.c reads it back to an equal graph).
//
//     graph train {
//       %0 = input "x" : f32[N, 3, 9]   # net.nnd:3
//       %1 = param "w" : f32[8, 3, 3]   # conv2d_1.weight, net.nnd:8
//       %2 = contract %0[i0, j0, i2*2 + j1] %1[i1, j0, j1] {sum = 3 3} : f32[N, 8, 4]
//       %3 = reduce_sum %2 {axes = 2} : f32[N, 8]
//       output "y" = %3
//     }
//
// The tokens are those of ir/expr.h; # begins a comment; a statement ends with its line.
//
//     graph    = "graph" word ["lowered"] "{" newline {node newline} {root newline} "}"
//     node     = "%" number "=" operator {operand} [string] [attrs] ":" type
//     root     = "output" string "=" "%" number
//              | "state" string "%" number "=" "%" number     the leaf, its next value
//     operator = a name of ops.def
//     operand  = "%" number [accesses]                        accesses: contract alone
//     string   = the name of input, param, state, hyper, random
//     attrs    = "{" name "=" value {"," name "=" value} "}"
//     type     = ("f32" | "i32" | "bool" | "f64") "[" [extent {"," extent}] "]"
//     word     = name | string
//     extent   = a polynomial in N, highest power first: 64   2*N + 1   3*N^2 - N
//     accesses = "[" [access {"," access}] "]"                one an axis of the operand
//     access   = sum | "(" sum ")" "/" number                 the divisor, where it is not 1
//     sum      = ["-"] term {("+" | "-") term}                at most two indices, then the offset
//     term     = index ["*" number] | number
//     index    = i0 i1 ..: the axes of the result   j0 j1 ..: the summed indices
//
// Numbers count up from %0 and operands come before their users. The attributes, in the order in
// which they are printed; one that is left out is zero, or no axes, or no indices:
//
//     value     const, hyper, pad    a number: 1  -0.5  1e-3  inf  -inf  nan
//     axis      iota, concat, window, fold                 a number
//     axes      reduce_*, argmax, broadcast, flip          axis numbers: 0 2 3
//     extent    size, fold, scatter_add                    an extent
//     perm      permute              an axis number for each axis of the result
//     low, high, interior   pad      a number for each axis
//     start, step           slice    a number for each axis
//     stride, dilation      window, fold                   a number
//     sum       contract             an extent for each summed index, j0 first
//     transpose_a, transpose_b   product                   1
//     tile      wino_*               2 or 4
//     offset    wino_in, wino_in_t   two numbers
//     tiles     wino_in .. wino_out_t                      two numbers
//     panel     wino_filter, wino_filter_t                 a number
//     swap      wino_filter, wino_filter_t                 1
#include "ir/graph.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The escapes are those that the lexer knows; any other byte stands for itself.
static void print_string(Buf *out, const char *text) {
    buf_add(out, "\"");
    for (; *text; text++) {
        if (*text == '\n' || *text == '\t')
            buf_add(out, *text == '\n' ? "\\n" : "\\t");
        else
            buf_printf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
    buf_add(out, "\"");
}

static void print_word(Buf *out, const char *text) {
    bool is_name = isalpha((unsigned char)*text) || *text == '_';
    for (const char *c = text; *c; c++)
        is_name = is_name && (isalnum((unsigned char)*c) || *c == '_');
    if (is_name)
        buf_add(out, text);
    else
        print_string(out, text);
}

// With as few digits as read back to the same number.
static void print_number(Buf *out, double value) {
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    buf_add(out, isnan(value) ? "nan" : text);
}

// --- Accesses of a contraction

// The term's sign is part of what joins it to the terms before it.
static const char *joint(bool first, bool negative) {
    return first ? (negative ? "-" : "") : (negative ? " - " : " + ");
}

static long long magnitude(int32_t value) { return llabs((long long)value); }

static void print_access(Buf *out, const Access *access, int rank) {
    bool first = true;
    if (access->divisor != 1) buf_add(out, "(");
    for (int i = 0; i < 2; i++) {
        int index = access->index[i], coef = access->coef[i];
        if (index < 0) continue;
        buf_printf(out, "%s%c%d", joint(first, coef < 0), index < rank ? 'i' : 'j',
                   index < rank ? index : index - rank);
        if (magnitude(coef) != 1) buf_printf(out, "*%lld", magnitude(coef));
        first = false;
    }
    if (first || access->offset)
        buf_printf(out, "%s%lld", joint(first, access->offset < 0), magnitude(access->offset));
    if (access->divisor != 1) buf_printf(out, ")/%d", access->divisor);
}

static void print_operand(Buf *out, const Node *node, int i) {
    buf_printf(out, " %%%u", node->in[i]->id);
    if (node->op != OP_contract) return;
    const Access *access = i == 0 ? node->attr->contract->a : node->attr->contract->b;
    buf_add(out, "[");
    for (int axis = 0; axis < node->in[i]->shape.rank; axis++) {
        if (axis) buf_add(out, ", ");
        print_access(out, &access[axis], node->shape.rank);
    }
    buf_add(out, "]");
}

// --- Attributes

typedef struct AttrList {
    Buf *out;
    bool open;
} AttrList;

static Buf *attr_name(AttrList *list, const char *name) {
    buf_printf(list->out, "%s%s =", list->open ? ", " : " {", name);
    list->open = true;
    return list->out;
}

static void attr_number(AttrList *list, const char *name, int32_t number) {
    if (number) buf_printf(attr_name(list, name), " %d", number);
}

static void attr_axes(AttrList *list, uint32_t axes) {
    if (!axes) return;
    attr_name(list, "axes");
    for (int i = 0; i < MAX_RANK; i++)
        if (axes >> i & 1) buf_printf(list->out, " %d", i);
}

static void attr_extent(AttrList *list, Dim extent) {
    attr_name(list, "extent");
    buf_add(list->out, " ");
    dim_print(list->out, extent);
}

// One field of PadAxis or SliceAxis, `stride` numbers apart.
static void attr_numbers(AttrList *list, const char *name, const int32_t *number, int stride,
                         int count) {
    bool any = false;
    for (int i = 0; i < count; i++)
        any = any || number[i * stride];
    if (!any) return;
    attr_name(list, name);
    for (int i = 0; i < count; i++)
        buf_printf(list->out, " %d", number[i * stride]);
}

static void attr_sum(AttrList *list, const ContractAttr *contract) {
    if (!contract->summed) return;
    attr_name(list, "sum");
    for (int i = 0; i < contract->summed; i++) {
        buf_add(list->out, " ");
        dim_print(list->out, contract->extent[i]);
    }
}

static void attr_perm(AttrList *list, const int8_t *perm, int rank) {
    if (!rank) return;
    attr_name(list, "perm");
    for (int i = 0; i < rank; i++)
        buf_printf(list->out, " %d", perm[i]);
}

static void print_attrs(Buf *out, const Node *node) {
    enum { PAD = sizeof(PadAxis) / sizeof(int32_t), SLICE = sizeof(SliceAxis) / sizeof(int32_t) };
    const Attr *attr = node->attr;
    AttrList list = {.out = out};
    int rank = node->in_count ? node->in[0]->shape.rank : node->shape.rank;
    bool has_value =
        node->op == OP_const || node->op == OP_hyper || attr->value != 0 || signbit(attr->value);
    if (has_value) {
        buf_add(attr_name(&list, "value"), " ");
        print_number(out, attr->value);
    }
    attr_number(&list, "axis", attr->axis);
    if (node->op == OP_window || node->op == OP_fold) attr_number(&list, "axis", attr->window.axis);
    attr_axes(&list, attr->axes);
    if (node->op == OP_size || node->op == OP_scatter_add) attr_extent(&list, attr->extent);
    if (node->op == OP_fold) attr_extent(&list, attr->window.extent);
    if (node->op == OP_permute) attr_perm(&list, attr->perm, rank);
    attr_numbers(&list, "low", &attr->pad[0].low, PAD, rank);
    attr_numbers(&list, "high", &attr->pad[0].high, PAD, rank);
    attr_numbers(&list, "interior", &attr->pad[0].interior, PAD, rank);
    attr_numbers(&list, "start", &attr->slice[0].start, SLICE, rank);
    attr_numbers(&list, "step", &attr->slice[0].step, SLICE, rank);
    attr_number(&list, "stride", attr->window.stride);
    attr_number(&list, "dilation", attr->window.dilation);
    if (node->op == OP_contract) attr_sum(&list, attr->contract);
    attr_number(&list, "transpose_a", attr->product.transpose_a);
    attr_number(&list, "transpose_b", attr->product.transpose_b);
    attr_number(&list, "tile", attr->wino.tile);
    attr_numbers(&list, "offset", attr->wino.offset, 1, 2);
    attr_numbers(&list, "tiles", attr->wino.tiles, 1, 2);
    attr_number(&list, "panel", attr->wino.panel);
    attr_number(&list, "swap", attr->wino.swap);
    if (list.open) buf_add(out, "}");
}

// --- Nodes, roots

// A comment ends with its line, whatever is in a name.
static void print_comment(Buf *out, const char *text) {
    for (; *text; text++)
        buf_add_char(out, iscntrl((unsigned char)*text) ? ' ' : *text);
}

static void print_origin(Buf *out, const Graph *graph, const Node *node) {
    enum { MOST = 3 };
    const char *label = graph->label.at[node->id];
    const SpanList *item = graph->spans.at[node->id];
    if (!label && !item) return;
    buf_add(out, "   # ");
    if (label) print_comment(out, label);
    for (int i = 0; item && i < MOST; item = item->next, i++) {
        if (label || i) buf_add(out, ", ");
        print_comment(out, item->span.source->name);
        buf_printf(out, ":%d", span_line(item->span));
    }
    if (item) buf_add(out, ", ..");
}

static void print_node(Buf *out, const Graph *graph, const Node *node) {
    buf_printf(out, "  %%%u = %s", node->id, op_info(node->op)->name);
    for (int i = 0; i < node->in_count; i++)
        print_operand(out, node, i);
    if (node->attr->name) {
        buf_add(out, " ");
        print_string(out, node->attr->name);
    }
    print_attrs(out, node);
    buf_printf(out, " : %s", dtype_name(node->dtype));
    shape_print(out, &node->shape);
    print_origin(out, graph, node);
    buf_add(out, "\n");
}

static void print_root(Buf *out, const Root *root) {
    buf_add(out, root->kind == ROOT_STATE ? "  state " : "  output ");
    print_string(out, root->name);
    if (root->kind == ROOT_STATE) buf_printf(out, " %%%u", root->leaf->id);
    buf_printf(out, " = %%%u\n", root->value->id);
}

void graph_print(Buf *out, const Graph *graph) {
    buf_add(out, "graph ");
    print_word(out, graph->name);
    buf_add(out, graph->stage == STAGE_LOWERED ? " lowered {\n" : " {\n");
    for (int i = 0; i < graph->node.count; i++)
        print_node(out, graph, graph->node.at[i]);
    for (int i = 0; i < graph->root.count; i++)
        print_root(out, &graph->root.at[i]);
    buf_add(out, "}\n");
}
