/** Preflight while what it looks at says nothing: it ends, and says what it waited for. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { type Production, startProduction } from "../../support/production.ts";

let production: Production;

beforeAll(async () => {
  production = await startProduction();
});
afterAll(() => production[Symbol.asyncDispose]());

it("ends though the settings' PostgreSQL says nothing", async () => {
  const silent = createServer((socket) => void socket.on("error", () => {})).listen(0, "127.0.0.1");
  await once(silent, "listening");
  onTestFinished(() => void silent.close());
  const url = new URL(production.env.FLUO_KMS_POSTGRES_URL!);
  url.port = String((silent.address() as AddressInfo).port);
  const { code, answer } = await production.preflightWith({ FLUO_KMS_POSTGRES_URL: url.href });
  const failed = answer.checks.filter(({ outcome }) => outcome === "FAIL");
  expect(failed.map(({ id, text }) => [id, text])).toEqual([
    ["store", expect.stringContaining("the PostgreSQL store failed (no answer)")],
    ["postgres-tls", expect.stringContaining("the PostgreSQL store failed (no answer)")],
  ]);
  expect(code).toBe(1);
});

it("ends though the provider says nothing", async () => {
  await production.kms.fault({ mode: "hanging" });
  const { code, answer } = await production.preflight();
  const failed = Object.fromEntries(
    answer.checks.flatMap(({ id, outcome, text }) => (outcome === "FAIL" ? [[id, text]] : [])),
  );
  // Whether health has noticed yet is a matter of a second.
  expect(failed).toMatchObject({
    validate: expect.stringMatching(/^FAIL; describe_key FAIL: PROVIDER_UNAVAILABLE/),
    store: expect.stringContaining("AWS KMS of eu-central-1"),
  });
  expect(failed.validate).not.toContain("not tried");
  expect(answer.checks.find(({ id }) => id === "cache-hit")!.outcome).toBe("SKIPPED");
  expect(code).toBe(1);
});
