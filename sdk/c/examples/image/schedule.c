/* A picture, read pixel by pixel: one value a step, black the lowest rate and
 * white the highest. */

#include "pixelrate.h"

#define PARAMETERS(X)                                                          \
  X(picture, image,                                                            \
    "The picture: a file of the study's picture folder, or a built-in one.")   \
  X(number, base_lr, 1e-5, "Learning rate of a black pixel.")                  \
  X(number, max_lr, 1e-2, "Learning rate of a white pixel.")
PIXELRATE_PARAMETERS(PARAMETERS)

static struct parameters p;
static pixelrate_image picture;
static uint64_t last;

void init(void) {
  p = read_parameters();
  picture = pixelrate_image_open(p.image, pixelrate_total_steps());
  last = pixelrate_image_len(picture) - 1;
}

double learning_rate(uint64_t step) {
  /* A resized picture may have a few values fewer than the run has steps: the
   * last one is held. */
  uint64_t index = step < last ? step : last;
  return p.base_lr +
         (p.max_lr - p.base_lr) * pixelrate_image_value(picture, index);
}
