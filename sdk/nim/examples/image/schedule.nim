## Reads a picture value by value, and uses the intensities as learning rates.

import pixelrate

parameters:
  picture image, "The picture: a file of the study's picture folder, or a built-in one."
  number base_lr, 1e-5, "Learning rate of a black pixel."
  number max_lr, 1e-2, "Learning rate of a white pixel."

var picture: Picture
var last: uint64

proc init() {.exported: "init".} =
  picture = image.open(totalSteps())
  last = picture.len - 1

proc learningRate(step: uint64): float64 {.exported: "learning-rate".} =
  # The last value holds where the picture has fewer values than the run has steps.
  let value = picture[min(step, last)]
  baseLr + (maxLr - baseLr) * value
