/* PyTorch's ReduceLROnPlateau on the loss of evaluations (mode "min", a
 * relative threshold). */

#include "pixelrate.h"

#include <math.h>

#define PARAMETERS(X)                                                          \
  X(number, learning_rate, 0.1, "Learning rate of the first steps.")           \
  X(number, factor, 0.1, "What the rate is multiplied by on a plateau.")       \
  X(number, patience, 10, "Evaluations without an improvement before that.")   \
  X(number, threshold, 1e-4,                                                   \
    "How much lower than the best a loss must be to improve on it, as a "      \
    "share of the best.")                                                      \
  X(number, min_lr, 0, "The rate falls no lower.")
PIXELRATE_PARAMETERS(PARAMETERS)

/* What a stop must not lose: 32 bytes, the same in every language. */
struct state {
  double rate;
  double best;
  uint64_t bad;  /* Evaluations without an improvement. */
  uint64_t seen; /* The step of the evaluation that was handled last. */
};

static struct parameters p;
static struct state state;
PIXELRATE_STATE(state)

void init(void) {
  p = read_parameters();
  state = (struct state){.rate = p.learning_rate, .best = INFINITY};
}

static void judge(double loss) {
  if (loss < state.best * (1 - p.threshold)) {
    state.best = loss;
    state.bad = 0;
  } else {
    state.bad += 1;
  }
  if ((double)state.bad > p.patience) {
    state.rate = fmax(state.rate * p.factor, p.min_lr);
    state.bad = 0;
  }
}

double learning_rate(uint64_t step) {
  (void)step;
  uint64_t evaluation = pixelrate_eval_step();
  if (evaluation != state.seen) {
    state.seen = evaluation;
    judge(pixelrate_eval_loss());
  }
  return state.rate;
}
