/* A straight warm-up, then half a cosine from max_lr down to min_lr. */

#include "pixelrate.h"

#include <math.h>

#define PARAMETERS(X)                                                          \
  X(number, max_lr, 0.1, "Learning rate at the end of the warm-up.")           \
  X(number, min_lr, 0, "Learning rate of the end of the run.")                 \
  X(number, warmup_steps, 0,                                                   \
    "Steps in which the rate rises from 0 in a straight line.")
PIXELRATE_PARAMETERS(PARAMETERS)

static struct parameters p;
static double total_steps;

void init(void) {
  p = read_parameters();
  total_steps = (double)pixelrate_total_steps();
}

double learning_rate(uint64_t step) {
  double s = (double)step;
  if (s < p.warmup_steps)
    return p.max_lr * ((s + 1) / p.warmup_steps);

  double t =
      fmin((s - p.warmup_steps) / fmax(total_steps - p.warmup_steps, 1), 1);
  /* The square of the half angle's cosine is 0.5 * (1 + cos(pi * t)) without
   * its cancellation near the end of the run: so written, the schedules of all
   * languages agree to a few units in the last place. */
  double c = cos(t * (M_PI / 2));
  return p.min_lr + (p.max_lr - p.min_lr) * (c * c);
}
