// What kernels are launched with.

#pragma once

#include <algorithm>
#include <optional>

// Of src/kernels/convolution.cu.
struct ConvolutionSizes {
  int channels, height, width;
  // Pixels of a block: whole rows of a picture. Into so many parts its channels are cut.
  int tile, parts;

  // Of pictures for which there are kernels.
  static std::optional<ConvolutionSizes> of(long channels, long height, long width) {
    if (channels != 16 && channels != 32 && channels != 64)
      return std::nullopt;
    const int tile = channels == 16 ? 256 : channels == 32 ? 128 : 64;
    if (width < 1 || tile % width != 0 || height % (tile / width) != 0)
      return std::nullopt;
    return ConvolutionSizes{int(channels), int(height), int(width), tile, channels > 32 ? int(channels) / 32 : 1};
  }

  unsigned tiles(long pictures) const { return unsigned(pictures * height * width / tile); }

  static constexpr unsigned THREADS = 256;
  unsigned weight_threads() const { return 9 * 32 * parts; }
  // Blocks that sum a gradient by weights: their sums are some megabytes in all.
  unsigned weight_blocks(long pictures) const { return std::min(tiles(pictures), 4096u / channels); }
  // Blocks that add those up, and their threads.
  unsigned adding_blocks() const { return 9 * channels * channels / 32; }
  static constexpr unsigned ADDING_THREADS = 256;

  // Bytes of shared memory: a tile with what lies around it, and filters or gradients behind it.
  unsigned shared_forward() const { return around() + 2 * (channels / parts) * (9 * channels + 8); }
  unsigned shared_by_input() const { return around() + 2 * channels * (9 * channels / parts + 8); }
  unsigned shared_by_weights() const { return around() + 2 * tile * (channels + 8); }

private:
  unsigned around() const { return 2 * (tile / width + 2) * (width + 2) * (channels + 8); }
};

// Of src/kernels/norm.cu.
struct NormSizes {
  int channels, pixels;

  static std::optional<NormSizes> of(long channels, long pixels) {
    const bool fits = channels == 16 || channels == 32 || channels == 64 || channels == 128;
    // The variance that is kept is one of two numbers at least.
    return fits && pixels > 1 ? std::optional(NormSizes{int(channels), int(pixels)}) : std::nullopt;
  }

  static constexpr unsigned THREADS = 256;
  // Blocks that sum, and the sums of all of them: two numbers a channel each.
  unsigned summing_blocks() const { return 2048 / channels; }
  static constexpr unsigned SUMS = 2 * 2048;
  // Of the others, each of which has four times eight numbers a thread.
  unsigned blocks() const { return unsigned((long(pixels) * channels + 4 * 8 * THREADS - 1) / (4 * 8 * THREADS)); }
};
