/** A tenant's whole log over HTTP, by Tessera's fsck: it reads every tile and bundle, and rebuilds the tree from the entries. */
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { fsck } from "./others.ts";
import { firstOfEach } from "../support/short.ts";
import { type SignedLog, signedLog } from "./signed-log.ts";

let log: SignedLog;
const folder = mkdtempSync(join(tmpdir(), "fluo-interop-"));
const keyFile = join(folder, "vkey");
beforeAll(async () => {
  log = await signedLog();
  writeFileSync(keyFile, log.vkeys[1]!);
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await log.stop();
});

/** The log, served on with each resource as `alter` makes it. */
async function altered(alter: (path: string, body: Buffer) => Buffer): Promise<string> {
  const server = createServer(async (request, response) => {
    const answer = await fetch(`${log.prefix}${request.url}`);
    response.writeHead(answer.status);
    response.end(alter(request.url!, Buffer.from(await answer.arrayBuffer())));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

it("a log verifies from its tiles, its entries and its checkpoint", async () => {
  const { verified, said } = await fsck(`${log.prefix}/`, keyFile);
  expect(said).toContain("Successfully fsck'd");
  expect(verified).toBe(true);
});

it("verifies as well when it is served on as it is", async () => {
  expect((await fsck(await altered((_, body) => body), keyFile)).verified).toBe(true);
});

const alterations: [string, RegExp, (body: Buffer) => Buffer][] = [
  ["an entry that was changed", /^\/tile\/entries\/001$/, (body) => flipped(body, 100)],
  ["a leaf hash that was changed", /^\/tile\/0\/000$/, (body) => flipped(body, 40)],
  ["a node that was changed", /^\/tile\/1\//, (body) => flipped(body, 0)],
  ["another checkpoint", /^\/checkpoint$/, (body) => Buffer.from(body.toString().replace("\n601\n", "\n600\n"))],
];

it.each(firstOfEach(alterations))("does not verify with %s", async (_, path, alter) => {
  const met: string[] = [];
  const url = await altered((at, body) => {
    if (!path.test(at)) return body;
    met.push(at);
    return alter(body);
  });
  expect((await fsck(url, keyFile)).verified).toBe(false);
  expect(met).not.toEqual([]);
});

it("does not verify by another key", async () => {
  writeFileSync(join(folder, "other"), log.vkeys[0]!);
  expect((await fsck(`${log.prefix}/`, join(folder, "other"))).verified).toBe(false);
});

function flipped(body: Buffer, at: number): Buffer {
  const copy = Buffer.from(body);
  copy[at]! ^= 1;
  return copy;
}
