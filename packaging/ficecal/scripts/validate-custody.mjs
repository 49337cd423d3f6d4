#!/usr/bin/env node
// Holds the repository to its contract with custody (VAL-2): `npm run validate` chains it.
//
// The binary is looked for in CUSTODY_BIN, then node_modules/.bin of the repository, then PATH. Arguments are handed
// on; without any, `custody check --no-incident` runs. Exit status: 0 if the contract holds, else 1.

import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const names = process.platform === "win32" ? ["custody.exe", "custody.cmd"] : ["custody"];

function fail(message) {
  console.log(`[custody] ERROR: ${message}`);
  process.exit(1);
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function find() {
  const configured = process.env.CUSTODY_BIN;
  if (configured) {
    const path = resolve(configured);
    if (!isExecutable(path)) fail("CUSTODY_BIN names no executable file");
    return path;
  }
  const directories = [join(root, "node_modules", ".bin"), ...(process.env.PATH ?? "").split(delimiter)];
  for (const directory of directories.filter(Boolean)) {
    const path = names.map((name) => join(directory, name)).find(isExecutable);
    if (path) return path;
  }
  return fail("custody is not installed: put it on PATH, into node_modules/.bin, or name it in CUSTODY_BIN");
}

const given = process.argv.slice(2);
const args = given.length > 0 ? given : ["check", "--no-incident"];
const path = find();
const run = spawnSync(path, args, { cwd: root, stdio: "inherit", shell: path.endsWith(".cmd") });
if (run.error) fail(`custody cannot be started: ${run.error.code}`);
if (run.status !== 0) fail(`custody ${args[0]} ended with status ${run.status ?? run.signal}`);
console.log("[custody] OK: the contract holds");
