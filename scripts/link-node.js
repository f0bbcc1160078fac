/**
 * Makes node_modules/.bin/node the runtime that package.json pins, where npm has not: npm 10, the one that comes with Node 20, links it and
 * then removes the link with the packages of other platforms, whose command has the same name. Then it has that runtime compile what it will
 * run. Runs after `npm ci`, under whatever Node there is, so it is plain JavaScript.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { flags } from "../src/runtime/flags.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const link = join(root, "node_modules", ".bin", "node");
const { optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const runtime = Object.keys(optionalDependencies).find((name) =>
  existsSync(join(root, "node_modules", name, "bin", "node")),
);

if (runtime !== undefined && !existsSync(link)) symlinkSync(join("..", runtime, "bin", "node"), link);

// cmd.exe has no exec, with which `npm start` lets the service take the shell's place: so npm's signals reach it.
if (process.platform === "win32") writeFileSync(join(root, "node_modules", ".bin", "exec.cmd"), "@%*\r\n");

const compile = join(root, "scripts", "fill-compile-cache.ts");
// V8 believes only what was compiled under its own flags. Without the cache all is as well, but larger and slower.
if (runtime !== undefined)
  spawnSync(join(root, "node_modules", runtime, "bin", "node"), [...flags, compile], { stdio: "inherit" });
