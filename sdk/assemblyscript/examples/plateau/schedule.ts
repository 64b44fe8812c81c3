// Lowers the rate when the evaluation loss stops falling: PyTorch's ReduceLROnPlateau (mode "min", relative threshold).

import { Parameter, bytes, evalLoss, evalStep } from "./pixelrate";
export { cabi_realloc, parameters } from "./pixelrate";

const learningRate = new Parameter("learning_rate", 0.1, "Learning rate of the first steps.");
const factor = new Parameter("factor", 0.1, "What the rate is multiplied by on a plateau.");
const patience = new Parameter("patience", 10, "Evaluations without an improvement before that.");
const threshold = new Parameter(
  "threshold",
  1e-4,
  "How much lower than the best a loss must be to improve on it, as a share of the best.",
);
const minLr = new Parameter("min_lr", 0, "The rate falls no lower.");

let rate: f64 = 0;
let best: f64 = Infinity;
let bad: u64 = 0;
/** The evaluation that was handled last. */
let seen: u64 = 0;

export function init(): void {
  rate = learningRate.value;
}

export function learning_rate(step: u64): f64 {
  const evaluated = evalStep();
  if (evaluated != seen) {
    seen = evaluated;
    const loss = evalLoss();
    if (loss < best * (1 - threshold.value)) {
      best = loss;
      bad = 0;
    } else {
      bad += 1;
    }
    if (<f64>bad > patience.value) {
      rate = max(rate * factor.value, minLr.value);
      bad = 0;
    }
  }
  return rate;
}

// The state is the same 32 bytes in every language, so a swap from one to another keeps it.
const state = memory.data(32);

export function save(): usize {
  store<f64>(state, rate, 0);
  store<f64>(state, best, 8);
  store<u64>(state, bad, 16);
  store<u64>(state, seen, 24);
  return bytes(state, 32);
}

export function restore(state: usize, length: usize): void {
  assert(length == 32, `the state has ${length} bytes: must be 32`);
  rate = load<f64>(state, 0);
  best = load<f64>(state, 8);
  bad = load<u64>(state, 16);
  seen = load<u64>(state, 24);
}
