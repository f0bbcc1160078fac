/** How the process was started, as far as anything depends on it: with a debugger, by npm, or by a Node with a defect. */
import { url } from "node:inspector";
import { type Notice, notice } from "../notices.ts";
import { mendedNode, misreadsNames, misreadText } from "../runtime/misread-names.ts";
import type { Problem } from "./problem.ts";
import type { Environment } from "./sources.ts";

export interface Launch {
  env: Environment;
  /** What was given to Node itself. */
  execArgv: readonly string[];
  /** Of a debugger that is open, whoever opened it. */
  debuggerUrl: string | undefined;
  /** Whether JSON.parse has the defect of runtime/misread-names.ts. */
  misreadsNames: boolean;
  /** As in `linux-x64`. */
  platform: string;
}

export function launchOf(env: Environment): Launch {
  return {
    env,
    execArgv: process.execArgv,
    debuggerUrl: url(),
    misreadsNames: misreadsNames(),
    platform: `${process.platform}-${process.arch}`,
  };
}

/** Problems for which a process of profile prod does not start. */
export function launchProblems(launch: Launch): Problem[] {
  return [...debuggerProblems(launch), ...nodeProblems(launch)];
}

/** Warnings about a process that starts all the same. */
export function launchWarnings(launch: Launch): Notice[] {
  return launch.misreadsNames ? [notice("NODE_MISREADS_NAMES", misreadText, process.versions.node)] : [];
}

/** Platforms for which `npm ci` installs a Node without the defect. */
export const mendedPlatforms: readonly string[] = ["linux-x64", "linux-arm64"];

function nodeProblems({ misreadsNames, platform }: Launch): Problem[] {
  if (!misreadsNames || !mendedPlatforms.includes(platform)) return [];
  const description = `misreads some names in JSON, so that one caller's request changes how another's is read; in profile prod use Node ${mendedNode} or later, which npm ci installs`;
  return [{ name: `Node ${process.versions.node}`, description }];
}

/** npm hands on what a terminal or an init system has told every process, so that each signal may come twice. */
export function isUnderNpm(env: Environment = process.env): boolean {
  return env.npm_lifecycle_event !== undefined;
}

/** Ways to a debugger. Node takes `_` for `-`. */
const opensDebugger = /^--(inspect|debug)(-|=|$)|^--experimental-[a-z-]*inspect/;

/** Who reaches a debugger's port reads every key. */
export function debuggerProblems({ env, execArgv, debuggerUrl }: Launch): Problem[] {
  const why = "opens a debugger, by which whoever reaches its port reads every key";
  const problems = [
    ...openers(execArgv).map((flag) => ({
      name: `${flag} (argument of Node)`,
      description: `${why}; in profile prod start Node without it`,
    })),
    // Quotes and backslashes only group what stands there: no flag of these needs them.
    ...openers((env.NODE_OPTIONS ?? "").replace(/["\\]/g, "").split(/\s+/)).map((flag) => ({
      name: `${flag} (environment NODE_OPTIONS)`,
      description: `${why}; in profile prod take it out of NODE_OPTIONS`,
    })),
  ];
  if (problems.length > 0 || debuggerUrl === undefined) return problems;
  const description = "is open, and whoever reaches it reads every key; in profile prod start without one";
  return [{ name: `the debugger ${debuggerUrl}`, description }];
}

function openers(words: readonly string[]): string[] {
  return words.filter((word) => opensDebugger.test(word.replaceAll("_", "-")));
}
