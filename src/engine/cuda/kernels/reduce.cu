/* Many elements to one: sums, products, extremes. The order is fixed, so the same input gives the same bits. */

struct Reduce {
    u64 base, x, y;
    i64 count, reduced;
    int axes, shape[MOST_AXES], strides[MOST_AXES];
    int reduced_axes, reduced_shape[MOST_AXES], reduced_strides[MOST_AXES];
};

DEVICE float reduced_element(const struct Reduce *a, i64 i, i64 k) {
    return FLOATS(x)[place_of(i, a->axes, a->shape, a->strides) +
                     place_of(k, a->reduced_axes, a->reduced_shape, a->reduced_strides)];
}

/* Two forms of each: a thread a result, for short rows, and a block a result, for long ones. */
#define REDUCE(name, first, step, join, end)                                  \
    EACH(reduce_##name, struct Reduce) {                                      \
        float sum = (first);                                                  \
        for (i64 k = 0; k < a->reduced; k += 1) {                             \
            const float x = reduced_element(a, i, k);                         \
            sum = (step);                                                     \
        }                                                                     \
        const float n = (float)a->reduced;                                    \
        (void)n;                                                              \
        FLOATS(y)[i] = (end);                                                 \
    }                                                                         \
    TOGETHER(reduce_rows_##name, struct Reduce) {                             \
        SHARED float sums[THREADS];                                           \
        PHASE                                                                 \
            float sum = (first);                                              \
            for (i64 k = thread; k < a->reduced; k += THREADS) {              \
                const float x = reduced_element(a, block, k);                 \
                sum = (step);                                                 \
            }                                                                 \
            sums[thread] = sum;                                               \
        END_PHASE                                                             \
        for (int half = THREADS / 2; half > 0; half /= 2) {                   \
            PHASE                                                             \
                if (thread < half) {                                          \
                    const float sum = sums[thread], x = sums[thread + half];  \
                    sums[thread] = (join);                                    \
                }                                                             \
            END_PHASE                                                         \
        }                                                                     \
        PHASE                                                                 \
            if (thread == 0) {                                                \
                const float sum = sums[0], n = (float)a->reduced;             \
                (void)n;                                                      \
                FLOATS(y)[block] = (end);                                     \
            }                                                                 \
        END_PHASE                                                             \
    }

REDUCE(sum, 0.0f, sum + x, sum + x, sum)
REDUCE(product, 1.0f, sum * x, sum * x, sum)
REDUCE(max, -INFINITY, fmaxf(sum, x), fmaxf(sum, x), sum)
REDUCE(min, INFINITY, fminf(sum, x), fminf(sum, x), sum)
REDUCE(mean_square, 0.0f, fmaf(x, x, sum), sum + x, sum / n)
/* The largest magnitude; NaN counts as more than any. */
REDUCE(magnitude, 0.0f, fabsf(x) <= sum ? sum : x == x ? fabsf(x) : INFINITY, x <= sum ? sum : x, sum)
