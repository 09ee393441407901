// SPDX-License-Identifier: MIT
// The kernels of Winograd's transforms. A vector holds neighbouring channels, so that a patch is 36
// vectors, which a function of its own transforms. It knows nothing of a layer's sizes: all layers
// and all functions of a program share one of each kind. For one image,
//
//     NNC_SHARED void wino_in_4x16(const float *restrict from, float *restrict to, const int
//     height, .., const int channels, const long long point, ..)
//
// fills the tiles of F(4), by vectors of 16 channels. Where a patch lies across the image's border
// it is read from, or written to, a small copy.
#include "emit/emit.h"
#include "emit/transform.h"
#include "pass/fuse_internal.h"

typedef struct Wino {
    Buf *out;
    Arena *arena;
    const Fusion *fusion;
    const Kernel *kernel;
    const WinoAttr *attr;
    WinoMatrix m;
    int lanes;
    const char *type; // nnc_v16
    bool narrow;      // what it reads is bf16
    const char *name; // of the shared function
} Wino;

static const char *from_type(const Wino *w) { return w->narrow ? "unsigned short" : "float"; }

static const char *from_vector(const Wino *w) {
    return w->narrow ? arena_printf(w->arena, "nnc_h%d", w->lanes) : w->type;
}

// The most lanes that channels fill.
static int lanes_for(const Target *target, int64_t channels) {
    int lanes = target->lanes;
    while (channels % lanes)
        lanes /= 2;
    return lanes;
}

static void line(const Wino *w, int depth, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void line(const Wino *w, int depth, const char *format, ...) {
    va_list args;
    va_start(args, format);
    print_indent(w->out, depth);
    buf_add(w->out, arena_vprintf(w->arena, format, args));
    buf_add(w->out, "\n");
    va_end(args);
}

static int64_t extent(const Wino *w, const Node *node, int axis) {
    return dim_eval(node->shape.dim[axis], w->fusion->batch);
}

// --- One patch

typedef struct Grid { // a square of vectors in memory, as C
    const char *at;
    const char *column, *row; // from one to the next
} Grid;

// A pixel that an earlier tile, above or to the left, may have written.
static bool is_shared(const Wino *w, int i, int j) {
    int overlap = w->m.rows - w->attr->tile;
    return i < overlap || j < overlap;
}

// m times the columns of the square at `from`, then the same along its rows. Pointers walk along,
// and what is done is stored at once: there are few registers beside those for vectors, and no more
// of these than one side of a square needs and the half of the other.
static void print_patch(const Wino *w, int depth, Grid from, Grid to, bool add) {
    const char *in[WINO_PATCH];
    line(w, depth, "const %s *x = %s;", from_type(w), from.at);
    for (int j = 0; j < w->m.columns; j++) {
        for (int i = 0; i < w->m.columns; i++) {
            in[i] = arena_printf(w->arena, "x%d_%d", i, j);
            line(w, depth,
                 w->narrow ? "const %s %s = nnc_wide%d(x + %d * %s);"
                           : "const %s %s = *(const nnc_v%d *)(x + %d * %s);",
                 w->type, in[i], w->lanes, i, from.row);
        }
        line(w, depth, "x += %s;", from.column);
        Printing p = {w->out, depth, w->type, arena_printf(w->arena, "h%d_", j)};
        transform_print(&p, &w->m, in);
    }
    line(w, depth, "float *y = %s;", to.at);
    for (int i = 0; i < w->m.rows; i++) {
        for (int j = 0; j < w->m.columns; j++)
            in[j] = arena_printf(w->arena, "h%d_%d", j, i);
        Printing p = {w->out, depth, w->type, arena_printf(w->arena, "o%d_", i)};
        transform_print(&p, &w->m, in);
        for (int j = 0; j < w->m.rows; j++)
            line(w, depth, "*(%s *)(y + %d * %s) %s o%d_%d;", w->type, j, to.column,
                 add && is_shared(w, i, j) ? "+=" : "=", i, j);
        line(w, depth, "y += %s;", to.row);
    }
}

// --- Images

// What both directions have in common, and the function of one patch. An image's patches begin at
// `tile * i + top`, `tile * j + left`; points are `point` apart.
static const char *image_arguments(const Wino *w) {
    return arena_printf(w->arena,
                        "const %s *restrict from, float *restrict to, const int height, const int "
                        "width, const int channels, const long long point, const int high, const "
                        "int wide, const int top, const int left",
                        from_type(w));
}

static Buf patch_function(const Wino *w, bool gather) {
    Buf text = buf_new(w->arena);
    Wino to = *w;
    Grid image = {gather ? "from + c" : "to + c", "column", "row"};
    Grid points = {gather ? "to + c" : "from + c", "point", "line"};
    int side = gather ? w->m.rows : w->m.columns;
    to.out = &text;
    line(&to, 0,
         "NNC_SHARED NNC_FUSED void %s_patch(const %s *restrict from, "
         "float *restrict to,\n"
         "    const long long row, const long long column, const long long point, const int "
         "channels) {\n    NNC_FUSED_BODY",
         w->name, from_type(w));
    line(&to, 1, "const long long line = %d * point;", side);
    line(&to, 1, "for (int c = 0; c < channels; c += %d) {", w->lanes);
    print_patch(&to, 2, gather ? image : points, gather ? points : image, !gather);
    line(&to, 1, "}\n}");
    return text;
}

static void open_tiles(const Wino *w) {
    line(w, 1, "for (int i = 0; i < high; i++)");
    line(w, 2, "for (int j = 0; j < wide; j++) {");
    line(w, 3, "const int h = %d * i + top, w = %d * j + left;", w->attr->tile, w->attr->tile);
    line(w, 3, "const long long pixel = h * row + w * (long long)channels;");
    line(w, 3, "const long long tile = (i * wide + j) * (long long)channels;");
}

static void open_inside(const Wino *w, int side) {
    line(w, 3, "if (h >= 0 && h <= height - %d && w >= 0 && w <= width - %d) {", side, side);
}

// Else a copy of the patch, in which rows r0 .. r1 - 1 and columns s0 .. s1 - 1 are in the image,
// and the channels in vectors.
static void open_border(const Wino *w, int side, const char *vector) {
    line(w, 3, "} else {");
    line(w, 4, "const int r0 = h < 0 ? -h : 0, r1 = height - h < %d ? height - h : %d;", side,
         side);
    line(w, 4, "const int s0 = w < 0 ? -w : 0, s1 = width - w < %d ? width - w : %d;", side, side);
    line(w, 4, "%s edge[%d];", vector, side * side);
}

static void clear_edge(const Wino *w, int depth, int side, const char *vector) {
    line(w, depth, "for (int k = 0; k < %d; k++)", side * side);
    line(w, depth + 1, "edge[k] = (%s){0};", vector);
}

static void open_channels(const Wino *w) {
    line(w, 4, "for (int c = 0; c < channels; c += %d) {", w->lanes);
}

static void open_pixels(const Wino *w) {
    line(w, 5, "for (int r = r0; r < r1; r++)");
    line(w, 6, "for (int s = s0; s < s1; s++) {");
    line(w, 7, "const long long at = pixel + r * row + s * (long long)channels + c;");
}

static void close_tiles(const Wino *w) { line(w, 4, "}\n            }\n        }"); }

// Images to tiles: wino_in, and wino_out_t.
static void print_gather(const Wino *w) {
    int side = w->m.columns;
    line(w, 1, "const long long row = (long long)width * channels;");
    open_tiles(w);
    open_inside(w, side);
    line(w, 4, "%s_patch(from + pixel, to + tile, row, channels, point, channels);", w->name);
    const char *vector = from_vector(w);
    open_border(w, side, vector);
    clear_edge(w, 4, side, vector);
    open_channels(w);
    open_pixels(w);
    line(w, 7, "edge[%d * r + s] = *(const %s *)(from + at);", side, vector);
    line(w, 6, "}");
    line(w, 5, "%s_patch((const %s *)edge, to + tile + c, %d, %d, point, %d);", w->name,
         from_type(w), side * w->lanes, w->lanes, w->lanes);
    close_tiles(w);
}

// Zeros where no tile is the first to write.
static void print_zeros(const Wino *w, int overlap) {
    line(w, 1, "for (int h = 0; h < height; h++)");
    line(w, 2, "for (int w = 0; w < width; w++) {");
    line(w, 3, "const int y = h - top - %d, x = w - left - %d;", overlap, overlap);
    line(w, 3, "if (y >= 0 && y < %d * high && x >= 0 && x < %d * wide)", w->attr->tile,
         w->attr->tile);
    line(w, 4, "continue;");
    line(w, 3, "for (int c = 0; c < channels; c += %d)", w->lanes);
    line(w, 4, "*(%s *)(to + h * row + w * (long long)channels + c) = (%s){0};", w->type, w->type);
    line(w, 2, "}");
}

// Tiles to images: wino_out, and wino_in_t, whose patches overlap and are added up.
static void print_scatter(const Wino *w) {
    int side = w->m.rows, overlap = side - w->attr->tile;
    line(w, 1, "const long long row = (long long)width * channels;");
    if (overlap) print_zeros(w, overlap);
    open_tiles(w);
    open_inside(w, side);
    line(w, 4, "%s_patch(from + tile, to + pixel, row, channels, point, channels);", w->name);
    open_border(w, side, w->type);
    open_channels(w);
    if (overlap) clear_edge(w, 5, side, w->type);
    line(w, 5, "%s_patch(from + tile + c, (float *)edge, %d, %d, point, %d);", w->name,
         side * w->lanes, w->lanes, w->lanes);
    open_pixels(w);
    line(w, 7, "%s *e = edge + %d * r + s, *here = (%s *)(to + at);", w->type, side, w->type);
    if (overlap) line(w, 7, "if (r < %d || s < %d) *e += *here;", overlap, overlap);
    line(w, 7, "*here = *e;");
    line(w, 6, "}");
    close_tiles(w);
}

// --- Filters [K, C, 3, 3] to points [P, C, K] and back; swapped: [P, K, C]

typedef struct Filter { // strides, and what runs along vectors (inner) and threads (outer)
    int64_t inner, inner_stride, outer_stride; // of the filter itself
    int64_t width, panel, point;               // of its points: in panels of so many columns
} Filter;

static Filter filter_of(const Wino *w) {
    const Node *core = w->kernel->core;
    const Node *filter = core->op == OP_wino_filter ? core->in[0] : core;
    bool swap = w->attr->swap;
    int64_t patch = w->attr->tile + 2, channels = extent(w, filter, 1),
            rows = extent(w, filter, swap ? 0 : 1), inner = extent(w, filter, swap ? 1 : 0),
            width = w->attr->panel ? w->attr->panel : inner;
    return (Filter){.inner = inner,
                    .inner_stride = swap ? 9 : 9 * channels,
                    .outer_stride = swap ? 9 * channels : 9,
                    .width = width,
                    .panel = patch * patch * rows * width,
                    .point = rows * width};
}

// Of a vector of filters, whose taps are turned so that each is a vector.
static const char *const filter_arguments = "const float *restrict from, float *restrict to, "
                                            "const long long stride, const long long point";

static void print_turned(const Wino *w, const char *statement) {
    line(w, 1, "for (int t = 0; t < 9; t++)");
    buf_add(w->out, "#pragma GCC unroll 1\n");
    line(w, 2, "for (int l = 0; l < %d; l++)", w->lanes);
    line(w, 3, statement, w->lanes);
}

static void print_filter(const Wino *w) {
    const char *lanes = arena_printf(w->arena, "%d", w->lanes);
    const char *three = arena_printf(w->arena, "%d", 3 * w->lanes);
    line(w, 1, "const long long line = %d * point;", w->m.rows);
    line(w, 1, "float tap[%d];", 9 * w->lanes);
    print_turned(w, "tap[t * %d + l] = from[l * stride + t];");
    print_patch(w, 1, (Grid){"tap", lanes, three}, (Grid){"to", "point", "line"}, false);
}

static void print_filter_back(const Wino *w) {
    const char *lanes = arena_printf(w->arena, "%d", w->lanes);
    const char *three = arena_printf(w->arena, "%d", 3 * w->lanes);
    line(w, 1, "const long long line = %d * point;", w->m.columns);
    line(w, 1, "float tap[%d];", 9 * w->lanes);
    print_patch(w, 1, (Grid){"from", "point", "line"}, (Grid){"tap", lanes, three}, false);
    print_turned(w, "to[l * stride + t] = tap[t * %d + l];");
}

// Rows within vectors, so that a part's piece of the filter stays in the cache.
static void print_filter_calls(const Wino *w) {
    Filter filter = filter_of(w);
    line(w, 1, "for (int i = 0; i < %lld; i += %d)", (long long)filter.inner, w->lanes);
    line(w, 2, "for (int o = (int)low; o < (int)high; o++) {");
    line(w, 3, "const long long point = i / %lld * %lldll + o * %lldll + i %% %lld;",
         (long long)filter.width, (long long)filter.panel, (long long)filter.width,
         (long long)filter.width);
    line(w, 3, "const long long tap = %lld * (long long)o + %lld * (long long)i;",
         (long long)filter.outer_stride, (long long)filter.inner_stride);
    bool back = w->kernel->core->op == OP_wino_filter_t;
    line(w, 3, "%s(from + %s, to + %s, %lld, %lld);", w->name, back ? "point" : "tap",
         back ? "tap" : "point", (long long)filter.inner_stride, (long long)filter.point);
    line(w, 2, "}");
}

// --- Kernels

static const char *address(Arena *arena, Storage at) {
    return arena_printf(arena, "%s + %lld", buffer_address(arena, at.buffer), (long long)at.offset);
}

static Wino wino_of(Buf *out, const Fusion *fusion, const Kernel *kernel) {
    Arena *arena = out->arena;
    const Node *node = kernel->core;
    const WinoAttr *attr = &node->attr->wino;
    const Shape *vector = &node->shape;
    bool narrow = wino_operand(node)->dtype == DT_BF16;
    if (node->op == OP_wino_filter_t) vector = &node->in[0]->shape;
    int lanes = lanes_for(fusion->target, dim_eval(vector->dim[vector->rank - 1], 1));
    return (Wino){.out = out,
                  .arena = arena,
                  .fusion = fusion,
                  .kernel = kernel,
                  .attr = attr,
                  .m = wino_matrix(node->op, attr->tile),
                  .lanes = lanes,
                  .type = arena_printf(arena, "nnc_v%d", lanes),
                  .narrow = narrow,
                  .name = arena_printf(arena, "%s_%dx%d%s", op_info(node->op)->name, attr->tile,
                                       lanes, narrow ? "_bf16" : "")};
}

static bool is_gather(Op op) { return op == OP_wino_in || op == OP_wino_out_t; }

static bool is_filter(Op op) { return op == OP_wino_filter || op == OP_wino_filter_t; }

static void share(SharedFunctions *shared, const Wino *w, Op op) {
    if (shared_use(shared, w->name)) return;
    Buf body = buf_new(w->arena);
    Wino to = *w;
    to.out = &body;
    if (op == OP_wino_filter)
        print_filter(&to);
    else if (op == OP_wino_filter_t)
        print_filter_back(&to);
    else
        (is_gather(op) ? print_gather : print_scatter)(&to);
    shared_add(shared, (SharedFunction){
                           .name = w->name,
                           .arguments = is_filter(op) ? filter_arguments : image_arguments(w),
                           .fused = !is_filter(op),
                           .before = is_filter(op) ? NULL : patch_function(w, is_gather(op)).text,
                           .body = body.text,
                       });
}

// The image is what has no points: what a gathering kernel reads, and a scattering one writes.
static void print_images(const Wino *w) {
    const Node *node = w->kernel->core;
    bool gather = is_gather(node->op);
    const Node *image = gather ? node->in[0] : node, *tiles = gather ? node : node->in[0];
    long long height = extent(w, image, 1), width = extent(w, image, 2),
              channels = extent(w, image, 3), point = extent(w, tiles, 2) * channels;
    long long pixels = height * width * channels, points = extent(w, tiles, 1) * point;
    long long from = gather ? pixels : points, to = gather ? points : pixels;
    if (w->kernel->product) to = 0; // scratch memory has room for one image
    line(w, 1, "for (int g = (int)low; g < (int)high; g++) {");
    line(w, 2, "%s(from + %lldll * g, to + %lldll * g, %lld, %lld, %lld, %lld, %d, %d, %d, %d);",
         w->name, from, to, height, width, channels, point, w->attr->tiles[0], w->attr->tiles[1],
         w->attr->offset[0], w->attr->offset[1]);
    if (w->kernel->result.at[0].value != node) {
        Loops *loops = loops_build(w->arena, w->fusion, w->kernel);
        loops_coalesce(loops);
        nest_print(w->out, loops, arena_printf(w->arena, "g * %lld", (long long)loops->outer_unit),
                   arena_printf(w->arena, "(g + 1) * %lld", (long long)loops->outer_unit), 2);
    }
    line(w, 1, "}");
}

void emit_wino(Buf *out, SharedFunctions *shared, const Fusion *fusion, const Kernel *kernel) {
    Wino w = wino_of(out, fusion, kernel);
    const Node *node = kernel->core;
    share(shared, &w, node->op);
    line(&w, 1, "const %s *from = %s;", from_type(&w),
         address(w.arena, fusion->storage[wino_operand(node)->id]));
    line(&w, 1, "float *to = %s;",
         kernel->product ? arena_printf(w.arena, "b%d", kernel->product->id)
                         : address(w.arena, kernel->result.at[0].to));
    if (is_filter(node->op))
        print_filter_calls(&w);
    else
        print_images(&w);
}
