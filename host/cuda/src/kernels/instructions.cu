// What kernels take from the processor beyond C++, for an Ampere or newer: PTX ISA, "Data Movement and Conversion" and "Warp
// Level Matrix Instructions". It goes before each of them. Their test has the same in C++ (tests/emulated).

typedef unsigned int u32;
typedef unsigned short bf16; // its bits

// Shared memory, as much as a kernel is launched with.
extern __shared__ __align__(16) bf16 room[];

__device__ u32 place(const void *shared) { return (u32)__cvta_generic_to_shared(shared); }

// Copies 16 bytes to shared memory, by and by.
__device__ void fetch(void *to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(place(to)), "l"(from));
}
// The calling thread's have come.
__device__ void fetched() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Four matrices of 8x8, or those across the diagonal, to a warp's registers; lanes 8i to 8i + 7 tell where the rows of the i-th are.
template <bool TRANSPOSED> __device__ void load(u32 (&m)[4], const bf16 *row) {
  if (TRANSPOSED)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(place(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(place(row))
                 : "memory");
}

// sum (16x8) += a (16x16) b (16x8), of a warp
__device__ void multiply(float (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Two numbers, rounded to the nearest, or to the even one of two.
__device__ u32 pack(float low, float high) {
  u32 both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
  return both;
}
__device__ float low(u32 both) { return __uint_as_float(both << 16); }
__device__ float high(u32 both) { return __uint_as_float(both & 0xffff0000u); }
