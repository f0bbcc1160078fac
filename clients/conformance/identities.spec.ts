/** Clients that prove who they are: by certificate, and by a token that a function gives for each call. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { type CalledService, newFolder as newPkiFolder, startCalled } from "../../test/callers/called-service.ts";
import { newAuthority } from "../../test/support/pki.ts";
import { type ServiceProcess, startProcess } from "../../test/support/service-process.ts";
import { atEnd, newFolder, runProgram, whole } from "./programs.ts";

const identity = "spiffe://example.org/ns/fluo/sa/client";
const mesh = newAuthority({ name: "mesh" });
const [first, second, bad] = [newStaticToken(), newStaticToken(), newStaticToken()];
const may = 'roles: [generate-data-key], tenants: "*"';
const tokens = `tokens:
  - { name: first, sha256: "${first.sha256}", expires: 2099-01-01 }
  - { name: second, sha256: "${second.sha256}", expires: 2099-01-01 }
`;
const tokenRules = `  - { name: first, who: { token: first }, ${may} }
  - { name: second, who: { token: second }, ${may} }
`;
const policy = `version: 1
certificates:
  - { name: mesh, trust-domain: example.org, ca: mesh.pem }
${tokens}rules:
  - { name: client, who: { spiffe: "${identity}" }, ${may} }
${tokenRules}`;

const folder = newPkiFolder();
let service: CalledService;
let open: ServiceProcess;
beforeAll(async () => {
  service = await startCalled(folder, { "policy.yaml": policy, "mesh.pem": mesh.pem });
  const file = folder.write({ "open.yaml": `version: 1\n${tokens}rules:\n${tokenRules}` });
  open = await startProcess({ FLUO_KMS_AUTH: "policy", FLUO_KMS_POLICY_FILE: file }, { finished: atEnd });
});
afterAll(async () => {
  await Promise.all([service.process.end(), open.end()]);
});

it.each(whole.map((language) => [language.title, language] as const))(
  "are accepted and refused in %s",
  async (_, language) => {
    const { certificate, key } = service.credential(mesh.issue({ uris: [identity] }));
    const otherCa = folder.write({ "other-ca.pem": newAuthority({ name: "other" }).pem });
    const told = await runProgram(language, "identities", {
      tls: { service: service.grpc.replace("127.0.0.1", "localhost"), ca: service.ca, otherCa, certificate, key },
      service: open.grpc,
      tokens: [first.token, second.token, bad.token],
      tenant: "acme",
      work: newFolder(),
    });
    expect(told.failures).toEqual([]);
    expect(told.passed).toBeGreaterThan(5);
  },
);
