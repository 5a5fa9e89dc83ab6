/* One element of the result from the elements at its place: functions, arithmetic with broadcasting, choices, changes of type. */

struct Unary {
    u64 base, x, y;
    i64 count;
    float p;
};

#define UNARY(name, result)                      \
    EACH(unary_##name, struct Unary) {           \
        const float x = FLOATS(x)[i], p = a->p;  \
        (void)p;                                 \
        FLOATS(y)[i] = (result);                 \
    }

UNARY(abs, fabsf(x))
UNARY(acos, acosf(x))
UNARY(acosh, acoshf(x))
UNARY(asin, asinf(x))
UNARY(asinh, asinhf(x))
UNARY(atan, atanf(x))
UNARY(atanh, atanhf(x))
UNARY(ceil, ceilf(x))
UNARY(cos, cosf(x))
UNARY(cosh, coshf(x))
UNARY(erf, erff(x))
UNARY(exp, expf(x))
UNARY(floor, floorf(x))
UNARY(gelu, 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)))
UNARY(gelu_tanh, 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x))))
UNARY(hard_swish, x * fminf(fmaxf(x + 3.0f, 0.0f), 6.0f) / 6.0f)
UNARY(leaky_relu, x >= 0.0f ? x : p * x)
UNARY(ln, logf(x))
UNARY(neg, -x)
UNARY(pow, powf(x, p))
UNARY(recip, 1.0f / x)
UNARY(round, roundf(x))
UNARY(round_even, rintf(x))
UNARY(rsqrt, 1.0f / sqrtf(x))
UNARY(sigmoid, 1.0f / (1.0f + expf(-x)))
UNARY(sign, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x)
UNARY(silu, x / (1.0f + expf(-x)))
UNARY(sin, sinf(x))
UNARY(sinh, sinhf(x))
UNARY(sqrt, sqrtf(x))
UNARY(square, x * x)
UNARY(tan, tanf(x))
UNARY(tanh, tanhf(x))

EACH(unary_not, struct Unary) {
    BYTES(y)[i] = !BYTES(x)[i];
}

struct Binary {
    u64 base, x, y, z;
    i64 count;
    int axes, shape[MOST_AXES], x_strides[MOST_AXES], y_strides[MOST_AXES];
};

#define BINARY(name, From, FROM, TO, result)                                             \
    EACH(binary_##name, struct Binary) {                                                 \
        const From x = FROM(x)[place_of(i, a->axes, a->shape, a->x_strides)];            \
        const From y = FROM(y)[place_of(i, a->axes, a->shape, a->y_strides)];            \
        TO(z)[i] = (result);                                                             \
    }

#define ARITHMETIC(kind, From, FROM)          \
    BINARY(add_##kind, From, FROM, FROM, x + y) \
    BINARY(sub_##kind, From, FROM, FROM, x - y) \
    BINARY(mul_##kind, From, FROM, FROM, x * y)

#define COMPARISONS(kind, From, FROM)            \
    BINARY(eq_##kind, From, FROM, BYTES, x == y) \
    BINARY(ne_##kind, From, FROM, BYTES, x != y) \
    BINARY(lt_##kind, From, FROM, BYTES, x < y)  \
    BINARY(le_##kind, From, FROM, BYTES, x <= y) \
    BINARY(gt_##kind, From, FROM, BYTES, x > y)  \
    BINARY(ge_##kind, From, FROM, BYTES, x >= y)

ARITHMETIC(f32, float, FLOATS)
ARITHMETIC(i64, i64, LONGS)
COMPARISONS(f32, float, FLOATS)
COMPARISONS(i64, i64, LONGS)
BINARY(div_f32, float, FLOATS, FLOATS, x / y)
BINARY(pow_f32, float, FLOATS, FLOATS, powf(x, y))
BINARY(min_f32, float, FLOATS, FLOATS, fminf(x, y))
BINARY(max_f32, float, FLOATS, FLOATS, fmaxf(x, y))
BINARY(min_i64, i64, LONGS, LONGS, x < y ? x : y)
BINARY(max_i64, i64, LONGS, LONGS, x > y ? x : y)
BINARY(and_bool, u8, BYTES, BYTES, x && y)
BINARY(or_bool, u8, BYTES, BYTES, x || y)
BINARY(xor_bool, u8, BYTES, BYTES, !x != !y)

struct Choice {
    u64 base, condition, x, y, z;
    i64 count;
    int axes, shape[MOST_AXES], condition_strides[MOST_AXES], x_strides[MOST_AXES], y_strides[MOST_AXES];
};

#define CHOICE(kind, OF)                                                                  \
    EACH(choice_##kind, struct Choice) {                                                  \
        const int first = BYTES(condition)[place_of(i, a->axes, a->shape, a->condition_strides)]; \
        OF(z)[i] = first ? OF(x)[place_of(i, a->axes, a->shape, a->x_strides)]            \
                         : OF(y)[place_of(i, a->axes, a->shape, a->y_strides)];           \
    }

CHOICE(f32, FLOATS)
CHOICE(i64, LONGS)
CHOICE(bool, BYTES)

#define CAST(name, FROM, TO, result)             \
    EACH(cast_##name, struct Unary) {            \
        TO(y)[i] = (result(FROM(x)[i]));         \
    }

/* As a cast of Rust does it: towards zero, within the range, NaN to 0. */
DEVICE i64 whole(float x) {
    return x >= 9.2233715e18f ? 9223372036854775807LL : x <= -9.223372e18f ? -9223372036854775807LL - 1 : x == x ? (i64)x : 0;
}

CAST(f32_i64, FLOATS, LONGS, whole)
CAST(i64_f32, LONGS, FLOATS, (float))
CAST(bool_f32, BYTES, FLOATS, (float))
CAST(bool_i64, BYTES, LONGS, (i64))
CAST(f32_bool, FLOATS, BYTES, 0.0f !=)
CAST(i64_bool, LONGS, BYTES, 0 !=)
