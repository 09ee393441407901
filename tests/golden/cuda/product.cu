// --- train

// k0_permute: [64, 3, 3, 16]
extern "C" __global__ void __launch_bounds__(64)
train_k0_permute(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    float *restrict b3 = (float *)(ctx->work + 802816); // b3
    const float *restrict b1 = (float *)(ctx->state + 0); // w
    const unsigned at = blockIdx.x * 64u + threadIdx.x;
    if (at >= (unsigned)(9216)) return;
    const int i3 = (int)(at % 16);
    const int i2 = (int)(at / 16 % 9);
    const int i0 = (int)(at / 144);
    b3[i0 * 144 + i2 * 16 + i3] = b1[i0 * 144 + i2 + i3 * 9];
}

// k1_product: [N, 28, 28, 64], a matrix product
extern "C" __global__ void __launch_bounds__(128)
train_k1_product(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    typedef NncTile<NNC_F32, 64, 16, 16, 16, 16, NNC_EVEN_COLUMNS | NNC_EVEN_SUM> Tile;
    const int rows = 784 * n, columns = 64, last = 144;
    const unsigned block = blockIdx.x, across = 4, down = (784 * n + 63) / 64;
    const int column = (int)(block % across) * 16;
    const int row = (int)(block / across % down) * 64;
    const int g = 0;
    const auto a = nnc_operand<1, NNC_ALONG_ROWS>(
        (float *)(ctx->input + 0),
        [=](unsigned row) { return (int)(row % 28) + (int)(row / 28 % 28) * 30 + (int)(row / 784) * 14400; },
        [=](unsigned k) { return (int)(k % 16) * 900 + (int)(k / 16 % 3) + (int)(k / 48) * 30; });
    const auto b = nnc_operand<4, NNC_ALONG_SUM>(
        (float *)(ctx->work + 802816),
        [=](unsigned column) { return (int)column * 144; },
        [=](unsigned k) { return (int)(k % 16) + (int)(k / 16 % 3) * 16 + (int)(k / 48) * 48; });
    float sum[Tile::sums] = {0};
    nnc_multiply<Tile, 0>(sum, a, b, row, rows, column, columns, 0, last);
    float *restrict b4 = (float *)(ctx->work + 0); // b4
    const float *restrict b2 = (float *)(ctx->state + 36864); // b
    const auto end = [=](int g, int row, int column, float z) -> float {
        (void)g, (void)row, (void)column, (void)z;
        const int i2 = (int)(unsigned)row;
        const int i3 = (int)(unsigned)column;
        return (nnc_tanh((z + b2[i3])));
    };
    nnc_finish<Tile, 4>(sum, (float *)(ctx->work + 0), 64, g, row, rows, column, columns, end);
}

// k2_permute: [N, 64, 28, 28]
extern "C" __global__ void __launch_bounds__(128)
train_k2_permute(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    float *restrict b5 = (float *)(ctx->output + 0); // b5
    const float *restrict b4 = (float *)(ctx->work + 0); // b4
    const unsigned at = 4 * (blockIdx.x * 128u + threadIdx.x);
    if (at >= (unsigned)(50176 * n)) return;
    const int first = (int)(at % 784);
    const int i1 = (int)((at / 784) % 64);
    const int i0 = (int)((at / 784) / 64);
    NncFour<float> to0;
#pragma unroll
    for (int q = 0; q < 4; q++) {
        const int i3 = first + q;
        to0.at[q] = b4[i0 * 50176 + i1 + i3 * 64];
    }
    nnc_put_four(b5 + i0 * 50176 + i1 * 784 + first, to0);
}

extern "C" void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

extern "C" void train_k0_permute_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k0_permute, "train_k0_permute", "", 144, 64, 0);
}

extern "C" void train_k1_product_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k1_product, "train_k1_product", "", 1ll * (4) * ((784 * n + 63) / 64), 128, 0);
}

extern "C" void train_k2_permute_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k2_permute, "train_k2_permute", "", (50176 * n + 511) / 512, 128, 0);
}

extern "C" void nnc_run_train(NncCtx *ctx) {
    (void)ctx;
    train_k0_permute_launch(ctx);
    train_k1_product_launch(ctx);
    train_k2_permute_launch(ctx);
}

