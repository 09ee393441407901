// SPDX-License-Identifier: MIT
// nnc plot: what a checkpoint's network computes over the range of its data, as a picture. A
// network that takes one number is drawn as curves, one of two as the regions that it decides for.
#include "cli/plot.h"
#include "cli/cli.h"

#include "session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CURVE_SAMPLES = 401, REGION_SAMPLES = 161, MAX_POINTS = 500, MAX_REGIONS = 64 };

typedef struct Axis { // one number of the network's input
    const NncColumn *column;
    long long element;
} Axis;

typedef struct Plotter {
    const Settings *settings;
    Arena *arena;
    const NncProgram *program;
    NncSession session;
    char *input; // the input arena
    Axis axis[2];
    Plot plot;
} Plotter;

static int complain(const Plotter *p, const char *what) {
    return report("%s: %s", p->settings->file, what);
}

// --- Inputs and outputs

static bool find_axes(Plotter *p) {
    char shape[160];
    long long numbers = 0;
    const char *inputs = "";
    for (int i = 0; i < p->program->input_count; i++) {
        const NncColumn *column = &p->program->input[i];
        if (column->is_target) continue;
        nnc_column_describe(column, shape, sizeof shape);
        inputs =
            arena_printf(p->arena, "%s%s%s: %s", inputs, *inputs ? ", " : "", column->name, shape);
        long long elements = nnc_column_elements(column);
        for (long long k = 0; k < elements && numbers + k < 2 && !column->classes; k++)
            p->axis[numbers + k] = (Axis){column, k};
        numbers += column->classes ? 3 : elements; // an index has no axis
    }
    p->plot.axes = (int)numbers;
    if (numbers == 1 || numbers == 2) return true;
    complain(p,
             arena_printf(p->arena, "networks of one or two real numbers can be drawn, %s has %s",
                          p->program->model, *inputs ? inputs : "no input"));
    return false;
}

static float *axis_place(const Plotter *p, int axis, long long example) {
    const NncColumn *column = p->axis[axis].column;
    return (float *)(p->input + column->offset) + example * nnc_column_elements(column) +
           p->axis[axis].element;
}

static double output_element(const Plotter *p, const NncColumn *output, long long i) {
    NncColumn element = *output;
    element.offset += i * nnc_type_size(output->type);
    return nnc_session_output(&p->session, &element);
}

// Calls `take` for each element of an output at each sample, in the order of the samples.
typedef void Take(double value, long long sample, long long element, double *to);

static void sample(Plotter *p, const NncColumn *output, Take *take, double *to) {
    long long n = p->plot.samples, all = p->plot.axes == 2 ? n * n : n;
    long long elements = nnc_column_elements(output);
    for (long long first = 0; first < all; first += p->program->chunk) {
        long long count = all - first < p->program->chunk ? all - first : p->program->chunk;
        for (long long i = 0; i < count; i++)
            for (int axis = 0; axis < p->plot.axes; axis++) {
                long long at = axis ? (first + i) / n : (first + i) % n;
                double part = (double)at / (double)(n - 1), low = p->plot.low[axis];
                *axis_place(p, axis, i) = (float)(low + part * (p->plot.high[axis] - low));
            }
        nnc_session_run(&p->session, NNC_PREDICT, p->input, count);
        for (long long i = 0; i < count * elements; i++)
            take(output_element(p, output, i), first + i / elements, i % elements, to);
    }
}

// --- Data

// The label of the example at hand, or the sign of a target of floats: -1 where there is none.
static int point_class(const Plotter *p) {
    for (int i = 0; i < p->program->input_count; i++) {
        const NncColumn *column = &p->program->input[i];
        if (!column->is_target || nnc_column_elements(column) != 1) continue;
        const char *place = p->input + column->offset;
        return column->classes ? *(const int32_t *)place : *(const float *)place > 0;
    }
    return -1;
}

// The target of floats that one curve is fitted to; NULL: none.
static const NncColumn *real_target(const Plotter *p) {
    for (int i = 0; i < p->program->input_count; i++) {
        const NncColumn *column = &p->program->input[i];
        if (column->is_target && !column->classes && nnc_column_elements(column) == 1)
            return column;
    }
    return NULL;
}

static void add_point(Plotter *p) {
    const NncColumn *target = real_target(p);
    PlotPoint point = {.x = *axis_place(p, 0, 0)};
    if (p->plot.axes == 2) {
        point.y = *axis_place(p, 1, 0);
        point.class = point_class(p);
    } else if (target) {
        point.y = *(const float *)(p->input + target->offset);
        p->plot.point_name = target->name;
    }
    bool shown = (p->plot.axes == 2 ? point.class >= 0 : target != NULL) && isfinite(point.x) &&
                 isfinite(point.y);
    if (shown && p->plot.point.count < MAX_POINTS) VEC_PUSH(p->arena, p->plot.point, point);
}

// The range of the training data, and its first points.
static NncStatus read_data(Plotter *p, NncError *error) {
    const NncSource *source = &p->session.source;
    NncExample example = {.values = arena_alloc(p->arena, source->example_bytes + 1)};
    for (int axis = 0; axis < p->plot.axes; axis++)
        plot_begin_range(&p->plot, axis);
    for (; example.index < source->count[NNC_SPLIT_TRAIN]; example.index++) {
        NncStatus status = source->read(source, &example, error);
        if (!status) status = nnc_columns_fill(&p->session.columns, &example, p->input, 0, error);
        if (status) return status;
        for (int axis = 0; axis < p->plot.axes; axis++)
            plot_widen(&p->plot, axis, *axis_place(p, axis, 0));
        add_point(p);
    }
    for (int axis = 0; axis < p->plot.axes; axis++)
        plot_end_range(&p->plot, axis, p->plot.axes == 2 ? 0.06 : 0);
    return NNC_OK;
}

// The field that it comes from, or its own name: "petal length", point[0].
static const char *axis_name(const Plotter *p, int axis) {
    int count, input = (int)(p->axis[axis].column - p->program->input);
    const int *taken = nnc_columns_fields(&p->session.columns, input, &count);
    long long elements = nnc_column_elements(p->axis[axis].column);
    if (count == elements && count > 1)
        return p->session.source.field[taken[p->axis[axis].element]].name;
    const char *name = p->axis[axis].column->name;
    return elements == 1 ? name : arena_printf(p->arena, "%s[%lld]", name, p->axis[axis].element);
}

// --- Curves and regions

static void take_curve(double value, long long sample, long long element, double *to) {
    (void)element;
    to[sample] = value;
}

static int plot_curves(Plotter *p) {
    const NncFunction *function = &p->program->function[NNC_PREDICT];
    p->plot.samples = CURVE_SAMPLES;
    for (int i = 0; i < function->output_count; i++) {
        const NncColumn *output = &function->output[i];
        if (!output->per_example || nnc_column_elements(output) != 1) continue;
        PlotCurve curve = {output->name, ARENA_ARRAY(p->arena, double, CURVE_SAMPLES)};
        sample(p, output, take_curve, curve.y);
        VEC_PUSH(p->arena, p->plot.curve, curve);
    }
    return p->plot.curve.count ? EXIT_DONE : complain(p, "no output is one number of an example");
}

// An output with a number for each of two or more classes; else one that is a number; else NULL.
static const NncColumn *find_score(const Plotter *p) {
    const NncFunction *function = &p->program->function[NNC_PREDICT];
    const NncColumn *found = NULL;
    for (int i = 0; i < function->output_count; i++) {
        const NncColumn *output = &function->output[i];
        long long elements = nnc_column_elements(output);
        if (!output->per_example) continue;
        if (elements > 1 && elements <= MAX_REGIONS) return output;
        if (elements == 1 && !found) found = output;
    }
    return found;
}

static void take_scores(double value, long long sample, long long element, double *to) {
    to[element * REGION_SAMPLES * REGION_SAMPLES + sample] = value;
}

// Of one number: what is above zero is the second region.
static void take_sign(double value, long long sample, long long element, double *to) {
    (void)element;
    to[REGION_SAMPLES * REGION_SAMPLES + sample] = value;
}

static int plot_regions(Plotter *p) {
    const NncColumn *output = find_score(p);
    if (!output) return complain(p, "no output is one number of an example, or one for each class");
    long long elements = nnc_column_elements(output);
    p->plot.samples = REGION_SAMPLES;
    p->plot.regions = elements == 1 ? 2 : (int)elements;
    size_t squares = (size_t)REGION_SAMPLES * REGION_SAMPLES;
    double *score = ARENA_ARRAY(p->arena, double, squares *(size_t)p->plot.regions);
    memset(score, 0, squares * (size_t)p->plot.regions * sizeof *score);
    sample(p, output, elements == 1 ? take_sign : take_scores, score);
    const NncCheckpoint *checkpoint = &p->session.checkpoint;
    const char **name = ARENA_ARRAY(p->arena, const char *, (size_t)p->plot.regions);
    for (int i = 0; i < p->plot.regions; i++)
        name[i] = i < checkpoint->class_count ? checkpoint->class_name[i]
                  : elements > 1              ? arena_printf(p->arena, "class %d", i)
                                 : arena_printf(p->arena, "class %d (%s %c 0)", i, output->name,
                                                i ? '>' : '<');
    p->plot.score = score;
    p->plot.region_name = name;
    return EXIT_DONE;
}

// --- The command

static NncStatus open_all(Plotter *p, NncError *error) {
    const NncOptions *options = &p->settings->run;
    NncStatus status = nnc_session_open(&p->session, p->program, options, error);
    size_t bytes = (size_t)p->program->input_bytes + 2 * NNC_ALIGN;
    p->input = arena_alloc(p->arena, bytes);
    memset(p->input, 0, bytes);
    p->input += (NNC_ALIGN - (uintptr_t)p->input % NNC_ALIGN) % NNC_ALIGN;
    if (!status) status = nnc_session_restore(&p->session, options->checkpoint, false, error);
    if (!status) status = nnc_session_open_data(&p->session, false, error);
    return status ? status : read_data(p, error);
}

static int draw(Plotter *p) {
    NncError error;
    if (open_all(p, &error)) return report("%s", error.text);
    Buf svg = buf_new(p->arena);
    p->plot.title = p->program->model;
    for (int axis = 0; axis < p->plot.axes; axis++)
        p->plot.axis_name[axis] = axis_name(p, axis);
    int status = p->plot.axes == 1 ? plot_curves(p) : plot_regions(p);
    if (status != EXIT_DONE) return status;
    plot_draw(&svg, &p->plot);
    FILE *file = fopen(p->settings->output, "wb");
    bool written = file && fwrite(svg.text, 1, svg.length, file) == svg.length;
    if (file && fclose(file)) written = false;
    return written ? EXIT_DONE : report("%s cannot be written", p->settings->output);
}

int command_plot(const Settings *settings) {
    Compiled *compiled = load_compiled(settings);
    if (!compiled) return EXIT_USER;
    Plotter p = {.settings = settings, .arena = settings->arena, .program = &compiled->program};
    if (!compiled->module->graph[NNC_PREDICT]) return complain(&p, "there is no output to draw");
    if (!find_axes(&p)) return EXIT_USER;
    Jit *jit = load_functions(settings, compiled);
    if (!jit) return EXIT_USER;
    int status = draw(&p);
    nnc_session_close(&p.session);
    jit_free(jit);
    return status;
}
