// --- train

// k0_tanh: [N, 600, 64]
extern "C" __global__ void __launch_bounds__(128)
train_k0_tanh(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    float *restrict b2 = (float *)(ctx->output + 0); // b2
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    const float *restrict b1 = (float *)(ctx->state + 0); // b
    const unsigned at = 4 * (blockIdx.x * 128u + threadIdx.x);
    if (at >= (unsigned)(38400 * n)) return;
    const int first = (int)(at % 64);
    const int i1 = (int)(at / 64);
    const NncFour<float> v0_four = nnc_four(b0 + i1 * 64 + first);
    const NncFour<float> v1_four = nnc_four(b1 + first);
    NncFour<float> to0;
#pragma unroll
    for (int q = 0; q < 4; q++) {
        const int i2 = first + q;
        to0.at[q] = (nnc_tanh((v0_four.at[q] + v1_four.at[q])));
    }
    nnc_put_four(b2 + i1 * 64 + first, to0);
}

// k1_slice: [N, 100, 64]
extern "C" __global__ void __launch_bounds__(64)
train_k1_slice(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    float *restrict b3 = (float *)(ctx->output + 614400); // b3
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    const unsigned at = blockIdx.x * 64u + threadIdx.x;
    if (at >= (unsigned)(6400 * n)) return;
    const int i2 = (int)(at % 64);
    const int i1 = (int)(at / 64 % 100);
    const int i0 = (int)(at / 6400);
    b3[i0 * 6400 + i1 * 64 + i2] = b0[i0 * 38400 + i1 * 128 + i2 + 64];
}

extern "C" void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

extern "C" void train_k0_tanh_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k0_tanh, "train_k0_tanh", "", (38400 * n + 511) / 512, 128, 0);
}

extern "C" void train_k1_slice_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k1_slice, "train_k1_slice", "", (6400 * n + 63) / 64, 64, 0);
}

extern "C" void nnc_run_train(NncCtx *ctx) {
    (void)ctx;
    train_k0_tanh_launch(ctx);
    train_k1_slice_launch(ctx);
}

