/**
 * A service as a process whose log, database and policy lie in one folder, beside a file that somebody else writes. Callers
 * whose rights end go on calling on both ports, each call a line of the log and a row of the database, until they are refused.
 * test/api/busy-folder.test.ts says how soon that is.
 */
import { appendFileSync, renameSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { expect, it, onTestFinished } from "vitest";
import { newStaticToken } from "../src/auth/token/static-token.ts";
import { directory } from "./support/config-fixture.ts";
import { secondsFromNow } from "./support/from-now.ts";
import { newAuthority } from "./support/pki.ts";
import { type ClientCertificate, grpcClient } from "./support/running-service.ts";
import { startProcess } from "./support/service-process.ts";
import { testKey, tokenBy } from "./support/signed-tokens.ts";

interface Shown {
  certificate?: ClientCertificate;
  token?: string;
}

const [server, web, edge] = ["server", "web", "edge"].map((name) => newAuthority({ name })) as [
  ReturnType<typeof newAuthority>,
  ReturnType<typeof newAuthority>,
  ReturnType<typeof newAuthority>,
];
const own = server.issue({ addresses: ["127.0.0.1"], dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
const [webLeaf, edgeLeaf] = [web.issue({ dns: ["a.web.test"] }), edge.issue({ dns: ["a.edge.test"] })];
const [app, key, otherKey] = [newStaticToken(), testKey("ES256", "k"), testKey("ES256", "other")];
const keySet = (...keys: object[]) => JSON.stringify({ keys });

const rule = (name: string, who: string) =>
  `  - { name: ${name}, who: ${who}, roles: [generate-data-key], tenants: [acme] }\n`;
const ofApp = rule("app", "{ token: app }");
const policy = `version: 1
certificates:
  - { name: web, dns: [.web.test], ca: web.pem, crl: web.crl }
  - { name: edge, dns: [.edge.test], ca: edge.pem, crl: edge.crl }
issuers:
  - { name: file, issuer: "https://file.test", jwks-file: keys.json, audience: fluo-kms }
tokens:
  - { name: app, sha256: ${app.sha256}, expires: 2099-01-01 }
rules:
${ofApp}${rule("web", "{ dns: { certificates: web, name: a.web.test } }")}${rule("edge", "{ dns: { certificates: edge, name: a.edge.test } }")}${rule("batch", "{ jwt: { issuer: file, subject: batch } }")}`;

async function started() {
  const dir = directory({
    "policy.yaml": policy,
    "server.pem": own.chain,
    "server.key": own.key,
    "keys.json": keySet(key.jwk),
    "web.pem": web.pem,
    "web.crl": web.crl(),
    "edge.pem": edge.pem,
    "edge.crl": edge.crl(),
  });
  const service = await startProcess(
    {
      FLUO_KMS_AUTH: "policy",
      FLUO_KMS_POLICY_FILE: "policy.yaml",
      FLUO_KMS_LOG_LEVEL: "debug",
      FLUO_KMS_TLS_CERTIFICATE: "server.pem",
      FLUO_KMS_TLS_KEY: "server.key",
      FLUO_KMS_SQLITE_FILE: "kms.db",
      FLUO_KMS_LOCAL_MASTER_KEY_FILE: "master.key",
    },
    { cwd: dir, onLine: (line) => appendFileSync(join(dir, "kms.log"), `${line}\n`) },
  );

  function byGrpc({ certificate, token }: Shown) {
    const [chain, ownKey] = certificate ? [Buffer.from(certificate.chain), Buffer.from(certificate.key)] : [null, null];
    const client = grpcClient(
      service.grpc.replace("127.0.0.1", "localhost"),
      grpc.credentials.createSsl(Buffer.from(server.pem), ownKey, chain),
      token,
    );
    onTestFinished(() => client.close());
    return () =>
      client.generateDataKey({ tenantId: "acme" }).then(
        () => "accepted",
        ({ code }: grpc.ServiceError) => grpc.status[code]!,
      );
  }

  /** Each on a connection of its own. */
  const byHttp =
    ({ certificate, token }: Shown) =>
    () =>
      new Promise<string>((resolve, reject) => {
        const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
        const pair = certificate && { cert: certificate.chain, key: certificate.key };
        const tls = { ca: server.pem, agent: false, ...pair };
        const url = `${service.http}/fluo.kms.v1.KmsService/GenerateDataKey`;
        const asked = request(url, { method: "POST", headers, ...tls }, (response) => {
          response.resume().on("end", () => resolve(response.statusCode === 200 ? "accepted" : "refused"));
        });
        asked.on("error", reject).end('{"tenantId":"acme"}');
      });

  const put = (changed: Record<string, string>) => {
    for (const [name, text] of Object.entries(changed)) {
      writeFileSync(join(dir, `${name}.new`), text);
      renameSync(join(dir, `${name}.new`), join(dir, name));
    }
  };
  return { service, dir, put, ports: (shown: Shown) => [byGrpc(shown), byHttp(shown)] };
}

it("ends rights while all else in the policy's folder is written, on both ports", async () => {
  const { service, dir, put, ports } = await started();
  const claims = { iss: "https://file.test", aud: "fluo-kms", sub: "batch", exp: secondsFromNow(600) };
  const renewed = newAuthority({ name: "edge" });
  const changes: [Shown, Record<string, string>][] = [
    [{ token: app.token }, { "policy.yaml": policy.replace(ofApp, "") }],
    [{ certificate: edgeLeaf }, { "edge.pem": renewed.pem, "edge.crl": renewed.crl() }],
    [{ certificate: webLeaf }, { "web.crl": web.crl([webLeaf]) }],
    [{ token: tokenBy(key, { ...claims, iat: secondsFromNow(0) }) }, { "keys.json": keySet(otherKey.jwk) }],
  ];
  for (const [shown, changed] of changes) {
    const called = ports(shown);
    for (const call of called) expect(await call()).toBe("accepted");
    put(changed);
    for (const call of called) {
      while ((await call()) === "accepted") appendFileSync(join(dir, "report.csv"), "a line\n");
    }
  }
  expect(service.log.filter((line) => line.includes("a policy is in force")).length).toBeGreaterThanOrEqual(4);
  expect(await service.end()).toBe(0);
});
