/** Clients that call without pause until they are told to end: each call is counted, and none that fails is tried again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { connect, type ConnectionOptions } from "node:tls";
import type { Credential, Reached } from "./called-service.ts";
import { argumentOf, type Call, curlOptions, ran, type Told } from "./clients.ts";

export interface Load {
  /** Ends the calls when the one in flight has its answer. */
  end(): Promise<Loaded>;
}

export interface Loaded {
  calls: number;
  /** Connections that one channel needed, where the client counts them. */
  connections?: number;
  failures: (Told | string)[];
}

/** The load of a program of this folder, on one channel and on new ones. It has called once when this resolves. */
export async function loadBy(program: readonly string[], service: Reached, call: Call): Promise<Load> {
  const [command, ...args] = [...program, argumentOf(service, call, { load: true })];
  const child = spawn(command!, args, { stdio: ["pipe", "pipe", "pipe"] });
  const err = text(child.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value } = await lines.next();
  if (value !== "calling") throw new Error(`${command}: ${value} ${await err}`);
  return {
    async end() {
      const closed = once(child, "close");
      child.stdin.end();
      const { value: summary } = await lines.next();
      await closed;
      if (summary === undefined) throw new Error(await err);
      return JSON.parse(summary);
    },
  };
}

const statusPath = "/api/admin/kms/status";

/** One curl after the other, so that each call has a connection of its own. */
export function loadByCurl(service: Reached, credential: Credential): Promise<Load> {
  const options = [...curlOptions(service, credential), "--fail", "--output", "/dev/null"];
  return repeated(async () => {
    const { code, err } = await ran(["curl", ...options, service.http + statusPath]);
    if (code !== 0) throw new Error(err);
  });
}

/** Calls of this process on connections that stay open. The certificate is read for each. */
export async function loadOnOpenConnections(service: Reached, credential: Credential): Promise<Load> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: readFileSync(service.ca) });
  let connections = 0;
  agent.createConnection = (options) => {
    connections += 1;
    const { certificate, key } = credential;
    return connect({
      ...(options as ConnectionOptions),
      ...(certificate && key && { cert: readFileSync(certificate), key: readFileSync(key) }),
    });
  };
  const load = await repeated(async () => {
    const asked = request(service.http + statusPath, { agent }).end();
    const [answer] = await once(asked, "response");
    const body = await text(answer);
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${body}`);
  });
  return {
    async end() {
      const loaded = await load.end();
      agent.destroy();
      return { ...loaded, connections };
    },
  };
}

async function repeated(call: () => Promise<void>): Promise<Load> {
  const loaded: Loaded = { calls: 0, failures: [] };
  let isEnded = false;
  const once = async () => {
    loaded.calls += 1;
    await call().catch((error) => loaded.failures.push(String(error)));
  };
  await once();
  const running = (async () => {
    while (!isEnded) await once();
  })();
  return {
    async end() {
      isEnded = true;
      await running;
      return loaded;
    },
  };
}
