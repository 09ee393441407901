// SPDX-License-Identifier: MIT
// Blocks of matrix products on a GPU. A kernel says what its shape is as types and constants, and
// where its operands' rows and summed indices begin as functions; the rest is here:
//
//     typedef NncTile<NNC_F32, 128, 64, 16, 32, 32, NNC_EVEN_SUM> Tile; // a block's, of the output
//     const auto a = nnc_operand<4, NNC_ALONG_SUM>(from, [=](int row) { .. }, [=](int k) { .. });
//     const auto b = ..;
//     float sum[Tile::sums] = {0};
//     nnc_multiply<Tile, 0>(sum, a, b, row, rows, column, columns, 0, 576);
//     const auto end = [=](int g, int row, int column, float z) { return z + bias[column]; };
//     nnc_finish<Tile, 4>(sum, to, 64, g, row, rows, column, columns, end);
//
// Tiles of the operands lie in shared memory: while one is multiplied, the next are on their way,
// through registers or (what tensor cores take as it is) past them. An element of the output is one
// sum in ascending k, whatever tile it is in.

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

// --- Instructions

// c[16, 8] += a[16, cells] b[cells, 8], 8 cells, by a warp. Lane l has of a the rows l / 4 and 8
// behind, cells l % 4 and 4 behind; of b the column l / 4 and these cells; of c these rows, columns
// 2 (l % 4) and one behind.
// Matrices: 4 of 8 lines of 16 bytes each, lane l names line l % 8 of matrix l / 8; it gets of each
// the 4 bytes l % 4 of line l / 4 or (_t) the halves l / 4 of lines 2 (l % 4) and one behind.
// Copies go on while the threads do other things; those between two commits are a group.
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
__device__ __forceinline__ void nnc_matrices(unsigned *to, const void *line) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"((unsigned)__cvta_generic_to_shared(line))
                 : "memory");
}
__device__ __forceinline__ void nnc_matrices_t(unsigned *to, const void *line) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"((unsigned)__cvta_generic_to_shared(line))
                 : "memory");
}
// The nearest number of 10 bits behind the point, of two the one farther from zero.
__device__ __forceinline__ unsigned nnc_round_tf32(unsigned bits) {
    unsigned rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
    return rounded;
}
// BYTES 4, 8 or 16, or as many zeros.
template <int BYTES> __device__ __forceinline__ void nnc_copy(void *to, const void *from, bool is) {
    const unsigned there = (unsigned)__cvta_generic_to_shared(to);
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(there), "l"(from),
                     "r"(is ? 16 : 0)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(there), "l"(from),
                     "n"(BYTES), "r"(is ? BYTES : 0)
                     : "memory");
}
__device__ __forceinline__ void nnc_copy_commit(void) {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
// Until at most LEFT groups are on their way.
template <int LEFT> __device__ __forceinline__ void nnc_copy_wait(void) {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}
#define NNC_SHARED_CELLS(name) extern __shared__ __align__(16) unsigned name[]
#else
static void nnc_mma_tf32(float *c, const unsigned *a, const unsigned *b) {
    cuda_host_mma_tf32(c, a, b);
}
static void nnc_mma_bf16(float *c, const unsigned *a, const unsigned *b) {
    cuda_host_mma_bf16(c, a, b);
}
static void nnc_matrices(unsigned *to, const void *line) { cuda_host_ldmatrix_x4(to, line); }
static void nnc_matrices_t(unsigned *to, const void *line) {
    cuda_host_ldmatrix_x4_trans(to, line);
}
static unsigned nnc_round_tf32(unsigned bits) {
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    return finite ? (bits + 0x1000u) & 0xffffe000u : bits;
}
template <int BYTES> static void nnc_copy(void *to, const void *from, bool is) {
    cuda_host_cp_async(to, from, BYTES, is ? BYTES : 0);
}
static void nnc_copy_commit(void) { cuda_host_cp_async_commit(); }
template <int LEFT> static void nnc_copy_wait(void) { cuda_host_cp_async_wait(LEFT); }
#define NNC_SHARED_CELLS(name) unsigned *const name = (unsigned *)cuda_host_shared()
#endif

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

// How a tile of ROWS rows of an operand comes to shared memory, chunk by chunk: of a thread's own
// chunks, their places and what was loaded last.
template <class Tile, class Operand, int ROWS, bool EVEN> struct NncStage {
    static constexpr int V = Operand::vector, bytes = V * Operand::bytes,
                         words = bytes < 4 ? 1 : bytes / 4;
    static constexpr bool along_sum = Operand::along == NNC_ALONG_SUM;
    static constexpr bool pairs = Tile::arithmetic == NNC_BF16;
    // Two loads make a pair of bf16 where neighbours along k are not loaded together.
    static constexpr int loads = pairs && along_sum && V == 1 ? 2 : 1;
    static constexpr int chunk_sum = along_sum ? V * loads : 1, chunk_rows = along_sum ? 1 : V;
    static constexpr int by_sum = Tile::depth / chunk_sum, by_rows = ROWS / chunk_rows;
    static constexpr int chunks = by_sum * by_rows,
                         own = (chunks + Tile::threads - 1) / Tile::threads;
    // In shared memory the cells of a row are neighbours, or (what vectors of rows and arithmetic
    // without tensor cores want) those of one k; of bf16 that come by rows, the halves of one k.
    // What is between the lines keeps a warp's loads apart.
    static constexpr bool rows_together = Tile::cores && along_sum, halves = pairs && !along_sum;
    static constexpr int line = rows_together ? Tile::cells + 4 : ROWS + (Tile::cores ? 8 : 4);
    static constexpr int size = rows_together ? ROWS * line
                                : halves      ? Tile::depth * line / 2
                                              : Tile::cells * line;
    // Do chunks go there as they are, past the registers?
    static constexpr bool copies = Tile::cores && (rows_together || !along_sum) && loads == 1 &&
                                   bytes >= 4 && pairs == (Operand::bytes == 2);

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
    static __device__ __forceinline__ void *spot(unsigned *tile, int i) {
        if (halves) return (unsigned short *)tile + sum_of(i) * line + row_of(i);
        return tile + place(row_of(i), sum_of(i) / Tile::pair);
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

    __device__ __forceinline__ bool is_inside(int i, int at, int last) const {
        return inside >> i & 1 && ((Tile::even & NNC_EVEN_SUM) || at < last);
    }

    __device__ __forceinline__ void copy(unsigned *tile, int k, int last) const {
#pragma unroll
        for (int i = 0; i < own; i++) {
            const int at = k + sum_of(i);
            const bool is = is_inside(i, at, last);
            if (is_chunk(i))
                nnc_copy<bytes>(spot(tile, i),
                                operand.at + (is ? row_at[i] + operand.sum_at(at) : 0), is);
        }
    }

    __device__ __forceinline__ void load(int k, int last) {
#pragma unroll
        for (int i = 0; i < own; i++)
#pragma unroll
            for (int l = 0; l < loads; l++) {
                const int at = k + sum_of(i) + l;
#pragma unroll
                for (int w = 0; w < words; w++)
                    raw[i][l][w] = 0;
                if (is_inside(i, at, last))
                    nnc_load<bytes>(raw[i][l], operand.at + row_at[i] + operand.sum_at(at));
            }
    }

    // Cell c of those that a chunk is: words, bf16 widened, or two that make a pair.
    static __device__ __forceinline__ unsigned cell(const unsigned (&from)[loads][words], int c) {
        if constexpr (Operand::bytes == 2 && !pairs)
            return c % 2 ? from[0][c / 2] & 0xffff0000u : from[0][c / 2] << 16;
        else if constexpr (loads == 2)
            return from[0][0] | from[1][0] << 16;
        else
            return from[0][c];
    }

    __device__ __forceinline__ void store(unsigned *tile) const {
        constexpr int cells = halves ? words : chunk_sum * chunk_rows / Tile::pair;
#pragma unroll
        for (int i = 0; i < own; i++) {
            unsigned to[cells];
            if (!is_chunk(i)) continue;
#pragma unroll
            for (int c = 0; c < cells; c++)
                to[c] = cell(raw[i], c);
            if constexpr (halves && V == 1) {
                *(unsigned short *)spot(tile, i) = (unsigned short)to[0];
            } else if constexpr (rows_together || !along_sum) {
                nnc_put<cells>((unsigned *)spot(tile, i), to);
            } else {
#pragma unroll
                for (int c = 0; c < cells; c++)
                    tile[place(row_of(i), sum_of(i) + c)] = to[c];
            }
        }
    }

    // What a lane has of 16 rows and 8 cells that a warp's tensor core takes: row l / 4, cell l %
    // 4; of a the same 8 rows behind, 4 cells behind, both; of b 4 cells behind, 8 rows behind,
    // both.
    template <bool IS_A>
    static __device__ __forceinline__ void fragment(unsigned *to, const unsigned *tile, int row,
                                                    int cell) {
        const int lane = (int)threadIdx.x % 32, second = lane / 8 % 2, third = lane / 16;
        const int rows_behind = (IS_A ? second : third) * 8, behind = IS_A ? third : second;
        if constexpr (rows_together) {
            nnc_matrices(to, tile + place(row + lane % 8 + rows_behind, cell + behind * 4));
        } else if constexpr (halves) {
            const int k = cell * 2 + lane % 8 + behind * 8;
            nnc_matrices_t(to, (const unsigned short *)tile + k * line + row + rows_behind);
        } else {
#pragma unroll
            for (int r = 0; r < 4; r++)
                to[r] = tile[place(row + lane / 4 + (IS_A ? r % 2 : r / 2) * 8,
                                   cell + lane % 4 + (IS_A ? r / 2 : r % 2) * 4)];
        }
        if constexpr (!pairs && Operand::bytes == 4)
#pragma unroll
            for (int r = 0; r < 4; r++)
                to[r] = nnc_round_tf32(to[r]);
    }
};

// --- Arithmetic

template <class Tile, class StageA, class StageB>
__device__ __forceinline__ void nnc_multiply_cores(float *sum, const unsigned *a,
                                                   const unsigned *b) {
    constexpr int down = Tile::warp_rows / 16, across = Tile::warp_columns / 8;
    const int warp = (int)threadIdx.x / 32;
    const int row = warp / Tile::across * Tile::warp_rows,
              column = warp % Tile::across * Tile::warp_columns;
#pragma unroll
    for (int k = 0; k < Tile::cells; k += 8) {
        unsigned x[down][4], y[across][2];
#pragma unroll
        for (int i = 0; i < down; i++)
            StageA::template fragment<true>(x[i], a, row + 16 * i, k);
#pragma unroll
        for (int j = 0; j < across; j += 2) // and the next
            StageB::template fragment<false>(y[j], b, column + 8 * j, k);
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

template <class Tile, class StageA, class StageB>
__device__ __forceinline__ void nnc_multiply_near(float *sum, const unsigned *a,
                                                  const unsigned *b) {
    if constexpr (Tile::cores)
        nnc_multiply_cores<Tile, StageA, StageB>(sum, a, b);
    else
        nnc_multiply_exactly<Tile, StageA, StageB>(sum, a, b);
}

// Through registers: two tiles of each, one of which is multiplied.
template <class Tile, class StageA, class StageB>
__device__ __forceinline__ void nnc_multiply_loaded(float *sum, StageA &a, StageB &b, int first,
                                                    int last) {
    __shared__ __align__(16) unsigned near_a[2][StageA::size], near_b[2][StageB::size];
    a.load(first, last), b.load(first, last);
    a.store(near_a[0]), b.store(near_b[0]);
    __syncthreads();
    for (int k = first, turn = 0; k < last; k += Tile::depth, turn ^= 1) {
        const bool more = k + Tile::depth < last;
        if (more) a.load(k + Tile::depth, last), b.load(k + Tile::depth, last);
        nnc_multiply_near<Tile, StageA, StageB>(sum, near_a[turn], near_b[turn]);
        if (more) a.store(near_a[turn ^ 1]), b.store(near_b[turn ^ 1]);
        __syncthreads();
    }
}

// Past the registers: NNC_STAGES tiles of each, all but one of which are on their way.
enum { NNC_STAGES = 4 };

template <class Tile, class StageA, class StageB>
__device__ __forceinline__ void nnc_multiply_copied(float *sum, const StageA &a, const StageB &b,
                                                    int first, int last) {
    NNC_SHARED_CELLS(near);
    constexpr int both = StageA::size + StageB::size;
#pragma unroll
    for (int i = 0; i + 1 < NNC_STAGES; i++) {
        const int k = first + i * Tile::depth;
        unsigned *const to = near + i * both;
        if (k < last) a.copy(to, k, last), b.copy(to + StageA::size, k, last);
        nnc_copy_commit();
    }
    for (int k = first, turn = 0; k < last; k += Tile::depth, turn = (turn + 1) % NNC_STAGES) {
        const int next = k + (NNC_STAGES - 1) * Tile::depth;
        unsigned *const to = near + (turn + NNC_STAGES - 1) % NNC_STAGES * both;
        const unsigned *const from = near + turn * both;
        nnc_copy_wait<NNC_STAGES - 2>();
        __syncthreads(); // the tile is there for all, and the one before is done with
        if (next < last) a.copy(to, next, last), b.copy(to + StageA::size, next, last);
        nnc_copy_commit();
        nnc_multiply_near<Tile, StageA, StageB>(sum, from, from + StageA::size);
    }
}

template <class Tile, class A, class B> struct NncStages {
    typedef NncStage<Tile, A, Tile::rows, (Tile::even & NNC_EVEN_ROWS) != 0> OfA;
    typedef NncStage<Tile, B, Tile::columns, (Tile::even & NNC_EVEN_COLUMNS) != 0> OfB;
    static constexpr bool copies = OfA::copies && OfB::copies;
    // Bytes of shared memory that the launch has to ask for.
    static constexpr int shared = copies ? NNC_STAGES * (OfA::size + OfB::size) * 4 : 0;
};

// Adds k = first .. last - 1 of the tile at `row` and `column` to a thread's sums. SHARED: bytes of
// shared memory that the kernel was launched with.
template <class Tile, int SHARED, class A, class B>
__device__ __forceinline__ void nnc_multiply(float (&sum)[Tile::sums], const A &a, const B &b,
                                             int row, int rows, int column, int columns, int first,
                                             int last) {
    typedef NncStages<Tile, A, B> Stages;
    static_assert(Stages::shared == SHARED, "shared memory");
    typename Stages::OfA of_a(a, row, rows);
    typename Stages::OfB of_b(b, column, columns);
    if constexpr (Stages::copies)
        nnc_multiply_copied<Tile>((float *)sum, of_a, of_b, first, last);
    else
        nnc_multiply_loaded<Tile>((float *)sum, of_a, of_b, first, last);
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
