/**
 * Two hosts on a network of their own, in network namespaces that end with this process: one for the service, one for whoever calls it. No
 * address of theirs is a loopback, and nothing else of this machine reaches them. It takes root.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { atEnd } from "./called-service.ts";
import { ran } from "./clients.ts";

/** Of the service. */
export const serviceAddress = "10.77.0.1";
const callerAddress = "10.77.0.2";

export interface OwnNetwork {
  /** The command that runs another on the host of the service. */
  service: readonly string[];
  /** On that of its callers. */
  caller: readonly string[];
  end(): Promise<unknown>;
}

export async function makeNetwork(): Promise<OwnNetwork> {
  const [service, caller] = [await newHost(), await newHost()];
  const on = ({ pid }: ChildProcess) => ["nsenter", "--target", String(pid), "--net"];
  const ip = async (host: ChildProcess, ...args: string[]) => {
    const { code, err } = await ran([...on(host), "ip", ...args]);
    if (code !== 0) throw new Error(`ip ${args.join(" ")}: ${err}`);
  };
  await ip(service, "link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", String(caller.pid));
  for (const [host, address] of [
    [service, serviceAddress],
    [caller, callerAddress],
  ] as const) {
    await ip(host, "link", "set", "lo", "up");
    await ip(host, "address", "add", `${address}/24`, "dev", "lan");
    await ip(host, "link", "set", "lan", "up");
  }
  return {
    service: on(service),
    caller: on(caller),
    end() {
      const ended = [service, caller].map((host) => once(host, "close"));
      for (const host of [service, caller]) host.stdin?.end();
      return Promise.all(ended);
    },
  };
}

/** A process that does nothing but hold its namespace, until its standard input ends. */
async function newHost(): Promise<ChildProcess> {
  const child = spawn("unshare", ["--net", "sh", "-c", "echo made; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  atEnd(() => child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}
