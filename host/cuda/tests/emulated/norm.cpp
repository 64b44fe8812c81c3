// src/kernels/norm.cu beside sums of 64 bits in the order of the definition.

#include "gpu.h"

#include "sizes.h"

#include "kernels/norm.cu"

// In its channel, as libtorch has it: a run that diverges is to be seen.
void what_is_not_a_number_stays_so() {
  const int pixels = 300;
  const auto sizes = NormSizes::of(C, pixels).value();
  bf16 *x = noise(size_t(pixels) * C), *y = memory<bf16>(size_t(pixels) * C);
  x[7 * C] = 0x7fc0;
  float *sums = memory<float>(sizes.SUMS), *kept = memory<float>(2 * C);
  float *mean = floats(C, 1, 0), *variance = floats(C, 0, 1), *weight = floats(C, 0, 1), *bias = floats(C, 0, 1);
  launch(sizes.summing_blocks(), 1, sizes.THREADS, 0, false, [&] { moments((const uint4 *)x, sums, pixels); });
  launch(sizes.blocks(), 1, sizes.THREADS, 0, false,
         [&] { forward((const uint4 *)x, sums, weight, bias, mean, variance, kept, (uint4 *)y, pixels, 0.1f, 1e-5f); });
  for (int i = 0; i < pixels * C; i++)
    if (std::isnan(value(y[i])) != (i % C == 0))
      fail("what is not a number is lost, or spreads");
  if (!std::isnan(mean[0]) || !std::isnan(variance[0]) || std::isnan(variance[1]))
    fail("the running moments do not tell it");
}

int main() {
  // Less than a block has, and several blocks of which the last is not full.
  for (const int pixels : {2, 37, 8 * 256 + 5}) {
    const auto sizes = NormSizes::of(C, pixels).value();
    if (int(sizes.summing_blocks()) != BLOCKS || sizes.THREADS != THREADS || sizes.SUMS != BLOCKS * 2 * C)
      fail("it was compiled for other sizes");
    const float eps = 1e-5f, momentum = 0.1f;
    const size_t numbers = size_t(pixels) * C;
    // Far from zero, beside the deviation.
    const bf16 *x = noise(numbers, 2, 40), *slope = noise(numbers);
    const float *weight = floats(C, 0.3f, 1), *bias = floats(C, 1, 0), *mean_before = floats(C, 1, 0), *var_before = floats(C, 0.1f, 1);

    std::vector<double> y(numbers), by_x(numbers), by_weight(C), by_bias(C), running_mean(C), running_var(C);
    for (int c = 0; c < C; c++) {
      double mean = 0, variance = 0;
      for (int p = 0; p < pixels; p++)
        mean += value(x[p * C + c]) / pixels;
      for (int p = 0; p < pixels; p++)
        variance += std::pow(value(x[p * C + c]) - mean, 2) / pixels;
      running_mean[c] = mean_before[c] + momentum * (mean - mean_before[c]);
      running_var[c] = var_before[c] + momentum * (variance * pixels / (pixels - 1) - var_before[c]);
      const double invstd = 1 / std::sqrt(variance + eps);
      for (int p = 0; p < pixels; p++) {
        const double normed = (value(x[p * C + c]) - mean) * invstd, given = normed * weight[c] + bias[c];
        y[p * C + c] = given > 0 ? given : 0;
        if (given > 0) {
          by_bias[c] += value(slope[p * C + c]);
          by_weight[c] += value(slope[p * C + c]) * normed;
        }
      }
      for (int p = 0; p < pixels; p++) {
        const double normed = (value(x[p * C + c]) - mean) * invstd, passed = y[p * C + c] > 0 ? value(slope[p * C + c]) : 0;
        by_x[p * C + c] = weight[c] * invstd * (passed - by_bias[c] / pixels - normed * by_weight[c] / pixels);
      }
    }

    bf16 *first[2] = {};
    for (const bool backwards : {false, true}) {
      float *sums = memory<float>(sizes.SUMS), *kept = memory<float>(2 * C), *moving[2] = {memory<float>(C), memory<float>(C)};
      float *slopes_found[2] = {memory<float>(C), memory<float>(C)};
      bf16 *found[2] = {memory<bf16>(numbers), memory<bf16>(numbers)};
      std::memcpy(moving[0], mean_before, C * sizeof(float));
      std::memcpy(moving[1], var_before, C * sizeof(float));
      const auto *eights = (const uint4 *)x, *sloped = (const uint4 *)slope;
      launch(sizes.summing_blocks(), 1, sizes.THREADS, 0, backwards, [&] { moments(eights, sums, pixels); });
      launch(sizes.blocks(), 1, sizes.THREADS, 0, backwards, [&] {
        forward(eights, sums, weight, bias, moving[0], moving[1], kept, (uint4 *)found[0], pixels, momentum, eps);
      });
      launch(sizes.summing_blocks(), 1, sizes.THREADS, 0, backwards,
             [&] { slopes(eights, sloped, weight, bias, kept, sums, pixels); });
      launch(sizes.blocks(), 1, sizes.THREADS, 0, backwards, [&] {
        backward(eights, sloped, weight, bias, kept, sums, slopes_found[0], slopes_found[1], (uint4 *)found[1], pixels);
      });
      near("forward", found[0], y, 2.5e-3);
      near("running mean", moving[0], running_mean, 1e-6);
      near("running variance", moving[1], running_var, 1e-5);
      // Of two pixels, what is normed is -1 and 1, and the gradient by the input a difference of equals.
      if (pixels > 2) {
        near("by input", found[1], by_x, 2.5e-3);
        near("by weight", slopes_found[0], by_weight, 1e-4);
      }
      near("by bias", slopes_found[1], by_bias, 1e-5);
      for (int i = 0; i < 2; i++)
        if (backwards)
          equal("a norm", found[i], first[i], numbers);
        else
          first[i] = found[i];
    }
  }
  what_is_not_a_number_stays_so();
}
