/** Client certificates that prove nothing, on both ports, beside those of certificates.test.ts: names that are no names, wrong issuers, revocation. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { type Issued, newAuthority } from "../support/pki.ts";
import { accepted, certificateRefused } from "../support/told.ts";

const mesh = newAuthority({ name: "mesh" });
const other = newAuthority({ name: "other" });
const web = newAuthority({ name: "web" });
const id = "spiffe://example.org/ns/fluo/sa/ingest";
const dns = "acme.internal.example.org";

let service: AttackedWorld;
beforeAll(async () => {
  service = await startAttacked({
    more: `certificates:
  - { name: mesh, trust-domain: example.org, ca: mesh.pem }
  - { name: other, trust-domain: other.org, ca: other.pem }
  - { name: web, dns: [.internal.example.org], ca: web.pem }
`,
    files: { "mesh.pem": mesh.pem, "other.pem": other.pem, "web.pem": web.pem },
    rules: `  - { name: ingest, who: { spiffe: "spiffe://example.org/ns/fluo/sa/*" }, roles: [sign], tenants: [acme] }
  - { name: web, who: { dns: { certificates: web, name: "*.internal.example.org" } }, roles: [sign], tenants: [acme] }
`,
  });
});
afterAll(() => service.stop());

it("good ones are accepted", async () => {
  for (const certificate of [
    mesh.issue({ uris: [id] }),
    mesh.intermediate().issue({ uris: [id] }),
    web.issue({ dns: [dns] }),
  ]) {
    expect(await service.ask({ certificate })).toEqual(accepted);
  }
});

/** With certificates of others behind its own. */
const withChain = (issued: Issued, ...more: Issued[]): Issued => ({
  ...issued,
  chain: issued.chain + more.map(({ certificate }) => certificate).join(""),
});

const spiffe = [
  ...["spiffe://example.org/ns/fluo/sa/a%2Fb", `${id}?x`, `${id}#x`, "spiffe://example.org/ns//sa/a", `${id}/`],
  ...["spiffe://example.org/ns/../ns/fluo/sa/a", "spiffe://example.org:443/ns/fluo/sa/a", "spiffe://example.org"],
  ...["spiffe://u@example.org/ns/fluo/sa/a", "spiffe://EXAMPLE.org/ns/fluo/sa/a", "spiffe://example.org/"],
  ...[
    "https://example.org/ns/fluo/sa/ingest",
    "SPIFFE://example.org/ns/fluo/sa/ingest",
    "spiffe://unknown.org/ns/fluo/sa/b",
  ],
];

describe("is refused", () => {
  it.each<[string, () => Issued]>([
    [
      "attack 33: signed by itself",
      () => newAuthority({ uris: [id], ca: false, keyUsage: 0x80, extendedKeyUsage: ["clientAuth"] }),
    ],
    ["attack 33: signed by another key than its issuer's", () => mesh.issue({ uris: [id], forged: true })],
    ["attack 33: with the use of a CA", () => mesh.issue({ uris: [id], keyUsage: 0x84 })],
    [
      "attack 34: with another URI behind a comma",
      () => mesh.issue({ uris: [`${id}, URI:spiffe://example.org/ns/fluo/sa/b`] }),
    ],
    ["attack 34: with two URIs, one a SPIFFE id", () => mesh.issue({ uris: ["https://example.org", id] })],
    ["attack 36: by another domain's intermediate", () => other.intermediate().issue({ uris: [id] })],
    [
      "attack 36: by another domain's CA, with its own domain's CA behind it",
      () => withChain(other.issue({ uris: [id] }), mesh),
    ],
    [
      "attack 36: by another's intermediate, with its own domain's intermediate behind it",
      () => withChain(other.intermediate().issue({ uris: [id] }), mesh.intermediate(), mesh),
    ],
    ["attack 37: of a DNS name outside the entry's", () => web.issue({ dns: ["acme.example.com"] })],
    ["attack 37: of a DNS name, and one outside the entry's", () => web.issue({ dns: [dns, "acme.example.com"] })],
    ["attack 37: of a name with a wildcard", () => web.issue({ dns: ["*.internal.example.org"] })],
    ["attack 38: with a common name alone, a SPIFFE id", () => mesh.issue({ name: id })],
    ["attack 38: with a common name and an e-mail address", () => web.issue({ name: dns, emails: [`a@${dns}`] })],
    ["attack 38: with an address alone", () => web.issue({ addresses: ["127.0.0.1"] })],
  ])("%s", async (_, certificate) => {
    expect(await service.ask({ certificate: certificate() })).toEqual(certificateRefused);
    expect(service.log()).toContain("the client certificate is not accepted");
  });

  it.each(spiffe)("attack 35: of %s", async (uri) => {
    expect(await service.ask({ certificate: mesh.issue({ uris: [uri] }) })).toEqual(certificateRefused);
  });
});

it("attack 34: with a URI and a DNS name it is taken as SPIFFE, and the DNS name is not read", async () => {
  const certificate = mesh.issue({ uris: [id], dns: [dns] });
  const { body } = await service.http("/api/kms/whoami", { certificate });
  expect(JSON.parse(body)).toMatchObject({ name: id, kind: "spiffe" });
  expect(await service.ask({ certificate: web.issue({ uris: [id], dns: [dns] }) })).toEqual(certificateRefused);
});
