// SPDX-License-Identifier: MIT
// Points of a plane or of a space, drawn when they are asked for; each is a function of (seed,
// split, index).
//
//     points(axes = 1, low = -1, high = 1)         uniform in [low, high) along each axis; no label
//     blobs(classes = 2, axes = 2, radius = 0.6)   uniform in balls; the label says in which
//
// The centres of blobs are spread evenly over the unit circle of the first two axes, from an angle
// that the seed gives. So two of them are separated by a hyperplane through the origin as long as
// the radius is below 1, and not if it is larger.
#include "draw.h"
#include "source.h"
#include <math.h>
#include <stdlib.h>

enum { MAX_AXES = 4096, MAX_CLASSES = 4096 };

typedef struct Points {
    long long classes, axes, seed; // classes 0: points without
    long long count[NNC_SPLITS];
    double radius, low, high;
} Points;

// --- Drawing

static double draw_unit(NncDraw *draw) { return (double)(nnc_draw_bits(draw) >> 11) * 0x1p-53; }

// Box and Muller.
static double draw_normal(NncDraw *draw) {
    double radius = sqrt(-2 * log(1 - draw_unit(draw)));
    return radius * cos(2 * acos(-1) * draw_unit(draw));
}

// A direction that is uniform, at a distance that makes the ball so.
static void draw_in_ball(NncDraw *draw, const Points *points, float *x) {
    double square = 0;
    for (long long i = 0; i < points->axes; i++) {
        x[i] = (float)draw_normal(draw);
        square += (double)x[i] * (double)x[i];
    }
    double distance = points->radius * pow(draw_unit(draw), 1 / (double)points->axes);
    for (long long i = 0; i < points->axes; i++)
        x[i] = square > 0 ? (float)(x[i] * distance / sqrt(square)) : 0;
}

static void move_to_centre(const Points *points, long long class, float *x) {
    NncDraw draw = nnc_draw((uint64_t)points->seed, NNC_SPLITS, 0);
    double turn = draw_unit(&draw) + (double)class / (double)points->classes;
    double angle = 2 * acos(-1) * turn;
    x[0] += points->axes > 1 ? (float)cos(angle) : class ? -1 : 1;
    if (points->axes > 1) x[1] += (float)sin(angle);
}

// Classes take turns, so that every stretch of the set is balanced.
static NncStatus read_example(const NncSource *source, const NncExample *example, NncError *error) {
    (void)error;
    const Points *points = source->own;
    NncDraw draw = nnc_draw((uint64_t)points->seed, example->split, (uint64_t)example->index);
    float *x = nnc_example_field(example, &source->field[0]);
    if (points->classes) {
        int32_t label = (int32_t)(example->index % points->classes);
        *(int32_t *)nnc_example_field(example, &source->field[1]) = label;
        draw_in_ball(&draw, points, x);
        move_to_centre(points, label, x);
        return NNC_OK;
    }
    for (long long i = 0; i < points->axes; i++)
        x[i] = (float)(points->low + (points->high - points->low) * draw_unit(&draw));
    return NNC_OK;
}

static void describe_place(const NncSource *source, const NncExample *example, char *text,
                           size_t size) {
    snprintf(text, size, "%s: %s point %lld", source->info->name, nnc_split_name(example->split),
             example->index);
}

static void free_points(NncSource *source) { free(source->own); }

// --- Arguments

static NncStatus read_counts(const NncCall *call, int position, Points *points, NncError *error) {
    const long long most = 1LL << 31;
    long long *train = &points->count[NNC_SPLIT_TRAIN], *test = &points->count[NNC_SPLIT_TEST];
    NncStatus status = nnc_argument_integer(call, "train", position, 1, most, train, error);
    if (!status) status = nnc_argument_integer(call, "test", position + 1, 1, most, test, error);
    if (!status)
        status =
            nnc_argument_integer(call, "seed", position + 2, 0, 1LL << 53, &points->seed, error);
    return status;
}

static NncStatus read_blobs(const NncCall *call, Points *p, NncError *error) {
    static const char *const names[] = {"classes", "axes", "radius", "train", "test", "seed", NULL};
    *p = (Points){.classes = 2, .axes = 2, .seed = 1, .count = {400, 200}, .radius = 0.6};
    NncStatus status = nnc_arguments_check(call, names, 6, error);
    if (!status)
        status = nnc_argument_integer(call, "classes", 0, 2, MAX_CLASSES, &p->classes, error);
    if (!status) status = nnc_argument_integer(call, "axes", 1, 1, MAX_AXES, &p->axes, error);
    if (!status) status = nnc_argument_real(call, "radius", 2, &p->radius, error);
    if (!status) status = read_counts(call, 3, p, error);
    if (!status && !(p->radius > 0 && p->radius < 1e6))
        return nnc_error(error, NNC_ERROR_VALUE, "blobs: radius is to be above 0, not %g",
                         p->radius);
    if (!status && p->axes == 1 && p->classes > 2)
        return nnc_error(error, NNC_ERROR_VALUE, "blobs: on one axis there is room for 2 classes");
    return status;
}

static NncStatus read_points(const NncCall *call, Points *p, NncError *error) {
    static const char *const names[] = {"axes", "low", "high", "train", "test", "seed", NULL};
    *p = (Points){.axes = 1, .seed = 1, .count = {1000, 200}, .low = -1, .high = 1};
    NncStatus status = nnc_arguments_check(call, names, 6, error);
    if (!status) status = nnc_argument_integer(call, "axes", 0, 1, MAX_AXES, &p->axes, error);
    if (!status) status = nnc_argument_real(call, "low", 1, &p->low, error);
    if (!status) status = nnc_argument_real(call, "high", 2, &p->high, error);
    if (!status) status = read_counts(call, 3, p, error);
    if (!status && !(p->low < p->high && p->low >= -1e30 && p->high <= 1e30))
        return nnc_error(error, NNC_ERROR_VALUE, "points: low is to be below high, not %g and %g",
                         p->low, p->high);
    return status;
}

static NncField point_field(const Points *points) {
    return (NncField){
        .name = "point", .kind = NNC_FIELD_REALS, .rank = 1, .extent = {points->axes}};
}

NncStatus nnc_blobs_fields(const NncCall *call, NncField *field, int *count, NncError *error) {
    Points points;
    NncStatus status = read_blobs(call, &points, error);
    field[0] = point_field(&points);
    field[1] = (NncField){.name = "label", .kind = NNC_FIELD_LABEL, .classes = points.classes};
    *count = 2;
    return status;
}

NncStatus nnc_points_fields(const NncCall *call, NncField *field, int *count, NncError *error) {
    Points points;
    NncStatus status = read_points(call, &points, error);
    field[0] = point_field(&points);
    *count = 1;
    return status;
}

// --- Opening

static NncStatus open_points(NncSource *source, const Points *points, NncError *error) {
    Points *own = malloc(sizeof *own);
    if (!own) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for points");
    *own = *points;
    source->own = own;
    source->count[NNC_SPLIT_TRAIN] = points->count[NNC_SPLIT_TRAIN];
    source->count[NNC_SPLIT_TEST] = points->count[NNC_SPLIT_TEST];
    source->read = read_example;
    source->place = describe_place;
    source->close = free_points;
    return NNC_OK;
}

NncStatus nnc_blobs_open(NncSource *source, const NncCall *call, const char *data,
                         NncError *error) {
    Points points;
    (void)data; // no file
    NncStatus status = read_blobs(call, &points, error);
    return status ? status : open_points(source, &points, error);
}

NncStatus nnc_points_open(NncSource *source, const NncCall *call, const char *data,
                          NncError *error) {
    Points points;
    (void)data;
    NncStatus status = read_points(call, &points, error);
    return status ? status : open_points(source, &points, error);
}
