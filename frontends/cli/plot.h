// SPDX-License-Identifier: MIT
// A picture of what a network computes, as SVG: curves over one input, or over two the regions that
// it decides for, with the data. plot.c asks the network, plot_draw.c draws.
#ifndef NNC_CLI_PLOT_H
#define NNC_CLI_PLOT_H

#include "support/arena.h"
#include "support/buf.h"

typedef struct PlotPoint { // an example of the data
    double x, y;
    int class; // 2 axes; one axis: 0
} PlotPoint;

typedef struct PlotCurve { // one axis: samples values, evenly over the axis
    const char *name;
    double *y;
} PlotCurve;

typedef struct Plot {
    const char *title;
    int axes;
    const char *axis_name[2]; // the second one's of one axis is not shown
    double low[2], high[2];   // of one axis the second is found by plot_draw
    int samples;              // along each axis
    VEC(PlotCurve) curve;
    // Two axes: regions scores of samples x samples, row by row from low[1]. A place is in the
    // region with the greatest.
    int regions;
    const char *const *region_name;
    const double *score; // [regions][samples][samples]
    VEC(PlotPoint) point;
    const char *point_name; // one axis: what they are
} Plot;

// The range of an axis: what it has to show, and a share of it more on either side.
void plot_begin_range(Plot *plot, int axis);
void plot_widen(Plot *plot, int axis, double value); // what is no number is left out
void plot_end_range(Plot *plot, int axis, double share);

void plot_draw(Buf *out, Plot *plot);

#endif
