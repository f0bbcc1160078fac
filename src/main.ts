#!/usr/bin/env node
/** The command line's entry. What it does is in cli/. */
import { runCommandLine } from "./cli/run.ts";

process.exitCode = await runCommandLine(process.argv.slice(2));
