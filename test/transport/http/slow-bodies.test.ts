/** Bodies that arrive slowly, beyond the memory that all of them share. Age is real time, so that tests only wait for it to pass. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { GenerateDataKeyResponseSchema } from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { bodyCost, chunkCost, slowMs } from "../../../src/transport/connections/body-budget.ts";
import { eventually } from "../../support/eventually.ts";
import { clockedConnections } from "../../support/test-connections.ts";
import { startTransports } from "../../support/transports-fixture.ts";

/** Memory of bodies beside what each costs itself. */
const sharedBytes = 10_000;
const path = "/fluo.kms.v1.KmsService/GenerateDataKey";

interface SlowClient {
  socket: Socket;
  send(bytes: number | string): Promise<void>;
  /** All that came until its connection was closed. */
  ended: Promise<string>;
  isClosed(): boolean;
}

/** With room for so many bodies. */
async function start(bodies: number) {
  const maxBodyBytes = bodies * bodyCost + sharedBytes;
  const bounds = clockedConnections();
  const generateDataKey = () => create(GenerateDataKeyResponseSchema);
  const transports = await startTransports({ generateDataKey }, { maxBodyBytes, connections: bounds.connections });
  const { hostname, port } = new URL(transports.url);
  onTestFinished(async () => {
    await transports.stop();
    bounds.connections.close();
  });
  /** A client that announces a body, and sends of it what the test says. */
  const slow = async (length = 8_000): Promise<SlowClient> => {
    bounds.clock.ms += 10;
    const socket = connect({ port: Number(port), host: hostname, noDelay: true }).on("error", () => {});
    onTestFinished(() => void socket.destroy());
    let [text, isClosed] = ["", false];
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    const ended = new Promise<string>((resolve) => {
      socket.once("close", () => {
        isClosed = true;
        resolve(text);
      });
    });
    await once(socket, "connect");
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`,
    );
    const send = (bytes: number | string) =>
      new Promise<void>((resolve) => {
        socket.write(typeof bytes === "string" ? bytes : " ".repeat(bytes), () => resolve());
      });
    return { socket, ended, send, isClosed: () => isClosed };
  };
  const quick = (bytes: number) =>
    fetch(transports.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: `${" ".repeat(bytes - 2)}{}`,
    });
  return { ...transports, ...bounds, slow, quick };
}

describe("a body that is slow", () => {
  it("is refused once others need its memory, the oldest first, and its connection ends", async () => {
    const { slow, quick, acted, clock } = await start(3);
    const [first, second] = [await slow(), await slow()];
    await first.send(4_000);
    await second.send(4_000);
    expect((await quick(500)).status).toBe(200); // so that both have arrived
    await delay(slowMs + 50);
    clock.ms += 10;
    expect((await quick(3_000)).status).toBe(200);
    const answer = await first.ended;
    expect(answer).toMatch(/^HTTP\/1\.1 429 /);
    expect(answer.toLowerCase()).toContain("connection: close");
    expect(answer).toContain("the request arrived too slowly");
    expect(answer).toContain("resource_exhausted");
    expect(answer).toMatch(/retry-after|RetryInfo/i);
    expect([second.isClosed(), acted]).toEqual([false, ["bodies 127.0.0.1 caller"]]);
    await second.send(3_998);
    await second.send("{}");
    second.socket.end();
    expect(await second.ended).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("stays where there is room for all", async () => {
    const { slow, quick, acted } = await start(2);
    const client = await slow(4_000);
    await client.send(3_000);
    await delay(slowMs + 50);
    expect((await quick(3_000)).status).toBe(200);
    await client.send(998);
    await client.send("{}");
    client.socket.end();
    expect(await client.ended).toMatch(/^HTTP\/1\.1 200 /);
    expect(acted).toEqual([]);
  });

  it("is not counted any more once its client has left", async () => {
    const { slow, quick, acted } = await start(2);
    for (let clients = 0; clients < 3; clients += 1) {
      const client = await slow();
      await client.send(7_000);
      await delay(20);
      client.socket.destroy();
      await eventually(async () => expect((await quick(9_000)).status).toBe(200));
    }
    expect(acted).toEqual([]);
  });
});

describe("a body that is quick", () => {
  it("is refused where all others are quick too", async () => {
    const { slow, quick, clock, acted } = await start(2);
    const client = await slow();
    await client.send(7_000);
    clock.ms += 10;
    await delay(50);
    const refused = await quick(9_900);
    expect([refused.status, await refused.text()]).toEqual([429, expect.stringContaining("too many requests")]);
    expect(acted).toEqual([]);
  });
});

it("many chunks of a byte count what each costs", async () => {
  const { slow, acted } = await start(1);
  const client = await slow();
  let sent = 0;
  while (client.socket.bytesRead === 0 && sent < 7_000) {
    await client.send(1);
    sent += 1;
    await delay(2); // or the next would come with it
  }
  expect(client.socket.bytesRead).toBeGreaterThan(0);
  expect(sent).toBeGreaterThanOrEqual(Math.floor(sharedBytes / (1 + chunkCost)));
  expect(acted).toEqual([]);
});
