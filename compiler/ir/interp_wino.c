// SPDX-License-Identifier: MIT
// The reference of Winograd's transforms: one matrix along both sides of each patch.
#include "ir/interp_internal.h"
#include "ir/wino.h"

typedef struct Patch { // of one tile or filter, at one channel: its elements, `rows` apart and
                       // `columns` apart
    int64_t base, row, column;
    int64_t first[2], extent[2]; // of an image: its place there; extent 0: whole
} Patch;

// Where element (i, j) of the patch lies; -1: outside of the image.
static int64_t patch_at(const Patch *patch, int i, int j) {
    int64_t at[2] = {patch->first[0] + i, patch->first[1] + j};
    for (int side = 0; side < 2 && patch->extent[0]; side++)
        if (at[side] < 0 || at[side] >= patch->extent[side]) return -1;
    return patch->base + at[0] * patch->row + at[1] * patch->column;
}

// Adds m x m' to the patch `to`.
static void transform(const Eval *eval, const WinoMatrix *m, const Patch *to, const Patch *from) {
    double half[WINO_PATCH][WINO_PATCH] = {{0}};
    for (int i = 0; i < m->columns; i++)
        for (int j = 0; j < m->columns; j++) {
            int64_t at = patch_at(from, i, j);
            for (int k = 0; k < m->rows && at >= 0; k++)
                half[k][j] += m->at[k][i] * eval->in[0][at];
        }
    for (int i = 0; i < m->rows; i++)
        for (int j = 0; j < m->rows; j++) {
            int64_t at = patch_at(to, i, j);
            for (int k = 0; k < m->columns && at >= 0; k++)
                eval->out[at] += half[i][k] * m->at[j][k];
        }
}

void eval_wino_tiles(const Eval *eval) {
    const WinoAttr *wino = &eval->node->attr->wino;
    Op op = eval->node->op;
    WinoMatrix m = wino_matrix(op, wino->tile);
    bool gathers = op == OP_wino_in || op == OP_wino_out_t;
    const Extents *image = gathers ? &eval->in_shape[0] : &eval->shape;
    const Extents *tiles = gathers ? &eval->shape : &eval->in_shape[0];
    int64_t index[MAX_LOOPS] = {0}, side = gathers ? m.rows : m.columns;
    if (tiles->size == 0) return;
    do { // each tile's first frequency
        if (index[1]) continue;
        Patch tile = {.base = index_offset(index, tiles),
                      .row = side * tiles->stride[1],
                      .column = tiles->stride[1]};
        Patch place = {.base = index[0] * image->stride[0] + index[3],
                       .row = image->stride[1],
                       .column = image->stride[2],
                       .extent = {image->dim[1], image->dim[2]}};
        place.first[0] = index[2] / wino->tiles[1] * wino->tile + wino->offset[0];
        place.first[1] = index[2] % wino->tiles[1] * wino->tile + wino->offset[1];
        transform(eval, &m, gathers ? &tile : &place, gathers ? &place : &tile);
    } while (index_advance(index, tiles));
}

void eval_wino_filter(const Eval *eval) {
    bool back = eval->node->op == OP_wino_filter_t, swap = eval->node->attr->wino.swap;
    WinoMatrix m = wino_matrix(eval->node->op, eval->node->attr->wino.tile);
    const Extents *filter = back ? &eval->shape : &eval->in_shape[0];
    const Extents *points = back ? &eval->in_shape[0] : &eval->shape;
    int64_t side = back ? m.columns : m.rows, panel = eval->node->attr->wino.panel;
    int first = panel ? 1 : 0; // the axis of the points
    for (int64_t k = 0; k < filter->dim[0]; k++)
        for (int64_t c = 0; c < filter->dim[1]; c++) {
            Patch plain = {.base = k * filter->stride[0] + c * filter->stride[1],
                           .row = filter->stride[2],
                           .column = filter->stride[3]};
            int64_t row = swap ? k : c, column = swap ? c : k;
            Patch point = {
                .base = row * points->stride[first + 1] +
                        (panel ? column / panel * points->stride[0] + column % panel : column),
                .row = side * points->stride[first],
                .column = points->stride[first]};
            transform(eval, &m, back ? &plain : &point, back ? &point : &plain);
        }
}
