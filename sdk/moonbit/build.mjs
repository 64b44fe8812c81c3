// Builds the plugin with MoonBit's compiler from npm, which is made for browsers: `node build.mjs` writes NAME.wasm.
// Its standard library comes from npm as source; the packages of it that schedules need are compiled once, into _build.

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

// An error's message alone: the line of the compiler that it came from is megabytes long.
process.on("uncaughtException", (error) => {
  console.error(error.message);
  process.exit(1);
});

// The compiler is a web worker: it hears `message` and answers by `postMessage`.
const answers = new Map();
let hear;
globalThis.addEventListener = (_, listener) => (hear = listener);
globalThis.postMessage = ({ id, type, value }) => {
  const [resolve, reject] = answers.get(id);
  type === "HANDLER" ? reject(new Error(value.value.message)) : resolve(value);
};
require("@moonbit/moonc-worker/moonc-worker.js");

function moonc(command, options) {
  return new Promise((resolve, reject) => {
    const id = String(answers.size + 1);
    answers.set(id, [resolve, reject]);
    const argumentList = [{ type: "RAW", value: options }];
    hear({ origin: "", data: { id, type: "APPLY", path: [command], argumentList } });
  });
}

// Packages of the standard library that are compiled, each after those that it needs.
const CORE = ["abort", "builtin", "uint64", "double", "float", "math"];
// What every MoonBit file sees without an import: names of `builtin`, and no code of its own.
const PRELUDE = "moonbitlang/core/prelude";
// Files that are not for WASM, that only debug builds have, or that need more packages (the prime numbers of `math`).
const LEFT_OUT =
  /_w?b?test\.mbt$|(?<!non|_or)_js\.mbt$|(?<!non)_native\.mbt$|assert_debug|stringbuilder_concat|prime|^round\.|^to_int\.|double_(round|to_u?int)\.mbt$/;

/** Compiles a package; `library` are the packages that it may use. */
async function compile(name, files, library) {
  const built = await moonc("buildPackage", {
    mbtFiles: files,
    miFiles: library.map(({ name, mi }) => [`${name}.mi:${name.split("/").at(-1)}`, mi]),
    indirectImportMiFiles: [],
    stdMiFiles: [],
    target: "wasm",
    pkg: name,
    pkgSources: [`${name}:.`],
    isMain: false,
    errorFormat: "human",
    enableValueTracing: false,
    noOpt: false,
  });
  if (!built.core) process.exit(1);
  return { name, ...built };
}

/** The standard library, from _build or compiled from its source. */
async function standardLibrary() {
  const { version } = require("@moonbit/moonc-worker/package.json");
  const folder = `_build/core-${version}`;
  const library = [];
  for (const part of CORE) {
    const name = `moonbitlang/core/${part}`;
    const kept = `${folder}/${part}`;
    if (!existsSync(`${kept}.mi`)) {
      console.error(`compiling ${name}`);
      const files = playground().filter(({ folder, file }) => folder === part && !LEFT_OUT.test(file));
      const sources = files.map(({ file, read }) => [file, read().toString()]);
      const { core, mi } = await compile(name, sources, library);
      mkdirSync(folder, { recursive: true });
      writeFileSync(`${kept}.core`, core);
      writeFileSync(`${kept}.mi`, mi);
    }
    library.push({ name, core: bytes(`${kept}.core`), mi: bytes(`${kept}.mi`) });
  }
  const prelude = `${folder}/prelude.mi`;
  if (!existsSync(prelude)) {
    const { read } = playground().find(({ file }) => file === "prelude.mi");
    writeFileSync(prelude, read());
  }
  return [...library, { name: PRELUDE, mi: bytes(prelude) }];
}

/** The files of the standard library in MoonBit's playground: `files["/lib/core/…/FILE"] = a`, `a = d("BASE64")`. */
function playground() {
  const worker = require.resolve("@moonbit/moonpad-monaco/moonc-worker.js");
  const text = readFileSync(worker.replace("moonc-worker", "moonpad-monaco"), "latin1");
  const files = text.matchAll(/\["\/lib\/core\/([^"]+)\/([^"]+)"\] =\s+([\w$]+);/g);
  return [...files].map(([, folder, file, variable]) => ({
    folder,
    file,
    read() {
      const start = text.indexOf(` ${variable} = d("`) + ` ${variable} = d("`.length;
      return Buffer.from(text.slice(start, text.indexOf('"', start)), "base64");
    },
  }));
}

function bytes(file) {
  return new Uint8Array(readFileSync(file));
}

/** `wasm` with its memory exported as `memory`, which linking leaves out here. */
function exportMemory(wasm) {
  const parts = [wasm.subarray(0, 8)];
  for (let at = 8; at < wasm.length;) {
    const length = leb(wasm, at + 1);
    const end = length.next + length.value;
    const exports = 7;
    if (wasm[at] === exports) {
      const count = leb(wasm, length.next);
      const memory = [6, ...Buffer.from("memory"), 2, 0];
      const body = [...toLeb(count.value + 1), ...memory, ...wasm.subarray(count.next, end)];
      parts.push(Uint8Array.from([exports, ...toLeb(body.length), ...body]));
    } else {
      parts.push(wasm.subarray(at, end));
    }
    at = end;
  }
  return Buffer.concat(parts);
}

function leb(bytes, at) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    value |= (bytes[at] & 127) << shift;
    if (bytes[at++] < 128) return { value, next: at };
  }
}

function toLeb(value) {
  return value < 128 ? [value] : [(value & 127) | 128, ...toLeb(value >>> 7)];
}

const { name } = JSON.parse(readFileSync("moon.mod.json"));
const { link } = JSON.parse(readFileSync("moon.pkg.json"));
const library = await standardLibrary();
const files = readdirSync(".").filter((file) => file.endsWith(".mbt"));
const plugin = await compile(
  name,
  files.map((file) => [file, readFileSync(file, "utf8")]),
  library,
);
const { result } = await moonc("linkCore", {
  coreFiles: [...library, plugin].flatMap(({ core }) => core ?? []),
  main: name,
  pkgSources: [`${name}:.`, "moonbitlang/core:."],
  target: "wasm",
  exportedFunctions: link.wasm.exports,
  outputFormat: "wasm",
  testMode: false,
  debug: false,
  noOpt: false,
  sourceMap: false,
  sources: {},
  stopOnMain: false,
});
writeFileSync(`${name.split("/").at(-1)}.wasm`, exportMemory(result));
