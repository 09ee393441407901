// --- unit: train of momentum.graph

// k0_sub: [1000], 2 results
void train_k0_sub(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    float *restrict b0 = (float *)(ctx->state + 0); // params
    float *restrict b1 = (float *)(ctx->state + 4032); // momentum.v
    const float *restrict b2 = (float *)(ctx->input + 0); // g
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        const float v4 = ((b1[i0] * 0.899999976f) + b2[i0]);
        const float v6 = (b0[i0] - v4);
        b1[i0] = v4;
        b0[i0] = v6;
    }
}

// --- unit: the calls of train, in order

void train_k0_sub(const NncCtx *, long long, long long, int);

void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

void nnc_run_train(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_parallel(ctx, train_k0_sub, 1000, 368);
}

