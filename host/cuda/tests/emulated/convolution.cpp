// src/kernels/convolution.cu beside sums of 64 bits in the order of the definition.

#include "gpu.h"

#include "sizes.h"

#include "kernels/convolution.cu"

// Rounded to eight bits at the end.
constexpr double NEAR = 2.5e-3;

int main() {
  // A tile that is a whole picture, and one with others above and below.
  for (const auto [pictures, height] : {std::pair(2, ROWS), std::pair(1, 3 * ROWS)}) {
    const auto sizes = ConvolutionSizes::of(C, height, W).value();
    if (sizes.tile != TILE || sizes.parts != PARTS || sizes.THREADS != THREADS || int(sizes.weight_threads()) != FILTER_THREADS)
      fail("it was compiled for other sizes");
    const size_t numbers = size_t(pictures) * height * W * C, weights = C * 9 * C;
    const bf16 *x = noise(numbers), *w = noise(weights, 0.1f), *beside = noise(numbers), *slope = noise(numbers);

    std::vector<double> y(numbers), by_x(numbers), by_w(weights);
    for (int p = 0; p < pictures; p++)
      for (int r = 0; r < height; r++)
        for (int c = 0; c < W; c++)
          for (int tap = 0; tap < 9; tap++) {
            const int row = r + tap / 3 - 1, column = c + tap % 3 - 1;
            if (row < 0 || row >= height || column < 0 || column >= W)
              continue;
            const size_t in = (size_t(p * height + row) * W + column) * C, out = (size_t(p * height + r) * W + c) * C;
            for (int o = 0; o < C; o++)
              for (int i = 0; i < C; i++) {
                const size_t weight = (o * 9 + tap) * C + i;
                y[out + o] += value(x[in + i]) * value(w[weight]);
                by_x[in + i] += value(slope[out + o]) * value(w[weight]);
                by_w[weight] += value(slope[out + o]) * value(x[in + i]);
              }
          }
    std::vector<double> sum(numbers);
    for (size_t i = 0; i < numbers; i++)
      sum[i] = y[i] + value(beside[i]);

    const unsigned tiles = sizes.tiles(pictures);
    bf16 *first[4] = {};
    for (const bool backwards : {false, true}) {
      bf16 *found[4] = {memory<bf16>(numbers), memory<bf16>(numbers), memory<bf16>(numbers), memory<bf16>(weights)};
      launch(tiles, PARTS, sizes.THREADS, sizes.shared_forward(), backwards, [&] { forward(x, w, nullptr, found[0], height); });
      launch(tiles, PARTS, sizes.THREADS, sizes.shared_forward(), backwards, [&] { forward(x, w, beside, found[1], height); });
      launch(tiles, PARTS, sizes.THREADS, sizes.shared_by_input(), backwards, [&] { by_input(slope, w, found[2], height); });
      // A tile each; and several for a block, not all as many.
      for (const unsigned blocks : {tiles, 2u}) {
        float *sums = memory<float>(blocks * weights);
        launch(blocks, 1, sizes.weight_threads(), sizes.shared_by_weights(), backwards,
               [&] { by_weights(x, slope, sums, height, tiles); });
        launch(sizes.adding_blocks(), 1, sizes.ADDING_THREADS, 0, backwards, [&] { add_up(sums, blocks, found[3]); });
        near("by weights", found[3], by_w, NEAR);
      }
      near("forward", found[0], y, NEAR);
      near("and added", found[1], sum, 1.5 * NEAR);
      near("by input", found[2], by_x, NEAR);
      for (int i = 0; i < 4; i++)
        if (backwards)
          equal("a convolution", found[i], first[i], i < 3 ? numbers : weights);
        else
          first[i] = found[i];
    }
  }
}
