/* Windows of a map one channel at a time: pooling, depthwise convolution and its transpose. Maps are [planes, height, width]. */

struct Pool {
    u64 base, x, y, indices;
    i64 count;
    int height, width, out_height, out_width;
    int kernel_height, kernel_width, stride_y, stride_x, pad_top, pad_left, dilation_y, dilation_x;
    /* Of an average: 0 sums only, 1 counts what lies inside the map, 2 what lies inside the padded map. */
    int counting, padded_height, padded_width;
    int with_indices;
};

#define WINDOW                                                                         \
    const int out_x = (int)(i % a->out_width);                                         \
    const int out_y = (int)(i / a->out_width % a->out_height);                         \
    const i64 plane = i / a->out_width / a->out_height;                                \
    const float *map = FLOATS(x) + plane * a->height * a->width;                       \
    const int top = out_y * a->stride_y - a->pad_top, left = out_x * a->stride_x - a->pad_left;

/* Of several highest ones the first counts, row by row; an index is of the place in its plane. */
EACH(pool_max, struct Pool) {
    WINDOW
    float best = -3.402823466e38f;
    int at = 0;
    for (int ky = 0; ky < a->kernel_height; ky += 1) {
        const int y = top + ky * a->dilation_y;
        if (y < 0 || y >= a->height) continue;
        for (int kx = 0; kx < a->kernel_width; kx += 1) {
            const int x = left + kx * a->dilation_x;
            if (x < 0 || x >= a->width) continue;
            const float value = map[y * a->width + x];
            if (best < value) {
                best = value;
                at = y * a->width + x;
            }
        }
    }
    FLOATS(y)[i] = best;
    if (a->with_indices) LONGS(indices)[i] = at;
}

EACH(pool_sum, struct Pool) {
    WINDOW
    float sum = 0.0f;
    int inside = 0, padded = 0;
    for (int ky = 0; ky < a->kernel_height; ky += 1) {
        const int y = top + ky * a->dilation_y;
        for (int kx = 0; kx < a->kernel_width; kx += 1) {
            const int x = left + kx * a->dilation_x;
            padded += y + a->pad_top < a->padded_height && x + a->pad_left < a->padded_width;
            if (y < 0 || y >= a->height || x < 0 || x >= a->width) continue;
            inside += 1;
            sum += map[y * a->width + x];
        }
    }
    const float count = (float)(a->counting == 1 ? inside : padded);
    FLOATS(y)[i] = a->counting == 0 ? sum : sum * (1.0f / count);
}

struct Depthwise {
    u64 base, x, weights, bias, y;
    i64 count;
    int height, width, out_height, out_width;
    int kernel_height, kernel_width, stride_y, stride_x, pad_top, pad_left, dilation_y, dilation_x;
    int channels, bias_step;
};

EACH(depthwise, struct Depthwise) {
    WINDOW
    const int channel = (int)(plane % a->channels);
    const float *weights = FLOATS(weights) + (i64)channel * a->kernel_height * a->kernel_width;
    float sum = FLOATS(bias)[channel * a->bias_step];
    for (int ky = 0; ky < a->kernel_height; ky += 1) {
        const int y = top + ky * a->dilation_y;
        if (y < 0 || y >= a->height) continue;
        for (int kx = 0; kx < a->kernel_width; kx += 1) {
            const int x = left + kx * a->dilation_x;
            if (x < 0 || x >= a->width) continue;
            sum = fmaf(map[y * a->width + x], weights[ky * a->kernel_width + kx], sum);
        }
    }
    FLOATS(y)[i] = sum;
}

/* The transpose: an element of the result gathers from every window that it was in. */
EACH(depthwise_transposed, struct Depthwise) {
    const int out_x = (int)(i % a->out_width);
    const int out_y = (int)(i / a->out_width % a->out_height);
    const i64 plane = i / a->out_width / a->out_height;
    const float *map = FLOATS(x) + plane * a->height * a->width;
    const int channel = (int)(plane % a->channels);
    const float *weights = FLOATS(weights) + (i64)channel * a->kernel_height * a->kernel_width;
    float sum = FLOATS(bias)[channel * a->bias_step];
    for (int ky = 0; ky < a->kernel_height; ky += 1) {
        const int reach_y = out_y + a->pad_top - ky * a->dilation_y;
        if (reach_y < 0 || reach_y % a->stride_y != 0 || reach_y / a->stride_y >= a->height) continue;
        for (int kx = 0; kx < a->kernel_width; kx += 1) {
            const int reach_x = out_x + a->pad_left - kx * a->dilation_x;
            if (reach_x < 0 || reach_x % a->stride_x != 0 || reach_x / a->stride_x >= a->width) continue;
            const float value = map[reach_y / a->stride_y * a->width + reach_x / a->stride_x];
            sum = fmaf(value, weights[ky * a->kernel_width + kx], sum);
        }
    }
    FLOATS(y)[i] = sum;
}
