// --- unit: train of windows.graph

// k0_reduce_max: [N, 4, 4]
void train_k0_reduce_max(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    float *restrict b1 = (float *)(ctx->output + 0); // b1
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        for (int i1 = 0; i1 < 4; i1++) {
            for (int i2 = 0; i2 < 4; i2++) {
                float v3 = (-1.0f / 0.0f);
                for (int r3 = 0; r3 < 2; r3++) {
                    for (int r4 = 0; r4 < 2; r4++) {
                        float v2 = (-1.0f / 0.0f);
                        if (i1 * 2 + r3 - 1 >= 0 && i1 * 2 + r3 - 1 < 6 && i2 * 2 + r4 - 1 >= 0 && i2 * 2 + r4 - 1 < 6) {
                            v2 = b0[i0 * 36 + i1 * 12 + i2 * 2 + r3 * 6 + r4 - 7];
                        }
                        v3 = nnc_max(v3, v2);
                    }
                }
                b1[i0 * 16 + i1 * 4 + i2] = v3;
            }
        }
    }
}

// --- unit: the calls of train, in order

void train_k0_reduce_max(const NncCtx *, long long, long long, int);

void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

void nnc_run_train(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    train_k0_reduce_max(ctx, 0, n, 0);
}

