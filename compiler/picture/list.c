// SPDX-License-Identifier: MIT
// A picture as lines of text, for a terminal:
//
//     forward
//       image                  input
//       conv2d_1               image [N, 3, 32, 32]
//                                weight [64, 3, 3, 3]   bias [64]
//       ..
#include "picture/picture.h"

#include <string.h>

enum { MARGIN = 2, LEAST_TITLE = 12 };

static const char *full_title(const Picture *picture, const Box *box) {
    const char *title = box_title(picture->arena, box);
    return *box->path ? arena_printf(picture->arena, "%s / %s", box->path, title) : title;
}

static bool is_in(const Box *box, BoxRole part) {
    bool forward = box->role != BOX_BACKWARD && box->role != BOX_UPDATE;
    return part == BOX_INPUT ? forward : box->role == part;
}

static int title_width(const Picture *picture) {
    int width = LEAST_TITLE;
    for (int i = 0; i < picture->box.count; i++) {
        int length = (int)strlen(full_title(picture, picture->box.at[i]));
        if (length > width) width = length;
    }
    return width;
}

static void list_box(Buf *out, const Picture *picture, int index, int width) {
    const Box *box = picture->box.at[index];
    const char *title = full_title(picture, box);
    int column = MARGIN + width + 2, at = MARGIN + (int)strlen(title); // where the line ends so far
    buf_printf(out, "%*s%s", MARGIN, "", title);
    if (box->role == BOX_INPUT) buf_printf(out, "%*sinput", column - at, "");
    for (int i = 0; i < picture->arrow.count; i++) {
        const Arrow *arrow = picture->arrow.at[i];
        if (arrow->to != index) continue;
        buf_printf(out, "%s%*s%s %s", at ? "" : "\n", column - at, "",
                   full_title(picture, picture->box.at[arrow->from]),
                   arrow_label(picture->arena, arrow));
        at = 0;
    }
    buf_add(out, "\n");
    for (int i = 0; i < box->leaf.count; i++) {
        const Leaf *leaf = &box->leaf.at[i];
        buf_printf(out, "%*s%s ", MARGIN + width + 4, "", leaf->name);
        shape_print(out, &leaf->node->shape);
        buf_add(out, leaf->written ? ", written\n" : "\n");
    }
}

void picture_list(Buf *out, const Picture *picture) {
    static const struct {
        BoxRole role;
        const char *title;
    } part[] = {{BOX_INPUT, "forward"}, {BOX_BACKWARD, "backward"}, {BOX_UPDATE, "update"}};
    int width = title_width(picture);
    for (size_t p = 0; p < sizeof part / sizeof *part; p++) {
        bool any = false;
        for (int i = 0; i < picture->box.count; i++) {
            if (!is_in(picture->box.at[i], part[p].role)) continue;
            if (!any) buf_printf(out, "%s\n", part[p].title);
            any = true;
            list_box(out, picture, i, width);
        }
    }
}
