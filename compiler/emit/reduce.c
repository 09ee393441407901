// SPDX-License-Identifier: MIT
// A reduction as statements in front of its user. Where its innermost index is long, it runs
// through 16 accumulators (lanes) that are added in a fixed tree: on every processor alike, and in
// vectors where there are any.
#include "emit/printer.h"

enum { LANES = REDUCE_LANES };

const char *reduce_identity(const Value *value) {
    bool real = value->dtype == DT_F32;
    if (value->op == OP_reduce_sum) return real ? "0.0f" : "0";
    if (value->op == OP_reduce_min) return real ? "(1.0f / 0.0f)" : "2147483647";
    return real ? "(-1.0f / 0.0f)" : "(-2147483647 - 1)";
}

static const char *combine(Printer *p, const Value *value, const char *a, const char *b) {
    const char *suffix = value->dtype == DT_I32 ? "_i" : "";
    if (value->op == OP_reduce_sum) return arena_printf(p->arena, "%s + %s", a, b);
    return arena_printf(p->arena, "nnc_%s%s(%s, %s)", value->op == OP_reduce_max ? "max" : "min",
                        suffix, a, b);
}

bool printer_is_open(const Printer *p, const Condition *condition) {
    return (index_deps(p->loops, &condition->index) & ~p->open) == 0;
}

// The conditions that can be asked now and could not before `var` was opened.
void printer_ask(Printer *p, const Value *value, int var) {
    Buf text = buf_new(p->arena);
    for (int i = 0; i < value->condition_count; i++) {
        const Condition *condition = &value->condition[i];
        uint64_t deps = index_deps(p->loops, &condition->index);
        if (!printer_is_open(p, condition) || !(deps >> var & 1)) continue;
        if (text.length) buf_add(&text, " && ");
        printer_condition(p, &text, condition);
    }
    if (!text.length) return;
    printer_line(p);
    buf_printf(p->out, "if (!(%s)) continue;\n", text.text);
}

static void declare_accumulator(Printer *p, const Value *value, const char *name) {
    printer_line(p);
    buf_printf(p->out, "%s %s = %s;\n", c_type(value->dtype), name, reduce_identity(value));
}

static void argmax_loops(Printer *p, const Value *value, const char *name) {
    int mark[2 * MAX_RANK];
    printer_line(p);
    buf_printf(p->out, "%s %s_most = %s;\n", c_type(value->in[0]->dtype), name,
               value->in[0]->dtype == DT_F32 ? "(-1.0f / 0.0f)" : "(-2147483647 - 1)");
    printer_line(p);
    buf_printf(p->out, "int %s = 0;\n", name);
    for (int i = 0; i < value->var_count; i++)
        mark[i] = printer_open_loop(p, value->var[i], "0", printer_extent(p, value->var[i]));
    const char *body = printer_value(p, value->in[0]), *at = printer_index(p, &value->index);
    printer_line(p);
    buf_printf(p->out, "const %s %s_here = %s;\n", c_type(value->in[0]->dtype), name, body);
    printer_line(p);
    buf_printf(p->out, "if (%s_here > %s_most", name, name);
    if (value->in[0]->dtype == DT_F32) // the first NaN wins
        buf_printf(p->out, " || (%s_here != %s_here && %s_most == %s_most)", name, name, name,
                   name);
    buf_add(p->out, ") {\n");
    int inner = printer_enter(p);
    printer_line(p);
    buf_printf(p->out, "%s_most = %s_here;\n", name, name);
    printer_line(p);
    buf_printf(p->out, "%s = %s;\n", name, at);
    printer_leave(p, inner);
    for (int i = value->var_count - 1; i >= 0; i--)
        printer_leave(p, mark[i]);
}

void printer_accumulate(Printer *p, const Value *value, const char *to) {
    const char *body = printer_value(p, value->in[0]);
    printer_line(p);
    buf_printf(p->out, "%s = %s;\n", to, combine(p, value, to, body));
}

// A C compiler makes a vector instruction of a short loop, but not of what is left of it when it is
// written out first.
static void keep_rolled(Printer *p) {
    if (p->loops->lanes) buf_add(p->out, "#pragma GCC unroll 1\n");
}

// The innermost loop through 16 accumulators: lane = index % 16.
static void lane_loops(Printer *p, const Value *value, int var, const char *name) {
    const char *index = printer_var(p, var), *extent = printer_extent(p, var);
    printer_hoist(p, value->in[0]);
    printer_line(p);
    buf_printf(p->out, "int %s_block = 0;\n", name);
    printer_line(p);
    buf_printf(p->out, "for (; %s_block + %d <= %s; %s_block += %d) {\n", name, LANES, extent, name,
               LANES);
    int outer = printer_enter(p);
    for (int tail = 0; tail < 2; tail++) {
        keep_rolled(p);
        printer_line(p);
        if (tail)
            buf_printf(p->out, "for (int lane = 0; lane < %s - %s_block; lane++) {\n", extent,
                       name);
        else
            buf_printf(p->out, "for (int lane = 0; lane < %d; lane++) {\n", LANES);
        int inner = printer_enter(p);
        printer_line(p);
        buf_printf(p->out, "const int %s = %s_block + lane;\n", index, name);
        p->open |= 1ull << var;
        VEC_PUSH(p->arena, p->named, -1 - var);
        printer_ask(p, value, var);
        printer_accumulate(p, value, arena_printf(p->arena, "%s_lane[lane]", name));
        printer_leave(p, inner);
        if (!tail) printer_leave(p, outer);
    }
}

static void sum_lanes(Printer *p, const Value *value, const char *name) {
    for (int width = LANES / 2; width > 0; width /= 2) {
        const char *low = arena_printf(p->arena, "%s_lane[lane]", name);
        const char *high = arena_printf(p->arena, "%s_lane[lane + %d]", name, width);
        printer_line(p);
        buf_printf(p->out, "for (int lane = 0; lane < %d; lane++)\n", width);
        print_indent(p->out, p->depth + 1);
        buf_printf(p->out, "%s = %s;\n", low, combine(p, value, low, high));
    }
    printer_line(p);
    buf_printf(p->out, "const %s %s = %s_lane[0];\n", c_type(value->dtype), name, name);
}

static bool runs_in_lanes(const Printer *p, const Value *value) {
    if (value->op == OP_argmax || value->var_count == 0) return false;
    return dim_eval(p->loops->var[value->var[value->var_count - 1]].extent, p->loops->batch) >=
           LANES;
}

int printer_open_if(Printer *p, const Value *value) {
    const char *text =
        printer_conditions(p, value->condition, value->condition_count, printer_is_open);
    if (!text) return -1;
    printer_line(p);
    buf_printf(p->out, "if (%s) {\n", text);
    return printer_enter(p);
}

void printer_reduce(Printer *p, const Value *value) {
    const char *name = arena_printf(p->arena, "v%d", value->id);
    int mark[2 * MAX_RANK], loops = value->var_count;
    bool lanes = runs_in_lanes(p, value);
    if (lanes) {
        loops--;
        printer_line(p);
        buf_printf(p->out, "%s %s_lane[%d];\n", c_type(value->dtype), name, LANES);
        keep_rolled(p);
        printer_line(p);
        buf_printf(p->out, "for (int lane = 0; lane < %d; lane++)\n", LANES);
        print_indent(p->out, p->depth + 1);
        buf_printf(p->out, "%s_lane[lane] = %s;\n", name, reduce_identity(value));
    }
    if (value->op == OP_argmax) {
        argmax_loops(p, value, name);
    } else {
        if (!lanes) declare_accumulator(p, value, name);
        int all = printer_open_if(p, value);
        for (int i = 0; i < loops; i++) {
            printer_hoist(p, value->in[0]);
            mark[i] = printer_open_loop(p, value->var[i], "0", printer_extent(p, value->var[i]));
            printer_ask(p, value, value->var[i]);
        }
        if (lanes)
            lane_loops(p, value, value->var[loops], name);
        else
            printer_accumulate(p, value, name);
        for (int i = loops - 1; i >= 0; i--)
            printer_leave(p, mark[i]);
        if (all >= 0) printer_leave(p, all);
        if (lanes) sum_lanes(p, value, name);
    }
    p->name[value->id] = name;
    VEC_PUSH(p->arena, p->named, value->id);
}
