// SPDX-License-Identifier: MIT
// A picture as SVG: the same bytes on every machine, for no other program lays it out. Widths of
// texts are estimated, so whatever font there is, nothing is cut off.
#include "picture/layout.h"

#include <math.h>
#include <string.h>

enum { HEAD = 74, LINE = 16 };

static const struct {
    const char *fill, *stroke, *words; // words: in the legend
} styles[BOX_ROLES] = {
    [BOX_INPUT] = {"#f4f4f2", "#8a8a86", "input"},
    [BOX_LAYER] = {"#cfe0f3", "#3a6ea5", "call with parameters"},
    [BOX_FUNCTION] = {"#eaf1f9", "#7fa3c9", "call, operator"},
    [BOX_OUTPUT] = {"#fbdfcf", "#c2693a", "output"},
    [BOX_BACKWARD] = {"#ddefd6", "#5a9448", "backward pass"},
    [BOX_UPDATE] = {"#fcefc0", "#b8952a", "update"},
};
static const struct {
    const char *color, *dash, *words;
} lines[] = {
    [ARROW_VALUE] = {"#3c4650", "", "value"},
    [ARROW_GRADIENT] = {"#4a8a3a", "", "gradient"},
    [ARROW_KEPT] = {"#a3a3a3", " stroke-dasharray=\"5 3\"", "kept for the backward pass"},
};
enum { ARROW_KINDS = sizeof lines / sizeof *lines };

// --- Texts

static double text_width(const char *text, double size) {
    double width = 0;
    for (; *text; text++)
        width += strchr(" ,.[]()/ijl1t|:", *text) ? 0.36 : strchr("mwMWN", *text) ? 0.86 : 0.6;
    return width * size;
}

static void add_text(Buf *out, double x, double y, const char *style, const char *text) {
    buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, style);
    buf_add_xml(out, text);
    buf_add(out, "</text>\n");
}

static const char *leaf_text(Arena *arena, const Leaf *leaf) {
    Buf out = buf_new(arena);
    buf_printf(&out, "%s ", leaf->name);
    shape_print(&out, &leaf->node->shape);
    return out.text;
}

static bool names_callee(const Box *box) {
    return box->role == BOX_LAYER && *box->callee &&
           strncmp(box->name, box->callee, strlen(box->callee));
}

// --- Sizes

static Extent box_extent(const Picture *picture, const Box *box) {
    const char *title = box_title(picture->arena, box);
    double width = text_width(title, 14);
    if (names_callee(box)) width += text_width(box->callee, 12) + 10;
    width = fmax(width, text_width(box->path, 11));
    for (int i = 0; i < box->leaf.count; i++)
        width = fmax(width, text_width(leaf_text(picture->arena, &box->leaf.at[i]), 11) + 8);
    return (Extent){fmax(width + 24, 76), 26 + (*box->path ? 14 : 0) +
                                              (box->leaf.count ? LINE * box->leaf.count + 6 : 0)};
}

// --- Boxes

static void draw_leaves(Buf *out, const Box *box, const Frame *frame, double y) {
    double left = frame->x - frame->width / 2;
    if (box->leaf.count)
        buf_printf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n",
                   left, y, left + frame->width, y, styles[box->role].stroke);
    for (int i = 0; i < box->leaf.count; i++)
        add_text(out, left + 12, y + 15 + LINE * i, " font-size=\"11\" fill=\"#444\"",
                 leaf_text(out->arena, &box->leaf.at[i]));
}

static void draw_box(Buf *out, const Picture *picture, int index, const Frame *frame) {
    const Box *box = picture->box.at[index];
    bool is_round = box->role == BOX_INPUT || box->role == BOX_OUTPUT;
    double y = frame->y + (*box->path ? 14 : 0);
    buf_printf(out,
               "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%d\" fill=\"%s\" "
               "stroke=\"%s\"/>\n",
               frame->x - frame->width / 2, frame->y, frame->width, frame->height,
               is_round ? 13 : 4, styles[box->role].fill, styles[box->role].stroke);
    if (*box->path)
        add_text(out, frame->x, frame->y + 13,
                 " text-anchor=\"middle\" font-size=\"11\" fill=\"#666\"", box->path);
    buf_printf(out,
               "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\"><tspan "
               "font-weight=\"bold\">",
               frame->x, y + 18);
    buf_add_xml(out, box_title(picture->arena, box));
    buf_add(out, "</tspan>");
    if (names_callee(box)) {
        buf_add(out, "<tspan fill=\"#666\" dx=\"8\" font-size=\"12\">");
        buf_add_xml(out, box->callee);
        buf_add(out, "</tspan>");
    }
    buf_add(out, "</text>\n");
    draw_leaves(out, box, frame, y + 27);
}

// --- Arrows

static void draw_arrow(Buf *out, const Arrow *arrow, const Route *route) {
    Point a = route->point.at[0];
    buf_printf(out, "<path d=\"M%.1f %.1f", a.x, a.y);
    for (int i = 1; i < route->point.count; i++) {
        Point b = route->point.at[i];
        double x = (a.x + b.x) / 2, y = (a.y + b.y) / 2;
        if (route->across)
            buf_printf(out, " C%.1f %.1f %.1f %.1f %.1f %.1f", x, a.y, x, b.y, b.x, b.y);
        else
            buf_printf(out, " C%.1f %.1f %.1f %.1f %.1f %.1f", a.x, y, b.x, y, b.x, b.y);
        a = b;
    }
    buf_printf(out, "\" fill=\"none\" stroke=\"%s\"%s marker-end=\"url(#end%d)\"/>\n",
               lines[arrow->kind].color, lines[arrow->kind].dash, arrow->kind);
}

static void draw_label(Buf *out, const Picture *picture, const Arrow *arrow, const Route *route) {
    add_text(out, route->label.x, route->label.y,
             " font-size=\"11\" fill=\"#333\" paint-order=\"stroke\" "
             "stroke=\"#fdfdfb\" stroke-width=\"4\"",
             arrow_label(picture->arena, arrow));
}

// --- The head

static bool has_role(const Picture *picture, BoxRole role) {
    for (int i = 0; i < picture->box.count; i++)
        if (picture->box.at[i]->role == role) return true;
    return false;
}

static bool has_kind(const Picture *picture, ArrowKind kind) {
    for (int i = 0; i < picture->arrow.count; i++)
        if (picture->arrow.at[i]->kind == kind) return true;
    return false;
}

// Returns where it ends.
static double draw_legend(Buf *out, const Picture *picture) {
    double x = 24, y = 50, end;
    for (int r = 0; r < BOX_ROLES; r++) {
        if (!has_role(picture, (BoxRole)r)) continue;
        buf_printf(out,
                   "<rect x=\"%.1f\" y=\"%.1f\" width=\"18\" height=\"12\" rx=\"%d\" "
                   "fill=\"%s\" stroke=\"%s\"/>\n",
                   x, y - 10, r == BOX_INPUT || r == BOX_OUTPUT ? 6 : 2, styles[r].fill,
                   styles[r].stroke);
        add_text(out, x + 24, y, " font-size=\"12\"", styles[r].words);
        x += 24 + text_width(styles[r].words, 12) + 16;
    }
    end = x, x = 24, y += 18;
    for (int k = 0; k < ARROW_KINDS; k++) {
        if (!has_kind(picture, (ArrowKind)k)) continue;
        buf_printf(out, "<path d=\"M%.1f %.1fh26\" stroke=\"%s\"%s marker-end=\"url(#end%d)\"/>\n",
                   x, y - 4, lines[k].color, lines[k].dash, k);
        add_text(out, x + 36, y, " font-size=\"12\"", lines[k].words);
        x += 36 + text_width(lines[k].words, 12) + 16;
    }
    return fmax(x, end);
}

// Returns how wide it is.
static double draw_head(Buf *out, const Picture *picture) {
    const char *title =
        *picture->model ? arena_printf(picture->arena, "%s: %s", picture->model, picture->function)
                        : picture->function;
    add_text(out, 24, 27, " font-size=\"17\" font-weight=\"bold\"", title);
    const char *words = "shapes of what flows on the arrows; N: examples in a batch";
    double x = 24 + text_width(title, 19) + 20;
    add_text(out, x, 27, " fill=\"#666\"", words);
    return fmax(x + text_width(words, 13) + 16, draw_legend(out, picture));
}

static void begin(Buf *out, double width, double height) {
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
               "viewBox=\"0 0 %.0f %.0f\" font-family=\"Helvetica, Arial, sans-serif\" "
               "font-size=\"13\" fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" "
               "fill=\"#fdfdfb\"/>\n<defs>\n",
               width, height, width, height);
    for (int k = 0; k < ARROW_KINDS; k++)
        buf_printf(out,
                   "<marker id=\"end%d\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" "
                   "markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0.5L8 4L0 "
                   "7.5z\" fill=\"%s\"/></marker>\n",
                   k, lines[k].color);
    buf_add(out, "</defs>\n");
}

void picture_svg(Buf *out, const Picture *picture) {
    Arena *arena = picture->arena;
    Extent *box = ARENA_ARRAY(arena, Extent, picture->box.count + 1);
    Extent *label = ARENA_ARRAY(arena, Extent, picture->arrow.count + 1);
    for (int i = 0; i < picture->box.count; i++)
        box[i] = box_extent(picture, picture->box.at[i]);
    for (int i = 0; i < picture->arrow.count; i++)
        label[i] = (Extent){text_width(arrow_label(arena, picture->arrow.at[i]), 11), 14};
    const Layout *layout = picture_layout(arena, picture, box, label);
    Buf head = buf_new(arena);
    double width = draw_head(&head, picture);
    begin(out, fmax(layout->width, width), layout->height + HEAD);
    buf_add(out, head.text);
    buf_printf(out, "<g transform=\"translate(0 %d)\">\n", HEAD);
    for (int i = 0; i < picture->arrow.count; i++)
        draw_arrow(out, picture->arrow.at[i], &layout->arrow[i]);
    for (int i = 0; i < picture->box.count; i++)
        draw_box(out, picture, i, &layout->box[i]);
    for (int i = 0; i < picture->arrow.count; i++)
        draw_label(out, picture, picture->arrow.at[i], &layout->arrow[i]);
    buf_add(out, "</g>\n</svg>\n");
}
