// SPDX-License-Identifier: MIT
// shapes(train = 20000, test = 2000, seed = 1): ten classes of 32 x 32 colour images that are drawn
// when they are asked for, so that a network can be trained where no file is at hand. `first` and
// `classes` take some of the ten alone: shapes(first = 6, classes = 4).
//
// An image is one light figure (its class) on a dark background, in random colours, at a random
// place, size and angle, with a gradient, a wave, a blot as a distraction, and noise. A figure is
// a signed distance: below zero inside, in units of its size. The pixel at the edge gets the share
// that the distance gives it (anti-aliasing). An image is a function of (seed, split, index): any
// one can be had alone, and on every thread the same.
#include "draw.h"
#include "source.h"
#include <math.h>
#include <stdlib.h>

enum { SIDE = 32, PIXELS = SIDE * SIDE, CHANNELS = 3, CLASSES = 10 };

enum { CIRCLE, SQUARE, TRIANGLE, CROSS, RING, STAR, ROWS, COLUMNS, DIAGONAL, CHECKER };

static const char *const class_names[CLASSES] = {"circle",   "square", "triangle", "cross",
                                                 "ring",     "star",   "rows",     "columns",
                                                 "diagonal", "checker"};

typedef struct Shapes { // what the call says
    long long train, test, seed, first, classes;
} Shapes;

typedef struct Scene {
    int class;
    float x, y, size, cosine, sine; // of the figure, pixels
    float period, phase;            // of stripes, in units of the size
    float blot_x, blot_y, blot_size;
    float wave_x, wave_y, wave_phase, wave_height, slope_x, slope_y;
    float back[CHANNELS], front[CHANNELS], blot[CHANNELS];
    float noise;
} Scene;

static float larger(float a, float b) { return a > b ? a : b; }
static float smaller(float a, float b) { return a < b ? a : b; }
static float clamp01(float a) { return smaller(larger(a, 0), 1); }

// --- Figures: the signed distance of (x, y) from the edge

static float box(float x, float y, float width, float height) {
    return larger(fabsf(x) - width, fabsf(y) - height);
}

static float triangle(float x, float y) {
    return larger(y - 0.55f, larger(0.8660254f * x - 0.5f * y, -0.8660254f * x - 0.5f * y) - 0.55f);
}

// Inside a pentagram are the points beyond at most one of the five lines through its tips: the
// distance is the second largest of the five.
static float star(float x, float y) {
    static const float normal[5][2] = {{0, 1},
                                       {0.9510565f, 0.3090170f},
                                       {0.5877853f, -0.8090170f},
                                       {-0.5877853f, -0.8090170f},
                                       {-0.9510565f, 0.3090170f}};
    float first = -2, second = -2;
    for (int i = 0; i < 5; i++) {
        float d = normal[i][0] * x + normal[i][1] * y;
        second = larger(second, smaller(first, d));
        first = larger(first, d);
    }
    return second - 0.31f;
}

// Stripes half as wide as their period, across the direction of `at`.
static float stripes(float at, float period, float phase) {
    float turn = at / period + phase;
    return (fabsf(turn - floorf(turn) - 0.5f) - 0.25f) * period;
}

static float distance(const Scene *s, float x, float y) {
    float rows, columns;
    switch (s->class) {
    case CIRCLE:
        return sqrtf(x * x + y * y) - 0.9f;
    case SQUARE:
        return box(x, y, 0.8f, 0.8f);
    case TRIANGLE:
        return triangle(x, y);
    case CROSS:
        return smaller(box(x, y, 1, 0.22f), box(x, y, 0.22f, 1));
    case RING:
        return fabsf(sqrtf(x * x + y * y) - 0.8f) - 0.16f;
    case STAR:
        return star(x, y);
    case ROWS:
    case COLUMNS:
    case DIAGONAL:
        return larger(stripes(y, s->period, s->phase), sqrtf(x * x + y * y) - 1.1f);
    default:
        rows = stripes(y, s->period, s->phase);
        columns = stripes(x, s->period, s->phase);
        return larger(larger(smaller(rows, columns), -larger(rows, columns)),
                      box(x, y, 0.95f, 0.95f));
    }
}

// --- A scene

// Figures are lighter than their background, so that brightness alone tells a little: from that a
// deep network finds its way in hundreds of steps instead of thousands.
static void draw_dark_colour(NncDraw *d, float colour[CHANNELS]) {
    for (int c = 0; c < CHANNELS; c++)
        colour[c] = nnc_draw_between(d, 0.03f, 0.25f);
}

static void draw_light_colour(NncDraw *d, float colour[CHANNELS]) {
    for (int c = 0; c < CHANNELS; c++)
        colour[c] = nnc_draw_between(d, 0.55f, 1);
    colour[nnc_draw_below(d, CHANNELS)] = nnc_draw_between(d, 0.75f, 1);
}

// Rotated by up to 10 degrees: rows turned by 90 would be columns.
static void draw_angle(NncDraw *d, Scene *s) {
    const float quarter = 1.5707963f, tilt = 0.17f;
    float angle = nnc_draw_between(d, -tilt, tilt);
    if (s->class == COLUMNS) angle += quarter;
    if (s->class == DIAGONAL) angle += quarter * (nnc_draw_below(d, 2) ? 0.5f : 1.5f);
    s->cosine = cosf(angle);
    s->sine = sinf(angle);
}

static Scene draw_scene(NncDraw *d, int class) {
    Scene s = {.class = class};
    s.size = nnc_draw_between(d, 9, 12);
    s.x = nnc_draw_between(d, s.size, SIDE - s.size);
    s.y = nnc_draw_between(d, s.size, SIDE - s.size);
    s.period = nnc_draw_between(d, 4.5f, 7) / s.size * (class == CHECKER ? 1.4f : 1);
    s.phase = nnc_draw_between(d, 0, 1);
    draw_angle(d, &s);
    draw_dark_colour(d, s.back);
    draw_light_colour(d, s.front);
    for (int c = 0; c < CHANNELS; c++)
        s.blot[c] = nnc_draw_between(d, 0.1f, 0.5f);
    s.blot_x = nnc_draw_between(d, 0, SIDE);
    s.blot_y = nnc_draw_between(d, 0, SIDE);
    s.blot_size = nnc_draw_between(d, 0.5f, 2);
    s.wave_x = nnc_draw_between(d, -0.4f, 0.4f);
    s.wave_y = nnc_draw_between(d, -0.4f, 0.4f);
    s.wave_phase = nnc_draw_between(d, 0, 6.2831853f);
    s.wave_height = nnc_draw_between(d, 0, 0.08f);
    s.slope_x = nnc_draw_between(d, -0.006f, 0.006f);
    s.slope_y = nnc_draw_between(d, -0.006f, 0.006f);
    s.noise = nnc_draw_between(d, 0.02f, 0.05f);
    return s;
}

// --- Pixels

// A parabola through sin's zeros and peaks: near enough for a background, and cheap.
static float wave(float turns) {
    float t = 2 * (turns - floorf(turns)) - 1;
    return 4 * t * (1 - fabsf(t));
}

static void paint_pixel(const Scene *s, int column, int row, uint64_t noise, unsigned char *image) {
    float dx = (float)column + 0.5f, dy = (float)row + 0.5f;
    float x = ((dx - s->x) * s->cosine + (dy - s->y) * s->sine) / s->size;
    float y = ((dy - s->y) * s->cosine - (dx - s->x) * s->sine) / s->size;
    float in_figure = clamp01(0.5f - distance(s, x, y) * s->size);
    float bx = dx - s->blot_x, by = dy - s->blot_y;
    float in_blot = clamp01(0.5f - (sqrtf(bx * bx + by * by) - s->blot_size));
    float ripple =
        s->wave_height * wave((s->wave_x * dx + s->wave_y * dy + s->wave_phase) * 0.159155f);
    float light = s->slope_x * (dx - 16) + s->slope_y * (dy - 16);
    for (int c = 0; c < CHANNELS; c++) {
        float value = s->back[c] + ripple;
        value += in_blot * (s->blot[c] - value);
        value += in_figure * (s->front[c] - value) + light;
        value += s->noise * ((float)((noise >> (c * 20)) & 0xfffff) * 0x1p-20f - 0.5f) * 2;
        image[c * PIXELS + row * SIDE + column] = (unsigned char)(clamp01(value) * 255 + 0.5f);
    }
}

// Classes take turns, so that every stretch of the set is balanced.
static NncStatus read_example(const NncSource *source, const NncExample *example, NncError *error) {
    (void)error;
    const Shapes *shapes = source->own;
    NncDraw d = nnc_draw((uint64_t)shapes->seed, example->split, (uint64_t)example->index);
    unsigned char *image = nnc_example_field(example, &source->field[0]);
    int32_t label = (int32_t)(example->index % shapes->classes);
    *(int32_t *)nnc_example_field(example, &source->field[1]) = label;
    Scene scene = draw_scene(&d, (int)shapes->first + label);
    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++)
            paint_pixel(&scene, column, row, nnc_draw_bits(&d), image);
    return NNC_OK;
}

static void describe_place(const NncSource *source, const NncExample *example, char *text,
                           size_t size) {
    (void)source;
    snprintf(text, size, "shapes: %s image %lld", nnc_split_name(example->split), example->index);
}

static void free_shapes(NncSource *source) { free(source->own); }

static NncStatus read_arguments(const NncCall *call, Shapes *shapes, NncError *error) {
    static const char *const names[] = {"train", "test", "seed", "first", "classes", NULL};
    const long long most = 1LL << 31;
    *shapes = (Shapes){.train = 20000, .test = 2000, .seed = 1};
    NncStatus status = nnc_arguments_check(call, names, 5, error);
    if (!status) status = nnc_argument_integer(call, "train", 0, 1, most, &shapes->train, error);
    if (!status) status = nnc_argument_integer(call, "test", 1, 1, most, &shapes->test, error);
    if (!status) status = nnc_argument_integer(call, "seed", 2, 0, most, &shapes->seed, error);
    if (!status)
        status = nnc_argument_integer(call, "first", 3, 0, CLASSES - 1, &shapes->first, error);
    long long left = shapes->classes = CLASSES - shapes->first;
    if (!status)
        status = nnc_argument_integer(call, "classes", 4, 1, left, &shapes->classes, error);
    return status;
}

NncStatus nnc_shapes_fields(const NncCall *call, NncField *field, int *count, NncError *error) {
    Shapes shapes;
    NncStatus status = read_arguments(call, &shapes, error);
    field[0] =
        (NncField){.name = "image", NNC_FIELD_BYTES, .rank = 3, .extent = {CHANNELS, SIDE, SIDE}};
    field[1] = (NncField){.name = "label",
                          NNC_FIELD_LABEL,
                          .classes = (int)shapes.classes,
                          .class_name = class_names + shapes.first};
    *count = 2;
    return status;
}

NncStatus nnc_shapes_open(NncSource *source, const NncCall *call, const char *data,
                          NncError *error) {
    (void)data; // no file
    Shapes *shapes = malloc(sizeof *shapes);
    if (!shapes) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for shapes");
    NncStatus status = read_arguments(call, shapes, error);
    source->own = shapes;
    source->count[NNC_SPLIT_TRAIN] = shapes->train;
    source->count[NNC_SPLIT_TEST] = shapes->test;
    source->read = read_example;
    source->place = describe_place;
    source->close = free_shapes;
    return status;
}
