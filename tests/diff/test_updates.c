// SPDX-License-Identifier: MIT
// Weights that are updated behind their own gradients (pass/update.c): one step of small networks
// gives the states that the oracle gives, the same bits from any number of threads, and old
// parameters are read until they are written over. Where the whole gradient is needed first,
// nothing is taken apart.
#include "compiled.h"
#include "nnd/elab.h"
#include "pass/tiling.h"
#include "random_graph.h"

#include <criterion/criterion.h>

// An optimizer that uses something dear more than once, but nothing of the gradient.
#define HEAD                                                                                       \
    "nnd 1\n"                                                                                      \
    "fn clamped(g: [T], l) -> [T] { max(-l, min(l, g)) }\n"                                        \
    "optimizer dear(lr) {\n"                                                                       \
    "  state v = 0\n"                                                                              \
    "  v' = 0.9 * v + lr * g\n"                                                                    \
    "  e = exp(p)\n"                                                                               \
    "  p' = p - v' / (1 + e) + 0.01 * e - 0.1 * e * v'\n"                                          \
    "}\n"                                                                                          \
    "optimizer chained(lr) {\n" CHAIN "  p' = p - lr * g * (1 + zi)\n}\n"
// Taken apart naively, each doubles what there is to do.
#define TWICE(a, b) "  " #b " = sin(" #a ") * cos(" #a ")\n"
#define CHAIN                                                                                      \
    TWICE(p, a)                                                                                    \
    TWICE(a, b) TWICE(b, c) TWICE(c, d) TWICE(d, e) TWICE(e, f) TWICE(f, h) TWICE(h, i)            \
        TWICE(i, j) TWICE(j, k) TWICE(k, l) TWICE(l, m) TWICE(m, n) TWICE(n, o) TWICE(o, q)        \
            TWICE(q, r) TWICE(r, s) TWICE(s, u) TWICE(u, v) TWICE(v, w) TWICE(w, x) TWICE(x, y)    \
                TWICE(y, z) TWICE(z, za) TWICE(za, zb) TWICE(zb, zc) TWICE(zc, zd) TWICE(zd, ze)   \
                    TWICE(ze, zf) TWICE(zf, zg) TWICE(zg, zh) TWICE(zh, zi)
#define MODEL(layers)                                                                              \
    HEAD "model Net {\n"                                                                           \
         "  input  image: f32[N, 3, 32, 32]\n"                                                     \
         "  target label: index(10)[N]\n"                                                          \
         "  x = image |> avg_pool(8) |> flatten\n" layers "  output logits\n"                      \
         "  loss   cross_entropy(logits, label)\n"                                                 \
         "}\n"                                                                                     \
         "data d { source = shapes() }\n"                                                          \
         "train Net on d { batch = 9; "
#define LAYERS "  logits = x |> linear(100) |> tanh |> linear(70) |> tanh |> linear(10)\n"

typedef struct Network {
    const char *name, *text;
    int updates; // products that become weights where they are computed
} Network;

static const Network network[] = {
    {"one_state", MODEL(LAYERS) "optimizer = momentum(lr = 0.1) }\n", 2},
    {"no_state", MODEL(LAYERS) "optimizer = sgd(lr = 0.1, decay = 0.01) }\n", 2},
    {"used_twice_by_the_update", MODEL(LAYERS) "optimizer = nesterov(lr = 0.1) }\n", 2},
    {"several_states", MODEL(LAYERS) "optimizer = adadelta(lr = 0.1, decay = 0.1) }\n", 2},
    {"moments", MODEL(LAYERS) "optimizer = adamw(lr = 0.1) }\n", 2},
    {"a_state_of_one_number", MODEL(LAYERS) "optimizer = nadam(lr = 0.1, decay = 0.1) }\n", 2},
    {"the_largest_so_far", MODEL(LAYERS) "optimizer = amsgrad(lr = 0.1, debias = true) }\n", 2},
    {"something_dear", MODEL(LAYERS) "optimizer = dear(lr = 0.1) }\n", 2},
    {"long_chain", MODEL(LAYERS) "optimizer = chained(lr = 0.1) }\n", 2},
    {"groups",
     MODEL(
         LAYERS) "optimizer = momentum(lr = 0.1, decay = 0.1); group \"*.bias\" { decay = 0 } }\n",
     2},
    {"each_element_clipped",
     MODEL(LAYERS) "optimizer = momentum(lr = 0.1); clip = clamped(0.01) }\n", 2},
    {"two_minimizers", // the second one reads what the first one made
     MODEL(LAYERS) "minimize loss over \"linear_1.*\" with momentum(lr = 0.1)\n"
                   "minimize loss over \"linear_2.*\" with sgd(lr = 0.2) }\n",
     1},
    {"the_norm_of_all", MODEL(LAYERS) "optimizer = momentum(lr = 0.1); clip = global_norm(0.1) }\n",
     0},
    {"a_parameter_used_twice", // its gradient is a sum
     MODEL("  param w: [100, 48] ~ uniform(-0.1, 0.1)\n"
           "  h[n, i] = tanh(sum[j] w[i, j] * x[n, j])\n"
           "  k[n, i] = tanh(sum[j] w[j, i] * h[n, j])\n"
           "  logits = k |> linear(10)\n") "optimizer = momentum(lr = 0.1) }\n",
     0},
    {"factors", // the gradient of w reads the old v
     MODEL("  param w: [48, 100] ~ uniform(-0.1, 0.1)\n"
           "  param v: [100, 80] ~ uniform(-0.1, 0.1)\n"
           "  z[n, i] = sum[j, k] x[n, j] * w[j, k] * v[k, i]\n"
           "  logits = z |> linear(10)\n") "optimizer = momentum(lr = 0.1) }\n",
     2},
};

static const Graph *elaborated(Arena *arena, const Network *net) {
    Diag *diag = diag_new(arena);
    File *file = nnd_parse(arena, source_from_text(arena, "net.nnd", net->text), diag);
    Module *module = nnd_elaborate(arena, file, NULL, diag);
    cr_assert(module, "%s: %s", net->name, diag_text(diag, arena));
    return module->graph[NNC_TRAIN];
}

static int count_updates(const Fusion *fusion) {
    int count = 0;
    for (int k = 0; k < fusion->kernel.count; k++)
        count += fusion->kernel.at[k]->tiling && fusion->kernel.at[k]->tiling->tile_columns > 0;
    return count;
}

// Small ones, so that little is lost where sums cancel.
static const double **leaves(Arena *arena, const Graph *graph, int64_t n) {
    const double **leaf = random_leaves(arena, graph, n, 1);
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        if (!leaf[id] || node->dtype != DT_F32 || node->op == OP_hyper) continue;
        for (int64_t i = 0; i < shape_eval(&node->shape, n); i++)
            ((double *)leaf[id])[i] = (float)(0.1 * leaf[id][i]);
    }
    return leaf;
}

static void check(const Network *net, const char *march, JitTier tier, int updates) {
    Arena *arena = arena_new();
    Case *c = case_new(arena, elaborated(arena, net), 1);
    c->march = march;
    c->batch = 9;
    case_build(c, 4096, tier);
    cr_assert(count_updates(c->plan->fusion) == updates, "%s: %d updates, not %d", net->name,
              count_updates(c->plan->fusion), updates);
    for (int threads = 2; threads <= MOST_THREADS; threads++) {
        NncPool *pool = nnc_pool_new(threads);
        int64_t n = threads == 3 ? 4 : 9; // a smaller batch, too
        case_check(c, n, leaves(arena, c->graph, n), pool);
        nnc_pool_free(pool);
    }
    jit_free(c->jit);
    arena_free(arena);
}

enum { NETWORKS = sizeof network / sizeof *network, SOME = 5 };

static void check_first(const char *march, int count) {
    if (target_find(march)->lanes > target_find("native")->lanes)
        cr_skip_test("this processor is no %s", march);
    for (int i = 0; i < count; i++)
        check(&network[i], march, JIT_NATIVE, network[i].updates);
}

Test(updates, native, .timeout = 300) { check_first("native", NETWORKS); }

Test(updates, with_short_vectors, .timeout = 300) { check_first("x86-64", SOME); }

Test(updates, without_vectors_nothing_is_taken_apart) {
    for (int i = 0; i < NETWORKS; i++)
        check(&network[i], "native", JIT_TCC, 0);
}
