/** Callers with client certificates, on both ports of a service with TLS: who is accepted, who is refused, and what a reload does. */
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromNow } from "../support/from-now.ts";
import { type Issued, newAuthority } from "../support/pki.ts";
import { failureOf, startService, type TlsService } from "../support/running-service.ts";

const mesh = newAuthority({ name: "mesh" });
const web = newAuthority({ name: "web" });

const policy = `version: 1
certificates:
  - { name: mesh, trust-domain: example.org, ca: mesh.pem }
  - { name: web, dns: [.internal.example.org], ca: web.pem }
rules:
  - { name: ingest, who: { spiffe: "spiffe://example.org/ns/fluo/sa/ingest" }, roles: [sign, generate-data-key, status], tenants: "*" }
  - name: backends
    who: { dns: { certificates: web, name: "{tenant}.internal.example.org" } }
    roles: [generate-data-key]
    tenants: { captured: [acme, globex] }
`;

let service: TlsService;
beforeAll(async () => {
  service = await startService(undefined, {
    files: { "policy.yaml": policy, "mesh.pem": mesh.pem, "web.pem": web.pem },
    tls: true,
  });
});
afterAll(() => service.stop());

const ingest = "spiffe://example.org/ns/fluo/sa/ingest";

/** What a caller is told on either port who asks for a data key of a tenant. */
async function asked(certificate: Issued, tenantId = "acme"): Promise<{ grpc: string; http: number; text: string }> {
  const client = service.client(certificate);
  try {
    const byGrpc = await client.generateDataKey({ tenantId }).then(
      () => ({ code: grpc.status.OK, details: "" }),
      (error: grpc.ServiceError) => error,
    );
    const { status, body } = await service.http("/fluo.kms.v1.KmsService/GenerateDataKey", {
      method: "POST",
      body: JSON.stringify({ tenantId }),
      headers: { "content-type": "application/json" },
      certificate,
    });
    const text = status === 200 ? "" : (JSON.parse(body) as { message: string }).message;
    if (status !== 200) expect(byGrpc.details).toBe(text);
    return { grpc: grpc.status[byGrpc.code]!, http: status, text };
  } finally {
    client.close();
  }
}

const accepted = { grpc: "OK", http: 200, text: "" };
const expired = {
  grpc: "UNAUTHENTICATED",
  http: 401,
  text: "the client certificate has expired: connect again",
};
const unnamed = { grpc: "PERMISSION_DENIED", http: 403, text: "no rule names this caller" };
const denied = {
  grpc: "PERMISSION_DENIED",
  http: 403,
  text: "the caller may not generate-data-key for this tenant",
};

describe("a caller with a certificate", () => {
  it.each<[string, () => Issued, object]>([
    ["of its trust domain is accepted", () => mesh.issue({ uris: [ingest] }), accepted],
    ["over an intermediate is accepted", () => mesh.intermediate().issue({ uris: [ingest] }), accepted],
    ["of a DNS name is accepted for its tenant", () => web.issue({ dns: ["acme.internal.example.org"] }), accepted],
    ["attack 33: that has ended is refused", () => mesh.issue({ uris: [ingest], until: fromNow(-1_000) }), expired],
    ["whom no rule names is refused", () => mesh.issue({ uris: ["spiffe://example.org/ns/fluo/sa/ingest2"] }), unnamed],
    [
      "of a tenant that the rule does not allow is denied",
      () => web.issue({ dns: ["initech.internal.example.org"] }),
      denied,
    ],
  ])("%s", async (_, certificate, answer) => {
    expect(await asked(certificate())).toEqual(answer);
  });

  it("attack 46: is denied another tenant, whether or not there is one", async () => {
    const acme = web.issue({ dns: ["acme.internal.example.org"] });
    expect(await asked(acme, "globex")).toEqual(denied);
    expect(await asked(acme, "nobody-at-all")).toEqual(denied);
  });
});

describe("a reload", () => {
  it("attack 44: of an authority that is gone refuses those whom it vouched for, on connections that are open", async () => {
    const client = service.client(mesh.issue({ uris: [ingest] }));
    await client.generateDataKey({ tenantId: "acme" });
    const next = newAuthority({ name: "mesh" });
    await service.write({ "mesh.pem": next.pem });
    expect(await failureOf(client.generateDataKey({ tenantId: "acme" }))).toMatchObject({
      code: grpc.status.UNAUTHENTICATED,
    });
    expect(await asked(next.issue({ uris: [ingest] }))).toEqual(accepted);
    await service.write({ "mesh.pem": mesh.pem });
    expect(await asked(mesh.issue({ uris: [ingest] }))).toEqual(accepted);
    client.close();
  });

  it("attack 42: to a policy with a mistake changes nothing, and health says so", async () => {
    await service.write({ "policy.yaml": `${policy}  - { name: Bad }\n` });
    expect(await asked(mesh.issue({ uris: [ingest] }))).toEqual(accepted);
    const client = service.client(mesh.issue({ uris: [ingest] }));
    await expect
      .poll(async () => (await client.status({})).notices.join("\n"))
      .toContain("policy.yaml is not in force, and the former one is: line");
    await service.write({ "policy.yaml": policy });
    await expect.poll(async () => (await client.status({})).notices.join("\n")).not.toContain("is not in force");
    client.close();
  });

  it("attack 43: of a policy without its rule denies a caller on its open connection", async () => {
    const client = service.client(mesh.issue({ uris: [ingest] }));
    await client.generateDataKey({ tenantId: "acme" });
    await service.write({ "policy.yaml": policy.replace("[sign, generate-data-key, status]", "[sign]") });
    expect(await failureOf(client.generateDataKey({ tenantId: "acme" }))).toMatchObject({
      code: grpc.status.PERMISSION_DENIED,
    });
    await service.write({ "policy.yaml": policy });
    await client.generateDataKey({ tenantId: "acme" });
    client.close();
  });

  it("of the service's certificate fails no call, in 20 times on both ports", async () => {
    const certificate = mesh.issue({ uris: [ingest] });
    const client = service.client(certificate);
    let running = true;
    const failures: string[] = [];
    let calls = 0;
    const callOn = async (one: () => Promise<unknown>) => {
      while (running) {
        calls += 1;
        await one().catch((error) => failures.push(String(error)));
      }
    };
    const load = [
      callOn(() => client.generateDataKey({ tenantId: "acme" })),
      callOn(async () => {
        const { status } = await service.http("/api/admin/kms/status", { certificate });
        if (status !== 200) throw new Error(`status ${status}`);
      }),
    ];
    for (let times = 1; times <= 20; times += 1) {
      await expect.poll(() => calls, { interval: 1 }).toBeGreaterThan(times * 5);
      await service.write(service.newServerFiles());
    }
    running = false;
    await Promise.all(load);
    expect(failures).toEqual([]);
    client.close();
  });

  it("attack 42: of a key that does not fit keeps the former certificate", async () => {
    const { "server.pem": certificate } = service.newServerFiles();
    await service.write({ "server.pem": certificate });
    expect(await asked(mesh.issue({ uris: [ingest] }))).toEqual(accepted);
    await service.write(service.newServerFiles());
  });
});
