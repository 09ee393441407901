// SPDX-License-Identifier: MIT
// The drawing of plots: see plot.h.
#include "cli/plot.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { LEFT = 70, RIGHT_MARGIN = 26, AXIS = 416, COLORS = 8 };

static const char *const colors[COLORS] = {"#2f6db3", "#d0622a", "#3b8c4f", "#8a5fb0",
                                           "#b8902a", "#2a9296", "#b04a6d", "#6b6b6b"};

typedef struct Page {
    Buf *out;
    Plot *plot;
    double right;    // of the axes
    int top, bottom; // likewise
    double x, y;     // of the next item of the legend
} Page;

// --- Ranges

void plot_begin_range(Plot *plot, int axis) {
    plot->low[axis] = INFINITY;
    plot->high[axis] = -INFINITY;
}

void plot_widen(Plot *plot, int axis, double value) {
    if (!isfinite(value)) return;
    plot->low[axis] = fmin(plot->low[axis], value);
    plot->high[axis] = fmax(plot->high[axis], value);
}

void plot_end_range(Plot *plot, int axis, double share) {
    if (!(plot->low[axis] <= plot->high[axis])) plot->low[axis] = plot->high[axis] = 0;
    double range = plot->high[axis] - plot->low[axis];
    double room = range > 0 ? share * range : fmax(1, fabs(plot->low[axis]) / 1000);
    plot->low[axis] -= room;
    plot->high[axis] += room;
}

static double place_x(const Page *page, double x) {
    const Plot *plot = page->plot;
    return LEFT + (x - plot->low[0]) / (plot->high[0] - plot->low[0]) * (page->right - LEFT);
}

static double place_y(const Page *page, double y) {
    const Plot *plot = page->plot;
    return page->bottom - (y - plot->low[1]) / (plot->high[1] - plot->low[1]) * (AXIS);
}

static void text(Page *page, double x, double y, const char *style, const char *words) {
    buf_printf(page->out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
    buf_add_xml(page->out, words);
    buf_add(page->out, "</text>\n");
}

// --- Axes

// 1, 2 or 5 times a power of ten, so that there are four to ten of them.
static double tick_step(double range) {
    double power = pow(10, floor(log10(range / 5))), part = range / 5 / power;
    return power * (part < 2 ? 1 : part < 5 ? 2 : 5);
}

static void draw_ticks(Page *page, int axis) {
    const Plot *plot = page->plot;
    double step = tick_step(plot->high[axis] - plot->low[axis]);
    long first = lround(ceil(plot->low[axis] / step - 1e-9)),
         last = lround(floor(plot->high[axis] / step + 1e-9));
    for (long i = first; i <= last; i++) {
        double at = (double)i * step;
        double x = axis ? LEFT : place_x(page, at), y = axis ? place_y(page, at) : page->bottom;
        buf_printf(page->out, "<path d=\"M%.1f %.1f%s%.1f\" class=\"%s\"/>\n", x, y,
                   axis ? "H" : "V", axis ? page->right : page->top, i ? "tick" : "zero");
        text(page, axis ? LEFT - 8 : x, axis ? y + 4 : page->bottom + 18,
             axis ? "text-anchor=\"end\"" : "text-anchor=\"middle\"",
             arena_printf(page->out->arena, "%.6g", at));
    }
}

static void draw_frame(Page *page) {
    buf_printf(page->out,
               "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" class=\"frame\"/>\n", LEFT,
               page->top, page->right - LEFT, AXIS);
    text(page, (LEFT + page->right) / 2, page->bottom + 42, "text-anchor=\"middle\"",
         page->plot->axis_name[0]);
    if (page->plot->axes == 2)
        text(page, 0, 0,
             arena_printf(page->out->arena,
                          "text-anchor=\"middle\" transform=\"translate(20 %d) rotate(-90)\"",
                          (page->top + page->bottom) / 2),
             page->plot->axis_name[1]);
}

// --- Marks

// Classes differ in form as well as in colour.
static void draw_mark(Page *page, double x, double y, int class) {
    static const char *const form[] = {"m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
                                       "m-3.2-3.2h6.4v6.4h-6.4z", "m0-4.2l4 7h-8z",
                                       "m0-4.4l4.4 4.4-4.4 4.4-4.4-4.4z"};
    buf_printf(page->out, "M%.1f %.1f%s", x, y, form[class % 4]);
}

static void draw_points(Page *page) {
    const Plot *plot = page->plot;
    int classes = plot->axes == 2 ? plot->regions : 1;
    for (int class = 0; class < classes && plot->point.count; class ++) {
        buf_printf(page->out, "<path class=\"%s\" fill=\"%s\" d=\"",
                   plot->axes == 2 ? "mark" : "faint",
                   plot->axes == 2 ? colors[class % COLORS] : "#444");
        for (int i = 0; i < plot->point.count; i++) {
            const PlotPoint *point = &plot->point.at[i];
            if (point->class == class)
                draw_mark(page, place_x(page, point->x), place_y(page, point->y), class);
        }
        buf_add(page->out, "\"/>\n");
    }
}

// --- One axis: curves

static void find_height(Plot *plot) {
    plot_begin_range(plot, 1);
    for (int c = 0; c < plot->curve.count; c++)
        for (int i = 0; i < plot->samples; i++)
            plot_widen(plot, 1, plot->curve.at[c].y[i]);
    for (int i = 0; i < plot->point.count; i++)
        plot_widen(plot, 1, plot->point.at[i].y);
    plot_end_range(plot, 1, 0.06);
}

// The second and later curves are dashed: those that coincide are both seen.
static void draw_curve(Page *page, int which) {
    static const char *const dash[] = {"", " stroke-dasharray=\"7 5\"",
                                       " stroke-dasharray=\"2 4\""};
    const Plot *plot = page->plot;
    const PlotCurve *curve = &plot->curve.at[which];
    bool drawn = false;
    buf_printf(page->out, "<path class=\"curve\" stroke=\"%s\"%s d=\"", colors[which % COLORS],
               dash[which % 3]);
    for (int i = 0; i < plot->samples; i++) {
        double part = (double)i / (plot->samples - 1);
        double x = plot->low[0] + part * (plot->high[0] - plot->low[0]);
        bool is_number = isfinite(curve->y[i]);
        if (is_number)
            buf_printf(page->out, "%c%.1f %.1f", drawn ? 'L' : 'M', place_x(page, x),
                       place_y(page, curve->y[i]));
        drawn = is_number;
    }
    buf_add(page->out, "\"/>\n");
}

// --- Two axes: regions and the lines between them

static double score_at(const Plot *plot, int region, int row, int column) {
    return plot
        ->score[((size_t)region * (size_t)plot->samples + (size_t)row) * (size_t)plot->samples +
                (size_t)column];
}

static int region_at(const Plot *plot, int row, int column) {
    int best = 0;
    for (int r = 1; r < plot->regions; r++)
        if (score_at(plot, r, row, column) > score_at(plot, best, row, column)) best = r;
    return best;
}

// How far a region's score is above those of all others: zero on its border.
static double margin(const Plot *plot, int region, int row, int column) {
    double others = -INFINITY;
    for (int r = 0; r < plot->regions; r++)
        if (r != region) others = fmax(others, score_at(plot, r, row, column));
    return score_at(plot, region, row, column) - others;
}

// Runs of equal samples, in units of samples.
static void draw_regions(Page *page) {
    const Plot *plot = page->plot;
    int n = plot->samples;
    double width = (page->right - LEFT) / (n - 1), height = (double)(AXIS) / (n - 1);
    buf_printf(page->out,
               "<g clip-path=\"url(#inside)\"><g transform=\"translate(%.2f %.2f) scale(%.4f "
               "%.4f)\" class=\"region\">\n",
               LEFT - width / 2, page->bottom + height / 2, width, -height);
    for (int r = 0; r < plot->regions; r++) {
        buf_printf(page->out, "<path fill=\"%s\" d=\"", colors[r % COLORS]);
        for (int row = 0; row < n; row++)
            for (int column = 0, start; column < n; column++) {
                for (start = column; column < n && region_at(plot, row, column) == r;)
                    column++;
                if (column > start)
                    buf_printf(page->out, "M%d %dh%dv1h-%dz", start, row, column - start,
                               column - start);
            }
        buf_add(page->out, "\"/>\n");
    }
    buf_add(page->out, "</g></g>\n");
}

typedef struct Place {
    double x, y;
} Place;

// Where the margin crosses zero on the sides of a square of four samples, in their order around it.
static int find_crossings(const Plot *plot, int region, int row, int column, Place crossing[4]) {
    static const int corner[5][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 0}, {0, 0}};
    int count = 0;
    double from = margin(plot, region, row, column);
    for (int side = 0; side < 4; side++) {
        const int *a = corner[side], *b = corner[side + 1];
        double to = margin(plot, region, row + b[0], column + b[1]);
        if ((from > 0) != (to > 0) && isfinite(from) && isfinite(to)) {
            double part = from / (from - to);
            crossing[count++] =
                (Place){column + a[1] + part * (b[1] - a[1]), row + a[0] + part * (b[0] - a[0])};
        }
        from = to;
    }
    return count;
}

// Marching squares; the last region's border is that of the others.
static void draw_borders(Page *page) {
    const Plot *plot = page->plot;
    double width = (page->right - LEFT) / (plot->samples - 1);
    double height = (double)(AXIS) / (plot->samples - 1);
    buf_add(page->out, "<path class=\"border\" d=\"");
    for (int r = 0; r + 1 < plot->regions; r++)
        for (int row = 0; row + 1 < plot->samples; row++)
            for (int column = 0; column + 1 < plot->samples; column++) {
                Place at[4];
                int count = find_crossings(plot, r, row, column, at);
                for (int i = 0; i + 1 < count; i += 2)
                    buf_printf(page->out, "M%.1f %.1fL%.1f %.1f", LEFT + at[i].x * width,
                               page->bottom - at[i].y * height, LEFT + at[i + 1].x * width,
                               page->bottom - at[i + 1].y * height);
            }
    buf_add(page->out, "\"/>\n");
}

// --- The legend

// Goes on below where the line is full. Returns where the item's sign stands; its words are drawn.
static double legend_item(Page *page, const char *name) {
    double width = 44 + 7.2 * (double)strlen(name);
    if (page->x > LEFT && page->x + width > page->right + RIGHT_MARGIN) {
        page->x = LEFT;
        page->y += 20;
    }
    double x = page->x;
    text(page, x + 24, page->y, "", name);
    page->x += width;
    return x;
}

static void draw_legend(Page *page) {
    Plot *plot = page->plot;
    for (int c = 0; c < plot->curve.count; c++) {
        double x = legend_item(page, plot->curve.at[c].name);
        buf_printf(page->out, "<path class=\"curve\" stroke=\"%s\"%s d=\"M%.1f %.0fh18\"/>\n",
                   colors[c % COLORS], c % 3 ? " stroke-dasharray=\"5 3\"" : "", x, page->y - 4);
    }
    for (int r = 0; r < plot->regions; r++) {
        double x = legend_item(page, plot->region_name[r]);
        buf_printf(page->out, "<path class=\"mark\" fill=\"%s\" d=\"", colors[r % COLORS]);
        draw_mark(page, x + 12, page->y - 4, r);
        buf_add(page->out, "\"/>\n");
    }
    if (plot->axes == 1 && plot->point.count) {
        double x = legend_item(page, plot->point_name);
        buf_add(page->out, "<path class=\"faint\" fill=\"#444\" d=\"");
        draw_mark(page, x + 12, page->y - 4, 0);
        buf_add(page->out, "\"/>\n");
    }
}

// --- All of it

static void begin(Page *page) {
    int width = (int)page->right + RIGHT_MARGIN, height = page->bottom + 60;
    buf_printf(page->out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 "
               "%d %d\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n<style>"
               ".tick{stroke:#000;stroke-opacity:.09}.zero{stroke:#000;stroke-opacity:.28}"
               ".frame{fill:none;stroke:#888}.curve{fill:none;stroke-width:2.2}"
               ".border{fill:none;stroke:#222;stroke-width:1.8;stroke-linecap:round}"
               ".region{fill-opacity:.2;shape-rendering:crispEdges}"
               ".mark{stroke:#fff;stroke-width:.8}.faint{fill-opacity:.35}</style>\n"
               "<clipPath id=\"inside\"><rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>"
               "</clipPath>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fdfdfb\"/>\n",
               width, height, width, height, LEFT, page->top, page->right - LEFT, AXIS);
    text(page, LEFT, 36, "font-size=\"17\" font-weight=\"bold\"", page->plot->title);
}

void plot_draw(Buf *out, Plot *plot) {
    Buf legend = buf_new(out->arena);
    Page page = {.out = &legend, .plot = plot, .right = plot->axes == 2 ? 514 : 734};
    page.x = LEFT, page.y = 66;
    draw_legend(&page); // as high as it needs, above the axes
    page.out = out;
    page.top = (int)page.y + 18;
    page.bottom = page.top + AXIS;
    if (plot->axes == 1) find_height(plot);
    begin(&page);
    if (plot->axes == 2) draw_regions(&page);
    draw_ticks(&page, 0);
    draw_ticks(&page, 1);
    if (plot->axes == 2) draw_borders(&page);
    draw_points(&page);
    for (int c = 0; c < plot->curve.count; c++)
        draw_curve(&page, c);
    draw_frame(&page);
    buf_add(out, legend.text);
    buf_add(out, "</svg>\n");
}
