/* One step of a product on tensor cores (PTX ISA, mma.sync.aligned.m16n8k8, tf32): 16 rows by 8 columns, 8 deep. */

/* A factor as tensor cores take it: ten bits behind the point, the nearest, ties away from zero. */
DEVICE float ten_bits(float x) {
    union {
        float value;
        unsigned bits;
    } as = {x};
#ifdef __CUDACC__
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(as.bits) : "f"(x));
#else
    if ((as.bits & 0x7f800000u) != 0x7f800000u) as.bits = (as.bits + 0x1000u) & 0xffffe000u;
#endif
    return as.value;
}

/* sums += left right: `left` is a strip of 8 rows a thread block shares, an element a row of the tile further, `right` one with an element a
   column; `lane` is the thread's place in its warp, whose threads work together. A thread holds elements (lane / 4, lane % 4 * 2), the one
   beside it, and the two 8 rows below. */
DEVICE void tensor_cores(float *sums, const float *left, int left_step, const float *right, int right_step, int lane) {
    const int group = lane / 4, member = lane % 4;
#ifdef __CUDACC__
    const unsigned l0 = __float_as_uint(left[member * left_step + group]);
    const unsigned l1 = __float_as_uint(left[member * left_step + group + 8]);
    const unsigned l2 = __float_as_uint(left[(member + 4) * left_step + group]);
    const unsigned l3 = __float_as_uint(left[(member + 4) * left_step + group + 8]);
    const unsigned r0 = __float_as_uint(right[member * right_step + group]);
    const unsigned r1 = __float_as_uint(right[(member + 4) * right_step + group]);
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(l0), "r"(l1), "r"(l2), "r"(l3), "r"(r0), "r"(r1));
#else
    for (int i = 0; i < 4; i += 1) {
        const int row = group + i / 2 * 8, column = member * 2 + i % 2;
        for (int k = 0; k < 8; k += 1) sums[i] += left[k * left_step + row] * right[k * right_step + column];
    }
#endif
}
