/* A product of matrices by tiles (NVIDIA's CUTLASS explains the scheme): a block makes a tile of the result, walks along the depth in steps,
   keeps the two strips of a step in shared memory, and each thread adds up MICRO_ROWS x MICRO_COLUMNS elements in registers. While a step is
   computed, the next one is fetched. Each sum runs along the depth from its beginning, so the same input gives the same bits on every GPU.

   This text is read once for each KERNEL, with TILE_ROWS, TILE_COLUMNS and what it multiplies: INPUTS, LEFT, COLUMN, RIGHT, STORE; and with
   FAST as 1 for the tensor cores, whose factors have ten bits behind the point and whose sums have an order of their own. */

#define STEP 8
#define MICRO_ROWS (TILE_ROWS / 16)
#define MICRO_COLUMNS (TILE_COLUMNS / 16)
#define LEFT_LOADS (TILE_ROWS * STEP / THREADS)
#define RIGHT_LOADS (TILE_COLUMNS * STEP / THREADS)
/* A thread's rows are groups of four, 64 apart: its four are read from shared memory at once, without conflicts between the threads. */
#define GROUP(micro) ((micro) < 4 ? (micro) : 4)
#define PLACE(at, micro, i) ((i) / 4 * 64 + (at) * GROUP(micro) + (i) % 4)
#if FAST
/* Eight warps, two below one another and four side by side; each has tiles of 16 x 8, of which a thread holds four elements. */
#define TILES_DOWN (TILE_ROWS / 32)
#define TILES_ACROSS (TILE_COLUMNS / 32)
#define WARP_ROW(thread) ((thread) / 128 * (TILE_ROWS / 2))
#define WARP_COLUMN(thread) ((thread) / 32 % 4 * (TILE_COLUMNS / 4))
#define SUM_ROW(thread, i) (WARP_ROW(thread) + (i) / 4 / TILES_ACROSS * 16 + (i) % 4 / 2 * 8 + (thread) % 32 / 4)
#define SUM_COLUMN(thread, i) (WARP_COLUMN(thread) + (i) / 4 % TILES_ACROSS * 8 + (thread) % 4 * 2 + (i) % 2)
#define FACTOR(x) ten_bits(x)
#define PADDING 8
#else
#define SUM_ROW(thread, i) PLACE((thread) / 16, MICRO_ROWS, (i) / MICRO_COLUMNS)
#define SUM_COLUMN(thread, i) PLACE((thread) % 16, MICRO_COLUMNS, (i) % MICRO_COLUMNS)
#define FACTOR(x) (x)
#define PADDING 4
#endif

TOGETHER(KERNEL, struct INPUTS) {
    SHARED float left[STEP][TILE_ROWS + PADDING];
    SHARED float right[STEP][TILE_COLUMNS + PADDING];
    PRIVATE(float, sums, MICRO_ROWS * MICRO_COLUMNS);
    PRIVATE(float, next_left, LEFT_LOADS);
    PRIVATE(float, next_right, RIGHT_LOADS);
    PRIVATE(struct Column, column, 1);
    const int first_column = (int)(block % a->tiles_across) * TILE_COLUMNS;
    const int first_row = (int)(block / a->tiles_across % a->tiles_down) * TILE_ROWS;
    const i64 batch = block / a->tiles_across / a->tiles_down;

    PHASE
        UNROLL
        for (int i = 0; i < MICRO_ROWS * MICRO_COLUMNS; i += 1) MINE(sums)[i] = 0.0f;
        const int at = first_column + thread % TILE_COLUMNS;
        MINE(column)[0] = COLUMN(a, batch, at < a->columns ? at : 0);
    END_PHASE
    for (int begin = -STEP; begin < a->depth; begin += STEP) {
        PHASE
            if (begin >= 0) {
                UNROLL
                for (int i = 0; i < LEFT_LOADS; i += 1) {
                    const int element = thread + i * THREADS;
                    left[element % STEP][element / STEP] = FACTOR(MINE(next_left)[i]);
                }
                UNROLL
                for (int i = 0; i < RIGHT_LOADS; i += 1)
                    right[thread / TILE_COLUMNS + i * (THREADS / TILE_COLUMNS)][thread % TILE_COLUMNS] =
                        FACTOR(MINE(next_right)[i]);
            }
        END_PHASE
        PHASE
            const int fetched = begin + STEP;
            UNROLL
            for (int i = 0; i < LEFT_LOADS; i += 1) {
                const int element = thread + i * THREADS;
                const int row = first_row + element / STEP, k = fetched + element % STEP;
                MINE(next_left)[i] = row < a->rows && k < a->depth ? LEFT(a, batch, row, k) : 0.0f;
            }
            UNROLL
            for (int i = 0; i < RIGHT_LOADS; i += 1) {
                const int k = fetched + thread / TILE_COLUMNS + i * (THREADS / TILE_COLUMNS);
                const int inside = first_column + thread % TILE_COLUMNS < a->columns && k < a->depth;
                MINE(next_right)[i] = inside ? RIGHT(a, MINE(column)[0], k) : 0.0f;
            }
#if FAST
            if (begin >= 0) {
                UNROLL
                for (int i = 0; i < TILES_DOWN; i += 1) {
                    UNROLL
                    for (int j = 0; j < TILES_ACROSS; j += 1)
                        tensor_cores(MINE(sums) + 4 * (i * TILES_ACROSS + j), &left[0][WARP_ROW(thread) + 16 * i], TILE_ROWS + PADDING,
                                     &right[0][WARP_COLUMN(thread) + 8 * j], TILE_COLUMNS + PADDING, thread % 32);
                }
            }
#else
            if (begin >= 0) {
                UNROLL
                for (int k = 0; k < STEP; k += 1) {
                    float rows[MICRO_ROWS], columns[MICRO_COLUMNS];
                    UNROLL
                    for (int i = 0; i < MICRO_ROWS; i += 1) rows[i] = left[k][PLACE(thread / 16, MICRO_ROWS, i)];
                    UNROLL
                    for (int j = 0; j < MICRO_COLUMNS; j += 1) columns[j] = right[k][PLACE(thread % 16, MICRO_COLUMNS, j)];
                    UNROLL
                    for (int i = 0; i < MICRO_ROWS; i += 1) {
                        UNROLL
                        for (int j = 0; j < MICRO_COLUMNS; j += 1)
                            MINE(sums)[i * MICRO_COLUMNS + j] = fmaf(rows[i], columns[j], MINE(sums)[i * MICRO_COLUMNS + j]);
                    }
                }
            }
#endif
        END_PHASE
    }
    PHASE
        UNROLL
        for (int i = 0; i < MICRO_ROWS * MICRO_COLUMNS; i += 1) {
            const int row = first_row + SUM_ROW(thread, i), at = first_column + SUM_COLUMN(thread, i);
            if (row < a->rows && at < a->columns) STORE(a, batch, row, at, MINE(sums)[i]);
        }
    END_PHASE
}

#undef STEP
#undef MICRO_ROWS
#undef MICRO_COLUMNS
#undef LEFT_LOADS
#undef RIGHT_LOADS
#undef GROUP
#undef PLACE
#undef TILES_DOWN
#undef TILES_ACROSS
#undef WARP_ROW
#undef WARP_COLUMN
#undef SUM_ROW
#undef SUM_COLUMN
#undef FACTOR
#undef PADDING
