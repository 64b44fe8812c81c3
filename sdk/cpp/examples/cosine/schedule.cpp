// A straight warm-up, then half a cosine from max_lr down to min_lr.

#include "pixelrate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace {

constexpr pixelrate::number max_lr{"max_lr", 0.1,
                                   "Learning rate at the end of the warm-up."};
constexpr pixelrate::number min_lr{"min_lr", 0,
                                   "Learning rate of the end of the run."};
constexpr pixelrate::number warmup_steps{
    "warmup_steps", 0,
    "Steps in which the rate rises from 0 in a straight line."};

class Cosine {
  const double max = max_lr();
  const double min = min_lr();
  const double warmup = warmup_steps();
  const double total = static_cast<double>(pixelrate::run::total_steps());

public:
  double learning_rate(std::uint64_t step) const {
    const double s = static_cast<double>(step);
    if (s < warmup)
      return max * ((s + 1) / warmup);

    const double t =
        std::min((s - warmup) / std::max(total - warmup, 1.0), 1.0);
    // The square of the half angle's cosine is 0.5 * (1 + cos(pi * t)) without
    // its cancellation near the end of the run: so written, the schedules of
    // all languages agree to a few units in the last place.
    const double c = std::cos(t * (std::numbers::pi / 2));
    return min + (max - min) * (c * c);
  }
};

} // namespace

PIXELRATE_SCHEDULE(Cosine, max_lr, min_lr, warmup_steps)
