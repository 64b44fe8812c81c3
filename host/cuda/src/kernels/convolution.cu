// Convolutions of 3x3, stride 1 and padding 1, from C channels to as many, over pictures of W columns whose channels lie side by
// side in memory (NHWC). They are in bfloat16, with sums of 32 bits; all additions are in the same order each time.
//
// It is compiled when it is first needed, with -DC, -DW and -DTILE: how many pixels, whole rows of a picture, a block computes.
// Matrices go through shared memory to the tensor cores (PTX: ldmatrix, mma.m16n8k16), each of the nine taps a product of its own:
// pixels x channels, read from one place of the tile, by channels x channels.
//
// In shared memory, `room`, a block has its tile, and behind it what that is multiplied by.

constexpr int ROWS = TILE / W, HALO = (ROWS + 2) * (W + 2);
// In shared memory a pixel is followed by 16 bytes, and so is a filter, so that eight of them lie in different banks.
constexpr int PIXEL = C + 8;
// Into so many parts a block's channels are cut, for more and smaller blocks.
constexpr int PARTS = C > 32 ? C / 32 : 1, OUT = C / PARTS;
constexpr int THREADS = 256, FILTER_THREADS = 9 * PARTS * 32;
static_assert(C % 16 == 0 && TILE % 16 == 0 && TILE % W == 0, "blocks are of whole tiles of 16");

// COUNT pieces of 16 bytes on their way to shared memory, through the registers of a block of N threads.
template <int COUNT, int N> struct Pieces {
  static constexpr int EACH = (COUNT + N - 1) / N;
  uint4 values[EACH];

  // `from(i)` is where the i-th piece is, or null for zeros.
  template <typename From> __device__ void read(From from) {
#pragma unroll
    for (int n = 0; n < EACH; n++) {
      const int i = n * N + threadIdx.x;
      const bf16 *piece = i < COUNT ? from(i) : nullptr;
      values[n] = piece ? *(const uint4 *)piece : make_uint4(0, 0, 0, 0);
    }
  }
  __device__ void write(bf16 *tile) const {
#pragma unroll
    for (int n = 0; n < EACH; n++) {
      const int i = n * N + threadIdx.x;
      if (i < COUNT)
        *(uint4 *)(tile + i / (C / 8) * PIXEL + i % (C / 8) * 8) = values[n];
    }
  }
};

// A picture's rows `top - 1` to `top + ROWS`, with a column of zeros at either side.
template <int N> struct Shown : Pieces<HALO *(C / 8), N> {
  __device__ void read(const bf16 *pictures, int picture, int top, int height) {
    const bf16 *first = pictures + (long long)picture * height * W * C;
    Pieces<HALO *(C / 8), N>::read([=](int i) -> const bf16 * {
      const int pixel = i / (C / 8), row = top + pixel / (W + 2) - 1, column = pixel % (W + 2) - 1;
      const bool inside = row >= 0 && row < height && column >= 0 && column < W;
      return inside ? first + (row * W + column) * C + i % (C / 8) * 8 : nullptr;
    });
  }
};

// y = x * w + beside, if there is any; w is [C][3][3][C], filters first. BACK: y = the gradient by the input, of x, that by the
// output. blockIdx.y is the part of the channels.
template <bool BACK> __device__ void convolve(const bf16 *x, const bf16 *w, const bf16 *beside, bf16 *y, int height) {
  // Warps along the pixels, and across the channels; tiles of 16 pixels and of 8 channels that each has.
  constexpr int ALONG = TILE / 16 < 8 ? TILE / 16 : 8, ACROSS = 8 / ALONG;
  constexpr int MT = TILE / 16 / ALONG, NT = OUT / 8 / ACROSS;
  static_assert(MT * ALONG * 16 == TILE && NT % 2 == 0, "warps have whole tiles");
  // What is read of a filter, and how many filters.
  constexpr int WIDE = BACK ? OUT : C, LINE = 9 * WIDE + 8, FILTERS = BACK ? C : OUT;
  bf16 *tile = room, *filters = room + HALO * PIXEL;
  const int start = blockIdx.y * OUT, picture = blockIdx.x / (height / ROWS), top = blockIdx.x % (height / ROWS) * ROWS;

  Shown<THREADS> shown;
  shown.read(x, picture, top, height);
  for (int i = threadIdx.x; i < FILTERS * 9 * WIDE / 8; i += THREADS) {
    const int filter = i / (9 * WIDE / 8), tap = i / (WIDE / 8) % 9, part = i % (WIDE / 8) * 8;
    const bf16 *from = BACK ? w + (filter * 9 + tap) * C + start : w + ((start + filter) * 9 + tap) * C;
    fetch(filters + filter * LINE + tap * WIDE + part, from + part);
  }
  shown.write(tile);
  fetched();
  __syncthreads();

  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int first = warp / ACROSS * MT, across = warp % ACROSS * NT * 8;
  const bf16 *pixels[MT];
#pragma unroll
  for (int m = 0; m < MT; m++) {
    const int pixel = (first + m) * 16 + lane % 16;
    pixels[m] = tile + (pixel / W * (W + 2) + pixel % W) * PIXEL + lane / 16 * 8;
  }
  const bf16 *filter = BACK ? filters + lane % 16 * LINE + across + lane / 16 * 8
                            : filters + (across + lane % 8 + lane / 16 * 8) * LINE + lane / 8 % 2 * 8;
  float sums[MT][NT][4] = {};
#pragma unroll
  for (int tap = 0; tap < 9; tap++) {
    const int shift = (tap / 3 * (W + 2) + tap % 3) * PIXEL;
#pragma unroll
    for (int k = 0; k < C; k += 16) {
      u32 b[NT / 2][4];
#pragma unroll
      for (int n = 0; n < NT / 2; n++)
        load<BACK>(b[n], BACK ? filter + k * LINE + (8 - tap) * OUT + n * 16 : filter + n * 16 * LINE + tap * C + k);
#pragma unroll
      for (int m = 0; m < MT; m++) {
        u32 a[4];
        load<false>(a, pixels[m] + shift + k);
#pragma unroll
        for (int n = 0; n < NT; n++)
          multiply(sums[m][n], a, b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
      }
    }
  }

#pragma unroll
  for (int m = 0; m < MT; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int pixel = (first + m) * 16 + lane / 4 + half * 8;
      const long long to = (((long long)picture * height + top) * W + pixel) * C + start + across + lane % 4 * 2;
#pragma unroll
      for (int n = 0; n < NT; n++) {
        u32 both = pack(sums[m][n][half * 2], sums[m][n][half * 2 + 1]);
        if (!BACK && beside != nullptr) {
          // Rounded before, as two operations of libtorch do.
          const u32 other = *(const u32 *)(beside + to + n * 8);
          both = pack(low(both) + low(other), high(both) + high(other));
        }
        *(u32 *)(y + to + n * 8) = both;
      }
    }
}

extern "C" {

__global__ void __launch_bounds__(THREADS) forward(const bf16 *x, const bf16 *w, const bf16 *beside, bf16 *y, int height) {
  convolve<false>(x, w, beside, y, height);
}

__global__ void __launch_bounds__(THREADS) by_input(const bf16 *slope, const bf16 *w, bf16 *to, int height) {
  convolve<true>(slope, w, nullptr, to, height);
}

// The gradient by the weights, of each block's tiles: sums[blockIdx.x][C][3][3][C]. `slope` is that by the output. A warp has one
// tap, and one part of the filters.
__global__ void __launch_bounds__(FILTER_THREADS) by_weights(const bf16 *x, const bf16 *slope, float *sums, int height, int tiles) {
  constexpr int MT = OUT / 16;
  bf16 *tile = room, *slopes = room + HALO * PIXEL;
  const int lane = threadIdx.x % 32, tap = threadIdx.x / 32 % 9, filters = threadIdx.x / 32 / 9 * OUT;
  Shown<FILTER_THREADS> shown;
  Pieces<TILE *(C / 8), FILTER_THREADS> sloped;
  const auto read = [&](int block) {
    const int picture = block / (height / ROWS), top = block % (height / ROWS) * ROWS;
    const bf16 *first = slope + ((long long)picture * height + top) * W * C;
    shown.read(x, picture, top, height);
    sloped.read([=](int i) { return first + i * 8; });
  };
  float sum[MT][C / 8][4] = {};
  read(blockIdx.x);
  for (int block = blockIdx.x; block < tiles; block += gridDim.x) {
    __syncthreads();
    shown.write(tile);
    sloped.write(slopes);
    __syncthreads();
    // The next tile is on its way while this one is computed.
    if (block + gridDim.x < tiles)
      read(block + gridDim.x);
#pragma unroll (C > 32 ? 1 : 4)
    for (int k = 0; k < TILE; k += 16) {
      const int out = k + lane % 8 + lane / 16 * 8, in = k + lane % 16;
      const bf16 *a_row = slopes + out * PIXEL + filters + lane / 8 % 2 * 8;
      const bf16 *b_row = tile + ((in / W + tap / 3) * (W + 2) + in % W + tap % 3) * PIXEL + lane / 16 * 8;
      u32 b[C / 16][4];
#pragma unroll
      for (int n = 0; n < C / 16; n++)
        load<true>(b[n], b_row + n * 16);
#pragma unroll
      for (int m = 0; m < MT; m++) {
        u32 a[4];
        load<true>(a, a_row + m * 16);
#pragma unroll
        for (int n = 0; n < C / 8; n++)
          multiply(sum[m][n], a, b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]);
      }
    }
  }
  sums += (long long)blockIdx.x * C * 9 * C;
#pragma unroll
  for (int m = 0; m < MT; m++)
#pragma unroll
    for (int n = 0; n < C / 8; n++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        *(float2 *)(sums + ((filters + m * 16 + lane / 4 + half * 8) * 9 + tap) * C + n * 8 + lane % 4 * 2) =
            make_float2(sum[m][n][half * 2], sum[m][n][half * 2 + 1]);
}

// Adds up what `blocks` blocks have found: 32 numbers a block, eight threads each.
__global__ void __launch_bounds__(256) add_up(const float *sums, int blocks, bf16 *to) {
  __shared__ float parts[8][32];
  const int number = blockIdx.x * 32 + threadIdx.x % 32;
  float sum = 0;
#pragma unroll 8
  for (int block = threadIdx.x / 32; block < blocks; block += 8)
    sum += sums[(long long)block * C * 9 * C + number];
  parts[threadIdx.x / 32][threadIdx.x % 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    for (int i = 1; i < 8; i++)
      sum += parts[i][threadIdx.x];
    to[number] = (bf16)pack(sum, 0);
  }
}
}
