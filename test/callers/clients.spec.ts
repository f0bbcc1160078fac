/** Clients that are not ours, each by certificate and by token: accepted, and refused in the words that the guides explain. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromNow } from "../support/from-now.ts";
import { type CertificateOptions, newAuthority } from "../support/pki.ts";
import { firstOfEach } from "../support/short.ts";
import {
  type CalledService,
  type Credential,
  ingest,
  mesh,
  newFolder,
  policyFiles,
  startCalled,
  tokens,
  web,
} from "./called-service.ts";
import { clients, curlOptions, grpcurl, grpcurlOptions, ran } from "./clients.ts";

const stranger = newAuthority({ name: "stranger" });
let service: CalledService;
beforeAll(async () => {
  service = await startCalled(newFolder(), policyFiles);
});
afterAll(async () => {
  await service.process.end();
});

const ofMesh = (options: CertificateOptions = {}) => service.credential(mesh.issue({ uris: [ingest], ...options }));
const ago = () => fromNow(-1_000);

const generate = { method: "fluo.kms.v1.KmsService/GenerateDataKey", request: { tenant_id: "acme" } };
const decrypt = { method: "fluo.kms.v1.KmsService/DecryptPii", request: { tenant_id: "acme" } };
const unauthenticated = (text: string, reason = "UNAUTHENTICATED") => ({ code: "Unauthenticated", text, reason });
const denied = (text: string) => ({ code: "PermissionDenied", text, reason: "PERMISSION_DENIED" });
const badCertificate = unauthenticated("the client certificate is not accepted");

describe.each(firstOfEach(Object.entries(clients)))("%s", (name, call) => {
  // Go's own TLS keeps a certificate back if the service names no authority above it (RFC 8446, §4.2.4).
  const unknownAuthority = name === "grpcurl" ? unauthenticated("no credential") : badCertificate;

  it.each<[string, () => Credential]>([
    ["a SPIFFE certificate", () => ofMesh()],
    [
      "a SPIFFE certificate of an intermediate",
      () => service.credential(mesh.intermediate().issue({ uris: [ingest] })),
    ],
    ["a certificate of a DNS name", () => service.credential(web.issue({ dns: ["backend.internal.example.org"] }))],
    ["a static token", () => ({ token: tokens.app })],
    [
      "a token beside a certificate that nobody trusts",
      () => ({
        ...service.credential(stranger.issue({ uris: [ingest] })),
        token: tokens.app,
      }),
    ],
  ])("is accepted with %s", async (_, credential) => {
    expect(await call(service, { ...generate, credential: credential() })).toEqual({ code: "OK", text: "" });
  });

  it.each<[string, () => Credential, object]>([
    ["without a credential", () => ({}), unauthenticated("no credential")],
    ["with a token that nobody has", () => ({ token: tokens.wrong }), unauthenticated("the token is not accepted")],
    [
      "with a token that has ended",
      () => ({ token: tokens.expired }),
      unauthenticated("the token has expired", "CREDENTIAL_EXPIRED"),
    ],
    [
      "with a good certificate and a bad token",
      () => ({ ...ofMesh(), token: tokens.wrong }),
      unauthenticated("the token is not accepted"),
    ],
    [
      "with a certificate of a stranger",
      () => service.credential(stranger.issue({ uris: [ingest] })),
      unknownAuthority,
    ],
    [
      "with a SPIFFE certificate of the authority for DNS names",
      () => service.credential(web.issue({ uris: [ingest] })),
      badCertificate,
    ],
    [
      "with a certificate that has ended",
      () => ofMesh({ until: ago() }),
      unauthenticated("the client certificate has expired: connect again", "CREDENTIAL_EXPIRED"),
    ],
    [
      "with a certificate that no rule names",
      () => ofMesh({ uris: [`${ingest}2`] }),
      denied("no rule names this caller"),
    ],
  ])("is refused %s", async (_, credential, told) => {
    expect(await call(service, { ...generate, credential: credential() })).toEqual(told);
  });

  it("is refused what its rule does not give", async () => {
    const told = denied("the caller may not decrypt for this tenant");
    expect(await call(service, { ...decrypt, credential: ofMesh() })).toEqual(told);
    expect(await call(service, { ...decrypt, credential: { token: tokens.app } })).toEqual(told);
  });
});

describe("grpcurl", () => {
  it("lists the services by reflection for a caller, and for nobody else", async () => {
    for (const credential of [ofMesh(), { token: tokens.app }]) {
      const { out } = await grpcurl([...grpcurlOptions(service, credential), service.grpc, "list"]);
      expect(out.split("\n")).toContain("fluo.kms.v1.KmsService");
    }
    const { code, err } = await grpcurl([...grpcurlOptions(service, {}), service.grpc, "list"]);
    expect(code).not.toBe(0);
    expect(err).toContain("no credential");
  });
});

describe("curl", () => {
  const head = async (credential: Credential, path: string) => {
    const options = ["--output", "/dev/null", "--dump-header", "-"];
    const { out } = await ran(["curl", ...curlOptions(service, credential), ...options, service.http + path]);
    return out.toLowerCase().split("\r\n");
  };

  it("is told by status and header to show a token, and that nothing is to be kept", async () => {
    const lines = await head({}, "/api/admin/kms/status");
    expect(lines[0]).toMatch(/^http\/1\.1 401/);
    expect(lines).toContain("www-authenticate: bearer");
    const accepted = await head({ token: tokens.app }, "/api/admin/kms/status");
    expect(accepted[0]).toMatch(/^http\/1\.1 200/);
    expect(accepted).toContain("cache-control: no-store");
  });

  it("is asked for TLS 1.3", async () => {
    const older = ["--tls-max", "1.2", `${service.http}/q/health`];
    const { code, err } = await ran(["curl", ...curlOptions(service, {}), ...older]);
    expect(code).not.toBe(0);
    expect(err).toMatch(/alert protocol version/);
  });
});

it("shows no token and no key in its log", () => {
  const log = service.process.log.join("\n");
  expect(log).toContain("no credential");
  for (const token of Object.values(tokens)) expect(log).not.toContain(token.slice(8));
  expect(log).not.toContain("PRIVATE KEY");
});
