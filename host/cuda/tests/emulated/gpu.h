// As much of a GPU as the kernels use, on one thread of a CPU: what src/kernels/instructions.cu has, and CUDA's C++.
//
// A block's threads are fibers, which go on in turn from one barrier or instruction of a warp to the next; blocks follow one
// another. Memory ends where nothing may be read any more, so that whoever goes too far is stopped.

#pragma once

#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include <sys/mman.h>

#define __device__
#define __global__
#define __launch_bounds__(threads)
// Blocks follow one another.
#define __shared__ static

typedef unsigned int u32;
typedef unsigned short bf16;

struct uint4 {
  u32 x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }

inline u32 bits(float x) {
  u32 found;
  std::memcpy(&found, &x, 4);
  return found;
}
inline float number(u32 bits) {
  float found;
  std::memcpy(&found, &bits, 4);
  return found;
}
inline float low(u32 both) { return number(both << 16); }
inline float high(u32 both) { return number(both & 0xffff0000u); }
// To the nearest, or to the even one of two.
inline bf16 rounded(float x) { return (bits(x) + 0x7fff + (bits(x) >> 16 & 1)) >> 16; }
inline u32 pack(float low, float high) { return rounded(low) | u32(rounded(high)) << 16; }

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
inline Index threadIdx, blockIdx, gridDim;
inline bf16 *room;

[[noreturn]] inline void fail(const char *what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

// `count` numbers, all of them not numbers, behind which nothing may be read.
template <typename Number> Number *memory(size_t count) {
  const size_t page = 4096, size = (count * sizeof(Number) + 15) / 16 * 16, whole = (size + page - 1) / page * page;
  char *begin = (char *)mmap(nullptr, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (begin == MAP_FAILED || mprotect(begin + whole, page, PROT_NONE) != 0)
    fail("there is no memory");
  std::memset(begin, 0xff, whole);
  return (Number *)(begin + whole - size);
}

// What a fiber waits for.
enum class Wait { NOTHING, BLOCK, LOAD, LOAD_TRANSPOSED, MULTIPLY, END };

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(64 * 1024);
  Wait wait = Wait::NOTHING;
  const bf16 *row;
  u32 *matrix;
  float *sum;
  const u32 *a;
  u32 b[2];
  std::vector<std::pair<void *, const void *>> fetches;
};
inline std::vector<Fiber> fibers;
inline ucontext_t scheduler;
inline std::function<void()> kernel;

inline Fiber &self() { return fibers[threadIdx.x]; }
inline void wait(Wait what) {
  self().wait = what;
  swapcontext(&self().context, &scheduler);
}

inline void __syncthreads() { wait(Wait::BLOCK); }
inline void fetch(void *to, const void *from) {
  if ((size_t)to % 16 != 0 || (size_t)from % 16 != 0)
    fail("16 bytes that do not lie at a multiple of 16");
  self().fetches.emplace_back(to, from);
}
inline void fetched() {
  for (auto [to, from] : self().fetches)
    std::memcpy(to, from, 16);
  self().fetches.clear();
}
template <bool TRANSPOSED> void load(u32 (&m)[4], const bf16 *row) {
  if ((size_t)row % 16 != 0)
    fail("a row that does not lie at a multiple of 16");
  self().row = row;
  self().matrix = m;
  wait(TRANSPOSED ? Wait::LOAD_TRANSPOSED : Wait::LOAD);
}
inline void multiply(float (&sum)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  self().sum = sum;
  self().a = a;
  self().b[0] = b0;
  self().b[1] = b1;
  wait(Wait::MULTIPLY);
}

// PTX ISA, "Warp-level matrix load instruction: ldmatrix".
inline void load_matrices(Fiber *warp, bool transposed) {
  for (int lane = 0; lane < 32; lane++)
    for (int i = 0; i < 4; i++) {
      bf16 pair[2];
      for (int j = 0; j < 2; j++) {
        const int along = lane / 4, across = lane % 4 * 2 + j;
        pair[j] = transposed ? warp[8 * i + across].row[along] : warp[8 * i + along].row[across];
      }
      warp[lane].matrix[i] = pair[0] | u32(pair[1]) << 16;
    }
}

// "Matrix Fragments for mma.m16n8k16 with floating point type".
inline void multiply_matrices(Fiber *warp) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; lane++)
    for (int j = 0; j < 2; j++) {
      const int along = lane / 4, across = lane % 4 * 2 + j;
      const auto part = [j](u32 both) { return j == 0 ? low(both) : high(both); };
      a[along][across] = part(warp[lane].a[0]);
      a[along + 8][across] = part(warp[lane].a[1]);
      a[along][across + 8] = part(warp[lane].a[2]);
      a[along + 8][across + 8] = part(warp[lane].a[3]);
      b[across][along] = part(warp[lane].b[0]);
      b[across + 8][along] = part(warp[lane].b[1]);
    }
  for (int lane = 0; lane < 32; lane++)
    for (int i = 0; i < 4; i++)
      for (int k = 0; k < 16; k++)
        warp[lane].sum[i] += a[lane / 4 + i / 2 * 8][k] * b[k][lane % 4 * 2 + i % 2];
}

// Whether all fibers from `first` on wait for the same; if so, for what.
inline bool same(size_t first, size_t count, Wait &what) {
  what = fibers[first].wait;
  for (size_t i = first; i < first + count; i++)
    if (fibers[i].wait != what)
      return false;
  return true;
}

inline void begin() {
  kernel();
  wait(Wait::END);
}

inline void run_block(unsigned threads, bool backwards) {
  fibers.resize(threads);
  for (auto &fiber : fibers) {
    fiber.wait = Wait::NOTHING;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    makecontext(&fiber.context, begin, 0);
  }
  for (;;) {
    bool went = false;
    for (unsigned i = 0; i < threads; i++) {
      threadIdx.x = backwards ? threads - 1 - i : i;
      if (self().wait == Wait::NOTHING) {
        swapcontext(&scheduler, &self().context);
        went = true;
      }
    }
    Wait what;
    for (unsigned first = 0; first < threads; first += 32)
      if (same(first, 32, what) && what != Wait::BLOCK && what != Wait::END) {
        if (what == Wait::MULTIPLY)
          multiply_matrices(&fibers[first]);
        else
          load_matrices(&fibers[first], what == Wait::LOAD_TRANSPOSED);
        for (unsigned i = first; i < first + 32; i++)
          fibers[i].wait = Wait::NOTHING;
        went = true;
      }
    if (same(0, threads, what)) {
      if (what == Wait::END)
        return;
      if (what == Wait::BLOCK)
        for (auto &fiber : fibers)
          fiber.wait = Wait::NOTHING;
      went = true;
    }
    if (!went)
      fail("threads wait for one another for ever");
  }
}

// A launch; threads take their turns from the last to the first if `backwards`.
inline void launch(unsigned x, unsigned y, unsigned threads, unsigned shared, bool backwards, std::function<void()> call) {
  kernel = std::move(call);
  gridDim = {x, y, 1};
  room = memory<bf16>(shared / 2);
  for (blockIdx.y = 0; blockIdx.y < y; blockIdx.y++)
    for (blockIdx.x = 0; blockIdx.x < x; blockIdx.x++)
      run_block(threads, backwards);
}

// Numbers of a normal distribution that are already rounded.
inline std::mt19937 generator(7);
inline bf16 *noise(size_t count, float scale = 1, float mean = 0) {
  std::normal_distribution<float> normal(mean, scale);
  bf16 *found = memory<bf16>(count);
  for (size_t i = 0; i < count; i++)
    found[i] = rounded(normal(generator));
  return found;
}
inline float *floats(size_t count, float scale, float mean) {
  std::normal_distribution<float> normal(mean, scale);
  float *found = memory<float>(count);
  for (size_t i = 0; i < count; i++)
    found[i] = normal(generator);
  return found;
}
inline double value(bf16 x) { return low(x); }
inline double value(float x) { return x; }

// Fails if `found` is further from `exact`, by the norms, than `most`.
template <typename Number> void near(const char *what, const Number *found, const std::vector<double> &exact, double most) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < exact.size(); i++) {
    error += std::pow(value(found[i]) - exact[i], 2);
    norm += std::pow(exact[i], 2);
  }
  error = std::sqrt(error / norm);
  std::printf("%s: %.2e\n", what, error);
  if (!(error < most))
    fail("too far from what it should be");
}
template <typename Number> void equal(const char *what, const Number *one, const Number *other, size_t count) {
  if (std::memcmp(one, other, count * sizeof(Number)) != 0) {
    std::fprintf(stderr, "%s: ", what);
    fail("another order of threads gives other bits");
  }
}
