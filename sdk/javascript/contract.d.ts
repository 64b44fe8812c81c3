// The contract (wit/schedule.wit) for editors; nothing of it goes into the plugin. A `u64` is a bigint.

/** What stays the same for a whole run. */
declare module "pixelrate:schedule/run@1.0.0" {
  export function totalSteps(): bigint;
  /** Steps that begin in an epoch, rounded up: an epoch is `trainExamples` over `batchSize` steps. */
  export function stepsPerEpoch(): bigint;
  export function trainExamples(): bigint;
  export function batchSize(): number;
  export function seed(): bigint;
  /** The number that the study gives for `name`, or `byDefault`. */
  export function param(name: string, byDefault: number): number;
  /** A line for the run's event log. */
  export function log(message: string): void;
  /** Refuses to run: the trainer shows `message`. So it does for whatever a plugin throws. */
  export function fail(message: string): never;
}

/**
 * What training has just shown: the newest value before the step that is asked for, NaN where there is none yet.
 * For a plugin that imports this, and for no other, the trainer reads the loss back at every step.
 */
declare module "pixelrate:schedule/training@1.0.0" {
  export function trainLoss(): number;
  export function gradNorm(): number;
  export function evalLoss(): number;
  export function evalAccuracy(): number;
  /** The step after which `evalLoss` and `evalAccuracy` were measured; 0n before the first. */
  export function evalStep(): bigint;
}

/** The network itself: for a plugin that imports this, and for no other, the trainer measures it at every step. */
declare module "pixelrate:schedule/weights@1.0.0" {
  /** Euclidean norm of all trained parameters before the step that is asked for; NaN where there are none. */
  export function norm(): number;
}

/** Pictures that the study names, decoded by the trainer. */
declare module "pixelrate:schedule/images@1.0.0" {
  export class Image {
    private constructor();
    /** Opens the picture of a parameter, resized so that width * height * 3 is close to `samples` (0n: not resized). */
    static open(param: string, samples: bigint): Image;
    width(): number;
    height(): number;
    /** 1 for a grey picture, 3 (red, green, blue) for any other. */
    channels(): number;
    /** How many values there are: width * height * channels. */
    len(): bigint;
    /** One value in [0, 1]: row by row, pixel by pixel, channel by channel. */
    value(index: bigint): number;
    /** Gives it back to the trainer; its values cannot be had any more. */
    [Symbol.dispose](): void;
  }
}
