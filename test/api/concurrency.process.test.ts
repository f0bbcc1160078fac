/** Many at once: a tenant gets one key, and no tenant waits for another. */
import { Agent } from "node:http";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { connectClient, type RunningService, startService } from "../support/running-service.ts";
import { plainSpan } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const atOnce = <T>(count: number, call: (index: number) => Promise<T>) =>
  Promise.all(Array.from({ length: count }, (_, index) => call(index)));

async function providerCalls(): Promise<Record<string, number>> {
  const { cost } = await kms.grpc.status({});
  return Object.fromEntries(Object.entries(cost!.providerCalls).map(([name, count]) => [name, Number(count)]));
}

describe("1,000 first calls of one tenant at once", () => {
  it("make one data key with two calls to the provider", async () => {
    const before = await providerCalls();
    const keys = await atOnce(1000, () => kms.grpc.generateDataKey({ tenantId: "crowd" }));
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1);
    expect(new Set(keys.map(({ plaintext }) => Buffer.from(plaintext).toString("hex"))).size).toBe(1000);
    const after = await providerCalls();
    const made = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]);
    expect(Object.fromEntries(made)).toMatchObject({ generate_data_key: 1, decrypt: 1 });
    expect(total(after) - total(before)).toBe(2);
    expect((await kms.grpc.status({ tenantId: "crowd" })).keys).toMatchObject([
      { purpose: "data", state: "ACTIVE", count: 1n },
    ]);
  });

  it("make one signing key with two calls to the provider", async () => {
    const before = await providerCalls();
    const signed = await atOnce(1000, () => kms.grpc.signSpan({ tenantId: "crowd-signs", span: plainSpan }));
    expect(new Set(signed.map(({ keyId }) => keyId)).size).toBe(1);
    expect(total(await providerCalls()) - total(before)).toBe(2);
    expect((await kms.grpc.getPublicKeys({ tenantId: "crowd-signs" })).keys).toHaveLength(1);
  });
});

describe("1,000 tenants at once", () => {
  it("each get a key of their own over gRPC, and open what they sealed", async () => {
    const fields = [{ name: "n", value: Buffer.from("v") }];
    const sealed = await atOnce(1000, (index) => kms.grpc.encryptPii({ tenantId: `t${index}`, fields }));
    expect(new Set(sealed.map(({ keyId }) => keyId)).size).toBe(1000);
    const opened = await atOnce(1000, (index) =>
      kms.grpc.decryptPii({ tenantId: `t${index}`, fields: sealed[index]!.fields }),
    );
    expect(opened.every(({ fields: [field] }) => field!.result.case === "value")).toBe(true);
  });

  it("are served over Connect too", async () => {
    // More connections than that at once may not fit into the system's queue, which resets them.
    const agent = new Agent({ keepAlive: true, maxSockets: 250 });
    onTestFinished(() => agent.destroy());
    const options = { baseUrl: kms.url, httpVersion: "1.1", nodeOptions: { agent } } as const;
    const connect = connectClient(createConnectTransport(options));
    const keys = await atOnce(1000, (index) => connect.generateDataKey({ tenantId: `c${index}` }));
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1000);
  });
});

function total(calls: Record<string, number>): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}
