/** Issuers that are down, or answer what is no key set, on both ports, in time that the tests move. */
import type { ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { pauseMs, refreshMs } from "../../src/auth/token/issuer-keys.ts";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { fromNow } from "../support/from-now.ts";
import { testKey, tokenBy } from "../support/signed-tokens.ts";
import { accepted, notAccepted, unavailable } from "../support/told.ts";
import { virtualTime } from "../support/virtual-time.ts";

const down = (response: ServerResponse) => void response.destroy();
const failures = (service: AttackedWorld) => service.log().split("the former ones stay").length - 1;

const time = virtualTime({ start: fromNow(0), finished: afterAll });
const [minute, hour] = [60_000, 3_600_000];
/** Of a load. */
const loadLimitMs = 5_000;

describe("attack 29: an issuer that is down", () => {
  it("before its keys were ever had makes its tokens wait; others are served, and the start needs no issuer", async () => {
    const service = await startAttacked({ issuerIsDown: true, time });
    onTestFinished(() => service.stop());
    const shown = { authorization: `Bearer ${service.token()}` };
    expect(await time.until(service.ask(shown))).toEqual(unavailable); // a load is under way
    const auditor = { authorization: `Bearer ${service.tokens.auditor}` };
    expect(await service.ask(auditor, {}, "generateDataKey")).toEqual(accepted);
    expect((await service.http("/q/health/ready")).status).toBe(200);
    expect((await service.http("/q/health", { headers: auditor })).status).toBe(200);
    service.issuer.answer = undefined;
    await time.skip(pauseMs - 1_000); // a little of it passed in the first call
    expect(await service.ask(shown)).toEqual(unavailable);
    await time.skip(1_000);
    expect(await service.ask(shown)).toEqual(accepted);
  });

  it("leaves its known keys good for 24 h, and then makes its tokens wait", async () => {
    const service = await startAttacked({ time });
    onTestFinished(() => service.stop());
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
    service.issuer.answer = down;
    await time.skip(refreshMs);
    expect(failures(service)).toBe(1);
    await time.skip(23 * hour - refreshMs);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
    const { body } = await service.http("/api/admin/kms/status", {
      headers: { authorization: `Bearer ${service.tokens.auditor}` },
    });
    expect(body).toContain("The keys of issuer sso cannot be had");
    await time.skip(55 * minute);
    const shown = { authorization: `Bearer ${service.token()}` };
    expect(await service.ask(shown)).toEqual(accepted);
    await time.skip(5 * minute);
    expect(await service.ask(shown)).toEqual(accepted);
    await time.skip(1);
    // Also what is remembered.
    expect(await service.ask(shown)).toEqual(unavailable);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(unavailable);
  });
});

describe("attack 30: in place of a key set", () => {
  let service: AttackedWorld;
  const stranger = testKey("RS256", "stranger");
  beforeAll(async () => {
    service = await startAttacked({ time });
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted); // its keys are there
  });
  afterAll(() => service.stop());
  afterEach(() => {
    service.issuer.answer = undefined;
  });

  const json = (value: unknown) => (response: ServerResponse) => response.end(JSON.stringify(value));
  const answers: [string, (response: ServerResponse) => void][] = [
    ["a key id twice", json({ keys: [stranger.jwk, { ...testKey("ES256", "stranger").jwk }] })],
    ["an error", (response) => response.writeHead(500).end(JSON.stringify({ keys: [stranger.jwk] }))],
  ];

  it.each(answers)("%s leaves the former keys in force", async (_, answer) => {
    const [before, asked] = [failures(service), service.issuer.requests.length];
    service.issuer.answer = answer;
    await time.skip(refreshMs);
    expect(failures(service)).toBe(before + 1);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
    const foreign = tokenBy(stranger, service.claims(), { kid: "k" });
    expect(await service.ask({ authorization: `Bearer ${foreign}` })).toEqual(notAccepted);
    expect(service.issuer.requests.slice(asked)).toEqual(["GET /jwks"]);
  });

  it("nothing for a long time holds up no call", async () => {
    const before = failures(service);
    service.issuer.answer = () => {};
    time.hanging.add("issuer");
    await time.skip(refreshMs);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
    await time.advance(loadLimitMs - 1);
    expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
    expect(failures(service)).toBe(before);
    await time.advance(1);
    time.hanging.delete("issuer");
    expect(failures(service)).toBe(before + 1);
  });
});
