// A picture, read pixel by pixel: one value a step, black the lowest rate and
// white the highest.

#include "pixelrate.hpp"

#include <algorithm>

namespace {

constexpr pixelrate::picture image{
    "image",
    "The picture: a file of the study's picture folder, or a built-in one."};
constexpr pixelrate::number base_lr{"base_lr", 1e-5,
                                    "Learning rate of a black pixel."};
constexpr pixelrate::number max_lr{"max_lr", 1e-2,
                                   "Learning rate of a white pixel."};

class Image {
  const double base = base_lr();
  const double max = max_lr();
  const pixelrate::image picture = image.open(pixelrate::run::total_steps());
  const std::uint64_t last = picture.size() - 1;

public:
  double learning_rate(std::uint64_t step) const {
    // A resized picture may have a few values fewer than the run has steps: the
    // last one is held.
    return base + (max - base) * picture[std::min(step, last)];
  }
};

} // namespace

PIXELRATE_SCHEDULE(Image, image, base_lr, max_lr)
