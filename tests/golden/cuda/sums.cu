// --- train

// k0_reduce_sum: [N]
extern "C" __global__ void __launch_bounds__(256)
train_k0_reduce_sum_parts(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    float *restrict b2 = (float *)(ctx->output + 0); // b2
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    const int part = (int)(blockIdx.x % 14u);
    const int rank = (int)threadIdx.x;
    const unsigned at = blockIdx.x / 14u;
    const int i0 = (int)at;
    const int from = part * 2143;
    const int some = 30000 - from < 2143 ? 30000 - from : 2143;
    float v1 = 0.0f;
#pragma unroll 4
    for (int of = rank; of < some; of += 256) {
        const int r1 = from + (int)(unsigned)of;
        v1 = v1 + b0[i0 * 30000 + r1];
    }
    v1 = nnc_block_sum<256>(v1);
    if (rank == 0) ((float *)(ctx->work + 0))[part * 4ll + at] = v1;
}

// k0_reduce_sum: [N]
extern "C" __global__ void __launch_bounds__(128)
train_k0_reduce_sum(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    float *restrict b2 = (float *)(ctx->output + 0); // b2
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    const int rank = (int)threadIdx.x % 32;
    const unsigned at = blockIdx.x * 4u + threadIdx.x / 32u;
    if (at >= (unsigned)(n)) return;
    const int i0 = (int)at;
    float v1 = 0.0f;
    for (int i = rank; i < 14; i += 32) {
        v1 = v1 + ((float *)(ctx->work + 0))[i * 4ll + at];
    }
    v1 = nnc_warp_sum<32>(v1);
    if (rank == 0) {
        b2[i0] = v1;
    }
}

// k1_reduce_sum: [N, 40]
extern "C" __global__ void __launch_bounds__(256)
train_k1_reduce_sum(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    float *restrict b3 = (float *)(ctx->work + 0); // b3
    const float *restrict b1 = (float *)(ctx->input + 480000); // dy
    const int rank = (int)threadIdx.x / 32;
    const unsigned own = blockIdx.x * 32u + threadIdx.x % 32u;
    const unsigned at = own < (unsigned)(40 * n) ? own : 40 * n - 1;
    const int i1 = (int)(at % 40);
    const int i0 = (int)(at / 40);
    float v1 = 0.0f;
#pragma unroll 4
    for (int r2 = rank; r2 < 900; r2 += 8) {
        v1 = v1 + b1[i0 * 36000 + i1 + r2 * 40];
    }
    v1 = nnc_rows_sum<8>(v1);
    if (rank == 0 && own < (unsigned)(40 * n)) {
        b3[i0 * 40 + i1] = v1;
    }
}

// k2_reduce_sum: [40]
extern "C" __global__ void __launch_bounds__(64)
train_k2_reduce_sum(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    float *restrict b4 = (float *)(ctx->output + 64); // b4
    const float *restrict b3 = (float *)(ctx->work + 0); // b3
    const unsigned at = blockIdx.x * 64u + threadIdx.x;
    if (at >= (unsigned)(40)) return;
    const int i0 = (int)at;
    float v1 = 0.0f;
    for (int r1 = 0; r1 < n; r1++) {
        v1 = v1 + b3[i0 + r1 * 40];
    }
    b4[i0] = v1;
}

// k3_argmax: [N]
extern "C" __global__ void __launch_bounds__(32)
train_k3_argmax(const __grid_constant__ NncCtx ctx_) {
    const NncCtx *const ctx = &ctx_;
    const int n = (int)ctx->n;
    (void)n;
    int *restrict b5 = (int *)(ctx->output + 256); // b5
    const float *restrict b0 = (float *)(ctx->input + 0); // x
    const int rank = (int)threadIdx.x;
    const unsigned at = blockIdx.x;
    const int i0 = (int)at;
    int v1 = 2147483647; // none
    float v1_most = (-1.0f / 0.0f);
#pragma unroll 4
    for (int r1 = rank; r1 < 30000; r1 += 32) {
        const float v1_here = b0[i0 * 30000 + r1];
        if (v1_here > v1_most || (v1_here != v1_here && v1_most == v1_most)) {
            v1_most = v1_here;
            v1 = r1;
        }
    }
    v1 = nnc_warp_argmax(v1_most, v1);
    v1 = v1 == 2147483647 ? 0 : v1;
    if (rank == 0) {
        b5[i0] = v1;
    }
}

extern "C" void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

extern "C" void train_k0_reduce_sum_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k0_reduce_sum_parts, "train_k0_reduce_sum_parts", "", (n) * 14ll, 256, 0);
    nnc_launch(ctx, train_k0_reduce_sum, "train_k0_reduce_sum", "", (n + 3) / 4, 128, 0);
}

extern "C" void train_k1_reduce_sum_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k1_reduce_sum, "train_k1_reduce_sum", "", (40 * n + 31) / 32, 256, 0);
}

extern "C" void train_k2_reduce_sum_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k2_reduce_sum, "train_k2_reduce_sum", "", 1, 64, 0);
}

extern "C" void train_k3_argmax_launch(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    nnc_launch(ctx, train_k3_argmax, "train_k3_argmax", "", n, 32, 0);
}

extern "C" void nnc_run_train(NncCtx *ctx) {
    (void)ctx;
    train_k0_reduce_sum_launch(ctx);
    train_k1_reduce_sum_launch(ctx);
    train_k2_reduce_sum_launch(ctx);
    train_k3_argmax_launch(ctx);
}

