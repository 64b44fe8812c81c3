// Makes a plugin of schedule.js: node build.mjs my-schedule.wasm

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { componentize } from "@bytecodealliance/componentize-js";
import { parseSync } from "oxc-parser";

const contract = readFileSync("wit/schedule.wit", "utf8");
const [, contractName, version] = contract.match(/^package (.+)@(.+);/m);

/** What the module at `path` exports, and the interfaces of the contract that it and the modules beside it import. */
function read(path, interfaces = new Set(), seen = new Set()) {
  seen.add(path);
  const { module, errors } = parseSync(relative(".", path), readFileSync(path, "utf8"));
  if (errors.length > 0) throw new Error(errors[0].codeframe);
  const exported = module.staticExports.flatMap(({ entries }) => entries);
  for (const { moduleRequest } of [...module.staticImports, ...exported]) {
    const name = moduleRequest?.value ?? "";
    if (name.startsWith(".")) {
      const beside = resolve(dirname(path), name);
      if (!seen.has(beside)) read(beside, interfaces, seen);
    } else if (name.startsWith(`${contractName}/`)) {
      interfaces.add(name.slice(contractName.length + 1).split("@")[0]);
    }
  }
  return { names: exported.map(({ exportName }) => exportName.name), interfaces };
}

async function build(output) {
  // The world is made of what the module has: componentize-js wants every export of a world to be there, and imports
  // all of it, and for a plugin that imports `training` the loss is read back at every step.
  const { names, interfaces } = read(resolve("schedule.js"), new Set(["run"]));
  const functions = [...contract.matchAll(/^ *export ([\w-]+): func.*;/gm)]
    .map(([line, kebab]) => ({ line, name: kebab.replace(/-./g, ([, letter]) => letter.toUpperCase()) }))
    .filter(({ name }) => names.includes(name));
  const imports = [...interfaces].map((name) => `  import ${name};`);
  const world = ["world plugin {", ...imports, ...functions.map(({ line }) => line), "}"].join("\n");

  // What the module throws is shown by `fail`: all that is seen of an exception otherwise is a trap.
  const guarded = `
import { fail } from "${contractName}/run@${version}";
import * as plugin from "./schedule.js";

const guard = (f) => (given) => {
  try {
    return f(given);
  } catch (error) {
    fail(error?.stack ? \`\${error} (\${error.stack.split("\\n")[0]})\` : String(error));
  }
};
${functions.map(({ name }) => `export const ${name} = guard(plugin.${name});`).join("\n")}
`;
  const entry = resolve("schedule.entry.js");
  writeFileSync(entry, guarded);
  try {
    const { component } = await componentize({
      sourcePath: entry,
      witWorld: `${contract}\n${world}\n`,
      worldName: "plugin",
      disableFeatures: ["random", "clocks", "stdio", "http", "fetch-event"],
    });
    writeFileSync(output, component);
  } finally {
    rmSync(entry);
  }
}

build(process.argv[2]).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
