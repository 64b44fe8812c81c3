// A straight warm-up, then half a cosine down to the end of the run.

import { totalSteps } from "pixelrate:schedule/run@1.0.0";
import { number } from "./pixelrate.js";
export { parameters } from "./pixelrate.js";

const maxLr = number("max_lr", 0.1, "Learning rate at the end of the warm-up.");
const minLr = number("min_lr", 0, "Learning rate of the end of the run.");
const warmupSteps = number("warmup_steps", 0, "Steps in which the rate rises from 0 in a straight line.");

/** @param {bigint} step */
export function learningRate(step) {
  const s = Number(step);
  const w = warmupSteps();
  if (s < w) return maxLr() * ((s + 1) / w);
  const t = Math.min((s - w) / Math.max(Number(totalSteps()) - w, 1), 1);
  // cos² of the half angle is 0.5 * (1 + cos(pi t)) without its cancellation near the end, where 1 + cos is all
  // rounding error: so this agrees to a few ULP with the same schedule in any other language.
  const c = Math.cos(t * (Math.PI / 2));
  return minLr() + (maxLr() - minLr()) * (c * c);
}
