/* What every kernel is written in: CUDA C for a GPU, and, by other macros, plain C that runs the same text thread after thread on a
   processor. The tests use the second, so that nothing but the launch itself needs a GPU to be checked.

   A kernel takes one struct. Its first field is the address of the session's memory, then come the places of its tensors in it, in bytes,
   the ones it reads before the ones it writes, then its numbers. */

typedef long long i64;
typedef unsigned long long u64;
typedef unsigned char u8;

/* Axes of a tensor that a kernel can walk; neighbouring axes are merged before, so more are rare. */
#define MOST_AXES 6

/* Threads of a block that works together. */
#define THREADS 256

#define FLOATS(field) ((float *)(a->base + a->field))
#define LONGS(field) ((i64 *)(a->base + a->field))
#define INTS(field) ((int *)(a->base + a->field))
#define BYTES(field) ((u8 *)(a->base + a->field))

#ifdef __CUDACC__

#define DEVICE static __device__ __forceinline__

/* A kernel whose threads each make one element, `i` of `count`, and know nothing of one another. */
#define EACH(name, Args)                                                                  \
    DEVICE void name##_at(const Args *a, i64 i);                                          \
    extern "C" __global__ void name(const Args args) {                                    \
        const i64 step = (i64)gridDim.x * blockDim.x;                                     \
        for (i64 i = (i64)blockIdx.x * blockDim.x + threadIdx.x; i < args.count; i += step) \
            name##_at(&args, i);                                                          \
    }                                                                                     \
    DEVICE void name##_at(const Args *a, i64 i)

/* A kernel whose blocks of THREADS work together, in phases between which they wait for one another. */
#define TOGETHER_NAMED(name, Args)                                                     \
    DEVICE void name##_block(const Args *a, i64 block);                          \
    extern "C" __global__ void __launch_bounds__(THREADS, 2) name(const Args args) { \
        name##_block(&args, blockIdx.x);                                         \
    }                                                                            \
    DEVICE void name##_block(const Args *a, i64 block)

#define SHARED __shared__ __align__(16)
#define NAN __int_as_float(0x7fffffff)
#define INFINITY __int_as_float(0x7f800000)
#define PRIVATE(type, name, size) type name[size]
#define MINE(name) name
#define PHASE                               \
    {                                       \
        const int thread = (int)threadIdx.x; \
        {
#define END_PHASE \
    }             \
    }             \
    __syncthreads();
#define UNROLL _Pragma("unroll")
#define ATOMIC_ADD(place, value) atomicAdd((u64 *)(place), (u64)(value))

#else

#include <math.h>

#define DEVICE static inline

#define EACH(name, Args)                                            \
    DEVICE void name##_at(const Args *a, i64 i);                    \
    void name(const void *args, i64 blocks) {                       \
        const Args *a = (const Args *)args;                         \
        (void)blocks;                                               \
        for (i64 i = 0; i < a->count; i += 1) name##_at(a, i);      \
    }                                                               \
    DEVICE void name##_at(const Args *a, i64 i)

#define TOGETHER_NAMED(name, Args)                                        \
    DEVICE void name##_block(const Args *a, i64 block);             \
    void name(const void *args, i64 blocks) {                       \
        for (i64 block = 0; block < blocks; block += 1)             \
            name##_block((const Args *)args, block);                \
    }                                                               \
    DEVICE void name##_block(const Args *a, i64 block)

#define SHARED
#define PRIVATE(type, name, size) type name[THREADS][size]
#define MINE(name) name[thread]
/* Last thread first: a phase must not depend on the order of its threads, and one that does would show. */
#define PHASE for (int thread = THREADS - 1; thread >= 0; thread -= 1) {
#define END_PHASE }
#define UNROLL
#define ATOMIC_ADD(place, value) (*(place) += (value))

#endif

/* With a name that may itself be a macro. */
#define TOGETHER(name, Args) TOGETHER_NAMED(name, Args)

/* Where element `i` of a tensor of this shape lies in a tensor with these strides, both in elements. */
DEVICE i64 place_of(i64 i, int axes, const int *shape, const int *strides) {
    i64 place = 0;
    unsigned rest = (unsigned)i;
    UNROLL
    for (int axis = MOST_AXES - 1; axis >= 0; axis -= 1) {
        if (axis < axes) {
            const unsigned size = (unsigned)shape[axis];
            place += (i64)(rest % size) * strides[axis];
            rest /= size;
        }
    }
    return place;
}
