/* What the tiled products of product.cu read and write: matrices with any strides, or the windows of maps. */

/* y[batch] = x[batch] z[batch], [rows, depth] by [depth, columns], each with strides in elements. */
struct Dense {
    u64 base, x, z, y;
    i64 x_batch, x_row, x_depth, z_batch, z_depth, z_column, y_batch, y_row, y_column;
    int rows, columns, depth, tiles_down, tiles_across;
};

/* A convolution as a product: y = weights z + bias, where z has a row for each channel and tap and a column for each place of each picture.
   A batch is a group of channels. `taps` holds, for each row of z, the channel's place in the maps and the tap's place in a window. The row of
   the map that a tap reads is (y * up + tap) / down, and none where that is no whole number: `down` is the stride of a transposed convolution. */
struct Windows {
    u64 base, weights, bias, z, taps, y;
    i64 weights_batch, weights_row, weights_depth, z_batch, z_picture, y_batch, y_picture;
    int rows, columns, depth, tiles_down, tiles_across;
    int bias_step, height, width, out_width, area, up_y, up_x, down_y, down_x;
};

/* Where a column of z begins. */
struct Column {
    i64 place;
    int y, x;
};

DEVICE float dense_left(const struct Dense *a, i64 batch, int row, int k) {
    return FLOATS(x)[batch * a->x_batch + row * a->x_row + k * a->x_depth];
}

DEVICE struct Column dense_column(const struct Dense *a, i64 batch, int column) {
    const struct Column begin = {batch * a->z_batch + column * a->z_column, 0, 0};
    return begin;
}

DEVICE float dense_right(const struct Dense *a, struct Column column, int k) {
    return FLOATS(z)[column.place + k * a->z_depth];
}

DEVICE void dense_store(const struct Dense *a, i64 batch, int row, int column, float sum) {
    FLOATS(y)[batch * a->y_batch + row * a->y_row + column * a->y_column] = sum;
}

DEVICE float windows_left(const struct Windows *a, i64 batch, int row, int k) {
    return FLOATS(weights)[batch * a->weights_batch + row * a->weights_row + k * a->weights_depth];
}

DEVICE struct Column windows_column(const struct Windows *a, i64 batch, int column) {
    const int at = column % a->area;
    const struct Column begin = {batch * a->z_batch + column / a->area * a->z_picture, at / a->out_width * a->up_y,
                                 at % a->out_width * a->up_x};
    return begin;
}

DEVICE float windows_right(const struct Windows *a, struct Column column, int k) {
    const int *tap = INTS(taps) + 3 * k;
    int y = column.y + tap[1], x = column.x + tap[2];
    if (a->down_y > 1 || a->down_x > 1) {
        if (y < 0 || x < 0 || y % a->down_y != 0 || x % a->down_x != 0) return 0.0f;
        y /= a->down_y;
        x /= a->down_x;
    }
    if (y < 0 || y >= a->height || x < 0 || x >= a->width) return 0.0f;
    return FLOATS(z)[column.place + tap[0] + y * a->width + x];
}

DEVICE void windows_store(const struct Windows *a, i64 batch, int row, int column, float sum) {
    const float bias = FLOATS(bias)[(batch * a->rows + row) * a->bias_step];
    const i64 place = column / a->area * a->y_picture + batch * a->y_batch + (i64)row * a->area + column % a->area;
    FLOATS(y)[place] = sum + bias;
}
