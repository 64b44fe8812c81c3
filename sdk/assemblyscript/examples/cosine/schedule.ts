// A straight warm-up, then half a cosine down to the end of the run.

import { Parameter, totalSteps } from "./pixelrate";
export { parameters } from "./pixelrate";

const maxLr = new Parameter("max_lr", 0.1, "Learning rate at the end of the warm-up.");
const minLr = new Parameter("min_lr", 0, "Learning rate of the end of the run.");
const warmupSteps = new Parameter("warmup_steps", 0, "Steps in which the rate rises from 0 in a straight line.");

export function learning_rate(step: u64): f64 {
  const s = <f64>step;
  const w = warmupSteps.value;
  if (s < w) return maxLr.value * ((s + 1) / w);
  const t = min((s - w) / max(<f64>totalSteps() - w, 1), 1);
  // cos² of the half angle is 0.5 * (1 + cos(pi t)) without its cancellation near the end, where 1 + cos is all
  // rounding error: so this agrees to a few ULP with the same schedule in any other language.
  const c = Math.cos(t * (Math.PI / 2));
  return minLr.value + (maxLr.value - minLr.value) * (c * c);
}
