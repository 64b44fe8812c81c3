// Lowers the rate when the evaluation loss stops falling: PyTorch's ReduceLROnPlateau (mode "min", relative threshold).

import { evalLoss, evalStep } from "pixelrate:schedule/training@1.0.0";
import { number } from "./pixelrate.js";
export { parameters } from "./pixelrate.js";

const firstRate = number("learning_rate", 0.1, "Learning rate of the first steps.");
const factor = number("factor", 0.1, "What the rate is multiplied by on a plateau.");
const patience = number("patience", 10, "Evaluations without an improvement before that.");
const threshold = number(
  "threshold",
  1e-4,
  "How much lower than the best a loss must be to improve on it, as a share of the best.",
);
const minLr = number("min_lr", 0, "The rate falls no lower.");

let rate = NaN;
let best = Infinity;
let bad = 0n;
/** The evaluation that was handled last. */
let seen = 0n;

export function init() {
  rate = firstRate();
}

export function learningRate() {
  const evaluated = evalStep();
  if (evaluated !== seen) {
    seen = evaluated;
    const loss = evalLoss();
    if (loss < best * (1 - threshold())) {
      best = loss;
      bad = 0n;
    } else {
      bad += 1n;
    }
    if (Number(bad) > patience()) {
      rate = Math.max(rate * factor(), minLr());
      bad = 0n;
    }
  }
  return rate;
}

// The state is the same 32 bytes in every language, so a swap from one to another keeps it.
export function save() {
  const state = new DataView(new ArrayBuffer(32));
  state.setFloat64(0, rate, true);
  state.setFloat64(8, best, true);
  state.setBigUint64(16, bad, true);
  state.setBigUint64(24, seen, true);
  return new Uint8Array(state.buffer);
}

/** @param {Uint8Array} bytes */
export function restore(bytes) {
  if (bytes.length !== 32) throw new Error(`the state has ${bytes.length} bytes: must be 32`);
  const state = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  rate = state.getFloat64(0, true);
  best = state.getFloat64(8, true);
  bad = state.getBigUint64(16, true);
  seen = state.getBigUint64(24, true);
}
