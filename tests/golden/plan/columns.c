// --- unit: train of columns.graph

// k0_reduce_sum: [100]
void train_k0_reduce_sum(const NncCtx *ctx, long long low, long long high, int thread) {
    const int n = (int)ctx->n;
    (void)n, (void)thread;
    float *restrict b1 = (float *)(ctx->output + 0); // b1
    const float *restrict b0 = (float *)(ctx->input + 0); // g
    for (int first = (int)low; first < (int)high; first += 256) {
        const int last = first + 256 < (int)high ? first + 256 : (int)high;
        float v1_row[256];
        for (int i0 = first; i0 < last; i0++) {
            v1_row[i0 - first] = 0.0f;
        }
        for (int r1 = 0; r1 < n; r1++) {
            for (int i0 = first; i0 < last; i0++) {
                v1_row[i0 - first] = v1_row[i0 - first] + b0[i0 + r1 * 100];
            }
        }
        for (int i0 = first; i0 < last; i0++) {
            b1[i0] = v1_row[i0 - first];
        }
    }
}

// --- unit: the calls of train, in order

void train_k0_reduce_sum(const NncCtx *, long long, long long, int);

void nnc_scalars_train(const double *hyper, double step, double epoch, double n, float *out) {
    (void)hyper, (void)step, (void)epoch, (void)n, (void)out;
}

void nnc_run_train(NncCtx *ctx) {
    const long long n = ctx->n;
    (void)n;
    train_k0_reduce_sum(ctx, 0, 100, 0);
}

