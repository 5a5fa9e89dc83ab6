/* Elements put to other places, as they are: transposing, slicing, joining, padding, broadcasting, gathering. */

struct Copy {
    u64 base, x, y;
    i64 count, x_start, y_start;
    int axes, shape[MOST_AXES], x_strides[MOST_AXES], y_strides[MOST_AXES];
};

#define COPY(size, OF)                                                          \
    EACH(copy_##size, struct Copy) {                                            \
        OF(y)[a->y_start + place_of(i, a->axes, a->shape, a->y_strides)] =      \
            OF(x)[a->x_start + place_of(i, a->axes, a->shape, a->x_strides)];   \
    }

COPY(1, BYTES)
COPY(4, INTS)
COPY(8, LONGS)

struct Fill {
    u64 base, y;
    i64 count, bits;
};

#define FILL(size, OF, Type) \
    EACH(fill_##size, struct Fill) { OF(y)[i] = (Type)a->bits; }

FILL(1, BYTES, u8)
FILL(4, INTS, int)
FILL(8, LONGS, i64)

/* A tensor padded with its own elements: the nearest one, or the one as far on the other side of the edge. */
struct Pad {
    u64 base, x, y;
    i64 count;
    int axes, reflects, shape[MOST_AXES], sizes[MOST_AXES], before[MOST_AXES];
};

DEVICE i64 padded_place(const struct Pad *a, i64 i) {
    i64 place = 0, step = 1;
    unsigned rest = (unsigned)i;
    UNROLL
    for (int axis = MOST_AXES - 1; axis >= 0; axis -= 1) {
        if (axis < a->axes) {
            const int last = a->sizes[axis] - 1;
            int at = (int)(rest % (unsigned)a->shape[axis]) - a->before[axis];
            rest /= (unsigned)a->shape[axis];
            if (a->reflects) at = at < 0 ? -at : at > last ? 2 * last - at : at;
            at = at < 0 ? 0 : at > last ? last : at;
            place += at * step;
            step *= a->sizes[axis];
        }
    }
    return place;
}

#define PAD(size, OF) \
    EACH(pad_##size, struct Pad) { OF(y)[i] = OF(x)[padded_place(a, i)]; }

PAD(1, BYTES)
PAD(4, INTS)
PAD(8, LONGS)

/* x is [outer, axis, inner], the indices are flat, y is [outer, indices, inner]. A negative index counts from the end; one outside takes the
   nearest, since a kernel cannot say that it is wrong. */
struct Gather {
    u64 base, x, indices, y;
    i64 count, axis, indices_count, inner;
};

DEVICE i64 within(i64 index, i64 size) {
    index = index < 0 ? index + size : index;
    return index < 0 ? 0 : index >= size ? size - 1 : index;
}

#define GATHER(size, OF)                                                                       \
    EACH(gather_##size, struct Gather) {                                                       \
        const i64 inner = i % a->inner, rest = i / a->inner;                                   \
        const i64 index = within(LONGS(indices)[rest % a->indices_count], a->axis);            \
        OF(y)[i] = OF(x)[(rest / a->indices_count * a->axis + index) * a->inner + inner];      \
    }

GATHER(1, BYTES)
GATHER(4, INTS)
GATHER(8, LONGS)

/* Sums at given places of a flat tensor: y = x, and y[indices[j]] += updates[j]. A sum of floats depends on its order, and threads have none,
   so the sums are of integers: updates times a power of two that leaves room for all of them. What is lost is below 2^-40 of the largest. */
struct Scatter {
    u64 base, x, indices, updates, largest, sums, y;
    i64 count, size, updates_count;
};

DEVICE double scatter_scale(const struct Scatter *a) {
    const float room = (float)a->updates_count * FLOATS(largest)[0];
    return room > 0.0f && room < 3e38f ? exp2(floor(61.0 - log2((double)room))) : 1.0;
}

EACH(scatter_add, struct Scatter) {
    const i64 sum = (i64)((double)FLOATS(updates)[i] * scatter_scale(a));
    ATOMIC_ADD(&LONGS(sums)[within(LONGS(indices)[i], a->size)], sum);
}

/* An infinity or NaN among the updates leaves nothing to say of any sum. */
EACH(scatter_end, struct Scatter) {
    const double sum = (double)LONGS(sums)[i] / scatter_scale(a);
    FLOATS(y)[i] = FLOATS(largest)[0] < 3e38f ? (float)((double)FLOATS(x)[i] + sum) : NAN;
}
