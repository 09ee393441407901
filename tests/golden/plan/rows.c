// --- unit: train of rows.graph

// k0_div: [N, 8, 80], 2 results
void train_k0_div(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    float *restrict b4 = (float *)(ctx->output + 0); // b4
    float *restrict b3 = (float *)(ctx->output + 10240); // b3
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    float *restrict b5 = (float *)(ctx->scratch + thread * ctx->scratch_bytes + 0); // b5
    for (int i1 = (int)low; i1 < (int)high; i1++) {
        float v5_lane[16];
        for (int lane = 0; lane < 16; lane++)
            v5_lane[lane] = 0.0f;
        float v1_lane[16];
        for (int lane = 0; lane < 16; lane++)
            v1_lane[lane] = (-1.0f / 0.0f);
        int v1_block = 0;
        for (; v1_block + 16 <= 80; v1_block += 16) {
            for (int lane = 0; lane < 16; lane++) {
                const int r3 = v1_block + lane;
                v1_lane[lane] = nnc_max(v1_lane[lane], b0[i1 * 80 + r3]);
            }
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
        int v5_block = 0;
        for (; v5_block + 16 <= 80; v5_block += 16) {
            for (int lane = 0; lane < 16; lane++) {
                const int r4 = v5_block + lane;
                const float v4 = (nnc_exp((b0[i1 * 80 + r4] - v1)));
                b5[r4] = v4;
                v5_lane[lane] = v5_lane[lane] + v4;
            }
        }
        for (int lane = 0; lane < 8; lane++)
            v5_lane[lane] = v5_lane[lane] + v5_lane[lane + 8];
        for (int lane = 0; lane < 4; lane++)
            v5_lane[lane] = v5_lane[lane] + v5_lane[lane + 4];
        for (int lane = 0; lane < 2; lane++)
            v5_lane[lane] = v5_lane[lane] + v5_lane[lane + 2];
        for (int lane = 0; lane < 1; lane++)
            v5_lane[lane] = v5_lane[lane] + v5_lane[lane + 1];
        const float v5 = v5_lane[0];
        b3[i1] = v5;
        for (int i2 = 0; i2 < 80; i2++) {
            const float v7 = (b5[i2] / v5);
            b4[i1 * 80 + i2] = v7;
        }
    }
}

// --- unit: the calls of train, in order

void train_k0_div(const NncCtx *, long long, long long, int);

void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

void nnc_run_train(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_parallel(ctx, train_k0_div, 8 * n, 3);
}

