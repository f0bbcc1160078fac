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
import { hourAtMostMs, type Liar, startLiar } from "./lying-fixture.ts";

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

it("does not start if the provider lies, and says what it did", async () => {
  const said = lines();
  await liar.fake.fault({ lie: "wrong-context" });
  const error = await thrownBy(start);
  await liar.fake.heal();
  expect(error).toBeKmsError("PROVIDER_DENIED");
  const what = "it opened a wrapped key under another encryption context";
  expect(withAdvice(error as KmsError)).toContain(`the provider is not to be trusted: ${what}: Find out`);
  expect(said(/"lie":"wrong-context".*provider aws is denied/)).toHaveLength(1);
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

  it.each<[Lie, string]>([
    ["other-bytes", "at the next new key"],
    ["tampered-ciphertext", "within the hour"],
  ])(
    "refuses a provider that lies by %s, which it finds %s, and goes on only once a probe passes",
    async (lie, found) => {
      const { grpc: kms } = service;
      const { fake, probeCalls } = liar;
      const encrypt = tenants();
      const said = lines();
      const before = await caught();
      expect(Object.keys(before).toSorted()).toEqual(lies.toSorted());
      await encrypt("acme");
      await fake.fault({ lie });
      await encrypt("acme"); // from the cache, and nobody knows
      if (found === "within the hour") await time.skip(hourAtMostMs);
      else await failureOf(encrypt("newcomer"));
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
