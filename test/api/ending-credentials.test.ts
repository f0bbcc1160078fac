/**
 * Credentials that end while they are in use, on connections and streams that are open: they expire, their key, issuer, authority or rule is
 * taken away. The clock on the wall is the test's own.
 */
import { Agent } from "node:https";
import { once } from "node:events";
import { connect } from "node:http2";
import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import type { Shown } from "../support/both-ports.ts";
import { fromNow, msFromNow, secondsFromNow } from "../support/from-now.ts";
import { type Issued, newAuthority } from "../support/pki.ts";
import { sharedKey, tokenBy } from "../support/signed-tokens.ts";
import { batchOf, spansFrom } from "../support/span-batches.ts";
import type { SpanClient } from "../support/stream-client.ts";
import {
  accepted,
  certificateExpired,
  certificateRefused,
  denied,
  expired,
  notAccepted,
  refusedAtDoor,
  unnamed,
} from "../support/told.ts";
import { destroySession } from "../support/destroy-session.ts";

const mesh = newAuthority({ name: "mesh" });
const hour = 3_600_000;
const another = sharedKey("RS256", "another");
const byCertificate = `  - { name: certified, who: { spiffe: "spiffe://example.org/ingest" }, roles: [sign], tenants: [acme] }\n`;
const byToken = `  - { name: ingest, who: { jwt: { issuer: sso, subject: ingest } }, roles: [sign], tenants: [acme] }\n`;

let service: AttackedWorld;
beforeAll(async () => {
  service = await startAttacked({
    more: "certificates:\n  - { name: mesh, trust-domain: example.org, ca: mesh.pem }\n",
    files: { "mesh.pem": mesh.pem },
    published: () => [another.jwk],
    rules: byToken + byCertificate,
  });
});
afterAll(() => service.stop());

const streams: SpanClient[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const each of streams.splice(0)) each.close();
  await service.write({ "policy.yaml": service.policy, "mesh.pem": mesh.pem });
});

/** Lets the clock on the wall go on by a jump, and by nothing else. */
function passTo(ms: number): void {
  if (!vi.isFakeTimers()) vi.useFakeTimers({ toFake: ["Date"] });
  vi.setSystemTime(ms);
}

const shownToken = (token = service.token()): Shown => ({ authorization: `Bearer ${token}` });
const certificate = (): Issued => mesh.issue({ uris: ["spiffe://example.org/ingest"], until: fromNow(hour) });

/** A stream that has signed one batch. */
async function signing(shown: Shown): Promise<SpanClient> {
  const stream = service.stream(shown);
  streams.push(stream);
  await stream.send(batchOf(spansFrom(0, 1), { tenantId: "acme" }));
  expect(await stream.nextResponse()).toMatchObject({ batchDone: true });
  return stream;
}

/** How a stream ends whose caller is sent one more batch. */
async function endOf(stream: SpanClient) {
  await stream.send(batchOf(spansFrom(1, 2)));
  const { code, reason, message } = await stream.failure();
  return { code: grpc.status[code], reason, message };
}

describe("attack 26: a token that expires", () => {
  it("is refused on its open connection, and ends its stream", async () => {
    const shown = shownToken(service.token({ exp: secondsFromNow(60) }));
    expect(await service.ask(shown)).toEqual(accepted);
    const [stream, waiting] = [await signing(shown), await signing(shown)];
    passTo(msFromNow(91_000));
    expect(await service.ask(shown)).toEqual(expired);
    expect(await endOf(stream)).toEqual(expired.grpc);
    // Also one that says nothing.
    expect(await waiting.failure()).toMatchObject({ reason: "CREDENTIAL_EXPIRED", message: "the token has expired" });
  });
});

describe("attack 27, 44a: a key that the issuer withdraws", () => {
  it("is refused on calls and streams from the next load of the key set on", async () => {
    const by = (key = another) => shownToken(tokenBy(key, service.claims()));
    const shown = by();
    expect(await service.ask(shown)).toEqual(accepted);
    const stream = await signing(shown);
    service.issuer.keys = service.issuer.keys.slice(0, 1);
    expect(await service.ask(shown)).toEqual(accepted);
    service.refreshKeys();
    const refused = await stream.failure();
    expect(refused).toMatchObject({ reason: "CREDENTIAL_EXPIRED", code: grpc.status.UNAUTHENTICATED });
    expect(await service.ask(shown)).toEqual(notAccepted);
    expect(await service.ask(by())).toEqual(notAccepted);
    expect(await service.ask(shownToken())).toEqual(accepted);
  });
});

describe("attack 39: a certificate that expires", () => {
  it("ends its connections before, its calls and streams then", async () => {
    const issued = certificate();
    const until = issued.x509.validToDate.getTime();
    const stream = await signing({ certificate: issued });
    const session = connect(`https://localhost:${service.grpcPort}`, {
      ca: service.serverCa,
      cert: issued.chain,
      key: issued.key,
    });
    await once(session, "connect");
    passTo(until - 31_000);
    expect(await service.ask({ certificate: issued })).toEqual(accepted);
    const leaving = once(session, "goaway");
    passTo(until - 29_000);
    expect((await leaving)[0]).toBe(0);
    const { grpc: byGrpc, http } = await service.ask({ certificate: issued });
    expect({ byGrpc, http }).toEqual({ byGrpc: accepted.grpc, http: { ...accepted.http, connection: "close" } });
    await stream.send(batchOf(spansFrom(1, 2)));
    expect(await stream.nextResponse()).toMatchObject({ batchDone: true });
    passTo(until);
    expect(await service.ask({ certificate: issued })).toEqual(certificateExpired);
    expect(await endOf(stream)).toEqual(certificateExpired.grpc);
    await destroySession(session);
  });

  it("is refused on a connection of HTTP that is kept", async () => {
    const issued = certificate();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const whoami = async () => {
      const { status, body } = await service.http("/api/kms/whoami", { certificate: issued, agent });
      service.heard(body);
      return [status, JSON.parse(body).message];
    };
    expect(await whoami()).toEqual([200, undefined]);
    passTo(issued.x509.validToDate.getTime());
    expect(await whoami()).toEqual([401, certificateExpired.http.message]);
    agent.destroy();
  });
});

describe("attack 43: a rule that is taken away", () => {
  it.each<[string, () => Shown]>([
    ["token", shownToken],
    ["certificate", () => ({ certificate: certificate() })],
  ])("denies the caller with a %s on the next call and batch", async (kind, show) => {
    const shown = show();
    const rule = kind === "token" ? byToken : byCertificate;
    expect(await service.ask(shown)).toEqual(accepted);
    const [stream, other] = [await signing(shown), await signing(shown)];
    await service.replace(service.policy.replace(rule, rule.replace("[sign]", "[verify]")));
    expect(await service.ask(shown)).toEqual(denied("sign"));
    expect(await endOf(stream)).toEqual(denied("sign").grpc);
    await service.replace(service.policy.replace(rule, ""));
    expect(await service.ask(shown)).toEqual(unnamed);
    expect(await endOf(other)).toEqual(denied("sign").grpc);
    await service.replace(service.policy);
    expect(await service.ask(shown)).toEqual(accepted);
  });
});

it("attack 65: a rule that comes to demand a token ends the streams of its certificates, and refuses their next call", async () => {
  const shown: Shown = { certificate: certificate() };
  const needsToken = refusedAtDoor("UNAUTHENTICATED", "this client certificate counts only with a token");
  expect(await service.ask(shown)).toEqual(accepted);
  const [stream, waiting, other] = [await signing(shown), await signing(shown), await signing(shownToken())];
  await service.replace(
    `${service.policy}  - { name: gate, who: { spiffe: "spiffe://example.org/*" }, token: required }\n`,
  );
  expect(await endOf(stream)).toEqual(needsToken.grpc);
  // Also one that says nothing.
  expect(await waiting.failure()).toMatchObject({ reason: "UNAUTHENTICATED", message: needsToken.grpc.message });
  expect(await service.ask(shown)).toEqual(needsToken);
  expect(await service.ask({ ...shown, ...shownToken() })).toEqual(accepted);
  await other.send(batchOf(spansFrom(1, 2)));
  expect(await other.nextResponse()).toMatchObject({ batchDone: true });
  await service.replace(service.policy);
  expect(await service.ask(shown)).toEqual(accepted);
});

it("attack 44: an authority that is taken away ends the connections and streams of its certificates", async () => {
  const issued = certificate();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const kept = () => service.http("/api/kms/whoami", { certificate: issued, agent });
  expect((await kept()).status).toBe(200);
  const stream = await signing({ certificate: issued });
  const session = connect(`https://localhost:${service.grpcPort}`, {
    ca: service.serverCa,
    cert: issued.chain,
    key: issued.key,
  });
  await once(session, "connect");
  await new Promise((resolve) => session.ping(resolve)); // it is there on the other side too
  const closed = once(session, "close");
  await service.write({ "mesh.pem": newAuthority({ name: "mesh" }).pem });
  await closed;
  expect(await endOf(stream)).toMatchObject({ code: "UNAUTHENTICATED" });
  expect(await service.ask({ certificate: issued })).toEqual(certificateRefused);
  const { status, headers, body } = await kept();
  expect([status, headers.connection, JSON.parse(body).message]).toEqual([
    ...[401, "close", "the client certificate is not accepted"],
  ]);
  agent.destroy();
});

describe("attack 44a: an issuer whose entry is changed", () => {
  const entry = (policy: string) => policy.slice(policy.indexOf("  - { name: sso"), policy.indexOf("tokens:"));
  const changes: [string, (policy: string) => string][] = [
    ["is removed", (policy) => policy.replace(entry(policy), "  []\n").replace(byToken, "")],
    ["has another address", (policy) => policy.replace(/issuer: "([^"]+)"/, 'issuer: "$1/other"')],
    ["has another audience", (policy) => policy.replace("audience: fluo-kms", "audience: other")],
    [
      "has another algorithm",
      (policy) => policy.replace("audience: fluo-kms", "audience: fluo-kms, algorithms: [ES256]"),
    ],
  ];
  it.each(changes)("voids what it issued where it %s", async (_, change) => {
    const shown = shownToken();
    expect(await service.ask(shown)).toEqual(accepted);
    const stream = await signing(shown);
    await service.replace(change(service.policy));
    expect(await service.ask(shown)).toEqual(notAccepted);
    expect(await endOf(stream)).toMatchObject({ code: "UNAUTHENTICATED", reason: "CREDENTIAL_EXPIRED" });
    await service.replace(service.policy);
    expect(await service.ask(shownToken())).toEqual(accepted);
  });

  it("voids what it issued where it is renamed: who comes again is another caller", async () => {
    const shown = shownToken();
    const named = async () => {
      const { body } = await service.http("/api/kms/whoami", { headers: { ...(shown as { authorization: string }) } });
      return JSON.parse(body).name;
    };
    expect(await named()).toBe("jwt:sso:ingest");
    const stream = await signing(shown);
    const renamed = service.policy
      .replace("- { name: sso,", "- { name: sso2,")
      .replace("issuer: sso,", "issuer: sso2,");
    await service.replace(renamed);
    expect(await named()).toBe("jwt:sso2:ingest");
    expect(await endOf(stream)).toMatchObject({ code: "UNAUTHENTICATED", reason: "CREDENTIAL_EXPIRED" });
    await service.replace(renamed.replace(/ {2}- \{ name: ingest,.*\n/, ""));
    expect(await service.ask(shown)).toEqual(unnamed);
  });
});
