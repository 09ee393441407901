// SPDX-License-Identifier: MIT
// A picture in Graphviz's language. A backward box stands beside the box that it is the gradient
// of, and its arrows run up.
#include "picture/picture.h"

static const char *const colors[BOX_ROLES] = {
    [BOX_INPUT] = "#f4f4f4",  [BOX_LAYER] = "#cfe0f3",    [BOX_FUNCTION] = "#eaf1f9",
    [BOX_OUTPUT] = "#fbdfcf", [BOX_BACKWARD] = "#ddefd6", [BOX_UPDATE] = "#fcefc0"};

// In a string of dot's language a quote ends it, and a backslash begins an escape.
static void add_quoted(Buf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') buf_add_char(out, '\\');
        if (*text == '\n')
            buf_add(out, "\\n");
        else
            buf_add_char(out, *text);
    }
}

static void add_box(Buf *out, const Picture *picture, int index) {
    const Box *box = picture->box.at[index];
    buf_printf(out, "  b%d [label=\"", index);
    if (*box->path) {
        add_quoted(out, box->path);
        buf_add(out, "\\n");
    }
    add_quoted(out, box_title(picture->arena, box));
    for (int i = 0; i < box->leaf.count; i++) {
        buf_add(out, "\\n");
        add_quoted(out, box->leaf.at[i].name);
        buf_add(out, " ");
        shape_print(out, &box->leaf.at[i].node->shape);
    }
    buf_printf(out, "\", fillcolor=\"%s\"%s];\n", colors[box->role],
               box->role == BOX_INPUT || box->role == BOX_OUTPUT ? ", shape=ellipse" : "");
}

static void add_arrow(Buf *out, const Picture *picture, const Arrow *arrow) {
    bool rises = picture->box.at[arrow->to]->role == BOX_BACKWARD && arrow->kind == ARROW_GRADIENT;
    const char *style = arrow->kind == ARROW_KEPT       ? ", style=dashed, color=\"#999999\""
                        : arrow->kind == ARROW_GRADIENT ? ", color=\"#4a8a3a\""
                                                        : "";
    buf_printf(out, "  b%d -> b%d [label=\"%s\"%s%s%s];\n", rises ? arrow->to : arrow->from,
               rises ? arrow->from : arrow->to, arrow_label(picture->arena, arrow), style,
               rises ? ", dir=back" : "", arrow->kind == ARROW_KEPT ? ", constraint=false" : "");
}

void picture_dot(Buf *out, const Picture *picture) {
    buf_add(out, "digraph \"");
    add_quoted(out, picture->function);
    buf_add(out, "\" {\n  node [shape=box, style=filled, fontname=sans, fontsize=10];\n"
                 "  edge [fontname=sans, fontsize=9];\n");
    for (int i = 0; i < picture->box.count; i++)
        add_box(out, picture, i);
    for (int i = 0; i < picture->box.count; i++)
        if (picture->box.at[i]->forward >= 0)
            buf_printf(out, "  {rank=same; b%d; b%d}\n", picture->box.at[i]->forward, i);
    for (int i = 0; i < picture->arrow.count; i++)
        add_arrow(out, picture, picture->arrow.at[i]);
    buf_add(out, "}\n");
}
