/** Forged and malformed tokens of an issuer over HTTPS, on both ports: each is refused, nothing is fetched for it, and no row is written. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { ec, ed, type ForgedWorld, forgeries, publishedOne, publishedWeak } from "../support/forged-tokens.ts";
import { testKey, tokenBy } from "../support/signed-tokens.ts";
import { accepted, expired, notAccepted, unavailable } from "../support/told.ts";

const otherIss = "https://other.example.org";
const otherKey = testKey("RS256", "k");

let service: AttackedWorld;
let world: ForgedWorld;
let attacker: Server;
let connections = 0;
beforeAll(async () => {
  attacker = createServer((socket) => {
    connections += 1;
    socket.destroy();
  }).listen(0, "127.0.0.1");
  await once(attacker, "listening");
  service = await startAttacked({
    otherIssuers: `  - { name: other, issuer: "${otherIss}", jwks-file: other.json, audience: fluo-kms }\n`,
    files: { "other.json": JSON.stringify({ keys: [otherKey.jwk] }) },
    published: (key) => [ec.jwk, ed.jwk, publishedOne(key), ...publishedWeak],
    rules: ["sso", "other"]
      .map(
        (name) =>
          `  - { name: ${name}, who: { jwt: { issuer: ${name}, subject: ingest } }, roles: [sign], tenants: [acme] }\n`,
      )
      .join(""),
  });
  world = {
    ...service,
    iss: service.issuer.url,
    other: { iss: otherIss, key: otherKey },
    attacker: `https://127.0.0.1:${(attacker.address() as AddressInfo).port}/jwks`,
  };
});
afterAll(async () => {
  await service.stop();
  attacker.close();
  // The key set, at the start, and at most once more for key ids that are not in it.
  expect([1, 2]).toContain(service.issuer.requests.length);
  expect(new Set(service.issuer.requests)).toEqual(new Set(["GET /jwks"]));
  expect(connections).toBe(0);
});

it("a good token of each kind is accepted", async () => {
  const { token, claims, ask } = service;
  for (const good of [
    ...[token(), token({}, { kid: undefined }), token({}, { typ: "at+jwt" }), token({ aud: ["other", "fluo-kms"] })],
    ...[tokenBy(ec, claims()), tokenBy(ed, claims()), tokenBy(otherKey, claims({ iss: otherIss }))],
  ]) {
    expect(await ask({ authorization: `Bearer ${good}` })).toEqual(accepted);
  }
});

it.each(forgeries)("attack $row: $what is refused", async ({ tokens, expired: isExpired, orUnavailable }) => {
  const told = isExpired ? expired : notAccepted;
  for (const token of tokens(world)) {
    const answer = await service.ask({ authorization: `Bearer ${token}` });
    expect(orUnavailable ? [told, unavailable] : [told], token.slice(0, 300)).toContainEqual(answer);
  }
  expect(await service.ask({ authorization: `Bearer ${service.token()}` })).toEqual(accepted);
});
