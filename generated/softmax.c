// --- unit: train of softmax.nnd

// k0_product: [N, 10], a matrix product
//   softmax.nnd:7    logits = image |> flatten |> linear(classes)
#line 7 "softmax.nnd"
void train_k0_product(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b5 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 10); // b5
    const float *restrict b0 = (float *)(ctx->state + 0); // params
    nnc_product(0, 1, high - low, 10, 784,
        (float *)(ctx->input + 0) + low * 784, 784,
        (float *)(ctx->state + 0), 784,
        b5 + low * 10, 10, 0);
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        for (int i1 = 0; i1 < 10; i1++) {
            b5[i0 * 10 + i1] = (b5[i0 * 10 + i1] + b0[i1 + 7840]);
        }
    }
}

// k1_reduce_max: [N]
//   softmax.nnd:9    loss   cross_entropy(logits, label)
#line 9 "softmax.nnd"
void train_k1_reduce_max(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b6 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 640) - part_low * 1); // b6
    const float *restrict b5 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 10); // b5
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        float v1 = (-1.0f / 0.0f);
        for (int r1 = 0; r1 < 10; r1++) {
            v1 = nnc_max(v1, b5[i0 * 10 + r1]);
        }
        b6[i0] = v1;
    }
}

// k2_exp: [N, 10]
//   softmax.nnd:9    loss   cross_entropy(logits, label)
#line 9 "softmax.nnd"
void train_k2_exp(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b7 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 320) - part_low * 10); // b7
    const float *restrict b5 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 10); // b5
    const float *restrict b6 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 640) - part_low * 1); // b6
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        const float v1 = b6[i0];
        for (int i1 = 0; i1 < 10; i1++) {
            b7[i0 * 10 + i1] = (nnc_exp((b5[i0 * 10 + i1] - v1)));
        }
    }
}

// k3_reduce_sum: [N]
//   softmax.nnd:9    loss   cross_entropy(logits, label)
#line 9 "softmax.nnd"
void train_k3_reduce_sum(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b8 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 704) - part_low * 1); // b8
    const float *restrict b7 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 320) - part_low * 10); // b7
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        float v1 = 0.0f;
        for (int r1 = 0; r1 < 10; r1++) {
            v1 = v1 + b7[i0 * 10 + r1];
        }
        b8[i0] = v1;
    }
}

// k4_reduce_sum: [N]
//   softmax.nnd:9    loss   cross_entropy(logits, label)
#line 9 "softmax.nnd"
void train_k4_reduce_sum(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b9 = (float *)(ctx->work + 32704); // b9
    const float *restrict b8 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 704) - part_low * 1); // b8
    const float *restrict b6 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 640) - part_low * 1); // b6
    const int *restrict b2 = (int *)(ctx->input + 100352); // label
    const float *restrict b5 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 10); // b5
    for (int first = (int)low; first < (int)high; first += 256) {
        const int last = first + 256 < (int)high ? first + 256 : (int)high;
        float v10_row[256];
        for (int i0 = first; i0 < last; i0++) {
            v10_row[i0 - first] = 0.0f;
        }
        for (int r1 = 0; r1 < 10; r1++) {
            for (int i0 = first; i0 < last; i0++) {
                const float v7 = b5[i0 * 10 + r1];
                v10_row[i0 - first] = v10_row[i0 - first] + (((r1) == b2[i0]) ? v7 : 0.0f);
            }
        }
        for (int i0 = first; i0 < last; i0++) {
            b9[i0] = (((nnc_log(b8[i0])) + b6[i0]) - v10_row[i0 - first]);
        }
    }
}

// k5_reduce_sum: []
//   softmax.nnd:9    loss   cross_entropy(logits, label)
#line 9 "softmax.nnd"
void train_k5_reduce_sum(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    float *restrict b10 = (float *)(ctx->output + 0); // b10
    const float *restrict b9 = (float *)(ctx->work + 32704); // b9
    const float s0 = ctx->scalar[0];
    float v1_lane[16];
    for (int lane = 0; lane < 16; lane++)
        v1_lane[lane] = 0.0f;
    int v1_block = 0;
    for (; v1_block + 16 <= n; v1_block += 16) {
        for (int lane = 0; lane < 16; lane++) {
            const int r1 = v1_block + lane;
            v1_lane[lane] = v1_lane[lane] + b9[r1];
        }
    }
    for (int lane = 0; lane < n - v1_block; lane++) {
        const int r1 = v1_block + lane;
        v1_lane[lane] = v1_lane[lane] + b9[r1];
    }
    for (int lane = 0; lane < 8; lane++)
        v1_lane[lane] = v1_lane[lane] + v1_lane[lane + 8];
    for (int lane = 0; lane < 4; lane++)
        v1_lane[lane] = v1_lane[lane] + v1_lane[lane + 4];
    for (int lane = 0; lane < 2; lane++)
        v1_lane[lane] = v1_lane[lane] + v1_lane[lane + 2];
    for (int lane = 0; lane < 1; lane++)
        v1_lane[lane] = v1_lane[lane] + v1_lane[lane + 1];
    const float v1 = v1_lane[0];
    const float v4 = (v1 / s0);
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        b10[0] = v4;
    }
}

// k6_div: [N]
//   softmax.nnd:9    loss   cross_entropy(logits, label)
#line 9 "softmax.nnd"
void train_k6_div(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b11 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 1); // b11
    const float *restrict b8 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 704) - part_low * 1); // b8
    const float s0 = ctx->scalar[0];
    const float v3 = (1.0f / s0);
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        b11[i0] = (v3 / b8[i0]);
    }
}

// --- unit: train of softmax.nnd

// k7_add: [N, 10]
//   softmax.nnd:9    loss   cross_entropy(logits, label)
//   softmax.nnd:7    logits = image |> flatten |> linear(classes)
#line 9 "softmax.nnd"
void train_k7_add(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b12 = (float *)(ctx->work + 31424); // b12
    const int *restrict b2 = (int *)(ctx->input + 100352); // label
    const float *restrict b11 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 1); // b11
    const float *restrict b7 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 320) - part_low * 10); // b7
    const float s0 = ctx->scalar[0];
    const float v6 = (-1.0f / s0);
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        const int v1 = b2[i0];
        const float v9 = b11[i0];
        for (int i1 = 0; i1 < 10; i1++) {
            b12[i0 * 10 + i1] = ((((i1) == v1) ? v6 : 0.0f) + (v9 * b7[i0 * 10 + i1]));
        }
    }
}

// k8_reduce_sum: [10]
//   softmax.nnd:7    logits = image |> flatten |> linear(classes)
#line 7 "softmax.nnd"
void train_k8_reduce_sum(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    float *restrict b4 = (float *)(ctx->work + 0); // b4
    const float *restrict b12 = (float *)(ctx->work + 31424); // b12
    for (int first = (int)low; first < (int)high; first += 256) {
        const int last = first + 256 < (int)high ? first + 256 : (int)high;
        float v1_row[256];
        for (int i0 = first; i0 < last; i0++) {
            v1_row[i0 - first] = 0.0f;
        }
        for (int r1 = 0; r1 < n; r1++) {
            for (int i0 = first; i0 < last; i0++) {
                v1_row[i0 - first] = v1_row[i0 - first] + b12[i0 + r1 * 10];
            }
        }
        for (int i0 = first; i0 < last; i0++) {
            b4[i0 + 7840] = v1_row[i0 - first];
        }
    }
}

// k9_product: [1, 10, 784], a matrix product
//   softmax.nnd:7    logits = image |> flatten |> linear(classes)
#line 7 "softmax.nnd"
void train_k9_product(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    nnc_product(1, 0, 10, high - low, n,
        (float *)(ctx->work + 31424), 10,
        (float *)(ctx->input + 0) + low, 784,
        (float *)(ctx->work + 0) + low, 784, 0);
}

// k10_sub: [7850], 2 results
//   softmax.nnd:16    optimizer = momentum(lr = 0.1)
#line 16 "softmax.nnd"
void train_k10_sub(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    float *restrict b0 = (float *)(ctx->state + 0); // params
    float *restrict b3 = (float *)(ctx->state + 31424); // momentum.v
    const float *restrict b4 = (float *)(ctx->work + 0); // b4
    const float s1 = ctx->scalar[1];
    const float v4 = s1;
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        const float v7 = ((b3[i0] * 0.899999976f) + (v4 * b4[i0]));
        const float v9 = (b0[i0] - v7);
        b3[i0] = v7;
        b0[i0] = v9;
    }
}

// --- unit: the calls of train, in order

void train_k0_product(const NncCtx *, long long, long long, int);
void train_k1_reduce_max(const NncCtx *, long long, long long, int);
void train_k2_exp(const NncCtx *, long long, long long, int);
void train_k3_reduce_sum(const NncCtx *, long long, long long, int);
void train_k4_reduce_sum(const NncCtx *, long long, long long, int);
void train_k5_reduce_sum(const NncCtx *, long long, long long, int);
void train_k6_div(const NncCtx *, long long, long long, int);
void train_k7_add(const NncCtx *, long long, long long, int);
void train_k8_reduce_sum(const NncCtx *, long long, long long, int);
void train_k9_product(const NncCtx *, long long, long long, int);
void train_k10_sub(const NncCtx *, long long, long long, int);

void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
    const double x28 = n;
    out[0] = (float)x28;
    const double x47 = hyper[0];
    out[1] = (float)x47;
}

static void train_group1(const NncCtx *ctx, long long low, long long high, int thread) {
    const long long n = ctx->n;
    (void)n, (void)low, (void)high;
    train_k0_product(ctx, low, high, thread);
    train_k1_reduce_max(ctx, low, high, thread);
    train_k2_exp(ctx, low, high, thread);
    train_k3_reduce_sum(ctx, low, high, thread);
    train_k4_reduce_sum(ctx, low, high, thread);
    train_k6_div(ctx, low, high, thread);
    train_k7_add(ctx, low, high, thread);
}

void nnc_run_train(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_parallel(ctx, train_group1, n, 8);
    {
        const NncLoop loop[] = {
            {train_k8_reduce_sum, 10, 32, 513},
            {train_k9_product, 784, 208, 1569},
            {train_k5_reduce_sum, 1, 1073741824, 77},
        };
        nnc_parallel_all(ctx, loop, 3);
    }
    nnc_parallel(ctx, train_k10_sub, 7850, 352);
}

