// Parameters, declared where they are made: told to the trainer by `export { parameters } from "./pixelrate.js"`.

import { param } from "pixelrate:schedule/run@1.0.0";

/** @type {object[]} */
const declared = [];

export const parameters = () => JSON.stringify(declared);

/**
 * A number that a study may give. What this returns gives the study's number or the default; call it in functions
 * only, since the module's top level runs when the plugin is built.
 * @param {string} name
 * @param {number} byDefault
 * @param {string} doc What it means, and its unit.
 * @param {string[]} [choices] Names that a study may give for 0, 1, 2, …
 * @returns {() => number}
 */
export function number(name, byDefault, doc, choices) {
  declared.push({ name, default: byDefault, doc, choices });
  let value;
  return () => (value ??= param(name, byDefault));
}

/**
 * A picture that a study names: what this returns is for `Image.open`.
 * @param {string} name
 * @param {string} doc
 */
export function picture(name, doc) {
  declared.push({ name, kind: "picture", doc });
  return name;
}
