// SPDX-License-Identifier: MIT
// The kernels of Winograd's transforms. A vector holds neighbouring channels, so that a patch is 36
// vectors, which a function of its own transforms:
//
//     static void train_k5_wino_in_patch(const float *from, long long row, long long column, float
//     *to, int channels)
//
// Where a patch lies across the image's border it is read from, or written to, a small copy.
#include "emit/emit.h"
#include "emit/transform.h"

typedef struct Wino {
    Buf *out;
    Arena *arena;
    const Fusion *fusion;
    const Kernel *kernel;
    const char *function; // train
    const WinoAttr *attr;
    WinoMatrix m;
    int lanes;
    const char *type; // nnc_v16
    const char *from, *to;
} Wino;

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

// Both sides of a patch: from values at(i, j), loaded as the text `load` with i and j, to h%d_%d
// and then o%d_%d.
static void print_sides(const Wino *w, int depth, const char *(*load)(const Wino *, int, int)) {
    const char *in[WINO_PATCH];
    for (int j = 0; j < w->m.columns; j++) {
        for (int i = 0; i < w->m.columns; i++)
            in[i] = load(w, i, j);
        Printing p = {w->out, depth, w->type, arena_printf(w->arena, "h%d_", j)};
        transform_print(&p, &w->m, in);
    }
    for (int i = 0; i < w->m.rows; i++) {
        for (int j = 0; j < w->m.columns; j++)
            in[j] = arena_printf(w->arena, "h%d_%d", j, i);
        Printing p = {w->out, depth, w->type, arena_printf(w->arena, "o%d_", i)};
        transform_print(&p, &w->m, in);
    }
}

static const char *load(const Wino *w, int i, int j, const char *at) {
    const char *name = arena_printf(w->arena, "x%d_%d", i, j);
    line(w, 2, "const %s %s = *(const %s *)(%s);", w->type, name, w->type, at);
    return name;
}

static int64_t extent(const Wino *w, const Node *node, int axis) {
    return dim_eval(node->shape.dim[axis], w->fusion->batch);
}

// --- Images to tiles: wino_in, and wino_out_t

static const char *load_pixel(const Wino *w, int i, int j) {
    return load(w, i, j, arena_printf(w->arena, "from + %d * row + %d * column + c", i, j));
}

static void print_gather_patch(const Wino *w, int64_t point) {
    line(w, 0,
         "NNC_FUSED static void %s_%s_patch(const float *restrict from, long long row, long long "
         "column,\n                      float *restrict to, int channels) {\n    NNC_FUSED_BODY",
         w->function, w->kernel->name);
    line(w, 1, "for (int c = 0; c < channels; c += %d) {", w->lanes);
    print_sides(w, 2, load_pixel);
    for (int i = 0; i < w->m.rows; i++)
        for (int j = 0; j < w->m.rows; j++)
            line(w, 2, "*(%s *)(to + %lld + c) = o%d_%d;", w->type,
                 (long long)(i * w->m.rows + j) * (long long)point, i, j);
    line(w, 1, "}");
    line(w, 0, "}\n");
}

// Is every patch of `side` at offset + tile * i within an image of `extent`?
static bool lies_inside(const Wino *w, int side, int axis, int64_t extent) {
    int64_t first = w->attr->offset[axis],
            last = first + (int64_t)(w->attr->tiles[axis] - 1) * w->attr->tile + side - 1;
    return first >= 0 && last < extent;
}

typedef struct Image {
    const Node *node, *tiles;
    int64_t height, width, channels;
    int side; // of its patches
} Image;

static Image image_of(const Wino *w, const Node *node, const Node *tiles, int side) {
    return (Image){node, tiles, extent(w, node, 1), extent(w, node, 2), extent(w, node, 3), side};
}

static void open_tiles(const Wino *w, const Image *image) {
    long long row = image->width * image->channels, points = extent(w, image->tiles, 1),
              tiles = extent(w, image->tiles, 2);
    line(w, 2, "for (int i = 0; i < %d; i++)", w->attr->tiles[0]);
    line(w, 3, "for (int j = 0; j < %d; j++) {", w->attr->tiles[1]);
    line(w, 4, "const int h = i * %d + %d, w = j * %d + %d;", w->attr->tile, w->attr->offset[0],
         w->attr->tile, w->attr->offset[1]);
    line(w, 4, "const long long pixel = %lld * (long long)g + %lld * h + %lld * w;",
         row * image->height, row, (long long)image->channels);
    line(w, 4, "const long long tile = %lld * (long long)g + %lld * (i * %d + j);",
         points * tiles * image->channels, (long long)image->channels, w->attr->tiles[1]);
}

// "if (the patch is inside)", or nothing; true where there are patches that are not.
static bool print_inside(const Wino *w, const Image *image) {
    bool high = lies_inside(w, image->side, 0, image->height),
         wide = lies_inside(w, image->side, 1, image->width);
    if (high && wide) return false;
    line(w, 4, "if (h >= 0 && h <= %lld && w >= 0 && w <= %lld)",
         (long long)image->height - image->side, (long long)image->width - image->side);
    return true;
}

static void open_border(const Wino *w, const Image *image) {
    line(w, 4, "else");
    line(w, 5, "for (int c = 0; c < %lld; c += %d) {", (long long)image->channels, w->lanes);
    line(w, 6, "float edge[%d * %d * %d] __attribute__((aligned(64)));", image->side, image->side,
         w->lanes);
}

// For each pixel of the patch at the border: `inside` where it is in the image, else `outside`.
static void print_border(const Wino *w, const Image *image, const char *inside,
                         const char *outside) {
    line(w, 6, "for (int r = 0; r < %d; r++)", image->side);
    line(w, 7, "for (int s = 0; s < %d; s++) {", image->side);
    line(w, 8, "float *e = edge + (r * %d + s) * %d;", image->side, w->lanes);
    line(w, 8, "const int here = h + r >= 0 && h + r < %lld && w + s >= 0 && w + s < %lld;",
         (long long)image->height, (long long)image->width);
    line(w, 8, "const long long at = pixel + %lld * r + %lld * s + c;",
         (long long)(image->width * image->channels), (long long)image->channels);
    line(w, 8, "for (int l = 0; l < %d; l++)", w->lanes);
    if (outside)
        line(w, 9, "if (here) %s; else %s;", inside, outside);
    else
        line(w, 9, "if (here) %s;", inside);
    line(w, 7, "}");
}

static void print_gather(const Wino *w) {
    const Node *node = w->kernel->core;
    Image image = image_of(w, node->in[0], node, w->m.columns);
    line(w, 1, "for (int g = (int)low; g < (int)high; g++)");
    open_tiles(w, &image);
    bool border = print_inside(w, &image);
    line(w, 5, "%s_%s_patch(from + pixel, %lld, %lld, to + tile, %lld);", w->function,
         w->kernel->name, (long long)(image.width * image.channels), (long long)image.channels,
         (long long)image.channels);
    if (border) {
        open_border(w, &image);
        print_border(w, &image, "e[l] = from[at + l]", "e[l] = 0");
        line(w, 6, "%s_%s_patch(edge, %d, %d, to + tile + c, %d);", w->function, w->kernel->name,
             image.side * w->lanes, w->lanes, w->lanes);
        line(w, 5, "}");
    }
    line(w, 3, "}");
}

// --- Tiles to images: wino_out, and wino_in_t, whose patches overlap and are added up

static const char *load_point(const Wino *w, int i, int j) {
    const Node *tiles = w->kernel->core->in[0];
    long long point = extent(w, tiles, 2) * extent(w, tiles, 3);
    return load(w, i, j, arena_printf(w->arena, "from + %lld + c", (i * w->m.columns + j) * point));
}

static bool overlaps(const Wino *w) { return w->m.rows > w->attr->tile; }

// A pixel that an earlier tile, above or to the left, may have written.
static bool is_shared(const Wino *w, int i, int j) {
    int overlap = w->m.rows - w->attr->tile;
    return i < overlap || j < overlap;
}

static void print_scatter_patch(const Wino *w) {
    line(w, 0,
         "NNC_FUSED static void %s_%s_patch(const float *restrict from, float *restrict to, long "
         "long row,\n                      long long column, int channels) {\n    NNC_FUSED_BODY",
         w->function, w->kernel->name);
    line(w, 1, "for (int c = 0; c < channels; c += %d) {", w->lanes);
    print_sides(w, 2, load_point);
    for (int i = 0; i < w->m.rows; i++)
        for (int j = 0; j < w->m.rows; j++)
            line(w, 2, "*(%s *)(to + %d * row + %d * column + c) %s o%d_%d;", w->type, i, j,
                 is_shared(w, i, j) ? "+=" : "=", i, j);
    line(w, 1, "}");
    line(w, 0, "}\n");
}

// Zeros where no tile is the first to write.
static void print_zeros(const Wino *w, const Image *image) {
    int64_t first[2], end[2], side[2] = {image->height, image->width};
    int overlap = w->m.rows - w->attr->tile;
    for (int i = 0; i < 2; i++) {
        first[i] = w->attr->offset[i] + overlap;
        end[i] = first[i] + (int64_t)w->attr->tiles[i] * w->attr->tile;
        if (first[i] < 0) first[i] = 0;
        if (end[i] > side[i]) end[i] = side[i];
    }
    line(w, 2, "for (int h = 0; h < %lld; h++)", (long long)side[0]);
    line(w, 3, "for (int w = 0; w < %lld; w++) {", (long long)side[1]);
    line(w, 4, "if (h >= %lld && h < %lld && w == %lld) w = %lld;", (long long)first[0],
         (long long)end[0], (long long)first[1], (long long)end[1]);
    line(w, 4, "for (int c = 0; c < %lld && w < %lld; c++)", (long long)image->channels,
         (long long)side[1]);
    line(w, 5, "to[(((long long)g * %lld + h) * %lld + w) * %lld + c] = 0;", (long long)side[0],
         (long long)side[1], (long long)image->channels);
    line(w, 3, "}");
}

static void print_scatter_border(const Wino *w, const Image *image) {
    const char *store = "to[at + l] = e[l]";
    open_border(w, image);
    if (overlaps(w))
        line(w, 6, "for (int l = 0; l < %d; l++) edge[l] = 0;",
             image->side * image->side * w->lanes);
    line(w, 6, "%s_%s_patch(from + tile + c, edge, %d, %d, %d);", w->function, w->kernel->name,
         image->side * w->lanes, w->lanes, w->lanes);
    if (overlaps(w)) {
        int overlap = w->m.rows - w->attr->tile;
        store = arena_printf(w->arena, "to[at + l] = r < %d || s < %d ? to[at + l] + e[l] : e[l]",
                             overlap, overlap);
    }
    print_border(w, image, store, NULL);
    line(w, 5, "}");
}

static void print_scatter(const Wino *w) {
    const Node *node = w->kernel->core;
    Image image = image_of(w, node, node->in[0], w->m.rows);
    line(w, 1, "for (int g = (int)low; g < (int)high; g++) {");
    if (overlaps(w)) print_zeros(w, &image);
    open_tiles(w, &image);
    bool border = print_inside(w, &image);
    line(w, 5, "%s_%s_patch(from + tile, to + pixel, %lld, %lld, %lld);", w->function,
         w->kernel->name, (long long)(image.width * image.channels), (long long)image.channels,
         (long long)image.channels);
    if (border) print_scatter_border(w, &image);
    line(w, 3, "}");
    if (w->kernel->result.at[0].value != node) {
        Loops *loops = loops_build(w->arena, w->fusion, w->kernel);
        loops_coalesce(loops);
        nest_print(w->out, loops, arena_printf(w->arena, "g * %lld", (long long)loops->outer_unit),
                   arena_printf(w->arena, "(g + 1) * %lld", (long long)loops->outer_unit), 2);
    }
    line(w, 1, "}");
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

// Rows within vectors, so that a part's piece of the filter stays in the cache.
static void open_filter(const Wino *w, const Filter *filter) {
    line(w, 1, "for (int i = 0; i < %lld; i += %d)", (long long)filter->inner, w->lanes);
    line(w, 2, "for (int o = (int)low; o < (int)high; o++) {");
    line(w, 3, "const long long point = i / %lld * %lldll + o * %lldll + i %% %lld;",
         (long long)filter->width, (long long)filter->panel, (long long)filter->width,
         (long long)filter->width);
}

static long long tap_at(const Filter *filter, int lane, int tap) {
    return (long long)lane * filter->inner_stride + tap;
}

static void print_tap_pointer(const Wino *w, const Filter *filter, const char *type,
                              const char *array) {
    line(w, 3, "%s *tap = %s + %lld * (long long)o + %lld * (long long)i;", type, array,
         (long long)filter->outer_stride, (long long)filter->inner_stride);
}

static const char *load_tap(const Wino *w, int i, int j) {
    Filter filter = filter_of(w);
    const char *name = arena_printf(w->arena, "x%d_%d", i, j);
    Buf lanes = buf_new(w->arena);
    for (int lane = 0; lane < w->lanes; lane++)
        buf_printf(&lanes, "%stap[%lld]", lane ? ", " : "", tap_at(&filter, lane, i * 3 + j));
    line(w, 3, "const %s %s = {%s};", w->type, name, lanes.text);
    return name;
}

static void print_filter(const Wino *w) {
    Filter filter = filter_of(w);
    open_filter(w, &filter);
    print_tap_pointer(w, &filter, "const float", "from");
    print_sides(w, 3, load_tap);
    for (int i = 0; i < w->m.rows; i++)
        for (int j = 0; j < w->m.rows; j++)
            line(w, 3, "*(%s *)(to + point + %lld) = o%d_%d;", w->type,
                 (long long)(i * w->m.rows + j) * (long long)filter.point, i, j);
    line(w, 2, "}");
}

static const char *load_filter_point(const Wino *w, int i, int j) {
    Filter filter = filter_of(w);
    return load(w, i, j,
                arena_printf(w->arena, "from + point + %lld",
                             (long long)(i * w->m.columns + j) * (long long)filter.point));
}

static void print_filter_back(const Wino *w) {
    Filter filter = filter_of(w);
    open_filter(w, &filter);
    print_tap_pointer(w, &filter, "float", "to");
    print_sides(w, 3, load_filter_point);
    for (int lane = 0; lane < w->lanes; lane++)
        for (int t = 0; t < 9; t++)
            line(w, 3, "tap[%lld] = o%d_%d[%d];", tap_at(&filter, lane, t), t / 3, t % 3, lane);
    line(w, 2, "}");
}

// --- Kernels

static const char *address(Arena *arena, Storage at) {
    return arena_printf(arena, "%s + %lld", buffer_address(arena, at.buffer), (long long)at.offset);
}

static Wino wino_of(Buf *out, const char *function, const Fusion *fusion, const Kernel *kernel) {
    Arena *arena = out->arena;
    const Node *node = kernel->core;
    const Shape *vector = &node->shape;
    if (node->op == OP_wino_filter_t) vector = &node->in[0]->shape;
    int lanes = lanes_for(fusion->target, dim_eval(vector->dim[vector->rank - 1], 1));
    return (Wino){.out = out,
                  .arena = arena,
                  .fusion = fusion,
                  .kernel = kernel,
                  .function = function,
                  .attr = &node->attr->wino,
                  .m = wino_matrix(node->op, node->attr->wino.tile),
                  .lanes = lanes,
                  .type = arena_printf(arena, "nnc_v%d", lanes),
                  .from = address(arena, fusion->storage[node->in[0]->id]),
                  .to = address(arena, kernel->result.at[0].to)};
}

void emit_wino_functions(Buf *out, const char *function, const Fusion *fusion,
                         const Kernel *kernel) {
    Wino w = wino_of(out, function, fusion, kernel);
    const Node *node = kernel->core;
    if (node->op == OP_wino_in || node->op == OP_wino_out_t)
        print_gather_patch(&w, extent(&w, node, 2) * extent(&w, node, 3));
    else if (node->op == OP_wino_in_t || node->op == OP_wino_out)
        print_scatter_patch(&w);
}

void emit_wino(Buf *out, const char *function, const Fusion *fusion, const Kernel *kernel) {
    Wino w = wino_of(out, function, fusion, kernel);
    line(&w, 1, "const float *from = %s;", w.from);
    line(&w, 1, "float *to = %s;", w.to);
    switch (kernel->core->op) {
    case OP_wino_in:
    case OP_wino_out_t:
        print_gather(&w);
        break;
    case OP_wino_in_t:
    case OP_wino_out:
        print_scatter(&w);
        break;
    case OP_wino_filter:
        print_filter(&w);
        break;
    default:
        print_filter_back(&w);
    }
}
