// Reads a picture value by value, and uses the intensities as learning rates.

import { Image } from "pixelrate:schedule/images@1.0.0";
import { totalSteps } from "pixelrate:schedule/run@1.0.0";
import { number, picture } from "./pixelrate.js";
export { parameters } from "./pixelrate.js";

const image = picture("image", "The picture: a file of the study's picture folder, or a built-in one.");
const baseLr = number("base_lr", 1e-5, "Learning rate of a black pixel.");
const maxLr = number("max_lr", 1e-2, "Learning rate of a white pixel.");

/** @type {Image} */
let opened;
/** @type {bigint} */
let last;

export function init() {
  opened = Image.open(image, totalSteps());
  last = opened.len() - 1n;
}

/** @param {bigint} step */
export function learningRate(step) {
  // The last value holds where the picture has fewer values than the run has steps.
  const value = opened.value(step < last ? step : last);
  return baseLr() + (maxLr() - baseLr()) * value;
}
