// SPDX-License-Identifier: MIT
// Where the boxes of a picture stand, and which way its arrows take. Rows go down with the forward
// pass; a backward box stands in the row of the box that it is the gradient of, in a column of its
// own where all arrows go up; an update is a bar at the right, as high as the boxes whose gradients
// it takes.
#ifndef NNC_PICTURE_LAYOUT_H
#define NNC_PICTURE_LAYOUT_H

#include "picture/picture.h"

typedef struct Point {
    double x, y;
} Point;

typedef struct Extent { // in pixels
    double width, height;
} Extent;

typedef struct Frame {
    double x, y, width, height; // x: the centre; y: the top
} Frame;

typedef struct Route { // a curve from point to point, upright in each where it is in a column
    VEC(Point) point;
    bool across; // from one column to another: level at both ends
    Point label; // where its text begins
} Route;

typedef struct Layout {
    double width, height;
    Frame *box;   // by box
    Route *arrow; // by arrow
} Layout;

// `box`, `label`: what the boxes and the arrows' texts take.
Layout *picture_layout(Arena *arena, const Picture *picture, const Extent *box,
                       const Extent *label);

#endif
