// SPDX-License-Identifier: MIT
// Prints a loop nest as C: one statement for each value that is used more than once, loops opened
// outermost first, what does not depend on a loop before it.
//
// A reduction takes one of two forms, chosen by how memory runs. Where the innermost output index
// is the contiguous one, a whole row is accumulated, the sum outside and the row inside; else the
// innermost summed index runs through 16 accumulators that are added in a fixed tree, on every
// processor alike. In both, an output's terms are added in an order that depends on nothing but the
// shape.
#include "emit/nest.h"
#include "pass/index.h"

#include "rng.h"

#include <inttypes.h>
#include <string.h>

enum { LANES = 16, ROW = 256 };

typedef struct Printer {
    Buf *out;
    const Loops *loops;
    Arena *arena;
    int depth;
    uint64_t open;     // variables whose loops are open, or LETs that are printed
    uint64_t *deps;    // by value id: the variables it depends on
    int *uses;         // by value id
    const char **name; // by value id: its local, where it is printed and in scope
    VEC(int) named;    // ids in the order of printing; VAR ids are below 0: -1 - var
} Printer;

static const char *value_text(Printer *p, const Value *value);

// --- Scopes

static void line(Printer *p) { print_indent(p->out, p->depth); }

static int enter(Printer *p) {
    p->depth++;
    return p->named.count;
}

static void leave(Printer *p, int mark) {
    while (p->named.count > mark) {
        int id = p->named.at[--p->named.count];
        if (id < 0)
            p->open &= ~(1ull << (-1 - id));
        else
            p->name[id] = NULL;
    }
    p->depth--;
    line(p);
    buf_add(p->out, "}\n");
}

// --- Indices

static const char *var_name(const Printer *p, int var) {
    static const char letter[] = {
        [VAR_LOOP] = 'i', [VAR_REDUCE] = 'r', [VAR_LET] = 't', [VAR_VALUE] = 'g'};
    return arena_printf(p->arena, "%c%d", letter[p->loops->var[var].kind], var);
}

static uint64_t var_deps(const Loops *loops, int var);

static uint64_t index_deps(const Loops *loops, const Index *index) {
    uint64_t deps = 0;
    for (int i = 0; i < index->count; i++)
        deps |= var_deps(loops, index->term[i].var);
    return deps;
}

static uint64_t var_deps(const Loops *loops, int var) {
    return loops->var[var].kind == VAR_LET ? index_deps(loops, &loops->var[var].of) : 1ull << var;
}

static const char *index_text(Printer *p, const Index *index);

// A LET or a gathered index is declared where it is first used.
static void need_var(Printer *p, int var) {
    const Var *v = &p->loops->var[var];
    static const char *const operator[] = {
        [LET_DIVIDE] = "/", [LET_MODULO] = "%", [LET_TIMES] = "*"};
    if (p->open >> var & 1) return;
    if (v->kind == VAR_LET) {
        Buf by = buf_new(p->arena);
        print_dim(&by, v->by);
        const char *of = index_text(p, &v->of);
        line(p);
        buf_printf(p->out, "const int %s = (%s) %s (%s);\n", var_name(p, var), of, operator[v->let],
                   by.text);
    } else if (v->kind == VAR_VALUE) {
        const char *value = value_text(p, v->value);
        line(p);
        buf_printf(p->out, "const int %s = %s;\n", var_name(p, var), value);
    } else {
        bug("loop variable %s is used outside of its loop", var_name(p, var));
    }
    p->open |= 1ull << var;
    VEC_PUSH(p->arena, p->named, -1 - var);
}

static const char *index_text(Printer *p, const Index *index) {
    Buf text = buf_new(p->arena);
    for (int i = 0; i < index->count; i++) {
        int64_t coef = index->term[i].coef;
        need_var(p, index->term[i].var);
        buf_add(&text, i == 0 ? (coef < 0 ? "-" : "") : coef < 0 ? " - " : " + ");
        buf_add(&text, var_name(p, index->term[i].var));
        if (coef != 1 && coef != -1) buf_printf(&text, " * %" PRId64, coef < 0 ? -coef : coef);
    }
    if (index->count == 0)
        buf_printf(&text, "%" PRId64, index->constant);
    else if (index->constant)
        buf_printf(&text, " %c %" PRId64, index->constant < 0 ? '-' : '+',
                   index->constant < 0 ? -index->constant : index->constant);
    return text.text;
}

static void condition_text(Printer *p, Buf *text, const Condition *condition) {
    const char *index = index_text(p, &condition->index), *and = "";
    if (condition->check_low) buf_printf(text, "%s >= 0", index), and = " && ";
    if (condition->check_high) {
        buf_printf(text, "%s%s < ", and, index), and = " && ";
        print_dim(text, condition->extent);
    }
    if (condition->multiple != 1)
        buf_printf(text, "%s(%s) %% %" PRId64 " == 0", and, index, condition->multiple);
}

static const char *conditions_text(Printer *p, const Condition *condition, int count,
                                   bool (*keep)(const Printer *, const Condition *)) {
    Buf text = buf_new(p->arena);
    for (int i = 0; i < count; i++) {
        if (keep && !keep(p, &condition[i])) continue;
        if (text.length) buf_add(&text, " && ");
        condition_text(p, &text, &condition[i]);
    }
    return text.length ? text.text : NULL;
}

// --- Values

static const char *declare(Printer *p, const Value *value, const char *text) {
    const char *name = arena_printf(p->arena, "v%d", value->id);
    line(p);
    buf_printf(p->out, "const %s %s = %s;\n",
               c_type(value->dtype == DT_F64 ? DT_F32 : value->dtype), name, text);
    p->name[value->id] = name;
    VEC_PUSH(p->arena, p->named, value->id);
    return name;
}

static const char *cast_text(Printer *p, const Value *value) {
    const char *in = value_text(p, value->in[0]);
    DType from = value->in[0]->dtype;
    if (value->dtype == DT_BOOL) return arena_printf(p->arena, "(%s != 0)", in);
    if ((value->dtype == DT_F32 || value->dtype == DT_F64) && (from == DT_F32 || from == DT_F64))
        return in;
    return arena_printf(p->arena, "(%s)%s", c_type(value->dtype), in);
}

static const char *point_text(Printer *p, const Value *value) {
    Buf text = buf_new(p->arena);
    const char *in[3] = {0};
    for (int i = 0; i < value->in_count; i++)
        in[i] = value_text(p, value->in[i]);
    buf_add(&text, "(");
    print_pointwise(&text, value->op, value->in[value->in_count - 1]->dtype, in);
    buf_add(&text, ")");
    return text.text;
}

static const char *guard_text(Printer *p, const Value *value) {
    const char *no = value_text(p, value->in[1]);
    const char *condition = conditions_text(p, value->condition, value->condition_count, NULL);
    const char *name = arena_printf(p->arena, "v%d", value->id);
    line(p);
    buf_printf(p->out, "%s %s = %s;\n", c_type(value->dtype), name, no);
    line(p);
    buf_printf(p->out, "if (%s) {\n", condition);
    int mark = enter(p);
    const char *yes = value_text(p, value->in[0]);
    line(p);
    buf_printf(p->out, "%s = %s;\n", name, yes);
    leave(p, mark);
    p->name[value->id] = name;
    VEC_PUSH(p->arena, p->named, value->id);
    return name;
}

static void reduce_in_lanes(Printer *p, const Value *value);

static const char *plain_text(Printer *p, const Value *value) {
    Buf text = buf_new(p->arena);
    switch (value->kind) {
    case VALUE_CONST:
        print_number(&text, value->dtype == DT_F64 ? DT_F32 : value->dtype, value->number);
        break;
    case VALUE_LOAD:
    case VALUE_CARRY:
        buf_printf(&text, "b%d[%s]", value->buffer->id, index_text(p, &value->index));
        break;
    case VALUE_POINT:
        return point_text(p, value);
    case VALUE_CAST:
        return cast_text(p, value);
    case VALUE_INDEX:
        buf_printf(&text, "(%s)", index_text(p, &value->index));
        break;
    case VALUE_SCALAR:
        buf_printf(&text, "s%d", value->slot);
        break;
    case VALUE_RANDOM:
        buf_printf(&text, "nnc_random_unit(key%d_a, key%d_b, (unsigned)(%s))", value->id, value->id,
                   index_text(p, &value->index));
        break;
    case VALUE_GUARD:
    case VALUE_REDUCE:
        bug("a statement is no expression");
    }
    return text.text;
}

static const char *value_text(Printer *p, const Value *value) {
    if (p->name[value->id]) return p->name[value->id];
    if (value->kind == VALUE_GUARD) return guard_text(p, value);
    if (value->kind == VALUE_REDUCE) {
        reduce_in_lanes(p, value);
        return p->name[value->id];
    }
    const char *text = plain_text(p, value);
    bool trivial =
        value->kind == VALUE_CONST || value->kind == VALUE_SCALAR || value->kind == VALUE_INDEX;
    return trivial || p->uses[value->id] <= 1 ? text : declare(p, value, text);
}

// Declares, before a loop is opened, what does not depend on it.
static void hoist(Printer *p, const Value *value) {
    if (p->name[value->id] || value->kind == VALUE_CONST || value->kind == VALUE_SCALAR ||
        value->kind == VALUE_INDEX)
        return;
    if ((p->deps[value->id] & ~p->open) == 0) {
        const char *text = value_text(p, value);
        if (!p->name[value->id]) declare(p, value, text);
    } else if (value->kind != VALUE_GUARD && value->condition_count == 0) {
        for (int i = 0; i < value->in_count; i++)
            hoist(p, value->in[i]);
    }
}

static int open_loop(Printer *p, int var, const char *low, const char *high) {
    const char *name = var_name(p, var);
    line(p);
    buf_printf(p->out, "for (int %s = %s; %s < %s; %s++) {\n", name, low, name, high, name);
    int mark = enter(p);
    p->open |= 1ull << var;
    VEC_PUSH(p->arena, p->named, -1 - var);
    return mark;
}

static const char *extent_text(Printer *p, int var) {
    Buf text = buf_new(p->arena);
    print_dim(&text, p->loops->var[var].extent);
    return text.text;
}

// --- Reductions

static const char *identity(const Value *value) {
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

static bool is_open(const Printer *p, const Condition *condition) {
    return (index_deps(p->loops, &condition->index) & ~p->open) == 0;
}

// The conditions that can be asked now and could not before `var` was opened.
static void ask(Printer *p, const Value *value, int var) {
    Buf text = buf_new(p->arena);
    for (int i = 0; i < value->condition_count; i++) {
        const Condition *condition = &value->condition[i];
        uint64_t deps = index_deps(p->loops, &condition->index);
        if (!is_open(p, condition) || !(deps >> var & 1)) continue;
        if (text.length) buf_add(&text, " && ");
        condition_text(p, &text, condition);
    }
    if (!text.length) return;
    line(p);
    buf_printf(p->out, "if (!(%s)) continue;\n", text.text);
}

static void declare_accumulator(Printer *p, const Value *value, const char *name) {
    line(p);
    buf_printf(p->out, "%s %s = %s;\n", c_type(value->dtype), name, identity(value));
}

static void argmax_loops(Printer *p, const Value *value, const char *name) {
    int mark[2 * MAX_RANK];
    line(p);
    buf_printf(p->out, "%s %s_most = %s;\n", c_type(value->in[0]->dtype), name,
               value->in[0]->dtype == DT_F32 ? "(-1.0f / 0.0f)" : "(-2147483647 - 1)");
    line(p);
    buf_printf(p->out, "int %s = 0;\n", name);
    for (int i = 0; i < value->var_count; i++)
        mark[i] = open_loop(p, value->var[i], "0", extent_text(p, value->var[i]));
    const char *body = value_text(p, value->in[0]), *at = index_text(p, &value->index);
    line(p);
    buf_printf(p->out, "const %s %s_here = %s;\n", c_type(value->in[0]->dtype), name, body);
    line(p);
    buf_printf(p->out, "if (%s_here > %s_most || (%s_here != %s_here && %s_most == %s_most)) {\n",
               name, name, name, name, name, name);
    int inner = enter(p);
    line(p);
    buf_printf(p->out, "%s_most = %s_here;\n", name, name);
    line(p);
    buf_printf(p->out, "%s = %s;\n", name, at);
    leave(p, inner);
    for (int i = value->var_count - 1; i >= 0; i--)
        leave(p, mark[i]);
}

static void accumulate(Printer *p, const Value *value, const char *to) {
    const char *body = value_text(p, value->in[0]);
    line(p);
    buf_printf(p->out, "%s = %s;\n", to, combine(p, value, to, body));
}

// The innermost loop through 16 accumulators: lane = index % 16.
static void lane_loops(Printer *p, const Value *value, int var, const char *name) {
    const char *index = var_name(p, var), *extent = extent_text(p, var);
    line(p);
    buf_printf(p->out, "int %s_block = 0;\n", name);
    line(p);
    buf_printf(p->out, "for (; %s_block + %d <= %s; %s_block += %d) {\n", name, LANES, extent, name,
               LANES);
    int outer = enter(p);
    for (int tail = 0; tail < 2; tail++) {
        line(p);
        if (tail)
            buf_printf(p->out, "for (int lane = 0; lane < %s - %s_block; lane++) {\n", extent,
                       name);
        else
            buf_printf(p->out, "for (int lane = 0; lane < %d; lane++) {\n", LANES);
        int inner = enter(p);
        line(p);
        buf_printf(p->out, "const int %s = %s_block + lane;\n", index, name);
        p->open |= 1ull << var;
        VEC_PUSH(p->arena, p->named, -1 - var);
        ask(p, value, var);
        accumulate(p, value, arena_printf(p->arena, "%s_lane[lane]", name));
        leave(p, inner);
        if (!tail) leave(p, outer);
    }
}

static void sum_lanes(Printer *p, const Value *value, const char *name) {
    for (int width = LANES / 2; width > 0; width /= 2) {
        const char *low = arena_printf(p->arena, "%s_lane[lane]", name);
        const char *high = arena_printf(p->arena, "%s_lane[lane + %d]", name, width);
        line(p);
        buf_printf(p->out, "for (int lane = 0; lane < %d; lane++)\n", width);
        print_indent(p->out, p->depth + 1);
        buf_printf(p->out, "%s = %s;\n", low, combine(p, value, low, high));
    }
    line(p);
    buf_printf(p->out, "const %s %s = %s_lane[0];\n", c_type(value->dtype), name, name);
}

static bool runs_in_lanes(const Printer *p, const Value *value) {
    if (value->op == OP_argmax || value->var_count == 0) return false;
    return dim_eval(p->loops->var[value->var[value->var_count - 1]].extent, p->loops->batch) >=
           2 * LANES;
}

static void reduce_in_lanes(Printer *p, const Value *value) {
    const char *name = arena_printf(p->arena, "v%d", value->id);
    int mark[2 * MAX_RANK], loops = value->var_count;
    bool lanes = runs_in_lanes(p, value);
    if (lanes) {
        loops--;
        line(p);
        buf_printf(p->out, "%s %s_lane[%d];\n", c_type(value->dtype), name, LANES);
        line(p);
        buf_printf(p->out, "for (int lane = 0; lane < %d; lane++)\n", LANES);
        print_indent(p->out, p->depth + 1);
        buf_printf(p->out, "%s_lane[lane] = %s;\n", name, identity(value));
    }
    if (value->op == OP_argmax) {
        argmax_loops(p, value, name);
    } else {
        if (!lanes) declare_accumulator(p, value, name);
        const char *outside = conditions_text(p, value->condition, value->condition_count, is_open);
        int all = -1;
        if (outside) {
            line(p);
            buf_printf(p->out, "if (%s) {\n", outside);
            all = enter(p);
        }
        for (int i = 0; i < loops; i++) {
            hoist(p, value->in[0]);
            mark[i] = open_loop(p, value->var[i], "0", extent_text(p, value->var[i]));
            ask(p, value, value->var[i]);
        }
        if (lanes)
            lane_loops(p, value, value->var[loops], name);
        else
            accumulate(p, value, name);
        for (int i = loops - 1; i >= 0; i--)
            leave(p, mark[i]);
        if (all >= 0) leave(p, all);
        if (lanes) sum_lanes(p, value, name);
    }
    p->name[value->id] = name;
    VEC_PUSH(p->arena, p->named, value->id);
}

// --- Rows

// Does the reduction's memory run along `var`, the innermost output index, rather than along its
// own?
static bool runs_along(const Printer *p, const Value *value, int var, int own, int *along,
                       int *across) {
    if (value->kind == VALUE_LOAD) {
        *along += index_coefficient(&value->index, var) == 1;
        *across += own >= 0 && index_coefficient(&value->index, own) == 1 &&
                   index_coefficient(&value->index, var) != 1;
    }
    for (int i = 0; i < value->in_count; i++)
        runs_along(p, value->in[i], var, own, along, across);
    return *along > 0;
}

// The only reduction of the nest, if it is to be accumulated by rows; else NULL.
static const Value *row_reduction(const Printer *p) {
    const Value *found = NULL;
    int var = p->loops->loop[p->loops->loop_count - 1], along = 0, across = 0;
    for (int i = 0; i < p->loops->value.count; i++)
        if (p->loops->value.at[i]->kind == VALUE_REDUCE && p->uses[p->loops->value.at[i]->id] > 0) {
            if (found) return NULL;
            found = p->loops->value.at[i];
        }
    if (!found || found->op == OP_argmax || found->var_count == 0) return NULL;
    if (dim_eval(p->loops->var[var].extent, p->loops->batch) < 8) return NULL;
    int own = found->var[found->var_count - 1];
    bool row = runs_along(p, found->in[0], var, own, &along, &across);
    bool short_sum = dim_eval(p->loops->var[own].extent, p->loops->batch) < 2 * LANES;
    return row && (across == 0 || short_sum) ? found : NULL;
}

static bool bounds_row(const Condition *condition, int var, const Printer *p) {
    int64_t coef = index_coefficient(&condition->index, var);
    for (int i = 0; i < condition->index.count; i++) // no LET that depends on var
        if (condition->index.term[i].var != var &&
            (var_deps(p->loops, condition->index.term[i].var) >> var & 1))
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
        const char *text = index_text(p, &rest),
                   *name = arena_printf(p->arena, "%s_%d", var_name(p, var), i);
        Buf extent = buf_new(p->arena);
        print_dim(&extent, condition->extent);
        if (condition->check_low) {
            line(p);
            buf_printf(p->out, "const int %s_from = %s > -(%s) ? %s : -(%s);\n", name, *low, text,
                       *low, text);
            *low = arena_printf(p->arena, "%s_from", name);
        }
        if (condition->check_high) {
            line(p);
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
        condition_text(p, &text, condition);
    }
    if (text.length) {
        line(p);
        buf_printf(p->out, "if (!(%s)) continue;\n", text.text);
    }
}

static void store_all(Printer *p) {
    const char *text[8];
    for (int i = 0; i < p->loops->store.count; i++)
        text[i] = value_text(p, p->loops->store.at[i].value);
    // All is computed before anything is written: a state's old value may lie where its next one
    // goes.
    if (p->loops->store.count > 1)
        for (int i = 0; i < p->loops->store.count; i++)
            if (!p->name[p->loops->store.at[i].value->id])
                text[i] = declare(p, p->loops->store.at[i].value, text[i]);
    for (int i = 0; i < p->loops->store.count; i++) {
        const Store *store = &p->loops->store.at[i];
        const char *index = index_text(p, &store->index);
        line(p);
        buf_printf(p->out, "b%d[%s] = %s;\n", store->buffer->id, index, text[i]);
    }
}

static void print_row(Printer *p, const Value *value, const char *low, const char *high) {
    int var = p->loops->loop[p->loops->loop_count - 1], mark[2 * MAX_RANK];
    int64_t extent = dim_eval(p->loops->var[var].extent, p->loops->batch);
    const char *row = arena_printf(p->arena, "v%d_row", value->id), *index = var_name(p, var),
               *at = index;
    int blocks = -1;
    if (extent > ROW || strcmp(low, "0") != 0) { // blocks of the row, from `first`
        line(p);
        buf_printf(p->out, "for (int first = %s; first < %s; first += %d) {\n", low, high, ROW);
        blocks = enter(p);
        line(p);
        buf_printf(p->out, "const int last = first + %d < %s ? first + %d : %s;\n", ROW, high, ROW,
                   high);
        low = "first", high = "last";
        at = arena_printf(p->arena, "%s - first", index);
        extent = ROW;
    }
    const char *element = arena_printf(p->arena, "%s[%s]", row, at);
    line(p);
    buf_printf(p->out, "%s %s[%lld];\n", c_type(value->dtype), row, (long long)extent);
    line(p);
    buf_printf(p->out, "for (int %s = %s; %s < %s; %s++)\n", index, low, index, high, index);
    print_indent(p->out, p->depth + 1);
    buf_printf(p->out, "%s = %s;\n", element, identity(value));
    const char *outside = conditions_text(p, value->condition, value->condition_count, is_open);
    int all = -1;
    if (outside) {
        line(p);
        buf_printf(p->out, "if (%s) {\n", outside);
        all = enter(p);
    }
    for (int i = 0; i < value->var_count; i++) {
        mark[i] = open_loop(p, value->var[i], "0", extent_text(p, value->var[i]));
        ask(p, value, value->var[i]);
    }
    const char *from = low, *to = high;
    row_bounds(p, value, var, &from, &to);
    hoist(p, value->in[0]);
    int inner = open_loop(p, var, from, to);
    ask_in_row(p, value, var);
    accumulate(p, value, element);
    leave(p, inner);
    for (int i = value->var_count - 1; i >= 0; i--)
        leave(p, mark[i]);
    if (all >= 0) leave(p, all);
    inner = open_loop(p, var, low, high);
    p->name[value->id] = element;
    VEC_PUSH(p->arena, p->named, value->id);
    store_all(p);
    leave(p, inner);
    if (blocks >= 0) leave(p, blocks);
}

// --- The nest

static void mark_value(Printer *p, const Value *value);

// Marks the values that an index is made of, and returns all variables that it depends on.
static uint64_t mark_index(Printer *p, const Index *index) {
    uint64_t deps = index_deps(p->loops, index);
    for (int var = 0; var < p->loops->var_count; var++)
        if (deps >> var & 1 && p->loops->var[var].kind == VAR_VALUE) {
            mark_value(p, p->loops->var[var].value);
            deps |= p->deps[p->loops->var[var].value->id];
        }
    return deps;
}

static void mark_value(Printer *p, const Value *value) {
    if (p->uses[value->id]++) return;
    uint64_t deps = mark_index(p, &value->index), own = 0;
    for (int i = 0; i < value->condition_count; i++)
        deps |= mark_index(p, &value->condition[i].index);
    for (int i = 0; i < value->in_count; i++) {
        mark_value(p, value->in[i]);
        deps |= p->deps[value->in[i]->id];
    }
    for (int i = 0; i < value->var_count; i++)
        own |= 1ull << value->var[i];
    p->deps[value->id] = deps & ~own;
}

static Printer printer_new(Buf *out, const Loops *loops, int depth) {
    Printer p = {.out = out, .loops = loops, .arena = out->arena, .depth = depth};
    int count = loops->value.count + 1;
    p.deps = ARENA_ARRAY(p.arena, uint64_t, count);
    p.uses = ARENA_ARRAY(p.arena, int, count);
    p.name = ARENA_ARRAY(p.arena, const char *, count);
    for (int i = 0; i < loops->store.count; i++)
        mark_value(&p, loops->store.at[i].value);
    return p;
}

static void hoist_all(Printer *p) {
    for (int i = 0; i < p->loops->store.count; i++)
        hoist(p, p->loops->store.at[i].value);
}

void nest_print(Buf *out, const Loops *loops, const char *low, const char *high, int depth) {
    Printer p = printer_new(out, loops, depth);
    const Value *row = row_reduction(&p);
    int mark[MAX_RANK], count = loops->loop_count - (row ? 1 : 0);
    for (int i = 0; i < count; i++) {
        if (!row) hoist_all(&p);
        mark[i] = open_loop(&p, loops->loop[i], i == 0 ? low : "0",
                            i == 0 ? high : extent_text(&p, loops->loop[i]));
    }
    if (row) {
        int last = loops->loop[loops->loop_count - 1];
        print_row(&p, row, count == 0 ? low : "0", count == 0 ? high : extent_text(&p, last));
    } else {
        store_all(&p);
    }
    for (int i = count - 1; i >= 0; i--)
        leave(&p, mark[i]);
}

// --- Locals

static void print_pointer(Buf *out, const Loops *loops, const Buffer *buffer) {
    bool written = false;
    for (int i = 0; i < loops->store.count; i++)
        written |= loops->store.at[i].buffer == buffer;
    buf_printf(out, "    %s%s *restrict b%d = %s; // %s\n", written ? "" : "const ",
               c_memory_type(buffer->dtype), buffer->id, buffer_address(out->arena, buffer),
               buffer->name);
}

void nest_print_locals(Buf *out, const Loops *loops) {
    Printer p = printer_new(out, loops, 1);
    int scalars = 0; // slots below it are declared, where they are used
    VEC(const Buffer *) seen = {0};
    for (int i = -loops->store.count; i < loops->value.count; i++) {
        const Value *value = i < 0 ? NULL : loops->value.at[i];
        const Buffer *buffer = value ? value->buffer : loops->store.at[-1 - i].buffer;
        bool known = !buffer;
        if (value && p.uses[value->id] == 0) continue;
        for (int k = 0; k < seen.count; k++)
            known |= seen.at[k] == buffer;
        if (!known) {
            VEC_PUSH(out->arena, seen, buffer);
            print_pointer(out, loops, buffer);
        }
        if (value && value->kind == VALUE_SCALAR && value->slot >= scalars)
            scalars = value->slot + 1;
        for (int word = 0; value && value->kind == VALUE_RANDOM && word < 2; word++)
            buf_printf(out,
                       "    const unsigned key%d_%c = nnc_random_key(ctx->seed_low, "
                       "ctx->seed_high, %uu, ctx->step, %d);\n",
                       value->id, "ab"[word], nnc_random_stream(value->stream), word);
    }
    for (int slot = 0; slot < scalars; slot++)
        for (int i = 0; i < loops->value.count; i++) {
            const Value *value = loops->value.at[i];
            if (value->kind != VALUE_SCALAR || value->slot != slot || p.uses[value->id] == 0)
                continue;
            buf_printf(out, "    const float s%d = ctx->scalar[%d];\n", slot, slot);
            break;
        }
}
