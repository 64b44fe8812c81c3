// Batch norm in training and the rectifier after it, in one: of `pixels` x C numbers in bfloat16, moments and sums in 32 bits.
// All additions are in the same order each time.
//
// It is compiled when it is first needed, with -DC. Each block of `moments` and `slopes` leaves two sums a channel for every block
// of the next kernel to add up; a thread has the same eight channels throughout.

constexpr int THREADS = 256, EIGHTS = C / 8;
// Blocks that sum, and pieces of eight numbers that a thread of the others has.
constexpr int BLOCKS = 2048 / C, PIECES = 4;
// Threads that add up the sums of one column.
constexpr int SLICES = THREADS / (2 * C);
static_assert(THREADS % (2 * C) == 0 && BLOCKS % SLICES == 0, "columns are added up by as many threads each");

__device__ void unpack(float (&to)[8], uint4 v) {
  const u32 words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    to[2 * i] = low(words[i]);
    to[2 * i + 1] = high(words[i]);
  }
}
__device__ uint4 packed(const float (&v)[8]) {
  return make_uint4(pack(v[0], v[1]), pack(v[2], v[3]), pack(v[4], v[5]), pack(v[6], v[7]));
}

// Of a channel. The rectifier is given the same number forward and backward, to the bit.
struct Channel {
  float mean, invstd, scale, bias;
  __device__ Channel() {}
  __device__ Channel(float mean, float invstd, float weight, float bias)
      : mean(mean), invstd(invstd), scale(weight * invstd), bias(bias) {}
  __device__ float normed(float x) const { return (x - mean) * invstd; }
  __device__ float given(float x) const { return (x - mean) * scale + bias; }
  // What is not a number passes.
  __device__ bool passes(float x) const { return !(given(x) <= 0); }
};

// The sums of a block's threads, to sums[2][C].
__device__ void sum_up(const float (&first)[8], const float (&second)[8], float *sums) {
  __shared__ float room[THREADS / EIGHTS][2 * C + 1];
  const int row = threadIdx.x / EIGHTS, channel = threadIdx.x % EIGHTS * 8;
  for (int i = 0; i < 8; i++) {
    room[row][channel + i] = first[i];
    room[row][C + channel + i] = second[i];
  }
  __syncthreads();
  const int column = threadIdx.x % (2 * C), slice = threadIdx.x / (2 * C);
  float sum = 0;
#pragma unroll
  for (int r = slice; r < THREADS / EIGHTS; r += SLICES)
    sum += room[r][column];
  __syncthreads();
  room[slice][column] = sum;
  __syncthreads();
  if (slice == 0) {
    for (int s = 1; s < SLICES; s++)
      sum += room[s][column];
    sums[column] = sum;
  }
}

// Those of all blocks, to total[2][C] in shared memory.
__device__ void add_up(const float *sums, float *total) {
  __shared__ float room[THREADS];
  const int column = threadIdx.x % (2 * C), slice = threadIdx.x / (2 * C);
  float sum = 0;
#pragma unroll
  for (int block = slice; block < BLOCKS; block += SLICES)
    sum += sums[block * 2 * C + column];
  room[threadIdx.x] = sum;
  __syncthreads();
  if (slice == 0) {
    for (int s = 1; s < SLICES; s++)
      sum += room[s * 2 * C + column];
    total[column] = sum;
  }
  __syncthreads();
}

extern "C" {

// Sums of x and of its squares, both less the channel's first number: else the squares' sum would be the difference of two large ones.
__global__ void __launch_bounds__(THREADS) moments(const uint4 *x, float *sums, int pixels) {
  float first[8], sum[8] = {}, square[8] = {};
  unpack(first, x[threadIdx.x % EIGHTS]);
#pragma unroll 8
  for (int i = blockIdx.x * THREADS + threadIdx.x; i < pixels * EIGHTS; i += BLOCKS * THREADS) {
    float v[8];
    unpack(v, x[i]);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const float less = v[j] - first[j];
      sum[j] += less;
      square[j] += less * less;
    }
  }
  sum_up(sum, square, sums + blockIdx.x * 2 * C);
}

// y, and kept[2][C]: the mean, and one over the deviation. The running moments take theirs in, as PyTorch's do.
__global__ void __launch_bounds__(THREADS) forward(const uint4 *x, const float *sums, const float *weight, const float *bias,
                                                   float *running_mean, float *running_var, float *kept, uint4 *y, int pixels,
                                                   float momentum, float eps) {
  __shared__ float total[2 * C];
  __shared__ Channel channels[C];
  const int begin = blockIdx.x * PIECES * THREADS + threadIdx.x;
  uint4 pieces[PIECES];
#pragma unroll
  for (int k = 0; k < PIECES; k++)
    if (begin + k * THREADS < pixels * EIGHTS)
      pieces[k] = x[begin + k * THREADS];
  add_up(sums, total);
  if (threadIdx.x < C) {
    const int c = threadIdx.x;
    const float n = pixels, less = total[c] / n;
    // Never less than zero, up to rounding; what is not a number stays so.
    const float found = total[C + c] / n - less * less, variance = found < 0 ? 0 : found;
    const float mean = low(((const bf16 *)x)[c]) + less;
    const float invstd = rsqrtf(variance + eps);
    channels[c] = Channel(mean, invstd, weight[c], bias[c]);
    if (blockIdx.x == 0) {
      kept[c] = mean;
      kept[C + c] = invstd;
      running_mean[c] += momentum * (mean - running_mean[c]);
      running_var[c] += momentum * (variance * n / (n - 1) - running_var[c]);
    }
  }
  __syncthreads();
  Channel mine[8];
#pragma unroll
  for (int j = 0; j < 8; j++)
    mine[j] = channels[threadIdx.x % EIGHTS * 8 + j];
#pragma unroll
  for (int k = 0; k < PIECES; k++)
    if (begin + k * THREADS < pixels * EIGHTS) {
      float v[8];
      unpack(v, pieces[k]);
#pragma unroll
      for (int j = 0; j < 8; j++)
        v[j] = mine[j].passes(v[j]) ? mine[j].given(v[j]) : 0;
      y[begin + k * THREADS] = packed(v);
    }
}

__device__ void mine(Channel (&channels)[8], const float *kept, const float *weight, const float *bias) {
  const int first = threadIdx.x % EIGHTS * 8;
#pragma unroll
  for (int j = 0; j < 8; j++)
    channels[j] = Channel(kept[first + j], kept[C + first + j], weight[first + j], bias[first + j]);
}

// Sums of the gradient where it passes the rectifier, and of its products with what was normed.
__global__ void __launch_bounds__(THREADS) slopes(const uint4 *x, const uint4 *slope, const float *weight, const float *bias,
                                                  const float *kept, float *sums, int pixels) {
  Channel channels[8];
  mine(channels, kept, weight, bias);
  float sum[8] = {}, product[8] = {};
#pragma unroll 4
  for (int i = blockIdx.x * THREADS + threadIdx.x; i < pixels * EIGHTS; i += BLOCKS * THREADS) {
    float v[8], d[8];
    unpack(v, x[i]);
    unpack(d, slope[i]);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const float passed = channels[j].passes(v[j]) ? d[j] : 0;
      sum[j] += passed;
      product[j] += passed * channels[j].normed(v[j]);
    }
  }
  sum_up(sum, product, sums + blockIdx.x * 2 * C);
}

// The gradients by the input, the weight and the bias.
__global__ void __launch_bounds__(THREADS) backward(const uint4 *x, const uint4 *slope, const float *weight, const float *bias,
                                                    const float *kept, const float *sums, float *by_weight, float *by_bias, uint4 *to,
                                                    int pixels) {
  __shared__ float total[2 * C];
  const int begin = blockIdx.x * PIECES * THREADS + threadIdx.x;
  uint4 pieces[PIECES], sloped[PIECES];
#pragma unroll
  for (int k = 0; k < PIECES; k++)
    if (begin + k * THREADS < pixels * EIGHTS) {
      pieces[k] = x[begin + k * THREADS];
      sloped[k] = slope[begin + k * THREADS];
    }
  Channel channels[8];
  mine(channels, kept, weight, bias);
  add_up(sums, total);
  if (blockIdx.x == 0 && threadIdx.x < C) {
    by_bias[threadIdx.x] = total[threadIdx.x];
    by_weight[threadIdx.x] = total[C + threadIdx.x];
  }
  const int first = threadIdx.x % EIGHTS * 8;
  const float n = pixels;
  float mean[8], along[8];
#pragma unroll
  for (int j = 0; j < 8; j++) {
    mean[j] = total[first + j] / n;
    along[j] = total[C + first + j] / n;
  }
#pragma unroll
  for (int k = 0; k < PIECES; k++)
    if (begin + k * THREADS < pixels * EIGHTS) {
      float v[8], d[8];
      unpack(v, pieces[k]);
      unpack(d, sloped[k]);
#pragma unroll
      for (int j = 0; j < 8; j++) {
        const float passed = channels[j].passes(v[j]) ? d[j] : 0;
        v[j] = channels[j].scale * (passed - mean[j] - channels[j].normed(v[j]) * along[j]);
      }
      to[begin + k * THREADS] = packed(v);
    }
}
}
