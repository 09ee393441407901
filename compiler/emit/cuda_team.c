// SPDX-License-Identifier: MIT
// Kernels in which several threads compute an element, or a row: they share the terms of its
// reductions, whose sums then meet in a tree of a fixed shape (emit/cuda.h), and the row's
// elements.
//
//     const int rank = (int)threadIdx.x % 32;                    // softmax of [N, 100]: a warp
//     const unsigned at = blockIdx.x * 8u + threadIdx.x / 32u;   // has a row, a block 8 of them
//     ..
//     for (int e = 0; e < 4; e++) { const int r3 = e * 32 + rank; .. v7 = v7 + v6; }
//     v7 = nnc_warp_sum(v7);
//
// In short rows all loops are written out, so that a thread's elements stay in its registers from
// the first reduction to the last store: the row is read from memory once.
#include "emit/cuda_internal.h"
#include "pass/index.h"

enum { UNROLLED = 32 }; // turns of a loop that is written out

// --- Loops that a team shares

static int step_of(const Printer *p) { // from one of a thread's turns to the next
    return p->gpu->form == GPU_ACROSS ? p->gpu->threads / 32 : p->gpu->team;
}

// Written out: turn e of thread `rank`.
static int open_unrolled(Printer *p, const int *var, int count, int64_t all) {
    int step = step_of(p);
    const char *at = count == 1 ? printer_var(p, var[0]) : "of";
    buf_add(p->out, "#pragma unroll\n");
    printer_line(p);
    buf_printf(p->out, "for (int e = 0; e < %lld; e++) {\n", (long long)((all + step - 1) / step));
    int mark = printer_enter(p);
    if (count == 1) {
        printer_set_var(p, var[0], arena_printf(p->arena, "e * %d + rank", step));
    } else {
        printer_line(p);
        buf_printf(p->out, "const int of = e * %d + rank;\n", step);
    }
    if (all % step) {
        printer_line(p);
        buf_printf(p->out, "if (e == %lld && %s >= %lld) continue;\n", (long long)(all / step), at,
                   (long long)all);
    }
    if (count > 1) cuda_set_vars(p, var, count, "(unsigned)of", NULL);
    return mark;
}

// How many turns there are to be written out; 0: there is a loop.
static int64_t turns_of(const Printer *p, const int *var, int count) {
    Dim all = cuda_count(p->loops, var, count);
    if (!p->loops->kernel->rows || !dim_is_const(all)) return 0;
    int64_t turns = (all.c[0] + step_of(p) - 1) / step_of(p);
    return turns <= UNROLLED ? turns : 0;
}

// One loop over all indices of several; `part`: of the first one, `some` from `from` on.
static int open_shared(Printer *p, const int *var, int count, bool part) {
    Dim all = cuda_count(p->loops, var, count), inner = cuda_count(p->loops, var + 1, count - 1);
    if (turns_of(p, var, count)) return open_unrolled(p, var, count, all.c[0]);
    const char *of = count > 1 || part ? "of" : printer_var(p, var[0]),
               *end = dim_as_c(p->arena, all);
    if (part && count == 1) end = "some";
    if (part && count > 1) end = arena_printf(p->arena, "some * %s", dim_as_c(p->arena, inner));
    buf_add(p->out, "#pragma unroll 4\n");
    printer_line(p);
    buf_printf(p->out, "for (int %s = rank; %s < %s; %s += %d) {\n", of, of, end, of, step_of(p));
    int mark = printer_enter(p);
    if (count > 1 || part)
        cuda_set_vars(p, var, count, "(unsigned)of", part ? "from" : NULL);
    else
        printer_own_var(p, var[0]);
    return mark;
}

// --- Reductions

static const char *reduction_name(const Value *value) {
    return value->op == OP_reduce_sum ? "sum" : value->op == OP_reduce_max ? "max" : "min";
}

static void declare(Printer *p, const Value *value) {
    const char *type = c_type(value->dtype);
    printer_line(p);
    if (value->op != OP_argmax) {
        buf_printf(p->out, "%s v%d = %s;\n", type, value->id, reduce_identity(value));
        return;
    }
    buf_printf(p->out, "int v%d = 2147483647; // none\n", value->id);
    printer_line(p);
    buf_printf(p->out, "%s v%d_most = %s;\n", c_type(value->in[0]->dtype), value->id,
               reduce_least(value->in[0]->dtype));
}

// The threads' results become one, which all of them get.
static void join(Printer *p, const Value *value) {
    int id = value->id;
    printer_line(p);
    if (value->op == OP_argmax) {
        buf_printf(p->out, "v%d = nnc_warp_argmax(v%d_most, v%d);\n", id, id, id);
        printer_line(p);
        buf_printf(p->out, "v%d = v%d == 2147483647 ? 0 : v%d;\n", id, id, id);
        return;
    }
    const char *name = reduction_name(value), *how;
    if (p->gpu->form == GPU_ACROSS)
        how = arena_printf(p->arena, "nnc_rows_%s<%d>", name, step_of(p));
    else if (p->gpu->team > 32)
        how = arena_printf(p->arena, "nnc_block_%s<%d>", name, p->gpu->team);
    else
        how = arena_printf(p->arena, "nnc_warp_%s<%d>", name, p->gpu->team);
    buf_printf(p->out, "v%d = %s(v%d);\n", id, how, id);
}

// The loops, in which each thread takes its own terms.
static void take_terms(Printer *p, const Value *value, bool part) {
    const char *name = arena_printf(p->arena, "v%d", value->id);
    int all = printer_open_if(p, value), mark = -1;
    if (value->var_count > 0) {
        printer_hoist(p, value->in[0]);
        mark = open_shared(p, value->var, value->var_count, part);
        printer_ask(p, value, value->var, value->var_count);
    }
    if (value->op == OP_argmax)
        reduce_argmax_turn(p, value, name);
    else
        printer_accumulate(p, value, name);
    if (mark >= 0) printer_leave(p, mark);
    if (all >= 0) printer_leave(p, all);
}

static void name_result(Printer *p, const Value *value) {
    p->name[value->id] = arena_printf(p->arena, "v%d", value->id);
    VEC_PUSH(p->arena, p->named, value->id);
}

void printer_team_reduce(Printer *p, const Value *value) {
    declare(p, value);
    take_terms(p, value, false);
    join(p, value);
    name_result(p, value);
}

// --- Which element, or row

static void line(Printer *p, const char *text) {
    printer_line(p);
    buf_add(p->out, text);
    buf_add(p->out, "\n");
}

// Do threads of one warp have several elements? Then there are some too many, which compute the
// last one again, so that nobody is missing where sums meet.
static bool is_mixed(const Printer *p) { return p->gpu->form == GPU_ACROSS || p->gpu->team < 32; }

// `rank` in the team, and `at`, which element it has (`own`: were there enough). `parts`: so many
// teams have it, one after the other; `part` is which.
static void print_place(Printer *p, Dim count, int64_t parts) {
    const char *all = dim_as_c(p->arena, count), *block = "blockIdx.x";
    int team = p->gpu->team, teams = p->gpu->threads / team;
    bool across = p->gpu->form == GPU_ACROSS;
    if (parts > 1) {
        line(p, arena_printf(p->arena, "const int part = (int)(blockIdx.x %% %lldu);",
                             (long long)parts));
        block = arena_printf(p->arena, "blockIdx.x / %lldu", (long long)parts);
    }
    if (teams == 1 && !across) {
        line(p, "const int rank = (int)threadIdx.x;");
        line(p, arena_printf(p->arena, "const unsigned at = %s;", block));
        return;
    }
    line(p, arena_printf(p->arena, "const int rank = (int)threadIdx.x %s %d;", across ? "/" : "%",
                         team));
    line(p, arena_printf(p->arena, "const unsigned %s = %s * %du + threadIdx.x %s %du;",
                         is_mixed(p) ? "own" : "at", block, across ? team : teams,
                         across ? "%" : "/", team));
    if (is_mixed(p))
        line(p, arena_printf(p->arena, "const unsigned at = own < (unsigned)(%s) ? own : %s - 1;",
                             all, all));
    else
        line(p, arena_printf(p->arena, "if (at >= (unsigned)(%s)) return;", all));
}

static const char *is_first(const Printer *p, Dim count) {
    if (!is_mixed(p)) return "rank == 0";
    return arena_printf(p->arena, "rank == 0 && own < (unsigned)(%s)", dim_as_c(p->arena, count));
}

// What one of the threads stores.
static void store_first(Printer *p, Dim count) {
    if (!printer_stores_due(p)) return;
    line(p, arena_printf(p->arena, "if (%s) {", is_first(p, count)));
    int mark = printer_enter(p);
    printer_stores(p);
    printer_leave(p, mark);
}

static CudaLaunch launch_of(const Loops *loops, const GpuShape *shape, Dim count) {
    int64_t of_block = shape->form == GPU_ACROSS ? 32 : shape->threads / shape->team;
    return (CudaLaunch){.kernel = loops->kernel,
                        .suffix = "",
                        .blocks = cuda_blocks(loops->arena, count, of_block),
                        .threads = shape->threads};
}

// --- Kernels

// The reductions that the team shares, in order, then the loop over what it stores.
static void keep_rows(Printer *p) {
    const Loops *loops = p->loops;
    SharedLoop *loop = ARENA_ARRAY(p->arena, SharedLoop, loops->value.count + 1);
    int count = 0, rest = loops->loop_count - p->gpu->own;
    int64_t turns = 0;
    bool alike = true;
    for (int i = 0; i < loops->value.count; i++) {
        const Value *value = loops->value.at[i];
        if (p->uses[value->id] > 0 && value->kind == VALUE_REDUCE &&
            gpu_shares(loops, p->gpu, value))
            loop[count++] = (SharedLoop){value, value->var, value->var_count};
    }
    if (rest > 0) loop[count++] = (SharedLoop){NULL, loops->loop + p->gpu->own, rest};
    for (int i = 0; i < count; i++) {
        int64_t of_loop = turns_of(p, loop[i].var, loop[i].count);
        alike &= of_loop > 0 && (turns == 0 || turns == of_loop);
        turns = of_loop;
    }
    if (alike && turns > 0) cuda_keep(p, loop, count, turns);
}

static void print_whole(CudaFile *file, const Fusion *fusion, const Loops *loops,
                        const GpuShape *shape) {
    Dim count = cuda_count(loops, loops->loop, shape->own);
    cuda_open(file, fusion, launch_of(loops, shape, count));
    nest_print_locals(file->out, loops, 1);
    Printer p = printer_new(file->out, loops, 1);
    p.gpu = shape;
    print_place(&p, count, 1);
    cuda_set_vars(&p, loops->loop, shape->own, "at", NULL);
    if (loops->kernel->rows) keep_rows(&p);
    for (int i = 0; i < loops->value.count; i++) { // where no thread is missing
        const Value *value = loops->value.at[i];
        if (p.uses[value->id] > 0 && value->kind == VALUE_REDUCE && gpu_shares(loops, shape, value))
            printer_value(&p, value);
    }
    store_first(&p, count);
    int rest = loops->loop_count - shape->own;
    if (rest > 0) {
        for (int i = 0; i < loops->store.count; i++)
            printer_hoist(&p, loops->store.at[i].value);
        if (is_mixed(&p))
            line(&p, arena_printf(loops->arena, "if (own >= (unsigned)(%s)) return;",
                                  dim_as_c(loops->arena, count)));
        int mark = open_shared(&p, loops->loop + shape->own, rest, false);
        printer_stores(&p);
        printer_leave(&p, mark);
    }
    buf_add(file->out, "}\n\n");
}

static const Value *only_reduction(const Loops *loops, const GpuShape *shape, const Printer *p) {
    for (int i = 0; i < loops->value.count; i++) {
        const Value *value = loops->value.at[i];
        if (p->uses[value->id] > 0 && value->kind == VALUE_REDUCE &&
            gpu_shares(loops, shape, value))
            return value;
    }
    bug("a kernel in parts without a reduction");
}

// `part` of the reduction's outermost index; what it makes goes to memory.
static void print_parts(CudaFile *file, const Fusion *fusion, const Loops *loops,
                        const GpuShape *shape) {
    Dim count = cuda_count(loops, loops->loop, shape->own);
    CudaLaunch launch = launch_of(loops, shape, count);
    launch.suffix = "_parts";
    launch.blocks =
        arena_printf(loops->arena, "(%s) * %lldll", launch.blocks, (long long)shape->parts);
    cuda_open(file, fusion, launch);
    nest_print_locals(file->out, loops, 1);
    Printer p = printer_new(file->out, loops, 1);
    p.gpu = shape;
    const Value *value = only_reduction(loops, shape, &p);
    const char *extent = printer_extent(&p, value->var[0]);
    print_place(&p, count, shape->parts);
    cuda_set_vars(&p, loops->loop, shape->own, "at", NULL);
    printer_line(&p);
    buf_printf(file->out, "const int from = part * %lld;\n", (long long)shape->part);
    printer_line(&p);
    buf_printf(file->out, "const int some = %s - from < %lld ? %s - from : %lld;\n", extent,
               (long long)shape->part, extent, (long long)shape->part);
    declare(&p, value);
    take_terms(&p, value, true);
    join(&p, value);
    printer_line(&p);
    buf_printf(file->out, "if (%s) (%s)[part * %lldll + at] = v%d;\n}\n\n", is_first(&p, count),
               buffer_address(loops->arena, loops->kernel->partial), (long long)shape->elements,
               value->id);
}

// A warp puts the parts of an element together, in their order.
static void print_together(CudaFile *file, const Fusion *fusion, const Loops *loops,
                           const GpuShape *of) {
    enum { THREADS = 128 };
    GpuShape shape = *of;
    shape.form = GPU_TEAM, shape.team = 32, shape.threads = THREADS;
    Dim count = cuda_count(loops, loops->loop, shape.own);
    cuda_open(file, fusion, launch_of(loops, &shape, count));
    nest_print_locals(file->out, loops, 1);
    Printer p = printer_new(file->out, loops, 1);
    p.gpu = &shape;
    const Value *value = only_reduction(loops, &shape, &p);
    print_place(&p, count, 1);
    cuda_set_vars(&p, loops->loop, shape.own, "at", NULL);
    declare(&p, value);
    line(&p, arena_printf(loops->arena, "for (int i = rank; i < %lld; i += 32) {",
                          (long long)shape.parts));
    int mark = printer_enter(&p);
    const char *term = arena_printf(loops->arena, "(%s)[i * %lldll + at]",
                                    buffer_address(loops->arena, loops->kernel->partial),
                                    (long long)shape.elements);
    printer_combine(&p, value, arena_printf(loops->arena, "v%d", value->id), term);
    printer_leave(&p, mark);
    join(&p, value);
    name_result(&p, value);
    store_first(&p, count);
    buf_add(file->out, "}\n\n");
}

void emit_cuda_team(CudaFile *file, const Fusion *fusion, const Loops *loops,
                    const GpuShape *shape) {
    if (shape->parts == 1) {
        print_whole(file, fusion, loops, shape);
        return;
    }
    print_parts(file, fusion, loops, shape);
    print_together(file, fusion, loops, shape);
}
