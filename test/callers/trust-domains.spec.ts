/** Two SPIFFE trust domains, each with its own authority, whose workloads call one service: each is who its own domain says, and nobody else. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Issued, newAuthority } from "../support/pki.ts";
import { firstOfEach } from "../support/short.ts";
import { type CalledService, newFolder, startCalled } from "./called-service.ts";
import { clients } from "./clients.ts";

const here = newAuthority({ name: "here" });
const there = newAuthority({ name: "there" });
const ids = { here: "spiffe://here.example/ns/fluo/sa/app", there: "spiffe://there.example/ns/fluo/sa/app" };
const signer = "spiffe://there.example/ns/fluo/sa/signer";

/** An intermediate of each domain, as SPIRE has one for each server. */
const [ofHere, ofThere] = [here.intermediate({ name: "server-here" }), there.intermediate({ name: "server-there" })];

let service: CalledService;
beforeAll(async () => {
  service = await startCalled(newFolder(), {
    "policy.yaml": `version: 1
certificates:
  - { name: here, trust-domain: here.example, ca: here.pem }
  - { name: there, trust-domain: there.example, ca: there.pem }
rules:
  - { name: here-app, who: { spiffe: "${ids.here}" }, roles: [generate-data-key], tenants: [acme] }
  - { name: there-app, who: { spiffe: "${ids.there}" }, roles: [generate-data-key], tenants: [globex] }
`,
    "here.pem": here.pem,
    "there.pem": there.pem,
  });
});
afterAll(async () => {
  await service.process.end();
});

const accepted = { code: "OK", text: "" };
const refused = {
  code: "Unauthenticated",
  text: "the client certificate is not accepted",
  reason: "UNAUTHENTICATED",
};
const denied = {
  code: "PermissionDenied",
  text: "the caller may not generate-data-key for this tenant",
  reason: "PERMISSION_DENIED",
};

describe.each(firstOfEach(["grpc-go", "curl"]))("by %s", (name) => {
  const told = (issued: Issued, tenantId: string) =>
    clients[name]!(service, {
      method: "fluo.kms.v1.KmsService/GenerateDataKey",
      request: { tenant_id: tenantId },
      credential: service.credential(issued),
    });

  it("a workload of each domain is accepted for its tenant, and denied the other's", async () => {
    for (const [app, tenantId, other] of [
      [ofHere.issue({ uris: [ids.here] }), "acme", "globex"],
      [ofThere.issue({ uris: [ids.there] }), "globex", "acme"],
    ] as const) {
      expect(await told(app, tenantId)).toEqual(accepted);
      expect(await told(app, other)).toEqual(denied);
    }
  });

  it.each<[string, () => Issued]>([
    ["the other domain's root", () => there.issue({ uris: [ids.here] })],
    ["the other domain's intermediate", () => ofThere.issue({ uris: [ids.here] })],
    [
      "the other domain's intermediate, beside the chain of its own",
      () => {
        const forged = ofThere.issue({ uris: [ids.here] });
        return { ...forged, chain: forged.chain + ofHere.pem + here.pem };
      },
    ],
    [
      "an intermediate of its own name, made by the other domain's root",
      () => there.intermediate({ name: "server-here" }).issue({ uris: [ids.here] }),
    ],
    [
      "the other domain's intermediate, which its root has signed across",
      () => {
        // Each domain's root vouches for the other's server, as federation by mistake would have it.
        const across = here.intermediate({ name: "server-there", keys: ofThere.keys });
        return { ...across.issue({ uris: [ids.there] }) };
      },
    ],
  ])("an id is refused if it is issued by %s", async (_, issue) => {
    expect(await told(issue(), "acme")).toEqual(refused);
    expect(await told(issue(), "globex")).toEqual(refused);
  });

  it("a workload of a known domain that no rule names is refused", async () => {
    expect(await told(ofThere.issue({ uris: [signer] }), "globex")).toMatchObject({
      code: "PermissionDenied",
      text: "no rule names this caller",
    });
  });
});
