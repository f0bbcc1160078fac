/** Connections of HTTP/1.1 that are kept alive: Node would end one 5 s after a response, and a proxy's next request would meet its end. */
import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { setTimeout } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { startService } from "../../support/running-service.ts";

/** What Node's time is at most, with its buffer and its interval of looking. */
const longerThanNodesMs = 7_500;

it("are used again after longer than Node would keep them", async () => {
  const service = await startService();
  const agent = new Agent({ keepAlive: true });
  onTestFinished(async () => {
    agent.destroy();
    await service.stop();
  });
  const ask = async () => {
    const [response] = (await once(get(`${service.url}/q/health/live`, { agent }), "response")) as [IncomingMessage];
    const { localPort } = response.socket;
    await response.toArray();
    return { localPort, status: response.statusCode, promised: response.headers["keep-alive"] };
  };
  const connections = () => Promise.all(Array.from({ length: 20 }, ask));
  const first = await connections();
  expect(new Set(first.map(({ localPort }) => localPort)).size).toBe(20);
  await setTimeout(longerThanNodesMs);
  const second = await connections();
  const byPort = (all: typeof first) => all.sort((a, b) => a.localPort! - b.localPort!);
  expect(byPort(second)).toEqual(byPort(first));
  expect(first.map(({ status, promised }) => [status, promised])).toEqual(Array(20).fill([200, undefined]));
});
