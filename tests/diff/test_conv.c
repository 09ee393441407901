// SPDX-License-Identifier: MIT
// Random convolutions with their gradients, as layers have them: a ReLU in front, groups, stride,
// dilation and padding, bias and ReLU behind; then the gradients of image, weights and bias. All
// through all passes and the JIT against the oracle, as products and as loops.
#include "compiled.h"
#include "pass/grad.h"
#include "random_graph.h"
#include "random_internal.h"

#include <criterion/criterion.h>

enum { CONVOLUTIONS = 400 };

typedef struct Axis { // of the image
    int extent, taps, stride, dilation, pad, outputs;
} Axis;

typedef struct Conv {
    int groups, in, out; // channels of a group; groups 0: one, and no axis for it
    Axis axis[2];
    bool pad_node; // padding by a node, or by indices that reach beyond the image
} Conv;

static Axis random_axis(RandomGraph *random) {
    Axis axis;
    do {
        axis = (Axis){.extent = between(random, 1, 9), .taps = between(random, 1, 5)};
        axis.stride = one_in(random, 2) ? 1 : between(random, 1, 3);
        axis.dilation = one_in(random, 3) ? 2 : 1;
        axis.pad = one_in(random, 2) ? 0 : between(random, 0, 2);
        if (one_in(random, 8)) axis.taps = axis.extent < 5 ? axis.extent : 5; // one output
        int room = axis.extent + 2 * axis.pad - (axis.taps - 1) * axis.dilation - 1;
        axis.outputs = room < 0 ? 0 : room / axis.stride + 1;
    } while (axis.outputs == 0);
    return axis;
}

static Conv random_conv(RandomGraph *random) {
    Conv conv = {.groups = 1, .in = between(random, 1, 6), .out = between(random, 1, 8)};
    if (one_in(random, 3)) conv.groups = between(random, 2, 3), conv.in = between(random, 1, 2);
    if (one_in(random, 6)) conv.groups = 4, conv.in = conv.out = 1; // by channels
    conv.axis[0] = random_axis(random);
    conv.axis[1] = random_axis(random);
    conv.pad_node = one_in(random, 2);
    if (one_in(random, 40)) { // so large that windows are copied image by image
        conv = (Conv){.groups = 1, .in = between(random, 4, 6), .out = 24};
        for (int i = 0; i < 2; i++)
            conv.axis[i] = (Axis){12, 3, 1, 1, i, 10 + 2 * i};
    }
    return conv;
}

static Shape shape_from(int rank, const int *extent) { // 0: N
    Dim dim[MAX_RANK];
    for (int i = 0; i < rank; i++)
        dim[i] = extent[i] ? dim_const(extent[i]) : dim_batch();
    return shape_of(rank, dim);
}

static const Node *relu(Graph *g, const Node *x) {
    return node_binary(g, OP_max, x, node_const(g, DT_F32, 0));
}

// z[n, k, h, w] = sum over c, r, s of x[n, c, h + r - pad, w + s - pad] w[k, c, r, s]
static const Node *convolve_plainly(Graph *g, const Conv *conv, const Node *x, const Node *w) {
    static const int8_t in_x[] = {0, 4, 2, 3}, in_w[] = {1, 4, 5, 6};
    ContractAttr attr = {.summed = 3};
    attr.extent[0] = dim_const(conv->in);
    for (int i = 0; i < 4; i++) {
        attr.a[i] = (Access){{in_x[i], -1}, {1, 0}, 0, 1};
        attr.b[i] = (Access){{in_w[i], -1}, {1, 0}, 0, 1};
    }
    for (int i = 0; i < 2; i++) {
        const Axis *axis = &conv->axis[i];
        attr.extent[1 + i] = dim_const(axis->taps);
        attr.a[2 + i] = (Access){
            {(int8_t)(2 + i), (int8_t)(5 + i)}, {1, 1}, conv->pad_node ? 0 : -axis->pad, 1};
    }
    int out[] = {0, conv->out, conv->axis[0].outputs, conv->axis[1].outputs};
    return node_contract(g, x, w, &attr, shape_from(4, out));
}

// z[n, g, k, h, w] = sum over c, r, s of x[n, g, c, h*stride + r*dilation - pad, ..] w[g, k, c, r,
// s]
static const Node *convolve(Graph *g, const Conv *conv, const Node *x, const Node *w) {
    const Axis *h = &conv->axis[0], *v = &conv->axis[1];
    ContractAttr attr = {.summed = 3};
    attr.extent[0] = dim_const(conv->in);
    attr.extent[1] = dim_const(h->taps);
    attr.extent[2] = dim_const(v->taps);
    int place = conv->groups ? 3 : 2; // of the image's sides among the axes
    if (conv->pad_node) {
        PadAxis pad[MAX_RANK] = {{0}};
        pad[place] = (PadAxis){h->pad, h->pad, 0}, pad[place + 1] = (PadAxis){v->pad, v->pad, 0};
        x = node_pad(g, x, pad, 0);
    }
    if (!conv->groups) return convolve_plainly(g, conv, x, w);
    for (int i = 0; i < 5; i++) { // loop indices: n g k h w, c r s
        static const int8_t in_x[] = {0, 1, 5, 3, 4}, in_w[] = {1, 2, 5, 6, 7};
        attr.a[i] = (Access){{in_x[i], -1}, {1, 0}, 0, 1};
        attr.b[i] = (Access){{in_w[i], -1}, {1, 0}, 0, 1};
    }
    for (int i = 0; i < 2; i++) {
        const Axis *axis = &conv->axis[i];
        attr.a[3 + i] = (Access){{(int8_t)(3 + i), (int8_t)(6 + i)},
                                 {axis->stride, axis->dilation},
                                 conv->pad_node ? 0 : -axis->pad,
                                 1};
    }
    int out[] = {0, conv->groups, conv->out, h->outputs, v->outputs};
    return node_contract(g, x, w, &attr, shape_from(5, out));
}

// One that becomes Winograd's transforms: 3 x 3, stride 1, channels that fill vectors.
static Conv winograd_conv(RandomGraph *random) {
    static const int channels[] = {12, 16, 24, 32, 40, 48, 64};
    Conv conv = {.groups = 0, .pad_node = one_in(random, 3)};
    conv.in = channels[below(random, 7)];
    conv.out = channels[below(random, 7)];
    for (int i = 0; i < 2; i++) {
        int extent = between(random, 9, 15), pad = between(random, 0, 2);
        conv.axis[i] = (Axis){extent, 3, 1, 1, pad, extent + 2 * pad - 2};
    }
    return conv;
}

// One that fills vectors otherwise: any taps, stride, dilation, groups.
static Conv wide_conv(RandomGraph *random) {
    static const int channels[] = {3, 4, 12, 16, 20, 32, 40};
    Conv conv = {.pad_node = one_in(random, 2)};
    conv.in = channels[below(random, 7)];
    conv.out = channels[below(random, 7)];
    if (one_in(random, 3)) conv.groups = between(random, 2, 4);
    if (one_in(random, 5)) conv.groups = 20, conv.in = conv.out = 1;
    for (int i = 0; i < 2; i++) {
        conv.axis[i] = random_axis(random);
        conv.axis[i].extent += 4;
        conv.axis[i].outputs += 4 / conv.axis[i].stride;
    }
    // without groups' axis there is no stride either
    if (!conv.groups && one_in(random, 2)) conv.groups = 1;
    for (int i = 0; !conv.groups && i < 2; i++)
        conv.axis[i].outputs = conv.axis[i].extent + 2 * conv.axis[i].pad - conv.axis[i].taps + 1,
        conv.axis[i].stride = conv.axis[i].dilation = 1;
    return conv;
}

static Graph *conv_graph(Arena *arena, uint64_t seed, Conv (*choose)(RandomGraph *)) {
    RandomGraph *random = random_graph_new(arena, seed);
    Graph *g = random->graph;
    Conv conv = choose(random);
    const Axis *h = &conv.axis[0], *v = &conv.axis[1];
    int groups = conv.groups ? conv.groups : 1, channels = groups * conv.out;
    Shape image = shape_from(4, (int[]){0, groups * conv.in, h->extent, v->extent});
    Shape grouped = shape_from(5, (int[]){0, groups, conv.in, h->extent, v->extent});
    Shape filter = shape_from(5, (int[]){groups, conv.out, conv.in, h->taps, v->taps});
    if (!conv.groups) grouped = image, filter = shape_of(4, &filter.dim[1]);
    Shape result = shape_from(4, (int[]){0, channels, h->outputs, v->outputs});
    const Node *x = node_input(g, "x", DT_F32, image);
    const Node *bias = node_param(g, "b", shape_from(1, &channels));
    const Node *weight = node_param(g, "w", filter);
    const Node *z = convolve(g, &conv, node_reshape(g, relu(g, x), grouped), weight);
    const Node *y = relu(g, node_binary(g, OP_add, node_reshape(g, z, result),
                                        node_broadcast(g, bias, 0xd, result)));
    const Node *of[] = {x, weight, bias}, *gradient[3];
    graph_grad(g, y, node_input(g, "dy", DT_F32, result), of, 3, gradient);
    graph_add_root(g, ROOT_OUTPUT, "y", NULL, y);
    graph_add_root(g, ROOT_OUTPUT, "dx", NULL, gradient[0]);
    graph_add_root(g, ROOT_OUTPUT, "dw", NULL, gradient[1]);
    graph_add_root(g, ROOT_STATE, "b", bias, gradient[2]);
    return g;
}

static void check(uint64_t seed, double least, JitTier tier, NncPool *pool) {
    Arena *arena = arena_new();
    Case *c = case_new(arena, conv_graph(arena, seed, random_conv), seed);
    case_build(c, least, tier);
    for (int64_t n = BATCH; n >= 1; n -= 2)
        case_check(c, n, random_leaves(arena, c->graph, n, seed), pool);
    jit_free(c->jit);
    arena_free(arena);
}

static void check_all(double least, JitTier tier, int convolutions) {
    NncPool *pool = nnc_pool_new(2);
    for (uint64_t seed = 1; seed <= (uint64_t)convolutions; seed++)
        check(seed, least, tier, pool);
    nnc_pool_free(pool);
}

// For a GPU: also one so small that sums are in parts.
static void check_cuda(double least) {
    enum { CONVOLUTIONS = 10 };
    Arena *arena = arena_new();
    Case *c[CONVOLUTIONS];
    for (int i = 0; i < CONVOLUTIONS; i++) {
        uint64_t seed = 51 + (uint64_t)i;
        c[i] = case_new(arena, conv_graph(arena, seed, random_conv), seed);
        c[i]->march = i % 2 ? "sm_90" : "sm_75";
        c[i]->processors = i % 3;
    }
    cases_build(c, CONVOLUTIONS, least);
    for (int i = 0; i < CONVOLUTIONS; i++)
        for (int64_t n = BATCH; n >= 1; n -= 2)
            case_check(c[i], n, random_leaves(arena, c[i]->graph, n, c[i]->seed), NULL);
    arena_free(arena);
}

// --- Winograd's transforms, for each width of vectors

typedef struct Native {
    Conv (*choose)(RandomGraph *);
    const char *const *kernels; // that it leads to, NULL at the end
    uint64_t first;             // seed
    int count;
} Native;

static void check_native(const char *march, const Native *of) {
    enum { THREADS = 4 };
    if (target_find(march)->lanes > target_find("native")->lanes)
        cr_skip_test("this processor is no %s", march);
    for (uint64_t seed = of->first; seed < of->first + (uint64_t)of->count; seed++) {
        Arena *arena = arena_new();
        Case *c = case_new(arena, conv_graph(arena, seed, of->choose), seed);
        c->march = march;
        c->tolerance = 2e-5;
        case_build(c, 0, JIT_NATIVE);
        for (int i = 0; of->kernels[i]; i++)
            cr_assert(strstr(c->source, of->kernels[i]), "seed %d: no %s", (int)seed,
                      of->kernels[i]);
        for (int threads = 2; threads <= THREADS; threads++) {
            NncPool *pool = nnc_pool_new(threads);
            for (int64_t n = BATCH; n >= 1; n -= 2)
                case_check(c, n, random_leaves(arena, c->graph, n, seed), pool);
            nnc_pool_free(pool);
        }
        jit_free(c->jit);
        arena_free(arena);
    }
}

static void check_winograd(const char *march, uint64_t first) {
    static const char *const kernels[] = {
        "wino_in(", "wino_out(", "wino_filter", "wino_in_t(", "wino_out_t(", "wino_filter_t", NULL};
    check_native(march, &(Native){winograd_conv, kernels, first, 3});
}

static void check_wide(const char *march, uint64_t first) {
    static const char *const kernels[] = {"block_", NULL};
    check_native(march, &(Native){wide_conv, kernels, first, 6});
}

// Whatever algorithm, whatever form of the products in it.
Test(conv, loops_in_cuda) { check_cuda(1e9); }
Test(conv, products_in_cuda) { check_cuda(0); }
Test(conv, any_choice) {
    NncPool *pool = nnc_pool_new(3);
    for (uint64_t seed = 31; seed < 40; seed++) {
        Arena *arena = arena_new();
        Case *c = case_new(arena, conv_graph(arena, seed, winograd_conv), seed);
        c->any_choice = true;
        c->tolerance = 2e-5;
        case_build(c, 0, JIT_NATIVE);
        for (int64_t n = BATCH; n >= 1; n -= 2)
            case_check(c, n, random_leaves(arena, c->graph, n, seed), pool);
        jit_free(c->jit);
        arena_free(arena);
    }
    nnc_pool_free(pool);
}

#ifdef __x86_64__
Test(conv, winograd_lanes16) { check_winograd("x86-64-v4", 1); }
Test(conv, winograd_lanes8) { check_winograd("x86-64-v3", 11); }
Test(conv, winograd_lanes4) { check_winograd("x86-64", 21); }
Test(conv, wide_lanes16) { check_wide("x86-64-v4", 1); }
Test(conv, wide_lanes8) { check_wide("x86-64-v3", 21); }
Test(conv, wide_lanes4) { check_wide("x86-64", 41); }
#else
Test(conv, winograd) { check_winograd("native", 1); }
Test(conv, wide) { check_wide("native", 1); }
#endif

Test(conv, products) { check_all(0, JIT_TCC, CONVOLUTIONS); }
Test(conv, loops) { check_all(1e9, JIT_TCC, CONVOLUTIONS / 4); }
