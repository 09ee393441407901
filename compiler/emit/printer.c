// SPDX-License-Identifier: MIT
// Values and indices of a loop nest as C: one statement for each value that is used more than once,
// in the scope where it is first needed.
#include "emit/printer.h"
#include "pass/index.h"

#include <inttypes.h>

// --- Scopes

void printer_line(Printer *p) { print_indent(p->out, p->depth); }

int printer_enter(Printer *p) {
    p->depth++;
    return p->named.count;
}

void printer_leave(Printer *p, int mark) {
    while (p->named.count > mark) {
        int id = p->named.at[--p->named.count];
        if (id < 0)
            p->open &= ~(1ull << (-1 - id));
        else
            p->name[id] = NULL;
    }
    p->depth--;
    printer_line(p);
    buf_add(p->out, "}\n");
}

// --- Indices

const char *printer_var(const Printer *p, int var) {
    if (p->loops->var[var].kind == VAR_OUTSIDE) return p->loops->var[var].name;
    static const char letter[] = {
        [VAR_LOOP] = 'i', [VAR_REDUCE] = 'r', [VAR_LET] = 't', [VAR_VALUE] = 'g'};
    return arena_printf(p->arena, "%c%d", letter[p->loops->var[var].kind], var);
}

// A LET or a gathered index is declared where it is first used.
static void need_var(Printer *p, int var) {
    const Var *v = &p->loops->var[var];
    static const char *const operator[] = {
        [LET_DIVIDE] = "/", [LET_MODULO] = "%", [LET_TIMES] = "*"};
    if (p->open >> var & 1 || v->kind == VAR_OUTSIDE) return;
    if (v->kind == VAR_LET) {
        Buf by = buf_new(p->arena);
        print_dim(&by, v->by);
        const char *of = printer_index(p, &v->of);
        printer_line(p);
        buf_printf(p->out, "const int %s = (%s) %s (%s);\n", printer_var(p, var),
                   of, operator[v->let], by.text);
    } else if (v->kind == VAR_VALUE) {
        const char *value = printer_value(p, v->value);
        printer_line(p);
        buf_printf(p->out, "const int %s = %s;\n", printer_var(p, var), value);
    } else {
        bug("loop variable %s is used outside of its loop", printer_var(p, var));
    }
    p->open |= 1ull << var;
    VEC_PUSH(p->arena, p->named, -1 - var);
}

const char *printer_index(Printer *p, const Index *index) {
    Buf text = buf_new(p->arena);
    for (int i = 0; i < index->count; i++) {
        int64_t coef = index->term[i].coef;
        need_var(p, index->term[i].var);
        buf_add(&text, i == 0 ? (coef < 0 ? "-" : "") : coef < 0 ? " - " : " + ");
        buf_add(&text, printer_var(p, index->term[i].var));
        if (coef != 1 && coef != -1) buf_printf(&text, " * %" PRId64, coef < 0 ? -coef : coef);
    }
    if (index->count == 0)
        buf_printf(&text, "%" PRId64, index->constant);
    else if (index->constant)
        buf_printf(&text, " %c %" PRId64, index->constant < 0 ? '-' : '+',
                   index->constant < 0 ? -index->constant : index->constant);
    return text.text;
}

void printer_condition(Printer *p, Buf *text, const Condition *condition) {
    const char *index = printer_index(p, &condition->index), *and = "";
    if (condition->check_low) buf_printf(text, "%s >= 0", index), and = " && ";
    if (condition->check_high) {
        buf_printf(text, "%s%s < ", and, index), and = " && ";
        print_dim(text, condition->extent);
    }
    if (condition->multiple != 1)
        buf_printf(text, "%s(%s) %% %" PRId64 " == 0", and, index, condition->multiple);
}

const char *printer_conditions(Printer *p, const Condition *condition, int count,
                               bool (*keep)(const Printer *, const Condition *)) {
    Buf text = buf_new(p->arena);
    for (int i = 0; i < count; i++) {
        if (keep && !keep(p, &condition[i])) continue;
        if (text.length) buf_add(&text, " && ");
        printer_condition(p, &text, &condition[i]);
    }
    return text.length ? text.text : NULL;
}

// --- Values

const char *printer_declare(Printer *p, const Value *value, const char *text) {
    const char *name = arena_printf(p->arena, "v%d", value->id);
    printer_line(p);
    buf_printf(p->out, "const %s %s = %s;\n",
               c_type(value->dtype == DT_F64 ? DT_F32 : value->dtype), name, text);
    p->name[value->id] = name;
    VEC_PUSH(p->arena, p->named, value->id);
    return name;
}

static const char *cast_text(Printer *p, const Value *value) {
    const char *in = printer_value(p, value->in[0]);
    DType from = value->in[0]->dtype;
    if (value->dtype == DT_BOOL) return arena_printf(p->arena, "(%s != 0)", in);
    if (value->dtype == DT_BF16) return arena_printf(p->arena, "nnc_bf16_round(%s)", in);
    if (from == DT_BF16) return in;
    if ((value->dtype == DT_F32 || value->dtype == DT_F64) && (from == DT_F32 || from == DT_F64))
        return in;
    return arena_printf(p->arena, "(%s)%s", c_type(value->dtype), in);
}

static bool is_trivial(const Value *value) {
    return value->kind == VALUE_CONST || value->kind == VALUE_SCALAR || value->kind == VALUE_INDEX;
}

// Both sides of a choice are computed in any case: a compiler that would have to load one under a
// condition may make no vectors of the loop.
static const char *point_text(Printer *p, const Value *value) {
    Buf text = buf_new(p->arena);
    const char *in[3] = {0};
    for (int i = 0; i < value->in_count; i++) {
        in[i] = printer_value(p, value->in[i]);
        if (value->op == OP_select && i > 0 && !is_trivial(value->in[i]) &&
            !p->name[value->in[i]->id])
            in[i] = printer_declare(p, value->in[i], in[i]);
    }
    buf_add(&text, "(");
    print_pointwise(&text, value->op, value->in[value->in_count - 1]->dtype, in);
    buf_add(&text, ")");
    return text.text;
}

static const char *guard_text(Printer *p, const Value *value) {
    const char *no = printer_value(p, value->in[1]);
    const char *condition = printer_conditions(p, value->condition, value->condition_count, NULL);
    const char *name = arena_printf(p->arena, "v%d", value->id);
    printer_line(p);
    buf_printf(p->out, "%s %s = %s;\n", c_type(value->dtype), name, no);
    printer_line(p);
    buf_printf(p->out, "if (%s) {\n", condition);
    int mark = printer_enter(p);
    const char *yes = printer_value(p, value->in[0]);
    printer_line(p);
    buf_printf(p->out, "%s = %s;\n", name, yes);
    printer_leave(p, mark);
    p->name[value->id] = name;
    VEC_PUSH(p->arena, p->named, value->id);
    return name;
}

static const char *plain_text(Printer *p, const Value *value) {
    Buf text = buf_new(p->arena);
    switch (value->kind) {
    case VALUE_CONST:
        print_number(&text, value->dtype == DT_F64 ? DT_F32 : value->dtype, value->number);
        break;
    case VALUE_LOAD:
    case VALUE_CARRY:
        if (value->in_count) printer_value(p, value->in[0]); // keeps it
        buf_printf(&text, value->buffer->dtype == DT_BF16 ? "nnc_bf16_value(b%d[%s])" : "b%d[%s]",
                   value->buffer->id, printer_index(p, &value->index));
        break;
    case VALUE_POINT:
        return point_text(p, value);
    case VALUE_CAST:
        return cast_text(p, value);
    case VALUE_INDEX:
        buf_printf(&text, "(%s)", printer_index(p, &value->index));
        break;
    case VALUE_SCALAR:
        buf_printf(&text, "s%d", value->slot);
        break;
    case VALUE_RANDOM:
        buf_printf(&text, "nnc_random_unit(key%d_a, key%d_b, at%d + (unsigned)(%s))", value->id,
                   value->id, value->id, printer_index(p, &value->index));
        break;
    case VALUE_GUARD:
    case VALUE_REDUCE:
        bug("a statement is no expression");
    }
    return text.text;
}

static const char *fresh_value(Printer *p, const Value *value) {
    if (value->kind == VALUE_GUARD) return guard_text(p, value);
    if (value->kind == VALUE_REDUCE) {
        printer_reduce(p, value);
        return p->name[value->id];
    }
    const char *text = plain_text(p, value);
    bool once = p->uses[value->id] <= 1 && !value->kept;
    return is_trivial(value) || once ? text : printer_declare(p, value, text);
}

const char *printer_value(Printer *p, const Value *value) {
    if (p->name[value->id]) return p->name[value->id];
    const char *text = fresh_value(p, value);
    if (p->keep && p->keep[value->id]) {
        printer_line(p);
        buf_printf(p->out, "%s = %s;\n", p->keep[value->id], text);
        p->name[value->id] = p->keep[value->id];
        return p->name[value->id];
    }
    if (value->kept) {
        const char *index = printer_index(p, &value->kept_index);
        printer_line(p);
        buf_printf(p->out, "b%d[%s] = %s;\n", value->kept->id, index, text);
    }
    return text;
}

static void hoist(Printer *p, const Value *value, bool *seen) {
    if (p->name[value->id] || value->kind == VALUE_CONST || value->kind == VALUE_SCALAR ||
        value->kind == VALUE_INDEX || seen[value->id])
        return;
    seen[value->id] = true;
    if ((p->deps[value->id] & ~p->open) == 0) {
        const char *text = printer_value(p, value);
        if (!p->name[value->id]) printer_declare(p, value, text);
    } else if (value->kind != VALUE_GUARD && value->condition_count == 0) {
        for (int i = 0; i < value->in_count; i++)
            hoist(p, value->in[i], seen);
    }
}

// Declares, before a loop is opened, what does not depend on it.
void printer_hoist(Printer *p, const Value *value) {
    hoist(p, value, ARENA_ARRAY(p->arena, bool, p->loops->value.count));
}

int printer_open_loop(Printer *p, int var, const char *low, const char *high) {
    const char *name = printer_var(p, var);
    printer_line(p);
    buf_printf(p->out, "for (int %s = %s; %s < %s; %s++) {\n", name, low, name, high, name);
    int mark = printer_enter(p);
    printer_own_var(p, var);
    return mark;
}

void printer_own_var(Printer *p, int var) {
    p->open |= 1ull << var;
    VEC_PUSH(p->arena, p->named, -1 - var);
}

void printer_set_var(Printer *p, int var, const char *text) {
    printer_line(p);
    buf_printf(p->out, "const int %s = %s;\n", printer_var(p, var), text);
    printer_own_var(p, var);
}

const char *printer_extent(Printer *p, int var) {
    Buf text = buf_new(p->arena);
    print_dim(&text, p->loops->var[var].extent);
    return text.text;
}

bool printer_streams(const Loops *loops, const Store *store) {
    int var = loops->loop[loops->loop_count - 1];
    bool narrows = store->buffer->dtype == DT_BF16 && loops->target->dot2;
    bool streams = store->buffer->dtype == DT_F32 && store->buffer->streamed;
    return (narrows || streams) && index_coefficient(&store->index, var) == 1;
}

// Those that are not stored yet and can be: their loops are open.
static uint64_t stores_due(const Printer *p) {
    uint64_t due = 0;
    for (int i = 0; i < p->loops->store.count; i++)
        if (!(p->stored >> i & 1) &&
            (index_deps(p->loops, &p->loops->store.at[i].index) & ~p->open) == 0)
            due |= 1ull << i;
    return due;
}

bool printer_stores_due(const Printer *p) { return stores_due(p) != 0; }

// What the loop computes of it: where nnc_narrow rounds a block, the number before that.
static const Value *stored_value(const Printer *p, const Store *store) {
    const Value *value = store->value;
    bool narrows =
        store->buffer->dtype == DT_BF16 && p->streams && printer_streams(p->loops, store);
    bool once = p->uses[value->id] <= 1 && !p->name[value->id] && !value->kept;
    return narrows && once && value->kind == VALUE_CAST ? value->in[0] : value;
}

static const char *store_place(Printer *p, int i) {
    const Store *store = &p->loops->store.at[i];
    if (p->place && p->place[i]) return p->place[i];
    if (p->streams && printer_streams(p->loops, store))
        return arena_printf(p->arena, "b%d_%d_near[%s - first]", store->buffer->id, i,
                            printer_var(p, p->loops->loop[p->loops->loop_count - 1]));
    return arena_printf(p->arena, "b%d[%s]", store->buffer->id, printer_index(p, &store->index));
}

void printer_stores(Printer *p) {
    const char *text[64] = {0};
    uint64_t due = stores_due(p);
    for (int i = 0; i < p->loops->store.count; i++)
        if (due >> i & 1) text[i] = printer_value(p, stored_value(p, &p->loops->store.at[i]));
    // All is computed before anything is written: a state's old value may lie where its next one
    // goes.
    if (p->loops->store.count > 1)
        for (int i = 0; i < p->loops->store.count; i++)
            if (due >> i & 1 && !p->name[stored_value(p, &p->loops->store.at[i])->id])
                text[i] = printer_declare(p, stored_value(p, &p->loops->store.at[i]), text[i]);
    p->stored |= due;
    for (int i = 0; i < p->loops->store.count; i++) {
        const Store *store = &p->loops->store.at[i];
        if (!(due >> i & 1)) continue;
        const char *to = store_place(p, i);
        bool near = p->streams && printer_streams(p->loops, store);
        printer_line(p);
        buf_printf(p->out,
                   store->buffer->dtype == DT_BF16 && !near ? "%s = nnc_bf16_bits(%s);\n"
                                                            : "%s = %s;\n",
                   to, text[i]);
    }
}
