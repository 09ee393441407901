// SPDX-License-Identifier: MIT
// Blocks of matrix products on a GPU. A kernel says what its shape is as types and constants, and
// where its operands' rows and summed indices begin as functions; the rest is here:
//
//     typedef NncTile<NNC_F32, 128, 64, 16, 32, 32, NNC_EVEN_SUM> Tile;  // of the output, by a
//     block of threads const auto a = nnc_operand<4, NNC_ALONG_SUM>(from, [=](int row) { .. },
//     [=](int k) { .. }); const auto b = ..; float sum[Tile::sums] = {0}; nnc_multiply<Tile>(sum,
//     a, b, row, rows, column, columns, 0, 576); nnc_finish<Tile, 4>(sum, to, g, row, rows, column,
//     columns,
//                         [=](int g, int row, int column, float z) { return z + bias[column]; });
//
// Two tiles of the operands lie in shared memory: while one is multiplied, the next is on its way
// from memory to registers. There it is rounded, where the arithmetic asks for that, so each
// element once. An element of the output is one sum in ascending k, whatever tile it is in.

enum NncArithmetic {
    NNC_F32,  // exact: one fused multiply-add for each k
    NNC_TF32, // operands rounded to 10 bits behind the point; tensor cores, sums in f32
    NNC_BF16, // operands that are bf16; tensor cores, sums in f32
};

// The direction in which V neighbours of an operand lie side by side in memory.
enum NncAlong { NNC_ALONG_ROWS, NNC_ALONG_SUM };

// What tiles come out even, so that nobody asks whether an index is still inside.
enum NncEven { NNC_EVEN_ROWS = 1, NNC_EVEN_COLUMNS = 2, NNC_EVEN_SUM = 4 };

// Shared memory is made of cells of 32 bits: a float, or two bf16 that are neighbours along k.
template <int ARITHMETIC, int ROWS, int COLUMNS, int CELLS, int WARP_ROWS, int WARP_COLUMNS,
          int EVEN>
struct NncTile {
    static constexpr int arithmetic = ARITHMETIC, rows = ROWS, columns = COLUMNS, cells = CELLS,
                         warp_rows = WARP_ROWS, warp_columns = WARP_COLUMNS, even = EVEN;
    static constexpr bool cores = ARITHMETIC != NNC_F32;
    static constexpr int pair = ARITHMETIC == NNC_BF16 ? 2 : 1, depth = CELLS * pair; // k of a tile
    static constexpr int across = COLUMNS / WARP_COLUMNS;                             // warps
    static constexpr int threads = 32 * across * (ROWS / WARP_ROWS);
    static constexpr int sums = WARP_ROWS * WARP_COLUMNS / 32; // of a thread
    // Without tensor cores a warp is 4 by 8 threads, and each has pieces of at most 4 by 4
    // elements.
    static constexpr int own_rows = WARP_ROWS / 4, own_columns = WARP_COLUMNS / 8;
    static constexpr int high = own_rows < 4 ? own_rows : 4,
                         wide = own_columns < 4 ? own_columns : 4;
    static constexpr int run = cores ? 2 : wide; // neighbouring columns of a thread

    // Where the first element of a thread's run lies in the tile.
    static __device__ __forceinline__ int row_of(int q) {
        const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
        if (cores)
            return warp / across * WARP_ROWS + q / (WARP_COLUMNS / 4) * 16 + q % 2 * 8 + lane / 4;
        const int i = q / (own_columns / wide);
        return warp / across * WARP_ROWS + i / high * (4 * high) + lane / 8 * high + i % high;
    }
    static __device__ __forceinline__ int column_of(int q) {
        const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
        if (cores)
            return warp % across * WARP_COLUMNS + q / 2 % (WARP_COLUMNS / 8) * 8 + lane % 4 * 2;
        return warp % across * WARP_COLUMNS + q % (own_columns / wide) * (8 * wide) +
               lane % 8 * wide;
    }
};

// --- Operands

// Element (row, k) is at[row_at(row) + sum_at(k)]; V neighbours are loaded at once.
template <class T, int V, int ALONG, class RowAt, class SumAt> struct NncOperand {
    static constexpr int vector = V, along = ALONG, bytes = sizeof(T);
    typedef T type;
    const T *at;
    RowAt row_at;
    SumAt sum_at;
};

template <int V, int ALONG, class T, class RowAt, class SumAt>
__device__ __forceinline__ NncOperand<T, V, ALONG, RowAt, SumAt>
nnc_operand(const T *at, RowAt row_at, SumAt sum_at) {
    return {at, row_at, sum_at};
}

// WORDS words of 32 bits, or one of 16.
template <int BYTES> __device__ __forceinline__ void nnc_load(unsigned *to, const void *from) {
    if constexpr (BYTES == 16) {
        const uint4 v = *(const uint4 *)from;
        to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
    } else if constexpr (BYTES == 8) {
        const uint2 v = *(const uint2 *)from;
        to[0] = v.x, to[1] = v.y;
    } else if constexpr (BYTES == 4) {
        to[0] = *(const unsigned *)from;
    } else {
        to[0] = *(const unsigned short *)from;
    }
}

template <int V, class T> __device__ __forceinline__ void nnc_floats(float *to, const T *from) {
    constexpr int bytes = V * (int)sizeof(T);
    unsigned raw[bytes < 4 ? 1 : bytes / 4];
    nnc_load<bytes>(raw, from);
#pragma unroll
    for (int i = 0; i < V; i++)
        to[i] = __uint_as_float(sizeof(T) == 4 ? raw[i * (int)sizeof(T) / 4]
                                : i % 2        ? raw[i / 2] & 0xffff0000u
                                               : raw[i / 2] << 16);
}

template <int CELLS> __device__ __forceinline__ void nnc_put(unsigned *to, const unsigned *cell) {
    if constexpr (CELLS % 4 == 0) {
        for (int i = 0; i < CELLS; i += 4)
            *(uint4 *)(to + i) = make_uint4(cell[i], cell[i + 1], cell[i + 2], cell[i + 3]);
    } else if constexpr (CELLS == 2) {
        *(uint2 *)to = make_uint2(cell[0], cell[1]);
    } else {
        to[0] = cell[0];
    }
}

// The nearest number of 10 bits behind the point, of two the one farther from zero.
__device__ __forceinline__ unsigned nnc_round_tf32(unsigned bits) {
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    return finite ? (bits + 0x1000u) & 0xffffe000u : bits;
}

// How a tile of ROWS rows of an operand comes to shared memory, chunk by chunk: of a thread's own
// chunks, their places and what was loaded last.
template <class Tile, class Operand, int ROWS, bool EVEN> struct NncStage {
    static constexpr int V = Operand::vector,
                         words = V * Operand::bytes < 4 ? 1 : V * Operand::bytes / 4;
    static constexpr bool along_sum = Operand::along == NNC_ALONG_SUM;
    static constexpr bool pairs = Tile::arithmetic == NNC_BF16;
    // Two loads make pairs where neighbours along k are not loaded together.
    static constexpr int loads = pairs && (V == 1 || !along_sum) ? 2 : 1;
    static constexpr int chunk_sum = along_sum ? V * loads : loads, chunk_rows = along_sum ? 1 : V;
    static constexpr int chunk_cells = chunk_sum * chunk_rows / Tile::pair;
    static constexpr int by_sum = Tile::depth / chunk_sum, by_rows = ROWS / chunk_rows;
    static constexpr int chunks = by_sum * by_rows,
                         own = (chunks + Tile::threads - 1) / Tile::threads;
    // In shared memory cells of a row are neighbours, or (what vectors of rows and arithmetic
    // without tensor cores want) those of one k. What is between keeps a warp's loads apart.
    static constexpr bool rows_together = Tile::cores && along_sum;
    static constexpr int line = rows_together ? Tile::cells + 4 : ROWS + (Tile::cores ? 8 : 4);
    static constexpr int size = rows_together ? ROWS * line : Tile::cells * line;

    const Operand &operand;
    decltype(operand.row_at(0)) row_at[own];
    unsigned inside; // by chunk: is its row?
    unsigned raw[own][loads][words];

    static __device__ __forceinline__ int place(int row, int cell) {
        return rows_together ? row * line + cell : cell * line + row;
    }
    static __device__ __forceinline__ int chunk(int i) {
        return (int)threadIdx.x + i * Tile::threads;
    }
    static __device__ __forceinline__ int row_of(int i) {
        return along_sum ? chunk(i) / by_sum : chunk(i) % by_rows * chunk_rows;
    }
    static __device__ __forceinline__ int sum_of(int i) {
        return (along_sum ? chunk(i) % by_sum : chunk(i) / by_rows) * chunk_sum;
    }
    static __device__ __forceinline__ bool is_chunk(int i) {
        return chunks % Tile::threads == 0 || chunk(i) < chunks;
    }

    __device__ __forceinline__ NncStage(const Operand &operand, int first, int rows)
        : operand(operand), inside(0) {
#pragma unroll
        for (int i = 0; i < own; i++) {
            const int row = first + row_of(i);
            const bool is = is_chunk(i) && (EVEN || row < rows);
            row_at[i] = operand.row_at(is ? row : 0);
            inside |= (unsigned)is << i;
        }
    }

    __device__ __forceinline__ void load(int k, int last) {
#pragma unroll
        for (int i = 0; i < own; i++)
#pragma unroll
            for (int l = 0; l < loads; l++) {
                const int at = k + sum_of(i) + l;
                const bool is = inside >> i & 1 && ((Tile::even & NNC_EVEN_SUM) || at < last);
#pragma unroll
                for (int w = 0; w < words; w++)
                    raw[i][l][w] = 0;
                if (is)
                    nnc_load<V * Operand::bytes>(raw[i][l],
                                                 operand.at + row_at[i] + operand.sum_at(at));
            }
    }

    __device__ __forceinline__ unsigned cell(const unsigned (&from)[loads][words], int c) const {
        if constexpr (Operand::bytes == 4)
            return Tile::arithmetic == NNC_TF32 ? nnc_round_tf32(from[0][c]) : from[0][c];
        else if constexpr (!pairs)
            return c % 2 ? from[0][c / 2] & 0xffff0000u : from[0][c / 2] << 16;
        else if constexpr (loads == 1)
            return from[0][c];
        else
            return c % 2 ? from[0][c / 2] >> 16 | (from[1][c / 2] & 0xffff0000u)
                         : (from[0][c / 2] & 0xffffu) | from[1][c / 2] << 16;
    }

    __device__ __forceinline__ void store(unsigned *to) const {
#pragma unroll
        for (int i = 0; i < own; i++) {
            if (!is_chunk(i)) continue;
            unsigned cells[chunk_cells];
#pragma unroll
            for (int c = 0; c < chunk_cells; c++)
                cells[c] = cell(raw[i], c);
            const int row = row_of(i), first = sum_of(i) / Tile::pair;
            if constexpr (rows_together || !along_sum) {
                nnc_put<chunk_cells>(to + place(row, first), cells);
            } else {
#pragma unroll
                for (int c = 0; c < chunk_cells; c++)
                    to[place(row, first + c)] = cells[c];
            }
        }
    }
};

// --- Arithmetic

// c[16, 8] += a[16, cells] b[cells, 8], 8 cells, by a warp. Lane l has of a the rows l / 4 and 8
// behind, cells l % 4 and 4 behind; of b the column l / 4 and these cells; of c these rows, columns
// 2 (l % 4) and one behind.
#ifndef NNC_CUDA_HOST
__device__ __forceinline__ void nnc_mma_tf32(float *c, const unsigned *a, const unsigned *b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void nnc_mma_bf16(float *c, const unsigned *a, const unsigned *b) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
static void nnc_mma_tf32(float *c, const unsigned *a, const unsigned *b) {
    cuda_host_mma_tf32(c, a, b);
}
static void nnc_mma_bf16(float *c, const unsigned *a, const unsigned *b) {
    cuda_host_mma_bf16(c, a, b);
}
#endif

template <class Tile, class StageA, class StageB>
__device__ __forceinline__ void nnc_multiply_cores(float *sum, const unsigned *a,
                                                   const unsigned *b) {
    constexpr int down = Tile::warp_rows / 16, across = Tile::warp_columns / 8;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int row = warp / Tile::across * Tile::warp_rows + lane / 4,
              column = warp % Tile::across * Tile::warp_columns + lane / 4;
#pragma unroll
    for (int k = 0; k < Tile::cells; k += 8) {
        unsigned x[down][4], y[across][2];
#pragma unroll
        for (int i = 0; i < down; i++)
#pragma unroll
            for (int r = 0; r < 4; r++)
                x[i][r] = a[StageA::place(row + 16 * i + r % 2 * 8, k + lane % 4 + r / 2 * 4)];
#pragma unroll
        for (int j = 0; j < across; j++)
#pragma unroll
            for (int r = 0; r < 2; r++)
                y[j][r] = b[StageB::place(column + 8 * j, k + lane % 4 + r * 4)];
#pragma unroll
        for (int i = 0; i < down; i++)
#pragma unroll
            for (int j = 0; j < across; j++)
                if constexpr (Tile::arithmetic == NNC_TF32)
                    nnc_mma_tf32(sum + (i * across + j) * 4, x[i], y[j]);
                else
                    nnc_mma_bf16(sum + (i * across + j) * 4, x[i], y[j]);
    }
}

template <class Tile, class StageA, class StageB>
__device__ __forceinline__ void nnc_multiply_exactly(float *sum, const unsigned *a,
                                                     const unsigned *b) {
    constexpr int down = Tile::own_rows, across = Tile::own_columns;
    constexpr int high = Tile::high, wide = Tile::wide;
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int row = warp / Tile::across * Tile::warp_rows + lane / 8 * high,
              column = warp % Tile::across * Tile::warp_columns + lane % 8 * wide;
#pragma unroll
    for (int k = 0; k < Tile::cells; k++) {
        unsigned x[down], y[across];
#pragma unroll
        for (int i = 0; i < down; i += high)
            nnc_load<high * 4>(x + i, a + StageA::place(row + i * 4, k));
#pragma unroll
        for (int j = 0; j < across; j += wide)
            nnc_load<wide * 4>(y + j, b + StageB::place(column + j * 8, k));
#pragma unroll
        for (int i = 0; i < down; i++)
#pragma unroll
            for (int j = 0; j < across; j++)
                sum[i * across + j] =
                    fmaf(__uint_as_float(x[i]), __uint_as_float(y[j]), sum[i * across + j]);
    }
}

// Adds k = first .. last - 1 of the tile at `row` and `column` to a thread's sums.
template <class Tile, class A, class B>
__device__ __forceinline__ void nnc_multiply(float (&sum)[Tile::sums], const A &a, const B &b,
                                             int row, int rows, int column, int columns, int first,
                                             int last) {
    typedef NncStage<Tile, A, Tile::rows, (Tile::even & NNC_EVEN_ROWS) != 0> StageA;
    typedef NncStage<Tile, B, Tile::columns, (Tile::even & NNC_EVEN_COLUMNS) != 0> StageB;
    __shared__ __align__(16) unsigned near_a[2][StageA::size], near_b[2][StageB::size];
    StageA from_a(a, row, rows);
    StageB from_b(b, column, columns);
    from_a.load(first, last), from_b.load(first, last);
    from_a.store(near_a[0]), from_b.store(near_b[0]);
    __syncthreads();
    for (int k = first, turn = 0; k < last; k += Tile::depth, turn ^= 1) {
        const bool more = k + Tile::depth < last;
        if (more) from_a.load(k + Tile::depth, last), from_b.load(k + Tile::depth, last);
        if constexpr (Tile::cores)
            nnc_multiply_cores<Tile, StageA, StageB>(sum, near_a[turn], near_b[turn]);
        else
            nnc_multiply_exactly<Tile, StageA, StageB>(sum, near_a[turn], near_b[turn]);
        if (more) from_a.store(near_a[turn ^ 1]), from_b.store(near_b[turn ^ 1]);
        __syncthreads();
    }
}

// --- Results

// Bits of a float, or of one that is a bf16.
__device__ __forceinline__ unsigned nnc_result_bits(float value, float) {
    return __float_as_uint(value);
}
__device__ __forceinline__ unsigned nnc_result_bits(float value, unsigned short) {
    return __float_as_uint(value) >> 16;
}

// V neighbours as one store.
template <int V, class T> __device__ __forceinline__ void nnc_store(T *to, const float *value) {
    constexpr int bytes = V * (int)sizeof(T);
    if constexpr (bytes < 4) {
        *to = (T)nnc_result_bits(value[0], T());
    } else {
        unsigned word[bytes / 4];
#pragma unroll
        for (int i = 0; i < bytes / 4; i++)
            word[i] = sizeof(T) == 4 ? nnc_result_bits(value[i], T())
                                     : nnc_result_bits(value[2 * i % V], T()) |
                                           nnc_result_bits(value[(2 * i + 1) % V], T()) << 16;
        nnc_put<bytes / 4>((unsigned *)to, word);
    }
}

// to[row * line + column] = what `end` makes of the sum, V neighbours at once; of matrix g.
template <class Tile, int V, class T, class End>
__device__ __forceinline__ void nnc_finish(const float (&sum)[Tile::sums], T *to, int line, int g,
                                           int row, int rows, int column, int columns, End end) {
    constexpr int run = Tile::run, piece = V < run ? V : run;
#pragma unroll
    for (int q = 0; q < Tile::sums / run; q++)
#pragma unroll
        for (int p = 0; p < run; p += piece) {
            const int i = row + Tile::row_of(q), j = column + Tile::column_of(q) + p;
            const bool is = ((Tile::even & NNC_EVEN_ROWS) || i < rows) &&
                            ((Tile::even & NNC_EVEN_COLUMNS) || j < columns);
            if (!is) continue;
            float value[piece];
#pragma unroll
            for (int e = 0; e < piece; e++)
                value[e] = end(g, i, j + e, sum[q * run + p + e]);
            nnc_store<piece>(to + (long long)i * line + j, value);
        }
}

// What the parts of a sum add up to, one after the other; then as nnc_finish. The parts lie
// `stride` elements apart, each a tensor [blocks, height, line] as the result is.
template <int V, class T, class End>
__device__ __forceinline__ void nnc_join(T *to, const float *from, int parts, long long stride,
                                         int blocks, int height, int line, int rows, int columns,
                                         End end) {
    const long long at = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * V;
    const int column = (int)(at % line), row = (int)(at / line % height),
              g = (int)(at / line / height);
    if (g >= blocks || row >= rows || column >= columns) return;
    float value[V];
    nnc_floats<V>(value, from + at);
    for (int part = 1; part < parts; part++) {
        float more[V];
        nnc_floats<V>(more, from + part * stride + at);
#pragma unroll
        for (int e = 0; e < V; e++)
            value[e] += more[e];
    }
#pragma unroll
    for (int e = 0; e < V; e++)
        value[e] = end(g, row, column + e, value[e]);
    nnc_store<V>(to + at, value);
}

// --- Where there is too little for tiles

// Sums of ROWS rows and one column, by a warp: lane l takes V neighbours of each 32 V, and lanes
// are added up in a fixed tree. Every lane has the result.
template <int ROWS, class A, class B>
__device__ __forceinline__ void nnc_dot(float (&sum)[ROWS], const A &a, const B &b, int row,
                                        int rows, int column, int last) {
    constexpr int V = A::vector;
    const int lane = (int)threadIdx.x % 32;
    const auto b_at = b.at + b.row_at(column);
    for (int k = lane * V; k < last; k += 32 * V) {
        float x[V], y[V];
        nnc_floats<V>(y, b_at + b.sum_at(k));
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            nnc_floats<V>(x, a.at + a.row_at(row + r < rows ? row + r : row) + a.sum_at(k));
#pragma unroll
            for (int e = 0; e < V; e++)
                sum[r] = fmaf(x[e], y[e], sum[r]);
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int by = 16; by; by /= 2)
            sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], by);
}

// The sum of one row and one column, by a thread.
template <int LAST, class A, class B>
__device__ __forceinline__ float nnc_alone(const A &a, const B &b, int row, int column, int last) {
    const auto a_at = a.at + a.row_at(row);
    const auto b_at = b.at + b.row_at(column);
    float sum = 0, x[1], y[1];
#pragma unroll(LAST > 0 && LAST <= 32 ? LAST : 4)
    for (int k = 0; k < (LAST > 0 ? LAST : last); k++) {
        nnc_floats<1>(x, a_at + a.sum_at(k)), nnc_floats<1>(y, b_at + b.sum_at(k));
        sum = fmaf(x[0], y[0], sum);
    }
    return sum;
}
