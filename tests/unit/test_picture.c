// SPDX-License-Identifier: MIT
// Pictures of graphs: arrows against the graph they are of, names from strangers, the drawing.
#include "compile.h"
#include "nnd/elab.h"
#include "picture/layout.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const Module *read_example(Arena *arena, const char *name) {
    const char *root = getenv("NNC_SOURCE_DIR"), *error = NULL;
    const char *path = arena_printf(arena, "%s/examples/%s", root ? root : ".", name);
    const Source *source = source_read(arena, path, &error);
    cr_assert(source, "%s: %s", path, error);
    Diag *diag = diag_new(arena);
    const File *file = nnd_parse(arena, source, diag);
    const Module *module = nnd_elaborate(arena, file, &(ElabOptions){0}, diag);
    cr_assert(module, "%s", diag_text(diag, arena));
    return module;
}

// --- Arrows

static const Section *call_of(const Graph *graph, const Node *node) {
    const Section *call = NULL;
    for (const Section *s = graph->section.at[node->id]; s; s = s->outer)
        if (s->kind == SECTION_LAYER || s->kind == SECTION_FUNCTION || s->kind == SECTION_UPDATE)
            call = s;
    return call;
}

static bool copies(const Node *node) {
    return node->op == OP_broadcast || node->op == OP_cast || node->op == OP_stop;
}

static bool is_of(const Node *node, const Node *value) {
    while (copies(node) && node != value)
        node = node->in[0];
    return node == value;
}

// Some operator of the call, or the input or output that the box is, reads the value.
static bool reads(const Graph *graph, const Box *box, const Node *value) {
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        if (call_of(graph, node) != box->section) continue;
        for (int i = 0; i < node->in_count; i++)
            if (is_of(node->in[i], value)) return true;
    }
    for (int i = 0; box->role == BOX_OUTPUT && i < graph->root.count; i++)
        if (!strcmp(graph->root.at[i].name, box->name) && is_of(graph->root.at[i].value, value))
            return true;
    return false;
}

static const Arrow *find_arrow(const Picture *picture, const Section *from, const Section *to) {
    for (int i = 0; i < picture->arrow.count; i++)
        if (picture->box.at[picture->arrow.at[i]->from]->section == from &&
            picture->box.at[picture->arrow.at[i]->to]->section == to)
            return picture->arrow.at[i];
    return NULL;
}

static void check_arrows(const Graph *graph, const Picture *picture, Arena *arena) {
    for (int i = 0; i < picture->arrow.count; i++) {
        const Arrow *arrow = picture->arrow.at[i];
        const Box *from = picture->box.at[arrow->from], *to = picture->box.at[arrow->to];
        cr_assert(arrow->from != arrow->to);
        for (int k = 0; k < arrow->value.count; k++) {
            const Node *value = arrow->value.at[k];
            Buf shape = buf_new(arena);
            shape_print(&shape, &value->shape);
            cr_expect(strstr(arrow_label(arena, arrow), shape.text), "%s", shape.text);
            cr_expect(call_of(graph, value) == from->section, "%s -> %s", from->name, to->name);
            cr_expect(reads(graph, to, value), "%s does not read %s of %s", to->name, shape.text,
                      from->name);
        }
    }
}

// Each value that one call has of another is on an arrow between their boxes.
static int check_values(const Graph *graph, const Picture *picture) {
    int checked = 0;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        const Section *to = call_of(graph, node);
        for (int i = 0; to && !copies(node) && i < node->in_count; i++) {
            const Node *value = node->in[i];
            const Section *from = call_of(graph, value);
            if (!from || from == to || copies(value) || value->dtype != DT_F32 ||
                value->shape.rank == 0)
                continue;
            const Arrow *arrow = find_arrow(picture, from, to);
            bool found = false;
            for (int k = 0; arrow && k < arrow->value.count; k++)
                found |= arrow->value.at[k] == value;
            cr_expect(found, "%%%u of %s, in %s", value->id, from->name, to->name);
            checked++;
        }
    }
    return checked;
}

Test(picture, arrows_are_what_flows_between_calls) {
    static const char *const names[] = {"cifar10.nnd", "simplenet.nnd", "gem.nnd"};
    for (int i = 0; i < 3; i++) {
        Arena *arena = arena_new();
        const Graph *graph = read_example(arena, names[i])->graph[NNC_TRAIN];
        const Picture *picture = picture_make(arena, graph, 1);
        check_arrows(graph, picture, arena);
        cr_expect_gt(check_values(graph, picture), 5, "%s", names[i]);
        arena_free(arena);
    }
}

// At every depth each parameter is a line of some forward box, with its shape.
Test(picture, parameters_hang_on_what_reads_them) {
    Arena *arena = arena_new();
    const Module *module = read_example(arena, "cifar10.nnd");
    for (int depth = 0; depth < 3; depth++) {
        const Picture *picture = picture_make(arena, module->graph[NNC_TRAIN], depth);
        for (int t = 0; t < module->tensor.count; t++) {
            const TensorInfo *tensor = &module->tensor.at[t];
            bool found = tensor->kind != NNC_PARAMETER;
            for (int b = 0; b < picture->box.count; b++)
                for (int k = 0; k < picture->box.at[b]->leaf.count; k++) {
                    const Box *box = picture->box.at[b];
                    const Leaf *leaf = &box->leaf.at[k];
                    const char *name =
                        box->section && *box->section->path
                            ? arena_printf(arena, "%s.%s", box->section->path, leaf->name)
                            : leaf->name;
                    found |= box->role == BOX_LAYER && !strcmp(name, tensor->name) &&
                             shape_equal(&leaf->node->shape, &tensor->shape);
                }
            cr_expect(found, "depth %d: %s", depth, tensor->name);
        }
    }
    arena_free(arena);
}

// What passes make stays in the calls that it was made for: no operator of the model is by itself.
Test(picture, passes_keep_calls) {
    Arena *arena = arena_new();
    const Module *module = read_example(arena, "cifar10.nnd");
    const Target *target = target_find("x86-64-v3");
    int count;
    const StageInfo *stage = stage_list(&count);
    for (int s = 0; s < count; s++) {
        const Graph *graph = stage_graph(arena, module, target, NNC_TRAIN, stage[s].name);
        const Picture *picture = graph ? picture_make(arena, graph, 1) : NULL;
        for (int i = 0; picture && i < picture->box.count; i++) {
            const Box *box = picture->box.at[i];
            bool is_call = box->section || box->role == BOX_INPUT || box->role == BOX_OUTPUT;
            cr_expect(is_call, "after %s: %s", stage[s].name, box->name);
        }
    }
    arena_free(arena);
}

// --- The drawing

static bool overlap(const Frame *a, const Frame *b) {
    double x = a->x > b->x ? a->x - b->x : b->x - a->x;
    double y = a->y > b->y ? a->y - b->y - b->height : b->y - a->y - a->height;
    return x < (a->width + b->width) / 2 && y < 0;
}

Test(picture, boxes_do_not_overlap_and_lie_inside) {
    Arena *arena = arena_new();
    const Module *module = read_example(arena, "cifar10.nnd");
    for (int f = 0; f < NNC_FUNCTIONS; f++)
        for (int depth = 0; module->graph[f] && depth < 3; depth++) {
            const Picture *picture = picture_make(arena, module->graph[f], depth);
            Extent *box = ARENA_ARRAY(arena, Extent, picture->box.count + 1);
            Extent *label = ARENA_ARRAY(arena, Extent, picture->arrow.count + 1);
            for (int i = 0; i < picture->box.count; i++)
                box[i] = (Extent){80 + 7 * (i % 5), 30 + 5 * (i % 3)};
            const Layout *layout = picture_layout(arena, picture, box, label);
            for (int i = 0; i < picture->box.count; i++) {
                const Frame *frame = &layout->box[i];
                cr_expect(frame->x - frame->width / 2 >= 0 && frame->y >= 0);
                cr_expect(frame->x + frame->width / 2 <= layout->width);
                cr_expect(frame->y + frame->height <= layout->height);
                for (int k = 0; k < i; k++)
                    cr_expect_not(overlap(frame, &layout->box[k]), "%s, depth %d: %s and %s",
                                  picture->function, depth, picture->box.at[i]->name,
                                  picture->box.at[k]->name);
            }
        }
    arena_free(arena);
}

// A backward box stands beside the one that it is the gradient of, and each arrow of the forward
// pass goes down.
Test(picture, gradients_stand_beside_and_arrows_go_down) {
    Arena *arena = arena_new();
    const Picture *picture =
        picture_make(arena, read_example(arena, "cifar10.nnd")->graph[NNC_TRAIN], 1);
    Extent *size = ARENA_ARRAY(arena, Extent, picture->box.count + picture->arrow.count);
    for (int i = 0; i < picture->box.count; i++)
        size[i] = (Extent){80, 30};
    const Layout *layout = picture_layout(arena, picture, size, size);
    int pairs = 0, falls = 0;
    for (int i = 0; i < picture->box.count; i++) {
        int forward = picture->box.at[i]->forward;
        if (forward < 0) continue;
        pairs++;
        cr_expect_eq(layout->box[i].y, layout->box[forward].y);
        cr_expect_gt(layout->box[i].x, layout->box[forward].x);
    }
    for (int i = 0; i < picture->arrow.count; i++) {
        const Arrow *arrow = picture->arrow.at[i];
        if (arrow->kind != ARROW_VALUE) continue;
        falls++;
        cr_expect_lt(layout->box[arrow->from].y, layout->box[arrow->to].y);
    }
    cr_expect_eq(pairs, 13); // all calls but normalize
    cr_expect_eq(falls, 19);
    arena_free(arena);
}

// --- Names from strangers

Test(picture, hostile_names_are_escaped) {
    Arena *arena = arena_new();
    Graph *graph = graph_new(arena, "a\"];\nevil <&>\\");
    Dim dim[] = {dim_batch(), dim_const(4)};
    const Node *x = node_input(graph, "x\" onload=\"<script>&\\", DT_F32, shape_of(2, dim));
    graph_add_root(graph, ROOT_OUTPUT, "</text>\x01", NULL, node_unary(graph, OP_tanh, x));
    const Picture *picture = picture_make(arena, graph, 1);
    Buf dot = buf_new(arena), svg = buf_new(arena);
    picture_dot(&dot, picture);
    picture_svg(&svg, picture);
    cr_expect(strstr(dot.text, "\"x\\\" onload=\\\"<script>&\\\\\""), "%s", dot.text);
    cr_expect(strstr(dot.text, "digraph \"a\\\"];\\nevil <&>\\\\\" {"), "%s", dot.text);
    cr_expect(strstr(svg.text, "x&quot; onload=&quot;&lt;script&gt;&amp;\\"), "%s", svg.text);
    cr_expect(strstr(svg.text, "&lt;/text&gt;?"), "%s", svg.text);
    cr_expect_null(strstr(svg.text, "<script"));
    arena_free(arena);
}

Test(picture, of_nothing) {
    Arena *arena = arena_new();
    Buf svg = buf_new(arena);
    picture_svg(&svg, picture_make(arena, graph_new(arena, "empty"), 1));
    cr_expect(strstr(svg.text, "</svg>"));
    arena_free(arena);
}
