// SPDX-License-Identifier: MIT
// The interpreter's contractions. The oracle runs whole networks, so the plain definition (for
// every value of every loop index, look both operands up) is rearranged once: one summed index runs
// innermost, and where its reads are inside both operands is an interval, found before its loop and
// not within.
#include "ir/interp_internal.h"

typedef struct Operand {
    const double *data;
    const Access *access;
    Extents shape;
} Operand;

typedef struct Contraction {
    Operand operand[2];
    int rank;      // of the result; loop indices from here on are summed
    Extents loops; // of all loop indices but `inner`, which counts as of extent 1
    int inner;     // -1: none
    int64_t count; // the extent of inner, or 1
} Contraction;

// The reads of one operand for fixed outer indices: element first + j * step for j = low .. high
// - 1.
typedef struct Reads {
    int64_t first, step, low, high;
} Reads;

static int32_t inner_coef(const Access *access, int inner) {
    if (inner < 0) return 0;
    return (access->index[0] == inner ? access->coef[0] : 0) +
           (access->index[1] == inner ? access->coef[1] : 0);
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

// Narrows the reads to those j for which 0 <= start + j * coef < extent.
static void narrow(Reads *reads, int64_t start, int64_t coef, int64_t extent) {
    int64_t low, high; // inclusive, exclusive
    if (coef > 0) {
        low = -floor_div(start, coef);
        high = floor_div(extent - 1 - start, coef) + 1;
    } else {
        low = -floor_div(extent - 1 - start, -coef);
        high = floor_div(start, -coef) + 1;
    }
    if (low > reads->low) reads->low = low;
    if (high < reads->high) reads->high = high;
}

static Reads reads_of(const Operand *operand, const int64_t *index, int inner, int64_t count) {
    Reads reads = {.low = 0, .high = count};
    for (int i = 0; i < operand->shape.rank; i++) {
        const Access *access = &operand->access[i];
        int64_t extent = operand->shape.dim[i], stride = operand->shape.stride[i];
        int64_t start = numerator(access, index), coef = inner_coef(access, inner);
        if (coef == 0) {
            if (start % access->divisor || start < 0 || start / access->divisor >= extent)
                return (Reads){0};
            start /= access->divisor;
        } else {
            narrow(&reads, start, coef, extent);
        }
        reads.first += start * stride;
        reads.step += coef * stride;
    }
    return reads;
}

// The sum over the innermost index.
static double dot(const Contraction *contraction, const int64_t *index) {
    const Operand *operand = contraction->operand;
    Reads a = reads_of(&operand[0], index, contraction->inner, contraction->count);
    if (a.low >= a.high) return 0;
    Reads b = reads_of(&operand[1], index, contraction->inner, contraction->count);
    int64_t low = a.low > b.low ? a.low : b.low, high = a.high < b.high ? a.high : b.high;
    double sum = 0;
    for (int64_t j = low; j < high; j++)
        sum += operand[0].data[a.first + j * a.step] * operand[1].data[b.first + j * b.step];
    return sum;
}

// Whether a read at a divided place depends on the index: then its reads are no interval.
static bool is_divided(const Contraction *contraction, int index) {
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < contraction->operand[k].shape.rank; i++) {
            const Access *access = &contraction->operand[k].access[i];
            if (access->divisor != 1 && inner_coef(access, index)) return true;
        }
    return false;
}

static void choose_inner(Contraction *contraction) {
    contraction->inner = -1;
    contraction->count = 1;
    for (int i = contraction->rank; i < contraction->loops.rank; i++) {
        int64_t extent = contraction->loops.dim[i];
        if (is_divided(contraction, i) || extent <= contraction->count) continue;
        contraction->inner = i;
        contraction->count = extent;
    }
    if (contraction->inner >= 0) contraction->loops.dim[contraction->inner] = 1;
}

static Contraction contraction_of(const Eval *eval) {
    const ContractAttr *attr = eval->node->attr->contract;
    Contraction contraction = {.operand = {{eval->in[0], attr->a, eval->in_shape[0]},
                                           {eval->in[1], attr->b, eval->in_shape[1]}},
                               .rank = eval->shape.rank,
                               .loops = eval->shape};
    for (int i = 0; i < attr->summed; i++)
        contraction.loops.dim[contraction.loops.rank++] = dim_eval(attr->extent[i], eval->with->n);
    choose_inner(&contraction);
    return contraction;
}

void eval_contract(const Eval *eval) {
    Contraction contraction = contraction_of(eval);
    int64_t terms = 1, index[MAX_LOOPS] = {0};
    for (int i = contraction.rank; i < contraction.loops.rank; i++)
        terms *= contraction.loops.dim[i];
    for (int64_t i = 0; terms && i < eval->shape.size; i++)
        for (int64_t k = 0; k < terms; k++) {
            eval->out[i] += dot(&contraction, index);
            index_advance(index, &contraction.loops);
        }
}

// z[g, m, n] = sum over s, k of a[g % Ga, s, m, k] * b[g % Gb, s, k, n]
void eval_product(const Eval *eval) {
    const Extents *a = &eval->in_shape[0], *b = &eval->in_shape[1];
    ProductAttr product = eval->node->attr->product;
    int a_row = product.transpose_a ? 3 : 2, b_row = product.transpose_b ? 3 : 2;
    int a_column = 5 - a_row, b_column = 5 - b_row;
    int64_t index[MAX_LOOPS] = {0};
    for (int64_t i = 0; i < eval->shape.size; i++) {
        const double *from_a = eval->in[0] + index[0] % a->dim[0] * a->stride[0];
        const double *from_b = eval->in[1] + index[0] % b->dim[0] * b->stride[0];
        for (int64_t s = 0; s < a->dim[1]; s++)
            for (int64_t k = 0; k < a->dim[a_column]; k++)
                eval->out[i] += from_a[s * a->stride[1] + index[1] * a->stride[a_row] +
                                       k * a->stride[a_column]] *
                                from_b[s * b->stride[1] + k * b->stride[b_row] +
                                       index[2] * b->stride[b_column]];
        index_advance(index, &eval->shape);
    }
}
