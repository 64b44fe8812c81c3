// What a schedule may ask for and declare: the contract (schedule.wit) for AssemblyScript.
// @ts-nocheck: editors take this for TypeScript, which has no decorators on functions.

// ---- The run: what stays the same for all of it.

@external("pixelrate:schedule/run@1.0.0", "total-steps")
export declare function totalSteps(): u64;
/** Steps that begin in an epoch, rounded up: an epoch is `trainExamples` over `batchSize` steps. */
@external("pixelrate:schedule/run@1.0.0", "steps-per-epoch")
export declare function stepsPerEpoch(): u64;
@external("pixelrate:schedule/run@1.0.0", "train-examples")
export declare function trainExamples(): u64;
@external("pixelrate:schedule/run@1.0.0", "batch-size")
export declare function batchSize(): u32;
@external("pixelrate:schedule/run@1.0.0", "seed")
export declare function seed(): u64;
@external("pixelrate:schedule/run@1.0.0", "param")
declare function runParam(name: usize, length: usize, byDefault: f64): f64;
@external("pixelrate:schedule/run@1.0.0", "log")
declare function runLog(message: usize, length: usize): void;
@external("pixelrate:schedule/run@1.0.0", "fail")
declare function runFail(message: usize, length: usize): void;

/** Writes a line into the run's event log. */
export function log(message: string): void {
  const text = utf8(message);
  runLog(text, utf8Length);
  heap.free(text);
}

/** Refuses to run: the trainer shows `message`. So does `throw new Error(message)`, and an `assert` that fails. */
export function fail(message: string): void {
  runFail(utf8(message), utf8Length);
  unreachable();
}

/** What asc calls where a program throws (`--use abort=pixelrate/abort`). */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  fail(message ? message : `it stopped at ${file ? file : "?"}:${line}:${column}`);
}

// ---- Training: the newest value before the step that is asked for, NaN where there is none yet.
// The trainer reads the loss back at every step for a plugin that calls one of these, and for no other.

@external("pixelrate:schedule/training@1.0.0", "train-loss")
export declare function trainLoss(): f64;
@external("pixelrate:schedule/training@1.0.0", "grad-norm")
export declare function gradNorm(): f64;
@external("pixelrate:schedule/training@1.0.0", "eval-loss")
export declare function evalLoss(): f64;
@external("pixelrate:schedule/training@1.0.0", "eval-accuracy")
export declare function evalAccuracy(): f64;
/** The step after which `evalLoss` and `evalAccuracy` were measured; 0 before the first. */
@external("pixelrate:schedule/training@1.0.0", "eval-step")
export declare function evalStep(): u64;

/** Euclidean norm of all trained parameters before the step that is asked for: measured at every step once it is called. */
@external("pixelrate:schedule/weights@1.0.0", "norm")
export declare function weightNorm(): f64;

// ---- Parameters: declared where they are made, and told to the trainer by `export { parameters } from "./pixelrate"`.

/** A number that a study may give. `doc` goes into JSON as it is: no `"` and no `\` in it. */
export class Parameter {
  private known: bool = false;

  constructor(
    private name: string,
    private number: f64,
    doc: string,
    choices: string = "",
  ) {
    declare(`"name":"${name}","default":${number},"doc":"${doc}"${choices}`);
  }

  /** The study's number or the default. In functions only: the trainer does not answer while the module starts. */
  get value(): f64 {
    if (!this.known) {
      this.number = param(this.name, this.number);
      this.known = true;
    }
    return this.number;
  }
}

/** The study's number for `name`, for a name that is only known at run time: one of a family, declared as `stage_*`. */
export function param(name: string, byDefault: f64): f64 {
  const text = utf8(name);
  const number = runParam(text, utf8Length, byDefault);
  heap.free(text);
  return number;
}

/** What a parameter has besides, where a study may also give names for 0, 1, 2, … */
export function choices(names: string[]): string {
  return `,"choices":["${names.join('","')}"]`;
}

/** A picture that a study names. */
export class PictureParameter {
  constructor(
    private name: string,
    doc: string,
  ) {
    declare(`"name":"${name}","kind":"picture","doc":"${doc}"`);
  }

  /** Opens it, resized so that width * height * 3 is close to `samples` (0: not resized). */
  open(samples: u64): Picture {
    const name = utf8(this.name);
    const picture = new Picture(imageOpen(name, utf8Length, samples));
    heap.free(name);
    return picture;
  }
}

let declared = "";

function declare(parameter: string): void {
  declared += `${declared.length ? ",\n" : ""}{${parameter}}`;
}

export function parameters(): usize {
  return bytes(utf8(`[${declared}]`), utf8Length);
}

// ---- Pictures, decoded by the trainer.

@external("pixelrate:schedule/images@1.0.0", "[static]image.open")
declare function imageOpen(param: usize, length: usize, samples: u64): u32;
@external("pixelrate:schedule/images@1.0.0", "[method]image.width")
declare function imageWidth(image: u32): u32;
@external("pixelrate:schedule/images@1.0.0", "[method]image.height")
declare function imageHeight(image: u32): u32;
@external("pixelrate:schedule/images@1.0.0", "[method]image.channels")
declare function imageChannels(image: u32): u32;
@external("pixelrate:schedule/images@1.0.0", "[method]image.len")
declare function imageLen(image: u32): u64;
@external("pixelrate:schedule/images@1.0.0", "[method]image.value")
declare function imageValue(image: u32, index: u64): f64;
@external("pixelrate:schedule/images@1.0.0", "[resource-drop]image")
declare function imageDrop(image: u32): void;

export class Picture {
  constructor(private handle: u32) {}

  get width(): u32 {
    return imageWidth(this.handle);
  }

  get height(): u32 {
    return imageHeight(this.handle);
  }

  /** 1 for a grey picture, 3 (red, green, blue) for any other. */
  get channels(): u32 {
    return imageChannels(this.handle);
  }

  /** How many values there are: width * height * channels. */
  get length(): u64 {
    return imageLen(this.handle);
  }

  /** One value in [0, 1]: row by row, pixel by pixel, channel by channel. */
  value(index: u64): f64 {
    return imageValue(this.handle, index);
  }

  /** Gives it back to the trainer; its values cannot be had any more. */
  close(): void {
    imageDrop(this.handle);
  }
}

// ---- Text and bytes: the contract has them as UTF-8 at an address, AssemblyScript's strings are UTF-16.

const slice = memory.data(8);

/** What `save` returns: where `length` bytes lie. */
export function bytes(address: usize, length: usize): usize {
  store<usize>(slice, address);
  store<usize>(slice, length, sizeof<usize>());
  return slice;
}

/** Where the trainer puts the bytes for `restore`: a plugin that has one exports this too. */
export function cabi_realloc(old: usize, oldSize: usize, align: usize, size: usize): usize {
  return old ? heap.realloc(old, size) : heap.alloc(size);
}

let utf8Length: usize = 0;

/** `text` in UTF-8, of `utf8Length` bytes. */
function utf8(text: string): usize {
  utf8Length = String.UTF8.byteLength(text);
  const address = heap.alloc(utf8Length);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, address);
  return address;
}
