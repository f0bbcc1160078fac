/**
 * A Deployment of the service and the Service before it, as Kubernetes has them: a rolling update, probes of the kubelet, and endpoints that nodes
 * learn of a while after they changed. Pods are processes of the service, each on a port of its own.
 */
import { EventEmitter, once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { ServiceProcess, StartedProcess } from "../support/service-process.ts";
import type { Probe, Rules } from "./chart-rules.ts";

/** Has an address from its beginning on, and `process` once it listens. */
export interface Pod {
  process: ServiceProcess | undefined;
  isReady: boolean;
  isEnding: boolean;
  /** Connections of callers. */
  open: number;
}

export interface Deployment {
  /** The pod for a new connection: the next in turn of those that the nodes know. */
  route(): Pod | undefined;
  /** Replaces all pods, one by one. */
  rollOut(): Promise<void>;
  /** Ends all pods at once. */
  close(): Promise<void>;
}

export interface DeploymentParts {
  rules: Rules;
  /** Time until nodes know of a change of endpoints; less than the delay of a shutdown. */
  spreadMs: number;
  /** Starts the process of a pod, whose delay before the drain ends at SIGUSR2. */
  start(): StartedProcess;
}

const pollMs = 10;

export async function startDeployment({ rules, spreadMs, start }: DeploymentParts): Promise<Deployment> {
  const pods = new Set<Pod>();
  const changes = new EventEmitter().setMaxListeners(0);
  const stopped = new AbortController();
  const ending: Promise<void>[] = [];
  let known: Pod[] = [];
  let turn = 0;

  function changed(): void {
    const endpoints = [...pods].filter((pod) => rules.publishesNotReady || (pod.isReady && !pod.isEnding));
    setTimeout(() => {
      known = endpoints;
      changes.emit("known");
    }, spreadMs);
    changes.emit("ready");
  }

  async function create(): Promise<Pod> {
    const pod: Pod = { process: undefined, isReady: false, isEnding: false, open: 0 };
    pods.add(pod);
    changed();
    pod.process = await start().serving;
    watch(pod).catch(() => {}); // aborted at the end
    return pod;
  }

  /** The kubelet. */
  async function watch(pod: Pod): Promise<void> {
    const pause = ({ periodMs }: Probe) => delay(periodMs, undefined, { signal: stopped.signal });
    while (!(await passes(pod, rules.startup))) await pause(rules.startup);
    for (let failed = 0; !pod.isEnding; await pause(rules.readiness)) {
      failed = (await passes(pod, rules.readiness)) ? 0 : failed + 1;
      const isReady = failed === 0 || (pod.isReady && failed < rules.readiness.failures);
      if (isReady === pod.isReady) continue;
      pod.isReady = isReady;
      changed();
    }
  }

  /** The pod is ready, and was so for a while. */
  async function available(pod: Pod): Promise<void> {
    while (!pod.isReady) await once(changes, "ready");
    await delay(rules.minReadyMs);
    if (!pod.isReady) await available(pod);
  }

  /** Endpoints and the signal go their ways at the same time. */
  async function end(pod: Pod): Promise<void> {
    const { child, said, ended } = pod.process!;
    pod.isEnding = true;
    changed();
    child.kill("SIGTERM");
    await Promise.all([delay(rules.shutdownDelayMs), said(/not ready any more/)]);
    // Within the delay each caller has had its last answer. On a machine that stalls, the delay lasts until then.
    while (!rules.publishesNotReady && pod.open > 0) await delay(pollMs);
    child.kill("SIGUSR2");
    const { code } = await ended;
    pods.delete(pod);
    changed();
    if (code !== 0) throw new Error(`a pod ended with code ${code}`);
  }

  const first = await Promise.all(Array.from({ length: rules.replicas }, create));
  await Promise.all(first.map(available));
  while (known.length < rules.replicas) await once(changes, "known");

  return {
    route() {
      turn += 1;
      return known[turn % known.length];
    },
    async rollOut() {
      for (const old of [...pods].filter(({ isEnding }) => !isEnding)) {
        await available(await create());
        ending.push(end(old)); // the next one is made beside it
      }
      await Promise.all(ending);
    },
    async close() {
      stopped.abort();
      await Promise.all([...pods].map(end));
    },
  };
}

async function passes({ process }: Pod, { path, timeoutMs }: Probe): Promise<boolean> {
  try {
    const response = await fetch(`${process!.http}${path}`, { signal: AbortSignal.timeout(timeoutMs) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
