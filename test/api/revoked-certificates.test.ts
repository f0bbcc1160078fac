/** Client certificates under revocation lists, on both ports. */
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { startAttacked } from "../support/attacked-service.ts";
import { byGrpc, requestFor } from "../support/both-ports.ts";
import { fromNow } from "../support/from-now.ts";
import { type Issued, newAuthority } from "../support/pki.ts";
import { batchOf, spansFrom } from "../support/span-batches.ts";
import { accepted, certificateRefused } from "../support/told.ts";

const web = newAuthority({ name: "web" });
const dns = "acme.internal.example.org";

describe("attack 33: with revocation lists", () => {
  afterEach(() => void vi.useRealTimers());

  const start = async (crl: string) => {
    const world = await startAttacked({
      more: "certificates:\n  - { name: web, dns: [.internal.example.org], ca: web.pem, crl: web.crl }\n",
      files: { "web.pem": web.pem, "web.crl": crl },
      rules: `  - { name: web, who: { dns: { certificates: web, name: "*.internal.example.org" } }, roles: [sign], tenants: [acme] }\n`,
    });
    onTestFinished(() => world.stop());
    return world;
  };

  it("a certificate that is revoked is refused, and another is not; a list that is due is not put in force", async () => {
    const [good, later, revoked] = [1, 2, 3].map(() => web.issue({ dns: [dns] })) as [Issued, Issued, Issued];
    const world = await start(web.crl([revoked]));
    expect(await world.ask({ certificate: good })).toEqual(accepted);
    expect(await world.ask({ certificate: revoked })).toEqual(certificateRefused);
    await world.write({ "web.crl": web.crl([good], { nextUpdate: fromNow(-1_000) }) });
    expect(await world.ask({ certificate: good })).toEqual(accepted);
    expect(await world.ask({ certificate: revoked })).toEqual(certificateRefused);
    await world.write({ "web.crl": web.crl([later]) });
    expect(await world.ask({ certificate: later })).toEqual(certificateRefused);
    expect(await world.ask({ certificate: good })).toEqual(accepted);
  });

  it("a connection that is open ends its rights with the list that revokes its certificate", async () => {
    const certificate = web.issue({ dns: [dns] });
    const world = await start(web.crl());
    const client = world.client(certificate);
    onTestFinished(() => client.close());
    const stream = world.stream({ certificate });
    onTestFinished(() => stream.close());
    const [method, message] = requestFor("signSpan", {});
    const told = async () => (await byGrpc(client, method, toBinary(method.input, message), { certificate })).told;
    expect((await told()).code).toBe("OK");
    await stream.send(batchOf(spansFrom(0, 1), { tenantId: "acme" }));
    expect(await stream.nextResponse()).toMatchObject({ batchDone: true });
    await world.write({ "web.crl": web.crl([certificate]) });
    expect(await told()).toMatchObject(certificateRefused.grpc);
    expect(await stream.failure()).toMatchObject({ code: grpc.status.UNAUTHENTICATED, reason: "CREDENTIAL_EXPIRED" });
  });

  it("a list of another CA changes nothing, and Status says why", async () => {
    const [good, revoked] = [web.issue({ dns: [dns] }), web.issue({ dns: [dns] })];
    const world = await start(web.crl([revoked]));
    await world.write({ "web.crl": newAuthority({ name: "other" }).crl() });
    expect(await world.ask({ certificate: good })).toEqual(accepted);
    expect(await world.ask({ certificate: revoked })).toEqual(certificateRefused);
    const headers = { authorization: `Bearer ${world.tokens.auditor}` };
    const { body } = await world.http("/api/admin/kms/status", { headers });
    expect((JSON.parse(body) as { notices: string[] }).notices.join()).toMatch(
      /no CA certificate of its entry signed it/,
    );
  });

  it("a list that falls due while it is in force refuses everybody", async () => {
    const due = fromNow(-60_000);
    const crl = web.crl([], { thisUpdate: fromNow(-3_600_000), nextUpdate: due });
    // To the service it is current when it reads it; OpenSSL has a clock of its own.
    vi.useFakeTimers({ toFake: ["Date"], now: due.getTime() - 60_000 });
    const world = await start(crl);
    vi.useRealTimers();
    expect(await world.ask({ certificate: web.issue({ dns: [dns] }) })).toEqual(certificateRefused);
    expect(await world.ask({ authorization: `Bearer ${world.tokens.auditor}` }, {}, "generateDataKey")).toEqual(
      accepted,
    );
  });
});
