/** An auditor of the real service: with what it signed, the keys and checkpoints that it serves over HTTP, and then without it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SignMode } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Span } from "../../../gen/ts/fluo/kms/v1/span_pb.ts";
import { directory } from "../../support/config-fixture.ts";
import { type RunningService, startService } from "../../support/running-service.ts";
import { batchOf, signedOf, spansFrom, withProof } from "../../support/span-batches.ts";
import { encodeBatch, openStream } from "../../support/stream-client.ts";
import { run } from "../../support/cli-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService({ "fluo.kms.issuer": "kms.example.com" });
});
afterAll(() => kms.stop());

/** Spans `from` to before `to` with their evidence, signed as one batch. */
async function sign(tenantId: string, from: number, to: number): Promise<Span[]> {
  const stream = openStream(`127.0.0.1:${kms.grpcPort}`);
  const spans = spansFrom(from, to);
  await stream.send(batchOf(spans, { tenantId, mode: SignMode.LOG }));
  stream.halfClose();
  const signed = signedOf(...(await stream.rest()));
  stream.close();
  return signed.map((each, i) => withProof(spans[i]!, tenantId, each));
}

const served = async (tenantId: string, path: string) =>
  (await fetch(`${kms.url}/api/kms/tenants/${tenantId}/${path}`)).text();
const checkpointOf = (tenantId: string) => served(tenantId, "log/checkpoint");

async function verify(tenantId: string, spans: Span[], kept: Record<string, string> = {}, ...args: string[]) {
  const keys = await served(tenantId, "jwks.json");
  const cwd = directory({ keys, spans: encodeBatch(batchOf(spans)), ...kept });
  const checkpoints = Object.keys(kept).flatMap((file) => ["--checkpoint", file]);
  return run(["verify", "--log", "--keys", "keys", "--tenant", tenantId, ...checkpoints, ...args, "spans"], { cwd });
}

describe("a log that the service keeps", () => {
  it("verifies whole, and shows what is missing, changed or cut off", async () => {
    const first = await sign("whole", 0, 300);
    const early = await checkpointOf("whole");
    const spans = [...first, ...(await sign("whole", 300, 500))];
    const kept = { early, late: await checkpointOf("whole") };
    const { code, out } = await verify("whole", spans, kept);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("entries 0 to 499: 500 spans\n") });
    expect((await verify("whole", spans.slice(300), kept)).code).toBe(0);

    const removed = await verify("whole", spans.toSpliced(270, 1), kept);
    expect(removed).toMatchObject({ code: 1, out: expect.stringContaining("missing  entry 270") });
    const changed = await verify("whole", spans.with(420, { ...spans[420]!, name: "approve" }), kept);
    expect(changed).toMatchObject({ code: 1, out: expect.stringContaining("changed  entry 420") });
    const cut = await verify("whole", first, kept);
    expect(cut).toMatchObject({ code: 1, out: expect.stringContaining("missing  entry 300  -  200 entries") });
  });

  it("is followed from the first public key alone across twenty rotations", async () => {
    const tenantId = "rotated";
    const spans = await sign(tenantId, 0, 3);
    const [vkey] = JSON.parse(await served(tenantId, "jwks.json")).keys[0].vkeys;
    const early = await checkpointOf(tenantId);
    for (let n = 1; n <= 20; n += 1) {
      await kms.grpc.rotate({ tenantId, force: true });
      spans.push(...(await sign(tenantId, 3 * n, 3 * n + 3)));
    }
    const kept = { early, late: await checkpointOf(tenantId) };
    const { code, out } = await verify(tenantId, spans, kept, "--vkey", vkey);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("63 spans, 20 handovers\n") });
    await sign("other", 0, 1);
    const [other] = JSON.parse(await served("other", "jwks.json")).keys[0].vkeys;
    expect(await verify(tenantId, spans, kept, "--vkey", other)).toMatchObject({
      code: 1,
      err: expect.stringContaining("no key"),
    });
  });

  it("still proves what it had when its key was marked as compromised", async () => {
    const tenantId = "compromised";
    const spans = [...(await sign(tenantId, 0, 5)), ...(await sign(tenantId, 5, 10))];
    const { keys } = await kms.grpc.getPublicKeys({ tenantId });
    await kms.grpc.admin.markKeyCompromised({ tenantId, keyId: keys[0]!.keyId });
    spans.push(...(await sign(tenantId, 10, 15)));
    const { code, out } = await verify(tenantId, spans);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining("entries 0 to 14: 15 spans\n") });
    // Up to their own checkpoint they are proven by the compromised key alone.
    const some = await verify(tenantId, spans.slice(0, 5), {}, "--to", "5");
    expect(some).toMatchObject({ code: 1, out: expect.stringContaining("compromised  entry 0") });
  });

  it("is no other tenant's", async () => {
    const [spans, others] = [await sign("mine", 0, 5), await sign("theirs", 5, 10)];
    const { code, out } = await verify("mine", spans.with(3, others[3]!));
    expect(code).toBe(1);
    expect(out).toMatch(/foreign +entry -/);
    expect(out).toMatch(/missing +entry 3/);
  });
});
