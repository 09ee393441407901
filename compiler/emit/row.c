// SPDX-License-Identifier: MIT
// A reduction by rows: where memory runs along the innermost output index, not along a summed one,
// a whole row of outputs is accumulated at a time, the sum outside and the row inside. An output's
// terms are added in the same order as otherwise.
#include "emit/printer.h"
#include "pass/index.h"

#include <string.h>

enum { ROW = 256 };

// Does the reduction's memory run along `var`, the innermost output index, rather than along its
// own?
static bool runs_along(const Printer *p, const Value *value, int var, int own, int *along,
                       int *across) {
    if (value->kind == VALUE_LOAD || value->kind == VALUE_CARRY) {
        *along += index_coefficient(&value->index, var) == 1;
        *across += own >= 0 && index_coefficient(&value->index, own) == 1 &&
                   index_coefficient(&value->index, var) != 1;
    }
    for (int i = 0; i < value->in_count; i++)
        runs_along(p, value->in[i], var, own, along, across);
    return *along > 0;
}

static bool cuts_row(const Printer *p, const Value *value, int var) {
    for (int i = 0; i < value->condition_count; i++)
        if (index_deps(p->loops, &value->condition[i].index) >> var & 1) return true;
    return false;
}

// The only reduction of the nest, if it is to be accumulated by rows; else NULL.
const Value *printer_row_reduction(const Printer *p) {
    const Value *found = NULL;
    int var = p->loops->loop[p->loops->loop_count - 1], along = 0, across = 0;
    for (int i = 0; i < p->loops->value.count; i++)
        if (p->loops->value.at[i]->kind == VALUE_REDUCE && p->uses[p->loops->value.at[i]->id] > 0) {
            if (found) return NULL;
            found = p->loops->value.at[i];
        }
    if (!found || found->var_count == 0) return NULL;
    if (dim_eval(p->loops->var[var].extent, p->loops->batch) < 8) return NULL;
    int own = found->var[found->var_count - 1];
    // What is the same along the row runs along it too, if only a part of the row takes it.
    bool row = runs_along(p, found->in[0], var, own, &along, &across) || cuts_row(p, found, var);
    bool short_sum = dim_eval(p->loops->var[own].extent, p->loops->batch) < 2 * REDUCE_LANES;
    return row && (across == 0 || short_sum) ? found : NULL;
}

static bool bounds_row(const Condition *condition, int var, const Printer *p) {
    int64_t coef = index_coefficient(&condition->index, var);
    for (int i = 0; i < condition->index.count; i++) // no LET that depends on var
        if (condition->index.term[i].var != var &&
            (index_var_deps(p->loops, condition->index.term[i].var) >> var & 1))
            return false;
    return coef == 1 && condition->multiple == 1;
}

// Narrows the row's bounds by conditions like 0 <= var + rest < extent; those that are no bounds
// are asked inside.
static void row_bounds(Printer *p, const Value *value, int var, const char **low,
                       const char **high) {
    for (int i = 0; i < value->condition_count; i++) {
        const Condition *condition = &value->condition[i];
        if (!(index_deps(p->loops, &condition->index) >> var & 1) || !bounds_row(condition, var, p))
            continue;
        Index rest = index_add(condition->index, index_scale(index_var(var), -1));
        const char *text = printer_index(p, &rest),
                   *name = arena_printf(p->arena, "%s_%d", printer_var(p, var), i);
        Buf extent = buf_new(p->arena);
        print_dim(&extent, condition->extent);
        if (condition->check_low) {
            printer_line(p);
            buf_printf(p->out, "const int %s_from = %s > -(%s) ? %s : -(%s);\n", name, *low, text,
                       *low, text);
            *low = arena_printf(p->arena, "%s_from", name);
        }
        if (condition->check_high) {
            printer_line(p);
            buf_printf(p->out, "const int %s_to = %s < %s - (%s) ? %s : %s - (%s);\n", name, *high,
                       extent.text, text, *high, extent.text, text);
            *high = arena_printf(p->arena, "%s_to", name);
        }
    }
}

static void ask_in_row(Printer *p, const Value *value, int var) {
    Buf text = buf_new(p->arena);
    for (int i = 0; i < value->condition_count; i++) {
        const Condition *condition = &value->condition[i];
        if (!(index_deps(p->loops, &condition->index) >> var & 1) || bounds_row(condition, var, p))
            continue;
        if (text.length) buf_add(&text, " && ");
        printer_condition(p, &text, condition);
    }
    if (text.length) {
        printer_line(p);
        buf_printf(p->out, "if (!(%s)) continue;\n", text.text);
    }
}

// One accumulator for each element of the row; for an argmax the greatest so far, and its place.
static void declare_row(Printer *p, const Value *value, const char *row, int64_t extent) {
    printer_line(p);
    buf_printf(p->out, "%s %s[%lld];\n", c_type(value->dtype), row, (long long)extent);
    if (value->op != OP_argmax) return;
    printer_line(p);
    buf_printf(p->out, "%s %s_most[%lld];\n", c_type(value->in[0]->dtype), row, (long long)extent);
}

static void begin_row(Printer *p, const Value *value, const char *row, const char *at) {
    printer_line(p);
    buf_printf(p->out, "%s[%s] = %s;\n", row, at,
               value->op == OP_argmax ? "0" : reduce_identity(value));
    if (value->op != OP_argmax) return;
    printer_line(p);
    buf_printf(p->out, "%s_most[%s] = %s;\n", row, at, reduce_least(value->in[0]->dtype));
}

// Without a branch, so that it is done in vectors.
static void take_greater(Printer *p, const Value *value, const char *row, const char *at) {
    const char *body = printer_value(p, value->in[0]), *place = printer_index(p, &value->index);
    const char *most = arena_printf(p->arena, "%s_most[%s]", row, at);
    printer_line(p);
    buf_printf(p->out, "const %s here = %s;\n", c_type(value->in[0]->dtype), body);
    printer_line(p);
    buf_printf(p->out, "const int more = here > %s", most);
    if (value->in[0]->dtype == DT_F32) // the first NaN wins
        buf_printf(p->out, " | ((here != here) & (%s == %s))", most, most);
    buf_add(p->out, ";\n");
    printer_line(p);
    buf_printf(p->out, "%s[%s] = more ? %s : %s[%s];\n", row, at, place, row, at);
    printer_line(p);
    buf_printf(p->out, "%s = more ? here : %s;\n", most, most);
}

void printer_row(Printer *p, const Value *value, const char *low, const char *high) {
    int var = p->loops->loop[p->loops->loop_count - 1], mark[2 * MAX_RANK];
    int64_t extent = dim_eval(p->loops->var[var].extent, p->loops->batch);
    const char *row = arena_printf(p->arena, "v%d_row", value->id), *index = printer_var(p, var),
               *at = index;
    int blocks = -1;
    if (extent > ROW || strcmp(low, "0") != 0) { // blocks of the row, from `first`
        printer_line(p);
        buf_printf(p->out, "for (int first = %s; first < %s; first += %d) {\n", low, high, ROW);
        blocks = printer_enter(p);
        printer_line(p);
        buf_printf(p->out, "const int last = first + %d < %s ? first + %d : %s;\n", ROW, high, ROW,
                   high);
        low = "first", high = "last";
        at = arena_printf(p->arena, "%s - first", index);
        extent = ROW;
    }
    const char *element = arena_printf(p->arena, "%s[%s]", row, at);
    declare_row(p, value, row, extent);
    int inner = printer_open_loop(p, var, low, high);
    begin_row(p, value, row, at);
    printer_leave(p, inner);
    int all = printer_open_if(p, value);
    for (int i = 0; i < value->var_count; i++) {
        mark[i] = printer_open_loop(p, value->var[i], "0", printer_extent(p, value->var[i]));
        printer_ask(p, value, &value->var[i], 1);
    }
    const char *from = low, *to = high;
    row_bounds(p, value, var, &from, &to);
    printer_hoist(p, value->in[0]);
    inner = printer_open_loop(p, var, from, to);
    ask_in_row(p, value, var);
    if (value->op == OP_argmax)
        take_greater(p, value, row, at);
    else
        printer_accumulate(p, value, element);
    printer_leave(p, inner);
    for (int i = value->var_count - 1; i >= 0; i--)
        printer_leave(p, mark[i]);
    if (all >= 0) printer_leave(p, all);
    inner = printer_open_loop(p, var, low, high);
    p->name[value->id] = element;
    VEC_PUSH(p->arena, p->named, value->id);
    printer_stores(p);
    printer_leave(p, inner);
    if (blocks >= 0) printer_leave(p, blocks);
}
