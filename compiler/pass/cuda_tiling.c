// SPDX-License-Identifier: MIT
// Chooses a product's tiles on a GPU by what they would take: of the candidates, that whose blocks
// fill the processors best for the least loading and rounding up.
#include "pass/cuda_tiling.h"

#include <math.h>
#include <string.h>

enum {
    LAUNCH = 3000,      // cycles that one more kernel takes
    LATENCY = 700,      // from asking memory for a tile until it is there
    BYTES_A_CYCLE = 12, // of memory, for each processor
    MOST_PARTS = 64,
    LEAST_PART = 128, // of k
    BLOCK = 256,      // threads, where tiles do not say
};

typedef struct Extents { // for a whole batch
    double g, m, n, k;
} Extents;

static Extents extents_of(const Tiling *t) {
    return (Extents){digits_total(&t->g, t->batch), digits_total(&t->m, t->batch),
                     digits_total(&t->n, t->batch), digits_total(&t->k, t->batch)};
}

// --- How operands are loaded

static bool all_multiples(const Digits *digits, Side side, int of, bool but_last) {
    for (int i = 0; i < digits->count - but_last; i++)
        if (digits->at[i].stride[side] % of) return false;
    return true;
}

// How many neighbours along the last of `along` one load can take.
static int vector_along(const Fusion *fusion, const Tiling *t, Side side, const Digits *along) {
    const Digits *all[] = {&t->g, &t->m, &t->n, &t->k};
    const Digit *last = digits_last(along);
    Storage at = fusion->storage[t->base[side]->id];
    int size = (int)dtype_size(t->base[side]->dtype), most = 16 / size;
    if (last->stride[side] != 1 || !dim_is_const(last->extent)) return 1;
    int64_t start = t->offset[side] + at.offset + at.buffer->offset / size;
    for (int v = most; v > 1; v /= 2) {
        bool fits = dim_eval(last->extent, 1) % v == 0 && start % v == 0;
        for (int i = 0; i < 4; i++)
            fits &= all_multiples(all[i], side, v, all[i] == along);
        if (fits) return v;
    }
    return 1;
}

static int64_t nearness(const Digits *digits, Side side) {
    int64_t stride = digits_last(digits)->stride[side];
    return stride == 0 ? INT64_MAX : stride < 0 ? -stride : stride;
}

static void set_vectors(const Fusion *fusion, const Tiling *t, CudaTile *tile) {
    for (Side side = SIDE_A; side <= SIDE_B; side++) {
        const Digits *rows = side == SIDE_A ? &t->m : &t->n;
        int by_sum = vector_along(fusion, t, side, &t->k);
        int by_rows = vector_along(fusion, t, side, rows);
        tile->along_sum[side] = by_sum > by_rows || (by_sum == by_rows &&
                                                     nearness(&t->k, side) <= nearness(rows, side));
        tile->vector[side] = tile->along_sum[side] ? by_sum : by_rows;
    }
}

static int store_of(const Kernel *kernel, int64_t columns) {
    Storage to = kernel->result.at[0].to;
    int size = (int)dtype_size(kernel->result.at[0].value->dtype);
    int64_t start = to.offset + to.buffer->offset / size;
    for (int v = 4; v > 1; v /= 2)
        if (columns % v == 0 && start % v == 0) return v;
    return 1;
}

// Which of k's digits runs fastest is free. The one along which operands lie side by side.
static void order_sum(const Fusion *fusion, Tiling *t) {
    Digits best = t->k;
    int most = 0;
    for (int i = t->k.count - 1; i >= 0; i--) {
        CudaTile tile;
        Digits given = t->k;
        const Digit last = given.at[i];
        for (int d = i; d + 1 < given.count; d++)
            t->k.at[d] = given.at[d + 1];
        t->k.at[given.count - 1] = last;
        set_vectors(fusion, t, &tile);
        if (tile.vector[SIDE_A] + tile.vector[SIDE_B] > most)
            most = tile.vector[SIDE_A] + tile.vector[SIDE_B], best = t->k;
        t->k = given;
    }
    t->k = best;
    digits_merge(&t->k);
}

// --- Arithmetic

// Has it been rounded to bf16 on its way from memory?
static bool is_rounded(const Node *operand) {
    for (; node_is_movement(operand); operand = operand->in[0])
        if (operand->op == OP_cast) return true;
    return operand->dtype == DT_BF16;
}

static CudaArithmetic arithmetic_of(const Fusion *fusion, const Kernel *kernel) {
    const Tiling *t = kernel->tiling;
    bool rounded = true, narrow = true;
    for (int i = 0; i < 2; i++) {
        rounded &= is_rounded(kernel->core->in[i]);
        narrow &= t->base[i]->dtype == DT_BF16;
    }
    if (fusion->target->gpu < 80) return CUDA_F32;
    if (narrow) return CUDA_BF16;
    return rounded || fusion->target->tf32 ? CUDA_TF32 : CUDA_F32; // of bf16 TF32 loses nothing
}

// --- What tiles take

static const CudaShape exact[] = {
    {128, 128, 8, 32, 64}, {128, 64, 16, 32, 64}, {64, 128, 16, 32, 64}, {64, 64, 16, 32, 32},
    {128, 32, 16, 32, 32}, {32, 128, 16, 16, 64}, {32, 64, 16, 16, 32},  {64, 32, 16, 16, 32},
    {32, 32, 16, 16, 16},  {16, 64, 16, 16, 16},  {64, 16, 16, 16, 16},
};

static const CudaShape cores[] = {
    {128, 128, 16, 64, 32}, {128, 64, 16, 32, 32}, {64, 128, 16, 32, 32}, {64, 64, 16, 32, 32},
    {128, 32, 16, 32, 32},  {32, 128, 16, 32, 32}, {32, 64, 16, 16, 32},  {64, 32, 16, 32, 16},
    {32, 32, 16, 16, 16},   {16, 64, 16, 16, 16},
};

static double least(double a, double b) { return a < b ? a : b; }
static double most(double a, double b) { return a > b ? a : b; }

// Multiplications a cycle of one processor.
static double speed(CudaArithmetic arithmetic) {
    static const double of[] = {[CUDA_F32] = 110, [CUDA_TF32] = 600, [CUDA_BF16] = 1200};
    return of[arithmetic];
}

static int threads_of(const CudaShape *shape) {
    return shape->rows / shape->warp_rows * (shape->columns / shape->warp_columns) * 32;
}

// Cycles from the first block to the last, where each has `depth` of k. Blocks of one processor
// share its arithmetic; what they wait for memory, others use.
static double tile_cycles(const CudaTile *tile, const Extents *e, int processors) {
    const CudaShape *s = &tile->shape;
    double blocks = ceil(e->m / s->rows) * ceil(e->n / s->columns) * e->g * (double)tile->parts;
    double steps = ceil((double)tile->part / cuda_depth(tile));
    double each = ceil(blocks / processors); // of one processor, one after the other or together
    double together = least(each, least(2048.0 / threads_of(s), 65536.0 / (threads_of(s) * 128.0)));
    double work = (double)s->rows * s->columns * cuda_depth(tile) / speed(tile->arithmetic);
    // What a thread's own tile loads from shared memory against what it multiplies.
    double own = sqrt((double)s->warp_rows * s->warp_columns / 32);
    work *= 1 + (tile->arithmetic == CUDA_F32 ? 1.6 : 2.5) / own;
    double loads = (s->rows + s->columns) * (double)cuda_depth(tile);
    work = most(work, loads * 4 / (2.5 * BYTES_A_CYCLE));
    return each / together * steps * most(work * together, LATENCY) + 2 * LATENCY;
}

static void cut_sum(CudaTile *tile, const Extents *e, int64_t parts) {
    int64_t depth = cuda_depth(tile), steps = ((int64_t)e->k + depth - 1) / depth;
    int64_t each = (steps + parts - 1) / parts;
    tile->part = each * depth;
    tile->parts = (steps + each - 1) / each;
}

static double joining(const CudaTile *tile, const Extents *e, int processors) {
    double elements = e->g * e->m * e->n;
    if (tile->parts == 1) return 0;
    return LAUNCH + elements * (double)tile->parts * 8 / (BYTES_A_CYCLE * processors);
}

// Bytes of one operand's tile in shared memory, if it goes there as it is (NncStage of
// emit/cuda_product.h); else 0.
static int64_t copied_bytes(const CudaTile *tile, Side side, int rows) {
    bool bf16 = tile->digits.base[side]->dtype == DT_BF16, pairs = tile->arithmetic == CUDA_BF16;
    if (tile->vector[side] * (bf16 ? 2 : 4) < 4 || pairs != bf16) return 0;
    if (tile->along_sum[side]) return (int64_t)rows * (tile->shape.cells + 4) * 4;
    return (int64_t)cuda_depth(tile) * (rows + 8) * (pairs ? 2 : 4);
}

static int64_t shared_of(const CudaTile *tile) {
    enum { STAGES = 4 }; // NNC_STAGES
    int64_t a = copied_bytes(tile, SIDE_A, tile->shape.rows),
            b = copied_bytes(tile, SIDE_B, tile->shape.columns);
    return tile->arithmetic != CUDA_F32 && a > 0 && b > 0 ? STAGES * (a + b) : 0;
}

// In as many parts as is best.
static CudaTile tiles_of(const CudaTile *like, const CudaShape *shape, const Extents *e,
                         int processors) {
    CudaTile best = {.cost = INFINITY}, tile = *like;
    tile.form = CUDA_TILES;
    tile.shape = *shape;
    tile.threads = threads_of(shape);
    tile.shared = shared_of(&tile);
    for (int64_t parts = 1; parts <= MOST_PARTS; parts += parts < 8 ? 1 : parts / 4) {
        cut_sum(&tile, e, parts);
        if (parts > 1 && tile.part < LEAST_PART) break;
        tile.cost = tile_cycles(&tile, e, processors) + joining(&tile, e, processors);
        if (tile.cost < best.cost) best = tile;
    }
    return best;
}

// --- Warps and threads by themselves: everything comes from memory, again and again

static CudaTile dots_of(const CudaTile *like, const Extents *e, int processors) {
    CudaTile tile = *like;
    int vector =
        tile.vector[SIDE_A] < tile.vector[SIDE_B] ? tile.vector[SIDE_A] : tile.vector[SIDE_B];
    bool near = tile.along_sum[SIDE_A] && tile.along_sum[SIDE_B];
    if (!near) vector = 1;
    tile.form = CUDA_DOTS;
    tile.threads = BLOCK;
    tile.vector[SIDE_A] = tile.vector[SIDE_B] = vector;
    tile.along_sum[SIDE_A] = tile.along_sum[SIDE_B] = true;
    tile.warp_rows = e->m >= 4 ? 4 : (int)e->m;
    double warps = e->g * ceil(e->m / tile.warp_rows) * e->n, steps = ceil(e->k / (32.0 * vector));
    double each = ceil(warps / processors), loads = (tile.warp_rows + 1.0) * vector * 128;
    double turn = most(loads / (near ? 32 : 4), LATENCY / least(each, 16));
    tile.cost = each * (steps * turn + 60) + 2 * LATENCY;
    return tile;
}

static CudaTile alone_of(const CudaTile *like, const Extents *e, int processors) {
    CudaTile tile = *like;
    tile.form = CUDA_ALONE;
    tile.threads = BLOCK;
    tile.vector[SIDE_A] = tile.vector[SIDE_B] = 1;
    double warps = e->g * e->m * e->n / 32, each = ceil(warps / processors);
    tile.cost = each * e->k * most(12, LATENCY / least(each * 4, 64)) + 2 * LATENCY;
    return tile;
}

// --- All of it

int cuda_depth(const CudaTile *tile) {
    return tile->shape.cells * (tile->arithmetic == CUDA_BF16 ? 2 : 1);
}

static Dim total(const Digits *digits) {
    Dim all = dim_const(1);
    for (int i = 0; i < digits->count; i++)
        if (!dim_mul(&all, all, digits->at[i].extent)) bug("an index of a product overflows");
    return all;
}

// Where b is the same for all matrices, as a filter is for all images, g's digits are m's first.
static void join_rows(Tiling *t) {
    for (int i = 0; i < t->g.count; i++)
        if (t->g.at[i].stride[SIDE_B] != 0) return;
    if (t->g.count + t->m.count > DIGITS || !dim_is_const(total(&t->m))) return;
    Digits rows = t->g;
    for (int i = 0; i < t->m.count; i++)
        rows.at[rows.count++] = t->m.at[i];
    t->m = rows;
    t->g = (Digits){.count = 1};
    t->g.at[0].extent = dim_const(1);
    digits_merge(&t->m);
}

static CudaTile measure(const Fusion *fusion, const Kernel *kernel) {
    CudaTile tile = {.digits = *kernel->tiling, .parts = 1};
    Tiling *t = &tile.digits;
    join_rows(t);
    order_sum(fusion, t);
    tile.g = total(&t->g), tile.rows = total(&t->m);
    tile.columns = total(&t->n), tile.k = total(&t->k);
    tile.arithmetic = arithmetic_of(fusion, kernel);
    tile.part = dim_eval(tile.k, fusion->batch);
    tile.store = dim_is_const(tile.columns) ? store_of(kernel, dim_eval(tile.columns, 1)) : 1;
    set_vectors(fusion, t, &tile);
    return tile;
}

// An empty sum: zero for each element.
static CudaTile measure_empty(const Kernel *kernel) {
    const Dim *dim = kernel->core->shape.dim;
    return (CudaTile){.g = dim[0],
                      .rows = dim[1],
                      .columns = dim[2],
                      .form = CUDA_ALONE,
                      .threads = BLOCK,
                      .parts = 1};
}

static const char *const arithmetics[] = {"f32", "tf32", "bf16"};

// "product 12544x128x576 in f32, a by 4 along k, b by 4 along columns, for 132 processors"
static const char *name_site(Arena *arena, const Fusion *fusion, const CudaTile *tile) {
    Buf text = buf_new(arena);
    int64_t batch = fusion->batch, times = dim_eval(tile->g, batch);
    buf_add(&text, "product ");
    if (times > 1) buf_printf(&text, "%lld of ", (long long)times);
    buf_printf(&text, "%lldx%lldx%lld in %s", (long long)dim_eval(tile->rows, batch),
               (long long)dim_eval(tile->columns, batch), (long long)dim_eval(tile->k, batch),
               arithmetics[tile->arithmetic]);
    for (int side = 0; side < 2; side++)
        buf_printf(&text, ", %c by %d along %s", "ab"[side], tile -> vector[side],
                   tile -> along_sum[side] ? "k"
                           : side          ? "columns"
                                           : "rows");
    buf_printf(&text, ", for %d processors", fusion->target->processors);
    return text.text;
}

const CudaTile *cuda_tile_choose(Arena *arena, const Fusion *fusion, const Kernel *kernel,
                                 const Choice **made) {
    CudaTile *tile = ARENA_NEW(arena, CudaTile), way[MOST_CANDIDATES];
    *tile = measure_empty(kernel);
    if (!kernel->tiling) return tile;
    CudaTile like = measure(fusion, kernel);
    Extents e = extents_of(&like.digits);
    Choice *choice = choice_new(arena, CHOICE_FORM, name_site(arena, fusion, &like));
    int processors = fusion->target->processors, count = 0;
    double each = 128.0 * processors; // multiplications in a cycle
    bool exactly = like.arithmetic == CUDA_F32;
    size_t shapes = exactly ? sizeof exact / sizeof *exact : sizeof cores / sizeof *cores;
    for (size_t i = shapes; i-- > 0;) { // of those that take as long, the smaller one
        const CudaShape *shape = exactly ? &exact[i] : &cores[i];
        way[count] = tiles_of(&like, shape, &e, processors);
        const char *name = arena_printf(arena, "tiles of %dx%d", shape->rows, shape->columns);
        choice_offer(choice, name, each * way[count++].cost);
    }
    way[count] = dots_of(&like, &e, processors);
    choice_offer(choice, "a warp for a sum", each * way[count++].cost);
    way[count] = alone_of(&like, &e, processors);
    choice_offer(choice, "a thread for a sum", each * way[count++].cost);
    *tile = way[choice_take(choice, fusion->target->tuning)];
    *made = choice;
    return tile;
}

int64_t cuda_tile_partial(const Fusion *fusion, const Kernel *kernel) {
    const CudaTile *tile = kernel->cuda;
    return tile->parts > 1 ? tile->parts * shape_eval(&kernel->core->shape, fusion->batch) : 0;
}

void cuda_tile_print(Buf *out, const CudaTile *tile) {
    const CudaShape *s = &tile->shape;
    if (tile->form == CUDA_TILES)
        buf_printf(out, "tiles of %dx%dx%d, %s", s->rows, s->columns, cuda_depth(tile),
                   arithmetics[tile->arithmetic]);
    else
        buf_add(out, tile->form == CUDA_DOTS ? "a warp for a sum" : "a thread for a sum");
    if (tile->parts > 1) buf_printf(out, ", in %lld parts", (long long)tile->parts);
}
