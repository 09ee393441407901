// SPDX-License-Identifier: MIT
// Kernels in which a thread computes elements by itself: pointwise code, movements, short sums.
//
//     const unsigned at = blockIdx.x * 256u + threadIdx.x;       // or four neighbours: 4 * (..)
//     if (at >= (unsigned)(n * 640)) return;
//     const int i1 = (int)(at % 64), i0 = (int)(at / 64);
//
// Where four neighbours are a thread's, what lies side by side in memory is loaded and stored by
// one instruction.
#include "emit/cuda_internal.h"
#include "pass/index.h"

// --- Four neighbours

// Marks the loads that are carried out in any case.
static void mark_certain(const Value *value, bool *certain) {
    certain[value->id] = true;
    if (value->kind == VALUE_GUARD || value->kind == VALUE_REDUCE) return;
    for (int i = 0; i < value->in_count; i++)
        if (!certain[value->in[i]->id]) mark_certain(value->in[i], certain);
}

// The address of the first of four: of the index that `first` stands for in the innermost loop.
static const char *first_address(Printer *p, const Buffer *buffer, const Index *index, int var) {
    Index rest = index_add(*index, index_scale(index_var(var), -1));
    const char *plus =
        rest.count || rest.constant ? arena_printf(p->arena, "%s + ", printer_index(p, &rest)) : "";
    return arena_printf(p->arena, "b%d + %sfirst", buffer->id, plus);
}

static void load_fours(Printer *p, int var) {
    bool *certain = ARENA_ARRAY(p->arena, bool, p->loops->value.count + 1);
    for (int i = 0; i < p->loops->store.count; i++)
        mark_certain(p->loops->store.at[i].value, certain);
    for (int i = 0; i < p->loops->value.count; i++) {
        const Value *value = p->loops->value.at[i];
        if (value->kind != VALUE_LOAD || p->uses[value->id] == 0 || !certain[value->id]) continue;
        if (!gpu_is_four(p->loops, &value->index, var)) continue;
        const char *from = first_address(p, value->buffer, &value->index, var);
        printer_line(p);
        buf_printf(p->out, "const NncFour<%s> v%d_four = nnc_four(%s);\n",
                   c_memory_type(value->buffer->dtype), value->id, from);
        p->name[value->id] = arena_printf(
            p->arena,
            value->buffer->dtype == DT_BF16 ? "nnc_bf16_value(v%d_four.at[q])" : "v%d_four.at[q]",
            value->id);
    }
}

static void print_fours(Printer *p) {
    const Loops *loops = p->loops;
    int var = loops->loop[loops->loop_count - 1];
    const char **place = ARENA_ARRAY(p->arena, const char *, loops->store.count);
    load_fours(p, var);
    for (int i = 0; i < loops->store.count; i++) {
        printer_line(p);
        buf_printf(p->out, "NncFour<%s> to%d;\n", c_memory_type(loops->store.at[i].buffer->dtype),
                   i);
        place[i] = arena_printf(p->arena, "to%d.at[q]", i);
    }
    p->place = place;
    buf_add(p->out, "#pragma unroll\n");
    printer_line(p);
    buf_add(p->out, "for (int q = 0; q < 4; q++) {\n");
    int mark = printer_enter(p);
    printer_set_var(p, var, "first + q");
    printer_stores(p);
    printer_leave(p, mark);
    for (int i = 0; i < loops->store.count; i++) {
        const Store *store = &loops->store.at[i];
        const char *to = first_address(p, store->buffer, &store->index, var);
        printer_line(p);
        buf_printf(p->out, "nnc_put_four(%s, to%d);\n", to, i);
    }
}

// --- Elements

static void hoist_all(Printer *p) {
    for (int i = 0; i < p->loops->store.count; i++)
        printer_hoist(p, p->loops->store.at[i].value);
}

// The thread's number decides upon the nest's first loops; it goes through the others by itself.
static void print_own(Printer *p) {
    const Loops *loops = p->loops;
    int mark[MAX_RANK];
    cuda_set_vars(p, loops->loop, p->gpu->own, "at", NULL);
    for (int i = p->gpu->own; i < loops->loop_count; i++) {
        hoist_all(p);
        printer_stores(p); // of a row
        mark[i] = printer_open_loop(p, loops->loop[i], "0", printer_extent(p, loops->loop[i]));
    }
    printer_stores(p);
    for (int i = loops->loop_count - 1; i >= p->gpu->own; i--)
        printer_leave(p, mark[i]);
}

static void print_four_elements(Printer *p) {
    const Loops *loops = p->loops;
    int last = loops->loop_count - 1;
    const char *extent = printer_extent(p, loops->loop[last]);
    printer_line(p);
    if (last == 0) {
        buf_add(p->out, "const int first = (int)at;\n");
    } else {
        buf_printf(p->out, "const int first = (int)(at %% %s);\n", extent);
        cuda_set_vars(p, loops->loop, last, arena_printf(p->arena, "(at / %s)", extent), NULL);
    }
    hoist_all(p);
    print_fours(p);
}

static void print_elements(CudaFile *file, const Fusion *fusion, const Loops *loops,
                           const GpuShape *shape) {
    Buf *out = file->out;
    Dim count = cuda_count(loops, loops->loop, shape->own);
    int each = shape->each;
    cuda_open(file, fusion,
              (CudaLaunch){.kernel = loops->kernel,
                           .suffix = "",
                           .blocks = cuda_blocks(out->arena, count, shape->threads * each),
                           .threads = shape->threads});
    nest_print_locals(out, loops, 1);
    Printer p = printer_new(out, loops, 1);
    p.gpu = shape;
    printer_line(&p);
    buf_printf(out, "const unsigned at = %sblockIdx.x * %du + threadIdx.x%s;\n",
               each > 1 ? "4 * (" : "", shape->threads, each > 1 ? ")" : "");
    printer_line(&p);
    buf_printf(out, "if (at >= (unsigned)(%s)) return;\n", dim_as_c(out->arena, count));
    if (each > 1)
        print_four_elements(&p);
    else
        print_own(&p);
    buf_add(out, "}\n\n");
}

void emit_cuda_loops(CudaFile *file, const Fusion *fusion, const Kernel *kernel) {
    Loops *loops = loops_build(file->out->arena, fusion, kernel);
    loops_coalesce(loops);
    GpuShape shape = gpu_shape(loops);
    if (shape.form == GPU_ELEMENTS)
        print_elements(file, fusion, loops, &shape);
    else
        emit_cuda_team(file, fusion, loops, &shape);
}

// --- Scatters: a warp has a row of the table. It looks at 32 indices at a time, and adds the rows
// that belong to its own in their order.

// The place of the index that comes `which`-th, as C: memory is laid out for the batch.
static const char *place_of(Arena *arena, const Shape *shape, int64_t batch) {
    Buf text = buf_new(arena);
    Dim inner = dim_const(1);
    int64_t stride = 1;
    bool dense = true; // they come as they lie
    for (int axis = shape->rank - 1; axis >= 0; axis--) {
        dense &= dim_is_const(inner);
        buf_printf(&text, "%swhich / (%s)", text.length ? " + " : "", dim_as_c(arena, inner));
        if (axis > 0) buf_printf(&text, " %% (%s)", dim_as_c(arena, shape->dim[axis]));
        buf_printf(&text, " * %lld", (long long)stride);
        stride *= dim_eval(shape->dim[axis], batch);
        if (!dim_mul(&inner, inner, shape->dim[axis])) bug("the size of an index overflows");
    }
    return dense ? "which" : text.text;
}

static void print_scatter_body(Buf *out, const char *count, const char *place, long long width) {
    buf_printf(
        out,
        "    for (int k = lane; k < %lld; k += 32)\n"
        "        to[row * %lldll + k] = 0;\n"
        "    for (int block = 0; block < %s; block += 32) {\n"
        "        int which = block + lane;\n"
        "        const int own = which < %s && index[%s] == row;\n"
        "        for (unsigned left = __ballot_sync(0xffffffffu, own); left; left &= left - 1) {\n"
        "            which = block + __ffs((int)left) - 1;\n"
        "            const long long at = (long long)(%s) * %lld;\n"
        "            for (int k = lane; k < %lld; k += 32)\n"
        "                to[row * %lldll + k] += from[at + k];\n"
        "        }\n"
        "    }\n}\n\n",
        width, width, count, count, place, place, width, width, width);
}

void emit_cuda_scatter(CudaFile *file, const Fusion *fusion, const Kernel *kernel) {
    enum { ROWS = 4 }; // of a block
    const Node *node = kernel->core, *index = node->in[0], *rows = node->in[1];
    Storage to = kernel->result.at[0].to, at = fusion->storage[index->id],
            from = fusion->storage[rows->id];
    Buf *out = file->out;
    Arena *arena = out->arena;
    Dim count;
    int64_t table = shape_eval(&node->shape, fusion->batch),
            extent = dim_eval(node->shape.dim[0], fusion->batch);
    const char *type = c_memory_type(node->dtype);
    if (!shape_size(&count, &index->shape)) bug("the size of an index overflows");
    cuda_open(file, fusion,
              (CudaLaunch){.kernel = kernel,
                           .suffix = "",
                           .blocks = cuda_blocks(arena, node->shape.dim[0], ROWS),
                           .threads = 32 * ROWS});
    buf_printf(out, "    %s *restrict to = %s + %lld;\n", type, buffer_address(arena, to.buffer),
               (long long)to.offset);
    buf_printf(out, "    const int *restrict index = %s + %lld;\n",
               buffer_address(arena, at.buffer), (long long)at.offset);
    buf_printf(out, "    const %s *restrict from = %s + %lld;\n", type,
               buffer_address(arena, from.buffer), (long long)from.offset);
    buf_printf(out,
               "    const int lane = (int)threadIdx.x %% 32, row = (int)(blockIdx.x * %d + "
               "threadIdx.x / 32);\n"
               "    if (row >= %s) return;\n",
               ROWS, dim_as_c(arena, node->shape.dim[0]));
    print_scatter_body(out, dim_as_c(arena, count), place_of(arena, &index->shape, fusion->batch),
                       extent ? table / extent : 0);
}
