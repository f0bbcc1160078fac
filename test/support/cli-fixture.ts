/** Runs the command line with nothing in its environment but its path: in this process, or in one of its own where only that will do. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { flags as nodeFlags } from "../../src/runtime/flags.js";
import { type HereOptions, type Result, runHere } from "./cli-here.ts";
import { main } from "./code-under-test.ts";
import { inMemory } from "./in-memory.ts";

export type { Result } from "./cli-here.ts";

export interface StartOptions extends HereOptions {
  /** What the command begins with, such as `enter` of a small disk. */
  enter?: readonly string[];
  /** Another Node than that of the test. It is given the flags, or else it would go on under the one that comes with the packages. */
  node?: string;
  /** Of Node. */
  flags?: readonly string[];
  /** A descriptor, in the place of a pipe. */
  stdout?: number;
  /** That of the test, if it runs beside others, or `atExit`. */
  finished?: (end: () => void) => void;
}

/** A service keeps its keys in memory, unless `env` says where they are, or it has a working directory of its own. */
export function start(
  args: readonly string[],
  { env = {}, cwd, enter = [], node, flags = [], stdout, finished = onTestFinished }: StartOptions = {},
): ChildProcess {
  const [command, ...rest] = [...enter, ...underNode(node), ...flags, main, ...args];
  const child = spawn(command!, rest, {
    cwd: cwd ?? tmpdir(),
    env: { PATH: process.env.PATH, ...(serves(args) && cwd === undefined ? inMemory(env) : env) },
    stdio: ["pipe", stdout ?? "pipe", "pipe"],
  });
  finished(() => {
    child.kill("SIGKILL");
  });
  return child;
}

function underNode(node: string | undefined): string[] {
  return node === undefined ? [process.execPath] : [node, ...nodeFlags];
}

/** `finished` of a process that is started outside a test: whoever started it ends it, and this process does at the latest. */
export function atExit(end: () => void): void {
  process.once("exit", end);
}

export async function resultOf(child: ChildProcess): Promise<Result> {
  const [[code], out, err] = await Promise.all([once(child, "close"), text(child.stdout!), text(child.stderr!)]);
  return { code, out, err };
}

/** A command in a process of its own: for what a process adds, such as its end. */
export function runProcess(args: readonly string[], options?: StartOptions): Promise<Result> {
  return resultOf(start(args, options));
}

/** A command in this process, unless it or its options are for a process. */
export function run(args: readonly string[], options: StartOptions = {}): Promise<Result> {
  return needsProcess(args, options) ? runProcess(args, options) : runHere(args, options);
}

/** True for `serve`, which ends its process, and for variables that Node reads when it starts. */
function needsProcess(args: readonly string[], { env = {}, enter, node, flags, stdout }: StartOptions): boolean {
  const isGiven = [enter, node, flags, stdout].some((option) => option !== undefined);
  return serves(args) || isGiven || Object.keys(env).some((name) => name.startsWith("NODE_"));
}

function serves(args: readonly string[]): boolean {
  return args.length === 0 || args[0] === "serve";
}

/** A service that gives one answer, whatever it is asked. */
export function answering(status: number, body: unknown) {
  const text = typeof body === "string" ? body : `${JSON.stringify(body)}\n`;
  return answeringBy((request) => {
    request.resume();
    return [status, text];
  });
}

/** A service that answers each request by a function. */
export async function answeringBy(
  answer: (request: IncomingMessage) => [status: number, body: string] | Promise<[status: number, body: string]>,
) {
  const server = createServer(async (request, response) => {
    const [status, body] = await answer(request);
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { address: `http://127.0.0.1:${port}`, port };
}
