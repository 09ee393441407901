// SPDX-License-Identifier: MIT
// A reduction as statements in front of its user. Where its innermost index is long, it runs
// through 16 accumulators (lanes), or 64, that are added in a fixed tree: on every processor alike,
// and in vectors of its size where there are any.
#include "emit/printer.h"
#include "pass/index.h"

enum { LANES = REDUCE_LANES, LONG = 256, LONG_LANES = 4 * LANES };

const char *reduce_least(DType dtype) {
    return dtype == DT_F32 ? "(-1.0f / 0.0f)" : "(-2147483647 - 1)";
}

const char *reduce_identity(const Value *value) {
    bool real = value->dtype == DT_F32;
    if (value->op == OP_reduce_sum) return real ? "0.0f" : "0";
    if (value->op == OP_reduce_min) return real ? "(1.0f / 0.0f)" : "2147483647";
    return reduce_least(value->dtype);
}

static const char *combine(Printer *p, const Value *value, const char *a, const char *b) {
    const char *suffix = value->dtype == DT_I32 ? "_i" : "";
    if (value->op == OP_reduce_sum) return arena_printf(p->arena, "%s + %s", a, b);
    return arena_printf(p->arena, "nnc_%s%s(%s, %s)", value->op == OP_reduce_max ? "max" : "min",
                        suffix, a, b);
}

static const char *reduction_name(const Value *value) {
    return value->op == OP_reduce_sum ? "sum" : value->op == OP_reduce_max ? "max" : "min";
}

// Of vectors of the target's size.
static const char *combine_lanes(Printer *p, const Value *value, const char *a, const char *b) {
    return arena_printf(p->arena, "nnc_%s%d(%s, %s)", reduction_name(value),
                        p->loops->target->lanes, a, b);
}

bool printer_is_open(const Printer *p, const Condition *condition) {
    return (index_deps(p->loops, &condition->index) & ~p->open) == 0;
}

// The conditions that can be asked now and could not before `var` were opened.
void printer_ask(Printer *p, const Value *value, const int *var, int count) {
    Buf text = buf_new(p->arena);
    uint64_t opened = 0;
    for (int i = 0; i < count; i++)
        opened |= 1ull << var[i];
    for (int i = 0; i < value->condition_count; i++) {
        const Condition *condition = &value->condition[i];
        uint64_t deps = index_deps(p->loops, &condition->index);
        if (!printer_is_open(p, condition) || !(deps & opened)) continue;
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

void reduce_argmax_turn(Printer *p, const Value *value, const char *name) {
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
}

static void argmax_loops(Printer *p, const Value *value, const char *name) {
    int mark[2 * MAX_RANK];
    printer_line(p);
    buf_printf(p->out, "%s %s_most = %s;\n", c_type(value->in[0]->dtype), name,
               reduce_least(value->in[0]->dtype));
    printer_line(p);
    buf_printf(p->out, "int %s = 0;\n", name);
    for (int i = 0; i < value->var_count; i++)
        mark[i] = printer_open_loop(p, value->var[i], "0", printer_extent(p, value->var[i]));
    reduce_argmax_turn(p, value, name);
    for (int i = value->var_count - 1; i >= 0; i--)
        printer_leave(p, mark[i]);
}

void printer_combine(Printer *p, const Value *value, const char *to, const char *term) {
    printer_line(p);
    buf_printf(p->out, "%s = %s;\n", to, combine(p, value, to, term));
}

void printer_accumulate(Printer *p, const Value *value, const char *to) {
    const char *body = printer_value(p, value->in[0]);
    printer_combine(p, value, to, body);
}

// --- Lanes

// A C compiler makes a vector instruction of a short loop, but not of what is left of it when it is
// written out first. No turn of it reads what another one writes.
static void keep_rolled(Printer *p) {
    if (p->loops->target->lanes) buf_add(p->out, "#pragma GCC ivdep\n#pragma GCC unroll 1\n");
}

static int64_t innermost_extent(const Printer *p, const Value *value) {
    return dim_eval(p->loops->var[value->var[value->var_count - 1]].extent, p->loops->batch);
}

// How many accumulators: as many as keep a processor busy, where a sum is long. 0: one.
int reduce_lanes(const Printer *p, const Value *value) {
    if (value->op == OP_argmax || value->var_count == 0 || p->loops->target->gpu) return 0;
    int64_t extent = innermost_extent(p, value);
    return extent >= LONG ? LONG_LANES : extent >= LANES ? LANES : 0;
}

// Are the lanes vectors, as many in each as the target has? Otherwise they are an array.
static bool in_vectors(const Printer *p, const Value *value) {
    return p->loops->target->lanes && value->dtype == DT_F32 && value->condition_count == 0;
}

static const char *reduction_local(const Printer *p, const Value *value) {
    return arena_printf(p->arena, "v%d", value->id);
}

static void set_lanes(Printer *p, const Value *value, const char *type) {
    const char *name = reduction_local(p, value);
    int size = p->loops->target->lanes;
    for (int i = 0; i < reduce_lanes(p, value) / size; i++) {
        printer_line(p);
        buf_printf(p->out, "%s%s_%d = %s + (nnc_v%d){0};\n", type, name, i, reduce_identity(value),
                   size);
    }
}

void reduce_reset(Printer *p, const Value *value) { set_lanes(p, value, ""); }

void reduce_declare(Printer *p, const Value *value) {
    const char *identity = reduce_identity(value), *name = reduction_local(p, value);
    int lanes = reduce_lanes(p, value);
    if (in_vectors(p, value)) {
        set_lanes(p, value, arena_printf(p->arena, "nnc_v%d ", p->loops->target->lanes));
        return;
    }
    printer_line(p);
    buf_printf(p->out, "%s %s_lane[%d];\n", c_type(value->dtype), name, lanes);
    printer_line(p);
    buf_printf(p->out, "for (int lane = 0; lane < %d; lane++)\n", lanes);
    print_indent(p->out, p->depth + 1);
    buf_printf(p->out, "%s_lane[lane] = %s;\n", name, identity);
}

// Sixteen lanes and more, from `first` of the block to the C expression `end`.
static int open_lanes(Printer *p, int var, const char *name, int first, const char *end) {
    const char *index = printer_var(p, var),
               *start = first ? arena_printf(p->arena, " + %d", first) : "";
    keep_rolled(p);
    printer_line(p);
    buf_printf(p->out, "for (int lane = 0; lane < %s; lane++) {\n", end);
    int mark = printer_enter(p);
    printer_line(p);
    buf_printf(p->out, "const int %s = %s_block%s + lane;\n", index, name, start);
    p->open |= 1ull << var;
    VEC_PUSH(p->arena, p->named, -1 - var);
    return mark;
}

static void lane_loop(Printer *p, const Value *value, int var, const char *name, int first,
                      const char *end) {
    int mark = open_lanes(p, var, name, first, end);
    printer_ask(p, value, &var, 1);
    if (in_vectors(p, value)) {
        const char *body = printer_value(p, value->in[0]);
        printer_line(p);
        buf_printf(p->out, "%s_sixteen[lane] = %s;\n", name, body);
    } else {
        printer_accumulate(p, value, arena_printf(p->arena, "%s_lane[lane]", name));
    }
    printer_leave(p, mark);
}

// Is what is summed sixteen neighbours in memory?
static bool is_loaded(const Value *body, int var) {
    return body->kind == VALUE_LOAD && body->buffer->dtype == DT_F32 && !body->kept &&
           index_coefficient(&body->index, var) == 1;
}

static const char *loaded(Printer *p, const Value *value, int var, const char *name, int first) {
    const Value *body = value->in[0];
    printer_line(p);
    buf_printf(p->out, "const int %s = %s_block + %d;\n", printer_var(p, var), name, first);
    p->open |= 1ull << var;
    VEC_PUSH(p->arena, p->named, -1 - var);
    return arena_printf(p->arena, "b%d + %s", body->buffer->id, printer_index(p, &body->index));
}

// Exponentials are dear: where registers hold sixteen floats, they are computed sixteen at a time
// by a function that knows the processor, before what they are for.
void reduce_exponentials(Printer *p, const Value *value, int var, const char *name, int first) {
    if (p->loops->target->lanes != 16 || value->kind == VALUE_REDUCE || p->name[value->id] ||
        !(p->deps[value->id] >> var & 1))
        return;
    for (int i = 0; i < value->in_count && value->kind != VALUE_GUARD; i++)
        reduce_exponentials(p, value->in[i], var, name, first);
    if (value->kind != VALUE_POINT || value->op != OP_exp || value->dtype != DT_F32) return;
    printer_line(p);
    buf_printf(p->out, "float v%d_sixteen[16] __attribute__((aligned(64)));\n", value->id);
    int mark = open_lanes(p, var, name, first, "16");
    const char *of = printer_value(p, value->in[0]);
    printer_line(p);
    buf_printf(p->out, "v%d_sixteen[lane] = %s;\n", value->id, of);
    printer_leave(p, mark);
    printer_line(p);
    buf_printf(p->out, "nnc_exp16(v%d_sixteen);\n", value->id);
    if (value->kept) {
        Index at = index_add(value->kept_index, index_scale(index_var(var), -1));
        at = index_add(at, index_const(first));
        const char *index = printer_index(p, &at);
        printer_line(p);
        buf_printf(p->out, "*(nnc_v16 *)(b%d + %s_block + %s) = *(const nnc_v16 *)v%d_sixteen;\n",
                   value->kept->id, name, index, value->id);
    }
    p->name[value->id] = arena_printf(p->arena, "v%d_sixteen[lane]", value->id);
    VEC_PUSH(p->arena, p->named, value->id);
}

// Sixteen floats at the C expression `from` go to the lanes from 16 * which on.
static void add_lanes(Printer *p, const Value *value, int which, const char *from) {
    int size = p->loops->target->lanes;
    for (int i = 0; i < 16; i += size) {
        const char *to = arena_printf(p->arena, "v%d_%d", value->id, (16 * which + i) / size);
        const char *at = i ? arena_printf(p->arena, " + %d", i) : "";
        const char *some = arena_printf(p->arena, "*(const nnc_v%d *)(%s%s)", size, from, at);
        printer_line(p);
        buf_printf(p->out, "%s = %s;\n", to, combine_lanes(p, value, to, some));
    }
}

// Sixteen lanes, computed to memory that never gets there. `rest`: how many there are, where they
// are not sixteen.
void reduce_sixteen(Printer *p, const Value *value, int which, const char *rest) {
    int var = value->var[value->var_count - 1];
    const char *name = reduction_local(p, value), *from;
    const Value *body = value->in[0];
    printer_line(p);
    buf_add(p->out, "{\n");
    int mark = printer_enter(p);
    if (!rest) reduce_exponentials(p, body, var, name, 16 * which);
    if (!rest && p->name[body->id] && p->deps[body->id] >> var & 1) {
        from = arena_printf(p->arena, "v%d_sixteen", body->id);
    } else if (!rest && is_loaded(body, var)) {
        from = loaded(p, value, var, name, 16 * which);
    } else {
        printer_line(p);
        buf_printf(p->out, "float %s_sixteen[16] __attribute__((aligned(64)));\n", name);
        if (rest) {
            printer_line(p);
            buf_add(p->out, "for (int lane = 0; lane < 16; lane++)\n");
            print_indent(p->out, p->depth + 1);
            buf_printf(p->out, "%s_sixteen[lane] = %s;\n", name, reduce_identity(value));
        }
        lane_loop(p, value, var, name, 16 * which, rest ? rest : "16");
        from = arena_printf(p->arena, "%s_sixteen", name);
    }
    add_lanes(p, value, which, from);
    printer_leave(p, mark);
}

// What is left of blocks of vectors: sixteen at a time, to one vector after the other.
static void add_rest(Printer *p, const Value *value, int lanes, const char *name,
                     const char *extent) {
    int var = value->var[value->var_count - 1];
    Dim dim = p->loops->var[var].extent;
    for (int i = 0; i < lanes / 16; i++) {
        if (dim_is_const(dim) && dim.c[0] % lanes <= 16 * i) break;
        const char *rest = arena_printf(p->arena, "%s - %s_block - %d", extent, name, 16 * i);
        printer_line(p);
        buf_printf(p->out, "if (%s > 0) {\n", rest);
        int mark = printer_enter(p);
        const char *some =
            i + 1 < lanes / 16 ? arena_printf(p->arena, "(%s < 16 ? %s : 16)", rest, rest) : rest;
        reduce_sixteen(p, value, i, some);
        printer_leave(p, mark);
    }
}

// The innermost loop in blocks of so many lanes: lane = index % lanes.
static void lane_loops(Printer *p, const Value *value, int var, int lanes, const char *name) {
    const char *extent = printer_extent(p, var);
    bool vectors = in_vectors(p, value);
    Dim dim = p->loops->var[var].extent;
    printer_hoist(p, value->in[0]);
    printer_line(p);
    buf_printf(p->out, "int %s_block = 0;\n", name);
    printer_line(p);
    buf_printf(p->out, "for (; %s_block + %d <= %s; %s_block += %d) {\n", name, lanes, extent, name,
               lanes);
    int mark = printer_enter(p);
    for (int i = 0; i < lanes / 16 && vectors; i++)
        reduce_sixteen(p, value, i, NULL);
    if (!vectors) lane_loop(p, value, var, name, 0, arena_printf(p->arena, "%d", lanes));
    printer_leave(p, mark);
    if (dim_is_const(dim) && dim.c[0] % lanes == 0) return;
    if (vectors)
        add_rest(p, value, lanes, name, extent);
    else
        lane_loop(p, value, var, name, 0, arena_printf(p->arena, "%s - %s_block", extent, name));
}

void reduce_close(Printer *p, const Value *value) {
    const char *name = reduction_local(p, value);
    bool vectors = in_vectors(p, value);
    int lanes = reduce_lanes(p, value), size = p->loops->target->lanes;
    for (int width = lanes / 2; width >= (vectors ? size : 1); width /= 2) {
        for (int i = 0; vectors && i < width / size; i++) {
            const char *low = arena_printf(p->arena, "%s_%d", name, i);
            const char *high = arena_printf(p->arena, "%s_%d", name, i + width / size);
            printer_line(p);
            buf_printf(p->out, "%s = %s;\n", low, combine_lanes(p, value, low, high));
        }
        if (vectors) continue;
        const char *low = arena_printf(p->arena, "%s_lane[lane]", name);
        const char *high = arena_printf(p->arena, "%s_lane[lane + %d]", name, width);
        printer_line(p);
        buf_printf(p->out, "for (int lane = 0; lane < %d; lane++)\n", width);
        print_indent(p->out, p->depth + 1);
        buf_printf(p->out, "%s = %s;\n", low, combine(p, value, low, high));
    }
    printer_line(p);
    if (vectors)
        buf_printf(p->out, "const float %s = nnc_%s_of%d(&%s_0);\n", name, reduction_name(value),
                   size, name);
    else
        buf_printf(p->out, "const %s %s = %s_lane[0];\n", c_type(value->dtype), name, name);
    p->name[value->id] = name;
    VEC_PUSH(p->arena, p->named, value->id);
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
    if (p->gpu && gpu_shares(p->loops, p->gpu, value)) {
        printer_team_reduce(p, value);
        return;
    }
    const char *name = reduction_local(p, value);
    int mark[2 * MAX_RANK], loops = value->var_count, lanes = reduce_lanes(p, value);
    if (lanes) {
        loops--;
        reduce_declare(p, value);
    }
    if (value->op == OP_argmax) {
        argmax_loops(p, value, name);
    } else {
        if (!lanes) declare_accumulator(p, value, name);
        int all = printer_open_if(p, value);
        for (int i = 0; i < loops; i++) {
            printer_hoist(p, value->in[0]);
            mark[i] = printer_open_loop(p, value->var[i], "0", printer_extent(p, value->var[i]));
            printer_ask(p, value, &value->var[i], 1);
        }
        if (lanes)
            lane_loops(p, value, value->var[loops], lanes, name);
        else
            printer_accumulate(p, value, name);
        for (int i = loops - 1; i >= 0; i--)
            printer_leave(p, mark[i]);
        if (all >= 0) printer_leave(p, all);
        if (lanes) {
            reduce_close(p, value);
            return;
        }
    }
    p->name[value->id] = name;
    VEC_PUSH(p->arena, p->named, value->id);
}
