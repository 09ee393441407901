// SPDX-License-Identifier: MIT
// Rooflines: see roofline.h. (Williams, Waterman, Patterson: Roofline, 2009.)
#include "cli/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEAREST = 16, WIDTH = 1080, HEIGHT = 640 };
enum { LEFT = 84, TOP = 84, RIGHT = 700, BOTTOM = 560, LIST = 736 }; // of the axes; x of the list
static const double number_radius = 10, point_radius = 4;

typedef struct Point { // a kernel
    const Kernel *kernel;
    double seconds, part; // of the time of all kernels
    double flops, bytes;
    double x, y;   // on the page
    double tx, ty; // where its number stands
} Point;

typedef struct Label { // a text along a roof: no number stands on it
    double x0, y0, x1, y1;
} Label;

typedef struct Page {
    Buf *out;
    const Roofline *picture;
    double low_x, high_x, low_y, high_y; // of the axes, as powers of ten
    int labels, count;
    Label label[2];
    Point point[DEAREST];
} Page;

static const char *color_of(const Kernel *kernel) {
    static const char *const color[] = {"#c2571a", "#1f5fa8", "#2c8a57", "#7a6a9a", "#8a6d3b"};
    return color[(size_t)kernel->kind % (sizeof color / sizeof *color)];
}

// --- The kernels that are shown

static int by_seconds(const void *a, const void *b) {
    double x = ((const Point *)a)->seconds, y = ((const Point *)b)->seconds;
    return (x < y) - (x > y);
}

static void choose_points(Page *page) {
    const Profile *profile = page->picture->profile;
    const Fusion *fusion = profile->plan->fusion;
    Point *all = ARENA_ARRAY(page->out->arena, Point, fusion->kernel.count + 1);
    double sum = 0;
    for (int k = 0; k < fusion->kernel.count; k++) {
        double seconds = sample_median(&profile->kernel[k]);
        all[k] = (Point){.kernel = fusion->kernel.at[k],
                         .seconds = seconds,
                         .flops = profile->cost[k].flops,
                         .bytes = profile->cost[k].bytes};
        sum += seconds;
    }
    qsort(all, (size_t)fusion->kernel.count, sizeof *all, by_seconds);
    for (int k = 0; k < fusion->kernel.count && k < DEAREST; k++) {
        page->point[page->count] = all[k];
        page->point[page->count++].part = all[k].seconds / sum;
    }
}

static bool has_place(const Point *point) { return point->flops > 0 && point->bytes > 0; }

// --- Axes

static double place_x(const Page *page, double intensity) {
    double part = (log10(intensity) - page->low_x) / (page->high_x - page->low_x);
    return LEFT + part * (RIGHT - LEFT);
}

static double place_y(const Page *page, double rate) {
    double part = (log10(rate) - page->low_y) / (page->high_y - page->low_y);
    return BOTTOM - part * (BOTTOM - TOP);
}

// Whole powers of ten around all that is shown.
static void scale_axes(Page *page) {
    const Machine *machine = page->picture->machine;
    double peak = machine->flops > 0 ? machine->flops : 1e9;
    double ridge = peak / machine->copy_rate[COPY_SIZES - 1];
    page->low_x = -1, page->high_x = ceil(log10(4 * ridge));
    page->high_y = ceil(log10(1.5 * peak)), page->low_y = page->high_y - 3;
    for (int i = 0; i < page->count; i++) {
        const Point *point = &page->point[i];
        if (!has_place(point)) continue;
        page->low_x = fmin(page->low_x, floor(log10(point->flops / point->bytes)));
        page->high_x = fmax(page->high_x, ceil(log10(point->flops / point->bytes)));
        page->low_y = fmin(page->low_y, floor(log10(point->flops / point->seconds)));
        page->high_y = fmax(page->high_y, ceil(log10(point->flops / point->seconds)));
    }
}

static void text(Page *page, double x, double y, const char *style, const char *words) {
    buf_printf(page->out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
    buf_add_xml(page->out, words);
    buf_add(page->out, "</text>\n");
}

static void line(Page *page, double x0, double y0, double x1, double y1, const char *style) {
    buf_printf(page->out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x0, y0,
               x1, y1, style);
}

// 0.1, 10; of rates: 100 M, 1 G, 1 T.
static const char *tick_text(Arena *arena, int power, bool is_rate) {
    static const char *const prefix[] = {"", " k", " M", " G", " T", " P"};
    if (!is_rate) return arena_printf(arena, "%g", pow(10, power));
    int group = power < 0 ? 0 : power / 3 > 5 ? 5 : power / 3;
    return arena_printf(arena, "%g%s", pow(10, power - 3 * group), prefix[group]);
}

static void draw_axes(Page *page) {
    static const char fine[] = "stroke=\"#eceae4\"", strong[] = "stroke=\"#d2cfc6\"";
    Arena *arena = page->out->arena;
    for (int power = (int)page->low_x; power <= (int)page->high_x; power++) {
        double x = place_x(page, pow(10, power));
        for (int i = 2; i < 10 && power < (int)page->high_x; i++)
            line(page, place_x(page, i * pow(10, power)), TOP, place_x(page, i * pow(10, power)),
                 BOTTOM, fine);
        line(page, x, TOP, x, BOTTOM, strong);
        text(page, x, BOTTOM + 20, "text-anchor=\"middle\"", tick_text(arena, power, false));
    }
    for (int power = (int)page->low_y; power <= (int)page->high_y; power++) {
        double y = place_y(page, pow(10, power));
        for (int i = 2; i < 10 && power < (int)page->high_y; i++)
            line(page, LEFT, place_y(page, i * pow(10, power)), RIGHT,
                 place_y(page, i * pow(10, power)), fine);
        line(page, LEFT, y, RIGHT, y, strong);
        text(page, LEFT - 8, y + 4, "text-anchor=\"end\"", tick_text(arena, power, true));
    }
    text(page, (LEFT + RIGHT) / 2, BOTTOM + 46, "text-anchor=\"middle\"",
         "operations per byte read or written (float32)");
    text(page, 0, 0,
         arena_printf(arena, "text-anchor=\"middle\" transform=\"translate(22 %d) rotate(-90)\"",
                      (TOP + BOTTOM) / 2),
         "operations per second");
}

// --- Roofs

// The bandwidth's line, from the left or the lower edge to the arithmetic's roof or the right edge.
static void draw_bandwidth(Page *page, double rate, const char *name, const char *style) {
    Arena *arena = page->out->arena;
    double peak = page->picture->machine->flops, top = pow(10, page->high_y);
    if (!(peak > 0) || peak > top) peak = top;
    double from = fmax(pow(10, page->low_x), pow(10, page->low_y) / rate);
    double to = fmin(pow(10, page->high_x), peak / rate);
    double x0 = place_x(page, from), y0 = place_y(page, from * rate);
    double x1 = place_x(page, to), y1 = place_y(page, to * rate);
    double angle = atan2(y1 - y0, x1 - x0), part = 0.12, length = 255;
    double x = x0 + part * (x1 - x0), y = y0 + part * (y1 - y0);
    page->label[page->labels++] = (Label){x, y, x + length * cos(angle), y + length * sin(angle)};
    line(page, x0, y0, x1, y1, style);
    text(page, 0, -6,
         arena_printf(arena, "transform=\"translate(%.1f %.1f) rotate(%.1f)\" fill=\"#333\"", x, y,
                      angle * 180 / acos(-1)),
         arena_printf(arena, "%s: %.3g GB/s", name, 1e-9 * rate));
}

static void draw_roofs(Page *page) {
    static const char solid[] = "stroke=\"#333\" stroke-width=\"2\"";
    static const char dashed[] = "stroke=\"#333\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"";
    const Machine *machine = page->picture->machine;
    double memory = machine->copy_rate[COPY_SIZES - 1], cache = machine_copy_rate(machine, 1 << 20);
    draw_bandwidth(page, memory, "copies in memory, 256 MiB", solid);
    draw_bandwidth(page, cache, "copies in the caches, 1 MiB", dashed);
    if (!(machine->flops > 0)) return;
    double y = place_y(page, machine->flops);
    line(page, place_x(page, machine->flops / cache), y, RIGHT, y, solid);
    text(page, RIGHT - 6, y - 7, "text-anchor=\"end\" fill=\"#333\"",
         arena_printf(page->out->arena, "multiply-adds: %.3g GFLOP/s", 1e-9 * machine->flops));
}

// --- Points and their numbers

// How far a place is from a text, which stands above its line.
static double distance_to(const Label *label, double x, double y) {
    double dx = label->x1 - label->x0, dy = label->y1 - label->y0, length = hypot(dx, dy);
    double above = number_radius / length, along;
    x -= label->x0 + dy * above, y -= label->y0 - dx * above;
    along = fmin(fmax((x * dx + y * dy) / (length * length), 0), 1);
    return hypot(x - along * dx, y - along * dy);
}

static bool is_free(const Page *page, int which, double x, double y) {
    if (x < LEFT + 12 || x > RIGHT - 12 || y < TOP + 12 || y > BOTTOM - 12) return false;
    for (int i = 0; i < page->labels; i++)
        if (distance_to(&page->label[i], x, y) < number_radius + 8) return false;
    for (int i = 0; i < page->count; i++) {
        const Point *other = &page->point[i];
        if (!has_place(other)) continue;
        bool numbered = i < which; // those before have a number already
        if (numbered && hypot(other->tx - x, other->ty - y) < 2 * number_radius + 2) return false;
        if (hypot(other->x - x, other->y - y) < number_radius + point_radius + 1) return false;
    }
    return true;
}

// Near its point, where neither another point nor another number is.
static void place_number(Page *page, int which) {
    Point *point = &page->point[which];
    for (double distance = number_radius + point_radius + 3; distance < 160; distance += 6)
        for (int turn = 0; turn < 16; turn++) {
            double angle = (turn * 5 % 16 + 2) * acos(-1) / 8;
            point->tx = point->x + distance * cos(angle);
            point->ty = point->y - distance * sin(angle);
            if (is_free(page, which, point->tx, point->ty)) return;
        }
}

static void draw_points(Page *page) {
    Arena *arena = page->out->arena;
    for (int i = 0; i < page->count; i++) {
        Point *point = &page->point[i];
        if (!has_place(point)) continue;
        point->x = place_x(page, point->flops / point->bytes);
        point->y = place_y(page, point->flops / point->seconds);
    }
    for (int i = 0; i < page->count; i++) {
        const Point *point = &page->point[i];
        if (!has_place(point)) continue;
        place_number(page, i);
        const char *color = color_of(point->kernel);
        line(page, point->x, point->y, point->tx, point->ty,
             arena_printf(arena, "stroke=\"%s\" stroke-width=\"1\"", color));
        buf_printf(page->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.0f\" fill=\"%s\"/>\n",
                   point->x, point->y, point_radius, color);
        buf_printf(page->out,
                   "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.0f\" fill=\"#fff\" stroke=\"%s\" "
                   "stroke-width=\"1.5\"/>\n",
                   point->tx, point->ty, number_radius, color);
        text(page, point->tx, point->ty + 4, "text-anchor=\"middle\" font-size=\"11\"",
             arena_printf(arena, "%d", i + 1));
    }
}

// --- The list at the right

// ", line 12": the first that it serves of the model's own.
static const char *line_of(const Page *page, const Kernel *kernel) {
    Arena *arena = page->out->arena;
    Places places = kernel_places(arena, page->picture->profile->plan->fusion, kernel);
    for (int i = 0; i < places.span.count; i++)
        if (places.span.at[i].source == page->picture->source)
            return arena_printf(arena, ", line %d", span_line(places.span.at[i]));
    return "";
}

static void draw_list(Page *page) {
    Arena *arena = page->out->arena;
    double y = TOP + 6;
    text(page, LIST, y, "font-weight=\"bold\"", "the dearest kernels, part of the time");
    for (int i = 0; i < page->count; i++) {
        const Point *point = &page->point[i];
        y += 24;
        buf_printf(page->out,
                   "<circle cx=\"%d\" cy=\"%.1f\" r=\"%.0f\" fill=\"#fff\" stroke=\"%s\" "
                   "stroke-width=\"1.5\"/>\n",
                   LIST + 10, y - 4, number_radius, color_of(point->kernel));
        text(page, LIST + 10, y, "text-anchor=\"middle\" font-size=\"11\"",
             arena_printf(arena, "%d", i + 1));
        const char *none = has_place(point) ? "" : ", no arithmetic";
        text(page, LIST + 28, y, "font-size=\"12\"",
             arena_printf(arena, "%.24s%s%s", point->kernel->name, line_of(page, point->kernel),
                          none));
        text(page, WIDTH - 20, y, "text-anchor=\"end\" font-size=\"12\"",
             arena_printf(arena, "%.1f %%", 100 * point->part));
    }
    bool shown[16] = {0};
    double x = LIST;
    y += 34;
    for (int i = 0; i < page->count; i++) {
        const Kernel *kernel = page->point[i].kernel;
        if (shown[kernel->kind % 16]) continue;
        shown[kernel->kind % 16] = true;
        buf_printf(page->out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/>\n", x + 6,
                   y - 4, color_of(kernel));
        text(page, x + 17, y, "font-size=\"12\"", kernel_kind_name(kernel->kind));
        x += 30 + 8.0 * (double)strlen(kernel_kind_name(kernel->kind));
    }
}

void roofline_draw(Buf *out, const Roofline *picture) {
    Page page = {.out = out, .picture = picture};
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
               "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"13\" "
               "fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fdfdfb\"/>\n",
               WIDTH, HEIGHT, WIDTH, HEIGHT);
    text(&page, LEFT, 34, "font-size=\"18\" font-weight=\"bold\"", picture->title);
    text(&page, LEFT, 58, "fill=\"#555\"", picture->summary);
    choose_points(&page);
    scale_axes(&page);
    draw_axes(&page);
    draw_roofs(&page);
    draw_points(&page);
    draw_list(&page);
    buf_add(out, "</svg>\n");
}
