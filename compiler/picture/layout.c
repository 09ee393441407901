// SPDX-License-Identifier: MIT
// A layered drawing (Sugiyama, Tagawa and Toda, 1981), of the forward and of the backward pass
// each: rows by the longest path, a place in each row that an arrow passes, orders by the middle of
// the neighbours, then places as near to their neighbours as the order allows.
#include "picture/layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEPS = 12, COLUMNS = 2 };
static const double row_gap = 44, side_gap = 26, pass_width = 14, margin = 24, bar_gap = 24;
static const double label_height = 12;
static const double channel = 10; // how far from boxes an arrow goes that has to go around some

typedef struct Spot { // in a row: a box, or where an arrow passes
    int box;          // -1: an arrow
    int row;
    double x, half, key; // half: of its width
    VEC(struct Spot *) up, down;
} Spot;

typedef struct Row {
    VEC(Spot *) spot;
} Row;

typedef struct Drawing {
    Arena *arena;
    const Picture *picture;
    const Extent *size, *label;
    Layout *layout;
    int *row; // by box; -1: an update
    int rows;
    Row *column[COLUMNS]; // forward, backward; by row
    Spot **spot;          // by box
    VEC(Spot *) * pass;   // by arrow: its spots, from the upper to the lower end
    double left[COLUMNS], right[COLUMNS];
    double *top, *bottom; // by row: of its boxes
} Drawing;

static bool is_update(const Drawing *d, int box) {
    return d->picture->box.at[box]->role == BOX_UPDATE;
}

static int column_of(const Drawing *d, int box) {
    return d->picture->box.at[box]->role == BOX_BACKWARD;
}

// Within a column; across, and to updates, arrows are no matter of rows.
static bool is_upright(const Drawing *d, const Arrow *arrow) {
    return !is_update(d, arrow->from) && !is_update(d, arrow->to) &&
           column_of(d, arrow->from) == column_of(d, arrow->to);
}

static int upper(const Drawing *d, const Arrow *arrow) {
    return column_of(d, arrow->from) ? arrow->to : arrow->from;
}

static int lower(const Drawing *d, const Arrow *arrow) {
    return column_of(d, arrow->from) ? arrow->from : arrow->to;
}

// --- Rows. A backward box and its forward one are of one row, so they count as one.

static int leader(const Drawing *d, int box) {
    int forward = d->picture->box.at[box]->forward;
    return forward >= 0 ? forward : box;
}

enum { UNKNOWN = -1, ON_THE_WAY = -2 };

static int find_row(Drawing *d, int box) {
    if (d->row[box] != UNKNOWN) return d->row[box];
    int row = 0;
    d->row[box] = ON_THE_WAY;
    for (int i = 0; i < d->picture->arrow.count; i++) {
        const Arrow *arrow = d->picture->arrow.at[i];
        if (!is_upright(d, arrow) || leader(d, lower(d, arrow)) != box) continue;
        int above = leader(d, upper(d, arrow));
        if (above == box || d->row[above] == ON_THE_WAY) continue; // a circle has to end somewhere
        above = find_row(d, above);
        if (above >= row) row = above + 1;
    }
    return d->row[box] = row;
}

// What nothing leads to stands right above what it leads to.
static void lower_sources(Drawing *d) {
    for (int box = 0; box < d->picture->box.count; box++) {
        int least = INT32_MAX;
        if (d->row[box] != 0 || is_update(d, box) || leader(d, box) != box) continue;
        for (int i = 0; i < d->picture->arrow.count; i++) {
            const Arrow *arrow = d->picture->arrow.at[i];
            if (!is_upright(d, arrow) || leader(d, upper(d, arrow)) != box) continue;
            int below = d->row[leader(d, lower(d, arrow))];
            if (below > 0 && below < least) least = below;
        }
        if (least != INT32_MAX) d->row[box] = least - 1;
    }
}

// The lowest row of the forward boxes that an operator of the backward pass comes from.
static int lowest_origin(const Drawing *d, const Box *box) {
    int row = -1;
    for (int i = 0; box->within && i < d->picture->box.count; i++) {
        const Box *other = d->picture->box.at[i];
        bool is_origin = other->within && other->within == box->within->forward;
        if (is_origin && d->row[i] > row) row = d->row[i];
    }
    return row < 0 ? d->rows - 1 : row;
}

// Operators of the backward pass begin as low as what they are the gradients of.
static void lower_backward(Drawing *d) {
    for (int box = 0; box < d->picture->box.count; box++) { // each behind what it takes values from
        const Box *b = d->picture->box.at[box];
        if (b->role != BOX_BACKWARD || b->forward >= 0) continue;
        int row = lowest_origin(d, b);
        for (int i = 0; i < d->picture->arrow.count; i++) {
            const Arrow *arrow = d->picture->arrow.at[i];
            if (arrow->to != box || !is_upright(d, arrow)) continue;
            if (d->row[arrow->from] - 1 < row) row = d->row[arrow->from] - 1;
        }
        if (row > d->row[box]) d->row[box] = row;
    }
}

static void choose_rows(Drawing *d) {
    int count = d->picture->box.count;
    for (int i = 0; i < count; i++)
        d->row[i] = UNKNOWN;
    for (int i = 0; i < count; i++)
        if (!is_update(d, i) && leader(d, i) == i) find_row(d, i);
    lower_sources(d);
    for (int i = 0; i < count; i++) {
        if (!is_update(d, i)) d->row[i] = d->row[leader(d, i)];
        if (d->row[i] >= d->rows) d->rows = d->row[i] + 1;
    }
    lower_backward(d);
}

// --- Spots

static Spot *add_spot(Drawing *d, int column, int box, int row, double half) {
    Spot *spot = ARENA_NEW(d->arena, Spot);
    *spot = (Spot){.box = box, .row = row, .half = half};
    VEC_PUSH(d->arena, d->column[column][row].spot, spot);
    return spot;
}

static void join(Drawing *d, Spot *above, Spot *below) {
    VEC_PUSH(d->arena, above->down, below);
    VEC_PUSH(d->arena, below->up, above);
}

static void add_passes(Drawing *d, int index) {
    const Arrow *arrow = d->picture->arrow.at[index];
    if (!is_upright(d, arrow)) return;
    Spot *above = d->spot[upper(d, arrow)], *below = d->spot[lower(d, arrow)];
    if (above->row >= below->row) return;
    VEC_PUSH(d->arena, d->pass[index], above);
    for (int row = above->row + 1; row < below->row; row++) {
        double half = (d->label[index].width + pass_width) / 2;
        Spot *pass = add_spot(d, column_of(d, arrow->from), -1, row, half);
        join(d, d->pass[index].at[d->pass[index].count - 1], pass);
        VEC_PUSH(d->arena, d->pass[index], pass);
    }
    join(d, d->pass[index].at[d->pass[index].count - 1], below);
    VEC_PUSH(d->arena, d->pass[index], below);
}

static void add_spots(Drawing *d) {
    for (int c = 0; c < COLUMNS; c++)
        d->column[c] = ARENA_ARRAY(d->arena, Row, d->rows + 1);
    for (int i = 0; i < d->picture->box.count; i++)
        if (!is_update(d, i))
            d->spot[i] = add_spot(d, column_of(d, i), i, d->row[i], d->size[i].width / 2);
    for (int i = 0; i < d->picture->arrow.count; i++)
        add_passes(d, i);
}

// --- Orders

static int by_key(const void *a, const void *b) {
    double x = (*(Spot *const *)a)->key, y = (*(Spot *const *)b)->key;
    return (x > y) - (x < y);
}

static double middle(Spot *const *spot, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += spot[i]->x;
    return sum / count;
}

// While orders are looked for, x is the place in the row; equal keys keep their order.
static void order_row(Row *row, bool from_above) {
    for (int i = 0; i < row->spot.count; i++) {
        Spot *spot = row->spot.at[i];
        int count = from_above ? spot->up.count : spot->down.count;
        spot->key = count ? middle(from_above ? spot->up.at : spot->down.at, count) : spot->x;
        spot->key += 1e-6 * i;
    }
    if (row->spot.count > 1)
        qsort(row->spot.at, (size_t)row->spot.count, sizeof *row->spot.at, by_key);
    for (int i = 0; i < row->spot.count; i++)
        row->spot.at[i]->x = i;
}

static void choose_orders(Drawing *d, Row *rows) {
    for (int r = 0; r < d->rows; r++)
        for (int i = 0; i < rows[r].spot.count; i++)
            rows[r].spot.at[i]->x = i;
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int r = 0; r < d->rows; r++)
            order_row(&rows[sweep % 2 ? d->rows - 1 - r : r], sweep % 2 == 0);
}

// --- Places

static double distance(const Spot *a, const Spot *b) { return a->half + side_gap + b->half; }

// The least squares of the distances to the wanted places (key), none nearer to its neighbour than
// it may: runs that would overlap are merged and stand at their mean.
static void place_row(Arena *arena, Row *row) {
    typedef struct Run {
        double sum, at;
        int count;
    } Run;
    Run *run = ARENA_ARRAY(arena, Run, row->spot.count + 1);
    double *shift = ARENA_ARRAY(arena, double, row->spot.count + 1);
    int runs = 0, index = 0;
    for (int i = 0; i < row->spot.count; i++) {
        if (i) shift[i] = shift[i - 1] + distance(row->spot.at[i - 1], row->spot.at[i]);
        double wanted = row->spot.at[i]->key - shift[i];
        run[runs++] = (Run){wanted, wanted, 1};
        for (; runs > 1 && run[runs - 2].at > run[runs - 1].at; runs--) {
            run[runs - 2].sum += run[runs - 1].sum;
            run[runs - 2].count += run[runs - 1].count;
            run[runs - 2].at = run[runs - 2].sum / run[runs - 2].count;
        }
    }
    for (int r = 0; r < runs; r++)
        for (int i = 0; i < run[r].count; i++, index++)
            row->spot.at[index]->x = run[r].at + shift[index];
}

// Down and up in turns, each row below or above what it hangs on; up last, so that a chain is
// straight and inputs join it from the side.
static void choose_places(Drawing *d, Row *rows) {
    for (int r = 0; r < d->rows; r++) {
        for (int i = 0; i < rows[r].spot.count; i++)
            rows[r].spot.at[i]->key = 0;
        place_row(d->arena, &rows[r]);
    }
    for (int sweep = 0; sweep < SWEEPS; sweep++)
        for (int k = 0; k < d->rows; k++) {
            Row *row = &rows[sweep % 2 ? d->rows - 1 - k : k];
            for (int i = 0; i < row->spot.count; i++) {
                Spot *s = row->spot.at[i];
                int up = s->up.count, down = s->down.count;
                bool from_above = up && (sweep % 2 == 0 || !down);
                if (up + down == 0)
                    s->key = s->x;
                else
                    s->key = from_above ? middle(s->up.at, up) : middle(s->down.at, down);
            }
            place_row(d->arena, row);
        }
}

// Moves a column so that it begins at `left`; where it ends.
static double shift_column(Drawing *d, int column, double left) {
    double least = INFINITY, most = -INFINITY;
    for (int r = 0; r < d->rows; r++)
        for (int i = 0; i < d->column[column][r].spot.count; i++) {
            const Spot *spot = d->column[column][r].spot.at[i];
            least = fmin(least, spot->x - spot->half);
            most = fmax(most, spot->x + spot->half);
        }
    d->left[column] = d->right[column] = left;
    if (!(most > least)) return left;
    for (int r = 0; r < d->rows; r++)
        for (int i = 0; i < d->column[column][r].spot.count; i++)
            d->column[column][r].spot.at[i]->x += left - least;
    return d->right[column] = left + most - least;
}

// Room for the texts of arrows that end in a column other than their own.
static double gap_before(const Drawing *d, bool update) {
    double width = 0;
    bool any = false;
    for (int i = 0; i < d->picture->arrow.count; i++) {
        const Arrow *arrow = d->picture->arrow.at[i];
        bool ends_there = update ? is_update(d, arrow->to)
                                 : !is_update(d, arrow->to) && column_of(d, arrow->to) == 1 &&
                                       !is_upright(d, arrow);
        any |= ends_there;
        if (ends_there) width = fmax(width, d->label[i].width);
    }
    return any ? width + 70 : side_gap;
}

static void place_rows(Drawing *d) {
    double y = margin, *height = ARENA_ARRAY(d->arena, double, d->rows + 1);
    d->top = ARENA_ARRAY(d->arena, double, d->rows + 1);
    d->bottom = ARENA_ARRAY(d->arena, double, d->rows + 1);
    for (int i = 0; i < d->picture->box.count; i++)
        if (!is_update(d, i)) height[d->row[i]] = fmax(height[d->row[i]], d->size[i].height);
    for (int r = 0; r < d->rows; r++) {
        d->top[r] = y;
        d->bottom[r] = y + height[r];
        y += height[r] + row_gap;
    }
    for (int i = 0; i < d->picture->box.count; i++) {
        if (is_update(d, i)) continue;
        double middle_y = (d->top[d->row[i]] + d->bottom[d->row[i]]) / 2;
        d->layout->box[i] = (Frame){d->spot[i]->x, middle_y - d->size[i].height / 2,
                                    d->size[i].width, d->size[i].height};
    }
    d->layout->height = y - row_gap + margin;
}

static double place_bars(Drawing *d, double x) {
    double end = x;
    for (int i = 0; i < d->picture->box.count; i++) {
        if (!is_update(d, i)) continue;
        double top = INFINITY, bottom = -INFINITY;
        for (int k = 0; k < d->picture->arrow.count; k++) {
            const Arrow *arrow = d->picture->arrow.at[k];
            if (arrow->to != i || is_update(d, arrow->from)) continue;
            const Frame *from = &d->layout->box[arrow->from];
            top = fmin(top, from->y);
            bottom = fmax(bottom, from->y + from->height);
        }
        if (!(bottom > top)) top = margin, bottom = margin;
        double height = fmax(bottom - top, d->size[i].height);
        d->layout->box[i] = (Frame){x + d->size[i].width / 2, top, d->size[i].width, height};
        d->layout->height = fmax(d->layout->height, top + height + margin);
        end = x + d->size[i].width;
        x = end + bar_gap;
    }
    return end;
}

// --- Routes

// Where an arrow meets a box's edge: towards where it comes from, and never near a corner.
static double port(const Frame *box, double towards) {
    double most = 0.3 * box->width;
    return box->x + fmax(-most, fmin(most, 0.3 * (towards - box->x)));
}

// The line at the left of the room that the arrow has, its text beside it.
static double line_of(const Spot *pass) { return pass->x - pass->half + pass_width / 3; }

static int arrows_from(const Drawing *d, int box) {
    int count = 0;
    for (int i = 0; i < d->picture->arrow.count; i++)
        count += d->picture->arrow.at[i]->from == box && is_upright(d, d->picture->arrow.at[i]);
    return count;
}

// Does its text lie on none of the arrows before it?
static bool label_is_free(const Drawing *d, int index) {
    Point at = d->layout->arrow[index].label;
    for (int i = 0; i < index; i++) {
        Point other = d->layout->arrow[i].label;
        if (at.x < other.x + d->label[i].width && other.x < at.x + d->label[index].width &&
            fabs(at.y - other.y) < label_height - 2)
            return false;
    }
    return true;
}

// The text stands where the arrow passes another row; else in the gap, towards the end where arrows
// part, and where there is room.
static void place_label(const Drawing *d, int index, Route *route) {
    int count = d->pass[index].count;
    if (count > 2) {
        const Spot *middle_spot = d->pass[index].at[count / 2];
        double y = (d->top[middle_spot->row] + d->bottom[middle_spot->row]) / 2;
        route->label = (Point){line_of(middle_spot) + 6, y + 4};
        return;
    }
    static const double part[] = {0.5, 0.66, 0.8, 0.35, 0.2};
    Point a = route->point.at[0], b = route->point.at[1];
    int first = arrows_from(d, d->picture->arrow.at[index]->from) > 1;
    for (int i = first; i < 5; i++) {
        route->label = (Point){a.x + part[i] * (b.x - a.x) + 6, a.y + part[i] * (b.y - a.y) + 4};
        if (label_is_free(d, index)) return;
    }
}

static void route_upright(Drawing *d, int index, const Arrow *arrow) {
    Route *route = &d->layout->arrow[index];
    int count = d->pass[index].count;
    bool rises = column_of(d, arrow->from) == 1;
    const Frame *above = &d->layout->box[upper(d, arrow)],
                *below = &d->layout->box[lower(d, arrow)];
    VEC(Point) down = {0};
    Spot **pass = d->pass[index].at;
    double first = count > 2 ? line_of(pass[1]) : below->x;
    double last = count > 2 ? line_of(pass[count - 2]) : above->x;
    VEC_PUSH(d->arena, down, ((Point){port(above, first), above->y + above->height}));
    for (int i = 1; i < count - 1; i++) {
        VEC_PUSH(d->arena, down, ((Point){line_of(pass[i]), d->top[pass[i]->row]}));
        VEC_PUSH(d->arena, down, ((Point){line_of(pass[i]), d->bottom[pass[i]->row]}));
    }
    VEC_PUSH(d->arena, down, ((Point){port(below, last), below->y}));
    for (int i = 0; i < down.count; i++)
        VEC_PUSH(d->arena, route->point, down.at[rises ? down.count - 1 - i : i]);
    place_label(d, index, route);
}

// The place of an arrow among those that end in the same box from the side, from 0; how many there
// are.
static int turn_of(const Drawing *d, int index, int *count) {
    int turn = 0;
    *count = 0;
    const Arrow *arrow = d->picture->arrow.at[index];
    for (int i = 0; i < d->picture->arrow.count; i++) {
        const Arrow *other = d->picture->arrow.at[i];
        if (other->to != arrow->to || is_upright(d, other)) continue;
        const Frame *a = &d->layout->box[arrow->from], *b = &d->layout->box[other->from];
        turn += b->y < a->y || (b->y == a->y && i < index);
        ++*count;
    }
    return turn;
}

// Arrows from neighbours to the same bar do not lie on one another.
static double height_to_bar(const Drawing *d, const Arrow *arrow) {
    int turn = 0, count = 0;
    for (int i = 0; i < d->picture->arrow.count; i++) {
        const Arrow *other = d->picture->arrow.at[i];
        if (other->to != arrow->to || d->row[other->from] != d->row[arrow->from]) continue;
        turn += d->layout->box[other->from].x < d->layout->box[arrow->from].x;
        count++;
    }
    const Frame *from = &d->layout->box[arrow->from];
    return from->y + from->height * (turn + 1) / (count + 1);
}

// --- Across

enum { SAMPLES = 32 };

static bool is_within(const Frame *box, double x, double y) {
    return fabs(x - box->x) < box->width / 2 + 2 && y > box->y - 2 && y < box->y + box->height + 2;
}

// Does the curve from a to b, level at both ends, meet a box that it does not lead to?
static bool meets_box(const Drawing *d, const Arrow *arrow, Point a, Point b) {
    for (int i = 1; i < SAMPLES; i++) {
        double t = (double)i / SAMPLES, s = 1 - t;
        double x = a.x * (s * s * s + 1.5 * s * t) + b.x * (t * t * t + 1.5 * s * t);
        double y = a.y * s * s * (s + 3 * t) + b.y * t * t * (t + 3 * s);
        for (int box = 0; box < d->picture->box.count; box++)
            if (box != arrow->from && box != arrow->to && is_within(&d->layout->box[box], x, y))
                return true;
    }
    return false;
}

// Is there another box in its row and column, to the right (side 1) or to the left (-1)?
static bool has_neighbour(const Drawing *d, int box, int side) {
    for (int i = 0; i < d->picture->box.count; i++)
        if (i != box && !is_update(d, i) && d->row[i] == d->row[box] &&
            column_of(d, i) == column_of(d, box) &&
            side * (d->layout->box[i].x - d->layout->box[box].x) > 0)
            return true;
    return false;
}

static void push(Drawing *d, Route *route, double x, double y) {
    VEC_PUSH(d->arena, route->point, ((Point){x, y}));
}

// From an end's box to the edge of its column: straight, or through the gap beside its row. Returns
// how high it is there.
static double leave_column(Drawing *d, Route *route, int box, Point end, int side, double gap) {
    int column = column_of(d, box);
    if (is_update(d, box)) return end.y;
    if (has_neighbour(d, box, side))
        push(d, route, end.x + side * side_gap, gap);
    else
        gap = end.y;
    push(d, route, side > 0 ? d->right[column] + channel : d->left[column] - channel, gap);
    return gap;
}

// Between rows and between columns, where no boxes are.
static void route_around(Drawing *d, Route *route, const Arrow *arrow, Point from, Point to) {
    int side = from.x <= to.x ? 1 : -1;
    bool starts = !is_update(d, arrow->from), ends = !is_update(d, arrow->to);
    bool passes = (starts && !ends && !column_of(d, arrow->from)) ||
                  (!starts && ends && !column_of(d, arrow->to)); // the column of the backward pass
    double below = starts ? d->bottom[d->row[arrow->from]] + channel : 0;
    double above = ends ? d->top[d->row[arrow->to]] - channel : 0;
    Route back = {0};
    push(d, route, from.x, from.y);
    leave_column(d, route, arrow->from, from, side, below);
    if (passes) {
        double near = d->left[1] - channel, far = d->right[1] + channel;
        push(d, route, side > 0 ? near : far, starts ? below : above);
        push(d, route, side > 0 ? far : near, starts ? below : above);
    }
    leave_column(d, &back, arrow->to, to, -side, above);
    for (int i = back.point.count; i > 0; i--)
        VEC_PUSH(d->arena, route->point, back.point.at[i - 1]);
    push(d, route, to.x, to.y);
}

static void route_across(Drawing *d, int index, const Arrow *arrow) {
    Route *route = &d->layout->arrow[index];
    const Frame *a = &d->layout->box[arrow->from], *b = &d->layout->box[arrow->to];
    bool right = a->x <= b->x;
    int count, turn = turn_of(d, index, &count);
    Point from = {a->x + (right ? 1 : -1) * a->width / 2, a->y + a->height / 2};
    Point to = {b->x - (right ? 1 : -1) * b->width / 2,
                b->y + b->height * (turn + 1) / (count + 1)};
    if (is_update(d, arrow->to)) from.y = to.y = height_to_bar(d, arrow);
    route->across = true;
    if (meets_box(d, arrow, from, to)) {
        route_around(d, route, arrow, from, to);
    } else {
        push(d, route, from.x, from.y);
        push(d, route, to.x, to.y);
    }
    // The text is where the last part of it that is between columns ends, one above the other.
    Point end = to;
    if (!is_update(d, arrow->to) && has_neighbour(d, arrow->to, right ? -1 : 1)) {
        end = route->point.at[route->point.count > 3 ? route->point.count - 3 : 0];
        end.y -= label_height * turn;
    }
    route->label = (Point){end.x + (right ? -14 - d->label[index].width : 14), end.y - 4};
}

static void route_arrows(Drawing *d) {
    for (int i = 0; i < d->picture->arrow.count; i++) {
        const Arrow *arrow = d->picture->arrow.at[i];
        if (is_upright(d, arrow) && d->pass[i].count > 0)
            route_upright(d, i, arrow);
        else
            route_across(d, i, arrow);
    }
}

Layout *picture_layout(Arena *arena, const Picture *picture, const Extent *box,
                       const Extent *label) {
    Drawing d = {.arena = arena, .picture = picture, .size = box, .label = label};
    d.layout = ARENA_NEW(arena, Layout);
    d.layout->box = ARENA_ARRAY(arena, Frame, picture->box.count + 1);
    d.layout->arrow = ARENA_ARRAY(arena, Route, picture->arrow.count + 1);
    d.row = ARENA_ARRAY(arena, int, picture->box.count + 1);
    d.spot = ARENA_ARRAY(arena, Spot *, picture->box.count + 1);
    d.pass = arena_alloc(arena, sizeof *d.pass * (size_t)(picture->arrow.count + 1));
    choose_rows(&d);
    add_spots(&d);
    double x = margin;
    for (int c = 0; c < COLUMNS; c++) {
        choose_orders(&d, d.column[c]);
        choose_places(&d, d.column[c]);
        double gap = c == 0 ? 0 : gap_before(&d, false), end = shift_column(&d, c, x + gap);
        if (d.right[c] > d.left[c]) x = end;
    }
    place_rows(&d);
    d.layout->width = place_bars(&d, x + gap_before(&d, true)) + margin;
    route_arrows(&d);
    return d.layout;
}
