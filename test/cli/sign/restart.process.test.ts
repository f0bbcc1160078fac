/** `sign` while the service is killed and comes back, as processes of their own. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { directory } from "../../support/config-fixture.ts";
import { resultOf, run, start } from "../../support/cli-fixture.ts";
import { startProcess } from "../../support/service-process.ts";

const tenant = "acme";
const count = 5_000;
/** More than the answers to the first batch of 1,000 have, and less than those to the first two. */
const passedBytes = 1_600_000;

/** A port in front of a service. It passes so many bytes of answers and then no more; without a service, its connections wait for one. */
async function port() {
  let service = Promise.withResolvers<string>();
  let left = passedBytes;
  const stalled = Promise.withResolvers<void>();
  const open = new Set<Socket>();
  const server = createServer(async (client) => {
    open.add(client);
    client.on("error", () => {});
    client.pause();
    const [host, number] = (await service.promise).split(":");
    const upstream = connect(Number(number), host).on("error", () => {});
    open.add(upstream);
    client.pipe(upstream).on("close", () => client.end()); // what was passed arrives first, however slow the client is
    client.on("close", () => upstream.destroy());
    upstream.on("data", (bytes) => {
      left -= bytes.length;
      if (left > 0) client.write(bytes);
      else stalled.resolve();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    lead: (address: string) => service.resolve(address),
    stalled: stalled.promise,
    leadNowhere() {
      left = Number.POSITIVE_INFINITY;
      service = Promise.withResolvers();
    },
  };
}

function spans(): string {
  const lines = Array.from({ length: count }, (_, n) => {
    const ids = { traceId: "07".repeat(16), spanId: (n + 1).toString(16).padStart(16, "0") };
    return JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [{ ...ids, name: `decide ${n}` }] }] }] });
  });
  return lines.join("\n");
}

it("has a whole log without an entry twice, though the service was killed with batches that it had not answered", async () => {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-sign-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const env = {
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"),
    FLUO_KMS_SQLITE_FILE: join(dir, "kms.db"),
  };
  const [before, front] = await Promise.all([startProcess(env), port()]);
  front.lead(before.grpc);
  const cwd = directory({ spans: spans() });
  const args = ["--tenant", tenant, "--mode", "log", "--out", "signed", "--grpc-address", front.address, "spans"];
  const signing = resultOf(start(["sign", ...args], { cwd }));
  await front.stalled;
  front.leadNowhere();
  await before.end("SIGKILL");

  const after = await startProcess(env);
  const { head } = await after.client.logs.getCheckpoint({ tenantId: tenant });
  front.lead(after.grpc);
  const { code, out, err } = await signing;
  expect({ code, out }).toEqual({
    code: 0,
    out: `${count} of ${count} signed for ${tenant}, entries 0 to 4999 of its log\n`,
  });
  // INTERNAL where the client was writing when its connection ended.
  const broke = /^fluo-kms: the stream broke \((?:UNAVAILABLE|INTERNAL): .*\); (\d+) batches go over a new stream in/m;
  const [, left] = broke.exec(err)!;
  expect(Number(left)).toBe(4);
  // More was in the log than was answered: the rest was sent again, and entered once.
  expect(Number(head!.size)).toBeGreaterThan(count - Number(left) * 1_000);
  expect((await after.client.logs.getCheckpoint({ tenantId: tenant })).head!.size).toBe(BigInt(count));

  const keys = await fetch(`${after.http}/api/kms/tenants/${tenant}/jwks.json`);
  const file = directory({ "keys.json": await keys.text() });
  const verified = await run(["verify", "--log", "--keys", join(file, "keys.json"), "signed"], { cwd });
  expect(verified.out).toContain(`entries 0 to 4999: ${count} spans\n`);
  expect(verified.out).toMatch(/^ {2}no problems$/m);
  expect(verified.code).toBe(0);
});
