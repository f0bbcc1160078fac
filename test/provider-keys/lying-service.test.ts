/** The whole service on a provider that lies: at the start, and while it runs. */
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Health, ProviderCondition } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { withAdvice } from "../../src/cli/failures.ts";
import type { KmsError } from "../../src/errors.ts";
import { type Lie, lies } from "../../src/provider/distrust.ts";
import { useCredentials } from "../support/aws-fixture.ts";
import { type CapturedLog, captureLog } from "../support/captured-log.ts";
import { thrownBy } from "../support/matchers.ts";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import { virtualTime } from "../support/virtual-time.ts";
import { hourAtMostMs, type Liar, startLiar, wholeProbe } from "./lying-fixture.ts";

/** When a lie is found by a service whose callers use a cached key, and then need new ones. */
const foundBy: Record<Lie, "at the next new key" | "at the next new key but one" | "within the hour"> = {
  "wrong-context": "within the hour",
  "tampered-ciphertext": "within the hour",
  "short-key": "at the next new key",
  "zero-key": "at the next new key",
  "repeated-key": "at the next new key but one",
  "other-key": "at the next new key",
  "other-bytes": "at the next new key",
  "plaintext-inside": "at the next new key",
};

/** Between two looks at a key that is well, at most. */
const lookMs = 33_000;
/** Between two probes of a provider that was caught. */
const reprobeMs = 10_000;
/** A whole call that is not answered, and a look at it. */
const callMs = 12_000;

useCredentials();

const time = virtualTime({ finished: afterAll });
let liar: Liar;
let log: CapturedLog;
let service: RunningService;
beforeAll(async () => {
  log = captureLog();
  liar = await startLiar(time);
});
afterAll(async () => {
  await liar?.fake.close();
  log?.restore();
});

const start = () => startService({ ...liar.properties, "fluo.kms.log.level": "info" }, { time });

/** What the log says from now on. */
function lines() {
  const from = log.text().length;
  return (pattern: RegExp) =>
    log
      .text()
      .slice(from)
      .split("\n")
      .filter((line) => pattern.test(line));
}

it.each([
  ["zero-key", "it made a data key of zeros"],
  ["wrong-context", "it opened a wrapped key under another encryption context"],
] as const)("does not start if the provider lies by %s, and says what it did", async (lie, what) => {
  const said = lines();
  await liar.fake.fault({ lie });
  const error = await thrownBy(start);
  await liar.fake.heal();
  expect(error).toBeKmsError("PROVIDER_DENIED");
  expect(withAdvice(error as KmsError)).toContain(`the provider is not to be trusted: ${what}: Find out`);
  expect(said(new RegExp(`"lie":"${lie}".*provider aws is denied`))).toHaveLength(1);
});

/** One service for all: after each test the provider is honest, and the service answers. */
describe("a service", () => {
  beforeAll(async () => {
    service = await start();
  });
  afterAll(() => service?.stop());

  /** Each test has tenants of its own, whose keys nobody has used. */
  let turn = 0;
  function tenants() {
    turn += 1;
    const value = Buffer.from("ann@example.com");
    return (name: string) =>
      service.grpc.encryptPii({ tenantId: `${name}-${turn}`, fields: [{ name: "email", value }] });
  }

  /** How often the provider was caught, by lie. */
  async function caught(): Promise<Record<string, number>> {
    const metrics = await (await fetch(`${service.url}/q/metrics`)).text();
    const samples = metrics.matchAll(/^kms_provider_lies_total\{lie="([^"]+)"[^}]*\} (\d+)$/gm);
    const counts = new Map<string, number>();
    for (const [, lie, count] of samples) counts.set(lie!, (counts.get(lie!) ?? 0) + Number(count));
    return Object.fromEntries(counts);
  }

  afterEach(async () => {
    liar.fake.deny(() => false);
    await liar.fake.heal();
    await time.advance(callMs);
    time.hanging.clear();
    expect((await service.grpc.status({})).status).toBe(Health.OPERATIONAL);
  });

  it.each(lies)(
    "refuses a provider that lies by %s, names the lie, and goes on only once a probe passes",
    async (lie) => {
      const { grpc: kms } = service;
      const { fake, probeCalls } = liar;
      const encrypt = tenants();
      const said = lines();
      const before = await caught();
      expect(Object.keys(before).toSorted()).toEqual(lies.toSorted());
      await encrypt("acme");
      await fake.fault({ lie });
      await encrypt("acme"); // from the cache, and nobody knows
      if (foundBy[lie] === "within the hour") await time.skip(hourAtMostMs);
      else {
        if (foundBy[lie] === "at the next new key but one") await encrypt("first");
        await failureOf(encrypt("newcomer"));
      }
      const seen = await kms.status({});
      const [key] = seen.providerKeys;
      expect(seen.status).toBe(Health.DOWN);
      expect(key).toMatchObject({
        condition: ProviderCondition.DENIED,
        detail: expect.stringMatching(/^not to be trusted: it /),
      });
      expect(seen.notices).toContain(`The provider aws is ${key!.detail}.`);
      await time.idle(); // the log is written behind
      const [line] = said(/provider aws is denied/);
      expect(JSON.parse(line!)).toMatchObject({ level: 50, lie, detail: key!.detail });
      const after = await caught();
      expect(after[lie]).toBeGreaterThan(before[lie]!);
      expect({ ...after, [lie]: before[lie] }).toEqual(before);
      const refusal = { code: status.FAILED_PRECONDITION, message: expect.stringContaining(key!.detail) };
      for (const tenant of ["acme", "another"]) expect(await failureOf(encrypt(tenant))).toMatchObject(refusal);

      // Its own word for the key changes nothing; nor does a probe that catches it again.
      const [described, probed] = [fake.calls.DescribeKey!, probeCalls()];
      await time.advance(lookMs);
      expect(fake.calls.DescribeKey).toBeGreaterThan(described);
      expect(probeCalls()).toBeGreaterThan(probed);
      expect((await kms.status({})).providerKeys[0]!.condition).toBe(ProviderCondition.DENIED);
      expect(said(/provider aws is answering/)).toEqual([]);
      await fake.heal();
      await time.advance(reprobeMs);
      expect(said(/provider aws is answering/)).toHaveLength(1);
      await encrypt("acme");
      expect((await kms.status({})).status).toBe(Health.OPERATIONAL);
    },
  );

  it.each([
    ["slow", { latencyMs: 300 }],
    ["throttled", { throttled: 1 }],
    ["answering with 503", { mode: "503" }],
  ] as const)("never accuses a provider that is %s when it is probed", async (_what, trouble) => {
    const { fake, probeCalls } = liar;
    const encrypt = tenants();
    const said = lines();
    const before = await caught();
    await encrypt("acme");
    const probes = probeCalls();
    await fake.fault(trouble);
    if ("latencyMs" in trouble) time.hanging.add("provider"); // its answers take time
    await time.skip(hourAtMostMs);
    await time.advance(callMs);
    if ("latencyMs" in trouble) expect(probeCalls()).toBe(probes + wholeProbe);
    else expect(said(/"the provider key could not be probed/)).toHaveLength(1);
    const { providerKeys } = await service.grpc.status({});
    expect(providerKeys[0]!.condition).not.toBe(ProviderCondition.DENIED);
    await time.until(encrypt("acme"));
    expect(await caught()).toEqual(before);
  });

  it("says in Status which key cannot be probed, and why", async () => {
    liar.fake.deny(({ context }) => context.key_id?.startsWith("fluo-kms-probe") === true);
    await time.skip(hourAtMostMs);
    await time.advance(lookMs);
    const { notices, providerKeys } = await service.grpc.status({});
    const remark =
      /^The provider key aws arn:\S+ could not be probed \(.+\): whether its provider lies is not known\.$/;
    expect(notices.filter((notice) => remark.test(notice))).toHaveLength(1);
    expect(providerKeys[0]!.condition).toBe(ProviderCondition.ANSWERING);
  });
});
