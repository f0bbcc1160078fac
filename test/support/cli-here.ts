/**
 * The command line in this process, with an environment and a working directory of its own: a process for each command would take most
 * of the time of the tests. Several commands at once share their working directory; one with another waits for them.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { tmpdir } from "node:os";
import { Writable } from "node:stream";
import { WriteStream } from "node:tty";
import { format } from "node:util";
import { commandLine } from "./code-under-test.ts";

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

export interface HereOptions {
  /** All there is in the environment but PATH. */
  env?: object;
  cwd?: string;
  /** Whether the output looks like a terminal's. Colours are those of TERM. */
  isTerminal?: boolean;
}

interface Surroundings {
  env: NodeJS.ProcessEnv;
  out: Output;
  err: Output;
}

interface Output {
  stream: Writable;
  text(): string;
}

const surroundings = new AsyncLocalStorage<Surroundings>();

export async function runHere(
  args: readonly string[],
  { env = {}, cwd = tmpdir(), isTerminal = false }: HereOptions = {},
): Promise<Result> {
  const { runCommandLine }: typeof import("../../src/cli/run.ts") = await import(commandLine);
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const given = Object.entries({ PATH, NODE_COMPILE_CACHE, ...env }).filter(([, value]) => value !== undefined);
  const [out, err] = [output(isTerminal), output(isTerminal)];
  const leave = await enter(cwd);
  try {
    const code = await surroundings.run({ env: Object.fromEntries(given), out, err }, () => runCommandLine(args));
    return { code, out: out.text(), err: err.text() };
  } finally {
    leave();
  }
}

const terminalColumns = 80;

/** A pipe, or a terminal. */
function output(isTTY: boolean): Output {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk, _, written) {
      chunks.push(chunk);
      written();
    },
  });
  const terminal = { isTTY, columns: terminalColumns, getColorDepth: WriteStream.prototype.getColorDepth };
  return { stream: Object.assign(stream, isTTY ? terminal : {}), text: () => Buffer.concat(chunks).toString() };
}

/** The working directory of the commands that run. */
let place: { cwd: string; runs: number; free: Promise<void>; end: () => void } | undefined;

async function enter(cwd: string): Promise<() => void> {
  while (place !== undefined && place.cwd !== cwd) await place.free;
  place ??= begin(cwd);
  const entered = place;
  entered.runs += 1;
  return () => {
    entered.runs -= 1;
    if (entered.runs === 0) entered.end();
  };
}

function begin(cwd: string): typeof place & object {
  const former = process.cwd();
  process.chdir(cwd);
  const restore = takeOver();
  const { promise: free, resolve } = Promise.withResolvers<void>();
  const end = () => {
    restore();
    process.chdir(former);
    place = undefined;
    resolve();
  };
  return { cwd, runs: 0, free, end };
}

/** Has commands find what is theirs in `process` and `console`, and all else in this process what it found. Returns the way back. */
function takeOver(): () => void {
  const { env, stdout, stderr } = process;
  const { log, error } = console;
  const print = (stream: "out" | "err", method: typeof log) => {
    return (...values: unknown[]) => {
      const own = surroundings.getStore();
      if (own === undefined) method(...values);
      else own[stream].stream.write(`${format(...values)}\n`);
    };
  };
  const [ownEnv, ownLog, ownError] = [environment(env), print("out", log), print("err", error)];
  const ways = [
    replace(process, "env", () => ownEnv),
    replace(process, "stdout", () => surroundings.getStore()?.out.stream ?? stdout),
    replace(process, "stderr", () => surroundings.getStore()?.err.stream ?? stderr),
    replace(console, "log", () => ownLog),
    replace(console, "error", () => ownError),
  ];
  return () => {
    for (const back of ways) back();
  };
}

function replace<T extends object>(object: T, name: keyof T, get: () => unknown): () => void {
  const former = Object.getOwnPropertyDescriptor(object, name)!;
  Object.defineProperty(object, name, { get, configurable: true, enumerable: true });
  return () => void Object.defineProperty(object, name, former);
}

function environment(process: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const own = () => surroundings.getStore()?.env ?? process;
  return new Proxy<NodeJS.ProcessEnv>(
    {},
    {
      get: (_, name) => Reflect.get(own(), name),
      set: (_, name, value) => Reflect.set(own(), name, value),
      has: (_, name) => Reflect.has(own(), name),
      deleteProperty: (_, name) => Reflect.deleteProperty(own(), name),
      ownKeys: () => Reflect.ownKeys(own()),
      getOwnPropertyDescriptor: (_, name) => Reflect.getOwnPropertyDescriptor(own(), name),
    },
  );
}
