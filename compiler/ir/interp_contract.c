// SPDX-License-Identifier: MIT
// The interpreter's contractions, matrix products among them. The oracle runs whole networks, so
// the plain definition (for every value of every loop index, look both operands up) is rearranged:
// two loop indices run innermost, and where their reads are inside both operands is an interval of
// each, found before their loops and not within. Of a convolution
//
//     y[n, o, h, w] = sum[c, r, s] x[n, c, h + r, w + s] * weight[o, c, r, s]
//
// w is the inner index, along which memory runs, and c the one around it.
#include "ir/interp_internal.h"

typedef struct Operand {
    const double *data;
    const Access *access;
    Extents shape;
} Operand;

enum { ROW, INNER, WALKED }; // the two innermost indices

typedef struct Contraction {
    Operand operand[2];
    const Extents *result;
    Extents loops;         // of all loop indices but the walked ones, which count as of extent 1
    int walked[WALKED];    // -1: none
    int64_t count[WALKED]; // their extents, or 1
} Contraction;

// The reads of one operand for fixed outer indices: element first + i * step[ROW] + j * step[INNER]
// for i and j from low to high - 1.
typedef struct Reads {
    int64_t first, step[WALKED], low[WALKED], high[WALKED];
} Reads;

static int64_t coef_of(const Access *access, int index) {
    if (index < 0) return 0;
    return (access->index[0] == index ? access->coef[0] : 0) +
           (access->index[1] == index ? access->coef[1] : 0);
}

static int64_t numerator(const Access *access, const int64_t *index) {
    int64_t sum = access->offset;
    for (int i = 0; i < 2; i++)
        if (access->index[i] >= 0) sum += access->coef[i] * index[access->index[i]];
    return sum;
}

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Narrows the reads to those values j of a walked index for which 0 <= start + j * coef < extent.
static void narrow(Reads *reads, int walk, int64_t start, int64_t coef, int64_t extent) {
    int64_t low, high; // inclusive, exclusive
    if (coef > 0) {
        low = -floor_div(start, coef);
        high = floor_div(extent - 1 - start, coef) + 1;
    } else {
        low = -floor_div(extent - 1 - start, -coef);
        high = floor_div(start, -coef) + 1;
    }
    reads->low[walk] = most(reads->low[walk], low);
    reads->high[walk] = least(reads->high[walk], high);
}

// False where nothing is read.
static bool find_reads(const Contraction *contraction, const Operand *operand, const int64_t *index,
                       Reads *reads) {
    *reads = (Reads){.high = {contraction->count[ROW], contraction->count[INNER]}};
    for (int i = 0; i < operand->shape.rank; i++) {
        const Access *access = &operand->access[i];
        int64_t extent = operand->shape.dim[i], stride = operand->shape.stride[i];
        int64_t start = numerator(access, index), divisor = access->divisor;
        int64_t row = coef_of(access, contraction->walked[ROW]),
                inner = coef_of(access, contraction->walked[INNER]);
        if (row || inner) // never both, nor with a divisor
            narrow(reads, inner ? INNER : ROW, start, row + inner, extent);
        else if (start % divisor || start < 0 || start / divisor >= extent)
            return false;
        reads->first += start / divisor * stride;
        reads->step[ROW] += row * stride;
        reads->step[INNER] += inner * stride;
    }
    return true;
}

// --- The innermost loops

static double dot(const double *a, int64_t a_step, const double *b, int64_t b_step, int64_t count) {
    double sum[4] = {0}; // one would make each addition wait for the one before
    for (int64_t j = 0; j + 4 <= count; j += 4, a += 4 * a_step, b += 4 * b_step)
        for (int k = 0; k < 4; k++)
            sum[k] += a[k * a_step] * b[k * b_step];
    for (int k = 0; k < count % 4; k++)
        sum[k] += a[k * a_step] * b[k * b_step];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static void add_scaled(double *restrict to, const double *restrict a, double factor,
                       int64_t count) {
    int64_t j = 0;
    for (; j + 4 <= count; j += 4)
        for (int k = 0; k < 4; k++)
            to[j + k] += a[j + k] * factor;
    for (; j < count; j++)
        to[j] += a[j] * factor;
}

static void add_products(double *to, int64_t step, const double *a, int64_t a_step, const double *b,
                         int64_t b_step, int64_t count) {
    if (step == 1 && a_step == 1 && b_step == 0)
        add_scaled(to, a, *b, count);
    else
        for (int64_t j = 0; j < count; j++)
            to[j * step] += a[j * a_step] * b[j * b_step];
}

static int64_t result_step(const Contraction *contraction, int walk) {
    int index = contraction->walked[walk];
    return index >= 0 && index < contraction->result->rank ? contraction->result->stride[index] : 0;
}

static void add_rows(const Contraction *contraction, const int64_t *index, double *out) {
    const Operand *operand = contraction->operand;
    Reads x, y;
    if (!find_reads(contraction, &operand[0], index, &x) ||
        !find_reads(contraction, &operand[1], index, &y))
        return;
    int64_t low = most(x.low[INNER], y.low[INNER]);
    int64_t count = least(x.high[INNER], y.high[INNER]) - low;
    int64_t row_step = result_step(contraction, ROW), step = result_step(contraction, INNER);
    const double *a = operand[0].data + x.first + low * x.step[INNER];
    const double *b = operand[1].data + y.first + low * y.step[INNER];
    double *to = out + index_offset(index, contraction->result) + low * step;
    for (int64_t i = most(x.low[ROW], y.low[ROW]); count > 0 && i < least(x.high[ROW], y.high[ROW]);
         i++) {
        const double *a_row = a + i * x.step[ROW], *b_row = b + i * y.step[ROW];
        double *to_row = to + i * row_step;
        if (step == 0)
            *to_row += dot(a_row, x.step[INNER], b_row, y.step[INNER], count);
        else if (x.step[INNER] == 0)
            add_products(to_row, step, b_row, y.step[INNER], a_row, 0, count);
        else
            add_products(to_row, step, a_row, x.step[INNER], b_row, y.step[INNER], count);
    }
}

// --- Which indices are walked

// Reads are intervals of both walked indices where neither is divided and no axis is read by both.
static bool can_walk(const Contraction *contraction, int index, int other) {
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < contraction->operand[k].shape.rank; i++) {
            const Access *access = &contraction->operand[k].access[i];
            if (coef_of(access, index) && (access->divisor != 1 || coef_of(access, other)))
                return false;
        }
    return true;
}

// Of how many of the three tensors an index walks through the memory in steps larger than one.
static int jumps(const Contraction *contraction, int index) {
    int count = index < contraction->result->rank && contraction->result->stride[index] > 1;
    for (int k = 0; k < 2; k++) {
        const Operand *operand = &contraction->operand[k];
        int64_t step = 0;
        for (int i = 0; i < operand->shape.rank; i++)
            step += coef_of(&operand->access[i], index) * operand->shape.stride[i];
        count += step > 1 || step < -1;
    }
    return count;
}

// The longest index; inside, a jump weighs as much as being four times as short.
static void choose_walked(Contraction *contraction, int walk, int other) {
    int64_t best = 0;
    contraction->walked[walk] = -1;
    contraction->count[walk] = 1;
    for (int i = 0; i < contraction->loops.rank; i++) {
        int64_t extent = contraction->loops.dim[i];
        int64_t merit = walk == INNER ? extent << 8 >> 2 * jumps(contraction, i) : extent;
        if (extent <= 1 || merit <= best || !can_walk(contraction, i, other)) continue;
        best = merit;
        contraction->walked[walk] = i;
        contraction->count[walk] = extent;
    }
    if (contraction->walked[walk] >= 0) contraction->loops.dim[contraction->walked[walk]] = 1;
}

// Adds to `out`, which has the shape `result`; loops: the extents of all loop indices.
static void contract(Contraction *contraction, double *out) {
    int64_t index[MAX_LOOPS] = {0};
    for (int i = 0; i < contraction->loops.rank; i++)
        if (contraction->loops.dim[i] == 0) return;
    choose_walked(contraction, INNER, -1);
    choose_walked(contraction, ROW, contraction->walked[INNER]);
    do
        add_rows(contraction, index, out);
    while (index_advance(index, &contraction->loops));
}

void eval_contract(const Eval *eval) {
    const ContractAttr *attr = eval->node->attr->contract;
    Contraction contraction = {.operand = {{eval->in[0], attr->a, eval->in_shape[0]},
                                           {eval->in[1], attr->b, eval->in_shape[1]}},
                               .result = &eval->shape,
                               .loops = eval->shape};
    for (int i = 0; i < attr->summed; i++)
        contraction.loops.dim[contraction.loops.rank++] = dim_eval(attr->extent[i], eval->with->n);
    contract(&contraction, eval->out);
}

// z[g, m, n] = sum over s, k of a[g % Ga, s, m, k] * b[g % Gb, s, k, n], or of their transposes
void eval_product(const Eval *eval) {
    enum { G, M, N, S, K, LOOPS, NONE = -1 };
    const Extents *a = &eval->in_shape[0], *b = &eval->in_shape[1];
    ProductAttr attr = eval->node->attr->product;
    int order[2][4] = {{NONE, S, attr.transpose_a ? K : M, attr.transpose_a ? M : K},
                       {NONE, S, attr.transpose_b ? N : K, attr.transpose_b ? K : N}};
    Access access[2][4];
    for (int i = 0; i < 2; i++)
        for (int axis = 0; axis < 4; axis++)
            access[i][axis] = (Access){{(int8_t)order[i][axis], NONE}, {1, 0}, 0, 1};
    for (int64_t g = 0; g < eval->shape.dim[G]; g++) {
        Contraction block = {
            .operand = {{eval->in[0] + g % a->dim[0] * a->stride[0], access[0], *a},
                        {eval->in[1] + g % b->dim[0] * b->stride[0], access[1], *b}},
            .result = &eval->shape,
            .loops = {LOOPS, 0, {1, eval->shape.dim[M], eval->shape.dim[N], a->dim[1]}, {0}}};
        block.loops.dim[K] = a->dim[attr.transpose_a ? 2 : 3];
        contract(&block, eval->out + g * eval->shape.stride[G]);
    }
}
