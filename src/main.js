#!/usr/bin/env node
/** The command line's entry. What it does is in cli/. */
import { keepCompiled } from "./compile-cache.js";

keepCompiled();
const { runCommandLine } = await import("./cli/run.ts");

process.exitCode = await runCommandLine(process.argv.slice(2));
