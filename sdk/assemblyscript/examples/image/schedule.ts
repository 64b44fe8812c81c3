// Reads a picture value by value, and uses the intensities as learning rates.

import { Parameter, Picture, PictureParameter, totalSteps } from "./pixelrate";
export { parameters } from "./pixelrate";

const image = new PictureParameter("image", "The picture: a file of the study's picture folder, or a built-in one.");
const baseLr = new Parameter("base_lr", 1e-5, "Learning rate of a black pixel.");
const maxLr = new Parameter("max_lr", 1e-2, "Learning rate of a white pixel.");

let picture!: Picture;
let last: u64 = 0;

export function init(): void {
  picture = image.open(totalSteps());
  last = picture.length - 1;
}

export function learning_rate(step: u64): f64 {
  // The last value holds where the picture has fewer values than the run has steps.
  const value = picture.value(min(step, last));
  return baseLr.value + (maxLr.value - baseLr.value) * value;
}
