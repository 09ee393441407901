// --- unit: train of softmax.graph

// k0_reduce_max: [N]
void train_k0_reduce_max(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b1 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 448) - part_low * 1); // b1
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        float v1_lane[16];
        for (int lane = 0; lane < 16; lane++)
            v1_lane[lane] = (-1.0f / 0.0f);
        int v1_block = 0;
        for (; v1_block + 16 <= 100; v1_block += 16) {
            for (int lane = 0; lane < 16; lane++) {
                const int r1 = v1_block + lane;
                v1_lane[lane] = nnc_max(v1_lane[lane], b0[i0 * 100 + r1]);
            }
        }
        for (int lane = 0; lane < 100 - v1_block; lane++) {
            const int r1 = v1_block + lane;
            v1_lane[lane] = nnc_max(v1_lane[lane], b0[i0 * 100 + r1]);
        }
        for (int lane = 0; lane < 8; lane++)
            v1_lane[lane] = nnc_max(v1_lane[lane], v1_lane[lane + 8]);
        for (int lane = 0; lane < 4; lane++)
            v1_lane[lane] = nnc_max(v1_lane[lane], v1_lane[lane + 4]);
        for (int lane = 0; lane < 2; lane++)
            v1_lane[lane] = nnc_max(v1_lane[lane], v1_lane[lane + 2]);
        for (int lane = 0; lane < 1; lane++)
            v1_lane[lane] = nnc_max(v1_lane[lane], v1_lane[lane + 1]);
        const float v1 = v1_lane[0];
        b1[i0] = v1;
    }
}

// k1_exp: [N, 100]
void train_k1_exp(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b2 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 100); // b2
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    const float *restrict b1 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 448) - part_low * 1); // b1
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        const float v1 = b1[i0];
        for (int i1 = 0; i1 < 100; i1++) {
            b2[i0 * 100 + i1] = (nnc_exp((b0[i0 * 100 + i1] - v1)));
        }
    }
}

// k2_reduce_sum: [N]
void train_k2_reduce_sum(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b3 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 448) - part_low * 1); // b3
    const float *restrict b2 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 100); // b2
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        float v1_lane[16];
        for (int lane = 0; lane < 16; lane++)
            v1_lane[lane] = 0.0f;
        int v1_block = 0;
        for (; v1_block + 16 <= 100; v1_block += 16) {
            for (int lane = 0; lane < 16; lane++) {
                const int r1 = v1_block + lane;
                v1_lane[lane] = v1_lane[lane] + b2[i0 * 100 + r1];
            }
        }
        for (int lane = 0; lane < 100 - v1_block; lane++) {
            const int r1 = v1_block + lane;
            v1_lane[lane] = v1_lane[lane] + b2[i0 * 100 + r1];
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
        b3[i0] = v1;
    }
}

// k3_div: [N, 100]
void train_k3_div(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    const long long part_low = low;
    float *restrict b4 = (float *)(ctx->output + 0); // b4
    const float *restrict b2 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 0) - part_low * 100); // b2
    const float *restrict b3 = ((float *)(ctx->scratch + thread * ctx->scratch_bytes + 448) - part_low * 1); // b3
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        const float v1 = b3[i0];
        for (int i1 = 0; i1 < 100; i1++) {
            b4[i0 * 100 + i1] = (b2[i0 * 100 + i1] / v1);
        }
    }
}

// --- unit: the calls of train, in order

void train_k0_reduce_max(const NncCtx *, long long, long long, int);
void train_k1_exp(const NncCtx *, long long, long long, int);
void train_k2_reduce_sum(const NncCtx *, long long, long long, int);
void train_k3_div(const NncCtx *, long long, long long, int);

void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

static void train_group1(const NncCtx *ctx, long long low, long long high, int thread) {
    const long long n = ctx->n;
    (void)n, (void)low, (void)high;
    train_k0_reduce_max(ctx, low, high, thread);
    train_k1_exp(ctx, low, high, thread);
    train_k2_reduce_sum(ctx, low, high, thread);
    train_k3_div(ctx, low, high, thread);
}

void nnc_run_train(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_parallel(ctx, train_group1, n, 1);
}

