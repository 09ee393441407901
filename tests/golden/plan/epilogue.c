// --- unit: train of epilogue.graph

// k0_product: [N, 32], a matrix product
void train_k0_product(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    float *restrict b3 = (float *)(ctx->output + 0); // b3
    const float *restrict b2 = (float *)(ctx->state + 8192); // b
    nnc_product(0, 1, high - low, 32, 64,
        (float *)(ctx->input + 0) + low * 64, 64,
        (float *)(ctx->state + 0), 64,
        b3 + low * 32, 32, 0);
    for (int i0 = (int)low; i0 < (int)high; i0++) {
        for (int i1 = 0; i1 < 32; i1++) {
            b3[i0 * 32 + i1] = (nnc_tanh((b3[i0 * 32 + i1] + b2[i1])));
        }
    }
}

// --- unit: the calls of train, in order

void train_k0_product(const NncCtx *, long long, long long, int);

void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

void nnc_run_train(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    train_k0_product(ctx, 0, n, 0);
}

