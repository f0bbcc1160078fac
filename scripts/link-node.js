/**
 * Makes node_modules/.bin/node the runtime that package.json pins, where npm has not: npm 10, the one that comes with Node 20, links it and
 * then removes the link with the packages of other platforms, whose command has the same name. Then it has that runtime compile what it will
 * run. Runs after `npm ci`, under whatever Node there is, so it is plain JavaScript.
 */
import { spawnSync } from "node:child_process";
import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { bundledNode } from "../src/launch/bundled-node.js";
import { flags } from "../src/runtime/flags.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const link = join(root, "node_modules", ".bin", "node");
const runtime = bundledNode();

if (runtime !== undefined && !existsSync(link)) symlinkSync(relative(dirname(link), runtime), link);

// cmd.exe has no exec, with which `npm start` lets the service take the shell's place: so npm's signals reach it.
if (process.platform === "win32") writeFileSync(join(root, "node_modules", ".bin", "exec.cmd"), "@%*\r\n");

const compile = join(root, "scripts", "fill-compile-cache.ts");
// V8 believes only what was compiled under its own flags. Without the cache all is as well, but larger and slower.
if (runtime !== undefined) spawnSync(runtime, [...flags, compile], { stdio: "inherit" });
