## A straight warm-up, then half a cosine down to the end of the run.

import std/math
import pixelrate

parameters:
  number max_lr, 0.1, "Learning rate at the end of the warm-up."
  number min_lr, 0, "Learning rate of the end of the run."
  number warmup_steps, 0, "Steps in which the rate rises from 0 in a straight line."

proc learningRate(step: uint64): float64 {.exported: "learning-rate".} =
  let
    s = float64(step)
    w = warmupSteps
  if s < w:
    return maxLr * ((s + 1) / w)
  let
    t = min((s - w) / max(float64(totalSteps()) - w, 1), 1)
    # cos² of the half angle is 0.5 * (1 + cos(pi t)) without its cancellation near the end, where 1 + cos is all
    # rounding error: so this agrees to a few ULP with the same schedule in any other language.
    c = cos(t * (PI / 2))
  minLr + (maxLr - minLr) * (c * c)
