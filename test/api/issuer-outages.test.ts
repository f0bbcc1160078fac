/** Issuers that are down, or answer what is no key set, on both ports. The clock of what is remembered is the test's own. */
import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { type JumpingClock, jumpingClock } from "../support/jumping-clock.ts";
import { testKey, tokenBy } from "../support/signed-tokens.ts";
import { accepted, notAccepted, unavailable } from "../support/told.ts";

const down = (response: ServerResponse) => void response.destroy();
const failures = (service: AttackedWorld) => service.log().split("the former ones stay").length - 1;

/** It never goes back between tests: no service expects it to. */
let clock: JumpingClock;
let beforeMs = 0;
beforeAll(() => {
  clock = jumpingClock();
});
beforeEach(() => {
  beforeMs = clock.aheadMs;
});
afterAll(() => clock.restore());

/** Lets the clock that only goes forward go on by a jump. */
function pass(ms: number): void {
  clock.aheadMs = beforeMs + ms;
}

const minute = 60_000;

describe("attack 29: an issuer that is down", () => {
  it("before its keys were ever had makes its tokens wait; others are served, and the start needs no issuer", async () => {
    const service = await startAttacked({ issuerIsDown: true });
    onTestFinished(() => service.stop());
    const shown = { authorization: `Bearer ${service.token()}` };
    expect(await service.ask(shown)).toEqual(unavailable);
    const auditor = { authorization: `Bearer ${service.tokens.auditor}` };
    expect(await service.ask(auditor, {}, "generateDataKey")).toEqual(accepted);
    expect((await service.http("/q/health/ready")).status).toBe(200);
    expect((await service.http("/q/health", { headers: auditor })).status).toBe(200);
    service.issuer.answer = undefined;
    pass(31_000);
    expect(await service.ask(shown)).toEqual(accepted);
  });

  it("leaves its known keys good for 24 h, and then makes its tokens wait", async () => {
    const service = await startAttacked();
    onTestFinished(() => service.stop());
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
    service.issuer.answer = down;
    service.refreshKeys();
    await expect.poll(() => failures(service)).toBe(1);
    pass(23 * 60 * minute);
    const shown = { authorization: `Bearer ${service.token()}` };
    expect(await service.ask(shown)).toEqual(accepted);
    const { body } = await service.http("/api/admin/kms/status", {
      headers: { authorization: `Bearer ${service.tokens.auditor}` },
    });
    expect(body).toContain("The keys of issuer sso cannot be had");
    pass(24 * 60 * minute + 1_000);
    // Also what is remembered.
    expect(await service.ask(shown)).toEqual(unavailable);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(unavailable);
  });
});

describe("attack 30: in place of a key set", () => {
  let service: AttackedWorld;
  const stranger = testKey("RS256", "stranger");
  beforeAll(async () => {
    service = await startAttacked();
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted); // its keys are there
  });
  afterAll(() => service.stop());
  afterEach(() => {
    service.issuer.answer = undefined;
  });

  const json = (value: unknown) => (response: ServerResponse) => response.end(JSON.stringify(value));
  const answers: [string, (response: ServerResponse) => void][] = [
    ["a redirect", (response) => response.writeHead(302, { location: "/other" }).end()],
    ["a page", (response) => response.setHeader("content-type", "text/html").end("<html>")],
    ["nothing", (response) => response.end()],
    ["no keys", json({ keys: [] })],
    ["a key id twice", json({ keys: [stranger.jwk, { ...testKey("ES256", "stranger").jwk }] })],
    ["keys that count for nothing", json({ keys: [{ ...stranger.jwk, use: "enc" }] })],
    ["an error", (response) => response.writeHead(500).end(JSON.stringify({ keys: [stranger.jwk] }))],
    ["too many keys", json({ keys: Array.from({ length: 101 }, (_, n) => ({ ...stranger.jwk, kid: `${n}` })) })],
    [
      "an answer without end",
      (response) => {
        const more = () => void (response.destroyed || response.write("x".repeat(65_536), () => setImmediate(more)));
        more();
      },
    ],
  ];

  it.each(answers)("%s leaves the former keys in force", async (_, answer) => {
    const [before, asked] = [failures(service), service.issuer.requests.length];
    service.issuer.answer = answer;
    service.refreshKeys();
    await expect.poll(() => failures(service)).toBeGreaterThan(before);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
    const foreign = tokenBy(stranger, service.claims(), { kid: "k" });
    expect(await service.ask({ authorization: `Bearer ${foreign}` })).toEqual(notAccepted);
    expect(service.issuer.requests.slice(asked)).toEqual(["GET /jwks"]);
  });

  it("nothing for a long time holds up no call", async () => {
    const asked = Promise.withResolvers<ServerResponse>();
    service.issuer.answer = asked.resolve;
    service.refreshKeys();
    const response = await asked.promise;
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
    response.destroy();
  });

  it("a discovery document of another issuer is no key set", async () => {
    const discovering = service.policy.replace(/jwks: "[^"]+", /, "");
    const { url } = service.issuer;
    const before = failures(service);
    service.issuer.answer = json({
      issuer: "https://other.example.org",
      jwks_uri: `${url}/jwks`,
      keys: service.issuer.keys,
    });
    await service.replace(discovering);
    await expect.poll(() => failures(service)).toBeGreaterThan(before);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(unavailable);
    expect(service.issuer.requests.at(-1)).toBe("GET /.well-known/openid-configuration");
    service.issuer.answer = json({ issuer: url, jwks_uri: `${url}/jwks`, keys: service.issuer.keys });
    pass(31_000);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
  });
});
